"""Probes tuned inside the training part of a fold: settings held against one another on inner folds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import MODEL, Arm, Design
from tilth.bench.fitting import asked_of, augments, certain, fitted, made, what_it_sees
from tilth.bench.grids import Values, as_text, in_words, set_to
from tilth.bench.memory import Peak, highest
from tilth.bench.metrics import METRICS, Metric
from tilth.bench.preparing import ALWAYS, FAILURES, Halfway, Ready, ready_of, walk
from tilth.bench.resume import described
from tilth.core import DecisionStage, Finding
from tilth.core.prior import corrected
from tilth.errors import TilthWarning
from tilth.table import ROW, Table

FOLDS = 3
"""Inner folds: a setting is judged by what it learned from two thirds of the training part."""
ARMS_SHOWN = 4


@dataclass(frozen=True)
class Setting:
    """Hold how one probe is fitted in one fold for one arm.

    Parameters
    ----------
    arm : Arm
        With its own model as it was set, where that is the probe.
    estimator : estimator or None
        As it was set; None: the probe of its name, as it comes.
    values : mapping of parameter to value
        What was chosen; empty where nothing was.
    seconds : float
        What choosing took, the inner folds of the recipe included.
    peak_mb : float or None
    notes : tuple of str
        What went wrong meanwhile.
    """

    arm: Arm
    estimator: Any
    values: Values = field(default_factory=dict)
    seconds: float = 0.0
    peak_mb: float | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[dict[str, str]]:
        """Give what was chosen, parameter by parameter."""
        for name, value in self.values.items():
            yield {"parameter": name, "value": as_text(value)}


class Settings:
    """Choose how probes are set in one fold: arm by arm, within its training part.

    The training part is cut into 3 inner folds as the rows were into outer ones; each is held out in turn
    while the whole recipe is fitted on the others, once for all settings of all probes. The setting with the
    best mean score by the first primary metric is chosen; where others are as good, the one that the probe
    comes with. Inner folds and seeds are the same for all arms. Test rows are not looked at.
    """

    def __init__(self) -> None:
        self._chosen: dict[tuple[str, str], Setting] = {}
        self._made: dict[tuple[str, int, int], tuple[Any, Any]] = {}

    def of(self, arm: Arm, name: str, estimator: Any) -> Setting:
        """Return how a probe is set for an arm: as it was given, where it is not tuned.

        Warns
        -----
        TilthWarning
            The probe could not be tuned, and is as it was given; or one of its settings could not be fitted.
        """
        found = self._chosen.get((arm.name, name), Setting(arm, estimator))
        # Told once the arm is asked for: one that cannot run at all has more to tell than this.
        for note in found.notes:
            warnings.warn(note, TilthWarning, stacklevel=2)
        return found

    def choose(
        self, design: Design, arms: Sequence[Arm], train: Table, test: NDArray[np.bool_], seed: int
    ) -> None:
        """Choose the settings for these arms.

        Parameters
        ----------
        train : Table
            The rows that the arms learn from.
        test : ndarray of shape (n_rows,)
            The rows of the design that are held out of all of it.
        seed : int
            Of the inner folds and the fits.
        """
        if not design.grids:
            return
        races = [
            _Race(design, arm, name, estimator, self._field(design, arm, name, estimator))
            for arm in arms
            for name, estimator in design.probes
            if name in design.grids
        ]
        open_ones = [race for race in races if len(race.entries) > 1]
        if open_ones:
            _run(design, arms, open_ones, train, test, seed)
        for race in races:
            self._chosen[race.arm.name, race.name] = race.won()

    def _field(self, design: Design, arm: Arm, name: str, estimator: Any) -> list[_Entry]:
        """Return the settings of one probe; arms that share a model share the estimators made of it."""
        assert design.grids is not None
        base = asked_of(arm, name, estimator)
        own = (made(name, None) if base is None else base).get_params()
        parameters = list(dict.fromkeys(p for values in design.grids[name] for p in values))
        found: list[_Entry] = []
        for place, given in enumerate(design.grids[name]):
            values = dict(given) or {parameter: own[parameter] for parameter in parameters}
            as_it_comes = all(described(own[p]) == described(value) for p, value in values.items())
            if as_it_comes:
                # Not made anew: a probe that stays as it is gives, bit by bit, what it gives untuned.
                found += [] if any(e.own for e in found) else [_Entry(values, arm, estimator, True)]
                continue
            key = name, id(base), place
            if key not in self._made:
                self._made[key] = base, set_to(base, name, design.task, values)
            model = self._made[key][1]
            found.append(_Entry(values, replace(arm, model=model) if name == MODEL else arm, model))
        return found


@dataclass
class _Entry:
    """Hold one setting of a probe, and how it fares."""

    values: Values
    arm: Arm
    estimator: Any
    own: bool = False
    scores: list[float] = field(default_factory=list)
    said: list[NDArray[np.float64]] = field(default_factory=list)
    failed: str = ""


@dataclass(frozen=True)
class _Told:
    """Hold what one setting is worth on rows held out, or what it says of them, and what it took."""

    seconds: float
    peak_mb: float | None
    score: float | None = None
    said: NDArray[np.float64] | None = None
    failed: str = ""


class _Race:
    """Hold the settings of one probe for one arm against one another."""

    def __init__(self, design: Design, arm: Arm, name: str, estimator: Any, entries: list[_Entry]) -> None:
        self.design, self.arm, self.name, self.estimator = design, arm, name, estimator
        self.entries = entries
        self.metric: Metric = METRICS[design.primary[0]]
        self.obstacle = ""
        self.seconds = 0.0
        self.peak_mb: float | None = None
        self.decides: DecisionStage | None = None

    def run(self, ready: Ready, held: NDArray, seed: int, known: dict[Any, list[_Told]] | None) -> None:
        """Fit every setting on one inner training part, and score it on the rows held out.

        Parameters
        ----------
        known : dict, optional
            What other arms gave for the same input; None: there are none.
        """
        key = None if known is None else self._key(ready)
        if known is None or key is None:
            told = self._tell_all(ready, held, seed)
        elif key in known:
            told = known[key]
        else:
            told = known[key] = self._tell_all(ready, held, seed)
        self.decides = ready.decides
        for entry, one in zip(self.entries, told, strict=True):
            self.seconds += one.seconds
            self.peak_mb = highest(self.peak_mb, one.peak_mb)
            entry.failed = entry.failed or one.failed
            entry.scores += [] if one.score is None else [one.score]
            entry.said += [] if one.said is None else [one.said]

    def decide(self, inner: NDArray[np.int64]) -> None:
        """Score decisions where a stage takes them: as it learns to from all rows held out."""
        design, labels = self.design, self.design.labels.to_list()
        counts = (inner >= 0) & (design.weight > 0)
        for entry in self.entries:
            if self.decides is None or len(entry.said) < FOLDS:
                continue
            said = np.zeros((len(inner), len(labels)))
            for part, answer in enumerate(entry.said):
                said[inner == part] = answer
            self.decides.learn_decision(design.truth[counts], said[counts], design.weight[counts], labels)
            decided = certain(self.decides.decide(said), len(labels))
            entry.scores = [self._score(inner == part, decided[inner == part]) for part in range(FOLDS)]

    def won(self) -> Setting:
        """Return the best setting, or the probe as it was given where nothing can be told."""
        if len(self.entries) == 1:
            only = self.entries[0]
            return Setting(only.arm, only.estimator, only.values)
        sound = [e for e in self.entries if len(e.scores) == FOLDS and np.isfinite(e.scores).all()]
        if self.obstacle or not sound:
            failed = next((e.failed for e in self.entries if e.failed), "")
            why = self.obstacle or failed or f"{self.metric.name} is not defined on all inner folds."
            note = f"{self.name} was not tuned for the '{self.arm.name}' arm, and is as it was given: {why}"
            return Setting(self.arm, self.estimator, {}, self.seconds, self.peak_mb, (note,))
        notes = tuple(
            f"{self.name} with {in_words(entry.values)} cannot be fitted on an inner fold of the "
            f"'{self.arm.name}' arm, and was left out: {entry.failed}"
            for entry in self.entries
            if entry.failed
        )
        best = next((entry for entry in sound if entry.own), sound[0])
        for entry in sound:
            if self.metric.gain(np.array(best.scores), np.array(entry.scores)).mean() > 0:
                best = entry
        return Setting(best.arm, best.estimator, best.values, self.seconds, self.peak_mb, notes)

    def _score(self, held: NDArray, answer: NDArray[np.float64]) -> float:
        counts = self.design.weight[held] > 0
        truth, weight = self.design.truth[held][counts], self.design.weight[held][counts]
        return float(self.metric.score(truth, answer[counts], weight))

    def _key(self, ready: Ready) -> tuple[Any, ...] | None:
        # Where any setting trains with batch stages, two inputs are never known to be the same.
        if ready.batch and any(augments(made(self.name, entry.estimator)) for entry in self.entries):
            return None
        return what_it_sees(self.arm, self.name, self.estimator, ready)

    def _tell_all(self, ready: Ready, held: NDArray, seed: int) -> list[_Told]:
        return [self._tell(entry, ready, held, seed) for entry in self.entries]

    def _tell(self, entry: _Entry, ready: Ready, held: NDArray, seed: int) -> _Told:
        begun = perf_counter()
        with Peak() as peak:
            try:
                model = fitted(self.design, entry.arm, self.name, entry.estimator, ready, seed)
                said = decided = model.says(ready.X_test)
            except FAILURES as error:
                return _Told(perf_counter() - begun, None, failed=str(error) or repr(error))
        seconds = perf_counter() - begun
        if self.design.task != "regression":
            decided = certain(said.argmax(axis=1), said.shape[1])
            said = corrected(said, self.design.labels.to_list(), ready.prepared.prior)
        if ready.decides is not None and self.metric.labels:
            # The stage learns to decide from all rows held out, once these are known.
            return _Told(seconds, peak.mb, said=said)
        return _Told(seconds, peak.mb, self._score(held, decided if self.metric.labels else said))


def _run(
    design: Design,
    arms: Sequence[Arm],
    races: Sequence[_Race],
    train: Table,
    test: NDArray[np.bool_],
    seed: int,
) -> None:
    """Run all races on all inner folds."""
    inside = np.flatnonzero(~test & design.labeled)
    inner = np.full(len(test), -1, np.int64)
    if len(inside) >= FOLDS:
        inner[inside] = design.inner(inside, FOLDS, seed)
    parts = [inner == part for part in range(FOLDS)]
    if not all((held & (design.weight > 0)).any() for held in parts):
        why = f"its training part has too few rows, groups or moments for {FOLDS} inner folds."
        for race in races:
            race.obstacle = why
        return
    ids = design.table.frame.collect()[ROW]
    # What is warned of here is of settings that may not be taken; the fit that counts says its own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for held in parts:
            beyond = ids.filter(pl.Series(design.beyond(held)))
            rest = train.with_frame(train.frame.filter(~pl.col(ROW).is_in(beyond.implode())))
            known: dict[Any, list[_Told]] | None = {} if len(arms) > 1 else None
            for arm, at in walk(design, arms, rest, held):
                running = [r for r in races if r.arm.name == arm.name and not r.obstacle]
                _run_arm(design, arm, at, running, held, seed, known)
        for race in races:
            race.decide(inner)


def _run_arm(
    design: Design,
    arm: Arm,
    at: Halfway | Exception,
    races: Sequence[_Race],
    held: NDArray,
    seed: int,
    known: dict[Any, list[_Told]] | None,
) -> None:
    """Run the races of one arm on one inner fold."""
    begun = perf_counter()
    try:
        if isinstance(at, Exception):
            raise at
        ready = ready_of(design, arm, at)
    except ALWAYS:
        raise
    except FAILURES as error:
        for race in races:
            race.obstacle = f"its stages cannot run on an inner fold: {error}"
        return
    seconds = at.seconds + perf_counter() - begun
    for race in races:
        race.seconds += seconds
        race.peak_mb = highest(race.peak_mb, at.peak_mb)
        race.run(ready, held, seed, known)


def remarks(design: Design, tuned: pl.DataFrame) -> list[Finding]:
    """Say which probes were tuned, how, and what each arm took most often.

    Parameters
    ----------
    design : Design
    tuned : DataFrame
        Lines of `SETTINGS`.
    """
    if design.grids is None:
        return []
    findings = []
    per = "fold" if design.test is None else "training seed"
    for name, _ in design.probes:
        if name not in design.grids:
            continue
        grid, taken = design.grids[name], _taken(tuned.filter(pl.col("probe") == name), per)
        if len(grid) == 1:
            told = f"{name} was set to {in_words(grid[0])} throughout: its grid holds nothing else."
        elif not taken:
            told = f"{name} was not tuned for any {per}, and left as it was given; the warnings say why."
        else:
            more = f"; {len(taken) - ARMS_SHOWN} more arms" if len(taken) > ARMS_SHOWN else ""
            told = (
                f"{name} was tuned: for each arm and {per}, {FOLDS} inner folds of the training part held "
                f"its settings against one another by {design.primary[0]}. Most often taken: "
                f"{'; '.join(list(taken.values())[:ARMS_SHOWN])}{more}."
            )
        findings.append(Finding("bench.tuned", told, float(len(grid)), "info", stage="bench"))
    fixed = [name for name, _ in design.probes if name not in design.grids]
    if fixed:
        message = (
            f"Not tuned, for want of a grid: {', '.join(fixed)}. Name one: "
            f"tune={{'{fixed[0]}': {{'parameter': [values]}}}}."
        )
        findings.append(Finding("bench.not_tuned", message, float(len(fixed)), "info", stage="bench"))
    return findings


def _taken(lines: pl.DataFrame, per: str) -> Mapping[str, str]:
    """Say per arm which setting was taken most often, and how often."""
    counts: dict[str, dict[str, int]] = {}
    for (arm, *_), fold in lines.group_by("arm", "repeat", "fold", maintain_order=True):
        told = ", ".join(f"{p}={v}" for p, v in fold.select("parameter", "value").iter_rows())
        counts.setdefault(str(arm), {}).setdefault(told, 0)
        counts[str(arm)][told] += 1
    return {
        arm: f"{arm} {max(of, key=of.__getitem__)} (in {max(of.values())} of {sum(of.values())} {per}s)"
        for arm, of in counts.items()
    }
