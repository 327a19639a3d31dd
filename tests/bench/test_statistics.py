"""The arithmetic of comparison against published formulas, figures worked by hand, and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tilth.bench.statistics import corrected_t, correlated_posterior, holm, naive_t, rows_needed
from tilth.errors import DataError

# mean 0.02, variance 5e-5, J = K = 5: SE^2 = 5e-5 * (1/5 + 1/4) = 2.25e-5.
BY_HAND = [0.02, 0.01, 0.03, 0.02, 0.02]
SE = math.sqrt(2.25e-5)


def test_corrected_t_equals_the_figures_worked_by_hand():
    found = corrected_t(BY_HAND, folds=5)
    assert found.mean == pytest.approx(0.02, abs=1e-15)
    assert found.se == pytest.approx(SE, rel=1e-12)
    # The printed table of Student's t with 4 degrees of freedom: t.975 = 2.776, t.80 = 0.941.
    assert found.low == pytest.approx(0.02 - 2.776 * SE, abs=3e-6)
    assert found.high == pytest.approx(0.02 + 2.776 * SE, abs=3e-6)
    assert found.mde80 == pytest.approx((2.776 + 0.941) * SE, abs=3e-6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.02 / SE, 4), rel=1e-12)
    assert found.n_scores == 5


def test_repeats_divide_only_the_part_of_the_variance_that_they_can():
    once = corrected_t(BY_HAND, folds=5)
    ten = corrected_t(BY_HAND * 10, folds=5)
    variance = np.var(BY_HAND * 10, ddof=1)
    assert ten.se == pytest.approx(math.sqrt(variance * (1 / 50 + 1 / 4)), rel=1e-12)
    assert ten.se > once.se / 1.5  # the plain test would divide by sqrt(10)


def test_posterior_is_the_published_one_with_correlation_one_over_folds():
    # Corani and Benavoli: scale^2 = var * (1/n + rho / (1 - rho)), rho = 1/K.
    rho, d = 1 / 5, np.array(BY_HAND)
    scale = math.sqrt(d.var(ddof=1) * (1 / len(d) + rho / (1 - rho)))
    posterior = stats.t(len(d) - 1, d.mean(), scale)
    below, same, above = correlated_posterior(d, folds=5, rope=0.005)
    assert below == pytest.approx(posterior.cdf(-0.005), rel=1e-10)
    assert above == pytest.approx(posterior.sf(0.005), rel=1e-10)
    assert below + same + above == pytest.approx(1, abs=1e-12)


def test_identical_scores_are_the_same_for_sure():
    found = corrected_t(np.zeros(10), folds=5)
    assert (found.p, found.low, found.high, found.mde80) == (1.0, 0.0, 0.0, 0.0)
    assert correlated_posterior(np.zeros(10), folds=5, rope=0.005) == (0.0, 1.0, 0.0)


def test_rounding_alone_is_no_effect():
    noise = np.array([1, -1, 1, 1, 1]) * 1e-17
    assert corrected_t(noise, folds=5).p == 1.0


def test_a_constant_gain_is_certain():
    found = corrected_t(np.full(5, 0.1), folds=5)
    assert found.p == 0.0 and found.low == found.high == pytest.approx(0.1)
    assert correlated_posterior(np.full(5, 0.1), folds=5, rope=0.01) == (0.0, 0.0, 1.0)


def test_holm_equals_the_worked_example():
    # Sorted: .005 * 4, .01 * 3, .03 * 2, .04 * 1, each at least the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_claims_that_were_not_tested():
    found = holm([0.02, float("nan"), 0.04])
    assert found[[0, 2]].tolist() == pytest.approx([0.04, 0.04]) and math.isnan(found[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_is_never_smaller_than_p_nor_larger_than_bonferroni_and_keeps_the_order(p):
    p = np.array(p)
    found = holm(p)
    assert (found >= p - 1e-15).all() and (found <= np.minimum(1, p * len(p)) + 1e-15).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=25), st.integers(2, 10))
def test_interval_and_p_value_tell_the_same(d, folds):
    found = corrected_t(d, folds)
    assert (found.low > 0 or found.high < 0) == (found.p < 0.05) or abs(found.p - 0.05) < 1e-9
    turned = corrected_t(-np.array(d), folds)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-12)


def test_rows_needed_grow_with_the_square():
    assert rows_needed(500, 0.02, 0.005) == 8000
    assert rows_needed(500, 0.001, 0.005) == 500
    assert rows_needed(500, 0.0, 0.005) is None


@pytest.mark.parametrize("bad", [[0.1], [0.1, float("nan")], [[0.1, 0.2]]])
def test_what_is_no_list_of_differences_is_refused(bad):
    with pytest.raises(DataError):
        corrected_t(bad, folds=5)


def _exchangeable_differences(rng, rows=200, folds=5, repeats=5):
    """Score two pipelines of equal worth over repeated folds: nearest class mean, each on its own half of
    exchangeable features. Which half does better on this sample is luck; on average neither does."""
    y = np.arange(rows) % 2
    X = rng.normal(size=(rows, 20)) + 0.25 * y[:, None]
    d = []
    for _ in range(repeats):
        fold = np.argsort(rng.permuted(np.arange(rows))) % folds
        for k in range(folds):
            train, test = fold != k, fold == k
            right = []
            for half in (slice(0, 10), slice(10, 20)):
                one, zero = X[train & (y == 1), half].mean(0), X[train & (y == 0), half].mean(0)
                said = (X[test, half] - (one + zero) / 2) @ (one - zero) > 0
                right.append(np.mean(said == y[test]))
            d.append(right[1] - right[0])
    return np.array(d)


def test_naive_test_invents_effects_where_the_corrected_one_does_not():
    rng = np.random.default_rng(7)
    runs = [_exchangeable_differences(rng) for _ in range(400)]
    corrected = np.mean([corrected_t(d, folds=5).p < 0.05 for d in runs])
    sure = np.mean([correlated_posterior(d, folds=5, rope=0.01)[2] > 0.95 for d in runs])
    naive = np.mean([naive_t(d) < 0.05 for d in runs])
    assert naive > 0.20, f"the naive test claimed {naive:.1%}"
    assert corrected <= 0.05, f"the corrected test claimed {corrected:.1%}"
    assert sure <= 0.05, f"the posterior was sure of a gain in {sure:.1%}"


def test_p_and_posterior_equal_those_of_baycomp_worked_out_once():
    # baycomp 1.0.3: CorrelatedTTest.probs(zeros, BY_HAND, rope=0.005).
    once = (0.0031050962192814974, 0.013949615364423407, 0.9829452884162951)
    assert correlated_posterior(BY_HAND, 5, 0.005) == pytest.approx(once, abs=1e-12)


def test_a_ratio_takes_the_place_of_one_over_folds_less_one():
    assert corrected_t(BY_HAND, 5, ratio=1 / 4) == corrected_t(BY_HAND, 5)
    wide = corrected_t(BY_HAND, 5, ratio=0.5)
    assert wide.se == pytest.approx(math.sqrt(5e-5 * (1 / 5 + 0.5)), rel=1e-12)
    assert correlated_posterior(BY_HAND, 5, 0.005, ratio=0.5)[2] < correlated_posterior(BY_HAND, 5, 0.005)[2]
