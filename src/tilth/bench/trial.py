"""Runs the folds: the design is fixed first, then every fold is run, in any number of processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from tilth.bench.arms import FoldResult, Probing, run_fold
from tilth.bench.chaining import forward, times_of
from tilth.bench.clean import codes_of, set_apart
from tilth.bench.design import Arm, Design
from tilth.bench.fitting import augments, made
from tilth.bench.fixed import PARTS, by_draws, kept_for_testing, left_out, only, tested_of
from tilth.bench.folds import Units, assign, strata_of, units_of
from tilth.bench.given import judges, named, own
from tilth.bench.grids import SETTINGS, grids_of, settings_of
from tilth.bench.guard import refuse_fitted
from tilth.bench.leaks import leaks_of
from tilth.bench.metrics import primary_of
from tilth.bench.pictures import default_probes, images_of, stocked, with_images
from tilth.bench.result import COSTS, SCORES
from tilth.bench.resume import Kept
from tilth.bench.slices import SLICED, slices_of
from tilth.bench.verdicts import Facts
from tilth.core import BatchStage, Finding
from tilth.errors import DataError
from tilth.probes.target import encode_classes, read_target, read_values, task_of
from tilth.table import Container, Table

NOTES_SHOWN = 5
Done = TypeVar("Done")


def plan(
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    *,
    arms: Sequence[Arm],
    probes: Sequence[Any] | None,
    folds: int,
    repeats: int,
    metric: str,
    random_state: int,
    allow_fitted: bool,
    time: Any = None,
    slices: Sequence[str] | None = None,
    clean: Any = None,
    tune: Any = False,
    test: Any = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Design, list[Finding]]:
    """Fix everything before the first fold is run: task, primary metric, folds, probes, and images decoded.

    Parameters
    ----------
    time : str or array-like, optional
        Test each block of rows by earlier ones; see `times_of`.
    slices : sequence of str, optional
        The features whose parts are scored by themselves; see `slices_of`.
    clean : str or array-like, optional
        Labels known to be right; see `set_apart`.
    tune : bool or mapping, optional
        The probes that inner folds are to tune; see `grids_of`.
    test : str or array-like, optional
        The rows of one fixed test set; see `kept_for_testing`. `folds` then counts for nothing.

    Raises
    ------
    DataError
        Too few labeled rows or groups for the folds, weights that are negative.
    UnknownName
        A probe or metric of this name does not exist, or a probe has no such parameter.
    LeakageError
        Rows were learned from before; see `refuse_fitted`.
    """
    if folds < 2 or repeats < 1:
        raise DataError(f"folds is {folds} and repeats {repeats}; at least 2 folds and 1 repeat are needed.")
    table, right = set_apart(Table.of(X, y, sample_weight=sample_weight, groups=groups), clean)
    table = replace(table, frame=table.frame.collect().lazy(), container=Container("polars"))
    table, kept = (table, None) if test is None else kept_for_testing(table, test)
    folds = folds if kept is None else PARTS
    probes = judges(probes, table)
    table = with_images(table, [*(probes or ()), *own(arms, table)])
    probes = default_probes(table) if probes is None else probes
    if table.height < folds:
        raise DataError(f"{table.height} rows cannot be split into {folds} folds. Ask for fewer folds.")
    task, truth, labels = _truth(table, folds)
    labeled = np.isfinite(truth) if task == "regression" else truth >= 0
    allowed = refuse_fitted(table, arms, probes, allow_fitted)
    judging = named(probes, arms, table)
    grids = grids_of(tune, judging, arms, task)
    units: Units = units_of(table, folds, progress, fixed=kept is not None)
    strata = np.full(table.height, -1, np.int64)
    strata[labeled] = strata_of(truth[labeled], task, folds)
    fold_of = np.full((repeats, table.height), -1, np.int64)
    places, ordered = (None, []) if time is None else times_of(table, time, folds)
    if kept is not None:
        fold_of[:, kept & labeled] = 0
        ordered = left_out(table, kept, labeled, units.codes)
    for repeat in range(repeats if kept is None else 0):
        known = strata[labeled], units.codes[labeled], table.ids[labeled]
        fold_of[repeat, labeled] = (
            assign(*known, folds, random_state, repeat)
            if places is None
            else forward(places[labeled], folds, repeat, repeats)
        )
    shelf, told = stocked(table, [*judging, *settings_of(judging, grids, task)], progress)
    design = Design(
        table,
        task,
        truth,
        labels,
        _weights(table),
        units.codes,
        strata,
        fold_of,
        judging,
        primary_of(task, metric),
        folds if kept is None else 1,
        random_state,
        tuple(images_of(table)),
        shelf,
        places,
        slices_of(table, truth if kept is None else only(truth, kept), task, folds, slices),
        None if right is None else codes_of(right, task, labels),
        grids,
        kept,
    )
    design.need_parts()
    unlabeled = int((~labeled if kept is None else ~labeled & ~kept).sum())
    if unlabeled:
        message = (
            f"{unlabeled:,} of {table.height:,} rows have no label: stages see them in every training part, "
            "probes learn from those that a stage labels, and none is tested."
        )
        units.findings.append(
            Finding("bench.unlabeled", message, unlabeled / table.height, n_rows=unlabeled, stage="bench")
        )
    found = leaks_of(design, time if isinstance(time, str) else None)
    return design, [*allowed, *ordered, *units.findings, *found, *told, *_batch_stages(arms, judging)]


def _batch_stages(arms: Sequence[Arm], probes: Sequence[tuple[str, Any]]) -> list[Finding]:
    """Say which probes train in batches, which is where batch stages act."""
    staged = [(name, stage) for arm in arms for name, stage in arm.stages if isinstance(stage, BatchStage)]
    batch = sorted({name for name, stage in staged if not stage.on_rows})
    if not batch:
        return []
    with_them = [name for name, estimator in probes if augments(made(name, estimator))]
    without = [name for name, _ in probes if name not in with_them]
    told = f"Batch stages act where a network trains: {', '.join(batch)}."
    if with_them:
        told += f" Judged by {', '.join(with_them)}."
    if without:
        verb = "do" if len(without) > 1 else "does"
        told += (
            f" Not judged by {', '.join(without)}, which {verb} without; stages with the parameter expand "
            "can add rows instead, which every probe judges."
        )
    score = float(len(batch))
    return [Finding("bench.batch_stages", told, score, "info" if with_them else "medium", stage="bench")]


def _truth(table: Table, folds: int) -> tuple[str, np.ndarray, pl.Series]:
    """Read the target: task, class codes (-1: no label) or values (NaN: none), and the classes as text."""
    target = table.need("target", "The bench")
    present = target.is_not_null()
    known = target.filter(present)
    if len(known) < folds:
        raise DataError(
            f"The target '{target.name}' is missing in {len(target) - len(known)} of {len(target)} rows, and "
            f"{len(known)} labeled rows cannot be split into {folds} folds. Ask for fewer, or label more."
        )
    values, at = read_target(known), present.to_numpy()
    if task_of(values) == "regression":
        truth = np.full(len(target), np.nan)
        truth[at] = read_values(values)
        return "regression", truth, pl.Series("label", [], dtype=pl.String)
    if known.n_unique() == 1:
        raise DataError(
            f"bench: the target '{target.name}' has one class, {known[0]!r}, in {len(known)} rows: "
            "nothing can be judged by it. Choose another target, or rows of other classes too."
        )
    codes = np.full(len(target), -1, np.int64)
    codes[at] = encode_classes(values)[1]
    first = np.unique(codes[at], return_index=True)[1]
    labels = known[first].cast(pl.String).alias("label")
    return "binary" if len(labels) <= 2 else "multiclass", codes, labels


def facts_of(design: Design, costs: pl.DataFrame, results: Sequence[FoldResult] = ()) -> Facts:
    """Return what verdicts depend on besides the scores; of one fixed test set what draws of it give."""
    tested = design.labeled if design.test is None else tested_of(design)
    rows = int(tested.sum())
    classes = len(design.labels)
    counts = np.bincount(design.truth[tested], minlength=classes) if classes else np.array([rows])
    lines = [line for r in results for line in r.answers]
    fixed = None if design.test is None else by_draws(design, lines)
    kept = costs.group_by("arm").agg(pl.col("share_kept").mean()).iter_rows()
    return Facts(
        design.task,
        design.primary,
        design.folds,
        len(design.fold_of),
        rows,
        counts,
        {str(a): float(s) for a, s in kept},
        design.ratio,
        fixed,
        len(np.unique(design.units[tested])),
    )


def run_folds(
    design: Design,
    arms: Sequence[Arm],
    *,
    n_jobs: int | None,
    progress: Callable[[str], None] | None,
    random_drop: bool = False,
    optional: Sequence[str] = (),
    probing: Sequence[Probing] = (),
    calibrated: Sequence[str] = (),
    kept: Kept | None = None,
) -> list[FoldResult]:
    """Run all arms in all folds of all repeats; the result does not depend on `n_jobs`.

    Parameters
    ----------
    random_drop, optional, probing, calibrated
        As in `run_fold`.
    kept : Kept, optional
        A folder in which each fold is kept as soon as it is done; what is there already is not run again.
    """
    run: Callable[[int, int], FoldResult] = partial(
        run_fold,
        design,
        tuple(arms),
        random_drop=random_drop,
        optional=tuple(optional),
        probing=tuple(probing),
        calibrated=tuple(calibrated),
    )
    if kept is not None:
        run = partial(kept.run, run, FoldResult)
    return in_folds(run, len(design.fold_of), design.folds, n_jobs=n_jobs, progress=progress)


def in_folds(
    run: Callable[[int, int], Done],
    repeats: int,
    folds: int,
    *,
    n_jobs: int | None,
    progress: Callable[[str], None] | None,
) -> list[Done]:
    """Call ``run(repeat, fold)`` for all folds of all repeats, in any number of processes."""
    from joblib import Parallel, cpu_count, delayed, parallel_config

    places = [(repeat, fold) for repeat in range(repeats) for fold in range(folds)]
    jobs = min(cpu_count() if n_jobs is None or n_jobs == -1 else n_jobs, len(places))
    quiet: Callable[[int, int], Done] = partial(_quietly, run)
    if jobs == 1:
        results: Iterator[Done] = (quiet(*place) for place in places)
        return _gather(results, places, repeats, folds, progress)
    with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1), _one_polars_thread():
        results = Parallel(return_as="generator")(delayed(quiet)(*place) for place in places)
        return _gather(results, places, repeats, folds, progress)


def frames_of(results: Sequence[FoldResult]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the scores line by line, and the costs per arm and probe: means, and the highest memory."""
    scores = pl.DataFrame([line for r in results for line in r.scores], schema=SCORES)
    lines = pl.DataFrame([line for r in results for line in r.costs], schema=COSTS)
    by_arm = lines.group_by("arm", "probe", maintain_order=True)
    costs = by_arm.agg(pl.exclude("arm", "probe", "peak_mb").mean(), pl.col("peak_mb").max())
    return scores, costs


