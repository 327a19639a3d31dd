"""Leak checks of a run: features that tell the target or name rows, and test rows unlike training rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import Design
from tilth.bench.preparing import FAILURES
from tilth.bench.result import Verdict
from tilth.core.finding import SEVERITIES, Finding, Severity
from tilth.errors import listed
from tilth.stages.column import COUNTED, Column, sentences
from tilth.stages.dependence import ALPHA, LEAST, ROWS, dependence, sampled
from tilth.stages.identifiers import names_groups, names_rows
from tilth.stages.leakage import (
    FEW,
    FOLLOWS,
    SURE,
    Question,
    dependence_on,
    has_value,
    suspects,
    told,
    told_by_pieces,
)
from tilth.statistics import uniform

FINDS = {
    "bench.target_among_features": "a feature is the target again",
    "bench.given_away": "one feature tells the target almost alone",
    "bench.id": "a feature names the rows",
    "bench.key": "a feature names what rows belong to, and folds tear it apart",
    "bench.over_time": "the target depends on a date, and folds are drawn at random",
    "bench.train_test_differ": "a model tells test rows from the rows that are learned from",
    "bench.unchecked": "a leak check could not be carried out; its message says why",
}

MOST_ROWS, LEAST_ROWS, MOST_CELLS = 4_000, 500, 400_000
"""Rows that are looked at: the fewer, the more columns there are."""

MOST_COLUMNS = 200
"""Columns that are asked what tells test rows apart."""

REPEATS = 0.95
"""Where values recur less, any two columns go one to one, whatever they hold."""

COVERS = 0.9
"""A column that has a value in fewer of the labeled rows is not called the target again."""

PEEK = 200
"""Rows by which most columns are known not to name rows."""

NAMES_TELL = 0.1
"""The share of the target from which on a name of the rows is more than useless."""

FLAGGED = 0.6
"""The AUC of telling test rows from training rows that is worth a word."""

WIDE = 1.96
MANY = 5
"""Columns named in one message."""


def leaks_of(design: Design, time: str | None = None) -> list[Finding]:
    """Look for what makes scores too good, or of another kind than they seem, before a fold is run.

    What a feature tells of the target is measured as in the audit, on a sample of rows that it was not
    learned from. Nothing here is refused: a feature that is the target again makes both arms look perfect,
    and favours neither; a column that merely looks so may be honest (a rule that holds without exception);
    and a recipe that removes it is to be judged here, too. What is refused is what was fitted on the rows
    (`refuse_fitted`), for that favours one arm and no score shows it. So a grave leak is told first, and
    stands in the note of each verdict.

    Whether a model can tell test rows from training rows is asked where something other than chance over
    rows says which are which: groups, time, or a fixed test set. Otherwise it cannot, by construction.

    Parameters
    ----------
    design : Design
    time : str, optional
        The column by which rows go: that it differs is no news.

    Returns
    -------
    list of Finding
        The gravest first. Scores: the share of the target that is told; of differing rows the AUC.

    Source
    ------
    Predictive power above 0.7 is the default of deepchecks' single-feature check; here it is the share of
    the log loss, or variance, as `tilth.stages.leakage` has it. Adversarial validation: an AUC above 0.6.
    """
    names = [n for n, kind in design.table.kinds.items() if kind in COUNTED and n != time]
    labeled = np.flatnonzero(design.labeled)
    if not names or len(labeled) < FEW:
        return []
    with np.errstate(all="ignore"):
        looked = _Looked(design, names, labeled)
    found: list[Finding] = []
    found += _guarded("the target among features", looked.again)
    copies = {name for f in found for name in f.columns}
    found += _guarded("names of rows", lambda: looked.identifiers(copies))
    named = {name for f in found if f.kind != "bench.key" for name in f.columns}
    found += _guarded("single features", lambda: looked.given_away(named))
    if design.time is None and design.test is None:
        found += _guarded("dates", looked.over_time)
    if design.time is not None or design.test is not None or design.table.roles.group is not None:
        found += _guarded("test rows against training rows", lambda: _told_apart(design, names, named))
    return sorted(found, key=lambda f: (-SEVERITIES[f.severity], -f.score))


def noted(verdicts: Sequence[Verdict], leaks: Sequence[Finding]) -> list[Verdict]:
    """Return the verdicts with a note where a leak is grave: no word is about predicting then."""
    grave = [f for f in leaks if f.kind in FINDS and f.severity == "high"]
    if not grave:
        return list(verdicts)
    names = listed(dict.fromkeys(f"'{name}'" for f in grave for name in f.columns), MANY)
    note = f"The target is given away by {names}: see the leaks before you trust a score."
    return [replace(v, note=f"{v.note} {note}".strip()) for v in verdicts]


class _Looked:
    """Hold the rows that are looked at, and the question what tells their target."""

    def __init__(self, design: Design, names: Sequence[str], labeled: NDArray[np.int64]) -> None:
        self.design, self.labeled = design, labeled
        self.frame = design.table.frame.collect().select(names)
        ids = design.table.ids
        most = max(LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // len(names)))
        place = labeled
        if len(labeled) > most:
            place = np.sort(labeled[np.argpartition(uniform(design.random_state, ids[labeled]), most)[:most]])
        self.ids, self.truth = ids[place], design.truth[place]
        some = self.frame[place]
        kinds = design.table.kinds
        columns = [Column(name, kinds[name], some[name], self.ids) for name in names]
        self.columns = [c for c in columns if c.filled]
        self.classes = design.task != "regression"
        self.target = Column(self.name, "numeric", pl.Series(self.name, self.truth), self.ids)
        units = design.units[place]
        tied = None if len(np.unique(units)) == len(units) else pl.Series("unit", units)
        self.question = Question.of(self.target, self.classes, tied, design.random_state)

    @property
    def name(self) -> str:
        """Name the target."""
        return self.design.table.roles.target or "target"

    def again(self) -> Iterator[Finding]:
        """Find features that hold the target, in its own words or in others."""
        target = self.design.table.need("target", "The bench")[self.labeled]
        for column in self.columns:
            if not _may_be_again(column.series, self.truth):
                continue
            if not _one_to_one(column.series, self.truth, self.classes):
                continue
            series, truth = self.frame[column.name][self.labeled], self.design.truth[self.labeled]
            if not _one_to_one(series, truth, self.classes):
                continue
            both = series.is_not_null() & target.is_not_null()
            same = series.filter(both).cast(pl.String) == target.filter(both).cast(pl.String)
            words = "" if same.all() else ", in other words"
            how = "the same values" if same.all() else "each value goes with one of it"
            message = (
                f"'{column.name}' is the target '{self.name}'{words}: {how}, in {int(both.sum()):,} of "
                f"{len(series):,} labeled rows. A model copies it and predicts nothing: leave it out of the "
                "features."
            )
            remedy = {"select.drop": {"on": [column.name]}}
            yield Finding(
                "bench.target_among_features",
                message,
                1.0,
                "high",
                (column.name,),
                remedy=remedy,
                stage="bench",
            )

    def identifiers(self, copies: Collection[str]) -> Iterator[Finding]:
        """Find features that name rows, or what rows belong to."""
        for column in self.columns:
            if column.name in copies or not _may_name(column):
                continue
            whole = Column(column.name, column.kind, self.frame[column.name], self.design.table.ids)
            if named := names_rows(whole):
                yield self._id(whole, column, named)
            elif self.design.table.roles.group is None and (made := names_groups(whole)):
                message = (
                    f"'{whole.name}' holds {made}, {whole.distinct:,} different ones in {whole.rows:,} rows: "
                    "it names what rows belong to, and folds tear these apart. If rows of one belong "
                    "together, scores are too good: name it as the group."
                )
                yield Finding(
                    "bench.key",
                    message,
                    whole.distinct / whole.rows,
                    "medium",
                    (whole.name,),
                    remedy={"data": {"group": whole.name}},
                    stage="bench",
                )

    def _id(self, whole: Column, some: Column, named: str) -> Finding:
        shares = {"value": told(some, self.question)}
        if some.kind == "categorical" and not sentences(some):
            shares |= told_by_pieces(some, self.question)
        piece, share = max(shares.items(), key=lambda both: both[1])
        message = f"'{whole.name}' {named}. A model can only learn it by heart: make it the id of the rows."
        severity: Severity = "low"
        if share >= NAMES_TELL:
            severity = "high" if share >= 0.8 else "medium"
            message = (
                f"'{whole.name}' {named}, and its {piece} tells {share:.1%} of the target's {self._what}: "
                "rows were numbered after the target was known, or by what it depends on. New rows are not."
            )
        remedy = {"data": {"row_id": whole.name}} if whole.distinct == whole.rows else None
        return Finding(
            "bench.id", message, max(share, 0.0), severity, (whole.name,), remedy=remedy, stage="bench"
        )

    @property
    def _what(self) -> str:
        return "entropy" if self.classes else "variance"

    def given_away(self, named: Collection[str]) -> Iterator[Finding]:
        """Find features that tell the target almost alone."""
        for found in suspects(self.columns, self.question, named):
            yield Finding(
                "bench.given_away",
                found.message,
                found.share,
                found.severity,
                (found.name,),
                remedy={"select.drop": {"on": [found.name]}},
                stage="bench",
            )

    def over_time(self) -> Iterator[Finding]:
        """Find dates along which the target is not the same, while folds are drawn at random."""
        for column in self.columns:
            excess, p_value = dependence_on(column, self.target, self.classes, self.design.random_state)
            if excess < FOLLOWS or p_value > SURE:
                continue
            message = (
                f"The target depends on '{column.name}': rows next to each other in time are alike (excess "
                f"{excess:.2f}, permutation p {p_value:.3g}). Folds drawn at random test on days that were "
                "trained on, and scores may be too good: test by time."
            )
            yield Finding(
                "bench.over_time",
                message,
                excess,
                "medium" if excess >= 0.2 else "low",
                (column.name,),
                remedy={"bench": {"time": column.name}},
                stage="bench",
            )


def _may_be_again(series: pl.Series, truth: NDArray) -> bool:
    """Tell by a few rows whether a column is worth being held against the target in all of them."""
    if series.null_count() or not series.dtype.is_numeric():
        return True
    one, two = (np.unique(v[:PEEK], return_inverse=True)[1] for v in (series.to_numpy(), truth))
    return _paired(one.astype(np.int64), two.astype(np.int64))


def _one_to_one(series: pl.Series, truth: NDArray, classes: bool) -> bool:
    """Tell whether a column and the target can be computed from one another, value by value."""
    rows = len(series)
    goals = np.unique(truth, return_inverse=True)[1]
    distinct, many = series.n_unique(), int(goals.max()) + 1
    # A class may be told by a gap; but a gap may be nothing, too, where the rest is the target.
    if classes and many <= distinct <= many + 1 and many > 1:
        codes = series.rank("dense").fill_null(0).to_numpy().astype(np.int64)
        if _paired(codes, goals):
            return True
    known = has_value(series)
    if known.sum() < max(FEW, COVERS * rows):
        return False
    series, goals = series.filter(pl.Series(known)), np.unique(truth[known], return_inverse=True)[1]
    distinct, many = series.n_unique(), int(goals.max()) + 1
    if distinct != many or many < 2:
        return False
    codes = series.rank("dense").to_numpy().astype(np.int64) - 1
    if many < REPEATS * len(goals):
        return _paired(codes, goals)
    # Numbers that do not recur go one to one by nature; that they have one order is no chance.
    ordered = series.dtype.is_numeric() or series.dtype.is_temporal()
    return ordered and (np.array_equal(codes, goals) or np.array_equal(many - 1 - codes, goals))


def _paired(one: NDArray[np.int64], two: NDArray[np.int64]) -> bool:
    """Tell whether each code of one goes with one of the other."""
    pairs = len(np.unique(one * (int(two.max()) + 1) + two))
    return pairs == len(np.unique(one)) == len(np.unique(two))


def _may_name(column: Column) -> bool:
    """Tell by a few rows whether a column is worth being asked whether it names all of them."""
    few = column.series.head(PEEK)
    if column.kind == "numeric":
        numbers = few.cast(pl.Float64).to_numpy()
        numbers = numbers[~np.isnan(numbers)]
        return len(np.unique(numbers)) == len(numbers) and bool((numbers == np.round(numbers)).all())
    few = few.drop_nulls()
    if column.kind != "categorical" or not len(few):
        return False
    # Names of what rows belong to may recur, but those that machines make hold many digits.
    made = few.cast(pl.String).str.contains("[0-9a-fA-F]{8}").all()
    return few.n_unique() >= REPEATS * len(few) or bool(made)


def _told_apart(design: Design, names: Sequence[str], named: Collection[str]) -> Iterator[Finding]:
    """Ask boosted trees to tell the test rows of the last fold from what it learns from."""
    fold = design.folds - 1
    seen = design.within(0, fold)
    test = seen.fold_of[0] == fold
    asked = [n for n in names if n not in named and seen.table.kinds[n] != "text"]
    if not asked or min(int(test.sum()), int((~test).sum())) < LEAST:
        return
    asked = asked[:MOST_COLUMNS]
    seed, ids = design.random_state, seen.table.ids
    taken = sampled(test, ids, seed, ROWS)
    frame = seen.table.frame.collect().select(asked)[taken]
    answer = dependence(frame, test[taken], ids[taken], seed=seed)
    low, high = answer.auc - WIDE * answer.error, min(1.0, answer.auc + WIDE * answer.error)
    if answer.auc < FLAGGED or low <= 0.5 or answer.p_value > ALPHA:
        return
    drivers = tuple(name for name, _ in answer.reasons)
    reasons = listed((f"'{name}' (-{fall:.2f})" for name, fall in answer.reasons), MANY)
    because = f" Without these columns it falls most: {reasons}." if answer.reasons else ""
    message = (
        f"A model tells test rows from training rows: AUC {answer.auc:.3f}, 95% interval {low:.3f} to "
        f"{high:.3f}, where 0.5 is chance.{because} {_meaning(design)}"
    )
    severity: Severity = "low" if design.time is None and design.test is None else "medium"
    yield Finding("bench.train_test_differ", message, answer.auc, severity, drivers, stage="bench")


def _meaning(design: Design) -> str:
    """Say what it means that test rows are not like training rows, by what parts them."""
    if design.time is not None:
        return "Later rows are not like earlier ones: what is learned of these columns goes out of date."
    if design.test is not None:
        return "The test set is not a draw of the same rows: scores are those of other rows than these."
    return "Groups differ: scores are those of groups never seen, and these columns tell a group by heart."


def _guarded(what: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run a check; trouble with the data becomes a finding, and no reason not to judge."""
    try:
        # Numbers at the end of their range overflow in squares: what they tell is then not known.
        with np.errstate(all="ignore"):
            return list(check())
    except FAILURES as error:
        reason = str(error).strip().partition("\n")[0]
        return [Finding("bench.unchecked", f"The check of {what} failed: {reason}", 1.0, stage="bench")]
