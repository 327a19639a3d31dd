"""Shapes of columns: the figures are those of the values, and forms are what the stages would make."""

import numpy as np
import polars as pl
import pytest

import tilth
from tilth.stages.shapes import shapes
from tilth.statistics import Statistics
from tilth.statistics.normality import SHARES, normality


def looked_at(values, parts: int = 1):
    frame = pl.DataFrame({"a": values}, nan_to_null=True)
    step = -(-frame.height // parts)
    shards = [frame[i : i + step].lazy() for i in range(0, frame.height, step)]
    return shapes(Statistics(shards), ["a"])[0]


def test_the_figures_are_those_of_the_values():
    values = np.r_[np.zeros(30), np.random.default_rng(0).gamma(2, 3, 70), np.nan]
    for parts in (1, 7):
        shape = looked_at(values, parts)
        known = values[:-1]
        assert (shape.low, shape.high, shape.zeros) == (0.0, known.max(), 0.3)
        np.testing.assert_allclose(shape.edges, np.quantile(known, [0.25, 0.5, 0.75]))
        np.testing.assert_allclose(shape.quantiles, np.quantile(known, SHARES))
        assert shape.tied and not shape.two and not shape.flag


@pytest.mark.parametrize(
    ("values", "two", "flag"),
    [
        ([0, 1, 1, None], True, True),
        ([1, 2, 2], True, False),
        ([0, 1, 2], False, False),
        ([3, 3], True, False),
    ],
)
def test_two_values_and_flags_are_known(values: list, two: bool, flag: bool):
    shape = looked_at(pl.Series(values, dtype=pl.Int64))
    assert (shape.two, shape.flag) == (two, flag)


def test_a_column_without_values_has_no_ends():
    shape = looked_at(pl.Series([None, None], dtype=pl.Float64))
    assert np.isnan(shape.low) and np.isnan(shape.high) and not shape.two


@pytest.mark.parametrize("allowed", [["log"], ["power"], ["quantile"], ["log", "power", "quantile"]])
def test_forms_tell_what_the_stages_make(allowed: list):
    values = np.exp(np.random.default_rng(0).normal(2, 1, 4000))
    forms = looked_at(values).forms(allowed)
    assert forms[0].name == ""
    assert {f.key for f in forms[1:]} == {f"scale.{name}" for name in allowed}
    for form in forms[1:]:
        made = tilth.stage(form.key, **form.parameters).fit_transform(values[:, None])
        there = normality(np.quantile(made, SHARES, axis=0))[0]
        assert form.fit(far=1e9) == pytest.approx(there, abs=0.002), form.name


def test_no_form_is_made_of_infinite_ends_and_no_power_of_ties():
    assert [f.name for f in looked_at(np.r_[np.arange(50.0), np.inf]).forms(["log", "power"])] == [""]
    tied = looked_at(np.r_[np.zeros(50), np.arange(50.0)])
    assert {f.key for f in tied.forms(["log", "power", "quantile"])} == {"", "scale.log"}


def test_a_form_that_reaches_far_is_judged_with_its_clip():
    values = np.random.default_rng(0).standard_t(1.5, 4000)
    form = looked_at(values).forms([])[0]
    made = tilth.stage("scale.smooth_clip").fit_transform(values[:, None])
    assert form.reach > 3
    assert form.fit(far=3.0) == pytest.approx(normality(np.quantile(made, SHARES, axis=0))[0], abs=0.002)
    assert form.fit(far=3.0) > form.fit(far=1e9)
