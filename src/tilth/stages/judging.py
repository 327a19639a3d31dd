"""What a model says of rows that it did not see: the ground on which labels are judged."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import WithJsonSchema
from sklearn.base import BaseEstimator

from tilth.errors import TilthWarning
from tilth.stages.classes import Classes
from tilth.stages.folds import folds_of
from tilth.stages.foreign import unfitted
from tilth.table import Table

Task = Literal["classification", "regression"]
Judge = (
    Literal["auto", "linear", "boosting", "mlp"]
    | Annotated[BaseEstimator, WithJsonSchema({"not": {}, "description": "an estimator, in Python only"})]
)
"""Who may judge: a probe by its name, the better of two, or an estimator."""

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""What `C` the linear probe is tried with, the strongest penalty first: with many columns, or many wrong
labels, a weak one believes what it is told."""
WITHIN = 0.05
"""A weaker penalty is preferred as long as its loss is higher by at most this share: a strong one that wins
by little may be sure of one class only."""
SURE = 1e-6
"""No probability counts as lower, so that one row cannot decide which probe is better."""
STEP = 0x9E3779B9
"""Between the seeds of two repeats: seeds that people choose lie closer together."""

WORTH_A_PROCESS = 5_000_000
"""Cells read by all fits together from which on processes of their own pay for their start."""


@dataclass(frozen=True)
class Judgment:
    """Hold what models that never saw a row say about its label.

    Parameters
    ----------
    rows : ndarray of shape (n_judged,), int64
        Positions of the rows that were judged, in the order of their ids.
    labels : ndarray of shape (n_judged,), int64
        Their given labels, as places in `classes`.
    probabilities : ndarray of shape (n_judged, n_classes), float64
        Of each class, from models fitted on other rows.
    classes : list
        The classes, in the target's own type.
    rare : list
        Classes that could not be judged.
    probe : str
        Who judged.
    loss : float
        The mean log loss of the given labels; NaN where no row was judged.
    """

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    classes: list[Any]
    rare: list[Any]
    probe: str = ""
    loss: float = float("nan")


def judge(
    table: Table,
    columns: list[str],
    stage: str,
    *,
    probe: Any,
    folds: int | Literal["one"],
    repeats: int,
    looks: int,
    random_state: int,
) -> Judgment:
    """Ask for each labeled row models that were fitted on other rows, none of its group, about its class.

    Parameters
    ----------
    table : Table
        With a target of classes. Rows of weight 0 are as if absent.
    columns : list of str
        What the models see.
    stage : str
        For messages.
    probe : str or estimator
        Who judges; see `chosen`.
    folds : int or 'one'
        Parts that are judged one after another; 'one': each row, or group, is a part of its own.
    repeats : int
        How often the rows are dealt out anew; probabilities are means.
    looks : int
        How often all are asked. From the second time on a row counts for models as much as its label was
        believed the time before: wrong labels then mislead them less.
    random_state : int

    Returns
    -------
    Judgment
        Of no row where fewer than two classes can be judged. A class can be where it has two rows that do
        not always lie in one part.
    """
    classes = Classes.of(table.need("target", stage), stage)
    levels, codes, weight = classes.levels.to_list(), classes.codes, table.role("weight")
    usable = codes >= 0
    if weight is not None:
        usable &= weight.to_numpy() > 0
    # Some models depend on the order of rows: all see the same one.
    order = np.argsort(table.ids, kind="stable")
    rows, dealings, kept = _deal(order[usable[order]], codes, table, folds, repeats, random_state)
    if len(kept) < 2:
        return Judgment(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 0)), [], levels)
    labels = np.searchsorted(kept, codes[rows])
    inputs = table.frame.select(columns).collect()[rows]
    weights = None if weight is None else weight.to_numpy().astype(np.float64)[rows]

    def asked(who: Any, fold: NDArray[np.int64], weight: NDArray[np.float64] | None) -> NDArray[np.float64]:
        given = {"probe": who, "weight": weight, "random_state": random_state}
        return out_of_fold(inputs, labels, fold, task="classification", **given)

    def loss(answer: NDArray[np.float64]) -> float:
        return _loss(answer, labels, weights)

    best, first = chosen(probe, lambda who: asked(who, dealings[0], weights), loss)
    mean = np.mean([first, *(asked(best, fold, weights) for fold in dealings[1:])], axis=0)
    for _ in range(looks - 1):
        own = np.maximum(mean[np.arange(len(labels)), labels], SURE)
        believed = own if weights is None else own * weights
        # As much weight in all as before: with less, a penalty would weigh more.
        believed = believed * ((len(own) if weights is None else weights.sum()) / believed.sum())
        mean = np.mean([asked(best, fold, believed) for fold in dealings], axis=0)
    rare = [level for k, level in enumerate(levels) if k not in kept]
    known = [levels[k] for k in kept]
    return Judgment(rows, labels, mean, known, rare, _name(best), loss(mean))


