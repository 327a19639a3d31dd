"""ImputeSimple: scikit-learn's SimpleImputer and MissingIndicator are the oracle."""

from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import MissingIndicator, SimpleImputer

from tilth.errors import ColumnError, DataError
from tilth.stages.impute.simple import ImputeSimple
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(0, 1, 200), rng.integers(0, 9, 200), rng.lognormal(3, 2, 200)])
    X[rng.random(X.shape) < 0.2] = np.nan
    return X


@pytest.mark.parametrize("strategy", ["median", "mean", "most_frequent"])
def test_numbers_are_filled_as_by_scikit_learn(matrix: np.ndarray, strategy: str) -> None:
    ours = ImputeSimple(numeric=strategy).fit_transform(matrix)
    np.testing.assert_allclose(ours, SimpleImputer(strategy=strategy).fit_transform(matrix), rtol=1e-12)


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), min_size=1, max_size=40))
def test_any_median_equals_numpys(cells: list) -> None:
    known = [c for c in cells if c is not None]
    frame = pl.DataFrame({"a": pl.Series(cells, dtype=pl.Float64)})
    expected = np.median(known) if known else 0.0
    assert ImputeSimple().fit(frame).values_["a"] == pytest.approx(expected, rel=1e-12)


def test_a_constant_is_filled_as_by_scikit_learn(matrix: np.ndarray) -> None:
    ours = ImputeSimple(numeric="constant", fill_value=-7.5).fit_transform(matrix)
    theirs = SimpleImputer(strategy="constant", fill_value=-7.5).fit_transform(matrix)
    np.testing.assert_array_equal(ours, theirs)


def test_new_rows_get_what_was_learned(matrix: np.ndarray) -> None:
    ours, peer = ImputeSimple().fit(matrix), SimpleImputer(strategy="median").fit(matrix)
    new = np.array([[np.nan, np.nan, np.nan], [1.0, np.nan, 2.0]])
    np.testing.assert_allclose(ours.transform(new), peer.transform(new), rtol=1e-12)


def test_text_is_filled_by_the_most_frequent_ties_by_the_smaller() -> None:
    cells = ["b", "a", "b", "a", "c", None]
    frame = pl.DataFrame({"t": cells})
    ours = ImputeSimple().fit_transform(frame)
    theirs = SimpleImputer(strategy="most_frequent", missing_values=None).fit_transform(
        np.array(cells, dtype=object).reshape(-1, 1)
    )
    assert ours["t"].to_list() == theirs.ravel().tolist() == ["b", "a", "b", "a", "c", "a"]


def test_indicators_mark_the_holes_of_the_columns_that_had_some_at_fit(matrix: np.ndarray) -> None:
    matrix[:, 1] = 4
    frame = pl.DataFrame(matrix, schema=["a", "b", "c"])
    stage = ImputeSimple(indicator=True).fit(frame)
    out = stage.transform(frame)
    assert out.columns == ["a", "b", "c", "a_missing", "c_missing"]
    peer = MissingIndicator(features="missing-only").fit_transform(matrix)
    np.testing.assert_array_equal(out.select("a_missing", "c_missing").to_numpy(), peer)
    new = pl.DataFrame({"a": [None, 1.0], "b": [None, None], "c": [1.0, None]}).cast(pl.Float64)
    assert stage.transform(new).select("a_missing", "c_missing").rows() == [(True, False), (False, True)]


def test_an_indicator_takes_no_name_that_is_taken() -> None:
    frame = pl.DataFrame({"a": [1.0, None], "a_missing": [5, 6]})
    out = ImputeSimple(indicator=True).fit_transform(frame)
    assert out["a_missing"].to_list() == [5, 6]
    assert out["a_missing_"].to_list() == [False, True]


