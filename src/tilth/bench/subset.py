"""Fewer training rows: nested draws, each class in its share, groups whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tilth.bench.design import Design
from tilth.statistics import hash_rows

Codes = NDArray[np.int64]


def with_fewer(design: Design, repeat: int, fold: int, sizes: list[int]) -> list[Design]:
    """Return the design of one fold with so many labeled training rows: the test rows stay as they are.

    Of two sizes, the smaller draw lies in the larger. Rows without a label stay, whatever the size: it is
    labels that are counted.

    Parameters
    ----------
    sizes : list of int
        Where a group would not fit, a draw is smaller; it is never empty.
    """
    test = design.fold_of[repeat] == fold
    inside = np.flatnonzero(~test & design.labeled)
    line = draw_order(
        design.strata[inside], design.units[inside], design.table.ids[inside], design.seed(repeat, fold)
    )
    fewer = []
    for size in sizes:
        stay = test | ~design.labeled
        stay[inside[line <= max(size, int(line.min()))]] = True
        fewer.append(design.rows(stay))
    return fewer


def draw_order(strata: Codes, units: Codes, ids: NDArray[np.uint64], seed: int) -> Codes:
    """Line rows up so that every beginning of the line holds each stratum in its share, and units whole.

    Keyed by (seed, row id): the order of the rows does not matter.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,)
        From 0.
    units : ndarray of shape (n_rows,)
        Rows of the same code stand together; their unit belongs to the stratum that most of them have.
    ids : ndarray of shape (n_rows,), uint64
    seed : int

    Returns
    -------
    ndarray of shape (n_rows,), int64
        How many rows the line holds up to the end of the row's unit: a draw of n rows takes those whose
        number is at most n.
    """
    _, unit = np.unique(units, return_inverse=True)
    size = np.bincount(unit)
    held = np.zeros((len(size), int(strata.max()) + 1), np.int64)
    np.add.at(held, (unit, strata), 1)
    stratum_of = held.argmax(axis=1)
    # A unit is known by the smallest of its rows' words, which no order of rows can change.
    word = np.full(len(size), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(word, unit, hash_rows(seed, ids))
    place = np.zeros(len(size))
    for stratum in np.unique(stratum_of):
        among = np.flatnonzero(stratum_of == stratum)
        among = among[np.argsort(word[among], kind="stable")]
        # The middle of the unit, as a share of its stratum: strata are dealt out evenly along the line.
        place[among] = (np.cumsum(size[among]) - size[among] / 2) / size[among].sum()
    order = np.lexsort((word, place))
    ends = np.zeros(len(size), np.int64)
    ends[order] = np.cumsum(size[order])
    return ends[unit]
