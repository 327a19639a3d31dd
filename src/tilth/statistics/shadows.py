"""What shadows, columns that can tell nothing, say of columns that may: p-values and their adjustment."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def shadow_p_values(real: Values, shadow: Values) -> Values:
    """Return the chance that a column which tells nothing is found at least as important.

    A column's importance is its mean over the rounds, less that of its shadows: what its kind or its number
    of levels adds is in both. It is held against every shadow of every round, each less the mean of its
    column's shadows in the other rounds. Averaged over columns that tell nothing, no more than a share p have
    a p-value of at most p.

    Boruta counts in how many rounds a column beats the best shadow. Rounds share their rows, so that a column
    that is related to the target by chance wins in most rounds, however many there are.

    Parameters
    ----------
    real, shadow : ndarray of shape (n_rounds, n_columns), float64
        Importances of the columns and of their shadows, two rounds or more.

    Returns
    -------
    ndarray of shape (n_columns,), float64
        At least 1 / (1 + n_rounds * n_columns).

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> real = random.normal([0.0, 9.0], 1.0, (20, 2))
    >>> (shadow_p_values(real, random.normal(size=(20, 2))) < 0.03).tolist()
    [False, True]
    """
    rounds = len(shadow)
    centered = (shadow - shadow.mean(axis=0)) * (rounds / (rounds - 1))
    pool = np.sort(centered, axis=None)
    excess = real.mean(axis=0) - shadow.mean(axis=0)
    # What is the same up to rounding is a tie, which counts against the column.
    slack = 1e-12 * (np.abs(real).max(initial=0.0) + np.abs(shadow).max(initial=0.0))
    beaten = len(pool) - np.searchsorted(pool, excess - slack, side="left")
    p: Values = (1 + beaten) / (1 + len(pool))
    return p


def adjusted(p_values: Values, control: Literal["any", "share"]) -> Values:
    """Adjust p-values for how many they are.

    Parameters
    ----------
    p_values : ndarray of shape (n_columns,)
    control : {'any', 'share'}
        Those of at most alpha then hold: with a chance of at most alpha any false one (Holm), or a share of
        false ones of at most alpha on average (Benjamini and Hochberg).

    Examples
    --------
    >>> adjusted(np.array([0.01, 0.04, 0.03]), "any").tolist()
    [0.03, 0.06, 0.06]
    >>> adjusted(np.array([0.01, 0.04, 0.03]), "share").tolist()
    [0.03, 0.04, 0.04]
    """
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    out = np.empty(count)
    if control == "any":
        steps = np.maximum.accumulate(p_values[order] * np.arange(count, 0, -1))
    else:
        ratios = p_values[order] * count / np.arange(1, count + 1)
        steps = np.minimum.accumulate(ratios[::-1])[::-1]
    out[order] = np.minimum(steps, 1.0)
    return out


def most_chosen(expected: float, columns: int, threshold: float, pairs: int, bound: str) -> int:
    """Return how many columns each half may choose, so that few false ones are chosen by many halves.

    Parameters
    ----------
    expected : float
        Columns chosen no more often than at random that may be expected to reach the threshold.
    columns : int
    threshold : float
        Share of the halves that must choose a column, above 1/2.
    pairs : int
        Pairs of halves.
    bound : {'unimodal', 'worst_case'}

    Source
    ------
    Meinshausen and Buehlmann, "Stability selection", JRSS B 72 (2010), theorem 1; Shah and Samworth,
    "Variable selection with error control", JRSS B 75 (2013), theorem 2.
    """
    most = np.sqrt(expected * columns / false_bound(1, 1, threshold, pairs, bound))
    return int(min(columns, np.floor(most + 1e-9)))


def false_bound(chosen: float, columns: int, threshold: float, pairs: int, bound: str) -> float:
    """Bound the expected number of columns that reach the threshold though chosen no more than at random.

    Parameters
    ----------
    chosen : float
        Columns that each half chooses, on average.

    Examples
    --------
    >>> [round(false_bound(10, 1000, 0.9, 50, bound), 3) for bound in ("worst_case", "unimodal")]
    [0.125, 0.043]
    """
    if bound == "worst_case":
        factor = 1 / (2 * threshold - 1)
    elif threshold <= 0.75:
        # Halfway a threshold within 1 / (2 * pairs) of 1/2 promises nothing.
        room = 2 * threshold - 1 - 1 / (2 * pairs)
        factor = 1 / (2 * room) if room > 1e-12 else np.inf
    else:
        factor = 4 * (1 - threshold + 1 / (2 * pairs)) / (1 + 1 / pairs)
    return float(factor * chosen**2 / columns)
