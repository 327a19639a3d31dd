"""The neural probe: a multilayer perceptron, trained by the one trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from tilth.probes.model import Probe
from tilth.probes.of_tables import OfTables

if TYPE_CHECKING:
    import torch

    from tilth.training import Adversary

ACTIVATIONS = {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}


class MLP(OfTables):
    """Fit a multilayer perceptron with batch norm and dropout on robustly scaled, one-hot inputs.

    Trained by AdamW with warm-up and cosine, gradient clipping, and early stopping on an inner split, the
    best weights restored. A regression target is standardized inside. The same seed gives the same model on a
    CPU.

    Parameters
    ----------
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    hidden : sequence of int, default (256, 256)
        Units of each hidden layer.
    dropout : float in [0, 1), default 0.1
    learning_rate : float > 0, default 1e-3
        Peak of the schedule.
    weight_decay : float >= 0, default 1e-4
    batch_size : int >= 2, default 256
        Rows.
    max_epochs : int, default 100
    validation_share : float in [0, 0.5], default 0.15
        Share of the rows kept aside to tell when to stop; 0 trains for all epochs.
    patience : int, default 10
        Epochs without a lower validation loss before training stops.
    max_categories : int >= 2, default 50
        One-hot columns per category column at most; the rarest levels share one.
    device : {"auto", "cuda", "mps", "cpu"}, default "auto"
    n_jobs : int or None, default 1
        CPU threads of torch; one is the fastest for small tables and leaves cores to other folds.
    random_state : int, RandomState or None, default None
        Seed of weights, inner split, row order and dropout; None takes a new one each time.
    scale : {"robust", "standard", None}, default "robust"
        How numbers are brought near 0; None leaves them as they come.
    activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}, default "relu"
    initialization : {"he", "xavier"}, default "he"
    batch_norm : bool, default True
        Normalize each hidden unit over the batch.
    optimizer : {"adamw", "sgd", "rmsprop"}, default "adamw"
    momentum : float in [0, 1), optional
        By default 0.9 for AdamW and SGD, 0 for RMSprop.
    warmup_share : float in [0, 1), default 0.05
        Share of all planned steps in which the rate rises.
    clip_norm : float > 0 or None, default 1.0
        Largest norm of the whole gradient; None never clips.
    l1, l2 : float >= 0, default 0
        Penalty on the weights: `l1` times the sum of absolutes, `l2` times half the sum of squares.
    adversarial : {"fgsm", "pgd"}, optional
        Half of each training batch is moved to where the network errs most: numbers only, not categories.
    epsilon : float > 0, default 0.1
        How far at most, in the unit of the scaled inputs: interquartile ranges, where `scale` is "robust".

    Attributes
    ----------
    network_ : torch.nn.Sequential
    history_ : list of tilth.training.Epoch
        What each epoch left on record.
    best_epoch_ : int
        The epoch whose weights are kept.
    stopped_ : {"epochs", "patience", "diverged"}
        Why training ended.
    center_, spread_ : float
        Mean and standard deviation of a regression target; 0 and 1 for classes.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(400, 2))
    >>> model = MLP(max_epochs=30, device="cpu", random_state=0).fit(X, X[:, 0] * X[:, 1] > 0)
    >>> bool(model.score(X, X[:, 0] * X[:, 1] > 0) > 0.9)
    True
    """

    # Within the ranges that Gorishniy et al. (2021) search: dropout up to 0.5, widths up to 512.
    grid: ClassVar[dict[str, list[Any]]] = {"dropout": [0.1, 0.4], "hidden": [(64, 64), (256, 256)]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "hidden": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_share": [Interval(Real, 0, 0.5, closed="both")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "max_categories": [Interval(Integral, 2, None, closed="left")],
        "device": [str],
        "n_jobs": [Integral, None],
        "scale": [StrOptions({"robust", "standard"}), None],
        "activation": [StrOptions(ACTIVATIONS)],
        "initialization": [StrOptions({"he", "xavier"})],
        "batch_norm": ["boolean"],
        "optimizer": [StrOptions({"adamw", "sgd", "rmsprop"})],
        "momentum": [Interval(Real, 0, 1, closed="left"), None],
        "warmup_share": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "l1": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "adversarial": [StrOptions({"fgsm", "pgd"}), None],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        task: str = "auto",
        hidden: Sequence[int] = (256, 256),
        dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 256,
        max_epochs: int = 100,
        validation_share: float = 0.15,
        patience: int = 10,
        max_categories: int = 50,
        device: str = "auto",
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        scale: str | None = "robust",
        activation: str = "relu",
        initialization: str = "he",
        batch_norm: bool = True,
        optimizer: str = "adamw",
        momentum: float | None = None,
        warmup_share: float = 0.05,
        clip_norm: float | None = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        adversarial: str | None = None,
        epsilon: float = 0.1,
    ) -> None:
        self.task = task
        self.hidden = hidden
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_share = validation_share
        self.patience = patience
        self.max_categories = max_categories
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.scale = scale
        self.activation = activation
        self.initialization = initialization
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.momentum = momentum
        self.warmup_share = warmup_share
        self.clip_norm = clip_norm
        self.l1 = l1
        self.l2 = l2
        self.adversarial = adversarial
        self.epsilon = epsilon

    def _begin(self, few: Any, seed: int) -> torch.nn.Sequential:
        return self._network(few.shape[1], self._outputs, seed)

    def _network(self, inputs: int, width: int, seed: int) -> torch.nn.Sequential:
        from tilth.training import mlp

        return mlp(
            inputs,
            width,
            tuple(self.hidden),
            self.activation,
            self.dropout,
            self.batch_norm,
            seed,
            self.initialization,
        )

    def _adversary(self) -> Adversary | None:
        from tilth.training import Adversary

        if self.adversarial is None:
            return None
        # Numbers come first in the matrix; flags among them are 0 or 1 and nothing between.
        numbers = [column for column in self.inputs_.columns_ if column.kind != "category"]
        moved = [place for place, column in enumerate(numbers) if column.kind not in ("boolean", "empty")]
        return Adversary(self.adversarial, self.epsilon, columns=moved)

    def _rebuilt(self, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Sequential:
        linear = [weight for weight in weights.values() if weight.ndim == 2]
        return self._network(linear[0].shape[1], linear[-1].shape[0], 0)
