"""The one trainer: a plain loop over batches, with the schedule, the stopping rule and the record."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tilth.errors import DataError, TilthWarning, UnknownName
from tilth.training.adversarial import Adversary
from tilth.training.inference import outputs, rows_at_once
from tilth.training.losses import LOSSES
from tilth.training.optimizers import Making, check_optimizer
from tilth.training.rows import Rows
from tilth.training.runtime import pick_device, seeded, threads
from tilth.training.source import Resident, Source
from tilth.training.split import inner_split
from tilth.training.step import Step
from tilth.training.watch import Watch


class Epoch(NamedTuple):
    """What one epoch left on record, for the reader and for the health checks.

    Attributes
    ----------
    train_loss : float
        Weighted mean over the epoch's batches, dropout on.
    validation_loss : float
        Weighted mean over the inner validation rows, dropout off; NaN where there are none.
    gradient_first, gradient_last : float
        Mean over steps of the gradient norm of the first and the last weight matrix, before clipping.
    clipped_share : float
        Share of the steps in [0, 1] whose gradient was clipped.
    learning_rate : float
        At the epoch's last step.
    """

    train_loss: float
    validation_loss: float
    gradient_first: float
    gradient_last: float
    clipped_share: float
    learning_rate: float


class Trainer:
    """Train a network: warm-up and cosine, clipping, early stopping, best weights restored.

    `fit` takes tensors, which live on the device whole; each epoch permutes the rows once and takes its
    batches by `index_select`. `fit_source` takes batches from elsewhere, such as a stream of rows larger
    than memory. On a CPU the same seed gives the same weights. The global random states of torch and NumPy
    are left as they were. On CUDA the forward pass runs in bfloat16 where the card has it.

    Parameters
    ----------
    network : nn.Module
        Trained in place; takes (n_rows, n_inputs) float32.
    loss : {"cross_entropy", "squared_error"} or callable
        A callable takes (output, target) and returns one loss per row.
    learning_rate : float, default 1e-3
        Peak of the schedule.
    weight_decay : float, default 1e-4
        Decoupled from the gradient, whichever the optimizer.
    optimizer : {"adamw", "sgd", "rmsprop"} or callable, default "adamw"
        A callable takes the parameters and returns a torch optimizer, whose own rates take the place of
        `learning_rate`; weight decay and momentum are then its own too.
    momentum : float in [0, 1), optional
        By default 0.9 for SGD and for AdamW, whose first beta it is, and 0 for RMSprop.
    schedule : {"cosine", "constant"}, default "cosine"
        What the rate does after warm-up.
    l1, l2 : float >= 0, default 0
        Penalty on weight matrices: `l1` times the sum of absolutes, `l2` times half the sum of squares. The
        losses on record are without it.
    warmup_share : float in [0, 1), default 0.05
        Share of all planned steps in which the rate rises linearly; it then follows `schedule`.
    batch_size : int, default 256
        Rows; a last batch of a single row is dropped, because batch normalization cannot use it.
    max_epochs : int, default 100
    patience : int, default 10
        Epochs without a lower validation loss before training stops.
    validation_share : float in [0, 0.5], default 0.15
        Share of the rows kept aside, stratified where the target is integer; 0 trains for all epochs.
    clip_norm : float or None, default 1.0
        Largest norm of the whole gradient; None never clips.
    device : str, default "auto"
        CUDA, then MPS, then the CPU; or one of them by name.
    random_state : int, default 0
        Seed of the inner split, the order of the rows and the dropout.
    n_jobs : int or None, default 1
        CPU threads of torch while it trains: one is the fastest for small networks and leaves the other cores
        to other folds; -1 for one per core, None for torch's own number.
    on_epoch : callable, optional
        Called after each epoch with its number (from 0) and its `Epoch`; returning True stops the training.
    corrupt : callable, optional
        Called with the inputs and targets of a batch; returns both as the network is to get them. Training
        rows are corrupted anew each time they are met, validation rows once for all epochs. It draws from
        torch's own random numbers, which are seeded.
    augment : callable, optional
        Called with the epoch, the number of the batch in it (both from 0) and the batch, as `Rows`; returns
        the batch to train on. Validation rows are left as they are.
    adversary : Adversary, optional
        Moves a share of each training batch to where the network errs most, and trains on that.
    start_counts : bool, default False
        The weights before training are kept where no epoch has better ones.
    restore : bool, default True
        Go back to the weights of the best epoch; otherwise those of the last one stay.
    watch : Watch, optional
        Looks on: it gets to see steps, batches and validation rows, and changes nothing.

    Attributes
    ----------
    history_ : list of Epoch
    best_epoch_ : int
        The epoch whose weights the network now has; -1 for those before training.
    stopped_ : {"epochs", "patience", "diverged", "asked"}
        Why training ended.
    device_ : torch.device

    Raises
    ------
    DataError
        Fewer than 2 training rows, rows that do not match, or values that are not finite.

    Warns
    -----
    TilthWarning
        The loss became NaN or infinite; the best weights until then are kept.

    References
    ----------
    Loshchilov, Hutter: Decoupled weight decay regularization, ICLR 2019; SGDR, ICLR 2017 (cosine).

    Examples
    --------
    >>> from tilth.training import Trainer, mlp
    >>> X = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    >>> trainer = Trainer(mlp(3, 2), "cross_entropy", max_epochs=20, device="cpu")
    >>> trainer = trainer.fit(X, (X[:, 0] > 0).astype(int))
    >>> trainer.predict(X).shape
    torch.Size([200, 2])
    """

    def __init__(
        self,
        network: nn.Module,
        loss: str | Callable[[Tensor, Tensor], Tensor],
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        warmup_share: float = 0.05,
        batch_size: int = 256,
        max_epochs: int = 100,
        patience: int = 10,
        validation_share: float = 0.15,
        clip_norm: float | None = 1.0,
        device: str = "auto",
        random_state: int = 0,
        n_jobs: int | None = 1,
        on_epoch: Callable[[int, Epoch], bool | None] | None = None,
        corrupt: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        augment: Callable[[int, int, Rows], Rows] | None = None,
        start_counts: bool = False,
        restore: bool = True,
        optimizer: str | Making = "adamw",
        momentum: float | None = None,
        schedule: str = "cosine",
        l1: float = 0.0,
        l2: float = 0.0,
        adversary: Adversary | None = None,
        watch: Watch | None = None,
    ) -> None:
        if isinstance(loss, str) and loss not in LOSSES:
            raise UnknownName.among("loss", loss, LOSSES)
        if batch_size < 2 or max_epochs < 1 or patience < 1:
            raise ValueError(
                f"batch_size ({batch_size}) must be at least 2, max_epochs ({max_epochs}) and patience "
                f"({patience}) at least 1."
            )
        check_optimizer(optimizer, schedule, momentum, l1, l2)
        self.network = network
        self.loss = LOSSES[loss] if isinstance(loss, str) else loss
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warmup_share = warmup_share
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_share = validation_share
        self.clip_norm = clip_norm
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.on_epoch = on_epoch
        self.corrupt = corrupt
        self.augment = augment
        self.start_counts = start_counts
        self.restore = restore
        self.optimizer = optimizer
        self.momentum = momentum
        self.schedule = schedule
        self.l1 = l1
        self.l2 = l2
        self.adversary = adversary
        self.watch = watch

    def fit(self, X: Any, y: Any = None, weight: Any = None) -> Trainer:
        """Train the network and restore its best weights.

        Parameters
        ----------
        X : array or Tensor of shape (n_rows, ...)
            Inputs, taken as float32.
        y : array or Tensor of shape (n_rows,) or (n_rows, n_outputs), optional
            Class codes (integers) or values; without it the network learns to give back `X`.
        weight : array or Tensor of shape (n_rows,), optional
            How much each row counts; only ratios matter.
        """
        rows = Rows.of(X, y, weight)
        self.device_ = pick_device(self.device)
        training, validation = inner_split(
            rows.target.numpy(), self.validation_share, self.random_state, not rows.target.is_floating_point()
        )
        if len(training) < 2:
            raise DataError(
                f"Training needs at least 2 rows beside the validation rows; there are {len(training)}."
            )
        return self.fit_source(
            Resident(
                rows.select(training).to(self.device_),
                rows.select(validation).to(self.device_) if len(validation) else None,
                self.batch_size,
                self.random_state,
            )
        )

    def fit_source(self, source: Source) -> Trainer:
        """Train the network on the batches that a source gives, and restore its best weights.

        `batch_size` and `validation_share` are the source's business.

        Parameters
        ----------
        source : Source
            Its tensors lie on `pick_device(device)`.
        """
        self.device_ = pick_device(self.device)
        with threads(self.n_jobs), seeded(self.random_state, self.device_):
            self.network.to(self.device_)
            try:
                if self.watch is not None:
                    self.watch.begin(self.network)
                self._train(source)
            finally:
                if self.watch is not None:
                    self.watch.end()
        return self

    def predict(self, X: Any) -> Tensor:
        """Return the network's outputs for `X`, on the CPU, in float32.

        Parameters
        ----------
        X : array or Tensor of shape (n_rows, ...)
        """
        with threads(self.n_jobs):
            return outputs(self.network, X)

    def _train(self, source: Source) -> None:
        step = Step(self, self.device_, self.max_epochs * source.steps)
        validation = source.validation
        if validation is not None and self.corrupt is not None:
            X, target = self.corrupt(validation.X, validation.target)
            validation = Rows(X, target, validation.weight)
        self.history_: list[Epoch] = []
        self.best_epoch_, self.stopped_ = 0, "epochs"
        best_loss, best_weights = math.inf, None
        if self.start_counts and self.restore:
            best_loss = math.inf if validation is None else self._loss_over(validation, step)
            self.best_epoch_, best_weights = -1, self._weights()
        for number in range(self.max_epochs):
            epoch = self._run_epoch(number, source, step)
            if validation is not None:
                epoch = epoch._replace(validation_loss=self._loss_over(validation, step, told=True))
            self.history_.append(epoch)
            watched = epoch.train_loss if validation is None else epoch.validation_loss
            if not math.isfinite(watched):
                self.stopped_ = "diverged"
                break
            # Without validation rows there is nothing to choose by: the last epoch is the best one.
            if validation is None or watched < best_loss:
                best_loss, self.best_epoch_ = watched, number
                best_weights = self._weights() if self.restore else None
            if self.on_epoch is not None and self.on_epoch(number, epoch):
                self.stopped_ = "asked"
                break
            if validation is not None and number - self.best_epoch_ >= self.patience:
                self.stopped_ = "patience"
                break
        if not self.restore:
            self.best_epoch_ = len(self.history_) - 1
        elif best_weights is not None:
            self.network.load_state_dict(best_weights)
        self.network.eval()
        if self.stopped_ == "diverged":
            warnings.warn(
                f"Training diverged in epoch {len(self.history_) - 1}: the loss is no longer finite. The "
                f"weights of epoch {self.best_epoch_} are kept. Scale the inputs or lower learning_rate "
                f"({self.learning_rate:g}).",
                TilthWarning,
                stacklevel=4,
            )

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.network.state_dict().items()}

    def _run_epoch(self, number: int, source: Source, step: Step) -> Epoch:
        self.network.train()
        record: list[Tensor] = []
        sizes: list[int] = []
        for place, batch in enumerate(source.batches(number)):
            if self.augment is not None:
                batch = self.augment(number, place, batch)
            # Kept as tensors: reading a number here would make a GPU wait at every step.
            record.append(step(place, batch))
            sizes.append(len(batch))
        steps = torch.stack(record).cpu().numpy().astype(np.float64)
        if self.watch is not None:
            self.watch.trained(number, steps)
        losses, firsts, lasts, norms = steps.T
        clipped = 0.0 if self.clip_norm is None else float(np.mean(norms > self.clip_norm))
        return Epoch(
            float(np.average(losses, weights=sizes)),
            math.nan,
            float(firsts.mean()),
            float(lasts.mean()),
            clipped,
            step.rate,
        )

    def _loss_over(self, rows: Rows, step: Step, told: bool = False) -> float:
        self.network.eval()
        size = rows_at_once(rows.X)
        with torch.inference_mode():
            made = [step.output(part) for part in rows.X.split(size)]
            losses = torch.cat([self.loss(*part) for part in zip(made, rows.target.split(size), strict=True)])
            if told and self.watch is not None:
                self.watch.validated(torch.cat(made), rows.target, rows.weight)
            return float((losses.double() * rows.weight).sum() / rows.weight.sum())
