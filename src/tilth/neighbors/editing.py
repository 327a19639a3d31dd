"""Rows that their nearest neighbors speak against: edited nearest neighbors, and rules made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.neighbors.arrays import NumpyArrays, arrays_on
from tilth.neighbors.search import nearest
from tilth.neighbors.sheltered import sheltered
from tilth.neighbors.space import Space

Kind = Literal["all", "mode"]

ROUNDS = 100
"""Editing is repeated at most so often."""


@dataclass(frozen=True)
class Edit:
    """Say which rows a rule drops, and why.

    Parameters
    ----------
    gone : ndarray of shape (n_rows,), bool
    beside : ndarray of shape (n_rows, k), int64
        The rows that spoke against a row that goes, the nearest first; -1 where there are fewer.
    score : ndarray of shape (n_rows,), float64
        Of the neighbors looked at, the share of the row's own class.
    """

    gone: np.ndarray
    beside: np.ndarray
    score: np.ndarray

    @classmethod
    def none(cls, count: int, k: int) -> Edit:
        """Drop nothing."""
        return cls(np.zeros(count, dtype=bool), np.full((count, k), -1, np.int64), np.full(count, np.nan))


def neighbors_of(
    space: Space, rows: np.ndarray, asked: np.ndarray, k: int, device: str = "cpu"
) -> np.ndarray:
    """Find the `k` nearest other rows of those asked: (n_asked, k), int64; -1 where there are fewer."""
    found = nearest(space, rows[asked], rows, k + 1, device=device)[1]
    own = found == asked[:, None]
    # Where as many copies come before a row that it is not in its own list, the last one is left out.
    own[:, -1] |= ~own.any(axis=1)
    return found[~own].reshape(len(asked), k)


def edited(
    space: Space,
    rows: np.ndarray,
    codes: np.ndarray,
    cleaned: np.ndarray,
    k: int,
    kind: Kind,
    device: str = "cpu",
) -> Edit:
    """Drop rows whose `k` nearest neighbors are not all, or not mostly, of their class (Wilson 1972).

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    codes : ndarray of shape (n_rows,), int
        The class of each row.
    cleaned : ndarray of shape (n_classes,), bool
        The classes of which rows may go.
    k : int, >= 1
    kind : {'all', 'mode'}
        A row stays if all its neighbors are of its class; or if its class is the most frequent among
        them, of equally frequent ones the first.
    device : str
        See `nearest`.

    Examples
    --------
    >>> rows, codes = np.array([[0.0], [0.1], [0.2], [0.9], [1.0]]), np.array([0, 0, 0, 0, 1])
    >>> edit = edited(Space(), rows, codes, np.array([True, False]), 2, "all")
    >>> np.flatnonzero(edit.gone).tolist(), edit.beside[3].tolist()
    ([3], [4, -1])
    """
    edit = Edit.none(len(rows), k)
    asked = np.flatnonzero(cleaned[codes])
    if isinstance(arrays_on(device), NumpyArrays):
        safe = sheltered(space, rows, codes, asked, k)
        edit.score[asked[safe]] = 1.0
        asked = asked[~safe]
    if not asked.size:
        return edit
    found = neighbors_of(space, rows, asked, k, device)
    there = found >= 0
    other = there & (codes[found] != codes[asked, None])
    gone = (
        other.any(axis=1)
        if kind == "all"
        else most_frequent(codes[found], there, codes[asked]) != codes[asked]
    )
    edit.gone[asked] = gone
    edit.score[asked] = 1 - other.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    edit.beside[asked[gone]] = told_first(found, other)[gone]
    return edit


def told_first(found: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Return the neighbors of which something is said, in front; -1 behind them."""
    order = np.argsort(~said, axis=1, kind="stable")
    return np.take_along_axis(np.where(said, found, -1), order, 1)


