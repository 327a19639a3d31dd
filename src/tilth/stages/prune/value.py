"""Tell what each training row is worth, and act on those worth least."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.neighbors import Space
from tilth.neighbors.shapley import knn_shapley
from tilth.stages.answers import Answers
from tilth.stages.folds import folds_of
from tilth.stages.reading import in_hashed_order, read_columns, readable
from tilth.statistics.out_of_bag import out_of_bag
from tilth.table import ROW, Table


class PruneValue(RowStage):
    """Drop or down-weight the rows from which a model learns least, or the wrong thing.

    Learns
        For each labeled row a value: how much it helps others to their label ('knn_shapley'), or how well
        models that did not see it come to its label ('data_oob'). Rows of wrong labels have low values by
        either; so do rows that are hard, and right.
    Training
        The lowest `share` of the values is dropped, or given a smaller weight, or only reported (action).
        Each class keeps at least one row. Rows without a label, or of weight 0, have no value and are left
        alone.
    Weights
        'knn_shapley': a row counts by its weight where others are valued by it. 'data_oob': trees use them.
        The action 'weight' multiplies them.
    Cost
        'knn_shapley': the distances of all pairs, O(rows^2 x columns) time, in blocks of a few MiB per
        thread. The order of the nearest rows is exact, farther ones share in steps (see
        `tilth.neighbors.shapley`). 'data_oob': `trees` trees, in threads.
    Scaling
        Needs all rows in one place. Folds and bags are drawn by seed and row id, and no group is
        in two folds, nor both in a bag and out of it.

    Parameters
    ----------
    method : {'knn_shapley', 'data_oob'}
        The Shapley value of a row for a classifier by nearest neighbors, or the share of trees that come to
        its label, among those that did not see it. For a target of numbers 1 - (a - b)^2 / s stands for
        equal or different labels, where s is its mean over pairs of rows, so that units do not count.
    share : float, in (0, 1)
        The share of the valued rows that is acted on.
    n_neighbors : int, >= 1
        For 'knn_shapley': rows that vote.
    folds : int, >= 2
        For 'knn_shapley': each fold is answered for by the rows of all others, which share out the answers'
        worth. A value of 1 is that of a row that alone is worth as much as the mean row of a training set
        that answers all rows right.
    trees : int, >= 1
        For 'data_oob'. A row is out of the bag of a third of them.
    action : {'drop', 'weight', 'report'}
        What is done; 'weight' multiplies the weights of the lowest `share` by numbers that rise evenly with
        the rank of their values, from 0 to 1 (equal values: the same weight).
    random_state : int
        Seed of folds, bags and trees.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.

    Findings
        prune.value : the rows of the lowest values; score: the mean value of these rows.

    Raises
        DataError : the target has one class, or no column can be read as numbers.

    Source
        Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms", VLDB 2019,
        theorem 1; Kwon and Zou, "Data-OOB: out-of-bag estimate as a simple and efficient data value", ICML
        2023. The tests compare the first with the paper's recursion and the second with scikit-learn's
        trees, fitted one by one.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [i + 0.0 for i in range(40)]})
    >>> y = ["low" if i < 20 else "high" for i in range(40)]
    >>> y[3] = "high"
    >>> stage = PruneValue(n_neighbors=3, share=0.025).fit(X, y)
    >>> np.flatnonzero(stage.plan_.times == 0).tolist()
    [3]
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {"prune.value": "rows from which a model learns least, or the wrong thing"}
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        method: Literal["knn_shapley", "data_oob"] = "knn_shapley",
        share: Annotated[float, Gt(0), Le(0.99)] = 0.1,
        n_neighbors: Annotated[int, Ge(1)] = 10,
        folds: Annotated[int, Ge(2)] = 5,
        trees: Annotated[int, Ge(1)] = 300,
        action: Literal["drop", "weight", "report"] = "drop",
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.share = share
        self.n_neighbors = n_neighbors
        self.folds = folds
        self.trees = trees
        self.action = action
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"n_neighbors": 3, "folds": 3, "share": 0.3, "action": "weight"},
            {"method": "data_oob", "trees": 30, "share": 0.2},
            {"method": "data_oob", "trees": 20, "action": "report"},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Value the rows, and say what becomes of those worth least."""
        if not readable(self, table, "can be read as numbers"):
            return RowPlan.keep_all(table.height)
        answers = Answers.of(table, self.key)
        weight = table.role("weight")
        counts = np.ones(table.height) if weight is None else weight.to_numpy().astype(np.float64)
        # Sums and ties then do not depend on the order the rows came in.
        order = in_hashed_order(table.ids)
        order = order[answers.known[order] & (counts[order] > 0)]
        values = np.full(table.height, np.nan)
        values[order] = self._values(table, answers, counts, order)
        valued = order[np.isfinite(values[order])]
        if not len(valued):
            return RowPlan.keep_all(table.height)
        lowest = valued[np.argsort(values[valued], kind="stable")][: max(round(self.share * len(valued)), 1)]
        low = np.zeros(table.height, dtype=bool)
        low[lowest] = True
        if self.action == "drop":
            low = answers.spared(low, np.where(np.isfinite(values), values, np.inf))
        self._tell(table.ids, values, valued, low)
        return self._act(values, valued, low)

    def _values(self, table: Table, answers: Answers, counts: np.ndarray, order: np.ndarray) -> np.ndarray:
        """Return the values of the rows in `order`; NaN where there is none."""
        reading, matrix = read_columns(table, self.columns_)
        if len(order) < 2 or not reading.columns:
            return np.full(len(order), np.nan)
        matrix, labels, counts, ids = matrix[order], answers.values[order], counts[order], table.ids[order]
        groups = None if table.roles.group is None else table.role("group")[order]  # type: ignore[index]
        if self.method == "data_oob":
            wide, keys = reading.one_hot(matrix), _keys(ids, groups)
            seed = self.random_state
            return out_of_bag(wide, labels, keys, trees=self.trees, seed=seed, weight=counts)
        space = Space(categorical=tuple(reading.categorical.tolist()))
        fold = folds_of(ids, self.folds, self.random_state, answers.codes[order], groups)
        total, asked = np.zeros(len(order)), np.zeros(len(order))
        for number in np.unique(fold):
            held, seen = fold == number, fold != number
            worth = counts[held].sum()
            part = knn_shapley(
                space,
                matrix[seen],
                labels[seen],
                matrix[held],
                labels[held],
                self.n_neighbors,
                weight=counts[held],
            )
            total[seen] += worth * part * seen.sum()
            asked[seen] += worth
        return np.divide(total, asked, out=np.full(len(order), np.nan), where=asked > 0)

    def _act(self, values: np.ndarray, valued: np.ndarray, low: np.ndarray) -> RowPlan:
        from scipy.stats import rankdata

        reason = np.full(len(values), "", dtype=object)
        reason[low] = [f"value {value:.3g}, among the lowest {self.share:.1%}" for value in values[low]]
        times, weight = np.ones(len(values), np.int64), None
        if self.action == "drop":
            times[low] = 0
        elif self.action == "weight":
            weight = np.ones(len(values))
            rank = (rankdata(values[valued]) - 0.5) / (self.share * len(valued))
            weight[valued] = np.minimum(rank, 1)
        return RowPlan(times, weight=weight, reason=reason, score=values)

    def _tell(self, ids: np.ndarray, values: np.ndarray, valued: np.ndarray, low: np.ndarray) -> None:
        if not low.any():
            return
        known = values[valued]
        mean, below = float(values[low].mean()), float((known < 0).mean())
        harm = f"; {below:.1%} have a value below 0" if below else ""
        self.report_rows(
            "prune.value",
            f"The {int(low.sum())} of {len(valued)} rows of the lowest value ({self.method}) have {mean:.3g} "
            f"in the mean, all rows {known.mean():.3g}{harm}. Look whether their labels are right.",
            ids[low],
            values[low],
            score=mean,
            severity="low",
            columns=tuple(self.columns_),
            remedy={"prune.value": {"method": self.method, "share": self.share, "action": "weight"}},
        )


def _keys(ids: np.ndarray, groups: pl.Series | None) -> np.ndarray:
    """Return what decides whether a row is in a bag: its id, or the least id of its group."""
    if groups is None:
        return ids
    frame = pl.DataFrame({ROW: ids, "group": groups})
    least = pl.when(pl.col("group").is_null()).then(pl.col(ROW)).otherwise(pl.col(ROW).min().over("group"))
    return frame.select(least).to_series().to_numpy()
