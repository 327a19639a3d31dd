"""ScaleStandard: scikit-learn's StandardScaler is the oracle."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import StandardScaler

from tilth.errors import DataError
from tilth.stages.scale.standard import ScaleStandard
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    X = np.random.default_rng(0).normal([0, 1e4, 3, 5], [1, 0.1, 1e-5, 400], (500, 4))
    X[::7, 2] = np.nan
    return X


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("spread", [True, False])
def test_values_equal_scikit_learn(matrix: np.ndarray, center: bool, spread: bool) -> None:
    ours = ScaleStandard(center=center, spread=spread).fit(matrix)
    peer = StandardScaler(with_mean=center, with_std=spread).fit(matrix)
    # Columns far from 0 amplify the rounding of their mean.
    np.testing.assert_allclose(ours.transform(matrix), peer.transform(matrix), rtol=1e-9, atol=1e-9)
    new = np.array([[1.0, 2.0, np.nan, 4.0]])
    np.testing.assert_allclose(ours.transform(new), peer.transform(new), rtol=1e-9)


def test_mean_and_deviation_equal_scikit_learn_to_rounding(matrix: np.ndarray) -> None:
    ours, peer = ScaleStandard().fit(matrix), StandardScaler().fit(matrix)
    np.testing.assert_allclose(list(ours.mean_.values()), peer.mean_, rtol=1e-12)
    np.testing.assert_allclose(list(ours.scale_.values()), peer.scale_, rtol=1e-9)


@given(arrays(np.float64, (12, 2), elements=st.floats(-1e3, 1e3).map(lambda v: round(v, 3))))
def test_any_matrix_is_centered_and_of_unit_variance_or_constant(X: np.ndarray) -> None:
    out = ScaleStandard().fit_transform(X)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-9)
    for column, scaled in zip(X.T, out.T, strict=True):
        assert scaled.std() == pytest.approx(0 if np.ptp(column) == 0 else 1, abs=1e-9)


def test_a_constant_column_is_centered_reported_and_not_blown_up() -> None:
    # Rounding leaves 0.1 + 0.2 repeated a variance that is not 0.
    X = np.column_stack([np.full(1001, 0.1 + 0.2), np.arange(1001.0)])
    stage = ScaleStandard()
    ours = stage.fit_transform(X)
    np.testing.assert_allclose(ours, StandardScaler().fit_transform(X), atol=1e-9)
    assert np.abs(ours[:, 0]).max() < 1e-9
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("x0",))]


def test_inverse_transform_gives_the_values_back(matrix: np.ndarray) -> None:
    for params in ({}, {"center": False}, {"spread": False}):
        stage = ScaleStandard(**params).fit(matrix)
        np.testing.assert_allclose(stage.inverse_transform(stage.transform(matrix)), matrix, rtol=1e-12)


def test_mixed_columns_keep_what_is_no_number() -> None:
    frame = pl.DataFrame(
        {
            "i": [1, 2, None, 3],
            "t": ["a", None, "b", "c"],
            "b": [True, False, None, True],
            "d": [date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)],
            "e": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    out = ScaleStandard().fit_transform(frame)
    assert out.drop("i").equals(frame.drop("i"))
    peer = StandardScaler().fit_transform(np.array([[1.0], [2.0], [np.nan], [3.0]]))
    np.testing.assert_allclose(
        out["i"].cast(pl.Float64).fill_null(np.nan).to_numpy(), peer.ravel(), rtol=1e-12
    )


def test_single_precision_stays_single_and_is_learned_in_double() -> None:
    X = (np.random.default_rng(0).normal(1000, 1, (400, 2))).astype(np.float32)
    ours = ScaleStandard().fit(X)
    assert ours.transform(X).dtype == np.float32
    np.testing.assert_allclose(list(ours.mean_.values()), X.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(ours.transform(X), StandardScaler().fit_transform(X), atol=1e-4)


def test_pandas_comes_back_with_its_index_and_other_columns() -> None:
    frame = pd.DataFrame(
        {"a": [1.0, 3.0], "n": pd.array([1, None], dtype="Int64"), "c": ["x", "y"]}, index=[5, 5]
    )
    out = ScaleStandard(on="a").fit_transform(frame)
    assert out["a"].tolist() == [-1.0, 1.0] and out.index.tolist() == [5, 5]
    pd.testing.assert_frame_equal(out[["n", "c"]], frame[["n", "c"]])


def test_parts_learn_what_the_whole_does(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcd"), nan_to_null=True)
    parts = [Table.of(frame[i : i + n]) for i, n in ((0, 1), (1, 0), (1, 300), (301, 199))]
    split, whole = ScaleStandard().fit_table(parts), ScaleStandard().fit(frame)
    np.testing.assert_allclose(list(split.mean_.values()), list(whole.mean_.values()), rtol=1e-12)
    np.testing.assert_allclose(list(split.scale_.values()), list(whole.scale_.values()), rtol=1e-7)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e308])
def test_infinity_and_overflow_are_refused_with_a_way_out(value: float) -> None:
    with pytest.raises(DataError, match=r"column 'a' holds infinity or values too large.*outliers\.clip"):
        ScaleStandard().fit(pl.DataFrame({"a": [1.0, value, value, value]}))


def test_one_row_is_centered() -> None:
    assert ScaleStandard().fit_transform(np.array([[5.0, -2.0]])).tolist() == [[0.0, 0.0]]


def test_whole_and_single_numbers_come_back_in_their_types() -> None:
    frame = pl.DataFrame(
        {"i": [-7, 2, None, 9], "s": pl.Series([1e7, 1e7 + 3, None, 1e7 + 8], dtype=pl.Float32)}
    )
    for params in ({}, {"center": False}, {"spread": False}):
        stage = ScaleStandard(**params).fit(frame)
        back = stage.inverse_transform(stage.transform(frame))
        assert back.schema == frame.schema and back.equals(frame)


def test_single_precision_far_from_zero_is_centered_to_its_last_digit() -> None:
    values = (np.float32(2**24) + np.arange(0, 64, 2, dtype=np.float32))[:, None]
    out = ScaleStandard().fit_transform(values)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(out, (exact - exact.mean()) / exact.std(), rtol=1e-6)
