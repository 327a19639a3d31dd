"""The recall of each class, beside the metrics: which class pays for what the others gain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.metrics import Metric
from tilth.bench.result import DIGITS, RECALLS
from tilth.bench.statistics import holm
from tilth.bench.verdicts import ALPHA, Facts, pivot
from tilth.core import Finding

MOST_CLASSES = 20
"""With more classes than these, only the recall of the worst is told."""
NAMED = 3
"""Classes that one remark names."""
RECALL = "recall of "


def recalls_in(labels: pl.Series) -> list[Metric]:
    """Return the recall of each class as a metric, ``recall of <class>``, in the order of class codes.

    Parameters
    ----------
    labels : Series
        Each class as text; of none, as in a regression, or of more than 20, there are no such metrics.
    """
    if not 0 < len(labels) <= MOST_CLASSES:
        return []
    return [
        Metric(_named(label), partial(recall, code), ("binary", "multiclass"), ranks=True, labels=True)
        for code, label in enumerate(labels.to_list())
    ]


def recall(code: int, truth: NDArray, answer: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """Return the share of a class's rows that are decided for it; NaN where no row counts.

    Parameters
    ----------
    code : int
        The class.
    truth, answer, weight
        As `Metric.score` takes them.
    """
    mine = truth == code
    there = weight[mine].sum()
    hit = answer[mine].argmax(axis=1) == code
    return float((weight[mine] * hit).sum() / there) if there > 0 else float("nan")


def recalls_of(
    scores: pl.DataFrame,
    pairs: Sequence[tuple[str, str, str]],
    probes: Sequence[str],
    facts: Facts,
    labels: pl.Series,
) -> pl.DataFrame:
    """Return what each class gains or loses, with corrected intervals; p values are Holm's over all lines.

    Parameters
    ----------
    scores : DataFrame
        As in `Trial`.
    pairs : sequence of (stage, arm before, arm after)
        What is held against what; in an ablation one pair for each stage.
    probes : sequence of str
    facts : Facts
    labels : Series
        Each class as text, in the order of its code.

    Returns
    -------
    DataFrame
        As `RECALLS`. A class that is in fewer than two test parts has no line.
    """
    held = pivot(scores)
    lines: list[dict[str, Any]] = []
    for stage, first, second in pairs:
        for probe in probes:
            for code, metric in enumerate(recalls_in(labels)):
                both = [held.get((probe, metric.name, arm)) for arm in (first, second)]
                before, after = (np.empty(0) if one is None else one for one in both)
                known = np.isfinite(before) & np.isfinite(after) if len(before) == len(after) else np.empty(0)
                found = facts.estimator.gain(held, probe, metric, first, second) if known.any() else None
                if found is None:
                    continue
                before, after = before[known], after[known]
                lines.append(
                    {"stage": stage, "probe": probe, "label": labels[code], "rows": int(facts.counts[code])}
                    | {"before": float(before.mean()), "after": float(after.mean())}
                    | {"difference": found.mean, "low": found.low, "high": found.high, "p": found.p}
                    | {"n_scores": found.n_scores}
                )
    adjusted = holm([line["p"] for line in lines])
    told = [line | {"p_holm": float(p)} for line, p in zip(lines, adjusted, strict=True)]
    told = [line | {"falls": _falls(line, facts)} for line in told]
    return pl.DataFrame(told, schema=RECALLS)


def fallen(recalls: pl.DataFrame) -> list[Finding]:
    """Say, for each stage and probe, which classes clearly lose.

    Parameters
    ----------
    recalls : DataFrame
        As `RECALLS`.
    """
    findings = []
    alike = recalls.partition_by("stage", "probe", as_dict=True, maintain_order=True)
    for (stage, probe), part in alike.items():
        lost = part.filter("falls").sort("difference", maintain_order=True)
        if lost.is_empty():
            continue
        named = [
            f"{c['label']} {c['before']:.{DIGITS}f} -> {c['after']:.{DIGITS}f} (95 % interval of the gain "
            f"{c['low']:+.{DIGITS}f} to {c['high']:+.{DIGITS}f})"
            for c in lost.head(NAMED).to_dicts()
        ]
        more = f"; and {lost.height - NAMED} more" if lost.height > NAMED else ""
        who = f"{stage}: {probe}" if stage else str(probe)
        message = (
            f"{who}: of {part.height} classes, {lost.height} clearly lose{'s' * (lost.height == 1)} recall: "
            f"{'; '.join(named)}{more}."
        )
        rows = int(lost["rows"].sum())
        worst = float(-lost["difference"][0])
        findings.append(Finding("bench.recall", message, worst, "info", n_rows=rows, stage="bench"))
    return findings


def _falls(line: dict[str, Any], facts: Facts) -> bool:
    """Tell whether a class clearly loses: by Holm's p and by the rope, in more than one draw of the folds."""
    enough = facts.enough(line["rows"]) and not facts.few_repeats
    rope = Metric.rope
    return bool(enough and line["p_holm"] < ALPHA and line["difference"] <= -rope)


def code_of(metric: Metric) -> int:
    """Return the class whose recall this is."""
    told: partial[float] = metric.score  # type: ignore[assignment]
    return int(told.args[0])


def _named(label: str) -> str:
    return f"{RECALL}{label}"
