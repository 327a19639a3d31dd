"""Small pictures as inline SVG: each has a title that says in words what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tilth.report.elements import Element, clean, element

WIDTH, HEIGHT = 300, 132
BARS = 8
MINUS = "\u2212"
BINS = 32


def figure_of(title: str, width: float, height: float, *inside: Element) -> Element:
    """Return an SVG picture that says what it shows to those who do not see it."""
    return element(
        "svg",
        element("title", title),
        *inside,
        role="img",
        aria_label=title,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
    )


def short(number: float) -> str:
    """Write a number of an axis in at most about six characters."""
    if number == 0:
        return "0"
    size = abs(number)
    if 1e3 <= size < 1e4:
        return f"{number:.0f}".replace("-", MINUS)
    if 1e4 <= size < 1e15:
        for step, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            if size >= step:
                return f"{number / step:.3g}{unit}".replace("-", MINUS)
    return f"{number:.3g}".replace("-", MINUS)


def cut(text: object, length: int) -> str:
    """Cut a label to `length` characters."""
    plain = " ".join(clean(text).split()) or "“ ”"
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return round numbers from `low` to `high`: steps of 1, 2 or 5 times a power of ten."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1, 2, 5, 10) if m * power >= rough), 10 * power)
    found = [
        round(i * step, 12) for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return found or [low]


def histogram(name: object, before: np.ndarray, after: np.ndarray | None = None) -> Element:
    """Draw how the values of a column are spread: bars before, a line after.

    Parameters
    ----------
    name : str
    before, after : ndarray
        Values; those that are not finite are left out. Where they moved, as by scaling, each has a
        panel and an axis of its own.
    """
    before = before[np.isfinite(before)]
    after = None if after is None else after[np.isfinite(after)]
    told = f"{clean(name)}: {_spread(before)}" + ("" if after is None else f" before, {_spread(after)} after")
    if after is None or _share_an_axis(before, after):
        both = before if after is None else np.concatenate([before, after])
        return figure_of(told, WIDTH, HEIGHT, *_panel(0, WIDTH, before, after, both))
    half = WIDTH / 2 - 10
    panels = [*_panel(0, half, before, None, before), *_panel(WIDTH / 2 + 10, half, None, after, after)]
    return figure_of(told, WIDTH, HEIGHT, *panels)


def _panel(
    left: float, width: float, before: np.ndarray | None, after: np.ndarray | None, scale: np.ndarray
) -> list[Element]:
    base, top = HEIGHT - 20, 6
    if len(scale) == 0:
        return [element("text", "no values", x=f"{left:g}", y=f"{base:g}")]
    low, high = float(scale.min()), float(scale.max())
    # Two finite ends may lie further apart than a float can say; half of each cannot.
    if high / 2 - low / 2 <= abs(low) * 1e-12:
        low, high = low - max(abs(low) * 1e-6, 1), high + max(abs(high) * 1e-6, 1)
    bins = BINS if width > WIDTH / 2 else BINS // 2
    shares = [_shares(v, low, high, bins) for v in (before, after) if v is not None]
    most = max(float(s.max(initial=0.0)) for s in shares) or 1.0
    step = width / bins
    drawn: list[Element] = []
    at = lambda share: base - (base - top) * share / most
    if before is not None:
        bars = "".join(
            f"M{left + i * step + 0.4:.1f} {base}V{at(s):.1f}h{step - 0.8:.1f}V{base}z"
            for i, s in enumerate(shares[0])
            if s > 0
        )
        drawn.append(element("path", d=bars or "M0 0", class_="before faint"))
    if after is not None:
        line = f"M{left:.1f} {base}" + "".join(f"V{at(s):.1f}h{step:.1f}" for s in shares[-1])
        drawn.append(element("path", d=f"{line}V{base}", class_="after-line"))
    drawn.append(element("path", d=f"M{left:.1f} {base + 0.5}h{width:.1f}", class_="axis"))
    drawn.append(element("text", short(low), x=f"{left:.1f}", y=f"{base + 15}"))
    drawn.append(element("text", short(high), x=f"{left + width:.1f}", y=f"{base + 15}", text_anchor="end"))
    return drawn


def _shares(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    place = (values / 2 - low / 2) / (high / 2 - low / 2) * bins
    counts = np.bincount(np.clip(place.astype(np.int64), 0, bins - 1), minlength=bins)
    return counts / max(len(values), 1)


def _spread(values: np.ndarray) -> str:
    if len(values) == 0:
        return "no values"
    return f"{len(values)} values from {short(float(values.min()))} to {short(float(values.max()))}"


def _share_an_axis(before: np.ndarray, after: np.ndarray) -> bool:
    """Tell whether values lie where they lay, as after clipping or filling; scaling moves them."""
    if len(before) == 0 or len(after) == 0:
        return True
    (a, b), (c, d) = ((v.min() / 2, v.max() / 2) for v in (before, after))
    slack = 0.01 * (b - a)
    return bool(a - slack <= c and d <= b + slack and d - c >= 0.3 * (b - a))


@dataclass(frozen=True)
class Bar:
    """Hold one line of a bar picture: a label, and the share or count before and after."""

    label: str
    before: float
    after: float | None = None
    told: str = ""


def bars(title: str, lines: Sequence[Bar], width: float = WIDTH) -> Element:
    """Draw horizontal bars, one line per category: before above, after below it."""
    left, right = 0.34 * width, 58.0
    most = max((max(b.before, b.after or 0.0) for b in lines), default=1.0) or 1.0
    double = any(b.after is not None for b in lines)
    pitch = 23 if double else 19
    room = width - left - right
    drawn: list[Element] = []
    for i, bar in enumerate(lines):
        y = i * pitch + 3
        thick = 7 if double else 11
        drawn.append(
            element(
                "text", cut(bar.label, int(left / 6.1)), x=f"{left - 8:.1f}", y=f"{y + 11}", text_anchor="end"
            )
        )
        drawn.append(_bar(left, y, room * bar.before / most, thick, "before"))
        if bar.after is not None:
            drawn.append(_bar(left, y + 8, room * bar.after / most, thick, "after"))
        reach = max(bar.before, bar.after or 0.0) / most * room
        drawn.append(element("text", bar.told, x=f"{left + reach + 7:.1f}", y=f"{y + 11}"))
    told = "; ".join(f"{clean(b.label)} {b.told}" for b in lines)
    return figure_of(f"{title}: {told}", width, len(lines) * pitch + 6, *drawn)


def _bar(x: float, y: float, length: float, thick: float, name: str) -> Element:
    return element(
        "rect",
        x=f"{x:.1f}",
        y=f"{y:g}",
        width=f"{max(length, 1):.1f}",
        height=f"{thick:g}",
        rx="2",
        class_=name,
    )


def category_bars(title: str, before: Mapping[str, int], after: Mapping[str, int] | None = None) -> Element:
    """Draw the largest categories and all others together, before and after, as shares of the rows."""
    names = sorted({**before, **(after or {})}, key=lambda n: -max(before.get(n, 0), (after or {}).get(n, 0)))
    shown, rest = names[:BARS], names[BARS:]
    lines = [_category(n, before, after, [n]) for n in shown]
    if rest:
        lines.append(_category(f"{len(rest)} others", before, after, rest))
    return bars(title, lines)


def _category(
    label: str, before: Mapping[str, int], after: Mapping[str, int] | None, names: Sequence[str]
) -> Bar:
    share = lambda counts: sum(counts.get(n, 0) for n in names) / max(sum(counts.values()), 1)
    was = share(before)
    now = None if after is None else share(after)
    told = f"{was:.0%}" if now is None or f"{was:.1%}" == f"{now:.1%}" else f"{was:.0%} → {now:.0%}"
    return Bar(label, was, now, told)


def missing_bars(missing: Mapping[str, int], rows: int, limit: int = 16) -> Element:
    """Draw the share of missing cells per column, the gappiest first."""
    order = sorted(missing, key=lambda n: -missing[n])[:limit]
    lines = [Bar(n, missing[n] / max(rows, 1), None, f"{missing[n] / max(rows, 1):.1%}") for n in order]
    return bars("Share of missing cells", lines)


@dataclass(frozen=True)
class Interval:
    """Hold one line of a forest plot; `tone` is ``good``, ``bad`` or ``even``."""

    label: str
    middle: float
    low: float
    high: float
    rope: float
    word: str
    tone: str


def forest(title: str, lines: Sequence[Interval]) -> Element:
    """Draw intervals around a zero line, with the band within which a difference does not matter.

    Lines without a finite interval are named and left empty.
    """
    width, left, right, pitch = 920.0, 190.0, 150.0, 30
    known = [i for i in lines if all(map(math.isfinite, (i.middle, i.low, i.high)))]
    rope = max((i.rope for i in lines if math.isfinite(i.rope)), default=0.0)
    reach = max([abs(v) for i in known for v in (i.low, i.high)] + [1.5 * rope], default=1.0) or 1.0
    low = min([i.low for i in known] + [-1.5 * rope, -0.12 * reach])
    high = max([i.high for i in known] + [1.5 * rope, 0.12 * reach])
    low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)
    bottom = len(lines) * pitch + 8
    at = lambda v: left + (v - low) / (high - low) * (width - left - right)
    drawn: list[Element] = []
    if rope:
        band = {"x": f"{at(-rope):.1f}", "width": f"{at(rope) - at(-rope):.1f}"}
        drawn.append(element("rect", y="0", height=f"{bottom}", class_="band", **band))
    drawn.append(element("path", d=f"M{at(0):.1f} 0V{bottom}", class_="zero"))
    drawn.append(element("path", d=f"M{left} {bottom + 0.5}H{width - right}", class_="axis"))
    for tick in ticks(low, high, 6):
        label = f"{tick:+.10g}".replace("-", MINUS) if tick else "0"
        drawn.append(element("text", label, x=f"{at(tick):.1f}", y=f"{bottom + 15}", text_anchor="middle"))
    for i, line in enumerate(lines):
        y = i * pitch + 18
        drawn.append(
            element(
                "text",
                cut(line.label, 30),
                x=f"{left - 14}",
                y=f"{y + 4}",
                text_anchor="end",
                class_="strong",
            )
        )
        drawn.append(element("text", line.word, x=f"{width - right + 14}", y=f"{y + 4}", class_="strong"))
        if line in known:
            ends = f"M{at(line.low):.1f} {y}H{at(line.high):.1f}"
            drawn.append(
                element("path", d=ends, class_=line.tone, stroke_width="2.5", stroke_linecap="round")
            )
            drawn.append(element("circle", cx=f"{at(line.middle):.1f}", cy=f"{y}", r="4.5", class_=line.tone))
    told = "; ".join(
        f"{clean(i.label)} {i.middle:+.4f} ({i.low:+.4f} to {i.high:+.4f}), {i.word}"
        if i in known
        else f"{clean(i.label)}: {i.word}"
        for i in lines
    )
    return figure_of(f"{title}: {told}", width, bottom + 22, *drawn)


def scores(title: str, lines: Sequence[Bar]) -> Element:
    """Draw scores before and after as two dots on one line each; the axis does not start at zero."""
    width, left, right, pitch = 920.0, 190.0, 150.0, 28
    known = [b for b in lines if b.after is not None and math.isfinite(b.before) and math.isfinite(b.after)]
    values = [v for b in known for v in (b.before, b.after or 0.0)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    slack = 0.08 * (high - low) or max(abs(high) * 0.02, 0.01)
    low, high = low - slack, high + slack
    bottom = len(lines) * pitch + 6
    at = lambda v: left + (v - low) / (high - low) * (width - left - right)
    drawn = [element("path", d=f"M{left} {bottom + 0.5}H{width - right}", class_="axis")]
    drawn += [
        element("text", f"{tick:.10g}", x=f"{at(tick):.1f}", y=f"{bottom + 15}", text_anchor="middle")
        for tick in ticks(low, high, 6)
    ]
    for i, bar in enumerate(lines):
        y = i * pitch + 16
        drawn.append(
            element(
                "text", cut(bar.label, 30), x=f"{left - 14}", y=f"{y + 4}", text_anchor="end", class_="strong"
            )
        )
        drawn.append(element("text", bar.told, x=f"{width - right + 14}", y=f"{y + 4}"))
        if bar in known and bar.after is not None:
            drawn.append(
                element("path", d=f"M{at(bar.before):.1f} {y}H{at(bar.after):.1f}", class_="before-line")
            )
            drawn.append(element("circle", cx=f"{at(bar.before):.1f}", cy=f"{y}", r="4.5", class_="before"))
            drawn.append(element("circle", cx=f"{at(bar.after):.1f}", cy=f"{y}", r="4.5", class_="after"))
    told = "; ".join(f"{clean(b.label)} {b.told}" for b in lines)
    return figure_of(f"{title}: {told}", width, bottom + 22, *drawn)


def mark(severity: str) -> Element:
    """Draw a severity as a shape, so that it does not rest on color alone."""
    shapes = {
        "high": element("path", d="M5 0 10 5 5 10 0 5z"),
        "medium": element("path", d="M5 .5 10 9.5H0z"),
        "low": element("circle", cx="5", cy="5", r="4.4"),
        "info": element(
            "circle", cx="5", cy="5", r="3.6", fill="none", stroke="currentColor", stroke_width="1.6"
        ),
    }
    return element("svg", shapes[severity], viewBox="0 0 10 10", fill="currentColor", aria_hidden="true")
