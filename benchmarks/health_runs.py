"""Trainings for `health.py`: healthy ones on many data sets, and ones in which a fault is planted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.svm import SVC, SVR
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from health_sets import SHARES, parted, rows_of
from tilth.errors import TilthWarning
from tilth.training import Examination, examine, mlp

SHORT = 0.03
"""A training that falls so far short of a reference, in accuracy or R2, is not healthy, whatever is found."""
WIDE, NARROW, GOOD = 0.10, 0.07, 0.9
"""Nor is one whose score on its own rows lies so far above that on others: the narrow bound where it is above
`GOOD`."""


@dataclass
class Run:
    """One training: what `examine` is to get.

    Attributes
    ----------
    X, y, X_aside, y_aside : ndarray
        To train on, and to stop by.
    network : callable
        Makes the network, from the numbers of inputs and outputs.
    options : dict
        Of `examine`.
    batch_size : int
    judged_by : (X, y), optional
        Rows that `examine` does not see.
    """

    X: NDArray[np.floating]
    y: NDArray[Any]
    X_aside: NDArray[np.floating]
    y_aside: NDArray[Any]
    network: Callable[[int, int], nn.Module]
    options: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 64
    judged_by: tuple[NDArray[np.floating], NDArray[Any]] | None = None

    def examined(self) -> tuple[Examination, nn.Module]:
        """Examine it, and return the network that was trained with what was found."""
        target = np.concatenate([self.y, self.y_aside])
        outputs = int(target.max()) + 1 if target.dtype.kind == "i" else 1
        generator = torch.Generator().manual_seed(0)
        given = TensorDataset(_tensor(self.X), _tensor(self.y))
        loader = DataLoader(given, self.batch_size, shuffle=True, generator=generator)
        aside = [(_tensor(self.X_aside), _tensor(self.y_aside))]
        network = self.network(self.X.shape[1], outputs)
        trained: list[nn.Module] = []

        def remember(module: nn.Module, *_: Any) -> None:
            if module.training and not trained:
                trained.append(module)

        # A copy is trained, which takes the hook along.
        network.register_forward_hook(remember)
        found = examine(network, loader, validation=aside, device="cpu", n_jobs=1, **self.options)
        return found, trained[0]


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.int64 if values.dtype.kind == "i" else np.float32))


def healthy(name: str, seed: int) -> Run:
    """Return a training as one should be: scaled inputs, a fitting network and rate, early stopping."""
    draw = np.random.default_rng([seed, 7])
    batch_norm, activation = bool(draw.random() < 0.5), str(draw.choice(["relu", "gelu", "tanh"]))
    hidden = [(64,), (64, 64), (128, 64)][int(draw.integers(3))]
    train, aside, judged_by = parted(*rows_of(name, seed), seed, *SHARES)
    sgd = bool(draw.random() < 0.25)
    rates = [0.05, 0.1] if sgd and train[1].dtype.kind == "i" else [0.003, 0.01]

    def network(inputs: int, outputs: int) -> nn.Module:
        return mlp(inputs, outputs, hidden, activation, 0.1, batch_norm, seed)

    options = {
        "optimizer": "sgd" if sgd else "adamw",
        "learning_rate": float(draw.choice(rates)),
        "weight_decay": 1e-4 if sgd else 1e-2,
        "schedule": "cosine",
        "warmup_share": 0.05,
        "clip_norm": 1.0,
        "epochs": 30,
        "patience": 8,
        "random_state": seed,
    }
    return Run(*train, *aside, network, options, 32, judged_by)


def truth(run: Run, trained: nn.Module) -> dict[str, float]:
    """Judge a training by rows it never saw, and by scikit-learn: nothing of the health checks goes into it.

    Parameters
    ----------
    run : Run
        With rows to judge by.
    trained : nn.Module

    Returns
    -------
    dict
        The network's score on its training rows, and on the rows that neither it nor `examine` saw; on the
        latter the better score of a linear model and a support vector machine fitted to the same training
        rows; and that of a constant.
    """
    assert run.judged_by is not None
    X, y = run.judged_by
    classes = run.y.dtype.kind == "i"
    models = (LogisticRegression(max_iter=1000), SVC()) if classes else (Ridge(), SVR())
    trained.eval()

    def scored(rows: NDArray[np.floating], target: NDArray[Any]) -> float:
        with torch.inference_mode():
            said = trained(_tensor(rows)).numpy()
        return float(
            accuracy_score(target, said.argmax(1)) if classes else r2_score(target, said.reshape(-1))
        )

    dummy = DummyClassifier() if classes else DummyRegressor()
    return {
        "train": scored(run.X, run.y),
        "test": scored(X, y),
        "reference": max(float(model.fit(run.X, run.y).score(X, y)) for model in models),
        "constant": float(dummy.fit(run.X, run.y).score(X, y)),
    }


def ailing(told: dict[str, float]) -> str | None:
    """Return why a training in which no fault was planted is not healthy all the same; None where it is.

    Two things can be wrong with it. It is "short": simple models learn more from the same rows. Or it is
    "overfit", by what the protocol calls so, a gap between both scores of 0.10, or of 0.07 where the score on
    its own rows is above 0.9: then a finding that tells of that gap is right.
    """
    if told["reference"] - told["test"] > SHORT:
        return "short"
    gap = told["train"] - told["test"]
    return "overfit" if gap >= (NARROW if told["train"] > GOOD else WIDE) else None


def _plain(
    hidden: tuple[int, ...], activation: str = "relu", seed: int = 0
) -> Callable[[int, int], nn.Module]:
    return lambda inputs, outputs: mlp(inputs, outputs, hidden, activation, 0.0, False, seed)


def _base(seed: int, **options: Any) -> Run:
    """Return a healthy training without normalization, for faults to be planted in."""
    name = ("classes", "friedman1", "circles", "hastie")[seed % 4]
    told = {"epochs": 15, "learning_rate": 1e-3, "random_state": seed, **options}
    train, aside = parted(*rows_of(name, seed), seed, 0.75)
    return Run(*train, *aside, _plain((64, 64), seed=seed), told)


def _changed(make: Callable[[int, int], nn.Module], change: Callable[[nn.Module], None]) -> Any:
    def network(inputs: int, outputs: int) -> nn.Module:
        made = make(inputs, outputs)
        with torch.no_grad():
            change(made)
        return made

    return network


def _layers(network: nn.Module) -> list[nn.Linear]:
    return [module for module in network.modules() if isinstance(module, nn.Linear)]


def rate_high(seed: int) -> Run:
    """AdamW at a thousand times its usual rate."""
    return _base(seed, learning_rate=1.0)


def rate_low(seed: int) -> Run:
    """AdamW at a thousandth of its usual rate."""
    return _base(seed, learning_rate=1e-6)


def unscaled(seed: int) -> Run:
    """A third of the columns in a unit ten thousand times smaller."""
    run = _base(seed)
    unit = np.where(np.arange(run.X.shape[1]) % 3 == 0, 1e4, 1.0)
    run.X, run.X_aside = run.X * unit, run.X_aside * unit
    return run


def vanishing(seed: int) -> Run:
    """Twelve layers of tanh that begin with tiny weights."""
    run = _base(seed)

    def small(network: nn.Module) -> None:
        for layer in _layers(network):
            layer.weight.mul_(0.05)

    run.network = _changed(_plain((32,) * 12, "tanh", seed), small)
    return run


def exploding(seed: int) -> Run:
    """Six layers of ReLU that begin with weights six times too large."""
    run = _base(seed, optimizer="sgd", learning_rate=1e-4)

    def large(network: nn.Module) -> None:
        for layer in _layers(network):
            layer.weight.mul_(6)

    run.network = _changed(_plain((64,) * 6, seed=seed), large)
    return run


def dead_bias(seed: int) -> Run:
    """A hidden layer of ReLU whose biases are far below 0."""
    run = _base(seed)

    def negative(network: nn.Module) -> None:
        _layers(network)[1].bias.fill_(-20.0)

    run.network = _changed(_plain((64, 64), seed=seed), negative)
    return run


def dead_rate(seed: int) -> Run:
    """ReLU units thrown beyond all rows by the first steps of SGD."""
    return _base(seed, optimizer="sgd", learning_rate=3.0)


def missing_cell(seed: int) -> Run:
    """One cell of the training rows is NaN."""
    run = _base(seed)
    run.X = run.X.copy()
    run.X[seed % len(run.X), 0] = np.nan
    return run


def broken_loss(seed: int) -> Run:
    """A loss of one's own that takes the logarithm of a probability that comes to be 0."""
    run = _base(seed, learning_rate=0.03)
    middle = 0 if run.y.dtype.kind == "i" else np.median(run.y)
    run.y, run.y_aside = ((y > middle).astype(np.int64) for y in (run.y, run.y_aside))
    run.X, run.X_aside = 3 * run.X, 3 * run.X_aside

    def unguarded(output: Tensor, target: Tensor) -> Tensor:
        share = torch.softmax(100 * output, dim=1)
        hot = nn.functional.one_hot(target, output.shape[1])
        return -(hot * share.log()).sum(1)

    run.options["loss"] = unguarded
    return run