def sliced_in(results: Sequence[FoldResult]) -> pl.DataFrame:
    """Return the scores of slices line by line."""
    return pl.DataFrame([line for r in results for line in r.slices], schema=SLICED)


def tuned_in(results: Sequence[FoldResult]) -> pl.DataFrame:
    """Return what was chosen for probes that were tuned, line by line."""
    return pl.DataFrame([line for r in results for line in r.tuned], schema=SETTINGS)


def notes_of(results: Sequence[FoldResult]) -> list[Finding]:
    """Return the warnings raised inside the folds, each once, and whether labels were changed."""
    findings = []
    relabeled = sum(r.relabeled for r in results)
    if relabeled:
        message = f"Stages changed {relabeled:,} training labels in all; scores are on test labels as given."
        findings.append(Finding("bench.given_labels", message, float(relabeled), "info", stage="bench"))
    notes = list(dict.fromkeys(note for r in results for note in r.notes))
    told = "fits to the training rows" if any(r.answers for r in results) else "folds"
    for note in notes[:NOTES_SHOWN]:
        count = sum(note in r.notes for r in results)
        findings.append(
            Finding(
                "bench.warning", f"In {count} of {len(results)} {told}: {note}", float(count), stage="bench"
            )
        )
    if len(notes) > NOTES_SHOWN:
        more = len(notes) - NOTES_SHOWN
        findings.append(
            Finding("bench.warning", f"{more} further warnings in the {told}.", float(more), stage="bench")
        )
    return findings


def _gather(
    results: Iterator[Done],
    places: Sequence[tuple[int, int]],
    repeats: int,
    folds: int,
    progress: Callable[[str], None] | None,
) -> list[Done]:
    done: list[Done] = []
    for (repeat, fold), result in zip(places, results, strict=True):
        done.append(result)
        if progress is not None:
            within = f", fold {fold + 1} of {folds}" if folds > 1 else ""
            progress(f"repeat {repeat + 1} of {repeats}{within}")
    return done


def _quietly(run: Callable[[int, int], Done], repeat: int, fold: int) -> Done:
    """Run one fold on one thread, as every worker does: sums then round alike for any number of jobs."""
    from threadpoolctl import get_cached_controller

    with get_cached_controller().limit(limits=1):
        return run(repeat, fold)


@contextmanager
def _one_polars_thread() -> Iterator[None]:
    """Let new processes start Polars with one thread: the folds are the parallelism."""
    name = "POLARS_MAX_THREADS"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _weights(table: Table) -> np.ndarray:
    column = table.role("weight")
    if column is None:
        return np.ones(table.height)
    weight = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise DataError(f"Weights in '{column.name}' must be finite and not negative, and not all zero.")
    return weight
