"""Gaussian against closed forms, against itself on parts, and against direct conditioning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.statistics import Gaussian
from tilth.statistics.gaussian import patterns_of


def holed(rows: int, columns: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated rows, and the same with cells missing completely at random."""
    random = np.random.default_rng(seed)
    full = random.normal(size=(rows, 3)) @ random.normal(size=(3, columns)) + 0.5 * random.normal(
        size=(rows, columns)
    )
    full = full * random.uniform(0.1, 50, columns) + random.uniform(-1e3, 1e3, columns)
    return full, np.where(random.random(full.shape) < share, np.nan, full)


def same(one: Gaussian, two: Gaussian, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(one.mean, two.mean, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=tolerance, atol=tolerance)


def test_without_gaps_it_is_the_mean_and_the_covariance():
    full, _ = holed(300, 5, 0)
    gaussian = Gaussian.of(full)
    np.testing.assert_allclose(gaussian.mean, full.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(gaussian.covariance, np.cov(full.T, ddof=0), rtol=1e-9)
    assert gaussian.rows == 300 and gaussian.converged


def test_two_columns_of_which_one_has_gaps_have_the_maximum_in_closed_form():
    # Anderson (1957): regress y on x where both are known, and carry that to the x of all rows.
    random = np.random.default_rng(1)
    x = random.normal(5, 2, 400)
    y = 3 * x + random.normal(0, 4, 400)
    gone = x > 6  # missing at random, not completely: the mean of the known y is far off
    gaussian = Gaussian.of(np.column_stack([x, np.where(gone, np.nan, y)]), tolerance=1e-12, ridge=1e-12)
    slope = np.cov(x[~gone], y[~gone])[0, 1] / x[~gone].var(ddof=1)
    residual = (y[~gone] - y[~gone].mean() - slope * (x[~gone] - x[~gone].mean())).var()
    mean = y[~gone].mean() + slope * (x.mean() - x[~gone].mean())
    np.testing.assert_allclose(gaussian.mean, [x.mean(), mean], rtol=1e-8)
    wanted = [[x.var(), slope * x.var()], [slope * x.var(), residual + slope**2 * x.var()]]
    np.testing.assert_allclose(gaussian.covariance, wanted, rtol=1e-8)
    assert abs(y[~gone].mean() - y.mean()) > 10 * abs(mean - y.mean())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 120), max_size=6), st.randoms(use_true_random=False))
def test_any_partition_and_order_gives_the_same(cuts, random):
    rows = holed(120, 4, 0.3)[1]
    parts = np.split(rows, sorted(cuts))
    random.shuffle(parts)
    whole = Gaussian.of(rows)
    same(Gaussian.of(parts), whole)
    same(Gaussian.of(lambda: iter(parts)), whole)


def test_a_function_is_read_once_per_pass():
    rows, calls = holed(50, 3, 0.2)[1], []

    def read():
        calls.append(1)
        yield rows

    gaussian = Gaussian.of(read)
    assert len(calls) == gaussian.iterations + 2


def test_missing_cells_get_what_conditioning_on_the_known_ones_gives():
    rows = holed(200, 6, 0.4)[1]
    gaussian = Gaussian.of(rows, ridge=1e-12)
    filled = gaussian.conditional_mean(rows)
    distances = gaussian.mahalanobis(rows)
    mean, covariance = gaussian.mean, gaussian.covariance
    for number, row in enumerate(rows):
        gone = np.isnan(row)
        known = covariance[np.ix_(~gone, ~gone)]
        off = row[~gone] - mean[~gone]
        told = mean[gone] + covariance[np.ix_(gone, ~gone)] @ np.linalg.solve(known, off)
        np.testing.assert_allclose(filled[number, gone], told, rtol=1e-7, atol=1e-7)
        np.testing.assert_array_equal(filled[number, ~gone], row[~gone])
        assert distances[number] == pytest.approx(off @ np.linalg.solve(known, off), rel=1e-6, abs=1e-9)
    gone = np.array([True, False, False, True, False, False])
    across = covariance[np.ix_(gone, ~gone)]
    wanted = covariance[np.ix_(gone, gone)] - across @ np.linalg.solve(
        covariance[np.ix_(~gone, ~gone)], across.T
    )
    np.testing.assert_allclose(gaussian.conditional_covariance(gone), wanted, rtol=1e-7)


def test_distances_of_normal_rows_are_chi_squared():
    rows = holed(4000, 5, 0.3)[1]
    distances = Gaussian.of(rows).mahalanobis(rows)
    known = (~np.isnan(rows)).sum(axis=1)
    for count in (2, 3, 4):
        assert distances[known == count].mean() == pytest.approx(count, rel=0.1)


@pytest.mark.parametrize("bounds", [[1], [0, 50, 50], list(range(1, 100))])
def test_rows_are_filled_each_for_itself(bounds):
    rows = holed(100, 5, 0.4)[1]
    gaussian = Gaussian.of(rows)
    parts = [gaussian.conditional_mean(part) for part in np.split(rows, bounds)]
    np.testing.assert_allclose(np.vstack(parts), gaussian.conditional_mean(rows), rtol=1e-12)