def chosen(
    probe: Any,
    ask: Callable[[Any], NDArray[np.float64]],
    loss: Callable[[NDArray[np.float64]], float],
    task: Task = "classification",
) -> tuple[Any, NDArray[np.float64]]:
    """Choose who judges by the loss of answers to rows not seen, and return also these answers.

    Parameters
    ----------
    probe : str or estimator
        'linear': the weakest penalty of `STRENGTHS` whose loss is within `WITHIN` of the lowest before it;
        'auto': it or boosting. All others judge as they are.
    ask : callable
        From a judge to out-of-sample answers, on the same folds for all.
    loss : callable
        From answers to a number.
    task : {'classification', 'regression'}
    """
    from tilth.probes import Linear

    if not isinstance(probe, str) or probe not in ("auto", "linear"):
        return probe, ask(probe)
    with warnings.catch_warnings():
        # What a candidate lacks shows in its loss.
        warnings.simplefilter("ignore", TilthWarning)
        least, best = np.inf, ("boosting", ask("boosting")) if probe == "auto" else None
        linear: list[tuple[float, Any, NDArray[np.float64]]] = []
        for strength in STRENGTHS:
            who = Linear(task, C=strength)
            answer = ask(who)
            found = loss(answer)
            least = min(least, found)
            if linear and found > least * (1 + WITHIN):
                break
            linear.append((found, who, answer))
    if best is None or linear[-1][0] <= loss(best[1]):
        best = linear[-1][1:]
    return best


def _name(who: Any) -> str:
    from tilth.probes import Linear

    if isinstance(who, str):
        return who
    return f"linear (C={who.C:g})" if isinstance(who, Linear) else type(who).__name__


def digest(table: Table, columns: list[str], *chosen: Any) -> str:
    """Return a word for the rows as judged and what was chosen to judge them, the same in any process.

    It is empty, and tells nothing, where an estimator holds code that cannot be written down.
    """
    import joblib

    roles = [r for r in (table.roles.target, table.roles.weight, table.roles.group) if r is not None]
    held = io.BytesIO()
    frame = table.frame.select(*dict.fromkeys([*columns, *roles])).collect().rechunk()
    frame.with_columns(pl.Series("__ids__", table.ids)).write_ipc(held)
    try:
        word = hashlib.blake2b(joblib.hash((chosen, table.roles)).encode(), digest_size=16)
    except pickle.PicklingError:
        return ""
    word.update(held.getbuffer())
    return word.hexdigest()


