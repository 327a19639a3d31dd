"""Many data sets: what they say together, each with one voice."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.across_result import SETS, Across, Line, Overall
from tilth.bench.metrics import METRICS
from tilth.bench.reading import Claim, Given, Told, told_of
from tilth.bench.statistics import holm
from tilth.bench.verdicts import ALPHA
from tilth.errors import DataError

EXACT = 50
"""Up to so many data sets the p value is exact, also with ties and zeros; beyond, it is approximate."""
FEWEST_DRAWS = 100
OUTCOMES = {1: "win", 0: "tie", -1: "loss"}
Vector = NDArray[np.float64]


def across(results: Mapping[str, Given], *, draws: int = 10_000, random_state: int = 0) -> Across:
    """Tell whether a stage, or a recipe, helps over many data sets.

    A data set counts once, by its mean gain, however many rows and folds it has. Over the sets the gains are
    tested by Wilcoxon's signed-rank test: exactly for up to 50 sets; zeros keep their place among the ranks
    and have no say (Pratt, 1959). All lines, one per stage, probe and metric, share one budget of error:
    p values are Holm's.

    ============  ======================================================================================
    word          rule
    ============  ======================================================================================
    helps         Holm p < .05, mean gain >= rope, and median above 0
    hurts         Holm p < .05, mean loss >= rope, and median below 0
    not testable  Holm p is not below .05, nor is the best p that so many sets can give,
                  ``2 / 2 ** n_sets``, times the number of lines; `Line.sets_needed` says how many it takes
    no evidence   all else
    ============  ======================================================================================

    Units differ from set to set where a metric is a loss or an error (log loss, Brier score, RMSE, MAE):
    there a gain is the share of the score before, and the rope 1 %. Of other metrics gains are differences.

    Parameters
    ----------
    results : mapping of name to Comparison, Ablation, path of their JSON, or several of these
        The data sets. A claim that is not testable in a set is left out there, and said to be.
    draws : int
        Of the bootstrap over data sets, at least 100; the interval is BCa, or by percentiles where that is
        not defined.
    random_state : int
        Seeds the bootstrap.

    Returns
    -------
    Across

    Raises
    ------
    DataError
        No data set; a file that holds no result; ablations that asked in different ways; one result under
        two names, which would count twice; a set that claims the same thing twice.

    Source
    ------
    Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006; Pratt (1959) for
    zeros; Efron (1987) for BCa intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from tilth.bench import compare
    >>> from tilth.stages.scale.standard import ScaleStandard
    >>> def run(seed):
    ...     X = np.random.default_rng(seed).normal(size=(100, 3))
    ...     y = (X[:, 0] + X[:, 1] > 0).astype(int)
    ...     return compare(None, [ScaleStandard()], X, y, probes=["linear"], repeats=1, n_jobs=1)
    >>> line = across({"one": run(1), "two": run(2)}).lines[0]
    >>> line.word, line.n_sets, line.sets_needed
    ('not testable', 2, 6)
    """
    if not isinstance(results, Mapping) or not results:
        raise DataError("across: name at least one data set and its result: {'adult': comparison}.")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < FEWEST_DRAWS:
        raise DataError(f"across: draws is {draws!r}; a whole number of {FEWEST_DRAWS} or more is needed.")
    told = {str(name): told_of(given) for name, given in results.items()}
    method = _method(told)
    claims = _claims(told)
    _refuse_twice(told)
    voices = [(name, rows, claim, _gain(claim)) for name, rows, claim in claims]
    keys = list(dict.fromkeys((c.stage, c.probe, c.metric) for _, _, c, _ in voices))
    # The whole recipe first, then stages in the order of the first set that has them.
    keys.sort(key=lambda key: key[0] != "")
    sides = [[v for v in voices if (v[2].stage, v[2].probe, v[2].metric) == key] for key in keys]
    gains = [np.array([gain for *_, gain in side if math.isfinite(gain)]) for side in sides]
    p_values = [signed_rank(some) if len(some) else math.nan for some in gains]
    adjusted = holm(p_values)
    tested = sum(len(some) > 0 for some in gains)
    lines = [
        _line(key, side, some, p, float(p_holm), tested, draws, random_state)
        for key, side, some, p, p_holm in zip(keys, sides, gains, p_values, adjusted, strict=True)
    ]
    return Across(tuple(told), lines, _frame(voices), method)


def signed_rank(gains: Vector) -> float:
    """Return the two-sided p value of Wilcoxon's signed-rank test.

    Parameters
    ----------
    gains : ndarray of shape (n_sets,)
        Finite, at least one; of a single one, or of nothing but zeros, the p value is 1.
    """
    from scipy.stats import rankdata, wilcoxon

    if not gains.any():
        return 1.0
    if len(gains) > EXACT:
        return float(wilcoxon(gains, zero_method="pratt").pvalue)
    # SciPy's exact p value takes neither ties nor zeros, so the sum's distribution is built rank by rank:
    # each is in it or not, with even chances. Ranks of ties end in a half, and are doubled.
    ranks = np.rint(2 * rankdata(np.abs(gains))).astype(np.int64)
    chance = np.ones(1)
    for rank in ranks[gains != 0]:
        chance = (np.append(chance, np.zeros(rank)) + np.append(np.zeros(rank), chance)) / 2
    found = ranks[gains > 0].sum()
    return float(min(1.0, 2 * min(chance[: found + 1].sum(), chance[found:].sum())))


def sets_needed(lines: int) -> int:
    """Return how many data sets it takes that the first of so many lines can be proven, by Holm's p.

    The best p value of a signed-rank test is ``2 / 2 ** n_sets``.

    Examples
    --------
    >>> [sets_needed(lines) for lines in (1, 27)]
    [6, 11]
    """
    return next(count for count in range(1, 1100) if _best(count, lines) < ALPHA)


def mean_interval(gains: Vector, draws: int, random_state: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over data sets: BCa; NaN for fewer than two sets."""
    from scipy.stats import bootstrap

    if len(gains) < 2:
        return math.nan, math.nan
    if np.ptp(gains) == 0:
        return float(gains[0]), float(gains[0])
    for way in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BCa is not defined where one value is all but alone
            found = bootstrap(
                (gains,), np.mean, n_resamples=draws, method=way, vectorized=True, random_state=random_state
            ).confidence_interval
        if math.isfinite(found.low) and math.isfinite(found.high):
            break
    return float(found.low), float(found.high)


