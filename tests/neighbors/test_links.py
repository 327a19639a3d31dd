"""Tomek links and condensing: imbalanced-learn's samplers are the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import CondensedNearestNeighbour, OneSidedSelection, TomekLinks
from sklearn.datasets import make_classification

from tilth.neighbors import Space, nearest
from tilth.neighbors.links import apart, beyond_one, condensed, tomek_links


class First(np.random.RandomState):
    """Draw the first of the rows, as the rules that are compared take it."""

    def randint(self, low=0, high=None, size=None, dtype=int):
        return np.zeros(size, dtype)


def made(seed: int, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(
        400, 5, n_informative=4, n_redundant=0, n_classes=classes, weights=[0.7, 0.3], flip_y=0.1,
        random_state=seed,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("cleaned", ["auto", "all"])
def test_the_rows_without_a_link_are_imbalanced_learns(classes: int, cleaned: str) -> None:
    for seed in range(4):
        X, y = made(seed, classes)
        theirs = TomekLinks(sampling_strategy=cleaned)
        theirs.fit_resample(X, y)
        link = tomek_links(Space(), X, y)
        may_go = np.ones(len(y), bool) if cleaned == "all" else y != np.bincount(y).argmin()
        assert np.flatnonzero(~((link >= 0) & may_go)).tolist() == theirs.sample_indices_.tolist()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([0, 0.3]))
def test_a_link_is_mutual_and_of_two_classes(seed: int, rows: int, gaps: float) -> None:
    random = np.random.default_rng(seed)
    matrix = np.where(random.random((rows, 3)) < gaps, np.nan, random.integers(0, 6, (rows, 3)).astype(float))
    codes = random.integers(0, 3, rows)
    link = tomek_links(Space(), matrix, codes)
    found = nearest(Space(), matrix, matrix, 1, exclude_self=True)[1][:, 0]
    mutual = (found >= 0) & (found[found] == np.arange(rows)) & (codes[found] != codes)
    np.testing.assert_array_equal(link, np.where(mutual, found, -1))


def test_condensing_is_imbalanced_learns() -> None:
    for seed in range(4):
        X, y = made(seed)
        # With the larger class in front: elsewhere theirs skips rows whose place in the class is the number
        # of a row that it has chosen.
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
        own, others = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
        theirs = CondensedNearestNeighbour(random_state=First(0))
        theirs.fit_resample(X, y)
        chosen, lead = condensed(Space(), X, own, others)
        assert own[chosen].tolist() == np.intersect1d(theirs.sample_indices_, own).tolist()
        # A row that went is nearer to a row that stays than to the other class.
        assert (lead[~chosen] >= 0).all()


def test_rows_beyond_one_are_those_of_one_sided_selection() -> None:
    for seed in range(4):
        X, y = made(seed)
        own, others = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
        theirs = OneSidedSelection(random_state=First(0))
        theirs.fit_resample(X, y)
        chosen, _ = beyond_one(Space(), X, own, others)
        left = np.sort(np.concatenate([own[chosen], others]))
        link = tomek_links(Space(), X[left], y[left])
        stay = left[~((link >= 0) & (y[left] == 0))]
        assert stay.tolist() == np.sort(theirs.sample_indices_).tolist()


def test_condensing_among_copies_takes_one_and_measures_exactly() -> None:
    rows = np.repeat([[1e6 + 0.1], [1e6 + 0.9]], 10, axis=0)
    chosen, lead = condensed(Space(), rows, np.arange(10), np.arange(10, 20))
    assert np.flatnonzero(chosen).tolist() == [0]
    np.testing.assert_allclose(lead, 0.8, rtol=1e-9)


def test_rows_out_of_reach_have_no_lead() -> None:
    rows = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 3.0]])
    for rule in (condensed, beyond_one):
        chosen, lead = rule(Space(), rows, np.array([0, 1]), np.array([2]))
        assert chosen.tolist() == [True, False]
        assert np.isnan(lead).all()


def test_distances_of_pairs_are_those_of_the_search() -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    rows[3, 1] = np.nan
    far, found = nearest(Space(), rows, rows, 1, exclude_self=True)
    np.testing.assert_allclose(apart(Space(), rows, np.arange(30), found[:, 0]), far[:, 0])


def test_one_class_or_one_row_has_no_link() -> None:
    assert tomek_links(Space(), np.zeros((3, 1)), np.zeros(3, int)).tolist() == [-1, -1, -1]
    assert tomek_links(Space(), np.zeros((1, 1)), np.zeros(1, int)).tolist() == [-1]
