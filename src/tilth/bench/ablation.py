"""What each stage adds: the whole pipeline against the pipeline without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tilth.bench.design import Arm
from tilth.bench.result import Ablation
from tilth.bench.trial import facts_of, frames_of, notes_of, plan, run_folds
from tilth.bench.verdicts import Question, judge
from tilth.errors import StageError

FULL = "full"


def ablate(
    pipe: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    probes: Sequence[Any] | None = None,
    folds: int = 5,
    repeats: int = 5,
    metric: str = "auto",
    random_state: int = 0,
    n_jobs: int | None = None,
    allow_fitted: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Ablation:
    """Leave out one stage at a time, on the same folds, and tell what each stage adds.

    Two stages that do the same work each look useless here, because the other is still in place. A stage
    without which a later one cannot run is not testable, and the verdict says why.

    Parameters
    ----------
    pipe : Pipeline, or list of Stage or (name, Stage)
    X, y, sample_weight, groups, probes, folds, repeats, metric, random_state, n_jobs, allow_fitted, progress
        As in `compare`.

    Returns
    -------
    Ablation
        One verdict per stage, probe and primary metric; p values are Holm's over all of them. A difference
        above 0 means that the stage helps.

    Raises
    ------
    StageError
        The pipeline has no stages, or changed the test rows.
    DataError
        As in `compare`.

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
    names = [name for name, _ in full.stages]
    without = {name: f"without {name}" for name in names}
    arms = [full]
    arms += [Arm(without[n], tuple(s for s in full.stages if s[0] != n), full.model) for n in names]
    design, leaks = plan(
        X,
        y,
        sample_weight,
        groups,
        arms=arms,
        probes=probes,
        folds=folds,
        repeats=repeats,
        metric=metric,
        random_state=random_state,
        allow_fitted=allow_fitted,
        progress=progress,
    )
    testable = design.task == "regression" or len(design.labels) > 1
    results = (
        run_folds(design, arms, n_jobs=n_jobs, progress=progress, optional=list(without.values()))
        if testable
        else []
    )
    scores, costs = frames_of(results)
    failed = {arm: why for r in results for arm, why in r.failed.items()}
    questions = [
        Question(
            without[name],
            FULL,
            stage=name,
            obstacle=f"Without it the pipeline cannot run: {failed[without[name]]}"
            if without[name] in failed
            else "",
        )
        for name in names
    ]
    verdicts = judge(scores, questions, [name for name, _ in design.probes], facts_of(design, costs))
    rows = design.table.height
    return Ablation(
        design.task,
        design.primary,
        folds,
        repeats,
        rows,
        scores,
        verdicts,
        costs,
        leaks,
        notes_of(results),
        tuple(names),
    )
