"""The medcouple against all pairs written out."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics import Quantiles, Statistics, medcouple


def all_pairs(values) -> float:
    """Return the median of the kernel over all pairs, in O(n^2)."""
    away = np.sort(np.asarray(values, dtype=float))
    away = away - np.median(away)
    above, below, ties = away[away >= 0], away[away <= 0], int((away == 0).sum())
    with np.errstate(invalid="ignore"):
        kernels = (above[:, None] + below) / (above[:, None] - below)
    if ties:
        at = np.arange(ties)
        kernels[:ties, -ties:] = np.sign(at[:, None] + at - (ties - 1))
    return float(np.median(kernels))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_it_is_the_median_over_all_pairs(values):
    assert medcouple(np.array(values)) == pytest.approx(all_pairs(values), rel=1e-12, abs=1e-12)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=40))
def test_ties_at_the_median_follow_the_sign_rule(values):
    assert medcouple(np.array(values)) == pytest.approx(all_pairs(values), abs=1e-12)


@pytest.mark.parametrize(
    "draw",
    [
        lambda random, n: random.normal(size=n),
        lambda random, n: random.lognormal(0, 2, n),
        lambda random, n: random.integers(-900, 100, n).astype(float),
        lambda random, n: np.round(random.standard_cauchy(n), 1),
        lambda random, n: np.concatenate([random.normal(-50, 1, n // 3), random.normal(50, 1, n // 2)]),
        lambda random, n: 10.0 ** random.uniform(-15, 15, n),
    ],
    ids=["normal", "lognormal", "whole", "cauchy", "two hills", "thirty decades"],
)
@pytest.mark.parametrize("rows", [2900, 3001])
def test_counting_finds_what_writing_out_millions_of_pairs_finds(draw, rows):
    values = draw(np.random.default_rng(0), rows)
    assert medcouple(values) == pytest.approx(all_pairs(values), rel=1e-12, abs=1e-12)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30),
    st.integers(-60, 60),
    st.integers(-1000, 1000),
)
def test_a_mirror_turns_its_sign_and_scale_and_order_do_not_matter(values, power, seed):
    x = np.array(values)
    shuffled = np.random.default_rng(abs(seed)).permutation(x)
    assert medcouple(-x) == -medcouple(x)
    assert medcouple(shuffled) == medcouple(x)
    assert medcouple(x * 2.0**power) == pytest.approx(medcouple(x), abs=1e-9)
    assert -1 <= medcouple(x) <= 1


@pytest.mark.parametrize("values", [[7.0], [1.0, 9.0], [3.0] * 8, [0.0, 1.0, 2.0], list(range(101))])
def test_symmetric_values_have_none(values):
    assert medcouple(np.array(values)) == 0


def test_it_is_that_of_the_distribution_and_far_values_do_not_sway_it():
    share = np.random.default_rng(0).uniform(-1, 1, 200_000)
    values = np.where(share > 0, 2 * share, share)
    known = medcouple(values)
    assert known == pytest.approx(1 / 3, abs=5e-3)  # twice as wide above the median as below it
    values[:20] = 1e12
    assert medcouple(values) == pytest.approx(known, abs=1e-3)


def test_half_of_the_values_at_the_median_leave_the_other_side_to_decide():
    zeros = [0.0] * 50
    assert medcouple(np.array([*zeros, *range(1, 30)])) == all_pairs([*zeros, *range(1, 30)])
    assert medcouple(np.array([*zeros, *range(1, 49)])) == all_pairs([*zeros, *range(1, 49)]) > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e308, 5e-324 * 2**3, 1e-300])
def test_the_ends_of_the_range_of_floats_are_in_range(scale):
    steps = np.array([0.0, 0.125, 0.25, 0.5, 1.0])
    assert medcouple(steps * scale) == pytest.approx(all_pairs(steps), rel=1e-12)
    assert medcouple(np.array([-1e308, 0.0, 1e308])) == 0


@pytest.mark.filterwarnings("error")
def test_infinity_counts_as_the_largest_number():
    assert medcouple(np.array([-np.inf, 0.0, np.inf])) == 0
    assert medcouple(np.array([0.0, 1.0, 2.0, 3.0, np.inf])) == medcouple(
        np.array([0.0, 1.0, 2.0, 3.0, 1e200])
    )
    assert medcouple(np.array([np.inf, np.inf])) == 0
    assert np.isfinite(medcouple(np.array([1.0, np.inf, np.inf, -np.inf])))


def test_no_value_has_none():
    assert np.isnan(medcouple(np.empty(0)))


def test_a_stage_asks_for_columns_and_any_partition_answers_the_same():
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "a": random.lognormal(size=500),
            "b": [None if i % 3 else i for i in range(500)],
            "none": pl.Series([None] * 500, dtype=pl.Float64),
        }
        | {f"c{i}": random.normal(size=500) for i in range(8)}
    )
    columns = frame.columns
    whole = Statistics([frame.lazy()]).medcouples(columns)
    shards = [frame.lazy().slice(at, size) for at, size in ((300, 200), (0, 0), (0, 1), (1, 299))]
    np.testing.assert_array_equal(Statistics(shards).medcouples(columns), whole)
    assert whole[0] == pytest.approx(all_pairs(frame["a"]), rel=1e-12)
    assert whole[1] == 0 and np.isnan(whole[2])
    assert Statistics(shards).medcouples([]).shape == Quantiles.empty([]).medcouples().shape == (0,)
