"""Divide each row by its length."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from sklearn.utils.metaestimators import available_if

from tilth.core.stage import ColumnStage, Selection
from tilth.stages.affine import as_float, double
from tilth.statistics import Statistics
from tilth.table.container import free_name

ALONE = 0.9
"""Share of all squares from which on one column is the norm of the rows, more or less."""
TINY = float(np.finfo(np.float64).tiny)
"""The smallest size that can be divided by."""


class ScaleRows(ColumnStage):
    """Divide the numeric cells of each row by the row's norm over them.

    Learns
        The columns, and nothing that acts on them. It looks which share each has in the norm.
    New data
        Each row has norm 1; a row of zeros stays. Missing and infinite cells count for nothing in the norm
        and stay. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored.
    Cost
        One scan; acting is O(cells).
    Scaling
        Exact: rows do not depend on one another.

    For rows whose direction counts and whose size does not: counts of words, spectra, embeddings. It needs
    columns in the same unit.

    Parameters
    ----------
    norm : {'l2', 'l1', 'max'}
        Root of the sum of squares, sum of absolute values, or the largest of these.
    keep_norm : bool
        Add the norm as a last column ``norm``; the rows can then be given back by the inverse.
    on : selection, optional
        The columns that make up a row; by default all numeric ones.

    Findings
        scale.alone : one column makes up most of the norms, so that its size is divided out of all others.
        scale.zeros : rows of zeros or without a number, which have no direction.

    Source
        Peer: scikit-learn's ``Normalizer``; the tests compare to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> ScaleRows(keep_norm=True).fit_transform(pl.DataFrame({"a": [3, 0], "b": [4, 0]})).rows()
    [(0.6, 0.8, 5.0), (0.0, 0.0, 0.0)]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "scale.alone": "one column makes up most of the norms",
        "scale.zeros": "rows of zeros or without a number",
    }

    def __init__(
        self, *, norm: Literal["l2", "l1", "max"] = "l2", keep_norm: bool = False, on: Selection = None
    ) -> None:
        self.norm = norm
        self.keep_norm = keep_norm
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"norm": "l1", "keep_norm": True}, {"norm": "max"}, {"keep_norm": True}]

    def learn(self, statistics: Statistics) -> None:
        """Name the norm's column, and look what the norms are made of."""
        self.name_ = free_name("norm", statistics.schema.names())
        if not self.columns_:
            return
        with np.errstate(invalid="ignore", over="ignore"):
            moments = statistics.moments(self.columns_)
            squares = moments.deviations + moments.count * moments.mean**2
            shares = squares / squares.sum()
        if len(shares) > 1 and shares.max() > ALONE:
            name = self.columns_[int(shares.argmax())]
            self.report(
                "scale.alone",
                f"'{name}' makes up {shares.max():.1%} of the squares of all rows: there is no common unit.",
                float(shares.max()),
                severity="medium",
                columns=(name,),
                remedy={"scale.standard": {"on": list(self.columns_)}},
            )
        asked = (self._largest() == 0).sum().alias("zeros")
        zeros = sum(int(s.select(asked).collect().item()) for s in statistics.shards)
        if zeros:
            rows = statistics.rows
            self.report(
                "scale.zeros",
                f"{zeros} of {rows} rows are zeros, or hold no number: they have no norm to be divided by.",
                zeros / rows,
                severity="low",
                n_rows=zeros,
            )

    def _largest(self) -> pl.Expr:
        sizes = [double(c).abs() for c in self.columns_]
        return pl.max_horizontal(pl.when(size.is_finite()).then(size) for size in sizes).fill_null(0.0)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Divide by the norm."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        norm, whole = (free_name(name, schema.names()) for name in (self.name_, "__whole__"))
        # In parts of the largest cell: the squares of huge or tiny cells would leave what a float holds.
        told = frame.with_columns(self._largest().alias(whole))
        told = told.with_columns(pl.when(pl.col(whole) >= TINY).then(pl.col(whole)).otherwise(1.0))
        told = told.with_columns(double(c) * (1 / pl.col(whole)) for c in self.columns_)
        told = told.with_columns(self._length().alias(norm))
        length = pl.when(pl.col(norm) > 0).then(pl.col(norm)).otherwise(1.0)
        told = told.with_columns(as_float(pl.col(c) / length, schema[c]) for c in self.columns_)
        if not self.keep_norm:
            return told.drop(whole, norm)
        return told.with_columns(pl.col(norm) * pl.col(whole)).drop(whole)

    def _length(self) -> pl.Expr:
        """Return the norm of the finite cells, which are parts of the largest."""
        square = self.norm == "l2"
        sizes = [pl.col(c) * pl.col(c) if square else pl.col(c).abs() for c in self.columns_]
        known = [pl.when(size.is_finite()).then(size) for size in sizes]
        if self.norm == "max":
            return pl.max_horizontal(known).fill_null(0.0)
        return pl.sum_horizontal(known).sqrt() if square else pl.sum_horizontal(known)

    @available_if(lambda self: self.keep_norm)
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Multiply by the norm, and drop it."""
        if not self.columns_:
            return frame
        return frame.with_columns(double(c) * double(self.name_) for c in self.columns_).drop(self.name_)
