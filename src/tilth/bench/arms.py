"""One fold: every arm is prepared once inside the training part, and every probe is tried on it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from tilth.bench.folds import assign, fingerprint
from tilth.bench.metrics import METRICS, Metric, metrics_of
from tilth.core import Prepared, Stage, flow
from tilth.errors import DataError, StageError, TilthError
from tilth.pipeline import Pipeline
from tilth.probes import Inputs, probe
from tilth.statistics import hash_rows
from tilth.table import ROW, Table

RANDOM_DROP = "random drop"
TUNED = "before, tuned"
MODEL = "model"
INNER_FOLDS = 3
THRESHOLDS = 99


class RowsChanged(StageError):
    """A pipeline changed the rows it is tested on, so its scores would mean nothing."""


@dataclass(frozen=True)
class Arm:
    """Name a list of stages and, if there is one, the model that ends it.

    Parameters
    ----------
    name : str
    stages : tuple of (name, Stage)
    model : estimator, optional
    """

    name: str
    stages: tuple[tuple[str, Stage], ...] = ()
    model: Any = None

    @classmethod
    def of(cls, name: str, given: Any) -> Arm:
        """Read what a user passes: nothing, a pipeline, or what a pipeline can be made of.

        Raises
        ------
        StageError
            Anything else.
        """
        if given is None:
            return cls(name)
        # A frozen pipeline is a step that stays as it is fitted; its stages are not to be fitted anew.
        if not isinstance(given, Pipeline):
            given = Pipeline(list(given) if isinstance(given, Sequence) else [given])
        # What only reports changes nothing, and need not be fitted in every fold.
        acting = tuple((named, stage) for named, stage in given.stages_named() if stage.acts)
        return cls(name, acting, given.model)


@dataclass(frozen=True)
class Design:
    """Hold what all folds share, fixed before the first is run.

    Parameters
    ----------
    table : Table
        All rows, in memory.
    task : {'binary', 'multiclass', 'regression'}
    truth : ndarray of shape (n_rows,)
        Class codes, or values.
    labels : Series
        Each class as text, in the order of its code; empty for a regression.
    weight : ndarray of shape (n_rows,)
        How much a row counts in a test.
    units, strata : ndarray of shape (n_rows,), int64
    fold_of : ndarray of shape (n_repeats, n_rows), int64
    probes : tuple of (name, estimator or None)
        None: made by name.
    primary : tuple of str
    folds, random_state : int
    """

    table: Table
    task: str
    truth: NDArray
    labels: pl.Series
    weight: NDArray[np.float64]
    units: NDArray[np.int64]
    strata: NDArray[np.int64]
    fold_of: NDArray[np.int64]
    probes: tuple[tuple[str, Any], ...]
    primary: tuple[str, ...]
    folds: int
    random_state: int

    def seed(self, repeat: int, fold: int) -> int:
        """Return the seed of one fold: the same for all arms, so that scores are paired."""
        word = hash_rows(self.random_state, np.array([repeat * 1_000_003 + fold], np.uint64))[0]
        return int(word >> np.uint64(33))


@dataclass
class FoldResult:
    """Hold what one fold gave.

    Parameters
    ----------
    scores, costs : list of dict
        Lines of the frames in `Trial`.
    dropped : int
        Training rows that *after* dropped beyond *before*.
    relabeled : int
        Training labels that any arm changed.
    notes : list of str
        Warnings that were raised on the way, each once.
    failed : dict of arm to str
        Arms that could not be run, and why.
    """

    scores: list[dict[str, Any]] = field(default_factory=list)
    costs: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0
    relabeled: int = 0
    notes: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """Hold the two sides of a fold as one arm prepared them: features, training target and weight."""

    X: pl.DataFrame
    target: NDArray
    weight: NDArray[np.float64] | None
    X_test: pl.DataFrame
    prepared: Prepared


def run_fold(
    design: Design, arms: Sequence[Arm], repeat: int, fold: int, *, random_drop: bool, optional: Sequence[str]
) -> FoldResult:
    """Run every arm and probe on one fold.

    Parameters
    ----------
    random_drop : bool
        Where the second arm drops more rows than the first, also run the first on as many rows dropped at
        random.
    optional : sequence of str
        Arms that may fail: it is written down instead of raised.

    Raises
    ------
    RowsChanged
        If an arm changed the test rows.
    """
    done = FoldResult()
    _import_probes(design)
    test = design.fold_of[repeat] == fold
    frame = design.table.frame.collect()
    train = design.table.with_frame(frame.filter(pl.Series(~test)).lazy())
    kept: dict[str, int] = {}
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        for arm in arms:
            try:
                kept[arm.name] = _run_arm(design, arm, train, test, repeat, fold, done)
            except (TilthError, ValueError) as error:
                if arm.name not in optional or isinstance(error, RowsChanged):
                    error.add_note(f"In the '{arm.name}' arm, repeat {repeat + 1}, fold {fold + 1}.")
                    raise
                done.failed[arm.name] = str(error)
        if random_drop:
            before, after = arms[0], arms[1]
            done.dropped = kept[before.name] - kept[after.name]
            if done.dropped > 0:
                words = hash_rows(design.seed(repeat, fold), train.ids)
                stay = np.ones(train.height, dtype=bool)
                stay[np.argsort(words, kind="stable")[: done.dropped]] = False
                fewer = train.with_frame(train.frame.filter(pl.Series(stay)))
                _run_arm(
                    design, Arm(RANDOM_DROP, before.stages, before.model), fewer, test, repeat, fold, done
                )
            else:
                again = [line | {"arm": RANDOM_DROP} for line in done.scores if line["arm"] == before.name]
                done.scores += again
    told = [w for w in raised if issubclass(w.category, UserWarning)]
    done.notes = list(dict.fromkeys(f"{w.category.__name__}: {w.message}" for w in told))
    return done


def _import_probes(design: Design) -> None:
    """Import what the probes need, so that the first arm in a process does not pay for it."""
    for name, estimator in design.probes:
        if estimator is None:
            probe(name)
            if name == "mlp":
                import_module("tilth.training.trainer")


def _run_arm(
    design: Design, arm: Arm, train: Table, test: NDArray, repeat: int, fold: int, done: FoldResult
) -> int:
    """Add an arm's scores and costs to `done`; return how many of the training rows it kept."""
    rows = int((~test).sum())
    begun = perf_counter()
    ready = _prepare(design, arm, train, test)
    prepare_seconds = perf_counter() - begun
    prepared = ready.prepared
    sources = np.arange(train.height) if prepared.rows is None else prepared.rows
    kept = len(np.unique(sources[sources >= 0]))
    done.relabeled += int(prepared.ledger.account()["relabeled"])
    # A test row of weight 0 is answered, and counts for nothing.
    counts = design.weight[test] > 0
    truth, weight = design.truth[test][counts], design.weight[test][counts]
    seed = design.seed(repeat, fold)
    where = {"arm": arm.name, "repeat": repeat, "fold": fold}
    for name, estimator in design.probes:
        begun = perf_counter()
        answer = _answer(design, arm, name, estimator, ready, seed)[counts]
        fit_seconds = perf_counter() - begun
        for metric in metrics_of(design.task):
            value = metric.score(truth, answer, weight) if counts.any() else float("nan")
            done.scores.append({"probe": name, "metric": metric.name, **where, "value": value})
        done.costs.append(
            {"arm": arm.name, "probe": name, "prepare_seconds": prepare_seconds, "fit_seconds": fit_seconds}
            | {"rows_trained": float(prepared.table.height), "share_kept": kept / rows}
        )
        if arm.name == "before" and design.task == "binary":
            for metric in (METRICS[m] for m in design.primary if METRICS[m].labels and counts.any()):
                threshold = _threshold(design, arm, name, estimator, train, test, repeat, fold, metric)
                value = metric.score(truth, _cut(answer, threshold), weight)
                done.scores.append(
                    {"probe": name, "metric": metric.name, **where, "arm": TUNED, "value": value}
                )
    return kept


