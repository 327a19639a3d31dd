"""How many rows a class is to have: counts as imbalanced-learn's sampling strategies give them."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.stages.classes import Classes, place_of
from tilth.stages.ratios import fewer_rows, more_rows

COUNTS = st.lists(st.integers(1, 40), min_size=2, max_size=4)


def classes_of(counts):
    return Classes.of(pl.Series("y", [f"c{i}" for i, n in enumerate(counts) for _ in range(n)]), "stage")


@given(COUNTS, st.floats(0.05, 1))
def test_shares_of_the_largest_and_of_the_smallest(counts, ratio):
    classes, have = classes_of(counts), np.array(counts)
    more, fewer = more_rows(classes, ratio, "s"), fewer_rows(classes, ratio, "s")
    assert (more == np.maximum(have, int(ratio * have.max()))).all()
    assert (fewer == np.minimum(have, int(have.min() / ratio))).all()
    assert (more >= have).all() and (fewer <= have).all()


def test_equal_is_all_alike():
    classes = classes_of([3, 9, 5])
    assert more_rows(classes, "equal", "s").tolist() == [9, 9, 9]
    assert fewer_rows(classes, "equal", "s").tolist() == [3, 3, 3]


def test_classes_named_get_what_they_are_given():
    classes = classes_of([3, 9, 5])
    assert more_rows(classes, {"c0": 7}, "s").tolist() == [7, 9, 5]
    assert fewer_rows(classes, {"c1": 0, "c2": 5}, "s").tolist() == [3, 0, 5]
    with pytest.raises(DataError, match=r"asks for 2 rows of class 'c0', which has 3.*balance.under"):
        more_rows(classes, {"c0": 2}, "s")
    with pytest.raises(DataError, match=r"asks for 20 rows of class 'c1', which has 9.*balance.over"):
        fewer_rows(classes, {"c1": 20}, "s")
    with pytest.raises(DataError, match=r"s: ratio: names the class 'd', and the classes are 'c0', 'c1'"):
        more_rows(classes, {"d": 2}, "s")


def test_a_class_is_named_as_it_stands_in_the_target():
    assert place_of(1, ["0", "1"], "s") == 1
    assert place_of(True, ["False", "True"], "s") == place_of(True, ["false", "true"], "s") == 1
    assert place_of("yes", ["no", "yes"], "s") == 1
    with pytest.raises(DataError, match="'Yes'"):
        place_of("Yes", ["no", "yes"], "s")
