"""What the values of a column are like, and what could be made of them before they are scaled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.statistics import Statistics
from tilth.statistics.normality import SHARES, normal_quantiles, normality
from tilth.statistics.powers import find_power
from tilth.statistics.smooth import robust_spread, smooth_clip

EDGES = (0.25, 0.5, 0.75)
FEWEST = 20
"""Quantiles that a shape can be told by."""
TIED = 0.05
"""Share of equal neighbors among the quantiles from which on one value takes the place of many."""


@dataclass(frozen=True)
class Form:
    """Hold what a column becomes.

    Parameters
    ----------
    name : str
        For people; '' for the values as they are.
    key : str
        The stage that makes it.
    parameters : dict
        Those of the stage.
    quantiles : ndarray of shape (n_places,)
        Of what the stage makes.
    ends : ndarray of shape (5,)
        Quartiles, smallest and largest value of it.
    """

    name: str
    key: str
    parameters: dict[str, Any]
    quantiles: np.ndarray
    ends: np.ndarray

    @property
    def reach(self) -> float:
        """Tell how far the furthest end lies from the median, in quartile ranges; infinite if that is 0."""
        first, median, third, low, high = self.ends
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            reach = np.maximum(high - median, median - low) / (third - first)
        return float(reach) if reach == reach else float("inf")

    def fit(self, far: float) -> float:
        """Return the correlation with normal quantiles once it is scaled, clipped if it reaches `far`."""
        values = self.quantiles
        if self.reach > far:
            first, median, third, low, high = self.ends
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                values = smooth_clip((values - median) / robust_spread(first, third, low, high))
        return float(normality(values[:, None])[0])


@dataclass(frozen=True)
class Shape:
    """Hold what is known of a column's values.

    Parameters
    ----------
    name : str
    low, high : float
        Smallest and largest value; NaN where there is none.
    edges : ndarray of shape (3,)
        The quartiles.
    quantiles : ndarray of shape (100,)
    zeros : float
        Share of values that are 0.
    two : bool
        There are no values but the smallest and the largest.
    """

    name: str
    low: float
    high: float
    edges: np.ndarray
    quantiles: np.ndarray
    zeros: float
    two: bool

    @property
    def flag(self) -> bool:
        """Tell whether it holds 0 and 1 alone."""
        return self.two and (self.low, self.high) == (0.0, 1.0)

    @property
    def tied(self) -> bool:
        """Tell whether one value takes so many rows that no form can spread them."""
        return bool((self.quantiles[1:] == self.quantiles[:-1]).mean() > TIED)

    def forms(self, allowed: Sequence[str]) -> list[Form]:
        """Return the forms to compare, the simplest first: the values as they are, and those allowed."""
        ends = np.array([*self.edges, self.low, self.high])
        others = self.quantiles[self.quantiles != 0]
        # Where many values are 0, the shape is that of the others.
        values = others if self.tied and len(others) >= FEWEST else self.quantiles
        made = [Form("", "", {}, values, ends)]

        def add(
            name: str, key: str, parameters: dict[str, Any], form: Callable[[np.ndarray], np.ndarray]
        ) -> None:
            made.append(Form(name, key, parameters, form(values), form(ends)))

        if not np.isfinite(ends).all():
            return made
        if "log" in allowed and self.low > 0:
            add("its logarithm", "scale.log", {"method": "log"}, np.log)
        if "log" in allowed:
            unit = float(np.median(np.abs(others))) if others.size else 1.0
            signed = lambda x: np.sign(x) * np.log1p(np.abs(x) / unit)
            add("log(1 + x / median)", "scale.log", {"unit": "median"}, signed)
        if "power" in allowed and not self.tied:
            power, _ = find_power(values, box_cox=False, standardize=True)
            add("a power of it", "scale.power", {}, power.of)
        if "quantile" in allowed and not self.tied:
            even = normal_quantiles()
            parameters = {"output": "normal"}
            made.append(
                Form("its normal scores", "scale.quantile", parameters, even, even[[24, 49, 74, 0, -1]])
            )
        return made


def shapes(statistics: Statistics, columns: Sequence[str]) -> list[Shape]:
    """Look at columns of numbers."""
    if not columns:
        return []
    found = statistics.extremes(columns)
    quantiles = statistics.quantiles(columns, [*EDGES, *SHARES])
    asked: list[pl.Expr] = []
    for i, (name, low, high) in enumerate(zip(columns, found.low, found.high, strict=True)):
        column = pl.col(name)
        ends = (column == low) | (column == high) if low is not None else pl.lit(False)
        asked += [
            column.count().alias(f"{i}n"),
            (column == 0).sum().alias(f"{i}z"),
            ends.sum().alias(f"{i}e"),
        ]
    parts = [s.select(asked).collect().row(0) for s in statistics.shards]
    count, zeros, ends = np.array(parts, dtype=np.int64).sum(axis=0).reshape(-1, 3).T
    return [
        Shape(
            name,
            np.nan if found.low[i] is None else float(found.low[i]),
            np.nan if found.high[i] is None else float(found.high[i]),
            quantiles[: len(EDGES), i],
            quantiles[len(EDGES) :, i],
            float(zeros[i] / max(count[i], 1)),
            bool(count[i] and ends[i] == count[i]),
        )
        for i, name in enumerate(columns)
    ]
