"""Make one label of what several annotators say, and tell how far each of them can be trusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from tilth.core import parameters
from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import DataError, listed
from tilth.stages.judging import Judge, judge
from tilth.statistics.annotators import Consensus, crowdlab, dawid_skene, majority, worse
from tilth.table import KINDS, Table, kind_of, select

LABEL, WEIGHT = "__label__", "__weight__"
RARE = 0.01
"""An annotator is worse than the others where chance, over all annotators, explains it less often."""


class LabelsConsensus(RowStage):
    """Give rows that several annotators labeled one label, or drop or down-weight those they doubt.

    Learns
        How far each annotator agrees with the others, by `method`: 'majority' takes the label given most
        often, 'dawid_skene' estimates the confusions of each annotator, and 'crowdlab' weighs annotators and
        a probe, which judges rows it was not fitted on, by their agreement. The quality of a label is the
        share of annotators who gave it, its posterior probability, or its weighted mean probability.
    Training
        'relabel' writes the consensus into the target; 'drop' removes rows whose consensus has less than
        `threshold` quality, 'weight' multiplies the weight of rows by the quality, and both leave the target
        as it is: to relabel and weight, name the stage twice. Every class keeps at least one row. Rows that
        nobody labeled are left alone, and so are rows that are kept for testing.
    Weights
        Used to fit the probe. Annotators' votes count the same in every row.
    Cost
        O(rows * annotators * classes) for each step of 'dawid_skene', and once for the others; `folds` fits
        of the probe for 'crowdlab', with 'auto' up to 5 times as many, and for 'majority' where ties are
        left.
    Scaling
        Needs all rows in one place. Does not depend on their order.

    Parameters
    ----------
    annotators : selection, optional
        The columns that each hold one person's labels; by default those with that role (``data: {annotators:
        [...]}`` in a recipe, ``tilth.read(path, annotators=[...])``, ``Roles(annotators=...)``). Columns with
        the role are never features. Columns named here are hidden from the probe, but stay features of the
        table: in a script drop them before a model is fitted; before a model in a pipeline, give them the
        role.
    method : {'crowdlab', 'dawid_skene', 'majority'}
        How labels become one. Ties of the majority go to the annotators of higher quality, then to the class
        that the probe finds likelier, then to the one given more often.
    action : {'relabel', 'drop', 'weight', 'report'}
        What is done with the rows that were labeled; 'report' leaves them as they are.
    threshold : float, in [0, 1]
        For 'drop': least quality of the consensus.
    probe : {'auto', 'linear', 'boosting', 'mlp'} or estimator
        The model that judges, fitted on the majority's labels, each row as heavy as the share who agree with
        it.
    folds : int, at least 2
        Parts that are judged one after another.
    random_state : int
        Seed of folds and probe.
    on : selection, optional
        The columns the probe sees; by default all that it can read. With none, 'majority' and 'dawid_skene'
        do without a probe, and 'crowdlab' does nothing.

    Findings
        labels.consensus : how many rows annotators disagree on; score: their share; rows: the least sure
        first.
        labels.annotator : what one annotator's labels are worth; score: the quality, from 0 to 1.
        labels.unlabeled : rows that no annotator labeled; score: their share.

    Raises
        DataError : no annotators are named, there is no target to relabel, or it cannot hold what annotators
        say; for 'crowdlab', no row has two labels.

    Source
        Goh, Tkachenko and Mueller, "CROWDLAB" (2022), equal to
        ``cleanlab.multiannotator.get_label_quality_multiannotator`` to 1e-9; Dawid and Skene, Applied
        Statistics 28 (1979), equal to plain loops to 1e-9.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [1, 2, 3], "ann": ["x", "y", "y"], "bob": ["x", "x", "y"], "eve": ["x"] * 3})
    >>> stage = LabelsConsensus(annotators=["ann", "bob", "eve"], method="majority")
    >>> stage.fit_resample(X)[1].tolist()
    ['x', 'x', 'y']
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "labels.consensus": "how far annotators agree",
        "labels.annotator": "what one annotator's labels are worth",
        "labels.unlabeled": "rows that no annotator labeled",
    }
    scaling: ClassVar = "local"

    def __init__(
        self,
        *,
        annotators: Selection = None,
        method: Literal["crowdlab", "dawid_skene", "majority"] = "crowdlab",
        action: Literal["relabel", "drop", "weight", "report"] = "relabel",
        threshold: Annotated[float, Ge(0), Le(1)] = 0.5,
        probe: Judge = "auto",
        folds: Annotated[int, Ge(2)] = 5,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.annotators = annotators
        self.method = method
        self.action = action
        self.threshold = threshold
        self.probe = probe
        self.folds = folds
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"annotators": "categorical", "probe": "linear", "folds": 3, "action": "weight"},
            {"annotators": "categorical", "method": "majority", "probe": "linear", "on": "numeric"},
            {"annotators": "categorical", "method": "dawid_skene"},
            {"annotators": "categorical", "method": "majority", "action": "drop", "on": []},
            {"annotators": "categorical", "method": "dawid_skene", "action": "report"},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Find the consensus, tell of the annotators, and say what becomes of the rows they labeled."""
        people = self._people(table)
        seen = [name for name in self.columns_ if name not in people]
        if not people or (self.method == "crowdlab" and not seen and self.on is not None):
            return RowPlan.keep_all(table.height)
        levels, votes = _read(table, people)
        # Sums depend on the order of rows in their last bits: all are read in the order of their ids.
        order = np.argsort(table.ids, kind="stable")
        rows = order[(votes[order] >= 0).any(axis=1)]
        if len(rows) < table.height:
            self._tell_unlabeled(table.height - len(rows), table.height)
        if not len(rows):
            return RowPlan.keep_all(table.height)
        told = self._agreed(table, rows, votes[rows], len(levels), seen)
        self._tell(told, votes[rows], people, table.ids[rows])
        return self._act(told, rows, votes[rows], levels, table)

    def _enter(self, X: Any, y: Any = None, *, reset: bool, **roles: Any) -> Table:
        """Read what scikit-learn users pass; without y, the consensus is the only label there is."""
        table = super()._enter(X, y, reset=reset, **roles)
        if reset and table.roles.target is None and self.annotators is not None:
            parameters.check(self)
            people = self._people(table)
            return table.with_empty_target(people) if people else table
        return table

    def _people(self, table: Table) -> list[str]:
        """Name the annotators' columns."""
        told = table.roles.annotators
        if self.annotators is None:
            if not told:
                raise DataError(
                    "labels.consensus: no annotators are named. Name the columns that each hold one person's "
                    "labels: data: {annotators: [...]} in a recipe, annotators=[...] in tilth.read or here."
                )
            return list(told)
        return select(self.annotators, {**table.kinds, **{c: kind_of(table.schema[c]) for c in told}}, KINDS)

    def _agreed(
        self, table: Table, rows: np.ndarray, votes: np.ndarray, n_classes: int, seen: list[str]
    ) -> Consensus:
        told = majority(votes, n_classes)
        if self.method == "dawid_skene":
            return dawid_skene(votes, n_classes)
        if self.method == "crowdlab" and n_classes > 1:
            if not seen:
                raise DataError(
                    f"labels.consensus: no column that a probe can read among {listed(table.features)}. "
                    "Put an embedding or encoding stage before it, or take method: dawid_skene."
                )
            return crowdlab(votes, self._judged(table, rows, told, seen))
        if self.method == "majority" and told.open.any() and seen:
            return majority(votes, n_classes, self._judged(table, rows, told, seen))
        return told

    def _judged(self, table: Table, rows: np.ndarray, told: Consensus, seen: list[str]) -> np.ndarray:
        """Return what a probe says of each row that was labeled, fitted on the majority's labels."""
        # Of rows that cannot be judged as much is known as of any.
        probabilities = np.tile(told.belief.mean(axis=0), (len(rows), 1))
        if len(np.unique(told.labels)) < 2:
            return probabilities
        weight = table.role("weight")
        heavy = told.quality if weight is None else told.quality * weight.to_numpy()[rows]
        codes = pl.Series(LABEL, told.labels).cast(pl.String), pl.Series(WEIGHT, heavy)
        frame = table.frame.collect()[rows].with_columns(codes)
        part = table.with_frame(frame.lazy(), replace(table.roles, target=LABEL, weight=WEIGHT))
        how = {"probe": self.probe, "folds": self.folds, "random_state": self.random_state}
        found = judge(part, seen, self.key, repeats=1, looks=1, **how)  # type: ignore[arg-type]
        if len(found.rows):
            probabilities[found.rows] = 0.0
            columns = np.array([int(code) for code in found.classes])
            probabilities[np.ix_(found.rows, columns)] = found.probabilities
        return probabilities

    def _act(
        self, told: Consensus, rows: np.ndarray, votes: np.ndarray, levels: pl.Series, table: Table
    ) -> RowPlan:
        count, quality = table.height, told.quality
        times, score, reason = np.ones(count, np.int64), np.full(count, np.nan), np.full(count, "", object)
        score[rows] = quality
        acted = np.zeros(len(rows), bool)
        weight = label = None
        if self.action == "relabel":
            target = table.need("target", self.key)
            place = np.full(count, -1)
            place[rows] = told.labels
            label = _fitting(levels, target).gather(pl.Series(place).replace(-1, None))
            acted = label.ne_missing(target).to_numpy()[rows]
        elif self.action == "drop":
            acted = quality < self.threshold
            for code in np.unique(told.labels):
                own = np.flatnonzero(told.labels == code)
                if acted[own].all():
                    acted[own[quality[own].argmax()]] = False
            times[rows[acted]] = 0
        elif self.action == "weight":
            acted = quality < 1
            weight = np.ones(count)
            weight[rows] = np.clip(quality, 0, 1)
        agree, of = (votes == told.labels[:, None]).sum(axis=1), (votes >= 0).sum(axis=1)
        said = levels.cast(pl.String).gather(told.labels)
        reason[rows[acted]] = [
            f"{a} of {n} annotators say '{word}' (quality {q:.2f})"
            for a, n, word, q in zip(agree[acted], of[acted], said.filter(acted), quality[acted], strict=True)
        ]
        return RowPlan(times, weight=weight, label=label, reason=reason, score=score)

    def _tell(self, told: Consensus, votes: np.ndarray, people: list[str], ids: np.ndarray) -> None:
        given = votes >= 0
        shared = given.sum(axis=1) > 1
        torn = ((votes != told.labels[:, None]) & given).any(axis=1)
        several, split = int(shared.sum()), int((torn & shared).sum())
        share = split / several if several else 0.0
        self.report_rows(
            "labels.consensus",
            f"Of {len(votes)} labeled rows {several} have several labels; annotators disagree on {split} of "
            f"them ({share:.1%}). The mean quality of the consensus is {told.quality.mean():.3f}.",
            ids[torn],
            told.quality[torn],
            score=share,
            severity="medium" if share > 0.2 else "low" if split else "info",
            columns=tuple(people),
            remedy={"labels.consensus": {"method": self.method, "action": "weight"}} if split else None,
        )
        chance = worse(votes, told.labels) * len(people)
        agrees = ((votes == told.labels[:, None]) & given & shared[:, None]).sum(axis=0)
        of = (given & shared[:, None]).sum(axis=0)
        for m, name in enumerate(people):
            poor = bool(chance[m] < RARE)
            known = not np.isnan(told.trust[m])
            self.report(
                "labels.annotator",
                f"'{name}' agrees with the consensus in {agrees[m]} of {of[m]} rows that others labeled too "
                f"(quality {told.trust[m]:.3f}){': worse than the others, beyond chance' if poor else ''}."
                if known
                else f"'{name}' labeled no row that others did: how good the labels are cannot be told.",
                float(told.trust[m]) if known else 0.0,
                severity="medium" if poor else "info" if known else "low",
                columns=(name,),
            )

    def _tell_unlabeled(self, none: int, of: int) -> None:
        message = f"{none} of {of} rows have no label of any annotator: they are left alone."
        self.report("labels.unlabeled", message, none / of, severity="low")


