"""Measure what leaks do to scores, whether the bench undoes or refuses them, and false alarms on clean sets.

    python benchmarks/leaks.py [--quick]

Five leaks are planted. For each: the score of cross-validation that knows nothing of it (naive), that of the
bench (guarded), and that without the leak, with its corrected interval. The guarded score must lie in the
interval, and the naive one above it, or there was no leak to undo. Preparations before the split must be
refused. Sets without a leak must raise no alarm of severity high, neither whole nor against a random part.

near       two rows in five come again, a thousandth of a standard deviation away
groups     four noisy measurements of each row; whole subjects are held out
feature    a feature made from the target; what the audit calls given away is dropped
filter     labels of which a model is least sure are dropped before the split, test rows as well
smote      rows made by SMOTE before the split, of labels that are pure noise
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tilth
from bars import Bar, conclude
from datasets import Dataset, each, load
from tilth.audit import audit
from tilth.bench.metrics import METRICS
from tilth.bench.statistics import corrected_t
from tilth.core import lineage
from tilth.errors import LeakageError
from tilth.probes import probe

FOLDS = 5
ROWS = 1200
"""Rows of a set that a leak is planted into, at most."""

CLEAN = (
    "breast_cancer", "wine", "iris", "digits", "diabetes", "california", "red_wine", "page_blocks", "yeast4",
    "magic", "spambase", "satellite", "letter", "abalone", "german", "crx", "adult", "credit_data",
    "lending_club", "attrition", "ames", "wage", "college", "hitters", "caravan", "default", "pima", "pbc",
    "soybean", "house_votes", "titanic", "house_prices", "surveys", "stops",
)  # fmt: skip
"""Sets without a known leak: of the others in `datasets`, boston holds its target twice, crashes and reviews
hold columns that are known only when the target is, and bio, speech and grants are too wide to be quick."""

QUICK = ("breast_cancer", "wine", "iris", "red_wine", "crx", "titanic", "ames", "pima")
LEAKS = ("target.given_away", "target.in_id", "target.in_order", "target.over_time", "leakage")


class Scores(NamedTuple):
    """Hold the scores of one leak; `free` are those of single folds."""

    naive: float
    guarded: float
    free: np.ndarray


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one repeat of the folds, eight clean sets")
    asked = parser.parse_args()
    figures: dict[str, Any] = {}
    return conclude("leaks", leak_bars(asked.quick, figures), figures)


def leak_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Measure all of it; figures go into the dictionary."""
    told: dict[str, Any] = figures.setdefault("leaks", {})
    repeats = 2 if quick else 5
    bars: list[Bar] = []
    for name, planted in PLANTED.items():
        scores = planted(repeats)
        free = corrected_t(scores.free, FOLDS)
        half = free.high - free.mean
        told[name] = {"naive": float(scores.naive), "guarded": float(scores.guarded), "free": free.mean}
        told[name] |= {"low": free.low, "high": free.high}
        print(
            f"{name:8s} naive {scores.naive:.3f}  guarded {scores.guarded:.3f}  without the leak "
            f"{free.mean:.3f} ({free.low:.3f} to {free.high:.3f})",
            flush=True,
        )
        off, beyond = abs(scores.guarded - free.mean) / half, (scores.naive - free.mean) / half
        bars.append(Bar(f"leaks.{name}.guarded/half_interval", off, 1.0, bool(off <= 1)))
        bars.append(Bar(f"leaks.{name}.naive/half_interval", beyond, 1.0, bool(beyond >= 1)))
    bars += refused_bars(told)
    bars += clean_bars(QUICK if quick else CLEAN, told)
    return bars


def rows_of(name: str) -> tuple[pl.DataFrame, np.ndarray]:
    """Return numbers, standardized, and two classes."""
    made = load(name, ROWS)
    numbers = made.frame.drop(made.target).select(pl.col(pl.Float64, pl.Int64)).fill_null(strategy="mean")
    scaled = StandardScaler().fit_transform(numbers.to_numpy())
    target = made.frame[made.target].cast(pl.String)
    return pl.DataFrame(scaled, schema=numbers.columns), (target == target.max()).cast(pl.Int64).to_numpy()


def crossed(X: np.ndarray, y: np.ndarray, model: Any, splits: Any, repeats: int) -> np.ndarray:
    """Return the AUC of every fold, by scikit-learn's folds."""
    scores = []
    for repeat in range(repeats):
        for train, test in splits(repeat):
            model.fit(X[train], y[train])
            scores.append(METRICS["roc_auc"].score(y[test], model.predict_proba(X[test]), np.ones(len(test))))
    return np.array(scores)


def at_random(X: np.ndarray, y: np.ndarray) -> Callable[[int], Any]:
    """Split as one does who knows nothing of copies and groups."""
    return lambda repeat: StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(X, y)


