"""Where a fitted pipeline goes: into a training loop, onto disk, back into a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import polars as pl
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from tilth.bundles import Bundle, Step, write
from tilth.core import BatchStage, Finding, Ledger, apply, conform, replay
from tilth.core.lineage import Learned
from tilth.errors import DataError, UnknownName, listed
from tilth.pipeline.deciding import Decisions
from tilth.pipeline.model import needs_numbers
from tilth.pipeline.steps import Steps
from tilth.recipes import Recipe
from tilth.table import Roles, Table

if TYPE_CHECKING:
    from tilth.loaders import ImageDataset, ImageLoader, TableDataset, TableLoader


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
        image: str | Literal[False] | None = None,
        **options: Any,
    ) -> TableLoader | ImageLoader:
        """Feed prepared rows to a training loop: numbers, or the images that a column names.

        Images are normalized as `scale.channels` learned, where the pipeline has it and `normalize` does
        not say otherwise; whatever is random about them is keyed by the row's id.

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
        image : str or False, optional
            The column of images to feed; by default the one there is. False: the numbers beside it.
        **options
            As in `tilth.loaders.TableLoader` or, for images, `tilth.loaders.ImageLoader`: batch_size, device,
            random_state, size, fit, cache ...

        Raises
        ------
        DataError
            If a column is no number (the stage that would make it one is named), or the rows are
            not those of `fit`.
        StageError
            If a stage to augment with adds rows (`expand`), which is done when a pipeline is fitted.
        UnknownName
            If an option is not one of the loader.
        """
        from tilth.loaders import ImageLoader, TableLoader

        table, column = self._rows(X, y, sample_weight, groups, training, image)
        extra = [augment] if isinstance(augment, BatchStage) else list(augment)
        batch_stages: list[Any] = []
        if training:
            own = [clone(s) for _, s in self.stages_ if isinstance(s, BatchStage) and not s.on_rows]
            batch_stages = [s.for_batches(table) if isinstance(s, BatchStage) else s for s in [*own, *extra]]
        _check_options(options, TableLoader if column is None else ImageLoader)
        told: dict[str, Any] = {"shuffle": training, "augment": batch_stages} | options
        given: dict[str, Any] = {"target": table.y, "weight": table.role("weight")}
        if column is None:
            return TableLoader(_numbers(table), **given, **told)
        told |= {"ids": table.ids, "normalize": told.get("normalize") or self._normalization(column)}
        return ImageLoader(_paths(table, column), **given, **told)

    def dataset(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        training: bool = True,
        image: str | Literal[False] | None = None,
        **options: Any,
    ) -> TableDataset | ImageDataset:
        """Return prepared rows as a map-style dataset, for those who bring their own DataLoader.

        The parameters are those of `loader`; the options those of `tilth.loaders.TableDataset` or, for
        images, which no batch stage changes here, `tilth.loaders.ImageDataset`.
        """
        from tilth.loaders import ImageDataset, TableDataset

        table, column = self._rows(X, y, sample_weight, groups, training, image)
        _check_options(options, TableDataset if column is None else ImageDataset)
        given: dict[str, Any] = {"target": table.y, "weight": table.role("weight"), **options}
        if column is None:
            return TableDataset(_numbers(table), **given)
        given["normalize"] = options.get("normalize") or self._normalization(column)
        return ImageDataset(_paths(table, column), **given)

    def _normalization(self, column: str) -> Any:
        """Return mean and standard deviation of the colors of a column, where a stage has learned them."""
        for _, stage in self.stages_:
            if stage.key == "scale.channels" and column in stage.mean_:
                return stage.mean_[column], stage.std_[column]
        return None

    def _rows(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        training: bool,
        image: str | Literal[False] | None,
    ) -> tuple[Table, str | None]:
        """Return the prepared rows, and the column of images to feed, or None to feed numbers."""
        check_is_fitted(self)
        table = Table.of(X, y, sample_weight=sample_weight, groups=groups)
        table = conform(table, self.schema_, "Pipeline")
        if training:
            table = replay(self.stages_, table, self.ledger_)
        else:
            table = table.with_frame(apply(self.stages_, table.frame))
        table = table.collect()
        images = _images(table)
        if isinstance(image, str):
            if image not in images:
                raise DataError(
                    f"image='{image}': the prepared rows have no such column of images: {listed(images)}."
                )
            return table, image
        if image is None and images:
            if len(images) > 1:
                raise DataError(
                    f"There are several columns of images: {listed(images)}. Say which: image='...'."
                )
            return table, images[0]
        numbers = _numbers(table)
        if images and not numbers.width:
            raise DataError(
                "image=False: the rows hold nothing but images. embed.images makes numbers of them."
            )
        needs_numbers(numbers, "A loader")
        return table, None

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


def _images(table: Table) -> list[str]:
    return [name for name, kind in table.kinds.items() if kind == "image"]


def _numbers(table: Table) -> pl.DataFrame:
    return table.X().drop(_images(table))


def _paths(table: Table, column: str) -> pl.Series:
    return table.frame.select(column).collect()[column]


def _check_options(options: Iterable[str], of: type) -> None:
    known = set(signature(of).parameters) - {"features", "paths", "target", "weight", "augment", "ids"}
    for name in options:
        if name not in known:
            raise UnknownName.among(f"option of {of.__name__}", name, sorted(known))
