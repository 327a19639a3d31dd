"""Missing values in disguise: `impute.sentinels` looks, and what it is sure of is uncovered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tilth.audit.looking import guarded
from tilth.core.finding import Finding
from tilth.stages import find, stage
from tilth.stages.hidden import plain
from tilth.table import ROW, Roles, Table

STAGE = "impute.sentinels"

SURE = ("hidden.token", "hidden.sentinel", "hidden.date")
"""The findings that leave no doubt; words, zeros and spikes are for people to judge."""

FINDS = {k: told for k, told in find(STAGE).finds.items() if k not in ("hidden.given", "hidden.absent")}


def look(table: Table) -> list[Finding]:
    """Find what stands for missing values in the features, and words that do so in the target."""
    return [*guarded(STAGE, lambda: iter(_look(table))), *guarded(STAGE, lambda: iter(_target(table)))]


def _look(table: Table) -> list[Finding]:
    looking: Any = stage(STAGE, action="report", evidence="maybe")
    findings: list[Finding] = looking.fit_table([table]).findings_
    return findings


def _target(table: Table) -> list[Finding]:
    """Look at the target as at a feature; what is wrong with it is mended in reading, no stage touches it."""
    name = table.roles.target
    if name is None:
        return []
    alone = table.with_frame(table.frame.select(name, ROW), Roles())
    told = []
    for finding in _look(replace(alone, kinds_declared={})):
        if finding.kind in ("hidden.token", "hidden.word"):
            values = (finding.remedy or {})[STAGE]["values"][name]
            # A reader of files compares cells as they are written, spaces and all.
            held = alone.frame.select(pl.col(name).cast(pl.String)).filter(plain(pl.col(name)).is_in(values))
            written = held.unique().sort(name).collect()[name].to_list()
            told.append(replace(finding, remedy={"data": {"null_values": written}}))
    return told


def values(findings: Sequence[Finding], target: str | None = None) -> dict[str, list[Any]]:
    """Return what surely stands for a missing value, by column; the target is left out."""
    found: dict[str, list[Any]] = {}
    for finding in findings:
        if finding.kind in SURE and finding.columns != (target,):
            for name, marks in (finding.remedy or {})[STAGE]["values"].items():
                found[name] = [*found.get(name, []), *marks]
    return found


def uncover(table: Table, findings: Sequence[Finding]) -> Table:
    """Return the table with the disguised missing values made null, as the proposed recipe would have it.

    What is then looked at is the data behind the disguise: a column of ages with one '?' is a column
    of numbers with a gap.
    """
    target = table.roles.target
    marks = values(findings, target)
    for finding in findings:
        if finding.kind == "hidden.token" and finding.columns == (target,):
            marks[finding.columns[0]] = (finding.remedy or {})["data"]["null_values"]
    if not marks:
        return table
    # Without roles, so that the target is uncovered as reading it anew would do.
    bare = replace(table, roles=Roles(), kinds_declared={})
    clearing: Any = stage(STAGE, values=marks)
    return table.with_frame(clearing.fit_table([bare]).change(table.frame)).collect()
