"""A shallow tree over losses: where are they large, in conditions that people can read?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.stages.column import shown

Mask = NDArray[np.bool_]
Vector = NDArray[np.float64]

CUTS = 31
"""Cut points of a number, between quantiles of the rows that the tree grows on."""

LEVELS = 100
"""Categories that a tree tells apart; the rarer ones are together, on the side with the smaller losses."""

FEW = 10
"""Rows of a category from which on its losses are looked at."""

GROWN = 3.0
"""Standard errors between the two sides of a split, at least: what is found is confirmed on other rows."""

SAME = 0.95
"""A condition is dropped if without it the mean loss is at least this share of what it is with it."""


@dataclass(frozen=True)
class Axis:
    """Hold a column cut into codes: bins of a number, or categories and all others; missing is the last.

    Parameters
    ----------
    name : str
    codes : ndarray of shape (n_rows,), int64
    edges : list, optional
        Of a number or a date: code k lies above edge k - 1 and at edge k or below.
    levels : list, optional
        Of a category, as they are written.
    """

    name: str
    codes: NDArray[np.int64]
    edges: list[Any] | None
    levels: list[str] | None

    @classmethod
    def of(cls, series: pl.Series, grown: Mask) -> Axis | None:
        """Cut a column by what the rows `grown` hold; None if they hold one value."""
        if series.dtype.is_numeric() or series.dtype.is_temporal():
            made = cls._numbers(series, grown)
        else:
            made = cls._categories(series, grown)
        return made if len(np.unique(made.codes[grown])) > 1 else None

    @classmethod
    def _categories(cls, series: pl.Series, grown: Mask) -> Axis:
        text = series.cast(pl.String).alias("level")
        counted = text.filter(pl.Series(grown)).drop_nulls().value_counts().filter(pl.col("count") >= FEW)
        levels = counted.sort("count", "level", descending=[True, False]).head(LEVELS)["level"]
        places = pl.DataFrame({"level": levels, "place": pl.int_range(len(levels), eager=True)})
        joined = text.to_frame().join(places, on="level", how="left", maintain_order="left")["place"]
        codes = joined.fill_null(len(levels)).to_numpy().copy()
        codes[text.is_null().to_numpy()] = len(levels) + 1
        plain = series.dtype == pl.Boolean
        return cls(series.name, codes, None, [str(v) if plain else shown(v) for v in levels])

    @classmethod
    def _numbers(cls, series: pl.Series, grown: Mask) -> Axis:
        moment = not series.dtype.is_numeric()
        number = (series.to_physical() if moment else series).cast(pl.Float64).to_numpy()
        known = ~np.isnan(number)
        held = np.sort(number[grown & known])
        at = (np.arange(1, CUTS + 1) * len(held)) // (CUTS + 1)
        low = np.unique(held[at]) if len(held) else held
        above = np.searchsorted(held, low, side="right")
        low, above = low[above < len(held)], above[above < len(held)]
        edges = low if moment else np.array([between(a, b) for a, b in zip(low, held[above], strict=True)])
        codes = np.where(known, np.searchsorted(edges, number, side="left"), len(edges) + 1)
        told: list[Any] = [_short(float(e)) for e in edges]
        if moment:
            physical = series.to_physical().dtype
            told = pl.Series(edges, dtype=pl.Float64).cast(physical).cast(series.dtype).to_list()
        return cls(series.name, codes, told, None)

    @property
    def missing(self) -> int:
        """Return the code of missing cells, the last."""
        return len((self.levels if self.edges is None else self.edges) or []) + 1

    def says(self, kept: Mask) -> str:
        """Say in words which codes are kept: some, not all."""
        held = np.bincount(self.codes, minlength=self.missing + 1) > 0
        gap, inside = bool(kept[-1] and held[-1]), np.flatnonzero((kept & held)[:-1])
        if not len(inside):
            return f"{self.name} is missing"
        if len(inside) == held[:-1].sum():
            return f"{self.name} is not missing"
        if self.edges is None:
            return self._among(kept, held)
        low = self.edges[inside[0] - 1] if inside[0] else None
        high = self.edges[inside[-1]] if inside[-1] < len(self.edges) else None
        if low is not None and high is not None:
            told = f"{low} < {self.name} <= {high}"
        else:
            told = f"{self.name} > {low}" if high is None else f"{self.name} <= {high}"
        return f"{told} or is missing" if gap else told

    def _among(self, kept: Mask, held: Mask) -> str:
        levels = self.levels or []
        named = [v for v, k in zip(levels, kept, strict=False) if k]
        others = [v for v, k in zip(levels, kept, strict=False) if not k]
        rare = held[len(levels)]
        if kept[len(levels)] if rare else len(others) < len(named):
            told = _one_of(self.name, others, "not ")
            return told if kept[-1] or not held[-1] else f"{told} and is not missing"
        told = _one_of(self.name, named, "")
        return f"{told} or is missing" if kept[-1] and held[-1] else told


def _one_of(name: str, values: Sequence[str], no: str) -> str:
    if len(values) == 1:
        return f"{name} is {no}{values[0]}"
    more = f" and {len(values) - 8} more" if len(values) > 8 else ""
    return f"{name} is {no}one of {', '.join(values[:8])}{more}"


def between(low: float, high: float) -> float:
    """Return the number with the fewest digits that is at least `low` and below `high`.

    Examples
    --------
    >>> between(0.372819, 0.391), between(49.0, 52.0), between(-0.04, 0.03), between(1234.5, 1234.6)
    (0.38, 50.0, 0.0, 1234.5)
    """
    if low <= 0 < high:
        return 0.0
    size = max(abs(low), abs(high))
    for digits in range(17) if np.isfinite(size) else ():
        step = 10.0 ** (np.floor(np.log10(size)) - digits)
        nearest = float(f"{np.ceil(low / step) * step:.15g}")
        if low <= nearest < high:
            return nearest
    return low


def _short(value: float) -> str:
    return f"{value:.0f}" if value == np.round(value) and abs(value) < 1e15 else repr(value)


@dataclass(frozen=True)
class Region:
    """Hold rows by the codes they may have; columns that are not named may have any.

    Parameters
    ----------
    kept : mapping of place of an axis to ndarray of bool
        Which codes of it are inside.
    """

    kept: Mapping[int, Mask]

    def mask(self, axes: Sequence[Axis], rows: int) -> Mask:
        """Tell which rows are inside."""
        inside = np.ones(rows, bool)
        for place, codes in self.kept.items():
            inside &= codes[axes[place].codes]
        return inside

    def says(self, axes: Sequence[Axis]) -> str:
        """Say the conditions in words, in the order of the columns."""
        return " and ".join(axes[place].says(self.kept[place]) for place in sorted(self.kept))

    def columns(self, axes: Sequence[Axis]) -> tuple[str, ...]:
        """Name the columns of the conditions."""
        return tuple(axes[place].name for place in sorted(self.kept))

    def narrowed(self, place: int, kept: Mask) -> Region:
        """Return the region with one more condition."""
        before = self.kept.get(place)
        return Region({**self.kept, place: kept if before is None else kept & before})

    def without(self, place: int) -> Region:
        """Return the region without the conditions on one column."""
        return Region({p: codes for p, codes in self.kept.items() if p != place})


def grow(
    axes: Sequence[Axis], loss: Vector, rows: Mask, weight: Vector, least: int, depth: int
) -> list[Region]:
    """Grow a tree on some rows and return the leaves with large losses, the largest mean first.

    Parameters
    ----------
    axes : sequence of Axis
    loss : ndarray of shape (n_rows,), float64
    rows : ndarray of shape (n_rows,), bool
        The rows to grow on, at least one.
    weight : ndarray of shape (n_rows,), float64
        Above 0.
    least : int
        Rows of a leaf, at least.
    depth : int
        Splits between the root and a leaf, at most.
    """

    def mean(region: Region) -> float:
        inside = rows & region.mask(axes, len(loss))
        return float(np.average(loss[inside], weights=weight[inside]))

    leaves: list[tuple[float, Region]] = []
    waiting = [(Region({}), 0)]
    while waiting:
        region, level = waiting.pop()
        inside = rows & region.mask(axes, len(loss))
        split = _split(axes, loss, weight, inside, least) if level < depth else None
        if split is None:
            leaves.append((mean(region), region))
        else:
            place, kept = split
            waiting += [(region.narrowed(place, side), level + 1) for side in (~kept, kept)]
    usual = mean(Region({}))
    plain: dict[bytes, Region] = {}
    for found, region in sorted(leaves, key=lambda leaf: -leaf[0]):
        if region.kept and found > usual:
            region = _plain(region, mean)
            plain.setdefault(region.mask(axes, len(loss))[rows].tobytes(), region)
    return list(plain.values())


def _plain(region: Region, mean: Any) -> Region:
    """Drop conditions without which the losses are as large, the least needed first."""
    while len(region.kept) > 1:
        shorter = [region.without(place) for place in sorted(region.kept)]
        best = max(shorter, key=mean)
        if mean(best) < SAME * mean(region):
            break
        region = best
    return region


def _split(
    axes: Sequence[Axis], loss: Vector, weight: Vector, inside: Mask, least: int
) -> tuple[int, Mask] | None:
    """Return the axis and the codes of its worse side that are farthest from the rest, in standard errors."""
    values, share = loss[inside], weight[inside]
    rows = len(values)
    if rows < 2 * least or np.ptp(values) == 0:
        return None
    pulls = share / share.sum() * rows
    lost = pulls * values
    squares = float((lost * values).sum())
    best, found = GROWN, None
    for place, axis in enumerate(axes):
        codes, many = axis.codes[inside], axis.missing + 1
        count = np.bincount(codes, minlength=many)
        if count.max() == rows:
            continue
        mass = np.bincount(codes, pulls, minlength=many).astype(np.float64)
        total = np.bincount(codes, lost, minlength=many).astype(np.float64)
        sides = _ranked(count, mass, total) if axis.edges is None else _ordered(mass, total)
        held, weighs, summed = (sides @ by for by in (count, mass, total))
        fits = (held >= least) & (rows - held >= least)
        if not fits.any():
            continue
        with np.errstate(all="ignore"):
            off = summed / weighs - (lost.sum() - summed) / (rows - weighs)
            spread = squares - summed**2 / weighs - (lost.sum() - summed) ** 2 / (rows - weighs)
            error = np.sqrt(np.maximum(spread / (rows - 2), 1e-12) * (1 / held + 1 / (rows - held)))
            far = np.where(fits, np.abs(off) / error, 0.0)
        at = int(np.argmax(far))
        if far[at] > best:
            best, found = float(far[at]), (place, sides[at] if off[at] > 0 else ~sides[at])
    return found


def _ordered(mass: Vector, total: Vector) -> Mask:
    """Return the ways to cut bins in two; missing cells are alone, or with the side of smaller losses."""
    many = len(mass)
    cuts = np.tri(many - 2, many, dtype=bool)
    if not mass[-1]:
        return cuts
    above = ~cuts
    above[:, -1] = False
    with np.errstate(all="ignore"):
        cuts[:, -1] = cuts @ total / (cuts @ mass) < above @ total / (above @ mass)
    return np.concatenate([cuts, np.arange(many)[None] == many - 1])


def _ranked(count: NDArray[np.int64], mass: Vector, total: Vector) -> Mask:
    """Return the sets of the k categories with the largest mean losses, for each k; missing is one."""
    several = np.flatnonzero(count >= FEW)
    several = several[several != len(count) - 2]  # all others are no category
    order = several[np.argsort(-(total[several] / mass[several]), kind="stable")]
    rank = np.full(len(count), len(count))
    rank[order] = np.arange(len(order))
    return np.asarray(rank[None] <= np.arange(len(order))[:, None])
