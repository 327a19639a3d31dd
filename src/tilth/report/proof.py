"""The part of the report that says whether it helped: verdicts, guards, costs, controls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tilth.bench.ablation_result import Ablation
from tilth.bench.result import Trial, Verdict
from tilth.report import pictures
from tilth.report.calibration import calibration
from tilth.report.elements import Child, Element, element
from tilth.report.parts import Head, section, table
from tilth.report.recalls import recalls
from tilth.report.waterfall import LEADS, waterfalls
from tilth.report.words import DASH, MINUS, TONES, design, metric, protocol, signed


def comparison(trial: Trial) -> Element:
    """Show before against after."""
    return section(
        "helped",
        "Did it help?",
        element("p", protocol(trial), class_="lead"),
        _grave(trial),
        _forests(trial.verdicts, "Gain of the recipe"),
        _scores(trial.verdicts),
        _verdicts(trial.verdicts),
        _guards(trial.verdicts),
        recalls(trial),
        calibration(trial),
        _costs(trial),
        _remarks(trial),
    )


def ablation(trial: Ablation) -> Element:
    """Show what each stage adds, by the way in which it was asked."""
    return section(
        "ablation",
        "Which stages matter?",
        element("p", LEADS[trial.method] + design(trial), class_="lead"),
        _grave(trial),
        _forests(trial.verdicts, "Gain of each stage"),
        *waterfalls(trial),
        _verdicts(trial.verdicts),
        _guards(trial.verdicts),
        recalls(trial),
        _costs(trial),
        _remarks(trial),
    )


def tone(word: str) -> str:
    """Return the class that colors a verdict word."""
    return TONES.get(word, "even")


def _who(verdict: Verdict) -> str:
    return f"{verdict.stage} · {verdict.probe}" if verdict.stage else verdict.probe


def _forests(verdicts: Sequence[Verdict], title: str) -> list[Element]:
    """Draw one picture per metric: their units do not share an axis."""
    drawn = []
    for name in dict.fromkeys(v.metric for v in verdicts):
        mine = [v for v in verdicts if v.metric == name]
        lines = [
            pictures.Interval(_who(v), v.difference, v.low, v.high, v.rope, v.word, tone(v.word))
            for v in mine
        ]
        rope = max((v.rope for v in mine if math.isfinite(v.rope)), default=0.0)
        key = f"Dot: mean gain. Line: 95% interval. Band: ±{rope:g}, where a difference does not matter."
        picture = element("div", pictures.forest(f"{title}, {metric(name)}", lines), class_="scroll")
        caption = element("figcaption", element("b", f"{title}: {metric(name)}"), element("br"), key)
        drawn.append(element("figure", caption, picture, class_="wide"))
    return drawn


def _scores(verdicts: Sequence[Verdict]) -> list[Element]:
    drawn = []
    for name in dict.fromkeys(v.metric for v in verdicts):
        lines = [
            pictures.Bar(_who(v), v.before, v.after, f"{v.before:.4f} → {v.after:.4f}")
            for v in verdicts
            if v.metric == name and math.isfinite(v.before) and math.isfinite(v.after)
        ]
        if not lines:
            continue
        picture = element("div", pictures.scores(f"Scores, {metric(name)}", lines), class_="scroll")
        key = element(
            "div",
            element("span", element("i", class_="before"), "before"),
            element("span", element("i", class_="after"), "after"),
            class_="key",
        )
        caption = element("figcaption", element("b", f"Mean scores: {metric(name)}"), key)
        drawn.append(element("figure", caption, picture, class_="wide"))
    return drawn


def _verdicts(verdicts: Sequence[Verdict]) -> Element:
    rows: list[Sequence[Child]] = []
    for v in verdicts:
        note: Child = element("span", v.note, class_="kind") if v.note else None
        if v.word == "no evidence" and v.rows_needed:
            settled = f"About {v.rows_needed:,} {v.counted} would settle it."
            note = element("span", f"{settled} {v.note}".strip(), class_="kind")
        rows.append(
            (
                [element("b", _who(v)), element("span", metric(v.metric), class_="kind")],
                _number(v.before),
                _number(v.after),
                [
                    signed(v.difference),
                    element("span", f"{signed(v.low)} to {signed(v.high)}", class_="kind"),
                ],
                _number(v.mde80),
                "< 0.001" if v.p_holm < 0.001 else _number(v.p_holm, 3),
                [element("span", v.word, class_=f"badge {tone(v.word)}"), note],
            )
        )
    first = "Stage and model" if any(v.stage for v in verdicts) else "Model"
    head: list[Head] = [
        first,
        ("Before", "number"),
        ("After", "number"),
        ("Gain, 95%", "number"),
        ("MDE 80%", "number"),
    ]
    head += [("Holm p", "number"), "Verdict"]
    note = "MDE 80%: the smallest true difference that this run would have found four times in five."
    return element("div", table(head, rows, "Verdicts"), element("p", note, class_="note"))


def _guards(verdicts: Sequence[Verdict]) -> Element | None:
    guarded = [(v, g) for v in verdicts for g in v.guards.values()]
    if not guarded:
        return None
    rows: list[Sequence[Child]] = [
        (
            _who(v),
            metric(g.metric),
            _number(g.before),
            _number(g.after),
            [signed(g.difference), element("span", f"{signed(g.low)} to {signed(g.high)}", class_="kind")],
            element(
                "span",
                "clearly worse" if g.broken else "holds",
                class_=f"badge {'bad' if g.broken else 'even'}",
            ),
        )
        for v, g in guarded
    ]
    first = "Stage and model" if any(v.stage for v in verdicts) else "Model"
    head: list[Head] = [
        first,
        "Metric",
        ("Before", "number"),
        ("After", "number"),
        ("Gain, 95%", "number"),
        "",
    ]
    broken = sum(g.broken for _, g in guarded)
    said = f"Metrics beside the chosen one: {broken} of {len(guarded)} clearly worse"
    return element("details", element("summary", said), table(head, rows, "Guards"), open=broken > 0)


def _costs(trial: Trial) -> Element | None:
    if not trial.costs.height:
        return None
    rows: list[Sequence[Child]] = [
        (
            c["arm"],
            c["probe"],
            f"{c['prepare_seconds']:.2f} s",
            f"{c['fit_seconds']:.2f} s",
            f"{c['rows_trained']:,.0f}",
            f"{c['share_kept']:.1%}",
            DASH if c["peak_mb"] is None else f"{c['peak_mb']:,.0f} MiB",
        )
        for c in trial.costs.to_dicts()
    ]
    head: list[Head] = [
        "Arm",
        "Model",
        ("Prepare", "number"),
        ("Fit", "number"),
        ("Rows", "number"),
        ("Kept", "number"),
        ("Peak memory", "number"),
    ]
    per = "fold" if trial.tested is None else "training seed"
    summary = element("summary", f"What it costs, mean per {per}")
    return element("details", summary, table(head, rows, "Costs"))


def _grave(trial: Trial) -> list[Element]:
    return [
        element("p", element("span", "leak", class_="badge bad"), " ", element("bdi", leak.message))
        for leak in trial.grave
    ]


def _remarks(trial: Trial) -> Element | None:
    found = [*(leak for leak in trial.leaks if leak.severity != "high"), *trial.controls]
    return (
        element("ul", [element("li", element("bdi", f.message)) for f in found], class_="did")
        if found
        else None
    )


def _number(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}".replace("-", MINUS) if math.isfinite(value) else DASH
