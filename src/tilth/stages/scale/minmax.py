"""Bring the range of a column to a given one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.affine import bounds, divisors, report_flat, scaled, unscaled
from tilth.statistics import Statistics


class ScaleMinmax(ColumnStage):
    """Bring the smallest and the largest value of each numeric column to two given numbers.

    Learns
        Smallest and largest value per column; missing cells are not counted. A constant column becomes
        the lower number.
    New data
        Values are shifted and stretched; those beyond the learned range land beyond the given one, unless
        `clip` holds them to it. Missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: a range describes the values, not how much a row counts.
    Cost
        One scan; acting is O(cells).
    Scaling
        Exact for any partition.

    One far value sets the range, and all others share what is left of it: `scale.robust` and
    `scale.smooth_clip` do not have this weakness.

    Parameters
    ----------
    feature_range : list of two floats
        What the smallest and the largest value become.
    clip : bool
        Hold new values to `feature_range`; they are then not given back by the inverse.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has one value only.

    Raises
        DataError : `feature_range` is not two rising numbers, or a column holds infinity.

    Source
        Peer: scikit-learn's ``MinMaxScaler``; the tests compare to 1e-12. It takes a range below 2e-15 for
        none; here the unit of a column does not matter.

    Examples
    --------
    >>> import polars as pl
    >>> ScaleMinmax(feature_range=[-1, 1]).fit_transform(pl.DataFrame({"a": [1, 2, 5]}))["a"].to_list()
    [-1.0, -0.5, 1.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"scale.constant": "a column has one value only"}

    def __init__(
        self,
        *,
        feature_range: list[float] | tuple[float, float] = (0.0, 1.0),
        clip: bool = False,
        on: Selection = None,
    ) -> None:
        self.feature_range = feature_range
        self.clip = clip
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"feature_range": [-1.0, 1.0]}, {"clip": True}]

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell that values beyond the learned range are lost where they are clipped."""
        return "nearly" if self.clip else "exactly"

    def learn(self, statistics: Statistics) -> None:
        """Learn the range."""
        wanted = list(self.feature_range)
        if len(wanted) != 2 or not wanted[0] < wanted[1] or not np.isfinite(wanted[1] - wanted[0]):
            raise DataError(f"scale.minmax: feature_range={wanted} must be two rising numbers, as in [0, 1].")
        low, high = bounds(self, statistics)
        width, flat = divisors(high - low)
        report_flat(self, flat, "has one value only")
        scale = width / (wanted[1] - wanted[0])
        self.low_ = dict(zip(self.columns_, np.nan_to_num(low).tolist(), strict=True))
        self.scale_ = dict(zip(self.columns_, divisors(scale)[0].tolist(), strict=True))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Shift and stretch."""
        least, most = self.feature_range
        changed = scaled(frame, self.low_, self.scale_, least)
        return changed.with_columns(pl.col(self.columns_).clip(least, most)) if self.clip else changed

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Stretch and shift back."""
        return unscaled(frame, self.low_, self.scale_, self.feature_range[0])
