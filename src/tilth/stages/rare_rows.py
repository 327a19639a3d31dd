"""Rows made of others with rare values of a numeric target: between near ones, or around one alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.neighbors import Space, nearest
from tilth.neighbors.grouped import nearest_in_groups
from tilth.stages.made_rows import interpolated, shifted
from tilth.stages.reading import Reading
from tilth.statistics import hash_rows, uniform
from tilth.statistics.synthesis import apportion
from tilth.table import kind_of

SEEN = 1000
"""Rows of a bump by which a row's usual distance is measured."""
BLOCK = 2048
NEIGHBOR, GAP, DONOR, NOISE = 0, 1, 1 << 20, 2 << 20
"""Epochs of the draws for a made row; donors and noise have one for each column."""


@dataclass(frozen=True)
class Source:
    """Hold rows whose target has a value, in an order that does not depend on how they came.

    Parameters
    ----------
    frame : DataFrame
        Features and target.
    target : str
    values : ndarray of shape (n_rows,), float64
        Those of the target.
    ids : ndarray of shape (n_rows,), uint64
    groups : ndarray of shape (n_rows,), int64, optional
    reading : Reading
        How the features that distances are taken over are read.
    matrix : ndarray of shape (n_rows, n_read)
        As it reads them.
    """

    frame: pl.DataFrame
    target: str
    values: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None
    reading: Reading
    matrix: np.ndarray


@dataclass(frozen=True)
class Made:
    """Hold made rows, the two rows each was made of, and the share of the second.

    Parameters
    ----------
    rows : DataFrame
    base, other : ndarray of shape (n_made,), int64
        Positions in the source; the same where a row has one parent.
    gap : ndarray of shape (n_made,), float64
    alone : int
        How many rows of the bump have no partner: no other of their group in the bump, or in reach.
    """

    rows: pl.DataFrame
    base: np.ndarray
    other: np.ndarray
    gap: np.ndarray
    alone: int


def made_rows(source: Source, bump: np.ndarray, count: int, k: int, noise: float, seed: int) -> Made:
    """Make `count` rows of those of a bump.

    Each row of the bump is the base of equally many, to within one. A neighbor among its `k` nearest is
    drawn: if it is nearer than half the median distance to the rows of the bump, the new row lies between
    the two; if not, or if there is none, around the base.

    Parameters
    ----------
    source : Source
    bump : ndarray of int64
        Positions in the source.
    count : int
    k : int
    noise : float
        The most by which rows around a base are moved, in standard deviations of the bump.
    seed : int

    Source
    ------
    Branco, Torgo and Ribeiro, "SMOGN: a pre-processing approach for imbalanced regression", PMLR 74 (2017),
    algorithms 1 and 2.
    """
    times = apportion(count, np.ones(len(bump)), hash_rows(seed, source.ids[bump]))
    place = np.repeat(np.arange(len(bump)), times)
    turn = np.arange(count) - np.repeat(np.cumsum(times) - times, times)
    keys = hash_rows(seed, source.ids[bump[place]] ^ hash_rows(1, turn.astype(np.uint64)))
    other, apart, usual, alone = _partners(source, bump, place, k, uniform(seed, keys, NEIGHBOR))
    near = (other >= 0) & (apart < usual / 2)
    base = bump[place]
    other = np.where(near, bump[other], base)
    gap = np.where(near, uniform(seed, keys, GAP), 0.0)
    between = _between(source, base[near], other[near], gap[near], seed, keys[near])
    around = _around(source, bump, base[~near], np.minimum(noise, usual[~near] / 2), seed, keys[~near])
    rows = pl.concat([between, around])
    order = np.concatenate([np.flatnonzero(near), np.flatnonzero(~near)])
    return Made(rows[np.argsort(order)], base, other, gap, alone)


def _space(source: Source) -> Space:
    return Space(categorical=tuple(source.reading.categorical.tolist()))


