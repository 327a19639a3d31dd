"""Label rows that have no label, where a model that learned from the others is sure."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import listed
from tilth.stages.judging import Judge
from tilth.stages.reading import readable
from tilth.stages.teaching import (
    Teacher,
    Told,
    best_model,
    fair_of,
    found_again,
    judged,
    models,
    parts_of,
    rounds,
    spreading,
)
from tilth.stages.unlabeled import Partly
from tilth.statistics.centroids import Centroids
from tilth.statistics.pseudo import Cut, temperature
from tilth.table import Table

LEAST_RIGHT = 0.8
"""New labels that may be right more seldom than this deserve a look."""


class LabelsPseudo(RowStage):
    """Label rows without a label where a model that learned from the labeled ones is sure of their class.

    Learns
        The class probabilities of each row whose target is null, from the rows that have a label: by a probe
        that is fitted again with what was labeled in the round before ('self_training'), by labels that
        spread over the graph of nearest neighbors ('spreading'), or by the nearest class center
        ('prototype'). How sure it may be is learned on labeled rows that it was not told of.
    Training
        A row gets the likeliest class where its probability reaches the threshold of that class, and counts
        for less than a labeled one (`weight`). What stays without a label is dropped, since models learn
        from labels only, or kept ('rest'). Rows with a label are left as they are. With no row without a
        label nothing is done.
    Weights
        Labeled rows count by them, in probes and on the graph; the weight of a row that gets a label is
        multiplied by the factor. Rows of weight 0 teach nothing and get no label.
    Cost
        'self_training': all rounds `folds` + 1 times, each with one fit of the probe on what is labeled so
        far, and `folds` fits on the labeled rows for each candidate tried ('linear': up to four penalties).
        'spreading': one exact search for the nearest rows, and 2 `folds` + 1 solutions of a sparse system of
        equations.
    Scaling
        Needs all rows in one place; the search takes time by the square of their number. The graph holds up
        to 2 `neighbors` edges for each row. Folds are drawn by seed and row id, and no group lies in two.

    Parameters
    ----------
    method : {'spreading', 'self_training', 'prototype'}
        'prototype' is for a handful of labels of each class, 'self_training' for what a model fits well, and
        'spreading' for classes of any shape whose rows lie near each other.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        For 'self_training': who answers; see `labels.clean`. An estimator needs ``predict_proba``.
    neighbors : int, at least 1
        For 'spreading': nearest rows that each row is connected with.
    alpha : float, in (0, 1)
        For 'spreading': how much of a row's answer comes from its neighbors, and not from its own label.
    shrink : float, at least 0
        For 'prototype': standard errors by which class centers are drawn to the center of all.
    threshold : float, in [0, 1]
        What the probability of a class must reach; `cut` says how it is read.
    cut : {'flexible', 'quantile', 'absolute'}
        'absolute': the same for all classes. 'flexible': less for classes that reach it more seldom than
        their share of the labeled rows lets expect, but not less than a half. 'quantile': of the rows
        that look like a class, those from this quantile of their probabilities on.
    align : bool
        Scale probabilities until classes are as frequent among the rows without a label as among those with
        one. Turn it off where labels were not given to rows at random.
    calibrate : bool
        Bring probabilities to the temperature that fits the labeled rows best, judged in folds.
    weight : float, in (0, 1], or 'confidence'
        Factor on the weight of rows that get a label; 'confidence': its probability.
    rest : {'drop', 'keep'}
        What becomes of rows that stay without a label.
    folds : int, at least 2
        Parts of the labeled rows that are judged one after another.
    max_rounds : int, at least 1
        How often 'self_training' and 'prototype' learn from what they labeled; they end when no row is
        added. 'spreading' answers once.
    random_state : int
        Seed of folds and probe.
    on : selection, optional
        The columns that are learned from; by default all that can be read.

    Findings
        labels.pseudo : rows got a label; score: the share of the rows without one that did; rows: the least
            sure first.
        labels.pseudo_right : the estimated share of right labels: labels of one fold after another are
            hidden, all is done again, and those rows count that get a label. The interval (Wilson's) is that
            of these rows alone; with few labels the estimate runs low, for each fold learns from fewer still.
        labels.pseudo_none : classes that no row was labeled as; score: how many.
        labels.pseudo_rest : rows stay without a label; score: their share.
        labels.pseudo_few : too few labels to judge any, or some, class unseen; score: the classes not judged.

    Raises
        DataError : fewer than two classes have a labeled row, the target holds values rather than classes
            (for numbers cut it into classes first, or drop the rows without a value), or no column can be
            read.

    Source
        Zhou et al., "Learning with local and global consistency", NeurIPS 2004; Zhang et al., "FlexMatch",
        NeurIPS 2021, for flexible thresholds; Zou et al., "Class-balanced self-training", ECCV 2018, for
        quantiles; Berthelot et al., "ReMixMatch", ICLR 2020, for alignment; Tibshirani et al., PNAS 99
        (2002), for shrunken centers. With ``cut='absolute'``, ``weight=1.0``, and neither alignment nor
        calibration, labels are those of scikit-learn's ``SelfTrainingClassifier`` with the same model, and
        of its ``LabelSpreading`` on the same graph.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 9.0, 9.1, 9.2, 9.3]})
    >>> y = ["low", None, None, None, "high", None, None, None]
    >>> rows, labels = LabelsPseudo(neighbors=2).fit_resample(X, y)[:2]
    >>> labels.tolist()
    ['low', 'low', 'low', 'low', 'high', 'high', 'high', 'high']
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "labels.pseudo": "rows without a label got one",
        "labels.pseudo_right": "the estimated share of right labels among them",
        "labels.pseudo_none": "classes that no row was labeled as",
        "labels.pseudo_rest": "rows stay without a label",
        "labels.pseudo_few": "too few labels to judge some classes",
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        method: Literal["spreading", "self_training", "prototype"] = "spreading",
        probe: Judge = "linear",
        neighbors: Annotated[int, Ge(1)] = 10,
        alpha: Annotated[float, Gt(0), Lt(1)] = 0.9,
        shrink: Annotated[float, Ge(0)] = 0.5,
        threshold: Annotated[float, Ge(0), Le(1)] = 0.9,
        cut: Cut = "flexible",
        align: bool = True,
        calibrate: bool = True,
        weight: Annotated[float, Gt(0), Le(1)] | Literal["confidence"] = "confidence",
        rest: Literal["drop", "keep"] = "drop",
        folds: Annotated[int, Ge(2)] = 5,
        max_rounds: Annotated[int, Ge(1)] = 5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.probe = probe
        self.neighbors = neighbors
        self.alpha = alpha
        self.shrink = shrink
        self.threshold = threshold
        self.cut = cut
        self.align = align
        self.calibrate = calibrate
        self.weight = weight
        self.rest = rest
        self.folds = folds
        self.max_rounds = max_rounds
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"method": "self_training", "max_rounds": 2, "folds": 2, "cut": "quantile", "threshold": 0.3},
            {"method": "self_training", "probe": "auto", "folds": 2, "max_rounds": 1, "rest": "keep"},
            {"method": "prototype", "cut": "absolute", "threshold": 0.6, "weight": 0.5, "align": False},
            {"neighbors": 3, "alpha": 0.5, "calibrate": False, "weight": 1.0, "rest": "keep"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Label the rows that a teacher is sure of, and say what becomes of the others."""
        if not readable(self, table, "can be learned from"):
            return RowPlan.keep_all(table.height)
        rows = Partly.of(table, self.key)
        if not len(rows.open):
            return RowPlan.keep_all(table.height)
        parts = parts_of(table, rows, self.folds, self.random_state)
        teach, fair, heat = self._teacher(table, rows, parts), fair_of(parts), 1.0
        if self.calibrate and len(fair):
            weight = rows.weight[rows.labeled[fair]]
            heat = temperature(judged(teach, rows, parts), rows.codes[fair], weight)

        def learn(rows: Partly) -> Told:
            return rounds(
                teach,
                rows,
                heat=heat,
                align=self.align,
                threshold=self.threshold,
                cut=self.cut,
                factor=self._factor,
                most=1 if self.method == "spreading" else self.max_rounds,
            )

        told = learn(rows)
        self._tell(table, rows, told)
        self._tell_few(rows, fair)
        if (told.codes >= 0).any():
            self._estimate(*found_again(learn, rows, parts), len(fair))
        return self._act(table, rows, told)

    def _teacher(self, table: Table, rows: Partly, parts: list[Any]) -> Teacher:
        """Return who answers."""
        if self.method == "self_training":
            return best_model(table, self.columns_, rows, self.probe, parts, self.random_state)
        if self.method == "spreading":
            return spreading(table, self.columns_, rows, self.neighbors, self.alpha)
        return models(table, self.columns_, rows, Centroids(self.shrink), self.random_state)

    def _factor(self, sure: np.ndarray) -> np.ndarray:
        return sure if self.weight == "confidence" else np.full(len(sure), float(self.weight))

    def _act(self, table: Table, rows: Partly, told: Told) -> RowPlan:
        count, taken = table.height, told.codes >= 0
        times, score = np.ones(count, np.int64), np.full(count, np.nan)
        weight, labels = np.ones(count), np.full(count, -1)
        reason = np.full(count, "", dtype=object)
        score[rows.open] = told.sure
        new, left = rows.open[taken], rows.open[~taken]
        labels[new], weight[new] = told.codes[taken], self._factor(told.sure[taken])
        several = int(told.round.max(initial=0)) > 1
        reason[new] = [
            f"looks like '{rows.levels[code]}' (p={sure:.2f}{f', round {number}' if several else ''})"
            for code, sure, number in zip(told.codes[taken], told.sure[taken], told.round[taken], strict=True)
        ]
        absent = np.setdiff1d(np.flatnonzero(table.need("target", self.key).is_null().to_numpy()), rows.open)
        if self.rest == "drop":
            times[left], times[absent] = 0, 0
            reason[absent] = "no label, and weight 0"
            reason[left] = [
                f"no label: looks like '{rows.levels[code]}' (p={sure:.2f}, asked {told.cut[code]:.2f})"
                if sure > 0
                else "no label: not connected with a labeled row"
                for code, sure in zip(told.guess[~taken], told.sure[~taken], strict=True)
            ]
        levels = pl.Series([*rows.levels, None], dtype=table.schema[table.roles.target or ""])
        return RowPlan(
            times, weight=weight, label=levels.gather(labels % len(levels)), reason=reason, score=score
        )

    def _tell(self, table: Table, rows: Partly, told: Told) -> None:
        taken, count = told.codes >= 0, len(rows.open)
        ids = table.ids[rows.open]
        if taken.any():
            rounds = int(told.round.max())
            within = f" in {rounds} rounds" if rounds > 1 else ""
            self.report_rows(
                "labels.pseudo",
                f"{int(taken.sum())} of {count} rows without a label got one{within}, from "
                f"{len(rows.labeled)} that have one ({self.method}): {rows.named(told.codes[taken])}.",
                ids[taken],
                told.sure[taken],
                score=float(taken.mean()),
            )
        none = np.setdiff1d(np.arange(len(rows.levels)), told.codes)
        if len(none):
            self.report(
                "labels.pseudo_none",
                f"No row was labeled as {listed(repr(str(rows.levels[k])) for k in none)}: none is sure "
                "enough. Label some rows of that kind, or lower `threshold`.",
                float(len(none)),
                severity="medium",
                remedy={"labels.ask": {}},
            )
        if not taken.all():
            dropped = "dropped: models learn from labels only" if self.rest == "drop" else "kept without one"
            self.report_rows(
                "labels.pseudo_rest",
                f"{int((~taken).sum())} rows stay without a label, and are {dropped}.",
                ids[~taken],
                told.sure[~taken],
                score=float((~taken).mean()),
                severity="low",
            )

    def _tell_few(self, rows: Partly, fair: np.ndarray) -> None:
        """Report classes of which no row can be judged by others."""
        missing = np.setdiff1d(np.arange(len(rows.levels)), rows.codes[fair])
        if not len(missing):
            return
        others = (
            "How sure labels are is told from the other classes."
            if len(fair)
            else "How often labels are right is not known, and probabilities are the model's own."
        )
        self.report(
            "labels.pseudo_few",
            f"Of the classes {listed(repr(str(rows.levels[k])) for k in missing)} no labeled row can be "
            f"judged by others of its class: they have one row, or one group. {others}",
            float(len(missing)),
            severity="low" if len(fair) else "medium",
        )

    def _estimate(self, given: np.ndarray, told: np.ndarray, asked: int) -> None:
        """Report how often labels are right for labeled rows whose label was hidden."""
        from scipy.stats import binomtest

        if not len(given):
            return
        right = int((given == told).sum())
        low, high = binomtest(right, len(given)).proportion_ci(method="wilson")
        self.report(
            "labels.pseudo_right",
            f"An estimated {right / len(given):.1%} of the new labels are right ({low:.1%} to {high:.1%}): "
            f"of {asked} labeled rows whose label was hidden, {len(given)} got one, and {right} their own.",
            right / len(given),
            severity="info" if low >= LEAST_RIGHT else "medium",
        )
