"""Densities: SciPy's estimates are the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter1d
from scipy.stats import gaussian_kde

from tilth.statistics.density import (
    LEAST_WEIGHT,
    dense_weights,
    in_parts,
    kernel_density,
    rule_of_thumb,
    smoothed_counts,
)


def values_of(name: str, n: int = 1500) -> np.ndarray:
    generator = np.random.default_rng(0)
    return {
        "normal": generator.normal(5, 3, n),
        "skewed": np.exp(generator.normal(0, 1.5, n)),
        "whole": generator.poisson(3, n).astype(float),
        "far apart": np.concatenate([generator.normal(0, 1e-3, n - 1), [1e6]]),
    }[name]


@pytest.mark.parametrize("name", ["normal", "skewed", "whole", "far apart"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_density_is_that_of_scipy(name: str, weighted: bool) -> None:
    values = values_of(name)
    weights = np.random.default_rng(1).uniform(0.2, 3, len(values)) if weighted else np.ones(len(values))
    bandwidth = rule_of_thumb(values, weights)
    peer = gaussian_kde(values, weights=weights)
    peer.set_bandwidth(bandwidth / np.sqrt(peer.covariance[0, 0]) * peer.factor)
    expected = peer(values)
    np.testing.assert_allclose(
        kernel_density(values, weights, bandwidth), expected, atol=1e-3 * expected.max()
    )


def test_a_weight_counts_as_so_many_rows() -> None:
    values = values_of("normal", 40)
    times = np.arange(40) % 4 + 1
    one = kernel_density(values, times.astype(float), 0.7)
    many = kernel_density(np.repeat(values, times), np.ones(times.sum()), 0.7)
    np.testing.assert_allclose(np.repeat(one, times), many, rtol=1e-9)


def test_a_bandwidth_far_too_small_leaves_each_value_alone() -> None:
    height = kernel_density(np.array([0.0, 1.0, 1.0, 1e9]), np.ones(4), 1e-300)
    np.testing.assert_allclose(height / height[0], [1, 2, 2, 1], rtol=1e-3)


def test_the_rule_of_thumb_is_silvermans_and_equal_weights_change_nothing() -> None:
    values = values_of("normal", 243)
    expected = 1.06 * values.std() / 3
    assert rule_of_thumb(values, np.ones(243)) == pytest.approx(expected, rel=1e-12)
    assert rule_of_thumb(values, np.full(243, 7.0)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("width", [0.5, 2.0, 5.0])
def test_smoothed_counts_are_a_histogram_under_scipys_filter(width: float) -> None:
    values, weights = values_of("skewed"), np.random.default_rng(2).uniform(0, 2, 1500)
    counts, edges = np.histogram(values, 50, weights=weights)
    bin_of = np.minimum(np.searchsorted(edges, values, side="right") - 1, 49)
    expected = gaussian_filter1d(counts, width, mode="constant")[bin_of]
    np.testing.assert_allclose(smoothed_counts(values, weights, 50, width), expected, rtol=1e-9)


def test_the_inverse_of_a_smoothed_count_is_worked_by_hand() -> None:
    # Two bins of 1 and 3 rows; the kernel reaches one bin with exp(-1/2), and mass leaves at the ends.
    values = np.array([0.0, 1.0, 1.0, 1.0])
    near, far = 1.0, np.exp(-0.5)
    whole = 1 + 2 * sum(np.exp(-0.5 * step**2) for step in (1, 2, 3, 4))
    expected = np.array([near + 3 * far, *[3 * near + far] * 3]) / whole
    np.testing.assert_allclose(smoothed_counts(values, np.ones(4), 2, 1.0), expected, rtol=1e-12)


def test_parts_are_of_equal_width_and_the_largest_value_lies_in_the_last() -> None:
    assert in_parts(np.array([0.0, 0.24, 0.25, 0.99, 1.0]), 4).tolist() == [0, 0, 1, 3, 3]
    assert in_parts(np.array([3.0, 3.0]), 4).tolist() == [0, 0]


def test_dense_weights_are_the_papers_equations() -> None:
    density = np.array([1.0, 3.0, 5.0])
    assert dense_weights(density, 0.0).tolist() == [1, 1, 1]
    assert dense_weights(density, 0.5).tolist() == [1, 0.75, 0.5]
    assert dense_weights(density, 2.0).tolist() == [1, LEAST_WEIGHT, LEAST_WEIGHT]
    assert dense_weights(np.ones(3), 1.0).tolist() == [1, 1, 1]


@given(arrays(float, st.integers(2, 30), elements=st.floats(-1e3, 1e3)), st.floats(0.01, 100))
def test_a_density_is_positive_and_no_higher_than_all_weight_in_one_place(values, bandwidth) -> None:
    height = kernel_density(values, np.ones(len(values)), bandwidth)
    most = 1 / (bandwidth * np.sqrt(2 * np.pi))
    assert (height > 0).all() and (height <= most * (1 + 1e-9)).all()
