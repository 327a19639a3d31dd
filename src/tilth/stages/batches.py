"""What stages that augment share: where columns stand in a batch, and what a batch must be; on its device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.batch import BatchStage
from tilth.errors import StageError
from tilth.statistics.partners import Pools
from tilth.table import Table

if TYPE_CHECKING:
    import torch

Within = Literal["class", "all"]
MISSING = "_missing"
"""What impute.simple adds to a column's name to name the mark of its missing cells."""


class Augmentation(BatchStage):
    """Know where each feature stands in a batch, and change the rows of batches.

    A feature is one column, or columns that say something only together: a vector; the one-hot columns
    ``city=Oslo``, ``city=Rome``, as `encode.category` names them; a column and the mark ``age_missing`` of
    its missing cells.

    Attributes
    ----------
    width_ : int
        Columns of a batch.
    places_ : dict of column to int
        Where each begins in a batch.
    features_ : int
        How many features there are.
    blocks_ : dict of column to int
        For the columns that are worked on, the number of their feature, from 0 on.
    n_classes_ : int or None
        Different labels in the target, unless it is of fractions.
    """

    width_: int
    places_: dict[str, int]
    features_: int
    blocks_: dict[str, int]
    n_classes_: int | None
    on: Any

    floating: ClassVar[bool] = False
    """It computes with the cells, so that they must be floating-point numbers."""
    of_images: ClassVar[bool] = False
    """It changes batches of images, too."""

    def learn(self, table: Table) -> None:
        """Learn where columns stand, which belong together, and how many classes there are."""
        names = table.features
        starts = np.cumsum([0, *(_width(table, c) for c in names)]).tolist()
        self.places_ = dict(zip(names, starts, strict=False))
        self.width_ = starts[-1]
        self.features_ = len({_feature(c, names) for c in names})
        numbered: dict[str, int] = {}
        chosen = set(self.columns_)
        self.blocks_ = {
            c: numbered.setdefault(_feature(c, names), len(numbered)) for c in names if c in chosen
        }
        target = table.y
        fractions = target is None or target.dtype.is_float() or target.dtype.is_decimal()
        self.n_classes_ = None if target is None or fractions else target.drop_nulls().n_unique()
        self.__dict__.pop("_held", None)

    @property
    def n_blocks(self) -> int:
        """Count the features that are worked on."""
        return len(set(self.blocks_.values()))

    def block_of(self, X: torch.Tensor) -> torch.Tensor:
        """Return the number of the feature of each column of a batch; the next one if it is not worked on."""

        def numbers() -> np.ndarray:
            widths = np.diff([*self.places_.values(), self.width_])
            return np.repeat([self.blocks_.get(c, self.n_blocks) for c in self.places_], widths)

        return self.held(X, "block", numbers)

    def held(self, X: torch.Tensor, key: Any, make: Callable[[], Any]) -> torch.Tensor:
        """Return what `make` makes as a tensor on the batch's device: copied once, not once per batch."""
        import torch

        kept: dict[Any, torch.Tensor] = self.__dict__.setdefault("_held", {})
        if (X.device, key) not in kept:
            kept[X.device, key] = torch.as_tensor(make(), device=X.device)
        return kept[X.device, key]

    def enter(self, batch: Any) -> torch.Tensor:
        """Return the features of a batch.

        Raises
        ------
        StageError
            If the stage is not fitted or adds rows instead, or the batch is of another shape or type than it
            works on.
        """
        self.refuse_rows()
        if batch[0].ndim == 4:
            if not self.of_images:
                raise StageError(
                    f"{self.key}: works on rows of columns, and the batch holds images, of shape "
                    f"{tuple(batch[0].shape)}. Use augment.images, augment.pixels, augment.mixup or "
                    "augment.cutmix."
                )
            return image_batch(self, batch, floating=self.floating)
        if not hasattr(self, "width_"):
            raise StageError(
                f"{self.key}: is not fitted, and does not know the columns of a batch. Fit it on them, with "
                "the target; a pipeline's loader does so."
            )
        X: torch.Tensor = batch[0]
        if X.ndim != 2 or X.shape[1] != self.width_:
            raise StageError(
                f"{self.key}: was fitted on {self.width_} columns, but the batch has the shape "
                f"{tuple(X.shape)}. Fit it on the columns the batches are made of."
            )
        if self.floating and not X.is_floating_point():
            raise StageError(
                f"{self.key}: the batch holds {X.dtype}, and it computes with floating-point numbers. "
                "Convert the features: X.float()."
            )
        return X

    def concerns(self, X: torch.Tensor) -> bool:
        """Tell whether `on` left it anything to change: columns, or the images of the batch as a whole."""
        return bool(X.ndim == 4 and self.on is None) or bool(getattr(self, "columns_", X.ndim == 4))

    def pools(self, batch: Any, within: Within) -> Pools:
        """Put the rows of a batch in pools in which they may take one another's cells.

        Raises
        ------
        StageError
            If rows of one class are asked for, and the batch has no classes.
        """
        import torch

        X, y = batch[0], batch[1] if len(batch) > 1 else None
        codes = torch.zeros(len(X), dtype=torch.int64, device=X.device)
        if within == "class":
            if y is None or (y.is_floating_point() and y.ndim == 1):
                raise StageError(
                    f"{self.key}: within='class' needs the classes of the rows, and the batch has "
                    f"{'no target' if y is None else 'a target of numbers'}. Use within='all'."
                )
            codes = y.argmax(dim=1) if y.is_floating_point() else y.to(torch.int64)
        return Pools.of(codes, torch.argsort(codes, stable=True), torch)

    def mixed_roles(
        self, batch: Any, partner: torch.Tensor, share: torch.Tensor, labels: bool = True
    ) -> Iterable[torch.Tensor]:
        """Return target and weight, as far as a batch has them, mixed with a partner's.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
        partner : Tensor of shape (n_rows,), int64
        share : Tensor of shape (n_rows,) or (1,)
            The row's own share.
        labels : bool
            False leaves the target as it is.
        """
        X, *roles = batch
        for place, values in enumerate(roles):
            if place > 0 or labels:
                values = values if place else self._as_shares(values, X)
                own = share.to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
                yield own * values + (1 - own) * values.index_select(0, partner)
            else:
                yield values

    def _as_shares(self, y: torch.Tensor, X: torch.Tensor) -> torch.Tensor:
        """Return class codes as shares of each class, of shape (n_rows, n_classes); numbers as they are."""
        import torch

        if y.is_floating_point():
            return y
        classes = getattr(self, "n_classes", None) or getattr(self, "n_classes_", None)
        if classes is None:
            raise StageError(
                f"{self.key}: the batch holds class codes, and how many classes there are is not known. "
                "Fit the stage with the target, or give n_classes."
            )
        shares = torch.nn.functional.one_hot(y.to(torch.int64), classes)
        return shares.to(X.dtype if X.dtype == torch.float64 else torch.float32)


