"""ImputeDrop: pandas' dropna over columns is the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core import fit
from tilth.errors import DataError
from tilth.stages.impute.drop import ImputeDrop
from tilth.table import Table


@given(
    st.lists(st.lists(st.booleans(), min_size=10, max_size=10), min_size=1, max_size=6), st.integers(0, 10)
)
def test_the_columns_left_are_those_of_pandas(holes: list, tenths: int) -> None:
    cells = {f"c{i}": [None if hole else 1.0 for hole in column] for i, column in enumerate(holes)}
    frame = pd.DataFrame(cells | {"whole": 1.0})
    left = ImputeDrop(share=tenths / 10).fit_transform(frame)
    assert list(left) == list(frame.dropna(axis=1, thresh=10 - tenths))


def test_new_rows_lose_the_columns_of_the_fit_whatever_they_miss() -> None:
    stage = ImputeDrop().fit(pl.DataFrame({"a": [1, 2, None], "b": [None, None, 3], "c": [1, 2, 3]}))
    new = pl.DataFrame({"a": [None, None], "b": [1, 2], "c": [None, 5]}, schema_overrides={"a": pl.Int64})
    assert stage.transform(new).equals(new.drop("b"))
    assert stage.get_feature_names_out().tolist() == ["a", "c"]


def test_columns_of_every_kind_may_go() -> None:
    gone = {"n": [None, None, 1.0], "t": [None, None, "x"], "b": [None, None, True], "v": [None, None, [1.0]]}
    empty = {"z": pl.Series([None] * 3, dtype=pl.Null), "d": pl.Series([None] * 3, dtype=pl.Date)}
    frame = pl.DataFrame(gone | empty | {"kept": [1, 2, 3]})
    assert ImputeDrop().fit_transform(frame).columns == ["kept"]


def test_on_says_which_columns_may_go() -> None:
    frame = pl.DataFrame({"a": [None, 1.0], "b": [None, 2.0], "t": [None, "x"]})
    assert ImputeDrop(share=0.4, on="~(a | t)").fit_transform(frame).columns == ["a", "t"]
    assert ImputeDrop(share=0.4, on=["t"]).fit_transform(frame).columns == ["a", "b"]


def test_what_is_removed_is_reported_and_stands_in_the_ledger() -> None:
    frame = pl.DataFrame({"a": [None, None, None, 4.0], "b": [1, 2, 3, None], "c": [1, 2, 3, 4]})
    done = fit([("drop", ImputeDrop())], Table.of(frame, [0, 1, 0, None]))
    assert done.table.features == ["b", "c"]
    assert done.ledger.columns.rows() == [("drop", "a", "removed", None)]
    (found,) = done.findings
    assert (found.kind, found.columns, found.score, found.n_rows) == ("missing.dropped", ("a",), 0.75, 3)
    assert found.message == "'a' misses 3 of 4 cells (75.0%) and is removed."


def test_columns_that_stay_keep_their_pandas_type() -> None:
    frame = pd.DataFrame(
        {
            "gone": [np.nan, np.nan, 1.0],
            "kept": pd.array([1, None, 2**60 + 1], dtype="Int64"),
            "k": [1, 2, 3],
        },
        index=[7, 7, 8],
    )
    pd.testing.assert_frame_equal(ImputeDrop().fit_transform(frame), frame[["kept", "k"]])


def test_nothing_is_left_is_refused() -> None:
    frame = pl.DataFrame({"a": [None, None, 1.0], "b": [None, None, "x"]})
    with pytest.raises(DataError, match="misses more than 50% of its cells"):
        ImputeDrop().fit(frame)
    assert ImputeDrop(on="a").fit_transform(frame).columns == ["b"]
