"""The waterfall of an ablation: by how much each stage moves the score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tilth.bench.ablation_result import Ablation
from tilth.bench.result import Verdict
from tilth.report.elements import Element, clean, element
from tilth.report.pictures import MINUS, cut, figure_of, ticks
from tilth.report.words import TONES, metric

LEADS = {
    "leave_one_out": (
        "The whole recipe against the recipe without one stage; a gain above 0 means that the stage helps. "
    ),
    "add_one": "Each stage alone against no stage; a gain above 0 means that the stage helps. ",
    "shapley": (
        "What each stage adds, on average over all orders in which stages could be added one by one (its "
        "Shapley value): the gains add up to that of the whole recipe. "
    ),
}
KEYS = {
    "leave_one_out": "From the score without the stage to that of the whole recipe.",
    "add_one": "From the score of no stage to that of the stage alone.",
    "shapley": "From the score of no stage to that of the whole recipe, stage by stage.",
}


@dataclass(frozen=True)
class Step:
    """Hold one bar: from where to where the score moves; a total begins nowhere."""

    label: str
    end: float
    start: float | None = None
    tone: str = "even"


def steps_of(done: Ablation, verdicts: Sequence[Verdict]) -> list[Step]:
    """Return the bars of one probe and metric; stages that could not be tested have none."""
    known = [v for v in verdicts if math.isfinite(v.difference)]
    if not known:
        return []
    tone = lambda v: TONES.get(v.word, "even")
    if done.method == "shapley":
        at = known[0].after - sum(v.after - v.before for v in known)
        steps = [Step("no stage", at)]
        for v in known:
            steps.append(Step(v.stage, at + v.after - v.before, at, tone(v)))
            at += v.after - v.before
        return [*steps, Step("all stages", known[0].after)]
    steps = [Step(v.stage, v.after, v.before, tone(v)) for v in known]
    if done.method == "add_one":
        return [Step("no stage", known[0].before), *steps]
    return [*steps, Step("all stages", known[0].after)]


def waterfalls(done: Ablation) -> list[Element]:
    """Draw one picture per probe and metric."""
    drawn = []
    for probe, name in dict.fromkeys((v.probe, v.metric) for v in done.verdicts):
        steps = steps_of(done, [v for v in done.verdicts if (v.probe, v.metric) == (probe, name)])
        if not steps:
            continue
        title = f"{probe}: {metric(name)} by stage"
        picture = element("div", waterfall(title, steps), class_="scroll")
        caption = element("figcaption", element("b", title), element("br"), KEYS[done.method])
        drawn.append(element("figure", caption, picture, class_="wide"))
    return drawn


def waterfall(title: str, steps: Sequence[Step]) -> Element:
    """Draw bars from where to where a score moves, one under the other; totals are lines across them."""
    width, left, right, pitch = 920.0, 190.0, 150.0, 28
    values = [v for s in steps for v in (s.start, s.end) if v is not None]
    low, high = min(values), max(values)
    slack = 0.08 * (high - low) or max(abs(high) * 0.02, 0.01)
    low, high = low - slack, high + slack
    bottom = len(steps) * pitch + 6
    at = lambda v: left + (v - low) / (high - low) * (width - left - right)
    drawn = [element("path", d=f"M{left} {bottom + 0.5}H{width - right}", class_="axis")]
    drawn += [
        element("text", f"{tick:.10g}", x=f"{at(tick):.1f}", y=f"{bottom + 15}", text_anchor="middle")
        for tick in ticks(low, high, 6)
    ]
    for i, step in enumerate(steps):
        y = i * pitch + 16
        label = {"x": f"{left - 14}", "y": f"{y + 4}", "text_anchor": "end", "class_": "strong"}
        drawn.append(element("text", cut(step.label, 30), **label))
        drawn.append(element("text", _told(step), x=f"{width - right + 14}", y=f"{y + 4}"))
        if step.start is None:
            drawn.append(element("circle", cx=f"{at(step.end):.1f}", cy=f"{y}", r="5", class_="after"))
        else:
            ends = f"M{at(step.start):.1f} {y}H{at(step.end):.1f}"
            drawn.append(element("path", d=ends, class_=step.tone, stroke_width="9"))
        if i + 1 < len(steps):
            # Where the next bar begins.
            drawn.append(element("path", d=f"M{at(step.end):.1f} {y}V{y + pitch}", class_="zero"))
    told = "; ".join(f"{clean(s.label)} {_told(s)}" for s in steps)
    return figure_of(f"{title}: {told}", width, bottom + 22, *drawn)


def _told(step: Step) -> str:
    if step.start is None:
        return f"{step.end:.4f}".replace("-", MINUS)
    return f"{round(step.end - step.start, 4) + 0.0:+.4f}".replace("-", MINUS)
