"""The digest by which inputs are taken for the same: equal only where every value is."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from tilth.bench.sameness import digest, digest_array

FRAME = pl.DataFrame(
    {
        "number": [1.5, None, float("nan")],
        "whole": pl.Series([1, 2, None], dtype=pl.Int8),
        "text": ["a", None, ""],
        "flag": [True, None, False],
        "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)],
        "level": pl.Series(["x", "y", None], dtype=pl.Enum(["x", "y"])),
        "list": [[1.0, 2.0], None, []],
        "array": pl.Series([[1, 2], None, [3, None]], dtype=pl.Array(pl.Int64, 2)),
        "parts": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
        "sort": pl.Series(["x", "y", None], dtype=pl.Categorical),
        "money": pl.Series([1, None, 2]).cast(pl.Decimal(10, 2)),
        "bytes": [b"a", None, b""],
        "nothing": [None, None, None],
    }
)


def test_copies_chunks_and_filters_do_not_matter():
    halves = pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)
    more = pl.concat([FRAME, FRAME.reverse()], rechunk=True)
    chosen = more.filter(pl.Series([True] * 3 + [False] * 3))
    assert digest(FRAME) == digest(FRAME.clone()) == digest(halves) == digest(chosen)
    assert halves["number"].n_chunks() == 2


def test_what_lies_beneath_a_gap_does_not_matter():
    one = pl.DataFrame({"a": [1.0, 2.0, 3.0]}).select(pl.when(pl.col("a") != 2).then("a"))
    other = pl.DataFrame({"a": [1.0, 9.0, 3.0]}).select(pl.when(pl.col("a") != 9).then("a"))
    assert digest(one) == digest(other)


@pytest.mark.parametrize(
    "change",
    [
        pl.col("number").fill_null(0.0),
        pl.col("number").fill_nan(None),
        pl.col("number") + 1e-16 * 4,
        pl.col("whole").cast(pl.Int16),
        pl.col("whole").fill_null(0),
        pl.col("text").fill_null(""),
        pl.col("flag").fill_null(False),
        pl.col("day").cast(pl.Int32),
        pl.col("level").cast(pl.String),
        pl.col("list").fill_null([]),
        pl.col("list").list.reverse(),
        pl.col("array").arr.reverse(),
        pl.col("parts").struct.with_fields(a=1),
        pl.col("money") + 1,
        pl.col("text").fill_null("a").str.replace("a", "aa"),
        pl.col("bytes").fill_null(b""),
        pl.col("number").alias("other"),
    ],
)
def test_any_other_value_type_or_name_is_another_input(change):
    assert digest(FRAME.with_columns(change)) != digest(FRAME)


def test_order_of_rows_and_columns_counts():
    assert digest(FRAME.reverse()) != digest(FRAME) != digest(FRAME.select(reversed(FRAME.columns)))
    assert digest(FRAME[:0]) != digest(FRAME[:0].drop("list"))


def test_columns_of_objects_are_never_the_same():
    assert digest(pl.DataFrame({"a": pl.Series([object()], dtype=pl.Object)})) is None


def test_arrays_are_told_apart_by_type_shape_and_value():
    ones = np.ones(4)
    kinds = [None, ones, ones[:3], ones.reshape(2, 2), ones.astype(np.float32), np.zeros(4), np.empty(0)]
    assert len({digest_array(values) for values in kinds}) == len(kinds)
    assert digest_array(np.arange(6.0)[::2]) == digest_array(np.array([0.0, 2.0, 4.0]))
