"""Measure what fewer columns do to a model's score, and whether the audit foretells it.

    python benchmarks/dimension.py [--quick] [--jobs N]

Real sets, some of them also with few of their rows, are filled, encoded and standardized. On the same folds
four models then learn from all columns, and from what is left by each of `TREATMENTS`: principal components
by parallel analysis, or as many as hold 99% of the variance; columns less the twins of others. A model gains
or loses where its mean score moves by more than the bench's region of practical equivalence (0.005 of ROC
AUC, 1% of an RMSE); the table counts these words, and how often the interval of a mean leaves 0 out.

Then what `tilth.audit.dimension` says of the same rows, before any model is fitted, is held against that:

no_gain    it says that components will not raise the score of a linear model, trees or a network. The share
           of times that is so, and by how much that is ahead of the best cut through one of its own measures,
           found on all other sets: can any of them tell where components pay?
twins      where it proposes select.correlated: the share of scores that are kept, beside that of components.
distances  where it proposes components that hold 99% of the variance, for neighbors: the share of scores
           that are kept, beside that of the other models there.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from bars import Bar, conclude
from datasets import AbsentError, load

SETS = (
    "satellite", "letter", "digits", "spambase", "speech", "caravan", "grants", "wine", "breast_cancer",
    "magic", "california", "vowel0", "page_blocks", "pc1", "german", "adult", "diabetes",
    "college", "boston", "stackoverflow", "credit_data", "sonar", "ionosphere", "movement_libras", "vehicle",
    "segment", "texture", "twonorm", "ring", "khan",
)  # fmt: skip
FEW = {
    "satellite": 60, "spambase": 80, "texture": 80, "digits": 100, "letter": 120, "segment": 80,
    "twonorm": 60, "breast_cancer": 60, "grants": 250, "sonar": 60,
}  # fmt: skip
"""Sets that are judged a second time with so many rows: columns are many only beside rows."""

QUICK = ("wine", "breast_cancer", "sonar", "ionosphere", "diabetes", "vowel0")
MOST_ROWS, QUICK_ROWS = 500, 250
MOST_COLUMNS = 600
"""Wider sets are cut: a gradient boosting of thousands of columns takes minutes a fold."""

FOLDS = 5
LEAST = 8
"""Rows of a class; those of rarer ones are left out."""

TREATMENTS: dict[str, list[Any]] = {
    "parallel": [{"reduce.pca": {"keep": "parallel"}}],
    "99%": [{"reduce.pca": {"keep": 0.99}}],
    "twins": [{"select.correlated": {"threshold": 0.95}}],
}
ALL = "all columns"
READY: list[Any] = ["impute.simple", "encode.category", "scale.standard"]
MEASURES = (
    "rows", "columns", "rows_per_column", "intrinsic", "intrinsic_far", "intrinsic_shuffled", "participation",
    "rank", "axes", "twins", "contrast", "contrast_shuffled", "hubness",
)  # fmt: skip
"""What the audit measures, by which it might foretell that components pay."""

PROBES = ("linear", "boosting", "mlp", "neighbors")


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="six small sets")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    from joblib import Parallel, delayed

    os.environ["POLARS_MAX_THREADS"] = "1"
    most = QUICK_ROWS if asked.quick else MOST_ROWS
    cases = [(name, most) for name in (QUICK if asked.quick else SETS)]
    cases += [] if asked.quick else list(FEW.items())
    begun, told = time.perf_counter(), []
    run = Parallel(asked.jobs, return_as="generator")(delayed(measured)(*c) for c in cases)
    for lines in run:
        told += lines
        if lines:
            print(f"{lines[0]['case']}: {time.perf_counter() - begun:.0f} s", flush=True)
    lines = pl.DataFrame(told, infer_schema_length=None)
    figures: dict[str, Any] = {"lines": lines.to_dicts()}
    show(lines)
    bars = rule_bars(lines, figures)
    return conclude("dimension", bars, figures)


def measured(name: str, rows: int) -> list[dict[str, Any]]:
    """Score one set by every model and treatment; empty where its package is absent."""
    from threadpoolctl import threadpool_limits

    try:
        X, y, task = case_of(name, rows)
    except AbsentError as absent:
        print(f"skipped {name}: {absent}")
        return []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        facts = foretold(X)
        case = f"{name} {X.height} x {facts['columns']:.0f}"
        return [{"case": case, "set": name} | facts | line for line in scored(X, y, task)]


def case_of(name: str, rows: int) -> tuple[pl.DataFrame, pl.Series, str]:
    """Return a seeded draw of a set: features as published, at most `MOST_COLUMNS`, and the target."""
    data = load(name)
    frame = data.frame.filter(pl.col(data.target).is_not_null())
    random = np.random.default_rng(0)
    frame = frame[np.sort(random.choice(frame.height, min(rows, frame.height), replace=False))]
    if data.task == "classes":
        frame = frame.with_columns(pl.col(data.target).cast(pl.String))
        frame = frame.filter(pl.len().over(data.target) >= LEAST)
        if frame[data.target].n_unique() < 2:
            raise AbsentError(f"{rows} rows hold fewer than {LEAST} of a second class")
    X = frame.drop(data.target)
    kept = np.sort(random.choice(X.width, min(X.width, MOST_COLUMNS), replace=False))
    return X[:, kept], frame[data.target], data.task


def foretold(X: pl.DataFrame) -> dict[str, Any]:
    """Ask the audit, before any model is fitted: what it measures, and what it proposes."""
    from tilth.audit.dimension import Shape
    from tilth.audit.numbers import Numbers
    from tilth.pipeline import Pipeline
    from tilth.table import Table

    made = Pipeline(built(READY[:2])).fit_transform(X)
    shape = Shape.of(Numbers.of(Table.of(made), seed=0), seed=0)
    return shape.facts() | {"proposes": shape.remedy is not None, "flat": shape.flat}


def built(lines: list[Any]) -> list[Any]:
    """Make stages of recipe lines."""
    from tilth.stages import stage

    pairs = [(line, {}) if isinstance(line, str) else next(iter(line.items())) for line in lines]
    return [stage(key, **given) for key, given in pairs]


def scored(X: pl.DataFrame, y: pl.Series, task: str) -> Iterator[dict[str, Any]]:
    """Yield a line for each treatment and model: the mean gain over all columns, and its interval."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    from tilth.bench.design import Arm
    from tilth.bench.metrics import METRICS
    from tilth.bench.statistics import corrected_t
    from tilth.bench.trial import frames_of, plan, run_folds

    judge = KNeighborsRegressor(15) if task == "regression" else KNeighborsClassifier(15)
    probes = [*PROBES[:-1], (PROBES[-1], judge)]
    metric = "rmse" if task == "regression" else "roc_auc"
    arms = [Arm.of(ALL, built(READY))]
    arms += [Arm.of(name, built([*READY, *lines])) for name, lines in TREATMENTS.items()]
    design, _ = plan(
        X, y, None, None, arms=arms, probes=probes, folds=FOLDS, repeats=1,
        metric=metric, random_state=0, allow_fitted=False,
    )  # fmt: skip
    scores, costs = frames_of(run_folds(design, arms, n_jobs=1, progress=None))
    wide = scores.filter(pl.col("metric") == metric)
    wide = wide.pivot(on="arm", index=["probe", "repeat", "fold"], values="value")
    seconds = {(c["arm"], c["probe"]): c["fit_seconds"] for c in costs.iter_rows(named=True)}
    for probe in PROBES:
        own = wide.filter(pl.col("probe") == probe)
        before = own[ALL].to_numpy()
        rope = METRICS[metric].half_width(float(before.mean()))
        for name in TREATMENTS:
            told = corrected_t(METRICS[metric].gain(before, own[name].to_numpy()), FOLDS)
            word = "gains" if told.mean > rope else "loses" if told.mean < -rope else "same"
            yield {
                "treatment": name, "probe": probe, "metric": metric, "before": float(before.mean()),
                "gain": told.mean, "low": told.low, "high": told.high, "rope": rope, "word": word,
                "clearly": told.low > 0 or told.high < 0,
                "faster": seconds[ALL, probe] / seconds[name, probe],
            }  # fmt: skip


