"""Scale by median and quartiles, and press far values smoothly into bounds."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Gt

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.affine import as_float, bounds, divisors, double, moved, report_flat, unscaled
from tilth.statistics import Statistics
from tilth.statistics.smooth import robust_spread, smooth_clip, smooth_unclip

FURTHEST = (1e4, 10.0)
"""Multiples of the limit up to which the inverse is right to 1e-6 of a value; in single precision to 1e-5."""


class ScaleSmoothClip(ColumnStage):
    """Center each numeric column, divide it by its interquartile range, and clip it smoothly.

    Learns
        Median and interquartile range per column; missing cells are not counted. Where the range of the
        quartiles is 0, half the range of all values is taken; a constant column is divided by 1.
    New data
        z = (x - median) / range becomes z / sqrt(1 + (z / limit)^2): within (-limit, limit), near the
        median as it was, and still in order. Infinite cells become the limits; missing cells stay. Whole
        numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: the scale describes the values, not how much a row counts.
    Cost
        One selection and one scan per column; acting is O(cells).
    Scaling
        Exact for any partition.

    The inverse loses digits of values as far as 10,000 limits from the median (10 in single precision),
    and all of them further out.

    Parameters
    ----------
    limit : float, > 0
        The bound, in interquartile ranges.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has one value only.
        scale.middle : the quartiles of a column are equal, so that half its range was taken.

    Raises
        DataError : a quartile is infinite, or the range that is needed in place of equal ones.

    Source
        Holzmüller, Grinsztajn and Steinwart, "Better by default" (NeurIPS 2024), section 3, the
        preprocessing of RealMLP, with limit 3. There a constant column becomes 0 for any new value too.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 1000.0]})
    >>> ScaleSmoothClip().fit_transform(rows)["a"].round(2).to_list()
    [-0.95, -0.49, 0.0, 0.49, 3.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "scale.constant": "a column has one value only",
        "scale.middle": "the quartiles of a column are equal, so that half its range was taken",
    }

    def __init__(self, *, limit: Annotated[float, Gt(0)] = 3.0, on: Selection = None) -> None:
        self.limit = limit
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"limit": 1.0}]

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell whether the inverse gives all values back that were learned from."""
        return "nearly" if getattr(self, "far_", ()) else "exactly"

    def learn(self, statistics: Statistics) -> None:
        """Learn median and range."""
        first, median, third = statistics.quantiles(self.columns_, [0.25, 0.5, 0.75])
        with np.errstate(invalid="ignore", over="ignore"):
            spoiled = np.isinf(median) | np.isinf(third - first)
        for name in np.array(self.columns_, dtype=object)[spoiled][:1]:
            raise DataError(
                f"scale.smooth_clip: a quartile of column '{name}' is infinite. "
                "Put outliers.clip before, or make these cells missing."
            )
        low, high = bounds(self, statistics, needed=first == third)
        with np.errstate(invalid="ignore", over="ignore"):
            scale, flat = divisors(robust_spread(first, third, low, high))
            away = np.maximum(high - median, median - low) / scale
        report_flat(self, flat, "has one value only")
        for name, width in zip(self.columns_, np.where(~flat & (first == third), scale, 0), strict=True):
            if width:
                self.report(
                    "scale.middle",
                    f"The quartiles of '{name}' are equal: half its range, {width:.6g}, is taken.",
                    float(width),
                    severity="low",
                    columns=(name,),
                )
        self.median_ = dict(zip(self.columns_, np.nan_to_num(median).tolist(), strict=True))
        self.scale_ = dict(zip(self.columns_, scale.tolist(), strict=True))
        furthest = [FURTHEST[statistics.schema[c] == pl.Float32] * self.limit for c in self.columns_]
        self.far_ = [c for c, a, most in zip(self.columns_, away, furthest, strict=True) if a > most]

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Shift, divide and press."""
        schema = frame.collect_schema()
        return frame.with_columns(
            as_float(smooth_clip(moved(c, self.median_[c], self.scale_[c]), self.limit), schema[c])
            for c in self.columns_
        )

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Unpress, multiply and shift back."""
        wide = frame.with_columns(smooth_unclip(double(c), self.limit) for c in self.columns_)
        return unscaled(wide, self.median_, self.scale_)
