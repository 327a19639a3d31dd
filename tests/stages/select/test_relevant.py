"""SelectRelevant: what is planted is found, and columns that tell nothing stay out as often as promised."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import tilth
from tilth.core import fit
from tilth.errors import DataError, StageError
from tilth.stages.select.relevant import SelectRelevant
from tilth.table import ROW, Roles, Table


def planted(n: int = 400, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Make columns that tell alone, as twins, together only, by category, by a gap and by day, and noise."""
    random = np.random.default_rng(seed)
    a, b, c = random.normal(size=(3, n))
    y = (1.5 * a + 2 * np.sign(b * c) + random.normal(size=n)) > 0
    tells = np.where(random.random(n) < 0.6, y, random.random(n) < 0.5)
    frame = pl.DataFrame({f"noise{i}": random.normal(size=n) for i in range(6)})
    frame = frame.with_columns(
        a=a,
        twin=2 * a + 0.05 * random.normal(size=n),
        b=b,
        c=c,
        word=np.where(tells, "yes", "no"),
        gap=pl.when(pl.Series(tells)).then(pl.Series(random.normal(size=n))),
        day=pl.date(2020, 1, 1) + pl.duration(days=pl.Series((a * 50).astype(int) + 200)),
        flag=random.random(n) < 0.3,
        letters=random.choice(list("abcdefghijkl"), n),
    )
    return frame, y


NOISE = {f"noise{i}" for i in range(6)} | {"flag", "letters"}


def test_a_forest_finds_all_that_is_relevant_twins_and_what_tells_together() -> None:
    X, y = planted(900)
    stage = SelectRelevant(trees=60, random_state=1).fit(X, y)
    assert {"a", "twin", "b", "c", "word", "gap", "day"} <= set(stage.kept_)
    assert len(NOISE & set(stage.kept_)) <= 1


def test_information_finds_what_tells_alone() -> None:
    X, y = planted()
    stage = SelectRelevant(by="information").fit(X, y)
    assert {"a", "twin", "word", "gap", "day"} <= set(stage.kept_)
    assert not {"b", "c"} & set(stage.kept_)
    assert len(NOISE & set(stage.kept_)) <= 1


@pytest.mark.parametrize("by", ["linear", "boosting"])
def test_probes_find_what_they_use(by: str) -> None:
    X, y = planted(300)
    stage = SelectRelevant(by=by, rounds=8, alpha=0.15, on=["a", "word", "noise0", "letters"]).fit(X, y)
    assert {c for c, v in stage.verdicts_.items() if v == "confirmed"} == {"a", "word"}


def test_numbers_as_targets_are_told_by_their_order() -> None:
    X, _ = planted()
    y = np.exp(3 * X["a"] + X["noise0"] * 0)
    for by in ("information", "forest"):
        stage = SelectRelevant(by=by, trees=30).fit(X.drop("gap", "word"), y)
        assert {"a", "twin", "day"} <= set(stage.kept_)
        assert len(set(stage.kept_) & NOISE) <= 1


@pytest.mark.parametrize("control", ["share", "any"])
def test_where_nothing_tells_the_chance_of_confirming_any_is_as_promised(control: str) -> None:
    """120 tables of ten kinds of noise: with a chance of 0.05 each, 13 or more wrong are one in 200."""
    wrong = 0
    for seed in range(120):
        random = np.random.default_rng(seed)
        X = pl.DataFrame({f"x{i}": random.normal(size=120) for i in range(4)})
        X = X.with_columns(
            pl.Series(f"c{i}", random.integers(0, 2 + 9 * i, 120).astype(str)) for i in range(3)
        )
        X = X.with_columns(pl.Series(f"b{i}", random.random(120) < 0.1 + 0.2 * i) for i in range(3))
        stage = SelectRelevant(by="information", control=control).fit(X, random.random(120) < 0.4)
        wrong += "confirmed" in stage.verdicts_.values()
    assert wrong <= 12


def test_where_nothing_tells_a_forest_confirms_next_to_nothing() -> None:
    wrong = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        X = pl.DataFrame({f"x{i}": random.normal(size=100) for i in range(8)})
        stage = SelectRelevant(trees=20).fit(X, random.integers(0, 2, 100))
        wrong += "confirmed" in stage.verdicts_.values()
    assert wrong <= 2


def test_groups_keep_shadows_honest() -> None:
    """A column that is constant within groups, as the label is, has as many values as there are groups."""
    wrong, blind = 0, 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        group = np.repeat(np.arange(25), 12)
        X = pl.DataFrame({f"x{i}": random.normal(size=25)[group] for i in range(3)})
        y = random.permutation(np.arange(25) % 2)[group]
        table = Table.of(X, y, groups=group)
        for told, bare in ((table, False), (Table.of(X, y), True)):
            stage = SelectRelevant(by="information").fit_table([told])
            hit = "confirmed" in stage.verdicts_.values()
            wrong, blind = wrong + (hit and not bare), blind + (hit and bare)
    assert wrong <= 9
    assert blind >= 50  # without groups nearly every such column looks relevant


