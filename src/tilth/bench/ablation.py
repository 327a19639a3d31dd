"""What each stage adds: left out of the pipeline, taken alone, or on average over all ways of adding it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tilth.bench.ablation_result import Ablation, Method
from tilth.bench.asking import FULL, asking
from tilth.bench.design import Arm
from tilth.bench.resume import Kept, key_of
from tilth.bench.trial import facts_of, frames_of, notes_of, plan, run_folds, sliced_in
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
    slices: Sequence[str] | None = None,
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
    time, slices, resume
        As in `compare`. No slice guards a Shapley value.

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
        slices=slices,
        progress=progress,
    )
    way.check(design)
    kept = None if resume is None else Kept.at(resume, key_of(design, way.arms, bench=f"ablate, {method}"))
    testable = design.task == "regression" or len(design.labels) > 1
    results = (
        run_folds(design, way.arms, n_jobs=n_jobs, progress=progress, optional=way.optional, kept=kept)
        if testable
        else []
    )
    scores, costs = frames_of(results)
    failed = {arm: why for r in results for arm, why in r.failed.items()}
    asked = way.ask(scores, facts_of(design, costs), failed, design)
    parts = sliced_in(results)
    names = [name for name, _ in design.probes]
    verdicts = judge(asked.scores, asked.questions, names, asked.facts, parts)
    return Ablation(
        design.task,
        design.primary,
        folds,
        repeats,
        design.table.height,
        scores,
        verdicts,
        costs,
        leaks,
        [*asked.remarks, *notes_of(results)],
        tuple(name for name, _ in full.stages),
        method,
        asked.credits,
        asked.gap,
        slices=parts,
    )
