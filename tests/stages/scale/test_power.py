"""ScalePower: scikit-learn's PowerTransformer is the oracle."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import PowerTransformer

from tilth.errors import DataError
from tilth.stages.scale.power import ScalePower
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    X = random.normal(size=(2001, 6))
    X[:, 1] = np.exp(2 * X[:, 1])
    X[:, 2] = np.round(3 * X[:, 2])
    X[:, 3] = random.standard_t(3, 2001) * 1e3 + 500
    X[:, 4] = random.gamma(3, 2, 2001) + 20
    X[:, 5] = -random.exponential(size=2001)
    X[::7, :3] = np.nan
    return X


@pytest.mark.parametrize("standardize", [True, False])
def test_yeo_johnson_equals_scikit_learn(matrix: np.ndarray, standardize: bool) -> None:
    ours = ScalePower(standardize=standardize).fit(matrix)
    theirs = PowerTransformer(standardize=standardize).fit(matrix)
    np.testing.assert_allclose(list(ours.lambda_.values()), theirs.lambdas_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.transform(matrix), theirs.transform(matrix), rtol=1e-5, atol=1e-5)
    # New rows with values beyond those learned from, and of the other sign.
    new = np.vstack([1.5 * matrix[:100], -matrix[:100]])
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("standardize", [True, False])
def test_box_cox_equals_scikit_learn(matrix: np.ndarray, standardize: bool) -> None:
    X = matrix[:, [1, 4]]
    ours = ScalePower(method="box_cox", standardize=standardize).fit(X)
    theirs = PowerTransformer(method="box-cox", standardize=standardize).fit(X)
    np.testing.assert_allclose(list(ours.lambda_.values()), theirs.lambdas_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("method", ["yeo_johnson", "box_cox"])
def test_rows_come_back(matrix: np.ndarray, method: str, standardize: bool) -> None:
    stage = ScalePower(method=method, standardize=standardize).fit(matrix)
    back = stage.inverse_transform(stage.transform(matrix))
    assert np.nanmax(np.abs(back - matrix) / np.nanmax(np.abs(matrix), axis=0)) < 1e-9
    other = -matrix if method == "yeo_johnson" else matrix * 1.5
    if method == "yeo_johnson":
        np.testing.assert_allclose(
            stage.inverse_transform(stage.transform(other)), other, rtol=1e-5, atol=1e-5
        )


def test_parts_in_any_order_learn_what_the_whole_does(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcdef"), nan_to_null=True)
    for stage in (ScalePower(), ScalePower(standardize=False), ScalePower(method="box_cox")):
        whole = stage.fit(frame).transform(frame)
        lambdas = stage.lambda_
        parts = [Table.of(frame[i : i + n]) for i, n in ((1500, 501), (0, 1), (1, 0), (1, 1499))]
        split = stage.fit_table(parts)
        assert split.lambda_ == pytest.approx(lambdas, rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(
            split.change(frame.lazy()).collect().to_numpy(), whole.to_numpy(), rtol=1e-9, atol=1e-9
        )


def test_years_keep_their_digits_where_scikit_learn_makes_them_noise() -> None:
    years = 3e4 * (1 - np.random.default_rng(0).random((4000, 1))) ** -0.1
    ours = ScalePower()
    z = ours.fit_transform(years)[:, 0]
    assert abs(z.mean()) < 1e-9 and z.std() == pytest.approx(1, abs=1e-9)
    assert len(np.unique(z)) > 3990
    box_cox = PowerTransformer(method="box-cox").fit(years)
    assert ours.lambda_["x0"] == pytest.approx(box_cox.lambdas_[0], rel=1e-3)
    assert PowerTransformer().fit(years).lambdas_[0] > ours.lambda_["x0"] + 1


@pytest.mark.parametrize("standardize", [True, False])
def test_a_column_without_spread_is_told_and_not_raised(standardize: bool) -> None:
    frame = pl.DataFrame({"a": [4.0, 4.0, None], "b": [1.0, 5.0, 2.0]})
    stage = ScalePower(standardize=standardize)
    out = stage.fit_transform(frame)["a"].to_list()
    assert out == pytest.approx([0.0, 0.0, None] if standardize else [4.0, 4.0, None])
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("a",))]
    assert stage.lambda_["a"] == 1.0


def test_a_lambda_at_its_bound_is_told() -> None:
    stage = ScalePower().fit(np.random.default_rng(0).exponential(size=(200, 1)) + 1e6)
    (found,) = stage.findings_
    assert found.kind == "scale.bounded" and found.score == stage.lambda_["x0"] < -10
    assert f"held at {found.score:.6g}" in found.message


def test_box_cox_gives_columns_with_other_values_the_power_of_yeo_johnson_and_tells(
    matrix: np.ndarray,
) -> None:
    mixed, stage = matrix[:, [0, 1, 4]], ScalePower(method="box_cox")
    out = stage.fit_transform(mixed)
    (found,) = stage.findings_
    assert found.kind == "scale.not_positive" and found.columns == ("x0",)
    assert found.score == np.nanmin(mixed[:, 0])
    np.testing.assert_allclose(out[:, :1], PowerTransformer().fit_transform(mixed[:, :1]), atol=1e-5)
    np.testing.assert_allclose(
        out[:, 1:], PowerTransformer(method="box-cox").fit_transform(mixed[:, 1:]), atol=1e-5
    )


def test_new_values_that_box_cox_does_not_know_are_refused() -> None:
    stage = ScalePower(method="box_cox").fit(pl.DataFrame({"a": [1.0, 2.0, 5.0]}))
    for value in (0.0, -3.0):
        with pytest.raises(DataError, match=f"column 'a' holds {value:g}.*above 0"):
            stage.transform(pl.DataFrame({"a": [1.0, value]}))
    assert stage.transform(pl.DataFrame({"a": [None, 2.0]}))["a"].null_count() == 1


@pytest.mark.parametrize(
    ("values", "said"), [([1.0, np.inf], "holds infinity"), ([-1e300, 1e300, 0.0], "no power has a variance")]
)
def test_values_without_a_variance_are_refused(values: list[float], said: str) -> None:
    with pytest.raises(DataError, match=rf"column 'a'.*{said}.*outliers\.clip"):
        ScalePower().fit(pl.DataFrame({"a": values}))


def test_mixed_columns_keep_what_is_no_number() -> None:
    frame = pl.DataFrame(
        {
            "i": [1, 2, None, 9],
            "t": ["a", None, "b", "c"],
            "b": [True, False, None, True],
            "d": [date(2020, 1, 1), None, date(2020, 1, 3), date(2020, 1, 4)],
            "e": pl.Series([None] * 4, dtype=pl.Int32),
            "s": pl.Series([1, 3, None, 2], dtype=pl.Float32),
        }
    )
    stage = ScalePower()
    out = stage.fit_transform(frame)
    assert out.drop("i", "e", "s").equals(frame.drop("i", "e", "s"))
    assert out.schema["i"] == pl.Float64 and out.schema["e"] == pl.Float64 and out.schema["s"] == pl.Float32
    wanted = PowerTransformer().fit_transform(np.array([[1.0], [2.0], [np.nan], [9.0]]))[:, 0]
    np.testing.assert_allclose(out["i"].fill_null(np.nan), wanted, atol=1e-5)
    back = stage.inverse_transform(out)
    assert back.schema == frame.schema and back.drop("s").equals(frame.drop("s"))
    np.testing.assert_allclose(back["s"].drop_nulls(), [1, 3, 2], rtol=1e-6)


def test_pandas_comes_back_as_it_came() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2, 4], np.float32), "c": list("xyz")}, index=[5, 5, 6])
    out = ScalePower().fit_transform(frame)
    assert (
        out["a"].dtype == np.float32 and out.index.tolist() == [5, 5, 6] and out["c"].tolist() == list("xyz")
    )


def test_streamed_rows_are_those_in_memory(matrix: np.ndarray, tmp_path) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcdef"), nan_to_null=True)
    stage = ScalePower().fit(frame)
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=100)
    stage.change(pl.scan_parquet(tmp_path / "rows.parquet")).sink_parquet(tmp_path / "out.parquet")
    out = pl.read_parquet(tmp_path / "out.parquet")
    np.testing.assert_allclose(out.to_numpy(), stage.transform(frame).to_numpy(), rtol=1e-14, atol=1e-14)
