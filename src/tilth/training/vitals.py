"""The numbers of a training that its health is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tilth.training.layers import Layers
from tilth.training.recording import Recorder

if TYPE_CHECKING:
    from tilth.training.trainer import Epoch

NAN = math.nan


@dataclass(frozen=True)
class Columns:
    """What the inputs are like, one entry per column (or channel of images).

    Attributes
    ----------
    size : ndarray
        Root of the mean square: how far from 0 the values are.
    spread : ndarray
        Standard deviation.
    names : tuple of str
        Empty where there are none.
    missing : int
        Cells that are NaN or infinite, in the rows looked at.
    """

    size: NDArray[np.float64]
    spread: NDArray[np.float64]
    names: tuple[str, ...] = ()
    missing: int = 0

    @classmethod
    def of(cls, X: NDArray[np.floating], names: Sequence[str] = ()) -> Columns:
        """Measure rows of shape (n_rows, n_columns) or images of shape (n_rows, n_channels, ...)."""
        wide = X.astype(np.float64).reshape(len(X), X.shape[1] if X.ndim > 1 else 1, -1)
        known = np.isfinite(wide)
        count = np.maximum(known.sum(axis=(0, 2)), 1)
        wide = np.where(known, wide, 0)
        mean = wide.sum(axis=(0, 2)) / count
        square = np.square(wide).sum(axis=(0, 2)) / count
        spread = np.sqrt(np.maximum((np.square(wide - mean[:, None]) * known).sum(axis=(0, 2)) / count, 0))
        return cls(np.sqrt(square), spread, tuple(names), int((~known).sum()))

    def name(self, place: int) -> str:
        """Return what a column is called."""
        return self.names[place] if place < len(self.names) else f"input {place}"


@dataclass(frozen=True)
class Vitals:
    """Hold the numbers of a training; NaN and empty where something was not measured.

    Attributes
    ----------
    train_losses, validation_losses : tuple of float
        Of each epoch.
    scores, validation_scores : tuple of float
        Of each epoch: accuracy, or share of variance explained; the first over its own batches.
    first, last, norm : tuple of float
        Of each epoch: median over its steps of the norm of the gradient of the first weight matrix, of the
        last one, and of all weights.
    broken_steps : int
        Steps whose loss or gradient was NaN or infinite.
    clip_norm : float or None
    clipped : float
        Share of all steps that were clipped.
    idle : float
        Share of the units of the worst hidden layer that no gradient reached: median over the windows of the
        second half.
    layers : Layers or None
        At the end, with the weights that are kept.
    saturated_before : float
        Share of answers of the worst hidden layer at an end of their range, before training.
    matrices : int
        Weight matrices of the network.
    dummy_loss, dummy_score : float
        Of the best constant answer on the training rows.
    train_loss, train_score, validation_loss, validation_score : float
        With the weights that are kept, dropout off.
    validation_error : float
        Standard error of `validation_score`, as the rows kept aside are a sample.
    validation_dummy : float
        Loss of the training rows' best constant answer on the rows kept aside.
    rows, validation_rows : int
    memorized : float
        Least loss on 64 rows, as a share of that of the best constant answer.
    columns : Columns or None
    init_scores : tuple of float
        Score on the rows kept aside from each set of first weights.
    fold_scores : tuple of float
        The same from one set, on other splits of the rows.
    """

    train_losses: tuple[float, ...]
    validation_losses: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    validation_scores: tuple[float, ...] = ()
    first: tuple[float, ...] = ()
    last: tuple[float, ...] = ()
    norm: tuple[float, ...] = ()
    broken_steps: int = 0
    clip_norm: float | None = None
    clipped: float = 0.0
    idle: float = 0.0
    layers: Layers | None = None
    saturated_before: float = NAN
    matrices: int = 2
    dummy_loss: float = NAN
    dummy_score: float = NAN
    train_loss: float = NAN
    train_score: float = NAN
    validation_loss: float = NAN
    validation_score: float = NAN
    validation_error: float = 0.0
    validation_dummy: float = NAN
    rows: int = 0
    validation_rows: int = 0
    memorized: float = NAN
    columns: Columns | None = field(default=None, repr=False)
    init_scores: tuple[float, ...] = ()
    fold_scores: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold: None for what was not measured."""
        told = asdict(self)
        if self.columns is not None:
            told["columns"] = {
                "names": list(self.columns.names),
                "size": self.columns.size.tolist(),
                "spread": self.columns.spread.tolist(),
                "missing": self.columns.missing,
            }
        plain: dict[str, Any] = _finite(told)
        return plain


def recorded(recorder: Recorder, history: Sequence[Epoch], clip_norm: float | None) -> dict[str, Any]:
    """Return what a recorder saw, as arguments of `Vitals`."""
    steps = np.concatenate(recorder.steps) if recorder.steps else np.zeros((0, 4))
    with np.errstate(all="ignore"):
        medians = [np.median(epoch, axis=0) for epoch in recorder.steps]
    norms = steps[:, 3]
    late = recorder.idle[len(recorder.idle) // 2 :]
    aside = tuple(epoch.validation_loss for epoch in history)
    return {
        "train_losses": tuple(epoch.train_loss for epoch in history),
        "validation_losses": ()
        if all(math.isnan(loss) for loss in aside) and not recorder.validation_scores
        else aside,
        "scores": tuple(recorder.scores),
        "validation_scores": tuple(recorder.validation_scores),
        "first": tuple(float(m[1]) for m in medians),
        "last": tuple(float(m[2]) for m in medians),
        "norm": tuple(float(m[3]) for m in medians),
        "broken_steps": int((~np.isfinite(steps)).any(axis=1).sum()),
        "clip_norm": clip_norm,
        "clipped": 0.0 if clip_norm is None or not len(norms) else float(np.mean(norms > clip_norm)),
        "idle": float(np.median(late)) if late else 0.0,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
