"""The scores of answers under many draws of the rows at once: sums over rows, for all draws in one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilth.bench.fitting import certain
from tilth.bench.metrics import BINS, EPSILON, Metric, recalibrated
from tilth.bench.recalls import RECALL, code_of

PIECES = 1000
"""Levels of a score that are told apart."""
MERGED = ("roc_auc", "pr_auc", "ece")
HITS = ("accuracy", "balanced_accuracy", "worst_recall", "f1")
Vector = NDArray[np.float64]
Blocks = NDArray[np.float64]
"""How often each row counts in each draw, shape (n_rows, n_draws)."""


@dataclass(frozen=True)
class Said:
    """Hold what one fitted probe said of the test rows.

    Parameters
    ----------
    said : ndarray of shape (n_rows, n_classes), or (n_rows,) of values; None: labels only
    decided : ndarray of shape (n_rows,), int64, or None
        The codes of the classes decided for; None for values.
    """

    said: NDArray | None
    decided: NDArray[np.int64] | None

    def rows(self, keep: NDArray) -> Said:
        """Return what was said of some of the rows."""
        return Said(
            None if self.said is None else self.said[keep],
            None if self.decided is None else self.decided[keep],
        )


class Scorer:
    """Score several answers about the same rows by several metrics, under many draws of the rows.

    What each metric gives is its own `Metric.score` with the rows as often as they are drawn, to rounding,
    with two exceptions. Of more than 1,000 different probabilities, neighbours share a rank: a thousandth of
    all pairs then counts half, and what that shifts is put back. And the slope and intercept of calibration,
    which are fitted, take one of Newton's steps from the fit to all rows, a one-step bootstrap (Shao and Tu,
    "The Jackknife and Bootstrap", 1995).

    Parameters
    ----------
    truth : ndarray of shape (n_rows,)
        Class codes, or values.
    weight : ndarray of shape (n_rows,)
        Above 0.
    answers : sequence of Said
    metrics : sequence of Metric
        An answer of labels only is scored by those that need no more.
    classes : int
        0 for a regression.
    """

    def __init__(
        self,
        truth: NDArray,
        weight: Vector,
        answers: Sequence[Said],
        metrics: Sequence[Metric],
        classes: int,
    ) -> None:
        # With the rows of each class in one piece, sums per class are sums over pieces.
        self.order = np.argsort(truth, kind="stable") if classes else np.arange(len(truth))
        self.sorted = bool((np.diff(self.order) > 0).all())
        self.truth, self.weight = truth[self.order], weight[self.order]
        self.even = bool((weight == 1).all())
        self.classes = classes
        self.present = np.unique(self.truth) if classes else np.empty(0, np.int64)
        self.edges = np.searchsorted(self.truth, self.present) if classes else np.zeros(1, np.int64)
        self.asked = [
            (place, metric)
            for place, answer in enumerate(answers)
            for metric in metrics
            if (answer.decided if metric.labels else answer.said) is not None
        ]
        self._columns: list[Vector] = []
        self._hits: list[Vector] = []
        self._parts: dict[tuple[int, str], Any] = {}
        for place, metric in self.asked:
            answer = answers[place].rows(self.order)
            self._parts[place, metric.name] = self._prepared(answer, place, metric)
        self._matrix = np.column_stack(self._columns) if self._columns else np.empty((len(truth), 0))
        self._by_class = np.column_stack(self._hits) if self._hits else np.empty((len(truth), 0))
        self._shift: dict[tuple[int, str], float] = {}
        if classes and len(truth) > PIECES:
            merged = self.under(np.ones((len(truth), 1)))
            for place, metric in self.asked:
                said = answers[place].said
                if metric.name in MERGED and said is not None:
                    exact = metric.score(truth, np.asarray(said, np.float64), weight)
                    self._shift[place, metric.name] = exact - float(merged[place, metric.name][0])

    def under(self, counts: Blocks) -> dict[tuple[int, str], Vector]:
        """Return the scores of (answer, metric), shape (n_draws,); NaN where a draw leaves none.

        Parameters
        ----------
        counts : ndarray of shape (n_rows, n_draws)
        """
        counts = counts if self.sorted else counts[self.order]
        counts = counts if self.even else counts * self.weight[:, None]
        sums = _Sums(self, counts)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                (place, metric.name): self._score(sums, self._parts[place, metric.name], metric)
                + self._shift.get((place, metric.name), 0.0)
                for place, metric in self.asked
            }

    def _column(self, values: NDArray) -> int:
        self._columns.append(np.asarray(values, np.float64))
        return len(self._columns) - 1

    def _prepared(self, answer: Said, place: int, metric: Metric) -> Any:
        """Work out what does not depend on the draw: columns to be summed, and orders."""
        truth, name = self.truth, metric.name
        if name in ("rmse", "r2", "mae"):
            gap = truth - np.asarray(answer.said, np.float64)
            middle = truth - truth.mean()
            columns = [np.abs(gap)] if name == "mae" else [gap**2]
            columns += [middle, middle**2] if name == "r2" else []
            return [self._column(values) for values in columns]
        if metric.labels and (name in HITS or name.startswith(RECALL)):
            decided = answer.decided
            assert decided is not None
            key = place, "hits"
            if key not in self._parts:
                self._hits.append((decided == truth).astype(np.float64))
                self._parts[key] = len(self._hits) - 1
            if name == "f1":
                return self._parts[key], _grouped(decided, self.classes)
            if name.startswith(RECALL):
                return self._parts[key], np.flatnonzero(self.present == code_of(metric))
            return self._parts[key]
        said = np.asarray(answer.said, np.float64)
        if name == "log_loss":
            clipped = np.clip(said, EPSILON, 1 - EPSILON)
            clipped = clipped / clipped.sum(axis=1, keepdims=True)
            return self._column(-np.log(clipped[np.arange(len(truth)), truth]))
        if name == "brier":
            if self.classes == 2:
                return self._column((said[:, 1] - (truth == 1)) ** 2)
            return self._column(((said - certain(truth, self.classes)) ** 2).sum(axis=1))
        if name == "roc_auc":
            asked = [1] if self.classes == 2 else self.present
            return [_Ranked(said[:, c], truth == c) for c in asked]
        if name == "pr_auc":
            return _Ranked(said[:, 1], truth == 1)
        if name == "ece":
            binary = self.classes == 2
            sure = said[:, 1] if binary else said.max(axis=1)
            true = truth == 1 if binary else said.argmax(axis=1) == truth
            piece, count = _pieces(sure)
            return _grouped(piece, count), _grouped(piece, count, sure - true)
        if name in ("calibration_slope", "calibration_intercept"):
            return self._recalibration(said, slope=name == "calibration_slope")
        return answer

    def _recalibration(self, said: NDArray, slope: bool) -> Any:
        """Prepare one of Newton's steps from the fit to all rows."""
        found = np.array(recalibrated(self.truth, said, self.weight, slope=slope))
        if not np.isfinite(found).all():
            return None
        clipped = np.clip(said[:, 1], EPSILON, 1 - EPSILON)
        odds = np.log(clipped / (1 - clipped))
        fitted = 1 / (1 + np.exp(-np.clip(found[0] + found[1] * odds, -500, 500)))
        bend, miss = fitted * (1 - fitted), (self.truth == 1) - fitted
        columns = [miss, bend] + ([miss * odds, bend * odds, bend * odds**2] if slope else [])
        return found, [self._column(values) for values in columns]

    def _score(self, sums: _Sums, part: Any, metric: Metric) -> Vector:
        """Return one metric's scores from the sums of each draw."""
        name, total = metric.name, sums.total
        if name == "mae":
            return sums.of(part[0]) / total
        if name == "rmse":
            return np.sqrt(sums.of(part[0]) / total)
        if name == "r2":
            spread = sums.of(part[2]) / total - (sums.of(part[1]) / total) ** 2
            return np.where(spread > 0, 1 - sums.of(part[0]) / total / spread, np.nan)
        if name in ("log_loss", "brier"):
            return sums.of(part) / total
        if name == "accuracy":
            return sums.hits(part).sum(axis=0) / total
        if name == "balanced_accuracy":
            # A class that no row of a draw is of has no recall.
            there = sums.of_class > 0
            recalls = np.where(there, sums.hits(part) / sums.of_class, 0.0)
            return recalls.sum(axis=0) / there.sum(axis=0)
        if name == "worst_recall":
            return np.where(sums.of_class > 0, sums.hits(part) / sums.of_class, np.inf).min(axis=0)
        if name == "f1":
            return self._f1(sums, *part)
        if name.startswith(RECALL):
            hits, mine = part
            return (sums.hits(hits)[mine] / sums.of_class[mine])[0] if len(mine) else total * np.nan
        if name == "roc_auc":
            return np.mean([ranked.area(sums.counts) for ranked in part], axis=0)
        if name == "pr_auc":
            return part.precision(sums.counts)
        if name == "ece":
            return _calibration_error(sums, *part)
        if name in ("calibration_slope", "calibration_intercept"):
            return _one_step(sums, part, slope=name == "calibration_slope")
        return self._one_by_one(sums.counts, part, metric)

    def _f1(self, sums: _Sums, place: int, claims: Any) -> Vector:
        claimed = claims @ sums.counts
        there = np.zeros_like(claimed)
        hit = np.zeros_like(claimed)
        there[self.present], hit[self.present] = sums.of_class, sums.hits(place)
        both = there + claimed
        scores = np.divide(2 * hit, both, out=np.zeros_like(both), where=both > 0)
        if self.classes == 2:
            return scores[1]
        counted = both > 0
        return np.asarray(scores.sum(axis=0) / counted.sum(axis=0))

    def _one_by_one(self, counts: Blocks, answer: Said, metric: Metric) -> Vector:
        """Score draw by draw: slow, for metrics that are no sums."""
        given = answer.decided if metric.labels else answer.said
        assert given is not None
        said = certain(given, self.classes) if metric.labels else given
        found = np.full(counts.shape[1], np.nan)
        for place, weight in enumerate(counts.T):
            drawn = weight > 0
            found[place] = metric.score(self.truth[drawn], said[drawn], weight[drawn])
        return found


