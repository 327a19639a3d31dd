"""What is measured: per task the primary metric and the ones that stand guard beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilth.errors import UnknownName

Vector = NDArray[np.float64]
Score = Callable[[NDArray, Vector, Vector], float]

EPSILON = float(np.finfo(np.float64).eps)
BINS = 15
STEPS = 50


@dataclass(frozen=True)
class Metric:
    """Describe one metric.

    Parameters
    ----------
    name : str
    score : callable
        ``score(truth, answer, weight)``. Truth holds class codes or values; the answer probabilities of shape
        (n_rows, n_classes) or values (n_rows,); the weight one number per row.
    tasks : tuple of str
    higher : bool
        Higher is better.
    rope : float
        Half width of the region of practical equivalence.
    relative : bool
        `rope` is a share of the score before.
    guards : bool
        Where it is clearly worse, a gain in the primary metric is a trade.
    ranks : bool
        It weighs every class alike, so the smallest class limits what can be told.
    labels : bool
        It scores labels, and so depends on a threshold.
    ideal : float, optional
        The best value lies here, and not as high or low as can be.
    """

    name: str
    score: Score
    tasks: tuple[str, ...]
    higher: bool = True
    rope: float = 0.01
    relative: bool = False
    guards: bool = False
    ranks: bool = False
    labels: bool = False
    ideal: float | None = None

    def gain(self, before: NDArray, after: NDArray) -> NDArray:
        """Return by how much *after* is better: above 0 is better, whatever the metric."""
        if self.ideal is not None:
            return np.abs(before - self.ideal) - np.abs(after - self.ideal)
        return after - before if self.higher else before - after

    def half_width(self, before: float) -> float:
        """Return the rope in the metric's units."""
        return self.rope * abs(before) if self.relative else self.rope


