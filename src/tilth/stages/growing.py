"""Rows of a class made from its own: neighbors, places between them, and rows that lend a category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tilth.neighbors import Space
from tilth.neighbors.grouped import nearest_in_groups
from tilth.neighbors.others import nearest_to_some
from tilth.stages.bases import Bases, Rows
from tilth.stages.reading import Reading
from tilth.statistics import hash_rows, uniform
from tilth.statistics.synthesis import apportion, leading, value_difference


@dataclass(frozen=True)
class Made:
    """Say what rows are made of, by positions among the labeled rows.

    Parameters
    ----------
    base, other : ndarray of shape (n_made,), int64
    gap : ndarray of shape (n_made,), float64
        How far from the base towards the other; below 0: away from it.
    donors : dict of column to ndarray of shape (n_made,), int64
        The row that lends its category.
    parents : ndarray of shape (n_made, n_parents), int64
        The base first; further rows whose categories were asked come after the two, repeated where there are
        fewer.
    shares : ndarray of shape (n_made, n_parents), float64
    copied : ndarray of int64
        Bases that have no neighbor, as often as they are to be repeated.
    """

    base: np.ndarray
    other: np.ndarray
    gap: np.ndarray
    donors: dict[str, np.ndarray]
    parents: np.ndarray
    shares: np.ndarray
    copied: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence[Made]) -> Made:
        """Put the rows made of several classes one after another."""
        width = max(part.parents.shape[1] for part in parts)
        parents = [_widened(part.parents, part.parents[:, :1], width) for part in parts]
        shares = [_widened(part.shares, np.zeros((1, 1)), width) for part in parts]
        join = np.concatenate
        return cls(
            join([part.base for part in parts]),
            join([part.other for part in parts]),
            join([part.gap for part in parts]),
            {name: join([part.donors[name] for part in parts]) for name in parts[0].donors},
            join(parents),
            join(shares),
            join([part.copied for part in parts]),
        )


@dataclass(frozen=True)
class Labeled:
    """Hold the rows that a class may grow from, in the order of their hashed ids.

    Parameters
    ----------
    reading : Reading
    matrix : ndarray of shape (n_rows, n_columns)
        As `reading` reads the rows.
    labels : ndarray of shape (n_rows,), int64
    ids : ndarray of shape (n_rows,), uint64
    groups : ndarray of shape (n_rows,), int64, or None
    """

    reading: Reading
    matrix: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None

    @property
    def nominal(self) -> bool:
        """Tell whether there are categories only."""
        return bool(self.reading.categorical.all())

    def seen_by(self, own: np.ndarray, *, complete: bool) -> Rows:
        """Return the rows as they are compared where the class `own` grows.

        Two different categories add the squared median of the standard deviations that numbers have in the
        class. Where there are categories only, they are compared by the value difference metric. `complete`
        asks for the rows without gaps as well.
        """
        coded = self.reading.categorical
        if self.nominal:
            wide = value_difference(self.matrix, self.labels)
            return Rows(Space(), wide, _filled(wide) if complete else wide, self.labels)
        mismatch = float(np.median(_deviations(self.matrix[own][:, ~coded]))) ** 2
        space = Space(categorical=tuple(coded.tolist()), mismatch=mismatch)
        return Rows(space, self.matrix, self._complete(mismatch) if complete else self.matrix, self.labels)

    def _complete(self, mismatch: float) -> np.ndarray:
        wide = self.reading.one_hot(self.matrix)
        flags = self.reading.categorical[self.reading.source]
        # Two categories differ in two flags.
        wide[:, flags] = np.nan_to_num(wide[:, flags]) * np.sqrt(mismatch / 2)
        return _filled(wide)

    def partners(self, rows: Rows, own: np.ndarray, pool: np.ndarray, k: int, device: str) -> np.ndarray:
        """Find the `k` nearest rows of the same class, pool and group: (n_class, k), -1 for none."""
        within = pool if self.groups is None else _pairs(pool, self.groups[own])
        alike = bool((within == within[0]).all())
        found = nearest_in_groups(rows.space, rows.matrix[own], None if alike else within, k, device=device)
        return np.where(found >= 0, own[found], -1)

    def partners_of_any_class(
        self, rows: Rows, own: np.ndarray, chosen: np.ndarray, k: int, device: str
    ) -> np.ndarray:
        """Find the `k` nearest rows of any class, of the same group, for the chosen rows of a class."""
        out = np.full((len(own), k), -1, dtype=np.int64)
        if self.groups is None:
            out[chosen] = nearest_to_some(rows.space, rows.matrix, own[chosen], k, device=device)
            return out
        near = np.flatnonzero(np.isin(self.groups, self.groups[own[chosen]]))
        found = nearest_in_groups(rows.space, rows.matrix[near], self.groups[near], k, device=device)
        found = np.where(found >= 0, near[found], -1)
        out[chosen] = found[np.searchsorted(near, own[chosen])]
        return out

    def make(self, own: np.ndarray, bases: Bases, partners: np.ndarray, count: int, seed: int) -> Made:
        """Make `count` rows: bases by their weight, neighbors and places by lot, keyed by the base's id."""
        often = apportion(count, bases.weight, hash_rows(seed, self.ids[own]))
        at = np.repeat(np.arange(len(own)), often)
        turn = np.arange(len(at)) - np.repeat(np.cumsum(often) - often, often)
        reached = (partners >= 0).sum(axis=1)
        alone = reached[at] == 0
        copied, at, turn = own[at[alone]], at[~alone], turn[~alone]
        base = own[at]
        keys = hash_rows(seed, self.ids[base] ^ hash_rows(seed, turn, epoch=1))
        other = partners[at, _one_of(uniform(seed, keys, 2), reached[at])]
        gap = uniform(seed, keys, 3) * bases.reach[at]
        # Han, Wang and Mao: no more than half the way to a row of another class.
        gap = np.where(self.labels[other] != self.labels[base], gap / 2, gap)
        donors = self._donors(own, partners, at, keys, seed)
        others = np.where(partners[at] >= 0, partners[at], base[:, None])
        if self.nominal:
            parents = np.column_stack([base, others])
            shares = np.column_stack([np.ones(len(base)), partners[at] >= 0]) / (1 + reached[at])[:, None]
        else:
            parents, toward = np.column_stack([base, other]), np.maximum(gap, 0)
            shares = np.column_stack([1 - toward, toward])
            if donors:
                parents, shares = np.hstack([parents, others]), np.hstack([shares, np.zeros(others.shape)])
        return Made(base, other, gap, donors, parents, shares, copied)

    def _donors(
        self, own: np.ndarray, partners: np.ndarray, at: np.ndarray, keys: np.ndarray, seed: int
    ) -> dict[str, np.ndarray]:
        """Choose for each category a row that has what most of the neighbors have, ties by lot."""
        # Chawla et al., section 6: of categories alone, the base votes with its neighbors.
        voters = np.column_stack([own, partners]) if self.nominal else partners
        donors = {}
        for place in np.flatnonzero(self.reading.categorical):
            codes = np.nan_to_num(self.matrix[:, place], nan=-1.0)
            ordered, count = leading(codes, voters)
            lent = ordered[at, _one_of(uniform(seed, keys, 4 + int(place)), count[at])]
            known = (count[at] > 0) & (codes[own[at]] >= 0)
            donors[self.reading.columns[place]] = np.where(known, lent, own[at])
        return donors


def _widened(matrix: np.ndarray, filling: np.ndarray, width: int) -> np.ndarray:
    more = (len(matrix), width - matrix.shape[1])
    return np.hstack([matrix, np.broadcast_to(filling, (len(matrix), 1))[:, [0] * more[1]]])


def _one_of(draws: np.ndarray, count: np.ndarray) -> np.ndarray:
    return (draws * count).astype(np.int64)


def _pairs(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.unique(np.column_stack([one, two]), axis=0, return_inverse=True)[1].ravel()


def _filled(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with the mean of the column where a cell is missing."""
    known = ~np.isnan(matrix)
    mean = np.sum(matrix, axis=0, where=known) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, matrix, mean)


def _deviations(numbers: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each column over the cells that are there; 0 for none."""
    away = np.where(np.isnan(numbers), 0.0, numbers - (_filled(numbers)).mean(axis=0))
    count = np.maximum((~np.isnan(numbers)).sum(axis=0), 1)
    return np.sqrt((away * away).sum(axis=0) / count)