def test_mixed_columns_are_filled_each_by_its_kind() -> None:
    frame = pl.DataFrame(
        {
            "n": [1.0, None, 4.0],
            "t": ["x", None, "x"],
            "b": [True, None, True],
            "d": [date(2020, 1, 1), None, date(2020, 1, 3)],
            "v": pl.Series([[1.0], None, [2.0]], dtype=pl.List(pl.Float64)),
        }
    )
    out = ImputeSimple().fit_transform(frame)
    assert out.row(1) == (2.5, "x", True, date(2020, 1, 1), None)
    assert out.schema == frame.schema


@pytest.mark.parametrize("numeric", ["median", "mean"])
def test_a_date_is_filled_by_the_lower_median(numeric: str) -> None:
    days = [datetime(2024, 1, 1) + timedelta(hours=h) for h in (9, 1, 5, 30)]
    frame = pl.DataFrame({"when": [*days, None]}).with_columns(
        pl.col("when").dt.replace_time_zone("Europe/Oslo").alias("zoned"),
        pl.col("when").dt.time().alias("clock"),
        (pl.col("when") - days[0]).alias("span"),
    )
    out = ImputeSimple(numeric=numeric).fit_transform(frame)
    assert out.schema == frame.schema
    assert out["when"][-1] == sorted(days)[1]
    assert out["zoned"][-1] == frame["zoned"].sort(nulls_last=True)[1]
    assert out.null_count().sum_horizontal().item() == 0


def test_dates_are_left_missing_where_the_constant_is_asked_for() -> None:
    frame = pl.DataFrame({"n": [None, 1.0], "d": [date(2020, 1, 1), None]})
    out = ImputeSimple(numeric="constant").fit_transform(frame)
    assert out["n"].to_list() == [0.0, 1.0] and out["d"].null_count() == 1


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int64, pl.UInt64])
def test_whole_numbers_stay_whole_unless_the_median_is_a_half(dtype) -> None:
    whole = pl.DataFrame({"a": pl.Series([1, 3, 9, None], dtype=dtype)})
    assert ImputeSimple().fit_transform(whole)["a"].to_list() == [1, 3, 9, 3]
    assert ImputeSimple().fit_transform(whole)["a"].dtype == dtype
    half = pl.DataFrame({"a": pl.Series([1, 4, None], dtype=dtype)})
    assert ImputeSimple().fit_transform(half)["a"].to_list() == [1, 4, 2.5]


def test_a_constant_a_small_type_cannot_hold_widens_the_column() -> None:
    frame = pl.DataFrame({"a": pl.Series([1, None], dtype=pl.UInt8)})
    assert ImputeSimple(numeric="constant", fill_value=-1).fit_transform(frame)["a"].to_list() == [1, -1]
    assert ImputeSimple(numeric="constant", fill_value=1000).fit_transform(frame)["a"].to_list() == [1, 1000]


def test_large_whole_numbers_are_counted_to_the_last_digit() -> None:
    big = 2**60 + 1
    frame = pl.DataFrame({"a": [big, big, 5, None]})
    assert ImputeSimple(numeric="most_frequent").fit_transform(frame)["a"].to_list() == [big, big, 5, big]


def test_decimals_and_single_precision_keep_their_type() -> None:
    frame = pl.DataFrame({"f": pl.Series([1.0, 2.0, None], dtype=pl.Float32)})
    out = ImputeSimple().fit_transform(frame)
    assert out["f"].dtype == pl.Float32 and out["f"].to_list() == [1.0, 2.0, 1.5]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b"])])
def test_categories_stay_categories_where_they_can_hold_the_value(dtype) -> None:
    frame = pl.DataFrame({"c": pl.Series(["b", "b", "a", None], dtype=dtype)})
    out = ImputeSimple().fit_transform(frame)["c"]
    assert out.dtype == dtype and out.to_list() == ["b", "b", "a", "b"]
    other = ImputeSimple(categorical="constant").fit_transform(frame)["c"]
    assert other.cast(pl.String).to_list() == ["b", "b", "a", "missing"]