def _partners(
    source: Source, bump: np.ndarray, place: np.ndarray, k: int, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Draw a neighbor for each base: where it is (-1: nowhere), how far, and the base's median distance."""
    rows = source.matrix[bump]
    if rows.shape[1] == 0 or len(rows) < 2:
        nowhere = np.full(len(place), -1)
        return nowhere, np.full(len(place), np.inf), np.zeros(len(place)), len(rows)
    space = _space(source)
    found = nearest_in_groups(space, rows, None if source.groups is None else source.groups[bump], k)
    there = (found >= 0).sum(axis=1)
    drawn = np.minimum((draws * there[place]).astype(np.int64), np.maximum(there[place] - 1, 0))
    other = found[place, drawn]
    usual = np.zeros(len(rows))
    for start in range(0, len(rows), BLOCK):
        these = np.arange(start, min(start + BLOCK, len(rows)))
        far, at = nearest(space, rows[these], rows[:SEEN], min(SEEN, len(rows)))
        apart = np.where((at >= 0) & (at != these[:, None]), far, np.nan)
        known = ~np.isnan(apart).all(axis=1)
        usual[these[known]] = np.nanmedian(apart[known], axis=1)
    return other, _apart(space, rows[place], rows[other]), usual[place], int((there == 0).sum())


def _apart(space: Space, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the distance of each pair of rows."""
    sides = space.sides(one, other)
    masked = not (sides.q_present.all() and sides.r_present.all())
    pairs = np.arange(len(one))
    return sides.distances(sides.between(pairs, pairs, masked=masked), masked=masked)


def _columns(source: Source, *kinds: str) -> list[str]:
    frame = source.frame
    return [c for c in frame.columns if c != source.target and kind_of(frame.schema[c]) in kinds]


def _between(
    source: Source, base: np.ndarray, other: np.ndarray, gap: np.ndarray, seed: int, keys: np.ndarray
) -> pl.DataFrame:
    """Make rows between two; the target by the distances to both."""
    between = _columns(source, "numeric", "datetime")
    drawn = [c for c in source.frame.columns if c not in between and c != source.target]
    donors = {
        name: np.where(uniform(seed, keys, DONOR + number) < 0.5, other, base)
        for number, name in enumerate(drawn)
    }
    rows = interpolated(source.frame, between, base, other, gap, donors)
    if not len(base):
        return rows
    read, space = source.reading.matrix(rows), _space(source)
    to_base, to_other = (_apart(space, read, source.matrix[parent]) for parent in (base, other))
    whole = to_base + to_other
    known = np.isfinite(whole) & (whole > 0)
    share = np.where(known, to_base / np.where(known, whole, 1.0), 0.5)
    values = (1 - share) * source.values[base] + share * source.values[other]
    return rows.with_columns(_target(source, values))


def _around(
    source: Source, bump: np.ndarray, base: np.ndarray, spread: np.ndarray, seed: int, keys: np.ndarray
) -> pl.DataFrame:
    """Make rows around one, none beyond the bump's range in any column."""
    from scipy.special import ndtri

    moved = _columns(source, "numeric")

    def step(name: str, numbers: np.ndarray, number: int) -> np.ndarray:
        own = numbers[bump]
        own = own[np.isfinite(own)]
        # The smallest draw stands for the lowest normal number there is.
        normal = ndtri(np.maximum(uniform(seed, keys, NOISE + number), 2.0**-54))
        if not len(own):
            return np.zeros(len(base))
        top = np.abs(own).max() or 1.0
        shift = normal * spread * float((own / top).std()) * top
        return np.clip(numbers[base] + shift, own.min(), own.max()) - numbers[base]

    def shift(name: str) -> np.ndarray:
        numbers = source.frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return step(name, numbers, 1 + moved.index(name))

    rows = shifted(source.frame, moved, base, shift)
    return rows.with_columns(_target(source, source.values[base] + step(source.target, source.values, 0)))


def _target(source: Source, values: np.ndarray) -> pl.Series:
    dtype: Any = source.frame.schema[source.target]
    if not dtype.is_integer():
        return pl.Series(source.target, values).cast(dtype)
    # Of numbers that a float does not hold the nearest it holds may lie beyond all there are.
    least, most = (pl.Series([bound], dtype=pl.Int128) for bound in _range(source.frame[source.target]))
    whole = pl.Series(source.target, np.round(values)).cast(pl.Int128).clip(least, most)
    return whole.cast(dtype)


def _range(column: pl.Series) -> tuple[Any, Any]:
    return column.min(), column.max()
