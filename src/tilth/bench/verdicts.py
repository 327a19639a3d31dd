"""Turns scores into verdict words: every word follows from a rule, and none is typed by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import RANDOM_DROP, TUNED
from tilth.bench.estimating import ByFolds, Estimator, Scores, gains_of
from tilth.bench.metrics import CHANCE, METRICS, Metric, metrics_of
from tilth.bench.result import Guard, Verdict, Word
from tilth.bench.statistics import Estimate, holm, rows_needed

ALPHA = 0.05
SURE = 0.95
MOST_LOST = 0.20
WORST_SLICE = 0.02
"""What the slice that fares worst may lose: of a score from 0 to 1, or as a share of a loss."""
FEWEST_PER_FOLD = 5
FEWEST_FIXED = 25
"""Of one fixed test set: as many rows as 5 folds test of a class of which each has the fewest."""
FEWEST_SEEDS = 5
"""Of one fixed test set: with fewer training seeds, what they vary is a guess."""
NEGLIGIBLE = 0.01
"""Of a metric's rope: a guard that loses less is not broken, however sure the loss is."""
NAN = float("nan")

SLICE = "worst slice"
"""The guard that is no metric: the part of the rows that loses most."""


@dataclass(frozen=True)
class Question:
    """Ask whether one arm is better than another.

    Parameters
    ----------
    before, after : str
        Names of arms.
    stage : str
        In an ablation, the stage that the two differ by.
    obstacle : str
        Why it cannot be answered; empty where it can.
    """

    before: str
    after: str
    stage: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class Facts:
    """Hold what verdicts depend on besides the scores.

    Parameters
    ----------
    task : str
    primary : tuple of str
    folds, repeats, rows : int
        Rows that are tested.
    counts : ndarray of shape (n_classes,)
        Of these, rows per class; for a regression all rows in one.
    share_kept : dict of arm to float
    ratio : float, optional
        Test over training rows, where rows go by time; see `corrected_t`.
    fixed : Estimator, optional
        Of one fixed test set, by draws of its rows; None: rows are tested in folds.
    units : int
        Of one fixed test set: groups, or rows that are copies, that are drawn as one.
    """

    task: str
    primary: tuple[str, ...]
    folds: int
    repeats: int
    rows: int
    counts: NDArray[np.int64]
    share_kept: Mapping[str, float]
    ratio: float | None = None
    fixed: Estimator | None = None
    units: int = 0

    @property
    def estimator(self) -> Estimator:
        """Return what makes estimates of scores."""
        return ByFolds(self.folds, self.ratio) if self.fixed is None else self.fixed

    @property
    def few_repeats(self) -> str:
        """Name the repeats where they are too few to prove anything; empty where they are not."""
        if self.fixed is None:
            return "One repeat" if self.repeats == 1 else ""
        several = "training seed" if self.repeats == 1 else "training seeds"
        return f"{self.repeats} {several}" if self.repeats < FEWEST_SEEDS else ""

    @property
    def scored_in(self) -> str:
        """Name what gives a score."""
        return "folds" if self.fixed is None else "draws of the test rows"

    @property
    def parts(self) -> int:
        """Return how many parts the rows were cut into: by time, one more than are tested."""
        return self.folds + (self.ratio is not None)

    def enough(self, rows: int) -> bool:
        """Tell whether so many rows suffice to be judged by."""
        return rows >= FEWEST_FIXED if self.fixed is not None else rows / self.parts >= FEWEST_PER_FOLD

    def too_few(self, metric: Metric) -> str:
        """Say why the rows are too few for this metric; empty where they are not."""
        if self.task == "regression":
            few, what = self.rows, "rows"
        elif metric.ranks:
            few, what = int(self.counts.min()), "rows of the smallest class"
        else:
            few, what = int(self.counts.sum() - self.counts.max()), "rows outside the largest class"
        if self.fixed is not None and self.units < min(few, FEWEST_FIXED):
            few, what = self.units, "groups of test rows, which are drawn as one"
        if self.enough(few):
            return ""
        if self.fixed is not None:
            return f"{few} {what} in the test set: fewer than {FEWEST_FIXED}."
        return f"{few} {what} in {self.parts} folds: fewer than {FEWEST_PER_FOLD} per fold."


def pivot(scores: pl.DataFrame) -> dict[tuple[str, str, str], NDArray[np.float64]]:
    """Return the scores of each (probe, metric, arm), ordered by repeat and fold."""
    ordered = scores.sort("repeat", "fold", maintain_order=True)
    parts = ordered.partition_by("probe", "metric", "arm", as_dict=True, maintain_order=True)
    return {(str(p), str(m), str(a)): part["value"].to_numpy() for (p, m, a), part in parts.items()}


