"""Values are those of the definition, over all subsets, and of the paper's recursion."""

from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.neighbors.peers import all_pairs
from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.shapley import knn_shapley


def distances(rows, query):
    """Measure all pairs, the plain way."""
    return all_pairs(query, rows, (False,) * rows.shape[1])


def agreements(train, asked):
    """Return how far training labels agree with one that is asked for."""
    if train.dtype.kind != "f":
        return (train == asked).astype(float)
    return 1 - (train - asked) ** 2 / (2 * train.var() or 1.0)


def by_subsets(rows, labels, query, asked, k, weight=None):
    """Average what a row adds over all sets of the others: the definition."""
    far, n = distances(rows, query), len(rows)
    weight = np.ones(len(query)) if weight is None else weight

    def worth(chosen):
        total = 0.0
        for line, label, w in zip(far, asked, weight / weight.sum(), strict=True):
            nearest = sorted(chosen, key=lambda i: (line[i], i))[:k]
            total += w * sum(agreements(labels, label)[i] for i in nearest) / k
        return total

    values = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            for some in combinations(others, size):
                values[i] += (worth((*some, i)) - worth(some)) / comb(n - 1, size) / n
    return values


def by_recursion(rows, labels, query, asked, k, weight=None):
    """Follow theorem 1 of the paper, from the farthest row to the nearest."""
    far, n = distances(rows, query), len(rows)
    weight = np.ones(len(query)) if weight is None else weight
    values = np.zeros(n)
    for line, label, w in zip(far, asked, weight / weight.sum(), strict=True):
        order = np.argsort(line, kind="stable")
        a = agreements(labels, label)[order]
        s = np.zeros(n)
        s[-1] = a[-1] / max(n, k)
        for i in range(n - 2, -1, -1):
            s[i] = s[i + 1] + (a[i] - a[i + 1]) / k * min(k, i + 1) / (i + 1)
        values[order] += w * s
    return values


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=3),
    st.integers(1, 7),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_values_are_the_average_over_all_subsets(train, valid, k, numeric):
    """Small whole numbers: copies and equal distances are the rule here."""
    train, valid = np.array(train, dtype=float), np.array(valid, dtype=float)
    labels, asked = (part[:, 2] if numeric else part[:, 2].astype(int) for part in (train, valid))
    weight = np.arange(1.0, len(valid) + 1)
    found = knn_shapley(Space(), train[:, :2], labels, valid[:, :2], asked, k, weight=weight)
    truth = by_subsets(train[:, :2], labels, valid[:, :2], asked, k, weight)
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-12)


@pytest.mark.parametrize("numeric", [False, True])
@pytest.mark.parametrize("k", [1, 5, 200])
def test_values_are_those_of_the_recursion(k, numeric):
    random = np.random.default_rng(k)
    rows, query = random.normal(size=(150, 3)), random.normal(size=(20, 3))
    rows[random.random(rows.shape) < 0.1] = np.nan
    rows[100:120] = rows[:20]
    labels, asked = random.integers(0, 3, 150), random.integers(0, 4, 20)
    if numeric:
        labels, asked = labels + random.normal(size=150), asked + 0.5
    found = knn_shapley(Space(), rows, labels, query, asked, k, near=None)
    np.testing.assert_allclose(found, by_recursion(rows, labels, query, asked, k), rtol=0, atol=1e-12)


@pytest.mark.parametrize("holes", [0.0, 0.3])
@pytest.mark.parametrize("numeric", [False, True])
def test_steps_beyond_the_nearest_change_values_little_and_their_sum_not(numeric, holes):
    random = np.random.default_rng(0)
    rows, query = random.standard_t(2, size=(5000, 4)), random.normal(size=(30, 4))
    rows[random.random(rows.shape) < holes] = np.nan
    labels, asked = random.integers(0, 3, 5000), random.integers(0, 3, 30)
    if numeric:
        labels, asked = labels + random.normal(size=5000), asked + 0.0
    exact = knn_shapley(Space(), rows, labels, query, asked, 5, near=None)
    for near, most in ((64, 4e-5), (512, 1e-5)):
        found = knn_shapley(Space(), rows, labels, query, asked, 5, near=near, far=None)
        assert 0 < np.abs(found - exact).max() < most
        assert found.sum() == pytest.approx(exact.sum(), abs=1e-12)


