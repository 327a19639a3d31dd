"""ScaleMaxabs: scikit-learn's MaxAbsScaler is the oracle."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MaxAbsScaler

from tilth.errors import DataError
from tilth.stages.scale.maxabs import ScaleMaxabs
from tilth.table import Table


@given(arrays(np.float64, st.tuples(st.integers(1, 15), st.just(3)), elements=st.floats(-1e6, 1e6)))
def test_any_matrix_equals_scikit_learn(X: np.ndarray) -> None:
    X[np.abs(X) < 1e-9] = 0
    np.testing.assert_allclose(ScaleMaxabs().fit_transform(X), MaxAbsScaler().fit_transform(X), rtol=1e-12)


def test_gaps_zeros_and_signs_stay_and_new_values_may_be_larger() -> None:
    rows = pl.DataFrame(
        {"a": [-4, 0, None, 2], "e": pl.Series([None] * 4, dtype=pl.Float64), "t": list("abcd")}
    )
    stage = ScaleMaxabs()
    out = stage.fit_transform(rows)
    assert out["a"].to_list() == [-1.0, 0.0, None, 0.5]
    assert out.select("e", "t").equals(rows.select("e", "t"))
    assert stage.inverse_transform(out).equals(rows)
    assert stage.transform(rows.with_columns(a=pl.lit(8)))["a"].to_list() == [2.0] * 4


def test_a_column_of_zeros_stays_and_is_reported() -> None:
    stage = ScaleMaxabs().fit(pl.DataFrame({"z": [0, 0], "one": [5, 5]}))
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.constant", ("z",))]
    assert stage.transform(pl.DataFrame({"z": [0, 3], "one": [5, 10]})).rows() == [(0.0, 1.0), (3.0, 2.0)]


@pytest.mark.parametrize("unit", [1e-300, 1e-18, 1e300])
def test_the_unit_of_a_column_does_not_matter(unit: float) -> None:
    out = ScaleMaxabs().fit_transform(np.array([[1.0], [-2.0], [5.0]]) * unit)
    np.testing.assert_allclose(out[:, 0], [0.2, -0.4, 1], rtol=1e-12)


def test_the_smallest_whole_number_has_a_size() -> None:
    rows = pl.DataFrame({"a": pl.Series([-128, 0, 64], dtype=pl.Int8)})
    stage = ScaleMaxabs()
    assert stage.fit_transform(rows)["a"].to_list() == [-1.0, 0.0, 0.5]
    assert stage.inverse_transform(stage.transform(rows)).equals(rows)


def test_parts_learn_exactly_what_the_whole_does() -> None:
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=40)})
    parts = [Table.of(frame[i : i + n]) for i, n in ((30, 10), (0, 1), (1, 0), (1, 29))]
    assert ScaleMaxabs().fit_table(parts).scale_ == ScaleMaxabs().fit(frame).scale_


def test_infinity_is_refused_with_a_way_out() -> None:
    with pytest.raises(DataError, match=r"scale.maxabs: column 'a' holds infinity.*outliers\.clip"):
        ScaleMaxabs().fit(pl.DataFrame({"a": [1.0, -np.inf]}))
