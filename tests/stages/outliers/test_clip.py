"""OutliersClip: NumPy's quantiles and SciPy's median deviation are the oracle."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from tilth.core import fit
from tilth.errors import DataError
from tilth.stages.outliers.clip import OutliersClip
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    X = np.random.default_rng(0).standard_t(2, (300, 3)) * [1, 50, 0.01] + [0, -9, 3]
    X[::17, 1] = np.nan
    return X


def all_pairs(values: np.ndarray) -> float:
    """Return the medcouple of values without ties at the median, every pair written out."""
    away = values - np.median(values)
    above, below = away[away >= 0][:, None], away[away <= 0]
    assert (away == 0).sum() < 2
    with np.errstate(invalid="ignore"):
        # The median itself, if it is a value, is the one pair of distance zero: its kernel is zero.
        return float(np.median(np.nan_to_num((above + below) / (above - below))))


def bounds(method: str, values: np.ndarray, width: float | None) -> tuple[float, float]:
    v = values[~np.isnan(values)]
    if method == "iqr":
        q1, q3 = np.quantile(v, [0.25, 0.75])
        reach = (1.5 if width is None else width) * (q3 - q1)
        return q1 - reach, q3 + reach
    if method == "adjusted":
        q1, q3 = np.quantile(v, [0.25, 0.75])
        reach, skew = (1.5 if width is None else width) * (q3 - q1), all_pairs(v)
        if skew >= 0:
            return q1 - np.exp(-4 * skew) * reach, q3 + np.exp(3 * skew) * reach
        return q1 - np.exp(-3 * skew) * reach, q3 + np.exp(4 * skew) * reach
    if method == "mad":
        reach = (3.5 if width is None else width) * median_abs_deviation(v, scale="normal")
        return np.median(v) - reach, np.median(v) + reach
    if method == "sigma":
        reach = (3.0 if width is None else width) * v.std()
        return v.mean() - reach, v.mean() + reach
    return tuple(np.quantile(v, [0.03, 0.97]))


@pytest.mark.parametrize("method", ["iqr", "adjusted", "mad", "sigma", "quantile"])
@pytest.mark.parametrize("width", [None, 0.7])
def test_values_are_brought_to_the_peers_bounds(matrix: np.ndarray, method: str, width: float | None) -> None:
    ours = OutliersClip(method=method, width=width, share=0.03).fit_transform(matrix)
    expected = np.column_stack([np.clip(c, *bounds(method, c, width)) for c in matrix.T])
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.sampled_from(["iqr", "adjusted", "quantile", "mad", "sigma"]),
)
def test_what_was_clipped_lies_within_the_bounds_and_in_order(values: list, method: str) -> None:
    frame = pl.DataFrame({"a": values})
    stage = OutliersClip(method=method).fit(frame)
    out = stage.transform(frame)["a"].to_numpy()
    low, high = stage.low_.get("a", -np.inf), stage.high_.get("a", np.inf)
    assert ((out >= low) & (out <= high)).all()
    assert (np.diff(out[np.argsort(values, kind="stable")]) >= 0).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("sigma", [0.5, 0.8])
def test_the_adjusted_bounds_follow_a_skewed_shape_on_both_sides(sign: int, sigma: float) -> None:
    skewed = sign * np.random.default_rng(0).lognormal(0, sigma, 4001)
    shares = {}
    for method in ("iqr", "adjusted"):
        stage = OutliersClip(method=method, action="report").fit(skewed[:, None])
        low, high = stage.low_["x0"], stage.high_["x0"]
        assert (low, high) == pytest.approx(bounds(method, skewed, None), rel=1e-12)
        tail, head = [(skewed > high).mean(), (skewed < low).mean()][::sign]
        shares[method] = tail, head
    # The plain rule calls much of the tail far and nothing on the other side; the adjusted one few on each.
    assert shares["iqr"][0] > 0.03 and shares["iqr"][1] == 0
    assert shares["adjusted"][0] < 0.015 and shares["adjusted"][0] < shares["iqr"][0] / 2
    assert 0 < shares["adjusted"][1] < 0.015


def test_the_adjusted_bounds_of_symmetric_values_are_the_plain_ones() -> None:
    frame = pl.DataFrame({"a": [float(i) for i in range(-50, 51)] + [1e4, -1e4]})
    plain, adjusted = (OutliersClip(method=m).fit(frame) for m in ("iqr", "adjusted"))
    assert (adjusted.low_, adjusted.high_) == (plain.low_, plain.high_)


def test_one_side_alone_is_held(matrix: np.ndarray) -> None:
    low, high = bounds("iqr", matrix[:, 0], None)
    np.testing.assert_allclose(
        OutliersClip(side="low").fit_transform(matrix)[:, 0], matrix[:, 0].clip(min=low)
    )
    np.testing.assert_allclose(
        OutliersClip(side="high").fit_transform(matrix)[:, 0], matrix[:, 0].clip(max=high)
    )


def test_values_outside_become_missing_if_asked(matrix: np.ndarray) -> None:
    ours = OutliersClip(action="null").fit_transform(matrix)
    low, high = bounds("iqr", matrix[:, 1], None)
    outside = (matrix[:, 1] < low) | (matrix[:, 1] > high)
    assert outside.any()
    np.testing.assert_array_equal(np.isnan(ours[:, 1]), np.isnan(matrix[:, 1]) | outside)
    np.testing.assert_array_equal(ours[~np.isnan(ours[:, 1]), 1], matrix[~np.isnan(ours[:, 1]), 1])


def test_report_leaves_every_value_and_counts_them(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=["a", "b", "c"], nan_to_null=True)
    stage = OutliersClip(action="report", method="sigma", width=2.0).fit(frame)
    assert stage.transform(frame).equals(frame)
    for finding in stage.findings_:
        column = frame[finding.columns[0]].drop_nulls().to_numpy()
        low, high = bounds("sigma", column, 2.0)
        assert finding.n_rows == ((column < low) | (column > high)).sum()
        assert finding.score == pytest.approx(finding.n_rows / 300)


def test_a_given_range_holds_and_may_be_open() -> None:
    frame = pl.DataFrame({"a": [-5.0, 0.5, 9.0], "n": [-5, 0, 9]})
    out = OutliersClip(method="range", value_range=[-1.0, 2.0]).fit_transform(frame)
    assert out.rows() == [(-1.0, -1), (0.5, 0), (2.0, 2)] and out.schema == frame.schema
    assert OutliersClip(method="range", value_range=[None, 2.0]).fit_transform(frame)["a"].to_list() == [
        -5.0,
        0.5,
        2.0,
    ]


@pytest.mark.parametrize("value_range", [None, [1.0], [2.0, 1.0]])
def test_a_range_that_is_none_is_refused(value_range) -> None:
    with pytest.raises(DataError, match="value_range"):
        OutliersClip(method="range", value_range=value_range).fit(np.zeros((2, 1)))


@pytest.mark.parametrize("dtype", [pl.UInt8, pl.Int8, pl.Int16, pl.UInt64, pl.Int64])
@pytest.mark.parametrize("action", ["clip", "null"])
def test_whole_numbers_of_any_width_are_held(dtype, action: str) -> None:
    values = [1, 2, 3, 4, 5, 6, 7, 8, 120]
    frame = pl.DataFrame({"a": pl.Series(values, dtype=dtype)})
    stage = OutliersClip(action=action)
    out = stage.fit_transform(frame)["a"].to_list()
    low, high = bounds("iqr", np.array(values, float), None)
    assert low < 0  # an unsigned column cannot hold its own lower bound
    assert out == [1, 2, 3, 4, 5, 6, 7, 8, high if action == "clip" else None]


@pytest.mark.parametrize("action", ["clip", "null"])
def test_whole_numbers_that_a_float_cannot_tell_apart_are_counted_as_they_are_held(action: str) -> None:
    values = [2**53 + i for i in range(6)]
    stage = OutliersClip(method="range", value_range=[None, 2.0**53 + 4], action=action)
    out = stage.fit_transform(pl.DataFrame({"a": values}))["a"]
    assert out.to_list() == [*values[:5], values[4] if action == "clip" else None]
    assert stage.cells_ == {"a": 1}


def test_whole_numbers_become_fractions_only_if_a_bound_is_one() -> None:
    frame = pl.DataFrame({"a": [0, 1, 2, 3, 4, 100], "b": [0, 0, 4, 4, 4, 100]})
    out = OutliersClip(on="a").fit_transform(frame)
    assert out["b"].dtype == pl.Int64
    assert out["a"].to_list() == [0, 1, 2, 3, 4, bounds("iqr", frame["a"].to_numpy().astype(float), None)[1]]


def test_a_column_most_of_whose_values_are_equal_is_left_alone_and_reported() -> None:
    gains = pl.DataFrame({"gain": [0.0] * 90 + [5000.0] * 10, "flag": [0] * 95 + [1] * 5})
    for method in ("iqr", "adjusted", "mad"):
        stage = OutliersClip(method=method).fit(gains)
        assert stage.transform(gains).equals(gains)
        assert [f.kind for f in stage.findings_] == ["outliers.flat"] * 2
        assert "'gain'" in stage.findings_[0].message


def test_missing_cells_dates_text_and_flags_are_left_alone() -> None:
    frame = pl.DataFrame(
        {
            "a": [1.0, None, 2.0, 3.0, 500.0],
            "t": ["x"] * 5,
            "d": [date(2020, 1, 1)] * 4 + [date(1900, 1, 1)],
            "f": [True, False, False, False, None],
            "e": pl.Series([None] * 5, dtype=pl.Float64),
        }
    )
    out = OutliersClip().fit_transform(frame)
    assert out["a"].is_null().to_list() == frame["a"].is_null().to_list() and out["a"][4] < 500
    assert out.drop("a").equals(frame.drop("a"))


def test_the_side_of_infinities_that_reach_the_quartiles_stays_open() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, float("inf"), float("inf")]})
    stage = OutliersClip(method="adjusted").fit(frame)
    assert not stage.high_ and stage.transform(frame).equals(frame)


def test_infinity_is_clipped_by_quartiles_and_refused_by_sigma() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, float("inf")]})
    assert OutliersClip().fit_transform(frame)["a"].max() < 20
    with pytest.raises(DataError, match=r"'a' holds infinity.*'iqr' or 'mad'"):
        OutliersClip(method="sigma").fit(frame)


def test_new_rows_are_held_to_the_bounds_of_the_rows_learned_from(matrix: np.ndarray) -> None:
    stage = OutliersClip().fit(matrix)
    low, high = bounds("iqr", matrix[:, 2], None)
    assert stage.transform(np.array([[0, 0, 1e9]]))[0, 2] == pytest.approx(high, rel=1e-12)
    assert stage.transform(np.array([[0, 0, -1e9]]))[0, 2] == pytest.approx(low, rel=1e-12)


def test_single_precision_stays_and_pandas_keeps_index_and_other_types() -> None:
    frame = pd.DataFrame(
        {"a": np.array([1, 2, 3, 99], np.float32), "c": pd.Categorical(list("xyxy"))}, index=[3, 3, 1, 0]
    )
    out = OutliersClip(method="quantile", share=0.25).fit_transform(frame)
    assert (
        out["a"].dtype == np.float32 and out["c"].dtype == "category" and out.index.tolist() == [3, 3, 1, 0]
    )
    np.testing.assert_allclose(
        out["a"], np.clip(frame["a"], *np.quantile(frame["a"], [0.25, 0.75])), rtol=1e-6
    )


def test_the_ledger_counts_the_cells_that_changed(matrix: np.ndarray) -> None:
    done = fit([("clip", OutliersClip())], Table.of(matrix))
    low, high = bounds("iqr", matrix[:, 0], None)
    counted = done.ledger.columns.filter(pl.col("column") == "x0")["cells"].item()
    assert counted == ((matrix[:, 0] < low) | (matrix[:, 0] > high)).sum()
