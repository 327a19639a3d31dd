"""Where a fitted pipeline goes: into a training loop, onto disk, back into a recipe."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from tilth.bundles import Bundle, Step, write
from tilth.core import BatchStage, Finding, Ledger, apply, conform, replay
from tilth.core.lineage import Learned
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.model import needs_numbers
from tilth.pipeline.steps import Steps
from tilth.recipes import Recipe
from tilth.table import Roles, Table

if TYPE_CHECKING:
    from tilth.loaders import TableDataset, TableLoader


class Leaving(Steps):
    """Hand on what a pipeline has prepared and learned."""

    schema_: dict[str, str]
    roles_: Roles
    ledger_: Ledger
    findings_: list[Finding]
    learned_: Learned | None
    decisions_: Decisions

    def loader(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        training: bool = True,
        augment: Any = (),
        **options: Any,
    ) -> TableLoader:
        """Feed prepared rows to a training loop.

        Parameters
        ----------
        X, y, sample_weight, groups
            Rows; with `training`, those that were given to `fit`.
        training : bool
            True: rows, labels and weights as the row stages left them, shuffled anew each epoch,
            augmented by the pipeline's batch stages that did not add rows already. False: all rows as they
            come.
        augment : BatchStage or sequence of BatchStage
            Further batch stages; they learn from the prepared rows.
        **options
            As in `tilth.loaders.TableLoader`: batch_size, device, random_state ...

        Raises
        ------
        DataError
            If a column is no number (the stage that would make it one is named), or the rows are
            not those of `fit`.
        StageError
            If a stage to augment with adds rows (`expand`), which is done when a pipeline is fitted.
        """
        from tilth.loaders import TableLoader

        table = self._rows(X, y, sample_weight, groups, training)
        extra = [augment] if isinstance(augment, BatchStage) else list(augment)
        batch_stages: list[Any] = []
        if training:
            own = [clone(s) for _, s in self.stages_ if isinstance(s, BatchStage) and not s.on_rows]
            batch_stages = [s.for_batches(table) if isinstance(s, BatchStage) else s for s in [*own, *extra]]
        told: dict[str, Any] = {"shuffle": training, "augment": batch_stages} | options
        return TableLoader(table.X(), table.y, weight=table.role("weight"), **told)

    def dataset(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, groups: Any = None, training: bool = True
    ) -> TableDataset:
        """Return prepared rows as a map-style dataset, for those who bring their own DataLoader."""
        from tilth.loaders import TableDataset

        table = self._rows(X, y, sample_weight, groups, training)
        return TableDataset(table.X(), table.y, weight=table.role("weight"))

    def _rows(self, X: Any, y: Any, sample_weight: Any, groups: Any, training: bool) -> Table:
        check_is_fitted(self)
        table = Table.of(X, y, sample_weight=sample_weight, groups=groups)
        table = conform(table, self.schema_, "Pipeline")
        if training:
            table = replay(self.stages_, table, self.ledger_)
        else:
            table = table.with_frame(apply(self.stages_, table.frame))
        table = table.collect()
        needs_numbers(table.X(), "A loader")
        return table

    def to_recipe(self, **sections: Any) -> Recipe:
        """Return the recipe of the stages; the model is not part of it.

        Once the pipeline is fitted, a stage that chose among others is written as the one it chose.

        Parameters
        ----------
        **sections
            The other sections: data, loader, bench, output.
        """
        came_to = {n: made for n, s in getattr(self, "stages_", ()) if (made := s.concrete()) is not s}
        return Recipe.of([(n, came_to.get(n, s)) for n, s in self.stages_named()], **sections)

    @classmethod
    def from_recipe(cls, recipe: Recipe | str | Path) -> Self:
        """Build the pipeline of a recipe, or of a recipe file."""
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.read(recipe)
        return cls(recipe.build())

    def save(self, folder: str | Path) -> Path:
        """Save the fitted pipeline to a folder, without pickle; an older bundle there is replaced.

        Raises
        ------
        BundleError
            If the folder holds something else, or a part cannot be saved without running code.
        """
        check_is_fitted(self)
        steps = [Step.of(name, stage) for name, stage in self.stages_]
        facts = {
            "schema": self.schema_,
            "roles": self.roles_.named(),
            "names": hasattr(self, "feature_names_in_"),
            "model_name": self.named_steps()[-1][0] if self.model_ is not None else None,
            "learned": self.learned_ and asdict(self.learned_),
            "prior": self.decisions_.prior,
        }
        recipe = (
            self.to_recipe().to_yaml() if all(getattr(s, "recipe", True) for _, s in self.stages_) else ""
        )
        return write(Bundle(recipe, steps, self.model_, facts, self.ledger_), Path(folder))
