"""ScaleLog: NumPy's log1p, arcsinh and log are the oracles."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.stages.scale.log import ScaleLog
from tilth.table import Table


@pytest.fixture
def rows() -> pl.DataFrame:
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "count": random.geometric(0.01, 300) - 1,
            "amount": np.where(np.arange(300) % 9 == 0, np.nan, np.exp(random.normal(3, 2, 300))),
            "profit": random.standard_t(2, 300) * 1000,
        },
        nan_to_null=True,
    )


def values(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(pl.all().cast(pl.Float64).fill_null(np.nan)).to_numpy()


@pytest.mark.parametrize("base", [None, 2.0, 10.0])
@pytest.mark.parametrize("unit", [1.0, 0.01, 250.0])
def test_values_equal_numpy(rows: pl.DataFrame, base: float | None, unit: float) -> None:
    X, factor = values(rows), np.log(base) if base else 1.0
    out = values(ScaleLog(unit=unit, base=base).fit_transform(rows))
    np.testing.assert_allclose(out, np.sign(X) * np.log1p(np.abs(X) / unit) / factor, rtol=1e-12)
    out = values(ScaleLog(method="asinh", unit=unit, base=base).fit_transform(rows))
    np.testing.assert_allclose(out, np.arcsinh(X / unit) / factor, rtol=1e-12)
    positive = rows.select("amount")
    out = values(ScaleLog(method="log", base=base).fit_transform(positive))
    np.testing.assert_allclose(out, np.log(values(positive)) / factor, rtol=1e-12)


def test_a_median_unit_is_that_of_the_sizes_that_are_not_zero() -> None:
    rows = pl.DataFrame({"a": [0.0, 0.0, 0.0, -2.0, 8.0, 4.0], "z": [0.0] * 6, "e": [None] * 6})
    stage = ScaleLog(unit="median", on=["a", "z", "e"])
    out = stage.fit_transform(rows)
    assert stage.units_ == {"a": 4.0, "z": 1.0, "e": 1.0}
    np.testing.assert_allclose(out["a"], [0, 0, 0, -np.log(1.5), np.log(3), np.log(2)])
    assert out["z"].to_list() == [0.0] * 6 and out["e"].null_count() == 6


@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_with_a_median_unit_the_unit_of_a_column_does_not_matter(rows: pl.DataFrame, factor: float) -> None:
    one = ScaleLog(unit="median").fit_transform(rows)
    two = ScaleLog(unit="median").fit_transform(rows.select(pl.all().cast(pl.Float64) * factor))
    np.testing.assert_allclose(values(one), values(two), rtol=1e-9)


def test_log_learns_an_offset_where_there_are_zeros_and_says_so() -> None:
    rows = pl.DataFrame({"a": [0.0, 0.5, 2.0, None], "b": [0.5, 1.0, 2.0, 4.0], "n": [0, 0, 0, 0]})
    stage = ScaleLog(method="log")
    out = stage.fit_transform(rows)
    assert stage.offsets_ == {"a": 0.25, "b": 0.0, "n": 0.5}
    np.testing.assert_allclose(out["a"].drop_nulls(), np.log([0.25, 0.75, 2.25]))
    told = [f for f in stage.findings_ if f.kind == "scale.offset"]
    assert [(f.columns, f.score) for f in told] == [(("a",), 0.25)]


def test_log_holds_new_values_to_the_smallest_one_learned() -> None:
    stage = ScaleLog(method="log").fit(pl.DataFrame({"a": [1.0, 10.0]}))
    out = stage.transform(pl.DataFrame({"a": [-5.0, 0.0, 0.5, 100.0]}))["a"]
    np.testing.assert_allclose(out, [0, 0, 0, np.log(100)], atol=1e-15)


@pytest.mark.parametrize(
    ("params", "low"), [({}, -3.0), ({"offset": 3.0}, -3.0), ({"offset": 1.0}, -3.0), ({}, -np.inf)]
)
def test_what_has_no_logarithm_is_refused_with_a_way_out(params: dict, low: float) -> None:
    with pytest.raises(DataError, match=r"column 'a' holds -.*Use method 'log1p' or 'asinh'"):
        ScaleLog(method="log", **params).fit(pl.DataFrame({"a": [low, 1.0, 5.0]}))
    ScaleLog(**params).fit(pl.DataFrame({"a": [low, 1.0, 5.0]}))


def test_half_infinite_columns_have_no_median_unit() -> None:
    rows = pl.DataFrame({"a": [1.0, np.inf, np.inf, -np.inf]})
    with pytest.raises(DataError, match=r"half of column 'a' is infinite"):
        ScaleLog(unit="median").fit(rows)
    assert ScaleLog().fit_transform(rows)["a"].to_list() == [np.log1p(1), np.inf, np.inf, -np.inf]


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=20),
    st.sampled_from([{}, {"unit": "median"}, {"method": "asinh", "unit": 3.0}, {"base": 2.0, "unit": 1e6}]),
)
def test_the_inverse_gives_values_back_small_ones_too(numbers: list, params: dict) -> None:
    rows = pl.DataFrame({"a": numbers}, schema={"a": pl.Float64})
    stage = ScaleLog(**params).fit(rows)
    back = stage.inverse_transform(stage.transform(rows))["a"]
    np.testing.assert_allclose(back, numbers, rtol=1e-10, atol=1e-300)


def test_the_inverse_gives_whole_numbers_and_gaps_back(rows: pl.DataFrame) -> None:
    stage = ScaleLog().fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert back.schema == rows.schema and back["count"].equals(rows["count"])
    positive = ScaleLog(method="log", on=["amount"]).fit(rows)
    np.testing.assert_allclose(
        values(positive.inverse_transform(positive.transform(rows))), values(rows), rtol=1e-12
    )


def test_a_column_that_a_logarithm_makes_more_skewed_is_reported() -> None:
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"even": random.uniform(0, 10, 500), "tail": np.exp(random.normal(3, 1, 500))})
    stage = ScaleLog().fit(rows)
    assert [(f.kind, f.columns) for f in stage.findings_] == [("scale.log", ("even",))]
    assert stage.findings_[0].remedy == {"scale.robust": {"on": ["even"]}}


def test_parts_learn_what_the_whole_does(rows: pl.DataFrame) -> None:
    parts = [Table.of(rows[i : i + n]) for i, n in ((200, 100), (0, 1), (1, 0), (1, 199))]
    for params in ({"unit": "median"}, {"method": "log", "on": ["count", "amount"]}):
        split, whole = ScaleLog(**params).fit_table(parts), ScaleLog(**params).fit(rows)
        for name in ("units_", "offsets_", "low_"):
            assert getattr(split, name) == getattr(whole, name)
