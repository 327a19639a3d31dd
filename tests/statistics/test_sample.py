"""A sample by (seed, row id): the same however the rows are cut, and fair."""

from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tilth.statistics import Sample, Statistics

ROWS = pl.DataFrame({"__row__": pl.Series(range(60), dtype=pl.UInt64), "v": range(60)})


def drawn(frames, rows, seed=0):
    parts = [Sample.of(f.lazy(), rows, "__row__", seed) for f in frames]
    return reduce(add, parts).frame["v"].to_list()


@given(
    st.permutations(range(60)),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(0, 70),
    st.integers(0, 3),
)
def test_any_partition_and_order_gives_the_same_rows(order, cuts, rows, seed):
    shuffled = ROWS[list(order)]
    bounds = [0, *sorted(cuts), 60]
    parts = [shuffled[i:j] for i, j in pairwise(bounds)]
    assert drawn(parts, rows, seed) == drawn([ROWS], rows, seed)
    assert len(drawn(parts, rows, seed)) == min(rows, 60)


def test_every_row_is_as_likely_as_every_other():
    times = np.zeros(60)
    for seed in range(600):
        times[drawn([ROWS], 10, seed)] += 1
    assert times.sum() == 6000
    assert stats.chisquare(times).pvalue > 1e-3


def test_another_seed_gives_another_sample():
    assert drawn([ROWS], 10, 0) != drawn([ROWS], 10, 1)


def test_the_door_gives_the_columns_asked_for_without_the_ids():
    found = Statistics([ROWS.lazy().head(7), ROWS.lazy().slice(7)]).sample(["v"], 5)
    assert found.columns == ["v"]
    assert found["v"].to_list() == drawn([ROWS], 5)