def by_slice(slices: pl.DataFrame) -> dict[str, Scores]:
    """Return for each slice its scores, as `pivot` does for all rows."""
    parts = slices.partition_by("slice", as_dict=True, maintain_order=True)
    return {str(name): pivot(part) for (name,), part in parts.items()}


def judge(
    scores: pl.DataFrame,
    questions: Sequence[Question],
    probes: Sequence[str],
    facts: Facts,
    slices: pl.DataFrame | None = None,
) -> list[Verdict]:
    """Answer every question for every probe and primary metric; p values are Holm's over all of them.

    Parameters
    ----------
    scores : DataFrame
        As in `Trial`.
    questions : sequence of Question
    probes : sequence of str
    facts : Facts
    slices : DataFrame, optional
        Scores of parts of the rows, as in `SLICED`.
    """
    held = pivot(scores)
    parts = {} if slices is None else by_slice(slices)
    claims = [(q, p, METRICS[m]) for q in questions for p in probes for m in facts.primary]
    estimates = [_estimate(held, q, p, m, facts) for q, p, m in claims]
    adjusted = holm([NAN if e is None else e.p for e in estimates])
    return [
        _verdict(held, parts, *claim, estimate, float(p), facts)
        for claim, estimate, p in zip(claims, estimates, adjusted, strict=True)
    ]


def _estimate(
    held: Scores, q: Question, probe: str, metric: Metric, facts: Facts, part: str = ""
) -> Estimate | None:
    if q.obstacle:
        return None
    return facts.estimator.gain(held, probe, metric, q.before, q.after, part)


def _verdict(
    held: Scores,
    parts: Mapping[str, Scores],
    q: Question,
    probe: str,
    metric: Metric,
    estimate: Estimate | None,
    p_holm: float,
    facts: Facts,
) -> Verdict:
    if estimate is None:
        why = q.obstacle or facts.too_few(metric) or f"Too few {facts.scored_in} gave a score."
        nothing: dict[str, Any] = dict.fromkeys(
            (
                "before",
                "after",
                "difference",
                "low",
                "high",
                "p",
                "mde80",
                "p_hurts",
                "p_same",
                "p_helps",
                "rope",
            ),
            NAN,
        )
        return Verdict(
            probe,
            metric.name,
            **nothing,
            p_holm=NAN,
            n_scores=0,
            word="not testable",
            note=why,
            stage=q.stage,
        )
    before, after = (float(np.nanmean(held[probe, metric.name, arm])) for arm in (q.before, q.after))
    rope = metric.half_width(before)
    posterior = facts.estimator.posterior(held, probe, metric, q.before, q.after, rope)
    guards = _guards(held, q, probe, metric, facts) | _worst_slice(parts, q, probe, metric, facts)
    word, note = _word(held, q, probe, metric, estimate, p_holm, posterior[1], rope, guards, facts)
    needed = rows_needed(facts.rows, estimate.mde80, rope, estimate.floor)
    if word == "no evidence" and estimate.floor >= rope:
        note = f"{note} Training seeds alone vary too much: no rows settle it without more of them.".strip()
    return Verdict(
        probe,
        metric.name,
        before,
        after,
        estimate.mean,
        estimate.low,
        estimate.high,
        estimate.p,
        p_holm,
        estimate.n_scores,
        estimate.mde80,
        *posterior,
        rope,
        word,
        guards,
        note,
        needed if word == "no evidence" else None,
        q.stage,
        "rows" if facts.fixed is None else "test rows",
    )


def _word(
    held: Scores,
    q: Question,
    probe: str,
    metric: Metric,
    estimate: Estimate,
    p_holm: float,
    p_same: float,
    rope: float,
    guards: Mapping[str, Guard],
    facts: Facts,
) -> tuple[Word, str]:
    """Return the verdict word and what it alone does not say."""
    why = facts.too_few(metric) or _at_chance(held, q, probe, facts)
    if why:
        return "not testable", why
    clear = p_holm < ALPHA
    broken = [guard.metric for guard in guards.values() if guard.broken]
    lost = facts.share_kept.get(q.before, 1.0) - facts.share_kept.get(q.after, 1.0)
    paid = [f"{name} is clearly worse" for name in broken]
    paid += [f"{lost:.0%} of the training rows are lost"] if lost > MOST_LOST else []
    word: Word = "no evidence"
    note = ""
    if clear and estimate.mean >= rope:
        tuned = _over_tuned(held, q, probe, metric, facts)
        if tuned is not None and not (tuned.p < ALPHA and tuned.mean > 0):
            word, note = (
                "threshold only",
                "A tuned decision threshold gains as much, and no data need change for it.",
            )
        elif paid:
            word, note = "trades", f"{metric.name} gains, but {' and '.join(paid)}."
        else:
            word, note = "helps", _over_random(held, q, probe, metric, facts)
    elif clear and estimate.mean <= -rope:
        word = "hurts"
    elif p_same >= SURE:
        word = "no difference"
        note = "All scores are identical." if estimate.se == 0 and estimate.mean == 0 else ""
    elif clear:
        note = f"The difference is real but within +-{rope:.3g}, which is taken for practically equal."
    if word in ("no difference", "no evidence") and paid:
        note = f"{note} Beside it, {' and '.join(paid)}.".strip()
    few = facts.few_repeats
    if few and word != "no evidence":
        points = f'{few} only: points to "{word}", and proves nothing.'
        return "indication", f"{points} {note}".strip()
    return word, note


