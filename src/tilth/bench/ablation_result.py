"""What an ablation hands back: verdicts on stages, their order, and what each is credited with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from tilth.bench.result import Trial, Verdict, finite

CREDITS = pl.Schema(
    {
        "probe": pl.String,
        "metric": pl.String,
        "stage": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "sampling_se": pl.Float64,
    }
)
Method = Literal["leave_one_out", "add_one", "shapley"]
"""How an ablation asks what a stage adds."""


@dataclass(frozen=True)
class Ablation(Trial):
    """Hold what each stage adds to a pipeline; see `Trial`.

    Each verdict's `stage` names the stage, and a difference above 0 means that it helps. By `method`:

    ``leave_one_out``: `after` is the whole pipeline, `before` the one without the stage; arms ``full`` and
    ``without <stage>``.
    ``add_one``: `after` is the stage alone, `before` no stage; arms ``none`` and ``only <stage>``.
    ``shapley``: `after` is the whole pipeline, `before` its score less the stage's Shapley value; arms
    ``full``, ``none`` and ``only <stage> + <stage> ...``.

    Parameters
    ----------
    stages : tuple of str
        In the pipeline's order.
    method : {'leave_one_out', 'add_one', 'shapley'}
    credits : DataFrame or None
        Shapley values by every metric: ``probe, metric, stage, value, low, high, sampling_se``; the last is
        the standard error that drawing orders leaves, 0 where none were drawn, and the intervals hold it.
    gap : float or None
        How far Shapley values are from adding up to full less none, at most over all folds.
    """

    stages: tuple[str, ...] = ()
    method: Method = "leave_one_out"
    credits: pl.DataFrame | None = None
    gap: float | None = None

    def of(self, stage: str) -> list[Verdict]:
        """Return the verdicts on one stage."""
        return [v for v in self.verdicts if v.stage == stage]

    def ranking(self) -> pl.DataFrame:
        """Rank the stages by their mean gain, per probe and metric.

        Columns: ``probe, metric, rank, stage, difference, low, high``. Stages whose intervals overlap with
        that of the first of their rank share it: a tie.
        """
        ranked: list[dict[str, Any]] = []
        for probe, metric in dict.fromkeys((v.probe, v.metric) for v in self.verdicts):
            mine = [v for v in self.verdicts if (v.probe, v.metric) == (probe, metric)]
            mine = sorted((v for v in mine if math.isfinite(v.difference)), key=lambda v: -v.difference)
            rank, first = 0, None
            for place, v in enumerate(mine, start=1):
                if first is None or v.high < first.low:
                    rank, first = place, v
                ranked.append(
                    {"probe": probe, "metric": metric, "rank": rank, "stage": v.stage}
                    | {"difference": v.difference, "low": v.low, "high": v.high}
                )
        return pl.DataFrame(
            ranked,
            schema={"probe": pl.String, "metric": pl.String, "rank": pl.Int64, "stage": pl.String}
            | dict.fromkeys(("difference", "low", "high"), pl.Float64),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        told: dict[str, Any] = {"stages": list(self.stages), "method": self.method}
        told["ranking"] = self.ranking().to_dicts()
        if self.credits is not None:
            told |= {"credits": self.credits.to_dicts(), "gap": self.gap}
        plain: dict[str, Any] = finite(told)
        return super().as_dict() | plain

    def in_words(self) -> list[str]:
        """Say the result as plain sentences, with the order of the stages."""
        first, *rest = super().in_words()
        told = []
        ranking = self.ranking()
        for (probe, metric), ranks in ranking.group_by("probe", "metric", maintain_order=True):
            shared = ranks.group_by("rank", maintain_order=True).agg("stage")
            places = [
                f"{rank}. {' and '.join(stages)}{' (tied: their intervals overlap)' * (len(stages) > 1)}"
                for rank, stages in shared.iter_rows()
            ]
            told.append(f"{probe}, {metric}: {'; '.join(places)}.")
        return [first, *told, *rest]
