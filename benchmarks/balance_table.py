"""Try what is done about rare classes on real sets: every treatment and probe on the same folds.

What takes long, the answers of fitted probes, is kept on disk fold by fold; what is made of the answers,
scores, intervals and words, is computed anew from them every time.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bars import Bar
from datasets import AbsentError, load

SETS = (
    # Numbers and categories.
    "adult", "credit_data", "lending_club", "crashes", "hmda", "email", "stackoverflow", "abalone17",
    "car_good",
    # Numbers only.
    "caravan", "page_blocks", "yeast4", "ecoli3", "vowel0", "red_wine4", "pc1", "satellite", "letter",
)  # fmt: skip
QUICK_SETS = ("hmda", "ecoli3")
RARE = {"satellite": "damp grey soil", "letter": "Z"}
"""The class that is set against all others, where a set has more than two."""
GIVEN_AWAY = {"crashes": ("injSeverity",)}
"""Columns that tell the target, and are known too late to be asked."""
MOST_ROWS, QUICK_ROWS = 1500, 500
FOLDS, REPEATS, QUICK_FOLDS = 4, 2, 3
INNER_FOLDS = 3
PROBES, QUICK_PROBES = ("linear", "boosting", "mlp"), ("linear", "boosting")

NONE, MIXED, SMOTE, THRESHOLD = "none", "SMOTENC", "SMOTE", "threshold"
TREATMENTS: dict[str, list[dict[str, Any]]] = {
    NONE: [],
    "weight": [{"balance.weight": {}}],
    "random over": [{"balance.over": {}}],
    "random under": [{"balance.under": {"method": "random"}}],
    SMOTE: [{"encode.category": {}}, {"balance.smote": {}}],
    MIXED: [{"balance.smote": {}}],
}
"""Recipe lines. A moved threshold needs none: it decides otherwise on what `none` answers."""
LABELS = ("balanced_accuracy", "f1")
SAID = ("roc_auc", "pr_auc", "log_loss", "ece")
TURNED = ("log_loss", "ece")
"""Scores of probabilities that turning them back to the class frequencies changes; ranks it leaves."""


@dataclass(frozen=True)
class Case:
    """Hold one set as it is judged.

    Parameters
    ----------
    name : str
    design : tilth.bench.design.Design
        The rows, their folds and the probes; class 1 is the rare one.
    treatments : tuple of str
        Those that are fitted: on numbers alone SMOTENC is SMOTE.
    about : dict
        What the report says of it.
    """

    name: str
    design: Any
    treatments: tuple[str, ...]
    about: dict[str, Any]

    def stands_for(self) -> dict[str, str]:
        """Return, for each treatment that is scored, the one that was fitted for it."""
        fitted = {treatment: treatment for treatment in self.treatments}
        return fitted | ({MIXED: SMOTE} if SMOTE in fitted and MIXED not in fitted else {})


def table(quick: bool, figures: dict[str, Any], *, jobs: int, cache: Path, fresh: bool) -> list[Bar]:
    """Fit what the cache does not hold, score it, compare, and write the report."""
    from balance_claims import claims_of
    from balance_report import publish

    if fresh:
        shutil.rmtree(cache, ignore_errors=True)
    cases = list(_cases(quick))
    fit(cases, cache, jobs)
    scores = pl.concat([scored(case, cache) for case in cases])
    claims = claims_of(scores, folds=cases[0].design.folds)
    told = {
        "sets": [case.about for case in cases],
        "rows_at_most": QUICK_ROWS if quick else MOST_ROWS,
        "folds": cases[0].design.folds,
        "repeats": len(cases[0].design.fold_of),
        "inner_folds": INNER_FOLDS,
        "treatments": TREATMENTS,
        "probes": [name for name, _ in cases[0].design.probes],
    }
    figures["table"] = publish(told, scores, claims, write=not quick)
    finite = float(np.mean([np.isfinite([c["mean"], c["low"], c["high"]]).all() for c in claims]))
    goal = len(QUICK_SETS) if quick else 15
    mixed = sum(case.about["categories"] > 0 for case in cases)
    return [
        Bar("balance.table.sets", len(cases), goal, len(cases) >= goal),
        Bar("balance.table.sets_with_categories", mixed, 1 if quick else 5, mixed >= (1 if quick else 5)),
        Bar("balance.table.finite_intervals", finite, 1, finite == 1),
        Bar("balance.table.claims_corrected_by_holm", len(claims), 1, all("holm" in c for c in claims)),
    ]


def _cases(quick: bool) -> Iterator[Case]:
    for name in QUICK_SETS if quick else SETS:
        try:
            yield case_of(name, quick)
        except AbsentError as absent:
            print(f"skipped {name}: {absent}")


def case_of(name: str, quick: bool = False) -> Case:
    """Read a set, take as many rows of each class as its share of `MOST_ROWS`, and fix its folds."""
    from tilth.bench.trial import plan
    from tilth.table import kind_of

    data = load(name)
    rare = RARE.get(name, data.y.value_counts().sort("count")[data.target][0])
    X = data.X.drop(GIVEN_AWAY.get(name, ()))
    y = (data.y == rare).alias("rare")
    rows = drawn(y.to_numpy(), QUICK_ROWS if quick else MOST_ROWS)
    X, y = X[rows], y.gather(rows)
    design, findings = plan(
        X, y, None, None, arms=(), metric="auto", random_state=0, allow_fitted=False,
        probes=QUICK_PROBES if quick else PROBES,
        folds=QUICK_FOLDS if quick else FOLDS,
        repeats=1 if quick else REPEATS,
    )  # fmt: skip
    kinds = [kind_of(dtype) for dtype in X.dtypes]
    categories = sum(kind == "categorical" for kind in kinds)
    treatments = tuple(t for t in TREATMENTS if t != MIXED or categories)
    about = {
        "set": name, "package": data.package, "rows": X.height, "of": data.frame.height,
        "rare": int(y.sum()), "share": float(y.mean()), "numbers": X.width - categories,
        "categories": categories, "known": data.known,
        "folds": [f.message for f in findings],
    }  # fmt: skip
    return Case(name, design, treatments, about)


def drawn(rare: np.ndarray, most: int, random_state: int = 0) -> np.ndarray:
    """Return positions of at most so many rows, of each class in its share, in their order."""
    if len(rare) <= most:
        return np.arange(len(rare))
    random = np.random.default_rng(random_state)
    wanted = round(most * float(rare.mean()))
    kept = [
        random.choice(np.flatnonzero(rare == which), count, replace=False)
        for which, count in ((True, wanted), (False, most - wanted))
    ]
    return np.sort(np.concatenate(kept))


def fit(cases: Sequence[Case], cache: Path, jobs: int) -> None:
    """Compute and keep the answers that are not in the cache yet, repeat by repeat."""
    from joblib import Parallel, delayed, parallel_config

    wanted = [
        (case, treatment, repeat, fold)
        for repeat in range(len(cases[0].design.fold_of))
        for case in cases
        for fold in range(case.design.folds)
        for treatment in case.treatments
        if not place(cache, case, treatment, repeat, fold).is_file()
    ]
    if not wanted:
        return
    print(f"table: {len(wanted)} cells to fit; kept in {cache}", flush=True)
    # A new process takes its folders from here, and one thread each: the cells are the parallelism.
    here = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    os.environ["POLARS_MAX_THREADS"] = "1"
    begun, told = time.perf_counter(), time.perf_counter()
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
        done = Parallel(return_as="generator")(delayed(_keep)(*cell, cache) for cell in wanted)
        for count, (cell, _) in enumerate(zip(wanted, done, strict=True), 1):
            if time.perf_counter() - told > 30 or count == len(wanted):
                told = time.perf_counter()
                left = (told - begun) / count * (len(wanted) - count)
                print(
                    f"table: {count} of {len(wanted)} cells, {cell[0].name}; {left / 60:.0f} min left",
                    flush=True,
                )


def place(cache: Path, case: Case, treatment: str, repeat: int, fold: int) -> Path:
    """Name the file of a cell, which changes with all that its content is known to depend on."""
    from tilth.stages import find

    design = case.design
    files = [getsourcefile(find(key)) for line in TREATMENTS[treatment] for key in line]
    settings = {
        "rows": design.table.frame.collect().hash_rows(seed=1).sum(),
        "folds": [design.folds, INNER_FOLDS, design.random_state],
        "treatment": TREATMENTS[treatment],
        "probes": [name for name, _ in design.probes],
        "code": [_code(Path(str(file)).read_text(encoding="utf-8")) for file in files],
        "versions": [version(name) for name in ("tilth", "numpy", "polars", "scikit-learn", "torch")],
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    return cache / case.name / f"{treatment.replace(' ', '-')}-{repeat}-{fold}-{key}.npz"


def _code(source: str) -> str:
    """Digest what a file does, whatever its comments and docstrings say."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _keep(case: Case, treatment: str, repeat: int, fold: int, cache: Path) -> None:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = answers(case, treatment, repeat, fold)
    file = place(cache, case, treatment, repeat, fold)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.tmp")
    with partial.open("wb") as stream:
        np.savez(stream, **made)
    partial.replace(file)


