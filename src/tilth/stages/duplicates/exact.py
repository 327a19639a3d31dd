"""Find rows that are the same, and leave one of them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.stages.grouping import joined_groups
from tilth.table import ROW, Table

COUNT, FIRST, LABELS, AGREE = "__count__", "__first__", "__labels__", "__agree__"


class DuplicatesExact(RowStage):
    """Drop, down-weight or group rows that repeat another row cell by cell.

    Learns
        Nothing.
    Training
        'drop' leaves one row of each set of equal rows, or none; 'weight' gives each the weight
        1 / (rows in its set), so that a set counts as one row. 'group' makes one group of it, so that
        splits and folds keep copies on one side: without groups each row gets one, named by the smallest
        id in it; groups that copies tie together become one. Missing cells equal each other.
    Weights
        Kept with their rows; 'weight' multiplies them.
    Cost
        O(rows) in memory: one grouping by the columns compared.
    Scaling
        Needs all rows in one place. Does not depend on their order: the row of the smallest id is
        the first, and ids are positions in the source unless a key column is named.

    Parameters
    ----------
    target : bool
        Rows are equal only if their labels are, too. With False, a row whose label contradicts
        that of the first goes as well.
    keep : {'first', 'none'}
        For 'drop': which row of a set stays.
    action : {'drop', 'weight', 'group', 'report'}
        What is done; 'report' leaves the rows as they are.
    on : selection, optional
        The columns compared; by default all features.

    Findings
        duplicates.exact : rows repeat an earlier row; score: their share of all rows.
        duplicates.conflict : rows of the same features have different labels; score: their share.

    Source
        Peer: pandas' ``DataFrame.duplicated``; the tests compare row by row.

    Examples
    --------
    >>> import polars as pl
    >>> X, y = DuplicatesExact().fit_resample(pl.DataFrame({"a": [1, 2, 1, 1]}), [0, 0, 0, 1])
    >>> X["a"].to_list(), y.tolist()
    ([1, 2, 1], [0, 0, 1])
    """

    finds: ClassVar = {
        "duplicates.exact": "rows repeat an earlier row",
        "duplicates.conflict": "rows of the same features have different labels",
    }
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        target: bool = True,
        keep: Literal["first", "none"] = "first",
        action: Literal["drop", "weight", "group", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.target = target
        self.keep = keep
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"keep": "none", "target": False},
            {"action": "weight"},
            {"action": "group", "target": False},
            {"action": "report"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Group equal rows, and say which go."""
        label = table.roles.target
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        same = [*self.columns_, label] if self.target and label is not None else self.columns_
        asked = [
            pl.col(ROW),
            pl.len().over(same).cast(pl.Int64).alias(COUNT),
            pl.col(ROW).min().over(same).alias(FIRST),
        ]
        if label is not None:
            asked.append(pl.col(label).drop_nulls().n_unique().over(self.columns_).alias(LABELS))
            asked.append((pl.len().over([*self.columns_, label]) / pl.len().over(self.columns_)).alias(AGREE))
        sets = table.frame.select(asked).collect()
        ids, count, first = (sets[c].to_numpy() for c in (ROW, COUNT, FIRST))
        repeats = ids != first
        self._tell(ids, count, repeats)
        if label is not None:
            self._tell_conflicts(ids, sets)
        gone = count > 1 if self.keep == "none" else repeats
        reason = np.full(table.height, "", dtype=object)
        treated = count > 1 if self.action == "weight" else gone
        reason[treated] = [
            f"same as row {f}" if r else f"one of {n} equal rows"
            for f, r, n in zip(first[treated], repeats[treated], count[treated], strict=True)
        ]
        times = np.where(gone & (self.action == "drop"), 0, 1).astype(np.int64)
        weight = 1 / count if self.action == "weight" else None
        group = None
        if self.action == "group":
            group = joined_groups(table, np.unique(first, return_inverse=True)[1])
        return RowPlan(times, weight=weight, group=group, reason=reason, score=1 / count)

    def _tell(self, ids: np.ndarray, count: np.ndarray, repeats: np.ndarray) -> None:
        if not repeats.any():
            return
        share = float(repeats.mean())
        sets = int(((count > 1) & ~repeats).sum())
        self.report_rows(
            "duplicates.exact",
            f"{int(repeats.sum())} of {len(ids)} rows ({share:.1%}) repeat an earlier row, "
            f"in {sets} sets; the largest has {int(count.max())} rows.",
            ids[repeats],
            1 / count[repeats],
            score=share,
            severity="medium" if share > 0.01 else "low",
            columns=tuple(self.columns_),
            remedy={"duplicates.exact": {}},
        )

    def _tell_conflicts(self, ids: np.ndarray, sets: pl.DataFrame) -> None:
        torn = (sets[LABELS] > 1).to_numpy()
        if not torn.any():
            return
        share = float(torn.mean())
        self.report_rows(
            "duplicates.conflict",
            f"{int(torn.sum())} of {len(ids)} rows ({share:.1%}) have the features of a row "
            "with another label.",
            ids[torn],
            sets[AGREE].to_numpy()[torn],
            score=share,
            severity="high" if share > 0.01 else "medium",
            columns=tuple(self.columns_),
            remedy={"labels.conflicts": {}},
        )
