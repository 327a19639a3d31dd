"""How an error falls with the number of rows: an inverse power law, and how far it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tilth.errors import DataError

Vector = NDArray[np.float64]

EXPONENTS: Vector = np.geomspace(0.02, 2.0, 120)
"""The exponents considered: almost a logarithm at one end, almost a step at the other."""
CONFIDENCE = 0.95
FEWEST_SIZES = 4
FURTHEST = 100.0
"""So many times the rows measured, an extrapolation says nothing any more."""


@dataclass(frozen=True)
class Estimate:
    """Hold a figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rows:
    """Hold how many rows a gain takes: None where no number within reach brings it."""

    value: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class PowerLaw:
    """Hold ``error(n) = a + b * n ** -c``, fitted, and every other such curve that the errors allow.

    All figures are of errors: less is better. The interval of a figure is its range over all (a, b, c) with
    a >= 0, b >= 0 and c among `EXPONENTS` whose weighted sum of squares exceeds the smallest by no more than
    the squared quantile of Student's t: a profile likelihood. Where the asymptote or the exponent cannot be
    told, curves that level off at once and curves that never do are all within, and the interval says so.

    Parameters
    ----------
    sizes : ndarray of shape (n_sizes,), float64
        Ascending.
    errors : ndarray of shape (n_sizes,), float64
        Means over the runs.
    covariance : ndarray of shape (n_sizes, n_sizes), float64
        Of these means.
    freedom : int
        Degrees of freedom of the quantile.
    """

    sizes: Vector
    errors: Vector
    covariance: Vector
    freedom: int
    _profile: tuple[NDArray, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_profile", self._profiled())

    @property
    def parameters(self) -> tuple[float, float, float]:
        """Return a, b and c of the curve that fits best."""
        a, at_last, c = self._best()
        return a, at_last * float(self.sizes[-1]) ** c, c

    @property
    def misfit(self) -> float:
        """Return the mean square of what the curve leaves, in units of its noise: about 1 for a power law.

        Above 1 it widens all intervals (Birge's ratio).
        """
        return float(self._profile[0].min()) / (len(self.sizes) - 3)

    @property
    def asymptote(self) -> Estimate:
        """Return the error that no number of rows would bring down."""
        return Estimate(self._best()[0], *self._range(np.ones_like(EXPONENTS), np.zeros_like(EXPONENTS)))

    @property
    def exponent(self) -> Estimate:
        """Return how steeply the error falls."""
        within = EXPONENTS[self._profile[0] <= self._level()]
        return Estimate(self._best()[2], float(within.min()), float(within.max()))

    def error(self, rows: float) -> Estimate:
        """Return the error at so many rows."""
        a, at_last, c = self._best()
        ratio = rows / float(self.sizes[-1])
        return Estimate(a + at_last * ratio**-c, *self._range(np.ones_like(EXPONENTS), ratio**-EXPONENTS))

    def gain(self, rows: float) -> Estimate:
        """Return how much the error falls from the largest size measured to so many rows."""
        _, at_last, c = self._best()
        ratio = rows / float(self.sizes[-1])
        return Estimate(
            at_last * (1 - ratio**-c), *self._range(np.zeros_like(EXPONENTS), 1 - ratio**-EXPONENTS)
        )

    def rows_for(self, gain: float) -> Rows:
        """Return how many rows let the error fall by `gain`: None beyond `FURTHEST` times those measured."""
        if not gain > 0:
            raise DataError(f"A gain of {gain:g} takes no further row; ask for one above 0.")
        return Rows(*(self._rows_for(gain, end) for end in ("value", "high", "low")))

    def _rows_for(self, gain: float, end: str) -> int | None:
        last = float(self.sizes[-1])
        reached = lambda rows: getattr(self.gain(rows), end) >= gain
        low, high = last, FURTHEST * last
        if not reached(high):
            return None
        # Every gain considered grows with the rows, and so do their ends: halve what is left.
        while high - low > max(0.5, 1e-4 * low):
            middle = math.sqrt(low * high)
            low, high = (low, middle) if reached(middle) else (middle, high)
        return math.ceil(high)

    def _best(self) -> tuple[float, float, float]:
        least, a, b = self._profile[0], self._profile[1], self._profile[2]
        place = int(np.argmin(least))
        return float(a[place]), float(b[place]), float(EXPONENTS[place])

    def _whitened(self) -> tuple[Vector, Vector]:
        """Return the columns of a and b for each exponent, and the errors, in units of their noise."""
        from scipy.linalg import solve_triangular

        root = np.linalg.cholesky(self.covariance)
        ratio = self.sizes / self.sizes[-1]
        columns = np.stack([np.ones((len(EXPONENTS), len(ratio))), ratio ** -EXPONENTS[:, None]], axis=-1)
        flat = columns.transpose(1, 0, 2).reshape(len(ratio), -1)
        white = solve_triangular(root, flat, lower=True).reshape(len(ratio), len(EXPONENTS), 2)
        return white.transpose(1, 0, 2), solve_triangular(root, self.errors, lower=True)

    def _profiled(self) -> tuple[NDArray, ...]:
        """Fit a and b, none below 0, for each exponent; b is counted at the largest size.

        Returns
        -------
        least, a, b : ndarray of shape (n_exponents,)
            The sum of squares at the constrained minimum, and where it lies.
        free, center, bend : ndarray
            The sum of squares at the minimum without constraint, that minimum, and the matrix of the form.
        """
        columns, errors = self._whitened()
        bend = columns.transpose(0, 2, 1) @ columns
        slope = columns.transpose(0, 2, 1) @ errors
        center = np.linalg.solve(bend, slope[..., None])[..., 0]
        square = lambda p: ((errors - (columns @ p[..., None])[..., 0]) ** 2).sum(axis=1)
        diagonal = np.diagonal(bend, axis1=1, axis2=2)
        alone = np.maximum(slope / diagonal, 0)
        zero = np.zeros(len(EXPONENTS))
        tried = np.stack([center, np.stack([alone[:, 0], zero], 1), np.stack([zero, alone[:, 1]], 1)])
        squares = np.stack([square(p) for p in tried])
        free = squares[0].copy()
        squares[0][(center < 0).any(axis=1)] = np.inf
        chosen = squares.argmin(axis=0)
        picked = tried[chosen, np.arange(len(EXPONENTS))]
        return squares.min(axis=0), picked[:, 0], picked[:, 1], free, center, bend

    def _level(self) -> float:
        from scipy.stats import t

        edge = float(t.ppf(0.5 + CONFIDENCE / 2, self.freedom)) ** 2
        return float(self._profile[0].min()) + edge * max(1.0, self.misfit)

    def _range(self, of_a: Vector, of_b: Vector) -> tuple[float, float]:
        """Return the least and the greatest ``of_a * a + of_b * b`` over all curves that the errors allow.

        For each exponent these curves are an ellipse cut by a >= 0 and b >= 0, where a linear figure has its
        ends at the ellipse's own ends or where it meets a = 0 or b = 0.
        """
        _, _, _, free, center, bend = self._profile
        weights = np.stack([of_a, of_b], axis=1)
        room = self._level() - free
        across = np.linalg.solve(bend, weights[..., None])[..., 0]
        spread = np.sqrt(np.maximum(room, 0) / np.maximum((weights * across).sum(axis=1), 1e-300))
        found: list[Vector] = []
        for sign in (-1.0, 1.0):
            end = center + sign * spread[:, None] * across
            inside = (room >= 0) & (end >= 0).all(axis=1)
            found.append((end * weights).sum(axis=1)[inside])
        for kept in (0, 1):
            # On the edge the other is 0: a form in one number, raised by what holding it there costs.
            gone = 1 - kept
            straight = bend[:, kept, kept]
            middle = center[:, kept] + bend[:, kept, gone] / straight * center[:, gone]
            cost = (bend[:, gone, gone] - bend[:, kept, gone] ** 2 / straight) * center[:, gone] ** 2
            half = np.sqrt(np.maximum(room - cost, 0) / straight)
            ends = np.stack([np.maximum(middle - half, 0), middle + half])
            inside = (room >= cost) & (middle + half >= 0)
            found += [(end * weights[:, kept])[inside] for end in ends]
        values = np.concatenate(found)
        return float(values.min()), float(values.max())


def fit_power_law(sizes: ArrayLike, errors: ArrayLike, overlap: float = 0.0) -> PowerLaw:
    """Fit ``error(n) = a + b * n ** -c`` to errors measured at several sizes, in several runs each.

    The sum of squares is weighted by the inverse of the means' covariance. It is that of nested samples: what
    a run has in common at all its sizes (its test rows), what two sizes have in common (the smaller one lies
    in the larger), and what each has alone, all three estimated from the runs by maximum likelihood.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Ascending; at least 4.
    errors : array-like of shape (n_runs, n_sizes)
        0 or more, finite; at least 2 runs.
    overlap : float
        What repeated use of the same rows adds to 1 / n_runs in the variance of a mean: for K folds
        1 / (K - 1), after Nadeau and Bengio; 0 for independent runs.

    Raises
    ------
    DataError
        Too few sizes or runs, or values that cannot be errors.

    References
    ----------
    Cortes et al., "Learning curves: asymptotic values and rate of convergence", NIPS 1993; Mukherjee et al.,
    "Estimating dataset size requirements for classifying DNA microarray data", J. of Computational Biology
    10, 2003; Figueroa et al., "Predicting sample size required for classification performance", BMC Medical
    Informatics and Decision Making 12, 2012 (weights); Viering and Loog, "The shape of learning curves: a
    review", IEEE TPAMI 45, 2023.

    Examples
    --------
    >>> n = np.array([100, 200, 400, 800, 1600])
    >>> noise = np.random.default_rng(0).normal(0, 0.002, (10, 5))
    >>> law = fit_power_law(n, 0.1 + 2 * n**-0.5 + noise)
    >>> gain = law.gain(3200)
    >>> gain.low < 2 * (1600**-0.5 - 3200**-0.5) < gain.high
    True
    """
    n, runs = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    if n.ndim != 1 or len(n) < FEWEST_SIZES or not (np.diff(n) > 0).all() or n[0] <= 0:
        raise DataError(
            f"A power law needs at least {FEWEST_SIZES} sizes in ascending order; found {n.tolist()}."
        )
    if runs.ndim != 2 or runs.shape[1] != len(n) or len(runs) < 2:
        raise DataError(f"Errors must be 2 or more runs x {len(n)} sizes; found {runs.shape}.")
    if not (np.isfinite(runs).all() and (runs >= 0).all()):
        raise DataError("Errors must be finite and not below 0.")
    covariance = _covariance(n, runs) * (1 / len(runs) + overlap)
    return PowerLaw(n, runs.mean(axis=0), covariance, len(runs) - 1)


def _covariance(sizes: Vector, runs: Vector) -> Vector:
    """Estimate the covariance of one run's errors: common + nested * (last / larger) ** power + alone."""
    from scipy.optimize import minimize

    seen = np.atleast_2d(np.cov(runs, rowvar=False))
    scale = float(np.trace(seen)) / len(sizes)
    # What rounding alone leaves is no noise, but a matrix of zeros has no inverse.
    least = (1e-9 * float(np.abs(runs).max()) + 1e-30) ** 2
    if scale <= least:
        return np.eye(len(sizes)) * least
    larger = np.log(sizes[-1] / np.maximum(sizes[:, None], sizes))
    same = np.eye(len(sizes))

    def made(told: Vector) -> Vector:
        common, nested, alone = np.exp(told[:3])
        full: Vector = common + nested * np.exp(told[3] * larger) + alone * same
        return full

    def cost(told: Vector) -> tuple[float, Vector]:
        full, shares = made(told), np.exp(told[:3])
        inverse = np.linalg.inv(full)
        nested = shares[1] * np.exp(told[3] * larger)
        slope = inverse - inverse @ (seen / scale) @ inverse
        parts = (shares[0] * np.ones_like(same), nested, shares[2] * same, nested * larger)
        value = float(np.linalg.slogdet(full)[1] + (inverse * (seen / scale)).sum())
        return value, np.array([(slope * part).sum() for part in parts])

    bounds = [(-14.0, 4.0), (-14.0, 4.0), (-14.0, 4.0), (0.0, 3.0)]
    starts = ([-1.0, -2.0, -2.0, 1.0], [-3.0, -1.0, -1.0, 1.0])
    tried = [minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(tried, key=lambda found: float(found.fun))
    return made(np.asarray(best.x)) * scale
