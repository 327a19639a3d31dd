"""SelectCorrelated: of twins the better one stays, whatever the order of the columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core import fit
from tilth.stages.select.correlated import SelectCorrelated
from tilth.table import Table


def rows(n: int = 300, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    base = random.normal(size=n)
    frame = pl.DataFrame(
        {
            "size": base,
            "inch": base / 2.54 + random.normal(size=n) * 1e-3,
            "curve": np.exp(3 * base),
            "free": random.normal(size=n),
            "city": random.choice(["Rome", "Oslo", "Bern"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    code = pl.col("city").replace_strict({"Rome": "IT", "Oslo": "NO", "Bern": "CH"}).alias("land")
    return frame.with_columns(code)


def gaps(frame: pl.DataFrame, name: str, every: int) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.int_range(pl.len()) % every > 0).then(name).alias(name))


def test_correlations_are_those_of_pandas_over_the_rows_that_have_both() -> None:
    frame = gaps(gaps(rows(), "size", 4), "free", 3)
    numbers = ["size", "inch", "curve", "free"]
    stage = SelectCorrelated(on=numbers).fit(frame)
    r = frame.select(numbers).to_pandas().corr().abs().to_numpy(copy=True)
    np.fill_diagonal(r, 0)
    np.testing.assert_allclose(list(stage.scores_.values()), r.max(axis=1), atol=1e-9)
    whole = rows().select(numbers)
    ranks = whole.to_pandas().corr(method="spearman").abs().to_numpy(copy=True)
    np.fill_diagonal(ranks, 0)
    stage = SelectCorrelated(method="spearman").fit(whole)
    np.testing.assert_allclose(list(stage.scores_.values()), ranks.max(axis=1), atol=1e-9)


def test_the_twin_with_fewer_gaps_stays() -> None:
    for name, other in (("size", "inch"), ("inch", "size"), ("city", "land"), ("land", "city")):
        stage = SelectCorrelated().fit(gaps(rows(), name, 7))
        assert stage.twins_[name] == other
        assert name in stage.dropped_
        assert other in stage.kept_
        found = next(f for f in stage.findings_ if f.columns[0] == name)
        assert f"it misses 0 cells, '{name}' 43" in found.message


def test_then_the_twin_more_closely_related_to_the_target() -> None:
    frame = rows()
    for better, worse in (("size", "inch"), ("inch", "size")):
        numbers = frame[better] * 2.0
        assert SelectCorrelated().fit(frame, numbers).twins_[worse] == better
        classes = (frame[better] > 0.1).to_numpy()
        found = SelectCorrelated().fit(frame, classes)
        assert {found.twins_.get("size"), found.twins_.get("inch")} & {"size", "inch"}


def test_then_the_twin_with_more_values_and_then_the_first() -> None:
    frame = rows().with_columns(coarse=(pl.col("size") * 4).round() / 4).select("coarse", "size")
    assert SelectCorrelated().fit(frame).kept_ == ["size"]
    copies = frame.select("size", again=pl.col("size") * -3 + 7)
    stage = SelectCorrelated().fit(copies, np.arange(300) % 2)
    assert stage.kept_ == ["size"]
    assert (
        stage.findings_[0].message
        == "'again' goes with 'size' (r = -1.000, 300 rows), which stays: it comes first."
    )
    assert stage.findings_[0].score == pytest.approx(1.0)


@given(st.permutations(["size", "inch", "curve", "free", "city", "land"]))
def test_the_order_of_the_columns_does_not_matter(order: list[str]) -> None:
    frame = gaps(gaps(rows(), "inch", 9), "land", 5)
    stage = SelectCorrelated(method="either").fit(frame.select(order))
    assert sorted(stage.kept_) == ["city", "free", "size"] or sorted(stage.kept_) == ["city", "curve", "free"]
    ranked = SelectCorrelated(method="either", on=["inch", "size"]).fit(frame.select(order))
    assert ranked.twins_ == {"inch": "size"}


def test_a_chain_keeps_what_no_kept_column_says() -> None:
    """a ~ b ~ c but not a ~ c: the middle one goes, or both ends do, never all three."""
    random = np.random.default_rng(0)
    b = random.normal(size=2000)
    ends = {"a": b + 0.4 * random.normal(size=2000), "c": b + 0.4 * random.normal(size=2000)}
    frame = gaps(pl.DataFrame({"a": ends["a"], "b": b, "c": ends["c"]}), "b", 10)
    assert SelectCorrelated(threshold=0.9).fit(frame).kept_ == ["a", "c"]
    frame = gaps(gaps(pl.DataFrame({"a": ends["a"], "b": b, "c": ends["c"]}), "a", 10), "c", 9)
    stage = SelectCorrelated(threshold=0.9).fit(frame)
    assert stage.twins_ == {"a": "b", "c": "b"}


def test_a_curve_is_seen_by_ranks_only() -> None:
    frame = rows().select("size", "curve", "free")
    assert SelectCorrelated().fit(frame).dropped_ == {}
    assert list(SelectCorrelated(method="spearman").fit(frame).dropped_) == ["curve"]
    assert list(SelectCorrelated(method="either").fit(frame).dropped_) == ["curve"]


def test_categories_go_only_where_each_tells_the_other() -> None:
    random = np.random.default_rng(0)
    land = random.integers(0, 4, 400)
    city = land * 5 + random.integers(0, 5, 400)
    names = np.array([f"n{i}" for i in range(400)])
    frame = pl.DataFrame(
        {"land": land.astype(str), "city": city.astype(str), "name": names, "key": names[::-1]}
    )
    assert SelectCorrelated().fit(frame).dropped_ == {}
    frame = frame.with_columns(town=pl.col("city").cast(pl.Categorical), label=pl.col("name"))
    assert SelectCorrelated().fit(frame).twins_ == {"town": "city", "label": "name"}


def test_pairs_with_few_common_rows_are_left_alone() -> None:
    frame = pl.DataFrame({"a": [1.0, 2, 3, *[None] * 20], "b": [1.0, 2, 3, *range(20)]})
    assert SelectCorrelated().fit(frame).dropped_ == {}
    few = pl.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 2, 3]})
    assert SelectCorrelated().fit(few).dropped_ == {}


def test_booleans_and_dates_are_numbers_too() -> None:
    random = np.random.default_rng(0)
    flag = random.random(100) < 0.3
    day = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 4, 9), eager=True)
    frame = pl.DataFrame({"flag": flag, "whole": flag.astype(int), "day": day, "number": np.arange(100)})
    assert SelectCorrelated().fit(frame).twins_ == {"whole": "flag", "number": "day"}


def test_any_partition_and_gappy_sample_learns_the_same() -> None:
    frame = gaps(rows(200), "inch", 6)
    y = (frame["size"] > 0).to_numpy()
    whole = Table.of(frame, y)
    parts = [whole.with_frame(whole.frame.slice(i, 50)) for i in (100, 0, 150, 50)]
    one, two = (SelectCorrelated(max_rows=80).fit_table(t) for t in ([whole], parts))
    assert one.twins_ == two.twins_
    assert one.evidence_ == two.evidence_


def test_numpy_and_pandas_and_the_ledger() -> None:
    X = rows().select("size", "inch", "free").to_numpy()
    assert SelectCorrelated().fit_transform(X).shape == (300, 2)
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=np.arange(300) % 7)
    out = SelectCorrelated().fit_transform(frame)
    assert out.index.equals(frame.index)
    done = fit([("twins", SelectCorrelated())], Table.of(frame, np.arange(300) % 2))
    assert [row[2] for row in done.ledger.columns.rows()] == ["removed"]