def shuffled(seed: int) -> Run:
    """Labels in the wrong rows."""
    run = _base(seed)
    run.y = np.random.default_rng(seed).permutation(run.y)
    run.y_aside = np.random.default_rng(seed + 1).permutation(run.y_aside)
    return run


def tiny(seed: int) -> Run:
    """One hidden unit for a target that needs many."""
    run = _base(seed)
    run.network = _plain((1,), seed=seed)
    return run


def few_rows(seed: int) -> Run:
    """A wide network, 60 rows of 40 columns, 60 epochs, and nothing that stops it."""
    X, y = datasets.make_classification(400, 40, n_informative=4, flip_y=0.1, random_state=seed)
    train, aside = parted(X, y, seed, 0.15)
    return Run(*train, *aside, _plain((256, 256), seed=seed), {"epochs": 60, "random_state": seed}, 16)


def swinging(seed: int) -> Run:
    """SGD with momentum at a rate at which it jumps from side to side, held by batch norm and clipping."""
    run = _base(seed, optimizer="sgd", learning_rate=1.0, clip_norm=1.0, epochs=20)
    # Of the four sets, hastie does settle at this rate: nothing would be planted there.
    name = ("classes", "friedman1", "circles")[seed % 3]
    (run.X, run.y), (run.X_aside, run.y_aside) = parted(*rows_of(name, seed), seed, 0.75)
    run.network = lambda inputs, outputs: mlp(inputs, outputs, (64,), "gelu", 0.0, True, seed)
    run.batch_size = 16
    return run


