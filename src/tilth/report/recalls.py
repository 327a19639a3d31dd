"""The part of the report that says what becomes of each class."""

from __future__ import annotations

from collections.abc import Sequence

from tilth.bench.result import Trial
from tilth.report.elements import Child, Element, element
from tilth.report.parts import Head, table
from tilth.report.words import signed


def recalls(trial: Trial) -> Element | None:
    """Show the recall of each class before and after; open where one clearly loses."""
    lines = trial.recalls.to_dicts()
    if not lines:
        return None
    rows: list[Sequence[Child]] = [
        (
            f"{c['stage']} · {c['probe']}" if c["stage"] else c["probe"],
            element("bdi", c["label"]),
            f"{c['rows']:,}",
            f"{c['before']:.4f}",
            f"{c['after']:.4f}",
            [
                signed(c["difference"]),
                element("span", f"{signed(c['low'])} to {signed(c['high'])}", class_="kind"),
            ],
            element("span", "clearly loses", class_="badge bad") if c["falls"] else "",
        )
        for c in lines
    ]
    head: list[Head] = [
        "Stage and model" if any(c["stage"] for c in lines) else "Model",
        "Class",
        ("Rows", "number"),
        ("Before", "number"),
        ("After", "number"),
        ("Gain, 95%", "number"),
        "",
    ]
    lost = sum(c["falls"] for c in lines)
    said = f"Recall of each class: {lost} of {len(lines)} clearly lower"
    return element("details", element("summary", said), table(head, rows, "Recalls"), open=lost > 0)