def _guards(held: Scores, q: Question, probe: str, primary: Metric, facts: Facts) -> dict[str, Guard]:
    guards: dict[str, Guard] = {}
    for metric in metrics_of(facts.task):
        estimate = None if metric is primary else _estimate(held, q, probe, metric, facts)
        if estimate is None:
            continue
        before, after = (float(np.nanmean(held[probe, metric.name, arm])) for arm in (q.before, q.after))
        # Two answers may differ in their last digits only, and always the same way.
        felt = -estimate.mean > NEGLIGIBLE * metric.half_width(before)
        broken = metric.guards and estimate.high < 0 and felt
        figures = (estimate.mean, estimate.low, estimate.high, estimate.p)
        guards[metric.name] = Guard(metric.name, before, after, *figures, broken)
    return guards


def _worst_slice(
    parts: Mapping[str, Scores], q: Question, probe: str, metric: Metric, facts: Facts
) -> dict[str, Guard]:
    """Find the slice that loses most: one that loses clearly, by Holm's p over all, goes before the others.

    A slice is compared where both arms have a score in at least half of the test parts.
    """
    enough = facts.folds * facts.repeats / 2
    found: list[tuple[str, Estimate, float, float]] = []
    for name, held in parts.items():
        gains = np.empty(0) if q.obstacle else gains_of(held, probe, metric, q.before, q.after)
        if len(gains) < max(enough, 1 if facts.fixed is not None else 2):
            continue
        estimate = _estimate(held, q, probe, metric, facts, name)
        if estimate is not None:
            before, after = (float(np.nanmean(held[probe, metric.name, a])) for a in (q.before, q.after))
            found.append((name, estimate, before, after))
    if not found:
        return {}
    adjusted = holm([estimate.p for _, estimate, _, _ in found])
    limits = [WORST_SLICE * (abs(before) if metric.relative else 1.0) for _, _, before, _ in found]
    broken = [
        bool(p < ALPHA and -e.mean >= limit)
        for (_, e, _, _), p, limit in zip(found, adjusted, limits, strict=True)
    ]
    at = min(range(len(found)), key=lambda k: (not broken[k], found[k][1].mean))
    name, e, before, after = found[at]
    told = f"{metric.name} where {name}"
    return {SLICE: Guard(told, before, after, e.mean, e.low, e.high, float(adjusted[at]), broken[at])}


def _at_chance(held: Scores, q: Question, probe: str, facts: Facts) -> str:
    """Say that neither arm learned anything: then their difference means nothing."""
    name, level = CHANCE[facts.task]
    told = []
    for arm in (q.before, q.after):
        estimate = facts.estimator.level(held, probe, name, arm)
        if estimate is None:
            return f"{name} cannot be computed in enough {facts.scored_in}."
        if estimate.low > level:
            return ""
        told.append(f"{estimate.mean:.3f} ({estimate.low:.3f} to {estimate.high:.3f})")
    return f"The probe is at chance: {name} {told[0]} before, {told[1]} after; guessing gives {level:g}."


def _over_tuned(held: Scores, q: Question, probe: str, metric: Metric, facts: Facts) -> Estimate | None:
    """Estimate the gain over the first arm with its threshold tuned; None where there is no such arm."""
    return _estimate(held, Question(TUNED, q.after), probe, metric, facts)


def _over_random(held: Scores, q: Question, probe: str, metric: Metric, facts: Facts) -> str:
    """Say so where dropping as many rows at random cannot be told from what was dropped."""
    estimate = _estimate(held, Question(RANDOM_DROP, q.after), probe, metric, facts)
    if estimate is None or math.isnan(estimate.p) or (estimate.p < ALPHA and estimate.mean > 0):
        return ""
    return "Dropping as many rows at random cannot be told from it."
