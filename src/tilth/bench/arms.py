"""One fold: every arm is prepared once inside the training part, and every probe is tried on it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.answering import Answer, Judged, answered, held_out
from tilth.bench.calibrating import cells_of
from tilth.bench.clean import on_clean
from tilth.bench.design import RANDOM_DROP, TUNED, UNCORRECTED, Arm, Design
from tilth.bench.fitting import Fitted, certain, what_it_sees
from tilth.bench.fixed import line_of
from tilth.bench.memory import Peak, highest
from tilth.bench.metrics import METRICS, Metric, metrics_of
from tilth.bench.preparing import ALWAYS, FAILURES, Halfway, Ready, advance, begin, ready_of, walk
from tilth.bench.recalls import recalls_in
from tilth.bench.slices import sliced
from tilth.bench.tuning import Settings
from tilth.probes import probe
from tilth.probes.pictures import UnreadableImages
from tilth.statistics import hash_rows
from tilth.table import Table

INNER_FOLDS = 3
THRESHOLDS = 99

Line = dict[str, Any]
Probing = Callable[[Judged], Sequence[Line]]
"""Looks closer at one fitted probe, and returns lines of plain values."""


@dataclass
class FoldResult:
    """Hold what one fold gave, as plain values.

    Parameters
    ----------
    scores, costs : list of dict
        Lines of the frames in `Trial`.
    slices, clean : list of dict
        Lines of the frames of these names in `Trial`.
    probed : list of dict
        Lines of those who looked closer, each with its arm, probe, repeat and fold.
    dropped : int
        Training rows that *after* dropped beyond *before*.
    relabeled : int
        Training labels that any arm changed.
    notes : list of str
        Warnings that were raised on the way, each once.
    failed : dict of arm to str
        Arms that could not be run, and why.
    tuned : list of dict
        Lines of the frame of this name in `Trial`.
    cells : list of dict
        Probabilities and what came true, added up by `cells_of`, each with its arm, probe, repeat and fold.
    answers : list of dict
        Of one fixed test set, what each arm and probe said of its rows; see `line_of`. Else empty.
    """

    scores: list[Line] = field(default_factory=list)
    costs: list[Line] = field(default_factory=list)
    slices: list[Line] = field(default_factory=list)
    clean: list[Line] = field(default_factory=list)
    probed: list[Line] = field(default_factory=list)
    dropped: int = 0
    relabeled: int = 0
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    tuned: list[Line] = field(default_factory=list)
    cells: list[Line] = field(default_factory=list)
    answers: list[Line] = field(default_factory=list)

    def add(self, other: FoldResult) -> None:
        """Add the lines of another arm."""
        self.scores += other.scores
        self.costs += other.costs
        self.slices += other.slices
        self.clean += other.clean
        self.probed += other.probed
        self.answers += other.answers
        self.relabeled += other.relabeled
        self.tuned += other.tuned
        self.cells += other.cells


@dataclass(frozen=True)
class Tried:
    """Hold what one probe gave for one input, whatever the arm is called.

    Parameters
    ----------
    fitted, answer
        None where nobody asks for them again: those of all arms would add up.
    scores : list of (metric, name pattern, value)
        The pattern makes the arm's name in the scores.
    slices, clean : list of dict
    cells : list of (name pattern, dict)
    seconds : float
    peak_mb : float or None
    """

    fitted: Fitted | None
    answer: Answer | None
    scores: list[tuple[str, str, float]]
    slices: list[Line]
    clean: list[Line]
    cells: list[tuple[str, Line]]
    seconds: float
    peak_mb: float | None


def run_fold(
    design: Design,
    arms: Sequence[Arm],
    repeat: int,
    fold: int,
    *,
    random_drop: bool,
    optional: Sequence[str],
    probing: Sequence[Probing] = (),
    calibrated: Sequence[str] = (),
) -> FoldResult:
    """Run every arm and probe on one fold.

    Parameters
    ----------
    random_drop : bool
        Where the second arm drops more rows than the first, also run the first on as many rows dropped at
        random.
    optional : sequence of str
        Arms that may fail: it is written down instead of raised.
    probing : sequence of callable
        Called with each probe as it was fitted, for each arm.
    calibrated : sequence of str
        Arms whose probabilities are kept, added up, beside what came true.

    Raises
    ------
    RowsChanged
        If an arm changed the test rows.
    LeakageError
        If test rows are among those that are learned from.
    """
    import_probes(design)
    # By the threshold that does best, *before* is scored where the primary metric depends on one.
    tuning = design.task == "binary" and any(METRICS[m].labels for m in design.primary)
    tuned = "before" if tuning and "before" in [arm.name for arm in arms] else None
    trying = Trying(design.within(repeat, fold), repeat, fold, tuple(probing), tuned, calibrated)
    done = FoldResult()
    kept: dict[str, int] = {}
    found: dict[str, FoldResult] = {}
    with warnings.catch_warnings(record=True) as raised, design.shelf.lent():
        warnings.simplefilter("always")
        trying.settings.choose(trying.design, arms, trying.train, trying.test, trying.seed)
        for arm, at in walk(trying.design, arms, trying.train, trying.test):
            try:
                if isinstance(at, Exception):
                    raise at
                found[arm.name], kept[arm.name] = trying.run(arm, at, trying.train)
            except FAILURES as error:
                if arm.name not in optional or isinstance(error, ALWAYS):
                    error.add_note(f"In the '{arm.name}' arm, repeat {repeat + 1}, fold {fold + 1}.")
                    raise
                done.failed[arm.name] = str(error)
        for arm in arms:
            if arm.name in found:
                done.add(found[arm.name])
        if random_drop:
            before, after = arms[0], arms[1]
            done.dropped = kept[before.name] - kept[after.name]
            if done.dropped > 0:
                done.add(trying.dropping(before, done.dropped))
            else:
                again = [line | {"arm": RANDOM_DROP} for line in done.scores if line["arm"] == before.name]
                done.scores += again
                same = [line for line in done.answers if line["arm"] == before.name]
                done.answers += [line | {"arm": RANDOM_DROP} for line in same]
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


class Trying:
    """Try probes on what arms prepared in one fold; the same input is tried once.

    Parameters
    ----------
    design : Design
        Of the rows that the fold may see.
    repeat, fold : int
    probing : sequence of callable
    tuned : str or None
        The arm that is also scored by the threshold that does best on inner folds.
    calibrated : sequence of str
    """

    def __init__(
        self,
        design: Design,
        repeat: int,
        fold: int,
        probing: Sequence[Probing],
        tuned: str | None,
        calibrated: Sequence[str] = (),
    ) -> None:
        self.design, self.probing, self.tuned, self.calibrated = design, probing, tuned, calibrated
        self.test = design.fold_of[repeat] == fold
        self.rows = design.table.frame.collect().filter(pl.Series(self.test))
        self.train = design.table.with_frame(design.table.frame.filter(pl.Series(~self.test)))
        self.seed = design.seed(repeat, fold)
        self.where = {"repeat": repeat, "fold": fold}
        self.settings = Settings()
        self._tried: dict[Any, Tried] = {}

    def run(self, arm: Arm, at: Halfway, train: Table) -> tuple[FoldResult, int]:
        """Return an arm's lines, and how many of the training rows it kept."""
        design, done = self.design, FoldResult()
        labeled = design.labeled & ~self.test
        begun = perf_counter()
        ready = ready_of(design, arm, at)
        prepare_seconds = at.seconds + perf_counter() - begun
        kept = _kept(design, train, ready, labeled)
        done.relabeled = int(ready.prepared.ledger.account()["relabeled"])
        for name, estimator in design.probes:
            taken = self.settings.of(arm, name, estimator)
            tried = self.tried(taken.arm, name, taken.estimator, train, ready)
            line = {"probe": name, **self.where}
            done.tuned += [line | {"arm": arm.name} | told for told in taken.lines()]
            done.scores += [
                line | {"metric": metric, "arm": pattern.format(arm=arm.name), "value": value}
                for metric, pattern, value in tried.scores
            ]
            done.slices += [line | {"arm": arm.name} | told for told in tried.slices]
            done.clean += [line | {"arm": arm.name} | told for told in tried.clean]
            if arm.name in self.calibrated:
                done.cells += [line | {"arm": p.format(arm=arm.name)} | told for p, told in tried.cells]
            done.probed += [
                {"arm": arm.name, **line, **told} for told in self._looks(arm, name, ready, tried)
            ]
            done.costs.append(
                {"arm": arm.name, "probe": name}
                | {"prepare_seconds": prepare_seconds, "fit_seconds": taken.seconds + tried.seconds}
                | {"rows_trained": float(ready.X.height), "share_kept": kept / int(labeled.sum())}
                | {"peak_mb": highest(at.peak_mb, taken.peak_mb, tried.peak_mb)}
            )
            if arm.name == self.tuned and tried.answer is not None:
                best = self._at_best_threshold(taken.arm, name, taken.estimator, train, tried.answer)
                for told, cut in best:
                    done.scores.append(line | told)
                    done.answers += [line | line_of(TUNED, cut, None)] * (design.test is not None)
            if design.test is not None:
                done.answers.append(line | line_of(arm.name, None, tried.answer))
        return done, kept

    def dropping(self, arm: Arm, count: int) -> FoldResult:
        """Run an arm on training rows of which so many labeled ones are dropped at random."""
        words = hash_rows(self.seed, self.train.ids)
        stay = np.ones(self.train.height, dtype=bool)
        labeled = np.flatnonzero(self.design.labeled[~self.test])
        stay[labeled[np.argsort(words[labeled], kind="stable")[:count]]] = False
        fewer = self.train.with_frame(self.train.frame.filter(pl.Series(stay)))
        dropping = Arm(RANDOM_DROP, arm.stages, arm.model)
        self.settings.choose(self.design, [dropping], fewer, self.test, self.seed)
        at = begin(self.design, fewer, self.test)
        for name, stage in arm.stages:
            at = advance(at, name, stage)
        return self.run(dropping, at, fewer)[0]

    def tried(self, arm: Arm, name: str, estimator: Any, train: Table, ready: Ready) -> Tried:
        """Fit a probe and score it, or find what the same input gave before."""
        key = what_it_sees(arm, name, estimator, ready)
        if key is not None and key in self._tried:
            return self._tried[key]
        design, test = self.design, self.test
        truth, weight = design.truth[test], design.weight[test]
        begun = perf_counter()
        with Peak() as peak:
            model, answer = answered(design, arm, name, estimator, train, test, ready, self.seed)
        seconds = perf_counter() - begun
        # A test row of weight 0 is answered, and counts for nothing.
        scores = list(_scored(design, answer, weight > 0, truth, weight, bool(ready.prepared.prior)))
        said = {m: answer.decided if METRICS[m].labels else answer.said for m in design.primary}
        parts = list(_in_slices(design, said, test))
        right = None if design.clean is None else design.clean[test]
        clean = list(on_clean(right, design.primary, truth, weight, said))
        again = bool(self.probing) or self.tuned is not None or design.test is not None
        both = [("{arm}", answer.said)] + [(UNCORRECTED, answer.raw)] * bool(ready.prepared.prior)
        cells = [(p, cells_of(truth, a, weight)) for p, a in both if design.task != "regression"]
        kept = (scores, parts, clean, cells, seconds, peak.mb)
        found = Tried(model, answer, *kept) if again else Tried(None, None, *kept)
        if key is not None:
            self._tried[key] = found
        return found

    def _looks(self, arm: Arm, name: str, ready: Ready, tried: Tried) -> Iterator[Line]:
        """Let others look closer: at the stages of the arm itself, though the fit may be shared."""
        if tried.fitted is None or tried.answer is None:
            return
        truth, weight = self.design.truth[self.test], self.design.weight[self.test]
        parts = (self.design, arm, name, ready, self.rows, truth, weight, tried.answer, tried.fitted)
        for look in self.probing:
            yield from look(Judged(*parts))

    def _at_best_threshold(
        self, arm: Arm, name: str, estimator: Any, train: Table, answer: Answer
    ) -> Iterator[tuple[Line, NDArray[np.float64]]]:
        """Score decisions by the threshold that does best on inner folds, by metrics that depend on one."""
        design, test = self.design, self.test
        counts = design.weight[test] > 0
        truth, weight = design.truth[test][counts], design.weight[test][counts]
        metrics = [METRICS[m] for m in design.primary if METRICS[m].labels]
        if not counts.any():
            return
        inner = held_out(design, arm, name, estimator, train, test, self.seed, INNER_FOLDS)
        for metric in metrics:
            cut = _tuned(*inner, metric, answer.said)
            value = metric.score(truth, cut[counts], weight)
            yield {"metric": metric.name, "arm": TUNED, "value": value}, cut


