"""The inner split keeps proportions, loses no row, and touches no global state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.training import inner_split


@given(
    classes=st.lists(st.integers(0, 4), min_size=1, max_size=200),
    share=st.floats(0, 0.5),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=80, deadline=None)
def test_parts_are_disjoint_complete_and_proportional(classes, share, seed):
    target = np.array(classes)
    training, validation = inner_split(target, share, seed, stratified=True)
    assert sorted([*training, *validation]) == list(range(len(target)))
    for label, count in zip(*np.unique(target, return_counts=True), strict=True):
        aside = np.sum(target[validation] == label)
        assert abs(aside - share * count) < 1.0001 or count == 1
        assert np.sum(target[training] == label) >= 1


def test_class_of_one_row_stays_in_training():
    target = np.array([0] * 50 + [1] * 50 + [2])
    for seed in range(20):
        assert 100 in inner_split(target, 0.5, seed, stratified=True)[0]


def test_unstratified_split_has_the_asked_size_and_depends_on_the_seed():
    values = np.zeros(1000)
    first, second = inner_split(values, 0.15, 0)[1], inner_split(values, 0.15, 1)[1]
    assert len(first) == len(second) == 150
    assert not np.array_equal(first, second)
    assert np.array_equal(first, inner_split(values, 0.15, 0)[1])


def test_share_above_half_is_refused():
    with pytest.raises(ValueError, match=r"between 0 and 0.5"):
        inner_split(np.zeros(10), 0.6, 0)