class _Sums:
    """Hold the sums over rows that metrics share, for each draw of a block."""

    def __init__(self, scorer: Scorer, counts: Blocks) -> None:
        self.counts = counts
        self.total = counts.sum(axis=0)
        self._sums = scorer._matrix.T @ counts
        ends = np.append(scorer.edges[1:], len(counts))
        pieces = [slice(a, b) for a, b in zip(scorer.edges, ends, strict=True)]
        hits = scorer._by_class
        self.of_class = np.array([counts[piece].sum(axis=0) for piece in pieces])
        self._hits = np.array([hits[piece].T @ counts[piece] for piece in pieces]) if hits.size else None

    def of(self, column: int) -> Vector:
        """Return the sums of one column, shape (n_draws,)."""
        return np.asarray(self._sums[column])

    def hits(self, place: int) -> NDArray[np.float64]:
        """Return how many rows of each class were told right, shape (n_classes, n_draws)."""
        assert self._hits is not None
        return np.asarray(self._hits[:, place])


class _Ranked:
    """Hold rows by falling score, in pieces: within one, order is alike.

    Parameters
    ----------
    score : ndarray of shape (n_rows,)
    positive : ndarray of shape (n_rows,), bool
    """

    def __init__(self, score: NDArray, positive: NDArray[np.bool_]) -> None:
        piece, count = _pieces(-score)
        mine, others = np.flatnonzero(positive), np.flatnonzero(~positive)
        self.hit = _grouped(piece[mine], count, rows=mine, width=len(score))
        self.miss = _grouped(piece[others], count, rows=others, width=len(score))

    def area(self, counts: Blocks) -> Vector:
        """Return the area under the ROC curve: pairs in the right order, ties counted half."""
        hit, miss = self.hit @ counts, self.miss @ counts
        above = np.cumsum(miss, axis=0)
        total = above[-1]
        right = (hit * (total - above + miss / 2)).sum(axis=0)
        pairs = hit.sum(axis=0) * total
        return np.where(pairs > 0, right / pairs, np.nan)

    def precision(self, counts: Blocks) -> Vector:
        """Return the area under the steps of precision over recall."""
        hit, miss = self.hit @ counts, self.miss @ counts
        told = np.cumsum(hit, axis=0)
        said = told + np.cumsum(miss, axis=0)
        precision = np.divide(told, said, out=np.zeros_like(said), where=said > 0)
        total = hit.sum(axis=0)
        return np.where(total > 0, (hit * precision).sum(axis=0) / total, np.nan)


