"""Examine a network and a loader of the user's: train a copy, and say what ails the training."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tilth.core.finding import Finding
from tilth.errors import DataError, TilthWarning, UnknownName
from tilth.training.anew import draw_anew
from tilth.training.health import diagnose
from tilth.training.loaded import Loaded
from tilth.training.measuring import measure
from tilth.training.optimizers import Making
from tilth.training.recording import Recorder
from tilth.training.runtime import pick_device, seeded, threads
from tilth.training.scores import NAMED, Loss, fitting_loss
from tilth.training.trainer import Epoch, Trainer
from tilth.training.vitals import Vitals


@dataclass(frozen=True)
class Examination:
    """What came out of examining a training.

    Attributes
    ----------
    findings : list of Finding
        The worst first; empty where nothing ails.
    history : list of Epoch
    vitals : Vitals
        The numbers they rest on.
    stopped : {"epochs", "patience", "diverged", "asked"}
    best_epoch : int
        The epoch whose weights were measured.
    notes : list of str
        What could not be checked, and why.
    """

    findings: list[Finding]
    history: list[Epoch]
    vitals: Vitals
    stopped: str
    best_epoch: int
    notes: list[str]

    @property
    def healthy(self) -> bool:
        """Return whether no finding is of severity medium or high."""
        return not any(finding.severity in ("medium", "high") for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "healthy": self.healthy,
            "findings": [finding.as_dict() for finding in self.findings],
            "numbers": self.vitals.as_dict(),
            "stopped": self.stopped,
            "best_epoch": self.best_epoch,
            "notes": list(self.notes),
        }

    def in_words(self) -> list[str]:
        """Return the result as sentences."""
        v = self.vitals
        lines = [
            f"{len(self.history)} epochs on {v.rows:,} rows, ended by {ENDED[self.stopped]}; loss "
            f"{v.train_loss:.4g}"
            + (f" (a constant answer: {v.dummy_loss:.4g})" if v.dummy_loss > 0 else "")
            + (
                f", on {v.validation_rows:,} rows kept aside {v.validation_loss:.4g}"
                if v.validation_rows
                else ""
            )
            + "."
        ]
        lines += [f"{finding.severity}: {finding.message}" for finding in self.findings]
        if not self.findings:
            lines.append("Nothing ails this training.")
        return lines + [f"Not checked: {note}" for note in self.notes]

    def __str__(self) -> str:
        """Return the result for a terminal."""
        return "\n".join(self.in_words())


ENDED = {
    "epochs": "their number",
    "patience": "patience",
    "diverged": "a loss that is not finite",
    "asked": "request",
}


def examine(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    loss: str | Loss = "auto",
    epochs: int = 20,
    validation: Iterable[Any] | None = None,
    patience: int | None = None,
    optimizer: str | Making = "adamw",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    momentum: float | None = None,
    schedule: str = "constant",
    warmup_share: float = 0.0,
    clip_norm: float | None = None,
    inits: int = 1,
    memorize: bool = True,
    names: Sequence[str] = (),
    device: str = "auto",
    n_jobs: int | None = None,
    random_state: int = 0,
    on_epoch: Callable[[int, Epoch], bool | None] | None = None,
) -> Examination:
    """Train a copy of a network on the batches of a loader, and say what ails the training.

    The model is left as it is, and so are the random states of torch, NumPy and Python. Looked for is what
    `tilth.training.health.CODES` lists: inputs that are not scaled or hold gaps, loss and gradients that
    explode or vanish, dead and saturated units, scores that swing, networks that learn nothing, too little or
    too much by heart, large weights, and results that depend on the first weights.

    Parameters
    ----------
    model : nn.Module
        Takes X as the loader gives it, as float32.
    loader : iterable of (X, y) or (X, y, weight)
        A torch DataLoader, a TableLoader, an ImageLoader, or a list of batches; gone through once to look at
        it (until 4,096 rows are seen, where its length is known), then once an epoch.
    loss : {"auto", "cross_entropy", "binary_cross_entropy", "squared_error"} or callable
        "auto": by the target's type and the number of outputs. A callable takes (output, target) and returns
        one loss per row; whether it is better than a constant answer's is then not known.
    epochs : int, default 20
    validation : iterable of batches, optional
        Rows kept aside. Without them overfitting cannot be seen.
    patience : int, optional
        Epochs without a lower loss on the rows kept aside, before training stops. By default it does not, so
        that overfitting shows; the best weights are restored only where it is given.
    optimizer : {"adamw", "sgd", "rmsprop"} or callable, default "adamw"
        A callable takes the parameters and returns a torch optimizer.
    learning_rate : float, default 1e-3
    weight_decay : float, default 0
        Decoupled.
    momentum : float, optional
    schedule : {"constant", "cosine"}, default "constant"
    warmup_share : float in [0, 1), default 0
    clip_norm : float, optional
    inits : int, default 1
        Sets of first weights: from 2 on the network is trained again from weights drawn anew, by the
        `reset_parameters` of its modules, and it is seen whether the result depends on them. 5 will do.
    memorize : bool, default True
        Also try whether the network can learn 64 rows by heart: at most 400 steps.
    names : sequence of str, optional
        Of the columns of X, for messages.
    device : str, default "auto"
    n_jobs : int or None
        CPU threads of torch; None leaves its number as it is.
    random_state : int, default 0
        Seeds what is random in the model, and in the loader where it draws from the global states.
    on_epoch : callable, optional
        Called after each epoch with its number and its `Epoch`; returning True stops the training.

    Returns
    -------
    Examination

    Raises
    ------
    DataError
        The loader gives nothing to train on, or batches of another form.
    UnknownName
        Of a loss, optimizer, schedule or device.

    Examples
    --------
    >>> X = torch.randn(256, 3, generator=torch.Generator().manual_seed(0)) * 1e4
    >>> batches = [(X[i : i + 64], (X[i : i + 64, 0] > 0).long()) for i in range(0, 256, 64)]
    >>> model = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> told = examine(model, batches, epochs=5, device="cpu", memorize=False)
    >>> told.findings[0].kind, told.findings[0].remedy
    ('health.unscaled', {'scale.robust': {}})
    """
    if epochs < 1 or inits < 1 or (patience is not None and patience < 1):
        raise ValueError(f"epochs ({epochs}), inits ({inits}) and patience ({patience}) must be at least 1.")
    if isinstance(loss, str) and loss != "auto" and loss not in NAMED:
        raise UnknownName.among("loss", loss, ("auto", *NAMED))
    where = pick_device(device)
    begun = copy.deepcopy(model).to(where)
    if not any(parameter.requires_grad for parameter in begun.parameters()):
        raise DataError("The model has no weights to train: none of its parameters requires a gradient.")
    options: dict[str, Any] = {
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "optimizer": optimizer,
        "momentum": momentum,
        "schedule": schedule,
        "warmup_share": warmup_share,
        "clip_norm": clip_norm,
        "max_epochs": epochs,
        "patience": epochs if patience is None else patience,
        "device": str(where),
        "n_jobs": n_jobs,
    }
    with threads(n_jobs), _all_seeded(random_state, where):
        source = Loaded(loader, validation, where)
        chosen = _loss(loss, begun, source)

        def train(network: nn.Module, seed: int) -> tuple[Trainer, Recorder]:
            recorder = Recorder()
            trainer = Trainer(
                network,
                chosen,
                watch=recorder,
                random_state=seed,
                on_epoch=on_epoch,
                restore=patience is not None,
                **options,
            )
            with warnings.catch_warnings():
                # A loss that is not finite is a finding here.
                warnings.filterwarnings("ignore", "Training diverged", TilthWarning)
                trainer.fit_source(source)
            return trainer, recorder

        trainer, recorder = train(copy.deepcopy(begun), random_state)
        vitals = measure(
            trainer.network,
            source.sample,
            source.validation,
            chosen,
            recorder,
            trainer.history_,
            clip_norm=clip_norm,
            rows=source.rows,
            names=names,
            begun=begun,
            memorize=memorize,
        )
        if inits > 1:
            scores = [_held_score(vitals)]
            for number in range(1, inits):
                again, seen = train(_drawn_anew(begun, random_state + number, where), random_state + number)
                told = measure(
                    again.network,
                    source.sample,
                    source.validation,
                    chosen,
                    seen,
                    again.history_,
                    clip_norm=clip_norm,
                    rows=source.rows,
                    memorize=False,  # only the score is asked for
                )
                scores.append(_held_score(told))
            vitals = replace(vitals, init_scores=tuple(scores))
    return examined(vitals, trainer.history_, trainer.stopped_, trainer.best_epoch_)


def examined(vitals: Vitals, history: list[Epoch], stopped: str, best_epoch: int) -> Examination:
    """Return what the numbers of a training say, and what they cannot.

    Parameters
    ----------
    vitals : Vitals
    history : list of Epoch
    stopped : str
    best_epoch : int
    """
    return Examination(diagnose(vitals), history, vitals, stopped, best_epoch, unchecked(vitals))


def unchecked(vitals: Vitals) -> list[str]:
    """Return what could not be checked, and why."""
    notes = []
    if not vitals.validation_rows:
        notes.append("overfitting, and whether anything holds elsewhere: no validation rows were given.")
    if not vitals.dummy_loss > 0:
        notes.append("whether the network is better than a constant answer: of this loss it is not known.")
    if vitals.layers is not None and not vitals.layers.seen:
        notes.append("silent and saturated units by their answers: the network has no modules of activation.")
    if vitals.matrices < 2:
        notes.append("vanishing gradients and dead units: the network has no hidden layer.")
    return notes


def _loss(loss: str | Loss, network: nn.Module, source: Loaded) -> Loss:
    """Return the loss as a function, found by a trial where it is "auto"; refuse one that does not fit."""
    few = source.sample.X[:2]
    network.eval()
    with torch.no_grad():
        output = network(few)
    if not isinstance(output, Tensor):
        raise DataError(f"The model must return one tensor; it returned a {type(output).__name__}.")
    target = source.sample.target[:2]
    if isinstance(loss, str):
        chosen = fitting_loss(output, target) if loss == "auto" else NAMED[loss]
    else:
        chosen = loss
    losses = chosen(output.float(), target)
    if losses.shape != (len(few),):
        raise DataError(
            f"The loss must return one number per row, shape ({len(few)},); for outputs of shape "
            f"{tuple(output.shape)} and targets {tuple(target.shape)} it returned {tuple(losses.shape)}. Use "
            "reduction='none', and outputs that fit the target."
        )
    return chosen


def _held_score(vitals: Vitals) -> float:
    return vitals.validation_score if vitals.validation_rows else vitals.train_score


def _drawn_anew(begun: nn.Module, seed: int, device: torch.device) -> nn.Module:
    network = copy.deepcopy(begun)
    draw_anew(network, seed, device)
    return network


@contextmanager
def _all_seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed all that a loader may draw from, and put back the caller's states afterwards."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with seeded(seed, device):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002
