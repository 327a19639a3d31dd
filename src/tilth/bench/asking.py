"""The ways to ask what a stage adds: which recipes are run, and which of them are held against each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.ablation_result import CREDITS, Method
from tilth.bench.design import Arm, Design
from tilth.bench.metrics import METRICS, Metric, metrics_of
from tilth.bench.recalls import recalls_in
from tilth.bench.result import SCORES
from tilth.bench.shapley import Orders
from tilth.bench.statistics import corrected_t
from tilth.bench.verdicts import Facts, Question, pivot
from tilth.core import Finding
from tilth.errors import DataError, UnknownName

FULL, NONE = "full", "none"


@dataclass(frozen=True)
class Asked:
    """Hold what verdicts are made from.

    Parameters
    ----------
    scores : DataFrame
        As in `Trial`; arms may be added that were made up to be asked about.
    questions : list of Question
    facts : Facts
    credits : DataFrame, optional
        As in `Ablation`.
    gap : float, optional
    remarks : tuple of Finding
    """

    scores: pl.DataFrame
    questions: list[Question]
    facts: Facts
    credits: pl.DataFrame | None = None
    gap: float | None = None
    remarks: tuple[Finding, ...] = ()


class Asking(Protocol):
    """Choose the recipes of an ablation, and ask about their scores."""

    arms: list[Arm]
    optional: list[str]
    calibrated: list[str]

    def check(self, design: Design) -> None:
        """Raise where this way gives no answer."""

    def ask(self, scores: pl.DataFrame, facts: Facts, failed: Mapping[str, str], design: Design) -> Asked:
        """Return what is to be judged."""


def asking(method: str, full: Arm, permutations: int, random_state: int) -> Asking:
    """Return the way to ask, by its name.

    Raises
    ------
    UnknownName
        There is none of this name.
    DataError
        `permutations` is odd, or below 4.
    """
    if method not in get_args(Method):
        raise UnknownName.among("method of ablation", method, get_args(Method))
    whole = isinstance(permutations, int) and not isinstance(permutations, bool)
    if not whole or permutations < 4 or permutations % 2:
        raise DataError(
            f"permutations is {permutations!r}. Pass an even number, at least 4: half of them are drawn, and "
            "each of those is also run backwards."
        )
    if method == "shapley":
        return Shapley(full, Orders.of(len(full.stages), permutations, random_state))
    return LeaveOneOut(full) if method == "leave_one_out" else AddOne(full)


class LeaveOneOut:
    """Ask what is lost without a stage: all against all but one."""

    def __init__(self, full: Arm) -> None:
        self.without = {name: f"without {name}" for name, _ in full.stages}
        parts = [part(full, arm, lambda name, out=out: name != out) for out, arm in self.without.items()]
        self.arms = [full, *parts]
        self.optional = list(self.without.values())
        self.calibrated = [arm.name for arm in self.arms]

    def check(self, design: Design) -> None:
        """Accept any design."""

    def ask(self, scores: pl.DataFrame, facts: Facts, failed: Mapping[str, str], design: Design) -> Asked:
        """Hold the whole pipeline against the one without each stage."""
        why = _obstacles(self.without, failed, "Without it the pipeline cannot run")
        told = [Question(arm, FULL, stage=s, obstacle=why[s]) for s, arm in self.without.items()]
        return Asked(scores, told, facts)


class AddOne:
    """Ask what a stage gains alone: one against none."""

    def __init__(self, full: Arm) -> None:
        self.only = {name: f"only {name}" for name, _ in full.stages}
        parts = [part(full, arm, lambda name, one=one: name == one) for one, arm in self.only.items()]
        self.arms = [part(full, NONE, lambda name: False), *parts]
        self.optional = list(self.only.values())
        self.calibrated = [arm.name for arm in self.arms]

    def check(self, design: Design) -> None:
        """Accept any design."""

    def ask(self, scores: pl.DataFrame, facts: Facts, failed: Mapping[str, str], design: Design) -> Asked:
        """Hold each stage alone against no stage."""
        why = _obstacles(self.only, failed, "Alone it cannot run")
        told = [Question(NONE, arm, stage=s, obstacle=why[s]) for s, arm in self.only.items()]
        return Asked(scores, told, facts)


class Shapley:
    """Ask which share of the pipeline's gain a stage is credited with, on average over orders of joining.

    The pipeline is held against itself less that share: an arm that is made up, score by score.
    """

    def __init__(self, full: Arm, orders: Orders) -> None:
        self.stages = [name for name, _ in full.stages]
        self.orders = orders
        self.arm_of = {recipe: self._called(recipe) for recipe in orders.recipes()}
        place = {name: i for i, name in enumerate(self.stages)}
        self.arms = [
            part(full, arm, lambda name, recipe=recipe: bool(recipe >> place[name] & 1))
            for recipe, arm in self.arm_of.items()
        ]
        self.optional = [arm for arm in self.arm_of.values() if arm != FULL]
        # Of many recipes: all others are run for their scores alone.
        self.calibrated = [NONE, FULL]

    def _called(self, recipe: int) -> str:
        if recipe == self.orders.full:
            return FULL
        inside = [name for i, name in enumerate(self.stages) if recipe >> i & 1]
        return f"only {' + '.join(inside)}" if inside else NONE

    def check(self, design: Design) -> None:
        """Refuse metrics whose gains do not add up.

        Raises
        ------
        DataError
            The primary metric is best in the middle.
        """
        for name in design.primary:
            if METRICS[name].ideal is not None:
                raise DataError(
                    f"'{name}' is best in the middle: gains by it do not add up, so that no stage can be "
                    "credited with a share. Choose another metric, or the method leave_one_out."
                )

    def ask(self, scores: pl.DataFrame, facts: Facts, failed: Mapping[str, str], design: Design) -> Asked:
        """Hold the pipeline against itself less what each stage is credited with."""
        running = {recipe for recipe, arm in self.arm_of.items() if arm not in failed}
        kept = {r: np.array([facts.share_kept.get(arm, 1.0)]) for r, arm in self.arm_of.items()}
        share = self.orders.shares(kept, running)
        less = {name: f"{FULL} less {name}" for name in self.stages}
        if share is None:
            why = f"No order of adding stages one by one can run: {next(iter(failed.values()))}"
            return Asked(scores, [Question(arm, FULL, s, why) for s, arm in less.items()], facts)
        lost = zip(less.values(), share.values[:, 0], strict=True)
        kept_less = {arm: float(kept[self.orders.full][0] - value) for arm, value in lost}
        made: list[dict[str, Any]] = []
        credits: list[dict[str, Any]] = []
        gaps = [0.0]
        held = pivot(scores)
        metrics = [*metrics_of(design.task), *recalls_in(design.labels)]
        for probe, _ in design.probes:
            for metric in (m for m in metrics if m.ideal is None):
                worth = self._worth(held, probe, metric, running)
                if worth is None:
                    continue
                found = self.orders.shares(worth, running)
                assert found is not None
                gaps.append(float(np.abs(found.values.sum(axis=0) - worth[self.orders.full]).max()))
                size = float(np.abs(held[probe, metric.name, FULL]).max())
                values = _with_sampling(found.values, found.sampling, facts, size)
                credits += self._credits(probe, metric, values, found.sampling, facts, size)
                made += self._made(scores, probe, metric, values)
        return Asked(
            pl.concat([scores, pl.DataFrame(made, schema=SCORES)]),
            [Question(arm, FULL, stage=name) for name, arm in less.items()],
            replace(facts, share_kept={**facts.share_kept, **kept_less}),
            pl.DataFrame(credits, schema=CREDITS),
            max(gaps),
            (self._remark(failed, share.orders, max(gaps)),),
        )

    def _worth(
        self, held: Mapping[tuple[str, str, str], NDArray], probe: str, metric: Metric, running: set[int]
    ) -> dict[int, NDArray[np.float64]] | None:
        """Return what each recipe gains over none, score by score; None where a score is undefined."""
        if (probe, metric.name, NONE) not in held:
            return None
        none = held[probe, metric.name, NONE]
        worth = {r: metric.gain(none, held[probe, metric.name, self.arm_of[r]]) for r in sorted(running)}
        return worth if all(np.isfinite(gains).all() for gains in worth.values()) else None

    def _made(
        self, scores: pl.DataFrame, probe: str, metric: Metric, values: NDArray[np.float64]
    ) -> list[dict[str, Any]]:
        """Make up the pipeline's scores less what each stage is credited with."""
        lines = scores.filter(probe=probe, metric=metric.name, arm=FULL).sort("repeat", "fold").to_dicts()
        sign = 1.0 if metric.higher else -1.0
        return [
            line | {"arm": f"{FULL} less {name}", "value": line["value"] - sign * float(value)}
            for name, credited in zip(self.stages, values, strict=True)
            for line, value in zip(lines, credited, strict=True)
        ]

    def _credits(
        self,
        probe: str,
        metric: Metric,
        values: NDArray[np.float64],
        sampling: NDArray[np.float64],
        facts: Facts,
        size: float,
    ) -> list[dict[str, Any]]:
        told = [corrected_t(credited, facts.folds, size, ratio=facts.ratio) for credited in values]
        return [
            {"probe": probe, "metric": metric.name, "stage": name, "value": one.mean}
            | {"low": one.low, "high": one.high, "sampling_se": float(error)}
            for name, one, error in zip(self.stages, told, sampling, strict=True)
        ]

    def _remark(self, failed: Mapping[str, str], orders: int, gap: float) -> Finding:
        told = f"Shapley values over {orders:,} orders of adding {len(self.stages)} stages"
        if self.orders.drawn:
            told += ", drawn at random, each with its reverse; intervals hold what that leaves open"
        told += f". They add up to {FULL} less {NONE}, to {gap:.0e}."
        if failed:
            arm, why = next(iter(failed.items()))
            told += (
                f" {len(failed)} of {len(self.arms)} recipes cannot run, and no order goes through them, "
                f"such as '{arm}': {why}"
            )
        return Finding("bench.shapley", told, float(orders), "info", stage="bench")


def part(full: Arm, name: str, inside: Callable[..., bool]) -> Arm:
    """Return some of an arm's stages, in their order."""
    return Arm(name, tuple(named for named in full.stages if inside(named[0])), full.model)


def _obstacles(arms: Mapping[str, str], failed: Mapping[str, str], what: str) -> dict[str, str]:
    return {stage: f"{what}: {failed[arm]}" if arm in failed else "" for stage, arm in arms.items()}


def _with_sampling(
    values: NDArray[np.float64], sampling: NDArray[np.float64], facts: Facts, size: float
) -> NDArray[np.float64]:
    """Spread a stage's values about their mean until their standard error holds that of drawing, too.

    All folds share the orders drawn, so that the values of folds alone would not show it.
    """
    spread = values.copy()
    for place, error in enumerate(sampling):
        se = corrected_t(values[place], facts.folds, size, ratio=facts.ratio).se
        if error > 0 and se > 0:
            mean = values[place].mean()
            spread[place] = mean + (values[place] - mean) * float(np.hypot(se, error)) / se
    return spread
