"""Keep the columns that are chosen again and again from halves of the rows."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from tilth.core.stage import Selection
from tilth.errors import StageError, TilthWarning
from tilth.stages.evidence import Evidence
from tilth.stages.selecting import Choosing
from tilth.statistics import Statistics
from tilth.statistics.lasso_path import first_columns
from tilth.statistics.shadows import false_bound, most_chosen


class SelectStable(Choosing):
    """Leave out columns that a simple selector does not choose from most halves of the rows.

    Learns
        The rows are cut into two halves, by class, `pairs` times anew. From each half a base selector chooses
        so many columns, one at least, that no more than `expected` of those chosen no more often than by
        chance are expected to reach the `threshold`. A column stays that this share of all halves chooses.
        Few columns stay, and surely so. Where none does, and nothing else is left, all of them stay.
    New data
        The same columns are left out; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Used by the base selector; halves count rows. Rows of weight 0 or without a label are left out.
    Cost
        2 * `pairs` runs of the base selector on half of the rows.
    Scaling
        Learned from a sample of `max_rows` rows, the same for any partition and order of the rows.

    Parameters
    ----------
    base : {'lasso', 'forest', 'information', 'boosting', 'linear'}
        What chooses from a half: the first columns that enter the path of the lasso (numbers by their ranks,
        as a normal variable has them, categories as 0/1 columns, gaps marked, classes as 0/1 targets), or the
        most important ones as `select.relevant` measures importance.
    threshold : float, in (0.5, 1]
        Share of the halves that must choose a column.
    expected : float, above 0
        Columns that tell nothing that may be expected to stay.
    bound : {'unimodal', 'worst_case'}
        What is assumed of how often such columns are chosen: that the share of pairs whose halves both choose
        one is unimodally distributed, which lets each half choose more; or nothing.
    pairs : int, at least 2
        Cuts into halves.
    trees : int, at least 10
        Trees per half, for 'forest'.
    max_rows : int, at least 10
        Rows of the sample.
    random_state : int
        Seed of the sample, the halves and the models.
    on : selection, optional
        The columns that are looked at, and may go.

    Attributes
    ----------
    kept_ : list of str
    dropped_ : dict of column to str
    scores_ : dict of column to float
        The share of the halves that chose the column.
    size_ : int
        Columns that each half may choose.
    bound_ : float
        Expected columns that tell nothing and stay, at most; by the columns that were really chosen.

    Findings
        select.unstable : a column is chosen too seldom, and is left out; score: its share of the halves.
        select.stable : how many columns stay and how many of them are expected to tell nothing; score: that.
        select.none : no column is chosen often enough, and all of them stay; score: the largest share.

    Raises
        DataError : the target has one class, or is neither classes nor finite numbers.
        StageError : `threshold` is too near to 1/2 for so few `pairs` to promise anything.

    Source
        Meinshausen and Buehlmann, "Stability selection", JRSS B 72 (2010); Shah and Samworth, "Variable
        selection with error control: another look at stability selection", JRSS B 75 (2013), for
        complementary pairs and the bounds. Peer: scikit-learn's ``lars_path``, which the path is made by.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> random = np.random.default_rng(0)
    >>> rows = pl.DataFrame({f"x{i}": random.normal(size=200) for i in range(30)})
    >>> y = 2 * rows["x1"] - rows["x4"] + random.normal(size=200)
    >>> SelectStable().fit(rows, y).kept_
    ['x1', 'x4']
    """

    handles: ClassVar = ("numeric", "boolean", "datetime", "categorical")
    finds: ClassVar = {
        "select.unstable": "a column is chosen too seldom, and is left out",
        "select.stable": "how many columns stay, and how many of them are expected to tell nothing",
        "select.none": "no column is chosen often enough, and all of them stay",
    }
    scaling: ClassVar = "sample"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        base: Literal["lasso", "forest", "information", "boosting", "linear"] = "lasso",
        threshold: Annotated[float, Gt(0.5), Le(1)] = 0.75,
        expected: Annotated[float, Gt(0)] = 1.0,
        bound: Literal["unimodal", "worst_case"] = "unimodal",
        pairs: Annotated[int, Ge(2)] = 50,
        trees: Annotated[int, Ge(10)] = 100,
        max_rows: Annotated[int, Ge(10)] = 5000,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.base = base
        self.threshold = threshold
        self.expected = expected
        self.bound = bound
        self.pairs = pairs
        self.trees = trees
        self.max_rows = max_rows
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"base": "information", "pairs": 5},
            {"pairs": 4, "bound": "worst_case", "threshold": 0.8},
            {"base": "forest", "pairs": 2, "trees": 10, "max_rows": 60, "threshold": 0.9},
            {"base": "linear", "pairs": 2, "on": "near | skewed | city | yes", "threshold": 0.9},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns are chosen, and how often."""
        if not self.columns_:
            self.size_, self.bound_ = 0, 0.0
            self.settle({}, {})
            return
        width = len(self.columns_)
        if not np.isfinite(false_bound(1, width, self.threshold, self.pairs, self.bound)):
            raise StageError(
                f"select.stable: threshold={self.threshold:g} with {self.pairs} pairs promises nothing. "
                "Raise `threshold` or `pairs`, or use bound='worst_case'."
            )
        # With few columns even one from each half is more than the bound allows; the finding says so.
        self.size_ = max(1, most_chosen(self.expected, width, self.threshold, self.pairs, self.bound))
        evidence = Evidence.gather(statistics, self.columns_, self.key, self.max_rows, self.random_state)
        chosen = np.array(self._choices(evidence))
        self.bound_ = false_bound(
            float(chosen.sum(axis=1).mean()), width, self.threshold, self.pairs, self.bound
        )
        shares = dict(zip(evidence.columns, chosen.mean(axis=0).tolist(), strict=True))
        scores = {c: shares[c] for c in self.columns_}
        dropped = {
            c: f"is chosen from {share:.0%} of the halves"
            for c, share in scores.items()
            if share < self.threshold
        }
        looked_at = self.columns_
        none = bool(dropped) and not self.leaves(dropped)
        self.settle({} if none else dropped, scores)
        if none:
            self._tell_none(looked_at, max(scores.values()))
            return
        self._tell_bound(len(looked_at) - len(dropped), evidence.height)
        for name in dropped:
            told = f"'{name}' {dropped[name]}, less than {self.threshold:.0%}: left out."
            self.report("select.unstable", told, scores[name], columns=(name,))

    def _choices(self, evidence: Evidence) -> list[np.ndarray]:
        """Return for each half which columns it chooses."""
        found = []
        for turn in range(self.pairs):
            seed = self.random_state * 7919 + turn
            first = evidence.halves(seed)
            found += [self._choice(evidence.within(rows), seed) for rows in (first, ~first)]
        return found

    def _choice(self, evidence: Evidence, seed: int) -> np.ndarray:
        width = len(evidence.columns)
        chosen = np.zeros(width, dtype=bool)
        if evidence.height < 2:
            return chosen
        if self.base == "lasso":
            chosen[first_columns(*evidence.wide(), self.size_)] = True
            return chosen
        with warnings.catch_warnings():
            # What a probe lacks rows for shows in its losses.
            warnings.simplefilter("ignore", TilthWarning)
            worth = evidence.importance(self.base, seed, self.trees)
        # What takes away no loss at all is not chosen.
        best = np.argsort(-worth, kind="stable")[: self.size_]
        chosen[best[worth[best] > 0]] = True
        return chosen

    def _tell_none(self, columns: list[str], most: float) -> None:
        self.report(
            "select.none",
            f"None of {len(columns)} columns is chosen from {self.threshold:.0%} of the halves (at most "
            f"{most:.0%}). All stay: without them nothing would be left.",
            most,
            severity="high",
            columns=tuple(columns),
        )

    def _tell_bound(self, kept: int, rows: int) -> None:
        self.report(
            "select.stable",
            f"{kept} columns are chosen from {self.threshold:.0%} or more of {2 * self.pairs} halves of "
            f"{rows} rows, {self.size_} at most from each. At most {self.bound_:.2g} of them are "
            "expected to tell nothing.",
            self.bound_,
        )
