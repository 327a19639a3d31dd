"""RowPlan: what a row stage wants done, as a value that can be looked at before it is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tilth.errors import DataError, StageError
from tilth.statistics import hash_rows, key_of, new_ids
from tilth.table import ROW, Roles, Table
from tilth.table.container import free_name

WEIGHT, GROUP = "__weight__", "__group__"
"""The columns that a plan makes where a table has no such role."""


@dataclass(frozen=True)
class RowPlan:
    """Say for each source row how often it is taken, and with which weight and label.

    Rows go out in a fixed order: those kept, as they came; then the copies; then the fresh rows.

    Parameters
    ----------
    times : ndarray of shape (n_rows,), int64
        0: dropped, 1: kept, more: kept and repeated.
    weight : ndarray of shape (n_rows,), float64, optional
        A factor on the row's weight.
    label : Series of length n_rows, optional
        New labels; null leaves the label as it is.
    group : Series of length n_rows, optional
        New group names; null leaves the group as it is. A table without groups gets them, as text.
    reason : ndarray of str of shape (n_rows,), optional
        Why; empty where nothing is done.
    score : ndarray of shape (n_rows,), float64, optional
        The stage's own measure of each row; NaN where there is none.
    fresh : DataFrame, optional
        Rows made anew: features and target.
    parents : ndarray of shape (n_fresh, n_parents), int64, optional
        Positions of the source rows that each fresh row was mixed from.
    shares : ndarray of shape (n_fresh, n_parents), float64, optional
        How much of each parent; rows sum to 1.
    fresh_weight : ndarray of shape (n_fresh,), float64, optional
        A factor on the weight that each fresh row has from its parents.
    """

    times: np.ndarray
    weight: np.ndarray | None = None
    label: pl.Series | None = None
    group: pl.Series | None = None
    reason: np.ndarray | None = None
    score: np.ndarray | None = None
    fresh: pl.DataFrame | None = None
    parents: np.ndarray | None = None
    shares: np.ndarray | None = None
    fresh_weight: np.ndarray | None = None

    @classmethod
    def keep_all(cls, rows: int) -> RowPlan:
        """Plan to change nothing."""
        return cls(np.ones(rows, np.int64))

    @property
    def take(self) -> np.ndarray:
        """Return the source position of each row that goes out, fresh rows excepted."""
        kept = np.flatnonzero(self.times > 0)
        more = np.maximum(self.times - 1, 0)
        return np.concatenate([kept, np.repeat(np.arange(len(self.times)), more)])

    @property
    def sources(self) -> np.ndarray:
        """Return the source position of each row that goes out; -1 for a fresh row."""
        fresh = 0 if self.fresh is None else self.fresh.height
        return np.concatenate([self.take, np.full(fresh, -1, np.int64)])

    def check(self, stage: str, rows: int) -> RowPlan:
        """Raise where the plan does not fit its table: a mistake of the stage that made it."""
        for name in ("times", "weight", "label", "group", "reason", "score"):
            value = getattr(self, name)
            if value is not None and len(value) != rows:
                raise StageError(
                    f"{stage}: its plan has {len(value)} {name} for {rows} rows (a fault of the stage)."
                )
        if (self.times < 0).any():
            raise StageError(
                f"{stage}: its plan takes a row a negative number of times (a fault of the stage)."
            )
        made = 0 if self.fresh is None else self.fresh.height
        for name in ("parents", "shares", "fresh_weight"):
            value = getattr(self, name)
            if value is not None and len(value) != made:
                raise StageError(
                    f"{stage}: its plan has {len(value)} {name} for {made} fresh rows (a fault of the stage)."
                )
        if (
            self.parents is not None
            and self.parents.size
            and not (0 <= self.parents.min() <= self.parents.max() < rows)
        ):
            raise StageError(f"{stage}: its plan names a parent that is no row (a fault of the stage).")
        return self

    def check_for(self, table: Table, stage: str) -> RowPlan:
        """Raise where the plan does not fit `table`, or makes rows of rows with images.

        Raises
        ------
        DataError
            If it makes rows anew, and the table holds images: a made row has none of its own.
        StageError
            If the stage made a mistake.
        """
        if self.fresh is not None and self.fresh.height:
            refuse_images(table, stage)
        return self.check(stage, table.height)


def refuse_images(table: Table, stage: str) -> None:
    """Raise where a stage that makes rows of others is given images: a made row has none of its own."""
    images = [name for name, kind in table.kinds.items() if kind == "image"]
    if images:
        raise DataError(
            f"{stage}: makes new rows of others, and the table holds images (column '{images[0]}'), of which "
            "a made row would have none of its own. Repeat rows by balance.over (shrinkage: 0), and let "
            "augment.images change each copy in its own way. Or let embed.images put its columns in the "
            "place of the images (keep: false)."
        )


def apply(plan: RowPlan, table: Table, stage: str, seed: int = 0) -> Table:
    """Carry out a plan on every role at once: features, target, weight, group and id move together.

    Copies get an id hashed from their source row, fresh rows one hashed from their parents and
    `seed`. A copy takes the group that its row has now; a fresh row takes the mix of its parents'
    weights, and their group if they agree.

    Raises
    ------
    DataError
        If the parents of a fresh row are of different groups.
    StageError
        If the plan does not fit the table.
    """
    plan.check_for(table, stage)
    frame, roles = table.frame.collect(), table.roles
    if plan.label is not None:
        target = roles.target
        if target is None:
            raise StageError(
                f"{stage}: its plan has labels, but the table has no target (a fault of the stage)."
            )
        new = plan.label.alias("__new__").cast(frame.schema[target])
        frame = frame.with_columns(pl.coalesce(new, pl.col(target)).alias(target))
    if plan.weight is not None and (plan.weight != 1).any():
        name = roles.weight or free_name(WEIGHT, frame.columns)
        present = pl.col(name).cast(pl.Float64) if roles.weight else pl.lit(1.0)
        frame = frame.with_columns((present * pl.Series(plan.weight)).alias(name))
        roles = replace(roles, weight=name)
    if plan.fresh_weight is not None and (plan.fresh_weight != 1).any() and roles.weight is None:
        name = free_name(WEIGHT, frame.columns)
        frame, roles = frame.with_columns(pl.lit(1.0).alias(name)), replace(roles, weight=name)
    if plan.group is not None and plan.group.is_not_null().any():
        frame, roles = with_groups(frame, roles, plan.group)
    take = plan.take
    out = frame[take]
    copies = np.arange(len(take)) >= int((plan.times > 0).sum())
    if copies.any():
        made = _copy_ids(out[ROW].to_numpy(), take, copies, stage)
        made[copies] = _distinct(made[copies], frame[ROW].to_numpy())
        out = out.with_columns(pl.Series(ROW, made))
    if plan.fresh is not None:
        out = pl.concat([out, _fresh(plan, frame, table, roles, stage, seed)], how="diagonal_relaxed")
    return table.with_frame(out.lazy(), roles)


def with_groups(frame: pl.DataFrame, roles: Roles, group: pl.Series) -> tuple[pl.DataFrame, Roles]:
    """Give rows other groups where `group` is not null; without the role, make a column of text for it."""
    if roles.group is None:
        name = free_name(GROUP, frame.columns)
        return frame.with_columns(group.cast(pl.String).alias(name)), replace(roles, group=name)
    new = group.cast(frame.schema[roles.group])
    return frame.with_columns(new.fill_null(frame[roles.group]).alias(roles.group)), roles


def _copy_ids(ids: np.ndarray, take: np.ndarray, copies: np.ndarray, stage: str) -> np.ndarray:
    salt = int(key_of([stage])[0])
    turn = _turns(take)
    made = ids.copy()
    for number in np.unique(turn[copies]):
        these = copies & (turn == number)
        made[these] = new_ids(salt + int(number), ids[these])
    return made


def _turns(values: np.ndarray) -> np.ndarray:
    """Return how often each value stands before its place."""
    order = np.argsort(values, kind="stable")
    first = np.searchsorted(values[order], values[order], side="left")
    turn = np.empty(len(values), np.int64)
    turn[order] = np.arange(len(values)) - first
    return turn


def _distinct(made: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Hash again the ids that are taken: a stage carried out twice would make the same ones."""
    while (again := np.isin(made, taken)).any():
        made = np.where(again, new_ids(1, made), made)
    return made