def answers(case: Case, treatment: str, repeat: int, fold: int) -> dict[str, np.ndarray]:
    """Return what each probe says of the test rows, and of the training rows held out in inner folds.

    Returns
    -------
    dict of ``<probe>.raw``, ``<probe>.said``, ``<probe>.inner``: ndarray
        The rare class's probability: as fitted; turned back to the class frequencies there were; and the
        latter for the training rows. And ``rows``: how many were trained on.
    """
    from tilth.bench.answering import answer, held_out, prepare
    from tilth.bench.design import Arm
    from tilth.stages import stage

    design = case.design
    steps = [(key, stage(key, **given)) for line in TREATMENTS[treatment] for key, given in line.items()]
    arm = Arm(treatment, tuple(steps))
    test = design.fold_of[repeat] == fold
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test))).collect()
    seed = design.seed(repeat, fold)
    ready = prepare(design, arm, train, test)
    made: dict[str, np.ndarray] = {"rows": np.array(ready.X.height)}
    for name, _ in design.probes:
        told = answer(design, arm, name, None, train, test, ready, seed)
        made[f"{name}.raw"], made[f"{name}.said"] = told.raw[:, 1], told.said[:, 1]
        made[f"{name}.inner"] = held_out(design, arm, name, None, train, test, seed, INNER_FOLDS)[1][:, 1]
    return made


