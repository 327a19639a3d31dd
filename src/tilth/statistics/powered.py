"""Power transforms of values, standardized without losing digits, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

BLOCK = 1 << 15
"""Values worked on at a time: a block and what is made of it stay in the cache."""

_SATURATED = 2.0**-40
"""Share of the distance to the bound of all powers within which values are no longer told apart."""


@dataclass(frozen=True)
class Power:
    """Raise values to a power, as Yeo and Johnson or Box and Cox do, and standardize what comes out.

    Values of one sign that lie close together for their size have powers that differ in their last digits
    only. They are therefore taken beside `base`, near their middle: ((1 + x) / base) ** power differs from
    the power by a factor and a shift, which standardizing takes away again.

    Parameters
    ----------
    box_cox : bool
        Box and Cox's power, for values above 0; otherwise Yeo and Johnson's.
    power : float
        Lambda; 1 changes nothing but mean and variance.
    side : {1, -1, 0}
        The sign of the values learned from, where all have the same: what `base` is for. Otherwise 0.
    base : float
        1 for raw powers.
    mean, scale : float
        Of the powers beside `base`: taken away, and divided by.
    low, high : float
        Lowest and highest value learned from.
    """

    box_cox: bool
    power: float
    side: int
    base: float
    mean: float
    scale: float
    low: float
    high: float

    def raw(self, power: float | None = None) -> Power:
        """Return the same without standardizing: the powers as they are defined."""
        own = self.power if power is None else power
        return replace(self, power=own, side=int(self.box_cox), base=1.0, mean=0.0, scale=1.0)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the powers; NaN stays, and for Box and Cox what is not above 0 becomes NaN."""
        out = np.empty(len(values))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(values), BLOCK):
                block = self._of(values[start : start + BLOCK])
                block -= self.mean
                np.divide(block, self.scale, out=out[start : start + BLOCK])
        return out

    def back(self, powers: np.ndarray) -> np.ndarray:
        """Return the values of powers; where these tell no more than "far out", the lowest or highest."""
        out = np.empty(len(powers))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, len(powers), BLOCK):
                block = powers[start : start + BLOCK] * self.scale
                block += self.mean
                out[start : start + BLOCK] = self._back(block)
        return out

    def _of(self, x: np.ndarray) -> np.ndarray:
        if self.side == 0:
            return _signed(x, self.power)
        made: np.ndarray = self.side * _power(logs(self.side * x, *self._place), self._own)
        if not self.box_cox:
            others = np.flatnonzero(self.side * x < 0)
            if len(others):
                factor, shift = self._raw
                made[others] = (_signed(x[others], self.power) - shift) / factor
        return made

    def _back(self, y: np.ndarray) -> np.ndarray:
        if self.side == 0:
            low = self.low if self.low < 0 else -math.inf
            return _unsigned(y, self.power, low, self.high if self.high > 0 else math.inf)
        own = self.side * y
        least, most = self._extremes
        exponent, gone = _log(own, self._own)
        made = unlogs(exponent, *self._place)
        if self.box_cox:
            return np.where(gone, least if self._own > 0 else most, made)
        made = np.where(gone & (self._own < 0), most, np.maximum(made, 0.0))
        made *= self.side
        # Below the power of 0 lie the values of the other sign.
        nothing = math.expm1(-self._own * math.log(self.base)) / self._own
        others = np.flatnonzero(own < nothing - 1e-9 * abs(nothing))
        if len(others):
            factor, shift = self._raw
            made[others] = _unsigned(y[others] * factor + shift, self.power, -math.inf, math.inf)
        return made

    @property
    def _own(self) -> float:
        return _not_zero(self.power if self.side > 0 else 2 - self.power)

    @property
    def _extremes(self) -> tuple[float, float]:
        return (self.low, self.high) if self.side > 0 else (-self.high, -self.low)

    @property
    def _place(self) -> tuple[float, float, float, float]:
        return (0.0 if self.box_cox else 1.0, self.base, *self._extremes)

    @property
    def _raw(self) -> tuple[float, float]:
        """Return factor and shift from the powers beside `base` to the raw ones."""
        exponent = self._own * math.log(self.base)
        return math.exp(exponent), self.side * math.expm1(exponent) / self._own


def logs(values: np.ndarray, unit: float, base: float, low: float, high: float) -> np.ndarray:
    """Return the logarithms of (unit + values) / base, to all digits where low to high is a narrow range."""
    if not _narrow(unit, base, low, high):
        made: np.ndarray = np.log1p(values) if unit else np.log(values)
        made -= math.log(base)
        return made
    away = values - (base - unit)
    away /= base
    made = np.log1p(away)
    if unit == 0 or base != 1:
        far = np.flatnonzero(np.abs(away) > 0.5)
        made[far] = np.log((unit + values[far]) / base)
    return made


def unlogs(made: np.ndarray, unit: float, base: float, low: float, high: float) -> np.ndarray:
    """Return the values whose `logs` are given."""
    if not _narrow(unit, base, low, high):
        values: np.ndarray = np.exp(made + math.log(base)) - unit
    else:
        values = np.expm1(made) * base + (base - unit)
    return values


def _narrow(unit: float, base: float, low: float, high: float) -> bool:
    return (unit == 1 and base == 1) or high - low < base / 4


def _not_zero(power: float) -> float:
    # Of a power this small the formula gives the logarithm, which is its limit, to all digits.
    return power if abs(power) > 1e-30 else 1e-30


def _power(exponents: np.ndarray, power: float | np.ndarray) -> np.ndarray:
    made: np.ndarray = np.multiply(exponents, power)
    np.expm1(made, out=made)
    made /= power
    return made


def _log(powers: np.ndarray, power: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what `_power` was given, and which are at the bound of all powers or past it."""
    made = powers * power
    gone = made < _SATURATED - 1
    np.maximum(made, _SATURATED - 1, out=made)
    return np.log1p(made) / power, gone


def _signed(x: np.ndarray, power: float) -> np.ndarray:
    own = np.where(x < 0, _not_zero(2 - power), _not_zero(power))
    made = np.abs(x)
    np.log1p(made, out=made)
    signed: np.ndarray = np.copysign(_power(made, own), x)
    return signed


def _unsigned(y: np.ndarray, power: float, low: float, high: float) -> np.ndarray:
    own = np.where(y < 0, _not_zero(2 - power), _not_zero(power))
    exponent, gone = _log(np.abs(y), own)
    made = np.copysign(np.expm1(exponent), y)
    # Of Yeo and Johnson's powers, those below 0 (above 2, for negative values) have a bound.
    return np.where(gone, np.where(y < 0, low, high), made)
