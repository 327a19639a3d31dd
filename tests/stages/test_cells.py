"""Rows read for distances: numbers by their spread, everything else by what is equal."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from tilth.stages.cells import Cells, codes_of, differing
from tilth.table import Table


def read(frame, text="case", missing="compare"):
    return Cells.read(Table.of(frame), frame.columns, text=text, missing=missing)


def test_numbers_are_standardized_and_dates_are_numbers():
    days = [dt.date(2020, 1, 1), dt.date(2020, 1, 3), dt.date(2020, 1, 5)]
    cells = read(pl.DataFrame({"a": [1.0, 2.0, 3.0], "d": days}))
    expected = np.array([-1.0, 0.0, 1.0]) * np.sqrt(1.5)
    np.testing.assert_allclose(cells.matrix, np.column_stack([expected, expected]))
    assert cells.categorical == (False, False)


@pytest.mark.parametrize(
    ("text", "sets"), [("as_is", [0, 1, 2, 3, 4]), ("case", [0, 0, 0, 3, 4]), ("words", [0, 0, 0, 0, 4])]
)
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical])
def test_texts_are_the_same_as_far_as_is_asked(text, sets, dtype):
    column = pl.Series("t", ["New York", " new  york", "NEW YORK", "new-york", "York"]).cast(dtype)
    assert read(pl.DataFrame([column]), text).matrix[:, 0].tolist() == sets


def test_a_missing_cell_is_a_category_of_its_own_or_is_left_out():
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", None, "x"], "c": [1.0, 2.0, 3.0]})
    compared = read(frame)
    assert compared.matrix[1].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert compared.categorical == (False, False, True, True)
    assert compared.missing.tolist() == [0, 2, 0]
    skipped = read(frame, missing="skip")
    assert np.isnan(skipped.matrix[1]).tolist() == [True, False, True]
    assert skipped.categorical == (False, False, True)


def test_codes_number_equal_values_of_any_type():
    for values in (
        pl.Series([True, False, True, None, None]),
        pl.Series([[1.0], [2.0], [1.0], None, None], dtype=pl.Array(pl.Float64, 1)),
        pl.Series(["a", "b", "a", None, None]),
    ):
        assert codes_of(values).tolist() == [0, 1, 0, 3, 3]


def test_columns_that_differ_are_named_a_few_of_many():
    frame = pl.DataFrame({f"c{i}": [1, 1, 2] for i in range(7)}).with_columns(c0=pl.Series([1, None, 1]))
    assert differing(frame, np.array([0, 0, 2]), np.array([0, 1, 1])) == [
        "",
        "c0",
        "c0, c1, c2, c3, c4 and 2 more",
    ]
