"""How a pipeline and its probe fare on rows that are worse than those they learned from, or moved against
them: before and after."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tilth.bench.again import View, asked, ids_of, metrics_asked, scored, seed_of
from tilth.bench.answering import Answer, Judged
from tilth.bench.attacks import FGSM, PGD, Attack, attack_of
from tilth.bench.corruptions import CLEAN, IMAGES, PICTURES, TABULAR, Columns, worsened
from tilth.bench.fitting import certain
from tilth.bench.metrics import METRICS
from tilth.errors import TilthError
from tilth.table import ROW

LOOK, CHECK, NOTE = "robustness", "attack check", "robustness note"
HUGE = "huge"


@dataclass(frozen=True)
class Challenges:
    """Score one fitted probe on test rows made worse in every way that concerns it, and moved against it.

    Columns are made worse as they are given, before any stage; images at the size at which the probe looks at
    them. Draws are keyed by row ids: both arms and all probes see the same rows.
    """

    def __call__(self, judged: Judged) -> list[dict[str, Any]]:
        """Return lines of `LOOK` (scores), `CHECK` (of attacks) and `NOTE`."""
        metrics = metrics_asked(judged.design)
        with warnings.catch_warnings():
            # What stages and models warn of is about rows that nobody has.
            warnings.simplefilter("ignore")
            clean = asked(judged, judged.rows)
            lines = list(_lines(judged, metrics, CLEAN, 0.0, CLEAN, clean))
            lines += _corrupted(judged, metrics)
            lines += _attacked(judged, metrics, clean)
        return lines


def _lines(
    judged: Judged, metrics: Sequence[str], challenge: str, level: float, told: str, answer: Answer
) -> Iterator[dict[str, Any]]:
    for metric, value in scored(metrics, answer, judged.truth, judged.weight):
        yield {
            "look": LOOK,
            "challenge": challenge,
            "level": level,
            "told": told,
            "metric": metric,
            "value": value,
        }


def _corrupted(judged: Judged, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Score the probe on worsened rows; where a stage or a probe cannot take them, say so."""
    seed = seed_of(judged)
    view = View.of(judged)
    if view is not None:
        for corruption in IMAGES:
            pixels = PICTURES[corruption.name](view.pixels, corruption.level, ids_of(judged.rows), seed)
            answer = view.asked(judged, pixels)
            yield from _lines(judged, metrics, corruption.name, corruption.level, corruption.told, answer)
        return
    table = judged.design.table
    kinds = {name: kind for name, kind in table.kinds.items() if name in table.features}
    if set(kinds.values()) <= {"image"}:
        yield _note(judged, "images", "not shown worsened images: it reads what a stage made of them")
        return
    train = table.frame.collect().join(judged.rows.select(ROW), on=ROW, how="anti")
    columns = Columns.of(train, kinds)
    for corruption in TABULAR:
        if not columns.apply(corruption):
            continue
        try:
            answer = asked(judged, worsened(judged.rows, corruption, columns, seed))
        except (TilthError, ValueError, pl.exceptions.PolarsError) as error:
            yield _note(judged, corruption.told, f"cannot take {corruption.told}: {_first(error)}")
            continue
        yield from _lines(judged, metrics, corruption.name, corruption.level, corruption.told, answer)


def _attacked(judged: Judged, metrics: Sequence[str], clean: Answer) -> Iterator[dict[str, Any]]:
    """Score the probe on rows moved against it, and measure what tells whether the attack is sound."""
    attack = attack_of(judged)
    if isinstance(attack, str):
        yield _note(judged, "attack", f"not attacked: {attack}")
        return
    own = attack.through == judged.probe
    if not own:
        about = f"attacked by the gradients of {attack.through} on the same rows: it loses that much at least"
        yield _note(judged, "attack", about)
    seed = seed_of(judged) >> 33
    if own:
        yield _check(judged, CLEAN, 0.0, clean)
    # A linear model's gradient is the same everywhere: many steps find what one does.
    for method in (FGSM, PGD) if own else (FGSM,):
        for level in attack.levels:
            answer = attack.answer(method, level, seed)
            yield from _lines(judged, metrics, method, level, _told(method, level, attack), answer)
            if own:
                yield _check(judged, method, level, answer)
    if own:
        yield _check(judged, HUGE, attack.huge, attack.answer(PGD, attack.huge, seed))


def _told(method: str, level: float, attack: Attack) -> str:
    size = f"{round(level * 255)}/255" if attack.unit != "sd" else f"{level:g} sd"
    return f"{method.upper()}, {size}"


def _check(judged: Judged, method: str, level: float, answer: Answer) -> dict[str, Any]:
    """Measure what the gradient was about: the most probable class, whatever threshold decides; or values."""
    counts = judged.weight > 0
    truth, weight = judged.truth[counts], judged.weight[counts]
    if judged.design.task == "regression":
        metric, said = METRICS["rmse"], answer.raw
        guess = np.full(len(truth), np.average(truth, weights=weight))
    else:
        metric, said = METRICS["accuracy"], certain(answer.raw.argmax(axis=1), answer.raw.shape[1])
        shares = np.bincount(truth, weights=weight, minlength=said.shape[1])
        guess = np.broadcast_to(
            certain(np.array([shares.argmax()]), said.shape[1]), (len(truth), said.shape[1])
        )
    return {
        "look": CHECK,
        "method": method,
        "level": level,
        "metric": metric.name,
        "value": float(metric.score(truth, said[counts], weight)),
        "guess": float(metric.score(truth, guess, weight)),
    }


def _note(judged: Judged, about: str, told: str) -> dict[str, Any]:
    return {"look": NOTE, "about": about, "told": told}


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0]
