"""Replace some cells of each row by those of other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import Selection
from tilth.stages.batches import Augmentation, Within
from tilth.stages.expanding import ALONE, Making
from tilth.table import Table

if TYPE_CHECKING:
    import torch


class AugmentSwap(Augmentation):
    """Replace each feature of a row, with some probability, by that of another row: SwapNoise.

    Learns
        Where columns stand in a batch, and which of them are one feature.
    Training
        Every feature of every row gets its own draw, and another row to be taken from: its distribution stays
        what it is, within the class if partners are of the class. Cells are taken as they are, so that codes
        stay codes and missing cells missing. One feature are the columns of a vector, the one-hot columns
        ``city=Oslo``, ``city=Rome`` that `encode.category` makes, and a column with the mark of its missing
        cells, ``age_missing``: one-hot columns stay one-hot. Labels are kept.

        With `expand`, rows are made in that way and added. Partners are of the row's own group, if there are
        groups; with within='class', rows without a label stay out of it.
    Weights
        The mean over a row's features of the weights of the rows they come from.
    Cost
        Two draws and one choice per feature, on the batch's device.
    Scaling
        Exact for any partition; with `expand` it needs all rows.

    Parameters
    ----------
    share : float, in (0, 1]
        Probability that a feature is replaced.
    within : {'class', 'all'}
        Where it may come from: rows of the same class, or any row, as for targets of numbers or none.
    on : selection, optional
        The columns that may be replaced, by default all.
    expand : float, >= 0
        Above 0, add so many rows per row to the training table, once, instead of changing batches.
    random_state : int
        Seed of the rows that `expand` makes; batches are drawn by the loader's.

    Findings
        augment.alone : with `expand`, rows had no partner in their group or class, and were copied.

    Raises
        StageError : the batch is of another width than the table, or has no classes and within='class'.
        DataError : within='class', and the target has no classes; with `expand`, the table holds images.

    Source
        Jahrer, first place of Porto Seguro's Safe Driver Prediction (2017), who swapped 15% of the cells;
        Ucar, Hajiramezanali and Edwards, "SubTab: Subsetting Features of Tabular Data for Self-Supervised
        Representation Learning", NeurIPS 2021. The tests compare the share of replaced cells and the moments
        of columns with those that such draws have.

    Examples
    --------
    >>> import polars as pl, torch
    >>> stage = AugmentSwap(share=1.0).fit(pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]}))
    >>> X, y = stage.augment((torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1, 1])))
    >>> X.flatten().tolist()
    [1.0, 0.0, 3.0, 2.0]
    """

    finds: ClassVar = ALONE

    def __init__(
        self,
        *,
        share: Annotated[float, Gt(0), Le(1)] = 0.15,
        within: Within = "class",
        on: Selection = None,
        expand: Annotated[float, Ge(0)] = 0,
        random_state: int = 0,
    ) -> None:
        self.share = share
        self.within = within
        self.on = on
        self.expand = expand
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"share": 1.0, "within": "all", "on": "numeric"},
            {"expand": 1.5, "within": "all", "share": 0.5, "random_state": 3},
            {"expand": 1},
        ]

    def augment(self, batch: Any, generator: torch.Generator | None = None) -> tuple[torch.Tensor, ...]:
        """Return the batch with cells replaced; the batch that came in is not changed.

        Parameters
        ----------
        batch : (X,), (X, y) or (X, y, weight)
            X of shape (n_rows, n_columns); y class codes, shares of classes (the largest is the class), or
            numbers.
        generator : torch.Generator, optional
            Of the batch's device; all draws come from it. None: torch's own.
        """
        import torch

        X = self.enter(batch)
        if not self.columns_:
            return tuple(batch)
        chance, which = torch.rand((2, len(X), self.n_blocks), generator=generator, device=X.device)
        own = torch.arange(len(X), device=X.device)[:, None]
        at = torch.where(chance < self.share, self.pools(batch, self.within).others(which, torch), own)
        # The feature after the last stands for the columns that are never replaced.
        cells = X.gather(0, torch.cat([at, own], dim=1).index_select(1, self.block_of(X)))
        roles = list(batch[1:])
        if len(roles) > 1:
            weight = roles[1]
            roles[1] = weight + (weight[at] - weight[:, None]).sum(dim=1) / self.features_
        return (cells, *roles)

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made of which."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        by_class = self.within == "class"
        making = Making.of(self, table, self.expand, labeled=False, by_class=by_class)
        making.tell_alone()
        blocks = self.n_blocks
        draws = np.stack([making.draw(number) for number in range(2 * blocks)], axis=1)
        own = making.rows[:, None]
        other = making.partners(draws[:, blocks:])
        swapped = (draws[:, :blocks] < self.share) & (other != own)
        at = np.where(swapped, other, own)
        # The replaced features first, as many as the row with most of them has; the row itself fills up.
        most = np.argsort(~swapped, axis=1, kind="stable")[:, : swapped.sum(1).max(initial=0)]
        taken = np.take_along_axis(swapped, most, axis=1) / self.features_
        return making.plan(
            making.gathered(at, self.blocks_),
            np.column_stack([own, np.take_along_axis(at, most, axis=1)]),
            np.column_stack([1 - taken.sum(1), taken]),
            mix_labels=False,
            why="cells replaced by those of other rows",
        )
