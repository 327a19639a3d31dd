"""Put some features of another row in each row, and mix the labels by how many."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt

from tilth.core.plan import RowPlan
from tilth.core.stage import Selection
from tilth.stages.batches import Augmentation, Within, rectangles
from tilth.stages.expanding import ALONE, Making
from tilth.statistics.partners import symmetric_beta
from tilth.table import Table

if TYPE_CHECKING:
    import torch


class AugmentCutmix(Augmentation):
    """Put some of another row's features in each row of a batch, and mix the labels by how many those are.

    Learns
        Where columns stand in a batch, which of them are one feature, and how many classes the target has.
    Training
        A share s is drawn from Beta(alpha, alpha), and about 1 - s of the features are taken from a partner.
        Cells are taken as they are, so that codes stay codes and missing cells missing. One feature are the
        columns of a vector, the one-hot columns ``city=Oslo``, ``city=Rome`` that `encode.category` makes,
        and a column with the mark of its missing cells, ``age_missing``: one-hot columns stay one-hot. Class
        codes become shares of each class, of shape (n_rows, n_classes), as
        ``torch.nn.functional.cross_entropy`` takes them, and numbers are mixed, by the share of the features
        that a row kept.

        In batches of images, of shape (n_rows, channels, height, width), a rectangle of the partner is put in
        the same place. It has the image's aspect and 1 - s of its area; its middle is anywhere, what lies
        beyond the edge is cut off, and labels are mixed by the area that is left.

        With `expand`, a row of two classes comes out twice, once of each, weighted by the shares: a table
        holds one label per row, and for any weighted loss it is the loss of the mixed label. Partners are of
        the row's own group, if there are groups; rows without a label stay out of it.
    Weights
        Mixed by the share of the features. With `expand`, a model that takes no weights counts both rows of
        two classes in full: choose one that does, or label='keep'.
    Cost
        One draw of a row and one choice per cell, on the batch's device.
    Scaling
        Exact for any partition; with `expand` it needs all rows.

    Parameters
    ----------
    alpha : float, > 0
        Of Beta(alpha, alpha): 1 makes all shares alike likely.
    block : {'random', 'contiguous'}
        Which features are taken: each by itself with probability 1 - s, or neighbors in the order of columns,
        round((1 - s) n) of n. Of images it is always a rectangle.
    label : {'mix', 'keep'}
        Mix labels, or keep the row's own.
    per : {'row', 'batch'}
        Draw the features for each row, or once for the batch; of rows that `expand` makes, always for each.
    within : {'all', 'class'}
        Where a partner may come from: any row, or one of the same class.
    n_classes : int, >= 2, optional
        Classes of the batches' codes; by default as many as the target has that it is fitted on.
    on : selection, optional
        The columns that may be taken, by default all; the share of a row counts the others as kept. Of
        images: the column they come from.
    expand : float, >= 0
        Above 0, add so many rows per row to the training table, once, instead of changing batches.
    random_state : int
        Seed of the rows that `expand` makes; batches are drawn by the loader's.

    Findings
        augment.alone : with `expand`, rows had no partner in their group or class, and were copied.

    Raises
        StageError : the batch is of another width than the table.
        DataError : within='class', and the target has no classes; with `expand`, the table holds images.

    Source
        Yun, Han, Oh, Chun, Choe and Yoo, "CutMix: Regularization Strategy to Train Strong Classifiers with
        Localizable Features", ICCV 2019, section 3.1; features stand for the pixels of its box, if
        there are no pixels. The tests compare shares and moments with its formulas.

    Examples
    --------
    >>> import polars as pl, torch
    >>> stage = AugmentCutmix().fit(pl.DataFrame({"a": [0.0, 1.0], "b": [0.0, 1.0]}), ["no", "yes"])
    >>> X, y = stage.augment((torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])))
    >>> bool((y[:, 1] == X.mean(dim=1)).all())
    True
    """

    finds: ClassVar = ALONE
    of_images: ClassVar = True

    def __init__(
        self,
        *,
        alpha: Annotated[float, Gt(0)] = 1.0,
        block: Literal["random", "contiguous"] = "random",
        label: Literal["mix", "keep"] = "mix",
        per: Literal["row", "batch"] = "row",
        within: Within = "all",
        n_classes: Annotated[int, Ge(2)] | None = None,
        on: Selection = None,
        expand: Annotated[float, Ge(0)] = 0,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.block = block
        self.label = label
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
            {"block": "contiguous", "per": "batch", "alpha": 0.5, "n_classes": 2},
            {"expand": 1},
            {"expand": 0.5, "block": "contiguous", "label": "keep", "within": "class", "random_state": 3},
        ]

    def augment(self, batch: Any, generator: torch.Generator | None = None) -> tuple[torch.Tensor, ...]:
        """Return the batch with features exchanged; the batch that came in is not changed.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
            X of shape (n_rows, n_columns), or of images, (n_rows, channels, height, width); y class
            codes, shares of classes, or numbers.
        generator : torch.Generator, optional
            Of the batch's device; all draws come from it. None: torch's own.
        """
        import torch

        X = self.enter(batch)
        if not self.concerns(X):
            return tuple(batch)
        draw = lambda *shape: torch.rand(shape, generator=generator, device=X.device)
        if X.ndim == 4:
            return self._cut(batch, draw)
        draws = draw(self._draws, len(X) if self.per == "row" else 1)
        partner = self.pools(batch, self.within).others(draw(len(X)), torch)
        place = torch.arange(self.n_blocks, device=X.device)
        taken = self._exchanged(draws, place, torch)
        kept = 1 - taken.sum(1) / self.features_
        # The feature after the last stands for the columns that are never taken.
        cells = torch.nn.functional.pad(taken, (0, 1)).index_select(1, self.block_of(X))
        roles = self.mixed_roles(batch, partner, kept, labels=self.label == "mix")
        return (torch.where(cells, X.index_select(0, partner), X), *roles)

    def _cut(self, batch: Any, draw: Callable[..., torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """Put a rectangle of another image in each; it is cut off at the edges, and its area there counts."""
        import torch

        X = batch[0]
        draws = draw(6, len(X) if self.per == "row" else 1)
        partner = self.pools(batch, self.within).others(draw(len(X)), torch)
        side = (1 - symmetric_beta(self.alpha, draws[:4], torch)).sqrt()
        (height, width), (down, across) = X.shape[2:], draws[4:]
        tall, wide = (side * height).floor(), (side * width).floor()
        top = (down * height).floor() - (tall / 2).floor()
        left = (across * width).floor() - (wide / 2).floor()
        inside = rectangles(top, tall, left, wide, X)
        kept = 1 - inside.sum(dim=(1, 2, 3)) / (height * width)
        roles = self.mixed_roles(batch, partner, kept, labels=self.label == "mix")
        return (torch.where(inside, X[partner], X), *roles)

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made of which."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        mixes, by_class = self.label == "mix", self.within == "class"
        making = Making.of(self, table, self.expand, labeled=mixes, by_class=by_class)
        making.tell_alone()
        draws = np.stack([making.draw(number) for number in range(self._draws + 1)])
        taken = self._exchanged(draws[:-1], np.arange(self.n_blocks), np)
        partner = making.partners(draws[-1])
        kept = np.where(partner == making.rows, 1.0, 1 - taken.sum(1) / self.features_)
        at = np.where(taken, partner[:, None], making.rows[:, None])
        return making.plan(
            making.gathered(at, self.blocks_),
            np.column_stack([making.rows, partner]),
            np.column_stack([kept, 1 - kept]),
            mix_labels=mixes,
            why="given features of another row",
        )

    @property
    def _draws(self) -> int:
        return 5 if self.block == "contiguous" else 4 + self.n_blocks

    def _exchanged(self, draws: Any, place: Any, xp: Any) -> Any:
        """Choose the features that are taken, of shape (n_rows, n_blocks).

        Parameters
        ----------
        draws : array or Tensor of shape (n_draws, n_rows), in [0, 1)
        place : array or Tensor of shape (n_blocks,)
            0, 1, 2 ...
        """
        share = 1 - symmetric_beta(self.alpha, draws[:4], xp)
        if self.block == "random":
            return share[:, None] > draws[4:].T
        count = xp.round(share * len(place))[:, None]
        start = xp.floor(draws[4][:, None] * (len(place) - count + 1))
        return (place >= start) & (place < start + count)