def _pieces(score: NDArray) -> tuple[NDArray[np.int64], int]:
    """Return the piece of each row, by rising score: its level, or of too many, neighbours as one."""
    levels, place, often = np.unique(score, return_inverse=True, return_counts=True)
    if len(levels) > PIECES:
        middle = (np.cumsum(often) - often / 2) / len(score)
        together = np.unique((middle * PIECES).astype(np.int64), return_inverse=True)[1]
        place = together[place]
    return place.astype(np.int64), int(place.max()) + 1


def _grouped(
    group: NDArray,
    groups: int,
    values: NDArray | None = None,
    rows: NDArray | None = None,
    width: int | None = None,
) -> Any:
    """Return the matrix that sums rows by group: gathering and summing are one step."""
    from scipy.sparse import csr_array

    rows = np.arange(len(group)) if rows is None else rows
    ones = np.ones(len(group)) if values is None else np.asarray(values, np.float64)
    return csr_array((ones, (group, rows)), shape=(groups, len(group) if width is None else width))


def _calibration_error(sums: _Sums, mass_of: Any, gap_of: Any) -> Vector:
    mass, gap = mass_of @ sums.counts, gap_of @ sums.counts
    middle = (np.cumsum(mass, axis=0) - mass / 2) / sums.total
    bins = np.minimum((middle * BINS).astype(np.int64), BINS - 1)
    bins += BINS * np.arange(bins.shape[1])
    apart = np.bincount(bins.ravel(), weights=gap.ravel(), minlength=BINS * bins.shape[1])
    return np.asarray(np.abs(apart.reshape(-1, BINS)).sum(axis=1) / sums.total)


def _one_step(sums: _Sums, part: Any, slope: bool) -> Vector:
    if part is None:
        return np.full(len(sums.total), np.nan)
    found, columns = part
    miss, bend = sums.of(columns[0]), sums.of(columns[1])
    if not slope:
        return np.asarray(found[0] + miss / bend)
    tilt, cross, square = (sums.of(column) for column in columns[2:])
    return np.asarray(found[1] + (bend * tilt - cross * miss) / (bend * square - cross**2))
