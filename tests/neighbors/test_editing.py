"""Editing: imbalanced-learn's samplers are the oracle for the rows that stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import (
    AllKNN,
    EditedNearestNeighbours,
    NeighbourhoodCleaningRule,
    RepeatedEditedNearestNeighbours,
)
from sklearn.datasets import make_classification

from tilth.neighbors import Space
from tilth.neighbors.editing import (
    edited,
    edited_for_all,
    most_frequent,
    neighborhood_cleaned,
    neighbors_of,
    repeatedly_edited,
    smallest_class,
)

PEERS: dict[Callable[..., Any], type] = {
    edited: EditedNearestNeighbours,
    repeatedly_edited: RepeatedEditedNearestNeighbours,
    edited_for_all: AllKNN,
}


def made(seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(
        500, 6, n_informative=4, n_classes=classes, weights=[0.6, 0.3], flip_y=0.1, random_state=seed
    )


def chosen(y: np.ndarray, classes: object) -> np.ndarray:
    counts = np.bincount(y)
    if classes == "all":
        return np.ones(len(counts), bool)
    if classes == "auto":
        return np.arange(len(counts)) != smallest_class(counts)[0]
    return np.isin(np.arange(len(counts)), classes)


@pytest.mark.parametrize("rule", PEERS, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("kind", ["all", "mode"])
@pytest.mark.parametrize("classes", ["auto", "all", [1]], ids=str)
@pytest.mark.parametrize("k", [1, 3, 4])
def test_the_rows_that_stay_are_imbalanced_learns(rule: Any, kind: Any, classes: Any, k: int) -> None:
    for seed in range(3):
        X, y = made(seed)
        theirs = PEERS[rule](sampling_strategy=classes, n_neighbors=k, kind_sel=kind)
        theirs.fit_resample(X, y)
        edit = rule(Space(), X, y, chosen(y, classes), k, kind)
        assert np.flatnonzero(~edit.gone).tolist() == np.unique(theirs.sample_indices_).tolist()


@pytest.mark.parametrize("classes", ["auto", "all", [0, 1]], ids=str)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_rule_of_the_neighborhood_keeps_imbalanced_learns_rows(classes: Any, k: int) -> None:
    for seed in range(4):
        X, y = made(seed)
        theirs = NeighbourhoodCleaningRule(sampling_strategy=classes, n_neighbors=k)
        theirs.fit_resample(X, y)
        edit, outvoting = neighborhood_cleaned(Space(), X, y, chosen(y, classes), k)
        assert np.flatnonzero(~edit.gone).tolist() == theirs.sample_indices_.tolist()
        assert not (outvoting & ~edit.gone).any()
        assert (y[edit.beside[outvoting, 0]] == smallest_class(np.bincount(y))[0]).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from(["all", "mode"]), st.sampled_from([0, 0.2]))
def test_rows_that_were_not_looked_at_would_have_stayed(seed: int, k: int, kind: Any, gaps: float) -> None:
    random = np.random.default_rng(seed)
    rows = np.where(random.random((40, 3)) < gaps, np.nan, random.integers(0, 5, (40, 3)).astype(float))
    codes = random.integers(0, 2, 40)
    edit = edited(Space(), rows, codes, np.array([True, True]), k, kind)
    found = neighbors_of(Space(), rows, np.arange(40), k)
    there = found >= 0
    other = there & (codes[found] != codes[:, None])
    won = np.where(
        other.sum(axis=1) * 2 == there.sum(axis=1), 0, codes ^ (2 * other.sum(axis=1) > there.sum(axis=1))
    )
    gone = other.any(axis=1) if kind == "all" else there.any(axis=1) & (won != codes)
    np.testing.assert_array_equal(edit.gone, gone)
    np.testing.assert_allclose(edit.score, 1 - other.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def test_what_is_named_beside_a_row_is_of_another_class_and_the_nearest_first() -> None:
    X, y = made(0)
    edit = edited(Space(), X, y, np.array([True, True, True]), 3, "all")
    row = int(np.flatnonzero(edit.gone)[0])
    beside = edit.beside[row][edit.beside[row] >= 0]
    assert (y[beside] != y[row]).all()
    far = np.linalg.norm(X[beside] - X[row], axis=1)
    assert (np.diff(far) >= 0).all()
    assert (edit.beside[~edit.gone] == -1).all()


def test_a_row_in_reach_of_none_stays() -> None:
    rows = np.array([[np.nan, 1.0], [2.0, np.nan], [3.0, np.nan]])
    edit = edited(Space(), rows, np.array([0, 1, 1]), np.array([True, True]), 2, "all")
    assert not edit.gone.any()


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=20))
def test_the_most_frequent_label_is_scipys_mode(labels: list) -> None:
    from scipy.stats import mode

    given = np.array(labels)
    found = most_frequent(given, np.ones(given.shape, bool), np.full(len(given), -1))
    assert found.tolist() == mode(given, axis=1).mode.tolist()
    none = most_frequent(given, np.zeros(given.shape, bool), np.full(len(given), 7))
    assert (none == 7).all()


def test_a_row_is_not_its_own_neighbor_among_copies() -> None:
    rows = np.zeros((5, 2))
    assert neighbors_of(Space(), rows, np.array([0, 4]), 2).tolist() == [[1, 2], [0, 1]]
    assert neighbors_of(Space(), rows, np.array([1]), 6).tolist() == [[0, 2, 3, 4, -1, -1]]