def _fresh(
    plan: RowPlan, frame: pl.DataFrame, table: Table, roles: Roles, stage: str, seed: int
) -> pl.DataFrame:
    fresh, parents = plan.fresh, plan.parents
    assert fresh is not None
    strange = sorted(set(fresh.columns) - {*table.features, roles.target})
    if strange:
        raise StageError(
            f"{stage}: its fresh rows have columns that the table has not: {strange} (a fault of the stage)."
        )
    count = fresh.height
    ids = frame[ROW].to_numpy()
    mixed = np.zeros(count, dtype=np.uint64)
    if parents is not None:
        for place in range(parents.shape[1]):
            mixed = hash_rows(place, mixed ^ ids[parents[:, place]])
    # Children of the same parents are told apart by their turn, so that no other rows count.
    mixed = hash_rows(0, mixed ^ hash_rows(1, _turns(mixed).astype(np.uint64)))
    columns = [pl.Series(ROW, _distinct(new_ids(seed + int(key_of([stage])[0]), mixed), ids))]
    if roles.weight is not None:
        known = frame[roles.weight].cast(pl.Float64).to_numpy()
        if parents is None:
            mix = np.full(count, known.mean())
        else:
            shares = np.full(parents.shape, 1 / parents.shape[1]) if plan.shares is None else plan.shares
            mix = (known[parents] * shares).sum(axis=1)
        if plan.fresh_weight is not None:
            mix = mix * plan.fresh_weight
        columns.append(pl.Series(roles.weight, mix))
    if roles.group is not None:
        groups = frame[roles.group]
        if parents is None:
            raise DataError(
                f"{stage}: makes rows without parents on record, so they have no group. Drop the group role."
            )
        first = groups[parents[:, 0]]
        if any(groups[other].ne_missing(first).any() for other in parents.T[1:]):
            raise DataError(
                f"{stage}: a fresh row has parents of different groups, so it belongs to none. "
                "Choose a stage that repeats rows (balance.over), or drop the group role."
            )
        columns.append(first.alias(roles.group))
    return fresh.with_columns(columns)
