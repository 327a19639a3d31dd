"""The arithmetic of honest comparison: scores of overlapping training sets are not independent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilth.errors import DataError

POWER = 0.80
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """Hold a mean with its corrected interval.

    Parameters
    ----------
    mean, low, high : float
        Of the paired differences, with the 95 % interval.
    se : float
        Corrected standard error.
    p : float
        Two-sided, of a mean of 0; 1 where all differences are 0.
    mde80 : float
        The true difference that would be found in 80 % of such runs.
    n_scores : int
    floor : float
        The part of `mde80` that no number of rows lowers, such as what training seeds vary by.
    """

    mean: float
    low: float
    high: float
    se: float
    p: float
    mde80: float
    n_scores: int
    floor: float = 0.0


def corrected_t(
    differences: ArrayLike, folds: int, size: float = 1.0, *, ratio: float | None = None
) -> Estimate:
    """Estimate a mean over (repeated) cross-validation with Nadeau and Bengio's corrected t test.

    ``t = mean / sqrt(var * (1 / J + n_test / n_train))`` with J - 1 degrees of freedom, where for K folds
    ``n_test / n_train = 1 / (K - 1)``. Without the second term the training sets' overlap is ignored, and
    repeating the folds invents certainty.

    Parameters
    ----------
    differences : array-like of shape (n_scores,)
        Paired, finite; at least 2.
    folds : int
        K, at least 2.
    size : float
        Magnitude of the scores that the differences are of: what their rounding alone can leave is no effect.
    ratio : float, optional
        Test over training rows, where it is not ``1 / (K - 1)``: the mean over folds whose training parts
        grow.

    Raises
    ------
    DataError
        Fewer than two differences, fewer than two folds, or values that are not finite.

    References
    ----------
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
    Bouckaert and Frank, "Evaluating the replicability of significance tests", PAKDD 2004 (repeated folds).

    Examples
    --------
    >>> round(corrected_t([0.02, 0.01, 0.03, 0.02, 0.02], folds=5).p, 4)
    0.0135
    """
    from scipy.stats import t

    values, scale = _read(differences, folds, ratio)
    count, mean = len(values), float(values.mean())
    se = math.sqrt(float(values.var(ddof=1)) * scale)
    if se <= rounding(size):
        mean = mean if abs(mean) > rounding(size) else 0.0
        return Estimate(mean, mean, mean, 0.0, float(mean == 0), 0.0, count)
    edge = float(t.ppf(0.5 + CONFIDENCE / 2, count - 1))
    found = float(t.ppf(POWER, count - 1))
    p = float(2 * t.sf(abs(mean) / se, count - 1))
    return Estimate(mean, mean - edge * se, mean + edge * se, se, p, (edge + found) * se, count)


def correlated_posterior(
    differences: ArrayLike, folds: int, rope: float, size: float = 1.0, *, ratio: float | None = None
) -> tuple[float, float, float]:
    """Return the posterior probabilities that the true difference is below, within and above +-`rope`.

    The posterior of the mean is Student's t with J - 1 degrees of freedom around the observed mean, its scale
    widened by the correlation 1 / K of the scores: the same as that of `corrected_t`.

    Parameters
    ----------
    differences : array-like of shape (n_scores,)
        Paired, finite; at least 2.
    folds : int
    rope : float
        Half width of the region of practical equivalence, in the units of the differences.
    size, ratio : float
        As in `corrected_t`.

    Returns
    -------
    p_hurts, p_same, p_helps : float
        They sum to 1.

    References
    ----------
    Corani and Benavoli, "A Bayesian approach for comparing cross-validated algorithms on multiple data sets",
    Machine Learning 100, 2015; Benavoli et al., "Time for a change", JMLR 18, 2017.

    Examples
    --------
    >>> [round(p, 3) for p in correlated_posterior([0.02, 0.01, 0.03, 0.02, 0.02], folds=5, rope=0.005)]
    [0.003, 0.014, 0.983]
    """
    from scipy.stats import t

    values, scale = _read(differences, folds, ratio)
    mean = float(values.mean())
    se = math.sqrt(float(values.var(ddof=1)) * scale)
    if se <= rounding(size):
        return float(mean < -rope), float(abs(mean) <= rope), float(mean > rope)
    below = float(t.cdf((-rope - mean) / se, len(values) - 1))
    above = float(t.sf((rope - mean) / se, len(values) - 1))
    return below, max(0.0, 1 - below - above), above


def naive_t(differences: ArrayLike) -> float:
    """Return the p value of the plain paired t test, which takes overlapping training sets for independent.

    Kept for one purpose: to show how often it claims an effect where there is none.
    """
    from scipy.stats import t

    values, _ = _read(differences, 2)
    se = math.sqrt(float(values.var(ddof=1)) / len(values))
    if se == 0:
        return float(values.mean() == 0)
    return float(2 * t.sf(abs(float(values.mean())) / se, len(values) - 1))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p values for all claims of one family by Holm's step-down method.

    Parameters
    ----------
    p_values : array-like of shape (n_claims,)
        NaN marks a claim that was not tested: it stays NaN and does not count.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. of Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(given.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share.

    Examples
    --------
    >>> [round(edge, 4) for edge in wilson(5, 100)]
    [0.0215, 0.1118]
    """
    from scipy.stats import binomtest

    if not 0 <= hits <= runs or runs < 1:
        raise DataError(f"{hits} of {runs} runs is no share.")
    low, high = binomtest(hits, runs).proportion_ci(CONFIDENCE, method="wilson")
    return float(low), float(high)


def rows_needed(rows: int, mde80: float, rope: float, floor: float = 0.0) -> int | None:
    """Return about how many rows would let a run like this one find a difference as large as the rope.

    The standard error falls with the square root of the rows, so ``n * (mde80 / rope) ** 2``; never fewer
    than there are. None where the scores do not vary, or where what rows do not lower, `floor`, is as large
    as the rope.

    Examples
    --------
    >>> rows_needed(1000, mde80=0.02, rope=0.005)
    16000
    """
    if not (math.isfinite(mde80) and mde80 > 0 and rope > floor):
        return None
    if floor == 0:
        return max(rows, math.ceil(rows * (mde80 / rope) ** 2))
    return max(rows, math.ceil(rows * max(mde80**2 - floor**2, 0.0) / (rope**2 - floor**2)))


def _read(
    differences: ArrayLike, folds: int, ratio: float | None = None
) -> tuple[NDArray[np.float64], float]:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise DataError(f"A paired comparison needs at least 2 differences in one row; found {values.shape}.")
    if folds < 2:
        raise DataError(f"folds is {folds}; cross-validation has at least 2.")
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).sum())} of {len(values)} differences are not finite.")
    return values, 1 / len(values) + (1 / (folds - 1) if ratio is None else ratio)


def rounding(size: float) -> float:
    """Return what rounding alone can leave of a difference of two scores."""
    return 4 * float(np.finfo(np.float64).eps) * size
