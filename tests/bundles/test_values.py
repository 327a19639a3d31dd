"""Values survive JSON and files exactly; what is not known is refused with its place."""

import datetime as dt
import json
import math
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from tilth.bundles.values import TAG, Parts, decode, encode
from tilth.core.finding import Finding
from tilth.core.stage import ColumnStage
from tilth.errors import BundleError, UnknownName
from tilth.stages import stage
from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table import Selector


def round_trip(value):
    parts = Parts()
    text = json.dumps(encode(value, parts, "here"), allow_nan=False)
    return decode(json.loads(text), parts)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.times().map(lambda t: t.replace(fold=0))
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
)
keys = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.sampled_from([TAG, "of"]))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner)
    ),
    max_leaves=15,
)


@settings(max_examples=60)
@given(values)
def test_plain_values_come_back_equal_and_of_the_same_type(value):
    back = round_trip(value)
    assert back == value
    assert repr(back) == repr(value)


@given(st.frozensets(st.integers() | st.text()) | st.sets(st.tuples(st.floats(allow_nan=False))))
def test_sets_come_back(value):
    assert round_trip(value) == value
    assert type(round_trip(value)) is type(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_know_come_back(value):
    assert str(round_trip({"a": [value]})["a"][0]) == str(value)


def test_a_time_zone_and_the_second_of_two_equal_hours_come_back():
    moment = dt.datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Oslo"), fold=1)
    back = round_trip(moment)
    assert back == moment
    assert back.tzinfo is moment.tzinfo
    assert back.utcoffset() == moment.utcoffset()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3).astype(d)
        for d in (
            "f2",
            "f4",
            "f8",
            "i1",
            "i2",
            "i4",
            "i8",
            "u1",
            "u2",
            "u4",
            "u8",
            "c8",
            "c16",
            ">f8",
            ">i4",
            "bool",
        )
    ]
    + [
        np.array(3.5),
        np.empty((0, 3)),
        np.array(["a", "bcd", ""]),
        np.array([b"a", b"bc"]),
        np.array(["2024-01-01", "NaT"], "M8[ns]"),
        np.array([1, 2], "m8[s]"),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10)[::-2],
        np.array([np.nan, np.inf, -0.0]),
        np.array([["a", None], [1, 2.5]], dtype=object),
        np.empty(0, dtype=object),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_with_type_shape_and_bits(array):
    back = round_trip(array)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "value", [np.float64(0.1), np.int32(-3), np.bool_(True), np.str_("a"), np.datetime64("2024", "D")]
)
def test_scalars_of_numpy_stay_of_numpy(value):
    back = round_trip(value)
    assert back == value
    assert type(back) is type(value)


def test_series_frames_and_types_come_back():
    frame = pl.DataFrame(
        {
            "enum": pl.Series(["a", None], dtype=pl.Enum(["b", "a"])),
            "category": pl.Series(["x", "y"], dtype=pl.Categorical),
            "list": [[1, 2], None],
            "array": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float32, 2)),
            "zoned": pl.Series([0, 1]).cast(pl.Datetime("ms", "Europe/Oslo")),
            "decimal": pl.Series([Decimal("1.50"), None], dtype=pl.Decimal(10, 2)),
            "null": [None, None],
            "nan": [math.nan, 1.0],
            "id": pl.Series([2**64 - 1, 0], dtype=pl.UInt64),
        }
    )
    assert_frame_equal(round_trip({"a": frame})["a"], frame)
    assert_frame_equal(round_trip(frame.clear()), frame.clear())
    for series in frame:
        assert_series_equal(round_trip(series), series)
        assert round_trip(series.dtype) == series.dtype
    assert round_trip(pl.Int64) == pl.Int64


def test_tensors_come_back():
    torch = pytest.importorskip("torch")
    for tensor in (
        torch.arange(6.0).reshape(2, 3).T,
        torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        torch.tensor(3),
        torch.nn.Parameter(torch.ones(2)),
    ):
        back = round_trip(tensor)
        assert back.dtype == tensor.dtype
        assert torch.equal(back, tensor)


def test_findings_and_selectors_come_back():
    finding = Finding("a.b", "words", 0.5, "high", ("x",), (1, 2**63), 9, {"impute.simple": {}}, "s")
    assert round_trip([finding]) == [finding]
    assert round_trip(Selector("numeric") - Selector("a")) == Selector("(numeric) - (a)")


