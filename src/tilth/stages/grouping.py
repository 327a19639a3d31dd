"""New names for groups that rows hang together in."""

from __future__ import annotations

import numpy as np
import polars as pl

from tilth.neighbors import groups_of
from tilth.table import Table


def joined_groups(table: Table, together: np.ndarray) -> pl.Series | None:
    """Name the groups of a table in which rows of the same code, and of the same group, are together.

    A table without groups gets one for each set of rows, named by the smallest id in it. Where there are
    groups, those that a set of rows ties together get the name of the one that holds the smallest id. Rows
    of a set that have no group at all get a new one, where groups are named by texts or numbers.

    Parameters
    ----------
    table : Table
    together : ndarray of shape (n_rows,), int64
        Codes; a row of its own has a code of its own.

    Returns
    -------
    Series of length n_rows or None
        Names for `RowPlan.group`, null where there is none; None where no row's group changes.
    """
    ids, groups = table.ids, table.role("group")
    if groups is None:
        return pl.Series(ids[_first_of(together, ids)]).cast(pl.String)
    known = groups.is_not_null().to_numpy()
    codes = groups.cast(pl.String).rank("dense").fill_null(0).to_numpy().astype(np.int64)
    row = np.arange(table.height)
    old = row[known][_first_of(codes[known], ids[known])]
    first = _first_of(together, ids)
    unit = groups_of(np.concatenate([first, old]), np.concatenate([row, row[known]]), table.height)
    # Of the rows of a unit, one with a group comes before those without.
    namer = _first_of(unit, ids, ~known)
    names = groups.gather(namer)
    nameless = names.is_null().to_numpy() & (np.bincount(unit)[unit] > 1)
    if nameless.any():
        names = _named(names, nameless, ids[namer])
    return names if names.ne_missing(groups).any() else None


def _first_of(codes: np.ndarray, ids: np.ndarray, late: np.ndarray | None = None) -> np.ndarray:
    """Return for each row the place of the row of its code that has the smallest id, late ones last."""
    order = np.lexsort((ids, np.zeros(len(ids), bool) if late is None else late, codes))
    _, at, code = np.unique(codes[order], return_index=True, return_inverse=True)
    out = np.empty(len(ids), np.int64)
    out[order] = order[at][code]
    return out


def _named(names: pl.Series, nameless: np.ndarray, ids: np.ndarray) -> pl.Series:
    """Name units of rows without a group, by texts or by numbers that are not taken."""
    if names.dtype in (pl.String, pl.Categorical):
        texts = names.cast(pl.String)
        taken = set(texts.drop_nulls())
        prefix = "row "
        while any(f"{prefix}{i}" in taken for i in ids[nameless].tolist()):
            prefix += "row "
        new = pl.Series([f"{prefix}{i}" if n else None for i, n in zip(ids.tolist(), nameless, strict=True)])
        return texts.fill_null(new.cast(pl.String)).cast(names.dtype)
    if not (names.dtype.is_integer() or names.dtype.is_float()):
        return names
    _, number = np.unique(ids[nameless], return_inverse=True)
    numbers = np.zeros(len(names), np.int64)
    numbers[nameless] = number + 1 + int(names.max() or 0)  # type: ignore[arg-type]
    return names.fill_null(pl.Series(numbers).cast(names.dtype).set(pl.Series(~nameless), None))
