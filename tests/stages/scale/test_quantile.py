"""ScaleQuantile: scikit-learn's QuantileTransformer is the oracle."""

from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import QuantileTransformer

from tilth.errors import DataError, StageError
from tilth.stages.scale.quantile import ScaleQuantile
from tilth.statistics import uniform
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    random = np.random.default_rng(0)
    X = random.normal(size=(3001, 6))
    X[:, 1] = np.exp(X[:, 1])
    X[:, 2] = np.round(2 * X[:, 2])
    X[:, 3] = np.where(random.random(3001) < 0.4, 0.0, X[:, 3])
    X[:, 4] = X[:, 4] * 0.1 + 1e6
    X[:, 5] = 4.0
    X[::7, :3] = np.nan
    return X


def peer(output: str, count: int) -> QuantileTransformer:
    return QuantileTransformer(n_quantiles=count, output_distribution=output, subsample=None)


@pytest.mark.parametrize("output", ["uniform", "normal"])
@pytest.mark.parametrize("count", [2, 10, 1000])
def test_values_equal_scikit_learn(matrix: np.ndarray, output: str, count: int) -> None:
    ours, theirs = (
        ScaleQuantile(output=output, n_quantiles=count).fit(matrix),
        peer(output, count).fit(matrix),
    )
    np.testing.assert_allclose(ours.transform(matrix), theirs.transform(matrix), rtol=0, atol=1e-9)
    new = np.vstack([matrix[:50] * 1.7, matrix[:50] - 3, np.full((1, 6), -1e9), np.full((1, 6), 1e9)])
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new), rtol=0, atol=1e-9)
    out = theirs.transform(matrix)
    size = np.nanmax(np.abs(matrix), axis=0)
    back = ours.inverse_transform(out) - theirs.inverse_transform(out)
    assert np.nanmax(np.abs(back) / size) < 1e-9


@pytest.mark.parametrize("output", ["uniform", "normal"])
def test_what_was_learned_from_comes_back(matrix: np.ndarray, output: str) -> None:
    stage = ScaleQuantile(output=output).fit(matrix)
    back = stage.inverse_transform(stage.transform(matrix))
    # Normal scores are held at 1e-7, and the lowest step of ranks is 1e-3 of the rows.
    close = 1e-10 if output == "uniform" else 1e-4
    assert np.nanmax(np.abs(back - matrix) / np.nanmax(np.abs(matrix), axis=0)) < close


def test_few_rows_give_as_many_quantiles_and_are_told() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    stage = ScaleQuantile()
    with pytest.warns(UserWarning, match="n_quantiles"):
        wanted = peer("uniform", 1000).fit_transform(X)
    np.testing.assert_allclose(stage.fit_transform(X), wanted, atol=1e-12)
    assert [(f.kind, f.score) for f in stage.findings_] == [("scale.few_rows", 30.0)]
    assert stage.findings_[0].remedy == {"scale.quantile": {"n_quantiles": 30}}
    assert ScaleQuantile(n_quantiles=30).fit(X).findings_ == []


def test_one_row_and_one_value() -> None:
    assert ScaleQuantile().fit_transform(np.array([[3.0]])).tolist() == [[0.0]]
    flat = ScaleQuantile(n_quantiles=4)
    out = flat.fit_transform(pl.DataFrame({"a": [2.0] * 5}))["a"]
    assert out.to_list() == [0.0] * 5
    assert [f.kind for f in flat.findings_] == ["scale.constant"]


def test_ties_are_told_with_their_share(matrix: np.ndarray) -> None:
    stage = ScaleQuantile(n_quantiles=101, on=["x1", "x3"]).fit(matrix)
    (found,) = stage.findings_
    assert found.kind == "scale.ties" and found.columns == ("x3",)
    assert found.score == pytest.approx((matrix[:, 3] == 0).mean(), abs=0.02) and "are 0," in found.message


@pytest.mark.parametrize("output", ["uniform", "normal"])
def test_parts_learn_what_the_whole_does_with_and_without_a_sample(matrix: np.ndarray, output: str) -> None:
    frame = pl.DataFrame(matrix, schema=list("abcdef"), nan_to_null=True)
    table = Table.of(frame)
    for sample in (None, 500):
        stage = ScaleQuantile(output=output, n_quantiles=100, subsample=sample)
        whole = stage.fit(table).quantiles_
        cuts = ((2000, 1001), (0, 1), (1, 0), (1, 1999))
        parts = stage.fit_table([table.with_frame(table.frame.slice(i, n)) for i, n in cuts]).quantiles_
        assert list(parts) == list(whole)
        for name in whole:
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-15)


