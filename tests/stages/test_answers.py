"""A target is read as what it is, and the columns as those that hold something."""

import numpy as np
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.stages.answers import Answers
from tilth.table import Roles, Table


def of(values):
    frame = pl.DataFrame({"a": range(len(values)), "y": values}, strict=False)
    return Answers.of(Table.of(frame, roles=Roles(target="y")), "a.stage")


@pytest.mark.parametrize(
    ("values", "codes", "names"),
    [
        (["b", None, "a"], [1, -1, 0], ["a", "b"]),
        ([True, False, None], [1, 0, -1], ["false", "true"]),
        ([3, 1, 3], [1, 0, 1], ["1", "3"]),
    ],
)
def test_texts_booleans_and_few_whole_numbers_are_classes(values, codes, names):
    found = of(values)
    assert found.values.tolist() == codes == found.codes.tolist()
    assert [name.lower() for name in found.names] == names
    assert found.known.tolist() == [v is not None for v in values]


@pytest.mark.parametrize("values", [[0.5, 1.0, None], [float(i) for i in range(30)]])
def test_other_numbers_are_values(values):
    found = of(values)
    assert found.names == []
    assert found.values.dtype == np.float64
    assert found.values[found.known].tolist() == [v for v in values if v is not None]
    assert not found.codes.any()


def test_a_target_without_a_value_is_known_nowhere():
    assert not of([None, None]).known.any()


def test_one_class_and_infinity_are_errors():
    with pytest.raises(DataError, match="has one class"):
        of(["a", "a"])
    with pytest.raises(DataError, match="infinite in 1 rows"):
        of([0.5, float("-inf")])


def test_of_a_class_that_would_go_the_best_row_is_spared():
    found = of(["a", "a", "b", "b", "c"])
    gone = np.array([True, True, True, False, True])
    assert found.spared(gone, np.array([1.0, 2.0, 3.0, 0.0, 0.0])).tolist() == [
        True,
        False,
        True,
        False,
        False,
    ]
