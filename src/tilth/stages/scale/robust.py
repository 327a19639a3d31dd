"""Center on the median and scale by a range of quantiles."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.affine import divisors, report_flat, scaled, unscaled
from tilth.statistics import Statistics


class ScaleRobust(ColumnStage):
    """Center each numeric column on its median and divide it by its interquartile range.

    Learns
        Median and the difference of two quantiles per column, in its units; missing cells are not
        counted. Where the difference is 0 the column is divided by 1.
    New data
        Values are shifted and divided; missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: the scale describes the values, not how much a row counts.
    Cost
        One selection per column serves the three quantiles; acting is O(cells).
    Scaling
        Exact for any partition.

    Parameters
    ----------
    center : bool
        Subtract the median.
    spread : bool
        Divide by the difference of the quantiles.
    quantile_range : list of two floats, in [0, 1]
        The lower and the upper quantile.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : the two quantiles of a column are equal.

    Raises
        DataError : `quantile_range` is not two rising shares, or a quantile is infinite.

    Source
        Peer: scikit-learn's ``RobustScaler``; the tests compare to 1e-12. It takes a range below 2e-15 for
        none; here the unit of a column does not matter.

    Examples
    --------
    >>> import polars as pl
    >>> ScaleRobust().fit_transform(pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0]}))["a"].to_list()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"scale.constant": "the two quantiles of a column are equal"}

    def __init__(
        self,
        *,
        center: bool = True,
        spread: bool = True,
        quantile_range: list[float] | tuple[float, float] = (0.25, 0.75),
        on: Selection = None,
    ) -> None:
        self.center = center
        self.spread = spread
        self.quantile_range = quantile_range
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"center": False}, {"spread": False}, {"quantile_range": [0.1, 0.9]}]

    def learn(self, statistics: Statistics) -> None:
        """Learn median and range."""
        bounds = list(self.quantile_range)
        if len(bounds) != 2 or not 0 <= bounds[0] < bounds[1] <= 1:
            raise DataError(
                f"scale.robust: quantile_range={bounds} must be two rising shares, such as [0.25, 0.75]."
            )
        low, median, high = statistics.quantiles(self.columns_, [bounds[0], 0.5, bounds[1]])
        with np.errstate(invalid="ignore", over="ignore"):
            width = high - low
        spoiled = np.isinf(median) | np.isinf(width)
        for name in np.array(self.columns_, dtype=object)[spoiled][:1]:
            raise DataError(
                f"scale.robust: a quantile of column '{name}' is infinite. "
                "Put outliers.clip before, or make these cells missing."
            )
        scale, flat = divisors(width)
        report_flat(self, flat, "has no spread")
        self.median_ = dict(zip(self.columns_, np.nan_to_num(median).tolist(), strict=True))
        self.scale_ = dict(zip(self.columns_, scale.tolist(), strict=True))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Shift and divide."""
        return scaled(frame, *self._numbers())

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Multiply and shift back."""
        return unscaled(frame, *self._numbers())

    def _numbers(self) -> tuple[dict[str, float], dict[str, float]]:
        shift = {c: self.median_[c] if self.center else 0.0 for c in self.columns_}
        scale = {c: self.scale_[c] if self.spread else 1.0 for c in self.columns_}
        return shift, scale
