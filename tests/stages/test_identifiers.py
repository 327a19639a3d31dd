"""Names of rows, and of what rows belong to, are told from measurements and categories."""

import numpy as np
import polars as pl
import pytest

from tilth.stages.column import Column
from tilth.stages.identifiers import names_groups, names_rows

ROWS = 300


def column(values, kind=None):
    series = pl.Series("c", values)
    kind = kind or ("numeric" if series.dtype.is_numeric() else "categorical")
    return Column("c", kind, series, np.arange(len(series), dtype=np.uint64))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_names_of_rows(rng):
    turned = rng.permutation(ROWS)
    assert "it counts them" in names_rows(column(np.arange(ROWS)))
    assert "given out to the rows" in names_rows(column(turned + 1_000))
    assert "around a number" in names_rows(column([f"row {i}" for i in turned]))
    assert "holds UUIDs" in names_rows(column([f"{i:032x}" for i in turned]))


def test_measurements_categories_days_and_few_rows_name_nothing(rng):
    for values in (
        rng.normal(size=ROWS),
        rng.integers(0, 10**9, ROWS),
        rng.choice(["a", "b"], ROWS),
        [f"2024-{1 + i % 12:02d}-{1 + i // 12:02d}" for i in range(ROWS)],
        np.arange(10),
    ):
        assert names_rows(column(values)) == "" == names_groups(column(values))


def test_names_of_what_rows_belong_to_are_those_that_machines_make(rng):
    owner = rng.integers(0, 80, ROWS)
    made = column([f"{i:040x}" for i in owner])
    assert names_groups(made) == "hash values" and names_rows(made) == ""
    assert names_groups(column([f"owner {i}" for i in owner])) == ""
