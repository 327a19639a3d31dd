"""Where a fitted pipeline goes: onto disk, and back into a recipe."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from tilth.bundles import Bundle, Step, write
from tilth.core import Finding
from tilth.core.lineage import Learned
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.feeding import Feeding
from tilth.recipes import Recipe


class Leaving(Feeding):
    """Hand on what a pipeline has learned."""

    findings_: list[Finding]
    learned_: Learned | None
    decisions_: Decisions

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
