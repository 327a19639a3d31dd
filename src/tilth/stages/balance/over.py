"""Repeat rows of the rarer classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage
from tilth.stages.classes import Classes
from tilth.statistics import hash_rows
from tilth.table import Table


class BalanceOver(RowStage):
    """Repeat rows of the rarer classes until each has a given share of the largest.

    Learns
        Nothing.
    Training
        Every class smaller than ``ratio`` times the largest is repeated to exactly that many rows
        (rounded down). All its rows are taken equally often, to within one; which are taken once
        more is drawn by seed and row id. No row is dropped; rows without a label are left alone. A
        copy keeps its row's label, weight and group.
    Weights
        Kept with their rows; not used to choose rows or to count classes.
    Cost
        O(rows log rows).
    Scaling
        Needs the class of every row; draws do not depend on the rows' order or partition.

    Repeating rows shifts the class frequencies that a model sees, and so its probabilities: ranking
    stays about as good, calibration does not. Recalibrate before reading them as probabilities.

    Parameters
    ----------
    ratio : float in (0, 1], or 'equal'
        Rows of each smaller class per row of the largest; 'equal' is 1.
    random_state : int
        Seed of the draws.

    Findings
        balance.classes : a class is smaller than `ratio` times the largest; score: smallest / largest.

    Raises
        DataError : the target holds values, not classes.

    Source
        Peer: imbalanced-learn's ``RandomOverSampler``, whose class counts the tests equal; it draws rows
        independently, so that by chance some stay single while others are taken many times.

    Examples
    --------
    >>> import polars as pl
    >>> X, y = BalanceOver().fit_resample(pl.DataFrame({"a": [1, 2, 3, 4]}), ["no", "no", "no", "yes"])
    >>> X["a"].to_list()
    [1, 2, 3, 4, 4, 4]
    """

    finds: ClassVar = {"balance.classes": "a class is much smaller than the largest"}
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        ratio: Annotated[float, Gt(0), Le(1)] | Literal["equal"] = "equal",
        random_state: int = 0,
    ) -> None:
        self.ratio = ratio
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"ratio": 0.5, "random_state": 7}]

    def plan(self, table: Table) -> RowPlan:
        """Say how often each row is taken."""
        classes = Classes.of(table.need("target", self.key), self.key)
        counts, codes = classes.counts, classes.codes
        times = np.ones(table.height, np.int64)
        reason = np.full(table.height, "", dtype=object)
        if not counts.sum():
            return RowPlan(times)
        ratio = 1.0 if self.ratio == "equal" else float(self.ratio)
        wanted = int(ratio * counts.max())
        draws = hash_rows(self.random_state, table.ids)
        for code in np.flatnonzero(counts < wanted):
            rows = np.flatnonzero(codes == code)
            often, more = divmod(wanted, len(rows))
            times[rows] = often
            times[rows[np.argsort(draws[rows], kind="stable")[:more]]] += 1
            reason[rows[times[rows] > 1]] = (
                f"class '{classes.names[code]}' has {len(rows)} rows of {counts.max()}"
            )
        if (counts < wanted).any():
            self._tell(classes)
        return RowPlan(times, reason=reason)

    def _tell(self, classes: Classes) -> None:
        counts = classes.counts
        small, large = int(counts.argmin()), int(counts.argmax())
        names = classes.names
        self.report(
            "balance.classes",
            f"Class '{names[small]}' has {counts[small]} rows, class '{names[large]}' {counts[large]}.",
            float(counts[small] / counts[large]),
            severity="medium" if counts[small] < 0.1 * counts[large] else "low",
            n_rows=int(counts[small]),
            remedy={"balance.weight": {}},
        )
