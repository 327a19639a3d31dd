"""ScaleMinmax: scikit-learn's MinMaxScaler is the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler

from tilth.errors import DataError
from tilth.stages.scale.minmax import ScaleMinmax
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    X = np.random.default_rng(0).standard_t(2, (301, 4)) * [1, 0.1, 1e-5, 400] + [0, 1e6, 3, 5]
    X[::7, 2] = np.nan
    return X


@pytest.mark.parametrize("feature_range", [[0.0, 1.0], (-1, 1), [2.5, 90.0]])
@pytest.mark.parametrize("clip", [True, False])
def test_values_equal_scikit_learn(matrix: np.ndarray, feature_range, clip: bool) -> None:
    ours = ScaleMinmax(feature_range=feature_range, clip=clip).fit(matrix)
    peer = MinMaxScaler(tuple(feature_range), clip=clip).fit(matrix)
    # Columns far from 0 amplify rounding: the peer multiplies before it shifts.
    np.testing.assert_allclose(ours.transform(matrix), peer.transform(matrix), rtol=1e-9, atol=1e-9)
    near = matrix[:, [0, 3]]
    np.testing.assert_allclose(
        ScaleMinmax(feature_range=feature_range).fit_transform(near),
        MinMaxScaler(tuple(feature_range)).fit_transform(near),
        rtol=1e-12,
        atol=1e-12,
    )
    new = np.array([[1e3, -1e9, np.nan, 4.0]])
    np.testing.assert_allclose(ours.transform(new), peer.transform(new), rtol=1e-9, atol=1e-9)


@given(arrays(np.float64, st.tuples(st.integers(1, 15), st.just(2)), elements=st.integers(-9, 9).map(float)))
def test_any_matrix_equals_scikit_learn_and_fills_the_range(X: np.ndarray) -> None:
    out = ScaleMinmax().fit_transform(X)
    np.testing.assert_allclose(out, MinMaxScaler().fit_transform(X), rtol=1e-12, atol=1e-12)
    assert (out.min(axis=0) == 0).all()


def test_a_constant_column_becomes_the_lower_number_and_is_reported() -> None:
    X = np.column_stack([np.full(9, 7.0), np.arange(9.0)])
    stage = ScaleMinmax(feature_range=[2, 3])
    np.testing.assert_allclose(stage.fit_transform(X), MinMaxScaler((2, 3)).fit_transform(X))
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("x0",))]
    np.testing.assert_allclose(stage.inverse_transform(stage.transform(X)), X)


@pytest.mark.parametrize("unit", [1e-300, 1e-18, 1e18, 1e300])
def test_the_unit_of_a_column_does_not_matter(unit: float) -> None:
    values = np.array([[1.0], [2.0], [5.0]])
    stage = ScaleMinmax()
    np.testing.assert_allclose(stage.fit_transform(values * unit)[:, 0], [0, 0.25, 1], rtol=1e-12)
    assert not stage.findings_


def test_inverse_gives_values_back_and_clipped_ones_as_the_bound() -> None:
    rows, far = pl.DataFrame({"a": [2, 4, 10]}), pl.DataFrame({"a": [-100, 3, 99]})
    open_, held = ScaleMinmax().fit(rows), ScaleMinmax(clip=True).fit(rows)
    assert (open_.restores, held.restores) == ("exactly", "nearly")
    assert open_.inverse_transform(open_.transform(far)).equals(far)
    assert held.transform(far)["a"].to_list() == [0.0, 0.125, 1.0]
    assert held.inverse_transform(held.transform(far))["a"].to_list() == [2, 3, 10]


def test_gaps_stay_and_whole_and_single_numbers_have_the_promised_types() -> None:
    frame = pl.DataFrame(
        {
            "i": pl.Series([1, None, 3], dtype=pl.Int8),
            "s": pl.Series([1, 2, None], dtype=pl.Float32),
            "e": pl.Series([None] * 3, dtype=pl.Float64),
            "t": ["a", "b", None],
        }
    )
    stage = ScaleMinmax(clip=True)
    out = stage.fit_transform(frame)
    assert out.schema == {"i": pl.Float64, "s": pl.Float32, "e": pl.Float64, "t": pl.String}
    assert out["i"].to_list() == [0.0, None, 1.0] and out["s"].to_list() == [0.0, 1.0, None]
    back = stage.inverse_transform(out)
    assert back.equals(frame) and back.schema == frame.schema


def test_single_precision_far_from_zero_keeps_what_its_values_tell_apart() -> None:
    values = np.float32(2**24) + np.arange(0, 64, 2, dtype=np.float32)
    out = ScaleMinmax().fit_transform(values[:, None])[:, 0]
    np.testing.assert_allclose(out, np.linspace(0, 1, 32), rtol=1e-6, atol=1e-7)


def test_pandas_comes_back_with_its_index() -> None:
    frame = pd.DataFrame({"a": [1.0, 3.0], "n": pd.array([1, None], dtype="Int64")}, index=[5, 5])
    out = ScaleMinmax(on="a").fit_transform(frame)
    assert out["a"].tolist() == [0.0, 1.0] and out.index.tolist() == [5, 5]
    pd.testing.assert_frame_equal(out[["n"]], frame[["n"]])


def test_parts_learn_exactly_what_the_whole_does(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcd"), nan_to_null=True)
    parts = [Table.of(frame[i : i + n]) for i, n in ((200, 101), (0, 1), (1, 0), (1, 199))]
    split, whole = ScaleMinmax().fit_table(parts), ScaleMinmax().fit(frame)
    assert split.low_ == whole.low_ and split.scale_ == whole.scale_


@pytest.mark.parametrize("feature_range", [[0.25], [1, 0], [1.0, 1.0], [0.0, np.inf], [np.nan, 1.0]])
def test_a_range_that_is_no_two_rising_numbers_is_refused(feature_range: list) -> None:
    with pytest.raises(DataError, match="two rising numbers"):
        ScaleMinmax(feature_range=feature_range).fit(np.zeros((3, 1)))


@pytest.mark.parametrize("values", [[1.0, np.inf], [-np.inf, 1.0], [-1e308, 1e308]])
def test_infinity_at_fit_is_refused_and_borne_later(values: list) -> None:
    with pytest.raises(DataError, match=r"scale.minmax: column 'a' holds infinity.*outliers\.clip"):
        ScaleMinmax().fit(pl.DataFrame({"a": values}))
    new = pl.DataFrame({"a": [np.inf, -np.inf]})
    fitted = pl.DataFrame({"a": [1.0, 3.0]})
    assert ScaleMinmax().fit(fitted).transform(new)["a"].to_list() == [np.inf, -np.inf]
    assert ScaleMinmax(clip=True).fit(fitted).transform(new)["a"].to_list() == [1.0, 0.0]
