"""The ledger: what was done to every row and every column, and how to take it back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tilth.core.plan import GROUP, WEIGHT, RowPlan, with_groups
from tilth.errors import BundleError, UnknownName
from tilth.table import ROW, Table
from tilth.table.container import free_name

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIONS = ("dropped", "relabeled", "weighted", "repeated", "added", "grouped")
EVENTS = pl.Schema(
    {
        "stage": pl.String(),
        "row": pl.UInt64(),
        "action": pl.Enum(ACTIONS),
        "reason": pl.String(),
        "score": pl.Float64(),
        "before": pl.String(),
        "after": pl.String(),
        "made": pl.UInt64(),
    }
)
PARENTS = pl.Schema({"stage": pl.String, "made": pl.UInt64, "row": pl.UInt64, "share": pl.Float64})
COLUMNS = pl.Schema({"stage": pl.String, "column": pl.String, "change": pl.String, "cells": pl.Int64})


@dataclass
class Ledger:
    """Keep one event per row that a stage touched, and counts per column.

    Parameters
    ----------
    rows_in, rows_out : int
        Training rows before the first stage and after the last.
    events : DataFrame
        ``stage, row, action, reason, score, before, after, made``. `row` is the row's id; `made` is
        the id of the copy or fresh row that the event made; `after` of a fresh row that counts less, or
        more, than its parents is that factor.
    columns : DataFrame
        ``stage, column, change, cells``: how many cells a stage changed; columns added and removed.
    fresh : dict of stage name to DataFrame
        The rows that a stage made anew.
    parents : DataFrame
        ``stage, made, row, share``: of which rows each fresh row was made, and how much of each.
    """

    rows_in: int = 0
    rows_out: int = 0
    events: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EVENTS))
    columns: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=COLUMNS))
    fresh: dict[str, pl.DataFrame] = field(default_factory=dict)
    parents: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PARENTS))

    @property
    def stages(self) -> list[str]:
        """Name the stages that touched rows, in their order."""
        return self.events["stage"].unique(maintain_order=True).to_list()

    def record_rows(self, stage: str, plan: RowPlan, before: Table, after: Table) -> None:
        """Write down what a plan did to the rows of `before`."""
        ids = before.ids
        made = after.ids
        rows = len(ids)
        take = plan.take
        kept = int((plan.times > 0).sum())
        label = None if before.roles.target is None else before.y
        parts = [
            self._events(stage, ids, plan, np.flatnonzero(plan.times == 0), "dropped", label),
        ]
        if plan.label is not None and label is not None:
            new = plan.label.cast(label.dtype)
            changed = np.flatnonzero((new.is_not_null() & new.ne_missing(label)).to_numpy())
            parts.append(self._events(stage, ids, plan, changed, "relabeled", label, new))
        if plan.weight is not None:
            weights = before.role("weight")
            old = np.ones(rows) if weights is None else weights.cast(pl.Float64).to_numpy()
            changed = np.flatnonzero(plan.weight != 1)
            now = pl.Series(old * plan.weight)
            parts.append(self._events(stage, ids, plan, changed, "weighted", pl.Series(old), now))
        if plan.group is not None:
            given = plan.group.is_not_null()
            group = before.role("group")
            name = plan.group if group is None else plan.group.cast(group.dtype)
            changed = np.flatnonzero(given if group is None else given & name.ne_missing(group))
            parts.append(self._events(stage, ids, plan, changed, "grouped", group, name))
        copies = self._events(stage, ids, plan, take[kept:], "repeated")
        parts.append(copies.with_columns(pl.Series("made", made[kept : len(take)], dtype=pl.UInt64)))
        if plan.fresh is not None and plan.fresh.height:
            anew = made[len(take) :]
            if plan.parents is None:
                added = pl.DataFrame({"stage": stage, "row": anew, "action": "added"})
            else:
                added = self._events(stage, ids, plan, plan.parents[:, 0], "added")
                self._record_parents(stage, ids, plan, anew)
            if plan.fresh_weight is not None and (plan.fresh_weight != 1).any():
                added = added.with_columns(pl.Series("after", plan.fresh_weight).cast(pl.String))
            parts.append(added.with_columns(pl.Series("made", anew, dtype=pl.UInt64)))
            self.fresh[stage] = after.frame.collect()[len(take) :]
        parts = [p.cast({"action": EVENTS["action"]}) for p in parts if p.height]
        self.events = pl.concat([self.events, *parts], how="diagonal_relaxed").select(EVENTS.names())

    def _record_parents(self, stage: str, ids: np.ndarray, plan: RowPlan, made: np.ndarray) -> None:
        """Write down whose rows fresh ones were made of, each parent once."""
        parents = plan.parents
        assert parents is not None
        shares = np.full(parents.shape, 1 / parents.shape[1]) if plan.shares is None else plan.shares
        told = pl.DataFrame(
            {
                "stage": pl.repeat(stage, parents.size, dtype=pl.String, eager=True),
                "made": np.repeat(made, parents.shape[1]),
                "row": ids[parents.ravel()],
                "share": shares.ravel().astype(np.float64),
            },
            schema=PARENTS,
        )
        told = told.group_by("stage", "made", "row", maintain_order=True).agg(pl.col("share").sum())
        self.parents = pl.concat([self.parents, told])

    @staticmethod
    def _events(
        stage: str,
        ids: np.ndarray,
        plan: RowPlan,
        places: np.ndarray,
        action: str,
        before: pl.Series | None = None,
        after: pl.Series | None = None,
    ) -> pl.DataFrame:
        count = len(places)
        reason = [""] * count if plan.reason is None else [str(r) for r in plan.reason[places]]
        score = np.full(count, np.nan) if plan.score is None else plan.score[places].astype(float)
        nothing = pl.Series([None] * count, dtype=pl.String)
        return pl.DataFrame(
            {
                "stage": pl.Series([stage] * count, dtype=pl.String),
                "row": pl.Series(ids[places], dtype=pl.UInt64),
                "action": pl.Series([action] * count, dtype=pl.String),
                "reason": pl.Series(reason, dtype=pl.String),
                "score": pl.Series(score, dtype=pl.Float64).fill_nan(None),
                "before": nothing if before is None else before[places].cast(pl.String),
                "after": nothing if after is None else after[places].cast(pl.String),
                "made": pl.Series([None] * count, dtype=pl.UInt64),
            }
        )

    def record_columns(
        self, stage: str, cells: dict[str, int], added: Sequence[str], gone: Sequence[str]
    ) -> None:
        """Write down how many cells of each column changed, and which columns came and went."""
        rows: list[tuple[str, str, str, int | None]]
        rows = [(stage, c, "changed", n) for c, n in cells.items() if c not in gone]
        rows += [(stage, c, "added", None) for c in added] + [(stage, c, "removed", None) for c in gone]
        self.columns = pl.concat([self.columns, pl.DataFrame(rows, schema=COLUMNS, orient="row")])

    def account(self) -> dict[str, Any]:
        """Return the balance: rows in, minus dropped, plus repeated and added, equals rows out."""
        balanced = self._balance() == self.rows_out
        return {"rows_in": self.rows_in, **self._counts(), "rows_out": self.rows_out, "balanced": balanced}

    def _counts(self) -> dict[str, int]:
        return {a: int((self.events["action"] == a).sum()) for a in ACTIONS}

    def _balance(self) -> int:
        counts = self._counts()
        return self.rows_in - counts["dropped"] + counts["repeated"] + counts["added"]

    def fates(self, table: Table) -> pl.DataFrame:
        """Tell what became of each input row: ``row, fate, stage, reason, copies, relabeled``."""
        of = lambda action: self.events.filter(pl.col("action") == action)
        dropped = of("dropped").select("row", "stage", "reason")
        copies = of("repeated").group_by("row").agg(pl.len().cast(pl.Int64).alias("copies"))
        label = of("relabeled").group_by("row").agg(pl.col("after").last().alias("relabeled"))
        rows = pl.DataFrame({"row": pl.Series(table.ids, dtype=pl.UInt64)})
        joined = rows.join(dropped, on="row", how="left", maintain_order="left")
        joined = joined.join(copies, on="row", how="left", maintain_order="left")
        joined = joined.join(label, on="row", how="left", maintain_order="left")
        fate = pl.when(pl.col("stage").is_null()).then(pl.lit("kept")).otherwise(pl.lit("dropped"))
        return joined.with_columns(fate.alias("fate"), pl.col("copies").fill_null(0)).select(
            "row", "fate", "stage", "reason", "copies", "relabeled"
        )

    def diff(self) -> pl.DataFrame:
        """Count what each stage did: ``stage, action, rows``."""
        return self.events.group_by("stage", "action", maintain_order=True).agg(pl.len().alias("rows"))

    def replay(self, table: Table) -> Table:
        """Do to the rows of `table` what the ledger says was done: cells of features stay as they are."""
        for stage in self.stages:
            table = self.replay_stage(stage, table)
        return table

    def undo(self, stage: str, table: Table) -> Table:
        """Replay everything but one stage: its dropped rows return, labels, weights and groups are as before.

        Parameters
        ----------
        stage : str
            The stage's name in the pipeline.
        table : Table
            The training rows as they were before the first stage.

        Raises
        ------
        UnknownName
            If no stage of this name touched rows.
        """
        return self.without(stage).replay(table)

    def without(self, stage: str) -> Ledger:
        """Return the ledger as if a stage had done nothing to rows."""
        if stage not in self.stages:
            raise UnknownName.among("stage in the ledger", stage, self.stages)
        # Copies and fresh rows of the stage are gone too, with whatever befell or came of them later.
        gone = self.events.filter(pl.col("stage") == stage)["made"].drop_nulls()
        events = self.events.filter(pl.col("stage") != stage)
        parents = self.parents.filter(pl.col("stage") != stage)
        while len(gone):
            of_gone = parents.filter(pl.col("row").is_in(gone.implode()))["made"]
            of_them = pl.col("row").is_in(gone.implode()) | (
                pl.col("made").is_in(of_gone.implode()) & pl.col("made").is_not_null()
            )
            gone = events.filter(of_them)["made"].drop_nulls()
            events = events.filter(~of_them)
        left = events["made"].drop_nulls().implode()
        fresh = {n: rows.filter(pl.col(ROW).is_in(left)) for n, rows in self.fresh.items() if n != stage}
        parents = parents.filter(pl.col("made").is_in(left))
        ledger = replace(self, events=events, fresh=fresh, parents=parents)
        return replace(ledger, rows_out=ledger._balance())

    def replay_stage(self, stage: str, table: Table) -> Table:
        """Do to the rows of `table` what one stage did."""
        of = lambda action: self.events.filter((pl.col("stage") == stage) & (pl.col("action") == action))
        frame, roles = table.frame.collect(), table.roles
        if (new := of("relabeled")).height and roles.target:
            dtype = frame.schema[roles.target]
            label = pl.col("after") == "true" if dtype == pl.Boolean else pl.col("after").cast(dtype)
            labels = new.select(pl.col("row").alias(ROW), label.alias("__new__"))
            frame = frame.join(labels, on=ROW, how="left", maintain_order="left")
            frame = frame.with_columns(pl.coalesce("__new__", roles.target).alias(roles.target)).drop(
                "__new__"
            )
        if (new := of("weighted")).height:
            name = roles.weight or free_name(WEIGHT, frame.columns)
            old, now = (
                pl.col("before").cast(pl.Float64).alias("__old__"),
                pl.col("after").cast(pl.Float64).alias("__new__"),
            )
            frame = frame.join(
                new.select(pl.col("row").alias(ROW), old, now), on=ROW, how="left", maintain_order="left"
            )
            present = pl.col(name).cast(pl.Float64) if roles.weight else pl.lit(1.0)
            # Where an earlier stage was undone, the factor counts, and of a weight of 0 there is none.
            scaled = present * pl.col("__new__") / pl.col("__old__")
            same, unknown = (
                pl.col("__old__") == present,
                pl.col("__new__").is_null() | (pl.col("__old__") == 0),
            )
            weight = pl.when(same).then("__new__").when(unknown).then(present).otherwise(scaled)
            frame = frame.with_columns(weight.alias(name)).drop("__old__", "__new__")
            roles = replace(roles, weight=name)
        if (new := of("grouped")).height:
            names = new.select(pl.col("row").alias(ROW), pl.col("after").alias("__new__"))
            joined = frame.select(ROW).join(names, on=ROW, how="left", maintain_order="left")
            frame, roles = with_groups(frame, roles, joined["__new__"])
        out = frame.join(
            of("dropped").select(pl.col("row").alias(ROW)), on=ROW, how="anti", maintain_order="left"
        )
        if (copies := of("repeated")).height:
            again = copies.select(pl.col("row").alias(ROW), "made").join(
                frame, on=ROW, how="inner", maintain_order="left"
            )
            out = pl.concat([out, again.with_columns(pl.col("made").alias(ROW)).select(out.columns)])
        if stage in self.fresh:
            fresh = self._made_by(stage, out.columns)
            factor = (
                of("added").select(pl.col("made").alias(ROW), pl.col("after").cast(pl.Float64)).drop_nulls()
            )
            if factor.height and roles.weight is None:
                name = free_name(WEIGHT, frame.columns)
                fresh = fresh.join(factor.rename({"after": name}), on=ROW, how="left", maintain_order="left")
                out, roles = out.with_columns(pl.lit(1.0).alias(name)), replace(roles, weight=name)
            out = pl.concat([out, fresh], how="diagonal_relaxed")
        return table.with_frame(out.lazy(), roles)

    def _made_by(self, stage: str, present: Sequence[str]) -> pl.DataFrame:
        """Return the rows that a stage made, without weights and groups of a stage that was undone."""
        fresh = self.fresh[stage]
        made = (WEIGHT.rstrip("_"), GROUP.rstrip("_"))
        return fresh.drop(c for c in fresh.columns if c not in present and c.rstrip("_") in made)

    def save(self, folder: Path) -> None:
        """Write the ledger into an existing folder: events, fresh rows and their parents as Parquet."""
        self.events.write_parquet(folder / "ledger.parquet")
        if self.parents.height:
            self.parents.write_parquet(folder / "ledger-parents.parquet")
        for number, rows in enumerate(self.fresh.values()):
            rows.write_parquet(folder / f"ledger-fresh-{number}.parquet")
        told = {"rows_in": self.rows_in, "rows_out": self.rows_out, "fresh": list(self.fresh)}
        told["columns"] = self.columns.to_dicts()
        (folder / "ledger.json").write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")

    @classmethod
    def read(cls, folder: str | Path) -> Ledger:
        """Read a ledger that `save` wrote.

        Raises
        ------
        BundleError
            If the folder holds none, or a damaged one.
        """
        folder = Path(folder)
        if not (folder / "ledger.json").exists():
            raise BundleError(f"{folder}: holds no ledger (ledger.json). Name the output folder of a run.")
        try:
            told = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
            files = {
                name: folder / f"ledger-fresh-{number}.parquet" for number, name in enumerate(told["fresh"])
            }
            fresh = {name: pl.read_parquet(file) for name, file in files.items()}
            columns = pl.DataFrame(told["columns"], schema=COLUMNS)
            events = pl.read_parquet(folder / "ledger.parquet").cast(EVENTS)
            kin = folder / "ledger-parents.parquet"
            parents = pl.read_parquet(kin).cast(PARENTS) if kin.exists() else pl.DataFrame(schema=PARENTS)
            return cls(told["rows_in"], told["rows_out"], events, columns, fresh, parents)
        except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
            raise BundleError(
                f"{folder}: its ledger is damaged ({type(error).__name__}: {error}). Run again."
            ) from error
