"""What all stages share: the name from the file, the choice of columns, findings, and roles that go out."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from tilth.core import ColumnStage, RowPlan, RowStage, Selection
from tilth.errors import ColumnError, DataError, StageError, TilthWarning
from tilth.stages import stage
from tilth.table import Roles, Table

ROWS = pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})


class Loud(ColumnStage):
    """Report what it is told to."""

    finds = {"loud.known": "something"}
    handles = ("numeric",)

    def __init__(self, *, kind="loud.known", on: Selection = None):
        self.kind = kind
        self.on = on

    def learn(self, statistics):
        self.report(self.kind, "seen", 0.5)


class Reverse(RowStage):
    """Take the last row twice and drop the first."""

    def plan(self, table):
        times = np.ones(table.height, np.int64)
        times[0], times[-1] = 0, 2
        return RowPlan(times)


class Needy(Reverse):
    """Need a target."""

    needs_target = True


def test_a_stage_knows_its_key_from_its_file():
    assert stage("impute.simple").key == "impute.simple"
    assert Loud().key == "loud"


def test_an_undeclared_finding_is_a_fault_of_the_stage():
    with pytest.raises(StageError, match=r"reports 'loud\.unknown'.*fault of the stage"):
        Loud(kind="loud.unknown").fit(ROWS)


def test_fitting_again_forgets_what_was_found():
    fitted = Loud().fit(ROWS)
    assert len(fitted.fit(ROWS).findings_) == 1


def test_a_wrong_selection_names_stage_and_parameter():
    with pytest.raises(ColumnError) as caught:
        Loud(on="aa").fit(ROWS)
    assert caught.value.__notes__ == ["In stage loud, parameter 'on'."]
    with pytest.raises(DataError, match=r"'b' \(categorical\): only numeric"):
        Loud(on="b").fit(ROWS)


def test_no_rows_and_no_columns_are_refused():
    with pytest.raises(DataError, match="at least one row"):
        Loud().fit(ROWS.head(0))
    with pytest.raises(DataError, match="at least one column"):
        Loud().fit(np.empty((3, 0)))


@pytest.mark.parametrize("method", ["transform", "get_feature_names_out"])
def test_an_unfitted_stage_says_so(method):
    with pytest.raises(NotFittedError):
        getattr(Loud(), method)(ROWS)


def test_inverse_transform_is_there_only_where_a_stage_can():
    assert not hasattr(stage("impute.simple"), "inverse_transform")
    assert hasattr(stage("scale.robust"), "inverse_transform")


def test_a_clone_has_the_parameters_and_nothing_learned():
    fitted = stage("scale.robust", center=False).fit([[1.0], [2.0]])
    again = clone(fitted)
    assert again.get_params() == fitted.get_params()
    assert not hasattr(again, "scale_")


class TestRowStage:
    """Rows go out in the containers that came in."""

    def test_pandas_keeps_index_names_and_types_of_all_roles(self):
        X = pd.DataFrame({"a": [1, 2, 3]}, index=["p", "q", "q"])
        y = pd.Series(pd.Categorical(["u", "v", "u"]), index=X.index, name="label")
        w = pd.Series([1, 2, 3], index=X.index, name="w", dtype="Int64")
        g = np.array([7, 8, 9], np.int16)
        X2, y2, w2, g2 = Reverse().fit_resample(X, y, sample_weight=w, groups=g)
        rows = [1, 2, 2]
        pd.testing.assert_frame_equal(X2, X.iloc[rows])
        pd.testing.assert_series_equal(y2, y.iloc[rows])
        pd.testing.assert_series_equal(w2, w.iloc[rows])
        assert g2.tolist() == [8, 9, 9]
        assert g2.dtype == np.int16

    def test_whole_weights_that_become_fractions_are_not_cut(self):
        class Halve(RowStage):
            """Halve the weights."""

            def plan(self, table):
                return RowPlan(np.ones(table.height, np.int64), weight=np.full(table.height, 0.5))

        w = pd.Series([1, 3], index=[5, 6])
        *_, weights = Halve().fit_resample(pd.DataFrame({"a": [1, 2]}), None, sample_weight=w)
        assert weights.tolist() == [0.5, 1.5]
        assert weights.index.tolist() == [5, 6]

    @pytest.mark.parametrize("passed", ["sample_weight", "groups"])
    def test_a_role_that_a_stage_made_is_told_where_it_has_no_place(self, passed):
        class Name(RowStage):
            """Give every row a weight and a group."""

            def plan(self, table):
                rows = table.height
                group = pl.Series(["a"] * rows)
                return RowPlan(np.ones(rows, np.int64), weight=np.full(rows, 0.5), group=group)

        X, other = np.array([[1.0], [2.0]]), {"sample_weight": "group", "groups": "weight"}[passed]
        given = {"sample_weight": np.array([2.0, 4.0]), "groups": np.array(["x", "y"])}[passed]
        with pytest.warns(TilthWarning, match=f"gave rows a {other}.*and the {other}s come back too"):
            out = Name().fit_resample(X, None, **{passed: given})
        assert len(out) == 3
        assert out[2].tolist() == {"sample_weight": [1.0, 2.0], "groups": ["a", "a"]}[passed]

    def test_polars_and_arrow(self):
        y = pl.Series("label", ["u", "v", "w"])
        X2, y2 = Reverse().fit_resample(pl.DataFrame({"a": [1, 2, 3]}), y)
        assert y2.equals(pl.Series("label", ["v", "w", "w"]))
        assert X2["a"].to_list() == [2, 3, 3]
        X2, y2 = Reverse().fit_resample(pa.table({"a": [1, 2, 3]}), pa.array([1, 2, 3]))
        assert isinstance(X2, pa.Table)
        assert y2.to_pylist() == [2, 3, 3]

    def test_lists_go_out_as_lists(self):
        X2, y2 = Reverse().fit_resample([[1], [2], [3]], ["u", "v", "w"])
        assert X2 == [[2], [3], [3]]
        assert y2 == ["v", "w", "w"]

    def test_only_what_was_passed_comes_back(self):
        assert len(Reverse().fit_resample([[1], [2]], [0, 1])) == 2
        assert len(Reverse().fit_resample([[1], [2]], [0, 1], groups=[5, 6])) == 3

    def test_a_table_goes_out_as_a_table(self):
        table = Table.of(pl.DataFrame({"a": [1, 2, 3], "y": [0, 1, 0]}), roles=Roles(target="y"))
        out = Reverse().fit_resample(table)
        assert out.y.to_list() == [1, 0, 0]
        assert out.roles.target == "y"

    def test_fit_is_a_dry_run(self):
        X = pl.DataFrame({"a": [1, 2, 3]})
        assert Reverse().fit(X).plan_.times.tolist() == [0, 1, 2]
        assert X.height == 3

    def test_a_stage_that_needs_a_target_says_so(self):
        with pytest.raises(DataError, match="requires y to be passed"):
            Needy().fit_resample([[1], [2]])

    def test_there_is_no_transform(self):
        assert not hasattr(Reverse(), "transform")
        assert not hasattr(Reverse(), "fit_transform")
