"""The probes beside their peers, on public sets: are they instruments good enough to judge by?

Each set is split into 5 stratified folds, twice; both models see the same rows, as the package publishes
them: LightGBM gaps and categories as its own, scikit-learn's MLP one-hot and standardized numbers, its size
and its penalty chosen by 3 inner folds. A difference is the probe's area under the ROC curve less the peer's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from bars import Bar
from datasets import each
from tilth.bench.metrics import METRICS
from tilth.bench.statistics import corrected_t
from tilth.probes import Inputs, probe

SETS = (
    "breast_cancer", "page_blocks", "magic", "spambase", "german", "crx", "adult", "credit_data",
    "lending_club", "attrition", "pima", "stackoverflow", "wine", "digits",
)  # fmt: skip
QUICK = ("breast_cancer", "pima")
ROWS = {"boosting": 8000, "mlp": 3000}
FOLDS = 5
SHORT = 0.01
GRID = {
    "mlpclassifier__hidden_layer_sizes": [(64,), (256, 256)],
    "mlpclassifier__alpha": [1e-4, 1e-1, 3.0],
}


def probes(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare both probes with their peers."""
    bars: list[Bar] = []
    told: dict[str, Any] = {}
    for name, peer in (("boosting", lightgbm_said), ("mlp", tuned_said)):
        try:
            peers = {
                made.name: _set(made, name, peer, quick)
                for made in each(QUICK if quick else SETS, ROWS[name])
            }
        except ImportError as absent:
            print(f"probes   {name}: {absent}; see benchmarks/requirements.txt")
            continue
        told[name] = peers
        mean = float(np.mean([p["difference"] for p in peers.values()]))
        clear = [s for s, p in peers.items() if p["high"] < -SHORT]
        print(
            f"probes   {name}: mean difference {mean:+.4f} over {len(peers)} sets; clearly short in {clear}"
        )
        bars.append(Bar(f"judge.{name}.short_of_peer", max(-mean, 0.0), SHORT, -mean <= SHORT))
        bars.append(Bar(f"judge.{name}.sets_clearly_short", len(clear), 0, not clear))
    return bars, told


def _set(made: Any, name: str, peer: Callable[..., np.ndarray], quick: bool) -> dict[str, float]:
    labeled = made.frame.filter(pl.col(made.target).is_not_null())
    X, y = labeled.drop(made.target), (labeled[made.target].rank("dense") - 1).cast(pl.Int64).to_numpy()
    places = [
        (repeat, *split)
        for repeat in range(1 if quick else 2)
        for split in StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(y, y)
    ]
    scores = np.array(Parallel(n_jobs=-1)(delayed(_fold)(X, y, name, peer, *place) for place in places))
    mine, theirs = scores.mean(axis=0)
    found = corrected_t(scores[:, 0] - scores[:, 1], FOLDS)
    print(
        f"         {name:8s} {made.name:14s} {mine:.4f}  peer {theirs:.4f}  difference {found.mean:+.4f} "
        f"({found.low:+.4f} to {found.high:+.4f})",
        flush=True,
    )
    return {"probe": mine, "peer": theirs, "difference": found.mean, "low": found.low, "high": found.high}


def _fold(
    X: pl.DataFrame,
    y: np.ndarray,
    name: str,
    peer: Callable[..., np.ndarray],
    seed: int,
    train: Any,
    test: Any,
) -> tuple[float, float]:
    warnings.filterwarnings("ignore")
    model = probe(name, task="classification", random_state=seed).fit(X[train], y[train])
    answers = model.predict_proba(X[test]), peer(X[train], y[train], X[test], seed)
    score = METRICS["roc_auc"].score
    mine, theirs = (score(y[test], np.asarray(said), np.ones(len(test))) for said in answers)
    return mine, theirs


def lightgbm_said(X: pl.DataFrame, y: np.ndarray, X_test: pl.DataFrame, seed: int) -> np.ndarray:
    """Return LightGBM's answer as it comes: nothing is set but the seed."""
    from lightgbm import LGBMClassifier

    train, test = _coded(X, X_test)
    model = LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1).fit(train, y)
    return np.asarray(model.predict_proba(test))


def tuned_said(X: pl.DataFrame, y: np.ndarray, X_test: pl.DataFrame, seed: int) -> np.ndarray:
    """Return the answer of scikit-learn's MLP, its size and its penalty chosen by inner folds."""
    inputs = Inputs().fit(X)
    model = make_pipeline(
        MLPClassifier(early_stopping=True, n_iter_no_change=20, max_iter=300, random_state=seed)
    )
    scoring = "roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr"
    search = GridSearchCV(
        model, GRID, scoring=scoring, cv=StratifiedKFold(3, shuffle=True, random_state=seed)
    )
    return np.asarray(search.fit(inputs.transform(X), y).predict_proba(inputs.transform(X_test)))


def _coded(X: pl.DataFrame, X_test: pl.DataFrame) -> tuple[Any, Any]:
    """Return both parts for pandas, texts as categories that are the same in both."""
    texts = [name for name, dtype in X.schema.items() if dtype == pl.String]
    kinds = {name: pl.Enum(X[name].drop_nulls().unique().sort()) for name in texts}
    both = (
        frame.with_columns(pl.col(n).cast(k, strict=False) for n, k in kinds.items()) for frame in (X, X_test)
    )
    train, test = (frame.to_pandas() for frame in both)
    return train, test
