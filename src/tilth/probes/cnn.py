"""The convolutional probe: a small residual network on small images, from scratch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from tilth.probes.model import Probe
from tilth.probes.of_images import OfImages

if TYPE_CHECKING:
    import torch


class CNN(OfImages):
    """Fit a small residual network, from scratch, on the images that one column names.

    Images are decoded once, to small squares, and normalized by the mean and standard deviation of each
    channel over the training rows. Trained by AdamW with warm-up and cosine, gradient clipping, batch norm,
    dropout, and early stopping on an inner split, the best weights restored. A regression target is
    standardized inside. Further columns are not looked at. An image that cannot be read is not learned from;
    asked for, it is answered by the shares of the classes, or the mean. The same seed gives the same model on
    a CPU.

    Parameters
    ----------
    image : str, optional
        The column of paths; by default the only one of texts that end as names of image files do.
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    side : int >= 8, default 32
        Pixels to which images are brought, in height and width.
    framing : {"crop", "squash", "pad"}, default "crop"
        How an image of another shape fits: its largest central square, the whole image with its sides scaled
        apart, or the whole image between black bars.
    widths : sequence of int, default (16, 32, 64)
        Channels of each residual block.
    dropout : float in [0, 1), default 0.1
        Share of the numbers before the last layer silenced in training.
    learning_rate : float > 0, default 3e-3
        Peak of the schedule.
    weight_decay : float >= 0, default 1e-2
    batch_size : int >= 2, default 32
        Images.
    max_epochs : int or None, default None
        None: as many as make 500 steps, but at least 12 and at most 60.
    validation_share : float in [0, 0.5], default 0.15
        Share of the images kept aside to tell when to stop; 0 trains for all epochs.
    patience : int, default 8
        Epochs without a lower validation loss before training stops.
    device : {"auto", "cuda", "mps", "cpu"}, default "auto"
    n_jobs : int or None, default 1
        CPU threads of torch and of decoding; None for one per core.
    random_state : int, RandomState or None, default None
        Seed of weights, inner split, order and dropout; None takes a new one each time.

    Attributes
    ----------
    network_ : torch.nn.Sequential
    mean_, std_ : array of float32, shape (3,)
        Of the channels red, green and blue, in levels of 255.
    unseen_ : array
        What is answered for an image that cannot be read.
    history_ : list of tilth.training.Epoch
        What each epoch left on record.
    best_epoch_ : int
        The epoch whose weights are kept.
    stopped_ : {"epochs", "patience", "diverged"}
        Why training ended.
    center_, spread_ : float
        Mean and standard deviation of a regression target; 0 and 1 for classes.

    Warns
    -----
    UnreadableImages
        Some images cannot be read.

    Examples
    --------
    >>> import cv2, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for n in range(40):
    ...     _ = cv2.imwrite(str(folder / f"{n}.png"), np.full((32, 32, 3), 40 + 150 * (n % 2), np.uint8))
    >>> paths = [[str(folder / f"{n}.png")] for n in range(40)]
    >>> model = CNN(max_epochs=3, device="cpu", random_state=0).fit(paths, np.arange(40) % 2)
    >>> model.predict(paths[:2]).shape
    (2,)
    """

    reads_images: ClassVar[bool] = True
    # "If there is only time to optimize one hyper-parameter", the rate it is: Bengio (2012).
    grid: ClassVar[dict[str, list[Any]]] = {"learning_rate": [1e-3, 3e-3, 1e-2]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "image": [str, None],
        "side": [Interval(Integral, 8, None, closed="left")],
        "framing": [StrOptions({"crop", "squash", "pad"})],
        "widths": ["array-like"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "validation_share": [Interval(Real, 0, 0.5, closed="both")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        image: str | None = None,
        task: str = "auto",
        side: int = 32,
        framing: str = "crop",
        widths: Sequence[int] = (16, 32, 64),
        dropout: float = 0.1,
        learning_rate: float = 3e-3,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int | None = None,
        validation_share: float = 0.15,
        patience: int = 8,
        device: str = "auto",
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image = image
        self.task = task
        self.side = side
        self.framing = framing
        self.widths = widths
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_share = validation_share
        self.patience = patience
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _begin(self, few: Any, seed: int) -> torch.nn.Sequential:
        return self._network(self._outputs, seed)

    def _network(self, width: int, seed: int) -> torch.nn.Sequential:
        from tilth.training.resnet import resnet

        return resnet(width, tuple(self.widths), dropout=self.dropout, random_state=seed)

    def _rebuilt(self, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Sequential:
        return self._network(list(weights.values())[-1].shape[0], 0)
