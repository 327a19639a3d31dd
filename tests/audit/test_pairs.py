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
