"""Train the neural probe on data as it is and as a recipe prepares it, and say what ails either training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.design import Arm, Design
from tilth.bench.preparing import Ready, prepare
from tilth.bench.trial import plan
from tilth.errors import DataError
from tilth.probes import MLP
from tilth.statistics import uniform
from tilth.table import ROW, Table

if TYPE_CHECKING:
    from tilth.training import Examination
    from tilth.training.rows import Rows

FOLDS = 5


@dataclass(frozen=True)
class Checkup:
    """What ails the training on data as it is, and as a recipe prepares it.

    Attributes
    ----------
    before, after : tilth.training.Examination
        Of the data with gaps filled and categories one-hot, and of what the recipe makes of it.
    rows : int
        Labeled rows that were used.
    """

    before: Examination
    after: Examination
    rows: int

    @property
    def mended(self) -> list[str]:
        """Return the kinds of findings that the recipe took away."""
        left = {finding.kind for finding in self.after.findings}
        return list(dict.fromkeys(f.kind for f in self.before.findings if f.kind not in left))

    @property
    def new(self) -> list[str]:
        """Return the kinds of findings that came with the recipe."""
        had = {finding.kind for finding in self.before.findings}
        return list(dict.fromkeys(f.kind for f in self.after.findings if f.kind not in had))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "rows": self.rows,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "mended": self.mended,
            "new": self.new,
        }

    def in_words(self) -> list[str]:
        """Return what the recipe changed, as sentences."""
        if not self.before.findings and not self.after.findings:
            return ["Nothing ails the training, before or after the recipe."]
        told = [f"The recipe mended: {', '.join(self.mended) or 'nothing'}."]
        if self.new:
            told.append(f"With the recipe came: {', '.join(self.new)}.")
        left = [f.kind for f in self.after.findings if f.kind not in self.new]
        if left:
            told.append(f"Still there: {', '.join(dict.fromkeys(left))}.")
        return told


def checkup(
    stages: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    time: Any = None,
    inits: int = 5,
    max_rows: int = 20_000,
    device: str = "auto",
    random_state: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Checkup:
    """Train the neural probe before and after a recipe, and say what ails each training.

    The network is the probe ``mlp`` with its settings, except that it does not scale: gaps are filled and
    categories are one-hot, and numbers come as the data, or the recipe, has them. Stages learn from four
    fifths of the rows, and the last fifth is kept aside, as in the bench; the probe keeps a part of its rows
    aside itself, to stop early.

    Parameters
    ----------
    stages : Pipeline, or list of Stage
        The recipe.
    X : frame, array or Table
    y, sample_weight, groups : array-like of shape (n_rows,), optional
        Not needed where `X` is a Table that names them.
    time : str or array-like of shape (n_rows,), optional
        A column, or dates or numbers: rows kept aside are then later than those learned from.
    inits : int, default 5
        Trainings from other first weights, and on other fifths: from 2 on it is seen whether the result
        depends on the former as it does on the latter. 1 trains once, and leaves that out.
    max_rows : int, default 20,000
        Rows used at most, drawn by row id.
    device : str, default "auto"
    random_state : int, default 0
    progress : callable, optional
        Told in words what is being done.

    Returns
    -------
    Checkup

    Raises
    ------
    DataError
        Too few labeled rows, or no columns that the probe reads.

    Examples
    --------
    >>> from tilth.stages.scale.standard import ScaleStandard
    >>> X = np.random.default_rng(0).normal(size=(300, 4)) * 1e4
    >>> told = checkup([ScaleStandard()], X, (X[:, 0] > 0).astype(int), inits=1, device="cpu")
    >>> "health.unscaled" in told.mended
    True
    """
    if inits < 1 or max_rows < FOLDS:
        raise DataError(f"inits is {inits} and max_rows {max_rows}; at least 1 and {FOLDS} are needed.")
    tell = progress or (lambda _: None)
    table = Table.of(X, y, sample_weight=sample_weight, groups=groups)
    kept = _drawn(table, max_rows, random_state)
    if kept is not None:
        table = table.with_frame(table.frame.collect().filter(pl.Series(kept)).lazy())
        time = time if time is None or isinstance(time, str) else np.asarray(time)[kept]
    arms = (Arm.of("before", None), Arm.of("after", stages))
    design, _ = plan(
        table,
        None,
        None,
        None,
        arms=arms,
        probes=["mlp"],
        folds=FOLDS,
        repeats=1,
        metric="auto",
        random_state=random_state,
        allow_fitted=True,
        time=time,
        progress=progress,
    )
    told = [_arm(design, arm, inits, device, random_state, tell) for arm in arms]
    return Checkup(told[0], told[1], int(design.labeled.sum()))


def _drawn(table: Table, most: int, seed: int) -> NDArray[np.bool_] | None:
    """Mark the rows that are used, drawn by row id; None for all."""
    if table.height <= most:
        return None
    kept = np.zeros(table.height, dtype=bool)
    kept[np.argsort(uniform(seed, table.ids), kind="stable")[:most]] = True
    return kept


def _arm(
    design: Design, arm: Arm, inits: int, device: str, seed: int, tell: Callable[[str], None]
) -> Examination:
    """Examine one arm: the first fold from several first weights, and the other folds from one."""
    from tilth.training import examined

    places = [(0, seed + number) for number in range(inits)]
    places += [(fold, seed) for fold in range(1, FOLDS if inits > 1 else 1)]
    scores: dict[tuple[int, int], float] = {}
    first: Any = None
    ready: dict[int, tuple[Design, Ready, NDArray[np.bool_]]] = {}
    for number, (fold, init) in enumerate(places):
        tell(f"{arm.name}: training {number + 1} of {len(places)}")
        if fold not in ready:
            ready = {fold: _prepared(design, arm, fold)}
        model, history, vitals = _trained(*ready[fold], init, device, whole=first is None)
        scores[fold, init] = vitals.validation_score
        first = (model, history, vitals) if first is None else first
    model, history, vitals = first
    if inits > 1:
        vitals = replace(
            vitals,
            init_scores=tuple(scores[0, seed + number] for number in range(inits)),
            fold_scores=tuple(scores[fold, seed] for fold in range(FOLDS)),
        )
    return examined(vitals, history, model.stopped_, model.best_epoch_)


def _prepared(design: Design, arm: Arm, fold: int) -> tuple[Design, Ready, NDArray[np.bool_]]:
    """Prepare a fold: the rows it may see, what the stages make of them, and which are kept aside."""
    design = design.within(0, fold)
    test = design.fold_of[0] == fold
    frame = design.table.frame.collect()
    train = design.table.with_frame(frame.filter(pl.Series(~test)).lazy())
    return design, prepare(design, arm, train, test), test


def _trained(
    design: Design, ready: Ready, test: NDArray[np.bool_], seed: int, device: str, *, whole: bool
) -> tuple[MLP, Sequence[Any], Any]:
    """Train the probe on one fold, and measure it on the fold's test rows."""
    from tilth.training import LOSSES, Recorder, measure

    classes = design.task != "regression"
    recorder = Recorder(keep=whole)
    task = "classification" if classes else "regression"
    model = MLP(task=task, scale=None, device=device, random_state=seed).watched(recorder)
    codes = _fit(model, design, ready)
    where = next(model.network_.parameters()).device
    held = test.nonzero()[0]
    # A class that the training part does not have cannot be told.
    known = np.isin(design.truth[held], codes) if classes else np.ones(len(held), dtype=bool)
    held = held[known]
    vitals = measure(
        model.network_,
        _rows(model, codes, ready.X, ready.target, ready.weight).to(where),
        _rows(
            model, codes, ready.X_test.filter(pl.Series(known)), design.truth[held], design.weight[held]
        ).to(where),
        LOSSES["cross_entropy" if classes else "squared_error"],
        recorder,
        model.history_,
        clip_norm=model.clip_norm,
        names=model.inputs_.names_,
        begun=recorder.begun,
        memorize=whole,
    )
    # The probe's own rows kept aside may be copies of its training rows, where stages make some.
    return model, model.history_, replace(vitals, validation_losses=())


