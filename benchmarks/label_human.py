"""Find the labels that people got wrong: CIFAR-10N's photographs, judged by what a network makes of them.

Run by `python benchmarks/labels.py --only human --data FOLDER`.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from bars import Bar

SETS = ("aggregate", "random1", "worst")
"""Of three people the majority, the first, and a wrong one where there is one."""
QUICK_ROWS = 1500
RANKS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def human_bars(quick: bool, figures: dict[str, Any], folder: Path) -> list[Bar]:
    """Compare rankings and flags of wrong labels, all by the same probe on the same embeddings."""
    from embeddings import cifar10n

    embedded, told = cifar10n(folder / "cifar10n")
    rows = slice(QUICK_ROWS if quick else None)
    X = pl.DataFrame(embedded[rows], schema=[f"e{i}" for i in range(embedded.shape[1])])
    bars = []
    for name in SETS[:1] if quick else SETS:
        given, clean = told[name][rows], told["clean"][rows]
        wrong = (given != clean).to_numpy()
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            probe, asked = all_sides(X, given)
        lines = {who: measures(wrong, *side) for who, side in asked.items()}
        figures[f"human_{name}"] = {"wrong": float(wrong.mean()), "probe": probe, "sides": lines}
        print(
            f"{name}: {wrong.mean():.1%} of {len(wrong)} labels are wrong; judged by {probe} in "
            f"{time.perf_counter() - start:.0f} s"
        )
        for who, line in lines.items():
            print(f"  {who:38}", *(f"{what} {value:5.1f}" for what, value in line.items()))
        others = max(line["AP"] for who, line in lines.items() if who != "tilth")
        ahead = round(lines["tilth"]["AP"] - others, 2)
        bars.append(Bar(f"labels.human.{name}.ap/best_other.ahead", ahead, 0, quick or ahead >= 0))
    return bars


def all_sides(X: pl.DataFrame, given: pl.Series) -> tuple[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return who judged, and flags and trust of every side."""
    from cleanlab.classification import CleanLearning
    from cleanlab.count import estimate_cv_predicted_probabilities
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    from tilth.probes import Linear
    from tilth.stages import stage
    from tilth.statistics.confident import Method
    from tilth.table import Table

    codes = given.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1
    cleaner = stage("labels.clean", probe="linear", max_share=1.0)
    plan = cleaner.fit_table(Table.of(X, codes))
    judged = cleaner.judge(Table.of(X, codes))
    sides = {"tilth": (plan.times == 0, plan.score)}
    # The strength that was chosen is given to cleanlab, too: with the probe's own it would lose by far.
    probe = Linear("classification", C=float(judged.probe.partition("C=")[2].rstrip(")")))
    probabilities = estimate_cv_predicted_probabilities(X.to_pandas(), codes, probe, cv_n_folds=5, seed=0)
    learner = CleanLearning(seed=0, find_label_issues_kwargs={"n_jobs": 1})
    found = learner.find_label_issues(labels=codes, pred_probs=probabilities)
    sides["cleanlab CleanLearning"] = (
        found["is_label_issue"].to_numpy(),
        found["label_quality"].to_numpy(),
    )
    guess = probabilities.argmax(axis=1)
    for rank in RANKS:
        trust = get_label_quality_scores(codes, probabilities, method=rank)
        sides[f"cleanlab {rank}"] = (guess != codes, trust)
    for method in get_args(Method):
        if method.startswith("low_"):
            continue
        flags = find_label_issues(codes, probabilities, filter_by=method, n_jobs=1)
        sides[f"cleanlab {method}"] = (flags, 1.0 - flags)
    sides["prediction != label"] = (guess != codes, 1.0 - (guess != codes))
    return judged.probe, sides


def measures(wrong: np.ndarray, flags: np.ndarray, trust: np.ndarray) -> dict[str, float]:
    """Return what a ranking and flags are worth, in points; precision is that of as many as are wrong."""
    count = int(wrong.sum())
    lowest = np.argsort(trust, kind="stable")[:count]
    return {
        "AUROC": 100 * float(roc_auc_score(wrong, -trust)),
        "AP": 100 * float(average_precision_score(wrong, -trust)),
        "P@k": 100 * float(wrong[lowest].mean()),
        "F1": 100 * float(f1_score(wrong, flags)),
    }
