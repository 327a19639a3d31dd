"""A torch module of the user's as a probe, trained by the one trainer on columns or on images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions

from tilth.probes.model import Matrix, Probe, Vector
from tilth.probes.of_images import OfImages
from tilth.probes.of_tables import OfTables
from tilth.probes.pictures import image_columns

if TYPE_CHECKING:
    import torch


class Network(OfTables, OfImages):
    """Train a torch module of your own, on the columns of a table or on images, as MLP and CNN are trained.

    Columns reach the module as float32 of shape (n_rows, n_inputs): numbers scaled, categories one-hot, gaps
    filled and marked, as `Inputs` does it. Images reach it as float32 of shape (n_rows, 3, side, side),
    normalized by the mean and standard deviation of each channel over the training rows; an image that cannot
    be read is not learned from and, asked for, answered by the shares of the classes, or the mean. The module
    answers one logit per class, shape (n_rows, n_classes), two classes included; or one value, shape
    (n_rows, 1) or (n_rows,), of a target that is standardized inside. It begins each fit from weights drawn
    by the seed, so that nothing it learned elsewhere, of rows that are now held out, is left in it.

    Parameters
    ----------
    module : torch.nn.Module or callable
        A module serves as a pattern: each fit copies it, gives lazy layers (``nn.LazyLinear``) their shapes,
        and has each layer draw its weights anew by its ``reset_parameters``; the pattern itself is never
        trained. A callable, such as the class of a module, gets (n_inputs, n_outputs), of images (3,
        n_outputs), and returns a module, whose weights are taken as they are: also where they are to begin as
        those of a pretrained network.
    image : str, optional
        The column of paths of images to look at; further columns are then not. By default the module gets
        columns, and images only where there is nothing else.
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    learning_rate : float > 0, default 1e-3
        Peak of the schedule: warm-up and cosine.
    weight_decay : float >= 0, default 1e-4
    batch_size : int >= 2, optional
        By default 256 rows, or 32 images. A last batch of one row is left out.
    max_epochs : int, optional
        By default 100; of images, as many as make 500 steps, but at least 12 and at most 60.
    validation_share : float in [0, 0.5], default 0.15
        Share of the rows kept aside to tell when to stop; 0 trains for all epochs.
    patience : int, default 10
        Epochs without a lower validation loss before training stops.
    optimizer : {"adamw", "sgd", "rmsprop"}, default "adamw"
    momentum : float in [0, 1), optional
        By default 0.9 for AdamW and SGD, 0 for RMSprop.
    warmup_share : float in [0, 1), default 0.05
        Share of all planned steps in which the rate rises.
    clip_norm : float > 0 or None, default 1.0
        Largest norm of the whole gradient; None never clips.
    l1, l2 : float >= 0, default 0
        Penalty on the weights: `l1` times the sum of absolutes, `l2` times half the sum of squares.
    scale : {"robust", "standard", None}, default "robust"
        Of columns: how numbers are brought near 0; None leaves them as they come.
    max_categories : int >= 2, default 50
        Of columns: one-hot columns per category column at most; the rarest levels share one.
    side : int >= 8, default 32
        Of images: pixels to which they are brought, in height and width.
    framing : {"crop", "squash", "pad"}, default "crop"
        Of images: how one of another shape fits; see `CNN`.
    device : {"auto", "cuda", "mps", "cpu"}, default "auto"
    n_jobs : int >= 1 or None, default 1
        CPU threads of torch, and of decoding.
    random_state : int, RandomState or None, default None
        Seed of weights, inner split, order and dropout; None takes a new one each time.

    Attributes
    ----------
    of_images_ : bool
        It was fitted on images.
    network_ : torch.nn.Module
        A copy of the module, trained.
    history_ : list of tilth.training.Epoch
        What each epoch left on record.
    best_epoch_ : int
        The epoch whose weights are kept.
    stopped_ : {"epochs", "patience", "diverged"}
        Why training ended.
    center_, spread_ : float
        Mean and standard deviation of a regression target; 0 and 1 for classes.
    mean_, std_, unseen_ : array
        Of images, as of `CNN`.

    Raises
    ------
    DataError
        The module cannot take such rows, answers in another shape, has nothing to train, or holds weights
        that cannot be drawn anew or are not to be trained.

    Warns
    -----
    UnreadableImages
        Some images cannot be read.

    Examples
    --------
    >>> from torch import nn
    >>> X = np.random.default_rng(0).normal(size=(400, 2))
    >>> mine = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, 2))
    >>> model = Network(mine, learning_rate=0.01, device="cpu", random_state=0)
    >>> bool(model.fit(X, X[:, 0] * X[:, 1] > 0).score(X, X[:, 0] * X[:, 1] > 0) > 0.9)
    True
    """

    holds_code: ClassVar[bool] = True
    # "If there is only time to optimize one hyper-parameter", the rate it is: Bengio (2012).
    grid: ClassVar[dict[str, list[Any]]] = {"learning_rate": [3e-4, 1e-3, 3e-3]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "module": [callable],
        "image": [str, None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "validation_share": [Interval(Real, 0, 0.5, closed="both")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions({"adamw", "sgd", "rmsprop"})],
        "momentum": [Interval(Real, 0, 1, closed="left"), None],
        "warmup_share": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "l1": [Interval(Real, 0, None, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "scale": [StrOptions({"robust", "standard"}), None],
        "max_categories": [Interval(Integral, 2, None, closed="left")],
        "side": [Interval(Integral, 8, None, closed="left")],
        "framing": [StrOptions({"crop", "squash", "pad"})],
        "device": [str],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        module: torch.nn.Module | Callable[[int, int], torch.nn.Module],
        image: str | None = None,
        task: str = "auto",
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int | None = None,
        max_epochs: int | None = None,
        validation_share: float = 0.15,
        patience: int = 10,
        optimizer: str = "adamw",
        momentum: float | None = None,
        warmup_share: float = 0.05,
        clip_norm: float | None = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
        scale: str | None = "robust",
        max_categories: int = 50,
        side: int = 32,
        framing: str = "crop",
        device: str = "auto",
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.module = module
        self.image = image
        self.task = task
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_share = validation_share
        self.patience = patience
        self.optimizer = optimizer
        self.momentum = momentum
        self.warmup_share = warmup_share
        self.clip_norm = clip_norm
        self.l1 = l1
        self.l2 = l2
        self.scale = scale
        self.max_categories = max_categories
        self.side = side
        self.framing = framing
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def reads_images(self) -> bool:  # type: ignore[override]
        """Tell whether it looks at images: as it was fitted or, before, as it was asked to."""
        return bool(self.__dict__.get("of_images_", self.image is not None))

    def __sklearn_clone__(self) -> Network:
        # The module is never trained itself: clones share it. Some lazy layers torch could not copy, besides.
        params = self.get_params(deep=False)
        module = params.pop("module")
        twin = type(self)(module, **{name: clone(value, safe=False) for name, value in params.items()})
        for name in ("_metadata_request", "_sklearn_output_config"):
            if name in vars(self):
                setattr(twin, name, copy.deepcopy(vars(self)[name]))
        return twin

    def _readable(self, frame: pl.DataFrame) -> pl.DataFrame:
        columns = frame.drop(image_columns(frame))
        self.of_images_ = self.image is not None or columns.width == 0
        return frame if self.of_images_ else columns

    def _inputs(self) -> Any:
        return self._kind._inputs(self)

    def _learn(
        self,
        matrix: NDArray[Any],
        target: NDArray[Any],
        weight: Vector | None,
        ids: NDArray[np.uint64] | None = None,
        augment: Sequence[Any] = (),
    ) -> None:
        self._kind._learn(self, matrix, target, weight, ids, augment)

    def _answer(self, matrix: NDArray[Any]) -> Matrix:
        return self._kind._answer(self, matrix)

    @property
    def _kind(self) -> Any:
        return OfImages if self.of_images_ else OfTables

    def _begin(self, few: Any, seed: int) -> torch.nn.Module:
        import torch

        from tilth.training.anew import begun

        # Another number of rows than of outputs, so that the one is not taken for the other.
        rows = 3 if self._outputs == 2 else 2
        shown = torch.as_tensor(few[np.arange(rows) % len(few)]).contiguous()
        network: torch.nn.Module = begun(self.module, shown, self._outputs, seed)
        if self.of_images_:
            network.register_forward_pre_hook(_in_one_piece)
        return network

    def _rebuilt(self, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Module:
        import torch

        shape = (3, self.side, self.side) if self.of_images_ else (len(self.inputs_.names_),)
        return self._begin(torch.zeros((2, *shape)), 0)


def _in_one_piece(module: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hand on pixels in the order of their axes: ``view`` cannot flatten them as they lie, channels last."""
    return (given[0].contiguous(), *given[1:])
