"""The probes beside their peers, on public sets: are they instruments good enough to judge by?

Each set is split into 5 stratified folds, twice; both models see the same rows, as the package publishes
them: LightGBM gaps and categories as its own, scikit-learn's MLP one-hot and standardized numbers, its size
and its penalty chosen by 3 inner folds. A difference is the probe's area under the ROC curve less the peer's.

Folds are run in any order, the dearest sets first, one on each core. What a fold gave is kept at once in
`results/judge-probes.tmp`, so that a run that was stopped goes on where it was, as long as the code of the
probes and of this module, the peers' versions and the seeds are the same; the file goes when all is done.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

import tilth
from bars import RESULTS, Bar
from datasets import AbsentError, load
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


KEPT = RESULTS / "judge-probes.tmp"
MADE_BY = ("core", "probes", "statistics", "table", "training")
"""The rooms of the package that a probe's answers can depend on."""


class Job(NamedTuple):
    """One fold of one set."""

    name: str
    set: str
    repeat: int
    fold: int


def probes(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare both probes with their peers."""
    sets = [name for name in (QUICK if quick else SETS) if _there(name)]
    names = [name for name, peer in PEERS.items() if _installed(name, peer.package)]
    repeats, folds = (1, 2) if quick else (2, FOLDS)
    # What takes longest begins first, so that no core stands idle at the end.
    dear = sorted(sets, key=lambda name: -min(load(name).frame.height, ROWS["mlp"]))
    jobs = [
        Job(name, each, repeat, fold)
        for name in sorted(names, key=lambda name: name != "mlp")
        for each in dear
        for repeat in range(repeats)
        for fold in range(folds)
    ]
    found = dict(_scores(jobs, folds, None if quick else KEPT))
    bars: list[Bar] = []
    told: dict[str, Any] = {}
    for name in names:
        held = {each: _judged(name, each, repeats, folds, found) for each in sets}
        told[name] = held
        mean = float(np.mean([told["difference"] for told in held.values()]))
        short = {each: told["difference"] for each, told in held.items() if told["difference"] < -SHORT}
        clear = [each for each, told in held.items() if told["high"] < -SHORT]
        listed = ", ".join(f"{each} {by:+.4f}" for each, by in short.items())
        print(
            f"probes   {name}: mean difference {mean:+.4f} over {len(held)} sets; short by more than {SHORT} "
            f"in {len(short)} ({listed or 'none'}), clearly in {len(clear)}",
            flush=True,
        )
        bars += [
            Bar(f"judge.{name}.short_of_peer", max(-mean, 0.0), SHORT, quick or -mean <= SHORT),
            # One split shows no hundredth: in a quick run the whole interval must lie below.
            Bar(f"judge.{name}.sets_short", len(short), 0, not (clear if quick else short)),
            Bar(f"judge.{name}.sets_clearly_short", len(clear), 0, not clear),
        ]
    if not quick:
        KEPT.unlink(missing_ok=True)
    return bars, told


def _there(name: str) -> bool:
    try:
        load(name)
    except AbsentError as absent:
        print(f"skipped {name}: {absent}")
        return False
    return True


def _installed(name: str, package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        print(f"probes   {name}: {package} is not installed; see benchmarks/requirements.txt")
        return False
    return True


def _scores(jobs: list[Job], folds: int, kept: Path | None) -> Iterator[tuple[Job, tuple[float, float]]]:
    """Give each fold's scores, the probe's and the peer's; those kept first."""
    by = _made_by(folds, {PEERS[job.name].package for job in jobs})
    known = {} if kept is None or not kept.exists() else _read(kept, by)
    done = {job: known[job] for job in jobs if job in known}
    yield from done.items()
    left = [job for job in jobs if job not in done]
    if done:
        print(f"probes   {len(done)} of {len(jobs)} folds were kept by a run before this one")
    begun = perf_counter()
    of_set: dict[tuple[str, str], int] = defaultdict(int)
    for job in left:
        of_set[job[:2]] += 1
    run = Parallel(n_jobs=-1, return_as="generator_unordered", pre_dispatch="2*n_jobs")
    for at, (job, scores, seconds) in enumerate(run(delayed(_fold)(job, folds) for job in left), 1):
        if kept is not None:
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"by": by, "job": job, "scores": scores, "seconds": seconds}) + "\n")
        of_set[job[:2]] -= 1
        if not of_set[job[:2]]:
            print(
                f"         {job.name} {job.set}: done, {at} of {len(left)} folds in "
                f"{perf_counter() - begun:.0f} s",
                flush=True,
            )
        yield job, scores


