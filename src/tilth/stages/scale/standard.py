"""Center on the mean and scale to unit variance."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.affine import report_flat, scaled, unscaled
from tilth.statistics import Statistics


class ScaleStandard(ColumnStage):
    """Center each numeric column on its mean and divide it by its standard deviation.

    Learns
        Mean and population standard deviation per column, in its units; missing cells are not
        counted. A constant column is divided by 1.
    New data
        Values are shifted and divided; missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: the scale describes the values, not how much a row counts.
    Cost
        One scan; acting is O(cells).
    Scaling
        Exact for any partition, to rounding (Chan's merge).

    Parameters
    ----------
    center : bool
        Subtract the mean.
    spread : bool
        Divide by the standard deviation.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has one value only.

    Raises
        DataError : a column holds infinity.

    Source
        Peer: scikit-learn's ``StandardScaler``; the tests compare to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> ScaleStandard().fit_transform(pl.DataFrame({"a": [1.0, 3.0]}))["a"].to_list()
    [-1.0, 1.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"scale.constant": "a column has one value only"}

    def __init__(self, *, center: bool = True, spread: bool = True, on: Selection = None) -> None:
        self.center = center
        self.spread = spread
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"center": False}, {"spread": False}]

    def learn(self, statistics: Statistics) -> None:
        """Learn mean and standard deviation."""
        moments = statistics.moments(self.columns_)
        mean, variance = moments.mean, np.nan_to_num(moments.variance())
        spoiled = [c for c, m in zip(self.columns_, mean, strict=True) if not np.isfinite(m)]
        if spoiled:
            raise DataError(
                f"scale.standard: column '{spoiled[0]}' holds infinity or values too large for a mean. "
                "Put outliers.clip before, or make these cells missing."
            )
        # Rounding leaves a constant column a tiny variance: scikit-learn's bound tells it from a real one.
        noise = (
            moments.count * np.finfo(np.float64).eps * variance
            + (moments.count * mean * np.finfo(float).eps) ** 2
        )
        constant = variance <= noise
        report_flat(self, constant, "has one value only")
        scale = np.where(constant, 1.0, np.sqrt(variance))
        self.mean_ = dict(zip(self.columns_, mean.tolist(), strict=True))
        self.scale_ = dict(zip(self.columns_, scale.tolist(), strict=True))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Shift and divide."""
        return scaled(frame, *self._numbers())

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Multiply and shift back."""
        return unscaled(frame, *self._numbers())

    def _numbers(self) -> tuple[dict[str, float], dict[str, float]]:
        shift = {c: self.mean_[c] if self.center else 0.0 for c in self.columns_}
        scale = {c: self.scale_[c] if self.spread else 1.0 for c in self.columns_}
        return shift, scale
