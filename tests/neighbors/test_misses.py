"""NearMiss: imbalanced-learn's is the oracle."""

import numpy as np
import pytest
from imblearn.under_sampling import NearMiss
from sklearn.datasets import make_classification

from tilth.neighbors import Space
from tilth.neighbors import misses as module
from tilth.neighbors.misses import near_misses


def made(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(500, 5, weights=[0.8], flip_y=0.1, random_state=seed)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_rows_that_stay_are_imbalanced_learns(version: int, k: int) -> None:
    for seed in range(3):
        X, y = made(seed)
        own, others = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
        keep = 20
        theirs = NearMiss(version=version, n_neighbors=k, n_neighbors_ver3=k, sampling_strategy={0: keep})
        theirs.fit_resample(X, y)
        chosen, distances, asked = near_misses(Space(), X, own, others, keep, k, version)
        assert asked == k
        assert own[chosen].tolist() == np.intersect1d(theirs.sample_indices_, own).tolist()
        assert np.isfinite(distances).all()


def test_version_three_takes_more_neighbors_until_they_are_enough() -> None:
    X, y = made(0)
    own, others = np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:5]
    chosen, _, asked = near_misses(Space(), X, own, others, 60, 1, 3)
    assert chosen.sum() == 60
    assert asked > 1
    chosen, _, asked = near_misses(Space(), X, own, others, len(own), 1, 3)
    assert chosen.all()


def test_the_farthest_are_found_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = made(1)
    own, others = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    whole = near_misses(Space(), X, own, others, 30, 3, 2)
    monkeypatch.setattr(module, "BLOCK_BYTES", 1)
    parts = near_misses(Space(), X, own, others, 30, 3, 2)
    far = np.linalg.norm(X[own][:, None] - X[others], axis=2)
    np.testing.assert_allclose(whole[1], np.sort(far, axis=1)[:, -3:].mean(axis=1))
    np.testing.assert_array_equal(whole[1], parts[1])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_rows_out_of_reach_are_taken_last(version: int) -> None:
    rows = np.array([[np.nan, 1.0], [0.0, np.nan], [5.0, 1.0], [9.0, np.nan], [8.0, np.nan]])
    chosen, distances, _ = near_misses(Space(), rows, np.arange(3), np.array([3, 4]), 2, 2, version)
    assert chosen.tolist() == [False, True, True]
    assert np.isinf(distances[0])
    chosen, _, _ = near_misses(Space(), rows, np.arange(3), np.array([3, 4]), 3, 2, version)
    assert chosen.all()


def test_of_equally_near_rows_the_first_stays() -> None:
    rows = np.array([[1.0], [1.0], [1.0], [0.0]])
    chosen, _, _ = near_misses(Space(), rows, np.arange(3), np.array([3]), 1, 1, 1)
    assert chosen.tolist() == [True, False, False]