def _best(sets: int, lines: int) -> float:
    return min(1.0, lines * 2.0 ** (1 - sets))


def _gain(claim: Claim) -> float:
    """Return the gain that counts: NaN where the set could not test it."""
    if claim.word == "not testable":
        return math.nan
    if not METRICS[claim.metric].relative:
        return claim.difference
    return claim.difference / abs(claim.before) if claim.before else math.nan


def _line(
    key: tuple[str, str, str],
    side: Sequence[tuple[str, int, Claim, float]],
    gains: Vector,
    p: float,
    p_holm: float,
    tested: int,
    draws: int,
    random_state: int,
) -> Line:
    metric = METRICS[key[2]]
    rope = metric.rope
    mean, median = (float(np.mean(gains)), float(np.median(gains))) if len(gains) else (math.nan, math.nan)
    low, high = mean_interval(gains, draws, random_state)
    ends = [_outcome(float(gain), rope) for gain in gains]
    words = [claim.word for _, _, claim, gain in side if math.isfinite(gain)]
    word, note = _word(len(gains), mean, median, low, high, p_holm, rope, tested)
    return Line(
        *key,
        len(gains),
        mean,
        median,
        low,
        high,
        p,
        p_holm,
        ends.count(1),
        ends.count(0),
        ends.count(-1),
        words.count("helps"),
        words.count("hurts"),
        rope,
        metric.relative,
        word,
        note,
        sets_needed(tested) if word == "not testable" and tested else None,
        tuple(name for name, _, _, gain in side if not math.isfinite(gain)),
    )


