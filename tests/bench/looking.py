"""One fold of a bench, looked at closer: what the hook hands over, and lines of all folds."""

from __future__ import annotations

from typing import Any

from tilth.bench.answering import Judged
from tilth.bench.arms import run_fold
from tilth.bench.design import Arm, Design
from tilth.bench.trial import plan


def designed(arms: list[Arm], X: Any, y: Any, probes: list[Any], **more: Any) -> Design:
    """Plan a quick bench."""
    asked = {"folds": 3, "repeats": 1, "metric": "auto", "random_state": 0, "allow_fitted": False} | more
    return plan(X, y, None, None, arms=arms, probes=probes, **asked)[0]


def judged(X: Any, y: Any, probe: Any, *stages: Any, **more: Any) -> Judged:
    """Return the probe as it was fitted in the first fold, after these stages."""
    arm = Arm.of("before", list(stages))
    kept: list[Judged] = []

    def keep(found: Judged) -> list[dict[str, Any]]:
        kept.append(found)
        return []

    design = designed([arm], X, y, [probe], **more)
    run_fold(design, [arm], 0, 0, random_drop=False, optional=(), probing=(keep,))
    return kept[0]


def looked(look: Any, X: Any, y: Any, probes: list[Any], before: Any, after: Any, **more: Any) -> Any:
    """Return the design and the lines of a look, over all folds and both arms."""
    arms = [Arm.of("before", before), Arm.of("after", after)]
    design = designed(arms, X, y, probes, **more)
    lines = []
    for repeat in range(len(design.fold_of)):
        for fold in range(design.folds):
            done = run_fold(design, arms, repeat, fold, random_drop=False, optional=(), probing=(look,))
            lines += done.probed
    return design, lines
