"""From scores to an estimate: by folds, or by draws of one fixed test set; verdicts follow the same rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tilth.bench.metrics import METRICS, Metric
from tilth.bench.statistics import Estimate, corrected_t, correlated_posterior

Scores = Mapping[tuple[str, str, str], NDArray[np.float64]]
"""The scores of each (probe, metric, arm), ordered by repeat and fold."""
Posterior = tuple[float, float, float]


class Estimator(Protocol):
    """Estimate scores and gains from what was measured.

    `held` are the scores of one part of the rows; `part` names it, and is empty for all rows.
    """

    def gain(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, part: str = ""
    ) -> Estimate | None:
        """Estimate by how much one arm is better than another; None where it cannot be told."""

    def posterior(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, rope: float
    ) -> Posterior:
        """Return the probabilities that the gain is below, within and above +-`rope`."""

    def level(self, held: Scores, probe: str, name: str, arm: str) -> Estimate | None:
        """Estimate an arm's score; None where there are too few."""


def gains_of(held: Scores, probe: str, metric: Metric, before: str, after: str) -> NDArray[np.float64]:
    """Return the paired gains that are numbers; none where an arm was not scored."""
    one, other = held.get((probe, metric.name, before)), held.get((probe, metric.name, after))
    if one is None or other is None:
        return np.empty(0)
    gains = metric.gain(one, other)
    return gains[np.isfinite(gains)]


def size_of(held: Scores, probe: str, metric: Metric, *arms: str) -> float:
    """Return how large the scores are: what rounding alone leaves of a difference is no effect."""
    return max(float(np.nanmax(np.abs(held[probe, metric.name, arm]))) for arm in arms)


@dataclass(frozen=True)
class ByFolds:
    """Estimate over folds, whose training parts overlap, with the corrected t test.

    Parameters
    ----------
    folds : int
    ratio : float, optional
        As in `corrected_t`.
    """

    folds: int
    ratio: float | None = None

    def gain(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, part: str = ""
    ) -> Estimate | None:
        """Estimate by how much one arm is better than another; None with fewer than two pairs."""
        gains = gains_of(held, probe, metric, before, after)
        if len(gains) < 2:
            return None
        return corrected_t(gains, self.folds, size_of(held, probe, metric, before, after), ratio=self.ratio)

    def posterior(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, rope: float
    ) -> Posterior:
        """Return the probabilities that the gain is below, within and above +-`rope`."""
        gains = gains_of(held, probe, metric, before, after)
        size = size_of(held, probe, metric, before, after)
        return correlated_posterior(gains, self.folds, rope, size, ratio=self.ratio)

    def level(self, held: Scores, probe: str, name: str, arm: str) -> Estimate | None:
        """Estimate an arm's score; None with fewer than two."""
        values = held[probe, METRICS[name].name, arm]
        values = values[np.isfinite(values)]
        return None if len(values) < 2 else corrected_t(values, self.folds, ratio=self.ratio)