def _fit(model: MLP, design: Design, ready: Ready) -> NDArray[Any]:
    """Fit the probe, with the batch stages there are, and return the class code of each of its outputs."""
    if not ready.batch:
        model.fit(ready.X, ready.target, ready.weight)
        return np.asarray(getattr(model, "classes_", []))
    # Batch stages get to see labels as the table has them, and the ids of the rows.
    classes = design.task != "regression"
    X = ready.X.with_columns(pl.Series(ROW, ready.ids))
    model.fit(X, ready.labels if classes else ready.target, ready.weight, augment=ready.batch)
    if not classes:
        return np.array([])
    place = {label: code for code, label in enumerate(design.labels)}
    return np.array([place[label] for label in pl.Series(model.classes_.tolist()).cast(pl.String)])


def _rows(
    model: MLP, codes: NDArray[Any], X: pl.DataFrame, truth: NDArray[Any], weight: NDArray[np.float64] | None
) -> Rows:
    """Return rows as the probe's network gets them."""
    from tilth.training.rows import Rows

    target: NDArray[Any]
    if model.task_ == "classification":
        order = np.argsort(codes)
        target = order[np.searchsorted(codes[order], truth)]
    else:
        target = ((truth - model.center_) / model.spread_).astype(np.float32)
    return Rows.of(model.inputs_.transform(X), target, weight)