def show(lines: pl.DataFrame) -> None:
    """Print a line for each case, and how often each treatment gained and lost for each model."""
    for case, own in lines.group_by("case", maintain_order=True):
        print(f"\n{case[0]}: gain, words; + and - where the interval leaves 0 out")
        for probe in PROBES:
            cells = []
            for line in own.filter(pl.col("probe") == probe).iter_rows(named=True):
                sure = ("+" if line["gain"] > 0 else "-") if line["clearly"] else " "
                cells.append(f"{line['treatment']} {line['gain']:+.3f}{sure} {line['word']:5}")
            metric, before = own.filter(pl.col("probe") == probe).select("metric", "before").row(0)
            print(f"  {probe:9} {metric} {before:.3f}  " + "  ".join(cells))
    print(f"\n{lines['case'].n_unique()} cases of {lines['set'].n_unique()} sets")
    many = lines.group_by("treatment", "probe", maintain_order=True).agg(
        *((pl.col("word") == word).sum().alias(word) for word in ("gains", "same", "loses")),
        *(
            (pl.col("clearly") & (sign * pl.col("gain") > 0)).sum().alias(name)
            for name, sign in (("clearly up", 1), ("clearly down", -1))
        ),
        pl.col("faster").median().alias("times faster"),
    )
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(many)


