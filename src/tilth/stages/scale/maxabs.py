"""Bring the largest size of a column's values to 1, and leave 0 where it is."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.stages.affine import bounds, divisors, report_flat, scaled, unscaled
from tilth.statistics import Statistics


class ScaleMaxabs(ColumnStage):
    """Divide each numeric column by the largest absolute value in it.

    Learns
        Largest absolute value per column; missing cells are not counted. A column of zeros is divided
        by 1.
    New data
        Values are divided: zeros stay zeros, signs stay. Missing cells stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: a range describes the values, not how much a row counts.
    Cost
        One scan; acting is O(cells).
    Scaling
        Exact for any partition.

    For columns in which 0 means that there is nothing, such as counts of words. One far value sets the
    scale of all others.

    Parameters
    ----------
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has no value but 0.

    Raises
        DataError : a column holds infinity.

    Source
        Peer: scikit-learn's ``MaxAbsScaler``; the tests compare to 1e-12. It takes sizes below 2e-15 for
        zeros; here the unit of a column does not matter.

    Examples
    --------
    >>> import polars as pl
    >>> ScaleMaxabs().fit_transform(pl.DataFrame({"a": [-4, 0, 2]}))["a"].to_list()
    [-1.0, 0.0, 0.5]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"scale.constant": "a column has no value but 0"}

    def __init__(self, *, on: Selection = None) -> None:
        self.on = on

    def learn(self, statistics: Statistics) -> None:
        """Learn the largest size."""
        scale, flat = divisors(np.abs(bounds(self, statistics)).max(axis=0))
        report_flat(self, flat, "has no value but 0")
        self.scale_ = dict(zip(self.columns_, scale.tolist(), strict=True))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Divide."""
        return scaled(frame, dict.fromkeys(self.columns_, 0.0), self.scale_)

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Multiply back."""
        return unscaled(frame, dict.fromkeys(self.columns_, 0.0), self.scale_)
