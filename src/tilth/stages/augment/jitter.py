"""Add noise to the numbers of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from annotated_types import Gt

from tilth.core.stage import BatchStage, Selection
from tilth.errors import DataError, StageError
from tilth.statistics import Statistics
from tilth.table import ROW, Table

if TYPE_CHECKING:
    import torch


class AugmentJitter(BatchStage):
    """Add Gaussian noise to numeric features, anew in every batch, in proportion to their spread.

    Learns
        The standard deviation of each column over the rows it is fitted on, and which columns of
        the batch they are. A pipeline's loader fits it on the prepared rows; on its own, fit it
        on the very columns that the batches are made of, in their order.
    Training
        Every cell gets its own draw. Labels, weights, missing cells and the columns of two values (flags,
        one-hot levels) or of one stay as they are.
    Weights
        Ignored: the spread describes the values, not how much a row counts.
    Cost
        One draw and one addition per cell, on the batch's device.
    Scaling
        Exact for any partition, to rounding (Chan's merge).

    Parameters
    ----------
    share : float, > 0
        Standard deviation of the noise, as a share of the column's.
    on : selection, optional
        The columns; by default all numeric ones of more than two values. Columns named here get noise
        even if they hold two values.

    Raises
        DataError : a column holds infinity.
        StageError : the batch is of another width than the table, or does not hold floating-point numbers.

    Source
        Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural Computation 7 (1995).
        The tests compare the noise's moments with ``share`` times NumPy's standard deviation.

    Examples
    --------
    >>> import polars as pl, torch
    >>> stage = AugmentJitter(share=0.1).fit(pl.DataFrame({"a": [0.0, 50.0, 100.0], "flag": [0, 1, 0]}))
    >>> (X,) = stage.augment((torch.zeros(2, 2),), torch.Generator().manual_seed(0))
    >>> (X != 0).tolist()
    [[True, False], [True, False]]
    """

    handles: ClassVar = ("numeric",)

    def __init__(self, *, share: Annotated[float, Gt(0)] = 0.1, on: Selection = None) -> None:
        self.share = share
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"share": 0.5}]

    def fit_table(self, table: Table) -> Self:
        """Learn each column's spread, and its place in a batch."""
        super().fit_table(table)
        statistics = Statistics([table.frame], ROW)
        moments = statistics.moments(self.columns_)
        spoiled = [c for c, m in zip(self.columns_, moments.mean, strict=True) if not np.isfinite(m)]
        if spoiled:
            raise DataError(
                f"augment.jitter: column '{spoiled[0]}' holds infinity, so it has no spread. "
                "Put outliers.clip before, or make these cells missing."
            )
        spread = dict(zip(self.columns_, np.nan_to_num(moments.std()).tolist(), strict=True))
        flags = self._flags(table) if self.on is None else set()
        self.spread_ = {c: s for c, s in spread.items() if s > 0 and c not in flags}
        starts = np.concatenate([[0], np.cumsum([_width(table, c) for c in table.features])])
        places = dict(zip(table.features, starts.tolist(), strict=False))
        self.places_ = [places[c] for c in self.spread_]
        self.width_ = int(starts[-1])
        self.__dict__.pop("_held", None)
        return self

    def _flags(self, table: Table) -> set[str]:
        if not self.columns_:
            return set()
        column = lambda c: pl.col(c).cast(pl.Float64)
        two = [
            ((column(c) == column(c).min()) | (column(c) == column(c).max())).all().alias(c)
            for c in self.columns_
        ]
        row = table.frame.select(two).collect().row(0, named=True)
        return {c for c, only in row.items() if only}

    def augment(
        self, batch: tuple[torch.Tensor, ...], generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Return the batch with noise added; the batch that came in is not changed.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
            X of shape (n_rows, n_features), floating-point.
        generator : torch.Generator, optional
            Of the batch's device; all noise comes from it. None: torch's own.
        """
        import torch

        X, *rest = batch
        if X.ndim != 2 or X.shape[1] != self.width_:
            raise StageError(
                f"augment.jitter: was fitted on {self.width_} columns, but the batch has the shape "
                f"{tuple(X.shape)}. Fit it on the columns the batches are made of."
            )
        if not X.is_floating_point():
            raise StageError(
                f"augment.jitter: the batch holds {X.dtype}; noise needs floating-point numbers."
            )
        if not self.places_:
            return batch
        places, scale = self._on(X)
        shape = (len(X), len(self.places_))
        noise = torch.randn(shape, generator=generator, device=X.device, dtype=X.dtype).mul_(scale)
        return (X.index_add(1, places, noise), *rest)

    def _on(self, X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return places and noise levels on the batch's device: copied there once, not once per batch."""
        import torch

        held: dict[Any, tuple[torch.Tensor, torch.Tensor]] = self.__dict__.setdefault("_held", {})
        key = (X.device, X.dtype, self.share)
        if key not in held:
            levels = [self.share * s for s in self.spread_.values()]
            held[key] = (
                torch.tensor(self.places_, device=X.device),
                torch.tensor(levels, device=X.device, dtype=X.dtype),
            )
        return held[key]


def _width(table: Table, name: str) -> int:
    """Return how many columns of a batch a column becomes: a vector, as many as it is wide."""
    dtype = table.schema[name]
    if isinstance(dtype, pl.Array):
        return int(dtype.size)
    if isinstance(dtype, pl.List):
        return int(table.frame.select(pl.col(name).list.len().max()).collect().item() or 0)
    return 1
