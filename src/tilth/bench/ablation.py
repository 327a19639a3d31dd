"""What each stage adds: left out of the pipeline, taken alone, or on average over all ways of adding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tilth.bench.ablation_result import Ablation, Method
from tilth.bench.asking import FULL, asking
from tilth.bench.calibrating import calibration_of, probabilities_of
from tilth.bench.clean import CLEANED, by_labels, said_by_both
from tilth.bench.design import Arm
from tilth.bench.fixed import check_options
from tilth.bench.leaks import noted
from tilth.bench.mcnemar import mcnemar_of
from tilth.bench.recalls import fallen, recalls_of
from tilth.bench.resume import Kept, key_of
from tilth.bench.trial import facts_of, frames_of, notes_of, plan, run_folds, sliced_in, tuned_in
from tilth.bench.tuning import remarks
from tilth.bench.verdicts import judge
from tilth.errors import StageError


def ablate(
    pipe: Any,
    X: Any,
    y: Any = None,
    *,
    method: Method = "leave_one_out",
    permutations: int = 200,
    sample_weight: Any = None,
    groups: Any = None,
    probes: Sequence[Any] | None = None,
    folds: int = 5,
    repeats: int = 5,
    metric: str = "auto",
    random_state: int = 0,
    n_jobs: int | None = None,
    allow_fitted: bool = False,
    time: Any = None,
    test: Any = None,
    slices: Sequence[str] | None = None,
    clean: Any = None,
    tune: bool | Mapping[str, Any] = False,
    resume: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Ablation:
    """Run recipes of some of the stages on the same folds, and tell what each stage adds.

    =================  ===================================================================================
    method             what a stage's gain is
    =================  ===================================================================================
    ``leave_one_out``  the whole pipeline against the pipeline without it. Two stages that do the same
                       work each look useless: the other is still in place
    ``add_one``        the stage alone against no stage. Two stages that do the same work each look useful
    ``shapley``        its Shapley value: what it adds on average over all orders in which stages could be
                       added one by one. The values add up to the gain of the whole pipeline
    =================  ===================================================================================

    Whichever stages a recipe has, it runs them in the pipeline's order. In each fold, recipes that begin with
    the same stages share the fit of these, and recipes that prepare the same rows share the fit of the
    probes: scores are those of running each recipe by itself, bit by bit.

    A stage without which a later one cannot run is not testable by leaving it out, and a stage that cannot
    run alone is not by adding it; the verdict says why. Shapley values are averages over the orders that can
    run. Up to 6 stages all recipes are run (64 of 6 stages); beyond, orders are drawn, and the intervals hold
    what drawing leaves open.

    Parameters
    ----------
    pipe : Pipeline, or list of Stage or (name, Stage)
    method : {'leave_one_out', 'add_one', 'shapley'}
    permutations : int
        Orders drawn for Shapley values of more than 6 stages: an even number, at least 4. Half are drawn, and
        each is also run backwards, which makes the values steadier.
    X, y, sample_weight, groups, probes, folds, repeats, metric, random_state, n_jobs, allow_fitted, progress
        As in `compare`. Shapley values need a metric whose gains add up: not the slope or intercept of
        calibration.
    time, slices, tune, resume
        As in `compare`. No slice guards a Shapley value.
    test
        As in `compare`. Not with Shapley values.
    clean : str or array-like of shape (n_rows,), optional
        As in `compare`: what each stage gains by these labels and by those given, asked in the same way, is
        in `controls`.

    Returns
    -------
    Ablation
        One verdict per stage, probe and primary metric; p values are Holm's over all of them. A difference
        above 0 means that the stage helps.

    Raises
    ------
    StageError
        The pipeline has no stages, or changed the test rows.
    UnknownName
        There is no such method; as in `compare`.
    DataError
        The folder holds the folds of another bench; as in `compare`.

    Source
    ------
    Shapley, "A value for n-person games" (1953); Castro et al. (2009) for drawing orders, Mitchell et al.
    (2022) for drawing each with its reverse; Faigle and Kern (1992) where some orders are not feasible.

    Examples
    --------
    >>> import numpy as np
    >>> from tilth.stages.scale.standard import ScaleStandard
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = (X[:, 0] + X[:, 1] > 0).astype(int)
    >>> done = ablate([ScaleStandard()], X, y, probes=["linear"], repeats=2, n_jobs=1)
    >>> done.table().select("stage", "word").rows()
    [('scale.standard', 'no difference')]
    """
    check_options(test, time, **{"method='shapley'": method == "shapley"})
    full = Arm.of(FULL, pipe)
    if not full.stages:
        raise StageError("The pipeline has no stages, so there is nothing to leave out.")
    way = asking(method, full, permutations, random_state)
    design, leaks = plan(
        X,
        y,
        sample_weight,
        groups,
        arms=way.arms,
        probes=probes,
        folds=folds,
        repeats=repeats,
        metric=metric,
        random_state=random_state,
        allow_fitted=allow_fitted,
        time=time,
        test=test,
        slices=slices,
        clean=clean,
        tune=tune,
        progress=progress,
    )
    way.check(design)
    kept = None if resume is None else Kept.at(resume, key_of(design, way.arms, bench=f"ablate, {method}"))
    testable = design.task == "regression" or len(design.labels) > 1
    told: dict[str, Any] = {"optional": way.optional, "calibrated": way.calibrated, "kept": kept}
    results = run_folds(design, way.arms, n_jobs=n_jobs, progress=progress, **told) if testable else []
    scores, costs = frames_of(results)
    failed = {arm: why for r in results for arm, why in r.failed.items()}
    facts = facts_of(design, costs, results)
    ask = partial(way.ask, facts=facts, failed=failed, design=design)
    asked = ask(scores)
    parts = sliced_in(results)
    tuned = tuned_in(results)
    cells = [line for r in results for line in r.cells]
    names = [name for name, _ in design.probes]
    verdicts = noted(judge(asked.scores, asked.questions, names, asked.facts, parts), leaks)
    by_clean = pl.DataFrame([line for r in results for line in r.clean], schema=CLEANED)
    pairs = [(q.stage, q.before, q.after) for q in asked.questions if not q.obstacle]
    recalls = recalls_of(asked.scores, pairs, names, asked.facts, design.labels)
    made = by_labels(by_clean, lambda told: ask(told).scores)
    gained = said_by_both(made, design, names, pairs, facts.estimator)
    checked = mcnemar_of(results, design, asked.questions, verdicts)
    return Ablation(
        design.task,
        design.primary,
        design.folds,
        repeats,
        design.table.height,
        scores,
        verdicts,
        costs,
        leaks,
        [*remarks(design, tuned), *fallen(recalls), *checked, *gained, *asked.remarks, *notes_of(results)],
        tuple(name for name, _ in full.stages),
        method,
        asked.credits,
        asked.gap,
        slices=parts,
        clean=by_clean,
        tuned=tuned,
        calibration=calibration_of(cells),
        probabilities=probabilities_of(cells),
        recalls=recalls,
        tested=None if design.test is None else facts.rows,
    )