def test_gaps_are_filled_as_well_as_by_chained_bayesian_ridges():
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    full, rows = holed(1500, 10, 0.1, seed=3)
    full, rows = (full - full.mean(axis=0)) / full.std(axis=0), (rows - full.mean(axis=0)) / full.std(axis=0)
    gaps = np.isnan(rows)
    ours = Gaussian.of(rows).conditional_mean(rows)
    theirs = IterativeImputer(max_iter=10, random_state=0).fit_transform(rows)
    errors = [float(np.sqrt(((told - full)[gaps] ** 2).mean())) for told in (ours, theirs)]
    assert errors[0] <= errors[1] * 1.01


def test_a_column_without_values_stays_unknown_and_harms_no_other():
    rows = holed(80, 3, 0.2)[1]
    wide = np.insert(rows, 1, np.nan, axis=1)
    one, two = Gaussian.of(wide), Gaussian.of(rows)
    assert np.isnan(one.mean[1]) and np.isnan(one.covariance[1]).all()
    np.testing.assert_allclose(np.delete(one.mean, 1), two.mean, rtol=1e-12)
    filled = one.conditional_mean(wide)
    assert np.isnan(filled[:, 1]).all()
    np.testing.assert_allclose(np.delete(filled, 1, axis=1), two.conditional_mean(rows), rtol=1e-12)
    np.testing.assert_allclose(one.mahalanobis(wide), two.mahalanobis(rows), rtol=1e-12)
    told = one.conditional_covariance(np.array([True, True, False, False]))
    assert np.isnan(told[1]).all() and told[0, 0] > 0
    assert Gaussian.of(np.full((3, 2), np.nan)).rows == 0


def test_constant_and_collinear_columns_are_filled():
    random = np.random.default_rng(0)
    x = random.normal(size=60)
    full = np.column_stack([x, 2 * x + 1, np.full(60, 0.1), 3 * x - 2])
    rows = np.where(random.random(full.shape) < 0.2, np.nan, full)
    rows[:, 0] = full[:, 0]
    gaussian = Gaussian.of(rows)
    np.testing.assert_allclose(gaussian.conditional_mean(rows), full, atol=1e-4)
    assert np.isfinite(gaussian.mahalanobis(rows)).all()


def test_fewer_rows_than_columns_are_filled_and_a_prior_holds_them_steady():
    full, rows = holed(15, 20, 0.15, seed=2)
    gaps = np.isnan(rows)
    scale = full.std(axis=0)
    errors = {}
    for prior in (0.0, 3.0):
        filled = Gaussian.of(rows, prior_rows=prior).conditional_mean(rows)
        errors[prior] = float(np.sqrt((((filled - full) / scale)[gaps] ** 2).mean()))
    mean = float(np.sqrt((((np.nanmean(rows, axis=0) - full) / scale)[gaps] ** 2).mean()))
    assert errors[3.0] < errors[0.0] and errors[3.0] < 0.7 * mean


def test_a_row_without_values_says_nothing_and_gets_the_mean():
    rows = holed(60, 3, 0.2)[1]
    more = np.vstack([rows, np.full((5, 3), np.nan)])
    gaussian = Gaussian.of(more)
    same(gaussian, Gaussian.of(rows))
    np.testing.assert_allclose(gaussian.conditional_mean(more)[-1], gaussian.mean, rtol=1e-12)
    assert gaussian.mahalanobis(more)[-1] == 0.0


def test_infinity_counts_as_missing():
    rows = holed(60, 3, 0.2)[1]
    endless = np.where(np.isnan(rows), np.inf, rows)
    same(Gaussian.of(endless), Gaussian.of(rows))


def test_large_offsets_and_the_order_of_memory_change_nothing():
    rows = holed(200, 4, 0.3)[1]
    scale = np.nanstd(rows, axis=0)
    shifted = Gaussian.of(rows + 1e6 * scale)
    same(Gaussian.of(np.asfortranarray(rows)), Gaussian.of(rows), 1e-12)
    np.testing.assert_allclose(shifted.covariance, Gaussian.of(rows).covariance, rtol=1e-6)


def test_iterations_end_at_their_limit_and_say_so():
    rows = holed(200, 4, 0.5)[1]
    gaussian = Gaussian.of(rows, max_iter=2, tolerance=1e-12)
    assert gaussian.iterations == 2 and not gaussian.converged


def test_batches_of_inverses_do_not_change_what_is_filled(monkeypatch):
    rows = holed(300, 6, 0.4)[1]
    wanted = Gaussian.of(rows)
    monkeypatch.setattr("tilth.statistics.gaussian._BATCH_NUMBERS", 50)
    monkeypatch.setattr("tilth.statistics.gaussian._BLOCK_ROWS", 7)
    same(Gaussian.of(rows), wanted)
    np.testing.assert_allclose(
        Gaussian.of(rows).conditional_mean(rows), wanted.conditional_mean(rows), rtol=1e-9
    )


@given(st.integers(1, 150), st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_patterns_are_numbered_as_numpy_finds_them(columns, rows):
    missing = np.random.default_rng(rows).random((rows, columns)) < 0.02
    number = patterns_of(missing)
    wanted = np.unique(missing, axis=0, return_inverse=True)[1].ravel() if rows else np.zeros(0)
    pairs = set(zip(number.tolist(), wanted.tolist(), strict=True))
    assert len(pairs) == len(set(number.tolist())) == len(set(wanted.tolist()))
    assert set(number.tolist()) == set(range(len(pairs)))