def scored(case: Case, cache: Path) -> pl.DataFrame:
    """Score every cell of a set.

    Returns
    -------
    DataFrame
        One line per treatment, probe, repeat, fold and score: ``roc_auc``, ``pr_auc``; ``log_loss`` and
        ``ece`` raw, and ``, corrected``; ``balanced_accuracy`` and ``f1`` ``at 0.5`` of the raw answer, and
        ``tuned``: at the threshold that `balance.threshold` chooses on the inner folds.
    """
    design, lines = case.design, []
    for repeat in range(len(design.fold_of)):
        for fold in range(design.folds):
            for treatment, fitted in case.stands_for().items():
                with np.load(place(cache, case, fitted, repeat, fold), allow_pickle=False) as held:
                    told = dict(held)
                test = design.fold_of[repeat] == fold
                where = {"set": case.name, "treatment": treatment, "repeat": repeat, "fold": fold}
                for name, _ in design.probes:
                    said = (told[f"{name}.{which}"] for which in ("raw", "said", "inner"))
                    scores = scores_of(design.truth[test], design.truth[~test], *said)
                    lines += [{**where, "probe": name, "score": s, "value": v} for s, v in scores.items()]
                    rows = float(told["rows"])
                    lines.append({**where, "probe": name, "score": "rows trained on", "value": rows})
    return pl.DataFrame(lines)


def scores_of(
    truth: np.ndarray, truth_inside: np.ndarray, raw: np.ndarray, said: np.ndarray, inner: np.ndarray
) -> dict[str, float]:
    """Score one cell.

    Parameters
    ----------
    truth, truth_inside : ndarray of int
        Of the test rows and of the training rows.
    raw, said, inner : ndarray of float
        As in `answers`.
    """
    from tilth.bench.metrics import METRICS
    from tilth.statistics import deciding

    worth = {"balanced_accuracy": deciding.balanced_accuracy, "f1": lambda told: deciding.f1(told)[..., 1]}
    weight = np.ones(len(truth))
    both = lambda p: np.column_stack([1 - p, p])
    scores = {name: METRICS[name].score(truth, both(raw), weight) for name in SAID}
    for name in TURNED:
        scores[f"{name}, corrected"] = METRICS[name].score(truth, both(said), weight)
    for name in LABELS:
        found = deciding.best_factors(truth_inside, both(inner), np.ones(len(inner)), worth[name])
        decided = deciding.decide(both(said), found.factors)
        scores[f"{name} at 0.5"] = METRICS[name].score(truth, both((raw > 0.5).astype(float)), weight)
        scores[f"{name} tuned"] = METRICS[name].score(truth, np.eye(2)[decided], weight)
    return scores


if __name__ == "__main__":
    sys.exit("Run `python benchmarks/balance.py table`.")
