"""Targets of any container are read alike; what cannot be learned is refused with the reason."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.probes.target import encode_classes, read_target, read_values, task_of


@pytest.mark.parametrize("kind", [list, np.array, pd.Series, lambda v: pl.Series("y", v), pd.array])
@pytest.mark.parametrize("values", [["a", "b", "a"], [1, 2, 1], [True, False, True], [0.5, 1.5, 0.5]])
def test_every_container_reads_the_same(kind, values):
    read = read_target(kind(values))
    assert read.tolist() == values
    assert (read.dtype.kind in "biuf") == (not isinstance(values[0], str))


@pytest.mark.parametrize(
    "target",
    [
        pd.Series(["b", "a"], dtype="category"),
        pd.Series(["b", "a"], dtype="string"),
        pl.Series(["b", "a"], dtype=pl.Categorical),
        pl.Series(["b", "a"], dtype=pl.Enum(["a", "b"])),
        pl.DataFrame({"y": ["b", "a"]}),
        pd.DataFrame({"y": ["b", "a"]}),
    ],
)
def test_strings_and_categories_are_classes_in_sorted_order(target):
    read = read_target(target)
    classes, codes = encode_classes(read)
    assert task_of(read) == "classification"
    assert (classes.tolist(), codes.tolist()) == (["a", "b"], [1, 0])


@pytest.mark.parametrize(
    ("values", "task"),
    [
        ([True, False], "classification"),
        (range(20), "classification"),
        (range(21), "regression"),
        ([0.0, 1.0, 2.0], "classification"),
        ([0.0, 1.0, 2.5], "regression"),
        (np.array([0, 255], dtype=np.uint8), "classification"),
        (["1", "2"], "classification"),
    ],
)
def test_task_follows_the_stated_rule(values, task):
    assert task_of(read_target(list(values))) == task


@pytest.mark.parametrize(
    "target",
    [
        [1.0, None, 2.0],
        ["a", None, "b"],
        pl.Series([1, None, 2]),
        pl.Series(["a", None, "b"]),
        pd.Series([1, None, 2], dtype="Int64"),
        pd.Series(["a", None, "b"], dtype="category"),
    ],
)
def test_gaps_are_counted_and_placed(target):
    with pytest.raises(DataError, match="missing in 1 of 3 rows, the first being row 1"):
        read_target(target)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.ones((3, 2)), r"shape \(3, 2\)"),
        (pl.DataFrame({"a": [1], "b": [2]}), "has 2 columns"),
        ([dt.datetime(2020, 1, 1)] * 2, "Turn dates into numbers"),
        (np.ones(3, dtype=complex), "classes or numbers"),
    ],
)
def test_what_is_no_target_is_refused(target, message):
    with pytest.raises(DataError, match=message):
        read_target(np.array(target) if isinstance(target, list) else target)


def test_classes_that_cannot_be_told_apart_or_sorted_are_refused():
    with pytest.raises(DataError, match=r"only one class \('a'\)"):
        encode_classes(read_target(["a", "a"]))
    with pytest.raises(DataError, match="mixes int, str"):
        encode_classes(read_target(np.array(["a", 1], dtype=object)))
    with pytest.raises(DataError, match="Unknown label type: continuous"):
        encode_classes(np.array([0.5, 1.0]))


def test_values_must_be_finite_numbers():
    with pytest.raises(DataError, match="task is 'regression'"):
        read_values(read_target(["a", "b"]))
    with pytest.raises(DataError, match=r"infinite in 1 rows \(first: row 1\)"):
        read_values(np.array([1.0, np.inf]))
    assert read_values(np.array([True, False])).tolist() == [1.0, 0.0]
