"""Find labels that are probably wrong, or missing, where a row has several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, MinLen

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError, listed
from tilth.stages.classes import Classes
from tilth.stages.judging import Judge, judge
from tilth.stages.reading import readable
from tilth.statistics.confident import Score
from tilth.statistics.multilabel import multilabel_issues, multilabel_quality
from tilth.table import Table

LABEL = "__label__"
Filter = Literal["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"]


@dataclass(frozen=True)
class Sets:
    """Hold the labels of each row.

    Parameters
    ----------
    rows : ndarray of shape (n_labeled,), int64
        Positions of the rows that are labeled, in the order of their ids.
    names : list of str
        The labels, sorted.
    given : ndarray of shape (n_labeled, n_labels), bool
        Whether the row has the label.
    """

    rows: np.ndarray
    names: list[str]
    given: np.ndarray


class LabelsMultilabel(RowStage):
    """Drop, relabel or down-weight rows with several labels of which some are disbelieved.

    Learns
        For each labeled row and each label the probability that the row has it, from probes fitted on all
        folds but its own, one question after another: has the row this label, or not.
    Training
        Confident learning flags labels that are given and disbelieved, or believed and not given. 'drop'
        removes rows with such a label; 'relabel' takes away, or adds, the flagged labels whose change is
        likelier than not and has `threshold` probability; 'weight' multiplies the weight of flagged rows by
        their score. Every label keeps at least one row. Labels that one row has, or all but one, or whose
        rows lie in one fold, are not judged.
    Weights
        Used to fit the probe; flagging counts rows. Rows of weight 0 are left alone.
    Cost
        For each label `folds` times `repeats` times `looks` fits of the probe; with 'auto' up to 4 times
        `folds` more.
    Scaling
        Needs all rows in one place. Does not depend on their order; no group lies in two folds.

    Parameters
    ----------
    separator : str
        What stands between the labels of a row; the target is text, such as ``red;round``. Spaces around
        labels do not count. A target of whole numbers or booleans has one label per row. Columns of lists are
        joined first: ``pl.col("tags").list.join(";")``.
    missing : {'unlabeled', 'none'}
        What an empty cell says: nobody labeled the row, which is then left alone, or it has none of the
        labels. An empty text always says the latter; a CSV holds no difference between the two.
    filter : str
        How labels are flagged, by cleanlab's names: 'prune_by_noise_rate', 'prune_by_class', 'both',
        'confident_learning' or 'predicted_neq_given'.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        The model that judges; 'auto' takes for each label the better of linear and boosting.
    folds : int, at least 2, or 'one'
        Parts that are judged one after another; 'one' leaves out one row (or group) at a time.
    repeats : int, at least 1
        Dealings of the rows into folds.
    looks : int, at least 1
        How often the rows are judged: from the second time on models trust each label as far as it was
        believed before.
    rank_by : {'self_confidence', 'normalized_margin', 'confidence_weighted_entropy'}
        What scores each label; the score of a row is their moving average in falling order.
    action : {'drop', 'relabel', 'weight', 'report'}
        What is done with flagged rows; 'report' leaves them as they are.
    threshold : float, in [0, 1]
        For 'relabel': least probability of what a label is changed to.
    max_share : float, in (0, 1]
        At most this share of the judged rows is acted on, the lowest scores first.
    random_state : int
        Seed of folds and probe.
    on : selection, optional
        The columns the probe sees; by default all that it can read.

    Findings
        labels.issue : rows have labels that are probably wrong, or lack some; score: their share.
        labels.rare : labels were too rare, or too common, to be judged.

    Raises
        DataError : the target holds neither text nor classes, is numeric and to be relabeled, or no column
        is of a kind that a probe reads.

    Source
        Thyagarajan et al., "Identifying Incorrect Annotations in Multi-Label Classification Data" (2022). For
        the same probabilities the rows are those of
        ``cleanlab.multilabel_classification.filter.find_label_issues``, and the scores those of
        ``get_label_quality_scores`` to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [i % 20 + 0.0 for i in range(40)], "b": [i // 20 + 0.0 for i in range(40)]})
    >>> y = [("low" if i % 20 < 10 else "high") + (";late" if i > 19 else "") for i in range(40)]
    >>> y[3] = "low;high"
    >>> stage = LabelsMultilabel(probe="linear", action="relabel").fit(X, y)
    >>> stage.plan_.label[3], stage.plan_.reason[3][:17]
    ('low', "without 'high' (p")
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "labels.issue": "rows have labels that are probably wrong, or lack some",
        "labels.rare": "labels were too rare, or too common, to be judged",
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        separator: Annotated[str, MinLen(1)] = ";",
        missing: Literal["unlabeled", "none"] = "unlabeled",
        filter: Filter = "prune_by_noise_rate",
        probe: Judge = "auto",
        folds: Annotated[int, Ge(2)] | Literal["one"] = 5,
        repeats: Annotated[int, Ge(1)] = 1,
        looks: Annotated[int, Ge(1)] = 2,
        rank_by: Score = "self_confidence",
        action: Literal["drop", "relabel", "weight", "report"] = "drop",
        threshold: Annotated[float, Ge(0), Le(1)] = 0.8,
        max_share: Annotated[float, Gt(0), Le(1)] = 0.5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.separator = separator
        self.missing = missing
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
        short = {"probe": "linear", "folds": 3, "looks": 1}
        return [
            short,
            {
                **short,
                "separator": "e",
                "action": "relabel",
                "threshold": 0.5,
                "filter": "predicted_neq_given",
            },
            {
                **short,
                "missing": "none",
                "action": "weight",
                "rank_by": "normalized_margin",
                "max_share": 0.1,
            },
            {**short, "filter": "both", "action": "report", "repeats": 2, "looks": 2},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Judge each label of each row, and say what becomes of the rows flagged."""
        target = table.need("target", self.key)
        if not readable(self, table, "a probe can read"):
            return RowPlan.keep_all(table.height)
        sets = self._read(table, target)
        judged, probabilities = self._judge(table, sets)
        if not judged:
            return RowPlan.keep_all(table.height)
        given = sets.given[:, judged]
        flagged = multilabel_issues(given, probabilities, method=self.filter)
        scores = multilabel_quality(given, probabilities, method=self.rank_by)
        sets = Sets(sets.rows, [sets.names[k] for k in judged], given)
        if flagged.any():
            self._tell(sets, flagged, scores, table.ids)
        return self._act(sets, flagged, probabilities, scores, table, target)

    def _read(self, table: Table, target: pl.Series) -> Sets:
        """Return the labels of the rows that have any, or are said to have none."""
        if target.dtype.is_nested():
            raise DataError(
                f"labels.multilabel: the target '{target.name}' holds {target.dtype}. Make it text, which "
                f"a ledger can keep: pl.col('{target.name}').list.join('{self.separator}')."
            )
        texts = target.cast(pl.String)
        if target.dtype not in (pl.String, pl.Categorical, pl.Enum):
            Classes.of(target, self.key)
            if self.action == "relabel":
                raise DataError(
                    f"labels.multilabel: the target '{target.name}' is {target.dtype}, and cannot hold "
                    f"several labels. Write them as text, with '{self.separator}' between them."
                )
        usable = (
            texts.is_not_null().to_numpy().copy()
            if self.missing == "unlabeled"
            else np.ones(len(texts), bool)
        )
        weight = table.role("weight")
        if weight is not None:
            usable &= weight.to_numpy() > 0
        order = np.argsort(table.ids, kind="stable")
        rows = order[usable[order]]
        parts = _parts(texts.fill_null("")[rows], self.separator)
        long = pl.DataFrame({"row": np.arange(len(rows)), "name": parts}).explode("name").drop_nulls()
        names = long["name"].unique().sort()
        given = np.zeros((len(rows), len(names)), bool)
        given[long["row"].to_numpy(), names.search_sorted(long["name"])] = True
        return Sets(rows, names.to_list(), given)

    def _judge(self, table: Table, sets: Sets) -> tuple[list[int], np.ndarray]:
        """Return which labels could be judged, and the probability that a row has them."""
        frame = table.frame.collect()[sets.rows]
        judged, found, rare = [], [], []
        chosen = {"probe": self.probe, "folds": self.folds, "repeats": self.repeats, "looks": self.looks}
        for k, name in enumerate(sets.names):
            has = sets.given[:, k]
            said = None
            if 1 < has.sum() < len(has) - 1:
                part = frame.with_columns(pl.Series(LABEL, has.astype(np.int64)))
                asked = table.with_frame(part.lazy(), replace(table.roles, target=LABEL))
                said = judge(asked, self.columns_, self.key, random_state=self.random_state, **chosen)  # type: ignore[arg-type]
            if said is None or len(said.classes) < 2:
                rare.append(name)
                continue
            column = np.empty(len(has))
            column[said.rows] = said.probabilities[:, 1]
            judged.append(k)
            found.append(column)
        if rare:
            few = "have one row, or all but one, or their rows lie in one fold: not judged"
            self.report(
                "labels.rare", f"Labels {listed(map(repr, rare))} {few}.", float(len(rare)), severity="low"
            )
        return judged, np.column_stack(found) if found else np.empty((len(sets.rows), 0))

    def _act(
        self,
        sets: Sets,
        flagged: np.ndarray,
        probabilities: np.ndarray,
        scores: np.ndarray,
        table: Table,
        target: pl.Series,
    ) -> RowPlan:
        count = table.height
        # What a label that is flagged would change to: given to not, and not to given.
        other = np.where(sets.given, 1 - probabilities, probabilities)
        if self.action == "relabel":
            flagged = flagged & (other >= self.threshold) & (other > 0.5)
        acted = self._within(sets.given, flagged, scores)
        rows, cells = sets.rows[acted], flagged[acted]
        times, score, reason = np.ones(count, np.int64), np.full(count, np.nan), np.full(count, "", object)
        score[sets.rows] = scores
        reason[rows] = [
            ", ".join(
                f"{'without' if has[k] else 'with'} '{sets.names[k]}' (p={p[k]:.2f})"
                for k in np.flatnonzero(cell)
            )
            for cell, has, p in zip(cells, sets.given[acted], other[acted], strict=True)
        ]
        weight = label = None
        if self.action == "drop":
            times[rows] = 0
        elif self.action == "weight":
            weight = np.ones(count)
            weight[rows] = np.clip(scores[acted], 0, 1)
        elif self.action == "relabel":
            label = self._relabeled(sets, rows, cells, target)
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _within(self, given: np.ndarray, flagged: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return the flagged rows to act on: up to `max_share`, and never all rows of a label."""
        chosen = np.flatnonzero(flagged.any(axis=1))
        chosen = chosen[np.argsort(scores[chosen], kind="stable")]
        acted = np.zeros(len(flagged), bool)
        acted[chosen[: int(self.max_share * len(flagged))]] = True
        for has in given.T:
            own = np.flatnonzero(has)
            if acted[own].all():
                acted[own[scores[own].argmax()]] = False
        return acted

    def _relabeled(self, sets: Sets, rows: np.ndarray, cells: np.ndarray, target: pl.Series) -> pl.Series:
        """Return the new texts: labels that stay in their order, then those that are new."""
        texts: list[str | None] = [None] * len(target)
        old = target.cast(pl.String).fill_null("")
        for row, cell, parts in zip(rows, cells, _parts(old[rows], self.separator), strict=True):
            changed = [sets.names[k] for k in np.flatnonzero(cell)]
            stay = [name for name in parts if name not in changed]
            texts[row] = self.separator.join(stay + [name for name in changed if name not in parts])
        new = pl.Series(texts, dtype=pl.String)
        try:
            return new.cast(target.dtype)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"labels.multilabel: the target '{target.name}' is {target.dtype}, which has no category for "
                "some new sets of labels. Cast it to text first."
            ) from error

    def _tell(self, sets: Sets, flagged: np.ndarray, scores: np.ndarray, ids: np.ndarray) -> None:
        hit = flagged.any(axis=1)
        share = float(hit.mean())
        extra, lacking = (flagged & sets.given).sum(axis=0), (flagged & ~sets.given).sum(axis=0)
        worst = int((extra + lacking).argmax())
        self.report_rows(
            "labels.issue",
            f"{int(hit.sum())} of {len(flagged)} rows ({share:.1%}) have labels that are probably wrong, or "
            f"lack some; most often '{sets.names[worst]}': doubted in {extra[worst]} rows, "
            f"missed in {lacking[worst]}.",
            ids[sets.rows[hit]],
            scores[hit],
            score=share,
            severity="high" if share > 0.05 else "medium",
            remedy={"labels.multilabel": {"separator": self.separator, "action": "report"}},
        )


def _parts(texts: pl.Series, separator: str) -> pl.Series:
    """Return the labels in each text, without spaces around them and without empty ones."""
    split = texts.str.split(separator).list.eval(pl.element().str.strip_chars())
    return split.list.eval(pl.element().filter(pl.element() != "")).list.unique(maintain_order=True)