def test_a_sample_is_that_of_the_seed(matrix: np.ndarray) -> None:
    drawn = np.argsort(uniform(3, np.arange(len(matrix), dtype=np.uint64)))[:400]
    theirs = peer("uniform", 50).fit(matrix[drawn])
    ours = ScaleQuantile(n_quantiles=50, subsample=400, random_state=3).fit(matrix)
    np.testing.assert_allclose(ours.transform(matrix), theirs.transform(matrix), rtol=0, atol=1e-12)
    other = ScaleQuantile(n_quantiles=50, subsample=400, random_state=4).fit(matrix)
    assert not np.array_equal(other.quantiles_["x0"], ours.quantiles_["x0"])


def test_more_quantiles_than_rows_of_the_sample_are_refused(matrix: np.ndarray) -> None:
    with pytest.raises(StageError, match="1000 quantiles cannot be learned from subsample=400"):
        ScaleQuantile(subsample=400).fit(matrix)


@pytest.mark.parametrize("far", [[np.inf], [-np.inf], [-1e308, 1.5e308]])
def test_values_without_a_difference_are_refused(far: list[float]) -> None:
    with pytest.raises(DataError, match=r"column 'a' holds infinity.*outliers\.clip"):
        ScaleQuantile(n_quantiles=3).fit(pl.DataFrame({"a": [1.0, 2.0, *far]}))


def test_infinite_new_values_become_the_bounds() -> None:
    stage = ScaleQuantile(n_quantiles=3).fit(pl.DataFrame({"a": [1.0, 2.0, 3.0]}))
    assert stage.transform(pl.DataFrame({"a": [np.inf, -np.inf]}))["a"].to_list() == [1.0, 0.0]


def test_columns_of_small_numbers_are_spread_as_large_ones_are() -> None:
    X = np.random.default_rng(0).normal(size=(500, 1))
    for output in ("uniform", "normal"):
        stage = ScaleQuantile(output=output, n_quantiles=500)
        np.testing.assert_allclose(stage.fit_transform(1e-12 * X), stage.fit_transform(X), atol=1e-6)


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
    stage = ScaleQuantile(n_quantiles=4)
    out = stage.fit_transform(frame)
    assert out.drop("i", "e", "s").equals(frame.drop("i", "e", "s"))
    assert out.schema["i"] == pl.Float64 and out.schema["e"] == pl.Float64 and out.schema["s"] == pl.Float32
    wanted = peer("uniform", 4).fit_transform(np.array([[1, 1], [2, 3], [np.nan, np.nan], [9, 2]]))
    np.testing.assert_allclose(out.select("i", "s").fill_null(np.nan).to_numpy(), wanted, atol=1e-7)
    assert out["i"].null_count() == 1 and out["e"].null_count() == 4
    back = stage.inverse_transform(out)
    assert back.schema == frame.schema and back.drop("s").equals(frame.drop("s"))
    np.testing.assert_allclose(back["s"].drop_nulls(), [1, 3, 2], rtol=1e-6)


def test_pandas_comes_back_as_it_came() -> None:
    frame = pd.DataFrame({"a": np.array([1, 2, 4], np.float32), "c": list("xyz")}, index=[5, 5, 6])
    out = ScaleQuantile(n_quantiles=3).fit_transform(frame)
    assert out["a"].dtype == np.float32 and out.index.tolist() == [5, 5, 6]
    assert out["a"].tolist() == [0.0, 0.5, 1.0] and out["c"].tolist() == list("xyz")


def test_streamed_rows_are_those_in_memory(matrix: np.ndarray, tmp_path) -> None:
    frame = pl.DataFrame(matrix[:, :4], schema=list("abcd"), nan_to_null=True)
    stage = ScaleQuantile(n_quantiles=50).fit(frame)
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=100)
    stage.change(pl.scan_parquet(tmp_path / "rows.parquet")).sink_parquet(tmp_path / "out.parquet")
    assert pl.read_parquet(tmp_path / "out.parquet").equals(stage.transform(frame))
