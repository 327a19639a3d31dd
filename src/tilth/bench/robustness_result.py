"""What robustness comes to over all folds: scores, verdicts, and whether the attacks were sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from tilth.bench.attacks import FGSM, PGD
from tilth.bench.corruptions import CLEAN
from tilth.bench.metrics import METRICS
from tilth.bench.result import Verdict
from tilth.bench.robustness import CHECK, HUGE, LOOK, NOTE
from tilth.bench.verdicts import Facts, Question, judge
from tilth.core import Finding

DIFFERENT = ("helps", "hurts", "trades", "threshold only")
TOLERANCE = 0.01
"""Of accuracy, or of an error's size: an attack that is weaker by so much may be so by chance."""

ROBUSTNESS = pl.Schema(
    {
        "challenge": pl.String,
        "level": pl.Float64,
        "told": pl.String,
        "probe": pl.String,
        "metric": pl.String,
        "arm": pl.String,
        "repeat": pl.Int64,
        "fold": pl.Int64,
        "value": pl.Float64,
    }
)
CHECKS = pl.Schema(
    {
        "probe": pl.String,
        "arm": pl.String,
        "check": pl.String,
        "value": pl.Float64,
        "limit": pl.Float64,
        "holds": pl.Boolean,
    }
)


@dataclass(frozen=True)
class Robustness:
    """Hold how before and after fare on rows made worse, or moved against them.

    Parameters
    ----------
    scores : DataFrame
        ``challenge, level, told, probe, metric, arm, repeat, fold, value``; the rows as they are come first.
    verdicts : list of Verdict
        After against before on the same changed rows, one per challenge, level, probe and primary metric;
        `stage` says the challenge. p values are Holm's over all of them, apart from those of the comparison.
    checks : DataFrame
        ``probe, arm, check, value, limit, holds``: whether the attacks are sound, by mean accuracy or error.
    notes : list of Finding
        Who was not attacked, or by whose gradients, and what could not be answered.
    """

    scores: pl.DataFrame
    verdicts: list[Verdict]
    checks: pl.DataFrame
    notes: list[Finding] = field(default_factory=list)

    def table(self) -> pl.DataFrame:
        """Return mean scores per challenge: ``challenge, level, told, probe, metric, before, after``.

        In `lost_before` and `lost_after` stands by how much they are worse than on the rows as they are.
        """
        keys = ["challenge", "level", "told", "probe", "metric", "arm"]
        means = self.scores.group_by(keys, maintain_order=True).agg(pl.col("value").drop_nans().mean())
        held = {tuple(row[:-1]): row[-1] for row in means.iter_rows()}
        lines = []
        for challenge, level, told, probe, metric in dict.fromkeys(k[:-1] for k in held):
            line = {"challenge": challenge, "level": level, "told": told, "probe": probe, "metric": metric}
            for arm in ("before", "after"):
                value = held.get((challenge, level, told, probe, metric, arm))
                clean = held.get((CLEAN, 0.0, CLEAN, probe, metric, arm))
                line[arm] = value
                known = value is not None and clean is not None
                lost = float(METRICS[metric].gain(np.array(value), np.array(clean))) if known else None
                line[f"lost_{arm}"] = lost
            lines.append(line)
        numbers = dict.fromkeys(("before", "after", "lost_before", "lost_after"), pl.Float64)
        return pl.DataFrame(lines, schema={**{k: ROBUSTNESS[k] for k in keys[:-1]}, **numbers})

    def in_words(self) -> list[str]:
        """Say what is worth a sentence: challenges on which the arms differ, checks that fail, notes."""
        told = [v.in_words() for v in self.verdicts if differs(v)]
        if not told and self.verdicts:
            told = ["On no kind of changed rows can after be told from before."]
        failed = self.checks.filter(~pl.col("holds"))
        told += [
            f"{c['probe']}, {c['arm']}: the attack is not sound: {c['check']}, {c['value']:.4f} against "
            f"{c['limit']:.4f}. Its gradients may be hidden; do not read robustness out of it."
            for c in failed.to_dicts()
        ]
        return [*told, *(note.message for note in self.notes)]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "scores": self.scores.to_dicts(),
            "verdicts": [asdict(v) for v in self.verdicts],
            "checks": self.checks.to_dicts(),
            "notes": [note.as_dict() for note in self.notes],
        }


