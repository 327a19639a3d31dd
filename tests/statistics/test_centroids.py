"""Class centers: scikit-learn's NearestCentroid is the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_wine
from sklearn.neighbors import NearestCentroid

from tilth.statistics.centroids import Centroids


@pytest.mark.parametrize("shrink", [0.0, 0.3, 2.0])
def test_centers_and_answers_are_those_of_scikit_learn(shrink: float):
    X, y = load_wine(return_X_y=True)
    peer = NearestCentroid(shrink_threshold=shrink or None, priors="empirical").fit(X[::2], y[::2])
    ours = Centroids(shrink).fit(X[::2], y[::2])
    np.testing.assert_allclose(ours.centers_, peer.centroids_, rtol=1e-9)
    np.testing.assert_allclose(ours.spread_, peer.within_class_std_dev_, rtol=1e-9)
    # scikit-learn leaves out the half before the squared distance: its probabilities are squares of ours.
    squares = ours.predict_proba(X[1::2]) ** 2
    answers = squares / squares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers, peer.predict_proba(X[1::2]), atol=1e-9)


def test_a_weight_of_two_is_a_row_twice():
    random = np.random.default_rng(0)
    rows, labels, weight = random.normal(size=(30, 3)), np.arange(30) % 3, random.integers(1, 4, 30)
    once = Centroids().fit(rows, labels, weight.astype(float))
    twice = Centroids().fit(np.repeat(rows, weight, axis=0), np.repeat(labels, weight))
    np.testing.assert_allclose(once.predict_proba(rows), twice.predict_proba(rows), atol=1e-9)


def test_one_row_of_each_class_is_enough():
    model = Centroids().fit(np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([0, 1]))
    assert model.predict_proba(np.array([[0.1, 9.0], [1.9, 9.0]])).argmax(axis=1).tolist() == [0, 1]


def test_a_column_in_which_no_class_stands_out_counts_no_longer():
    random = np.random.default_rng(1)
    labels = np.arange(40) % 2
    rows = np.stack([labels * 9.0 + random.normal(size=40), random.normal(size=40)], axis=1)
    model = Centroids(shrink=3.0).fit(rows, labels)
    assert model.centers_[0, 1] == model.centers_[1, 1]
    assert model.centers_[0, 0] < model.centers_[1, 0]


@given(st.lists(st.tuples(st.floats(-99, 99), st.integers(0, 2)), min_size=1, max_size=12), st.floats(0, 3))
@settings(max_examples=60)
def test_answers_are_probabilities(lines, shrink):
    rows, labels = np.array([[x] for x, _ in lines]), np.array([c for _, c in lines])
    answer = Centroids(shrink).fit(rows, labels).predict_proba(rows)
    assert answer.shape == (len(rows), len(np.unique(labels)))
    np.testing.assert_allclose(answer.sum(axis=1), 1)
