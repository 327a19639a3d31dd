"""Folds keyed by seed and row id: the same for any order and partition of the rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from tilth.statistics import hash_rows, key_of


def folds_of(
    ids: np.ndarray, n_folds: int, seed: int, codes: np.ndarray | None = None, groups: pl.Series | None = None
) -> np.ndarray:
    """Deal rows into folds: stratified by class, and no group in two folds.

    Rows without a group column are groups of one. Groups are sorted by their most frequent class, then
    by size (largest first), then by draw, and dealt out in turn: a class of m groups gives each fold
    m / n_folds of them, rounded down or up.

    Parameters
    ----------
    ids : ndarray of shape (n_rows,), uint64
    n_folds : int
    seed : int
    codes : ndarray of shape (n_rows,), int64, optional
        The class of each row.
    groups : Series of shape (n_rows,), optional
        A row whose group is missing is a group of its own.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        The fold of each row, from 0.

    Examples
    --------
    >>> codes = np.array([0, 0, 0, 0, 1, 1])
    >>> folds = folds_of(np.arange(6, dtype=np.uint64), 2, 0, codes)
    >>> np.bincount(folds[codes == 0]).tolist(), np.bincount(folds[codes == 1]).tolist()
    ([2, 2], [1, 1])
    """
    codes = np.zeros(len(ids), np.int64) if codes is None else codes
    if groups is None:
        order = np.lexsort((hash_rows(seed, ids), codes))
        folds = np.empty(len(ids), np.int64)
        folds[order] = np.arange(len(ids)) % n_folds
        return folds
    unit, draw = _units(ids, groups)
    frame = pl.DataFrame({"unit": unit, "code": codes, "draw": hash_rows(seed, draw)})
    per_class = frame.group_by("unit", "code").agg(pl.len().alias("n"))
    main = per_class.sort("unit", "n", "code", descending=[False, True, False]).group_by("unit").first()
    units = frame.group_by("unit").agg(pl.len().alias("size"), pl.col("draw").min()).join(main, on="unit")
    units = units.sort("code", "size", "draw", descending=[False, True, False])
    dealt = np.empty(units.height, np.int64)
    dealt[units["unit"].to_numpy()] = np.arange(units.height) % n_folds
    return dealt[unit]


def _units(ids: np.ndarray, groups: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each row's group, and what its draw is keyed by: the group, not its rows."""
    values = groups.cast(pl.String) if groups.dtype in (pl.Categorical, pl.Enum) else groups
    known = values.unique(maintain_order=True).drop_nulls()
    places = pl.Series(range(len(known)), dtype=pl.Int64)
    if len(known):
        unit = values.replace_strict(known, places, default=None, return_dtype=pl.Int64)
    else:
        unit = pl.repeat(None, len(values), dtype=pl.Int64, eager=True)
    missing = unit.is_null().to_numpy()
    numbers = unit.fill_null(0).to_numpy().copy()
    numbers[missing] = len(known) + np.arange(int(missing.sum()))
    keys = np.concatenate([key_of(known.to_list()), np.zeros(0, np.uint64)])
    draw = ids.astype(np.uint64).copy()
    draw[~missing] = keys[numbers[~missing]]
    return numbers, draw
