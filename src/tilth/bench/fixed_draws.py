"""One fixed test set: its rows and the training seeds are drawn again and again, and scores follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tilth.bench.estimating import Posterior, Scores, size_of
from tilth.bench.fixed_scores import Said, Scorer
from tilth.bench.metrics import METRICS, Metric
from tilth.bench.sameness import digest_array
from tilth.bench.statistics import CONFIDENCE, POWER, Estimate, rounding

DRAWS = 10_000
CELLS = 1_000_000
"""Rows times draws that are looked at in one step."""
MOST_LOST = 0.5
"""The share of draws without a score beyond which nothing is told."""


@dataclass(frozen=True)
class Items:
    """Say how test rows are drawn: whole units, within each class as many as there are.

    Parameters
    ----------
    strata : ndarray of shape (n_rows,), int64
        The class of each row; all 0 for a regression.
    units : ndarray of shape (n_rows,), int64
        Rows of the same code are drawn together. A unit belongs to the class that most of its rows are of.
    seed : int
    """

    strata: NDArray[np.int64]
    units: NDArray[np.int64]
    seed: int = 0

    def blocks(self, draws: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Give how often each row is drawn: places of the draws, and counts of shape (n_rows, n_draws)."""
        random = np.random.default_rng([self.seed, 0])
        _, unit = np.unique(self.units, return_inverse=True)
        stratum = strata_of_units(self.strata, unit)
        members = [np.flatnonzero(stratum == code) for code in np.unique(stratum)]
        in_place = bool((unit == np.arange(len(unit))).all())
        step = max(1, CELLS // max(len(unit), 1))
        for start in range(0, draws, step):
            width = min(step, draws - start)
            counts = np.empty((len(stratum), width))
            for mine in members:
                drawn = random.integers(len(mine), size=(width, len(mine)))
                drawn += len(mine) * np.arange(width)[:, None]
                often = np.bincount(drawn.ravel(), minlength=width * len(mine))
                counts[mine] = often.reshape(width, len(mine)).T
            yield slice(start, start + width), counts if in_place else counts[unit]


def strata_of_units(strata: NDArray[np.int64], unit: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class that most rows of each unit are of; of several, the first."""
    held = np.zeros((int(unit.max()) + 1, int(strata.max()) + 1), np.int64)
    np.add.at(held, (unit, strata), 1)
    return held.argmax(axis=1).astype(np.int64)


@dataclass(frozen=True)
class Part:
    """Name some of the test rows, with the labels that they are scored by.

    Parameters
    ----------
    name : str
        Empty for all rows.
    rows : ndarray of int
        Places among the test rows.
    truth : ndarray of shape (len(rows),)
    metrics : tuple of Metric
    """

    name: str
    rows: NDArray[np.int64]
    truth: NDArray
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Drawn:
    """Hold the scores of all draws of the test rows.

    Parameters
    ----------
    scores : mapping of (part, metric, place) to ndarray of shape (n_draws,)
        One per answer: those that are the same are held once.
    places : mapping of (probe, arm) to list of int
        The answer of each training seed.
    """

    scores: Mapping[tuple[str, str, int], NDArray[np.float32]]
    places: Mapping[tuple[str, str], Sequence[int]]

    def of(self, part: str, probe: str, metric: str, arm: str) -> NDArray | None:
        """Return the scores of one arm, shape (n_draws, n_seeds); None where there are none."""
        keys = [(part, metric, place) for place in self.places.get((probe, arm), ())]
        if not keys or any(key not in self.scores for key in keys):
            return None
        return np.column_stack([self.scores[key] for key in keys])


@dataclass
class ByDraws:
    """Estimate by drawing the test rows and the training seeds again, the same for all arms.

    The draws of rows and of seeds are crossed, which rather takes too much for chance than too little (Owen,
    2007). One seed fewer is drawn than there are: so few of them would else vary too little (Rao and Wu,
    1988). Draws are then spread about what was observed until their quantiles are those of Student's t, its
    degrees of freedom by Satterthwaite from the variance that seeds and rows have each: a handful of seeds
    does not tell their variance well (Hesterberg, 2015, of the plain percentile interval: "narrowness bias").

    Parameters
    ----------
    drawn : Drawn
        The scores of every draw of the test rows.
    free : mapping of (part, ranks) to int
        Degrees of freedom that the rows of a part leave: for metrics that weigh two classes alike, those of
        the smaller one.
    seed : int

    Source
    ------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993) for percentile intervals; Owen, "The
    pigeonhole bootstrap", Annals of Applied Statistics 1 (2007); Rao and Wu, "Resampling inference with
    complex survey data", JASA 83 (1988); Hesterberg, "What teachers should know about the bootstrap",
    American Statistician 69 (2015).
    """

    drawn: Drawn
    free: Mapping[tuple[str, bool], int]
    seed: int = 0
    _seeds: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def gain(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, part: str = ""
    ) -> Estimate | None:
        """Estimate by how much one arm is better than another; None where too few draws have a score."""
        found = self._gain(held, probe, metric, before, after, part)
        return None if found is None else found[0]

    def posterior(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, rope: float
    ) -> Posterior:
        """Return the shares of draws below, within and above +-`rope`."""
        found = self._gain(held, probe, metric, before, after, "")
        assert found is not None
        return shares(found[1], rope)

    def level(self, held: Scores, probe: str, name: str, arm: str) -> Estimate | None:
        """Estimate an arm's score; None where too few draws have one."""
        values, drawn = held.get((probe, name, arm)), self.drawn.of("", probe, name, arm)
        if values is None or drawn is None or len(values) != drawn.shape[1]:
            return None
        found = self._estimated(values, drawn, self._free("", METRICS[name]), 1.0)
        return None if found is None else found[0]

    def _gain(
        self, held: Scores, probe: str, metric: Metric, before: str, after: str, part: str
    ) -> tuple[Estimate, NDArray[np.float64]] | None:
        one, other = (held.get((probe, metric.name, arm)) for arm in (before, after))
        first, second = (self.drawn.of(part, probe, metric.name, arm) for arm in (before, after))
        if one is None or other is None or first is None or second is None or one.shape != other.shape:
            return None
        gains, of_draws = metric.gain(one, other), metric.gain(first, second)
        size = size_of(held, probe, metric, before, after)
        return self._estimated(gains, of_draws, self._free(part, metric), size)

    def _free(self, part: str, metric: Metric) -> int:
        return self.free.get((part, metric.ranks), 1)

    def _estimated(
        self, observed: NDArray, drawn: NDArray, free: int, size: float
    ) -> tuple[Estimate, NDArray[np.float64]] | None:
        known = np.isfinite(observed)
        if not known.any():
            return None
        observed, drawn = observed[known], np.asarray(drawn[:, known], np.float64)
        return estimated(observed, drawn, self.seeds(*drawn.shape), free, size)

    def seeds(self, draws: int, count: int) -> NDArray[np.float64]:
        """Return the weights of the training seeds in each draw, shape (n_draws, n_seeds): rows sum to 1."""
        if (draws, count) not in self._seeds:
            random = np.random.default_rng([self.seed, 1])
            often = random.multinomial(max(count - 1, 1), np.full(count, 1 / count), size=draws)
            self._seeds[draws, count] = often / max(count - 1, 1)
        return self._seeds[draws, count]


def estimated(
    observed: NDArray[np.float64],
    drawn: NDArray[np.float64],
    seeds: NDArray[np.float64],
    free: int,
    size: float = 1.0,
) -> tuple[Estimate, NDArray[np.float64]] | None:
    """Return the estimate of a mean over seeds, and its draws; None where half of the draws have no value.

    Parameters
    ----------
    observed : ndarray of shape (n_seeds,)
        On the test rows as they are.
    drawn : ndarray of shape (n_draws, n_seeds)
        On the rows of each draw.
    seeds : ndarray of shape (n_draws, n_seeds)
        Weights of the seeds in each draw.
    free : int
        Degrees of freedom that the rows leave.
    size : float
        Magnitude of the scores that these are of.
    """
    from scipy.stats import norm, t

    mean, count = float(observed.mean()), len(observed)
    both = (drawn * seeds).sum(axis=1)
    both = both[np.isfinite(both)]
    if len(both) < 2 or len(both) < (1 - MOST_LOST) * len(drawn):
        return None
    se = float(both.std(ddof=1))
    if se <= rounding(size):
        mean = mean if abs(mean) > rounding(size) else 0.0
        return Estimate(mean, mean, mean, 0.0, float(mean == 0), 0.0, count), np.full(len(both), mean)
    by_rows = drawn.mean(axis=1)
    of_rows = float(np.var(by_rows[np.isfinite(by_rows)], ddof=1))
    of_seeds = float(np.var(observed, ddof=1)) / count if count > 1 else 0.0
    apart = of_rows**2 / max(free, 1) + (of_seeds**2 / (count - 1) if count > 1 else 0.0)
    freedom = (of_rows + of_seeds) ** 2 / apart if apart > 0 else float(max(free, 1))
    edge, found = float(t.ppf(0.5 + CONFIDENCE / 2, freedom)), float(t.ppf(POWER, freedom))
    spread = mean + edge / float(norm.ppf(0.5 + CONFIDENCE / 2)) * (both - mean)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(q) for q in np.quantile(spread, [tail, 1 - tail]))
    beyond = min(int((spread <= 0).sum()), int((spread >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (len(spread) + 1))
    floor = (edge + found) * math.sqrt(of_seeds)
    return Estimate(mean, low, high, se, p, (edge + found) * se, count, floor), spread


def shares(draws: NDArray[np.float64], rope: float) -> Posterior:
    """Return which share of draws lies below, within and above +-`rope`."""
    below, above = float((draws < -rope).mean()), float((draws > rope).mean())
    return below, max(0.0, 1 - below - above), above


def drawn_scores(
    items: Items,
    weight: NDArray[np.float64],
    answers: Mapping[tuple[str, str], Sequence[Said]],
    parts: Sequence[Part],
    classes: int,
    draws: int = DRAWS,
) -> Drawn:
    """Score every arm under every draw of the test rows, the same rows for all.

    Parameters
    ----------
    items : Items
    weight : ndarray of shape (n_rows,)
        Of the test rows; above 0.
    answers : mapping of (probe, arm) to sequence of Said
        One per training seed.
    parts : sequence of Part
    classes : int
        0 for a regression.
    draws : int
    """
    # Arms that prepared the same rows gave the same answers: scored once, they stay equal to the last bit.
    known: dict[tuple[str, str], int] = {}
    several: list[Said] = []
    places: dict[tuple[str, str], list[int]] = {}
    for key, told in answers.items():
        places[key] = []
        for said in told:
            text = digest_array(said.said), digest_array(said.decided)
            if text not in known:
                known[text] = len(several)
                several.append(said)
            places[key].append(known[text])
    scorers = [
        Scorer(
            part.truth,
            weight[part.rows],
            [said.rows(part.rows) for said in several],
            part.metrics,
            classes,
        )
        for part in parts
    ]
    scores = {
        (part.name, metric.name, place): np.empty(draws, np.float32)
        for part, scorer in zip(parts, scorers, strict=True)
        for place, metric in scorer.asked
    }
    for where, counts in items.blocks(draws):
        for part, scorer in zip(parts, scorers, strict=True):
            mine = counts if len(part.rows) == len(counts) else counts[part.rows]
            for (place, name), values in scorer.under(mine).items():
                scores[part.name, name, place][where] = values
    return Drawn(scores, places)
