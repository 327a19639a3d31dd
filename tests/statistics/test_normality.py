"""The probability plot correlation: scipy's probplot and known distributions are the oracles."""

import numpy as np
import pytest
from scipy import stats

from tilth.statistics.normality import SHARES, normality


@pytest.mark.parametrize("name", ["norm", "uniform", "expon", "cauchy", "gumbel_r"])
def test_it_is_the_correlation_with_normal_quantiles(name: str) -> None:
    values = getattr(stats, name).ppf(SHARES)
    peer = np.corrcoef(values, stats.norm.ppf(SHARES))[0, 1]
    assert normality(values[:, None])[0] == pytest.approx(peer, abs=1e-12)


@pytest.mark.parametrize(("factor", "shift"), [(1e-300, 0.0), (1e300, 0.0), (3.0, 1e6), (1.0, -5.0)])
def test_mean_and_unit_do_not_matter(factor: float, shift: float) -> None:
    values = np.exp(stats.norm.ppf(SHARES))
    both = np.column_stack([values, values * factor + shift])
    assert normality(both)[1] == pytest.approx(normality(both)[0], abs=1e-8)


def test_what_has_no_spread_or_no_numbers_is_as_far_as_can_be() -> None:
    with np.errstate(all="raise"):
        strange = np.column_stack([np.full(100, 7.0), np.full(100, np.nan), np.r_[SHARES[1:], np.inf]])
    assert normality(strange).tolist() == [0.0, 0.0, 0.0]
    assert normality(np.empty((100, 0))).shape == (0,)
