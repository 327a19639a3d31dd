"""Say which rows to label next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError, listed
from tilth.neighbors import Space, nearest
from tilth.neighbors.centers import k_center
from tilth.neighbors.typical import typical
from tilth.stages.judging import Judge
from tilth.stages.reading import Reading, in_hashed_order, readable
from tilth.stages.teaching import best_model, parts_of
from tilth.stages.unlabeled import Partly, read_rows
from tilth.table import Table


@dataclass(frozen=True)
class Asked:
    """Hold which rows are asked about, first to last, and what is said of all without a label.

    Parameters
    ----------
    rows : ndarray of shape (n_asked,), int64
        Positions, in the order of asking.
    open : ndarray of shape (n_open,), int64
    score : ndarray of shape (n_open,), float64
    why : list of str, of length n_asked
    """

    rows: np.ndarray
    open: np.ndarray
    score: np.ndarray
    why: list[str]


FOLDS = 5
"""In which candidates for the probe are compared, where there are several."""


class LabelsAsk(RowStage):
    """Name the rows without a label whose label would tell a model most; no row is changed.

    Learns
        'margin' and 'entropy': from a probe fitted on the labeled rows, how unsure it is of each row whose
        target is null. 'coverage' and 'typical': from the columns alone, which parts of the data no labeled
        row stands for.
    Training
        Nothing is changed. The rows to label are in the finding, first to last, and in the plan's reasons;
        the plan's score of every row without a label is lower the more its label would tell.
    Weights
        Labeled rows count by them in the probe. Rows of weight 0 are neither asked about nor learned from.
    Cost
        'margin', 'entropy': one fit of the probe, and five for each candidate where one is chosen.
        'coverage': time by the rows times those labeled and asked about. 'typical': one exact search for the
        nearest rows, and k-means.
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
    method : {'typical', 'coverage', 'margin', 'entropy'}
        'typical': the most typical row of each part of the data without a label, for the first labels there
        are. 'coverage': the row farthest from all that are labeled or asked about. 'margin': the smallest
        lead of the likeliest class before the next; 'entropy': the most classes in question: for when a
        model knows the classes.
    size : int, at least 1
        Rows to ask about.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        For 'margin' and 'entropy': whose doubt counts; see `labels.clean`. An estimator needs
        ``predict_proba``.
    spread : int, at least 1
        For 'margin' and 'entropy': of `spread` times `size` rows in doubt, those farthest from each
        other are asked about, so that a batch does not ask the same question twice. 1: the first in doubt.
    random_state : int
        Seed of the probe, and of the parts of 'typical'.
    on : selection, optional
        The columns that are looked at; by default all that can be read.

    Findings
        labels.ask : the rows to label next, the first to be asked first; score: their share of all rows
            without a label.

    Raises
        DataError : 'margin' or 'entropy' with labels of fewer than two classes, or a target of values; no
            column can be read.

    Source
        Settles, "Active learning literature survey" (2009), sections 3.1, for margin and entropy; Sener and
        Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018, for
        coverage; Hacohen et al., "Active learning on a budget", ICML 2022, for typical rows (TypiClust).

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 9.0, 9.1, 9.2]})
    >>> stage = LabelsAsk(method="coverage", size=1).fit(X, ["low", None, None, None, None, None])
    >>> stage.findings_[0].rows, str(stage.plan_.reason[5])
    ((5,), 'asked as number 1: 2.04 from the nearest row that is labeled')
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {"labels.ask": "rows to label next"}
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        method: Literal["typical", "coverage", "margin", "entropy"] = "typical",
        size: Annotated[int, Ge(1)] = 20,
        probe: Judge = "linear",
        spread: Annotated[int, Ge(1)] = 3,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.size = size
        self.probe = probe
        self.spread = spread
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"size": 5},
            {"method": "coverage", "size": 7},
            {"method": "margin", "size": 3},
            {"method": "entropy", "size": 4, "spread": 1, "probe": "boosting"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    @property
    def acts(self) -> bool:
        """Tell that nothing is changed."""
        return False

    def plan(self, table: Table) -> RowPlan:
        """Choose the rows to ask about."""
        if not readable(self, table, "can be read"):
            return RowPlan.keep_all(table.height)
        order, weight, target = in_hashed_order(table.ids), table.role("weight"), table.role("target")
        if weight is not None:
            order = order[weight.to_numpy()[order] > 0]
        known = np.zeros(table.height, bool) if target is None else target.is_not_null().to_numpy()
        if known[order].all():
            return RowPlan.keep_all(table.height)
        reading, matrix = read_rows(table, self.columns_, order)
        if not reading.columns:
            return RowPlan.keep_all(table.height)
        if self.method in ("margin", "entropy"):
            asked = self._doubted(table, reading, matrix)
        else:
            choose = self._farthest if self.method == "coverage" else self._typical
            asked = choose(reading, matrix, order, known)
        return self._act(table, asked)

    def _doubted(self, table: Table, reading: Reading, matrix: np.ndarray) -> Asked:
        """Choose rows that the probe is unsure of, far from each other."""
        try:
            rows = Partly.of(table, self.key)
        except DataError as error:
            error.add_note("The methods 'typical' and 'coverage' take any target, and need no label.")
            raise
        parts = parts_of(table, rows, FOLDS, self.random_state)
        teach = best_model(table, self.columns_, rows, self.probe, parts, self.random_state)
        answers = teach(rows.labeled, rows.codes, rows.weight[rows.labeled], rows.open)
        ranked = np.argsort(-answers, axis=1, kind="stable")[:, :2]
        two = np.take_along_axis(answers, ranked, axis=1)
        if self.method == "margin":
            score = two[:, 0] - two[:, 1]
        else:
            logs = np.log(np.where(answers > 0, answers, 1.0))
            score = 1 + (answers * logs).sum(axis=1) / np.log(len(rows.levels))
        first = np.argsort(score, kind="stable")[: self.size * self.spread]
        if self.spread > 1:
            space = Space(categorical=tuple(reading.categorical.tolist()))
            first = first[k_center(space, matrix[rows.open[first]], min(self.size, len(first)))[0]]
        why = [
            f"'{rows.levels[a]}' {p:.2f} or '{rows.levels[b]}' {q:.2f}"
            for (a, b), (p, q) in zip(ranked[first], two[first], strict=True)
        ]
        return Asked(rows.open[first], rows.open, score, why)

    def _farthest(self, reading: Reading, matrix: np.ndarray, order: np.ndarray, known: np.ndarray) -> Asked:
        """Choose rows that are far from all labeled ones, and from each other."""
        space = Space(categorical=tuple(reading.categorical.tolist()))
        labeled, without = order[known[order]], order[~known[order]]
        some = np.concatenate([labeled, without])
        size = min(self.size, len(without))
        given = max(len(labeled), 1)
        centers, _, _ = k_center(space, matrix[some], len(labeled) + size, given)
        rows = some[centers[len(labeled) :]]
        base = labeled if len(labeled) else rows
        apart = nearest(space, matrix[without], matrix[base], 1)[0][:, 0]
        to = dict(zip(without.tolist(), apart.tolist(), strict=True))
        what = "the nearest row that is labeled" if len(labeled) else "the rows asked before"
        why = [
            f"{to[row]:.3g} from {what}" if np.isfinite(to[row]) else f"shares no cell with {what}"
            for row in rows.tolist()
        ]
        return Asked(rows, without, np.where(np.isfinite(apart), -apart, np.nan), why)

    def _typical(self, reading: Reading, matrix: np.ndarray, order: np.ndarray, known: np.ndarray) -> Asked:
        """Choose the most typical rows of parts in which none is labeled."""
        wide = reading.one_hot(matrix[order])
        # A gap says nothing of where a row is typical.
        wide = np.where(np.isnan(wide), np.nan_to_num(np.nanmean(wide, axis=0)), wide)
        chosen, part, apart = typical(wide, known[order], self.size, self.random_state)
        sizes = np.bincount(part)
        of_known = np.bincount(part[known[order]], minlength=len(sizes))
        why = [
            f"typical of {sizes[k]} rows, {of_known[k] or 'none'} of them labeled"
            for k in part[chosen].tolist()
        ]
        without = ~known[order]
        return Asked(order[chosen], order[without], apart[without], why)

    def _act(self, table: Table, asked: Asked) -> RowPlan:
        score, reason = np.full(table.height, np.nan), np.full(table.height, "", dtype=object)
        score[asked.open] = asked.score
        reason[asked.rows] = [
            f"asked as number {number}: {why}" for number, why in enumerate(asked.why, start=1)
        ]
        ids, count = table.ids[asked.rows], len(asked.rows)
        self.report_rows(
            "labels.ask",
            f"{count} of {len(asked.open)} rows without a label to label next ({self.method}), first to "
            f"last: {listed(ids)}.",
            ids,
            np.arange(count),
            score=count / len(asked.open),
        )
        return RowPlan(np.ones(table.height, np.int64), reason=reason, score=score)
