"""Columns against one another, and against the target."""

import numpy as np
import polars as pl
import pytest

from tilth.audit import pairs
from tilth.audit.column import Column
from tilth.table import Table


def columns(**values):
    table = Table.of(pl.DataFrame(values))
    return [Column.of(table, c) for c in table.features]


def found(check, *args):
    return [(f.kind, f.columns) for f in check(*args)]


def test_identical_and_one_to_one_columns():
    code = np.random.default_rng(0).integers(0, 8, 300)
    some = columns(a=code, b=code, c=[f"level {i}" for i in code], d=code % 4)
    assert found(pairs.twins, some) == [
        ("columns.identical", ("a", "b")),
        ("columns.one_to_one", ("a", "c")),
    ]


def test_as_many_values_are_not_yet_one_to_one():
    rng = np.random.default_rng(0)
    some = columns(a=rng.integers(0, 8, 300), b=rng.integers(0, 8, 300))
    assert found(pairs.twins, some) == []


def test_correlation_is_numpys_and_leaves_gaps_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = -3 * x + rng.normal(size=400) * 0.1
    y[::7] = np.nan
    some = columns(x=x, y=y, z=rng.normal(size=400))
    (finding,) = pairs.correlated(some)
    use = np.isfinite(y)
    assert finding.columns == ("x", "y")
    assert finding.score == pytest.approx(abs(np.corrcoef(x[use], y[use])[0, 1]), abs=1e-12)


def test_correlation_holds_for_huge_values():
    x = np.random.default_rng(0).normal(size=200)
    some = columns(x=x * 2e307, y=x * 1e-300, z=-x, w=x**2)
    assert [f.columns for f in pairs.correlated(some)] == [("x", "y"), ("x", "z"), ("y", "z")]


def test_chance_copies_match_a_count_by_hand():
    some = columns(a=[0, 0, 1, 1], b=["u", "v", "u", "v"])
    assert pairs.chance_copies(some) == pytest.approx(0.5 * 0.5 * 4 * 3 / 2)


def test_a_curve_is_told_by_its_order_and_zeros_have_none():
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    (finding,) = pairs.correlated(columns(x=x, e=np.exp(3 * x), z=rng.normal(size=300)))
    assert (finding.kind, finding.columns) == ("columns.monotone", ("x", "e"))
    mostly = np.where(np.arange(3000) < 2990, 0.0, rng.normal(size=3000))
    other = np.where(mostly == 0, 0.0, rng.normal(size=3000))
    assert found(pairs.correlated, columns(a=mostly, b=other)) == []


def test_what_tells_another_column_is_told_with_its_exceptions():
    rng = np.random.default_rng(0)
    city = rng.integers(0, 12, 400)
    country = [f"country{c % 4}" for c in city]
    odd = country.copy()
    odd[5] = next(c for c in sorted(set(country)) if c != country[5])
    noise = rng.integers(0, 4, 400).astype(str)
    some = columns(city=[f"city{c}" for c in city], country=country, odd=odd, noise=noise)
    told = {f.columns: f for f in pairs.nested(some)}
    # Of two that tell one another the better teller is named, and the noise tells nothing.
    assert {tuple(sorted(names)) for names in told} == {
        ("city", "country"),
        ("city", "odd"),
        ("country", "odd"),
    }
    assert (told["city", "country"].score, told["city", "country"].n_rows) == (pytest.approx(1.0), 0)
    assert told["city", "odd"].rows == (5,)
    assert "for 1 of 400 rows" in told["city", "odd"].message
    # The share by scikit-learn: mutual information over entropy.
    from sklearn.metrics import mutual_info_score

    share = mutual_info_score(some[0].series.to_numpy(), odd) / mutual_info_score(odd, odd)
    assert told["city", "odd"].score == pytest.approx(share)


def test_nesting_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(1)
    city = rng.integers(0, 12, 400)
    frame = pl.DataFrame({"city": city.astype(str), "country": (city % 4).astype(str)})
    frame[7, "country"] = str((city[7] + 1) % 4)
    order = rng.permutation(400)
    table = Table.of(frame)
    shuffled = table.with_frame(table.frame.collect()[order].lazy())
    told = [list(pairs.nested([Column.of(t, c) for c in ("city", "country")])) for t in (table, shuffled)]
    assert told[0] == told[1] and len(told[0]) == 1