def _read(kept: Path, by: str) -> dict[Job, tuple[float, float]]:
    """Return what was kept under the same code; a line that a stopped run left unfinished is none."""
    found = {}
    for line in kept.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            continue
        if told["by"] == by:
            found[Job(*told["job"])] = tuple(told["scores"])
    return found


def _made_by(folds: int, peers: set[str]) -> str:
    """Return a hash of all that a score depends on, but the data, whose shape is checked where it is read."""
    here = Path(tilth.__file__).parent
    files = [file for room in MADE_BY for file in (here / room).rglob("*.py")]
    files += [here / "bench" / "metrics.py", Path(__file__), Path(__file__).parent / "datasets.py"]
    seen = hashlib.sha256(json.dumps([folds, [version(p) for p in (*VERSIONS, *sorted(peers))]]).encode())
    for file in sorted(files):
        seen.update(file.read_bytes())
    return seen.hexdigest()


def _judged(
    name: str, each: str, repeats: int, folds: int, found: dict[Job, tuple[float, float]]
) -> dict[str, float]:
    """Print and return a set's scores, and the interval of their difference."""
    scores = np.array([found[Job(name, each, r, f)] for r in range(repeats) for f in range(folds)])
    mine, theirs = scores.mean(axis=0)
    by = corrected_t(scores[:, 0] - scores[:, 1], folds)
    print(
        f"         {name:8s} {each:14s} {mine:.4f}  peer {theirs:.4f}  difference {by.mean:+.4f} "
        f"({by.low:+.4f} to {by.high:+.4f}){'  short' if by.mean < -SHORT else ''}",
        flush=True,
    )
    return {"probe": mine, "peer": theirs, "difference": by.mean, "low": by.low, "high": by.high}


@cache
def _rows(name: str, most: int) -> tuple[pl.DataFrame, np.ndarray]:
    made = load(name, most)
    labeled = made.frame.filter(pl.col(made.target).is_not_null())
    y = (labeled[made.target].rank("dense") - 1).cast(pl.Int64).to_numpy()
    return labeled.drop(made.target), y


def _fold(job: Job, folds: int) -> tuple[Job, tuple[float, float], float]:
    warnings.filterwarnings("ignore")
    begun = perf_counter()
    X, y = _rows(job.set, ROWS[job.name])
    places = StratifiedKFold(folds, shuffle=True, random_state=job.repeat).split(y, y)
    train, test = list(places)[job.fold]
    model = probe(job.name, task="classification", random_state=job.repeat).fit(X[train], y[train])
    answers = (
        model.predict_proba(X[test]),
        PEERS[job.name].said(X[train], y[train], X[test], job.repeat),
    )
    score = METRICS["roc_auc"].score
    mine, theirs = (float(score(y[test], np.asarray(said), np.ones(len(test)))) for said in answers)
    return job, (mine, theirs), perf_counter() - begun


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


class Peer(NamedTuple):
    """Whom a probe is held against."""

    package: str
    said: Callable[[pl.DataFrame, np.ndarray, pl.DataFrame, int], np.ndarray]


PEERS = {"boosting": Peer("lightgbm", lightgbm_said), "mlp": Peer("scikit-learn", tuned_said)}
VERSIONS = ("torch", "numpy", "polars", "scipy", "pandas")
"""Of what else a score can depend on."""