@pytest.mark.parametrize("numeric", [False, True])
def test_rows_of_one_step_are_worth_the_mean_over_all_their_orders(numeric):
    """Of 14 rows the last six are copies: with 8 told apart, all orders of the six are averaged."""
    rows = np.concatenate([np.arange(8.0), np.full(6, 100.0)])[:, None]
    labels = np.array([0, 1] * 4 + [1, 1, 1, 0, 1, 0])
    labels = labels + np.linspace(0, 0.5, 14) if numeric else labels
    asked = (np.zeros((1, 1)), np.ones(1, dtype=labels.dtype), 1)
    found = knn_shapley(Space(), rows, labels, *asked, near=8)
    orders = [np.array([*range(8), *(8 + np.array(turn))]) for turn in permutations(range(6))]
    mean = np.zeros(14)
    for order in orders:
        mean[order] += knn_shapley(Space(), rows, labels[order], *asked, near=None) / len(orders)
    np.testing.assert_allclose(found, mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("numeric", [False, True])
def test_rows_behind_the_far_ones_are_one_step(numeric):
    """What is not told apart is worth as much as copies at one distance are."""
    near = np.arange(8.0)
    apart, copies = (np.concatenate([near, rest])[:, None] for rest in (100 + near[:6] ** 3, np.full(6, 100)))
    labels = np.array([0, 1] * 4 + [1, 1, 1, 0, 1, 0])
    labels = labels + np.linspace(0, 0.5, 14) if numeric else labels
    asked = (np.zeros((1, 1)), np.ones(1, dtype=labels.dtype), 1)
    found = knn_shapley(Space(), apart, labels, *asked, near=8, far=8)
    one_step = knn_shapley(Space(), copies, labels, *asked, near=8, far=None)
    np.testing.assert_allclose(found, one_step, rtol=0, atol=1e-12)
    steps = knn_shapley(Space(), apart, labels, *asked, near=8, far=None)
    assert np.abs(found - steps).max() > 1e-3
    assert found.sum() == pytest.approx(steps.sum(), abs=1e-12)


@given(st.integers(1, 400), st.integers(1, 12), st.integers(1, 30), st.integers(0, 9), st.booleans())
@settings(max_examples=40, deadline=None)
def test_values_sum_to_the_worth_of_all_rows(n, m, k, seed, numeric):
    random = np.random.default_rng(seed)
    rows, query = random.integers(0, 4, (n, 2)).astype(float), random.integers(0, 4, (m, 2)).astype(float)
    labels, asked = random.integers(0, 3, n), random.integers(0, 3, m)
    if numeric:
        labels, asked = labels.astype(float), asked.astype(float)
    far = distances(rows, query)
    worth = np.mean(
        [
            agreements(labels, label)[np.argsort(line, kind="stable")[:k]].sum() / k
            for line, label in zip(far, asked, strict=True)
        ]
    )
    for far in (16, None):
        found = knn_shapley(Space(), rows, labels, query, asked, k, near=8, far=far)
        assert found.sum() == pytest.approx(worth, abs=1e-12)


def test_of_equal_distances_the_lower_index_comes_first():
    rows, labels = np.array([[1.0], [-1.0], [1.0]]), np.array([0, 1, 0])
    first = knn_shapley(Space(), rows, labels, np.zeros((1, 1)), np.array([0]), 1)
    np.testing.assert_allclose(first, by_recursion(rows, labels, np.zeros((1, 1)), np.array([0]), 1))
    turned = knn_shapley(Space(), rows, labels[[1, 0, 2]], np.zeros((1, 1)), np.array([0]), 1)
    assert first[1] != turned[0]


def test_categories_and_texts_are_compared_as_they_are():
    space = Space(categorical=(False, True))
    rows = np.array([[0.0, 0.0], [0.1, 1.0], [0.2, 0.0]])
    found = knn_shapley(space, rows, np.array(["a", "b", "a"]), rows[:1], np.array(["a"]), 1)
    # The mismatch puts the second row behind the third.
    np.testing.assert_allclose(found, [0.5, 0, 0.5])


def test_blocks_and_threads_leave_the_values_as_they_are():
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(1)
    rows, query = random.normal(size=(3000, 3)), random.normal(size=(40, 3))
    labels, asked = random.integers(0, 2, 3000), random.integers(0, 2, 40)
    found = []
    for limit in (1, 2):
        with threadpool_limits(limit, "blas"):
            found.append(knn_shapley(Space(), rows, labels, query, asked, 3, block_bytes=1 << 16))
    np.testing.assert_array_equal(*found)
    whole = knn_shapley(Space(), rows, labels, query, asked, 3)
    np.testing.assert_allclose(found[0], whole, rtol=0, atol=1e-9)


def test_nothing_to_value_and_nothing_to_value_by():
    none = np.empty((0, 2))
    assert knn_shapley(Space(), none, np.empty(0, int), np.ones((1, 2)), np.array([1]), 1).shape == (0,)
    found = knn_shapley(Space(), np.ones((3, 2)), np.array([1, 0, 1]), none, np.empty(0, int), 1)
    assert found.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"train_labels": np.array([1])}, "`train_labels` has shape"),
        ({"valid_labels": np.array([[1]])}, "`valid_labels` has shape"),
        ({"weight": np.array([1.0, 2.0])}, "`weight` has shape"),
        ({"weight": np.array([-1.0])}, "`weight` must be finite"),
        ({"valid_rows": np.ones((1, 3))}, "query has 3 columns"),
    ],
)
def test_what_does_not_fit_is_an_error(change, message):
    given = {
        "space": Space(),
        "train_rows": np.ones((2, 2)),
        "train_labels": np.array([0, 1]),
        "valid_rows": np.ones((1, 2)),
        "valid_labels": np.array([0]),
        "k": 1,
    }
    with pytest.raises(DataError, match=message):
        knn_shapley(**{**given, **change})
