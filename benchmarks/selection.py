"""Do selectors let in columns that tell nothing, find those that tell, and help where columns are many?

    python benchmarks/selection.py [--quick]

Columns that tell nothing are shuffled copies of the columns of real sets, so that their values, levels and
gaps are real. Boruta is its rule on the importances that select.relevant has measured, so that only the rule
differs: a binomial test of the rounds in which a column beats the best shadow, Bonferroni-corrected. Scores
are those of rows held out; every selector learns within the training part.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binom

from bars import Bar, conclude
from datasets import each, load
from tilth.probes import Inputs, probe
from tilth.stages.folds import folds_of
from tilth.stages.reduce.supervised import ReduceSupervised
from tilth.stages.select.correlated import SelectCorrelated
from tilth.stages.select.relevant import SelectRelevant
from tilth.stages.select.stable import SelectStable

ALPHA = 0.05
Chosen = dict[str, set[str]]


def boruta(real: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """Return which columns Boruta confirms."""
    hits = (real > shadow.max(axis=1, keepdims=True)).sum(axis=0)
    return binom.sf(hits - 1, len(real), 0.5) * real.shape[1] <= ALPHA


class Both(SelectRelevant):
    """Select by p-values, and remember what Boruta's rule makes of the same importances."""

    def _rounds(self, evidence: Any) -> tuple[np.ndarray, np.ndarray]:
        real, shadow = super()._rounds(evidence)
        self.boruta = {c for c, hit in zip(evidence.columns, boruta(real, shadow), strict=True) if hit}
        return real, shadow


def confirmed(stage: SelectRelevant) -> set[str]:
    """Name the columns that are confirmed, whether or not others had to stay."""
    return {c for c, word in stage.verdicts_.items() if word == "confirmed"}


