"""Two samples against one another, beside scipy and a count by hand."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, ks_2samp
from sklearn.metrics import roc_auc_score

from tilth.statistics.samples import auc_error, binned, chi_square, ks, psi


def test_kolmogorov_smirnov_is_scipys():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=300), rng.normal(0.2, 1, 200)
    found = ks_2samp(one, other, method="exact")
    assert ks(one, other) == (found.statistic, found.pvalue)
    many, more = rng.normal(size=3000), rng.normal(size=2000)
    assert ks(many, more)[1] == pytest.approx(ks_2samp(many, more, method="asymp").pvalue)


def test_chi_squared_is_scipys_where_no_level_is_rare():
    counts = np.array([[40, 30, 30], [60, 20, 50]])
    assert chi_square(*counts) == pytest.approx(chi2_contingency(counts, correction=False).pvalue)
    rare = np.column_stack([counts, [1, 0], [0, 2]])
    merged = np.column_stack([counts, [1, 2]])
    assert chi_square(*rare) == pytest.approx(chi2_contingency(merged, correction=False).pvalue)


def test_one_level_or_no_rows_are_no_evidence():
    assert chi_square(np.array([10]), np.array([20])) == 1
    assert chi_square(np.array([0, 0]), np.array([20, 3])) == 1
    assert psi(np.array([0, 0]), np.array([3, 4])) == 0


def test_stability_index_by_hand():
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    expected = ((q - p) * np.log(q / p)).sum()
    assert psi(np.array([50, 50]), np.array([25, 75])) == pytest.approx(expected)
    assert np.isfinite(psi(np.array([50, 50, 0]), np.array([25, 70, 5])))


def test_numbers_are_counted_in_the_tenths_of_the_first():
    one, other = np.arange(100.0), np.append(np.arange(50.0), [np.nan] * 10)
    counts = binned(one, other)
    assert [c.sum() for c in counts] == [100, 60]
    assert counts[0][:-1].tolist() == [10] * 10 and counts[1][-1] == 10
    assert sum(counts[1][:5]) == 50


def test_the_area_is_scikit_learns_and_its_error_what_samples_show():
    rng = np.random.default_rng(0)
    seen, told = [], []
    for _ in range(300):
        positive = np.arange(150) < 60
        scores = np.round(rng.normal(size=150) + positive, 1)
        area, error = auc_error(scores, positive)
        assert area == pytest.approx(roc_auc_score(positive, scores))
        seen.append(area)
        told.append(error)
    assert np.mean(told) == pytest.approx(np.std(seen), rel=0.1)
