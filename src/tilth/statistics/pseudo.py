"""Which guesses of a model are sure enough to be taken for labels, class by class."""

from __future__ import annotations

from typing import Literal

import numpy as np

LEAST = 1e-6
"""No probability counts as lower, so that one row cannot decide."""
HOTTEST = 16.0
STEPS = 200

Cut = Literal["flexible", "quantile", "absolute"]


def temperature(probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the temperature T at which p^(1/T), normalized, has the least log loss.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_classes)
        Of rows that the model was not fitted on.
    labels : ndarray of shape (n_rows,), int64
    weight : ndarray of shape (n_rows,), optional

    Returns
    -------
    float, in [1/16, 16]
        Above 1 where the model is too sure of itself.

    Source
    ------
    Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1]] * 10)
    >>> temperature(sure, np.array([0] * 6 + [1] * 4)) > 1
    True
    """
    from scipy.optimize import minimize_scalar

    def loss(power: float) -> float:
        return log_loss(tempered(probabilities, float(np.exp(power))), labels, weight)

    edge = np.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-edge, edge), method="bounded", options={"maxiter": STEPS})
    return float(np.exp(found.x))


def log_loss(probabilities: np.ndarray, labels: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean log loss; no probability counts as lower than 1e-6.

    Examples
    --------
    >>> round(log_loss(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0])), 3)
    0.347
    """
    own = np.maximum(probabilities[np.arange(len(labels)), labels], LEAST)
    return float(np.average(-np.log(own), weights=weight))


def tempered(probabilities: np.ndarray, heat: float) -> np.ndarray:
    """Return p^(1/heat), normalized; a row without any probability stays so.

    Examples
    --------
    >>> tempered(np.array([[0.8, 0.2], [0.0, 0.0]]), 0.5).round(3).tolist()
    [[0.941, 0.059], [0.0, 0.0]]
    """
    top = probabilities.max(axis=1, keepdims=True, initial=0.0)
    scaled = np.divide(probabilities, top, out=np.zeros_like(probabilities), where=top > 0)
    return normalized(scaled ** (1 / heat))


def normalized(mass: np.ndarray) -> np.ndarray:
    """Divide each row by its sum; a row of zeros stays one."""
    total = mass.sum(axis=1, keepdims=True)
    out: np.ndarray = np.divide(mass, total, out=np.zeros_like(mass), where=total > 0)
    return out


def alignment(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the factor on each class that makes the mean over the rows proportional to `shares`.

    Parameters
    ----------
    probabilities : ndarray of shape (n_rows, n_classes)
        Rows of zeros are left out.
    shares : ndarray of shape (n_classes,)
        How frequent the classes are taken to be.

    Source
    ------
    Berthelot et al., "ReMixMatch", ICLR 2020, section 3.1 (distribution alignment).

    Examples
    --------
    >>> alignment(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0.5, 0.5])).round(3).tolist()
    [0.625, 2.5]
    """
    told = probabilities[probabilities.sum(axis=1) > 0]
    mean = told.mean(axis=0) if len(told) else np.zeros(len(shares))
    out: np.ndarray = np.divide(shares, mean, out=np.zeros(len(shares)), where=mean > 0)
    return out


def cuts(
    confidence: np.ndarray, guess: np.ndarray, shares: np.ndarray, threshold: float, how: Cut
) -> np.ndarray:
    """Return for each class the least confidence at which a guess of it is taken.

    Parameters
    ----------
    confidence : ndarray of shape (n_rows,)
        Of the likeliest class, over all rows that have no label of their own.
    guess : ndarray of shape (n_rows,), int64
        That class.
    shares : ndarray of shape (n_classes,)
        How frequent the classes are taken to be; what each class has learned is told from its share.
    threshold : float, in [0, 1]
    how : {'flexible', 'quantile', 'absolute'}
        'absolute': `threshold`, for all. 'quantile': that quantile of the confidence of the guesses of a
        class, so that of each class the same share is taken. 'flexible': `threshold` for the class that
        passes it in most of the rows it is expected to have, and less for the others: with b the share of
        that of the best class, threshold * b / (2 - b), and not below an even chance of 1 / 2 (or what is
        asked, where that is lower).

    Source
    ------
    Zhang et al., "FlexMatch", NeurIPS 2021, equations 5 to 7 and 11, with rows counted relative to those
    expected, so that a class is not taken for badly learned because it is rare; Zou et al., "Class-balanced
    self-training", ECCV 2018, for quantiles.

    Examples
    --------
    >>> sure = np.array([0.95, 0.92, 0.9, 0.95, 0.7])
    >>> cuts(sure, np.array([0, 0, 0, 1, 1]), np.array([0.6, 0.4]), 0.9, "flexible").round(2).tolist()
    [0.9, 0.5]
    """
    count = len(shares)
    if how == "absolute":
        return np.full(count, threshold)
    if how == "quantile":
        own = [confidence[guess == code] for code in range(count)]
        return np.array([np.quantile(some, threshold) if len(some) else 1.0 for some in own])
    passed = np.bincount(guess[confidence >= threshold], minlength=count)
    expected = shares * max(len(guess), 1)
    learned = np.divide(passed, expected, out=np.zeros(count), where=expected > 0)
    best = learned.max(initial=0.0)
    part = learned / best if best > 0 else np.ones(count)
    return np.maximum(threshold * part / (2 - part), min(threshold, 0.5))
