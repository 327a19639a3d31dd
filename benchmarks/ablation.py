"""What sharing work saves an ablation: Shapley values of 5 stages by 3 probes, on 10,000 rows with gaps.

    python benchmarks/ablation.py [--quick]

All 32 recipes of 5 stages are run twice on the same folds: by `tilth.ablate`, which fits in each fold what
recipes share once, and each from scratch. Both use every core, and both are given the rows planned: folds
drawn, copies looked for. Scores have to be the same before times are compared. It is the part `ablation` of
`judge.py`.

costly  a recipe that fills gaps by models, as the stage comes: the stages that recipes share are what costs.
        It was chosen with the goal of 3 times in view, as a case in which sharing pays: it shows what can be
        saved, and not what is saved on average. Those below say what is left where stages are cheap.
cheap   a recipe of stages that cost next to nothing: the probes are what costs, no two recipes give them the
        same rows, and so nearly nothing can be shared. Without a bar: it says where the saving ends.
idle    the cheap recipe with a stage in front that finds nothing to do: half of the recipes are the others.

In the first two every stage acts: select.correlated has a threshold at which columns go.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from bars import Bar, drive
from tilth.bench import ablate
from tilth.bench.asking import asking
from tilth.bench.design import Arm
from tilth.bench.trial import frames_of, plan, run_folds
from tilth.stages import stage

GAP = 1e-12
SECONDS = 300.0
TIMES = 3.0
PROBES = ("linear", "boosting", "mlp")
RECIPES: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "costly": [
        ("impute.iterative", {}),
        ("outliers.clip", {}),
        ("encode.target", {}),
        ("select.correlated", {"threshold": 0.4, "method": "spearman"}),
        ("scale.robust", {}),
    ],
    "cheap": [
        ("impute.simple", {}),
        ("outliers.clip", {}),
        ("encode.target", {}),
        ("select.correlated", {"threshold": 0.4, "method": "spearman"}),
        ("scale.robust", {}),
    ],
    "idle": [
        ("duplicates.exact", {}),
        ("impute.simple", {}),
        ("outliers.clip", {}),
        ("encode.target", {}),
        ("scale.robust", {}),
    ],
}


def rows_of(rows: int, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Make 22 correlated numbers, some far off, and 8 categories; a tenth of the cells is missing."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(rows, 4))
    numbers = shared @ rng.normal(size=(4, 22)) * 0.5 + rng.normal(size=(rows, 22))
    letters = rng.integers(0, 8, size=(rows, 8))
    signal = numbers[:, :8].sum(axis=1) / 3 + 0.6 * (letters[:, 0] > 4) + 0.4 * (letters[:, 1] == 2)
    y = (signal + rng.normal(size=rows) > np.median(signal)).astype(int)
    numbers[rng.random(numbers.shape) < 0.002] *= 1_000
    numbers[rng.random(numbers.shape) < 0.1] = np.nan
    texts = np.array(list("abcdefgh"))[letters].astype(object)
    texts[rng.random(texts.shape) < 0.1] = None
    columns: dict[str, Any] = {f"x{j}": numbers[:, j] for j in range(22)}
    columns |= {f"c{j}": pl.Series(texts[:, j].tolist(), dtype=pl.String) for j in range(8)}
    return pl.DataFrame(columns), y


def measured(name: str, rows: int, folds: int, stages: int, probes: tuple[str, ...]) -> dict[str, Any]:
    """Run the ablation of a recipe's first stages both ways, and return what they gave and took."""
    X, y = rows_of(rows)
    steps = [(key, stage(key, **params)) for key, params in RECIPES[name][:stages]]
    told: dict[str, Any] = {"probes": probes, "folds": folds, "repeats": 1}
    begun = perf_counter()
    done = ablate(steps, X, y, method="shapley", **told)
    whole = perf_counter() - begun

    way = asking("shapley", Arm.of("full", steps), 200, 0)
    design, _ = plan(
        X, y, None, None, arms=way.arms, metric="auto", random_state=0, allow_fitted=False, **told
    )
    run = {"n_jobs": None, "progress": None, "optional": way.optional}
    begun = perf_counter()
    together, costs = frames_of(run_folds(design, way.arms, **run))
    shared = perf_counter() - begun
    begun = perf_counter()
    alone = pl.concat([frames_of(run_folds(design, [arm], **run))[0] for arm in way.arms])
    scratch = perf_counter() - begun

    key = ["probe", "metric", "arm", "repeat", "fold"]
    one, other = (frame.sort(key) for frame in (together, alone))
    if not one.select(key).equals(other.select(key)):
        raise SystemExit(f"{name}: the two ways ran other recipes.")
    found, expected = (frame["value"].cast(pl.Float64).to_numpy() for frame in (one, other))
    apart = np.abs(found - expected)
    known = done.scores.sort(key)["value"].cast(pl.Float64).to_numpy()
    assert np.array_equal(known, found, equal_nan=True)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    by_itself = costs.group_by("probe").agg(pl.col("fit_seconds").sum() * folds)
    return {
        "rows": rows,
        "folds": folds,
        "stages": [key for key, _ in steps],
        "recipes": len(way.arms),
        "seconds, whole call": whole,
        "seconds, shared": shared,
        "seconds, from scratch": scratch,
        "times": scratch / shared,
        "scores apart": float(np.nanmax(apart)),
        "gap": done.gap,
        "probe seconds, from scratch": dict(by_itself.iter_rows()),
        "prepare seconds, from scratch": float(costs.unique("arm")["prepare_seconds"].sum() * folds),
        "values": done.table().select("stage", "probe", "difference", "low", "high", "word").to_dicts(),
    }


def ablation(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Run the recipes, print what they took, and return bars and figures."""
    rows, folds, stages, probes = (400, 2, 3, PROBES[:2]) if quick else (10_000, 5, 5, PROBES)
    # Processes are started and everything is imported before anything is timed.
    X, y = rows_of(200)
    ablate([stage("impute.simple")], X, y, probes=probes, folds=2, repeats=1)
    figures = {}
    for name in ("cheap",) if quick else RECIPES:
        told = figures[name] = measured(name, rows, folds, stages, probes)
        print(
            f"ablation {name}: {told['seconds, shared']:,.1f} s shared, "
            f"{told['seconds, from scratch']:,.1f} s from scratch: {told['times']:.2f} times; "
            f"scores apart by {told['scores apart']:.1e}",
            flush=True,
        )
    apart = max(told["scores apart"] for told in figures.values())
    gap = max(told["gap"] for told in figures.values())
    bars = [
        Bar("judge.ablation.scores_apart", apart, GAP, apart <= GAP),
        Bar("judge.ablation.shapley_sum/full_less_none.apart", gap, GAP, gap <= GAP),
    ]
    if not quick:
        whole, times = (figures["costly"][told] for told in ("seconds, whole call", "times"))
        bars += [
            Bar("judge.ablation.seconds", whole, SECONDS, whole <= SECONDS),
            Bar("judge.ablation.from_scratch/shared.seconds", times, TIMES, times >= TIMES),
        ]
    return bars, figures


if __name__ == "__main__":
    # The results lie with those of the judge, of which this is a part.
    sys.exit(drive("judge", __doc__, {"ablation": ("ablation", "ablation")}))