def test_where_nothing_is_confirmed_and_nothing_else_is_left_all_columns_stay() -> None:
    random = np.random.default_rng(3)
    X = pl.DataFrame({f"x{i}": random.normal(size=100) for i in range(4)})
    y = random.integers(0, 2, 100)
    stage = SelectRelevant(by="information").fit(X, y)
    assert stage.kept_ == X.columns
    assert stage.get_support().all()
    assert stage.findings_[0].kind == "select.none"
    assert "All stay" in stage.findings_[0].message
    some = SelectRelevant(by="information", on=["x0", "x1"]).fit(X, y)
    assert some.kept_ == ["x2", "x3"]
    assert {f.kind for f in some.findings_} == {"select.irrelevant"}


def test_tentative_columns_are_kept_if_asked_for() -> None:
    for seed in range(40):
        random = np.random.default_rng(seed)
        X = pl.DataFrame({f"x{i}": random.normal(size=200) for i in range(12)})
        y = (X["x0"] + random.normal(size=200)).to_numpy() > 0
        stage = SelectRelevant(by="information").fit(X, y)
        tentative = [c for c, v in stage.verdicts_.items() if v == "tentative"]
        if tentative:
            break
    assert set(tentative) <= set(stage.dropped_)
    kept = clone(stage).set_params(tentative="keep").fit(X, y)
    assert set(kept.kept_) == set(stage.kept_) | set(tentative)
    told = next(f for f in kept.findings_ if f.kind == "select.tentative")
    assert told.message.endswith("It stays.")


def test_no_order_of_rows_or_columns_and_no_partition_matters() -> None:
    X, y = planted(200)
    table = Table.of(X, y)
    rows = table.frame.collect()
    stage = SelectRelevant(trees=10, rounds=4, alpha=0.3, max_rows=150)
    one = clone(stage).fit_table([table])
    turned = table.with_frame(rows.sample(fraction=1.0, shuffle=True, seed=1).lazy())
    parts = [table.with_frame(rows.slice(i, 40).lazy()) for i in range(0, 200, 40)]
    other = table.with_frame(rows.select(*X.columns[::-1], ROW, table.roles.target).lazy())
    for told in ([turned], parts, [other]):
        again = clone(stage).fit_table(told)
        assert again.p_values_ == one.p_values_ or sorted(again.p_values_.items()) == sorted(
            one.p_values_.items()
        )


def test_rows_of_no_label_or_no_weight_are_as_if_absent() -> None:
    X, y = planted(300)
    label = pl.Series("y", y.astype(str))
    whole = X.with_columns(label, w=1.0)
    more = X.with_columns(pl.lit(None, pl.String).alias("y"), w=1.0).head(50)
    idle = X.with_columns(pl.lit("False").alias("y"), w=0.0).head(50)
    ids = pl.int_range(pl.len(), dtype=pl.UInt64).alias("id")
    roles = Roles(target="y", weight="w", row_id="id")
    stage = SelectRelevant(by="information", rounds=20)
    one = clone(stage).fit_table([Table.of(whole.with_columns(ids), roles=roles)])
    two = clone(stage).fit_table([Table.of(pl.concat([whole, more, idle]).with_columns(ids), roles=roles)])
    assert one.p_values_ == two.p_values_


def test_too_few_rounds_and_wrong_targets_are_refused() -> None:
    X, y = planted(60)
    with pytest.raises(StageError, match=r"5 rounds cannot confirm a column at alpha=0\.05\. Use rounds=20"):
        SelectRelevant(rounds=5).fit(X, y)
    with pytest.raises(DataError, match="has one class"):
        SelectRelevant().fit(X, np.ones(60, dtype=bool))
    with pytest.raises(DataError, match="target"):
        SelectRelevant().fit(X)


def test_it_works_in_a_pipeline_and_names_what_goes() -> None:
    X, y = planted(300)
    pipe = tilth.Pipeline([SelectRelevant(by="information"), tilth.probes.probe("linear")]).fit(
        X.to_pandas(), y
    )
    assert len(pipe.predict(X.to_pandas().head(7))) == 7
    done = fit([("choose", SelectRelevant(by="information"))], Table.of(X, y))
    gone = {f.columns[0] for f in done.findings if f.kind == "select.irrelevant"}
    assert gone <= set(done.ledger.columns["column"])
    assert isinstance(SelectRelevant(by="information").fit_transform(X.to_pandas(), y), pd.DataFrame)
