"""The proposed recipe: only what a finding calls for, in an order that works, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tilth.audit import hidden
from tilth.audit.result import Facts, numbered
from tilth.audit.target import IMBALANCED
from tilth.core.finding import Finding

MANY = 0.0005
"""From this share of far-out cells on, a column is clipped: fewer cannot move a fit much."""

TOO_MANY = 0.05
"""Beyond this share the values are no outliers but how the column is."""

MANY_LEVELS = 50

WRITTEN = {"numeric": "numbers", "datetime": "dates", "boolean": "truth values"}
READ_AS = dict.fromkeys(("text.dates", "text.formats", "column.days"), "datetime") | {
    "text.booleans": "boolean"
}
"""What a column is once it is read, by the finding that says it can be; numbers by any other."""


IMAGES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "prune.unreadable": ({}, ("prune.unreadable",)),
    "duplicates.images": ({}, ("duplicates.exact", "duplicates.near")),
    "prune.quality": (
        {"action": "report"},
        ("quality.dark", "quality.bright", "quality.blurry", "quality.low_information"),
    ),
}
"""Stages of images in the order that works, with what they are to do, and the findings that they treat."""


class Proposal:
    """Collect the entries of a recipe and why each is there."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.stages: list[dict[str, Any] | str] = []
        self.reasons: dict[str, str] = {}

    def put(self, name: str, value: Any, reason: str) -> None:
        """Add an entry to the data section."""
        self.data[name] = value
        if reason:
            self.reasons[f"data.{name}"] = reason

    def stage(self, key: str, reason: str, **parameters: Any) -> None:
        """Add a stage."""
        self.stages.append({key: parameters} if parameters else key)
        self.reasons[numbered(self.stages)[-1][0]] = reason

    @property
    def recipe(self) -> dict[str, Any]:
        """Return the recipe as plain values."""
        return {"data": self.data, "stages": self.stages} if self.data else {"stages": self.stages}


def propose(
    findings: Sequence[Finding],
    facts: Facts,
    roles: dict[str, Any],
    chance_copies: float = 0.0,
    embedding: str | None = "auto",
) -> Proposal:
    """Propose a recipe for what was found.

    Nothing is proposed that would throw information away unproven: no column is dropped, rows only
    where they are copies, or images that cannot be read, and labels in doubt are reported, not touched.

    Parameters
    ----------
    findings : sequence of Finding
    facts : Facts
    roles : dict
        What is known of the data section: path, target, weight, group.
    chance_copies : float
        Pairs of equal rows to expect by chance; see `pairs.chance_copies`.
    embedding : str or None
        What was asked to turn images into numbers.
    """
    made = Proposal()
    of = lambda kind: [f for f in findings if f.kind == kind]
    for name, value in roles.items():
        made.put(name, value, "")
    _data(made, of, roles)
    # Equal rows of a table of few values are people who answered alike, not copies.
    if (found := of("duplicates.exact")) and found[0].n_rows > 10 * chance_copies:
        made.stage("duplicates.exact", found[0].message)
    if facts.images is not None:
        _images(made, findings)
    _hidden(made, findings, facts.target)
    features = {c: kind for c, kind in facts.kinds.items() if c != made.data.get("row_id")}
    _written(made, findings, features)
    for finding in of("column.infinite"):
        made.stage("outliers.clip", finding.message, **(finding.remedy or {})["outliers.clip"])
    if facts.missing:
        cells, width = sum(facts.missing.values()), len(facts.missing)
        where = "1 column" if width == 1 else f"{width} columns"
        reason = f"{cells} missing cells in {where}; whether a cell was missing is kept."
        key, parameters = "impute.simple", {"indicator": True}
        if tried := of("impute.choice"):
            ((key, parameters),) = (tried[0].remedy or {}).items()
            reason += f" {tried[0].message.partition(';')[0].rstrip('.')}."
        made.stage(key, reason, **parameters)
    if far := [f for f in of("outliers.values") if MANY <= f.score <= TOO_MANY]:
        columns = sorted({c for f in far for c in f.columns})
        cells = sum(f.n_rows for f in far)
        where = "1 column" if len(columns) == 1 else f"{len(columns)} columns"
        reason = f"{cells} values in {where} lie more than 3 quartile distances outside."
        made.stage("outliers.clip", reason, method="iqr", width=3.0, on=columns)
    _numbers(made, of, features)
    if found := [f for f in findings if f.stage == "labels.clean" and f.n_rows and f.kind != "check.failed"]:
        if facts.images is not None:
            model = {} if embedding in ("auto", None) else {"model": embedding}
            reason = (
                f"What each image shows as numbers, by {facts.images.embedding}, beside the image itself."
            )
            made.stage("embed.images", reason, **model, keep=True)
        # Confident learning flags hard rows as well as wrong ones: a person looks before anything is done.
        # Boosting is slow on the hundreds of columns that stand for an image, and judges no better there.
        probe = {} if facts.images is None else {"probe": "linear"}
        made.stage("labels.clean", found[0].message, **probe, action="report")
    if found := [f for f in of("target.imbalance") if 1 - f.score < IMBALANCED]:
        if facts.images is None:
            made.stage("balance.threshold", found[0].message)
        else:
            reason = f"{found[0].message} Its images are changed more, so that fewer are seen twice."
            made.stage("augment.images", reason, policy="standard", strength="balanced")
    elif facts.images is not None:
        reason = "Images moved, turned and lit otherwise every epoch; set flip: false where a mirror image "
        made.stage("augment.images", reason + "would be of another class.", policy="standard")
    return made