def test_pandas_categories_and_nullable_types_come_back_filled() -> None:
    frame = pd.DataFrame(
        {"c": pd.Categorical(["x", None, "x"]), "i": pd.array([1, None, 3], dtype="Int64"), "k": [7, 8, 9]}
    )
    out = ImputeSimple().fit_transform(frame)
    assert out.astype({"c": str}).to_numpy().tolist() == [["x", 1, 7], ["x", 2, 8], ["x", 3, 9]]
    assert out["k"].dtype == frame["k"].dtype


def test_columns_without_any_value_take_the_constant_and_are_reported() -> None:
    frame = pl.DataFrame(
        {
            "n": pl.Series([None, None], dtype=pl.Float64),
            "t": pl.Series([None, None], dtype=pl.String),
            "b": pl.Series([None, None], dtype=pl.Boolean),
            "z": pl.Series([None, None], dtype=pl.Null),
        }
    )
    stage = ImputeSimple(numeric="mean")
    assert stage.fit_transform(frame).rows() == [(0.0, "missing", False, 0)] * 2
    assert {(f.kind, f.columns) for f in stage.findings_} == {("missing.all", (c,)) for c in "ntbz"}


def test_holes_are_reported_with_their_share() -> None:
    (finding,) = ImputeSimple().fit(pl.DataFrame({"a": [1.0, None, 3.0, 4.0], "b": [1, 2, 3, 4]})).findings_
    assert (finding.kind, finding.columns, finding.score, finding.n_rows) == (
        "missing.filled",
        ("a",),
        0.25,
        1,
    )


def test_infinity_has_a_median_and_no_mean() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, float("inf"), None]})
    assert ImputeSimple().fit_transform(frame)["a"][-1] == 2.0
    with pytest.raises(DataError, match=r"'a' holds infinity.*median"):
        ImputeSimple(numeric="mean").fit(frame)


@pytest.mark.parametrize(
    "frame", [pl.DataFrame({"a": [1.0, None]}), pl.DataFrame({"a": [date(2020, 1, 1), None]})]
)
def test_a_fill_value_the_column_cannot_hold_is_refused(frame: pl.DataFrame) -> None:
    with pytest.raises(DataError, match=r"column 'a'.*cannot hold fill_value='none'"):
        ImputeSimple(numeric="constant", fill_value="none").fit(frame)


def test_the_target_and_other_roles_are_never_filled() -> None:
    table = Table.of(pl.DataFrame({"a": [1.0, None]}), [None, "y"], groups=[None, "g"])
    out = ImputeSimple(indicator=True).fit(table).transform(table)
    assert out.y.null_count() == 1 and out.role("group").null_count() == 1
    assert out.features == ["a", "a_missing"]


def grouped(rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "region": rng.choice(["n", "s", "w", None], rows),
            "size": rng.choice([1.0, 2.0, np.nan], rows),
            "x": rng.normal(0, 1, rows),
            "y": rng.integers(0, 7, rows).astype(float),
            "t": rng.choice(["p", "q", "r"], rows),
            "when": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
        }
    )
    for name in ("x", "y", "t", "when"):
        frame.loc[rng.random(rows) < 0.25, name] = None
    frame.loc[frame["region"] == "w", "x"] = np.nan  # a group without a value
    return frame


def by_pandas(frame: pd.DataFrame, by: list[str], name: str, way) -> pd.Series:
    """Fill each group by its own value, and what is left by the value of the whole."""
    own = frame.groupby(by, dropna=False)[name].transform(way)
    return frame[name].fillna(own).fillna(way(frame[name]))


@pytest.mark.parametrize("by", [["region"], ["region", "size"]])
@pytest.mark.parametrize("numeric", ["median", "mean", "most_frequent"])
def test_groups_are_filled_as_by_pandas_groupby_and_transform(by: list, numeric: str) -> None:
    frame = grouped()
    mode = lambda values: values.mode().min() if values.notna().any() else np.nan
    way = {"median": pd.Series.median, "mean": pd.Series.mean, "most_frequent": mode}[numeric]
    out = ImputeSimple(numeric=numeric, by=by, on=["x", "y", "t"]).fit_transform(frame)
    for name in ("x", "y"):
        np.testing.assert_allclose(out[name], by_pandas(frame, by, name, way), rtol=1e-12, atol=1e-12)
    assert out["t"].tolist() == by_pandas(frame, by, "t", mode).tolist()
    pd.testing.assert_frame_equal(out[["region", "size", "when"]], frame[["region", "size", "when"]])


