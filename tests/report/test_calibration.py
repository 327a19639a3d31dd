"""Calibration curves: a picture per probe that says its numbers, on axes that all of them share."""

import re
from dataclasses import replace

import polars as pl
import pytest

from tests.report.conftest import comparison_of, verdict
from tests.report.test_page import Walk
from tilth.bench.calibrating import CALIBRATION, PROBABILITIES
from tilth.bench.result import SCORES
from tilth.report import page
from tilth.report.calibration import HEIGHT, LEFT, RIGHT, TOP, WIDTH, calibration, picture

ARMS = ("before", "after", "after, uncorrected")


def _curve(probe, arms=ARMS, top=0.9, off=0.05):
    points = [
        (p, arm, i + 1, top * (i + 1) / 15, top * (i + 1) / 15 + shift, 0.0, 1.0, 40.0, 40.0, 1 / 15)
        for p, arm, shift in ((probe, a, off * k) for k, a in enumerate(arms))
        for i in range(15)
    ]
    return pl.DataFrame(points, schema=CALIBRATION, orient="row")


def _spread(probe, arms=ARMS, full=10):
    bars = [
        (probe, arm, i / 20, (i + 1) / 20, 1 / full if i < full else 0.0) for arm in arms for i in range(20)
    ]
    return pl.DataFrame(bars, schema=PROBABILITIES, orient="row")


def _trial(*probes, task="binary", **more):
    scores = [
        (p, m, arm, 0, f, v)
        for p in probes
        for m, both in (("ece", (0.03, 0.05)), ("calibration_slope", (1.25, 0.5)))
        for arm, v in zip(("before", "after"), both, strict=True)
        for f in range(2)
    ]
    made = comparison_of(*(verdict(p) for p in probes))
    curves = pl.concat([_curve(p, **more) for p in probes])
    spread = pl.concat([_spread(p, more.get("arms", ARMS)) for p in probes])
    return replace(
        made,
        task=task,
        scores=pl.DataFrame(scores, schema=SCORES, orient="row"),
        calibration=curves,
        probabilities=spread,
    )


def _dots(drawn, arm):
    found = re.findall(rf'<circle cx="([\d.]+)" cy="([\d.]+)" r="3" class="{arm}">', str(drawn))
    return [(float(x), float(y)) for x, y in found]


def test_there_is_a_picture_per_probe_and_it_says_its_numbers():
    drawn = str(calibration(_trial("linear", "mlp")))
    assert drawn.count("<svg ") == 2
    assert "Calibration, linear: before: 0.060 said, 0.060 came true" in drawn
    assert "after: 0.060 said, 0.110 came true" in drawn
    assert "ECE 0.0300 → 0.0500" in drawn and "calibration slope 1.2500 → 0.5000" in drawn
    assert "of the second class" in drawn and "Dashed" in drawn and "stroke-dasharray" in drawn


def test_what_is_right_lies_on_the_diagonal_and_what_is_too_timid_above_it():
    drawn = picture("p", _curve("p"), _spread("p"))
    before, after = _dots(drawn, "before"), _dots(drawn, "after")
    assert len(before) == len(after) == 15
    side = WIDTH - LEFT - RIGHT
    height = lambda y: (TOP + side - y) / side
    for x, y in before:
        assert (x - LEFT) / side == pytest.approx(height(y), abs=2e-3)
    for x, y in after:
        assert height(y) == pytest.approx((x - LEFT) / side + 0.05, abs=2e-3)


def test_nothing_lies_outside_of_the_picture():
    for top in (0.02, 0.3, 1.0):
        for text in map(str, (calibration(_trial("p", top=top, off=0.0)),)):
            lines = re.findall(r'd="([^"]*)"', text)
            assert lines
            for line in lines:
                numbers = [float(n) for n in re.findall(r"-?\d+\.?\d*", line)]
                assert all(-1e-6 <= n <= max(WIDTH, HEIGHT) for n in numbers), line


def test_rare_events_are_drawn_on_axes_that_end_where_they_do():
    few = _trial("p", "q", top=0.08, arms=ARMS[:2], off=0.0)
    rare = replace(few, probabilities=few.probabilities.with_columns(share=pl.Series([0.5, 0.5] * 40)))
    assert len({x for x, _ in _dots(calibration(few), "before")}) == 15
    # The bars of `rare` reach to 1, those of `few` to 0.5, and its curve to 0.08.
    far = lambda trial: max(x for x, _ in _dots(calibration(trial), "before"))
    assert far(rare) == pytest.approx(LEFT + 0.08 * (WIDTH - LEFT - RIGHT), abs=0.1)
    assert far(few) == pytest.approx(LEFT + 0.16 * (WIDTH - LEFT - RIGHT), abs=0.1)


def test_without_a_correction_nothing_is_dashed_but_the_diagonal():
    drawn = str(calibration(_trial("p", arms=ARMS[:2])))
    assert "Dashed" not in drawn and drawn.count("stroke-dasharray") == 1


def test_of_more_classes_the_most_likely_is_named_and_undefined_metrics_are_left_out():
    trial = _trial("p", task="multiclass")
    odd = trial.scores.with_columns(
        value=pl.when(pl.col("metric") == "ece").then(float("nan")).otherwise(pl.col("value"))
    )
    drawn = str(calibration(replace(trial, scores=odd)))
    assert "of the most likely class" in drawn and "nan" not in drawn and "ECE 0" not in drawn


def test_where_there_is_no_probability_there_is_no_picture():
    assert calibration(comparison_of(verdict())) is None
    assert "Can probabilities be trusted?" not in page(comparison=comparison_of(verdict()))


def test_it_stands_in_the_page_and_names_are_text():
    naughty = "<script>alert('x')</script>"
    text = page(comparison=_trial(naughty))
    walk = Walk(text)
    assert "script" not in walk.tags and "Can probabilities be trusted?" in walk.text
