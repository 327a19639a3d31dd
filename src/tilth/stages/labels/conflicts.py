"""Find rows of equal features whose labels contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError
from tilth.stages.classes import MOST_CLASSES
from tilth.table import Table, kind_of

EPS = 1e-9
"""Shares that differ by less are equal: sums of weights depend on their order in the last bits."""
AT, LABEL, SET, WEIGHT = "__at__", "__label__", "__set__", "__weight__"
TOTAL, COUNT, TORN, AGREE = "__total__", "__count__", "__torn__", "__agree__"
MIDDLE, OFF, TOP, FIRST, BEST = "__middle__", "__off__", "__top__", "__first__", "__best__"


@dataclass(frozen=True)
class Sets:
    """Hold the labeled rows, in sets of equal features, and what each set says.

    Parameters
    ----------
    rows : ndarray of shape (n_labeled,), int64
        Positions of the rows that have a label and a weight.
    place : ndarray of shape (n_labeled,), int64
        The set of each row, as the position of one of its rows.
    size : ndarray of shape (n_labeled,), int64
        How many rows are in the row's set.
    weight : ndarray of shape (n_labeled,), float64
    torn : ndarray of shape (n_labeled,), bool
        The row's set is in conflict.
    agree : ndarray of shape (n_labeled,), float64
        The share of the set's weight that agrees with the row.
    middle : Series of length n_labeled
        The set's majority label, or median.
    off : ndarray of shape (n_labeled,), bool
        The row does not agree with it.
    top : ndarray of shape (n_labeled,), float64
        The share of the set's weight that does; 0 where labels tie.
    """

    rows: np.ndarray
    place: np.ndarray
    size: np.ndarray
    weight: np.ndarray
    torn: np.ndarray
    agree: np.ndarray
    middle: pl.Series
    off: np.ndarray
    top: np.ndarray


class LabelsConflicts(RowStage):
    """Drop, relabel or down-weight rows whose label contradicts rows of the same features.

    Learns
        Nothing.
    Training
        Rows that are equal in every column compared form a set; missing cells equal each other. Where
        its labels differ, 'drop' removes the rows that the set's majority contradicts, and all rows of
        a set without a majority; 'relabel' gives them the majority's label; 'weight' multiplies the
        weight of each row by the share of its set that agrees with it. For a numeric target the median
        takes the place of the majority, and rows within `tolerance` of each other agree.
    Weights
        A row votes with its weight. Rows of weight 0 or without a label have no vote and are left alone.
    Cost
        O(rows) in memory: one grouping by the columns compared.
    Scaling
        Needs all rows in one place. Does not depend on their order.

    Parameters
    ----------
    action : {'drop', 'relabel', 'weight', 'report'}
        What is done with rows in conflict; 'report' leaves them as they are.
    share : float, in [0.5, 1]
        A label is the majority of a set from this share of its weight on, if no other has as much.
    ties : {'drop', 'keep'}
        For 'drop': what becomes of the rows of a set without a majority.
    task : {'auto', 'classification', 'regression'}
        How labels are compared. 'auto': numbers with fractions, or of more than 20 distinct values, as
        numbers; all else as classes.
    tolerance : float, at least 0
        For numbers: values agree up to this many interquartile ranges of the target (standard
        deviations where that range is 0).
    on : selection, optional
        The columns compared; by default all features.

    Findings
        labels.conflict : rows of equal features have different labels; score: their share.

    Raises
        DataError : the target is to be compared as numbers, and holds none.

    Source
        Peer: pandas' ``groupby`` with ``value_counts`` and ``median``; the tests compare row by row.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [1, 1, 1, 2, 2]})
    >>> LabelsConflicts(action="relabel").fit_resample(X, ["x", "x", "y", "x", "y"])[1].tolist()
    ['x', 'x', 'x', 'x', 'y']
    """

    finds: ClassVar = {"labels.conflict": "rows of equal features have different labels"}
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        action: Literal["drop", "relabel", "weight", "report"] = "drop",
        share: Annotated[float, Ge(0.5), Le(1)] = 0.5,
        ties: Literal["drop", "keep"] = "drop",
        task: Literal["auto", "classification", "regression"] = "auto",
        tolerance: Annotated[float, Ge(0)] = 0.1,
        on: Selection = None,
    ) -> None:
        self.action = action
        self.share = share
        self.ties = ties
        self.task = task
        self.tolerance = tolerance
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"on": "boolean", "share": 0.6, "ties": "keep"},
            {"on": "boolean", "action": "relabel"},
            {"on": "categorical", "action": "weight"},
            {"action": "report", "task": "classification", "tolerance": 0.0},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Compare the labels of equal rows, and say what becomes of those in conflict."""
        target = table.need("target", self.key)
        count = table.height
        if not self.columns_:
            return RowPlan.keep_all(count)
        numbers = self._are_numbers(target)
        sets = self._sets(table, numbers)
        if sets.torn.any():
            self._tell(sets, table.ids, numbers)
        return self._act(sets, table, numbers)

    def _are_numbers(self, target: pl.Series) -> bool:
        """Tell whether labels are compared as numbers."""
        numeric = kind_of(target.dtype) == "numeric" and target.dtype != pl.Null
        if self.task == "classification" or (self.task == "auto" and not numeric):
            return False
        if not numeric:
            raise DataError(
                f"labels.conflicts: task is 'regression', but '{target.name}' holds {target.dtype}. "
                "Use task='classification'."
            )
        values = target.drop_nulls().cast(pl.Float64)
        if not values.is_finite().all():
            raise DataError(
                f"labels.conflicts: the target '{target.name}' is infinite in some rows. Mend or drop them."
            )
        return self.task == "regression" or bool((values % 1 != 0).any()) or values.n_unique() > MOST_CLASSES

    def _sets(self, table: Table, numbers: bool) -> Sets:
        """Put the labeled rows into sets, and ask each set."""
        target, weight = table.roles.target or "", table.roles.weight
        counts = pl.lit(1.0) if weight is None else pl.col(weight).cast(pl.Float64)
        frame = table.frame.with_row_index(AT).with_columns(counts.alias(WEIGHT))
        frame = frame.filter(pl.col(target).is_not_null() & (pl.col(WEIGHT) > 0)).select(
            pl.col(AT).cast(pl.Int64),
            WEIGHT,
            pl.col(target).alias(LABEL),
            pl.col(AT).min().over(self.columns_).cast(pl.Int64).alias(SET),
        )
        frame = frame.with_columns(
            pl.col(WEIGHT).sum().over(SET, order_by=AT).alias(TOTAL), pl.len().over(SET).alias(COUNT)
        )
        asked = self._of_numbers(frame) if numbers else self._of_classes(frame)
        told = asked.sort(AT).collect()
        at, place, size, votes, torn, agree, off, top = (
            told[name].to_numpy() for name in (AT, SET, COUNT, WEIGHT, TORN, AGREE, OFF, TOP)
        )
        return Sets(at, place, size, votes, torn, agree, told[MIDDLE], off, top)

    def _of_classes(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Ask sets of classes for their majority."""
        # A label is known by the first row that has it: labels of any type are compared so.
        # Summed in the order of rows: threads that meet groups as they come change the last bits.
        own = pl.col(WEIGHT).sum().over(SET, LABEL, order_by=AT) / pl.col(TOTAL)
        frame = frame.with_columns(own.alias(AGREE), pl.col(AT).min().over(SET, LABEL).alias(FIRST))
        best = pl.col(AGREE) > pl.col(AGREE).max().over(SET) - EPS
        frame = frame.with_columns(pl.when(best).then(FIRST).alias(BEST))
        tie = pl.col(BEST).drop_nulls().n_unique().over(SET) > 1
        middle = pl.col(LABEL).filter(pl.col(BEST).is_not_null()).first().over(SET)
        return frame.with_columns(
            (pl.col(FIRST).n_unique().over(SET) > 1).alias(TORN),
            middle.alias(MIDDLE),
            (tie | pl.col(BEST).is_null()).alias(OFF),
            pl.when(tie).then(0.0).otherwise(pl.col(AGREE).max().over(SET)).alias(TOP),
        )

    def _of_numbers(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Ask sets of numbers for their weighted median."""
        value, dtype = pl.col(LABEL), frame.collect_schema()[LABEL]
        frame = frame.with_columns(pl.col(LABEL).cast(pl.Float64)).sort(SET, LABEL, AT).collect().lazy()
        wide = self._tolerated(frame.select(LABEL).collect()[LABEL]) * (1 + EPS)
        below, half = pl.col(WEIGHT).cum_sum().over(SET), pl.col(TOTAL) / 2
        # Where the weight falls into two halves, the median lies between the two values in the middle.
        low = value.filter(below >= half * (1 - EPS)).first()
        high = value.filter(below > half * (1 + EPS)).first()
        middle = (low.over(SET) + high.over(SET)) / 2
        frame = frame.with_columns((middle.round() if dtype.is_integer() else middle).alias(MIDDLE))
        off = (value - pl.col(MIDDLE)).abs() > wide
        told = frame.with_columns(
            (value.max().over(SET) - value.min().over(SET) > wide).alias(TORN),
            off.alias(OFF),
            (pl.col(WEIGHT).filter(~off).sum().over(SET) / pl.col(TOTAL)).alias(TOP),
        ).collect()
        near = _within(told[SET].to_numpy(), told[LABEL].to_numpy(), told[WEIGHT].to_numpy(), wide)
        asked = told.with_columns(pl.Series(AGREE, near / told[TOTAL].to_numpy()))
        return asked.with_columns(pl.col(MIDDLE).cast(dtype)).lazy()

    def _tolerated(self, values: pl.Series) -> float:
        """Return by how much numbers that agree may differ."""
        if len(values) < 2:
            return 0.0
        quartiles = np.quantile(values.to_numpy(), [0.25, 0.75])
        return self.tolerance * float(quartiles[1] - quartiles[0] or values.to_numpy().std(ddof=1))

    def _act(self, sets: Sets, table: Table, numbers: bool) -> RowPlan:
        count, settled = table.height, sets.top >= self.share - EPS
        off = sets.torn & sets.off
        if self.action == "drop":
            acted = off & settled | sets.torn & ~settled & (self.ties == "drop")
        elif self.action == "relabel":
            acted = off & (settled | numbers)
        else:
            acted = sets.torn
        times, score, weight, label = np.ones(count, np.int64), np.full(count, np.nan), None, None
        reason = np.full(count, "", dtype=object)
        score[sets.rows] = sets.agree
        rows = sets.rows[acted]
        says = "have the median" if numbers else "say"
        reason[rows] = [
            f"{n} equal rows {says} '{m}' ({top:.0%} agree)" if top else f"{n} equal rows disagree"
            for n, m, top in zip(sets.size[acted], sets.middle.filter(acted), sets.top[acted], strict=True)
        ]
        if self.action == "drop":
            times[rows] = 0
        elif self.action == "weight":
            weight = np.ones(count)
            weight[rows] = sets.agree[acted]
        elif self.action == "relabel":
            place = np.full(count, -1)
            place[rows] = np.flatnonzero(acted)
            label = sets.middle.gather(pl.Series(place).replace(-1, None))
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _tell(self, sets: Sets, ids: np.ndarray, numbers: bool) -> None:
        torn, judged = sets.torn, len(sets.rows)
        share = float(torn.mean())
        count = len(np.unique(sets.place[torn]))
        if numbers:
            limit = f"{int((torn & sets.off).sum())} of them are far from the median of their set."
        else:
            by_set = pl.DataFrame({"set": sets.place, "mass": sets.weight, "agree": sets.agree})
            by_set = by_set.group_by("set").agg(pl.col("mass").sum(), pl.col("agree").max())
            right = float((by_set["mass"] * by_set["agree"]).sum()) / float(by_set["mass"].sum())
            limit = f"No model that sees only these columns can be right about more than {right:.2%} of them."
        self.report_rows(
            "labels.conflict",
            f"{int(torn.sum())} of {judged} labeled rows ({share:.1%}), in {count} sets of equal features, "
            f"have different labels. {limit}",
            ids[sets.rows[torn]],
            sets.agree[torn],
            score=share,
            severity="high" if share > 0.01 else "medium",
            columns=tuple(self.columns_),
            remedy={"labels.conflicts": {}},
        )


def _within(place: np.ndarray, value: np.ndarray, weight: np.ndarray, wide: float) -> np.ndarray:
    """Sum the weights of the rows of each row's set that are within `wide` of it; rows come sorted."""
    # Complex numbers sort by their real part, then by the other: one search serves all sets.
    keys, ends = np.empty(len(value), np.complex128), []
    keys.real, keys.imag = place, value
    for step, side in ((-wide, "left"), (wide, "right")):
        sought = keys.copy()
        sought.imag += step
        ends.append(np.searchsorted(keys, sought, side=side))  # type: ignore[call-overload]
    below = np.concatenate([[0.0], np.cumsum(weight)])
    total: np.ndarray = below[ends[1]] - below[ends[0]]
    return total
