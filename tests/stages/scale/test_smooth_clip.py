"""ScaleSmoothClip: the formula of the paper over scikit-learn's RobustScaler, and the MLP probe's inputs."""

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import RobustScaler

from tilth.errors import DataError
from tilth.probes.inputs import Inputs
from tilth.stages.scale.smooth_clip import ScaleSmoothClip
from tilth.table import Table


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).standard_t(2, (301, 3)) * [1, 1e-5, 400] + [0, 3, 5]


@pytest.mark.parametrize("limit", [1.0, 3.0, 8.0])
def test_values_are_those_of_the_formula(matrix: np.ndarray, limit: float) -> None:
    z = RobustScaler().fit_transform(matrix)
    out = ScaleSmoothClip(limit=limit).fit_transform(matrix)
    np.testing.assert_allclose(out, z / np.sqrt(1 + (z / limit) ** 2), rtol=1e-12, atol=1e-12)
    assert np.abs(out).max() < limit


def test_a_probe_reads_the_same_numbers(matrix: np.ndarray) -> None:
    # 301 rows, so that the quartiles are values of the column by either rule.
    frame = pl.DataFrame(matrix, schema=list("abc"))
    read = Inputs(scale="robust").fit(frame).transform(frame)
    np.testing.assert_allclose(
        ScaleSmoothClip().fit_transform(frame).to_numpy(), read, rtol=1e-12, atol=1e-12
    )


def test_equal_quartiles_give_way_to_half_the_range_and_a_constant_stays_finite() -> None:
    rows = pl.DataFrame({"rare": [0.0] * 18 + [2.0, 10.0], "flat": [4.0] * 20})
    stage = ScaleSmoothClip()
    out = stage.fit_transform(rows)
    z = np.array([0.4, 2.0])
    np.testing.assert_allclose(out["rare"][18:], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)
    assert out["flat"].to_list() == [0.0] * 20
    assert {(f.kind, *f.columns) for f in stage.findings_} == {
        ("scale.middle", "rare"),
        ("scale.constant", "flat"),
    }
    np.testing.assert_allclose(stage.inverse_transform(out).to_numpy(), rows.to_numpy(), rtol=1e-12)


def test_infinite_cells_become_the_limit_unless_the_range_is_needed() -> None:
    rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, np.inf, -np.inf]})
    assert ScaleSmoothClip().fit_transform(rows)["a"][-2:].to_list() == [3.0, -3.0]
    with pytest.raises(DataError, match=r"quartile of column 'a' is infinite.*outliers\.clip"):
        ScaleSmoothClip().fit(pl.DataFrame({"a": [1.0, np.inf, np.inf, np.inf]}))
    with pytest.raises(DataError, match=r"scale.smooth_clip: column 'a' holds infinity"):
        ScaleSmoothClip().fit(pl.DataFrame({"a": [1.0] * 9 + [np.inf]}))


def test_the_inverse_gives_values_back_and_tells_where_it_cannot(matrix: np.ndarray) -> None:
    stage = ScaleSmoothClip().fit(matrix)
    assert stage.restores == "exactly"
    np.testing.assert_allclose(stage.inverse_transform(stage.transform(matrix)), matrix, rtol=1e-9)
    far = pl.DataFrame({"a": [*range(100), 10_000_000_000]})
    stage = ScaleSmoothClip().fit(far)
    assert stage.restores == "nearly"
    assert stage.inverse_transform(stage.transform(far))["a"][:100].to_list() == list(range(100))


def test_single_precision_stays_single_and_its_huge_values_reach_the_limit() -> None:
    values = np.array([0, 1, 2, 3, 4, 3e38], np.float32)[:, None]
    out = ScaleSmoothClip().fit_transform(values)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[-1], 3.0)
    np.testing.assert_allclose(out, ScaleSmoothClip().fit_transform(values.astype(np.float64)), rtol=1e-6)


def test_gaps_and_other_columns_stay() -> None:
    rows = pl.DataFrame(
        {"a": [1, 2, None, 9], "t": ["a", None, "b", "c"], "e": pl.Series([None] * 4, dtype=pl.Float64)}
    )
    out = ScaleSmoothClip().fit_transform(rows)
    assert out.select("t", "e").equals(rows.select("t", "e"))
    assert out["a"].is_null().to_list() == [False, False, True, False]


def test_parts_learn_exactly_what_the_whole_does(matrix: np.ndarray) -> None:
    frame = pl.DataFrame(matrix, schema=list("abc"))
    parts = [Table.of(frame[i : i + n]) for i, n in ((200, 101), (0, 1), (1, 0), (1, 199))]
    split, whole = ScaleSmoothClip().fit_table(parts), ScaleSmoothClip().fit(frame)
    assert split.median_ == whole.median_ and split.scale_ == whole.scale_
