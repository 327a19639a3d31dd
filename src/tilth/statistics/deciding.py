"""Which class to decide for, given probabilities: factors on the classes that serve a purpose best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_CUTS = 4096
"""Places where a factor is tried: all that make a difference up to here, beyond it their quantiles."""
SWEEPS = 20
"""Rounds over the classes; each ends at a value at least as good, and most searches end after three."""

Worth = Callable[[np.ndarray], np.ndarray]
"""From confusions, shape (..., n_true, n_decided), to what they are worth (...); higher is better."""


@dataclass(frozen=True)
class Decision:
    """Hold what was found.

    Parameters
    ----------
    factors : ndarray of shape (n_classes,)
        Decide for the class of the largest factor times probability; they sum to 1.
    worth, worth_before : float
        Of deciding so, and of deciding for the most probable class.
    """

    factors: np.ndarray
    worth: float
    worth_before: float


def decide(probabilities: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the class of each row, shape (n_rows,): of equal ones the last, as by ``p >= threshold``."""
    value = probabilities * factors
    return np.asarray(value.shape[1] - 1 - value[:, ::-1].argmax(axis=1))


def best_factors(truth: np.ndarray, probabilities: np.ndarray, weight: np.ndarray, worth: Worth) -> Decision:
    """Find the factors on classes under which decisions are worth most.

    For two classes every threshold that makes a difference is tried, and the best one lies in the middle
    between two probabilities; of equally good ones the nearest to one half. For more, one class after
    another is moved so, the others held, until none gains: a local optimum.

    Parameters
    ----------
    truth : ndarray of shape (n_rows,), int
    probabilities : ndarray of shape (n_rows, n_classes)
    weight : ndarray of shape (n_rows,)
    worth : callable
        Of weighted confusions.

    Source
    ------
    Koyejo et al., "Consistent binary classification with generalized performance metrics", NeurIPS 2014,
    algorithm 2, for two classes; Narasimhan et al., "Consistent multiclass algorithms for complex
    performance measures", ICML 2015, for decisions by weighted probabilities.

    Examples
    --------
    >>> said = np.array([0.1, 0.2, 0.3, 0.4])
    >>> found = best_factors(np.array([0, 0, 1, 1]), np.column_stack([1 - said, said]), np.ones(4), accuracy)
    >>> found.factors.round(3).tolist(), found.worth, found.worth_before
    ([0.25, 0.75], 1.0, 0.5)
    """
    classes = probabilities.shape[1]
    factors = np.ones(classes)
    before = best = float(worth(_confusion(truth, decide(probabilities, factors), weight, classes)))
    for _ in range(SWEEPS):
        reached = best
        for moved in range(1 if classes == 2 else 0, classes):
            factor, value = _moved(truth, probabilities, weight, worth, factors, moved)
            if value > best + 1e-12:
                factors[moved], best = factor, value
        if best <= reached + 1e-12 or classes == 2:
            break
    return Decision(factors / factors.sum(), best, before)


def _moved(
    truth: np.ndarray,
    probabilities: np.ndarray,
    weight: np.ndarray,
    worth: Worth,
    factors: np.ndarray,
    moved: int,
) -> tuple[float, float]:
    """Return the best factor of one class, the others held, and what it is worth."""
    classes = len(factors)
    value = probabilities * factors
    value[:, moved] = -1.0
    other = decide(value, np.ones(classes))
    rival = value[np.arange(len(truth)), other]
    with np.errstate(divide="ignore", invalid="ignore"):
        # From this factor on a row is decided for the class that moves.
        turn = np.where(probabilities[:, moved] > 0, rival / probabilities[:, moved], np.inf)
    levels = np.unique(turn[np.isfinite(turn)])
    if not len(levels):
        return float(factors[moved]), -np.inf
    if len(levels) > MOST_CUTS:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, MOST_CUTS), method="nearest"))
    # In the middle between two levels on the scale of probability, where 1 is one half.
    share = levels / (1 + levels)
    middle = np.concatenate([[share[0] / 2], (share[1:] + share[:-1]) / 2, [(share[-1] + 1) / 2]])
    middle = np.unique(np.append(middle, 0.5))
    cuts = middle / (1 - middle)
    place = np.searchsorted(cuts, turn, side="left")
    flat = (place * classes + truth) * classes + other
    size = (len(cuts) + 1) * classes * classes
    at = np.bincount(flat, weight, minlength=size).reshape(len(cuts) + 1, classes, classes)
    # Rows that turn at or before a cut are decided for the class that moves, all others for their rival.
    turned = np.cumsum(at, axis=0)[:-1]
    confusions = at.sum(axis=0) - turned
    confusions[:, :, moved] += turned.sum(axis=2)
    values = worth(confusions)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    chosen = best[np.argmin(np.abs(middle[best] - 0.5))]
    return float(cuts[chosen]), float(values[chosen])


def _confusion(truth: np.ndarray, decided: np.ndarray, weight: np.ndarray, classes: int) -> np.ndarray:
    flat = np.bincount(truth * classes + decided, weight, minlength=classes * classes)
    return np.asarray(flat.reshape(classes, classes), dtype=np.float64)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the share of weight decided rightly."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class, shape (..., n_classes); NaN where it has no rows."""
    hit, all_of = np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-1)
    return np.asarray(np.divide(hit, all_of, out=np.full(hit.shape, np.nan), where=all_of > 0))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Return the mean recall of the classes that have rows."""
    return np.asarray(np.nanmean(recalls(confusion), axis=-1))


def geometric_mean(confusion: np.ndarray) -> np.ndarray:
    """Return the geometric mean of the recalls of the classes that have rows."""
    found = recalls(confusion)
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.nanmean(np.log(found), axis=-1)))


def f1(confusion: np.ndarray) -> np.ndarray:
    """Return the F1 score of each class, shape (..., n_classes); 0 where nothing is hit."""
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hit, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def matthews(confusion: np.ndarray) -> np.ndarray:
    """Return Matthews' correlation coefficient, for any number of classes; 0 where it has no value.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient" (2004).
    """
    total = confusion.sum(axis=(-2, -1))
    true, said = confusion.sum(axis=-1), confusion.sum(axis=-2)
    over = np.trace(confusion, axis1=-2, axis2=-1) * total - (true * said).sum(axis=-1)
    under = (total**2 - (true**2).sum(axis=-1)) * (total**2 - (said**2).sum(axis=-1))
    return _ratio(over, np.sqrt(np.maximum(under, 0)))


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    over, under = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    return np.asarray(np.divide(over, under, out=np.zeros(over.shape), where=under > 0))
