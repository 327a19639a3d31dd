"""Passes over shards: moments and products, whatever the partition."""

import itertools

import numpy as np
import polars as pl
import pytest

from tilth.statistics.passes import Passes

RANDOM = np.random.default_rng(0)
MATRIX = RANDOM.normal(1e5, 1.0, (700, 5)) * [1.0, 2.0, 3.0, 4.0, 0.0]
FRAME = pl.DataFrame(MATRIX, schema=list("abcde"))


def passes(cuts, dtype=np.float64):
    bounds = [0, *cuts, 700]
    shards = [FRAME[a:b].lazy() for a, b in itertools.pairwise(bounds)]
    return Passes(shards, list("abcde"), lambda rows: rows.to_numpy().astype(dtype), 5)


@pytest.mark.parametrize("cuts", [[], [1, 1, 300], list(range(1, 700))])
def test_moments_and_products_are_those_of_the_whole(cuts):
    told = passes(cuts).moments()
    np.testing.assert_allclose(told.mean, MATRIX.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(told.std(), MATRIX.std(axis=0), rtol=1e-9)
    vectors = RANDOM.normal(size=(5, 2))
    scale = np.array([1.0, 2.0, 3.0, 4.0, 1.0])
    off = (MATRIX - told.mean) / scale
    made = passes(cuts).scatter(told.mean, scale, vectors)
    np.testing.assert_allclose(made, off.T @ off @ vectors, rtol=1e-9, atol=1e-9)


def test_single_precision_is_added_up_as_double():
    exact = Passes([FRAME.lazy()], list("abcde"), lambda rows: rows.to_numpy(), 5).moments()
    single = passes([100], np.float32).moments()
    np.testing.assert_allclose(single.mean, MATRIX.astype(np.float32).astype(float).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(single.mean, exact.mean, rtol=1e-7)
