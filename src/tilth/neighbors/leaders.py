"""Which of the rows that are near each other stay: each one that goes is near to one that stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tilth.neighbors.copies import distinct
from tilth.neighbors.space import Space
from tilth.neighbors.within import groups_of, within


@dataclass(frozen=True)
class NearSets:
    """Hold what was found about rows that are near each other.

    Parameters
    ----------
    leader : ndarray of shape (n_rows,), int64
        The row that stays in a row's place; a row that stays is its own.
    apart : ndarray of shape (n_rows,), float64
        The distance to it; 0 for copies.
    together : ndarray of shape (n_rows,), int64
        Codes of the sets of rows that hang together, through whatever chains.
    """

    leader: np.ndarray
    apart: np.ndarray
    together: np.ndarray

    @classmethod
    def find(
        cls,
        space: Space,
        rows: np.ndarray,
        radius: float,
        rank: np.ndarray,
        labels: np.ndarray | None = None,
    ) -> NearSets:
        """Find the rows within a radius of each other. Equal rows are near, be they of missing cells only.

        Parameters
        ----------
        space : Space
        rows : ndarray of shape (n_rows, n_columns)
        radius : float, >= 0
        rank : ndarray of shape (n_rows,), int
            The turn of each row, from 0, no two alike: of near rows, the first stays.
        labels : ndarray of shape (n_rows,), int64, optional
            Rows of different labels are not near.

        Raises
        ------
        DataError
            See `within`.
        """
        first, unit = distinct(rows)
        alone = len(first) == len(rows)
        return cls.of_pairs(*within(space, rows if alone else rows[first], radius), unit, rank, labels)

    @classmethod
    def of_pairs(
        cls,
        i: np.ndarray,
        j: np.ndarray,
        distance: np.ndarray,
        unit: np.ndarray,
        rank: np.ndarray,
        labels: np.ndarray | None = None,
    ) -> NearSets:
        """Choose among rows of which it is known which are near.

        Parameters
        ----------
        i, j : ndarray of shape (n_pairs,), int64
            All pairs of units that are near each other.
        distance : ndarray of shape (n_pairs,), float64
        unit : ndarray of shape (n_rows,), int64
            Rows of one unit are equal.
        rank, labels
            As in `find`.
        """
        if labels is not None:
            i, j, distance, unit = _by_label(i, j, distance, unit, labels)
        n_units = int(unit.max(initial=-1)) + 1
        # The first row of each unit, by its turn, stands for it.
        best = np.full(n_units, len(unit))
        np.minimum.at(best, unit, rank)
        stands = np.argsort(rank)[best]
        leader, apart = leaders(i, j, distance, np.argsort(np.argsort(best)))
        return cls(stands[leader[unit]], apart[unit], groups_of(i, j, n_units)[unit])


def _by_label(
    i: np.ndarray, j: np.ndarray, distance: np.ndarray, unit: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Part units by the labels of their rows, and pair the parts that have the same."""
    parts = pl.DataFrame({"unit": unit, "label": labels})
    parts = parts.with_columns((pl.struct("unit", "label").rank("dense").cast(pl.Int64) - 1).alias("part"))
    each = parts.unique("part", maintain_order=True)
    pairs = pl.DataFrame({"i": i, "j": j, "distance": distance})
    pairs = pairs.join(each, left_on="i", right_on="unit").join(
        each, left_on=["j", "label"], right_on=["unit", "label"], suffix="_of_j"
    )
    found = (pairs[name].to_numpy() for name in ("part", "part_of_j", "distance"))
    return (*found, parts["part"].to_numpy())  # type: ignore[return-value]


def leaders(
    i: np.ndarray, j: np.ndarray, distance: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Choose rows that stay, first come first served: a row goes if a row before it stays and is near.

    No chains: a row that is near only to rows that go stays itself. No two rows that stay are near.

    Parameters
    ----------
    i, j : ndarray of shape (n_pairs,), int
        All pairs of rows that are near each other.
    distance : ndarray of shape (n_pairs,), float64
    rank : ndarray of shape (n_rows,), int
        The turn of each row, from 0, no two alike.

    Returns
    -------
    leader : ndarray of shape (n_rows,), int64
        The nearest row that stays, of equally near ones the first; a row that stays is its own.
    apart : ndarray of shape (n_rows,), float64
        The distance to it.

    Source
    ------
    Hartigan, "Clustering Algorithms" (1975), chapter 3: the leader algorithm.

    Examples
    --------
    >>> leader, apart = leaders(np.array([0, 1]), np.array([1, 2]), np.array([0.3, 0.2]), np.arange(4))
    >>> leader.tolist(), apart.tolist()
    ([0, 2, 2, 3], [0.0, 0.2, 0.0, 0.0])
    """
    n_rows = len(rank)
    row_of = np.argsort(rank)
    first, later = np.minimum(rank[i], rank[j]), np.maximum(rank[i], rank[j])
    order = np.lexsort((later, first))
    first, later, far = first[order], later[order], distance[order]
    turns, starts = np.unique(first, return_index=True)
    goes = np.zeros(n_rows, dtype=bool)
    for turn, start, stop in zip(turns, starts, np.append(starts[1:], len(first)), strict=False):
        if not goes[turn]:
            goes[later[start:stop]] = True
    # One that stays may be nearer than the one for which a row went, and come after it.
    told = goes[first] != goes[later]
    stay, go = np.where(goes[first], (later, first), (first, later))
    stay, go, far = stay[told], go[told], far[told]
    order = np.lexsort((stay, far, go))
    gone, at = np.unique(go[order], return_index=True)
    leader, apart = np.arange(n_rows), np.zeros(n_rows)
    leader[row_of[gone]], apart[row_of[gone]] = row_of[stay[order][at]], far[order][at]
    return leader, apart