def _prepare(design: Design, arm: Arm, train: Table, test: NDArray) -> Ready:
    """Fit clones of the stages on the training part; the test part only passes through column stages."""
    stages = [(name, clone(stage)) for name, stage in arm.stages]
    frame = design.table.frame.collect().filter(pl.Series(test))
    frozen = fingerprint(frame)
    prepared = flow.fit(stages, train)
    # Stages see neither target nor weight nor group of the test rows, so they cannot change them.
    out = flow.apply(stages, frame.lazy().select([*design.table.features, ROW])).collect()
    ids = out[ROW] if ROW in out.columns else None
    if fingerprint(frame) != frozen or ids is None or not ids.equals(frame[ROW]):
        raise RowsChanged(
            f"The '{arm.name}' arm changed the test rows: {frame.height} rows went in, {out.height} out, "
            "or their order or content changed. A column stage must keep rows as they are; use a row stage, "
            "which acts on training rows only."
        )
    names = prepared.table.features
    absent = [name for name in names if name not in out.columns]
    if absent:
        raise StageError(
            f"The '{arm.name}' arm makes columns {absent} of the training rows, but not of the test rows. "
            "A column stage must do the same to both."
        )
    weight = prepared.table.role("weight")
    return Ready(
        prepared.table.X(),
        _codes(design, prepared.table),
        None if weight is None else weight.cast(pl.Float64).to_numpy(),
        out.select(names),
        prepared,
    )


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


