"""Drop rows that lie among other classes, or that the border between classes does not need."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage, Selection
from tilth.stages.classed import ClassedRows, Scale
from tilth.stages.cleaning import (
    FINDS,
    THINNING,
    Cleaned,
    Rule,
    Verdict,
    clean_by,
    may_go,
    neighbors_to_ask,
    spare_and_report,
)
from tilth.stages.judging import Judge, judge
from tilth.stages.reading import readable
from tilth.table import Table


class BalanceClean(RowStage):
    """Drop rows whose neighbors are of other classes, or that lie deep among their own.

    Learns
        Nothing that stays.
    Training
        Rows of the chosen classes go by the rule of `method`; reasons name the neighbors that spoke against
        them. Of a class that would lose all its rows one stays. How many rows go is what the rule finds:
        balance.under drops to exact counts. Rows without a label are left alone, and are nobody's
        neighbors.
    Weights
        Kept with their rows; not used to find neighbors. For 'hardness' the probe is fitted with them, and
        rows of weight 0 are left alone.
    Cost
        For 'enn' and its kin the pairs of the rows of each class with those of others, and for rows near to
        others all pairs with their own, in matrix products; for 'tomek' the pairs with rows of all but the
        largest class. 'condensed' takes all pairs with the rows that stay. 'hardness' fits the probe `folds`
        times.
    Scaling
        Needs all rows in one place. Equally near rows: the lower row id first.

    Two rows are compared over the columns that both have: squared differences of numbers and dates, and for
    two different categories 1 (with `scale` 'none', the squared median of the numbers' standard deviations),
    scaled up to all columns.

    Parameters
    ----------
    method : str
        'enn': a row goes whose `k` nearest are not all, or not mostly, of its class. 'repeated_enn': again
        until none goes; 'all_knn': with 1, 2 ... `k` neighbors; both end where a class becomes smaller than
        the smallest was. 'ncr': a row goes that its `k` nearest outvote, or that is one of the `k` nearest by
        which a row of the smallest class is outvoted. 'tomek': a row goes if it and one of another class
        are each other's nearest. 'condensed': a row goes that is nearer to those that stay than to the
        smallest class, rows met one after another; 'one_sided': one that is nearer to a row drawn, and then
        as 'tomek'. 'hardness': a row goes whose class has a probability below `threshold` for models that
        did not see it.
    kind : {'all', 'mode'}
        For 'enn', 'repeated_enn' and 'all_knn': whether all of the neighbors must be of a row's class, or
        its class must be the most frequent among them (of equally frequent ones the first).
    k : int, >= 1
        Neighbors asked; all others where there are fewer, with a warning.
    classes : {'auto', 'all'} or list of classes
        Of which classes rows may go: all but the smallest, all, or those named.
    threshold : float, in [0, 1]
        For 'hardness'.
    probe : {'linear', 'boosting', 'mlp', 'auto'} or estimator
        For 'hardness': the model that judges; see labels.clean.
    folds : int, >= 2
        For 'hardness': parts that are judged one after another.
    scale : {'standard', 'none'}
        Numbers are compared in standard deviations, or in the units they have.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the rows that go are the same. What 'condensed' chooses one after
        another, it chooses on the CPU.
    correct_prior : bool
        Let the pipeline and the bench turn a model's probabilities back to the class frequencies there were
        before (Saerens et al. 2002, equation 2.4).
    random_state : int
        Seed of the order in which 'condensed' and 'one_sided' meet rows, and of folds and probe.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.

    Findings
        balance.border : rows lie among other classes, or are not needed; score: their share; rows: the
        clearest first.
        balance.few : there are fewer rows than `k` asks for.
        balance.spared : a class would have lost all its rows.

    Raises
        DataError : the target holds values, not classes; a class named does not exist; no column can be read.
        TilthError : the device is not present.

    Source
        Wilson, "Asymptotic properties of nearest neighbor rules using edited data" (1972); Tomek, "An
        experiment with the edited nearest-neighbor rule" and "Two modifications of CNN" (1976); Laurikkala,
        "Improving identification of difficult small classes by balancing class distribution" (2001); Hart,
        "The condensed nearest neighbor rule" (1968); Kubat and Matwin, "Addressing the curse of imbalanced
        training sets" (1997); Smith, Martinez and Giraud-Carrier, "An instance level analysis of data
        complexity" (2014). Peers: imbalanced-learn's samplers of these names; with ``scale='none'`` the same
        rows are kept, except where neighbors are equally near or a class would lose all its rows.

    Examples
    --------
    >>> import polars as pl
    >>> X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1]})
    >>> stage = BalanceClean(k=2).fit(X, ["n", "n", "n", "n", "n", "y", "y"])
    >>> np.flatnonzero(stage.plan_.times == 0).tolist(), stage.plan_.reason[4]
    ([4], "class 'n': among its nearest rows are row 5 ('y'), row 6 ('y')")
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = FINDS
    scaling: ClassVar = "local"
    needs_target: ClassVar = True
    shifts_prior: ClassVar = True

    def __init__(
        self,
        *,
        method: Rule | Literal["hardness"] = "enn",
        kind: Literal["all", "mode"] = "all",
        k: Annotated[int, Ge(1)] = 3,
        classes: Cleaned = "auto",
        threshold: Annotated[float, Ge(0), Le(1)] = 0.5,
        probe: Judge = "linear",
        folds: Annotated[int, Ge(2)] = 5,
        scale: Scale = "standard",
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        correct_prior: bool = True,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.kind = kind
        self.k = k
        self.classes = classes
        self.threshold = threshold
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
            {"kind": "mode", "k": 5, "classes": "all", "scale": "none"},
            {"method": "repeated_enn", "classes": ["no"], "correct_prior": False},
            {"method": "all_knn", "kind": "mode"},
            {"method": "ncr"},
            {"method": "tomek", "classes": "all"},
            {"method": "condensed"},
            {"method": "one_sided", "random_state": 3},
            {"method": "hardness", "folds": 3, "threshold": 0.4},
        ]

    @property
    def recipe(self) -> bool:
        """Tell whether a recipe can name it: not with an estimator in it."""
        return isinstance(self.probe, str)

    def plan(self, table: Table) -> RowPlan:
        """Say which rows go, and why."""
        if not readable(self, table, "rows can be compared by"):
            return RowPlan.keep_all(table.height)
        rows = ClassedRows.of(table, self.columns_, self.key, self.scale)
        cleaned = may_go(rows, self.classes, f"{self.key}: classes")
        if not len(rows.codes):
            return RowPlan.keep_all(table.height)
        if self.method == "hardness":
            verdict = self._judged(table, rows, cleaned)
        else:
            verdict = clean_by(
                self.method,
                rows,
                cleaned,
                k=neighbors_to_ask(self, self.method, rows, self.k),
                kind=self.kind,
                device=self.device,
                random_state=self.random_state,
            )
        verdict = spare_and_report(self, rows, verdict, thins=self.method in THINNING)
        times = np.ones(table.height, np.int64)
        reason, score = np.full(table.height, "", dtype=object), np.full(table.height, np.nan)
        times[rows.places[verdict.gone]] = 0
        reason[rows.places], score[rows.places] = verdict.reason, verdict.score
        return RowPlan(times, reason=reason, score=score)

    def _judged(self, table: Table, rows: ClassedRows, cleaned: np.ndarray) -> Verdict:
        """Ask models that did not see a row for the probability of its class."""
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
        score = sure[rows.places]
        gone = (score < self.threshold) & cleaned[rows.codes]
        reason = np.full(len(score), "", dtype=object)
        reason[gone] = [
            f"class '{rows.classes.names[code]}' has a probability of {p:.2f}"
            for code, p in zip(rows.codes[gone], score[gone], strict=True)
        ]
        return Verdict(gone, reason, score)
