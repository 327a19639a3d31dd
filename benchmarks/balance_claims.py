"""What the scores of `balance_table` say: intervals per set, claims over sets, words and advice by rule.

A claim is one question asked of one treatment and one probe. Per set, its paired differences over the folds
have a corrected interval (Nadeau and Bengio); over sets, the means of the sets are the sample: Wilcoxon's
signed-rank test, adjusted by Holm for all claims of the report, and a bootstrap interval of their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

NONE, THRESHOLD = "none", "threshold"
WORDS = ("better", "worse", "same", "unclear")
ALPHA = 0.05
DRAWS = 10_000


class Question(NamedTuple):
    """Ask whether a treatment's score is better than that of doing nothing.

    Parameters
    ----------
    metric : str
        Whose direction and region of practical equivalence count.
    score, base : str
        The treatment's score, and the one of doing nothing that it is compared with.
    moved : bool
        Also ask it of the moved threshold: of doing nothing, tuned.
    """

    metric: str
    score: str
    base: str
    moved: bool = False


QUESTIONS = {
    "ROC AUC": Question("roc_auc", "roc_auc", "roc_auc"),
    "average precision": Question("pr_auc", "pr_auc", "pr_auc"),
    **{
        f"{word}, {when}": Question(name, f"{name} {own}", f"{name} {base}", moved)
        for name, word in (("balanced_accuracy", "balanced accuracy"), ("f1", "F1"))
        for when, own, base, moved in (
            ("at one half", "at 0.5", "at 0.5", True),
            ("beside a moved threshold", "at 0.5", "tuned", False),
            ("both thresholds tuned", "tuned", "tuned", False),
        )
    },
    "log loss": Question("log_loss", "log_loss", "log_loss"),
    "log loss, corrected": Question("log_loss", "log_loss, corrected", "log_loss"),
    "calibration error": Question("ece", "ece", "ece"),
    "calibration error, corrected": Question("ece", "ece, corrected", "ece"),
}
RANKING = ("ROC AUC", "average precision")
DECIDED = ("balanced accuracy, at one half", "F1, at one half")
BESIDE = ("balanced accuracy, beside a moved threshold", "F1, beside a moved threshold")
TUNED = ("balanced accuracy, both thresholds tuned", "F1, both thresholds tuned")
RAW = ("log loss", "calibration error")
CORRECTED = ("log loss, corrected", "calibration error, corrected")


def claims_of(scores: pl.DataFrame, folds: int) -> list[dict[str, Any]]:
    """Answer every question for every treatment and probe.

    Parameters
    ----------
    scores : DataFrame
        As `balance_table.scored` returns it, of all sets.
    folds : int
        Of the cross-validation.

    Returns
    -------
    list of dict
        question, treatment, probe; mean gain over sets (above 0 is better, whatever the metric), its
        bootstrap interval, rope, p, holm, word; win, tie, loss; sets: name to gain, low, high.
    """
    from tilth.bench.metrics import METRICS
    from tilth.bench.statistics import corrected_t, holm

    held = _held(scores)
    names = list(dict.fromkeys(scores["set"]))
    claims = []
    for question, asked in QUESTIONS.items():
        metric = METRICS[asked.metric]
        for treatment in _treatments(scores, asked.moved):
            for probe in dict.fromkeys(scores["probe"]):
                sets, bases, wins = {}, [], []
                for name in names:
                    base = held[name, NONE, probe, asked.base]
                    own = (
                        held[name, NONE, probe, f"{asked.metric} tuned"]
                        if treatment == THRESHOLD
                        else held[name, treatment, probe, asked.score]
                    )
                    told = corrected_t(metric.gain(base, own), folds, size=float(np.abs(base).max()))
                    sets[name] = (told.mean, told.low, told.high)
                    bases.append(float(base.mean()))
                    width = metric.half_width(bases[-1])
                    wins.append(int(told.mean > width) - int(told.mean < -width))
                means = np.array([mean for mean, _, _ in sets.values()])
                rope = metric.half_width(float(np.mean(bases)))
                claims.append(
                    {"question": question, "treatment": treatment, "probe": probe}
                    | {"base": float(np.mean(bases)), "rope": rope, **over_sets(means)}
                    | {"win": wins.count(1), "tie": wins.count(0), "loss": wins.count(-1), "sets": sets}
                )
    for claim, p in zip(claims, holm([claim["p"] for claim in claims]), strict=True):
        claim["holm"] = float(p)
        claim["word"] = word(claim)
    return claims


def over_sets(means: np.ndarray, random_state: int = 0) -> dict[str, float]:
    """Return the mean of the sets' means, its bootstrap interval over sets, and Wilcoxon's p."""
    from scipy.stats import wilcoxon

    random = np.random.default_rng(random_state)
    drawn = means[random.integers(0, len(means), (DRAWS, len(means)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    p = float(wilcoxon(means).pvalue) if means.any() else 1.0
    return {"mean": float(means.mean()), "low": float(low), "high": float(high), "p": p}


def word(claim: dict[str, Any]) -> str:
    """Say what a claim amounts to; never typed, always by this rule.

    'better' or 'worse': Holm's p below 5%, and the mean at or beyond the region of practical equivalence.
    'same': the interval lies within that region. 'unclear': all else.
    """
    if claim["holm"] < ALPHA and abs(claim["mean"]) >= claim["rope"]:
        return "better" if claim["mean"] > 0 else "worse"
    return "same" if -claim["rope"] <= claim["low"] and claim["high"] <= claim["rope"] else "unclear"


Words = dict[str, list[dict[str, Any]]]
"""The claims of each word."""


def by_word(claims: Sequence[dict[str, Any]], questions: Sequence[str], moved: bool = False) -> Words:
    """Sort the claims about some questions, of the treatments or of the moved threshold, by their word."""
    some = [c for c in claims if c["question"] in questions and (c["treatment"] == THRESHOLD) == moved]
    return {verdict: [c for c in some if c["word"] == verdict] for verdict in WORDS}


def advice(claims: Sequence[dict[str, Any]]) -> list[str]:
    """Say what was found and what follows: which sentence stands, the words of the claims decide."""
    rank, tuned, raw, turned = (by_word(claims, of) for of in (RANKING, TUNED, RAW, CORRECTED))
    moved, decided, beside = (
        by_word(claims, DECIDED, moved=True),
        by_word(claims, DECIDED),
        by_word(claims, BESIDE),
    )
    helped = ", ".join(dict.fromkeys(claim["probe"] for claim in moved["better"]))
    shift = (
        f"Moving the threshold helps with {helped} only." if helped else "Moving it was not shown to help."
    )
    if len(moved["better"]) == sum(map(len, moved.values())):
        shift = "Move the threshold: it decides better than one half with every probe, by either measure."
    spoiled = (
        f"Changing the data spoils them: {_counted(raw)}."
        if len(raw["worse"]) > len(raw["better"])
        else f"Changing the data was not shown to spoil them: {_counted(raw)}."
    )
    return [
        "**Ranking.** "
        + _chosen(rank, "Leave the data as it is: nothing was shown to rank better.", "Better ranked {}.")
        + f" ({_counted(rank)}.)",
        f"**Deciding.** {shift} ({_counted(moved)}; changing the data instead, {_counted(decided)}.) "
        + _chosen(beside, "Nothing was shown to decide better than that.", "Better than that decided {}.")
        + f" ({_counted(beside)}.)",
        "**Both.** "
        + _chosen(tuned, "Once the threshold is moved, changing the data too was not shown to add anything.",
                  "With the threshold moved, something was added by {}.")
        + f" ({_counted(tuned)}.)",
        f"**Probabilities.** {spoiled} Turned back to the class frequencies there were: {_counted(turned)}. "
        + _chosen(turned, "None is better than those of the data as it is.", "Better are those of {}."),
    ]  # fmt: skip


def _chosen(words: Words, none: str, some: str) -> str:
    """Say `none` where no claim is better, else `some` of those that are; and name those that are worse."""
    told = some.format(_named(words["better"])) if words["better"] else none
    return f"{told} Worse: {_named(words['worse'])}." if words["worse"] else told


def _counted(words: Words) -> str:
    told = ", ".join(f"{len(some)} {verdict}" for verdict, some in words.items() if some)
    return f"of {sum(map(len, words.values()))} comparisons {told}"


def _named(claims: Sequence[dict[str, Any]]) -> str:
    """Name treatments and probes, each pair once."""
    probes: dict[str, dict[str, None]] = {}
    for claim in claims:
        probes.setdefault(claim["treatment"], {})[claim["probe"]] = None
    return ", ".join(f"{treatment} ({', '.join(of)})" for treatment, of in probes.items())


def _treatments(scores: pl.DataFrame, moved: bool) -> list[str]:
    tried = [name for name in dict.fromkeys(scores["treatment"]) if name != NONE]
    return [THRESHOLD, *tried] if moved else tried


def _held(scores: pl.DataFrame) -> dict[tuple[str, ...], np.ndarray]:
    """Return the values of every set, treatment, probe and score, in the order of repeats and folds."""
    by = ("set", "treatment", "probe", "score")
    ordered = scores.sort("repeat", "fold").group_by(*by, maintain_order=True).agg("value")
    return {tuple(line[:4]): np.array(line[4]) for line in ordered.iter_rows()}
