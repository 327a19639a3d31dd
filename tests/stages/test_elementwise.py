"""Columns changed cell by cell by functions of arrays."""

import numpy as np
import polars as pl

from tilth.stages.elementwise import mapped


def test_each_column_gets_its_function_and_keeps_gaps_name_and_width() -> None:
    frame = pl.LazyFrame(
        {
            "a": [1, None, 3],
            "b": pl.Series([1.0, 4.0, None], dtype=pl.Float32),
            "c": [1.0, 2.0, 3.0],
            "d": ["x", None, "z"],
        }
    )
    out = mapped(frame, {"a": np.sqrt, "b": np.sqrt}, ["a", "b", "c"]).collect()
    assert out.schema == {"a": pl.Float64, "b": pl.Float32, "c": pl.Float64, "d": pl.String}
    assert out["a"].to_list() == [1.0, None, np.sqrt(3)] and out["b"].to_list() == [1.0, 2.0, None]
    assert out["c"].to_list() == [1.0, 2.0, 3.0] and out["d"].to_list() == ["x", None, "z"]


def test_without_columns_nothing_is_asked_for() -> None:
    frame = pl.LazyFrame({"a": [1]})
    assert mapped(frame, {}, []) is frame


def test_no_rows_and_no_values_stay() -> None:
    empty = pl.LazyFrame({"a": []}, schema={"a": pl.Float64})
    assert mapped(empty, {"a": np.sqrt}, ["a"]).collect().height == 0
    nothing = pl.LazyFrame({"a": [None, None]}, schema={"a": pl.Int8})
    assert mapped(nothing, {"a": np.sqrt}, ["a"]).collect()["a"].null_count() == 2


def test_the_function_does_not_change_what_came_in() -> None:
    def double(values: np.ndarray) -> np.ndarray:
        return 2 * values

    frame = pl.DataFrame({"a": [1.0, 2.0]})
    assert mapped(frame.lazy(), {"a": double}, ["a"]).collect()["a"].to_list() == [2.0, 4.0]
    assert frame["a"].to_list() == [1.0, 2.0]