def judged(X: Any, y: Any, repeats: int, *, after: Any = None, model: Any = None, **more: Any) -> np.ndarray:
    """Return the AUC of every fold, by the bench; of what comes after, if anything."""
    probes = [("it", model)] if model is not None else ["boosting"]
    done = tilth.compare(
        None, after, X, y, probes=probes, folds=FOLDS, repeats=repeats, metric="roc_auc", n_jobs=1, **more
    )
    arm = "before" if after is None else "after"
    return done.scores.filter(arm=arm, metric="roc_auc").sort("repeat", "fold")["value"].to_numpy()


def near(repeats: int) -> Scores:
    """Copy two rows in five, almost."""
    X, y = rows_of("pima")
    random = np.random.default_rng(0)
    again = random.permutation(X.height)[: int(0.4 * X.height)]
    moved = X[again].to_numpy() + 1e-3 * random.normal(size=(len(again), X.width))
    both = pl.concat([X, pl.DataFrame(moved, schema=X.columns)])
    labels = np.append(y, y[again])
    naive = crossed(
        both.to_numpy(),
        labels,
        probe("boosting", random_state=0),
        at_random(both.to_numpy(), labels),
        repeats,
    )
    return Scores(naive.mean(), judged(both, labels, repeats).mean(), judged(X, y, repeats))


def groups(repeats: int) -> Scores:
    """Measure each row four times, with noise."""
    X, y = rows_of("german")
    random = np.random.default_rng(0)
    subject = np.repeat(np.arange(X.height), 4)
    # What is of a subject alone, such as a voice, tells it apart and nothing of its label.
    own = random.normal(size=(X.height, 6))
    wide = np.hstack([X.to_numpy(), own])[subject]
    wide = wide + 0.1 * random.normal(size=wide.shape)
    labels = y[subject]
    naive = crossed(wide, labels, probe("boosting", random_state=0), at_random(wide, labels), repeats)
    apart = lambda repeat: StratifiedGroupKFold(FOLDS, shuffle=True, random_state=repeat).split(
        wide, labels, subject
    )
    free = crossed(wide, labels, probe("boosting", random_state=0), apart, repeats)
    return Scores(naive.mean(), judged(wide, labels, repeats, groups=subject).mean(), free)


def feature(repeats: int) -> Scores:
    """Add a feature that is made from the target, but for one row in a hundred."""
    X, y = rows_of("pima")
    random = np.random.default_rng(0)
    leak = np.where(random.random(len(y)) < 0.01, 1 - y, y) * 3.0 + random.normal(size=len(y)) * 0.3
    leaky = X.with_columns(leak=pl.Series(leak))
    naive = crossed(
        leaky.to_numpy(), y, probe("boosting", random_state=0), at_random(leaky.to_numpy(), y), repeats
    )
    seen = audit(leaky, y, stages=[], imputers=())
    gone = [f.columns[0] for f in seen.of("target.given_away") if f.severity == "high"]
    return Scores(naive.mean(), judged(leaky.drop(gone), y, repeats).mean(), judged(X, y, repeats))


def filtered() -> tuple[pl.DataFrame, np.ndarray, list[Any]]:
    """Return rows whose labels are right, and a stage that drops those of which a model is least sure."""
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 1000)
    X = random.normal(size=(1000, 12)) + 0.35 * y[:, None] / np.sqrt(12) * 2
    clean = tilth.stage("labels.clean", action="drop", probe="linear")
    return pl.DataFrame(X, schema=[f"x{j}" for j in range(12)]), y, [clean]


def synthetic() -> tuple[pl.DataFrame, np.ndarray, list[Any]]:
    """Return labels of pure noise, one in ten, and SMOTE."""
    from imblearn.over_sampling import SMOTE

    random = np.random.default_rng(0)
    y = (random.random(1000) < 0.1).astype(int)
    X = pl.DataFrame(random.normal(size=(1000, 8)), schema=[f"x{j}" for j in range(8)])
    return X, y, [SMOTE(random_state=0)]


def before_the_split(made: Callable[[], Any], model: Any) -> Callable[[int], Scores]:
    """Prepare all rows, then split."""

    def scores(repeats: int) -> Scores:
        X, y, stages = made()
        ready = tilth.Pipeline(stages).fit_resample(X, y)
        naive = judged(*ready, repeats, model=model, allow_fitted=True)
        guarded = judged(X, y, repeats, after=stages, model=model)
        return Scores(naive.mean(), guarded.mean(), judged(X, y, repeats, model=model))

    return scores


NEIGHBORS = make_pipeline(StandardScaler(), KNeighborsClassifier(5))
PLANTED: dict[str, Callable[[int], Scores]] = {
    "near": near,
    "groups": groups,
    "feature": feature,
    "filter": before_the_split(filtered, None),
    "smote": before_the_split(synthetic, NEIGHBORS),
}


