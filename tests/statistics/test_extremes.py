"""Extremes against min and max, for any partition."""

from datetime import date
from functools import reduce
from operator import add

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics import Extremes

SORTS = {
    pl.Int64: st.integers(-(2**63), 2**63 - 1),
    pl.Float64: st.floats(allow_nan=False),
    pl.String: st.text(max_size=4),
    pl.Date: st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    pl.Boolean: st.booleans(),
}


@pytest.mark.parametrize("dtype", SORTS)
@given(data=st.data())
def test_merged_parts_equal_the_extremes_of_the_whole(dtype, data):
    parts = data.draw(st.lists(st.lists(st.none() | SORTS[dtype], max_size=6), min_size=1, max_size=4))
    made = [Extremes.of(pl.LazyFrame({"a": pl.Series(part, dtype=dtype)}), ["a"]) for part in parts]
    merged = reduce(add, made, Extremes.empty(["a"]))
    values = [v for part in parts for v in part if v is not None]
    assert merged.low == (min(values, default=None),)
    assert merged.high == (max(values, default=None),)


def test_whole_numbers_beyond_two_to_the_53_stay_exact():
    extremes = Extremes.of(pl.LazyFrame({"a": [2**53 + 1, 2**53]}), ["a"])
    assert extremes.high == (2**53 + 1,)
