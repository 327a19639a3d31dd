"""Calibration curves: how often what was said came true, before and after, and how often it was said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tilth.bench.design import UNCORRECTED
from tilth.bench.result import Trial
from tilth.report.elements import Element, element
from tilth.report.pictures import MINUS, cut, figure_of, ticks
from tilth.report.words import metric

BOTH = ("before", "after")
RAW = UNCORRECTED.format(arm="after")
WIDTH, HEIGHT = 300.0, 352.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 8.0, 16.0, 20.0
BARS_HIGH = 36.0
RARE = 0.001
"""A bar of fewer of the rows does not stretch the axes."""
ENDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Where axes may end."""
SHOWN = ("ece", "calibration_slope", "calibration_intercept")


def calibration(trial: Trial) -> Element | None:
    """Show one curve per probe; None where nothing was said in probabilities, as in a regression."""
    told = trial.calibration.filter(pl.col("arm").is_in([*BOTH, RAW]))
    if not told.height:
        return None
    of = "of the second class" if trial.task == "binary" else "of the most likely class"
    over = "test folds" if trial.tested is None else "training seeds"
    lead = (
        f"All test rows by the probability {of} that they were given, in 15 bins of as many rows each. Dot: "
        "the mean probability of a bin, and the share of its rows for which it came true. Line: the 95% "
        "interval of that share. On the diagonal, probabilities mean what they say. Below: how often which "
        f"probability is given. ECE is the mean over {over}; chance alone keeps it above 0."
    )
    raw = RAW in told["arm"]
    if raw:
        lead += " Dashed: after, before probabilities are turned back to the class frequencies there were."
    key = element(
        "div",
        element("span", element("i", class_="before"), "before"),
        element("span", element("i", class_="after"), "after"),
        class_="key",
    )
    end = _end(told, trial.probabilities)
    drawn = []
    for name in told["probe"].unique(maintain_order=True).to_list():
        mine = (told.filter(probe=name), trial.probabilities.filter(probe=name))
        drawn.append(element("figure", _caption(trial, name), picture(name, *mine, end)))
    top = element("h3", "Can probabilities be trusted?")
    return element("div", top, element("p", lead, class_="note"), key, element("div", drawn, class_="grid"))


def picture(probe: str, curve: pl.DataFrame, spread: pl.DataFrame, end: float = 1.0) -> Element:
    """Draw what was said against what came true, and below it how often it was said.

    Parameters
    ----------
    probe : str
    curve, spread : DataFrame
        As in `Trial`, of one probe.
    end : float
        Where both axes end.
    """
    side = WIDTH - LEFT - RIGHT
    base = TOP + side
    x = lambda p: LEFT + p / end * side
    y = lambda p: base - min(p, end) / end * side
    floor = HEIGHT - BOTTOM
    drawn = [
        element(
            "path", d=f"M{LEFT:g} {base:g}L{WIDTH - RIGHT:g} {TOP:g}", class_="zero", stroke_dasharray="2 3"
        ),
        element("path", d=f"M{LEFT:g} {TOP:g}V{base + 0.5:g}H{WIDTH - RIGHT:g}", class_="axis", fill="none"),
        element("path", d=f"M{LEFT:g} {floor + 0.5:g}H{WIDTH - RIGHT:g}", class_="axis"),
        element("text", "came true", x=f"{LEFT:g}", y=f"{TOP - 6:g}"),
        element("text", "how often said", x=f"{LEFT:g}", y=f"{base + 13:g}"),
    ]
    marks = ticks(0.0, end, 4)
    for mark in marks:
        at = {"x": f"{LEFT - 7:g}", "y": f"{y(mark) + 4:.1f}", "text_anchor": "end"}
        drawn.append(element("text", f"{mark:.3g}", **at))
        anchor = "end" if mark == end else "middle"
        drawn.append(
            element("text", f"{mark:.3g}", x=f"{x(mark):.1f}", y=f"{floor + 15:g}", text_anchor=anchor)
        )
    drawn += _spread(spread, x, floor, end)
    for arm in (RAW, *BOTH):
        drawn += _curve(arm, curve.filter(arm=arm).to_dicts(), x, y)
    told = "; ".join(
        f"{arm}: " + ", ".join(f"{p['said']:.3f} said, {p['seen']:.3f} came true" for p in mine)
        for arm in (*BOTH, RAW)
        if (mine := curve.filter(arm=arm).to_dicts())
    )
    return figure_of(f"Calibration, {probe}: {told}", WIDTH, HEIGHT, *drawn)


def _curve(
    arm: str, points: Sequence[dict[str, Any]], x: Callable[[float], float], y: Callable[[float], float]
) -> list[Element]:
    """Draw one arm: dots with intervals, or where it only stands beside, a dashed line."""
    if not points:
        return []
    line = "L".join(f"{x(p['said']):.1f} {y(p['seen']):.1f}" for p in points)
    if arm == RAW:
        return [element("path", d=f"M{line}", class_="after-line faint", stroke_dasharray="4 3")]
    bars = "".join(f"M{x(p['said']):.1f} {y(p['low']):.1f}V{y(p['high']):.1f}" for p in points)
    dots = [
        element("circle", cx=f"{x(p['said']):.1f}", cy=f"{y(p['seen']):.1f}", r="3", class_=arm)
        for p in points
    ]
    return [element("path", d=bars, class_=f"{arm}-line faint"), *dots]


def _spread(spread: pl.DataFrame, x: Callable[[float], float], floor: float, end: float) -> list[Element]:
    """Draw how often which probability was said: bars before, a line after."""
    seen = spread.filter(pl.col("arm").is_in(BOTH), pl.col("low") < end)
    most = max(seen["share"].to_list(), default=0.0) or 1.0
    y = lambda share: floor - BARS_HIGH * share / most
    bars = "".join(
        f"M{x(low) + 0.4:.1f} {floor:g}V{y(share):.1f}H{x(high) - 0.4:.1f}V{floor:g}z"
        for low, high, share in seen.filter(arm="before").select("low", "high", "share").iter_rows()
        if share > 0
    )
    line = "".join(
        f"V{y(share):.1f}H{x(high):.1f}"
        for high, share in seen.filter(arm="after").select("high", "share").iter_rows()
    )
    drawn = [element("path", d=bars, class_="before faint")] if bars else []
    if line:
        drawn.append(element("path", d=f"M{x(0):.1f} {floor:g}{line}V{floor:g}", class_="after-line"))
    return drawn


def _end(curve: pl.DataFrame, spread: pl.DataFrame) -> float:
    """Return where axes end, the same for all pictures, so that they can be held side by side."""
    arms = curve["arm"].unique().to_list()
    bars = spread.filter(pl.col("arm").is_in(arms), pl.col("share") >= RARE)["high"].to_list()
    reach = max([*curve["said"].to_list(), *curve["seen"].to_list(), *bars])
    return next((end for end in ENDS if reach <= end), 1.0)


def _caption(trial: Trial, probe: str) -> Element:
    """Name the probe, and say what the metrics of calibration say of it: means over folds."""
    told = []
    for name in SHOWN:
        of = trial.scores.filter(probe=probe, metric=name)
        means = dict(of.group_by("arm").agg(pl.col("value").mean()).iter_rows())
        both = [float(means.get(arm, math.nan)) for arm in BOTH]
        if all(map(math.isfinite, both)):
            told.append(f"{metric(name)} {both[0]:.4f} \u2192 {both[1]:.4f}".replace("-", MINUS))
    lines = [part for line in told for part in (element("br"), line)]
    return element("figcaption", element("b", cut(probe, 30)), lines)
