"""The stage that acts on batches, in a loader; or, for models without one, on rows."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils.metaestimators import available_if

from tilth.core.plan import refuse_images
from tilth.core.stage import PlanningStage
from tilth.errors import StageError
from tilth.table import Table


class BatchStage(PlanningStage):
    """Change batches of training rows, every epoch anew; called by the loader, on its device.

    An author writes `learn` and `augment`. A stage with the parameter `expand` may, where that is above 0,
    add rows instead, once, as a row stage does: then `plan` is asked, and the loader leaves it out.

    Attributes
    ----------
    per_image : bool
        It changes single images, by `augment_image`, in the threads that decode them and before there is a
        batch; a loader of images calls that, and then `augment` of all stages on the batch.
    """

    per_image: ClassVar[bool] = False

    @property
    def on_rows(self) -> bool:
        """Tell whether it acts on rows, once, or on batches."""
        expand = getattr(self, "expand", 0)
        return isinstance(expand, int | float | np.number) and bool(expand > 0)

    def learn(self, table: Table) -> None:
        """Learn from the rows that batches are made of."""

    def augment(self, batch: Any, generator: Any) -> Any:
        """Return the changed batch; all randomness comes from `generator`."""
        return batch

    def augment_image(self, pixels: np.ndarray, *, row: int, epoch: int, label: Any = None) -> np.ndarray:
        """Return one changed image; randomness is keyed by the seed, the row and the epoch.

        It is called from several threads at a time, in any order.

        Parameters
        ----------
        pixels : ndarray of shape (height, width, channels), uint8
            Not changed.
        row : int
            The id of the row.
        epoch : int
            From 0.
        label : scalar, optional
            The row's class as the target holds it, not its code.

        Returns
        -------
        ndarray of the same shape, uint8
        """
        return pixels

    def for_batches(self, table: Table) -> Self:
        """Learn from the rows that a loader makes batches of."""
        self.refuse_rows()
        self.fit_table(table)
        return self

    def refuse_rows(self) -> None:
        """Raise where the stage was asked to add rows: it does not change batches as well."""
        if self.on_rows:
            raise StageError(
                f"{self.key}: with expand above 0 it adds rows when a pipeline is fitted, and changes no "
                "batches. Make it a step of the pipeline, or leave expand at 0."
            )

    def fit_table(self, table: Table) -> Any:
        """Learn; return the stage, or the plan of one that acts on rows."""
        self._begin(table)
        self.learn(table)
        if not self.on_rows:
            return self
        if getattr(self, "on", None) is None:
            refuse_images(table, self.key)
        return self.plan(table).check_for(table, self.key)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn from the rows that batches are made of; a stage that acts on rows plans, and reports."""
        if self.on_rows:
            return super().fit(X, y, sample_weight, groups)
        self.fit_table(self._enter(X, y, reset=True, sample_weight=sample_weight, groups=groups))
        return self

    @available_if(lambda self: self.on_rows)
    def fit_resample(self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> Any:
        """Return the training rows with those that the stage makes; see `RowStage`."""
        return super().fit_resample(X, y, sample_weight, groups)
