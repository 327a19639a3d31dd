"""Add noise to the numbers of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge, Gt

from tilth.core.plan import RowPlan
from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.stages.batches import Augmentation
from tilth.stages.expanding import Making
from tilth.stages.made_rows import shifted
from tilth.statistics import Statistics
from tilth.table import ROW, Table

if TYPE_CHECKING:
    import torch


class AugmentJitter(Augmentation):
    """Add Gaussian noise to numeric features, anew in every batch, in proportion to their spread.

    Learns
        The standard deviation of each column over the rows it is fitted on, and which columns of
        the batch they are. A pipeline's loader fits it on the prepared rows; on its own, fit it
        on the very columns that the batches are made of, in their order.
    Training
        Every cell gets its own draw. Labels, weights, missing cells and the columns of two values (flags,
        one-hot levels) or of one stay as they are. With `expand`, rows are copied with noise, once; whole
        numbers are rounded and stay in their column's range, and numbers that are only ever 0 or 1 stay.
    Weights
        Ignored: the spread describes the values, not how much a row counts.
    Cost
        One draw and one addition per cell, on the batch's device.
    Scaling
        Exact for any partition, to rounding (Chan's merge); with `expand` it needs all rows.

    Parameters
    ----------
    share : float, > 0
        Standard deviation of the noise, as a share of the column's.
    on : selection, optional
        The columns; by default all numeric ones of more than two values. Columns named here get noise
        even if they hold two values.
    expand : float, >= 0
        Above 0, add so many rows per row to the training table, once, instead of changing batches.
    random_state : int
        Seed of the rows that `expand` makes; batches are drawn by the loader's.

    Raises
        DataError : a column holds infinity; with `expand`, the table holds images.
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
    floating: ClassVar = True

    def __init__(
        self,
        *,
        share: Annotated[float, Gt(0)] = 0.1,
        on: Selection = None,
        expand: Annotated[float, Ge(0)] = 0,
        random_state: int = 0,
    ) -> None:
        self.share = share
        self.on = on
        self.expand = expand
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"share": 0.5}, {"expand": 1}, {"expand": 0.5, "on": "numeric", "random_state": 3}]

    def learn(self, table: Table) -> None:
        """Learn each column's spread, and its place in a batch."""
        super().learn(table)
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

        X = self.enter(batch)
        if not self.spread_:
            return tuple(batch)
        places = self.held(X, "places", lambda: [self.places_[c] for c in self.spread_])
        scale = self.held(X, (X.dtype, self.share), self._levels).to(X.dtype)
        shape = (len(X), len(places))
        noise = torch.randn(shape, generator=generator, device=X.device, dtype=X.dtype).mul_(scale)
        return (X.index_add(1, places, noise), *batch[1:])

    def _levels(self) -> list[float]:
        return [self.share * s for s in self.spread_.values()]

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made, and with which noise."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        making = Making.of(self, table, self.expand, labeled=False, by_class=False)
        number = {name: 2 * place for place, name in enumerate(self.spread_)}

        def noise(name: str) -> np.ndarray:
            # Box and Muller's transform of two uniform draws.
            size, angle = making.draw(number[name]), 2 * np.pi * making.draw(number[name] + 1)
            return self.share * self.spread_[name] * np.sqrt(-2 * np.log1p(-size)) * np.cos(angle)

        fresh = shifted(making.table.X(), list(number), making.rows, noise)
        one = np.ones((len(making.rows), 1))
        why = "copied with noise added"
        return making.plan(fresh, making.rows[:, None], one, mix_labels=False, why=why)
