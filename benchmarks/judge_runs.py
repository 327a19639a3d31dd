"""Whole runs of the bench on data whose truth is known, counted by their verdict.

Two classes of normal rows in 12 features, with measurement noise that *before* and *after* draw anew. As much
noise in both is no gain, however the scores differ; less of it after is a true one, more a true harm.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t

from bars import Bar
from tilth.bench.result import Verdict
from tilth.bench.self_test import alike, blurred, filtered, refuses, synthetic, verdicts_of
from tilth.bench.statistics import corrected_t, correlated_posterior, wilson

RUNS, QUICK_RUNS = 1000, 8
POWER_RUNS, QUICK_POWER_RUNS = 300, 2
FALSE = 0.05
FOLDS = 5
MARGIN = 0.10
SAME = 1e-9


class Planted(NamedTuple):
    """A gain, above 0, or a harm: its size, the rows, the noise before and after, and how often it is found.

    How often is what a corrected t test found in a simulation of its own, of gains as large in as many rows,
    that knew nothing of the bench.
    """

    gain: float
    rows: int
    before: float
    after: float
    predicted: float


PLANTED = {
    "gain_014_500": Planted(0.014, 500, 0.5, 0.33, 0.19),
    "gain_027_500": Planted(0.027, 500, 0.55, 0.2, 0.46),
    "gain_028_2000": Planted(0.028, 2000, 0.6, 0.27, 1.00),
    "harm_027_500": Planted(-0.027, 500, 0.2, 0.55, 0.46),
}


def claims(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Count the words where nothing is better."""
    runs = QUICK_RUNS if quick else RUNS
    begun = time.perf_counter()
    found = verdicts_of(alike, runs)
    words = Counter(verdict.word for verdict in found)
    low, high = wilson(words["helps"], runs)
    rejected = sum(v.p < FALSE for v in found)
    plain = sum(plain_p(verdict) < FALSE for verdict in found)
    share = words["helps"] / runs
    told = {"runs": runs, "words": dict(words), "helps": share, "low": low, "high": high}
    told |= {"p below .05": rejected / runs, "plain p below .05": plain / runs}
    told |= {"seconds": time.perf_counter() - begun}
    print(
        f"claims   {runs:,} runs in {told['seconds']:.0f} s, nothing better: {dict(words)}; p < .05 in "
        f"{rejected / runs:.1%}, by a plain paired t test in {plain / runs:.1%}; helps in {share:.1%} "
        f"({low:.1%} to {high:.1%})",
        flush=True,
    )
    # A few runs show a rate only where its whole interval lies above.
    return [Bar("judge.false_helps", share, FALSE, (low if quick else share) <= FALSE)], told


def plain_p(verdict: Verdict) -> float:
    """Return the p value that takes scores of overlapping training parts for independent."""
    found = t.isf(verdict.p / 2, verdict.n_scores - 1)
    widened = (1 / verdict.n_scores + 1 / (FOLDS - 1)) / (1 / verdict.n_scores)
    return float(2 * t.sf(found * np.sqrt(widened), verdict.n_scores - 1))


def power(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Count how often a planted gain helps, and a planted harm hurts."""
    runs = QUICK_POWER_RUNS if quick else POWER_RUNS
    bars, told = [], {}
    for name, case in PLANTED.items():
        trials = partial(blurred, rows=case.rows, before=case.before, after=case.after)
        found = verdicts_of(trials, runs)
        words = Counter(verdict.word for verdict in found)
        hits = words["helps" if case.gain > 0 else "hurts"]
        wrong = words["hurts" if case.gain > 0 else "helps"]
        low, high = wilson(hits, runs)
        gain = float(np.mean([verdict.difference for verdict in found]))
        told[name] = {"runs": runs, "words": dict(words), "mean gain": gain, "planted": case.gain}
        told[name] |= {"found": hits / runs, "low": low, "high": high, "predicted": case.predicted}
        print(
            f"power    {name:14s} {runs} runs, mean gain {gain:+.4f}: found in {hits / runs:.0%} "
            f"({low:.0%} to {high:.0%}), predicted {case.predicted:.0%}; the other way in {wrong}",
            flush=True,
        )
        off = abs(hits / runs - case.predicted)
        # Few runs cannot show ten points: there, the interval must come that near.
        near = low - MARGIN <= case.predicted <= high + MARGIN if quick else off <= MARGIN
        bars.append(Bar(f"judge.power.{name}.off", off, MARGIN, bool(near)))
        bars.append(Bar(f"judge.power.{name}.wrong_way", wrong / runs, FALSE, wrong / runs <= FALSE))
    return bars, told


def arithmetic(_: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare p values and posteriors of random scores with baycomp's."""
    try:
        from baycomp import CorrelatedTTest
    except ImportError:
        print("arithmetic: baycomp is not installed; see benchmarks/requirements.txt")
        return [], {"skipped": "baycomp is not installed"}
    random = np.random.default_rng(0)
    worst, cases = {"p": 0.0, "posterior": 0.0}, 0
    for folds, repeats in ((2, 1), (5, 1), (5, 5), (10, 10)):
        for shift, rope in ((0.0, 0.005), (0.01, 0.005), (-0.02, 0.01)):
            before = random.normal(0.8, 0.03, folds * repeats)
            gains = random.normal(shift, 0.02, folds * repeats)
            mean, variance, df = CorrelatedTTest.compute_statistics(before, before + gains, repeats)
            peer = CorrelatedTTest.probs(before, before + gains, rope=rope, runs=repeats)
            exact = before + gains - before
            p = 2 * float(t.sf(abs(mean) / np.sqrt(variance), df))
            worst["p"] = max(worst["p"], abs(corrected_t(exact, folds).p - p))
            mine = correlated_posterior(exact, folds, rope)
            off = max(abs(a - b) for a, b in zip(mine, peer, strict=True))
            worst["posterior"] = max(worst["posterior"], float(off))
            cases += 1
    print(f"arithmetic {cases} cases beside baycomp: off by {worst['p']:.1e} and {worst['posterior']:.1e}")
    return [Bar(f"judge.{what}.off", off, SAME, off <= SAME) for what, off in worst.items()], worst


def leaks(_: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Feed the bench rows that were prepared before the split."""
    refused = {case.__name__: refuses(case) for case in (filtered, synthetic)}
    print(f"leaks    refused: {refused}")
    return [Bar("judge.leaks.refused", sum(refused.values()), 2, all(refused.values()))], refused