def of_scikit_learn(X: pl.DataFrame, y: Any, numbers: bool) -> Chosen:
    """Return what scikit-learn's selectors choose at their defaults, columns whole."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.feature_selection import SelectFromModel
    from sklearn.linear_model import LassoCV, LogisticRegression

    inputs = Inputs().fit(X)
    matrix = inputs.transform(X)
    source = [name.split("=")[0].removesuffix(" is missing") for name in inputs.names_]
    forest = ExtraTreesRegressor(random_state=0) if numbers else ExtraTreesClassifier(random_state=0)
    lasso = LassoCV() if numbers else LogisticRegression(l1_ratio=1.0, solver="liblinear", C=0.1)
    found: Chosen = {}
    for name, model in (("SelectFromModel, trees", forest), ("SelectFromModel, L1", lasso)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chosen = SelectFromModel(model).fit(matrix, y).get_support()
        found[name] = {source[i] for i in np.flatnonzero(chosen)}
    return found


def null_tables(tables: int, forests: int) -> dict[str, list[int]]:
    """Return for each selector how many columns of each table it lets in; labels are shuffled."""
    sets = [load(name, max_rows=400) for name in ("german", "credit_data", "adult")]
    let_in: dict[str, list[int]] = {}
    for seed in range(tables):
        data = sets[seed % len(sets)]
        order = np.random.default_rng(seed).permutation(data.frame.height)
        X, y = data.X, data.y[order].cast(pl.String)
        for by in ("information", "forest")[: 1 + (seed < forests)]:
            stage = Both(by=by, trees=50, random_state=seed).fit(X, y)
            let_in.setdefault(f"select.relevant, {by}", []).append(len(confirmed(stage)))
            let_in.setdefault(f"Boruta's rule, {by}", []).append(len(stage.boruta))
        if seed < forests:
            stable = SelectStable(random_state=seed, pairs=25).fit(X, y)
            over = sum(share >= stable.threshold for share in stable.scores_.values())
            let_in.setdefault("select.stable, lasso", []).append(over)
            for name, chosen in of_scikit_learn(X, y.to_numpy(), False).items():
                let_in.setdefault(name, []).append(len(chosen))
    return let_in


def planted(quick: bool) -> list[dict[str, Any]]:
    """Add a shuffled copy of every column to real sets, and count which of both are chosen."""
    told = []
    names = ("adult", "credit_data") if quick else ("adult", "credit_data", "german", "california", "ames")
    for data in each(names, 1500 if quick else 3000):
        rows = data.frame.filter(pl.col(data.target).is_not_null())
        X, y = rows.drop(data.target), rows[data.target]
        order = np.random.default_rng(0).permutation(rows.height)
        noise = X[order].rename({c: f"{c} (shuffled)" for c in X.columns})
        both = pl.concat([X, noise], how="horizontal")
        stages = {
            "select.relevant, information": SelectRelevant(by="information"),
            "select.relevant, forest": SelectRelevant(trees=30 if quick else 100),
            "select.stable, lasso": SelectStable(pairs=15 if quick else 50),
        }
        chosen, seconds = {}, {}
        for name, stage in stages.items():
            start = time.perf_counter()
            stage.fit(both, y)
            seconds[name] = time.perf_counter() - start
            chosen[name] = confirmed(stage) if isinstance(stage, SelectRelevant) else set(stage.kept_)
        numbers = data.task == "regression"
        values = y.cast(pl.Float64 if numbers else pl.String).to_numpy()
        chosen |= of_scikit_learn(both, values, numbers)
        for name, columns in chosen.items():
            own = len(columns & set(X.columns))
            row = {"set": data.name, "selector": name, "columns": X.width, "own": own}
            told.append(row | {"shuffled": len(columns) - own, "seconds": seconds.get(name)})
    return told


def scores(quick: bool) -> list[dict[str, Any]]:
    """Score a linear probe on rows held out, with all columns and with those chosen."""
    told = []
    for data in each(("speech", "khan", "sonar") if quick else ("speech", "khan", "sonar", "libras")):
        X, y = data.X, data.y.cast(pl.String).to_numpy()
        if quick:
            X = X.select(X.columns[:300])
        codes = np.unique(y, return_inverse=True)[1]
        fold = folds_of(np.arange(len(y), dtype=np.uint64), 3 if quick else 5, 0, codes)
        arms: dict[str, Any] = {
            "all columns": None,
            "select.relevant, information": SelectRelevant(by="information"),
            "select.stable, lasso": SelectStable(pairs=10 if quick else 50),
            "select.correlated": SelectCorrelated(),
            "reduce.supervised, lda": ReduceSupervised(),
            "reduce.supervised, pls": ReduceSupervised(method="pls"),
        }
        if not quick:
            arms["reduce.supervised, pls of 10"] = ReduceSupervised(method="pls", size=10)
            arms["select.relevant, forest"] = SelectRelevant(by="forest")
            arms["SelectFromModel, trees"] = arms["SelectFromModel, L1"] = "peer"
        for name, stage in arms.items():
            start = time.perf_counter()
            found = [one_fold(name, stage, X, y, fold == held) for held in range(int(fold.max()) + 1)]
            accuracy, width = np.array(found).T
            row = {"set": data.name, "rows": len(y), "of": X.width, "selector": name}
            row |= {"columns": float(width.mean()), "balanced accuracy": float(accuracy.mean())}
            told.append(row | {"folds": accuracy.tolist(), "seconds": time.perf_counter() - start})
    return told


def one_fold(name: str, stage: Any, X: pl.DataFrame, y: np.ndarray, held: np.ndarray) -> tuple[float, int]:
    """Learn on the rows that are not held out, and return the score on those held out, and the columns."""
    from sklearn.metrics import balanced_accuracy_score

    train, test, known = X.filter(~held), X.filter(held), y[~held]
    if stage == "peer":
        kept = sorted(of_scikit_learn(train, known, False)[name])
        train, test = train.select(kept), test.select(kept)
    elif stage is not None:
        train, test = stage.fit_transform(train, known), stage.transform(test)
    model = probe("linear", task="classification").fit(train, known)
    return float(balanced_accuracy_score(y[held], model.predict(test))), train.width


def main() -> int:
    """Run all parts, print their tables, and conclude."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under 50 seconds")
    quick = parser.parse_args().quick
    tables, forests = (60, 3) if quick else (200, 20)
    let_in = null_tables(tables, forests)
    print("Columns let in where nothing tells (labels shuffled)")
    for name, counts in let_in.items():
        any_ = float(np.mean(np.array(counts) > 0))
        print(
            f"  {name:32} {len(counts):4} tables, with any: {any_:6.1%}, columns a table: "
            f"{np.mean(counts):.2f}"
        )
    plants, many = planted(quick), scores(quick)
    print("Real columns and their shuffled copies")
    for row in plants:
        print(
            f"  {row['set']:12} {row['selector']:30} {row['own']:3} of {row['columns']:3} real, "
            f"{row['shuffled']:3} shuffled" + (f", {row['seconds']:.1f} s" if row["seconds"] else "")
        )
    print("Balanced accuracy of a linear probe on rows held out")
    for row in many:
        print(
            f"  {row['set']:8} {row['rows']:4} x {row['of']:4} {row['selector']:30} "
            f"{row['balanced accuracy']:.3f} with {row['columns']:7.1f} columns, {row['seconds']:.1f} s"
        )
    bars = []
    for by in ("information", "forest"):
        counts = np.array(let_in[f"select.relevant, {by}"])
        rate = float((counts > 0).mean())
        goal = ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / len(counts))
        bars.append(Bar(f"null-tables-{by}", rate, round(float(goal), 4), bool(rate <= goal)))
    over = float(np.mean(let_in["select.stable, lasso"]))
    bars.append(Bar("null-columns-stable", over, 1.0, over <= 1.0))
    relevant = [row for row in plants if row["selector"].startswith("select.relevant")]
    shuffled = sum(row["shuffled"] for row in relevant) / sum(
        row["shuffled"] + row["own"] for row in relevant
    )
    bars.append(Bar("shuffled-among-confirmed", shuffled, ALPHA, shuffled <= ALPHA))
    figures = {"null": let_in, "planted": plants, "scores": many, "quick": quick}
    return conclude("selection", bars, figures)


if __name__ == "__main__":
    raise SystemExit(main())
