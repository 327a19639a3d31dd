"""Measure weak slices: how often chance is called weak, and whether planted regions are found and described.

    python benchmarks/slices.py [--quick]

chance    losses of a real probe shuffled among the rows, and labels permuted before the probe learns: any
          finding is false. The bar is one run in a hundred, which is what the tests allow by design.
planted   in a region of two conditions, drawn anew for each set, a quarter of the labels is wrong. Jaccard
          compares the rows of the best slice with those of the region; it is found if that is larger by a
          tenth than for the best slice of the same set without wrong labels, which may overlap by chance.
time      what the check adds to an audit of the packaged census data.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import polars as pl

from bars import Bar, conclude
from datasets import Dataset, each
from tilth.audit import audit, slices, weak_slices
from tilth.audit.column import Column
from tilth.audit.losses import asked
from tilth.core import Finding
from tilth.table import ROW, Roles, Table

SETS = (
    "breast_cancer", "wine", "digits", "diabetes", "california", "red_wine", "page_blocks", "yeast4", "magic",
    "spambase", "satellite", "letter", "abalone", "german", "crx", "adult", "credit_data", "lending_club",
    "attrition", "ames", "wage", "college", "hitters", "caravan", "default", "pima", "pbc", "soybean",
    "house_votes", "titanic", "house_prices", "stops",
)  # fmt: skip
QUICK = (
    "breast_cancer", "red_wine", "german", "crx", "pima", "ames", "adult", "titanic", "magic", "default",
    "yeast4",
)  # fmt: skip
ROWS = 4000
PLANTED_IN = 1000
"""Rows of a set that a region is planted into, at least: of fewer, too few are wrong to see."""

WRONG = 0.25
SIZE = 0.1, 0.25


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="eleven sets, one region in each")
    asked_for = parser.parse_args()
    figures: dict[str, Any] = {}
    return conclude("slices", slice_bars(asked_for.quick, figures), figures)


def slice_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Measure all of it; figures go into the dictionary."""
    told: dict[str, Any] = figures.setdefault("slices", {})
    names, shuffles, regions = (QUICK, 10, 1) if quick else (SETS, 10, 2)
    sets = list(each(names, ROWS))
    return [*chance_bars(sets, shuffles, told), *planted_bars(sets, regions, told), *time_bars(told)]


def chance_bars(sets: list[Dataset], shuffles: int, told: dict[str, Any]) -> list[Bar]:
    """Count runs in which chance is called weak."""
    false = {"shuffled": 0, "permuted": 0}
    runs = {"shuffled": 0, "permuted": 0}
    natural: dict[str, list[str]] = {}
    for made in sets:
        table = Table.of(made.frame, roles=Roles(target=made.target)).collect()
        table = table.with_frame(table.frame.filter(pl.col(made.target).is_not_null())).collect()
        losses = asked(table, Column.of(table, made.target), "linear", 0)
        natural[made.name] = [f.message for f in slices.look(table, losses)]
        random = np.random.default_rng(0)
        for _ in range(shuffles):
            mixed = replace(losses, values=random.permutation(losses.values))
            false["shuffled"] += bool(list(slices.look(table, mixed)))
            runs["shuffled"] += 1
        labels = table.need("target", "slices")[random.permutation(table.height)]
        frame = table.frame.drop(ROW).with_columns(labels).collect()
        false["permuted"] += bool(weak_slices(frame, made.target, probe="linear"))
        runs["permuted"] += 1
    told["chance"] = {"false": false, "runs": runs, "sets": len(sets)}
    told["as_they_are"] = {name: messages for name, messages in natural.items() if messages}
    many = len(told["as_they_are"])
    print(f"chance   {len(sets)} sets: false {false} of {runs}; as they are, {many} sets have weak slices")
    rates = {kind: false[kind] / max(runs[kind], 1) for kind in false}
    return [Bar(f"slices.chance.{kind}/runs", rate, 0.01, rate <= 0.01) for kind, rate in rates.items()]


