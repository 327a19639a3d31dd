"""Which images are of poor use by what they look like: rules on the numbers of `tilth.images.properties`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

Issue = Literal["dark", "bright", "blurry", "low_information", "grey", "odd_size", "odd_aspect"]

ISSUES: dict[str, str] = {
    "dark": "have almost no light in them",
    "bright": "have almost nothing but light in them",
    "blurry": "have no sharp edge in them",
    "low_information": "have almost nothing to see in them",
    "grey": "are grey among images in color",
    "odd_size": "are much smaller or larger than most",
    "odd_aspect": "are much wider or higher than most",
}
"""What may be found, in words."""

MEASURES = {
    "dark": "dark",
    "bright": "bright",
    "blurry": "sharpness",
    "low_information": "entropy",
    "grey": "color",
    "odd_aspect": "aspect",
}
"""The column that a rule looks at."""

APART = 5.0
"""A limit that the images set themselves lies this many robust standard deviations from their median."""
BOUNDS: dict[str, tuple[float, float]] = {"blurry": (0.7, 1.0), "low_information": (0.5, 3.0)}
"""Between these: no limit is so far out that a plain fault passes, nor so near that usual images fail."""
LEAST_RATIO = 1.03
"""A size or shape that differs by less than this factor is not odd, however alike the others are."""


@dataclass(frozen=True)
class Judged:
    """Hold what a rule says of each image.

    Parameters
    ----------
    score : array of float64, shape (images,)
        1 at the limit, less beyond it, 0 at worst; NaN where the image could not be measured.
    value : array of float64, shape (images,)
        What was measured.
    rule : str
        Which images are meant, with the limit.
    """

    score: np.ndarray
    value: np.ndarray
    rule: str

    @property
    def flagged(self) -> np.ndarray:
        """Tell which images are beyond the limit."""
        flagged: np.ndarray = self.score < 1
        return flagged


def judge(properties: pl.DataFrame, issue: str, limit: float | Literal["auto"]) -> Judged:
    """Judge all images by one rule.

    Parameters
    ----------
    properties : DataFrame
        As `tilth.images.properties.properties` returns it.
    issue : str
        One of `ISSUES`.
    limit : float or 'auto'
        In the unit of the rule; see `tilth.stages.prune.quality`. 'auto' for the issues in `BOUNDS`.
    """
    column = lambda name: properties[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    most = limit if limit != "auto" else _limit(column(MEASURES[issue]), *BOUNDS[issue])
    with np.errstate(invalid="ignore", divide="ignore"):
        if issue == "odd_size":
            return _odd(np.sqrt(column("width") * column("height")), most, "size (root of the area, pixels)")
        value = column(MEASURES[issue])
        if issue == "odd_aspect":
            return _odd(value, most, "shape (width by height)")
        if issue == "bright":
            score = (1 - value) / (1 - most) if most < 1 else np.ones(len(value))
        else:
            score = value / most if most > 0 else np.ones(len(value))
        if issue == "grey" and (score < 1).sum() > 0.5 * np.isfinite(value).sum():
            score[:] = 1  # These images are grey, and those in color the exception.
    told = {
        "dark": "99% of their pixels are darker than {:.2f} (0: black, 1: white)",
        "bright": "95% of their pixels are brighter than {:.2f} (0: black, 1: white)",
        "blurry": "their sharpness is below {:.2f} (1.5 is usual)",
        "low_information": "their levels of grey tell less than {:.2f} bits",
        "grey": "99% of their pixels differ by less than {:.2f} between channels",
    }
    return Judged(np.where(np.isnan(value), np.nan, np.clip(score, 0, None)), value, told[issue].format(most))


def _limit(value: np.ndarray, low: float, high: float) -> float:
    """Return where a value is far below those of the other images, between two bounds."""
    known = value[np.isfinite(value)]
    if not len(known):
        return low
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    return float(np.clip(middle - APART * spread, low, high))


def _odd(value: np.ndarray, factor: float, what: str) -> Judged:
    """Judge how far a value is beyond the quartiles, in factors: half as large is as odd as twice."""
    known = value[np.isfinite(value)]
    if not len(known):
        return Judged(np.full(len(value), np.nan), value, f"their {what} is unlike that of the others")
    first, third = np.log(np.quantile(known, [0.25, 0.75], method="nearest"))
    wide = max(factor * (third - first), np.log(LEAST_RATIO))
    beyond = np.maximum(first - np.log(value), np.log(value) - third)
    score = np.where(beyond > wide, wide / beyond, np.where(np.isnan(value), np.nan, 1.0))
    low, high = np.exp(first - wide), np.exp(third + wide)
    return Judged(score, value, f"their {what} is outside {low:.3g} to {high:.3g}")


def worst(judged: Mapping[str, Judged], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least score of each image, at most 1, and all it is flagged for, in words."""
    score = np.full(count, np.nan)
    reason = np.full(count, "", dtype=object)
    for issue, one in judged.items():
        score = np.fmin(score, np.minimum(one.score, 1))
        for place in np.flatnonzero(one.flagged):
            reason[place] += f"{', ' if reason[place] else ''}{issue} ({one.value[place]:.3g})"
    return score, reason


__all__ = ["ISSUES", "Issue", "Judged", "judge", "worst"]
