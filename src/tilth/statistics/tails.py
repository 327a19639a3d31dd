"""How rare a value is in its column: by the tail it lies in, or by the share that it has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# A third moment this small beside that of the absolute values is rounding: the values are symmetric.
_ROUNDING = 1e-12


def rarities(matrix: np.ndarray, levels: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the rarity of the cells of each column; 0 where a cell is missing.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns), float64
        NaN where missing.
    levels : sequence of int, of length n_columns
        0 for numbers, which are judged by `tail_rarity`; for codes, how many of them stand for one
        category each. They are judged by `share_rarity`.

    Yields
    ------
    ndarray of shape (n_rows,), float64
    """

    def one(place: int) -> np.ndarray:
        column = np.ascontiguousarray(matrix[:, place])
        return share_rarity(column, levels[place]) if levels[place] else tail_rarity(column)

    # Sorting is nearly all of the time, and leaves Python to the other threads.
    with ThreadPoolExecutor(max(1, min(len(levels), os.cpu_count() or 1))) as threads:
        yield from threads.map(one, range(len(levels)))


def as_numbers(matrix: np.ndarray, levels: Sequence[int]) -> np.ndarray:
    """Return the matrix with the rarity of its category in place of each code.

    A category is then the farther from the others the fewer rows have it, and those that nearly every row
    has for itself, such as names, are equal. What is missing stays so.

    Parameters
    ----------
    matrix, levels
        As `rarities` takes them.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
    """
    out = matrix.copy()
    for place, count in enumerate(levels):
        if count:
            codes = matrix[:, place]
            out[:, place] = np.where(np.isnan(codes), np.nan, share_rarity(codes, count))
    return out


def tail_rarity(values: np.ndarray) -> np.ndarray:
    """Return the negative logarithm of the share of the values that lie as far out on the same side.

    The side is the one where that share is smaller. Where values are symmetric, so that neither tail is
    the longer one, the logarithms of both sides are added.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float64
        NaN where missing: there the rarity is 0, and no share counts the value.

    Source
    ------
    Li et al., "ECOD: unsupervised outlier detection using empirical cumulative distribution functions",
    TKDE 2022; the largest per dimension, as pyod takes it.

    Examples
    --------
    >>> np.exp(-tail_rarity(np.array([1.0, 2.0, np.nan, 2.0, 9.0]))).round(2).tolist()
    [0.25, 0.75, 1.0, 0.75, 0.25]
    """
    out = np.zeros(len(values))
    order = np.argsort(values)
    known = len(values) - int(np.isnan(values).sum())
    if not known:
        return out
    order = order[:known]
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], known)
    log = np.log(known / np.arange(1, known + 1))
    below, above = log[ends - 1], log[known - starts - 1]
    rarity = below + above if _symmetric(ordered) else np.maximum(below, above)
    out[order] = rarity if len(rarity) == known else np.repeat(rarity, ends - starts)
    return out


def share_rarity(codes: np.ndarray, levels: int) -> np.ndarray:
    """Return the negative logarithm of the share of each category.

    Codes from `levels` on stand for categories that were put together because each is rare: together
    they may be many, yet each is taken to be no more frequent than the rarest of those told apart.

    Parameters
    ----------
    codes : ndarray of shape (n_values,), float64
        NaN where missing: there the rarity is 0, and no share counts the value.
    levels : int
        Codes below this stand for one category each.

    Examples
    --------
    >>> np.exp(-share_rarity(np.array([0, 0, 0, 1, 2, 2, np.nan]), levels=2)).round(3).tolist()
    [0.5, 0.5, 0.5, 0.167, 0.167, 0.167, 1.0]
    """
    out = np.zeros(len(codes))
    there = ~np.isnan(codes)
    known = np.minimum(codes[there], levels).astype(np.int64)
    counts = np.bincount(known, minlength=levels + 1)
    seen = counts[:levels][counts[:levels] > 0]
    if len(seen):
        counts[levels] = min(counts[levels], seen.min())
    out[there] = np.log(len(known) / counts[known])
    return out


def _symmetric(ordered: np.ndarray) -> bool:
    """Tell whether the third moment about the mean is zero, rounding aside."""
    away = ordered - ordered.mean()
    largest = np.abs(away).max()
    if largest == 0:
        return True
    away /= largest
    squares = away * away
    return bool(abs(squares @ away) <= _ROUNDING * (squares @ np.abs(away)))
