"""Weight, mean and spread of a target in each level of each column, by fold, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

Smooth = Literal["auto"] | float


class Spread(NamedTuple):
    """Hold what is known of the values of a target in some cells.

    Parameters
    ----------
    rows, weight : ndarray of shape (*cells)
        Of the rows with a label.
    mean, deviations : ndarray of shape (*cells, n_values)
        The weighted mean (0 where there is no weight), and the weighted sum of squared deviations from it.
    """

    rows: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(cls, cell: np.ndarray, values: Sequence[np.ndarray], weight: np.ndarray, cells: int) -> Spread:
        """Add up rows in their order, first the means and then what deviates from them."""
        rows, heavy = np.bincount(cell, minlength=cells), np.bincount(cell, weight, cells)
        means, deviations = [], []
        for value in values:
            sums = np.bincount(cell, weight * value, cells)
            mean = np.divide(sums, heavy, out=np.zeros(cells), where=heavy > 0)
            means.append(mean)
            deviations.append(np.bincount(cell, weight * (value - mean[cell]) ** 2, cells))
        return cls(rows, heavy, np.stack(means, axis=-1), np.stack(deviations, axis=-1))

    def merged(self, other: Spread) -> Spread:
        """Put the rows of two together, cell by cell (Chan, Golub and LeVeque, 1979)."""
        weight = self.weight + other.weight
        share = np.divide(other.weight, weight, out=np.zeros(weight.shape), where=weight > 0)[..., None]
        delta = other.mean - self.mean
        return Spread(
            self.rows + other.rows,
            weight,
            self.mean + delta * share,
            self.deviations + other.deviations + delta**2 * self.weight[..., None] * share,
        )

    def each(self, change: Any) -> Spread:
        """Return the result of the same change of all four arrays, along their first axes."""
        return Spread(*map(change, self))


@dataclass(frozen=True)
class Levels:
    """Hold how the values of a target spread in each level of each column.

    Parameters
    ----------
    names : dict of column to list of str
        The levels, sorted as text, whatever type holds them.
    spread : dict of column to Spread
        With cells of shape (n_folds, n_levels + 1): the last one is that of missing cells.
    """

    names: dict[str, list[str]]
    spread: dict[str, Spread]

    @classmethod
    def of(
        cls,
        frame: pl.LazyFrame,
        columns: Sequence[str],
        target: str,
        classes: Sequence[str] | None = None,
        *,
        weight: str | None = None,
        fold: pl.Expr | None = None,
        folds: int = 1,
    ) -> Levels:
        """Read the rows; one without a label, or of weight 0, adds its levels and nothing else.

        Parameters
        ----------
        target : str
            The column of the target.
        classes : sequence of str, optional
            Classes, as text, that each make one value: 1 where a row is of it, else 0. Without them the
            target is a number.
        weight : str, optional
            The column of weights: a row of weight 2 counts as two rows.
        fold : expression, optional
            The fold of each row, from 0.
        """
        schema = frame.collect_schema()
        asked = {f"c{i}": as_level(c, schema[c]) for i, c in enumerate(columns)}
        asked["y"] = pl.col(target).cast(pl.Float64) if classes is None else as_level(target, schema[target])
        asked["w"] = (pl.lit(1.0) if weight is None else pl.col(weight)).cast(pl.Float64)
        asked["fold"] = (pl.lit(0) if fold is None else fold).cast(pl.Int64)
        told = frame.select(e.alias(name) for name, e in asked.items()).collect()
        known = (told["y"].is_not_null() & (told["w"] > 0)).to_numpy()
        label = told["y"].filter(known)
        values = [label.to_numpy()] if classes is None else [(label == c).to_numpy() for c in classes]
        weights, dealt = told["w"].to_numpy()[known], told["fold"].to_numpy()[known]
        names, spread = {}, {}
        for i, column in enumerate(columns):
            names[column] = told[f"c{i}"].drop_nulls().unique().sort().to_list()
            cells = len(names[column]) + 1
            slot = told.select(slot_of(pl.col(f"c{i}"), names[column])).to_series().to_numpy()[known]
            flat = Spread.of(dealt * cells + slot, values, weights, folds * cells)
            spread[column] = flat.each(lambda part, n=cells: part.reshape(folds, n, *part.shape[1:]))
        return cls(names, spread)

    @classmethod
    def beside(cls, parts: Sequence[Levels]) -> Levels:
        """Put the levels of different columns side by side."""
        names = {column: levels for part in parts for column, levels in part.names.items()}
        return cls(names, {column: spread for part in parts for column, spread in part.spread.items()})

    def __add__(self, other: Levels) -> Levels:
        names, spread = {}, {}
        for column, mine in self.names.items():
            names[column] = sorted({*mine, *other.names[column]})
            parts = [_among(names[column], held.names[column], held.spread[column]) for held in (self, other)]
            spread[column] = parts[0].merged(parts[1])
        return Levels(names, spread)

    def means(self, column: str, smooth: Smooth = "auto", least: int = 1) -> np.ndarray:
        """Return the mean of each level, drawn towards that of all rows.

        Parameters
        ----------
        column : str
        smooth : 'auto' or float
            How many rows of the mean of all are added to each level; 'auto': as many as the variance within
            the level and over all rows tell.
        least : int
            Levels of fewer rows get the mean of all.

        Returns
        -------
        ndarray of shape (1 + n_folds, n_levels + 2, n_values)
            First of all rows, then without each fold; the last two levels are missing cells, and any level
            that is not known: the mean of all. Where there are no other folds, that of all rows.

        Source
        ------
        Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification
        and prediction problems", SIGKDD Explorations 3 (2001), equations 3 to 6.
        """
        spread = self.spread[column]
        folds = [spread.each(lambda part, k=k: part[k]) for k in range(len(spread.rows))]
        nothing = folds[0].each(np.zeros_like)
        before = list(accumulate(folds, Spread.merged, initial=nothing))
        after = list(accumulate(folds[::-1], Spread.merged, initial=nothing))[::-1]
        every = _shrunk(before[-1], smooth, least)
        made = [every]
        for k in range(len(folds)):
            others = before[k].merged(after[k + 1])
            made.append(_shrunk(others, smooth, least) if others.weight.any() else 0 * every + every[-1])
        return np.stack(made)


def _among(levels: list[str], own: list[str], spread: Spread) -> Spread:
    """Return a spread with a place for each of `levels`, of which it holds its `own`."""
    place = {level: i for i, level in enumerate([*levels, None])}
    at = [place[level] for level in [*own, None]]

    def widened(part: np.ndarray) -> np.ndarray:
        wide = np.zeros((len(part), len(place), *part.shape[2:]), part.dtype)
        wide[:, at] = part
        return wide

    return spread.each(widened)


def _shrunk(spread: Spread, smooth: Smooth, least: int) -> np.ndarray:
    """Return the means of levels, drawn towards that of all, and after them the mean of all."""
    weight, mean = spread.weight[:, None], spread.mean
    total = weight.sum()
    if total == 0:
        return np.full((len(weight) + 1, mean.shape[1]), np.nan)
    overall = (weight * mean).sum(axis=0) / total
    if smooth == "auto":
        variance = (spread.deviations + weight * (mean - overall) ** 2).sum(axis=0) / total
        within = np.divide(spread.deviations, weight, out=np.zeros(mean.shape), where=weight > 0)
        own, all_of_it = variance * weight, variance * weight + within
    else:
        own, all_of_it = np.broadcast_to(weight, mean.shape), np.broadcast_to(weight + smooth, mean.shape)
    share = np.divide(own, all_of_it, out=np.zeros(mean.shape), where=all_of_it > 0)
    share[spread.rows < least] = 0.0
    return np.vstack([share * mean + (1 - share) * overall, overall])


def as_level(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as text, so that equal values are equal texts in any type: 1 and 1.0 are '1'."""
    column = pl.col(name)
    if not dtype.is_float() and not dtype.is_decimal():
        return column.cast(pl.String)
    whole = column.cast(pl.Int64, strict=False)
    return (
        pl.when(whole.cast(pl.Float64) == column.cast(pl.Float64))
        .then(whole.cast(pl.String))
        .otherwise(column.cast(pl.String))
    )


def slot_of(text: pl.Expr, levels: Sequence[str]) -> pl.Expr:
    """Return the place of each level; after the last one that of missing cells, then that of unknown ones."""
    count = len(levels)
    known = pl.lit(None, pl.UInt32)
    if count:
        known = text.cast(pl.Enum(levels), strict=False).to_physical().cast(pl.UInt32)
    absent = pl.when(text.is_null()).then(pl.lit(count, pl.UInt32)).otherwise(pl.lit(count + 1, pl.UInt32))
    return pl.coalesce(known, absent)