def at_the_ends(seed: int) -> Run:
    """Tanh on inputs of a unit a hundred times too small."""
    run = _base(seed)
    run.network = _plain((64, 64), "tanh", seed)
    run.X, run.X_aside = 100 * run.X, 100 * run.X_aside
    return run


FAULTS: dict[str, tuple[Callable[[int], Run], tuple[str, ...]]] = {
    "rate_high": (rate_high, ("diverged", "exploding", "oscillating", "dead", "not_learning")),
    "rate_low": (rate_low, ("not_learning",)),
    "unscaled": (unscaled, ("unscaled",)),
    "vanishing": (vanishing, ("vanishing",)),
    "exploding": (exploding, ("exploding", "diverged")),
    "dead_bias": (dead_bias, ("dead",)),
    "dead_rate": (dead_rate, ("dead", "diverged")),
    "missing_cell": (missing_cell, ("missing", "diverged")),
    "broken_loss": (broken_loss, ("diverged",)),
    "shuffled": (shuffled, ("no_signal",)),
    "tiny": (tiny, ("underfit", "not_learning")),
    "few_rows": (few_rows, ("overfit",)),
    "swinging": (swinging, ("oscillating",)),
    "at_the_ends": (at_the_ends, ("saturated",)),
}
"""Faults: how each is planted, and the findings that name it."""


def told(kind: str, name: str, seed: int) -> dict[str, Any]:
    """Run one training, and return the findings of severity medium or high, and the remarks.

    Parameters
    ----------
    kind : str
        "healthy", or one of `FAULTS`.
    name : str
        Of the set, for a healthy training.
    seed : int

    Returns
    -------
    dict
        Of a healthy training with its `truth`, and with what ails it by that.
    """
    run = healthy(name, seed) if kind == "healthy" else FAULTS[kind][0](seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TilthWarning)
        done, trained = run.examined()
    by: dict[bool, list[str]] = {True: [], False: []}
    for finding in done.findings:
        by[finding.severity in ("medium", "high")].append(finding.kind.removeprefix("health."))
    line = {"kind": kind, "set": name, "seed": seed, "found": by[True], "remarks": by[False]}
    if kind == "healthy":
        line["truth"] = truth(run, trained)
        line["ails"] = ailing(line["truth"])
        line["said"] = [finding.message for finding in done.findings if finding.severity != "low"]
    return line
