"""Find numeric targets that are probably wrong, by how far they lie from what models expect."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Lt

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.stages.judging import Judge, digest
from tilth.stages.judging_numbers import Expectation, judge_numbers
from tilth.stages.reading import readable
from tilth.statistics.residuals import false_discoveries, standardized, typical
from tilth.table import Table

SMALL = 1000
"""Up to so many rows a third dealing costs little, and steadies the judgment most."""


class LabelsRegression(RowStage):
    """Drop, replace or down-weight rows whose numeric target lies too far from what models expect of it.

    Learns
        For each row the value that probes expect which were fitted on all folds but its own, averaged over
        several dealings of the rows into folds; and how far values such as its own lie from what is
        expected of them, learned the same way from the residuals: where values are noisy, one must lie
        farther off to be suspect. A second look fits both again with hardly any weight for rows that lay
        more than 3 spreads off. They stay with the stage and in its bundle: fitted again on the same rows
        with another `rank_by`, `fdr`, `action` or `max_share`, it judges from them at once.
    Training
        Rows are flagged whose residual, in spreads, is too large for normal chance. 'drop' removes them;
        'relabel' gives them the value expected, held to the range of the values not flagged, and rounded
        where the target is of whole numbers; 'weight' divides their weight by the square of their residual
        in spreads. Rows without a value are left alone.
    Weights
        Used to fit the probe; flagging counts rows. Rows of weight 0 are left alone.
    Cost
        Twice `folds` times `repeats` times `looks` fits of the probe, in parallel where that pays; with
        'auto' and 'linear', up to five times `folds` more.
    Scaling
        Needs all rows in one place. Folds are drawn by seed and row id, and no group lies in two of them.

    Parameters
    ----------
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        The model that judges; 'auto' takes the better of linear and boosting by their out-of-sample mean
        absolute error. Of an estimator a clone gets the columns as numbers.
    folds : int, at least 2, or 'one'
        Parts that are judged one after another; 'one' leaves out one row (or group) at a time.
    repeats : int, at least 1, or 'auto'
        Dealings of the rows into folds; 'auto': 3 for up to 1,000 rows, 2 beyond.
    looks : int, at least 1
        How often the rows are judged: from the second time on models hardly see the values that lay far off
        before. An estimator that takes no weights gains nothing by it.
    rank_by : {'local', 'residual'}
        What ranks rows, and is judged: the residual over the spread of rows such as this one, or the residual
        over one spread for all.
    fdr : float, in (0, 1)
        At most this share of the flags is expected to be wrong, as far as the residuals of right values are
        normal. The higher, the more rows are flagged.
    action : {'drop', 'relabel', 'weight', 'report'}
        What is done with flagged rows; 'report' leaves them as they are.
    max_share : float, in (0, 1]
        At most this share of the judged rows is acted on, those farthest off first.
    random_state : int
        Seed of folds and probe.
    on : selection, optional
        The columns the probe sees; by default all that it can read.

    Findings
        labels.value_issue : values are probably wrong; score: their share; rows: the farthest off first.
        labels.value_fit : score: the share of the values' absolute deviation from their median that the
            probe explains, given for every judgment.
        labels.value_unjudged : no value could be judged: there is one row, one group or one value.
        labels.value_classes : the target holds two values only, which may be classes.

    Raises
        DataError : the target holds classes or infinite numbers, or no column is of a kind that a probe
            reads.

    Source
        Flags: Benjamini and Hochberg, JRSS B 57 (1995). Peer: ``cleanlab.regression.learn.CleanLearning``
        (Zhou, Mueller, Kumar, Wang and Lei, "Detecting Errors in a Numerical Response via any Regression
        Model", 2023), which divides residuals by an uncertainty as well; the tests compare average precision.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [i + 0.0 for i in range(40)]})
    >>> y = [2.0 * i + i % 3 for i in range(40)]
    >>> y[7] = 70.0
    >>> stage = LabelsRegression(probe="linear").fit(X, y)
    >>> np.flatnonzero(stage.plan_.times == 0).tolist(), stage.plan_.reason[7][:23]
    ([7], 'given 70, looks like 15')
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "labels.value_issue": "values of the target are probably wrong",
        "labels.value_fit": "the share of the target's deviation that the probe explains",
        "labels.value_unjudged": "no value of the target could be judged",
        "labels.value_classes": "the target holds two values, which may be classes",
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        probe: Judge = "auto",
        folds: Annotated[int, Ge(2)] | Literal["one"] = 5,
        repeats: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
        looks: Annotated[int, Ge(1)] = 2,
        rank_by: Literal["local", "residual"] = "local",
        fdr: Annotated[float, Gt(0), Lt(1)] = 0.05,
        action: Literal["drop", "relabel", "weight", "report"] = "drop",
        max_share: Annotated[float, Gt(0), Le(1)] = 0.5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.probe = probe
        self.folds = folds
        self.repeats = repeats
        self.looks = looks
        self.rank_by = rank_by
        self.fdr = fdr
        self.action = action
        self.max_share = max_share
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"probe": "linear", "folds": 3, "repeats": 2},
            {"probe": "linear", "repeats": 1, "action": "relabel", "fdr": 0.2, "random_state": 3},
            {"probe": "linear", "repeats": 1, "action": "weight", "rank_by": "residual", "max_share": 0.05},
            {"folds": 3, "repeats": 1, "looks": 1, "action": "report"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Judge the values of the target, and say what becomes of the rows flagged."""
        if not readable(self, table, "a probe can read"):
            return RowPlan.keep_all(table.height)
        found = self.judge(table)
        if found.why:
            self.report("labels.value_unjudged", f"No value was judged: {found.why}.", 1.0, severity="low")
            return RowPlan.keep_all(table.height)
        spread = found.spread if self.rank_by == "local" else typical(found.residual)
        off = standardized(found.residual, spread)
        flagged = false_discoveries(off, self.fdr)
        self._tell(found, off, flagged, table)
        return self._act(found, off, flagged, table)

    def judge(self, table: Table) -> Expectation:
        """Return what models that did not see a row expect of its value, and the spread around that.

        That of an earlier fit is taken where rows, values and all that led to it are the same.

        Parameters
        ----------
        table : Table
            With a target of numbers. The columns are those the stage was fitted on.

        Returns
        -------
        Expectation
            Of no row where none can be judged.
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
            found = judge_numbers(table, self.columns_, self.key, probe=self.probe, **chosen)  # type: ignore[arg-type]
            self.expectation_ = {name: getattr(found, name) for name in Expectation.__dataclass_fields__}
            self.digest_ = word
        return Expectation(**self.expectation_)

    def _act(self, found: Expectation, off: np.ndarray, flagged: np.ndarray, table: Table) -> RowPlan:
        count, size = table.height, np.abs(off)
        chosen = np.flatnonzero(flagged)
        chosen = chosen[np.argsort(-size[chosen], kind="stable")][: int(self.max_share * len(off))]
        label = None
        if self.action == "relabel":
            new = _as_target(found, flagged, table)
            other = new != table.need("target", self.key)[found.rows]
            chosen = chosen[other.fill_null(False).to_numpy()[chosen]]
            place = np.full(count, -1)
            place[found.rows[chosen]] = chosen
            label = new.gather(pl.Series(place).replace(-1, None))
        rows = found.rows[chosen]
        times, score = np.ones(count, np.int64), np.full(count, np.nan)
        score[found.rows] = -size
        reason = np.full(count, "", dtype=object)
        reason[rows] = [
            f"given {given:.6g}, looks like {expected:.6g} ({far:.1f} spreads off)"
            for given, expected, far in zip(
                found.given[chosen], found.expected[chosen], size[chosen], strict=True
            )
        ]
        weight = None
        if self.action == "drop":
            times[rows] = 0
        elif self.action == "weight":
            weight = np.ones(count)
            weight[rows] = 1 / np.maximum(size[chosen], 1) ** 2
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _tell(self, found: Expectation, off: np.ndarray, flagged: np.ndarray, table: Table) -> None:
        judged, residual = len(off), np.abs(found.residual)
        # Deviations of any finite values can be summed where each is divided by their number first.
        plain = float((np.abs(found.given - np.median(found.given)) / judged).sum())
        error = float((residual / judged).sum())
        explained = 1 - error / plain
        distinct = np.unique(found.given)
        if len(distinct) == 2:
            self.report(
                "labels.value_classes",
                f"The target holds two values only, {distinct[0]:g} and {distinct[1]:g}: "
                "if they are classes, use labels.clean.",
                2.0,
                severity="low",
                remedy={"labels.clean": {"action": "report"}},
            )
        self.report(
            "labels.value_fit",
            f"The {found.probe} probe explains {explained:.1%} of the deviation of {judged} values from "
            f"their median; it errs by {error:.4g} on average.",
            explained,
        )
        if flagged.any():
            share = float(flagged.mean())
            worst = int(np.abs(off).argmax())
            self.report_rows(
                "labels.value_issue",
                f"{int(flagged.sum())} of {judged} values ({share:.1%}) are probably wrong. The farthest off "
                f"is {found.given[worst]:.6g}, which looks like {found.expected[worst]:.6g}. Look at them "
                "before they are dropped or replaced.",
                table.ids[found.rows[flagged]],
                -np.abs(off)[flagged],
                score=share,
                severity="high" if share > 0.05 else "medium",
                remedy={"labels.regression": {"action": "report"}},
            )


def _as_target(found: Expectation, flagged: np.ndarray, table: Table) -> pl.Series:
    """Return the values expected in the type of the target, in the range of the values not flagged."""
    right = found.given[~flagged] if not flagged.all() else found.given
    values = np.clip(found.expected, right.min(), right.max())
    dtype = table.schema[table.roles.target or ""]
    if dtype.is_integer():
        values = values.round()
    return pl.Series(values).cast(dtype, strict=False)
