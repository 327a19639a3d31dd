"""A network that the one trainer trains on the columns of a table: scaled numbers, one-hot categories."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.errors import DataError
from tilth.probes.inputs import Inputs
from tilth.probes.model import Matrix, Vector
from tilth.probes.neural import Neural, fitted, on_batches
from tilth.table import ROW, Roles, Table

if TYPE_CHECKING:
    import torch

    from tilth.training import Adversary

ROWS, EPOCHS = 256, 100
"""Of a batch, and of a training, where a probe has none of its own."""


class OfTables(Neural):
    """Train a network on a matrix, and ask it about one; the probe says how the network begins."""

    scale: str | None
    max_categories: int
    batch_size: int | None
    max_epochs: int | None
    validation_share: float

    @abstractmethod
    def _begin(self, few: Any, seed: int) -> torch.nn.Module:
        """Return the untrained network for rows such as these, which are as it is to get them."""

    def _adversary(self) -> Adversary | None:
        """Return what moves training rows against the network; here nothing does."""
        return None

    def _inputs(self) -> Inputs:
        return Inputs(scale=self.scale, max_categories=self.max_categories, dtype="float32")

    def _learn(
        self,
        matrix: Matrix,
        target: NDArray[Any],
        weight: Vector | None,
        ids: NDArray[np.uint64] | None = None,
        augment: Sequence[Any] = (),
    ) -> None:
        from tilth.training import Trainer

        if len(matrix) < 2:
            raise DataError(
                f"{type(self).__name__} needs at least 2 rows; found 1 sample (n_samples = {len(matrix)})."
            )
        seed = self._seed()
        stages = fitted(augment, self._as_table(matrix, target, ids)) if augment else []
        trainer = Trainer(
            self._begin(matrix, seed),
            "cross_entropy" if self.task_ == "classification" else "squared_error",
            batch_size=self.batch_size or ROWS,
            max_epochs=self.max_epochs or EPOCHS,
            validation_share=self.validation_share,
            random_state=seed,
            augment=on_batches(stages, seed),
            adversary=self._adversary(),
            watch=self._watch,
            **self._options(),
        )
        self._keep(trainer.fit(matrix, self._standardized(target, weight), weight))

    def _as_table(self, matrix: Matrix, target: NDArray[Any], ids: NDArray[np.uint64] | None) -> Table:
        """Return the rows as the network sees them, for stages to learn from."""
        # As the stages name them: a mark belongs to its column.
        names = [name.replace(" is missing", "_missing") for name in self.inputs_.names_]
        names = names if len(set(names)) == len(names) else self.inputs_.names_
        frame = pl.DataFrame(matrix, schema=names).with_columns(pl.Series(ROW, ids, dtype=pl.UInt64))
        label = "target" if "target" not in names else f"{max(names, key=len)} target"
        return Table.of(frame.with_columns(pl.Series(label, target)), roles=Roles(target=label))

    def _answer(self, matrix: Matrix) -> Matrix:
        from tilth.training import outputs, threads

        with threads(self.n_jobs):
            return self._from_outputs(outputs(self.network_, matrix))
