"""What probes share whose network the one trainer trains: targets, augmentation, and weights as arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from tilth.core import BatchStage
from tilth.probes.model import Matrix, Probe, Vector
from tilth.table import Table

if TYPE_CHECKING:
    import torch

    from tilth.probes.pictures import Shown
    from tilth.training import Epoch, Watch
    from tilth.training.pictures import Channels
    from tilth.training.rows import Rows

OPTIONS = (
    *("learning_rate", "weight_decay", "patience", "device", "n_jobs", "optimizer", "momentum"),
    *("warmup_share", "clip_norm", "l1", "l2"),
)
"""Parameters that mean the same to the trainer; a probe has some of them."""


class Neural(Probe):
    """Train a network with batch stages, and keep it as its weights.

    Attributes
    ----------
    network_ : torch.nn.Module
    history_ : list of tilth.training.Epoch
    best_epoch_ : int
    stopped_ : {"epochs", "patience", "diverged"}
    center_, spread_ : float
        Mean and standard deviation of a regression target; 0 and 1 for classes.
    """

    augments: bool = True
    network_: torch.nn.Module
    history_: list[Epoch]
    device: str
    n_jobs: int | None
    _watch: Watch | None = None

    def watched(self, watch: Watch) -> Self:
        """Let something look on while it is trained; clones and saved probes know nothing of it.

        Parameters
        ----------
        watch : tilth.training.Watch
            Such as a `tilth.training.Recorder`.
        """
        self._watch = watch
        return self

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, augment: Any = ()) -> Self:
        """Learn from a table and its target.

        Parameters
        ----------
        X : Polars DataFrame or LazyFrame, pandas DataFrame, or array-like of shape (n_rows, n_columns)
        y : array-like or Series of shape (n_rows,)
            Classes of any type, or numbers; no gaps.
        sample_weight : array-like of shape (n_rows,), optional
            At least 0. A row of weight 0 is as if absent.
        augment : BatchStage or callable, or sequence of them
            What changes training batches, every epoch anew. Clones of stages learn from the rows of `X`; a
            callable gets (batch, generator), as in a loader.

        Raises
        ------
        DataError
            As for every probe.
        StageError
            A stage cannot work on these batches, or adds rows instead.
        """
        given = list(augment) if isinstance(augment, list | tuple) else [augment]
        return self._fit(X, y, sample_weight, given)

    def _standardized(self, target: NDArray[Any], weight: Vector | None) -> NDArray[Any]:
        """Return class codes as they are, and values with mean 0 and variance 1, as float32."""
        self.center_, self.spread_ = 0.0, 1.0
        if self.task_ == "classification":
            return target
        self.center_ = float(np.average(target, weights=weight))
        self.spread_ = float(np.sqrt(np.average((target - self.center_) ** 2, weights=weight))) or 1.0
        return ((target - self.center_) / self.spread_).astype(np.float32)

    @property
    def _outputs(self) -> int:
        return len(self.classes_) if self.task_ == "classification" else 1

    def _from_outputs(self, made: torch.Tensor) -> Matrix:
        """Return probabilities or values for what the network gave."""
        made = made.double()
        if self.task_ == "classification":
            return made.softmax(dim=1).numpy()
        return made.numpy().reshape(len(made)) * self.spread_ + self.center_

    def _options(self) -> dict[str, Any]:
        """Return those of the probe's parameters that the trainer takes as they are."""
        return {name: getattr(self, name) for name in OPTIONS if hasattr(self, name)}

    def _train_on_images(
        self,
        network: torch.nn.Module,
        images: Shown,
        values: NDArray[Any],
        weight: Vector | None,
        parts: tuple[NDArray[np.int64], NDArray[np.int64]],
        channels: Channels,
        augment: Sequence[Any],
        seed: int,
        batch_size: int,
        max_epochs: int,
        start_counts: bool = False,
    ) -> None:
        """Train a network on images, and keep it; `parts` are the rows to train on and those kept aside."""
        from tilth.training import Trainer, pick_device
        from tilth.training.pictures import Images
        from tilth.training.rows import Rows

        classification = self.task_ == "classification"
        stages = fitted(augment, images.as_table()) if augment else []
        rows = Rows.of(np.zeros(len(values)), values, weight)
        source = Images(
            images.pixels,
            rows.target,
            rows.weight,
            images.ids,
            channels,
            *parts,
            batch_size=batch_size,
            device=pick_device(self.device),
            change=on_images(stages),
            labels=images.labels.tolist() if classification else None,
            random_state=seed,
            threads=self.n_jobs,
        )
        trainer = Trainer(
            network,
            "cross_entropy" if classification else "squared_error",
            max_epochs=max_epochs,
            random_state=seed,
            augment=on_batches(stages, seed),
            start_counts=start_counts and source.validation is not None,
            watch=self._watch,
            **self._options(),
        )
        self._keep(trainer.fit_source(source))

    def _keep(self, trainer: Any) -> None:
        self.network_, self.history_ = trainer.network, trainer.history_
        self.best_epoch_, self.stopped_ = trainer.best_epoch_, trainer.stopped_

    # The fitted network is kept as its weights: arrays that a bundle can hold without running code.

    @abstractmethod
    def _rebuilt(self, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Module:
        """Return an untrained network that takes these weights."""

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_watch", None)
        if "network_" in state:
            weights = state.pop("network_").state_dict()
            state["weights_"] = {name: tensor.cpu().numpy() for name, tensor in weights.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is not None:
            import torch

            self.network_ = self._rebuilt(weights)
            self.network_.load_state_dict({n: torch.from_numpy(np.array(w)) for n, w in weights.items()})
            self.network_.eval()


def fitted(augment: Sequence[Any], table: Table) -> list[Any]:
    """Return what to augment with: stages as clones that have learned from these rows."""
    return [clone(each).for_batches(table) if isinstance(each, BatchStage) else each for each in augment]


def on_batches(augment: Sequence[Any], seed: int) -> Callable[[int, int, Rows], Rows] | None:
    """Return what the trainer calls on each batch, or None where there is nothing to do."""
    if not augment:
        return None
    import torch

    from tilth.loaders.passes import batch_augmentations
    from tilth.loaders.sampler import augment_seed
    from tilth.training.rows import Rows

    changes = batch_augmentations(augment)

    def change(epoch: int, place: int, rows: Rows) -> Rows:
        generator = torch.Generator(rows.X.device)
        generator.manual_seed(augment_seed(seed, epoch, place))
        batch: tuple[Any, ...] = (rows.X, rows.target, rows.weight)
        for each in changes:
            batch = each(batch, generator)
        return Rows(*batch)

    return change


def on_images(augment: Sequence[Any]) -> Callable[..., NDArray[np.uint8]] | None:
    """Return what changes one image at a time, or None where nothing does."""
    stages = [each for each in augment if getattr(each, "per_image", False)]
    if not stages:
        return None

    def change(pixels: NDArray[np.uint8], row: int, epoch: int, label: Any) -> NDArray[np.uint8]:
        for stage in stages:
            pixels = stage.augment_image(pixels, row=row, epoch=epoch, label=label)
        return pixels

    return change
