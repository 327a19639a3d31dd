"""Write what `balance_claims` found: the summary, the tables behind it, and the block in the guide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from balance_claims import BESIDE, CORRECTED, DECIDED, NONE, QUESTIONS, RANKING, RAW, TUNED, advice

RESULTS = Path(__file__).parent / "results" / "balance.md"
GUIDE = Path(__file__).parents[1] / "docs" / "imbalance.md"
BLOCK = re.compile(r"(<!-- python benchmarks/balance.py table: -->\n)(.*?)(<!-- end -->)", re.S)
HEADINGS = {
    "Does it rank better?": (RANKING, "Against doing nothing."),
    "Does it decide better?": (DECIDED, "Against doing nothing, both deciding by the larger probability."),
    "Does it decide better than a moved threshold?": (
        BESIDE,
        "Deciding by the larger probability, against doing nothing with the threshold tuned on inner folds.",
    ),
    "And with a moved threshold of its own?": (TUNED, "Both thresholds tuned on inner folds."),
    "What becomes of the probabilities?": (RAW, "As the probe gives them, against doing nothing."),
    "And turned back to the class frequencies there were?": (CORRECTED, "Against doing nothing."),
}


def publish(
    told: dict[str, Any], scores: pl.DataFrame, claims: Sequence[dict[str, Any]], *, write: bool
) -> dict[str, Any]:
    """Print the summary, write it with the tables behind it, put it into the guide; return the figures."""
    block = "\n".join([summary(told, claims), ""])
    print(block, flush=True)
    if write:
        parts = [
            "# Whether anything helps against rare classes\n",
            block,
            sets_table(told, scores),
            means_table(scores),
            intervals_table(claims),
            *(by_set(claims, question) for question in QUESTIONS),
        ]
        RESULTS.write_text("\n".join(parts), encoding="utf-8")
        if GUIDE.exists():
            text = GUIDE.read_text(encoding="utf-8")
            GUIDE.write_text(BLOCK.sub(lambda found: found[1] + block + found[3], text), encoding="utf-8")
    return told | {"claims": [
        {key: _short(value) for key, value in claim.items() if key != "sets"}
        | {"sets": {name: _short(mean) for name, (mean, _, _) in claim["sets"].items()}}
        for claim in claims
    ]}  # fmt: skip


def summary(told: dict[str, Any], claims: Sequence[dict[str, Any]]) -> str:
    """Return what was done, what follows, and a table per question."""
    sets = told["sets"]
    shares = sorted(one["share"] for one in sets)
    tried = ", ".join(
        f"*{name}* (`{'`, `'.join(key for line in recipe for key in line)}`)"
        for name, recipe in told["treatments"].items()
        if recipe
    )
    lines = [
        f"{len(sets)} real sets ({sum(one['categories'] > 0 for one in sets)} with categories), of each at "
        f"most {told['rows_at_most']:,} rows; the rare class has {shares[0]:.1%} to {shares[-1]:.1%} of "
        f"them. {told['folds']} folds, {told['repeats']} repeats; thresholds are tuned on "
        f"{told['inner_folds']} inner folds of the training rows. Tried are {tried}, and *threshold* "
        "(`balance.threshold`, on the data as it is). Where all columns are numbers SMOTENC is SMOTE.",
        "",
        "A cell is the mean gain over sets: above 0 is better, also for losses and errors. *better* and "
        "*worse*: p < 0.05 by Wilcoxon's signed-rank test, adjusted by Holm for all "
        f"{len(claims)} comparisons, and a mean of no less than what counts in practice (0.005 of an area or "
        "a calibration error, 0.01 of balanced accuracy or F1, 1% of a log loss). *same*: the 95% bootstrap "
        "interval over sets lies within that. *unclear*: all else.",
        "",
        *(f"- {line}" for line in advice(claims)),
    ]
    for heading, (questions, how) in HEADINGS.items():
        some = {question: [c for c in claims if c["question"] == question] for question in questions}
        probes = list(dict.fromkeys(claim["probe"] for claim in claims))
        columns = [f"{question.partition(', ')[0]}, {probe}" for question in questions for probe in probes]
        lines += ["", f"**{heading}** {how}", "", f"| | {' | '.join(columns)} |"]
        lines.append(f"|---|{'---|' * len(columns)}")
        for treatment in dict.fromkeys(c["treatment"] for group in some.values() for c in group):
            cells = [
                f"{claim['mean']:+.3f} {_shown(claim['word'])}"
                for group in some.values()
                for claim in group
                if claim["treatment"] == treatment
            ]
            lines.append(f"| {treatment} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def intervals_table(claims: Sequence[dict[str, Any]]) -> str:
    """List every claim with its interval over sets, its p value, and the sets won, tied and lost."""
    lines = [
        "## Every comparison over sets\n",
        "Win, tie and loss count sets by what counts in practice; *p* is Wilcoxon's, *Holm* adjusted.\n",
        "| | treatment | probe | gain | 95% interval | p | Holm | win/tie/loss | |",
        "|---|---|---|---:|---|---:|---:|---|---|",
    ]
    lines += [
        f"| {c['question']} | {c['treatment']} | {c['probe']} | {c['mean']:+.4f} | "
        f"[{c['low']:+.4f}, {c['high']:+.4f}] | {c['p']:.2g} | {c['holm']:.2g} | "
        f"{c['win']}/{c['tie']}/{c['loss']} | {_shown(c['word'])} |"
        for c in claims
    ]
    return "\n".join([*lines, ""])


def sets_table(told: dict[str, Any], scores: pl.DataFrame) -> str:
    """List the sets, and how well each probe ranks them untouched."""
    probes = list(dict.fromkeys(scores["probe"]))
    alone = scores.filter(treatment=NONE, score="roc_auc").group_by("set", "probe").agg(pl.mean("value"))
    ranked = {(name, probe): value for name, probe, value in alone.iter_rows()}
    lines = [
        "## The sets\n",
        "Rows are drawn from each class in its share. ROC AUC is that of doing nothing.\n",
        f"| set | package | rows | of | rare | share | numbers | categories | {' | '.join(probes)} | known |",
        f"|---|---|---:|---:|---:|---:|---:|---:|{'---:|' * len(probes)}---|",
    ]
    for one in told["sets"]:
        areas = " | ".join(f"{ranked[one['set'], probe]:.3f}" for probe in probes)
        counts = f"{one['rows']:,} | {one['of']:,} | {one['rare']:,} | {one['share']:.1%}"
        kinds = f"{one['numbers']} | {one['categories']}"
        lines.append(f"| {one['set']} | {one['package']} | {counts} | {kinds} | {areas} | {one['known']} |")
    return "\n".join([*lines, ""])


def means_table(scores: pl.DataFrame) -> str:
    """List each score's mean over sets and folds, and how many rows a probe was fitted on."""
    table = scores.group_by("treatment", "probe", "score", maintain_order=True).agg(pl.mean("value"))
    kinds = list(dict.fromkeys(scores["score"]))
    lines = [
        "## Means over sets and folds\n",
        f"| treatment | probe | {' | '.join(kinds)} |",
        f"|---|---|{'---:|' * len(kinds)}",
    ]
    for (treatment, probe), some in table.group_by("treatment", "probe", maintain_order=True):
        value = dict(zip(some["score"], some["value"], strict=True))
        lines.append(f"| {treatment} | {probe} | {' | '.join(f'{value[kind]:.3f}' for kind in kinds)} |")
    return "\n".join([*lines, ""])


def by_set(claims: Sequence[dict[str, Any]], question: str) -> str:
    """List the gain of each treatment on each set, with its corrected 95% interval."""
    some = [claim for claim in claims if claim["question"] == question]
    treatments = list(dict.fromkeys(claim["treatment"] for claim in some))
    lines = [
        f"## {question[0].upper()}{question[1:]}: gain per set\n",
        f"| set | probe | {' | '.join(treatments)} |",
        f"|---|---|{'---|' * len(treatments)}",
    ]
    for name in some[0]["sets"]:
        for probe in dict.fromkeys(claim["probe"] for claim in some):
            cells = (
                "{:+.3f} [{:+.3f}, {:+.3f}]".format(*claim["sets"][name])
                for treatment in treatments
                for claim in some
                if claim["treatment"] == treatment and claim["probe"] == probe
            )
            lines.append(f"| {name} | {probe} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _shown(verdict: str) -> str:
    return f"**{verdict}**" if verdict in ("better", "worse") else verdict


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
