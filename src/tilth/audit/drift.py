"""Checks for drift: are test rows like training rows, column by column, jointly, and in their labels?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import polars as pl

from tilth.audit.column import Column
from tilth.core.finding import Finding, Severity
from tilth.errors import listed
from tilth.stages.column import shown
from tilth.stages.dependence import LEAST, ROWS, dependence, holm, sampled
from tilth.statistics import hash_rows
from tilth.statistics.samples import binned, chi_square, ks, psi
from tilth.table import ROW, Kind, Table

FINDS = {
    "drift.column": "a column is distributed otherwise in test rows than in training rows",
    "drift.unseen": "test rows hold categories that no training row has",
    "drift.joint": "a model tells test rows from training rows",
    "drift.target": "the target is distributed otherwise in test rows than in training rows",
}

ALPHA = 0.01
"""The chance that any column is said to drift by chance, over all columns (Holm)."""

SOME, MUCH = 0.1, 0.25
"""The usual readings of the population stability index: below the first nothing, from the second a shift."""

FLAGGED, APART = 0.6, 0.8
"""AUC of telling test from training rows: from the first worth a look, from the second another population."""

FEW = 20
"""Rows of either kind that are needed to ask."""

WIDE = 1.96


def columns(train: Sequence[Column], test: Sequence[Column], ids: Collection[str] = ()) -> Iterator[Finding]:
    """Compare each column's values, and its gaps, in test and in training rows.

    Numbers and dates by Kolmogorov and Smirnov, categories and gaps by chi-squared; p values by Holm over
    all columns, so that of many alike columns none is named by chance. How far apart they are is told by
    the population stability index.

    Parameters
    ----------
    train, test : sequence of Column
    ids : collection of str
        Columns that name the rows: they always differ.
    """
    others = {column.name: column for column in test}
    pairs = [(c, others[c.name]) for c in train if c.name in others and c.name not in ids]
    pairs = [(one, two) for one, two in pairs if min(one.rows, two.rows) >= FEW]
    told = [_compared(one, two) for one, two in pairs]
    adjusted = holm([p for p, _, _ in told])
    for (one, two), p_value, (_, index, what) in zip(pairs, adjusted, told, strict=True):
        if p_value <= ALPHA and index >= SOME:
            severity: Severity = "medium" if index >= MUCH else "low"
            seen = f"{what}; {_in_words(index, p_value)}"
            message = f"'{one.name}' is distributed otherwise in the test rows: {seen}."
            yield Finding("drift.column", message, index, severity, (one.name,), stage="audit.drift")
        yield from _unseen(one, two)


def target(train: Column, test: Column, classes: bool) -> Iterator[Finding]:
    """Compare the target in test and in training rows: label shift."""
    if min(train.filled, test.filled) < FEW:
        return
    kind: Kind = "categorical" if classes else "numeric"
    one, two = (Column(c.name, kind, c.series.drop_nulls(), c.ids[: c.filled]) for c in (train, test))
    p_value, index, what = _compared(one, two)
    if p_value > ALPHA or index < SOME / 10:
        return
    severity: Severity = "medium" if index >= SOME else "low"
    message = (
        f"The target '{train.name}' is distributed otherwise in the test rows: {what}; "
        f"{_in_words(index, p_value)}. Scores and thresholds do not carry over."
    )
    yield Finding("drift.target", message, index, severity, (train.name,), stage="audit.drift")


def jointly(train: Table, test: Table, ids: Collection[str] = (), seed: int = 0) -> Iterator[Finding]:
    """Ask boosted trees to tell test rows from training rows (a classifier two-sample test).

    The AUC is that of guesses on rows not learned from. Columns are named without which it falls.
    """
    names = [c for c in train.features if c in test.schema and c not in ids]
    names = [c for c in names if train.kinds[c] in ("numeric", "categorical", "boolean", "datetime")]
    if not names or min(train.height, test.height) < max(LEAST, FEW):
        return
    texts = pl.col(pl.Categorical, pl.Enum).cast(pl.String)
    frames = [t.frame.select(*names, ROW).with_columns(texts).collect() for t in (train, test)]
    is_test = np.repeat([False, True], [train.height, test.height])
    # Ids of the two sources may be the same numbers, so that each source draws by a stream of its own.
    words = np.concatenate([hash_rows(i, f[ROW].to_numpy()) for i, f in enumerate(frames)])
    both = pl.concat([f.drop(ROW) for f in frames], how="vertical_relaxed")
    taken = sampled(is_test, words, seed, ROWS)
    found = dependence(both[taken], is_test[taken], words[taken], seed=seed)
    low, high = found.auc - WIDE * found.error, min(1.0, found.auc + WIDE * found.error)
    if low <= 0.5 or found.p_value > ALPHA:
        return
    reasons = listed((f"'{name}' (-{fall:.2f})" for name, fall in found.reasons), 5)
    because = f" Without these columns it falls most: {reasons}." if found.reasons else ""
    message = (
        f"A model tells test rows from training rows: AUC {found.auc:.3f}, 95% interval {low:.3f} to "
        f"{high:.3f}, where 0.5 is chance.{because}"
    )
    severity: Severity = "high" if low >= APART else "medium" if found.auc >= FLAGGED else "low"
    drivers = tuple(name for name, _ in found.reasons)
    yield Finding("drift.joint", message, found.auc, severity, drivers, stage="audit.drift")


def _compared(one: Column, two: Column) -> tuple[float, float, str]:
    """Return p value, stability index, and in words what differs most."""
    gaps = np.array([[c.filled, c.rows - c.filled] for c in (one, two)])
    if one.kind in ("numeric", "datetime"):
        values = [_numbers(c) for c in (one, two)]
        index = psi(*binned(*values))
        known = [v[np.isfinite(v)] for v in values]
        if not all(map(len, known)):
            return chi_square(*gaps), index, f"{_missing(one)}, then {_missing(two)}"
        distance, p_value = ks(*known)
        middle = [f"{np.median(v):.4g}" for v in known]
        what = f"median {middle[0]}, then {middle[1]} (KS distance {distance:.3f})"
        if one.kind == "datetime":
            ends = [[str(end(c.series)) for end in (pl.Series.min, pl.Series.max)] for c in (one, two)]
            what = f"{' to '.join(ends[0])}, then {' to '.join(ends[1])}"
        if gaps[:, 1].any():
            of_gaps = chi_square(*gaps)
            if of_gaps < p_value:
                what = f"{_missing(one)}, then {_missing(two)}"
            p_value = min(1.0, 2 * min(p_value, of_gaps))
        return p_value, index, what
    counts = [c.series.cast(pl.String).alias("level").value_counts() for c in (one, two)]
    joined = counts[0].join(counts[1], on="level", how="full", coalesce=True, nulls_equal=True).sort("level")
    seen = joined.select(pl.exclude("level").fill_null(0)).to_numpy().T
    share = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    most = int(np.abs(share[1] - share[0]).argmax())
    level = joined["level"][most]
    name = "missing" if level is None else shown(level)
    what = f"{name} in {share[0, most]:.1%}, then {share[1, most]:.1%}"
    return chi_square(*seen), psi(*_merged(seen)), what


def _merged(counts: np.ndarray) -> np.ndarray:
    """Put rare levels together: each alone adds to the index what chance makes of a few rows."""
    rare = counts.sum(axis=0) < 0.01 * counts.sum()
    return np.column_stack([counts[:, ~rare], counts[:, rare].sum(axis=1)])


def _unseen(one: Column, two: Column) -> Iterator[Finding]:
    if one.kind not in ("categorical", "boolean") or one.distinct > one.rows / 2:
        return
    known = one.series.cast(pl.String).drop_nulls().unique()
    strange = two.series.cast(pl.String)
    hit = strange.is_not_null() & ~strange.is_in(known.implode())
    if not (count := int(hit.sum())):
        return
    levels = strange.filter(hit).unique().sort()
    share = count / two.rows
    # Categories that training rows hold once stand for those they do not hold (Good and Turing).
    if share <= 2 * (one.counts["count"] == 1).sum() / one.rows:
        return
    message = (
        f"'{one.name}': {count} test rows ({share:.1%}) hold {len(levels)} categories that no training row "
        f"has, such as {shown(levels[0])}."
    )
    severity: Severity = "medium" if share >= 0.05 else "low"
    yield Finding(
        "drift.unseen", message, share, severity, (one.name,), two.where(hit), count, stage="audit.drift"
    )


def _numbers(column: Column) -> np.ndarray:
    series = column.series.to_physical() if column.kind == "datetime" else column.series
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _missing(column: Column) -> str:
    return f"missing in {1 - column.filled / max(column.rows, 1):.1%}"


def _in_words(index: float, p_value: float) -> str:
    size = "a shift" if index >= MUCH else "some" if index >= SOME else "little"
    return f"stability index {index:.2f} ({size}), p {p_value:.2g}"
