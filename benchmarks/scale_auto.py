"""Is what `scale.auto` chooses no worse for models than `scale.robust`, and what do single forms do?

The same folds for every candidate, everything fitted on training parts only; differences with Nadeau and
Bengio's corrected interval. Scores are the negative log loss of classes and R2 of numbers. The thresholds of
`scale.auto` were set with the linear probe on the sets named SEEN; those named FRESH had no say in them.

    python benchmarks/scale_auto.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import polars as pl

import tilth
from bars import Bar, conclude
from datasets import Dataset, each
from tilth.bench.statistics import corrected_t
from tilth.probes import probe

SEEN = (
    "breast_cancer", "wine", "diabetes", "california", "red_wine", "page_blocks", "magic", "spambase",
    "satellite", "pima", "ionosphere", "vehicle", "segment", "credit_data", "lending_club", "wage", "college",
    "email", "adult", "german", "hmda", "house_prices", "ames", "pc1",
)  # fmt: skip
FRESH = (
    "yeast4", "ecoli3", "vowel0", "abalone17", "letter", "texture", "sonar", "stackoverflow", "crx",
    "attrition", "crashes", "caravan", "default", "hitters", "titanic", "pbc",
)  # fmt: skip
ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "robust": ("scale.robust", {}),
    "auto": ("scale.auto", {}),
    "smooth_clip": ("scale.smooth_clip", {}),
    "log": ("scale.log", {"unit": "median"}),
    "normal scores": ("scale.quantile", {"output": "normal"}),
}
FOLDS = 5


def scores(data: Dataset, name: str, arms: list[str]) -> dict[str, list[float]]:
    """Return a score per fold for each arm."""
    from sklearn.metrics import log_loss, r2_score
    from sklearn.model_selection import KFold, StratifiedKFold

    known = data.frame.filter(pl.col(data.target).is_not_null())
    number = data.task == "regression"
    X = known.drop(data.target)
    y = (known[data.target] if number else known[data.target].cast(pl.String)).to_numpy()
    # Flags are left alone in all arms, as the probes and `scale.auto` do.
    measures = [c for c in X.columns if X[c].dtype.is_numeric() and X[c].drop_nulls().n_unique() > 2]
    cut = (KFold if number else StratifiedKFold)(FOLDS, shuffle=True, random_state=0)
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    for train, test in cut.split(np.zeros(len(y)), y):
        for arm in arms:
            key, parameters = ARMS[arm]
            stage = tilth.stage(key, **parameters, on=measures)
            model = probe(name).fit(stage.fit_transform(X[train]), y[train])
            new = stage.transform(X[test])
            if number:
                found[arm].append(float(r2_score(y[test], model.predict(new))))
            else:
                found[arm].append(-float(log_loss(y[test], model.predict_proba(new), labels=model.classes_)))
    return found


def main() -> int:
    """Compare the arms on each set, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="six sets and the linear probe")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore")
    started = time.perf_counter()
    groups = {"seen": SEEN[4:10:2], "fresh": FRESH[1:4]} if quick else {"seen": SEEN, "fresh": FRESH}
    figures: dict[str, Any] = defaultdict(dict)
    verdicts: dict[tuple[str, str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for group, names in groups.items():
        for data in each(names, max_rows=600 if quick else 1500):
            # A network takes twenty times as long to fit: on every third set.
            for name in ("linear", "mlp") if not quick and names.index(data.name) % 3 == 0 else ("linear",):
                arms = list(ARMS) if name == "linear" and not quick else ["robust", "auto"]
                found = scores(data, name, arms)
                told = []
                for arm in arms[1:]:
                    gain = np.subtract(found[arm], found["robust"])
                    seen = corrected_t(gain, FOLDS)
                    verdicts[group, name, arm].append((seen.mean, seen.low, seen.high))
                    told.append(f"{arm} {seen.mean:+.4f} [{seen.low:+.4f}, {seen.high:+.4f}]")
                figures[f"{name}: {data.name}"] = found | {"group": group}
                print(
                    f"{data.name:14s} {name:6s} robust {np.mean(found['robust']):.4f} | {' | '.join(told)}",
                    flush=True,
                )
    bars = []
    for (group, name, arm), seen in verdicts.items():
        mean, low, high = np.array(seen).T
        counts = {
            "better": int((mean > 0).sum()),
            "worse": int((mean < 0).sum()),
            "clearly better": int((low > 0).sum()),
            "clearly worse": int((high < 0).sum()),
            "sets": len(mean),
        }
        figures[f"{group} {name} {arm}"] = counts
        print(f"{group} {name} {arm}: {', '.join(f'{n} {what}' for what, n in counts.items())}")
        if arm == "auto":
            # Of intervals at 95%, one in 40 lies wholly below 0 by chance.
            allowed = len(mean) // 40 + 1
            worse = counts["clearly worse"]
            bars.append(Bar(f"scale_auto_clearly_worse_{name}_{group}", worse, allowed, worse <= allowed))
    print(f"{time.perf_counter() - started:.0f} s")
    return conclude("scale_auto", bars, dict(figures))


if __name__ == "__main__":
    sys.exit(main())
