"""Value counts against collections.Counter, for any partition."""

from collections import Counter
from datetime import date
from functools import reduce
from operator import add

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer

from tilth.statistics import Counts

WORDS = st.lists(st.none() | st.sampled_from(["a", "b", "ü", ""]), max_size=12)


def of(values, dtype=pl.String):
    return Counts.of(pl.LazyFrame({"a": pl.Series(values, dtype=dtype)}), ["a"])


@given(st.lists(WORDS, min_size=1, max_size=5))
@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["", "ü", "b", "a"])])
def test_merged_parts_equal_a_count_of_the_whole(dtype, parts):
    merged = reduce(add, [of(part, dtype) for part in parts])
    whole = Counter(v for part in parts for v in part)
    assert merged.nulls["a"] == whole.pop(None, 0)
    assert dict(merged.tables["a"].cast({"value": pl.String}).iter_rows()) == dict(whole)
    assert merged.total("a") == sum(whole.values())


@given(st.lists(WORDS, min_size=1, max_size=5), st.randoms())
def test_the_order_of_values_does_not_depend_on_the_order_of_parts(parts, random):
    shuffled = parts[:]
    random.shuffle(shuffled)
    assert reduce(add, map(of, parts)).values("a") == reduce(add, map(of, shuffled)).values("a")


def test_ties_go_to_the_smaller_value_as_in_scikit_learn():
    values = ["b", "a", "b", "a", "c"]
    peer = SimpleImputer(strategy="most_frequent").fit(np.array(values, dtype=object).reshape(-1, 1))
    assert of(values).values("a") == ["a", "b", "c"]
    assert of(values).values("a")[0] == peer.statistics_[0]


def test_the_neutral_element_changes_nothing():
    one = of(["x", None, "x"])
    for merged in (one + Counts.empty({"a": pl.String()}), Counts.empty({"a": pl.String()}) + one):
        assert merged.values("a") == ["x"]
        assert (merged.total("a"), merged.nulls["a"]) == (2, 1)


def test_dates_booleans_and_numbers_are_counted_by_value():
    frame = pl.LazyFrame({"d": [date(2020, 1, 1), None], "b": [True, True], "n": [2.0, 1.0]})
    counts = Counts.of(frame, ["d", "b", "n"])
    assert counts.values("d") == [date(2020, 1, 1)]
    assert counts.total("b") == 2
    assert counts.values("n") == [1.0, 2.0]
