"""The power that makes the values of a column most nearly normal: Box and Cox, Yeo and Johnson."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tilth.statistics.powered import BLOCK, Power, logs

_SAMPLE = 1 << 14
"""Values that a first search looks at, to begin near the answer on all of them."""

_NEAR = 1e-3
"""Largest exponent up to which a few terms of the series are exact; from there on the closed form is."""

_TINY = 1e-100
"""Largest logarithm below which squares of some are 0."""

LARGE = 1e140
"""Values of both signs up to which some power has a variance that is a number."""

_ROUNDS = 100
_RECENTERED = 4
_OFF = 100.0
"""Variances that the squared distance of a mean from the assumed one may be."""

_APART = 1e-8
"""What the range of raw powers must be, beside the largest of them, to be told apart."""


@dataclass(frozen=True)
class _Part:
    """The logarithms of the values of one sign, taken from a center, and which sign that is."""

    logs: np.ndarray
    side: int

    def thinned(self, step: int) -> _Part:
        return _Part(np.ascontiguousarray(self.logs[::step]), self.side)


@dataclass(frozen=True)
class _Slope:
    """The slope of the negative log likelihood per value at a power, and what was seen there."""

    power: float
    slope: float
    curvature: float
    mean: float
    variance: float
    mean_rises: tuple[float, float]
    variance_rises: tuple[float, float]


def find_power(values: np.ndarray, box_cox: bool, standardize: bool) -> tuple[Power, bool]:
    """Find the power of largest likelihood, and what standardizes the powers of the values.

    The negative log likelihood is strictly convex in the power, so its slope has one root, or none within the
    bounds; Newton steps within a bracket find it to rounding, whatever the order of the values.

    Parameters
    ----------
    values : ndarray of shape (n_values,), float64
        Finite, at least one; above 0 for Box and Cox; up to `LARGE` where both signs are there.
    box_cox : bool
        Box and Cox's power; otherwise Yeo and Johnson's.
    standardize : bool
        Bring the powers to mean 0 and variance 1.

    Returns
    -------
    Power
    bool
        Whether the power lies at a bound.

    Source
    ------
    Box and Cox, "An analysis of transformations" (1964); Yeo and Johnson, "A new family of power
    transformations to improve normality or symmetry" (2000). Convexity: Marchand et al., "SecureFedYJ: a safe
    feature Gaussianization protocol for federated learning" (2022). Bounds: as in scipy's
    ``yeojohnson_normmax``, half of the exponents that a double has, for values 20 times as large.
    """
    low, high = float(values.min()), float(values.max())
    side = 1 if box_cox or low >= 0 else -1 if high < 0 else 0
    unit = 0.0 if box_cox else 1.0
    if low == high:
        base = abs(low) + unit
        flat = Power(box_cox, 1.0, side, base, 0.0, 1 / base, low, high)
        return (flat if standardize else flat.raw()), False
    parts, base = _parts(values, side, unit, low, high)
    span = max(float(np.abs(part.logs).max(initial=0.0)) for part in parts)
    if span < _TINY:
        # No power that is a number bends a range so narrow. Scaled up, it has squares that are numbers.
        away = values / span
        tiny = Power(box_cox, 1.0, 0, 1.0, float(away.mean()) * span, float(away.std()) * span, low, high)
        return (tiny if standardize else tiny.raw()), True
    bounds = _bounds(low, high, box_cox)
    count = len(values)
    start = 1.0
    if count > 2 * _SAMPLE:
        few = [part.thinned(count // _SAMPLE) for part in parts]
        start = _search(few, start, bounds, span, 1e-6)[0]
    power, found = _search(parts, start, bounds, span, 1e-12)
    step = power - found.power
    # So near to the root two terms of each series are exact, and spare a look at all values.
    mean = found.mean + step * found.mean_rises[0] + step**2 / 2 * found.mean_rises[1]
    variance = found.variance + step * found.variance_rises[0] + step**2 / 2 * found.variance_rises[1]
    made = Power(box_cox, power, side, base, mean, math.sqrt(variance), low, high)
    if not standardize:
        least, most = _told_apart(low, high, box_cox)
        made = made.raw(min(max(power, least), most))
    return made, made.power != power or power in bounds


def _parts(values: np.ndarray, side: int, unit: float, low: float, high: float) -> tuple[list[_Part], float]:
    """Return the logarithms by sign; of values of one sign, beside those of their geometric mean."""
    if side == 0:
        below = values < 0
        return [_Part(np.log1p(values[~below]), 1), _Part(np.log1p(-values[below]), -1)], 1.0
    turned = values if side > 0 else -values
    mean = float((np.log1p(turned) if unit else np.log(turned)).mean())
    base = math.exp(mean)
    least, most = sorted((side * low, side * high))
    return [_Part(logs(turned, unit, base, least, most), side)], base


def _bounds(low: float, high: float, box_cox: bool) -> tuple[float, float]:
    real = np.finfo(np.float64)
    tiny = (math.log(real.tiny) - math.log(real.eps)) / 2
    large = (math.log(real.max) + math.log(real.eps)) / 2
    if box_cox:
        # 20 times as large, or as small: the powers of both must be numbers.
        reach = math.log(20) + max(abs(math.log(low)), abs(math.log(high)))
        return tiny / reach, large / reach
    reach = (
        math.log1p(max(abs(low), abs(high))) if max(-low, high) > 1e300 else math.log1p(20 * max(-low, high))
    )
    least, most = tiny / reach, large / reach
    if high < 0:
        return 2 - most, 2 - least
    return (max(2 - most, least), min(2 - least, most)) if low < 0 else (least, most)


def _told_apart(low: float, high: float, box_cox: bool) -> tuple[float, float]:
    """Return between which powers the lowest and highest value do not become one, to half of all digits.

    Powers far below 1 draw values that all lie far from 0 together, until no digit tells them apart.
    """
    ends = (math.log(low), math.log(high)) if box_cox else (math.log1p(abs(low)), math.log1p(abs(high)))
    if low * high <= 0 or ends[0] * ends[1] <= 0:
        return -math.inf, math.inf
    near, far = sorted(map(abs, ends))
    # Which way powers draw values together: down where logarithms are positive, up where they are not.
    mirrored = ends[0] < 0
    same = -1.0 if mirrored else 1.0

    def apart(power: float) -> float:
        if power == 0:
            return (far - near) / far
        return math.expm1(-power * (far - near)) / math.expm1(-power * far)

    least = min(_APART, apart(same))
    good, bad = same, -700 / far
    if apart(bad) < least:
        for _ in range(60):
            middle = (good + bad) / 2
            good, bad = (middle, bad) if apart(middle) >= least else (good, middle)
    else:
        good = bad
    if mirrored:
        return -math.inf, -good
    return (good, math.inf) if box_cox or low > 0 else (-math.inf, 2 - good)


def _search(
    parts: list[_Part], start: float, bounds: tuple[float, float], span: float, error: float
) -> tuple[float, _Slope]:
    """Return where the slope is 0, or the bound towards which it falls, and the last slope looked at."""
    # After a step, Newton's error is about the step squared times the span.
    near = math.sqrt(error / span)
    low, high = bounds
    power, center = min(max(start, low), high), 0.0
    ends = {low, high}
    for _ in range(_ROUNDS):
        found = _slope(parts, power, center, span)
        center = found.mean
        if found.slope == 0 or (power in bounds and (found.slope > 0) == (power == bounds[0])):
            return power, found
        if found.slope > 0:
            high = power
        else:
            low = power
        ends.discard(power)
        step = -found.slope / found.curvature if found.curvature > 0 else math.nan
        aim = power + step
        if not low < aim < high:
            # Beyond the bracket, or nowhere: to the bound if it has not been looked at, or to the middle.
            bound = high if found.slope < 0 else low
            aim = bound if bound in ends else (low + high) / 2
        elif abs(step) <= near:
            return aim, found
        if aim == power:
            break
        power = aim
    return power, found


def _slope(parts: list[_Part], power: float, center: float, span: float) -> _Slope:
    count = sum(len(part.logs) for part in parts)
    for _ in range(_RECENTERED):
        total = np.zeros(8)
        for part in parts:
            s = part.side
            own = _sums(part.logs, power if s > 0 else 2 - power, s * center, span)
            total += own * (s, s, 1, 1, s, 1, s, 1)
        logs_mean, y, yy, p, yp, pp, q, yq = total / count
        variance = yy - y * y
        if y * y <= _OFF * variance:
            break
        # The mean of another power is so far from this one's that digits are lost.
        center += float(y)
    rise = 2 * (yp - y * p)
    bend = 2 * (pp - p * p + yq - y * q)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = rise / variance / 2 - logs_mean
        curvature = (bend / variance - (rise / variance) ** 2) / 2
    return _Slope(
        power, float(slope), float(curvature), center + float(y), float(variance), (float(p), float(q)),
        (float(rise), float(bend)),
    )  # fmt: skip


def _sums(values: np.ndarray, power: float, center: float, span: float) -> np.ndarray:
    """Return sums over h = (exp(power x) - 1) / power, its first two derivatives p and q by the power, and x.

    Of x, h, h h, p, h p, p p, q and h q, where h is taken from `center`.
    """
    total = np.zeros(8)
    dot: Callable[[np.ndarray, np.ndarray], float] = lambda a, b: np.einsum("i,i->", a, b)
    for start in range(0, len(values), BLOCK):
        x = values[start : start + BLOCK]
        if abs(power) * span < _NEAR:
            z, square = power * x, x * x
            h = x * (1 + z * (1 / 2 + z * (1 / 6 + z * (1 / 24 + z * (1 / 120)))))
            p = square * (1 / 2 + z * (1 / 3 + z * (1 / 8 + z * (1 / 30 + z * (1 / 144)))))
            q = square * x * (1 / 3 + z * (1 / 4 + z * (1 / 10 + z * (1 / 36))))
        else:
            e = np.expm1(power * x)
            h = e / power
            e += 1
            e *= x
            p = e - h
            p /= power
            e *= x
            q = e
            q -= 2 * p
            q /= power
        h -= center
        total += (x.sum(), h.sum(), dot(h, h), p.sum(), dot(h, p), dot(p, p), q.sum(), dot(h, q))
    return total
