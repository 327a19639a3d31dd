"""Turns scores by size into a curve and a word: every word follows from a rule, and none is typed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.curve_result import Check, Curve, CurveWord, Point, error_of, score_of
from tilth.bench.design import Design
from tilth.bench.metrics import CHANCE, METRICS, Metric
from tilth.bench.result import COSTS
from tilth.bench.statistics import corrected_t
from tilth.bench.trial import facts_of
from tilth.statistics.power_law import FEWEST_SIZES, fit_power_law

WIDE = 10.0
"""A gap between training and test rows is wide from so many ropes on: 0.05 ROC AUC, 0.1 accuracy."""
HALF = 0.5
"""The law is checked by a fit to the sizes up to this share: does it foretell the score of all rows?"""
UNLIKELY = 0.01
"""A power law is said not to fit where noise alone would leave as much so seldom."""

Scores = NDArray[np.float64]


def judge(design: Design, scores: pl.DataFrame, probe: str, metric: str, rows: Scores) -> Curve:
    """Fit the curve of one probe and metric, and say whether more rows would help.

    Parameters
    ----------
    scores : DataFrame
        As `SIZED` names its columns.
    rows : ndarray of shape (n_sizes,)
        How many rows the draws held, the mean over the folds.
    """
    of = METRICS[metric]
    values = _pivot(scores, probe, metric, "value")
    trained = _pivot(scores, probe, metric, "on_training")
    whole = np.isfinite(values).all(axis=1)
    # Where groups do not fit, two sizes may be the same draw.
    new = np.append(True, np.diff(rows) > 0)
    points = tuple(
        _point(float(n), values[:, i], trained[:, i], design) for i, n in enumerate(rows) if new[i]
    )
    last = points[-1].score
    begun = Curve(probe, metric, points, "cannot tell", of.half_width(last) if np.isfinite(last) else of.rope)
    obstacle = _obstacle(design, scores, probe, of)
    if whole.sum() < 2 or new.sum() < FEWEST_SIZES:
        few = f"Only {new.sum()} different sizes and {whole.sum()} folds with a score at each of them."
        return replace(begun, note=obstacle or few)
    errors = np.maximum(error_of(metric, values[whole][:, new]), 0.0)
    overlap = 1 / (design.folds - 1) if design.ratio is None else design.ratio
    law = fit_power_law(rows[new], errors, overlap)
    limit, exponent = law.asymptote, law.exponent
    low, high = sorted((score_of(metric, limit.low), score_of(metric, limit.high)))
    curve = replace(
        begun,
        law=law,
        limit=score_of(metric, limit.value),
        limit_low=low,
        limit_high=high,
        exponent=exponent.value,
        exponent_low=exponent.low,
        exponent_high=exponent.high,
        rows_needed=law.rows_for(begun.rope) if begun.rope > 0 else None,
    )
    curve = replace(curve, twice=curve.at(2 * rows[-1]), tenfold=curve.at(10 * rows[-1]))
    half = rows[new] <= HALF * rows[-1]
    if half.sum() >= FEWEST_SIZES:
        shorter = replace(curve, law=fit_power_law(rows[new][half], errors[:, half], overlap))
        said = shorter.at(rows[-1])
        assert said is not None
        gained = corrected_t(errors[:, half][:, -1] - errors[:, -1], design.folds, ratio=design.ratio)
        told = last, gained.mean, gained.low, gained.high
        curve = replace(curve, checked=Check(float(rows[new][half][-1]), said, *told))
    word, why = _word(curve, obstacle)
    notes = [why, _misfit(curve)]
    return replace(curve, word=word, note=" ".join(n for n in notes if n), reading=_reading(curve, word, of))


def _pivot(scores: pl.DataFrame, probe: str, metric: str, column: str) -> Scores:
    """Return the scores of one probe and metric: a row per run, a column per size."""
    mine = scores.filter((pl.col("probe") == probe) & (pl.col("metric") == metric))
    sizes = mine["rows"].n_unique()
    return mine.sort("repeat", "fold", "rows")[column].to_numpy().reshape(-1, sizes)


def _point(rows: float, values: Scores, trained: Scores, design: Design) -> Point:
    known = values[np.isfinite(values)]
    on_training = float(np.mean(trained[np.isfinite(trained)])) if np.isfinite(trained).any() else np.nan
    if len(known) < 2:
        return Point(rows, float(known.mean()) if len(known) else np.nan, np.nan, np.nan, on_training)
    told = corrected_t(known, design.folds, ratio=design.ratio)
    return Point(rows, told.mean, told.low, told.high, on_training)


def _obstacle(design: Design, scores: pl.DataFrame, probe: str, metric: Metric) -> str:
    """Say why nothing can be told; empty where something can."""
    few = facts_of(design, pl.DataFrame(schema=COSTS)).too_few(metric)
    if few:
        return few
    name, level = CHANCE[design.task]
    values = _pivot(scores, probe, name, "value")[:, -1]
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return f"{name} cannot be computed in enough folds."
    told = corrected_t(values, design.folds, ratio=design.ratio)
    if told.low > level:
        return ""
    return (
        f"With all rows the probe cannot be told from chance: {name} {told.mean:.3f} ({told.low:.3f} to "
        f"{told.high:.3f}); guessing gives {level:g}."
    )


def _word(curve: Curve, obstacle: str) -> tuple[CurveWord, str]:
    twice = curve.twice
    assert twice is not None
    if obstacle:
        return "cannot tell", obstacle
    if twice.gain >= curve.rope and twice.gain_low > 0:
        return "more rows would help", ""
    if twice.gain_high < curve.rope:
        return "flat", ""
    return "cannot tell", (
        f"A gain matters from {curve.rope:.3g} on; twice the rows may bring more or less than that."
    )


def _misfit(curve: Curve) -> str:
    """Say so where no power law comes near the scores."""
    from scipy.stats import chi2

    law = curve.law
    assert law is not None
    freedom = len(law.sizes) - 3
    if chi2.sf(law.misfit * freedom, freedom) >= UNLIKELY:
        return ""
    return "The scores do not follow a power law closely; the intervals are widened for it."


def _reading(curve: Curve, word: CurveWord, metric: Metric) -> str:
    """Read the gap between the rows fitted on and the test rows, at the largest size."""
    last = curve.points[-1]
    gap = float(metric.gain(np.array(last.score), np.array(last.on_training)))
    told = f"{last.on_training:.3f} on the rows fitted on, {last.score:.3f} on test rows"
    if gap >= WIDE * curve.rope:
        return f"Overfit: {told}; a simpler or more regularized model may gain too."
    if word == "flat" and np.isfinite(gap):
        return f"No overfit: {told}; other features or another model would change more than rows."
    return ""
