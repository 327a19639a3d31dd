"""Random directions: how they are distributed, and that only seed and name decide."""

import numpy as np
import pytest

from tilth.statistics.random_directions import normal_directions, sparse_directions

NAMES = [f"column {i}" for i in range(500)]


@pytest.mark.parametrize("density", [0.05, 1 / 3, 1.0])
def test_sparse_directions_have_their_density_and_keep_lengths_on_average(density):
    made = sparse_directions(NAMES, 200, density)
    assert made.shape == (200, 500)
    assert np.mean(made != 0) == pytest.approx(density, rel=0.05)
    assert (made**2).sum(axis=0).mean() == pytest.approx(1, rel=0.02)
    assert abs(made.mean()) < 0.002


def test_normal_directions_keep_lengths_on_average_and_are_finite():
    made = normal_directions(NAMES, 200)
    assert np.isfinite(made).all()
    assert (made**2).sum(axis=0).mean() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    "draw", [lambda n, s: sparse_directions(n, 9, 0.5, s), lambda n, s: normal_directions(n, 9, s)]
)
def test_only_seed_and_name_decide(draw):
    made = draw(NAMES, 3)
    np.testing.assert_array_equal(draw(NAMES[::-1], 3), made[:, ::-1])
    np.testing.assert_array_equal(draw(NAMES[7:9], 3), made[:, 7:9])
    assert (draw(NAMES, 4) != made).any() and (made[0] != made[1]).any()
