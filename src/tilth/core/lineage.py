"""Which rows were learned from, and which rows a fit has made: kept as hashes, so that a test can ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.table import ROW, Table

MOST = 8192
"""Rows whose hashes are kept: all of them up to here, beyond it about so many, chosen by row id."""

REMEMBERED = 16
"""Fits that a process remembers; the oldest is forgotten first."""

SAME = 0.5
"""The share from which on rows are taken for those that were learned from: few new rows equal old ones."""

ENOUGH = 5
"""Dropped rows that must be expected among others before their absence says anything."""

ALL = 0.99
"""The share from which on rows are said to have come out of a fit to the last one; the rest is sampling."""


@dataclass(frozen=True)
class Learned:
    """Hold which rows something was fitted on.

    Parameters
    ----------
    words : ndarray of uint64
        Hashes of the features of the rows, or of a sample of them.
    rows : int
        How many rows there were.
    columns : list of str
        The features, in the order in which they were hashed.
    polars : str
        The version that made the hashes: another may hash otherwise.
    """

    words: np.ndarray
    rows: int
    columns: list[str]
    polars: str = pl.__version__

    @classmethod
    def of(cls, table: Table) -> Learned:
        """Take the rows of a table."""
        return cls(_kept(table, table.height)["features"].to_numpy(), table.height, table.features)

    @property
    def known(self) -> bool:
        """Tell whether hashes made here can be compared with these."""
        return self.polars == pl.__version__

    def among(self, table: Table) -> bool:
        """Tell whether most rows of a table are those that were learned from."""
        words = _kept(table, table.height)["features"].to_numpy()
        return self.known and len(words) > 0 and bool(np.isin(words, self.words).mean() >= SAME)

    def share_among(self, words: np.ndarray) -> float:
        """Return how many of these rows are among others, as a share of those."""
        return min(1.0, float(np.isin(self.words, words).mean()) * self.rows / max(len(words), 1))


@dataclass(frozen=True)
class Made:
    """Hold what a fit made of rows, or of a sample of them.

    Parameters
    ----------
    who : str
        The pipeline or stage, in words.
    rows, rows_before : int
        Rows that came out, and rows that went in.
    out : ndarray of uint64
        Hashes of rows that came out.
    fresh : ndarray of uint64
        Those of them that did not go in like that: changed or new.
    gone : ndarray of uint64
        Hashes of rows that went in and were changed or dropped.
    """

    who: str
    rows: int
    rows_before: int
    out: np.ndarray
    fresh: np.ndarray
    gone: np.ndarray

    def share_of(self, words: np.ndarray) -> float:
        """Return which share of other rows came out of this fit; 0 where they may be those that went in.

        They came out of it if at least half of them, beyond those that recur by nature, are among what did,
        and either some are as only this fit has made them, or all of them are there and the rows that it
        dropped are not.
        """
        if not len(words) or not len(self.out):
            return 0.0
        share = float(np.isin(self.out, words).mean()) * self.rows / len(words)
        if share - recurring(words) < SAME:
            return 0.0
        fresh, gone = (int(np.isin(some, words).sum()) for some in (self.fresh, self.gone))
        expected = len(self.gone) * len(words) / self.rows_before
        fewer = share >= ALL and self.rows < self.rows_before and len(self.gone) > 0 == gone
        misses = fewer and (expected >= ENOUGH or len(words) >= self.rows)
        return min(share, 1.0) if fresh > gone or misses else 0.0


_MADE: dict[str, deque[Made]] = {"features": deque(maxlen=REMEMBERED), "labels": deque(maxlen=REMEMBERED)}


def remember(before: Table, after: Table, who: str, rows: int | None = None) -> None:
    """Remember that `after` was made of `before` by something fitted on it.

    Where nothing was made but exact copies, or nothing but those dropped, there is nothing to remember:
    a test keeps copies together.

    Parameters
    ----------
    before, after : Table
    who : str
        The pipeline or stage, in words.
    rows : int, optional
        How many rows there were, and are, where both tables hold only those that are kept.
    """
    # Chosen by row id, the same rows are seen on both sides.
    made = after.height if rows is None else rows
    rows = before.height if rows is None else rows
    here, there = _kept(before, rows), _kept(after, rows)
    sources, results = here, there
    if rows > MOST and not here[ROW].equals(there[ROW]):
        # A new row may equal one outside the sample, and so may a dropped one.
        sources = _words(_like(before, _some(after, rows)))
        results = _words(_like(after, _some(before, rows)))
    _, kept, same = np.intersect1d(here[ROW], there[ROW], assume_unique=True, return_indices=True)
    for level in there.columns[1:]:
        if level not in here.columns:
            continue
        went, out = here[level].to_numpy(), there[level].to_numpy()
        stays = went[kept] == out[same]
        fresh = np.setdiff1d(np.delete(out, same[stays]), sources[level].to_numpy())
        gone = np.setdiff1d(np.delete(went, kept[stays]), results[level].to_numpy())
        if len(fresh) or len(gone):
            _MADE[level].append(Made(who, made, rows, out, fresh, gone))


def changed(table: Table, change: Callable[[pl.LazyFrame], pl.LazyFrame], who: str, *, fused: bool) -> Table:
    """Change columns by something fitted on these rows, and remember what came of it.

    Expressions are carried out once more, on the rows that are kept; what is not fused is costly, and is
    carried out once. A lazy table of the user's stays lazy, and such a change of it is not remembered.

    Parameters
    ----------
    table : Table
    change : callable
        From query to query, row by row.
    who : str
    fused : bool
        Whether the change is expressions only.
    """
    after = table.with_frame(change(table.frame))
    if fused:
        some = _some(table, table.height).collect()
        remember(some, some.with_frame(change(some.frame)), who, table.height)
    elif table.container.form != "lazy":
        after = after.collect()
        remember(table, after, who)
    return after


def made_by(table: Table) -> tuple[str, float] | None:
    """Return what the rows came out of, if this process remembers it, and which share of them did."""
    asked = _words(table)
    found = [(m.who, m.share_of(asked[level].to_numpy())) for level in asked.columns for m in _MADE[level]]
    best = max(found, key=lambda told: told[1], default=None)
    return best if best and best[1] > 0 else None


def feature_words(table: Table, names: list[str] | None = None) -> np.ndarray:
    """Hash the features of each row: equal for equal cells, in whatever container and order of rows.

    Hashes are the same in every process with the same version of Polars. Numbers are hashed by their value
    and columns by their place, because both go through containers that keep no more of them.

    Parameters
    ----------
    names : list of str, optional
        Which columns, in this order; by default the features.
    """
    columns = [_plain(name, table.schema[name]) for name in names or table.features]
    return table.frame.select(_hashed(columns)).collect().to_series().to_numpy()


def recurring(words: np.ndarray) -> float:
    """Return the share of rows that are there more than once: where values are few, rows meet by nature."""
    counts = np.unique(words, return_counts=True)[1]
    return float(counts[counts > 1].sum() / max(len(words), 1))


def forget() -> None:
    """Forget every fit."""
    for made in _MADE.values():
        made.clear()


def _kept(table: Table, rows: int) -> pl.DataFrame:
    """Return row ids and hashes of the rows that are kept."""
    return _words(_some(table, rows), ROW)


def _some(table: Table, rows: int) -> Table:
    """Return the rows that are kept: by row id, so that no order matters."""
    if rows <= MOST:
        return table
    limit = int(MOST / rows * 2**64)
    return table.with_frame(table.frame.filter(pl.col(ROW).hash(seed=0) < limit))


def _like(table: Table, some: Table) -> Table:
    """Return the rows that may equal one of some others: those that share the cell of one feature with any.

    Of a feature of many values few rows are left, and only they need to be hashed whole.
    """
    plain = (pl.Float64, pl.Int64, pl.String)
    cells = some.frame.select(_plain(name, some.schema[name]).alias(name) for name in some.features).collect()
    counts = {name: cells[name].n_unique() for name, dtype in cells.schema.items() if dtype in plain}
    name = max(counts, key=lambda name: counts[name], default=None)
    if name is None or name not in table.schema:
        return table
    known = cells[name].unique()
    shared = _plain(name, table.schema[name])
    near = shared.is_in(known.drop_nulls().implode()) | (shared.is_null() & bool(known.null_count()))
    return table.with_frame(table.frame.filter(near))


def _words(table: Table, *more: str) -> pl.DataFrame:
    """Return hashes of the features, and, where there is a target, of features with label and weight."""
    features = [_plain(name, table.schema[name]) for name in table.features]
    wanted = [*map(pl.col, more), _hashed(features).alias("features")]
    if table.roles.target is not None:
        weight = pl.lit(1.0) if table.roles.weight is None else pl.col(table.roles.weight).cast(pl.Float64)
        target = _plain(table.roles.target, table.schema[table.roles.target])
        wanted.append(_hashed([*features, target, weight]).alias("labels"))
    return table.frame.select(wanted).collect()


def _hashed(columns: list[pl.Expr]) -> pl.Expr:
    if not columns:
        return pl.repeat(0, pl.len(), dtype=pl.UInt64)
    return pl.struct(c.alias(f"c{i}") for i, c in enumerate(columns)).hash(seed=0)


def _plain(name: str, dtype: Any) -> pl.Expr:
    """Return a column as what is left of it in every container."""
    column = pl.col(name)
    if dtype.is_numeric() or dtype == pl.Boolean:
        return column.cast(pl.Float64)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("us")).cast(pl.Int64)
    if isinstance(dtype, pl.Datetime | pl.Duration):
        return column.dt.cast_time_unit("us").cast(pl.Int64)
    if isinstance(dtype, pl.List | pl.Array):
        return column.cast(pl.List(pl.String)).list.join("|", ignore_nulls=False)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return pl.lit(None, pl.String) if dtype in (pl.Object, pl.Null) else column
