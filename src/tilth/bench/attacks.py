"""Test rows moved a little, to where a probe errs most: what it withstands, and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.bench.again import View, answered
from tilth.bench.answering import Answer, Judged
from tilth.bench.corruptions import Columns
from tilth.probes import Inputs, Linear

if TYPE_CHECKING:
    from torch import Tensor

FGSM, PGD = "fgsm", "pgd"
STEPS = 10
OF_TABLES, OF_IMAGES = (0.05, 0.1), (2 / 255, 8 / 255)
"""How far rows are moved: numbers by standard deviations, pixels by shares of their range,"""
HUGE_OF_TABLES, HUGE_OF_IMAGES = 10.0, 0.5
"""and so far that no model may be right any more: one that is hides its gradients from the attack."""
ROWS_AT_ONCE = 4096
IMAGES_AT_ONCE = 256


@dataclass(frozen=True)
class Attack:
    """Ask a fitted probe about test rows moved against it.

    Parameters
    ----------
    levels : tuple of float
        How far rows may be moved.
    huge : float
        How far for the sanity check.
    unit : str
        What `levels` are in.
    answer : callable
        ``answer(method, epsilon, seed)``: what the probe says of the moved rows.
    through : str
        The model whose gradient is followed: the probe itself, or one that stands in for it.
    """

    levels: tuple[float, ...]
    huge: float
    unit: str
    answer: Callable[[str, float, int], Answer]
    through: str


def attack_of(judged: Judged) -> Attack | str:
    """Return the attack on a probe, or say why there is none.

    ``linear`` and the networks of ``mlp``, ``cnn`` and `Network` are attacked by their own gradients; any
    other probe of columns by those of a linear model fitted on the same prepared rows, which tells only what
    it loses at least.
    """
    model = judged.model
    if model is None:
        return "one class was left to learn from"
    if getattr(model, "reads_images", False):
        view = View.of(judged) if hasattr(model, "framing") else None
        if view is None:
            return "its way from pixels to answers has no gradient here"
        return Attack(OF_IMAGES, HUGE_OF_IMAGES, "of the range", _Pixels(judged, view).answer, judged.probe)
    prepared = judged.through(judged.rows)
    # A model of the user's own may have been given the columns as numbers, without their names.
    read = [column.name for column in getattr(getattr(model, "inputs_", None), "columns_", ())]
    own = bool(read) and set(read) <= set(prepared.columns)
    own = own and (isinstance(model, Linear) or hasattr(model, "network_"))
    surrogate = model if own else _stand_in(judged)
    numbers = _Numbers.of(judged, surrogate, prepared)
    if numbers is None:
        return "no numeric column reaches it"
    told = judged.probe if own else "linear"
    return Attack(OF_TABLES, HUGE_OF_TABLES, "sd", numbers.answer, told)


def _stand_in(judged: Judged) -> Linear:
    """Fit a linear model on the prepared rows that the probe learned from."""
    ready = judged.ready
    task = "regression" if judged.design.task == "regression" else "classification"
    return Linear(task=task).fit(ready.X.drop(ready.images), ready.target, ready.weight)


def _outputs(judged: Judged, model: Any) -> NDArray[np.int64]:
    """Return which output of the model stands for the true class of each row; -1: none does."""
    places = judged.fitted.places if model is judged.model else np.asarray(model.classes_, np.int64)
    output = np.full(len(judged.design.labels), -1)
    output[places] = np.arange(len(places))
    return output[judged.truth.astype(np.int64)]


def _errors(judged: Judged, model: Any) -> Callable[[Tensor, slice], Tensor]:
    """Return what gives the loss per row of a model's outputs for a part of the rows."""
    import torch

    if judged.design.task == "regression":
        center, spread = getattr(model, "center_", 0.0), getattr(model, "spread_", 1.0)
        truth = torch.from_numpy((judged.truth.astype(np.float64) - center) / spread).float()
        return lambda out, part: (out.reshape(len(out)) - truth[part].to(out.device)) ** 2
    right = torch.from_numpy(_outputs(judged, model))

    def losses(out: Tensor, part: slice) -> Tensor:
        said = right[part].to(out.device)
        rows = torch.arange(len(out), device=out.device)
        own = out[rows, said.clamp(min=0)]
        # The cross-entropy is log(1 + exp(margin)): it rises with the margin, which does not go flat where a
        # model is sure, so that the signs of its slopes are not lost in rounding.
        others = out.index_put((rows, said.clamp(min=0)), out.new_tensor(-torch.inf))
        return torch.where(said >= 0, others.logsumexp(dim=1) - own, torch.zeros_like(own))

    return losses


def _moved(
    method: str, epsilon: float, seed: int, losses: Callable[[Tensor], Tensor], start: Tensor, **more: Any
) -> Tensor:
    from tilth.training import Adversary, seeded

    with seeded(seed, start.device):
        return Adversary(method, epsilon, STEPS, **more).moved(losses, start)


