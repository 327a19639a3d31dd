"""Every container becomes the same frame."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import sparse

from tilth.errors import DataError
from tilth.probes import as_frame

FRAME = pl.DataFrame(
    {
        "n": [1.5, None, 3.0],
        "b": [True, False, None],
        "s": ["x", None, "y"],
        "d": [dt.datetime(2020, 1, 1), None, dt.datetime(2020, 1, 3)],
    }
)


def test_polars_comes_through_eager_or_lazy():
    assert_frame_equal(as_frame(FRAME), FRAME)
    assert_frame_equal(as_frame(FRAME.lazy()), FRAME)


@pytest.mark.parametrize("nullable", [False, True])
def test_pandas_becomes_the_same_columns_whatever_its_index(nullable):
    frame = FRAME.to_pandas(use_pyarrow_extension_array=nullable)
    frame.index = [7, 7, 7]
    assert_frame_equal(as_frame(frame), FRAME.with_columns(as_frame(frame)["d"]), check_dtypes=True)
    assert as_frame(frame)["d"].cast(pl.Datetime("us")).to_list() == FRAME["d"].to_list()


def test_pandas_masked_types_keep_their_gaps():
    frame = pd.DataFrame(
        {"i": pd.array([1, None], dtype="Int64"), "b": pd.array([None, True], dtype="boolean")}
    )
    assert as_frame(frame).to_dict(as_series=False) == {"i": [1, None], "b": [None, True]}


def test_pandas_categories_of_numbers_are_categories():
    frame = pd.DataFrame({"c": pd.Categorical([3, 1, None])})
    assert as_frame(frame)["c"].to_list() == ["3", "1", None]


def test_pandas_names_become_strings_and_must_be_unique():
    assert as_frame(pd.DataFrame([[1, 2]])).columns == ["0", "1"]
    with pytest.raises(DataError, match="repeated: a"):
        as_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_numpy_columns_are_numbered():
    frame = as_frame(np.arange(6).reshape(3, 2))
    assert frame.to_dict(as_series=False) == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    assert as_frame([[1, 2.5]]).rows() == [(1.0, 2.5)]
    assert as_frame(np.ones((2, 1), dtype=np.float16)).dtypes == [pl.Float32]


def test_object_columns_are_read_value_by_value():
    frame = as_frame(
        np.array(
            [[1, "x", True, 1, None], [2.5, None, False, "x", None], [None, "y", None, 2, None]], dtype=object
        )
    )
    assert frame.to_dict(as_series=False) == {
        "x0": [1.0, 2.5, None],
        "x1": ["x", None, "y"],
        "x2": [True, False, None],
        "x3": ["1", "x", "2"],
        "x4": [None, None, None],
    }
    assert as_frame(np.array([["a"], ["b"]])).dtypes == [pl.String]


def test_object_column_mixing_booleans_and_numbers_keeps_both_as_numbers():
    frame = as_frame(pd.DataFrame({"a": pd.Series([True, 2.5, None], dtype=object)}))
    assert frame["a"].to_list() == [1.0, 2.5, None]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.arange(3), "two dimensions"),
        (np.zeros((2, 2, 2)), "two dimensions"),
        (np.empty((3, 0)), "0 feature"),
        (np.ones((2, 1), dtype=complex), "Complex data not supported"),
        (sparse.eye(3), "sparse"),
    ],
)
def test_what_is_no_table_is_refused_with_the_way_out(table, message):
    with pytest.raises(DataError, match=message):
        as_frame(table)
