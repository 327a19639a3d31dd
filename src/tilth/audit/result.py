"""What an audit hands back: findings, facts, and a recipe that only treats what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import polars as pl

from tilth.core.finding import SEVERITIES, Finding
from tilth.recipes import Recipe
from tilth.recipes.text import entry, flow

ALIKE = 3
"""How many findings of one kind are told in words; the table has them all."""


@dataclass(frozen=True)
class ImageFacts:
    """Hold what the images looked at are, test rows included.

    Parameters
    ----------
    readable, unreadable : int
        Files that were decoded, and files that could not be.
    bytes : int
        Their size on disk.
    formats, modes : dict of str to int
        Images per format of the file and per mode of its pixels, the commonest first.
    sizes : dict of str to int
        Images per ``width x height``, the commonest first, at most `SIZES`; `n_sizes` counts them all.
    n_sizes : int
    embedding : str
        What turned images into numbers; empty if nothing did.
    rate : float
        Images measured in a second; 0 where an earlier audit had measured all of them.
    """

    readable: int = 0
    unreadable: int = 0
    bytes: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    n_sizes: int = 0
    embedding: str = ""
    rate: float = 0.0

    SIZES: ClassVar[int] = 8

    def in_words(self) -> list[str]:
        """Say it in one or two sentences."""
        total = self.readable + self.unreadable
        kinds = ", ".join(f"{n:,} {name}" for name, n in self.formats.items())
        told = f"{total:,} images ({kinds}), {megabytes(self.bytes)}"
        if self.sizes:
            size, most = next(iter(self.sizes.items()))
            told += (
                f", all {size} pixels"
                if self.n_sizes == 1
                else f", {self.n_sizes:,} sizes, most often {size} pixels ({most:,})"
            )
        how = f"Measured at {self.rate:,.0f} images/s" if self.rate else "All measured before"
        model = f"; turned into numbers by {self.embedding}" if self.embedding else ""
        return [f"{told}.", f"{how}{model}."]


@dataclass(frozen=True)
class Facts:
    """Hold what was looked at.

    Parameters
    ----------
    source : str
        The file's name; empty for data in memory.
    rows, looked_at : int
        Rows of the data, and rows of the sample that was looked at (the same unless `max_rows` cut it).
    test_rows : int
        Rows kept for testing, which are compared with the others and are none of `rows`.
    kinds : dict of feature to kind
    missing : dict of column to int
        Missing cells among the rows looked at, disguised ones included; only columns with some.
    target : str or None
    task : {'classification', 'regression'} or None
    classes : dict of class to rows
        The target's classes, largest first, at most 20; empty for a regression.
    images : ImageFacts or None
        What the images are, where rows are images.
    seconds : float
        How long the audit took.
    """

    source: str = ""
    rows: int = 0
    looked_at: int = 0
    test_rows: int = 0
    kinds: dict[str, str] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    target: str | None = None
    task: str | None = None
    classes: dict[str, int] = field(default_factory=dict)
    images: ImageFacts | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Picture:
    """Hold what is told of one image beside a finding.

    Parameters
    ----------
    row : int
        The row's id.
    path : str
        What opens the file.
    name : str
        The file's name within what was looked at, for people.
    label : str or None
    suggested : str or None
        The label that the image looks like.
    score : float or None
        The finding's own measure of this image.
    group : int or None
        Images of one number are copies of one another.
    note : str
        What else is to be said: a reason, the part of a split.
    """

    row: int
    path: str
    name: str
    label: str | None = None
    suggested: str | None = None
    score: float | None = None
    group: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Sheet:
    """Hold the images behind one finding, in the finding's order; copies follow one another."""

    finding: Finding
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Audit:
    """Hold what is wrong with the data, with evidence, and what would treat it.

    Parameters
    ----------
    findings : tuple of Finding
        Most severe first; within a severity the largest score first.
    facts : Facts
    proposed : dict
        The proposed recipe as plain values: ``data``, ``stages``.
    reasons : dict of recipe entry to str
        Why each entry is there: ``data.null_values``, ``impute.simple``; a stage that comes twice is
        numbered, as in a pipeline: ``outliers.clip-2``.
    sheets : tuple of Sheet
        Where rows are images: the images behind each finding that names rows.
    """

    findings: tuple[Finding, ...]
    facts: Facts
    proposed: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    sheets: tuple[Sheet, ...] = ()

    @cached_property
    def images(self) -> dict[int, str]:
        """Return the path of each image that is shown, by its row id."""
        return {shown.row: shown.path for sheet in self.sheets for shown in sheet.pictures}

    def pictures(self, finding: Finding) -> tuple[Picture, ...]:
        """Return the images behind a finding: none where rows are no images."""
        return next((s.pictures for s in self.sheets if s.finding is finding), ())

    @cached_property
    def recipe(self) -> Recipe:
        """Return the proposed recipe: only stages that a finding calls for, in their order."""
        return Recipe.from_values(self.proposed)

    def of(self, kind: str) -> list[Finding]:
        """Return the findings of one kind (``hidden.token``) or family (``hidden``)."""
        return [f for f in self.findings if f.kind == kind or f.kind.startswith(f"{kind}.")]

    def table(self) -> pl.DataFrame:
        """Return one line per finding: ``severity, kind, columns, message, rows, score, remedy, stage``."""
        schema: dict[str, Any] = {
            "severity": pl.Enum(sorted(SEVERITIES, key=lambda s: SEVERITIES[s])),
            "kind": pl.String,
        }
        schema |= {"columns": pl.List(pl.String), "message": pl.String, "rows": pl.Int64, "score": pl.Float64}
        schema |= {"remedy": pl.String, "stage": pl.String}
        lines = [
            (
                f.severity,
                f.kind,
                list(f.columns),
                f.message,
                f.n_rows,
                f.score,
                remedy_line(f.remedy),
                f.stage,
            )
            for f in self.findings
        ]
        return pl.DataFrame(lines, schema=schema, orient="row")

    def recipe_text(self) -> str:
        """Return the proposed recipe as YAML, with the reason above each entry."""
        data = dict(self.proposed.get("data", {}))
        lines = ["data:"] if data else []
        for name, value in data.items():
            lines += _comment(self.reasons.get(f"data.{name}"))
            lines.append(f"  {flow(name)}: {flow(value)}")
        stages = self.proposed.get("stages", [])
        lines.append("stages:" if stages else "stages: []")
        for name, line in numbered(stages):
            lines += _comment(self.reasons.get(name))
            lines.append(_entry("  - ", line))
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "facts": asdict(self.facts),
            "findings": [self.told(f) for f in self.findings],
            "recipe": self.proposed,
            "reasons": self.reasons,
        }

    def told(self, finding: Finding) -> dict[str, Any]:
        """Return a finding as plain values; where its rows are images, with the files behind it."""
        shown = self.pictures(finding)
        return finding.as_dict() | ({"files": [asdict(one) for one in shown]} if shown else {})

    def to_json(self, indent: int | None = 1) -> str:
        """Write the audit as JSON."""
        return json.dumps(self.as_dict(), indent=indent, ensure_ascii=False, allow_nan=False, default=str)

    def in_words_of_facts(self) -> list[str]:
        """Say what was looked at."""
        facts = self.facts
        where = f"{facts.source}: " if facts.source else ""
        target = f", target '{facts.target}' ({facts.task})" if facts.target else ", no target"
        columns = [name for name, kind in facts.kinds.items() if kind != "image"]
        width = f"{len(columns)} feature{'s' * (len(columns) != 1)}"
        what = "rows" if facts.images is None else "images"
        test = f" and {facts.test_rows:,} test {what}" if facts.test_rows else ""
        if facts.images is None:
            return [f"{where}{facts.rows:,} rows{test}, {width}{target}."]
        beside = f", {width} beside them" if columns else ""
        classes = f" in {len(facts.classes)} classes" if facts.classes else ""
        return [f"{where}{facts.rows:,} images{classes}{test}{beside}{target}.", *facts.images.in_words()]

    def in_words(self) -> list[str]:
        """Say the result as plain sentences, the worst first; findings of no weight are only counted."""
        told = self.in_words_of_facts()
        if self.facts.looked_at < self.facts.rows:
            told.append(f"Looked at a sample of {self.facts.looked_at:,} rows.")
        worth = [f for f in self.findings if f.severity != "info"]
        shown = [f for i, f in enumerate(worth) if sum(g.kind == f.kind for g in worth[:i]) < ALIKE]
        told += [f.message for f in shown]
        for kind in dict.fromkeys(f.kind for f in worth):
            if (more := sum(f.kind == kind for f in worth) - ALIKE) > 0:
                told.append(f"{more} more of the kind {kind}.")
        if rest := len(self.findings) - len(worth):
            told.append(f"{rest} further remark{'s' if rest > 1 else ''} of no weight.")
        if not self.findings:
            told.append("Nothing found.")
        names = [name for name, _ in numbered(self.proposed.get("stages", []))]
        told.append(f"Proposed: {', '.join(names)}." if names else "Nothing needs a stage.")
        return told

    def __str__(self) -> str:
        return "\n".join(self.in_words())


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    for step, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= step:
            return f"{size / step:.3g} {unit}"
    return f"{size} bytes"


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Sort findings: most severe first, then the largest score; ties keep their order."""
    return tuple(sorted(findings, key=lambda f: (-SEVERITIES[f.severity], -f.score)))


def numbered(stages: Sequence[Mapping[str, Any] | str]) -> list[tuple[str, Any]]:
    """Name each entry of a recipe's stages: its key, with a number from the second on."""
    seen: dict[str, int] = {}
    named = []
    for line in stages:
        key = line if isinstance(line, str) else next(iter(line))
        seen[key] = seen.get(key, 0) + 1
        named.append((key if seen[key] == 1 else f"{key}-{seen[key]}", line))
    return named


def remedy_line(remedy: Mapping[str, Any] | None) -> str:
    """Write a remedy as the line of a recipe: ``impute.simple: {indicator: true}``; empty for none."""
    if not remedy:
        return ""
    key, value = next(iter(remedy.items()))
    return f"{key}: {flow(value)}" if value else str(key)


def _entry(start: str, line: Mapping[str, Any] | str) -> str:
    key, values = (line, {}) if isinstance(line, str) else next(iter(line.items()))
    return entry(start + flow(key), values) if values else start + flow(key)


def _comment(reason: str | None) -> list[str]:
    # What breaks a line, in a column's name, must not end the comment.
    plain = "".join(c if c.isprintable() else " " for c in reason or "")
    return [f"  # {' '.join(plain.split())}"] if reason else []