@dataclass(frozen=True)
class _Numbers:
    """Move the numeric columns of prepared rows, each in standard deviations over the training rows.

    Missing cells, flags, dates and categories stay: a category that is a fifth of another is none.
    """

    judged: Judged
    model: Any
    prepared: pl.DataFrame
    names: tuple[str, ...]
    places: tuple[int, ...]
    spread: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, judged: Judged, model: Any, prepared: pl.DataFrame) -> _Numbers | None:
        """Find the columns; None where there are none."""
        inputs: Inputs = model.inputs_
        train = judged.ready.X
        spread = Columns.of(train, dict.fromkeys(train.columns, "numeric")).spread
        numbers = [column for column in inputs.columns_ if column.kind != "category"]
        found = [
            (c.name, at) for at, c in enumerate(numbers) if c.kind == "numeric" and spread.get(c.name, 0) > 0
        ]
        if not found:
            return None
        names, places = zip(*found, strict=True)
        values = prepared.select(pl.col(names).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
        return cls(judged, model, prepared, names, places, np.array([spread[n] for n in names]), values)

    def answer(self, method: str, epsilon: float, seed: int) -> Answer:
        """Return what the probe says of the moved rows, on its usual way."""
        step = self.displaced(method, epsilon, seed)
        known = np.isfinite(self.values)
        # What must stay is not touched at all, so that types and gaps are as they were.
        moved = np.where(known, self.values + step * self.spread, np.nan)
        columns = [
            pl.Series(name, moved[:, at]).zip_with(
                pl.Series(known[:, at]), self.prepared[name].cast(pl.Float64)
            )
            for at, name in enumerate(self.names)
        ]
        return answered(self.judged, self.judged.says(self.prepared.with_columns(columns)))

    def displaced(self, method: str, epsilon: float, seed: int) -> NDArray[np.float64]:
        """Return by how many standard deviations each number is moved, shape (n_rows, n_numbers)."""
        import torch

        from tilth.training import threads

        inputs, network = self.model.inputs_, self._network()
        device = next(network.parameters()).device
        losses = _errors(self.judged, self.model)
        at, places = list(self.places), torch.tensor(self.places, device=device)
        factor = inputs.factor_[at]
        filled = np.where(np.isfinite(self.values), self.values, inputs.fill_[at])
        scaled = (filled - inputs.center_[at]) * factor
        rate = torch.from_numpy(self.spread * factor * np.isfinite(self.values)).float()
        base = torch.from_numpy(np.asarray(inputs.transform(self.prepared), np.float32))
        begin = torch.from_numpy(scaled).float()
        done = []
        with threads(getattr(self.model, "n_jobs", 1)):
            for first in range(0, len(base), ROWS_AT_ONCE):
                part = slice(first, first + ROWS_AT_ONCE)
                rows, start, per = (each[part].to(device) for each in (base, begin, rate))

                def loss(
                    step: Tensor,
                    rows: Tensor = rows,
                    start: Tensor = start,
                    per: Tensor = per,
                    part: slice = part,
                ) -> Tensor:
                    seen = start + step * per
                    if inputs.scale == "robust":
                        seen = _clipped(seen)
                    return losses(network(rows.index_copy(1, places, seen)), part)

                still = torch.zeros_like(start)
                done.append(_moved(method, epsilon, seed + first, loss, still).cpu())
        return torch.cat(done).double().numpy()

    def _network(self) -> Any:
        import torch

        if not isinstance(self.model, Linear):
            self.model.network_.eval()
            return self.model.network_
        coefficients = np.atleast_2d(self.model.model_.coef_)
        shift = np.atleast_1d(self.model.model_.intercept_)
        if self.model.task_ == "classification" and len(coefficients) == 1:
            coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
            shift = np.concatenate([np.zeros_like(shift), shift])
        layer = torch.nn.Linear(coefficients.shape[1], len(coefficients))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(coefficients))
            layer.bias.copy_(torch.from_numpy(shift))
        return layer


@dataclass(frozen=True)
class _Pixels:
    """Move the pixels of test images, as a network looks at them, and round them to whole levels again."""

    judged: Judged
    view: View

    def answer(self, method: str, epsilon: float, seed: int) -> Answer:
        """Return what the probe says of the moved images."""
        import torch

        from tilth.training import threads

        model = self.judged.model
        network = model.network_.eval()
        device = next(network.parameters()).device
        losses = _errors(self.judged, model)
        mean, std = (
            torch.from_numpy(part).to(device).reshape(1, 3, 1, 1) for part in (model.mean_, model.std_)
        )
        moved = np.empty_like(self.view.pixels)
        with threads(model.n_jobs):
            for first in range(0, len(moved), IMAGES_AT_ONCE):
                part = slice(first, first + IMAGES_AT_ONCE)
                given = torch.from_numpy(self.view.pixels[part]).to(device).permute(0, 3, 1, 2).float() / 255

                def loss(X: Tensor, part: slice = part) -> Tensor:
                    return losses(network((X * 255 - mean) / std), part)

                found = _moved(method, epsilon, seed + first, loss, given, bounds=(0.0, 1.0))
                levels = (found * 255).round().clamp(0, 255).to(torch.uint8)
                moved[part] = levels.permute(0, 2, 3, 1).cpu().numpy()
        return self.view.asked(self.judged, moved)


def _clipped(values: Tensor, limit: float = 3.0) -> Tensor:
    """Do what `smooth_clip` does, where a gradient can be taken."""
    part = values / limit
    return part / (part * part + 1).sqrt() * limit