def rule_bars(lines: pl.DataFrame, figures: dict[str, Any]) -> list[Bar]:
    """Hold what the audit says against what was measured."""
    models = lines.filter(pl.col("probe") != "neighbors", pl.col("treatment") != "twins")
    never = share_of(models, pl.col("word") != "gains")
    cut = float(np.mean([cut_hits(own) for _, own in models.group_by("treatment", "probe")]))
    kept, named, flat = (
        pl.col("word") != "loses",
        lines.filter("proposes"),
        lines.filter("flat", treatment="99%"),
    )
    told = {
        "no_gain": never,
        "best_cut": cut,
        "proposed": named["case"].n_unique(),
        "kept": {t: share_of(named.filter(treatment=t), kept) for t in TREATMENTS},
        "flat": flat["case"].n_unique(),
        "neighbors_kept": share_of(flat.filter(probe="neighbors"), kept),
        "others_kept": share_of(flat.filter(pl.col("probe") != "neighbors"), kept),
    }
    figures["rule"] = told
    by_treatment = ", ".join(f"{t} {s:.1%}" for t, s in told["kept"].items())
    print(
        f"components do not raise the score: {never:.1%} of {models.height} times; the best cut through one "
        f"measure, found on the other sets, is right {cut:.1%} of the times\n"
        f"twins are proposed in {told['proposed']} cases; scores kept there: {by_treatment}\n"
        f"few axes hold the distances in {told['flat']} cases; scores kept by 99% there: neighbors "
        f"{told['neighbors_kept']:.1%}, the other models {told['others_kept']:.1%}"
    )
    components = max(told["kept"]["parallel"], told["kept"]["99%"])
    ahead = {"no_gain/best_cut.hits_ahead": never - cut}
    # Where no case asks for an answer there is nothing to hold it to.
    if told["proposed"]:
        ahead["twins/components.kept_ahead"] = told["kept"]["twins"] - components
    if told["flat"]:
        ahead["distances/models.kept_ahead"] = told["neighbors_kept"] - told["others_kept"]
    return [Bar(f"dimension.{name}", round(by, 4), 0, by >= 0) for name, by in ahead.items()]


def share_of(lines: pl.DataFrame, holds: pl.Expr) -> float:
    """Return in which share of the lines something holds; 0 where there are none."""
    return float(lines.select(holds.mean().fill_null(0)).item()) if lines.height else 0.0


def cut_hits(own: pl.DataFrame) -> float:
    """Return how often gains are foretold by a cut through one of the audit's measures.

    For each set that is left out, the measure, the cut and its direction are those right most often on the
    other sets; "never" is among them.
    """
    gains = (own["word"] == "gains").to_numpy()
    values = own.select(MEASURES).fill_nan(None).fill_null(0).to_numpy()
    rules = [np.zeros(len(gains), bool)]
    for column in values.T:
        edges = np.unique(column)
        for edge in (edges[1:] + edges[:-1]) / 2:
            rules += [column > edge, column < edge]
    right = np.array(rules) == gains
    hits = 0
    for name in own["set"].unique():
        out = (own["set"] == name).to_numpy()
        hits += int(right[np.argmax(right[:, ~out].sum(axis=1)), out].sum())
    return hits / len(gains)


if __name__ == "__main__":
    sys.exit(main())
