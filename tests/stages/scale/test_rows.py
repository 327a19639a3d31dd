"""ScaleRows: scikit-learn's Normalizer is the oracle."""

from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import Normalizer

from tilth.stages.scale.rows import ScaleRows

Norm = Literal["l1", "l2", "max"]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)),
    st.sampled_from(["l1", "l2", "max"]),
)
def test_any_matrix_equals_scikit_learn(X: np.ndarray, norm: Norm) -> None:
    X[np.abs(X) < 1e-9] = 0
    np.testing.assert_allclose(
        ScaleRows(norm=norm).fit_transform(X), Normalizer(norm).fit_transform(X), rtol=1e-12
    )


@pytest.mark.parametrize("factor", [1e-300, 1e300])
@pytest.mark.parametrize(("norm", "size"), [("l2", 5.0), ("l1", 7.0), ("max", 4.0)])
def test_huge_and_tiny_rows_have_a_norm(factor: float, norm: Norm, size: float) -> None:
    out = ScaleRows(norm=norm, keep_norm=True).fit_transform(
        pl.DataFrame({"a": [3 * factor], "b": [-4 * factor]})
    )
    np.testing.assert_allclose(out.row(0), [3 / size, -4 / size, size * factor], rtol=1e-12)


def test_gaps_and_infinities_are_left_out_and_stay_and_rows_of_zeros_too() -> None:
    rows = pl.DataFrame(
        {
            "a": [3.0, 0.0, None, 3.0, None],
            "b": [None, 0.0, None, 4.0, np.inf],
            "c": [4, 0, None, None, 2],
            "t": list("vwxyz"),
        }
    )
    stage = ScaleRows()
    out = stage.fit_transform(rows)
    assert out.rows() == [
        (0.6, None, 0.8, "v"),
        (0.0, 0.0, 0.0, "w"),
        (None, None, None, "x"),
        (0.6, 0.8, None, "y"),
        (None, np.inf, 1.0, "z"),
    ]
    zeros = next(f for f in stage.findings_ if f.kind == "scale.zeros")
    assert zeros.n_rows == 2 and zeros.score == 0.4


@pytest.mark.parametrize("norm", ["l1", "l2", "max"])
def test_with_its_norm_a_row_can_be_given_back(norm: Norm) -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame(random.normal(size=(40, 3)), schema=["a", "norm", "c"])
    rows = rows.with_columns(
        whole=random.integers(-9, 9, 40), single=pl.lit(0.1, pl.Float32), gap=pl.Series([None, 1.0] * 20)
    )
    stage = ScaleRows(norm=norm, keep_norm=True)
    out = stage.fit_transform(rows)
    assert out.columns == [*rows.columns, "norm_"] and out.schema["single"] == pl.Float32
    assert stage.get_feature_names_out().tolist() == out.columns
    back = stage.inverse_transform(out)
    assert back.schema == rows.schema
    np.testing.assert_allclose(
        back.fill_null(0).to_numpy(), rows.fill_null(0).to_numpy(), rtol=1e-6, atol=1e-12
    )
    assert back["whole"].equals(rows["whole"]) and back["gap"].null_count() == 20


def test_without_its_norm_there_is_no_way_back() -> None:
    rows = pl.DataFrame({"a": [1.0], "b": [2.0]})
    assert not hasattr(ScaleRows().fit(rows), "inverse_transform")
    assert hasattr(ScaleRows(keep_norm=True).fit(rows), "inverse_transform")


def test_a_column_that_makes_up_the_norms_is_reported() -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"age": random.uniform(20, 60, 99), "salary": random.uniform(2e4, 6e4, 99)})
    found = ScaleRows().fit(rows).findings_
    assert [(f.kind, f.columns, f.remedy) for f in found] == [
        ("scale.alone", ("salary",), {"scale.standard": {"on": ["age", "salary"]}})
    ]
    assert not ScaleRows().fit(rows.with_columns(pl.col("salary") / 1000)).findings_
    assert not ScaleRows(on=["salary"]).fit(rows).findings_


def test_only_the_chosen_columns_make_up_a_row() -> None:
    rows = pl.DataFrame({"a": [3], "b": [4], "c": [100]})
    assert ScaleRows(on=["a", "b"]).fit_transform(rows).rows() == [(0.6, 0.8, 100)]
