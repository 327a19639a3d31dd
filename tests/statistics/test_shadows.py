"""What shadows say: scipy's adjustments and the R package stabs' bounds are the oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from tilth.bench.statistics import holm
from tilth.statistics.shadows import adjusted, false_bound, most_chosen, shadow_p_values

P = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


@given(P)
def test_p_values_are_adjusted_as_elsewhere(p: np.ndarray) -> None:
    np.testing.assert_allclose(adjusted(p, "share"), false_discovery_control(p), atol=1e-15)
    np.testing.assert_allclose(adjusted(p, "any"), holm(p), atol=1e-15)


def test_columns_that_tell_nothing_have_p_values_no_smaller_than_they_may() -> None:
    """Columns of different spread: their p-values are too small or too large, but right on average."""
    random = np.random.default_rng(0)
    spread = np.linspace(0.5, 1.5, 10)
    p = []
    for _ in range(300):
        real = np.tile(random.normal(0, spread), (20, 1))
        p.append(shadow_p_values(real, random.normal(0, spread, (20, 10))))
    for level in (0.01, 0.05, 0.2):
        assert np.mean(np.array(p) <= level) < level * 1.15 + 0.003


def test_what_a_kind_of_column_adds_to_importance_is_taken_off() -> None:
    random = np.random.default_rng(0)
    bias = np.array([0.0, 50.0, 0.0])
    real, shadow = random.normal(bias + np.array([0, 0, 9]), 1, (20, 3)), random.normal(bias, 1, (20, 3))
    p = shadow_p_values(real, shadow)
    assert p[1] > 0.1
    assert p[2] == pytest.approx(1 / 61)


def test_a_tie_counts_against_the_column() -> None:
    assert shadow_p_values(np.zeros((5, 3)), np.zeros((5, 3))).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("threshold", "factor"), [(0.6, 1 / (2 * (0.2 - 0.01))), (0.75, 1 / (2 * 0.49)), (0.9, 4 * 0.11 / 1.02)]
)
def test_the_unimodal_bound_is_that_of_shah_and_samworth(threshold: float, factor: float) -> None:
    assert false_bound(10, 500, threshold, 50, "unimodal") == pytest.approx(factor * 100 / 500)
    assert false_bound(10, 500, threshold, 50, "worst_case") == pytest.approx(100 / 500 / (2 * threshold - 1))
    assert false_bound(10, 500, threshold, 50, "unimodal") < false_bound(10, 500, threshold, 50, "worst_case")


def test_a_threshold_at_one_half_promises_nothing() -> None:
    assert false_bound(1, 10, 0.505, 50, "unimodal") == np.inf


@given(st.floats(0.1, 5), st.integers(2, 2000), st.floats(0.6, 1))
def test_each_half_may_choose_as_many_as_the_bound_allows(
    expected: float, columns: int, threshold: float
) -> None:
    size = most_chosen(expected, columns, threshold, 50, "unimodal")
    assert size == 0 or false_bound(size, columns, threshold, 50, "unimodal") <= expected * (1 + 1e-6)
    more = false_bound(size + 1, columns, threshold, 50, "unimodal")
    assert size == columns or more > expected * (1 - 1e-6)
