"""Would more data help? Scores at growing numbers of rows, and what a power law says of more of them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from tilth.bench.answering import answer
from tilth.bench.arms import FoldResult, import_probes, told_by
from tilth.bench.curve_result import SIZED, LearningCurve
from tilth.bench.curve_verdicts import judge
from tilth.bench.design import Arm, Design
from tilth.bench.metrics import METRICS, metrics_of
from tilth.bench.preparing import prepare
from tilth.bench.resume import Kept, key_of
from tilth.bench.subset import with_fewer
from tilth.bench.trial import in_folds, notes_of, plan, tuned_in
from tilth.bench.tuning import Settings, remarks
from tilth.errors import DataError, TilthError
from tilth.statistics.power_law import FEWEST_SIZES

SIZES = 8
"""So many sizes are tried where none are named,"""
SPAN = 16
"""from a sixteenth of the training rows on, each larger than the last by the same factor:"""
FEWEST_ROWS = 20
"""but from no fewer rows than these,"""
FEWEST_OF_CLASS = 2
"""nor from fewer than hold two of the rarest class,"""
SHORTEST = 4
"""nor from more than a quarter of the rows."""
ARM = "curve"


def learning_curve(
    pipe: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    sizes: Sequence[int | float] | None = None,
    probes: Sequence[Any] | None = None,
    folds: int = 5,
    repeats: int = 5,
    metric: str = "auto",
    random_state: int = 0,
    n_jobs: int | None = None,
    allow_fitted: bool = False,
    time: Any = None,
    tune: bool | Mapping[str, Any] = False,
    resume: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> LearningCurve:
    """Tell whether more rows would help, and how much, by a power law with its interval.

    In each fold the pipeline and the probes are fitted on growing draws of the training part, each inside the
    next, and scored on the same test rows. To the errors, ``a + b * rows ** -c`` is fitted. Its intervals
    cover every such curve that the scores allow: where they cannot tell whether it levels off, the interval
    is wide, and the verdict is "cannot tell".

    =====================  =============================================================================
    word                   rule
    =====================  =============================================================================
    more rows would help   with twice the rows, the gain expected is the metric's rope or more (0.005 ROC
                           AUC, 0.01 accuracy, 1 % of a loss or RMSE), and its 95 % interval lies above 0
    flat                   with twice the rows, the whole interval of the gain lies below the rope
    cannot tell            everything else; also where a class has too few rows or the probe is at chance
    =====================  =============================================================================

    Parameters
    ----------
    pipe : None, Stage, list of Stage or (name, Stage), or Pipeline
        None leaves the data as it is. A pipeline's own model judges too, as the probe ``model``.
    X, y, sample_weight, groups, probes, folds, repeats, metric, random_state, n_jobs, allow_fitted, time
        As in `compare`, and so are `resume` and `progress`. A calibration metric, which is best in the
        middle, has no curve. A Table's column of labels that were checked is no feature.
    tune : bool, or mapping of probe to grid
        As in `compare`, for each draw of rows anew: few rows may ask for other settings than many. A draw too
        small for inner folds leaves probes as they are, and the result says so.
    sizes : sequence of int or float, optional
        How many labeled training rows, as counts or as shares of the training part; at least 4. By default 8,
        from a sixteenth of them to all, each larger by the same factor; small data starts with more.

    Returns
    -------
    LearningCurve

    Raises
    ------
    DataError
        Fewer than 4 different sizes, or sizes beyond the training part; as in `compare`.
    LeakageError, StageError, UnknownName
        As in `compare`.

    Source
    ------
    Mukherjee et al. (2003) and Figueroa et al. (2012) for inverse power laws fitted with weights; Hestness et
    al., "Deep learning scaling is predictable, empirically" (2017), for the error that stays; Viering and
    Loog (2023) for what such fits can and cannot tell.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(400, 30))
    >>> y = (X.sum(axis=1) + 4 * np.random.default_rng(1).normal(size=400) > 0).astype(int)
    >>> done = learning_curve(None, X, y, probes=["linear"], repeats=2, n_jobs=1)
    >>> done.sizes
    (20, 30, 44, 66, 98, 145, 215, 320)
    >>> done.curves[0].word
    'more rows would help'
    """
    arm = Arm.of(ARM, pipe)
    design, leaks = plan(
        X,
        y,
        sample_weight,
        groups,
        arms=[arm],
        probes=probes,
        folds=folds,
        repeats=repeats,
        metric=metric,
        random_state=random_state,
        allow_fitted=allow_fitted,
        time=time,
        tune=tune,
        progress=progress,
    )
    for name in design.primary:
        if METRICS[name].ideal is not None:
            raise DataError(
                f"'{name}' is best in the middle: no curve falls toward it. Choose another metric."
            )
    asked = sizes_of(design, sizes)
    run = partial(_run_fold, design, arm, asked)
    if resume is not None:
        kept = Kept.at(resume, key_of(design, [arm], bench="learning curve", sizes=asked))
        run = partial(kept.run, run, _Drawn)
    results = in_folds(run, repeats, folds, n_jobs=n_jobs, progress=progress)
    scores = pl.DataFrame([line for r in results for line in r.scores], schema=SIZED)
    lines = pl.DataFrame([line for r in results for line in r.costs])
    costs = lines.group_by("rows", "probe", maintain_order=True).agg(pl.exclude("rows", "probe").mean())
    lines = pl.DataFrame([line for r in results for line in r.drawn])
    drawn = lines.group_by("rows", "class", maintain_order=True).agg(pl.col("count").mean())
    held = drawn.group_by("rows").agg(pl.col("count").sum()).sort("rows")["count"].to_numpy()
    tuned = tuned_in(results)
    return LearningCurve(
        design.task,
        design.primary,
        folds,
        repeats,
        int(design.labeled.sum()),
        tuple(asked),
        scores,
        [judge(design, scores, name, of, held) for name, _ in design.probes for of in design.primary],
        drawn.clear() if design.task == "regression" else drawn,
        costs,
        leaks,
        [*remarks(design, tuned), *notes_of(results)],
        tuned,
    )


def sizes_of(design: Design, sizes: Sequence[int | float] | None) -> list[int]:
    """Return how many labeled training rows are tried, ascending, from what the caller asked for.

    Raises
    ------
    DataError
        Fewer than 4 different sizes, or one beyond the smallest training part.
    """
    most = min(
        int((part.labeled & (part.fold_of[repeat] != fold)).sum())
        for repeat in range(len(design.fold_of))
        for fold in range(design.folds)
        for part in (design.within(repeat, fold),)
    )
    if sizes is None:
        start: float = max(most / SPAN, FEWEST_ROWS)
        if design.task != "regression":
            counts = np.bincount(design.truth[design.labeled])
            start = max(start, FEWEST_OF_CLASS * counts.sum() / counts.min())
        told = np.geomspace(max(1.0, min(start, most / SHORTEST)), most, SIZES)
    else:
        numbers = all(isinstance(size, Real) and not isinstance(size, bool) for size in sizes)
        given = [float(s) * (1 if isinstance(s, Integral) else most) for s in sizes] if numbers else [0.0]
        if not all(1 <= size <= most for size in given):
            raise DataError(
                f"sizes are {list(sizes)}, but a training part has {most:,} labeled rows: name counts from "
                "1 to that, or shares above 0 up to 1.0."
            )
        told = np.asarray(given, dtype=np.float64)
    found = sorted({round(float(size)) for size in told})
    if len(found) < FEWEST_SIZES:
        raise DataError(
            f"A curve needs at least {FEWEST_SIZES} sizes; {found} of {most:,} labeled training rows are too "
            "few. Name more sizes, ask for more folds, or label more rows."
        )
    return found


@dataclass
class _Drawn(FoldResult):
    """Hold also how many rows of each class were drawn; scores and costs carry `rows` instead of an arm."""

    drawn: list[dict[str, Any]] = field(default_factory=list)


def _run_fold(design: Design, arm: Arm, sizes: list[int], repeat: int, fold: int) -> _Drawn:
    """Fit the pipeline and every probe on each draw of the training part, and score them."""
    done, design = _Drawn(), design.within(repeat, fold)
    import_probes(design)
    with warnings.catch_warnings(record=True) as raised, design.shelf.lent():
        warnings.simplefilter("always")
        for size, fewer in zip(sizes, with_fewer(design, repeat, fold, sizes), strict=True):
            try:
                _run_size(fewer, arm, size, repeat, fold, done)
            except (TilthError, ValueError) as error:
                error.add_note(f"With {size:,} training rows, repeat {repeat + 1}, fold {fold + 1}.")
                raise
    done.notes = told_by(raised)
    return done


def _run_size(design: Design, arm: Arm, size: int, repeat: int, fold: int, done: _Drawn) -> None:
    test = design.fold_of[repeat] == fold
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test)))
    begun = perf_counter()
    ready = prepare(design, arm, train, test)
    prepare_seconds = perf_counter() - begun
    done.relabeled += int(ready.prepared.ledger.account()["relabeled"])
    # The rows fitted on are answered too, behind the test rows, where they look the same to the probe.
    alike = ready.X.schema == ready.X_test.schema
    both = replace(ready, X_test=pl.concat([ready.X_test, ready.X])) if alike else ready
    tested, counts = int(test.sum()), design.weight[test] > 0
    truth, weight = design.truth[test][counts], design.weight[test][counts]
    fitted = np.ones(len(ready.target)) if ready.weight is None else ready.weight
    labels = design.labels.to_list() or ["rows"]
    learned = design.truth[~test & design.labeled]
    held = [len(learned)] if design.task == "regression" else np.bincount(learned, minlength=len(labels))
    done.drawn += [{"rows": size, "class": c, "count": float(n)} for c, n in zip(labels, held, strict=True)]
    arm = replace(arm, name=f"{size:,} rows")
    settings, seed = Settings(), design.seed(repeat, fold)
    settings.choose(design, [arm], train, test, seed)
    for name, estimator in design.probes:
        begun = perf_counter()
        taken = settings.of(arm, name, estimator)
        where = {"probe": name, "arm": arm.name, "repeat": repeat, "fold": fold}
        done.tuned += [where | line for line in taken.lines()]
        told = answer(design, taken.arm, name, taken.estimator, train, test, both, seed)
        done.costs.append(
            {"rows": size, "probe": name, "prepare_seconds": prepare_seconds}
            | {"fit_seconds": taken.seconds + perf_counter() - begun, "rows_trained": float(ready.X.height)}
        )
        for metric in metrics_of(design.task):
            said = told.decided if metric.labels else told.said
            # Stages may have changed class frequencies: those rows are judged by what was fitted to them.
            known = (told.decided if metric.labels else told.raw)[tested:]
            value = metric.score(truth, said[:tested][counts], weight) if counts.any() else math.nan
            weighed = len(known) > 0 and fitted.any()
            on_training = metric.score(ready.target, known, fitted) if weighed else math.nan
            done.scores.append(
                {"probe": name, "metric": metric.name, "rows": size, "repeat": repeat, "fold": fold}
                | {"value": value, "on_training": on_training}
            )