def refused_bars(told: dict[str, Any]) -> list[Bar]:
    """Hand prepared rows to the bench in every container, whole and in part: all must be refused."""
    tried = refused = 0
    for made in (filtered, synthetic):
        lineage.forget()
        X, y, stages = made()
        ready, labels = tilth.Pipeline(stages).fit_resample(X, y)
        some = np.random.default_rng(0).permutation(len(labels))[: len(labels) // 2]
        for given, target in (
            (ready, labels),
            (ready.to_pandas(), labels),
            (ready.to_numpy(), labels),
            (ready[some], labels[some]),
        ):
            tried += 1
            try:
                tilth.compare(None, None, given, target, probes=["linear"], repeats=1, n_jobs=1)
            except LeakageError:
                refused += 1
        # What went in is as good as ever.
        tilth.compare(None, None, X, y, probes=["linear"], repeats=1, n_jobs=1)
    told["refused"] = {"tried": tried, "refused": refused}
    return [Bar("leaks.refused/tried", refused / tried, 1.0, refused == tried)]


def clean_bars(names: tuple[str, ...], told: dict[str, Any]) -> list[Bar]:
    """Audit sets without a leak, whole and one part against the rest; then with a leak planted."""
    alarms: dict[str, list[str]] = {}
    drifting: dict[str, list[str]] = {}
    found, sets, slowest = dict.fromkeys(("high", "medium", "low"), 0), 0, 0.0
    for made in each(names, max_rows=5000):
        sets += 1
        begun = time.perf_counter()
        whole = _severe(audit(made.frame, made.target, stages=[], imputers=()))
        slowest = max(slowest, time.perf_counter() - begun)
        train, test = _parted(made)
        against = audit(train, made.target, test=test, stages=[], imputers=())
        severe = [*whole, *_severe(against)]
        shifted = [f.message for f in against.of("drift") if f.severity in ("medium", "high")]
        if severity := _planted(made):
            found[severity] += 1
        if severe:
            alarms[made.name] = severe
        if shifted:
            drifting[made.name] = shifted
    told["clean"] = {"sets": sets, "alarms": alarms, "drift": drifting}
    told["clean"] |= {"planted_found": found, "slowest_seconds": slowest}
    print(
        f"clean    {sets} sets, {len(alarms)} with a leakage alarm of severity high, {len(drifting)} with "
        f"drift between random parts; a planted leak told in {sum(found.values())}, as severe in "
        f"{found['high']}; slowest audit {slowest:.1f} s"
    )
    for name, messages in {**alarms, **drifting}.items():
        print(f"         {name}: {messages[0]}")
    share = sum(found.values()) / max(sets, 1)
    return [
        Bar("leaks.clean.severe_alarms", float(len(alarms)), 0.0, not alarms and sets >= min(20, len(names))),
        Bar(
            "leaks.clean.drift_alarms/sets", len(drifting) / max(sets, 1), 0.05, len(drifting) <= 0.05 * sets
        ),
        Bar("leaks.planted_feature.told", share, 1.0, share >= 1.0),
    ]


def _severe(seen: Any) -> list[str]:
    return [f.message for kind in LEAKS for f in seen.of(kind) if f.severity == "high"]


def _parted(made: Dataset) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split at random, without rows that are copies or almost: those are a leak of a random split."""
    plan = tilth.stage("duplicates.near", target=False).fit(made.frame.drop(made.target)).plan_
    kept = np.flatnonzero(plan.times)
    turn = np.random.default_rng(0).permutation(kept)
    cut = len(turn) // 4
    return made.frame[np.sort(turn[cut:])], made.frame[np.sort(turn[:cut])]


def _planted(made: Dataset) -> str:
    """Return how severe a feature made from the target is called, with one wrong row in two hundred.

    Where all other features together tell as much, it is not called severe: a petal would be, too.
    """
    random = np.random.default_rng(0)
    target = made.frame[made.target]
    if made.task == "regression":
        spread = float(target.cast(pl.Float64).std())
        leak = target.cast(pl.Float64) + spread * 0.02 * random.normal(size=len(target))
    else:
        codes = target.cast(pl.String).rank("dense").cast(pl.Float64)
        wrong = pl.Series(random.random(len(target)) < 0.005)
        leak = pl.select(pl.when(wrong).then(codes.shuffle(0)).otherwise(codes)).to_series()
        leak = leak + 0.05 * random.normal(size=len(target))
    seen = audit(made.frame.with_columns(leak.alias("leak")), made.target, stages=[], imputers=())
    return next((f.severity for f in seen.of("target.given_away") if f.columns == ("leak",)), "")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=UserWarning)
    sys.exit(main())