def planted_bars(sets: list[Dataset], regions: int, told: dict[str, Any]) -> list[Bar]:
    """Make a quarter of the labels wrong in a region, and compare what is found with it."""
    overlap: dict[str, tuple[float, float]] = {}
    shown, Finding.ROWS_SHOWN = Finding.ROWS_SHOWN, ROWS  # type: ignore[misc]
    for made in sets:
        if made.task != "classes" or made.frame.height < PLANTED_IN:
            continue
        before = weak_slices(made.frame, made.target)
        for draw in range(regions):
            random = np.random.default_rng(draw)
            region, says = drawn(made, random)
            if region is None:
                continue
            frame = with_wrong(made, region, random)
            found = weak_slices(frame, made.target)
            best, usual = (max((jaccard(region, f) for f in of), default=0.0) for of in (found, before))
            overlap[f"{made.name} {draw}"] = best, usual
            print(f"planted  {made.name:13s} {best:.2f} ({usual:.2f} without)  {says}", flush=True)
    Finding.ROWS_SHOWN = shown  # type: ignore[misc]
    values, usual = np.array(list(overlap.values())).T
    told["planted"] = {"overlap": overlap, "median": float(np.median(values))}
    some, half = float((values >= usual + 0.1).mean()), float((values >= 0.5).mean())
    return [
        Bar("slices.planted.found/regions", some, 0.8, some >= 0.8),
        Bar("slices.planted.jaccard_half/regions", half, 0.5, half > 0.5),
    ]


def drawn(made: Dataset, random: np.random.Generator) -> tuple[np.ndarray | None, str]:
    """Draw two conditions that hold in a tenth to a quarter of the rows."""
    names = [c for c in made.frame.columns if c != made.target]
    for _ in range(200):
        parts, says = [], []
        for name in random.choice(names, 2, replace=False):
            column = made.frame[name]
            if column.dtype.is_numeric() and column.n_unique() > 10:
                cut = column.quantile(random.uniform(0.4, 0.6))
                parts.append(column > cut)
                says.append(f"{name} > {cut:.4g}")
            else:
                common = column.drop_nulls().value_counts(sort=True)[column.name]
                parts.append(column == common[0])
                says.append(f"{name} = {common[0]}")
        both = (parts[0] & parts[1]).fill_null(False).to_numpy()
        # Each of the two must say something of its own.
        narrows = all(both.sum() < 0.9 * part.fill_null(False).sum() for part in parts)
        if narrows and SIZE[0] <= both.mean() <= SIZE[1]:
            return both, " and ".join(says)
    return None, ""


def with_wrong(made: Dataset, region: np.ndarray, random: np.random.Generator) -> pl.DataFrame:
    """Give a quarter of the region's rows another class."""
    target = made.frame[made.target]
    levels = target.drop_nulls().unique().sort()
    hit = region & (random.random(len(region)) < WRONG) & target.is_not_null().to_numpy()
    codes = target.cast(pl.String).replace_strict(
        levels.cast(pl.String), range(len(levels)), default=None, return_dtype=pl.Int64
    )
    moved = (codes + pl.Series(random.integers(1, len(levels), len(region)))) % len(levels)
    wrong = pl.select(pl.when(pl.Series(hit)).then(moved).otherwise(codes)).to_series()
    return made.frame.with_columns(levels[wrong].alias(made.target))


def jaccard(region: np.ndarray, found: Finding) -> float:
    """Compare the rows of a finding, all of them shown, with those of the region."""
    inside = np.zeros(len(region), bool)
    inside[list(found.rows)] = True
    return float((inside & region).sum() / (inside | region).sum())


def time_bars(told: dict[str, Any]) -> list[Bar]:
    """Time the check within an audit of the demo's data."""
    spent: list[tuple[str, float]] = []
    frame = pl.read_csv(str(files("tilth").joinpath("demo/adult.csv")))
    audit(frame, "income", progress=lambda step: spent.append((step, time.perf_counter())))
    begun = dict(spent)["weak slices"]
    seconds = time.perf_counter() - begun
    told["audit_seconds"] = seconds
    return [Bar("slices.audit_seconds", seconds, 3.0, seconds <= 3.0)]


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning)
    sys.exit(main())
