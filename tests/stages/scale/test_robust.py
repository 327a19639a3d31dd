"""ScaleRobust: scikit-learn's RobustScaler is the oracle."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import RobustScaler

from tilth.errors import DataError
from tilth.stages.scale.robust import ScaleRobust
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    X = np.random.default_rng(0).standard_t(2, (301, 4)) * [1, 0.1, 1e-5, 400] + [0, 1e6, 3, 5]
    X[::7, 2] = np.nan
    return X


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("spread", [True, False])
@pytest.mark.parametrize("quantile_range", [[0.25, 0.75], [0.1, 0.95], (0.0, 1.0)])
def test_values_equal_scikit_learn(matrix: np.ndarray, center: bool, spread: bool, quantile_range) -> None:
    ours = ScaleRobust(center=center, spread=spread, quantile_range=quantile_range).fit(matrix)
    low, high = quantile_range
    peer = RobustScaler(
        with_centering=center, with_scaling=spread, quantile_range=(100 * low, 100 * high)
    ).fit(matrix)
    np.testing.assert_allclose(ours.transform(matrix), peer.transform(matrix), rtol=1e-12, atol=1e-12)
    new = np.array([[1.0, 2.0, np.nan, 4.0]])
    np.testing.assert_allclose(ours.transform(new), peer.transform(new), rtol=1e-12)


@given(arrays(np.float64, st.tuples(st.integers(1, 15), st.just(2)), elements=st.integers(-9, 9).map(float)))
def test_any_matrix_equals_scikit_learn(X: np.ndarray) -> None:
    np.testing.assert_allclose(
        ScaleRobust().fit_transform(X), RobustScaler().fit_transform(X), rtol=1e-12, atol=1e-12
    )


def test_a_column_without_a_range_is_centered_and_reported() -> None:
    X = np.column_stack([np.r_[np.zeros(90), np.ones(10)], np.arange(100.0)])
    stage = ScaleRobust()
    np.testing.assert_allclose(stage.fit_transform(X), RobustScaler().fit_transform(X), rtol=1e-12)
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("x0",))]


def test_inverse_transform_gives_the_values_back(matrix: np.ndarray) -> None:
    for params in ({}, {"center": False}, {"spread": False}):
        stage = ScaleRobust(**params).fit(matrix)
        np.testing.assert_allclose(stage.inverse_transform(stage.transform(matrix)), matrix, rtol=1e-12)


def test_mixed_columns_keep_what_is_no_number() -> None:
    frame = pl.DataFrame(
        {
            "i": [1, 2, None, 9],
            "t": ["a", None, "b", "c"],
            "b": [True, False, None, True],
            "d": [date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)],
            "e": pl.Series([None] * 4, dtype=pl.Float64),
        }
    )
    out = ScaleRobust().fit_transform(frame)
    assert out.drop("i").equals(frame.drop("i"))
    peer = RobustScaler().fit_transform(np.array([[1.0], [2.0], [np.nan], [9.0]]))
    np.testing.assert_allclose(
        out["i"].cast(pl.Float64).fill_null(np.nan).to_numpy(), peer.ravel(), rtol=1e-12
    )


def test_single_precision_and_pandas_come_back_as_they_came() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2, 4], np.float32), "c": list("xyz")}, index=[5, 5, 6])
    out = ScaleRobust().fit_transform(frame)
    assert (
        out["a"].dtype == np.float32 and out.index.tolist() == [5, 5, 6] and out["c"].tolist() == list("xyz")
    )
    np.testing.assert_allclose(out[["a"]], RobustScaler().fit_transform(frame[["a"]]), rtol=1e-6)


def test_parts_learn_exactly_what_the_whole_does(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcd"), nan_to_null=True)
    parts = [Table.of(frame[i : i + n]) for i, n in ((200, 101), (0, 1), (1, 0), (1, 199))]
    split, whole = ScaleRobust().fit_table(parts), ScaleRobust().fit(frame)
    assert split.median_ == whole.median_ and split.scale_ == whole.scale_


@pytest.mark.parametrize("quantile_range", [[0.25], [0.75, 0.25], [0.5, 0.5], [-0.1, 0.5], [25.0, 75.0]])
def test_a_range_that_is_no_two_rising_shares_is_refused(quantile_range: list) -> None:
    with pytest.raises(DataError, match="two rising shares"):
        ScaleRobust(quantile_range=quantile_range).fit(np.zeros((3, 1)))


def test_some_infinite_values_are_borne_and_an_infinite_quantile_is_refused() -> None:
    few = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, np.inf]})
    out = ScaleRobust().fit_transform(few)["a"]
    assert np.isinf(out[5]) and np.isfinite(out[:5].to_numpy()).all()
    many = pl.DataFrame({"a": [1.0, np.inf, np.inf, np.inf]})
    with pytest.raises(DataError, match=r"quantile of column 'a' is infinite.*outliers\.clip"):
        ScaleRobust().fit(many)


@pytest.mark.parametrize("unit", [1e-300, 1e-17, 1e17])
def test_the_unit_of_a_column_does_not_matter(unit: float) -> None:
    values = np.arange(5.0)[:, None]
    np.testing.assert_allclose(ScaleRobust().fit_transform(values * unit), (values - 2) / 2, rtol=1e-12)


def test_whole_and_single_numbers_come_back_in_their_types() -> None:
    frame = pl.DataFrame(
        {"i": [-7, 2, None, 9], "s": pl.Series([1e7, 1e7 + 3, None, 1e7 + 8], dtype=pl.Float32)}
    )
    for params in ({}, {"center": False}, {"spread": False}):
        stage = ScaleRobust(**params).fit(frame)
        back = stage.inverse_transform(stage.transform(frame))
        assert back.schema == frame.schema and back.equals(frame)
