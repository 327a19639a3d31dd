"""The part of the report that says whether more rows would help: curves, and what they foretell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tilth.bench.curve_result import Curve, LearningCurve, Prediction
from tilth.report.elements import Child, Element, element
from tilth.report.parts import Head, section, table
from tilth.report.pictures import cut, figure_of, short, ticks
from tilth.report.words import DASH, metric, signed

TONES = {"more rows would help": "good"}
"""How a curve's word is colored; the others are even."""
WIDTH, HEIGHT = 440.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 8.0, 24.0
STEPS = 40
AHEAD = 10.0
"""The picture ends at so many times the rows that there are."""


def learning_curve(done: LearningCurve) -> Element:
    """Show how scores grow with rows, and what more rows would bring."""
    times = f"{done.repeats} times" if done.repeats > 1 else "once"
    lead = (
        f"Chosen before the run: {' and '.join(metric(m) for m in done.primary)}. {done.rows:,} rows, "
        f"{done.task}, {done.folds} folds, {times}; {len(done.sizes)} sizes from {done.sizes[0]:,} to "
        f"{done.sizes[-1]:,} training rows, each drawn inside the next, all scored on the same test rows. "
        "The curve is a power law of the error: a + b / rows to the power of c."
    )
    drawn = [element("figure", _caption(c), picture(c)) for c in done.curves if _finite(c)]
    return section(
        "rows",
        "Would more data help?",
        element("p", lead, class_="lead"),
        element("div", drawn, class_="grid") if drawn else None,
        _table(done),
        _classes(done),
        _remarks(done),
    )


def tone(word: str) -> str:
    """Return the class that colors a curve's word."""
    return TONES.get(word, "even")


def picture(curve: Curve) -> Element:
    """Draw the scores with their intervals, the curve, and the band in which it may go on.

    The axis of rows is logarithmic and ends at ten times the rows measured; a line marks where these end.
    """
    points = [p for p in curve.points if math.isfinite(p.score)]
    first, last = points[0].rows, points[-1].rows
    end = AHEAD * last if curve.law is not None else last
    band, line = _said(curve, last, end), _said(curve, first, last)
    values = [v for p in points for v in (p.score, p.low, p.high) if math.isfinite(v)]
    values += [p.score for _, p in (*line, *band)]
    low, high = min(values), max(values)
    # A band far wider than all that was measured would squeeze it flat: it is cut at the frame.
    room = high - low or max(abs(high) * 0.02, 0.01)
    low = max(low - room, min([low, *(p.low for _, p in band)])) - 0.05 * room
    high = min(high + room, max([high, *(p.high for _, p in band)])) + 0.05 * room
    x = lambda n: LEFT + math.log(n / first) / math.log(end / first) * (WIDTH - LEFT - RIGHT)
    y = lambda v: TOP + (high - v) / (high - low) * (HEIGHT - TOP - BOTTOM)
    base = HEIGHT - BOTTOM
    drawn = [element("path", d=f"M{LEFT:g} {base + 0.5:g}H{WIDTH - RIGHT:g}", class_="axis")]
    if band:
        above = "L".join(f"{x(n):.1f} {y(min(p.high, high)):.1f}" for n, p in band)
        below = "L".join(f"{x(n):.1f} {y(max(p.low, low)):.1f}" for n, p in reversed(band))
        drawn.append(element("path", d=f"M{above}L{below}z", class_="band"))
        drawn.append(
            element("path", d=f"M{x(last):.1f} {TOP:g}V{base:g}", class_="zero", stroke_dasharray="2 3")
        )
    drawn += [
        element("text", short(tick), x=f"{LEFT - 8:g}", y=f"{y(tick) + 4:.1f}", text_anchor="end")
        for tick in ticks(low, high, 4)
    ]
    drawn += [
        element("text", short(tick), x=f"{x(tick):.1f}", y=f"{base + 16:g}", text_anchor="middle")
        for tick in _powers(first, end)
    ]
    if line:
        told = "L".join(f"{x(n):.1f} {y(p.score):.1f}" for n, p in line)
        drawn.append(element("path", d=f"M{told}", class_="after-line"))
        told = "L".join(f"{x(n):.1f} {y(p.score):.1f}" for n, p in band)
        drawn.append(element("path", d=f"M{told}", class_="after-line", stroke_dasharray="5 4"))
    for point in points:
        at = f"{x(point.rows):.1f}"
        if math.isfinite(point.low):
            ends = f"M{at} {y(point.low):.1f}V{y(point.high):.1f}"
            drawn.append(element("path", d=ends, class_="before-line"))
        drawn.append(element("circle", cx=at, cy=f"{y(point.score):.1f}", r="3.5", class_="after"))
    told = "; ".join(f"{p.rows:,.0f} rows {p.score:.4f}" for p in points)
    if curve.twice is not None and curve.tenfold is not None:
        told += "".join(
            f"; foretold at {p.rows:,} rows {p.score:.4f} ({p.low:.4f} to {p.high:.4f})"
            for p in (curve.twice, curve.tenfold)
        )
    return figure_of(f"Learning curve, {curve.probe}, {metric(curve.metric)}: {told}", WIDTH, HEIGHT, *drawn)