def concerns_images(stage: Any, batch: Any) -> bool:
    """Tell whether a stage changes a batch: not where `on` left it no column, or there is no image."""
    columns = getattr(stage, "columns_", None)
    return bool(columns or columns is None or (stage.on is None and batch[0].ndim == 4))


def tell_no_image(stage: Any) -> None:
    """Report that a stage which changes images finds none in its table, unless that was asked for."""
    if not stage.columns_ and stage.on is None:
        told = "There is no column of images, and nothing is changed. With embed.images, give keep: true."
        stage.report("augment.no_image", told, 0.0, severity="low")


def image_batch(stage: Any, batch: Any, *, floating: bool) -> torch.Tensor:
    """Return the images of a batch.

    Raises
    ------
    StageError
        If they are not of shape (n_rows, channels, height, width), or of whole numbers where `floating`.
    """
    X: torch.Tensor = batch[0]
    last = X.ndim == 4 and X.shape[3] in (1, 3) and X.shape[1] > 4
    if X.ndim != 4 or last:
        todo = (
            "Put the channels before the rows: X.permute(0, 3, 1, 2)." if last else "Pass batches of images."
        )
        raise StageError(
            f"{stage.key}: changes images of shape (n_rows, channels, height, width), and the batch has the "
            f"shape {tuple(X.shape)}. {todo}"
        )
    if floating and not X.is_floating_point():
        raise StageError(
            f"{stage.key}: the batch holds {X.dtype}, and it computes with floating-point numbers. "
            "Convert the images: X.float()."
        )
    return X


def rectangles(
    top: torch.Tensor, tall: torch.Tensor, left: torch.Tensor, wide: torch.Tensor, X: torch.Tensor
) -> torch.Tensor:
    """Mark a rectangle in each image, cut off at its edges.

    Parameters
    ----------
    top, tall, left, wide : Tensor of shape (n_rows,) or (1,)
        In pixels.
    X : Tensor of shape (n_rows, channels, height, width)

    Returns
    -------
    Tensor of shape (n_rows, 1, height, width) or (1, 1, height, width), bool
    """
    import torch

    rows, columns = (torch.arange(side, device=X.device) for side in X.shape[2:])
    down = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    across = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    return down[:, None, :, None] & across[:, None, None, :]


def _feature(name: str, names: list[str]) -> str:
    """Return the name of the feature that a column belongs to."""
    base = name.removesuffix(MISSING)
    name = base if base in names else name
    before, sign, _ = name.partition("=")
    return f"{before}=" if before and sign else name


def _width(table: Table, name: str) -> int:
    """Return how many columns of a batch a column becomes: a vector, as many as it is wide."""
    dtype = table.schema[name]
    if isinstance(dtype, pl.Array):
        return int(dtype.size)
    if isinstance(dtype, pl.List):
        return int(table.frame.select(pl.col(name).list.len().max()).collect().item() or 0)
    return 1
