"""Spreading solves Zhou's equations: scikit-learn's LabelSpreading on the same graph is the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading

from tests.neighbors.peers import all_pairs
from tilth.neighbors import Space, spreading
from tilth.neighbors.spreading import neighbor_graph, spread

ROWS = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=12)


def held(labels: np.ndarray) -> np.ndarray:
    """Return what rows are held to: -1 is no label."""
    return (labels[:, None] == np.arange(labels.max() + 1)).astype(float)


@pytest.mark.parametrize("alpha", [0.2, 0.9, 0.99])
def test_the_answer_is_that_of_scikit_learn_on_the_same_graph(alpha: float):
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    some = np.where(np.random.default_rng(0).random(600) < 0.1, y, -1)
    graph = neighbor_graph(Space(), X, 7)
    peer = LabelSpreading(kernel=lambda *_: graph, alpha=alpha, max_iter=20_000, tol=1e-12).fit(X, some)
    ours = spread(graph, held(some), alpha)
    ours /= ours.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, peer.label_distributions_, atol=1e-6)
    assert peer.transduction_.tolist() == ours.argmax(axis=1).tolist()


def test_the_answer_solves_the_equations():
    random = np.random.default_rng(1)
    graph = neighbor_graph(Space(), random.normal(size=(80, 3)), 4)
    pull = random.random((80, 3)) * (random.random((80, 1)) < 0.3)
    root = 1 / np.sqrt(graph.sum(axis=1))
    scaled = root[:, None] * graph.toarray() * root
    exact = np.linalg.solve(np.eye(80) - 0.95 * scaled, 0.05 * pull)
    np.testing.assert_allclose(spread(graph, pull, 0.95), exact, atol=1e-8)


def test_classes_solved_for_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(2)
    graph, pull = neighbor_graph(Space(), random.normal(size=(50, 2)), 3), random.random((50, 5))
    whole = spread(graph, pull, 0.9)
    monkeypatch.setattr(spreading, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(spread(graph, pull, 0.9), whole, atol=1e-9)


def test_no_label_reaches_rows_that_no_path_leads_to():
    graph = neighbor_graph(Space(), np.array([[0.0], [1.0], [50.0], [51.0]]), 1)
    answer = spread(graph, held(np.array([0, -1, -1, -1])), 0.5)
    assert (answer[:2] > 0).all()
    assert not answer[2:].any()


def test_a_row_that_shares_no_cell_with_another_stands_alone():
    graph = neighbor_graph(Space(), np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, 3.0]]), 2)
    assert graph.toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert spread(graph, np.array([[1.0], [0.0], [0.0]]), 0.5)[2].tolist() == [0.0]


@given(ROWS, st.integers(1, 4))
@settings(max_examples=60)
def test_a_graph_connects_each_row_with_its_nearest(rows, k):
    rows = np.array(rows)
    graph = neighbor_graph(Space(), rows, k).toarray()
    assert (graph == graph.T).all()
    assert not graph.diagonal().any()
    far = all_pairs(rows, rows, (False, False))
    np.fill_diagonal(far, np.inf)
    reach = np.sort(far, axis=1)[:, min(k, len(rows) - 1) - 1]
    connected = graph > 0
    assert (connected.sum(axis=1) >= min(k, len(rows) - 1)).all()
    assert (far[connected] <= np.maximum(reach[:, None], reach[None])[connected] + 1e-7).all()


@given(ROWS, st.data())
@settings(max_examples=40)
def test_answers_are_not_negative_and_follow_a_scaled_pull(rows, data):
    rows = np.array(rows)
    labels = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=len(rows), max_size=len(rows))))
    pull = held(np.append(labels, 2))[:-1]
    graph = neighbor_graph(Space(), rows, 2)
    answer = spread(graph, pull, 0.9)
    assert (answer >= 0).all()
    np.testing.assert_allclose(spread(graph, 3 * pull, 0.9), 3 * answer, atol=1e-6)
