"""Rows that lie among other classes, or that the border between classes does not need: which go, and why."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.core.stage import RowStage
from tilth.errors import TilthWarning, listed
from tilth.neighbors.editing import (
    Edit,
    Kind,
    edited,
    edited_for_all,
    neighborhood_cleaned,
    repeatedly_edited,
    smallest_class,
)
from tilth.neighbors.links import apart, beyond_one, condensed, tomek_links
from tilth.stages.classed import ClassedRows
from tilth.stages.classes import place_of
from tilth.statistics import hash_rows

Rule = Literal["enn", "repeated_enn", "all_knn", "tomek", "ncr", "condensed", "one_sided"]
Cleaned = Literal["auto", "all"] | list[str | int | bool]
"""Of which classes rows may go: all but the smallest, all, or those named."""

EDITING = {"enn": edited, "repeated_enn": repeatedly_edited, "all_knn": edited_for_all}
THINNING = ("condensed", "one_sided")
FINDS: dict[str, str] = {
    "balance.border": "rows lie among other classes, or the border does not need them",
    "balance.few": "there are fewer rows than neighbors asked for",
    "balance.spared": "a class would have lost all its rows",
}
"""What a stage that cleans may report."""
NAMED = 3
"""Neighbors that a reason names."""


@dataclass(frozen=True)
class Verdict:
    """Say of each labeled row whether it goes, why, and by which measure.

    Parameters
    ----------
    gone : ndarray of shape (n_labeled,), bool
    reason : ndarray of str of shape (n_labeled,)
        Empty for rows that stay.
    score : ndarray of shape (n_labeled,), float64
        Low where it is clear that a row goes; NaN where nothing was measured.
    """

    gone: np.ndarray
    reason: np.ndarray
    score: np.ndarray

    def sparing(self, codes: np.ndarray) -> tuple[Verdict, list[int]]:
        """Keep the row of the highest score of each class that would be dropped whole; name these classes."""
        gone, reason, saved = self.gone.copy(), self.reason.copy(), []
        for code in np.unique(codes):
            own = np.flatnonzero(codes == code)
            if gone[own].all():
                best = own[np.nan_to_num(self.score[own], nan=-np.inf).argmax()]
                gone[best], reason[best] = False, ""
                saved.append(int(code))
        return Verdict(gone, reason, self.score), saved


def may_go(rows: ClassedRows, classes: Cleaned, where: str) -> np.ndarray:
    """Tell of which classes rows may go: (n_classes,), bool."""
    names = rows.classes.names
    if classes == "all" or not len(rows.codes):
        return np.ones(len(names), dtype=bool)
    chosen = np.zeros(len(names), dtype=bool)
    if classes == "auto":
        chosen[:] = True
        chosen[smallest_class(rows.classes.counts)[0]] = False
    else:
        chosen[[place_of(name, names, where) for name in classes]] = True
    return chosen


def clean_by(
    rule: Rule,
    rows: ClassedRows,
    cleaned: np.ndarray,
    *,
    k: int,
    kind: Kind,
    device: str,
    random_state: int,
) -> Verdict:
    """Apply a rule to the rows.

    Parameters
    ----------
    rule : str
    rows : ClassedRows
    cleaned : ndarray of shape (n_classes,), bool
        The classes of which rows may go.
    k : int
        Neighbors asked by the rules of editing.
    kind : {'all', 'mode'}
    device : str
    random_state : int
        Seed of the order in which 'condensed' and 'one_sided' meet rows.
    """
    given = (rows.space, rows.matrix, rows.codes)
    if rule == "tomek":
        return _linked(rows, np.arange(len(rows.codes)), cleaned, device)
    if rule == "ncr":
        edit, outvoting = neighborhood_cleaned(*given, cleaned, k, device)
        verdict = _edited(rows, edit)
        for row in np.flatnonzero(outvoting):
            named = rows.name(edit.beside[row, 0])
            verdict.reason[row] = f"{_own(rows, row)}: one of the nearest of {named}, which they outvote"
        return verdict
    if rule in EDITING:
        return _edited(rows, EDITING[rule](*given, cleaned, k, kind, device))
    return _thinned(rule, rows, cleaned, device, random_state)  # type: ignore[arg-type]


def neighbors_to_ask(stage: RowStage, rule: Rule, rows: ClassedRows, k: int) -> int:
    """Return `k`, or all other rows where they are fewer, with a warning."""
    most = len(rows.codes) - 1
    if k <= most or rule not in (*EDITING, "ncr"):
        return k
    words = f"{k} neighbors were asked for, and a row has {most}: so many are asked."
    warnings.warn(f"{stage.key}: {words}", TilthWarning, stacklevel=2)
    stage.report("balance.few", words, float(most), severity="low", n_rows=most + 1)
    return max(most, 1)


def spare_and_report(stage: RowStage, rows: ClassedRows, verdict: Verdict, *, thins: bool = False) -> Verdict:
    """Keep a row of each class that would be dropped whole, and report what goes.

    Parameters
    ----------
    stage : RowStage
        Its `finds` hold `FINDS`.
    rows : ClassedRows
    verdict : Verdict
    thins : bool
        Rows go because they are not needed, not because they lie among other classes.
    """
    verdict, spared = verdict.sparing(rows.codes)
    names, gone = rows.classes.names, verdict.gone
    if spared:
        lost_whole = listed([repr(names[code]) for code in spared])
        stage.report(
            "balance.spared",
            f"Class {lost_whole} would have lost all rows: one stays.",
            float(len(spared)),
            severity="high",
        )
    if gone.any():
        lost = np.bincount(rows.codes[gone], minlength=len(names))
        by_class = listed([f"{n} of class '{name}'" for name, n in zip(names, lost, strict=True) if n])
        why = "are not needed to tell the classes apart" if thins else "lie among other classes"
        of_made = int((gone & rows.made).sum())
        stage.report_rows(
            "balance.border",
            f"{int(gone.sum())} of {len(gone)} rows ({gone.mean():.1%}) {why}: {by_class}."
            + (f" {of_made} of them were made." if of_made else ""),
            rows.ids[gone & ~rows.made],
            verdict.score[gone & ~rows.made],
            score=float(gone.mean()),
            severity="low" if thins or gone.mean() < 0.1 else "medium",
            remedy=None if thins else {"labels.clean": {"action": "report"}},
        )
    return verdict


def _own(rows: ClassedRows, row: np.integer) -> str:
    return f"class '{rows.classes.names[rows.codes[row]]}'"


def _edited(rows: ClassedRows, edit: Edit) -> Verdict:
    reason = np.full(len(rows.codes), "", dtype=object)
    for row in np.flatnonzero(edit.gone):
        beside = edit.beside[row][edit.beside[row] >= 0]
        told = ", ".join(map(rows.name, beside[:NAMED])) + (" ..." if len(beside) > NAMED else "")
        reason[row] = f"{_own(rows, row)}: among its nearest rows are {told}"
    return Verdict(edit.gone, reason, edit.score)


def _linked(rows: ClassedRows, some: np.ndarray, cleaned: np.ndarray, device: str) -> Verdict:
    """Find Tomek links among some of the rows; the score is the distance of the two."""
    count = len(rows.codes)
    gone, reason, score = np.zeros(count, bool), np.full(count, "", dtype=object), np.full(count, np.nan)
    link = tomek_links(rows.space, rows.matrix[some], rows.codes[some], device)
    ends = np.flatnonzero(link >= 0)
    if ends.size:
        score[some[ends]] = apart(rows.space, rows.matrix, some[ends], some[link[ends]])
    for end in ends[cleaned[rows.codes[some[ends]]]]:
        row, other = some[end], some[link[end]]
        gone[row] = True
        reason[row] = f"{_own(rows, row)}: it and {rows.name(other)} are each other's nearest"
    return Verdict(gone, reason, score)


def _thinned(
    rule: Literal["condensed", "one_sided"],
    rows: ClassedRows,
    cleaned: np.ndarray,
    device: str,
    random_state: int,
) -> Verdict:
    """Drop rows that the border does not need; the score is how far they lie on their own side."""
    count = len(rows.codes)
    gone, reason, score = np.zeros(count, bool), np.full(count, "", dtype=object), np.full(count, np.nan)
    least, _ = smallest_class(np.bincount(rows.codes, minlength=len(cleaned)))
    draws = hash_rows(random_state, rows.ids)
    choose = condensed if rule == "condensed" else beyond_one
    for code in np.flatnonzero(cleaned):
        own = np.flatnonzero(rows.codes == code)
        if code == least or not own.size:
            continue
        own = own[np.argsort(draws[own], kind="stable")]
        chosen, lead = choose(rows.space, rows.matrix, own, np.flatnonzero(rows.codes == least), device)
        gone[own[~chosen]] = True
        score[own] = -lead
        reason[own[~chosen]] = f"class '{rows.classes.names[code]}': rows that stay tell its class"
    if rule == "condensed":
        return Verdict(gone, reason, score)
    links = _linked(rows, np.flatnonzero(~gone), cleaned, device)
    reason[links.gone] = links.reason[links.gone]
    score[links.gone] = links.score[links.gone]
    return Verdict(gone | links.gone, reason, score)
