"""Take logarithms of columns with long tails."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.affine import as_float, double
from tilth.statistics import Statistics

TINY = float(np.finfo(np.float64).tiny)
"""The smallest size that can be divided by."""


class ScaleLog(ColumnStage):
    """Take the logarithm of each numeric column, in a form that bears zeros and negative values.

    Learns
        For 'log' the smallest value, and an offset where it is 0; for a unit 'median' that of the absolute
        values that are not 0. Missing cells are not counted.
    New data
        'log1p': sign(x) log(1 + |x| / unit): of a column without negative values the usual log1p, of others
        the signed logarithm. 'asinh': log(x / unit + sqrt(1 + (x / unit)^2)), which is x / unit near 0 and
        the signed logarithm of twice that far away. 'log': log(x + offset), the pure logarithm; values below
        the smallest one at fit are held to it. Missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: the form describes the values, not how much a row counts.
    Cost
        One selection per column (and one for a unit 'median', one scan for 'log'); acting is O(cells).
    Scaling
        Exact for any partition.

    It brings tails in, not columns to one scale: put `scale.standard` after it.

    Parameters
    ----------
    method : {'log1p', 'asinh', 'log'}
        The form. 'log' takes no negative values.
    unit : float, > 0, or 'median'
        For 'log1p' and 'asinh': values much smaller than this stay in proportion, of larger ones the
        logarithm is taken; in the column's units.
    offset : float, > 0, optional
        For 'log': what is added to all values. By default nothing, and half the smallest value above 0 in
        columns that hold zeros.
    base : float, > 1, optional
        Of the logarithm, such as 2 or 10; by default e.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.log : a column is no less skewed after it.
        scale.offset : a column of 'log' holds zeros, so that an offset was learned.

    Raises
        DataError : with 'log' a column holds a value that has no logarithm; with a unit 'median' that is
            infinite.

    Source
        Burbidge, Magee and Robb, "Alternative transformations to handle extreme values of the dependent
        variable" (1988) for 'asinh'; Webber, "A bi-symmetric log transformation for wide-range data" (2013)
        for 'log1p'. Skewness is Kelly's, of the deciles. Peers: ``numpy.log1p``, ``arcsinh`` and ``log``, to
        1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [0, 9, 99, 999], "b": [-9, 0, 9, 99]})
    >>> ScaleLog(base=10).fit_transform(rows)["b"].round(9).to_list()
    [-1.0, 0.0, 1.0, 2.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "scale.log": "a column is no less skewed after it",
        "scale.offset": "a column holds zeros, so that an offset was learned",
    }

    def __init__(
        self,
        *,
        method: Literal["log1p", "asinh", "log"] = "log1p",
        unit: Annotated[float, Gt(0)] | Literal["median"] = 1.0,
        offset: Annotated[float, Gt(0)] | None = None,
        base: Annotated[float, Gt(1)] | None = None,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.unit = unit
        self.offset = offset
        self.base = base
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"unit": "median", "base": 2.0},
            {"method": "asinh"},
            {"method": "log", "offset": 10.0},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn units or offsets, and look whether the logarithm helps."""
        self.units_: dict[str, float] = {}
        self.offsets_: dict[str, float] = {}
        self.low_: dict[str, float] = {}
        if self.method == "log":
            self._learn_offsets(statistics)
        elif self.unit == "median":
            self._learn_units(statistics)
        else:
            self.units_ = dict.fromkeys(self.columns_, max(float(self.unit), TINY))
        self._judge(statistics.quantiles(self.columns_, [0.1, 0.5, 0.9]))

    def _learn_units(self, statistics: Statistics) -> None:
        sizes = [double(c).abs().alias(c) for c in self.columns_]
        sizes = [pl.when(size > 0).then(size) for size in sizes]
        apart = Statistics([s.select(sizes) for s in statistics.shards], statistics.id_column)
        medians = apart.quantiles(self.columns_, [0.5])[0] if self.columns_ else np.empty(0)
        for name, median in zip(self.columns_, medians, strict=True):
            if np.isinf(median):
                raise DataError(
                    f"scale.log: at least half of column '{name}' is infinite. Put outliers.clip before, or "
                    "make these cells missing."
                )
            self.units_[name] = 1.0 if np.isnan(median) else max(float(median), TINY)

    def _learn_offsets(self, statistics: Statistics) -> None:
        least = [pl.col(c).filter(pl.col(c) > 0).min().cast(pl.Float64).alias(c) for c in self.columns_]
        lows = statistics.extremes(self.columns_).low
        above = [s.select(least).collect().row(0) for s in statistics.shards] if least else []
        for i, name in enumerate(self.columns_):
            low = 0.0 if lows[i] is None else float(lows[i])
            known = [row[i] for row in above if row[i] is not None]
            smallest = min(known, default=1.0)
            offset = self.offset or (0.0 if known and low > 0 else smallest / 2)
            if not low + offset > 0:
                raise DataError(
                    f"scale.log: column '{name}' holds {low:g}, and method 'log' takes positive numbers "
                    "only. Use method 'log1p' or 'asinh', or an offset above that."
                )
            if self.offset is None and offset and known:
                self.report(
                    "scale.offset",
                    f"'{name}' holds zeros: {offset:.6g}, half the smallest value above 0, is added.",
                    offset,
                    severity="low",
                    columns=(name,),
                    remedy={"scale.log": {"on": [name]}},
                )
            self.offsets_[name], self.low_[name] = offset, low

    def _judge(self, deciles: np.ndarray) -> None:
        """Report columns that are as skewed as before: the form is monotone, so their deciles tell."""
        told = pl.DataFrame(dict(zip(self.columns_, deciles.T, strict=True)))
        logs = told.select(self._logarithm(c) for c in self.columns_).to_numpy()
        for name, before, after in zip(self.columns_, _skew(deciles), _skew(logs), strict=True):
            if abs(after) > abs(before):
                self.report(
                    "scale.log",
                    f"'{name}' is more skewed as a logarithm: Kelly's {after:.2f}, not {before:.2f}.",
                    float(abs(after) - abs(before)),
                    severity="low",
                    columns=(name,),
                    remedy={"scale.robust": {"on": [name]}},
                )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Take logarithms."""
        schema = frame.collect_schema()
        return frame.with_columns(as_float(self._logarithm(c), schema[c]) for c in self.columns_)

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Take powers."""
        return frame.with_columns(self._power(c) for c in self.columns_)

    def _logarithm(self, name: str) -> pl.Expr:
        column = double(name)
        if self.method == "log":
            taken = (column.clip(self.low_[name], None) + self.offsets_[name]).log()
        else:
            part = column * (1 / self.units_[name])
            taken = part.arcsinh() if self.method == "asinh" else part.sign() * part.abs().log1p()
        return taken * (1 / math.log(self.base)) if self.base else taken

    def _power(self, name: str) -> pl.Expr:
        column = double(name) * math.log(self.base) if self.base else double(name)
        if self.method == "log":
            return column.exp() - self.offsets_[name]
        if self.method == "asinh":
            return column.sinh() * self.units_[name]
        # exp(y) - 1, written so that small values keep their digits.
        half = column.abs() * 0.5
        return column.sign() * (half.sinh() * half.exp() * (2 * self.units_[name]))


def _skew(deciles: np.ndarray) -> np.ndarray:
    """Return Kelly's skewness per column, from the deciles 1, 5 and 9; 0 where it has none."""
    low, middle, high = deciles.reshape(3, -1)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        skew = ((high - middle) - (middle - low)) / (high - low)
    return np.asarray(np.where(np.isfinite(skew), skew, 0.0))