def differs(verdict: Verdict) -> bool:
    """Tell whether after is told from before, be it by an indication."""
    return verdict.word in DIFFERENT or (
        verdict.word == "indication" and any(f'"{word}"' in verdict.note for word in DIFFERENT)
    )


def robustness_of(lines: Sequence[Mapping[str, Any]], facts: Facts) -> Robustness:
    """Sum up what `Challenges` told of all folds.

    Parameters
    ----------
    lines : sequence of dict
        With ``arm, probe, repeat, fold`` beside what `Challenges` gave.
    facts : Facts
        Of the comparison; rows that an arm lost are told there, and count for nothing here.
    """
    mine = [line for line in lines if line["look"] == LOOK and line["arm"] in ("before", "after")]
    scores = pl.DataFrame([{k: line[k] for k in ROBUSTNESS} for line in mine], schema=ROBUSTNESS)
    probes = scores["probe"].unique(maintain_order=True).to_list()
    verdicts = []
    told = scores.filter(pl.col("challenge") != CLEAN)["told"].unique(maintain_order=True).to_list()
    arms = scores.with_columns(arm=pl.format("{}: {}", "told", "arm"))
    questions = [Question(f"{t}: before", f"{t}: after", stage=t) for t in told]
    have = set(scores.select("told", "probe").unique().iter_rows())
    if questions:
        found = judge(arms, questions, probes, replace(facts, share_kept={}))
        verdicts = [v for v in found if (v.stage, v.probe) in have]
    return Robustness(scores, verdicts, _checks(lines), _notes(lines))


def _checks(lines: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Compare the means over all folds: PGD with FGSM, FGSM with clean rows, a huge move with guessing."""
    held: dict[tuple[str, str], dict[tuple[str, float], list[Mapping[str, Any]]]] = {}
    for line in lines:
        if line["look"] == CHECK and line["arm"] in ("before", "after"):
            mine = held.setdefault((line["probe"], line["arm"]), {})
            mine.setdefault((line["method"], line["level"]), []).append(line)
    checked: list[dict[str, Any]] = []
    for (probe, arm), found in held.items():
        metric = METRICS[next(iter(found.values()))[0]["metric"]]
        mean = {key: float(np.mean([line["value"] for line in each])) for key, each in found.items()}
        guess = float(np.mean([line["guess"] for line in found[CLEAN, 0.0]]))
        clean = mean[CLEAN, 0.0]
        levels = sorted({level for method, level in found if method == FGSM})
        told = [(f"fgsm {level:.3g} no better than clean", mean[FGSM, level], clean) for level in levels]
        told += [
            (f"pgd {level:.3g} no better than fgsm", mean[PGD, level], mean[FGSM, level]) for level in levels
        ]
        told += [
            (f"pgd {level:.3g} no better than guessing", value, guess)
            for (method, level), value in mean.items()
            if method == HUGE
        ]
        room = TOLERANCE * (1.0 if metric.higher else max(abs(clean), abs(guess)))
        checked += [
            {"probe": probe, "arm": arm, "check": f"{metric.name}: {what}", "value": value, "limit": limit}
            | {"holds": float(metric.gain(np.array(limit), np.array(value))) <= room}
            for what, value, limit in told
        ]
    return pl.DataFrame(checked, schema=CHECKS)


def _notes(lines: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Say each thing once per arm and probe, and in how many folds."""
    counts: dict[tuple[str, str, str], int] = {}
    for line in lines:
        if line["look"] == NOTE and line["arm"] in ("before", "after"):
            key = (line["probe"], line["arm"], line["told"])
            counts[key] = counts.get(key, 0) + 1
    arms: dict[tuple[str, str, int], list[str]] = {}
    for (probe, arm, told), count in counts.items():
        arms.setdefault((probe, told, count), []).append(arm)
    return [
        Finding(
            "bench.robustness",
            f"{probe}, {' and '.join(of)}, in {count} folds: {told}.",
            float(count),
            "info",
            stage="bench",
        )
        for (probe, told, count), of in arms.items()
    ]
