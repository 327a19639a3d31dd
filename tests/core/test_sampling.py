"""What imbalanced-learn's tools find in a row stage, and (X, y) given back in what they came in."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.base import is_sampler
from imblearn.pipeline import make_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags

import tilth
from tilth.core import RowPlan, RowStage
from tilth.core.sampling import rows_added
from tilth.table import Table


class Drops(RowStage):
    """Drop the first row of each class, and repeat the last row."""

    needs_target = True

    def plan(self, table: Table) -> RowPlan:
        y = table.need("target", "drops")
        times = np.ones(table.height, np.int64)
        times[y.is_first_distinct().to_numpy() & y.is_not_null().to_numpy()] = 0
        times[-1] = 2
        return RowPlan(times)


class Makes(RowStage):
    """Make one row more, as the last."""

    needs_target = True

    def plan(self, table: Table) -> RowPlan:
        last = table.frame.select(*table.features, table.roles.target).collect().tail(1)
        return RowPlan(np.ones(table.height, np.int64), fresh=last, parents=np.array([[table.height - 1]]))


X = np.arange(12.0).reshape(6, 2)
Y = ["a", "a", "a", "b", "b", "b"]


def test_a_row_stage_is_a_sampler_to_imbalanced_learn() -> None:
    stage = Drops()
    assert is_sampler(stage)
    assert get_tags(stage).input_tags.allow_nan
    model = make_pipeline(Drops(), LogisticRegression()).fit(X, Y)
    assert model.predict(X).shape == (6,)


def test_what_was_added_and_dropped_of_each_class_is_told() -> None:
    assert Drops().fit(X, Y).sampling_strategy_ == {"a": -1, "b": 0}
    assert Makes().fit(X, Y).sampling_strategy_ == {"a": 0, "b": 1}
    assert Drops().fit(X, [None, 1, 1, 0, 0, 0]).sampling_strategy_ == {0: 0, 1: -1}


def test_a_target_of_fractions_has_no_classes_to_tell_of() -> None:
    stage = Drops().fit(X, Y)
    stage.fit(X, np.linspace(0, 1, 6))
    assert not hasattr(stage, "sampling_strategy_")
    table = Table.of(X)
    assert rows_added(table, RowPlan.keep_all(6)) is None


def test_the_places_of_rows_are_told_where_no_row_was_made() -> None:
    stage = Drops().fit(X, Y)
    assert stage.sample_indices_.tolist() == [1, 2, 4, 5, 5]
    assert get_tags(stage).sampler_tags.sample_indices
    stage = Makes().fit(X, Y)
    assert not hasattr(stage, "sample_indices_")
    assert not get_tags(stage).sampler_tags.sample_indices
    assert not hasattr(Drops(), "sample_indices_")


def test_lists_of_rows_come_out_as_lists_and_lists_beside_a_frame_as_arrays() -> None:
    rows, y, weight, groups = Drops().fit_resample(X.tolist(), Y, [1.0] * 6, np.arange(6))
    assert rows == X[[1, 2, 4, 5, 5]].tolist()
    assert y == ["a", "a", "b", "b", "b"]
    assert weight == [1.0] * 5
    assert isinstance(groups, np.ndarray)
    rows, y = Drops().fit_resample(pl.DataFrame(X), Y)
    assert isinstance(rows, pl.DataFrame)
    assert isinstance(y, np.ndarray)
    assert tilth.Pipeline([("d", Drops())]).fit_resample(X.tolist(), Y) == (
        X[[1, 2, 4, 5, 5]].tolist(),
        Y[1:3] + Y[3:],
    )


@pytest.mark.parametrize("stage", [Drops(), Makes()], ids=["drops", "makes"])
def test_targets_of_two_dimensions_come_out_as_they_came(stage: RowStage) -> None:
    codes = np.array([0, 0, 0, 1, 1, 1], np.int32)
    _, wanted = stage.fit_resample(X, codes)
    _, column = stage.fit_resample(X, codes.reshape(-1, 1))
    assert column.tolist() == wanted.reshape(-1, 1).tolist()
    _, hot = stage.fit_resample(X, np.eye(2, dtype=np.int8)[codes])
    assert hot.dtype == np.int8
    assert hot.tolist() == np.eye(2)[wanted].tolist()
    _, lists = stage.fit_resample(X.tolist(), np.eye(2, dtype=int)[codes].tolist())
    assert lists == np.eye(2)[wanted].tolist()
    frame = pd.DataFrame(np.eye(2)[codes], columns=["p", "q"], index=list("uvwxyz"))
    _, out = stage.fit_resample(pd.DataFrame(X, index=frame.index), frame)
    assert out.to_numpy().tolist() == np.eye(2)[wanted].tolist()
    assert out.columns.tolist() == ["p", "q"]
    if isinstance(stage, Drops):
        assert out.index.tolist() == list("vwyzz")


def test_names_that_go_out_are_those_that_came_in() -> None:
    stage = Drops().fit(X, Y)
    assert stage.get_feature_names_out().tolist() == ["x0", "x1"]
    assert stage.get_feature_names_out(["p", "q"]).tolist() == ["p", "q"]
    with pytest.raises(ValueError, match=r"should have length equal to the number of features \(2\), got 1"):
        stage.get_feature_names_out(["p"])
    stage = Drops().fit(pd.DataFrame(X, columns=["p", "q"]), Y)
    assert stage.get_feature_names_out(["p", "q"]).tolist() == ["p", "q"]
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        stage.get_feature_names_out(["q", "p"])
