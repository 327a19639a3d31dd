"""Repeat rows of the rarer classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.stages.classes import Classes, report_imbalance
from tilth.stages.made_rows import is_flag, shifted
from tilth.stages.ratios import Ratio, more_rows
from tilth.statistics import hash_rows, uniform
from tilth.statistics.synthesis import apportion, normal, smoothing
from tilth.table import Table


class BalanceOver(RowStage):
    """Repeat rows of the rarer classes until each has enough, as they are or with noise.

    Learns
        Nothing.
    Training
        Every class smaller than ``ratio`` times the largest is repeated to exactly that many rows
        (rounded down). All its rows are taken equally often, to within one; which are taken once
        more is drawn by seed and row id. No row is dropped; rows without a label are left alone. A
        copy keeps its row's label, weight and group, and has a row id of its own, so that `augment.images`
        changes each copy of an image in another way.

        With `shrinkage` a copy is a new row, whose parent is the row: its numbers are moved by normal noise
        (a smoothed bootstrap). Whole numbers are rounded and stay in the range of their column; numbers
        that are only ever 0 or 1, missing and infinite cells, and all columns not chosen stay as they are.
    Weights
        Kept with their rows; not used to choose rows or to count classes.
    Cost
        O(rows log rows).
    Scaling
        Needs the class of every row; draws do not depend on the rows' order or partition.

    Repeating rows shifts the class frequencies that a model sees, and so its probabilities: see
    `correct_prior`.

    Parameters
    ----------
    ratio : float in (0, 1], 'equal' or dict of class to int
        Rows of each smaller class per row of the largest; 'equal' is 1; or how many rows a class is to have.
    shrinkage : float, >= 0
        Width of the noise, as a multiple of the width that is best for normally distributed numbers (which
        grows with the numbers there are and shrinks with the rows of the class), in standard deviations of
        the class; 0: exact copies.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).
    random_state : int
        Seed of the draws.
    on : selection, optional
        The numbers that noise moves; by default all. Where none are left, and `shrinkage` is above 0, no row
        is made.

    Findings
        balance.classes : a class is smaller than `ratio` asks for; score: smallest / largest.

    Raises
        DataError : the target holds values, not classes; `ratio` names no class, or fewer rows than it has;
        with `shrinkage`, the table holds images.

    Source
        Menardi and Torelli, "Training and assessing classification rules with imbalanced data", Data Mining
        and Knowledge Discovery 28 (2014), section 3.2 (ROSE). Peer: imbalanced-learn's
        ``RandomOverSampler``, whose class counts the tests equal; it draws rows independently, so that by
        chance some stay single while others are taken many times, and it takes the width of the noise for
        the rows of all classes, not for those of the class.

    Examples
    --------
    >>> import polars as pl
    >>> X, y = BalanceOver().fit_resample(pl.DataFrame({"a": [1, 2, 3, 4]}), ["no", "no", "no", "yes"])
    >>> X["a"].to_list()
    [1, 2, 3, 4, 4, 4]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {"balance.classes": "a class is much smaller than the largest"}
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True

    def __init__(
        self,
        *,
        ratio: Ratio = "equal",
        shrinkage: Annotated[float, Ge(0)] = 0.0,
        correct_prior: bool = True,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.ratio = ratio
        self.shrinkage = shrinkage
        self.correct_prior = correct_prior
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"ratio": 0.5, "random_state": 7},
            {"ratio": {"yes": 90}, "shrinkage": 1.0, "correct_prior": False},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Say how often each row is taken."""
        classes = Classes.of(table.need("target", self.key), self.key)
        counts, wanted = classes.counts, more_rows(classes, self.ratio, self.key)
        if (self.on is not None and not self.columns_) or not (wanted > counts).any():
            return RowPlan.keep_all(table.height)
        report_imbalance(self, classes)
        times = np.ones(table.height, np.int64)
        reason = np.full(table.height, "", dtype=object)
        draws = hash_rows(self.random_state, table.ids)
        for code in np.flatnonzero(wanted > counts):
            rows = np.flatnonzero(classes.codes == code)
            times[rows] = apportion(int(wanted[code]), np.ones(len(rows)), draws[rows])
            reason[rows[times[rows] > 1]] = (
                f"class '{classes.names[code]}' has {len(rows)} rows of {counts.max()}"
            )
        if self.shrinkage == 0 or not self.columns_:
            return RowPlan(times, reason=reason)
        return self._smoothed(table, classes, times, reason)

    def _smoothed(self, table: Table, classes: Classes, times: np.ndarray, reason: np.ndarray) -> RowPlan:
        """Make a row beside its parent of each copy."""
        more = times - 1
        base = np.repeat(np.arange(table.height), more)
        turn = np.arange(len(base)) - np.repeat(np.cumsum(more) - more, more)
        keys = hash_rows(self.random_state, table.ids[base] ^ hash_rows(self.random_state, turn, epoch=1))
        frame, codes = table.X(), classes.codes
        moved = [c for c in self.columns_ if not is_flag(frame[c])]
        width = self.shrinkage * np.array([smoothing(max(n, 1), len(moved)) for n in classes.counts])

        def shift(name: str) -> np.ndarray:
            spread = _spread(frame[name], codes, len(width))
            draws = uniform(self.random_state, keys, epoch=2 + frame.columns.index(name))
            return normal(draws) * (width * spread)[codes[base]]

        label = classes.levels.gather(codes[base]).alias(str(table.roles.target))
        return RowPlan(
            np.ones(table.height, np.int64),
            reason=reason,
            fresh=shifted(frame, moved, base, shift).with_columns(label),
            parents=base[:, None],
            shares=np.ones((len(base), 1)),
        )


def _spread(column: pl.Series, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the standard deviation of a column in each class, over its finite cells; 0 for none."""
    number = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    parts = [pl.Series(number[(codes == code) & np.isfinite(number)]) for code in range(n_classes)]
    spread = np.array([part.std(ddof=0) or 0.0 for part in parts], dtype=np.float64)
    return np.where(np.isfinite(spread), spread, 0.0)