def _read(table: Table, people: list[str]) -> tuple[pl.Series, np.ndarray]:
    """Return the classes that annotators named, in their common type, and that of each cell; -1: none."""
    frame = table.frame.select(people).collect()
    if any(dtype in (pl.Categorical, pl.Enum) for dtype in frame.dtypes):
        frame = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    try:
        column = [frame.select(pl.col(name).alias("cell")) for name in people]
        cells = pl.concat(column, how="vertical_relaxed").to_series()
    except pl.exceptions.PolarsError as error:
        held = listed(f"'{name}' {frame[name].dtype}" for name in people)
        raise DataError(
            f"labels.consensus: annotators hold labels of types that do not mix: {held}. "
            "Bring them to one type."
        ) from error
    if cells.dtype.is_nested():
        raise DataError(f"labels.consensus: annotators hold {cells.dtype}. One label in each cell is needed.")
    levels = cells.drop_nulls().unique().sort()
    place = pl.Series(np.arange(len(levels)))
    codes = cells.replace_strict(levels, place, default=None, return_dtype=pl.Int64).fill_null(-1)
    return levels, codes.to_numpy().reshape(len(people), frame.height).T


def _fitting(levels: pl.Series, target: pl.Series) -> pl.Series:
    """Return the classes in the target's type."""
    try:
        fitted = levels.cast(target.dtype, strict=False)
        lost = levels.filter(levels.ne_missing(fitted.cast(levels.dtype, strict=False)))
    except pl.exceptions.PolarsError:
        lost = levels
    if len(lost):
        raise DataError(
            f"labels.consensus: the target '{target.name}' is {target.dtype}, and cannot hold what "
            f"annotators say, such as {lost[0]!r}. Bring them to one type, or name no target: "
            "one is made then."
        )
    return fitted