def most_frequent(labels: np.ndarray, there: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the most frequent label of each row, of equally frequent ones the lowest.

    Parameters
    ----------
    labels : ndarray of shape (n_rows, k), int
    there : ndarray of shape (n_rows, k), bool
        Which of them count.
    otherwise : ndarray of shape (n_rows,), int
        For rows of which none counts.
    """
    votes = np.zeros(labels.shape, dtype=np.int64)
    for place in range(labels.shape[1]):
        votes += (labels == labels[:, place, None]) & there[:, place, None]
    highest = (votes == np.where(there, votes, 0).max(axis=1, keepdims=True)) & there
    lowest = np.where(highest, labels, np.iinfo(np.int64).max).min(axis=1)
    return np.where(there.any(axis=1), lowest, otherwise)


def repeatedly_edited(
    space: Space,
    rows: np.ndarray,
    codes: np.ndarray,
    cleaned: np.ndarray,
    k: int,
    kind: Kind,
    device: str = "cpu",
) -> Edit:
    """Edit until nothing more goes, or a class becomes smaller than the smallest was (Tomek 1976)."""
    return _in_rounds([k] * ROUNDS, space, rows, codes, cleaned, kind, device)


def edited_for_all(
    space: Space,
    rows: np.ndarray,
    codes: np.ndarray,
    cleaned: np.ndarray,
    k: int,
    kind: Kind,
    device: str = "cpu",
) -> Edit:
    """Edit with 1, 2 ... `k` neighbors, until a class becomes smaller than the smallest was (Tomek 1976)."""
    return _in_rounds(list(range(1, k + 1)), space, rows, codes, cleaned, kind, device)


def _in_rounds(
    numbers: list[int],
    space: Space,
    rows: np.ndarray,
    codes: np.ndarray,
    cleaned: np.ndarray,
    kind: Kind,
    device: str,
) -> Edit:
    whole = Edit.none(len(rows), max(numbers))
    counts = np.bincount(codes, minlength=len(cleaned))
    least, smallest = smallest_class(counts)
    same = len(set(numbers)) == 1
    left = np.arange(len(rows))
    for k in numbers:
        edit = edited(space, rows[left], codes[left], cleaned, k, kind, device)
        whole.score[left] = np.where(np.isnan(edit.score), whole.score[left], edit.score)
        whole.gone[left[edit.gone]] = True
        beside = edit.beside[edit.gone]
        whole.beside[left[edit.gone], :k] = np.where(beside >= 0, left[beside], -1)
        left = left[~edit.gone]
        now = np.bincount(codes[left], minlength=len(cleaned))
        others = (counts > 0) & (np.arange(len(counts)) != least)
        if (now[others] < smallest).any() or (now[counts > 0] == 0).any() or (same and not edit.gone.any()):
            break
    return whole


def smallest_class(counts: np.ndarray) -> tuple[int, int]:
    """Return the smallest class that has rows, of equally small ones the first, and its size."""
    present = np.flatnonzero(counts > 0)
    least = int(present[counts[present].argmin()])
    return least, int(counts[least])


def neighborhood_cleaned(
    space: Space, rows: np.ndarray, codes: np.ndarray, cleaned: np.ndarray, k: int, device: str = "cpu"
) -> tuple[Edit, np.ndarray]:
    """Drop rows that their neighbors outvote, and neighbors that outvote a row of the smallest class.

    A row of the smallest class has a vote of its own, beside its k - 1 nearest neighbors; of its `k` nearest
    those of classes that are cleaned go.

    Returns
    -------
    edit : Edit
    outvoting : ndarray of shape (n_rows,), bool
        The rows that go for what they do to another, which `edit.beside` names.

    Source
    ------
    Laurikkala, "Improving identification of difficult small classes by balancing class distribution",
    AIME 2001, figure 1.
    """
    edit = edited(space, rows, codes, cleaned, k, "mode", device)
    least, _ = smallest_class(np.bincount(codes, minlength=len(cleaned)))
    minority = np.flatnonzero(codes == least)
    found = neighbors_of(space, rows, minority, k, device)
    voters = np.hstack([minority[:, None], found[:, : k - 1]])
    lost = most_frequent(codes[voters], voters >= 0, codes[minority]) != least
    against = found[lost]
    said = (against >= 0) & cleaned[codes[against]]
    row = np.broadcast_to(minority[lost, None], against.shape)[said]
    beside = against[said]
    # Of the rows that a neighbor outvotes the first is named.
    new, first = np.unique(beside, return_index=True)
    named = row[first][~edit.gone[new]]
    new = new[~edit.gone[new]]
    outvoting = np.zeros(len(rows), dtype=bool)
    edit.gone[new] = outvoting[new] = True
    edit.beside[new, 0] = named
    return edit, outvoting
