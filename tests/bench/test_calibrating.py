"""What was said beside what came true: the pooled bins against scikit-learn's, and sums that add up."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from tests.bench.planted import NoOp, gaussian
from tilth.bench import ablate, compare
from tilth.bench.calibrating import (
    CALIBRATION,
    EDGES,
    PROBABILITIES,
    calibration_of,
    cells_of,
    probabilities_of,
)
from tilth.bench.metrics import BINS, calibration_error
from tilth.bench.statistics import wilson
from tilth.stages.balance.over import BalanceOver
from tilth.stages.balance.under import BalanceUnder

ALONE = {"probes": ["linear"], "n_jobs": 1}


def _line(truth, said, weight=None, **more):
    said = np.asarray(said, float)
    answer = said if said.ndim == 2 else np.column_stack([1 - said, said])
    weight = np.ones(len(truth)) if weight is None else weight
    return {"probe": "p", "arm": "a", "repeat": 0, **cells_of(np.asarray(truth), answer, weight), **more}


def _drawn(rows, seed=0):
    rng = np.random.default_rng(seed)
    said = rng.beta(0.8, 2.5, rows)
    return (rng.random(rows) < said**1.4).astype(int), said, rng


def test_bins_equal_scikit_learns_where_cells_hold_one_probability_each():
    # 30 probabilities, 20 rows of each: every bin of equal mass holds two of them.
    middles = (EDGES[:-1] + EDGES[1:]) / 2
    said = np.repeat(middles[5:185:6], 20)
    truth = (np.random.default_rng(1).random(600) < said).astype(int)
    told = calibration_of([_line(truth, said)])
    seen, mean = calibration_curve(truth, said, n_bins=BINS, strategy="quantile")
    assert told.schema == CALIBRATION and told["bin"].to_list() == list(range(1, BINS + 1))
    np.testing.assert_allclose(told["said"], mean, rtol=1e-12)
    np.testing.assert_allclose(told["seen"], seen, rtol=1e-12)
    for low, high, hits in zip(told["low"], told["high"], np.round(seen * 40).astype(int), strict=True):
        assert (low, high) == pytest.approx(wilson(int(hits), 40))
    # What is left between said and seen is the calibration error of the same bins.
    answer = np.column_stack([1 - said, said])
    error = ((told["said"] - told["seen"]).abs() * told["share"]).sum()
    assert error == pytest.approx(calibration_error(truth, answer, np.ones(600)))


def test_bins_of_any_probabilities_are_scikit_learns_within_a_cell():
    truth, said, _ = _drawn(20_000)
    told = calibration_of([_line(truth, said)])
    seen, mean = calibration_curve(truth, said, n_bins=BINS, strategy="quantile")
    width = np.diff(EDGES).max()
    assert np.abs(told["said"] - mean).max() < width < 0.008
    assert np.abs(told["seen"] - seen).max() < 0.02
    assert told["share"].sum() == pytest.approx(1) and told["share"].to_numpy() == pytest.approx(
        1 / BINS, abs=0.02
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        said = rng.uniform(0.05, 0.95, 1500)
        truth = (rng.random(1500) < said).astype(int)
        told = calibration_of([_line(truth, said)])
        held += ((told["low"] <= told["said"]) & (told["said"] <= told["high"])).to_list()
    # Calibrated answers: what was said is what is true. 600 intervals, standard error 0.9 points.
    assert 0.92 < np.mean(held) < 0.985


def test_a_row_tested_in_every_repeat_is_one_row():
    truth, said, _ = _drawn(900)
    once = calibration_of([_line(truth, said)])
    thrice = calibration_of([_line(truth, said, repeat=r) for r in range(3)])
    assert_frame_equal(once, thrice)
    # Were they new rows, the intervals would shrink.
    more = calibration_of([_line(truth, said), _line(truth, said)])
    assert ((more["high"] - more["low"]) < (once["high"] - once["low"])).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_folds_add_up_and_the_order_of_rows_does_not_matter(seed, folds):
    truth, said, rng = _drawn(120, seed)
    weight = rng.choice([0.0, 0.5, 1.0, 3.0], 120)
    weight[0] = 1.0
    whole = [_line(truth, said, weight)]
    turn = rng.permutation(120)
    part = rng.integers(0, folds, 120)
    apart = [_line(truth[part == f], said[part == f], weight[part == f]) for f in range(folds)]
    for other in ([_line(truth[turn], said[turn], weight[turn])], apart):
        assert_frame_equal(calibration_of(whole), calibration_of(other))
        assert_frame_equal(probabilities_of(whole), probabilities_of(other))


def test_weights_count_as_repeated_rows_but_tell_no_more():
    truth, said, rng = _drawn(400)
    times = rng.integers(1, 4, 400)
    weighed = calibration_of([_line(truth, said, times.astype(float))])
    again = np.repeat(np.arange(400), times)
    repeated = calibration_of([_line(truth[again], said[again])])
    same = ["bin", "said", "seen", "share"]
    assert_frame_equal(weighed.select(same), repeated.select(same))
    assert weighed["rows"].sum() == 400 and repeated["rows"].sum() == times.sum()
    assert (weighed["effective_rows"] <= weighed["rows"] + 1e-9).all()
    none = np.where(np.arange(400) < 200, 1.0, 0.0)
    half = calibration_of([_line(truth, said, none)])
    assert_frame_equal(half, calibration_of([_line(truth[:200], said[:200])]))


def test_bars_hold_what_a_histogram_holds_and_sure_answers_lie_in_the_last():
    truth, said, _ = _drawn(500)
    said[:20], said[20:30] = 1.0, 0.05
    told = probabilities_of([_line(truth, said)])
    counts, edges = np.histogram(said, np.linspace(0, 1, 21))
    assert told.schema == PROBABILITIES
    np.testing.assert_allclose(told["share"], counts / 500)
    np.testing.assert_allclose(told["low"], edges[:-1], atol=1e-9)


def test_of_more_classes_the_most_likely_one_is_held_to_account():
    rng = np.random.default_rng(0)
    answer = rng.dirichlet(np.ones(3), 600)
    truth = rng.integers(0, 3, 600)
    told = calibration_of([_line(truth, answer)])
    seen = (told["seen"] * told["share"]).sum()
    assert seen == pytest.approx((answer.argmax(1) == truth).mean())
    assert (told["said"] * told["share"]).sum() == pytest.approx(answer.max(1).mean())


def test_no_row_gives_no_line():
    assert calibration_of([]).schema == CALIBRATION and probabilities_of([]).schema == PROBABILITIES
    assert calibration_of([_line([0, 1], [0.2, 0.3], np.zeros(2))]).height == 0


def _rare(rows=600, seed=0):
    X, y = gaussian(rows, strength=1.0, seed=seed)
    rare = (np.asarray(y) == 1) & (np.random.default_rng(seed).random(rows) < 0.25)
    return X, rare.astype(int)


def test_a_comparison_holds_the_curves_of_both_and_of_uncorrected_answers(tmp_path):
    X, y = _rare()
    asked = {"folds": 3, "repeats": 2, "probes": [("model", LogisticRegression())], "n_jobs": 1}
    done = compare([NoOp()], [BalanceOver()], X, y, **asked)
    arms = ["before", "after", "after, uncorrected"]
    assert done.calibration["arm"].unique(maintain_order=True).to_list() == arms
    assert done.calibration.filter(arm="before")["rows"].sum() == pytest.approx(600)
    gap = done.calibration.group_by("arm").agg(
        ((pl.col("said") - pl.col("seen")) * pl.col("share")).sum().abs().alias("gap")
    )
    apart = dict(gap.iter_rows())
    # Balanced classes teach that every second row is a hit; turned back, answers are right on average.
    assert apart["after, uncorrected"] > 0.2 and max(apart["before"], apart["after"]) < 0.03
    assert done.probabilities.group_by("arm").agg(pl.col("share").sum())["share"].to_list() == [
        pytest.approx(1)
    ] * len(arms)
    assert len(done.as_dict()["calibration"]) == done.calibration.height
    assert len(done.as_dict()["probabilities"]) == 20 * len(arms)
    read = pl.read_parquet(done.write(tmp_path / "curve.parquet", what="calibration"))
    assert_frame_equal(read, done.calibration)
    kept = compare([NoOp()], [BalanceOver()], X, y, resume=tmp_path / "kept", **asked)
    again = compare([NoOp()], [BalanceOver()], X, y, resume=tmp_path / "kept", **asked)
    assert_frame_equal(kept.calibration, done.calibration)
    assert_frame_equal(again.calibration, done.calibration)


def test_arms_that_drop_at_random_have_no_curve_and_a_regression_has_none():
    X, y = _rare()
    done = compare(None, [BalanceUnder()], X, y, folds=2, repeats=1, **ALONE)
    assert "random drop" in done.scores["arm"]
    assert set(done.calibration["arm"]) == {"before", "after", "after, uncorrected"}
    values = np.asarray(X["x0"]) + np.random.default_rng(0).normal(size=X.height)
    done = compare(None, None, X, values, folds=2, repeats=1, **ALONE)
    assert done.calibration.schema == CALIBRATION and done.calibration.height == 0
    assert done.probabilities.height == 0


def test_an_ablation_holds_the_curves_of_its_recipes_and_shapley_those_of_all_and_none():
    X, y = gaussian(200)
    pipe = [("one", NoOp()), ("two", NoOp())]
    asked = {"folds": 2, "repeats": 1, **ALONE}
    arms = lambda method: set(ablate(pipe, X, y, method=method, **asked).calibration["arm"])
    assert arms("leave_one_out") == {"full", "without one", "without two"}
    assert arms("add_one") == {"none", "only one", "only two"}
    assert arms("shapley") == {"none", "full"}
