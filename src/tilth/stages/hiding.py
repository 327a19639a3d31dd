"""Hide cells that are known, and compare them with what is filled in: nothing is learned from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from tilth.neighbors import Space, nearest
from tilth.stages.reading import LARGEST, Reading
from tilth.statistics import Statistics, key_of, uniform
from tilth.table import ROW, kind_of

MECHANISMS = ("random", "pattern")
"""How cells are hidden: each by its own draw, or the way the gaps of another row lie."""

GROUPS = 20
"""Parts of the rows that are left out in turn, to see how much a figure depends on them (a jackknife)."""

OUTER = 0.01
"""The share of the numbers at each end that are held to the others when errors are measured."""

ALIKE = 30
"""Rows most like a row that are asked in turn whether its gaps can be laid over them."""


class Known:
    """Hold the cells that may be hidden, and compare them with what was filled in.

    Parameters
    ----------
    frame : DataFrame
        With the row ids (`ROW`).
    columns : sequence of str
        Those with gaps are hidden in; all, where none has gaps.
    share : float
        Of the known cells, and of the rows that get the gaps of another, per repeat.
    seed : int
    """

    def __init__(self, frame: pl.DataFrame, columns: Sequence[str], share: float, seed: int) -> None:
        self.frame, self.share, self.seed = frame, share, seed
        self.ids = frame[ROW].to_numpy()
        self.group = (uniform(seed, self.ids, 1) * GROUPS).astype(np.int64)
        cells = {c: _cells(frame[c]) for c in columns}
        usable = [c for c in columns if _varies(cells[c], frame[c].is_not_null().to_numpy())]
        self.columns = [c for c in usable if frame[c].null_count()] or usable
        reading = Reading.learn(Statistics([frame.lazy()], ROW), usable)
        self.matrix, self.space = reading.matrix(frame), Space(categorical=tuple(reading.categorical))
        schema = frame.schema
        kinds = [kind_of(schema[c]) for c in self.columns]
        self.numeric = np.array([kind in ("numeric", "datetime") for kind in kinds], bool)
        gaps = [frame[c].is_null().to_numpy() for c in self.columns]
        self.gaps = np.column_stack(gaps) if gaps else np.empty((frame.height, 0), bool)
        # An infinity is no measurement to be recovered.
        known = [~g & _measured(cells[c]) for g, c in zip(gaps, self.columns, strict=True)]
        self.known = np.column_stack(known) if known else self.gaps
        told = [cells[c][k] for c, k in zip(self.columns, known, strict=True)]
        self.bounds = [_bounds(t) if n else None for t, n in zip(told, self.numeric, strict=True)]
        self.truth = [_held(cells[c], b) for c, b in zip(self.columns, self.bounds, strict=True)]
        spread = [np.var(t[k]) if n else 1.0 for t, k, n in zip(self.truth, known, self.numeric, strict=True)]
        self.variance = np.array(spread)
        missing = self.gaps.sum(0).astype(float)
        self.weight = np.where(self.variance > 0, missing if missing.any() else 1.0, 0.0)

    def hide(self, repeat: int) -> np.ndarray:
        """Return which cells to hide, shape (2, n_rows, n_columns): at random, and by the pattern of gaps.

        The gaps of a row are laid over the row most like it in which at least half of these cells are
        known, so that what is hidden, and what is left to fill it from, is as it is where the real gaps
        are. In the other rows cells are hidden at random; each in at most one of 1 / `share` successive
        repeats.
        """
        hidden = np.zeros((len(MECHANISMS), *self.known.shape), bool)
        for row, donor in self._over(repeat):
            hidden[1, row] = self.gaps[donor] & self.known[row]
        start = repeat * self.share % 1.0
        for place in range(len(self.columns)):
            # By place, not by name: an array has none.
            draws = uniform(int(key_of([(self.seed, place)])[0]), self.ids)
            hidden[0, :, place] = ((draws - start) % 1.0 < self.share) & self.known[:, place]
        hidden[0, hidden[1].any(1)] = False
        # A column that would keep one value or none has nothing to be learned from.
        hidden[:, :, (self.known & ~hidden.any(0)).sum(0) < 2] = False
        return hidden

    def _over(self, repeat: int) -> Iterator[tuple[int, int]]:
        """Pair rows with those whose gaps they are to have; the rows with the fewest gaps are taken."""
        rows = len(self.ids)
        holed = np.flatnonzero(self.gaps.any(1) & ~np.isnan(self.matrix).all(1))
        whole = np.lexsort((uniform(self.seed, self.ids, 3 * repeat + 2), self.gaps.sum(1)))[: rows // 2]
        if not len(holed) or not len(whole):
            return
        drawn = np.argsort(uniform(self.seed, self.ids[holed], 3 * repeat + 3), kind="stable")
        donors = np.resize(holed[drawn], round(self.share * rows))
        if not len(donors):
            return
        _, near = nearest(self.space, self.matrix[donors], self.matrix[whole], min(ALIKE, len(whole)))
        taken: set[int] = set()
        for donor, found in zip(donors, near, strict=True):
            for row in whole[found[found >= 0]].tolist():
                both = (self.gaps[donor] & self.known[row]).sum()
                if row not in taken and 0 < both >= self.gaps[donor].sum() / 2:
                    taken.add(row)
                    yield row, int(donor)
                    break

    def without(self, hidden: np.ndarray) -> pl.DataFrame:
        """Return the rows with the hidden cells missing."""
        gone = np.any(hidden, axis=0)
        return self.frame.with_columns(
            pl.when(~pl.Series(gone[:, place])).then(pl.col(name)).alias(name)
            for place, name in enumerate(self.columns)
        )

    def off(self, filled: pl.DataFrame, hidden: np.ndarray) -> np.ndarray:
        """Return the summed errors on hidden cells, shape (2, n_columns, GROUPS).

        A cell that was left empty counts as wrong, or as filled with the mean.
        """
        sums = np.zeros((len(MECHANISMS), len(self.columns), GROUPS))
        for place, name in enumerate(self.columns):
            told, truth = _held(_cells(filled[name]), self.bounds[place]), self.truth[place]
            if self.numeric[place]:
                if self.weight[place] == 0:
                    continue
                told = np.where(np.isnan(told), truth[self.known[:, place]].mean(), told)
                with np.errstate(invalid="ignore"):
                    off = np.square(told - truth) / self.variance[place]
            else:
                off = (told != truth).astype(float)
            for way in range(len(MECHANISMS)):
                at = hidden[way, :, place]
                sums[way, place] = np.bincount(self.group[at], off[at], GROUPS)
        return sums

    def count(self, hidden: np.ndarray) -> np.ndarray:
        """Return the number of hidden cells, shape (2, n_columns, GROUPS)."""
        parts = [[np.bincount(self.group[at], minlength=GROUPS) for at in way.T] for way in hidden]
        return np.array(parts, float).reshape(len(MECHANISMS), len(self.columns), GROUPS)


def _cells(column: pl.Series) -> np.ndarray:
    """Return numbers and dates as float64 (NaN where missing), categories as text."""
    if kind_of(column.dtype) in ("numeric", "datetime"):
        numbers = column.to_physical().cast(pl.Float64).to_numpy().copy()
        return np.where(np.isfinite(numbers), np.clip(numbers, -LARGEST, LARGEST), np.nan)
    return column.cast(pl.String).fill_null("").to_numpy()


def _measured(cells: np.ndarray) -> np.ndarray:
    return ~np.isnan(cells) if cells.dtype.kind == "f" else np.ones(len(cells), bool)


def _varies(cells: np.ndarray, there: np.ndarray) -> bool:
    left = cells[there & _measured(cells)]
    return len(left) > 0 and bool((left != left[0]).any())


def _bounds(numbers: np.ndarray) -> tuple[float, float] | None:
    """Return the bounds of the middle 98%, or None where these are one value."""
    low, high = np.quantile(numbers, [OUTER, 1 - OUTER])
    return (float(low), float(high)) if low < high else None


def _held(cells: np.ndarray, bounds: tuple[float, float] | None) -> np.ndarray:
    return cells if bounds is None else np.clip(cells, *bounds)
