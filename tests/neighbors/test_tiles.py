from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.neighbors import Space
from tilth.neighbors.arrays import NumpyArrays
from tilth.neighbors.tiles import Tiles


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    metric=st.sampled_from(["euclidean", "gower"]),
    share=st.sampled_from([0.0, 0.1, 0.6]),
    spread=st.sampled_from([0.0, 3.0, 15.0]),
    dtype=st.sampled_from(["float32", "float64"]),
    mismatch=st.sampled_from([0.0, 1e-9, 1.0, 1e9]),
)
def test_no_tile_shows_more_than_the_bound_of_the_true_measure(seed, metric, share, spread, dtype, mismatch):
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(60, 7)) * 10.0 ** generator.normal(0, spread, size=(60, 1))
    rows[:, 5:] = generator.integers(0, 3, size=(60, 2))
    rows[40:] = rows[:20] * (1 + 1e-7 * generator.normal(size=(20, 7)))  # near copies cancel the most
    rows[40:, 5:] = rows[:20, 5:]
    rows[generator.random(rows.shape) < share] = np.nan
    sides = Space(metric, (False,) * 5 + (True,) * 2, mismatch).sides(rows, rows)
    tiles = Tiles(sides, masked=share > 0, arrays=NumpyArrays(), dtype=dtype)
    shown = np.array(tiles.of(slice(0, 60), slice(0, 60)), dtype=np.float64)
    i, j = (pairs.ravel() for pairs in np.indices((60, 60)))
    true = sides.between(i, j, masked=share > 0)
    with np.errstate(invalid="ignore"):
        bound = tiles.bound(i, true)
    reached = np.isfinite(true)
    assert (shown.ravel()[reached] <= bound[reached]).all()
    assert np.isinf(shown.ravel()[~reached]).all()


def test_the_bound_is_close_where_rows_are_alike():
    rows = np.random.default_rng(0).normal(size=(200, 20))
    rows[np.random.default_rng(1).random(rows.shape) < 0.1] = np.nan
    tiles = Tiles(Space().sides(rows, rows), masked=True, arrays=NumpyArrays(), dtype="float32")
    near = np.full(200, 0.2)
    assert (tiles.bound(np.arange(200), near) / tiles.unit**-2 < 0.2 * 1.01).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_are_the_measures_to_the_precision_of_their_type(dtype):
    rows = np.random.default_rng(0).normal(size=(80, 6)) + 1e6
    sides = Space().sides(rows, rows)
    tiles = Tiles(sides, masked=False, arrays=NumpyArrays(), dtype=dtype)
    i, j = (pairs.ravel() for pairs in np.indices((80, 80)))
    shown = tiles.of(slice(0, 80), slice(0, 80)).ravel() * tiles.unit**2
    np.testing.assert_allclose(shown, sides.between(i, j, masked=False), atol=200 * np.finfo(dtype).eps)
