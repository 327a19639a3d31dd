"""New data must look like the data learned from: by name and kind, whatever the order."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tilth.core import conform, schema_of
from tilth.core.schema import read_type
from tilth.errors import ColumnError, DataError
from tilth.table import Table, kind_of

LEARNED = schema_of(Table.of(pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [True, False]})))


def test_columns_are_put_in_their_order():
    out = conform(Table.of(pl.DataFrame({"c": [True], "b": ["z"], "a": [3]})), LEARNED, "Here")
    assert out.features == ["a", "b", "c"]
    assert out.X().rows() == [(3, "z", True)]


def test_the_target_and_ids_stay_beside():
    table = Table.of(pl.DataFrame({"c": [True], "b": ["z"], "a": [3]}), [1])
    out = conform(table, LEARNED, "Here")
    assert out.y.to_list() == [1]
    assert out.ids.tolist() == [0]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (
            {"a": [1], "bb": ["x"], "c": [True]},
            "Here: no column 'b' (did you mean 'bb'?). Columns here: a, bb, c.",
        ),
        ({"a": [1], "b": ["x"], "c": [True], "d": [0]}, "Here: unexpected column 'd'"),
        ({"a": ["1"], "b": ["x"], "c": [True]}, "Here: column 'a' is String, but it was Int64"),
        ({"a": [1], "b": [2], "c": [True]}, "Here: column 'b' is Int64, but it was String"),
        ({"a": [1], "b": ["x"], "c": [1]}, "Here: column 'c' is Int64, but it was Boolean"),
    ],
)
def test_another_column_is_named(frame, told):
    with pytest.raises(ColumnError) as caught:
        conform(Table.of(pl.DataFrame(frame)), LEARNED, "Here")
    assert told in str(caught.value)


def test_numbers_of_another_width_are_numbers():
    out = conform(Table.of(pl.DataFrame({"a": [1.5], "b": ["x"], "c": [True]})), LEARNED, "Here")
    assert out.X()["a"].to_list() == [1.5]


def test_a_column_without_values_takes_the_type_learned():
    frame = pl.DataFrame({"a": [None], "b": [None], "c": [None]})
    out = conform(Table.of(frame), LEARNED, "Here")
    assert out.X().dtypes == [pl.Int64, pl.String, pl.Boolean]
    assert out.X().row(0) == (None, None, None)


def test_arrays_are_matched_by_position():
    learned = schema_of(Table.of(pd.DataFrame({"a": [1.0], "b": [2.0]})))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        out = conform(Table.of(np.array([[1.0, 2.0]])), learned, "Here")
    assert out.features == ["a", "b"]
    with pytest.raises(DataError, match="X has 3 features, but Here is expecting 2 features as input"):
        conform(Table.of(np.ones((1, 3))), learned, "Here")


def test_an_array_after_an_array_makes_no_noise():
    learned = schema_of(Table.of(np.ones((2, 2))))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conform(Table.of(np.ones((1, 2))), learned, "Here").features == ["x0", "x1"]


@pytest.mark.parametrize(
    "dtype",
    [
        *(
            pl.Int8(),
            pl.UInt64(),
            pl.Int128(),
            pl.Float32(),
            pl.Boolean(),
            pl.String(),
            pl.Binary(),
            pl.Null(),
        ),
        *(pl.Date(), pl.Time(), pl.Duration("ms"), pl.Datetime("us"), pl.Datetime("ns", "Europe/Berlin")),
        *(pl.Categorical(), pl.Enum(["a", "b(c)"]), pl.Decimal(20, 3)),
        *(pl.List(pl.Int8()), pl.List(pl.String()), pl.Array(pl.Float32(), 3), pl.List(pl.List(pl.Int8()))),
        pl.Struct({"a": pl.Int8()}),
    ],
    ids=str,
)
def test_the_kind_of_any_type_is_read_back_from_its_text(dtype):
    assert kind_of(read_type(str(dtype))) == kind_of(dtype)
