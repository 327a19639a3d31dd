"""What stages that add rows to a table share: which row is made of which, and with which label and weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from tilth.core.plan import RowPlan
from tilth.core.stage import Stage
from tilth.errors import DataError
from tilth.stages.cells import codes_of
from tilth.stages.made_rows import interpolated
from tilth.statistics import hash_rows, key_of, uniform
from tilth.statistics.partners import Pools
from tilth.table import Table, kind_of

ALONE = {"augment.alone": "rows had no partner, and were copied"}


@dataclass(frozen=True)
class Making:
    """Hold which rows are made of which.

    Draws depend on the seed, the id of the row and how many rows were made of it before: not on the order
    of the rows.

    Parameters
    ----------
    stage : Stage
        With `random_state`, and `columns_` that it works on.
    table : Table
        In memory.
    rows : ndarray of shape (n_made,), int64
        The row that each is made of, in the order of row ids.
    words : ndarray of shape (n_made,), uint64
        A word of its own for each, that draws are keyed by.
    pools : Pools
        The rows that may be partners.
    usable : ndarray of shape (n_usable,), int64
        Their positions in the table.
    """

    stage: Any
    table: Table
    rows: np.ndarray
    words: np.ndarray
    pools: Pools
    usable: np.ndarray

    @classmethod
    def of(cls, stage: Stage, table: Table, expand: float, *, labeled: bool, by_class: bool) -> Making:
        """Say of which rows how many are made, and which rows may be their partners.

        Parameters
        ----------
        expand : float
            Rows made per row. Of a fraction, exactly that share of the rows (rounded) has one more.
        labeled : bool
            Rows without a label are left out, if there is a target at all.
        by_class : bool
            Partners are of the same class.

        Raises
        ------
        DataError
            If classes are needed and the target has none.
        """
        table = table.collect()
        # Two stages of the same seed draw unrelated numbers.
        seed = int(getattr(stage, "random_state", 0)) + int(key_of([stage.key])[0])
        target, ids, group = table.y, table.ids, table.role("group")
        if by_class and (target is None or is_measure(target)):
            raise DataError(
                f"{stage.key}: within='class' needs classes, and the target "
                f"{'is not there' if target is None else f'{target.name!r} holds numbers'}. Use within='all'."
            )
        there = np.ones(table.height, bool) if target is None else target.is_not_null().to_numpy()
        usable = np.flatnonzero(there | (not (labeled or by_class)))
        usable = usable[np.argsort(ids[usable], kind="stable")]
        codes = np.zeros(table.height, np.int64)
        for column in (group, target if by_class else None):
            if column is not None:
                codes = codes * table.height + codes_of(column)
        whole, part = int(expand), expand % 1
        more = np.argsort(hash_rows(seed, ids[usable], whole), kind="stable")[: round(part * len(usable))]
        turns = [*([usable] * whole), usable[np.sort(more)]]
        words = [hash_rows(seed, ids[rows], turn) for turn, rows in enumerate(turns)]
        pools = Pools.of(codes[usable], np.argsort(codes[usable], kind="stable"), np)
        return cls(stage, table, np.concatenate(turns), np.concatenate(words), pools, usable)

    @property
    def places(self) -> np.ndarray:
        """Return the place of each row of `rows` among the usable ones."""
        place = np.zeros(self.table.height, np.int64)
        place[self.usable] = np.arange(len(self.usable))
        return place[self.rows]

    def draw(self, number: int) -> np.ndarray:
        """Draw one number in [0, 1) for each row made; draws of different numbers are unrelated."""
        return uniform(number, self.words)

    def partners(self, draws: np.ndarray) -> np.ndarray:
        """Return for each draw another row of the same pool; the row itself if it is alone.

        Parameters
        ----------
        draws : ndarray of shape (n_made,) or (n_made, n_draws)
        """
        at, pools = self.places, self.pools
        here = Pools(pools.order, pools.first[at], pools.size[at], pools.rank[at])
        return self.usable[here.others(draws, np)]

    def tell_alone(self) -> None:
        """Report the rows that have no partner."""
        alone = np.unique(self.rows[self.pools.size[self.places] == 1])
        if len(alone):
            told = [("group", self.table.roles.group), ("class", self.stage.within == "class")]
            same = " and ".join(word for word, holds in told if holds)
            self.stage.report_rows(
                "augment.alone",
                f"{len(alone):,} rows have no other{same and f' of their {same}'} to mix with: copied.",
                self.table.ids[alone],
                np.zeros(len(alone)),
                score=len(alone) / self.table.height,
                severity="low",
            )

    def gathered(self, at: np.ndarray, block: dict[str, int]) -> pl.DataFrame:
        """Take cells from rows.

        Parameters
        ----------
        at : ndarray of shape (n_made, n_blocks), int64
            The row that the cells of a block come from.
        block : dict of column to int
            For columns that are worked on; others are the row's own.
        """
        frame = self.table.X()
        return frame[self.rows].with_columns(frame[c].gather(at[:, b]) for c, b in block.items())

    def mixed(self, partner: np.ndarray, share: np.ndarray) -> pl.DataFrame:
        """Mix the columns that are worked on: see `interpolated`; its base is the row of the larger share."""
        own = dict.fromkeys(set(self.table.features) - set(self.stage.columns_), self.rows)
        return self._mixed(self.table.X(), partner, share, own)

    def _mixed(
        self, frame: pl.DataFrame, partner: np.ndarray, share: np.ndarray, own: Any = None
    ) -> pl.DataFrame:
        major = share >= 0.5
        ends = np.where(major, self.rows, partner), np.where(major, partner, self.rows)
        mixable = [c for c, dtype in frame.schema.items() if kind_of(dtype) in ("numeric", "datetime")]
        return interpolated(frame, mixable, *ends, np.minimum(share, 1 - share), own)

    def plan(
        self,
        fresh: pl.DataFrame,
        parents: np.ndarray,
        shares: np.ndarray,
        *,
        mix_labels: bool,
        why: str,
    ) -> RowPlan:
        """Give the rows made their labels, and return the plan.

        Parameters
        ----------
        fresh : DataFrame of n_made rows
            The features.
        parents : ndarray of shape (n_made, n_parents), int64
            The row itself first.
        shares : ndarray of shape (n_made, n_parents)
        mix_labels : bool
            Numbers in the target are mixed. A row made of two classes comes out twice, once of each class,
            with the class's share as its weight: any weighted loss is then the loss of the mixed label.
            False: the row's own label.
        why : str
            The reason, for the ledger.
        """
        # A row that nothing was taken of is no parent.
        parents = np.where(shares > 0, parents, parents[:, :1])
        target, weight = self.table.y, None
        if target is not None:
            own = target[self.rows]
            other = target[parents[:, 1]] if mix_labels else own
            if mix_labels and is_measure(target):
                fresh = fresh.hstack(self._mixed(target.to_frame(), parents[:, 1], shares[:, 0]))
            else:
                twin = own.ne_missing(other).to_numpy() & (shares[:, -1] > 0)
                first = np.flatnonzero(~twin | (shares[:, 0] > 0))
                weight = np.concatenate([np.where(twin, shares[:, 0], 1.0)[first], shares[twin, -1]])
                one, two = (fresh.with_columns(label.alias(target.name)) for label in (own, other))
                fresh = pl.concat([one[first], two[np.flatnonzero(twin)]])
                parents = np.concatenate([parents[first], parents[twin][:, ::-1]])
                shares = np.concatenate([shares[first], shares[twin][:, ::-1]])
        if not fresh.height:
            return RowPlan.keep_all(self.table.height)
        reason = np.full(self.table.height, "", dtype=object)
        reason[self.rows] = why
        return replace(
            RowPlan.keep_all(self.table.height),
            reason=reason,
            fresh=fresh,
            parents=parents,
            shares=shares,
            fresh_weight=weight,
        )


def is_measure(target: pl.Series) -> bool:
    """Tell whether a target holds numbers to be predicted, not classes."""
    from tilth.probes.target import task_of

    if not target.dtype.is_numeric():
        return False
    return task_of(target.drop_nulls().cast(pl.Float64).to_numpy()) == "regression"
