"""The transfer probe: a linear model of a pretrained network's vectors, or its last blocks tuned."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils._param_validation import Interval

from tilth.errors import DataError, TilthError, TilthWarning
from tilth.probes.model import Matrix, Probe, Vector
from tilth.probes.neural import Neural
from tilth.probes.pictures import (
    ImageColumn,
    Shelf,
    Shown,
    UnreadableImages,
    complete,
    pixels_of,
    shares,
    unreadable,
    vectors_of,
)

if TYPE_CHECKING:
    import torch

    from tilth.training.backbones import Backbone
    from tilth.training.pictures import Channels

FRAMING = "squash"
"""How a backbone looks at images of another shape."""
AT_ONCE = 256


class Transfer(Neural):
    """Fit a logistic regression or a ridge on what a frozen, pretrained network makes of images.

    The network's vectors are centered and scaled by one number to a mean square of 1, so that `C` means the
    same for any network. They are kept on disk, and made once for all folds of a bench. With `finetune` the
    last blocks of the network, those that hold a fifth of its weights, are trained too, by the one trainer,
    beginning from the linear model; the weights before training are kept where no epoch is better. Further
    columns are not looked at. An image that cannot be read is not learned from; asked for, it is answered by
    the shares of the classes, or the mean.

    Parameters
    ----------
    image : str, optional
        The column of paths; by default the only one of texts that end as names of image files do.
    model : {"auto", "efficientnet_lite0", "histograms"}, torch.nn.Module, callable or Backbone, default
    "auto"
        The network; see `tilth.training.backbones.backbone`. "auto": EfficientNet-Lite0 with weights of
        ImageNet where ``tilth[vision]`` is installed, and histograms of color and gradients otherwise.
    side : int, optional
        Pixels to which images are brought; by default what the network takes.
    task : {"auto", "classification", "regression"}, default "auto"
        "auto": strings, categories, booleans, and whole numbers of at most 20 distinct values are classes;
        all other numbers are values to regress.
    C : float > 0, default 30.0
        Inverse strength of the L2 penalty; ridge uses alpha = 1 / C.
    max_iter : int, default 300
        Iterations of lbfgs at most (classification).
    finetune : bool, default False
        Train the last blocks of the network, too. Every epoch then costs a pass of all images through the
        network.
    learning_rate : float > 0, default 1e-4
        With `finetune`: peak of the schedule.
    weight_decay : float >= 0, default 1e-2
        With `finetune`.
    batch_size : int >= 2, default 32
        With `finetune`: images.
    max_epochs : int, default 10
        With `finetune`.
    validation_share : float in [0, 0.5], default 0.15
        With `finetune`: share of the images kept aside to tell when to stop; 0 trains for all epochs.
    patience : int, default 3
        With `finetune`: epochs without a lower validation loss before training stops.
    device : {"auto", "cuda", "mps", "cpu"}, default "auto"
    cache : bool, default True
        Keep vectors on disk, by the content of the files; see `tilth.images.cache`.
    n_jobs : int or None, default 1
        CPU threads of torch and of decoding; None for one per core.
    random_state : int, RandomState or None, default None
        With `finetune`: seed of the inner split, the order and augmentation. The linear model has no draws.

    Attributes
    ----------
    model_ : LogisticRegression or Ridge
        Of the standardized vectors.
    backbone_ : str
        The name of the network.
    vector_mean_ : array of float32, shape (width,)
        What is subtracted from vectors.
    vector_scale_ : float
        What they are then multiplied by.
    unseen_ : array
        What is answered for an image that cannot be read.
    network_, history_, best_epoch_, stopped_
        With `finetune`: as of `CNN`; epoch -1 is the linear model.

    Raises
    ------
    DataError
        Fewer than 2 readable images.
    TilthError
        `finetune`, and the backbone is no torch network.

    Warns
    -----
    UnreadableImages
        Some images cannot be read.
    TilthWarning
        `augment` was given without `finetune`: vectors are of the images as they are.

    References
    ----------
    Kumar et al.: Fine-tuning can distort pretrained features and underperform out-of-distribution, ICLR 2022
    (the linear model first).

    Examples
    --------
    >>> import cv2, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> paths = [[str(folder / f"{n}.png")] for n in range(20)]
    >>> for n, (path,) in enumerate(paths):
    ...     _ = cv2.imwrite(path, np.full((32, 32, 3), 40 + 150 * (n % 2) + n, np.uint8))
    >>> model = Transfer(model="histograms", cache=False).fit(paths, np.arange(20) % 2)
    >>> model.predict(paths[:2]).tolist()
    [0, 1]
    """

    reads_images: ClassVar[bool] = True
    # Powers of ten about the default, as Kornblith et al. (2019) search the penalty on vectors, more finely.
    grid: ClassVar[dict[str, list[Any]]] = {"C": [0.3, 3.0, 30.0, 300.0]}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Probe._parameter_constraints,
        "image": [str, None],
        "side": [Interval(Integral, 8, None, closed="left"), None],
        "C": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "finetune": ["boolean"],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_share": [Interval(Real, 0, 0.5, closed="both")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "cache": ["boolean"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        image: str | None = None,
        model: Any = "auto",
        side: int | None = None,
        task: str = "auto",
        C: float = 30.0,
        max_iter: int = 300,
        finetune: bool = False,
        learning_rate: float = 1e-4,
        weight_decay: float = 1e-2,
        batch_size: int = 32,
        max_epochs: int = 10,
        validation_share: float = 0.15,
        patience: int = 3,
        device: str = "auto",
        cache: bool = True,
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.image = image
        self.model = model
        self.side = side
        self.task = task
        self.C = C
        self.max_iter = max_iter
        self.finetune = finetune
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_share = validation_share
        self.patience = patience
        self.device = device
        self.cache = cache
        self.n_jobs = n_jobs
        self.random_state = random_state

    @property
    def augments(self) -> bool:  # type: ignore[override]
        """Tell whether batch stages reach its training."""
        return self.finetune

    def stock(self, shelf: Shelf, progress: Callable[[str], None] | None = None) -> str:
        """Put what it needs of the images on a shelf, and say what was done; nothing where it is there."""
        backbone = self._backbone()
        done = []
        if backbone.fingerprint and backbone.fingerprint not in shelf.vectors:
            made = backbone.embed(shelf.paths, device=self.device, cache=self.cache, progress=progress)
            shelf.vectors[backbone.fingerprint] = made
            done.append(f"embedded by {backbone.name}")
        if self.finetune and shelf.stock_pixels(backbone.side, FRAMING, progress):
            done.append(f"decoded to {backbone.side} x {backbone.side} pixels")
        return " and ".join(done)

    def _inputs(self) -> ImageColumn:
        return ImageColumn(self.image)

    def _backbone(self) -> Backbone:
        from tilth.training.backbones import backbone

        return backbone(self.model, side=self.side)

    def _vectors(self, paths: NDArray[np.object_]) -> NDArray[np.float32]:
        backbone = self._backbone()
        return vectors_of(paths, backbone, device=self.device, threads=self.n_jobs, cache=self.cache)

    def _learn(
        self,
        matrix: NDArray[np.object_],
        target: NDArray[Any],
        weight: Vector | None,
        ids: NDArray[np.uint64] | None = None,
        augment: Sequence[Any] = (),
    ) -> None:
        body = self._body() if self.finetune else None
        if augment and body is None:
            warnings.warn(
                "Transfer: augment is not used without finetune=True: vectors are of the images as they are.",
                TilthWarning,
                stacklevel=4,
            )
        self.backbone_ = self._backbone().name
        vectors = self._vectors(matrix)
        known = complete(vectors)
        if not known.all():
            told = unreadable([None if seen else "without a vector" for seen in known])
            warnings.warn(f"Transfer: {told}; not learned from.", UnreadableImages, stacklevel=4)
        if known.sum() < 2:
            raise DataError(f"Transfer needs at least 2 readable images; there are {known.sum()}.")
        classification = self.task_ == "classification"
        self.unseen_ = shares(target, weight, len(self.classes_) if classification else None)
        ids = np.arange(len(matrix), dtype=np.uint64) if ids is None else ids
        # By row id: what is learned does not depend on the order in which rows come.
        kept = np.argsort(ids, kind="stable")
        kept = kept[known[kept]]
        paths, vectors, ids = matrix[kept], vectors[kept], ids[kept]
        weight = None if weight is None else weight[kept]
        given = target[kept]
        values = self._standardized(given, weight)
        self.vector_mean_ = vectors.mean(axis=0)
        # One number for all: scaled each by itself, numbers that hardly ever move would weigh most.
        self.vector_scale_ = 1 / max(float(vectors.var(axis=0).sum()) ** 0.5, 1e-6)
        if body is None:
            self.__dict__.pop("network_", None)  # of an earlier fit
            self._fit_linear(vectors, values, weight)
        else:
            labels = self.classes_[given] if classification else given
            pixels, _ = pixels_of(paths, self._backbone().side, FRAMING, self.n_jobs)
            images = Shown(self.inputs_.name_, paths, labels, ids, pixels)
            self._tune(body, images, vectors, values, weight, augment)

    def _fit_linear(self, vectors: NDArray[np.float32], values: NDArray[Any], weight: Vector | None) -> None:
        X = self._scaled(vectors)
        if self.task_ == "regression":
            self.model_ = Ridge(alpha=1 / self.C).fit(X, values, sample_weight=weight)
        elif len(np.unique(values)) > 1:
            model = LogisticRegression(C=self.C, max_iter=self.max_iter)
            self.model_ = model.fit(X, values, sample_weight=weight)
        else:
            raise DataError("Transfer: the images that can be read are all of one class.")

    def _scaled(self, vectors: NDArray[np.float32]) -> NDArray[np.floating]:
        # Ridge is solved directly, which is no work for 32 bits; lbfgs loses nothing by them, and half its
        # time.
        X: NDArray[np.floating] = (vectors - self.vector_mean_) * self.vector_scale_
        return X.astype(np.float64) if self.task_ == "regression" else X

    def _linear_layer(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weights (n_outputs, width) and biases that do to vectors what the linear model does."""
        coefficients, bias = np.atleast_2d(self.model_.coef_), np.atleast_1d(self.model_.intercept_)
        if self.task_ == "classification":
            if len(coefficients) == 1:
                coefficients = np.concatenate([-coefficients, coefficients]) / 2
                bias = np.concatenate([-bias, bias]) / 2
            # A class of which no image can be read is never answered.
            full, shift = np.zeros((self._outputs, coefficients.shape[1])), np.full(self._outputs, -1e4)
            full[self.model_.classes_], shift[self.model_.classes_] = coefficients, bias
            coefficients, bias = full, shift
        layer = coefficients * self.vector_scale_
        return layer.astype(np.float32), (bias - layer @ self.vector_mean_).astype(np.float32)

    def _body(self) -> torch.nn.Module:
        """Return the network to tune."""
        import torch

        from tilth.training.backbones import Network

        backbone = self._backbone()
        network = backbone.network() if isinstance(backbone, Network) else None
        if not isinstance(network, torch.nn.Module):
            raise TilthError(
                f"Transfer: finetune=True needs a torch network, and '{backbone.name}' is none. Install one: "
                "pip install 'tilth[vision]'; or pass yours: model=; or leave finetune=False."
            )
        return network

    def _channels(self) -> Channels:
        from tilth.training.pictures import Channels

        backbone: Any = self._backbone()
        return Channels(*(np.array(part, np.float32) * 255 for part in (backbone.mean, backbone.std)))

    def _tune(
        self,
        body: torch.nn.Module,
        images: Shown,
        vectors: NDArray[np.float32],
        values: NDArray[Any],
        weight: Vector | None,
        augment: Sequence[Any],
    ) -> None:
        import torch

        from tilth.training import inner_split, seeded
        from tilth.training.finetune import Tuned

        seed = self._seed()
        parts = inner_split(values, self.validation_share, seed, self.task_ == "classification")
        # The images kept aside must be new to the linear model as well.
        first = parts[0] if len(np.unique(values[parts[0]])) > 1 else np.arange(len(values))
        self._fit_linear(vectors[first], values[first], None if weight is None else weight[first])
        with seeded(seed):
            network = Tuned(body, vectors.shape[1], self._outputs)
        network.start(*(torch.from_numpy(part) for part in self._linear_layer()))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._train_on_images(
            network,
            images,
            values,
            weight,
            parts,
            self._channels(),
            augment,
            seed,
            self.batch_size,
            self.max_epochs,
            start_counts=True,
        )

    def _rebuilt(self, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Module:
        from tilth.training.finetune import Tuned

        outputs, width = weights["head.weight"].shape
        return Tuned(self._body(), width, outputs)

    def _answer(self, matrix: NDArray[np.object_]) -> Matrix:
        answers = np.repeat(self.unseen_[None], len(matrix), axis=0)
        unseen = 0
        for start in range(0, len(matrix), AT_ONCE):
            paths = matrix[start : start + AT_ONCE]
            seen, said = self._tuned(paths) if hasattr(self, "network_") else self._linear(paths)
            answers[start + seen] = said
            unseen += len(paths) - len(seen)
        if unseen:
            told = unreadable(["without a vector"] * unseen + [None] * (len(matrix) - unseen))
            warnings.warn(f"Transfer: {told}; answered without being seen.", UnreadableImages, stacklevel=4)
        return answers

    def _linear(self, paths: NDArray[np.object_]) -> tuple[NDArray[np.int64], Matrix]:
        """Return which images have vectors, and the answers for them."""
        vectors = self._vectors(paths)
        seen = np.flatnonzero(complete(vectors))
        if not len(seen):
            return seen, np.empty((0, *self.unseen_.shape))
        X = self._scaled(vectors[seen])
        if self.task_ == "regression":
            return seen, self.model_.predict(X) * self.spread_ + self.center_
        said = np.zeros((len(seen), len(self.classes_)))
        said[:, self.model_.classes_] = self.model_.predict_proba(X)
        return seen, said

    def _tuned(self, paths: NDArray[np.object_]) -> tuple[NDArray[np.int64], Matrix]:
        """Return which images can be decoded, and the answers for them."""
        from tilth.training import outputs, threads

        pixels, problems = pixels_of(paths, self._backbone().side, FRAMING, self.n_jobs)
        seen = np.flatnonzero([problem is None for problem in problems])
        if not len(seen):
            return seen, np.empty((0, *self.unseen_.shape))
        with threads(self.n_jobs):
            return seen, self._from_outputs(outputs(self.network_, self._channels().tensor(pixels[seen])))
