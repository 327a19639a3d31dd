"""Find labels that are probably wrong, by confident learning."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import listed
from tilth.stages.judging import Judge, Judgment, digest, judge
from tilth.stages.reading import readable
from tilth.statistics import find_label_issues, label_quality, share_right
from tilth.statistics.confident import Method, Score
from tilth.table import Table

SMALL = 1000
"""Up to so many rows a third dealing costs little, and steadies the judgment most."""


class LabelsClean(RowStage):
    """Drop, relabel or down-weight rows whose label models that never saw them disbelieve.

    Learns
        For each labeled row the probability of each class, from probes fitted on all folds but its own and
        averaged over several dealings of the rows into folds. A second look fits them again with each row
        weighted by the first look's belief in its label. They stay with the stage and in its bundle:
        fitted again on the same rows with another `filter`, `rank_by`, `action`, `threshold` or `max_share`,
        it judges from them at once.
    Training
        Confident learning flags rows by these probabilities. 'drop' removes them; 'relabel' gives
        them the likeliest class where its probability reaches `threshold`; 'weight' multiplies their
        weight by the probability of their label. Every class keeps at least one row. Rows without a
        label are left alone, and so are those of a class of one row, or whose rows all lie in
        one fold: they take no part in the judgment.
    Weights
        Used to fit the probe; flagging counts rows. Rows of weight 0 are left alone.
    Cost
        `folds` times `repeats` times `looks` fits of the probe, in parallel where that pays, and `folds` more
        for each candidate that is tried: up to three with 'linear', four with 'auto'.
    Scaling
        Needs all rows in one place. Folds are drawn by seed and row id, stratified by class, and no
        group lies in two of them.

    Parameters
    ----------
    filter : str
        How rows are flagged, by cleanlab's names: 'prune_by_noise_rate', 'prune_by_class', 'both',
        'confident_learning', 'predicted_neq_given', 'low_normalized_margin' or 'low_self_confidence'.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        The model that judges; 'auto' takes the better of linear and boosting by their out-of-sample log loss,
        which also chooses the penalty of 'linear' (C from 0.001 to 1). Of an estimator a clone gets the
        columns as numbers; it needs ``predict_proba``.
    folds : int, at least 2, or 'one'
        Parts that are judged one after another; 'one' leaves out one row (or group) at a time.
    repeats : int, at least 1, or 'auto'
        Dealings of the rows into folds; 'auto': 3 for up to 1,000 rows, 2 beyond.
    looks : int, at least 1
        How often the rows are judged: from the second time on models trust each label as far as it was
        believed before. An estimator that takes no weights gains nothing by it.
    rank_by : {'self_confidence', 'normalized_margin', 'confidence_weighted_entropy'}
        What ranks rows: the probability of their label, its lead before the likeliest other class, or the
        entropy of their classes against it.
    action : {'drop', 'relabel', 'weight', 'report'}
        What is done with flagged rows; 'report' leaves them as they are.
    threshold : float, in [0, 1]
        For 'relabel': least probability of the new label; flagged rows below it are left as they are.
    max_share : float, in (0, 1]
        At most this share of the judged rows is acted on, the lowest scores first.
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
        probabilities, bit for bit, and the scores those of ``cleanlab.rank``.

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
        filter: Method = "prune_by_noise_rate",
        probe: Judge = "auto",
        folds: Annotated[int, Ge(2)] | Literal["one"] = 5,
        repeats: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
        looks: Annotated[int, Ge(1)] = 2,
        rank_by: Score = "self_confidence",
        action: Literal["drop", "relabel", "weight", "report"] = "drop",
        threshold: Annotated[float, Ge(0), Le(1)] = 0.8,
        max_share: Annotated[float, Gt(0), Le(1)] = 0.5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.filter = filter
        self.probe = probe
        self.folds = folds
        self.repeats = repeats
        self.looks = looks
        self.rank_by = rank_by
        self.action = action
        self.threshold = threshold
        self.max_share = max_share
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"probe": "linear", "folds": 3, "repeats": 2},
            {"probe": "linear", "filter": "both", "action": "weight", "repeats": 1, "random_state": 3},
            {
                "probe": "linear",
                "filter": "predicted_neq_given",
                "action": "relabel",
                "threshold": 0.6,
                "repeats": 1,
            },
            {"folds": 3, "repeats": 1, "looks": 1, "rank_by": "normalized_margin", "action": "report"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Judge the labels, and say what becomes of the rows flagged."""
        if not readable(self, table, "a probe can read"):
            return RowPlan.keep_all(table.height)
        found = self.judge(table)
        if found.rare:
            self._tell_rare(found)
        if not len(found.rows):
            return RowPlan.keep_all(table.height)
        flagged = find_label_issues(found.labels, found.probabilities, method=self.filter)
        scores = label_quality(found.labels, found.probabilities, method=self.rank_by)
        self._tell(found, flagged, scores, table.ids)
        return self._act(found, self._within(found, flagged, scores), scores, table)

    def judge(self, table: Table) -> Judgment:
        """Return out-of-sample class probabilities of the rows that can be judged.

        Those of an earlier fit are taken where rows, labels and all that led to them are the same.

        Parameters
        ----------
        table : Table
            With a target of classes. The columns are those the stage was fitted on.

        Returns
        -------
        Judgment
            Of no row where fewer than two classes can be judged.
        """
        repeats = self.repeats
        if isinstance(repeats, str):
            repeats = 3 if table.height <= SMALL else 2
        chosen = {
            "folds": self.folds,
            "repeats": repeats,
            "looks": self.looks,
            "random_state": self.random_state,
        }
        word = digest(table, self.columns_, self.probe, chosen)
        if not word or getattr(self, "digest_", None) != word:
            found = judge(table, self.columns_, self.key, probe=self.probe, **chosen)  # type: ignore[arg-type]
            self.judgment_ = {name: getattr(found, name) for name in Judgment.__dataclass_fields__}
            self.digest_ = word
        return Judgment(**self.judgment_)

    def _within(self, found: Judgment, flagged: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return the flagged rows to act on: up to `max_share`, and never all rows of a class."""
        chosen = np.flatnonzero(flagged)
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        acted = np.zeros(len(flagged), dtype=bool)
        acted[chosen[: int(self.max_share * len(flagged))]] = True
        for code in range(len(found.classes)):
            own = np.flatnonzero(found.labels == code)
            if acted[own].all():
                acted[own[scores[own].argmax()]] = False
        return acted

    def _act(self, found: Judgment, acted: np.ndarray, scores: np.ndarray, table: Table) -> RowPlan:
        count = table.height
        guess = found.probabilities.argmax(axis=1)
        sure = found.probabilities.max(axis=1)
        if self.action == "relabel":
            acted = acted & (guess != found.labels) & (sure >= self.threshold)
        times, score = np.ones(count, np.int64), np.full(count, np.nan)
        score[found.rows] = scores
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
            weight[rows] = found.probabilities[acted, found.labels[acted]]
        elif self.action == "relabel":
            new_labels: list[Any] = [None] * count
            for row, new in zip(rows, guess[acted], strict=True):
                new_labels[row] = found.classes[new]
            label = pl.Series(new_labels, dtype=table.schema[table.roles.target or ""])
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _tell_rare(self, found: Judgment) -> None:
        fewer = "have one labeled row, or all of them in one fold"
        self.report(
            "labels.rare",
            f"Classes {listed(map(repr, found.rare))} {fewer}: not judged."
            if len(found.rows)
            else f"No label was judged: of the classes {listed(map(repr, found.rare))}, all but one {fewer}.",
            float(len(found.rare)),
            severity="low",
        )

    def _tell(self, found: Judgment, flagged: np.ndarray, scores: np.ndarray, ids: np.ndarray) -> None:
        judged = len(found.rows)
        quality = share_right(found.labels, found.probabilities)
        agrees = float((found.probabilities.argmax(axis=1) == found.labels).mean())
        self.report(
            "labels.quality",
            f"An estimated {quality:.1%} of {judged} labels are right; the {found.probe} probe agrees with "
            f"{agrees:.1%} of them (log loss {found.loss:.3f}).",
            quality,
        )
        if flagged.any():
            share = float(flagged.mean())
            self.report_rows(
                "labels.issue",
                f"{int(flagged.sum())} of {judged} labels ({share:.1%}) are probably wrong."
                f"{self._pair(found, flagged)} Look at them before they are dropped or relabeled.",
                ids[found.rows[flagged]],
                scores[flagged],
                score=share,
                severity="high" if share > 0.05 else "medium",
                remedy={"labels.clean": {"action": "report"}},
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