def roc_auc(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the area under the ROC curve; for several classes the mean of each against the rest.

    NaN where a class that counts has no row, or no other.
    """
    columns = [1] if answer.shape[1] == 2 else [c for c in range(answer.shape[1]) if (truth == c).any()]
    return float(np.mean([_area(truth == c, answer[:, c], weight) for c in columns]))


def average_precision(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the area under the precision-recall steps of the second class (for two classes)."""
    positive = truth == 1
    levels, place = np.unique(answer[:, 1], return_inverse=True)
    hit = np.bincount(place, weights=weight * positive, minlength=len(levels))[::-1]
    said = np.bincount(place, weights=weight, minlength=len(levels))[::-1].cumsum()
    if hit.sum() == 0:
        return float("nan")
    # Rows without weight above the first that counts have no precision, and no share in it either.
    precision = np.divide(hit.cumsum(), said, out=np.zeros(len(said)), where=said > 0)
    return float((hit * precision).sum() / hit.sum())


def log_loss(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the mean negative log-probability of the true class, held within rounding of 0 and 1."""
    clipped = np.clip(answer, EPSILON, 1 - EPSILON)
    clipped = clipped / clipped.sum(axis=1, keepdims=True)
    return float(np.average(-np.log(clipped[np.arange(len(truth)), truth]), weights=weight))


def brier(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the mean squared error of probabilities: of the second class, or over all where more."""
    if answer.shape[1] == 2:
        return float(np.average((answer[:, 1] - (truth == 1)) ** 2, weights=weight))
    hit = np.zeros_like(answer)
    hit[np.arange(len(truth)), truth] = 1
    return float(np.average(((answer - hit) ** 2).sum(axis=1), weights=weight))


def calibration_error(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the expected calibration error over 15 bins of equal mass.

    Of the second class's probability for two classes, of the most likely class's for more. Rows with the same
    probability share a bin, so that their order cannot matter.
    """
    said, true = confidence(truth, answer)
    levels, place = np.unique(said, return_inverse=True)
    bins = equal_mass(np.bincount(place, weights=weight, minlength=len(levels)))[place]
    gap = np.bincount(bins, weights=weight * (said - true), minlength=BINS)
    return float(np.abs(gap).sum() / weight.sum())


def confidence(truth: NDArray, answer: Vector) -> tuple[Vector, NDArray[np.bool_]]:
    """Return the probability by which answers are held to account, and whether it came true.

    Of the second class for two classes, of the most likely class for more.
    """
    if answer.shape[1] == 2:
        return answer[:, 1], truth == 1
    return answer.max(axis=1), answer.argmax(axis=1) == truth


def equal_mass(mass: NDArray, bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each level, given their masses in order: where the middle of its mass lies."""
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((middle * bins).astype(np.int64), bins - 1)


def calibration_slope(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the slope of a logistic regression of the truth on the log-odds said; 1 is ideal.

    Below 1: too sure; above: too timid. NaN where the log-odds do not vary or part the classes wholly.
    """
    return recalibrated(truth, answer, weight, slope=True)[1]


def calibration_intercept(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return by how much all log-odds said are too low (above 0) or too high; 0 is ideal.

    NaN where one class has no row.
    """
    return recalibrated(truth, answer, weight, slope=False)[0]


def accuracy(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the share of rows whose most likely class is the true one."""
    return float(np.average(answer.argmax(axis=1) == truth, weights=weight))


def f1(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the F1 score of the second of two classes, or the mean over more; 0 without a hit."""
    said = answer.argmax(axis=1)
    classes = answer.shape[1]
    hit = np.bincount(truth, weights=weight * (said == truth), minlength=classes)
    there = np.bincount(truth, weights=weight, minlength=classes)
    claimed = np.bincount(said, weights=weight, minlength=classes)
    both = there + claimed
    scores = np.divide(2 * hit, both, out=np.zeros(classes), where=both > 0)
    if classes == 2:
        return float(scores[1])
    return float(scores[np.union1d(truth, said)].mean())


def recalls(truth: NDArray, answer: Vector, weight: Vector) -> Vector:
    """Return the recall of each class that has rows."""
    hit = answer.argmax(axis=1) == truth
    return np.array([np.average(hit[truth == c], weights=weight[truth == c]) for c in np.unique(truth)])


def balanced_accuracy(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the mean recall of the classes that have rows."""
    return float(recalls(truth, answer, weight).mean())


def worst_recall(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the recall of the class that fares worst."""
    return float(recalls(truth, answer, weight).min())


def rmse(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the root of the mean squared error, in the target's units."""
    return float(np.sqrt(np.average((truth - answer) ** 2, weights=weight)))


def mae(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the mean absolute error, in the target's units."""
    return float(np.average(np.abs(truth - answer), weights=weight))


def r2(truth: NDArray, answer: Vector, weight: Vector) -> float:
    """Return the share of variance explained; NaN where the truth does not vary."""
    spread = np.average((truth - np.average(truth, weights=weight)) ** 2, weights=weight)
    return (
        float(1 - np.average((truth - answer) ** 2, weights=weight) / spread) if spread > 0 else float("nan")
    )


_CLASSES = ("binary", "multiclass")
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("roc_auc", roc_auc, _CLASSES, rope=0.005, ranks=True),
        Metric("pr_auc", average_precision, ("binary",), rope=0.005, ranks=True),
        Metric("log_loss", log_loss, _CLASSES, higher=False, relative=True, guards=True),
        Metric("brier", brier, _CLASSES, higher=False, relative=True, guards=True),
        Metric("ece", calibration_error, _CLASSES, higher=False, rope=0.005, guards=True),
        Metric("calibration_slope", calibration_slope, ("binary",), ideal=1.0, rope=0.05),
        Metric("calibration_intercept", calibration_intercept, ("binary",), ideal=0.0, rope=0.05),
        Metric("balanced_accuracy", balanced_accuracy, _CLASSES, ranks=True, labels=True),
        Metric("f1", f1, _CLASSES, ranks=True, labels=True),
        Metric("accuracy", accuracy, _CLASSES, labels=True),
        Metric("worst_recall", worst_recall, _CLASSES, ranks=True, labels=True),
        Metric("rmse", rmse, ("regression",), higher=False, relative=True),
        Metric("mae", mae, ("regression",), higher=False, relative=True, guards=True),
        Metric("r2", r2, ("regression",)),
    )
}
"""Every metric by its name."""

PRIMARY = {
    "binary": ("roc_auc",),
    "multiclass": ("log_loss", "balanced_accuracy"),
    "regression": ("rmse",),
}
"""What verdicts are about where nothing else is asked for."""

CHANCE = {"binary": ("roc_auc", 0.5), "multiclass": ("roc_auc", 0.5), "regression": ("r2", 0.0)}
"""The metric that tells whether a probe learned anything, and its value for one that did not."""


def metrics_of(task: str) -> list[Metric]:
    """List the metrics of a task."""
    return [metric for metric in METRICS.values() if task in metric.tasks]


def primary_of(task: str, metric: str) -> tuple[str, ...]:
    """Return the primary metrics: those of the task for ``"auto"``, else the one named.

    Raises
    ------
    UnknownName
        The task has no metric of this name.
    """
    if metric == "auto":
        return PRIMARY[task]
    known = [m.name for m in metrics_of(task)]
    if metric not in known:
        raise UnknownName.among(f"metric for a {task} target", metric, ["auto", *known])
    return (metric,)


def _area(positive: NDArray, score: Vector, weight: Vector) -> float:
    """Return the weighted share of (positive, negative) pairs in the right order, ties counted half."""
    levels, place = np.unique(score, return_inverse=True)
    above = np.bincount(place, weights=weight * positive, minlength=len(levels))
    below = np.bincount(place, weights=weight * ~positive, minlength=len(levels))
    pairs = above.sum() * below.sum()
    if pairs == 0:
        return float("nan")
    return float((above * (np.cumsum(below) - below / 2)).sum() / pairs)


def recalibrated(truth: NDArray, answer: Vector, weight: Vector, slope: bool) -> tuple[float, float]:
    """Fit intercept and slope (else 1) on the log-odds by Newton's method; NaN where there is no such fit."""
    said = np.clip(answer[:, 1], EPSILON, 1 - EPSILON)
    odds = np.log(said / (1 - said))
    inputs = np.column_stack([np.ones_like(odds), odds])[:, : 1 + slope]
    offset = np.zeros_like(odds) if slope else odds
    nothing = float("nan"), float("nan")
    if len(np.unique(truth[weight > 0])) < 2 or (slope and np.ptp(odds) == 0):
        return nothing
    found = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(offset + inputs @ found, -500, 500)))
        bend = (inputs * (weight * fitted * (1 - fitted))[:, None]).T @ inputs
        if np.linalg.matrix_rank(bend) < len(found):
            return nothing
        step = np.linalg.solve(bend, inputs.T @ (weight * ((truth == 1) - fitted)))
        # Steps are held to 1: Newton's method alone may overshoot from a poor start.
        found = found + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-10:
            return float(found[0]), float(found[1]) if slope else 1.0
    return nothing
