"""A stage made of stages that it chooses for the data: what `scale.auto` and `encode.auto` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import polars as pl
from sklearn.utils.metaestimators import available_if

from tilth.core.parameters import spoken
from tilth.core.stage import ColumnStage
from tilth.errors import StageError
from tilth.stages import stage
from tilth.statistics import Statistics
from tilth.table import Table


class Composed(ColumnStage):
    """Choose column stages by what the rows are like, and do what they do, one after another.

    An author writes `choose`. Each stage is fitted on what those before it left of the rows. Of what they
    find, that is reported which the author declares in `finds`.

    Attributes
    ----------
    parts_ : list of ColumnStage
        The fitted stages.
    """

    parts_: list[ColumnStage]

    def choose(self, statistics: Statistics) -> list[tuple[str, dict[str, Any]]]:
        """Return the key and the parameters of each stage, ``on`` among them."""
        raise NotImplementedError

    @property
    def lines_(self) -> list[dict[str, dict[str, Any]]]:
        """Return what was chosen, as lines of a recipe."""
        return [{part.key: spoken(part)} for part in self.parts_]

    @property
    def fused(self) -> bool:  # type: ignore[override]
        """Tell whether all that was chosen is expressions."""
        return all(part.fused for part in getattr(self, "parts_", ()))

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell what the inverse of all gives back."""
        exact = all(part.restores == "exactly" for part in getattr(self, "parts_", ()))
        return "exactly" if exact else "nearly"

    @property
    def cross_fits(self) -> bool:  # type: ignore[override]
        """Tell whether any of what was chosen does."""
        return any(part.cross_fits for part in getattr(self, "parts_", ()))

    def learn(self, statistics: Statistics) -> None:
        """Choose the stages."""
        made = [stage(key, **parameters) for key, parameters in self.choose(statistics)]
        self.parts_ = [part for part in made if isinstance(part, ColumnStage)]
        if len(self.parts_) < len(made):
            raise StageError(
                f"{self.key}: chose a stage that does not change columns (a fault of the stage)."
            )

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Choose stages, and fit each on what those before it left."""
        super().fit_table(shards)
        for part in self.parts_:
            part.fit_table(shards)
            shards = [shard.with_frame(part.change_training(shard.frame)) for shard in shards]
            if not part.fused:
                shards = [shard.collect() for shard in shards]
            for found in part.findings_:
                if found.kind in self.finds:
                    self._add(replace(found, stage=self.key))
        return self

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Do what the stages do to new rows."""
        for part in self.parts_:
            frame = part.change(frame)
        return frame

    def change_training(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Do what the stages do to the rows that were learned from."""
        for part in self.parts_:
            frame = part.change_training(frame)
        return frame

    @available_if(lambda self: all(hasattr(part, "invert") for part in getattr(self, "parts_", ())))
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Undo what the stages did, the last one first."""
        for part in reversed(self.parts_):
            frame = part.inverted(frame)
        return frame