def _images(made: Proposal, findings: Sequence[Finding]) -> None:
    """Leave out what cannot be read and what is there twice; what is merely odd is for people to judge."""
    for key, (parameters, kinds) in IMAGES.items():
        told = [f for f in findings if f.stage == key and f.kind in kinds and f.n_rows]
        if told:
            rows = len({row for f in told for row in f.rows})
            others = "1 more finding" if len(told) == 2 else f"{len(told) - 1} more findings"
            more = f" With {others} of this stage: {rows} images in all." if len(told) > 1 else ""
            made.stage(key, f"{told[0].message}{more}", **parameters)


def _data(made: Proposal, of: Any, roles: dict[str, Any]) -> None:
    for finding in of("hidden.token"):
        if "data" in finding.remedy:
            # In the target: stages leave labels alone, so that it must be read without.
            values = finding.remedy["data"]["null_values"]
            given = [v for v in roles.get("null_values", []) if v not in values]
            made.put("null_values", [*given, *values], finding.message)
    ids = [f for f in of("column.id") if f.remedy]
    if len(ids) == 1:
        # Two such columns leave open which of them is the key; that is for people to say.
        made.put("row_id", ids[0].columns[0], ids[0].message)
    kinds = {f.columns[0]: "text" for f in of("text.free")}
    if kinds:
        made.put("kinds", kinds, "Sentences, not categories.")


def _hidden(made: Proposal, findings: Sequence[Finding], target: str | None) -> None:
    values = hidden.values(findings, target)
    if values:
        names = [f"'{name}'" for name in values]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        cells = sum(f.n_rows for f in findings if f.kind in hidden.SURE and f.columns != (target,))
        reason = f"{cells} cells of {', '.join(names[:5])}{more} hold these instead of a value."
        made.stage(hidden.STAGE, reason, values=values)


def _written(made: Proposal, findings: Sequence[Finding], features: dict[str, str]) -> None:
    """Read what is written as text, and take the columns for what they then are."""
    told = [f for f in findings if "encode.parse" in (f.remedy or {})]
    read = {c: READ_AS.get(f.kind, "numeric") for f in told for c in f.columns if c in features}
    if read:
        counted = [(sum(k == kind for k in read.values()), what) for kind, what in WRITTEN.items()]
        several = "1 column" if len(read) == 1 else f"{len(read)} columns"
        parts = ", ".join(f"{count} of {what}" for count, what in counted if count)
        made.stage("encode.parse", f"{several} written as text: {parts}.", on=sorted(read))
    features |= read


def _numbers(made: Proposal, of: Any, features: dict[str, str]) -> None:
    days = [c for c, kind in features.items() if kind == "datetime"]
    if days:
        several = "1 date column becomes its" if len(days) == 1 else f"{len(days)} date columns become their"
        made.stage("encode.date", f"{several} parts, and days since the first.")
    numeric = [c for c, kind in features.items() if kind == "numeric"]
    if numeric:
        # Before the categories become numbers: 0 and 1 need no scale.
        several = "1 numeric column" if len(numeric) == 1 else f"{len(numeric)} numeric columns"
        made.stage("scale.robust", f"{several}, brought to a scale that outliers do not set.")
    sentences = {f.columns[0] for f in of("text.free")} & set(features)
    if sentences:
        several = "1 column" if len(sentences) == 1 else f"{len(sentences)} columns"
        made.stage("encode.text", f"{several} of sentences, by their letters as numbers.", missing="zeros")
    names = {f.columns[0] for f in of("column.id")}
    words = [c for c, kind in features.items() if kind == "categorical" and c not in sentences | names]
    if words:
        many = {f.columns[0] for f in of("column.many_categories")} & set(words)
        several = (
            "1 categorical column becomes" if len(words) == 1 else f"{len(words)} categorical columns become"
        )
        told = f"{several} numbers"
        told += f"; beyond {MANY_LEVELS} categories the rarest are put together." if many else "."
        parameters: dict[str, Any] = {"max_levels": MANY_LEVELS} if many else {}
        # A column that names the rows would become as many columns as there are rows.
        if names & {c for c, kind in features.items() if kind == "categorical"}:
            parameters["on"] = words
        made.stage("encode.category", told, **parameters)
