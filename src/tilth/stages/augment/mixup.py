"""Mix each row with another, features and labels alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt

from tilth.core.plan import RowPlan
from tilth.core.stage import Selection
from tilth.stages.batches import Augmentation, Within
from tilth.stages.expanding import ALONE, Making
from tilth.statistics.partners import symmetric_beta
from tilth.table import Table

if TYPE_CHECKING:
    import torch


class AugmentMixup(Augmentation):
    """Mix each row of a batch with another, and their labels in the same proportion.

    Learns
        Where columns stand in a batch, and how many classes the target has.
    Training
        A row becomes s times itself plus 1 - s times its partner, s drawn from Beta(alpha, alpha). Class
        codes become shares of each class, of shape (n_rows, n_classes), as torch's ``cross_entropy`` takes
        them; numbers are mixed. One-hot columns become shares, flags fractions, and codes of categories
        numbers that are no code: encode categories as one-hot columns, or leave their codes out by `on`. A
        cell missing or infinite in one of the two rows is that of the row with the larger share.

        Batches of images, of shape (n_rows, channels, height, width), are mixed pixel by pixel.

        With `expand`, whole numbers and dates are rounded, and 0/1 numbers, categories, texts, booleans and
        vectors are those of the row with the larger share. A table holds one label per row: of two classes,
        the mixed row comes out twice, once of each, weighted by s and 1 - s, which for any weighted loss is
        the loss of the mixed label. Numbers in the target are mixed. Partners are of the row's own group, if
        there are groups; rows without a label stay out of it.
    Weights
        Mixed like the rows. With `expand`, a model that takes no weights counts
        both rows of two classes in full: choose one that does, or within='class'.
    Cost
        One draw of a row and one multiplication per cell, on the batch's device.
    Scaling
        Exact for any partition; with `expand` it needs all rows.

    Parameters
    ----------
    alpha : float, > 0
        Of Beta(alpha, alpha): small values keep rows near one of the two, 1 makes all shares alike likely.
    per : {'row', 'batch'}
        Draw a share for each row, or one for the batch; of rows that `expand` makes, always for each.
    within : {'all', 'class'}
        Where a partner may come from: any row, or one of the same class, which leaves labels as they are.
    n_classes : int, >= 2, optional
        Classes of the batches' codes; by default as many as the target has that it is fitted on.
    on : selection, optional
        The columns to mix, by default all; others are the row's own. Of images: the column they come from.
    expand : float, >= 0
        Above 0, add so many rows per row to the training table, once, instead of changing batches.
    random_state : int
        Seed of the rows that `expand` makes; batches are drawn by the loader's.

    Findings
        augment.alone : with `expand`, rows had no partner in their group or class, and were copied.

    Raises
        StageError : the batch is of another width than the table, or of whole numbers.
        DataError : within='class', and the target has no classes; with `expand`, the table holds images.

    Source
        Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section
        2. The tests compare moments of rows and labels with its formulas, and SciPy's Beta distribution.

    Examples
    --------
    >>> import polars as pl, torch
    >>> stage = AugmentMixup(alpha=1.0).fit(pl.DataFrame({"a": [0.0, 1.0]}), ["no", "yes"])
    >>> X, y = stage.augment((torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])))
    >>> bool((y[:, 1:] == X).all()), y.sum(dim=1).tolist()
    (True, [1.0, 1.0])

    In a training loop:

    >>> import tilth
    >>> rows, labels = pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]}), ["no", "no", "yes", "yes"]
    >>> pipe = tilth.Pipeline([tilth.ScaleStandard()]).fit(rows, labels)
    >>> network = torch.nn.Linear(1, 2)
    >>> for X, y in pipe.loader(rows, labels, augment=tilth.AugmentMixup(), device="cpu"):
    ...     torch.nn.functional.cross_entropy(network(X), y).backward()
    """

    finds: ClassVar = ALONE
    floating: ClassVar = True
    of_images: ClassVar = True

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)] = 0.2,
        per: Literal["row", "batch"] = "row",
        within: Within = "all",
        n_classes: Annotated[int, Ge(2)] | None = None,
        on: Selection = None,
        expand: Annotated[float, Ge(0)] = 0,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.per = per
        self.within = within
        self.n_classes = n_classes
        self.on = on
        self.expand = expand
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"per": "batch", "alpha": 1.0, "n_classes": 2},
            {"expand": 1},
            {"expand": 1.5, "within": "class", "on": "numeric", "random_state": 3},
        ]

    def augment(self, batch: Any, generator: torch.Generator | None = None) -> tuple[torch.Tensor, ...]:
        """Return the mixed batch; the batch that came in is not changed.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
            X of shape (n_rows, n_columns), or of images, (n_rows, channels, height, width),
            floating-point; y class codes, shares of classes, or numbers.
        generator : torch.Generator, optional
            Of the batch's device; all draws come from it. None: torch's own.
        """
        import torch

        X = self.enter(batch)
        if not self.concerns(X):
            return tuple(batch)
        draw = lambda *shape: torch.rand(shape, generator=generator, device=X.device)
        share = symmetric_beta(self.alpha, draw(4, len(X) if self.per == "row" else 1), torch)
        partner = self.pools(batch, self.within).others(draw(len(X)), torch)
        own, other = share.to(X.dtype).reshape(-1, *[1] * (X.ndim - 1)), X[partner]
        if X.ndim == 4:
            return (other.lerp_(X, own), *self.mixed_roles(batch, partner, share))
        mixed = own * X + (1 - own) * other
        mixed = torch.where(mixed.isfinite(), mixed, torch.where(own >= 0.5, X, other))
        if len(self.columns_) < len(self.places_):
            mixed = torch.where(self.block_of(X) < self.n_blocks, mixed, X)
        return (mixed, *self.mixed_roles(batch, partner, share))

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made of which."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        making = Making.of(self, table, self.expand, labeled=True, by_class=self.within == "class")
        making.tell_alone()
        share = symmetric_beta(self.alpha, np.stack([making.draw(number) for number in range(4)]), np)
        partner = making.partners(making.draw(4))
        share = np.where(partner == making.rows, 1.0, share)
        return making.plan(
            making.mixed(partner, share),
            np.column_stack([making.rows, partner]),
            np.column_stack([share, 1 - share]),
            mix_labels=True,
            why="mixed with another row",
        )
