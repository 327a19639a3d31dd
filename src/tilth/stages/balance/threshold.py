"""Move the threshold from which on a class is decided for; rows stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.decision import DecisionStage
from tilth.core.plan import RowPlan
from tilth.stages.classes import Classes, place_of
from tilth.statistics import deciding
from tilth.table import Table

Costs = dict[str | int | bool, dict[str | int | bool, Annotated[float, Ge(0)]]]


class BalanceThreshold(DecisionStage):
    """Move the threshold of a model's decisions to where they serve a metric, or cost, best.

    Learns
        One factor per class. The training rows are cut into folds, groups kept whole; all stages and the
        model are fitted anew on all folds but one and asked for the probabilities of that one, corrected
        for what other stages did to class frequencies. Decided is for the class of the largest factor times
        probability: for two classes that is a threshold, and it is the best one on those probabilities.
    Training
        Rows, weights and labels are left as they are. ``predict`` decides by the threshold;
        ``predict_proba`` stays.
    Weights
        Used: a row counts by its weight.
    Cost
        That of fitting the stages and the model ``folds`` more times.
    Scaling
        Needs a probability per training row.

    Without a model at the end of the pipeline there is nothing to decide, and the stage does nothing. The
    bench tunes it for each probe.

    Parameters
    ----------
    metric : {'balanced_accuracy', 'f1', 'accuracy', 'geometric_mean', 'matthews'}
        What decisions are to be good at. 'f1' is that of the class `positive`, for two classes, and the mean
        over classes for more. Not used where `costs` are given.
    costs : dict of class to dict of class to float, optional
        ``{truth: {decided: cost}}``; pairs that are not named cost 0 if the two are equal, else 1.
    positive : str, int or bool, optional
        The class of 'f1'; by default the rarer one.
    folds : int, >= 2
        Parts that are held out in turn.
    random_state : int
        Seed of the folds.

    Findings
        balance.threshold : the threshold chosen; score: what is gained on the rows it was chosen by, which
            flatters a little.

    Raises
        DataError : the target holds values, not classes; `costs` or `positive` name no class.
        StageError : the model gives no probabilities.

    Source
        Elkan, "The foundations of cost-sensitive learning", IJCAI 2001. Peer: scikit-learn's
        ``TunedThresholdClassifierCV``, whose threshold the tests compare on the same probabilities.

    Examples
    --------
    >>> import numpy as np, tilth
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.random.default_rng(0).normal(size=(400, 2))
    >>> y = X[:, 0] + np.random.default_rng(1).normal(size=400) > 1.8
    >>> pipe = tilth.Pipeline([BalanceThreshold(metric="f1"), LogisticRegression()]).fit(X, y)
    >>> bool(pipe[0].threshold_ < 0.5), int(pipe.predict(X).sum()) > int(pipe.model_.predict(X).sum())
    (True, True)
    """

    finds: ClassVar = {"balance.threshold": "the threshold of decisions was moved"}

    def __init__(
        self,
        *,
        metric: Literal[
            "balanced_accuracy", "f1", "accuracy", "geometric_mean", "matthews"
        ] = "balanced_accuracy",
        costs: Costs | None = None,
        positive: str | int | bool | None = None,
        folds: Annotated[int, Ge(2)] = 5,
        random_state: int = 0,
    ) -> None:
        self.metric = metric
        self.costs = costs
        self.positive = positive
        self.folds = folds
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"metric": "f1", "positive": "yes", "folds": 3},
            {"costs": {"yes": {"no": 5.0}, "no": {"yes": 1.0}}, "random_state": 7},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Check that classes are what they are named, and leave every row as it is."""
        classes = Classes.of(table.need("target", self.key), self.key)
        self._worth(classes.names, classes.counts.astype(np.float64))
        for learned in ("factors_", "threshold_"):
            self.__dict__.pop(learned, None)
        return RowPlan.keep_all(table.height)

    @property
    def decided(self) -> bool:
        """Tell whether a model's probabilities were seen."""
        return hasattr(self, "factors_")

    def learn_decision(
        self, truth: np.ndarray, probabilities: np.ndarray, weight: np.ndarray, classes: Sequence[str]
    ) -> None:
        """Choose the factors on the classes, and for two of them the threshold of the second."""
        mass = np.bincount(truth, weight, minlength=len(classes))
        found = deciding.best_factors(truth, probabilities, weight, self._worth(classes, mass))
        self.factors_ = found.factors
        told = ", ".join(f"{name} {factor:.4g}" for name, factor in zip(classes, found.factors, strict=True))
        what = f"factors on the classes: {told}"
        if len(classes) == 2:
            self.threshold_ = float(found.factors[0])
            what = f"'{classes[1]}' is decided for from a probability of {self.threshold_:.4g} on"
        gain = found.worth - found.worth_before
        if self.costs:
            was, now = -found.worth_before, -found.worth
            told = f"a mean cost of {now:.4g} instead of {was:.4g}"
        else:
            told = f"{self.metric} {found.worth:.4g} instead of {found.worth_before:.4g}"
        self.report("balance.threshold", f"{what}: {told}, on {len(truth)} rows.", gain)

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the place of the class that is decided for."""
        return deciding.decide(probabilities, self.factors_)

    def _worth(self, classes: Sequence[str], mass: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Return what a confusion is worth."""
        place = lambda name, where: place_of(name, list(classes), f"{self.key}: {where}")
        if self.costs:
            cost = 1.0 - np.eye(len(classes))
            for true, row in self.costs.items():
                for decided, value in row.items():
                    cost[place(true, "costs"), place(decided, "costs")] = value
            return lambda confusion: -(confusion * cost).sum(axis=(-2, -1)) / confusion.sum(axis=(-2, -1))
        if self.metric != "f1":
            return getattr(deciding, self.metric)
        if self.positive is not None:
            at = place(self.positive, "positive")
            return lambda confusion: deciding.f1(confusion)[..., at]
        if len(classes) == 2:
            return lambda confusion: deciding.f1(confusion)[..., int(mass.argmin())]
        return lambda confusion: deciding.f1(confusion).mean(axis=-1)
