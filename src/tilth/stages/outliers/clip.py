"""Bring values that lie far outside back to a bound."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.statistics import Statistics


class OutliersClip(ColumnStage):
    """Clip each numeric column to bounds learned from its quartiles, skew, deviations, quantiles or given.

    Learns
        A lower and an upper bound per column, in its units; missing cells are not counted.
    New data
        Values outside the bounds are clipped, made null, or left (action). Missing cells stay.
    Training
        Same as new data.
    Weights
        Ignored: a bound describes the values, not how much a row counts.
    Cost
        One selection per column (one scan for 'sigma', one sort more for 'adjusted'); acting is O(cells).
    Scaling
        Exact for any partition.

    Parameters
    ----------
    method : {'iqr', 'adjusted', 'mad', 'sigma', 'quantile', 'range'}
        Bounds: quartiles -/+ width * (Q3 - Q1), in 'adjusted' times e^3m on the side of the longer tail
        and e^-4m on the other, m being the size of the medcouple; median -/+ width * 1.4826 * MAD;
        mean -/+ width * standard deviation; the quantiles (share, 1 - share); or `value_range`.
    width : float, > 0, optional
        Distance to the bound in the method's spread: by default 1.5 (iqr, adjusted), 3.5 (mad), 3 (sigma).
    share : float, in [0, 0.5]
        Share beyond each bound, for 'quantile'.
    value_range : list of two floats or null, optional
        The bounds for 'range'; null leaves a side open.
    side : {'both', 'low', 'high'}
        Which side is treated.
    action : {'clip', 'null', 'report'}
        Bring to the bound, make missing, or only say so.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        outliers.values : cells of a column lie outside its bounds.
        outliers.flat : so many values of a column are equal that its two bounds are: it is left alone.

    Raises
        DataError : 'range' without a rising `value_range`, or infinite values under 'sigma'.

    Source
        Tukey, "Exploratory Data Analysis" (1977) for 'iqr'; Hubert and Vandervieren, "An adjusted boxplot
        for skewed distributions" (2008), for 'adjusted'; Iglewicz and Hoaglin (1993) for 'mad' and its
        3.5. Peer: ``numpy.quantile``, ``scipy.stats.median_abs_deviation`` and the medcouple over all
        pairs, to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 99.0]})
    >>> OutliersClip(method="iqr").fit_transform(rows)["a"].to_list()
    [1.0, 2.0, 3.0, 4.0, 7.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "outliers.values": "cells of a column lie outside its bounds",
        "outliers.flat": "the two bounds of a column are equal, so it is left alone",
    }
    partial: ClassVar = True

    def __init__(
        self,
        *,
        method: Literal["iqr", "adjusted", "mad", "sigma", "quantile", "range"] = "iqr",
        width: Annotated[float, Gt(0)] | None = None,
        share: Annotated[float, Ge(0), Le(0.5)] = 0.01,
        value_range: list[float | None] | None = None,
        side: Literal["both", "low", "high"] = "both",
        action: Literal["clip", "null", "report"] = "clip",
        on: Selection = None,
    ) -> None:
        self.method = method
        self.width = width
        self.share = share
        self.value_range = value_range
        self.side = side
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"method": "adjusted"},
            {"method": "mad", "side": "high"},
            {"method": "sigma", "action": "null"},
            {"method": "quantile", "share": 0.05, "side": "low"},
            {"method": "range", "value_range": [-1.0, None]},
            {"action": "report"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the bounds and count what lies beyond them."""
        low, high = self._bounds(statistics)
        if self.method != "range":
            low, high = self._opened(low, high)
        open_low, open_high = self.side == "high", self.side == "low"
        # A column without values, or a bound that is not finite, has nothing to hold values to.
        self.low_ = {
            c: float(v) for c, v in zip(self.columns_, low, strict=True) if np.isfinite(v) and not open_low
        }
        self.high_ = {
            c: float(v) for c, v in zip(self.columns_, high, strict=True) if np.isfinite(v) and not open_high
        }
        rows = statistics.rows
        beyond = self._beyond(statistics)
        self.cells_ = (
            {} if self.action == "report" else {c: under + over for c, (under, over) in beyond.items()}
        )
        for name, (under, over) in beyond.items():
            if under + over:
                self.report(
                    "outliers.values",
                    f"'{name}': {under} values below {self.low_.get(name, -np.inf):.6g}, "
                    f"{over} above {self.high_.get(name, np.inf):.6g} ({self.method}).",
                    (under + over) / rows,
                    severity="low" if (under + over) / rows < 0.05 else "info",
                    columns=(name,),
                    n_rows=under + over,
                    remedy={"outliers.clip": {**self._bounded_by(), "on": [name]}},
                )

    def _bounded_by(self) -> dict[str, Any]:
        """Return the parameters that set the bounds, as a recipe would say them."""
        told = {"width": self.width, "value_range": self.value_range}
        return {"method": self.method, **{name: value for name, value in told.items() if value is not None}}

    def _opened(self, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take the bounds off columns where they are equal: all other values would be lost."""
        flat = low == high
        for name in (c for c, is_flat in zip(self.columns_, flat, strict=True) if is_flat):
            self.report(
                "outliers.flat",
                f"'{name}': too many equal values for method '{self.method}' to have bounds; left as it is.",
                0.0,
                columns=(name,),
            )
        return np.where(flat, np.nan, low), np.where(flat, np.nan, high)

    # An infinite spread, or infinity less infinity, gives a bound that is not finite: the side stays open.
    @np.errstate(invalid="ignore", over="ignore")
    def _bounds(self, statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
        columns = self.columns_
        if self.method == "range":
            if self.value_range is None or len(self.value_range) != 2:
                raise DataError(
                    "outliers.clip: method 'range' needs value_range=[low, high]; null leaves a side open."
                )
            low, high = (np.nan if v is None else float(v) for v in self.value_range)
            if low > high:
                raise DataError(f"outliers.clip: value_range=[{low:g}, {high:g}] must rise from low to high.")
            return np.full(len(columns), low), np.full(len(columns), high)
        if self.method == "quantile":
            found = statistics.quantiles(columns, [self.share, 1 - self.share])
            return found[0], found[1]
        if self.method in ("iqr", "adjusted"):
            first, third = statistics.quantiles(columns, [0.25, 0.75])
            reach = (1.5 if self.width is None else self.width) * (third - first)
            if self.method == "iqr":
                return first - reach, third + reach
            skew = statistics.medcouples(columns)
            longer, shorter = np.exp(3 * np.abs(skew)), np.exp(-4 * np.abs(skew))
            down, up = np.where(skew < 0, longer, shorter), np.where(skew < 0, shorter, longer)
            return first - down * reach, third + up * reach
        if self.method == "mad":
            center = statistics.quantiles(columns, [0.5])[0]
            away = [
                (pl.col(c).cast(pl.Float64) - m).abs().alias(c) for c, m in zip(columns, center, strict=True)
            ]
            moved = Statistics([s.select(away) for s in statistics.shards], statistics.id_column)
            # 1 / Phi^-1(3/4) makes the median deviation estimate the standard deviation of a normal.
            spread = 1.482602218505602 * moved.quantiles(columns, [0.5])[0]
            reach = (3.5 if self.width is None else self.width) * spread
            return center - reach, center + reach
        moments = statistics.moments(columns)
        spoiled = [c for c, m in zip(columns, moments.mean, strict=True) if not np.isfinite(m)]
        if spoiled:
            raise DataError(
                f"outliers.clip: column '{spoiled[0]}' holds infinity, so it has no standard deviation. "
                "Use method 'iqr' or 'mad', which do not need one."
            )
        reach = (3.0 if self.width is None else self.width) * moments.std()
        return moments.mean - reach, moments.mean + reach

    def _beyond(self, statistics: Statistics) -> dict[str, tuple[int, int]]:
        schema = statistics.schema
        beyond: dict[str, tuple[int, int]] = {}
        for group in statistics.groups([c for c in self.columns_ if c in self.low_ or c in self.high_]):
            past = [self._past(c, schema[c]) for c in group]
            asked = [under.sum().alias(f"{i}u") for i, (under, _) in enumerate(past)]
            asked += [over.sum().alias(f"{i}o") for i, (_, over) in enumerate(past)]
            parts = np.array([s.select(asked).collect().row(0) for s in statistics.shards]).sum(axis=0)
            beyond |= {c: (int(parts[i]), int(parts[len(group) + i])) for i, c in enumerate(group)}
        return beyond

    def _past(self, name: str, dtype: pl.DataType) -> tuple[pl.Expr, pl.Expr]:
        """Return which values lie below and above the bounds; none on a side that is open."""
        low, high = self.low_.get(name), self.high_.get(name)
        if dtype.is_integer():
            # Compared as whole numbers: above 2**53 a float would take two of them for one.
            least, most = _range(dtype)
            low = math.ceil(low) if low is not None and least <= low <= most else low
            high = math.floor(high) if high is not None and least <= high <= most else high
        bound = lambda b: pl.lit(b, dtype) if isinstance(b, int) else b
        under = pl.lit(False) if low is None else pl.col(name) < bound(low)
        over = pl.lit(False) if high is None else pl.col(name) > bound(high)
        return under, over

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Hold the values to the bounds."""
        if self.action == "report":
            return frame
        schema = frame.collect_schema()
        held = [self._held(c, schema[c]) for c in self.columns_ if c in self.low_ or c in self.high_]
        return frame.with_columns(held) if held else frame

    def _held(self, name: str, dtype: pl.DataType) -> pl.Expr:
        low, high = self.low_.get(name), self.high_.get(name)
        column = pl.col(name)
        if self.action == "null":
            under, over = self._past(name, dtype)
            return pl.when(under | over).then(None).otherwise(column).alias(name)
        kept = dtype if dtype.is_float() else pl.Float64()
        if dtype.is_integer():
            least, most = _range(dtype)
            # A bound that the type itself keeps is none.
            low = None if low is not None and low <= least else low
            high = None if high is not None and high >= most else high
            whole = all(b is None or (b == int(b) and least <= b <= most) for b in (low, high))
            kept = dtype if whole else kept
        bound = lambda b: None if b is None else pl.lit(b if kept.is_float() else int(b), kept)
        return column.cast(kept).clip(bound(low), bound(high))


def _range(dtype: pl.DataType) -> tuple[int, int]:
    """Return the least and the largest number that a type of whole numbers holds."""
    least, most = pl.select(dtype.min().alias("least"), dtype.max().alias("most")).row(0)  # type: ignore[attr-defined]
    return least, most
