"""What comes in goes out: every container, its types, its index and its names."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import tilth
from tilth.errors import DataError, TypeMismatch
from tilth.table import Table
from tilth.table.container import enter, enter_column, free_name


def wide():
    """One pandas frame with every type that pandas users meet."""
    return pd.DataFrame(
        {
            "float": [1.5, np.nan, -0.0],
            "float32": np.array([1, 2, 3], np.float32),
            "int": [1, 2, 3],
            "int8": np.array([1, 2, 3], np.int8),
            "big": np.array([2**53 + 1, 2**62, 0]),
            "Int64": pd.array([1, None, 3], dtype="Int64"),
            "Float64": pd.array([1.0, None, 3.0], dtype="Float64"),
            "bool": [True, False, True],
            "boolean": pd.array([True, None, False], dtype="boolean"),
            "string": pd.array(["a", None, "ü"], dtype="string"),
            "object": ["x", None, "z"],
            "mixed": ["x", 1, 2.5],
            "ordered": pd.Categorical(["lo", "hi", None], categories=["lo", "mid", "hi"], ordered=True),
            "numbers": pd.Categorical([3, 1, 3], categories=[1, 2, 3]),
            "naive": pd.to_datetime(["2020-01-01", None, "2020-03-29"]),
            "zoned": pd.to_datetime(["2020-01-01", None, "2020-06-01"]).tz_localize("Europe/Berlin"),
            "junk": ["x", dt.date(2020, 1, 1), None],
            "gone": [pd.NA, "x", pd.NaT],
            "period": pd.PeriodIndex(["2020-01", None, "2020-02"], freq="M"),
            "delta": pd.to_timedelta(["1D", None, "3h"]),
            "arrow": pd.array([1, None, 3], dtype=pd.ArrowDtype(pa.int32())),
            "words": pd.array(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())),
        },
        index=["r", "r", "s"],
    )


def restored(X, **told):
    table = Table.of(X)
    return table.container.restore(table.frame.select(table.features), **told)


def test_an_untouched_pandas_frame_comes_back_as_it_was():
    frame = wide()
    pd.testing.assert_frame_equal(restored(frame), frame)
    pd.testing.assert_frame_equal(frame, wide())


@pytest.mark.parametrize("column", wide().columns)
def test_every_pandas_type_is_read_with_its_missing_cells(column):
    frame = wide()[[column]]
    inside = Table.of(frame).X()[column]
    assert inside.is_null().to_list() == frame[column].isna().to_list()


def test_pandas_rows_that_are_taken_keep_their_types_and_index():
    frame = wide()
    rows = np.array([2, 0, 0])
    table = Table.of(frame)
    taken = table.frame.select(table.features).collect()[rows].lazy()
    pd.testing.assert_frame_equal(table.container.restore(taken, rows=rows), frame.iloc[rows])


def test_rows_made_anew_get_a_new_index_and_the_types_that_came():
    frame = wide().drop(columns="period")  # no stage makes a period
    rows = np.array([0, 1, -1, 2])
    table = Table.of(frame)
    taken = table.X()[[0, 1, 0, 2]].lazy()
    out = table.container.restore(taken, rows=rows)
    assert out.dtypes.to_dict() == frame.dtypes.to_dict()
    pd.testing.assert_frame_equal(out.iloc[[0, 1, 3]].set_axis(frame.index), frame)
    assert out["big"].tolist() == [2**53 + 1, 2**62, 2**53 + 1, 0]
    assert out.index.tolist() == [0, 1, 2, 3]


def test_a_touched_column_is_taken_from_the_query():
    frame = wide()[["float", "string"]]
    table = Table.of(frame)
    out = table.container.restore(
        table.frame.select(pl.col("float").fill_null(9.0), "string"), touched={"float"}
    )
    assert out["float"].tolist() == [1.5, 9.0, -0.0]
    assert out["string"].dtype == frame["string"].dtype
    assert out.index.tolist() == ["r", "r", "s"]


def test_a_touched_column_keeps_its_nullable_type_and_its_large_numbers():
    frame = pd.DataFrame(
        {"n": pd.array([2**62 + 1, None], dtype="Int64"), "b": pd.array([True, None], dtype="boolean")}
    )
    out = restored(frame, touched={"n", "b"})
    pd.testing.assert_frame_equal(out, frame)


@pytest.mark.parametrize("names", [[0, 1], [1.5, "b"], [("a", 1), ("b", 2)], [None, "x"], ["", " "]])
def test_names_that_are_no_strings_come_back(names):
    frame = pd.DataFrame([[1.0, 2.0]])
    frame.columns = pd.Index(names) if not isinstance(names[0], tuple) else pd.MultiIndex.from_tuples(names)
    out = restored(frame)
    assert list(out.columns) == list(frame.columns)


@pytest.mark.parametrize("columns", [["a", "a"], [1, "1"]])
def test_names_that_repeat_are_refused(columns):
    with pytest.raises(DataError, match="must be unique; repeated"):
        Table.of(pd.DataFrame([[1, 2]], columns=columns))


@pytest.mark.parametrize(
    "dtype", ["int8", "uint64", "float16", "float32", "float64", "bool", ">f8", "<i4", "longdouble"]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numbers_come_back_equal(dtype, order):
    array = np.array([[1, 0, 1], [0, 1, 1]], dtype=dtype, order=order)
    array.setflags(write=False)
    out = restored(array)
    assert isinstance(out, np.ndarray)
    np.testing.assert_array_equal(out, array)


def test_arrays_of_objects_come_back_cell_for_cell():
    array = np.array([["a", 1], [None, 2.5]], dtype=object)
    assert Table.of(array).X().dtypes == [pl.String, pl.Float64]
    out = restored(array)
    assert out.tolist() == [["a", 1.0], [None, 2.5]]


def test_columns_of_many_types_are_text_and_of_many_numbers_are_numbers():
    cells = {
        "text": [dt.date(2020, 1, 1), "x", Decimal("1.50")],
        "number": [True, 2, 2.5],
        "gone": [pd.NA, 1, np.float32("nan")],
        "wide": [2**70, 1, None],
    }
    frame = Table.of(pd.DataFrame({n: pd.Series(c, dtype=object) for n, c in cells.items()})).X()
    assert frame["text"].to_list() == ["2020-01-01", "x", "1.50"]
    assert frame["number"].to_list() == [1.0, 2.0, 2.5]
    assert frame["gone"].to_list() == [None, 1, None]
    assert frame["wide"].to_list() == [2**70, 1, None]


def test_dates_in_arrays_are_dates():
    array = np.array([["2020-01-01"], ["NaT"]], dtype="datetime64[D]")
    assert Table.of(array).kinds == {"x0": "datetime"}
    assert Table.of(array).X()["x0"].null_count() == 1


def test_lists_of_rows_are_read_as_arrays():
    assert restored([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("form", ["polars", "lazy", "arrow"])
def test_polars_and_arrow_come_back_as_they_were(form):
    frame = pl.DataFrame(
        {
            "e": pl.Series(["a", None], dtype=pl.Enum(["b", "a"])),
            "c": pl.Series(["x", "y"], dtype=pl.Categorical),
            "l": [[1.0], None],
            "d": pl.Series([Decimal("1.10"), None], dtype=pl.Decimal(10, 2)),
            "t": [dt.time(1), None],
            "u": pl.Series([1, None], dtype=pl.UInt8),
            "n": pl.Series([None, None], dtype=pl.Null),
        }
    )
    if form == "arrow":
        frame = frame.drop("n")
    X = {"polars": frame, "lazy": frame.lazy(), "arrow": frame.to_arrow()}[form]
    out = restored(X)
    assert type(out) is type(X)
    back = out.collect() if form == "lazy" else pl.from_arrow(out) if form == "arrow" else out
    assert back.schema == frame.schema
    assert back.equals(frame)


def test_numbers_leave_as_one_array_whatever_the_number_of_blocks():
    rows = 65_536 * 2 + 5
    frame = pl.LazyFrame({"a": np.arange(rows), "b": np.arange(rows) * 0.5})
    container = Table.of(np.zeros((1, 1))).container
    out = container.restore(frame.with_columns(pl.col("a") * 2), fused=True)
    assert out.shape == (rows, 2)
    np.testing.assert_array_equal(out, container.restore(frame.with_columns(pl.col("a") * 2)))


def test_whole_numbers_that_meet_a_null_in_a_later_block_become_floats():
    rows = 65_536 + 5
    values = pl.Series([1] * (rows - 1) + [None], dtype=pl.Int64)
    out = Table.of(np.zeros((1, 1))).container.restore(pl.LazyFrame({"a": values}), fused=True)
    assert out[0, 0] == 1
    assert np.isnan(out[-1, 0])


class TestRefusals:
    """What cannot be read says what to pass instead."""

    def test_sparse_data(self):
        with pytest.raises(TypeError, match="toarray"):
            Table.of(sparse.csr_matrix(np.eye(2)))

    @pytest.mark.parametrize("X", [[1, 2, 3], np.zeros(3), np.zeros((2, 2, 2)), 5])
    def test_another_number_of_dimensions(self, X):
        with pytest.raises(DataError, match="two dimensions"):
            enter(X)

    def test_complex_numbers(self):
        with pytest.raises(DataError, match="Complex"):
            Table.of(np.array([[1 + 2j], [3j]]))

    def test_cells_that_are_no_values(self):
        with pytest.raises(TypeError, match=r"'x0'.*string or a real number.*'dict'"):
            Table.of(np.array([[{"a": 1}], ["x"]], dtype=object))

    def test_complex_numbers_in_pandas(self):
        with pytest.raises(DataError, match="Complex"):
            Table.of(pd.DataFrame({"a": [1 + 2j]}))

    def test_cells_that_hold_arrays_and_texts(self):
        with pytest.raises(TypeMismatch, match=r"'a'.*not 'list'"):
            Table.of(pd.DataFrame({"a": pd.Series([np.ones(2), "x"], dtype=object)}))

    def test_a_pyarrow_array(self):
        with pytest.raises(DataError, match="pyarrow Table"):
            Table.of(pa.array([1, 2]))


class TestColumns:
    """Target, weight and group, passed beside the table."""

    @pytest.mark.parametrize(
        "values",
        [
            [1, 2, 3],
            (1, 2, 3),
            np.array([1, 2, 3]),
            np.array([[1], [2], [3]]),
            pd.Series([1, 2, 3], index=[7, 7, 8]),
            pd.DataFrame({"y": [1, 2, 3]}),
            pd.Series([1, 2, 3], dtype="Int64"),
            pl.Series([1, 2, 3]),
            pd.array([1, 2, 3], dtype="Int64"),
            pa.array([1, 2, 3]),
            pa.chunked_array([[1, 2], [3]]),
        ],
        ids=lambda v: f"{type(v).__module__}.{type(v).__name__}",
    )
    def test_every_container_is_read(self, values):
        assert enter_column(values, "target").to_list() == [1, 2, 3]

    def test_nan_is_missing(self):
        for values in ([1.0, np.nan], pd.Series([1.0, np.nan]), pl.Series([1.0, np.nan])):
            assert enter_column(values, "target").to_list() == [1.0, None]

    def test_two_columns_are_refused(self):
        with pytest.raises(DataError, match=r"weight must have one value per row; its shape is \(2, 2\)"):
            enter_column(np.ones((2, 2)), "weight")

    def test_categories_stay_categories(self):
        bare = pd.Categorical(["a", "b"], categories=["b", "a"])
        for values in (bare, pd.Series(bare)):
            assert enter_column(values, "target").to_list() == ["a", "b"]


def test_a_free_name_repeats_no_other():
    assert free_name("a", ["b"]) == "a"
    assert free_name("a", ["a", "a_"]) == "a__"


def test_categories_of_numbers_are_categories_and_come_back_as_numbers() -> None:
    frame = pd.DataFrame({"a": pd.Categorical([3, 1, None, 3]), "b": [1.0, 2.0, 3.0, 4.0]})
    assert Table.of(frame).kinds == {"a": "categorical", "b": "numeric"}
    assert Table.of(frame).X()["a"].to_list() == ["3", "1", None, "3"]
    scaled = tilth.ScaleStandard().fit_transform(frame)
    pd.testing.assert_series_equal(scaled["a"], frame["a"])
    fresh = Table.of(frame).container.restore(
        Table.of(frame).frame.select("a", "b"), rows=np.array([0, 1, 2, -1])
    )
    pd.testing.assert_series_equal(fresh["a"], frame["a"])
