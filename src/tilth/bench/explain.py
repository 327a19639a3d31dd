"""What a comparison tells beside its verdicts: which columns matter, and which rows pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from tilth.bench.importance import CHANGE
from tilth.bench.result import DIGITS

NAMED = 3
"""Columns named per probe in a sentence."""
TOLD = 5
"""Slices that are put in words, the largest loss first."""


@dataclass(frozen=True)
class Explanation:
    """Hold which columns the pipelines rely on, and where after is worse.

    Parameters
    ----------
    importance : DataFrame
        ``column, probe, metric, arm, importance, low, high, p, p_holm, n_scores, matters``: what the score
        loses where a raw column of the test rows is shuffled; the arm "change" is after less before.
    slices : DataFrame
        ``slice, probe, metric, rows, before, after, difference, low, high, p, p_holm, n_scores, worse``: the
        parts of the rows, the largest loss first.
    """

    importance: pl.DataFrame
    slices: pl.DataFrame

    def wide(self) -> pl.DataFrame:
        """Return one line per column, probe and metric: before, after and change side by side.

        The most important column of after comes first.
        """
        keys = ["probe", "metric", "column"]
        made = self.importance.select(keys).unique(maintain_order=True)
        for arm in ("before", "after", CHANGE):
            mine = self.importance.filter(pl.col("arm") == arm)
            names = {
                "importance": arm,
                "low": f"{arm}_low",
                "high": f"{arm}_high",
                "matters": f"{arm}_matters",
            }
            mine = mine.select(*keys, *(pl.col(old).alias(new) for old, new in names.items()))
            made = made.join(mine, on=keys, how="left", maintain_order="left")
        return made.sort("probe", "metric", "after", descending=[False, False, True], nulls_last=True)

    def in_words(self) -> list[str]:
        """Say which columns matter most, which changed, and where after is clearly worse."""
        wide, told = self.wide(), []
        for (probe, metric), mine in wide.group_by("probe", "metric", maintain_order=True):
            top = mine.filter(pl.col("after_matters"))["column"].head(NAMED).to_list()
            named = ", ".join(top) if top else "no column is sure to matter"
            rest = mine.filter(pl.col("after_matters")).height - len(top)
            more = f" and {rest} more" if rest > 0 else ""
            told.append(
                f"{probe}, {metric}: after relies most on {named}{more}." if top else f"{probe}: {named}."
            )
            for line in mine.filter(pl.col(f"{CHANGE}_matters")).to_dicts():
                way = "more" if line[CHANGE] > 0 else "less"
                told.append(
                    f"{probe}, {metric}: after relies {way} on {line['column']}: {line['before']:.{DIGITS}f} "
                    f"-> {line['after']:.{DIGITS}f}, 95 % interval of the change "
                    f"{line[f'{CHANGE}_low']:+.{DIGITS}f} to {line[f'{CHANGE}_high']:+.{DIGITS}f}."
                )
        worse = self.slices.filter(pl.col("worse")).to_dicts()
        told += [
            f"{s['probe']}, {s['metric']}: worse where {s['slice']} ({s['rows']:,} rows): "
            f"{s['before']:.{DIGITS}f} -> {s['after']:.{DIGITS}f}, 95 % interval of the gain "
            f"{s['low']:+.{DIGITS}f} to {s['high']:+.{DIGITS}f}, Holm p {s['p_holm']:.3g}."
            for s in worse[:TOLD]
        ]
        if len(worse) > TOLD:
            others = len(worse) - TOLD
            told.append(f"After is clearly worse in {others} more lines; the table of slices holds them all.")
        if not worse and self.slices.height:
            count = self.slices["slice"].n_unique()
            told.append(f"In none of {count} slices is after clearly worse than before.")
        return told

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"importance": self.importance.to_dicts(), "slices": self.slices.to_dicts()}