def _said(curve: Curve, start: float, end: float) -> list[tuple[float, Prediction]]:
    """Return numbers of rows and what the curve says of them; nothing where there is no curve."""
    asked = [float(n) for n in np.geomspace(start, end, STEPS)]
    return [(n, said) for n in asked if (said := curve.at(n)) is not None]


def _finite(curve: Curve) -> bool:
    return sum(math.isfinite(p.score) for p in curve.points) > 1


def _powers(first: float, end: float) -> list[float]:
    """Return round numbers for a logarithmic axis: 1, 2, 5 times the powers of ten, or these alone."""
    tens = range(math.floor(math.log10(first)), math.ceil(math.log10(end)) + 1)
    found = [m * 10.0**k for k in tens for m in (1, 2, 5) if first <= m * 10.0**k <= end]
    return found if len(found) <= 7 else [n for n in found if f"{n:e}".startswith("1")]


def _caption(curve: Curve) -> Element:
    key = "Dot: mean score. Line: its 95% interval. Band: where the curve may go, 95%."
    who = f"{cut(curve.probe, 30)}: {metric(curve.metric)}"
    return element("figcaption", element("b", who), element("br"), key)


def _table(done: LearningCurve) -> Element:
    rows: list[Sequence[Child]] = []
    for curve in done.curves:
        last = curve.points[-1]
        told = [element("span", part, class_="kind") for part in (curve.note, curve.reading) if part]
        needed = curve.rows_needed
        many = DASH if needed is None or needed.value is None else f"{needed.value:,}"
        ends = [] if needed is None else [DASH if n is None else f"{n:,}" for n in (needed.low, needed.high)]
        rows.append(
            (
                [element("b", curve.probe), element("span", metric(curve.metric), class_="kind")],
                _number(last.on_training),
                _number(last.score),
                _gain(curve.twice),
                _gain(curve.tenfold),
                [many, element("span", " to ".join(ends), class_="kind")] if ends else many,
                [element("span", curve.word, class_=f"badge {tone(curve.word)}"), *told],
            )
        )
    head: list[Head] = ["Model", ("Fitted on", "number"), ("Test", "number"), ("Twice the rows", "number")]
    head += [("Ten times", "number"), ("Rows needed", "number"), "Would more help?"]
    ropes = ", ".join(dict.fromkeys(f"{c.rope:.3g} {metric(c.metric)}" for c in done.curves))
    note = (
        "Fitted on, Test: mean scores on the rows a model was fitted on and on test rows. Twice, Ten times: "
        f"the gain expected with its 95% interval. Rows needed: for a gain that matters ({ropes}). {DASH}: "
        "no number that can be foreseen."
    )
    return element("div", table(head, rows, "Learning curves"), element("p", note, class_="note"))


def _classes(done: LearningCurve) -> Element | None:
    if not done.classes.height:
        return None
    names = done.classes["class"].unique(maintain_order=True).to_list()
    lines: dict[int, dict[str, float]] = {size: {} for size in done.sizes}
    for size, name, count in done.classes.select("rows", "class", "count").iter_rows():
        lines[size][name] = count
    head: list[Head] = ["Training rows", *((name, "number") for name in names)]
    rows = [(f"{size:,}", *(f"{held.get(n, 0.0):,.0f}" for n in names)) for size, held in lines.items()]
    summary = element("summary", "Rows of each class, mean per fold")
    return element("details", summary, table(head, rows, "Rows of each class"))


def _remarks(done: LearningCurve) -> Element | None:
    checks = [
        f"{c.probe}, {metric(c.metric)}: {c.limit_in_words()} {c.check_in_words()}".rstrip()
        for c in done.curves
        if c.law is not None
    ]
    told = [*checks, *(f.message for f in (*done.leaks, *done.controls))]
    return (
        element("ul", [element("li", element("bdi", line)) for line in told], class_="did") if told else None
    )


def _gain(said: Prediction | None) -> Child:
    if said is None:
        return DASH
    span = f"{signed(said.gain_low)} to {signed(said.gain_high)}"
    return [signed(said.gain), element("span", span, class_="kind")]


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else DASH