def test_estimators_go_to_parts_and_come_back_from_them():
    from sklearn.linear_model import LogisticRegression

    model, parts = LogisticRegression(), Parts()
    told = encode({"model": model}, parts, "here")
    assert parts.estimators == [model]
    assert decode(told, parts) == {"model": model}


@pytest.mark.parametrize(
    "value",
    [object(), lambda: 0, int, np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]), 1j, b"bytes", range(3)],
)
def test_what_is_not_known_is_refused_with_its_place(value):
    with pytest.raises(BundleError, match="Step 'x', thing_: a bundle cannot hold"):
        encode({"deep": [value]}, Parts(), "Step 'x', thing_")


def test_how_columns_are_read_comes_back_and_reads_the_same():
    rows = pl.DataFrame(
        {
            "a": [1.5, None, 3.0],
            "level": pl.Series(["lo", "hi", None], dtype=pl.Enum(["lo", "hi", "top"])),
            "day": [dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)],
        }
    )
    reading = Reading.learn(Statistics([rows.lazy()]), rows.columns)
    back = round_trip(reading)
    assert isinstance(back, Reading) and back.schema == reading.schema and back.levels == reading.levels
    np.testing.assert_array_equal(back.matrix(rows), reading.matrix(rows))


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({TAG: "pickle", "of": "gASVDg=="}, BundleError),
        ({TAG: "array", "of": 0, "dtype": "|O8", "shape": [1]}, ValueError),
        ({TAG: "array", "of": 0, "dtype": "<f8", "shape": [1]}, ValueError),
        ({TAG: "array", "of": -1, "dtype": "<i8", "shape": [1]}, ValueError),
        ({TAG: "array", "of": 0, "dtype": "<i8", "shape": [2**62, 2**62]}, ValueError),
        ({TAG: "array", "of": 0, "dtype": "V8", "shape": [1]}, ValueError),
        ({TAG: "array", "of": 0, "dtype": "<i8", "shape": [-1, -1]}, ValueError),
        ({TAG: "estimator", "of": 0}, ValueError),
        ({TAG: "estimator", "of": "0"}, ValueError),
        ({TAG: "finding", "of": {"kind": "a"}}, TypeError),
        ({TAG: "finding", "of": {"kind": "a", "message": "", "score": math.nan}}, ValueError),
        ({TAG: "ledger", "of": {"__class__": 1}}, TypeError),
        ({TAG: "float", "of": "1"}, KeyError),
        ({TAG: "dict", "of": [[[], 1]]}, TypeError),
        ({TAG: "decimal", "of": "x"}, ArithmeticError),
        ({TAG: "datetime", "of": "2024-01-01", "zone": "../../etc/passwd", "fold": 0}, ValueError),
        ({TAG: ["list"]}, TypeError),
    ],
)
def test_tags_that_hold_what_they_should_not_raise_what_reading_catches(value, error):
    from tilth.bundles.bundle import _BROKEN

    assert issubclass(error, BundleError) or issubclass(error, _BROKEN)
    with pytest.raises(error):
        decode(value, Parts(arrays=[np.arange(1)]))


def test_a_fitted_stage_comes_back_with_what_it_learned():
    rows = pl.DataFrame({"a": [1.0, None, 5.0], "b": ["x", None, "x"]})
    one = stage("impute.simple", numeric="mean", indicator=True, on=["a"]).fit(rows)
    two = round_trip({"inside": [one]})["inside"][0]
    assert type(two) is type(one)
    assert two.get_params() == one.get_params()
    assert two.transform(rows).equals(one.transform(rows))


def test_a_stage_of_code_of_ones_own_or_of_an_unknown_key_is_refused():
    class Mine(ColumnStage):
        pass

    with pytest.raises(BundleError, match="is code of your own"):
        round_trip(Mine())
    with pytest.raises(UnknownName, match=r"impute\.simpel"):
        decode({TAG: "stage", "of": {"key": "impute.simpel", "params": {}, "state": {}}}, Parts())
    with pytest.raises(BundleError, match="not the name of something learned"):
        state = {"key": "impute.simple", "params": {}, "state": {"change": 1}}
        decode({TAG: "stage", "of": state}, Parts())
