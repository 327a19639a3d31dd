"""Find labels that are probably wrong, by confident learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError, listed
from tilth.stages.classes import Classes
from tilth.stages.folds import folds_of
from tilth.table import Table


@dataclass(frozen=True)
class Judgment:
    """Hold what a model that never saw a row says about its label.

    Parameters
    ----------
    rows : ndarray of shape (n_judged,), int64
        Positions of the rows that were judged.
    labels : ndarray of shape (n_judged,), int64
        Their given labels, as places in `classes`.
    probabilities : ndarray of shape (n_judged, n_classes), float64
        Of each class, from a model fitted on other rows.
    classes : list
        The classes, in the target's own type.
    rare : list
        Classes too rare to be judged.
    """

    rows: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    classes: list[Any]
    rare: list[Any]

    @property
    def confidence(self) -> np.ndarray:
        """Return the probability of each row's given label."""
        return np.asarray(self.probabilities[np.arange(len(self.labels)), self.labels])


class LabelsClean(RowStage):
    """Drop, relabel or down-weight rows whose label a model that never saw them disbelieves.

    Learns
        Nothing that stays: a probe is fitted on all folds but one and asked for the class
        probabilities of that one, so that no row is judged by a model that saw its label.
    Training
        Confident learning flags rows by these probabilities. 'drop' removes them; 'relabel' gives
        them the likeliest class where its probability reaches `threshold`; 'weight' multiplies their
        weight by the probability of their label. Every class keeps at least one row. Rows without a
        label are left alone, and so are classes of fewer rows than folds, or whose rows all lie in
        one fold: they take no part in the judgment.
    Weights
        Used to fit the probe; flagging counts rows.
    Cost
        `folds` fits of the probe.
    Scaling
        Needs all rows in one place. Folds are drawn by seed and row id, stratified by class, and no
        group lies in two of them.

    Parameters
    ----------
    filter : str
        How rows are flagged, by cleanlab's names: 'prune_by_noise_rate', 'prune_by_class', 'both',
        'confident_learning', 'predicted_neq_given', 'low_normalized_margin' or 'low_self_confidence'.
    probe : {'linear', 'boosting', 'mlp'}
        The model that judges.
    folds : int, at least 2
        Parts that are judged one after another.
    action : {'drop', 'relabel', 'weight', 'report'}
        What is done with flagged rows; 'report' leaves them as they are.
    threshold : float, in [0, 1]
        For 'relabel': least probability of the new label; flagged rows below it are left as they are.
    max_share : float, in (0, 1]
        At most this share of the judged rows is acted on, the least believed first.
    random_state : int
        Seed of folds and probe.
    on : selection, optional
        The columns the probe sees; by default all that it can read.

    Findings
        labels.issue : labels are probably wrong; score: their share; rows: the least believed first.
        labels.quality : score: the estimated share of right labels, given for every judgment.
        labels.rare : classes were too rare to be judged; where fewer than two are left, no label is.

    Raises
        DataError : the target holds values, not classes, or no column is of a kind that a probe reads.

    Source
        Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
        JAIR 70 (2021). The flags are those of ``cleanlab.filter.find_label_issues`` for the same
        probabilities, bit for bit.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [i + 0.0 for i in range(40)]})
    >>> y = ["low" if i < 20 else "high" for i in range(40)]
    >>> y[3] = "high"
    >>> stage = LabelsClean(probe="linear").fit(X, y)
    >>> np.flatnonzero(stage.plan_.times == 0).tolist(), str(stage.plan_.reason[3])[:36]
    ([3], "given 'high', looks like 'low' (p=0.")
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "labels.issue": "labels are probably wrong",
        "labels.quality": "the estimated share of right labels",
        "labels.rare": "classes were too rare to be judged",
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        filter: Literal[
            "prune_by_noise_rate",
            "prune_by_class",
            "both",
            "confident_learning",
            "predicted_neq_given",
            "low_normalized_margin",
            "low_self_confidence",
        ] = "prune_by_noise_rate",
        probe: Literal["linear", "boosting", "mlp"] = "boosting",
        folds: Annotated[int, Ge(2)] = 5,
        action: Literal["drop", "relabel", "weight", "report"] = "drop",
        threshold: Annotated[float, Ge(0), Le(1)] = 0.5,
        max_share: Annotated[float, Gt(0), Le(1)] = 0.5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.filter = filter
        self.probe = probe
        self.folds = folds
        self.action = action
        self.threshold = threshold
        self.max_share = max_share
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"probe": "linear"},
            {"probe": "linear", "filter": "both", "action": "weight", "random_state": 3},
            {"probe": "linear", "filter": "predicted_neq_given", "action": "relabel", "threshold": 0.8},
            {"probe": "linear", "folds": 3, "action": "report", "max_share": 0.1},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Judge the labels, and say what becomes of the rows flagged."""
        if not self.columns_:
            if self.on is None:
                raise DataError(
                    f"labels.clean: no column that a probe can read among {listed(table.features)}. "
                    "Put an embedding or encoding stage before it."
                )
            return RowPlan.keep_all(table.height)
        found = self.judge(table)
        if found.rare:
            self._tell_rare(found)
        if not len(found.rows):
            return RowPlan.keep_all(table.height)
        flagged = self._flag(found)
        self._tell(found, flagged, table.ids)
        return self._act(found, self._within(found, flagged), table)

    def judge(self, table: Table) -> Judgment:
        """Return out-of-sample class probabilities of the rows that can be judged.

        Parameters
        ----------
        table : Table
            With a target of classes. The columns are those the stage was fitted on.

        Returns
        -------
        Judgment
            Of no row where fewer than two classes can be judged.
        """
        from tilth.probes import probe

        classes = Classes.of(table.need("target", self.key), self.key)
        codes, weight = classes.codes, table.role("weight")
        # Rows of weight 0 are as if absent: no model sees them, so none is asked about them.
        usable = codes >= 0
        if weight is not None:
            usable &= weight.to_numpy() > 0
        rows, fold, kept = self._deal(np.flatnonzero(usable), codes, table)
        levels = classes.levels.to_list()
        if len(kept) < 2:
            return Judgment(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0)), [], levels)
        labels = np.searchsorted(kept, codes[rows])
        inputs = table.frame.select(self.columns_).collect()[rows]
        weights = None if weight is None else weight.to_numpy().astype(np.float64)[rows]
        probabilities = np.empty((len(rows), len(kept)))
        for held in np.unique(fold):
            out, known = fold == held, fold != held
            model = probe(self.probe, task="classification", random_state=self.random_state)
            model.fit(inputs.filter(known), labels[known], None if weights is None else weights[known])
            probabilities[out] = model.predict_proba(inputs.filter(out))
        known_levels = [levels[k] for k in kept]
        rare = [level for k, level in enumerate(levels) if k not in kept]
        return Judgment(rows, labels, probabilities, known_levels, rare)

    def _deal(
        self, rows: np.ndarray, codes: np.ndarray, table: Table
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows that can be judged, their folds, and the classes they are of."""
        ids, groups = table.ids, table.role("group")
        fold = np.zeros(0, np.int64)
        kept = np.zeros(0, np.int64)
        while len(rows):
            some = None if groups is None else groups[rows]
            fold = folds_of(ids[rows], self.folds, self.random_state, codes[rows], some)
            kept = np.unique(codes[rows])
            spread = {k: len(np.unique(fold[codes[rows] == k])) for k in kept.tolist()}
            enough = [k for k in kept.tolist() if (codes[rows] == k).sum() >= self.folds and spread[k] > 1]
            if len(enough) == len(kept):
                break
            # Taking rows out deals the others anew: look again until every class can be judged.
            rows = rows[np.isin(codes[rows], enough)]
            kept = np.array(enough, dtype=np.int64)
        return rows, fold, kept

    def _flag(self, found: Judgment) -> np.ndarray:
        from cleanlab.filter import find_label_issues

        # One process: forking beside the threads of Polars can hang, and the flags are the same.
        mask: np.ndarray = find_label_issues(
            found.labels, found.probabilities, filter_by=self.filter, n_jobs=1
        )
        return mask

    def _within(self, found: Judgment, flagged: np.ndarray) -> np.ndarray:
        """Return the flagged rows to act on: up to `max_share`, and never all rows of a class."""
        chosen = np.flatnonzero(flagged)
        chosen = chosen[np.argsort(found.confidence[chosen], kind="stable")]
        acted = np.zeros(len(flagged), dtype=bool)
        acted[chosen[: int(self.max_share * len(flagged))]] = True
        for code in range(len(found.classes)):
            own = np.flatnonzero(found.labels == code)
            if acted[own].all():
                acted[own[found.confidence[own].argmax()]] = False
        return acted

    def _act(self, found: Judgment, acted: np.ndarray, table: Table) -> RowPlan:
        count = table.height
        guess = found.probabilities.argmax(axis=1)
        sure = found.probabilities.max(axis=1)
        if self.action == "relabel":
            acted = acted & (guess != found.labels) & (sure >= self.threshold)
        times, score = np.ones(count, np.int64), np.full(count, np.nan)
        score[found.rows] = found.confidence
        reason = np.full(count, "", dtype=object)
        rows = found.rows[acted]
        reason[rows] = [
            f"given '{found.classes[given]}', looks like '{found.classes[new]}' (p={p:.2f})"
            for given, new, p in zip(found.labels[acted], guess[acted], sure[acted], strict=True)
        ]
        weight = label = None
        if self.action == "drop":
            times[rows] = 0
        elif self.action == "weight":
            weight = np.ones(count)
            weight[rows] = found.confidence[acted]
        elif self.action == "relabel":
            new_labels: list[Any] = [None] * count
            for row, new in zip(rows, guess[acted], strict=True):
                new_labels[row] = found.classes[new]
            label = pl.Series(new_labels, dtype=table.schema[table.roles.target or ""])
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _tell_rare(self, found: Judgment) -> None:
        fewer = f"have fewer than {self.folds} labeled rows, or all of them in one fold"
        self.report(
            "labels.rare",
            f"Classes {listed(map(repr, found.rare))} {fewer}: not judged."
            if len(found.rows)
            else f"No label was judged: of the classes {listed(map(repr, found.rare))}, all but one {fewer}.",
            float(len(found.rare)),
            severity="low",
        )

    def _tell(self, found: Judgment, flagged: np.ndarray, ids: np.ndarray) -> None:
        from cleanlab.dataset import overall_label_health_score

        judged = len(found.rows)
        quality = float(overall_label_health_score(found.labels, found.probabilities, verbose=False))
        agrees = float((found.probabilities.argmax(axis=1) == found.labels).mean())
        self.report(
            "labels.quality",
            f"An estimated {quality:.1%} of {judged} labels are right; "
            f"the {self.probe} probe agrees with {agrees:.1%} of them.",
            quality,
        )
        if flagged.any():
            share = float(flagged.mean())
            self.report_rows(
                "labels.issue",
                f"{int(flagged.sum())} of {judged} labels ({share:.1%}) are probably wrong."
                f"{self._pair(found, flagged)}",
                ids[found.rows[flagged]],
                found.confidence[flagged],
                score=share,
                severity="high" if share > 0.05 else "medium",
                remedy={"labels.clean": {"action": "weight"}},
            )

    @staticmethod
    def _pair(found: Judgment, flagged: np.ndarray) -> str:
        """Name the confusion that occurs most often."""
        size = len(found.classes)
        confused = found.labels[flagged] * size + found.probabilities[flagged].argmax(axis=1)
        counts = np.bincount(confused, minlength=size * size).reshape(size, size)
        np.fill_diagonal(counts, 0)
        if not counts.any():
            return ""
        given, likely = (found.classes[i] for i in np.unravel_index(counts.argmax(), counts.shape))
        return f" Most often: given '{given}', looks like '{likely}' ({counts.max()})."
