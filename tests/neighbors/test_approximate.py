"""Approximate search: exact search is the oracle, distances are equal and most neighbors are found."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

from tilth.errors import DataError, TilthError
from tilth.neighbors import Space, nearest

faiss = pytest.importorskip("faiss", reason="faiss is in the extra 'neighbors'")


def rows_of(n: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(n, 3)) @ generator.normal(size=(3, 8)) + 1e4


def mixed_of(n: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 5, size=(n, 3)).astype(float)
    return np.hstack([generator.normal(size=(n, 3)), codes])


def recall(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.mean([len({*a} & {*b}) / len(b) for a, b in zip(one, other, strict=True)]))


SPACES = {
    "numbers": (Space(), rows_of),
    "mixed": (Space(categorical=(False,) * 3 + (True,) * 3, mismatch=2.5), mixed_of),
    "gower": (Space(metric="gower", categorical=(False,) * 3 + (True,) * 3), mixed_of),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("exclude_self", [False, True])
def test_nearly_all_neighbors_are_found_and_their_distances_are_exact(name: str, exclude_self: bool) -> None:
    space, made = SPACES[name]
    rows = made(3000)
    query = rows if exclude_self else made(200, seed=1)
    far, at = nearest(space, query, rows, 10, exclude_self=exclude_self)
    near, found = nearest(space, query, rows, 10, exclude_self=exclude_self, search="approximate")
    assert recall(found, at) > 0.99
    assert (np.diff(near, axis=1) >= 0).all() and (found >= 0).all()
    if exclude_self:
        assert (found != np.arange(3000)[:, None]).all()
    same = (found == at).all(axis=1)
    assert same.mean() > 0.9
    np.testing.assert_array_equal(near[same], far[same])


def test_a_mismatch_counts_what_the_space_says() -> None:
    rows = np.array([[0.0, 0], [1.4, 0], [0.0, 1], [9.0, 1]])
    for mismatch, nearer in ((1.0, 2), (4.0, 1)):
        space = Space(categorical=(False, True), mismatch=mismatch)
        far, at = nearest(space, rows, rows, 1, exclude_self=True, search="approximate")
        assert at[0, 0] == nearer and far[0, 0] == pytest.approx(min(1.4, np.sqrt(mismatch)))


def test_a_category_that_the_reference_lacks_is_a_mismatch_to_all() -> None:
    space = Space(categorical=(False, True), mismatch=4.0)
    reference = np.array([[0.0, 0], [1.0, 1]])
    query = np.array([[0.9, 7.0]])
    far, at = nearest(space, query, reference, 2, search="approximate")
    assert at.tolist() == [[1, 0]]
    np.testing.assert_allclose(far, nearest(space, query, reference, 2)[0])


def test_the_answer_depends_neither_on_the_order_of_rows_nor_on_the_call() -> None:
    rows, query = rows_of(2500), rows_of(100, seed=2)
    order = np.random.default_rng(5).permutation(2500)
    far, at = nearest(Space(), query, rows, 8, search="approximate")
    again = nearest(Space(), query, rows, 8, search="approximate")
    turned, places = nearest(Space(), query, rows[order], 8, search="approximate")
    np.testing.assert_array_equal(again[1], at)
    np.testing.assert_array_equal(turned, far)
    np.testing.assert_array_equal(order[places], at)


def test_copies_are_all_found_by_index() -> None:
    rows = np.repeat(rows_of(300), 4, axis=0)
    far, at = nearest(Space(), rows, rows, 3, exclude_self=True, search="approximate")
    expected = nearest(Space(), rows, rows, 3, exclude_self=True)
    np.testing.assert_array_equal(at, expected[1])
    assert (far == 0).all()


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 4), (5, 9)])
def test_where_there_are_fewer_rows_than_asked_for_the_rest_is_none(n: int, k: int) -> None:
    rows = rows_of(n)
    for exclude_self in (False, True):
        expected = nearest(Space(), rows, rows, k, exclude_self=exclude_self)
        got = nearest(Space(), rows, rows, k, exclude_self=exclude_self, search="approximate")
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_array_equal(got[1], expected[1])


def test_no_rows_at_all_get_no_neighbors() -> None:
    far, at = nearest(Space(), rows_of(3), rows_of(3)[:0], 2, search="approximate")
    assert np.isinf(far).all() and (at == -1).all()
    assert nearest(Space(), rows_of(3)[:0], rows_of(3), 2, search="approximate")[0].shape == (0, 2)


def test_rows_that_the_graph_cannot_reach_are_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(faiss.IndexHNSWFlat):
        def search(self, x, k):
            far, at = super().search(x, k)
            at[:, 1:] = -1
            return far, at

    monkeypatch.setattr(faiss, "IndexHNSWFlat", Blind)
    rows = rows_of(200)
    _, at = nearest(Space(), rows, rows, 5, exclude_self=True, search="approximate")
    np.testing.assert_array_equal(at, nearest(Space(), rows, rows, 5, exclude_self=True)[1])


def test_the_number_of_threads_stays_what_it_was() -> None:
    before = faiss.omp_get_max_threads()
    nearest(Space(), rows_of(50), rows_of(50), 2, search="approximate")
    assert faiss.omp_get_max_threads() == before


def test_missing_cells_and_other_devices_are_refused() -> None:
    rows = rows_of(20)
    rows[3, 1] = np.nan
    with pytest.raises(DataError, match=r"1 reference rows have missing cells.*impute\.simple"):
        nearest(Space(), rows_of(2), rows, 2, search="approximate")
    with pytest.raises(DataError, match="runs on the CPU"):
        nearest(Space(), rows_of(2), rows_of(5), 2, search="approximate", device="cuda")


def test_without_faiss_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest):
        if name == "faiss":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TilthError, match=r"pip install 'tilth\[neighbors\]'"):
        nearest(Space(), rows_of(2), rows_of(5), 2, search="approximate")
