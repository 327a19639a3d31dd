"""Little's test: its statistic in closed forms, its level under MCAR, its power under MAR."""

import numpy as np
import pytest
from scipy import stats

from tilth.statistics import little_test


def drawn(seed: int, rows: int, columns: int, share: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    full = random.normal(size=(rows, columns)) @ (np.eye(columns) + 0.5)
    return np.where(random.random(full.shape) < share, np.nan, full)


def test_one_pattern_against_another_is_hotellings_statistic_over_the_common_columns():
    # With x always known and y missing at will, the statistic is that of two groups compared by x alone:
    # n - 1 times the share of variance between them.
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 90))
    gone = np.arange(90) < 30
    x[gone] += 0.4
    found = little_test(np.column_stack([x, np.where(gone, np.nan, y + x)]))
    between = (30 * (x[gone].mean() - x.mean()) ** 2 + 60 * (x[~gone].mean() - x.mean()) ** 2) / 90
    assert found.statistic == pytest.approx(89 * between / x.var(), rel=1e-5)
    assert (found.degrees_of_freedom, found.patterns) == (1, 2)
    # Of one degree of freedom it is the square of Student's t, so the p-value must be that of the t test.
    assert found.p_value == pytest.approx(stats.ttest_ind(x[gone], x[~gone]).pvalue, rel=1e-5)


def test_with_many_rows_the_p_value_is_that_of_chi_squared():
    found = little_test(drawn(3, 20_000, 3, 0.2))
    told = stats.chi2.sf(found.statistic, found.degrees_of_freedom)
    assert found.p_value == pytest.approx(told, abs=1e-3)
    assert found.patterns == 7  # rows without any value are no pattern


@pytest.mark.parametrize(("rows", "columns", "share"), [(300, 3, 0.2), (60, 4, 0.2), (100, 6, 0.3)])
def test_p_values_are_uniform_where_cells_are_missing_completely_at_random(rows, columns, share):
    values = [little_test(drawn(seed, rows, columns, share)).p_value for seed in range(200)]
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) < 0.05) < 0.10


def test_gaps_that_depend_on_another_column_are_found():
    hits = 0
    for seed in range(30):
        rows = drawn(seed, 300, 3, 0.0)
        rows[(rows[:, 0] > 0.5) & (np.random.default_rng(seed).random(300) < 0.6), 1] = np.nan
        hits += little_test(rows).p_value < 0.01
    assert hits >= 28


def test_nothing_to_compare_is_no_evidence():
    full = drawn(0, 50, 3, 0.0)
    assert little_test(full).p_value == 1.0
    holed = np.column_stack([full, np.full(50, np.nan)])
    found = little_test(holed)  # an empty column is missing in every row
    assert (found.statistic, found.degrees_of_freedom, found.p_value, found.patterns) == (0.0, 0, 1.0, 1)
    # Each row its own pattern: their means are what all else is judged by.
    alone = np.random.default_rng(0).normal(size=(4, 3))
    alone[[0, 1, 2], [0, 1, 2]] = np.nan
    assert little_test(alone).p_value == 1.0
    assert little_test(np.full((5, 2), np.nan)).p_value == 1.0


def test_constant_and_collinear_columns_are_left_out():
    rows = drawn(1, 200, 3, 0.2)
    wanted = little_test(rows)
    random = np.random.default_rng(0)
    twin = np.where(random.random(200) < 0.1, np.nan, 3 * drawn(1, 200, 3, 0.0)[:, 0] - 1)
    more = np.column_stack([rows, np.full(200, 7.5), twin])
    found = little_test(more)
    assert found.statistic == pytest.approx(wanted.statistic, rel=1e-4)
    assert (found.degrees_of_freedom, found.patterns) == (wanted.degrees_of_freedom, wanted.patterns)
