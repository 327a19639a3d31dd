"""Targets of two dimensions: read as one column, and given back as they came."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tilth.errors import DataError
from tilth.table import Table
from tilth.table.container import enter_column
from tilth.table.target import as_given, one_column

COLUMN = {
    "numpy": np.array([[3], [1], [2]], np.int32),
    "pandas": pd.DataFrame({7: pd.array([3, 1, 2], dtype="Int64")}),
    "polars": pl.DataFrame({"y": pl.Series(["c", "a", "b"], dtype=pl.Enum(["a", "b", "c"]))}),
    "arrow": pa.table({"y": [3, 1, 2]}),
}
HOT = {
    "numpy": np.array([[0, 1], [1, 0], [0, 1]], np.int8),
    "boolean": np.array([[False, True], [True, False], [False, True]]),
    "pandas": pd.get_dummies(pd.Series(["q", "p", "q"])),
    "polars": pl.DataFrame({"p": [0, 1, 0], "q": [1.0, 0.0, 1.0]}),
    "arrow": pa.table({"p": [0, 1, 0], "q": [1, 0, 1]}),
    "list": [[0, 1], [1, 0], [0, 1]],
}


def same(one, two) -> bool:
    if isinstance(two, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two)
    if isinstance(two, pd.DataFrame):
        return one.equals(two) and one.columns.equals(two.columns)
    return bool(one.equals(two))


@pytest.mark.parametrize("form", COLUMN)
def test_one_column_comes_back_in_the_frame_it_came_in(form: str) -> None:
    given = COLUMN[form]
    column = enter_column(one_column(given), "target")
    assert len(column) == 3
    assert same(as_given(column, given), given)


@pytest.mark.parametrize("form", HOT)
def test_one_hot_is_the_number_of_the_column_and_comes_back(form: str) -> None:
    given = HOT[form]
    column = one_column(given)
    assert column.tolist() == [1, 0, 1]
    if form != "list":
        assert same(as_given(pl.Series(column), given), given)


@pytest.mark.parametrize(
    "given",
    [
        np.array([[1, 1], [0, 1]]),
        np.array([[0, 0], [0, 1]]),
        np.array([[0.5, 0.5], [0, 1]]),
        np.array([[np.nan, 1], [0, 1]]),
        np.array([["a", "b"], ["c", "d"]]),
        pd.DataFrame({"a": [1, 1], "b": [0, 2]}),
    ],
    ids=["two ones", "no one", "shares", "gaps", "texts", "numbers"],
)
def test_several_targets_are_refused_in_the_words_imbalanced_learn_uses(given) -> None:
    with pytest.raises(DataError, match="Multilabel and multioutput targets are not supported"):
        one_column(given)


def test_what_has_one_dimension_stays_as_it_is() -> None:
    for values in ([1, 2], ["a", "b"], np.array([1, 2]), pd.Series([1, 2]), pl.Series([1, 2]), []):
        assert one_column(values) is values


def test_a_table_takes_a_one_hot_target() -> None:
    table = Table.of(pl.DataFrame({"a": [1, 2, 3]}), HOT["numpy"])
    assert table.y.to_list() == [1, 0, 1]
    with pytest.raises(DataError, match="weight must have one value per row"):
        Table.of(pl.DataFrame({"a": [1, 2, 3]}), [0, 1, 0], sample_weight=HOT["numpy"])
