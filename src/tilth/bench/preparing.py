"""Rows prepared inside the training part, stage by stage, so that recipes can part where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone

from tilth.bench.design import Arm, Design
from tilth.bench.folds import fingerprint
from tilth.bench.memory import Peak, highest
from tilth.bench.pictures import files_print, images_of
from tilth.bench.sameness import digest
from tilth.core import BatchStage, ColumnStage, DecisionStage, Prepared, RowStage, Stage, flow
from tilth.errors import DataError, LeakageError, StageError, TilthError
from tilth.table import ROW, Table

Named = tuple[str, Stage]
FAILURES = (TilthError, ValueError, pl.exceptions.PolarsError)
"""What is raised where a recipe cannot run on these rows."""


class RowsChanged(StageError):
    """A pipeline changed the rows it is tested on, so its scores would mean nothing."""


ALWAYS = (RowsChanged, LeakageError)
"""What is raised even of a recipe that may fail: its scores would mean nothing."""


@dataclass(frozen=True)
class Ready:
    """Hold the two sides of a fold as one arm prepared them: features, training target and weight.

    Training rows that are left without a label are in `prepared`, and no longer here. `images` are the
    features that hold paths of images, `batch` the stages that act on training batches, which get to see
    `labels` as the table has them and the `ids` of the rows. `stages` are all stages, fitted.
    """

    X: pl.DataFrame
    target: NDArray
    labels: pl.Series
    ids: NDArray[np.uint64]
    images: list[str]
    batch: list[BatchStage]
    weight: NDArray[np.float64] | None
    X_test: pl.DataFrame
    prepared: Prepared
    decides: DecisionStage | None
    stages: tuple[Named, ...] = ()

    @cached_property
    def print(self) -> tuple[str, str] | None:
        """Return a digest of the features of both sides; None where there is none."""
        one, other = digest(self.X), digest(self.X_test)
        return None if one is None or other is None else (one, other)


@dataclass(frozen=True)
class Halfway:
    """Hold the two sides of a fold as the stages so far have left them; other recipes may go on from here.

    Parameters
    ----------
    stages : tuple of (name, Stage)
        Fitted.
    prepared : Prepared
        The training rows.
    test : DataFrame
        The test rows, after the column stages.
    raw : DataFrame
        The test rows as they were.
    frozen : tuple
        What changes if anything changes those, or their files.
    seconds : float
        What the stages so far took.
    peak_mb : float or None
        The highest memory meanwhile.
    """

    stages: tuple[Named, ...]
    prepared: Prepared
    test: pl.DataFrame
    raw: pl.DataFrame
    frozen: tuple[str, str]
    seconds: float = 0.0
    peak_mb: float | None = None

    @cached_property
    def print(self) -> tuple[str, str] | None:
        """Return a digest of both sides; None where there is none."""
        one, other = digest(self.prepared.table.frame.collect()), digest(self.test)
        return None if one is None or other is None else (one, other)


def begin(design: Design, train: Table, test: NDArray) -> Halfway:
    """Return the two sides of a fold before any stage.

    Raises
    ------
    LeakageError
        A row is on both sides.
    """
    frame = design.table.frame.collect().filter(pl.Series(test))
    _refuse_tested(train, frame, "The design of the folds")
    frozen = fingerprint(frame), files_print(frame, design.images)
    # Stages see neither target nor weight nor group of the test rows, so they cannot change them.
    return Halfway((), Prepared.of(train), frame.select([*design.table.features, ROW]), frame, frozen)


def advance(at: Halfway, name: str, stage: Stage) -> Halfway:
    """Fit a clone of one more stage on the training rows, and let the test rows pass through it.

    No table that is handed to a stage to learn from, or to a probe, holds a test row: rows are known by their
    ids at the start, and again after each stage that may take or make rows. What a stage reads elsewhere, a
    file or a global variable, cannot be seen.

    Raises
    ------
    LeakageError
        A stage put test rows among the training rows.
    """
    fitted: Stage = clone(stage)
    begun = perf_counter()
    with Peak() as peak:
        prepared = at.prepared.branch()
        flow.fit_next(name, fitted, prepared)
        prepared.table = prepared.table.collect()
        if isinstance(fitted, RowStage):
            _refuse_tested(prepared.table, at.raw, f"Stage '{name}'")
        test = at.test
        if isinstance(fitted, ColumnStage):
            test = flow.apply([(name, fitted)], test.lazy()).collect()
    seconds = at.seconds + perf_counter() - begun
    stages = (*at.stages, (name, fitted))
    return Halfway(stages, prepared, test, at.raw, at.frozen, seconds, highest(at.peak_mb, peak.mb))


def _refuse_tested(train: Table, test: pl.DataFrame, who: str) -> None:
    """Raise where training rows hold test rows: stages and probes would learn from them."""
    both = int(pl.Series(train.ids).is_in(test[ROW].implode()).sum())
    if both:
        raise LeakageError(
            f"{who} puts {both:,} of {test.height:,} test rows among the training rows: what is fitted on "
            "them would be tested on what it has seen. Give each fold training rows without its test rows."
        )


def idle(at: Halfway, after: Halfway) -> bool:
    """Tell whether the last stage provably did nothing: whatever follows finds just what was there before."""
    stage = after.stages[-1][1]
    if isinstance(stage, DecisionStage) or (isinstance(stage, BatchStage) and not stage.on_rows):
        return False
    before, now = at.prepared, after.prepared
    if before.table.roles != now.table.roles or before.prior != now.prior:
        return False
    return at.print is not None and at.print == after.print


def walk(
    design: Design, arms: Sequence[Arm], train: Table, test: NDArray
) -> Iterator[tuple[Arm, Halfway | Exception]]:
    """Prepare all arms, and fit what they share once.

    Arms that begin with the same stages share these; a stage that did nothing is passed over, so that the
    arms with it share all that follows with those without. In memory there are the rows of one arm, as each
    of its stages left them.

    Parameters
    ----------
    arms : sequence of Arm
        Stages are shared where they are the same objects of the same name.

    Yields
    ------
    arm, prepared
        In another order than that of `arms`; what was raised instead, where an arm cannot be prepared.
    """
    rank: dict[tuple[str, int], int] = {}
    for arm in arms:
        for named in arm.stages:
            rank.setdefault(_known(named), len(rank))
    yield from _onward(begin(design, train, test), [_Way(arm, arm.stages) for arm in arms], rank)


@dataclass(frozen=True)
class _Way:
    """Hold an arm on its way: the stages still to come, those behind it, fitted, and what they took."""

    arm: Arm
    left: tuple[Named, ...]
    stages: tuple[Named, ...] = ()
    seconds: float = 0.0
    peak_mb: float | None = None

    def past(self, at: Halfway, after: Halfway) -> _Way:
        """Return the way behind its next stage."""
        seconds = self.seconds + after.seconds - at.seconds
        peak = highest(self.peak_mb, after.peak_mb)
        return _Way(self.arm, self.left[1:], (*self.stages, after.stages[-1]), seconds, peak)

    def at(self, at: Halfway) -> Halfway:
        """Return its end, with all of its own stages: one that did nothing may do something to other rows."""
        return replace(at, stages=self.stages, seconds=self.seconds, peak_mb=self.peak_mb)


def _onward(
    at: Halfway, pool: list[_Way], rank: dict[tuple[str, int], int]
) -> Iterator[tuple[Arm, Halfway | Exception]]:
    """Finish the arms of the pool."""
    while pool:
        yield from ((way.arm, way.at(at)) for way in pool if not way.left)
        pool = [way for way in pool if way.left]
        if not pool:
            return
        name, stage = min((way.left[0] for way in pool), key=lambda named: rank[_known(named)])
        with_it = [way for way in pool if _known(way.left[0]) == (name, id(stage))]
        pool = [way for way in pool if _known(way.left[0]) != (name, id(stage))]
        try:
            after = advance(at, name, stage)
        except FAILURES as error:
            yield from ((way.arm, error) for way in with_it)
            continue
        with_it = [way.past(at, after) for way in with_it]
        if idle(at, after):
            # The arms wait for those that reach the same stages without this one.
            pool = [*with_it, *pool]
        else:
            yield from _onward(after, with_it, rank)


def _known(named: Named) -> tuple[str, int]:
    return named[0], id(named[1])


def prepare(design: Design, arm: Arm, train: Table, test: NDArray) -> Ready:
    """Fit clones of the stages on the training part; the test part only passes through column stages."""
    at = begin(design, train, test)
    for name, stage in arm.stages:
        at = advance(at, name, stage)
    return ready_of(design, arm, at)


def ready_of(design: Design, arm: Arm, at: Halfway) -> Ready:
    """Return what an arm has prepared, once the test rows are known to be what they were.

    Raises
    ------
    RowsChanged
        They are not.
    DataError
        No training row has a label.
    StageError
        The two sides have different columns, or a label is none of the target's classes.
    """
    now = fingerprint(at.raw), files_print(at.raw, design.images)
    ids = at.test[ROW] if ROW in at.test.columns else None
    if now != at.frozen or ids is None or not ids.equals(at.raw[ROW]):
        raise RowsChanged(
            f"The '{arm.name}' arm changed the test rows: {at.raw.height} rows went in, {at.test.height} "
            "out, or their order or content, or that of their files, changed. A column stage must keep rows "
            "as they are; use a row stage, which acts on training rows only."
        )
    names = at.prepared.table.features
    absent = [name for name in names if name not in at.test.columns]
    if absent:
        raise StageError(
            f"The '{arm.name}' arm makes columns {absent} of the training rows, but not of the test rows. "
            "A column stage must do the same to both."
        )
    labeled = _labeled(at.prepared.table, arm.name)
    weight = labeled.role("weight")
    decides = [stage for _, stage in at.stages if isinstance(stage, DecisionStage)]
    return Ready(
        labeled.X(),
        _codes(design, labeled),
        labeled.need("target", "bench"),
        labeled.ids,
        images_of(at.prepared.table),
        [stage for _, stage in at.stages if isinstance(stage, BatchStage) and not stage.on_rows],
        None if weight is None else weight.cast(pl.Float64).to_numpy(),
        at.test.select(names),
        at.prepared,
        decides[-1] if decides else None,
        at.stages,
    )


def through(ready: Ready, frame: pl.DataFrame) -> pl.DataFrame:
    """Bring raw rows to where the fitted stages leave them: the features that a probe is asked about.

    Parameters
    ----------
    frame : DataFrame
        The features as they were, and `ROW`; row ids may come more than once.
    """
    out: Any = flow.apply(ready.stages, frame.lazy()).collect()
    return out.select(ready.X_test.columns)


def _labeled(table: Table, arm: str) -> Table:
    """Return the rows that have a label: no probe learns from others."""
    target = table.need("target", "bench")
    if not target.null_count():
        return table
    if target.null_count() == len(target):
        raise DataError(f"The '{arm}' arm has no labeled rows left in a training part. Label more rows.")
    return table.with_frame(table.frame.filter(pl.col(target.name).is_not_null())).collect()


def _codes(design: Design, table: Table) -> NDArray:
    """Return the training target as class codes, or as values."""
    target = table.need("target", "bench")
    if design.task == "regression":
        return target.cast(pl.Float64).to_numpy()
    place = dict(zip(design.labels.to_list(), range(len(design.labels)), strict=True))
    codes = target.cast(pl.String).replace_strict(place, default=None, return_dtype=pl.Int64)
    if codes.null_count():
        strange = target.filter(codes.is_null())[0]
        raise StageError(f"bench: a stage made the label {strange!r}, which is none of the target's classes.")
    return codes.to_numpy()
