"""Checks of why values are missing: by chance, or does something in the table tell where?

That a gap depends on the missing value itself (MNAR) no test of the data at hand can show or exclude:
"consistent with MCAR" says that nothing in the table speaks against gaps at random, no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from scipy.stats import norm, rankdata

from tilth.audit.column import Column
from tilth.audit.missing import Gaps, asked_about, finding, quoted
from tilth.core.finding import Finding
from tilth.stages.column import shown
from tilth.stages.dependence import (
    ALPHA,
    ROWS,
    WORTH,
    Dependence,
    dependence,
    holm,
    sampled,
    tells_class,
    tells_number,
)
from tilth.statistics import uniform
from tilth.statistics.little import little_test
from tilth.table import ROW, Table

FINDS = {
    "missing.depends": "other columns tell where a column is missing: not MCAR",
    "missing.random": "the other columns do not tell where a column is missing: consistent with MCAR",
    "missing.label": "that a column is missing tells the label",
    "missing.little": "Little's test: do the means of numbers depend on which of them are missing",
}

PREDICTORS = 50
"""Columns that a model is given, the fullest first: more would cost more and find no other dependence."""

WORTH_SHARE = 0.05
"""How far a class must be more or less frequent among gaps to be told."""

LITTLE_COLUMNS, LITTLE_PATTERN = 30, 20
"""Little's test takes the numeric columns with the most gaps, and patterns of as many rows: its chi-squared
holds for means of many rows."""


def reasons(table: Table, gaps: Gaps, seed: int) -> Iterator[Finding]:
    """Find columns whose gaps the other columns tell, by a boosting model judged by permutations.

    Columns whose own gaps meet those of the column are not asked: gaps that go with gaps depend on no
    value. Groups stay on one side of a fold.
    """
    asked = asked_about(gaps)
    if not asked:
        return
    features = [
        c for c, kind in table.kinds.items() if kind in ("numeric", "categorical", "boolean", "datetime")
    ]
    roles = [] if table.roles.group is None else [table.roles.group]
    frame = table.frame.select(*features, *roles, ROW).collect()
    fullest = sorted(features, key=lambda c: frame[c].null_count())
    ids, answers = frame[ROW].to_numpy(), []
    for block in asked:
        place = block[0]
        tied = {gaps.names[i] for i in [*block, *np.flatnonzero(gaps.linked[place])]}
        others = [c for c in fullest if c not in tied and frame[c].null_count() < frame.height][:PREDICTORS]
        missing = gaps.missing[:, place]
        rows = sampled(missing, ids, seed)
        group = frame[roles[0]][rows] if roles else None
        if others:
            answer = dependence(frame[rows].select(others), missing[rows], ids[rows], group, seed)
            answers.append((block, answer))
    adjusted = holm([answer.p_value for _, answer in answers])
    yield from _told(gaps, [(b, a, p) for (b, a), p in zip(answers, adjusted, strict=True)])


def _told(gaps: Gaps, answers: Sequence[tuple[list[int], Dependence, float]]) -> Iterator[Finding]:
    counts, open_ = np.diag(gaps.together), []
    for block, answer, p in answers:
        names = [gaps.names[i] for i in block]
        if p > ALPHA or answer.auc < WORTH:
            open_.append((names, answer, p, int(counts[block[0]])))
            continue
        causes = [c for c, _ in answer.reasons[:3]]
        on = quoted(causes) if causes else "the other columns together"
        verb, it = ("is", "it is") if len(names) == 1 else ("are", "they are")
        message = (
            f"{quoted(names)} {verb} not MCAR: where {it} missing depends on {on} (out-of-fold AUC "
            f"{answer.auc:.2f}, permutation p = {p:.3f} given the fitted models)."
        )
        remedy = {"impute.iterative": {"indicator": True}}
        yield finding("missing.depends", message, answer.auc, names, int(counts[block[0]]), remedy, "low")
    if open_:
        names = [name for block, *_ in open_ for name in block]
        auc, p, rows = (
            max(a.auc for _, a, _, _ in open_),
            min(p for _, _, p, _ in open_),
            max(n for *_, n in open_),
        )
        verb = "is" if len(names) == 1 else "are"
        message = (
            f"{quoted(names)} {verb} consistent with MCAR: the other columns do not tell where values are "
            f"missing (out-of-fold AUC {auc:.2f} at most, permutation p = {p:.3f} at least). Whether gaps "
            "depend on the missing values themselves, no test of these data can tell."
        )
        yield finding("missing.random", message, auc, names, rows, {"impute.simple": {"on": names}})


def label(gaps: Gaps, target: Column, classes: bool, seed: int) -> Iterator[Finding]:
    """Find columns of which it tells the label that they are missing: whatever fills them must keep that."""
    if target.distinct < 2:
        return
    known = target.series.is_not_null().to_numpy()
    asked = asked_about(gaps, known)
    told: list[tuple[list[int], float, float, str]] = []
    for block in asked:
        missing = gaps.missing[known, block[0]]
        rows = sampled(missing, target.ids[known], seed)
        y = target.series.filter(pl.Series(known))
        ask = _of_classes if classes else _of_numbers
        told.append((block, *ask(missing, rows, y, seed)))
    for (block, size, _, words), p in zip(told, holm([t[2] for t in told]), strict=True):
        names = [gaps.names[i] for i in block]
        if p <= ALPHA and size >= WORTH_SHARE:
            message = (
                f"Where {quoted(names)} {'is' if len(names) == 1 else 'are'} missing, {words} (p = {p:.3f})."
            )
            count = int(gaps.together[block[0], block[0]])
            remedy = {"impute.simple": {"indicator": True}}
            yield finding("missing.label", message, size, names, count, remedy, "low")


def _of_classes(missing: np.ndarray, rows: np.ndarray, y: pl.Series, seed: int) -> tuple[float, float, str]:
    levels, places = np.unique(y.cast(pl.String).to_numpy(), return_inverse=True)
    p_value = tells_class(missing[rows], places[rows], seed)
    share = lambda of: np.bincount(places[of], minlength=len(levels)) / max(int(of.sum()), 1)
    gone, there = share(missing), share(~missing)
    most = int(np.argmax(gone - there))
    told = shown(y[int(np.argmax(places == most))])
    words = f"{gone[most]:.1%} of the labels are {told}, elsewhere {there[most]:.1%}"
    return float(np.abs(gone - there).max()), p_value, words


def _of_numbers(missing: np.ndarray, rows: np.ndarray, y: pl.Series, seed: int) -> tuple[float, float, str]:
    values = y.cast(pl.Float64).to_numpy()
    auc, p_value = tells_number(missing[rows], values[rows], seed)
    gone, there = np.median(values[missing]), np.median(values[~missing])
    return abs(auc - 0.5), p_value, f"the median of the target is {gone:.4g}, elsewhere {there:.4g}"


def little(table: Table, gaps: Gaps, seed: int) -> Iterator[Finding]:
    """Find whether the numbers of rows with one pattern of gaps differ from those of others (Little's test).

    Values are taken as normal scores of their ranks, standardized: the test is about means of normal
    numbers, and a heavy tail would decide it alone. Rows of rare patterns are left out.
    """
    numeric = [c for c, kind in table.kinds.items() if kind == "numeric"]
    holed = [c for c in gaps.names if c in numeric]
    if not holed or len(numeric) < 2:
        return
    columns = [*holed, *(c for c in numeric if c not in holed)][:LITTLE_COLUMNS]
    frame = table.frame.select([*columns, ROW]).collect()
    order = np.argsort(uniform(seed, frame[ROW].to_numpy()), kind="stable")[:ROWS]
    matrix = frame[np.sort(order)].select(pl.col(columns).cast(pl.Float64)).to_numpy().copy()
    matrix[~np.isfinite(matrix)] = np.nan
    _, which, sizes = np.unique(np.isnan(matrix), axis=0, return_inverse=True, return_counts=True)
    matrix = _normal(matrix[sizes[which.ravel()] >= LITTLE_PATTERN])
    if matrix.shape[1] < 2 or not np.isnan(matrix).any() or len(matrix) < LITTLE_PATTERN:
        return
    found = little_test(matrix)
    test = (
        f"Little's test: chi-squared {found.statistic:.1f} on {found.degrees_of_freedom} degrees of freedom, "
        f"p = {found.p_value:.3g}, {found.patterns} patterns"
    )
    rows = int(gaps.missing[:, [gaps.names.index(c) for c in holed]].any(axis=1).sum())
    if found.p_value <= ALPHA:
        message = (
            f"The gaps of the numeric columns are not MCAR: their means depend on what is missing ({test})."
        )
        remedy = {"impute.iterative": {"indicator": True}}
    else:
        message = f"The gaps of the numeric columns are consistent with MCAR ({test})."
        remedy = {"impute.simple": {}}
    yield finding("missing.little", message, 1 - float(found.p_value), holed, rows, remedy)


def _normal(matrix: np.ndarray) -> np.ndarray:
    """Return each column's normal scores, standardized; columns without two different values are left out."""
    scores = []
    for values in matrix.T:
        known = ~np.isnan(values)
        if known.sum() > 1 and np.ptp(values[known]) > 0:
            score = np.full(len(values), np.nan)
            score[known] = norm.ppf((rankdata(values[known]) - 0.5) / known.sum())
            scores.append((score - score[known].mean()) / score[known].std())
    return np.column_stack(scores) if scores else np.empty((len(matrix), 0))
