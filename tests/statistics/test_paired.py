"""PairSums: pandas' corr is the oracle."""

from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics.paired import PairSums


def gappy(rows: int, seed: int = 0, far: float = 0.0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, 4)) @ random.normal(size=(4, 4)) + far
    X[random.random(X.shape) < 0.2] = np.nan
    return pl.DataFrame(X, schema=list("abcd"), nan_to_null=True)


def summed(frame: pl.DataFrame, center: np.ndarray | None = None) -> PairSums:
    center = np.zeros(4) if center is None else center
    return PairSums.of(frame.lazy(), frame.columns, center, np.ones(4))


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_pairwise_complete_correlations_are_those_of_pandas(far: float) -> None:
    frame = gappy(200, far=far)
    found = summed(frame, np.full(4, far))
    np.testing.assert_allclose(found.correlation(), frame.to_pandas().corr(), rtol=0, atol=1e-9)
    known = frame.to_pandas().notna().to_numpy().astype(float)
    np.testing.assert_array_equal(found.rows, known.T @ known)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_sums_of_parts_are_those_of_the_whole(cuts: list[int]) -> None:
    frame = gappy(60)
    edges = [0, *sorted(cuts), 60]
    parts = [summed(frame[i:j]) for i, j in pairwise(edges)]
    merged = sum(parts, PairSums.empty(frame.columns))
    for name in ("rows", "sums", "squares", "products"):
        np.testing.assert_allclose(getattr(merged, name), getattr(summed(frame), name), atol=1e-12)


def test_without_gaps_the_sums_are_the_same_as_with_masks() -> None:
    frame = pl.DataFrame(np.random.default_rng(1).normal(size=(50, 4)), schema=list("abcd"))
    np.testing.assert_allclose(summed(frame).correlation(), np.corrcoef(frame.to_numpy().T), atol=1e-12)
    holed = pl.concat([frame, pl.DataFrame({c: pl.Series([None], dtype=pl.Float64) for c in "abcd"})])
    np.testing.assert_allclose(summed(holed).correlation(), summed(frame).correlation(), atol=1e-12)


def test_a_column_that_does_not_vary_where_both_are_known_goes_with_none() -> None:
    frame = pl.DataFrame(
        {"a": [1.0, 1, 1, 5, None], "b": [3.0, 2, 9, None, 4], "c": [0.0] * 5, "d": [1.0, 2, 3, 4, 5]}
    )
    assert summed(frame).correlation()[0].tolist()[1:3] == [0.0, 0.0]
    assert pd.isna(frame.to_pandas().corr().loc["a", "b"])
