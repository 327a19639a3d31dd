"""Rows of the rarer classes made between neighbors: the plan of every stage that does so."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from tilth.core.plan import RowPlan, refuse_images
from tilth.core.stage import RowStage
from tilth.errors import TilthWarning
from tilth.stages import bases
from tilth.stages.bases import Bases, Rows
from tilth.stages.classes import Classes, report_imbalance
from tilth.stages.growing import Labeled, Made
from tilth.stages.made_rows import interpolated
from tilth.stages.ratios import Ratio, more_rows
from tilth.stages.reading import in_hashed_order, learn_columns, readable
from tilth.table import Table

Method = Literal["regular", "borderline-1", "borderline-2", "svm", "kmeans", "adasyn"]
Scale = Literal["standard", "none"]

FINDS: dict[str, str] = {
    "balance.classes": "a class is much smaller than the largest",
    "balance.few": "a class has too few rows for so many neighbors",
    "balance.alone": "rows without a neighbor were repeated",
    "balance.method": "a method found no rows to make others from",
}
"""What a stage that plans by `Smoting` may report."""
ALL_LEVELS = 2**62


@dataclass(frozen=True)
class Smoting:
    """Plan rows that lie between others of their class; for the parameters see `balance.smote`.

    Parameters
    ----------
    stage : RowStage
        Fitted as far as its columns; it reports, so its `finds` hold `FINDS`.
    """

    stage: RowStage
    ratio: Ratio = "equal"
    method: Method = "regular"
    k: int = 5
    m: int = 10
    clusters: int = 8
    scale: Scale = "standard"
    device: str = "cpu"
    random_state: int = 0

    def plan(self, table: Table) -> RowPlan:
        """Say which rows are made, and of which."""
        key = self.stage.key
        classes = Classes.of(table.need("target", key), key)
        more = more_rows(classes, self.ratio, key) - classes.counts
        if self.stage.on is None and more.any():
            refuse_images(table, key)
        if not readable(self.stage, table, "can be compared") or not more.any():
            return RowPlan.keep_all(table.height)
        report_imbalance(self.stage, classes)
        grown = np.flatnonzero(more)
        order, labeled = self._labeled(table, classes, grown)
        made = Made.joined([self._grow(labeled, classes, int(code), int(more[code])) for code in grown])
        times = np.ones(table.height, np.int64) + np.bincount(order[made.copied], minlength=table.height)
        reason = self._reason(order, labeled, classes, made, table.height)
        if made.copied.size:
            self._tell_alone(times, int(more.sum()))
        if not made.base.size:
            return RowPlan(times, reason=reason)
        fresh = self._fresh(table, classes, order, labeled, made)
        return RowPlan(times, reason=reason, fresh=fresh, parents=order[made.parents], shares=made.shares)

    def _labeled(self, table: Table, classes: Classes, grown: np.ndarray) -> tuple[np.ndarray, Labeled]:
        """Read the rows that matter to the classes that grow, in the order of their hashed ids."""
        ids, codes, group = table.ids, classes.codes, table.role("group")
        order = in_hashed_order(ids)
        # Sums are taken in this order too: a last digit may decide which of two rows is nearer.
        rows = table.frame.select(self.stage.columns_).collect()[order]
        reading = learn_columns(rows.lazy(), self.stage.columns_, self.scale, ALL_LEVELS)
        # Neighbors are of the own class; borders, and shares of classes, need all rows.
        own = self.method == "regular" and not reading.categorical.all()
        used = (np.isin(codes, grown) if own else codes >= 0)[order]
        order, matrix = order[used], reading.matrix(rows.filter(pl.Series(used)))
        groups = None
        if group is not None:
            groups = group.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()[order]
        return order, Labeled(reading, matrix, codes[order], ids[order], groups)

    def _grow(self, labeled: Labeled, classes: Classes, code: int, count: int) -> Made:
        """Make `count` rows of a class."""
        own = np.flatnonzero(labeled.labels == code)
        name, k = classes.names[code], min(self.k, len(own) - 1)
        if k < self.k:
            self._tell_few(name, len(own), k)
        chosen = Bases.all_of(len(own))
        partners = np.full((len(own), k), -1, dtype=np.int64)
        if k and labeled.reading.columns:
            rows = labeled.seen_by(own, complete=self.method in ("svm", "kmeans"))
            chosen = self._bases(rows, own, k)
            if not chosen.weight.any():
                self._tell_method(name, len(own))
                chosen = Bases.all_of(len(own))
            if self.method == "borderline-2":
                partners = labeled.partners_of_any_class(rows, own, chosen.weight > 0, k, self.device)
            else:
                partners = labeled.partners(rows, own, chosen.pool, k, self.device)
        return labeled.make(own, chosen, partners, count, self.random_state)

    def _bases(self, rows: Rows, own: np.ndarray, k: int) -> Bases:
        if self.method == "svm":
            return bases.supporting(rows, own, self.m, bases.support_vectors(rows), self.device)
        if self.method == "kmeans":
            return bases.in_clusters(rows, own, k, bases.clusters_of(rows, self.clusters, self.random_state))
        if self.method == "adasyn":
            return bases.by_density(rows, own, self.k, self.device)
        if self.method == "regular":
            return Bases.all_of(len(own))
        return bases.in_danger(rows, own, self.m, self.device)

    def _fresh(
        self, table: Table, classes: Classes, order: np.ndarray, labeled: Labeled, made: Made
    ) -> pl.DataFrame:
        """Write the rows made, with their labels."""
        reading = labeled.reading
        numbers = [c for c, coded in zip(reading.columns, reading.categorical, strict=True) if not coded]
        donors = {name: order[rows] for name, rows in made.donors.items()}
        fresh = interpolated(table.X(), numbers, order[made.base], order[made.other], made.gap, donors)
        label = classes.levels.gather(labeled.labels[made.base])
        return fresh.with_columns(label.alias(str(table.roles.target)))

    def _reason(
        self, order: np.ndarray, labeled: Labeled, classes: Classes, made: Made, height: int
    ) -> np.ndarray:
        """Say of each base why rows were made of it, or why it was repeated."""
        counts, names = classes.counts, classes.names
        told = np.array(
            [f"class '{n}' has {c} rows of {counts.max()}" for n, c in zip(names, counts, strict=True)]
        )
        reason = np.full(height, "", dtype=object)
        for rows, more in ((made.base, ""), (made.copied, "; no neighbor to make rows towards")):
            rows = np.unique(rows)
            reason[order[rows]] = [f"{told[code]}{more}" for code in labeled.labels[rows]]
        return reason

    def _tell_few(self, name: str, rows: int, k: int) -> None:
        told = f"Class '{name}' has {rows} rows, so each has {k} neighbors and not {self.k}."
        if not k:
            told = f"Class '{name}' has one row, which is repeated: there is no other to make rows towards."
        self._warn(told)
        self._tell("balance.few", told, float(rows), "medium", rows, {"balance.weight": {}})

    def _tell_alone(self, times: np.ndarray, added: int) -> None:
        rows, copies = int((times > 1).sum()), int((times - 1).sum())
        told = (
            f"{rows} rows have no neighbor of their class in their group or within reach, and were repeated: "
        )
        told += f"{copies} of {added} rows added are copies."
        self._tell("balance.alone", told, copies / added, "low", rows, None)

    def _tell_method(self, name: str, rows: int) -> None:
        told = f"Method '{self.method}' finds no row of class '{name}' to make others from, "
        told += f"so all {rows} were used."
        self._warn(told)
        self._tell("balance.method", told, float(rows), "low", rows, {"balance.smote": {"method": "regular"}})

    def _warn(self, told: str) -> None:
        warnings.warn(f"{self.stage.key}: {told}", TilthWarning, stacklevel=2)

    def _tell(self, kind: str, told: str, score: float, severity: Any, rows: int, remedy: Any) -> None:
        self.stage.report(kind, told, score, severity=severity, n_rows=rows, remedy=remedy)
