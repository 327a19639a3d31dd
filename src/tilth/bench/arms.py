"""One fold: every arm is prepared once inside the training part, and every probe is tried on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.answering import Answer, Ready, RowsChanged, answer, certain, held_out, prepare
from tilth.bench.design import RANDOM_DROP, TUNED, UNCORRECTED, Arm, Design
from tilth.bench.metrics import METRICS, Metric, metrics_of
from tilth.errors import TilthError
from tilth.probes import probe
from tilth.probes.pictures import UnreadableImages
from tilth.statistics import hash_rows
from tilth.table import Table

INNER_FOLDS = 3
THRESHOLDS = 99


@dataclass
class FoldResult:
    """Hold what one fold gave.

    Parameters
    ----------
    scores, costs : list of dict
        Lines of the frames in `Trial`.
    dropped : int
        Training rows that *after* dropped beyond *before*.
    relabeled : int
        Training labels that any arm changed.
    notes : list of str
        Warnings that were raised on the way, each once.
    failed : dict of arm to str
        Arms that could not be run, and why.
    """

    scores: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    relabeled: int = 0
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run_fold(
    design: Design, arms: Sequence[Arm], repeat: int, fold: int, *, random_drop: bool, optional: Sequence[str]
) -> FoldResult:
    """Run every arm and probe on one fold.

    Parameters
    ----------
    random_drop : bool
        Where the second arm drops more rows than the first, also run the first on as many rows dropped at
        random.
    optional : sequence of str
        Arms that may fail: it is written down instead of raised.

    Raises
    ------
    RowsChanged
        If an arm changed the test rows.
    """
    done = FoldResult()
    import_probes(design)
    test = design.fold_of[repeat] == fold
    frame = design.table.frame.collect()
    train = design.table.with_frame(frame.filter(pl.Series(~test)).lazy())
    kept: dict[str, int] = {}
    with warnings.catch_warnings(record=True) as raised, design.shelf.lent():
        warnings.simplefilter("always")
        for arm in arms:
            try:
                kept[arm.name] = _run_arm(design, arm, train, test, repeat, fold, done)
            except (TilthError, ValueError) as error:
                if arm.name not in optional or isinstance(error, RowsChanged):
                    error.add_note(f"In the '{arm.name}' arm, repeat {repeat + 1}, fold {fold + 1}.")
                    raise
                done.failed[arm.name] = str(error)
        if random_drop:
            before, after = arms[0], arms[1]
            done.dropped = kept[before.name] - kept[after.name]
            if done.dropped > 0:
                words = hash_rows(design.seed(repeat, fold), train.ids)
                stay = np.ones(train.height, dtype=bool)
                labeled = np.flatnonzero(design.labeled[~test])
                stay[labeled[np.argsort(words[labeled], kind="stable")[: done.dropped]]] = False
                fewer = train.with_frame(train.frame.filter(pl.Series(stay)))
                _run_arm(
                    design, Arm(RANDOM_DROP, before.stages, before.model), fewer, test, repeat, fold, done
                )
            else:
                again = [line | {"arm": RANDOM_DROP} for line in done.scores if line["arm"] == before.name]
                done.scores += again
    done.notes = told_by(raised)
    return done


def told_by(raised: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return the warnings that are for the user, each once; unreadable images were told before."""
    told = [w for w in raised if issubclass(w.category, UserWarning)]
    told = [w for w in told if not issubclass(w.category, UnreadableImages)]
    return list(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in told))


def import_probes(design: Design) -> None:
    """Import what the probes need, so that the first arm in a process does not pay for it."""
    for name, estimator in design.probes:
        if estimator is None:
            probe(name)
            if name not in ("linear", "boosting"):
                import_module("tilth.training.trainer")


def _run_arm(
    design: Design, arm: Arm, train: Table, test: NDArray, repeat: int, fold: int, done: FoldResult
) -> int:
    """Add an arm's scores and costs to `done`; return how many of the training rows it kept."""
    labeled = design.labeled & ~test
    begun = perf_counter()
    ready = prepare(design, arm, train, test)
    prepare_seconds = perf_counter() - begun
    kept = _kept(design, train, ready, labeled)
    done.relabeled += int(ready.prepared.ledger.account()["relabeled"])
    # A test row of weight 0 is answered, and counts for nothing.
    counts = design.weight[test] > 0
    truth, weight = design.truth[test][counts], design.weight[test][counts]
    seed = design.seed(repeat, fold)
    where = {"repeat": repeat, "fold": fold}
    for name, estimator in design.probes:
        begun = perf_counter()
        told = answer(design, arm, name, estimator, train, test, ready, seed)
        fit_seconds = perf_counter() - begun
        for of, value in _scored(design, arm, told, counts, truth, weight, bool(ready.prepared.prior)):
            done.scores.append({"probe": name, **where, **of, "value": value})
        done.costs.append(
            {"arm": arm.name, "probe": name, "prepare_seconds": prepare_seconds, "fit_seconds": fit_seconds}
            | {"rows_trained": float(ready.X.height), "share_kept": kept / int(labeled.sum())}
        )
        if arm.name == "before" and design.task == "binary":
            for metric in (METRICS[m] for m in design.primary if METRICS[m].labels and counts.any()):
                cut = _tuned(design, arm, name, estimator, train, test, seed, metric, told.said)
                value = metric.score(truth, cut[counts], weight)
                done.scores.append(
                    {"probe": name, "metric": metric.name, **where, "arm": TUNED, "value": value}
                )
    return kept


def _scored(
    design: Design,
    arm: Arm,
    told: Answer,
    counts: NDArray,
    truth: NDArray,
    weight: NDArray[np.float64],
    shifted: bool,
) -> Iterator[tuple[dict[str, str], float]]:
    """Give the arm's score by each metric, and that of the raw answer where stages shifted the classes."""
    for metric in metrics_of(design.task):
        given = [(arm.name, told.decided if metric.labels else told.said)]
        if shifted and not metric.labels:
            given.append((UNCORRECTED.format(arm=arm.name), told.raw))
        for name, said in given:
            value = metric.score(truth, said[counts], weight) if counts.any() else float("nan")
            yield {"metric": metric.name, "arm": name}, value


def _kept(design: Design, train: Table, ready: Ready, labeled: NDArray) -> int:
    """Count the labeled training rows that an arm kept."""
    rows = np.arange(train.height) if ready.prepared.rows is None else ready.prepared.rows
    ids = train.ids[np.unique(rows[rows >= 0])]
    return int(np.isin(ids, design.table.ids[labeled]).sum())


def _tuned(
    design: Design,
    arm: Arm,
    name: str,
    estimator: Any,
    train: Table,
    test: NDArray,
    seed: int,
    metric: Metric,
    said: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Decide by the threshold that scores best on inner folds of the training part."""
    truth, inner, weight = held_out(design, arm, name, estimator, train, test, seed, INNER_FOLDS)
    asked = np.unique(np.append(np.quantile(inner[:, 1], np.linspace(0.01, 0.99, THRESHOLDS)), 0.5))
    cut = lambda answer, threshold: certain((answer[:, 1] >= threshold).astype(np.int64), 2)
    scores = np.array([metric.score(truth, cut(inner, t), weight) for t in asked])
    best = np.flatnonzero(scores == scores.max())
    return cut(said, asked[best[np.argmin(np.abs(asked[best] - 0.5))]])