def _word(
    sets: int, mean: float, median: float, low: float, high: float, p_holm: float, rope: float, tested: int
) -> tuple[Overall, str]:
    """Return the word and what it alone does not say."""
    if not sets:
        return "not testable", "It could be tested in no data set."
    clear = p_holm < ALPHA
    if not clear and _best(sets, tested) >= ALPHA:
        have = f"With {sets} data set{'s' * (sets > 1)} and {tested} line{'s' * (tested > 1)}"
        return "not testable", (
            f"{have} Holm's p is {_best(sets, tested):.2g} at best, whatever the gains; "
            f"{sets_needed(tested)} data sets are needed."
        )
    if clear and mean >= rope and median > 0:
        return "helps", ""
    if clear and mean <= -rope and median < 0:
        return "hurts", ""
    if clear and mean * median < 0:
        return (
            "no evidence",
            "Most sets say one thing and the mean another: a few sets weigh against the rest.",
        )
    if clear:
        told = f"The difference is real but within +-{rope:.3g}, which is taken for practically equal."
        return "no evidence", told
    if -rope <= low and high <= rope:
        return "no evidence", f"The whole interval lies within +-{rope:.3g}, which is practically equal."
    return "no evidence", ""


def _outcome(gain: float, rope: float) -> int:
    return int(gain > rope) - int(gain < -rope)


def _method(told: Mapping[str, Sequence[Told]]) -> str:
    ways = {one.method: name for name, runs in told.items() for one in runs if one.method}
    if len(ways) > 1:
        listed = ", ".join(f"'{name}' by {way}" for way, name in ways.items())
        raise DataError(f"across: ablations must ask in one way, but {listed}. Run them by the same method.")
    return next(iter(ways), "")


def _claims(told: Mapping[str, Sequence[Told]]) -> list[tuple[str, int, Claim]]:
    claims = []
    for name, runs in told.items():
        seen: set[tuple[str, str, str]] = set()
        for run in runs:
            for claim in run.claims:
                key = (claim.stage, claim.probe, claim.metric)
                if key in seen:
                    what = " of ".join(part for part in (claim.metric, claim.probe, claim.stage) if part)
                    raise DataError(
                        f"across: '{name}' says two things about {what}. Give each set one result."
                    )
                seen.add(key)
                claims.append((name, run.rows, claim))
    if not claims:
        raise DataError("across: the results hold no verdict. Judge each data set first.")
    return claims


def _refuse_twice(told: Mapping[str, Sequence[Told]]) -> None:
    """Refuse one run under two names: it would count for two data sets."""
    seen: dict[Any, str] = {}
    for name, runs in told.items():
        for run in runs:
            scores = [(c.stage, c.probe, c.metric, c.before, c.after) for c in run.claims]
            known = [one for one in scores if all(math.isfinite(score) for score in one[3:])]
            # Perfect scores may be alike.
            if all(score in (0.0, 1.0) for one in known for score in one[3:]):
                continue
            key = (run.method, run.rows, tuple(sorted(known)))
            if key in seen:
                raise DataError(
                    f"across: '{seen[key]}' and '{name}' hold the same scores to the last digit: one data "
                    "set under two names would count twice. Name each once."
                )
            seen[key] = name


def _frame(voices: Sequence[tuple[str, int, Claim, float]]) -> pl.DataFrame:
    lines = []
    for name, rows, claim, gain in voices:
        known = math.isfinite(gain)
        lines.append(
            {"set": name, "stage": claim.stage, "probe": claim.probe, "metric": claim.metric, "rows": rows}
            | {"before": claim.before, "after": claim.after, "gain": gain if known else None}
            | {"outcome": OUTCOMES[_outcome(gain, METRICS[claim.metric].rope)] if known else None}
            | {"word": claim.word}
        )
    return pl.DataFrame(lines, schema=SETS)
