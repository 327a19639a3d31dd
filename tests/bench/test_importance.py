"""Permutation importance: of raw columns, through the whole pipeline, with intervals that hold."""

from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression

from tests.bench.looking import judged, looked
from tilth.bench.importance import CHANGE, LOOK, Importance, groups_of, importance_table, shuffle
from tilth.core import ColumnStage
from tilth.errors import ColumnError, DataError
from tilth.stages.scale.standard import ScaleStandard
from tilth.statistics import hash_rows
from tilth.table import ROW, Table

N = 600


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({name: rng.normal(size=N) for name in ("strong", "weak", "twin", "noise")})
    X = X.with_columns(
        twin=pl.col("strong") + 0.01 * pl.col("twin"), noise_kind=pl.Series(rng.choice(["x", "y"], N))
    )
    told = 2 * X["strong"] + 0.7 * X["weak"] + pl.Series(rng.normal(size=N))
    return X, (told > 0).cast(pl.Int64).alias("y")


def each(*names):
    return tuple((name, (name,)) for name in names)


def table_of(look, X, y, probes=("linear",), before=None, after=None, folds=4, repeats=2):
    _, lines = looked(look, X, y, list(probes), before, after, folds=folds, repeats=repeats)
    return importance_table([line for line in lines if line["look"] == LOOK], folds)


def one(table, column, arm="after", probe="linear"):
    found = table.filter((pl.col("column") == column) & (pl.col("arm") == arm) & (pl.col("probe") == probe))
    (line,) = found.to_dicts()
    return line


@pytest.fixture(scope="module")
def found(data):
    X, y = data
    return table_of(
        Importance(groups_of(Table.of(X, y), True)), X, y, ["linear", "boosting"], None, [ScaleStandard()]
    )


def test_columns_that_tell_matter_and_the_interval_of_noise_holds_0(found):
    for probe in ("linear", "boosting"):
        assert one(found, "weak", probe=probe)["matters"]
        for noise in ("noise", "noise_kind"):
            line = one(found, noise, probe=probe)
            assert line["low"] <= 0 <= line["high"]
            assert not line["matters"]


def test_a_stage_that_changes_nothing_of_weight_changes_no_importance(found):
    assert not found.filter(pl.col("arm") == CHANGE)["matters"].any()
    assert one(found, "weak", CHANGE)["importance"] == pytest.approx(0, abs=1e-6)


def test_columns_that_tell_the_same_share_importance_and_a_group_has_it_whole(data):
    X, y = data
    look = Importance((*each("strong", "twin"), ("both", ("strong", "twin"))), shuffles=3)
    table = table_of(look, X, y)
    alone = [one(table, name)["importance"] for name in ("strong", "twin")]
    assert one(table, "both")["importance"] > 1.5 * max(alone)


class Drop(ColumnStage):
    """Take a column away."""

    handles: ClassVar = ("numeric",)

    def change(self, frame):
        return frame.drop("weak")


def test_a_column_that_a_stage_takes_away_matters_before_and_no_longer_after(data):
    X, y = data
    table = table_of(Importance(each("weak"), shuffles=3), X, y, after=[Drop()])
    assert one(table, "weak", "before")["matters"]
    gone = one(table, "weak", "after")
    assert (gone["importance"], gone["low"], gone["high"], gone["p"]) == (0, 0, 0, 1)
    change = one(table, "weak", CHANGE)
    assert change["high"] < 0
    assert change["matters"]


def test_mean_and_interval_are_those_of_hand(data):
    lines = [
        {"column": "a", "probe": "p", "metric": "roc_auc", "arm": "after", "repeat": 0, "fold": k, "value": v}
        for k, v in enumerate([0.02, 0.01, 0.03, 0.02, 0.02])
    ]
    (line,) = importance_table(lines, 5).to_dicts()
    assert line["importance"] == pytest.approx(0.02)
    # t = 0.02 / sqrt(5e-5 * (1/5 + 1/4)), 4 degrees of freedom: as in corrected_t's own example.
    assert line["p"] == pytest.approx(0.0135, abs=5e-5)
    assert line["p_holm"] == line["p"]
    assert line["n_scores"] == 5


