"""SelectStable: what tells is chosen from most halves, and what does not as seldom as the bound says."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

from tilth.errors import DataError, StageError
from tilth.stages.select.stable import SelectStable
from tilth.statistics.shadows import false_bound
from tilth.table import ROW, Table

TELLS = ((3, 1), (50, -1), (120, 1))


def wide(n: int = 100, p: int = 200, seed: int = 0) -> tuple[pl.DataFrame, pl.Series]:
    random = np.random.default_rng(seed)
    X = pl.DataFrame({f"x{i}": random.normal(size=n) for i in range(p)})
    told = [2 * X[f"x{i}"] * sign for i, sign in TELLS if i < p]
    return X, sum(told[1:], told[0]) + random.normal(size=n)


def test_more_columns_than_rows_leave_those_that_tell() -> None:
    X, y = wide()
    stage = SelectStable().fit(X, y)
    assert {"x3", "x50", "x120"} <= set(stage.kept_)
    assert len(stage.kept_) <= 5
    assert stage.bound_ <= 1.0
    classes = SelectStable(pairs=20).fit(X, (y > 0).to_numpy())
    assert {"x3", "x50"} <= set(classes.kept_)


@pytest.mark.parametrize("bound", ["unimodal", "worst_case"])
@pytest.mark.parametrize("base", ["lasso", "information"])
def test_columns_that_tell_nothing_stay_as_seldom_as_the_bound_says(base: str, bound: str) -> None:
    let_in = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        X = pl.DataFrame({f"x{i}": random.normal(size=80) for i in range(60)})
        stage = SelectStable(base=base, bound=bound, pairs=15, on="x?*").fit(
            X.with_columns(other=1.0), random.normal(size=80)
        )
        let_in.append(sum(share >= stage.threshold for share in stage.scores_.values()))
        assert stage.bound_ <= 1.0
    assert np.mean(let_in) <= 1.0


def test_each_half_chooses_as_many_as_the_bound_allows() -> None:
    X, y = wide(60, 100)
    for more in ({}, {"bound": "worst_case"}, {"expected": 4.0}, {"threshold": 0.9}):
        stage = SelectStable(base="information", pairs=10, **more).fit(X, y)
        own = (stage.threshold, stage.pairs, stage.bound)
        assert false_bound(stage.size_, 100, *own) <= stage.expected < false_bound(stage.size_ + 1, 100, *own)
        assert sum(stage.scores_.values()) <= stage.size_ + 1e-9


def test_halves_are_of_every_class_and_of_whole_groups() -> None:
    from tilth.stages.evidence import Evidence
    from tilth.statistics import Statistics

    X, y = wide(120, 4)
    group = np.arange(120) // 4
    table = Table.of(X, (y > 0).to_numpy(), groups=group)
    statistics = Statistics([table.frame], ROW, target=table.roles.target, group=table.roles.group)
    evidence = Evidence.gather(statistics, X.columns, "test", 1000, 0)
    for seed in range(5):
        first = evidence.halves(seed)
        assert 0.4 < first.mean() < 0.6
        assert not set(evidence.groups.filter(pl.Series(first))) & set(
            evidence.groups.filter(pl.Series(~first))
        )
    bare = Evidence.gather(
        Statistics([table.frame], ROW, target=table.roles.target), X.columns, "test", 1000, 0
    )
    halves = bare.halves(0)
    assert abs(bare.target[halves].mean() - bare.target[~halves].mean()) < 0.05


@pytest.mark.parametrize("base", ["lasso", "forest", "information", "linear", "boosting"])
def test_mixed_columns_with_gaps_are_read_by_every_base(base: str) -> None:
    random = np.random.default_rng(0)
    y = random.random(240) < 0.5
    tells = np.where(random.random(240) < 0.7, y, random.random(240) < 0.5)
    X = pl.DataFrame({"word": np.where(tells, "a", "b"), "number": tells + random.normal(size=240)})
    X = X.with_columns(pl.Series(f"n{i}", random.normal(size=240)) for i in range(4))
    X = X.with_columns(
        pl.when(pl.int_range(pl.len()) % 7 > 0).then("number").alias("number"),
        pl.Series("letter", random.choice(["p", "q", None], 240)),
    )
    stage = SelectStable(base=base, pairs=4, trees=20, expected=2.0).fit(X, y)
    assert "word" in stage.kept_
    assert len(stage.kept_) <= 4
    assert stage.findings_[0].kind == "select.stable"


def test_where_none_is_stable_and_nothing_else_is_left_all_columns_stay() -> None:
    random = np.random.default_rng(0)
    X = pl.DataFrame({f"x{i}": random.normal(size=60) for i in range(40)})
    y = random.normal(size=60)
    stage = SelectStable(threshold=1.0, expected=0.05).fit(X, y)
    assert stage.kept_ == X.columns
    assert [f.kind for f in stage.findings_] == ["select.none"]
    some = SelectStable(threshold=1.0, expected=0.05, on="x1*").fit(X, y)
    assert "x0" in some.kept_
    assert "x11" in some.dropped_


def test_no_order_of_rows_and_no_partition_matters() -> None:
    X, y = wide(90, 30)
    table = Table.of(X, y)
    rows = table.frame.collect()
    stage = SelectStable(pairs=5, max_rows=70)
    one = clone(stage).fit_table([table])
    turned = table.with_frame(rows.sample(fraction=1.0, shuffle=True, seed=1).lazy())
    for told in ([turned], [table.with_frame(rows.slice(i, 30).lazy()) for i in (60, 0, 30)]):
        assert clone(stage).fit_table(told).scores_ == one.scores_


def test_what_promises_nothing_is_refused() -> None:
    X, y = wide(30, 10)
    with pytest.raises(StageError, match=r"threshold=0.55 with 5 pairs promises nothing"):
        SelectStable(threshold=0.55, pairs=5).fit(X, y)
    with pytest.raises(DataError, match="one class"):
        SelectStable().fit(X, np.ones(30, dtype=bool))