def test_dates_are_filled_by_the_lower_median_of_their_group() -> None:
    frame = grouped()
    out = ImputeSimple(by="region", on="when").fit_transform(frame)
    lower = lambda values: values.dropna().sort_values().iloc[(values.notna().sum() - 1) // 2]
    assert out["when"].tolist() == by_pandas(frame, ["region"], "when", lower).tolist()


def test_new_rows_of_known_unseen_and_missing_groups() -> None:
    frame = pl.DataFrame({"g": ["a", "a", "b", "b", None], "v": [1.0, 3.0, 10.0, None, 7.0]})
    stage = ImputeSimple(by="g").fit(frame)
    new = pl.DataFrame({"g": ["b", "new", None, "a", "a"], "v": [None, None, None, None, 99.0]})
    assert stage.transform(new)["v"].to_list() == [10.0, 5.0, 7.0, 2.0, 99.0]
    assert stage.transform(new)["g"].to_list() == new["g"].to_list()
    assert stage.transform(new.with_columns(g=pl.lit(None, pl.String)))["v"].to_list() == [7.0] * 4 + [99.0]


@pytest.mark.parametrize(
    "keys",
    [
        pl.Series(["p", "q", None], dtype=pl.Categorical),
        pl.Series(["p", "q", None], dtype=pl.Enum(["q", "p", "r"])),
        pl.Series([True, False, None]),
        pl.Series([2**60, 2**60 + 1, None]),
        pl.Series([0.5, -0.5, None]),
        pl.Series([date(2020, 1, 1), date(2021, 1, 1), None]),
        pl.Series([datetime(2020, 1, 1), datetime(2021, 1, 1), None]).dt.replace_time_zone("Europe/Oslo"),
    ],
    ids=lambda keys: str(keys.dtype),
)
def test_groups_are_told_by_keys_of_any_type(keys: pl.Series) -> None:
    rows = pl.DataFrame({"k": keys.gather([0, 0, 1, 1, 2, 2]), "v": [1, None, 2, None, 3, None]})
    assert ImputeSimple(by="k").fit_transform(rows)["v"].to_list() == [1, 1, 2, 2, 3, 3]


def test_groups_by_many_keys_of_many_values_do_not_mix() -> None:
    rows = 2000
    keys = {f"k{i}": (np.arange(rows) * (2 * i + 1)) % rows for i in range(8)}  # 2000**8 combinations
    frame = pl.DataFrame(keys | {"v": np.arange(rows)})
    twice = pl.concat([frame, frame.with_columns(v=pl.lit(None, pl.Int64))])
    assert ImputeSimple(by="k*").fit_transform(twice)["v"].to_list() == [*range(rows)] * 2


def test_whole_numbers_stay_whole_unless_a_group_needs_a_half() -> None:
    frame = pl.DataFrame({"g": list("aaabbb"), "v": pl.Series([1, 1, None, 8, 8, 8], dtype=pl.Int8)})
    out = ImputeSimple(by="g").fit_transform(frame)["v"]
    assert out.dtype == pl.Int8 and out.to_list() == [1, 1, 1, 8, 8, 8]
    halves = frame.with_columns(v=pl.Series([1, 2, None, 8, 8, 8], dtype=pl.Int8))
    assert ImputeSimple(by="g").fit_transform(halves)["v"].to_list() == [1, 2, 1.5, 8, 8, 8]


def test_texts_and_categories_of_groups_keep_their_type() -> None:
    frame = pl.DataFrame({"g": [1, 1, 2, 2, 2], "c": ["b", None, "a", "a", None]})
    for dtype in (pl.String, pl.Categorical, pl.Enum(["a", "b"])):
        out = ImputeSimple(by="g").fit_transform(frame.with_columns(pl.col("c").cast(dtype)))["c"]
        assert out.dtype == dtype and out.to_list() == ["b", "b", "a", "a", "a"]


def test_columns_of_by_are_not_filled_and_may_not_be_asked_for() -> None:
    frame = pl.DataFrame({"g": ["a", None, "b"], "v": [1.0, None, 3.0]})
    stage = ImputeSimple(by="g", indicator=True).fit(frame)
    assert stage.columns_ == ["v"] and stage.transform(frame)["g"].null_count() == 1
    with pytest.raises(DataError, match=r"impute\.simple: column g is in `by` and in `on`"):
        ImputeSimple(by="g", on=["g", "v"]).fit(frame)
    with pytest.raises(ColumnError, match="no column or kind 'region'"):
        ImputeSimple(by="region").fit(frame)


def test_a_kind_that_no_column_is_of_makes_no_groups(matrix: np.ndarray) -> None:
    plain, grouped_by_none = ImputeSimple(), ImputeSimple(by="boolean")
    np.testing.assert_array_equal(grouped_by_none.fit_transform(matrix), plain.fit_transform(matrix))


def test_a_constant_is_the_same_in_all_groups_and_columns_without_values_take_it() -> None:
    frame = pl.DataFrame({"g": ["a", "b"], "n": [None, 1.0], "e": pl.Series([None, None], dtype=pl.Float64)})
    out = ImputeSimple(by="g", numeric="constant", fill_value=-1).fit_transform(frame)
    assert out.rows() == [("a", -1.0, -1.0), ("b", 1.0, -1.0)]


def test_a_group_stays_a_group_in_shards_and_in_a_column_of_its_name() -> None:
    frame = pl.DataFrame({"g": ["a", "b"] * 10, "__group__": [1.0, None] * 10})
    whole = ImputeSimple(by="g").fit_table([Table.of(frame)])
    shards = ImputeSimple(by="g").fit_table([Table.of(frame[:3]), Table.of(frame[3:])])
    assert whole.transform(frame).equals(shards.transform(frame))
    assert whole.transform(frame).columns == ["g", "__group__"]


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        (pl.Date, "1970-01-01", date(1970, 1, 1)),
        (pl.Datetime("us"), "1970-01-01T12:30", datetime(1970, 1, 1, 12, 30)),
        (pl.Time, "23:59", time(23, 59)),
    ],
)
def test_a_constant_date_or_time_is_given_in_iso_form(dtype, text: str, value: object) -> None:
    frame = pl.DataFrame({"d": pl.Series([None, None], dtype=dtype)})
    out = ImputeSimple(numeric="constant", fill_value=text).fit_transform(frame)
    assert out["d"].to_list() == [value] * 2 and out["d"].dtype == dtype


def test_a_constant_moment_is_in_the_zone_of_its_column() -> None:
    frame = pl.DataFrame({"d": pl.Series([None], dtype=pl.Datetime("us", "Europe/Oslo"))})
    out = ImputeSimple(numeric="constant", fill_value="2024-07-01T12:00").fit_transform(frame)["d"]
    assert out.dt.to_string("%H:%M %z").to_list() == ["12:00 +0200"]


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (pl.Date, "1970-01-01T12:00"),
        (pl.Datetime("us"), "1970-01-01T12:00+01:00"),
        (pl.Duration("us"), "1970-01-01"),
        (pl.Time, "1970-01-01"),
    ],
)
def test_a_moment_the_column_cannot_hold_is_refused(dtype, text: str) -> None:
    with pytest.raises(DataError, match="cannot hold fill_value"):
        ImputeSimple(numeric="constant", fill_value=text).fit(
            pl.DataFrame({"d": pl.Series([None], dtype=dtype)})
        )