def test_it_is_what_scikit_learn_gets_for_the_same_model(data):
    X, y = data
    X = X.select("strong", "weak", "noise")
    of = judged(X, y, ("linear", LogisticRegression()), metric="accuracy")
    ours = {line["column"]: line["value"] for line in Importance(each(*X.columns), shuffles=60)(of)}
    theirs = permutation_importance(
        of.model, of.rows.select(X.columns), of.truth, n_repeats=60, random_state=0
    )
    for at, name in enumerate(X.columns):
        noise = theirs.importances_std[at] * np.sqrt(2 / 60)
        assert ours[name] == pytest.approx(theirs.importances_mean[at], abs=4 * noise + 1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_shuffle_is_a_permutation_keyed_by_row_id(seed):
    ids = hash_rows(seed, np.arange(50, dtype=np.uint64))
    order = np.random.default_rng(seed).permutation(50)
    here, there = shuffle(ids, seed, 0), shuffle(ids[order], seed, 0)
    assert sorted(here) == list(range(50))
    assert np.array_equal(ids[here][order], ids[order][there])
    assert not np.array_equal(shuffle(ids, seed, 1), here)


def test_a_group_is_shuffled_by_one_draw_and_everything_else_stays(data, monkeypatch):
    X, y = data
    of = judged(X, y, "linear")
    seen = []
    monkeypatch.setattr(type(of), "through", lambda self, frame: seen.append(frame) or self.ready.X_test)
    rows, frame = of.rows.height, of.rows
    look = Importance((("both", ("strong", "twin")),), shuffles=1)
    list(look._shuffled(of, frame, "both", ("strong", "twin")))
    made = seen[0]
    assert made.height == rows
    assert not made["strong"].equals(frame["strong"])
    pairs = lambda f: sorted(f.select("strong", "twin").iter_rows())
    assert pairs(made) == pairs(frame)
    assert made.drop("strong", "twin").equals(frame.drop("strong", "twin"))


class Joins(ColumnStage):
    """Bring a column back by the ids of rows, which takes no row more than once."""

    def change(self, frame):
        return frame.join(frame.select(ROW), on=ROW, maintain_order="left")


def test_rows_are_prepared_one_shuffle_at_a_time_where_a_stage_goes_by_their_ids(data):
    X, y = data
    look = Importance(each("weak"), shuffles=3)
    assert look(judged(X, y, "linear", Joins())) == look(judged(X, y, "linear"))


def test_no_more_rows_are_looked_at_than_asked_for_and_none_of_weight_0(data, monkeypatch):
    X, y = data
    of = judged(Table.of(X, y, sample_weight=np.arange(N) % 2), None, "linear")
    seen = []
    through = type(of).through
    monkeypatch.setattr(type(of), "through", lambda self, frame: seen.append(frame) or through(self, frame))
    Importance(each("weak"), shuffles=2, rows=30)(of)
    assert [frame.height for frame in seen] == [30, 60]
    assert all((frame[of.design.table.roles.weight] > 0).all() for frame in seen)


def test_columns_are_chosen_by_name_kind_glob_and_group(data):
    table = Table.of(*data)
    assert groups_of(table, True) == each(*data[0].columns)
    assert groups_of(table, ["noise*"]) == each("noise", "noise_kind")
    assert groups_of(table, {"numbers": "numeric", "rest": ["noise_kind"]}) == (
        ("numbers", ("strong", "weak", "twin", "noise")),
        ("rest", ("noise_kind",)),
    )


def test_a_selection_of_nothing_or_of_the_target_is_refused(data):
    table = Table.of(*data)
    with pytest.raises(ColumnError, match="'y'"):
        groups_of(table, ["y"])
    with pytest.raises(DataError, match="no feature"):
        groups_of(table, {"dates": "datetime"})
    with pytest.raises(DataError, match="no feature"):
        groups_of(table, ["datetime"])


def test_too_many_columns_unasked_are_refused_with_a_way_out():
    wide = pl.DataFrame({f"c{k}": [0.0, 1.0] for k in range(101)})
    with pytest.raises(DataError, match=r"101 features.*groups"):
        groups_of(Table.of(wide, [0, 1]), True)
    assert len(groups_of(Table.of(wide, [0, 1]), ["c*"])) == 101
