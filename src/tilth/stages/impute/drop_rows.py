"""Leave out training rows that miss too many of their cells."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError, listed
from tilth.table import Table


class ImputeDropRows(RowStage):
    """Drop or down-weight training rows of which more than a share of the cells is missing.

    Learns
        Nothing: each row is judged by itself. Rows to predict are never dropped.
    Training
        'drop' leaves these rows out; 'weight' gives them their share of known cells as weight.
    Weights
        Kept with their rows; 'weight' multiplies them.
    Cost
        One scan.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    share : float, in [0, 1]
        A row is treated if the share of its cells that is missing is larger; 0 treats all rows with a gap.
    action : {'drop', 'weight', 'report'}
        What is done; 'report' leaves the rows as they are.
    on : selection, optional
        The columns whose cells are counted; by default all features. The target is not one of them.

    Findings
        missing.rows : rows miss too many cells; score: their share of all rows.

    Raises
        DataError : no row would be left.

    Source
        Listwise deletion, limited by a share; it biases what is learned unless cells are missing
        completely at random (Rubin, "Inference and missing data", Biometrika 63, 1976). Peer: pandas'
        ``DataFrame.dropna(thresh=...)``; the tests compare the rows that are left.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1, None, None], "b": [1, 2, None], "c": [1, 2, None]})
    >>> X, y = ImputeDropRows().fit_resample(rows, [0, 1, 0])
    >>> X["b"].to_list(), y.tolist()
    ([1, 2], [0, 1])
    """

    finds: ClassVar = {"missing.rows": "rows miss too many of their cells"}

    def __init__(
        self,
        *,
        share: Annotated[float, Ge(0), Le(1)] = 0.5,
        action: Literal["drop", "weight", "report"] = "drop",
        on: Selection = None,
    ) -> None:
        self.share = share
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"share": 0.2},
            {"share": 0.2, "action": "weight"},
            {"share": 0.2, "action": "report"},
            {"share": 0.0, "on": "categorical"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Count the gaps of each row, and say which rows go."""
        if not self.columns_:
            return RowPlan.keep_all(table.height)
        gaps = table.frame.select(pl.col(c).is_null() for c in self.columns_).collect()
        counts = gaps.sum_horizontal().cast(pl.Int64).to_numpy()
        known = 1 - counts / len(self.columns_)
        poor = counts / len(self.columns_) > self.share
        if poor.all() and self.action == "drop":
            raise DataError(
                f"impute.drop_rows: each row misses more than {self.share:.0%} of its {len(self.columns_)} "
                "cells, so none would be left. Raise `share`, or count other columns (`on`)."
            )
        self._tell(table.ids, known, poor)
        times = np.where(poor & (self.action == "drop"), 0, 1).astype(np.int64)
        weight = np.where(poor, known, 1.0) if self.action == "weight" else None
        return RowPlan(times, weight=weight, reason=self._reasons(gaps, poor), score=known)

    def _reasons(self, gaps: pl.DataFrame, poor: np.ndarray) -> np.ndarray:
        names = np.array(self.columns_, dtype=object)
        reasons = np.full(len(poor), "", dtype=object)
        told = (names[row] for row in gaps.filter(pl.Series(poor)).to_numpy())
        reasons[poor] = [f"misses {len(gone)} of {len(names)} cells: {listed(gone, 5)}" for gone in told]
        return reasons

    def _tell(self, ids: np.ndarray, known: np.ndarray, poor: np.ndarray) -> None:
        if not poor.any():
            return
        rows = float(poor.mean())
        self.report_rows(
            "missing.rows",
            f"{int(poor.sum())} of {len(ids)} rows ({rows:.1%}) miss more than {self.share:.0%} "
            f"of {len(self.columns_)} cells; the poorest has {known.min():.0%} of them.",
            ids[poor],
            known[poor],
            score=rows,
            severity="medium" if rows > 0.05 else "low",
            columns=tuple(self.columns_),
            remedy={"impute.drop_rows": {"share": self.share, "action": "weight"}},
        )