def _scored(
    design: Design,
    told: Answer,
    counts: NDArray,
    truth: NDArray,
    weight: NDArray[np.float64],
    shifted: bool,
) -> Iterator[tuple[str, str, float]]:
    """Score by each metric, and score the raw answer too where stages shifted the classes."""
    for metric in [*metrics_of(design.task), *recalls_in(design.labels)]:
        given = [("{arm}", told.decided if metric.labels else told.said)]
        if shifted and not metric.labels:
            given.append((UNCORRECTED, told.raw))
        for pattern, said in given:
            score = metric.score(truth[counts], said[counts], weight[counts]) if counts.any() else np.nan
            yield metric.name, pattern, float(score)


def _in_slices(
    design: Design, said: dict[str, NDArray[np.float64]], test: NDArray[np.bool_]
) -> Iterator[Line]:
    """Score the slices of the test rows by the primary metrics."""
    counts = test & (design.weight > 0)
    inside = design.weight[test] > 0
    parts = (design.slices, design.primary, counts, design.truth[counts], design.weight[counts])
    yield from sliced(*parts, {metric: answer[inside] for metric, answer in said.items()})


def _kept(design: Design, train: Table, ready: Ready, labeled: NDArray) -> int:
    """Count the labeled training rows that an arm kept."""
    rows = np.arange(train.height) if ready.prepared.rows is None else ready.prepared.rows
    ids = train.ids[np.unique(rows[rows >= 0])]
    return int(np.isin(ids, design.table.ids[labeled]).sum())


def _tuned(
    truth: NDArray,
    inner: NDArray[np.float64],
    weight: NDArray[np.float64],
    metric: Metric,
    said: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Decide by the threshold that scores best on rows held out inside the training part."""
    asked = np.unique(np.append(np.quantile(inner[:, 1], np.linspace(0.01, 0.99, THRESHOLDS)), 0.5))
    cut = lambda answer, threshold: certain((answer[:, 1] >= threshold).astype(np.int64), 2)
    scores = np.array([metric.score(truth, cut(inner, t), weight) for t in asked])
    best = np.flatnonzero(scores == scores.max())
    return cut(said, asked[best[np.argmin(np.abs(asked[best] - 0.5))]])
