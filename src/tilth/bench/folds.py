"""Who is tested when: folds keyed by row id, in which groups and copies of a row stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.pictures import copies_of
from tilth.core.finding import Finding
from tilth.errors import DataError
from tilth.stages.close import close_groups
from tilth.statistics import hash_rows
from tilth.table import ROW, Table

SPLIT = ("bench.copies_split", "bench.near_split")
STRATA = 10
"""Quantile bins by which the values of a regression are spread over the folds."""

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Units:
    """Say which rows must be tested together.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), int64
        Rows of the same code go to the same fold.
    findings : list of Finding
        What was kept together, and what could not be.
    """

    codes: Codes
    findings: list[Finding]


def units_of(
    table: Table, folds: int, progress: Callable[[str], None] | None = None, fixed: bool = False
) -> Units:
    """Find the rows that must not be torn apart: groups, and rows with the same features, or almost.

    A row whose copy is in the training part is no test. Copies that tie more than one fold's share of the
    rows together are the nature of the data (few columns, few values): they are told, and let go. What is
    almost the same is told by `tilth.stages.close`; of images, by `tilth.images.copies.groups`.

    Parameters
    ----------
    table : Table
    folds : int
    progress : callable, optional
    fixed : bool
        There is one fixed test set and no fold: few groups will do, and what was kept together is told by
        who leaves it out of what is learned from.

    Raises
    ------
    DataError
        Fewer groups than folds.
    """
    rows = table.height
    groups = table.role("group")
    alone = np.arange(rows, dtype=np.int64)
    own = alone if groups is None else groups.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    if groups is not None and len(np.unique(own)) < folds and not fixed:
        raise DataError(
            f"Column '{table.roles.group}' has {len(np.unique(own))} groups, but {folds} folds were "
            "asked for, and a group is never split. Ask for fewer folds."
        )
    pictures = copies_of(table, progress)
    copies = _copies(table) if pictures is None else pictures
    many = "leave out of training" if fixed else f"keep together in {folds} folds"
    codes, findings = _exact(own, copies, folds, pictures is not None, many)
    if pictures is None and (not findings or findings[0].kind != "bench.copies_split"):
        codes, more = _near(codes, table, folds, many)
        findings += more
    if groups is not None:
        count = len(np.unique(own))
        message = f"Rows of the same '{table.roles.group}' ({count:,} groups) were kept in one fold."
        findings.append(Finding("bench.groups_together", message, float(count), n_rows=rows, stage="bench"))
    if fixed:
        findings = [finding for finding in findings if finding.kind in SPLIT]
    return Units(codes, findings)


def _exact(own: Codes, copies: Codes, folds: int, pictures: bool, many: str) -> tuple[Codes, list[Finding]]:
    """Tie exact copies together, unless they are too many to do so."""
    rows = len(own)
    repeated = rows - len(np.unique(copies))
    if not repeated:
        return own, []
    codes = _joined(own, copies)
    what = "images are copies, or almost, of another" if pictures else "rows repeat the features of another"
    told = f"{repeated:,} of {rows:,} {what}"
    share = repeated / rows
    if _fits(codes, folds):
        message = f"{told}; copies were kept together."
        return codes, [
            Finding("bench.copies_together", message, share, "low", n_rows=repeated, stage="bench")
        ]
    message = (
        f"{told}, too many to {many}: some copies of test rows are trained on, and scores may be too good."
    )
    remedy: dict = {"duplicates.images" if pictures else "duplicates.exact": {}}
    return own, [
        Finding("bench.copies_split", message, share, "medium", n_rows=repeated, remedy=remedy, stage="bench")
    ]


def _near(codes: Codes, table: Table, folds: int, many: str) -> tuple[Codes, list[Finding]]:
    """Tie near copies together, unless they are too many to do so."""
    rows = table.height
    close, obstacle = close_groups(table)
    if obstacle:
        message = f"Near copies were not looked for, only exact ones: {obstacle}."
        return codes, [Finding("bench.near_unknown", message, float(rows), stage="bench")]
    joined = _joined(codes, close)
    tied = len(np.unique(codes)) - len(np.unique(joined))
    if not tied:
        return codes, []
    told = f"{tied:,} of {rows:,} rows are almost the same as another"
    if _fits(joined, folds):
        message = f"{told}; near copies were kept together."
        return joined, [
            Finding("bench.near_together", message, tied / rows, "low", n_rows=tied, stage="bench")
        ]
    message = (
        f"{told}, too many to {many}: some near copies of test rows are trained on, "
        "and scores may be too good."
    )
    finding = Finding(
        "bench.near_split",
        message,
        tied / rows,
        "medium",
        n_rows=tied,
        remedy={"duplicates.near": {}},
        stage="bench",
    )
    return codes, [finding]


def _fits(codes: Codes, folds: int) -> bool:
    return bool(np.unique(codes, return_counts=True)[1].max() <= len(codes) / folds)


def assign(strata: Codes, units: Codes, ids: NDArray[np.uint64], folds: int, seed: int, repeat: int) -> Codes:
    """Give every row a test fold, each stratum spread evenly, no unit torn apart.

    Keyed by (seed, repeat, row id): the order of the rows does not matter.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,)
        Class codes, or bins of a value; from 0.
    units : ndarray of shape (n_rows,)
        Rows of the same code are assigned together.
    ids : ndarray of shape (n_rows,), uint64
    folds, seed, repeat : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Folds from 0; sizes of folds differ by at most one row per stratum where every unit is one row.
    """
    words = hash_rows(seed, ids, repeat)
    count = int(strata.max()) + 1
    _, units = np.unique(units, return_inverse=True)
    sizes = np.bincount(units)
    fold = np.full(len(ids), -1, np.int64)
    filled = np.zeros((folds, count), np.int64)
    several = np.flatnonzero(sizes > 1)
    if len(several):
        # A unit is known by the smallest of its rows' words, which no order of rows can change.
        word = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(word, units, words)
        held = np.zeros((len(sizes), count), np.int64)
        np.add.at(held, (units, strata), 1)
        where = _greedy(held[several], word[several], np.bincount(strata, minlength=count), folds, filled)
        of_unit = np.full(len(sizes), -1, np.int64)
        of_unit[several] = where
        fold = of_unit[units]
    alone = fold < 0
    for stratum in range(count):
        rows = np.flatnonzero(alone & (strata == stratum))
        rows = rows[np.lexsort((ids[rows], words[rows]))]
        fold[rows] = _fill(filled, stratum, len(rows))
    return fold


def strata_of(target: NDArray, task: str, folds: int) -> Codes:
    """Return the classes, or for a regression the quantile bins, that folds are stratified by."""
    if task != "regression":
        return target.astype(np.int64)
    bins = max(1, min(STRATA, len(target) // folds))
    edges = np.quantile(target, np.arange(1, bins) / bins)
    return np.searchsorted(edges, target, side="right").astype(np.int64)


def fingerprint(frame: pl.DataFrame) -> str:
    """Return a digest of a frame's rows, in order, and its columns; the same within one process.

    Lists and arrays are hashed through their text, which shows every number in full.
    """
    plain = [
        pl.col(name).cast(pl.List(pl.String)).list.join("|", ignore_nulls=False)
        if isinstance(dtype, pl.List | pl.Array)
        else pl.col(name)
        for name, dtype in frame.schema.items()
    ]
    words = frame.select(plain).hash_rows(seed=0).to_numpy() if frame.width else np.zeros(0, np.uint64)
    digest = hashlib.blake2b(repr(frame.schema).encode(), digest_size=16)
    digest.update(words.tobytes())
    return digest.hexdigest()


def _copies(table: Table) -> Codes:
    """Code rows by their features; without any feature each row stands alone."""
    frame = table.X()
    if frame.width == 0:
        return np.arange(table.height, dtype=np.int64)
    lists = [n for n, t in frame.schema.items() if isinstance(t, pl.List | pl.Array)]
    frame = frame.with_columns(
        pl.col(n).cast(pl.List(pl.String)).list.join("|", ignore_nulls=False) for n in lists
    )
    first = frame.with_row_index(ROW).select(pl.col(ROW).first().over(frame.columns).cast(pl.Int64))
    return np.unique(first.to_series().to_numpy(), return_inverse=True)[1].astype(np.int64)


def _joined(one: Codes, other: Codes) -> Codes:
    """Return codes under which rows that share either code, directly or through others, are one unit."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = len(one)
    place = np.arange(rows)
    ends = np.concatenate([rows + one, rows + one.max() + 1 + other])
    starts = np.concatenate([place, place])
    size = int(ends.max()) + 1
    links = coo_array((np.ones(len(starts), np.int8), (starts, ends)), shape=(size, size))
    return connected_components(links, directed=False)[1][:rows].astype(np.int64)