def _deal(
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    table: Table,
    folds: int | Literal["one"],
    repeats: int,
    seed: int,
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return the rows that can be judged, their folds in each repeat, and the classes they are of."""
    ids, groups = table.ids, table.role("group")
    kept = np.zeros(0, np.int64)
    while len(rows):
        kept = np.unique(codes[rows])
        some = None if groups is None else groups[rows]
        # One row, or group, of a part: dealt once, for no other dealing differs.
        parts, times = (len(rows), 1) if folds == "one" else (folds, repeats)
        dealt = [folds_of(ids[rows], parts, seed + turn * STEP, codes[rows], some) for turn in range(times)]
        torn = {k: all(len(np.unique(fold[codes[rows] == k])) > 1 for fold in dealt) for k in kept.tolist()}
        if all(torn.values()):
            return rows, dealt, kept
        # Taking rows out deals the others anew: look again until every class can be judged.
        kept = np.array([k for k in kept.tolist() if torn[k]], dtype=np.int64)
        rows = rows[np.isin(codes[rows], kept)]
    return rows, [np.zeros(0, np.int64)], kept


def _loss(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], weight: NDArray[np.float64] | None
) -> float:
    own = np.maximum(probabilities[np.arange(len(labels)), labels], SURE)
    return float(np.average(-np.log(own), weights=weight))


def out_of_fold(
    inputs: pl.DataFrame,
    target: NDArray[Any],
    fold: NDArray[np.int64],
    *,
    probe: Any,
    task: Task,
    weight: NDArray[np.float64] | None = None,
    random_state: int = 0,
    n_jobs: int | None = None,
) -> NDArray[np.float64]:
    """Ask for each row a model fitted on the rows of all other folds.

    Parameters
    ----------
    inputs : DataFrame of shape (n_rows, n_columns)
        Columns that probes read.
    target : ndarray of shape (n_rows,)
        Class codes from 0 for a classification, values for a regression.
    fold : ndarray of shape (n_rows,), int64
        Rows of the same fold are judged by the same model.
    probe : str or estimator
        The name of a probe, a probe, or an estimator of scikit-learn's kind: of that a clone gets the columns
        as numbers, standardized, with categories one-hot and gaps filled and marked.
    task : {'classification', 'regression'}
    weight : ndarray of shape (n_rows,), optional
    random_state : int
        Seed of every random_state that is not set.
    n_jobs : int, optional
        Processes; by default as many as there are cores where the work is worth it. The answer does not
        depend on it.

    Returns
    -------
    ndarray of shape (n_rows, n_classes) or (n_rows,), float64
        Class probabilities, or values. A class that the other folds lack has probability 0.
    """
    from joblib import Parallel, delayed, effective_n_jobs, parallel_config

    classes = int(target.max()) + 1 if task == "classification" else 0
    answers = np.zeros((len(target), classes) if classes else len(target))
    held = [fold == number for number in np.unique(fold)]

    jobs = n_jobs or (-1 if inputs.height * inputs.width * len(held) > WORTH_A_PROCESS else 1)
    asked = (
        delayed(answers_of)(
            inputs.filter(~out),
            target[~out],
            None if weight is None else weight[~out],
            inputs.filter(out),
            probe,
            task,
            random_state,
            classes,
        )
        for out in held
    )
    # A worker of another pool has no cores to give away.
    if min(effective_n_jobs(jobs), len(held)) == 1:
        parts = [ask(*given) for ask, given, _ in asked]
    else:
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            parts = Parallel()(asked)
    for out, part in zip(held, parts, strict=True):
        answers[out] = part
    return answers


def answers_of(
    seen: pl.DataFrame,
    known: NDArray[Any],
    weight: NDArray[np.float64] | None,
    asked: pl.DataFrame,
    probe: Any,
    task: Task,
    random_state: int,
    classes: int,
) -> NDArray[np.float64]:
    """Fit on the rows that are seen, and answer for those asked."""
    present = np.unique(known) if classes else np.empty(0, np.int64)
    if len(present) == 1:
        # One class cannot be learned, and needs not be.
        answer = np.ones((asked.height, 1))
    else:
        model = _made(probe, task, random_state)
        told = {} if weight is None else {"sample_weight": weight}
        model.fit(seen, known, **told)
        if not classes:
            return np.asarray(model.predict(asked), dtype=np.float64)
        answer = model.predict_proba(asked)
    whole = np.zeros((asked.height, classes))
    whole[:, present] = answer
    return whole


def _made(probe: Any, task: Task, random_state: int) -> Any:
    from tilth.probes import Probe
    from tilth.probes import probe as named

    if isinstance(probe, str):
        return named(probe, task=task, random_state=random_state)
    model = unfitted(probe, random_state)
    return model if isinstance(probe, Probe) else Numbered(model)


class Numbered:
    """Hand an estimator the columns as numbers.

    Parameters
    ----------
    model : estimator
        With `fit`, and `predict_proba` or `predict`; weights reach it if its `fit` takes them.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(
        self, frame: pl.DataFrame, target: NDArray[Any], sample_weight: NDArray[np.float64] | None = None
    ) -> Numbered:
        """Learn how columns become numbers, and the model."""
        from sklearn.utils.validation import has_fit_parameter

        from tilth.probes import Inputs

        self.inputs = Inputs().fit(frame, sample_weight)
        weighted = sample_weight is not None and has_fit_parameter(self.model, "sample_weight")
        more = {"sample_weight": sample_weight} if weighted else {}
        self.model.fit(self.inputs.transform(frame), target, **more)
        return self

    def predict(self, frame: pl.DataFrame) -> Any:
        """Return a value per row."""
        return self.model.predict(self.inputs.transform(frame))

    def predict_proba(self, frame: pl.DataFrame) -> Any:
        """Return a probability per row and class."""
        return self.model.predict_proba(self.inputs.transform(frame))
