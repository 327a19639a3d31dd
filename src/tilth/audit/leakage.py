"""Checks for leaks in one set of rows: what tells the target, and should not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from tilth.audit.column import Column
from tilth.core.finding import Finding, Severity
from tilth.stages.column import sentences
from tilth.stages.leakage import (
    FEW,
    FOLLOWS,
    SURE,
    Question,
    dependence_on,
    follows,
    suspects,
    told,
    told_by_pieces,
)

FINDS = {
    "target.given_away": "one feature tells the target almost alone",
    "target.in_id": "what names the rows tells the target",
    "target.in_order": "the target follows the order of the rows",
    "target.over_time": "the target depends on when a row is from",
}

NAMES_TELL = 0.1


def given_away(columns: Sequence[Column], question: Question, ids: Collection[str] = ()) -> Iterator[Finding]:
    """Find features that tell the target almost alone: is it known when a prediction is asked for?

    Parameters
    ----------
    columns : sequence of Column
    question : Question
    ids : collection of str
        Columns that name or number the rows: `in_names` looks at them.
    """
    for found in suspects(columns, question, ids):
        yield Finding(
            "target.given_away",
            found.message,
            found.share,
            found.severity,
            (found.name,),
            remedy={"select.drop": {"on": [found.name]}},
            stage="audit.leakage",
        )


def in_names(columns: Sequence[Column], question: Question, ids: Collection[str]) -> Iterator[Finding]:
    """Find names of rows that tell the target: by their number, their beginning or their length."""
    if len(question.place) < FEW:
        return
    for column in columns:
        texts = column.kind == "categorical" and column.distinct > column.filled / 2 and not sentences(column)
        if not (column.name in ids or texts):
            continue
        shares = {"value": told(column, question)}
        if texts:
            shares |= told_by_pieces(column, question)
        piece, share = max(shares.items(), key=lambda both: both[1])
        if share < NAMES_TELL:
            continue
        what = "entropy" if question.n_classes else "variance"
        message = (
            f"The {piece} of '{column.name}', which names rows, tells {share:.1%} of the target's {what}: "
            "rows were numbered after the target was known, or by what it depends on. A model would learn it."
        )
        severity: Severity = "high" if share >= 0.8 else "medium" if share >= 0.3 else "low"
        yield Finding(
            "target.in_id",
            message,
            share,
            severity,
            (column.name,),
            remedy={"select.drop": {"on": [column.name]}},
            stage="audit.leakage",
        )


def in_order(target: Column, classes: bool, seed: int = 0) -> Iterator[Finding]:
    """Find out whether the target follows the order of the rows in the source."""
    excess, p_value = follows(target, np.arange(target.rows), classes, seed)
    if abs(excess) < FOLLOWS or p_value > SURE:
        return
    if excess < 0:
        what = "neighboring rows differ in it more than by chance: they alternate"
    elif excess > 0.999:
        what = "rows are sorted by it"
    else:
        what = "neighboring rows are more alike than by chance"
    message = (
        f"The target follows the order of the rows: {what} (excess {excess:+.2f}, permutation p "
        f"{p_value:.3g}). Shuffle before rows are taken in order; a number of the row would tell the target."
    )
    severity: Severity = "medium" if excess >= 0.5 else "low"
    yield Finding("target.in_order", message, abs(excess), severity, (target.name,), stage="audit.leakage")


def over_time(columns: Sequence[Column], target: Column, classes: bool, seed: int = 0) -> Iterator[Finding]:
    """Find dates along which the target is not the same: a random split would train on the future."""
    for column in columns:
        excess, p_value = dependence_on(column, target, classes, seed)
        if excess < FOLLOWS or p_value > SURE:
            continue
        message = (
            f"The target depends on '{column.name}': rows next to each other in time are alike (excess "
            f"{excess:.2f}, permutation p {p_value:.3g}). A random split tests on days that were trained on; "
            "hold out the latest rows."
        )
        severity: Severity = "medium" if excess >= 0.2 else "low"
        names = (column.name, target.name)
        remedy = {"data": {"split": {"by": "time", "column": column.name}}}
        yield Finding(
            "target.over_time", message, excess, severity, names, remedy=remedy, stage="audit.leakage"
        )
