"""Rarities: counting every pair of values is the oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics.tails import as_numbers, rarities, share_rarity, tail_rarity

CELLS = st.lists(st.integers(-4, 4).map(float) | st.just(np.nan), min_size=1, max_size=25)


def counted(values: np.ndarray) -> np.ndarray:
    """Count, for each value, those on its side."""
    known = values[~np.isnan(values)]
    below = np.array([(known <= v).mean() for v in known])
    above = np.array([(known >= v).mean() for v in known])
    out = np.zeros(len(values))
    third = ((known - known.mean()) ** 3).sum() if len(known) else 0.0
    both = abs(third) < 1e-9  # exact numbers: their third moment is 0, or not near it
    out[~np.isnan(values)] = -np.log(below * above) if both else -np.log(np.minimum(below, above))
    return out


@given(CELLS)
def test_a_tail_is_the_share_of_values_as_far_out_on_the_same_side(cells: list) -> None:
    values = np.array(cells)
    np.testing.assert_allclose(tail_rarity(values), counted(values), atol=1e-12)


@given(CELLS, st.randoms())
def test_the_order_of_values_does_not_matter(cells: list, random) -> None:
    order = random.sample(range(len(cells)), len(cells))
    values = np.array(cells)
    np.testing.assert_array_equal(tail_rarity(values)[order], tail_rarity(values[order]))


@pytest.mark.parametrize("scale", [1e-200, 1e100])
def test_no_scale_overflows_or_vanishes(scale: float) -> None:
    values = np.random.default_rng(0).exponential(size=50)
    np.testing.assert_allclose(tail_rarity(values * scale), tail_rarity(values), rtol=1e-12)


def test_a_column_of_one_value_has_no_tail() -> None:
    assert (tail_rarity(np.full(5, 0.1)) == 0).all()
    assert (tail_rarity(np.array([np.nan, 3.0])) == 0).all()


def test_categories_have_the_rarity_of_their_share() -> None:
    codes = np.array([0, 0, 0, 1, np.nan, 0])
    np.testing.assert_allclose(share_rarity(codes, 2), -np.log([0.8, 0.8, 0.8, 0.2, 1.0, 0.8]))


def test_categories_put_together_are_no_more_frequent_than_the_rarest_told_apart() -> None:
    names = np.arange(10.0)  # a name for every row, of which two are told apart
    assert np.ptp(share_rarity(names, 2)) == 0
    few = np.array([0, 0, 0, 0, 1, 1, 2])  # the rest are rarer than those told apart
    np.testing.assert_allclose(share_rarity(few, 2)[-1], np.log(7))


def test_columns_come_in_order_each_by_its_kind() -> None:
    matrix = np.array([[1.0, 0], [2, 0], [9, 1], [np.nan, 0]])
    numbers, codes = rarities(matrix, [0, 2])
    np.testing.assert_array_equal(numbers, tail_rarity(matrix[:, 0]))
    np.testing.assert_array_equal(codes, share_rarity(matrix[:, 1], 2))


def test_codes_become_numbers_and_gaps_stay() -> None:
    matrix = np.array([[1.0, 0], [2, 1], [np.nan, np.nan], [3, 0]])
    out = as_numbers(matrix, [0, 2])
    np.testing.assert_array_equal(out[:, 0], matrix[:, 0])
    np.testing.assert_allclose(out[:, 1], [np.log(3 / 2), np.log(3), np.nan, np.log(3 / 2)])
    assert matrix[1, 1] == 1