def _answer(
    design: Design, arm: Arm, name: str, estimator: Any, ready: Ready, seed: int
) -> NDArray[np.float64]:
    """Fit one probe and return its answer for the test rows: probabilities of all classes, or values."""
    X, target, weight, X_test = ready.X, ready.target, ready.weight, ready.X_test
    regression = design.task == "regression"
    classes = len(design.labels)
    if not regression and len(np.unique(target)) == 1:
        answer = np.zeros((X_test.height, classes))
        answer[:, target[0]] = 1
        return answer
    given: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
    if name == MODEL or estimator is not None:
        model = clone(arm.model if name == MODEL and arm.model is not None else estimator)
        free = {k: seed for k, v in model.get_params().items() if k.endswith("random_state") and v is None}
        model.set_params(**free)
    else:
        task = "regression" if regression else "classification"
        model = probe(name, task=task, random_state=seed)
    train_matrix: Any = X
    test_matrix: Any = X_test
    if name == MODEL:
        # A model of the user's may take numbers only: what its pipeline left as text or gaps is encoded.
        inputs = Inputs(scale=None).fit(X)
        train_matrix, test_matrix = inputs.transform(X), inputs.transform(X_test)
        if given and not has_fit_parameter(model, "sample_weight"):
            warnings.warn(
                f"{type(model).__name__} takes no sample_weight: weights were not used.", stacklevel=2
            )
            given = {}
    model.fit(train_matrix, target, **given)
    if regression:
        return np.asarray(model.predict(test_matrix), dtype=np.float64)
    if not hasattr(model, "predict_proba"):
        raise DataError(
            f"{type(model).__name__} gives no probabilities, which the bench scores. "
            "Wrap it in sklearn.calibration.CalibratedClassifierCV."
        )
    answer = np.zeros((X_test.height, classes))
    answer[:, np.asarray(model.classes_, dtype=np.int64)] = model.predict_proba(test_matrix)
    return answer


def _threshold(
    design: Design,
    arm: Arm,
    name: str,
    estimator: Any,
    train: Table,
    test: NDArray,
    repeat: int,
    fold: int,
    metric: Metric,
) -> float:
    """Choose the decision threshold that scores best on inner folds of the training part."""
    inside = np.flatnonzero(~test)
    seed = design.seed(repeat, fold)
    inner = assign(design.strata[inside], design.units[inside], train.ids, INNER_FOLDS, seed, 0)
    answer = np.zeros((len(inside), 2))
    frame = train.frame.collect()
    for part in range(INNER_FOLDS):
        held = np.zeros(len(test), dtype=bool)
        held[inside[inner == part]] = True
        if not held.any():
            continue
        rest = train.with_frame(frame.filter(pl.Series(inner != part)).lazy())
        answer[inner == part] = _answer(design, arm, name, estimator, _prepare(design, arm, rest, held), seed)
    asked = np.unique(np.append(np.quantile(answer[:, 1], np.linspace(0.01, 0.99, THRESHOLDS)), 0.5))
    counts = design.weight[inside] > 0
    truth, weight, answer = design.truth[inside][counts], design.weight[inside][counts], answer[counts]
    scores = np.array([metric.score(truth, _cut(answer, t), weight) for t in asked])
    best = np.flatnonzero(scores == scores.max())
    return float(asked[best[np.argmin(np.abs(asked[best] - 0.5))]])


def _cut(answer: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return certain answers: the second class from the threshold on."""
    second = (answer[:, 1] >= threshold).astype(np.float64)
    return np.column_stack([1 - second, second])
