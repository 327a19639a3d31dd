"""Drop rows of the more frequent classes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.errors import TilthWarning
from tilth.neighbors.editing import smallest_class
from tilth.neighbors.misses import near_misses
from tilth.stages.classed import ClassedRows, Scale
from tilth.stages.classes import Classes, report_imbalance
from tilth.stages.judging import Judge, judge
from tilth.stages.ratios import Ratio, fewer_rows
from tilth.stages.reading import readable
from tilth.statistics import uniform
from tilth.statistics.representatives import representatives
from tilth.table import Table

Chosen = tuple[np.ndarray, np.ndarray, np.ndarray, str]
"""The rows of a class, which of them stay, the measure of each, and what it is called."""

Choose = Callable[[int, int], Chosen]
"""From a class and how many of its rows are to stay."""

MEASURED = ("random", "instance_hardness")


class BalanceUnder(RowStage):
    """Drop rows of the larger classes until each has a given number of rows.

    Learns
        Nothing that stays.
    Training
        Every class larger than the smallest divided by `ratio` is dropped to exactly that many rows (rounded
        down), chosen by `method`; no row of another class is dropped. Rows without a label are left alone.
    Weights
        Kept with their rows; not used to count classes or to find neighbors. For 'instance_hardness' the
        probe is fitted with them, and rows of weight 0 go first.
    Cost
        'random': O(rows log rows). 'nearmiss': the pairs of the rows of larger classes with those of the
        smallest. 'instance_hardness': `folds` fits of the probe. 'cluster': k-means with as many clusters as
        rows stay, O(rows x clusters x columns) in each round.
    Scaling
        'random' needs the class of every row, and its draws do not depend on the rows' order or partition;
        the others need all rows in one place. Of equally good rows the one of the lower id stays.

    Dropping rows shifts the class frequencies that a model sees, and so its probabilities; `correct_prior`
    turns them back. What the dropped rows knew is lost: balance.weight keeps it.

    Parameters
    ----------
    ratio : float in (0, 1], 'equal' or dict of class to int
        Rows of the smallest class per row of each larger; 'equal' is 1. Or how many rows each class named is
        to have; all others keep theirs.
    method : str
        Which rows stay. 'random': drawn by seed and row id. 'nearmiss-1': those nearest, on average, to the
        `k` rows of the smallest class that are nearest to them; 'nearmiss-2': that are farthest from them;
        'nearmiss-3': of the rows that are among the `k` nearest of some row of the smallest class, those
        farthest from it; with more neighbors where these rows are too few. 'instance_hardness': those whose
        class models that did not see them find likeliest. 'cluster': of each of as many clusters as rows
        stay the row nearest to its center.
    k : int, >= 1
        For 'nearmiss'; all rows of the smallest class where there are fewer, with a warning.
    probe : {'linear', 'boosting', 'mlp', 'auto'} or estimator
        For 'instance_hardness': the model that judges; see labels.clean.
    folds : int, >= 2
        For 'instance_hardness': parts that are judged one after another.
    scale : {'standard', 'none'}
        Numbers are compared in standard deviations, or in the units they have.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the rows that stay are the same. 'nearmiss-2' measures on the CPU.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).
    random_state : int
        Seed of draws, clusters, folds and probe.
    on : selection, optional
        The columns that rows are compared by; by default all that are numeric, categorical, boolean or
        dates. Not used by 'random'.

    Findings
        balance.classes : the smallest class is smaller than `ratio` times another; score: smallest / largest.
        balance.few : the smallest class has fewer rows than `k`, or 'nearmiss-3' needed more neighbors.

    Raises
        DataError : the target holds values, not classes; `ratio` asks for more rows than a class has, or
        names a class that does not exist; no column can be read.
        TilthError : the device is not present.

    Source
        Mani and Zhang, "kNN approach to unbalanced data distributions" (2003); Smith, Martinez and
        Giraud-Carrier, "An instance level analysis of data complexity" (2014); Lin et al., "Clustering-based
        undersampling in class-imbalanced data" (2017). Peers: imbalanced-learn's ``RandomUnderSampler``,
        ``NearMiss``, ``InstanceHardnessThreshold`` and ``ClusterCentroids``; the tests equal the counts, and
        the rows of ``NearMiss`` with ``scale='none'``. That of version 3 keeps fewer rows than asked for
        where its neighbors are too few.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0, 9.0]})
    >>> X, y = BalanceUnder(method="nearmiss-1", k=1).fit_resample(X, ["no", "no", "no", "no", "yes"])
    >>> X["a"].to_list(), y.tolist()
    ([3.0, 9.0], ['no', 'yes'])
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "balance.classes": "a class is much smaller than the largest",
        "balance.few": "the smallest class has fewer rows than neighbors were asked for",
    }
    scaling: ClassVar = "local"
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True

    def __init__(
        self,
        *,
        ratio: Ratio = "equal",
        method: Literal[
            "random", "nearmiss-1", "nearmiss-2", "nearmiss-3", "instance_hardness", "cluster"
        ] = "random",
        k: Annotated[int, Ge(1)] = 3,
        probe: Judge = "linear",
        folds: Annotated[int, Ge(2)] = 5,
        scale: Scale = "standard",
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        correct_prior: bool = True,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.ratio = ratio
        self.method = method
        self.k = k
        self.probe = probe
        self.folds = folds
        self.scale = scale
        self.device = device
        self.correct_prior = correct_prior
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"ratio": 0.8, "random_state": 7, "correct_prior": False},
            {"ratio": {"no": 40}, "method": "nearmiss-1"},
            {"method": "nearmiss-2", "scale": "none"},
            {"method": "nearmiss-3", "ratio": 0.9, "k": 5},
            {"method": "instance_hardness", "folds": 3},
            {"method": "cluster", "ratio": 0.9},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Say which rows go, and why."""
        if self.on is not None and not self.columns_:
            return RowPlan.keep_all(table.height)
        classes = Classes.of(table.need("target", self.key), self.key)
        wanted = fewer_rows(classes, self.ratio, self.key)
        larger = np.flatnonzero(wanted < classes.counts)
        if not len(larger):
            return RowPlan.keep_all(table.height)
        times, score = np.ones(table.height, np.int64), np.full(table.height, np.nan)
        reason = np.full(table.height, "", dtype=object)
        choose = self._by_measure(table, classes) if self.method in MEASURED else self._by_place(table)
        for code in larger:
            own, chosen, measures, word = choose(int(code), int(wanted[code]))
            gone = own[~chosen]
            times[gone], score[own] = 0, np.where(np.isfinite(measures), measures, np.nan)
            told = f"class '{classes.names[code]}' has {len(own)} rows, {wanted[code]} stay"
            reason[gone] = [
                f"{told}; {word} {measure:.3g}" if word and np.isfinite(measure) else told
                for measure in measures[~chosen]
            ]
        report_imbalance(self, classes)
        return RowPlan(times, reason=reason, score=score)

    def _by_measure(self, table: Table, classes: Classes) -> Choose:
        """Choose by a number that each row has: a draw, or how likely its class is."""
        if self.method == "random":
            word, measures = "", uniform(self.random_state, table.ids)
            first = measures
        else:
            readable(self, table, "a probe can read")
            word, measures = "its class has probability", self._sure(table)
            first = -np.nan_to_num(measures, nan=-1.0)
        # Of equally good rows the one of the lower id stays.
        order = np.lexsort((table.ids, first))

        def choose(code: int, keep: int) -> Chosen:
            own = order[classes.codes[order] == code]
            return own, np.arange(len(own)) < keep, measures[own], word

        return choose

    def _sure(self, table: Table) -> np.ndarray:
        """Return how likely models that did not see a row find its class; NaN where none judged."""
        found = judge(
            table,
            self.columns_,
            self.key,
            probe=self.probe,
            folds=self.folds,
            repeats=1,
            looks=1,
            random_state=self.random_state,
        )
        sure = np.full(table.height, np.nan)
        sure[found.rows] = found.probabilities[np.arange(len(found.rows)), found.labels]
        return sure

    def _by_place(self, table: Table) -> Choose:
        """Choose by where the rows of a class lie."""
        readable(self, table, "rows can be compared by")
        rows = ClassedRows.of(table, self.columns_, self.key, self.scale)
        if self.method == "cluster":
            return lambda code, keep: self._clustered(rows, np.flatnonzero(rows.codes == code), keep)
        least, size = smallest_class(rows.classes.counts)
        if size < self.k:
            self._few(
                f"Class '{rows.classes.names[least]}' has {size} rows, fewer than k = {self.k}: "
                "all of them are asked.",
                size,
            )
        others = np.flatnonzero(rows.codes == least)
        return lambda code, keep: self._near_misses(rows, np.flatnonzero(rows.codes == code), others, keep)

    def _near_misses(self, rows: ClassedRows, own: np.ndarray, others: np.ndarray, keep: int) -> Chosen:
        names, version = rows.classes.names, int(self.method[-1])
        name = names[rows.codes[others[0]]]
        chosen, distances, k = near_misses(
            rows.space,
            rows.matrix,
            own,
            others,
            keep,
            self.k,
            version,  # type: ignore[arg-type]
            self.device,
        )
        if k > self.k:
            self._few(
                f"Class '{name}': the {self.k} nearest of its rows are fewer than the {keep} that are to "
                f"stay of class '{names[rows.codes[own[0]]]}': {k} neighbors were looked at.",
                len(others),
            )
        return rows.places[own], chosen, distances, f"mean distance to rows of class '{name}'"

    def _clustered(self, rows: ClassedRows, own: np.ndarray, keep: int) -> Chosen:
        if not rows.reading.columns or keep == 0:
            return rows.places[own], np.arange(len(own)) < keep, np.full(len(own), np.nan), ""
        filled = np.where(np.isnan(rows.matrix[own]), rows.reading.mode, rows.matrix[own])
        wide = rows.reading.one_hot(filled)
        # In an order that has nothing to do with how rows lie: that of their ids may have.
        order = np.argsort(uniform(self.random_state, rows.ids[own]), kind="stable")
        chosen, distances = np.zeros(len(own), dtype=bool), np.empty(len(own))
        chosen[order], distances[order] = representatives(wide[order], keep, self.random_state)
        return rows.places[own], chosen, distances, "distance to the center of its cluster"

    def _few(self, words: str, size: int) -> None:
        warnings.warn(f"{self.key}: {words}", TilthWarning, stacklevel=2)
        self.report("balance.few", words, float(size), severity="low", n_rows=size)