def _greedy(held: Codes, word: NDArray[np.uint64], total: Codes, folds: int, filled: Codes) -> Codes:
    """Place units, the largest first, each in the fold that stays the most even; updates `filled`."""
    where = np.zeros(len(held), np.int64)
    share = 1 / np.maximum(total, 1)
    for unit in np.lexsort((word, -held.sum(axis=1))):
        # Adding a unit raises the sum of squared shares least where its classes are rarest so far.
        cost = ((2 * filled + held[unit]) * held[unit] * share**2).sum(axis=1)
        best = np.lexsort((np.arange(folds), filled.sum(axis=1), cost))[0]
        where[unit] = best
        filled[best] += held[unit]
    return where


def _fill(filled: Codes, stratum: int, count: int) -> Codes:
    """Return folds for `count` rows, in their order, so that the stratum fills evenly; updates `filled`."""
    have = filled[:, stratum].copy()
    given = np.zeros_like(have)
    # Water filling: raise the lowest folds first. Ties go to the fold with the fewest rows in all.
    order = np.lexsort((np.arange(len(have)), filled.sum(axis=1)))
    left = count
    while left:
        low = have + given
        level = low.min()
        lowest = [f for f in order if low[f] == level]
        higher = low[low > level]
        step = int(higher.min() - level) if len(higher) else left
        full = min(step, left // len(lowest))
        if full:
            given[lowest] += full
            left -= full * len(lowest)
        else:
            given[lowest[:left]] += 1
            left = 0
    filled[:, stratum] += given
    return np.repeat(np.arange(len(have)), given)
