"""The probes beside their peers, on public sets: are they instruments good enough to judge by?

Each set is split into 5 stratified folds, twice; both models see the same rows, as the package publishes
them: LightGBM gaps and categories as its own, scikit-learn's MLP one-hot and standardized numbers, its size
and its penalty chosen by 3 inner folds. A difference is the probe's area under the ROC curve less the peer's.

mlp_tuned is the probe with a setting of its own grid, chosen by 3 inner folds as the peer's is: what the
bench does where it is asked to tune. As it comes, mlp has one setting for all sets.

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
    peers = {name: peer for name, peer in PEERS.items() if _installed(name, peer.package)}
    forms = {name: peer.forms[: 1 if quick else None] for name, peer in peers.items()}
    repeats, folds = (1, 2) if quick else (2, FOLDS)
    # What takes longest begins first, so that no core stands idle at the end.
    dear = sorted(sets, key=lambda name: -min(load(name).frame.height, ROWS["mlp"]))
    jobs = [
        Job(name, each, repeat, fold)
        for name in sorted(peers, key=lambda name: name != "mlp")
        for each in dear
        for repeat in range(repeats)
        for fold in range(folds)
    ]
    found = dict(_scores(jobs, folds, forms, None if quick else KEPT))
    bars: list[Bar] = []
    told: dict[str, Any] = {}
    for name, form in ((each, form) for each in peers for form in forms[each]):
        scores = {each: _scores_of(name, form, each, repeats, folds, found) for each in sets}
        held = {each: _judged(form, each, scores[each], folds) for each in sets}
        told[form] = held
        mean = float(np.mean([told["difference"] for told in held.values()]))
        short = {each: told["difference"] for each, told in held.items() if told["difference"] < -SHORT}
        clear = [each for each, told in held.items() if told["high"] < -SHORT]
        listed = ", ".join(f"{each} {by:+.4f}" for each, by in short.items())
        print(
            f"probes   {form}: mean difference {mean:+.4f} over {len(held)} sets; short by more than {SHORT} "
            f"in {len(short)} ({listed or 'none'}), clearly in {len(clear)}",
            flush=True,
        )
        bars += [
            Bar(f"judge.{form}.short_of_peer", max(-mean, 0.0), SHORT, quick or -mean <= SHORT),
            # One split shows no hundredth: in a quick run the whole interval must lie below.
            Bar(f"judge.{form}.sets_short", len(short), 0, not (clear if quick else short)),
            Bar(f"judge.{form}.sets_clearly_short", len(clear), 0, not clear),
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


def _scores(
    jobs: list[Job], folds: int, forms: dict[str, tuple[str, ...]], kept: Path | None
) -> Iterator[tuple[Job, tuple[float, ...]]]:
    """Give each fold's scores, the probe's in each of its forms and the peer's; those kept first."""
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
    for at, (job, scores, seconds) in enumerate(
        run(delayed(_fold)(job, folds, forms[job.name]) for job in left), 1
    ):
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


def _read(kept: Path, by: str) -> dict[Job, tuple[float, ...]]:
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


def _scores_of(
    name: str, form: str, each: str, repeats: int, folds: int, found: dict[Job, tuple[float, ...]]
) -> np.ndarray:
    """Return a set's scores: those of the probe in this form, and the peer's."""
    lines = np.array([found[Job(name, each, r, f)] for r in range(repeats) for f in range(folds)])
    return lines[:, [PEERS[name].forms.index(form), -1]]


def _judged(name: str, each: str, scores: np.ndarray, folds: int) -> dict[str, float]:
    """Print and return a set's mean scores, and the interval of their difference."""
    mine, theirs = scores.mean(axis=0)
    by = corrected_t(scores[:, 0] - scores[:, 1], folds)
    print(
        f"         {name:9s} {each:14s} {mine:.4f}  peer {theirs:.4f}  difference {by.mean:+.4f} "
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


def _fold(job: Job, folds: int, forms: tuple[str, ...]) -> tuple[Job, tuple[float, ...], float]:
    warnings.filterwarnings("ignore")
    begun = perf_counter()
    X, y = _rows(job.set, ROWS[job.name])
    places = StratifiedKFold(folds, shuffle=True, random_state=job.repeat).split(y, y)
    train, test = list(places)[job.fold]
    rows = X[train], y[train], X[test], job.repeat
    answers = [*(probe_said(form, *rows) for form in forms), PEERS[job.name].said(*rows)]
    score, weight = METRICS["roc_auc"].score, np.ones(len(test))
    scores = tuple(float(score(y[test], np.asarray(said), weight)) for said in answers)
    return job, scores, perf_counter() - begun


def probe_said(form: str, X: pl.DataFrame, y: np.ndarray, X_test: pl.DataFrame, seed: int) -> np.ndarray:
    """Return the probe's answer: as it comes, or tuned by its own grid."""
    name, _, tuned = form.partition("_")
    model: Any = probe(name, task="classification", random_state=seed)
    if tuned:
        model = _searched(model, model.grid, y, seed)
    return np.asarray(model.fit(X, y).predict_proba(X_test))


def _searched(model: Any, grid: dict[str, list[Any]], y: np.ndarray, seed: int) -> GridSearchCV:
    scoring = "roc_auc" if len(np.unique(y)) == 2 else "roc_auc_ovr"
    return GridSearchCV(model, grid, scoring=scoring, cv=StratifiedKFold(3, shuffle=True, random_state=seed))


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
    search = _searched(model, GRID, y, seed)
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
    """Whom a probe is held against, and the forms of the probe."""

    package: str
    said: Callable[[pl.DataFrame, np.ndarray, pl.DataFrame, int], np.ndarray]
    forms: tuple[str, ...]


PEERS = {
    "boosting": Peer("lightgbm", lightgbm_said, ("boosting",)),
    "mlp": Peer("scikit-learn", tuned_said, ("mlp", "mlp_tuned")),
}
VERSIONS = ("torch", "numpy", "polars", "scipy", "pandas")
"""Of what else a score can depend on."""
