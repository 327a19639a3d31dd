"""The parts of the report that look closer: which columns matter, which rows pay, what it withstands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from tilth.bench.corruptions import CLEAN
from tilth.bench.explain import Explanation
from tilth.bench.importance import CHANGE
from tilth.bench.result import Comparison, Trial
from tilth.bench.robustness_result import Robustness, differs
from tilth.report import pictures
from tilth.report.elements import Child, Element, element
from tilth.report.parts import Head, section, table
from tilth.report.words import DASH, TONES, metric, signed

DRAWN = 15
"""Columns in a picture, and slices in a table, at most: the table holds all, the words the worse."""


def closer(trial: Trial) -> list[Element]:
    """Return the parts that a comparison was asked for."""
    if not isinstance(trial, Comparison):
        return []
    made = [] if trial.explanation is None else [explanation(trial.explanation)]
    return made + ([] if trial.robustness is None else [robustness(trial.robustness)])


def explanation(told: Explanation) -> Element:
    """Show which columns the pipelines rely on, and in which slices after is worse."""
    lead = (
        "What the score loses where a column of the test rows is shuffled, before any stage sees it: so this "
        "is the importance for recipe and model together. Columns that tell the same share it; put them in "
        "one group to see it whole."
    )
    return section(
        "explained",
        "Which columns matter?",
        element("p", lead, class_="lead"),
        _forests(told),
        _columns(told),
        _slices(told),
        element("ul", [element("li", element("bdi", line)) for line in told.in_words()], class_="did"),
    )


def robustness(told: Robustness) -> Element:
    """Show how before and after fare on rows made worse, and on rows moved against the models."""
    lead = (
        "Test rows made worse on purpose, as the data was given, and rows moved to where a model errs most "
        "(FGSM, PGD). Each cell: score before → after. A colored one is told apart after Holm's correction "
        "for all cells."
    )
    names = told.scores["metric"].unique(maintain_order=True).to_list()
    shown = list(dict.fromkeys(v.metric for v in told.verdicts)) or names[:1]
    return section(
        "robust",
        "What does it withstand?",
        element("p", lead, class_="lead"),
        [_matrix(told, name) for name in dict.fromkeys([*shown, *(n for n in names if n == "accuracy")])],
        _checks(told),
        element("ul", [element("li", element("bdi", line)) for line in told.in_words()], class_="did"),
    )


def _forests(told: Explanation) -> list[Element]:
    """Draw the importances of after, one picture per probe and metric."""
    drawn = []
    for (probe, name), mine in told.wide().group_by("probe", "metric", maintain_order=True):
        lines = [
            pictures.Interval(
                str(c["column"]),
                c["after"],
                c["after_low"],
                c["after_high"],
                0.0,
                "matters" if c["after_matters"] else "",
                "good" if c["after_matters"] else "even",
            )
            for c in mine.head(DRAWN).to_dicts()
            if c["after"] is not None
        ]
        if not lines:
            continue
        picture = element(
            "div", pictures.forest(f"Importance after, {probe}, {metric(str(name))}", lines), class_="scroll"
        )
        key = "Dot: what the score loses without the column. Line: 95% interval."
        caption = element("figcaption", element("b", f"{probe}: {metric(str(name))}"), element("br"), key)
        drawn.append(element("figure", caption, picture, class_="wide"))
    return drawn


def _columns(told: Explanation) -> Element:
    rows: list[Sequence[Child]] = [
        (
            c["column"],
            [element("b", c["probe"]), element("span", metric(c["metric"]), class_="kind")],
            *(_interval(c, arm) for arm in ("before", "after", CHANGE)),
        )
        for c in told.wide().to_dicts()
    ]
    head: list[Head] = ["Column", "Model", ("Before, 95%", "number"), ("After, 95%", "number")]
    head += [("Change, 95%", "number")]
    return element(
        "details", element("summary", "The importance of every column"), table(head, rows, "Importance")
    )


def _interval(line: dict, arm: str) -> Child:
    if line[arm] is None:
        return DASH
    span = f"{signed(line[f'{arm}_low'])} to {signed(line[f'{arm}_high'])}"
    told = element("b", signed(line[arm])) if line[f"{arm}_matters"] else signed(line[arm])
    return [told, element("span", span, class_="kind")]


def _slices(told: Explanation) -> Element | None:
    if not told.slices.height:
        return None
    rows: list[Sequence[Child]] = [
        (
            element("bdi", s["slice"]),
            f"{s['rows']:,}" if s["rows"] is not None else DASH,
            [element("b", s["probe"]), element("span", metric(s["metric"]), class_="kind")],
            f"{s['before']:.4f}",
            f"{s['after']:.4f}",
            [
                signed(s["difference"]),
                element("span", f"{signed(s['low'])} to {signed(s['high'])}", class_="kind"),
            ],
            element("span", "worse", class_="badge bad") if s["worse"] else f"{s['p_holm']:.3f}",
        )
        for s in told.slices.head(DRAWN).to_dicts()
    ]
    head: list[Head] = ["Rows where", ("Rows", "number"), "Model", ("Before", "number"), ("After", "number")]
    head += [("Gain, 95%", "number"), "Holm p"]
    worse = int(told.slices["worse"].sum())
    said = f"Parts of the rows, the largest loss first: {worse} of {told.slices.height} clearly worse"
    return element("details", element("summary", said), table(head, rows, "Slices"), open=worse > 0)


def _matrix(told: Robustness, name: str) -> Element:
    """Show one metric: a line per challenge, a column per probe."""
    means = told.table().filter(pl.col("metric") == name)
    probes = means["probe"].unique(maintain_order=True).to_list()
    words = {(v.stage, v.probe): v for v in told.verdicts if v.metric == name}
    held = {(m["told"], m["probe"]): m for m in means.to_dicts()}
    rows: list[Sequence[Child]] = []
    for said in means["told"].unique(maintain_order=True):
        cells: list[Child] = []
        for probe in probes:
            m, v = held.get((said, probe)), words.get((said, probe))
            if m is None:
                cells.append(DASH)
                continue
            cell: Child = f"{_number(m['before'])} → {_number(m['after'])}"
            if v is not None and differs(v):
                tone = TONES.get(v.word, "good" if v.difference > 0 else "bad")
                cell = [cell, " ", element("span", v.word, class_=f"badge {tone}")]
            cells.append(cell)
        rows.append((element("b", said) if said == CLEAN else said, *cells))
    head: list[Head] = ["Test rows", *((str(p), "number") for p in probes)]
    return element("div", element("h3", metric(name)), table(head, rows, f"Robustness, {metric(name)}"))


def _checks(told: Robustness) -> Element | None:
    if not told.checks.height:
        return None
    rows: list[Sequence[Child]] = [
        (
            element("b", c["probe"]),
            c["arm"],
            c["check"],
            f"{c['value']:.4f}",
            f"{c['limit']:.4f}",
            element(
                "span",
                "holds" if c["holds"] else "does not hold",
                class_=f"badge {'even' if c['holds'] else 'bad'}",
            ),
        )
        for c in told.checks.to_dicts()
    ]
    failed = int((~told.checks["holds"]).sum())
    said = f"Are the attacks sound? {told.checks.height - failed} of {told.checks.height} checks hold"
    head: list[Head] = ["Model", "Arm", "Check", ("Value", "number"), ("Limit", "number"), ""]
    return element(
        "details", element("summary", said), table(head, rows, "Checks of attacks"), open=failed > 0
    )


def _number(value: float | None) -> str:
    return DASH if value is None or not math.isfinite(value) else f"{value:.4f}"
