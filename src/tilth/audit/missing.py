"""Checks of missing values: how many there are, and in what pattern; causes are looked for in `causes`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from tilth.core.finding import Finding, Severity
from tilth.errors import listed
from tilth.stages.dependence import LEAST
from tilth.table import Table

FINDS = {
    "missing.cells": "how many cells, rows and columns of the table have gaps",
    "missing.mostly": "a column misses most of its cells",
    "missing.together": "columns are missing in the same rows",
    "missing.linked": "gaps of columns meet more or less often than by chance",
    "missing.monotone": "whoever misses one column misses all later ones, as people who leave a study",
}

FROM_OTHERS: dict = {"impute.iterative": {}}
"""The remedy that fills gaps from all other columns: `on` would also leave out those that tell."""

MOSTLY = 0.6
"""Beyond this share a column is filled with more guesses than values."""

TOGETHER = 0.9
"""Columns form a block if this share of the rows that miss either miss both: the rest are single cells."""

LINKED = 0.2
"""The least correlation of gaps that is told: below it, one gap says next to nothing about the other."""

SURE = 4.0
"""Standard errors from chance: one in 16,000, so that the pairs of a wide table do not make it by luck."""

MONOTONE = 0.99
"""The share of rows with gaps that must follow the order of the columns; the rest are single cells."""

MOST_COLUMNS = 200
"""Columns whose gaps are compared with one another, those with the most first."""

BLOCK = 1 << 16

TESTED = 5
"""Columns, or blocks, that a model is asked about: those with the most gaps."""


@dataclass(frozen=True)
class Gaps:
    """Hold which cells are missing, of the columns that miss some and not all.

    Parameters
    ----------
    names : tuple of str
        Most gaps first; ties in the order of the table.
    missing : ndarray of shape (n_rows, n_columns), bool
    together : ndarray of shape (n_columns, n_columns), float64
        The co-missing matrix: rows that miss both; on the diagonal, rows that miss one.
    """

    names: tuple[str, ...]
    missing: np.ndarray
    together: np.ndarray

    @classmethod
    def of(cls, table: Table) -> Gaps:
        """Take the gaps of the features."""
        frame = table.frame.select(pl.col(table.features).is_null()).collect() if table.features else None
        counts = {} if frame is None else {c: int(frame[c].sum()) for c in frame.columns}
        some = sorted((c for c, n in counts.items() if 0 < n < table.height), key=lambda c: -counts[c])
        some = some[:MOST_COLUMNS]
        if frame is None or not some:
            return cls((), np.zeros((table.height, 0), bool), np.zeros((0, 0)))
        missing = frame.select(some).to_numpy()
        # Blocks of rows are counted exactly in single precision, and are all that is held of it.
        blocks = (missing[i : i + BLOCK].astype(np.float32) for i in range(0, len(missing), BLOCK))
        return cls(tuple(some), missing, sum(((b.T @ b).astype(np.float64) for b in blocks), np.zeros(())))

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self.missing)

    @property
    def correlation(self) -> np.ndarray:
        """Return the correlations of the gaps (phi)."""
        counts, rows = np.diag(self.together), self.rows
        spread = np.sqrt(counts * (rows - counts))
        return (rows * self.together - np.outer(counts, counts)) / np.outer(spread, spread)

    @property
    def linked(self) -> np.ndarray:
        """Tell which pairs of columns have gaps that meet more or less often than by chance."""
        beyond: np.ndarray = np.abs(self.correlation) * np.sqrt(self.rows) >= SURE
        return beyond & ~np.eye(len(self.names), dtype=bool)

    @property
    def blocks(self) -> list[list[int]]:
        """Return the places of the columns in blocks that are missing together; single columns too."""
        counts = np.diag(self.together)
        either = counts[:, None] + counts[None, :] - self.together
        same = (self.together >= TOGETHER * either) & (self.linked | np.eye(len(self.names), dtype=bool))
        return _components(same)


def _components(near: np.ndarray) -> list[list[int]]:
    """Return the places of a symmetric matrix in groups that hang together, first places first."""
    left, groups = list(range(len(near))), []
    while left:
        group, fresh = [left[0]], [left.pop(0)]
        while fresh:
            fresh = [i for i in left if near[fresh, i].any()]
            left = [i for i in left if i not in fresh]
            group = group + fresh
        groups.append(group)
    return groups


def shares(table: Table, gaps: Gaps) -> Iterator[Finding]:
    """Find how much is missing in all, and columns that are mostly missing.

    What each column misses is told by `impute.simple`, which looks as well.
    """
    if not gaps.names:
        return
    cells, rows = int(np.diag(gaps.together).sum()), int(gaps.missing.any(axis=1).sum())
    share = cells / (gaps.rows * len(table.features))
    many = "1 column" if len(gaps.names) == 1 else f"{len(gaps.names)} of {len(table.features)} columns"
    message = (
        f"{cells} of {gaps.rows * len(table.features)} cells ({share:.1%}) are missing, in {many} and "
        f"{rows} of {gaps.rows} rows ({rows / gaps.rows:.1%})."
    )
    yield finding("missing.cells", message, share, gaps.names, rows, {"impute.simple": {"indicator": True}})
    for name, count in zip(gaps.names, np.diag(gaps.together), strict=True):
        if count > MOSTLY * gaps.rows:
            share = float(count / gaps.rows)
            message = f"'{name}' has no value in {share:.1%} of the rows: most of it would be guesses."
            yield finding(
                "missing.mostly", message, share, [name], int(count), {"impute.drop": {"on": [name]}}
            )


def pattern(gaps: Gaps) -> Iterator[Finding]:
    """Find blocks of columns that are missing together, pairs whose gaps meet, and a monotone pattern."""
    blocks = gaps.blocks
    for block in blocks:
        if len(block) > 1:
            every, some = (f(gaps.missing[:, block], axis=1).sum() for f in (np.all, np.any))
            names = [gaps.names[i] for i in block]
            message = (
                f"{quoted(names)} are missing together: {int(every)} rows miss all of them, "
                f"{every / some:.0%} of the rows that miss any. One indicator is enough for all."
            )
            yield finding("missing.together", message, every / some, names, int(every), FROM_OTHERS)
    told = np.zeros(gaps.together.shape, dtype=bool)
    for chain in _components(gaps.linked & (gaps.correlation > 0)):
        if found := _monotone(gaps, chain):
            told[np.ix_(chain, chain)] = True
            yield found
    for block in blocks:
        # One column of a block stands for all.
        told[block[1:], :] = told[:, block[1:]] = True
    yield from _linked(gaps, gaps.linked & (np.abs(gaps.correlation) >= LINKED) & ~told)


def _linked(gaps: Gaps, linked: np.ndarray) -> Iterator[Finding]:
    phi = gaps.correlation
    pairs = sorted(np.argwhere(np.triu(linked, 1)).tolist(), key=lambda p: -abs(phi[p[0], p[1]]))
    if not pairs:
        return
    counts = np.diag(gaps.together)
    told = [
        f"'{gaps.names[i]}' with '{gaps.names[j]}' ({int(gaps.together[i, j])} rows miss both, "
        f"{counts[i] * counts[j] / gaps.rows:.0f} by chance; correlation {phi[i, j]:+.2f})"
        for i, j in pairs[:3]
    ]
    more = f", and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    message = f"Gaps do not meet by chance: {'; '.join(told)}{more}."
    names = list(dict.fromkeys(gaps.names[i] for pair in pairs for i in pair))
    rows = int((gaps.missing[:, [gaps.names.index(c) for c in names]].sum(axis=1) > 1).sum())
    score = float(abs(phi[tuple(pairs[0])]))
    yield finding("missing.linked", message, score, names, rows, FROM_OTHERS)


def _monotone(gaps: Gaps, chain: Sequence[int]) -> Finding | None:
    """Find out whether columns can be ordered so that each is missing wherever the one before it is."""
    counts = np.diag(gaps.together)
    order = sorted(chain, key=lambda i: counts[i])
    if len(np.unique(counts[order])) < 2 or not all(gaps.linked[i, j] for i, j in pairwise(order)):
        return None
    # Missing once, missing ever after: no row goes from a gap to a value.
    rows = gaps.missing[:, order]
    broken, some = (rows[:, :-1] & ~rows[:, 1:]).any(axis=1), rows.any(axis=1)
    share = float(1 - broken.sum() / some.sum())
    if share < MONOTONE:
        return None
    names = [gaps.names[i] for i in order]
    message = (
        f"The gaps are monotone in {share:.1%} of the {int(some.sum())} rows with any: where one of "
        f"{quoted(names)} is missing, those after it are too, as when people leave a study."
    )
    # Each column can be filled from those that are filled before it: one round is all it takes.
    return finding("missing.monotone", message, share, names, int(some.sum()), FROM_OTHERS)


def asked_about(gaps: Gaps, known: np.ndarray | None = None) -> list[list[int]]:
    """Return the blocks with the most gaps that have enough gaps, and enough values, among the known rows."""
    rows = gaps.missing if known is None else gaps.missing[known]
    counts = rows.sum(axis=0)
    return [b for b in gaps.blocks if LEAST <= counts[b[0]] <= len(rows) - LEAST][:TESTED]


def quoted(names: Sequence[str]) -> str:
    return listed((f"'{name}'" for name in names), 6)


def finding(
    kind: str,
    message: str,
    score: float,
    columns: Sequence[str],
    rows: int,
    remedy: dict | None = None,
    severity: Severity = "info",
) -> Finding:
    return Finding(
        kind,
        message,
        float(score),
        severity,
        tuple(columns),
        n_rows=rows,
        remedy=remedy,
        stage="audit.missing",
    )
