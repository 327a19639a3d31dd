"""Parts of the rows where after is worse than before: counts, and p values for all that were looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from tilth.bench.metrics import METRICS
from tilth.bench.slices import Slices
from tilth.bench.statistics import corrected_t, holm
from tilth.bench.verdicts import ALPHA, Facts, by_slice

WORSE = pl.Schema(
    {
        "slice": pl.String,
        "probe": pl.String,
        "metric": pl.String,
        "rows": pl.Int64,
        "before": pl.Float64,
        "after": pl.Float64,
        "difference": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "p": pl.Float64,
        "p_holm": pl.Float64,
        "n_scores": pl.Int64,
        "worse": pl.Boolean,
    }
)


def slice_table(scores: pl.DataFrame, rows: Mapping[str, int], facts: Facts) -> pl.DataFrame:
    """Compare after with before in every slice of the rows, the largest loss first.

    The slices were cut along the columns as they are given, before any score was known, so that p values are
    honest; Holm's method adjusts them for all slices, probes and metrics. A slice that has no score in a fold
    has fewer paired scores.

    Parameters
    ----------
    scores : DataFrame
        ``slice, probe, metric, arm, repeat, fold, value``.
    rows : mapping of slice to int
        Labeled rows in it.
    facts : Facts

    Returns
    -------
    DataFrame
        A difference below 0 is worse, whatever the metric. `worse`: Holm's p is below 0.05, and the loss at
        least the smallest that matters.
    """
    lines: list[dict[str, Any]] = []
    for name, held in by_slice(scores).items():
        for probe, metric in dict.fromkeys((p, m) for p, m, _ in held):
            before, after = (held.get((probe, metric, arm)) for arm in ("before", "after"))
            if before is None or after is None:
                continue
            of = METRICS[metric]
            gains = of.gain(before, after)
            known = np.isfinite(gains)
            if known.sum() < 2:
                continue
            size = float(max(np.abs(before[known]).max(), np.abs(after[known]).max()))
            found = corrected_t(gains[known], facts.folds, size, ratio=facts.ratio)
            mean = float(before[known].mean())
            lines.append(
                {"slice": name, "probe": probe, "metric": metric, "rows": rows.get(name)}
                | {"before": mean, "after": float(after[known].mean()), "difference": found.mean}
                | {"low": found.low, "high": found.high, "p": found.p, "n_scores": found.n_scores}
                | {"worse": found.mean <= -of.half_width(mean)}
            )
    frame = pl.DataFrame(lines, schema=WORSE)
    frame = frame.with_columns(p_holm=pl.Series(holm(frame["p"].to_numpy()), dtype=pl.Float64))
    frame = frame.with_columns(worse=pl.col("worse") & (pl.col("p_holm") < ALPHA))
    return frame.sort("difference", "slice", "probe", "metric", nulls_last=True)


def rows_of(slices: Slices, labeled: np.ndarray) -> dict[str, int]:
    """Count the labeled rows in each slice."""
    return {
        name: int((member & labeled).sum()) for name, member in zip(slices.names, slices.member, strict=True)
    }
