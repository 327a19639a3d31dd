"""Folds drawn row by row: a word hashed from the row's id, or from its group, says in which it lies."""

from __future__ import annotations

import numpy as np
import polars as pl

from tilth.statistics.draws import hash_rows, key_of


def fold_by_hash(folds: int, seed: int, ids: str, group: str | None = None) -> pl.Expr:
    """Return an expression for the fold of each row, from 0: the same however the rows are partitioned.

    Folds are of about equal size, not exactly: no row knows of the others. `tilth.stages.folds` deals
    rows that are all in one place out evenly.

    Parameters
    ----------
    folds : int
    seed : int
    ids : str
        The column of row ids, uint64.
    group : str, optional
        Rows of one group lie in one fold; a row whose group is missing is a group of its own.

    Examples
    --------
    >>> rows = pl.DataFrame({"id": pl.Series([0, 1, 2, 3], dtype=pl.UInt64), "who": ["a", "b", "a", None]})
    >>> rows.select(fold_by_hash(5, 0, "id", "who")).to_series().to_list()
    [3, 4, 3, 2]
    """

    def told(columns: pl.Series) -> pl.Series:
        rows = columns.struct.unnest()
        keys = rows[ids].to_numpy()
        if group is not None:
            keys = _grouped(keys, rows[group])
        return pl.Series((hash_rows(seed, keys) % np.uint64(folds)).astype(np.int64))

    columns = [ids] if group is None else [ids, group]
    return pl.struct(columns).map_batches(told, return_dtype=pl.Int64, is_elementwise=True)


def _grouped(keys: np.ndarray, group: pl.Series) -> np.ndarray:
    values = group.cast(pl.String) if group.dtype in (pl.Categorical, pl.Enum) else group
    known = values.drop_nulls().unique()
    if not len(known):
        return keys
    words = pl.Series(key_of(known.to_list()), dtype=pl.UInt64)
    return values.replace_strict(known, words, default=None).fill_null(pl.Series(keys)).to_numpy()
