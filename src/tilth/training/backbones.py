"""Backbones by name: a network whose weights come in a package, the user's own, or none at all."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from tilth.errors import DataError, StageError
from tilth.images import histograms
from tilth.images.backbone_names import NAMES, known, offered
from tilth.training import lite
from tilth.training.backbone import Backbone, Vectors
from tilth.training.runtime import pick_device

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of the channels, 0 to 1, with which most published weights were trained."""
SIDE, OWN_SIDE = 160, 224
"""Pixels to which images are brought for EfficientNet-Lite0, and for a user's network. On clothes of 28
pixels and photographs of 32 a linear model is right more often by 1.2 and 2.7 points at 160 than at 128, for
1.5 times the time, and by 0.9 and 2.2 more at 224, for twice as much again (``benchmarks/backbones.py``)."""
Normalize = tuple[Sequence[float], Sequence[float]]


class Histograms(Backbone):
    """Describe images by their edges and colors, without any training: see `tilth.images.histograms`."""

    def __init__(self) -> None:
        fingerprint = f"histograms {histograms.VERSION}"
        super().__init__("histograms", histograms.SIDE, histograms.WIDTH, fingerprint)

    def runner(self, device: str) -> Vectors:
        """Return the function; it runs on the CPU."""
        return histograms.histograms


class Network(Backbone):
    """Describe images by what a network makes of them.

    Parameters
    ----------
    name, side, width, fingerprint
        As for `Backbone`.
    build : callable
        Returns the network, which is this object's to change.
    normalize : (mean, std)
        Of the channels, 0 to 1: what is subtracted and divided by.

    Attributes
    ----------
    mean, std : tuple of float
    """

    def __init__(
        self,
        name: str,
        side: int,
        width: int,
        fingerprint: str,
        build: Callable[[], Callable[[Tensor], Any]],
        normalize: Normalize,
    ) -> None:
        super().__init__(name, side, width, fingerprint)
        self.mean, self.std = (tuple(float(x) for x in part) for part in normalize)
        self._build, self._ready = build, cast(dict[torch.device, Callable[[Tensor], Any]], {})

    def network(self) -> Callable[[Tensor], Any]:
        """Return a copy: from normalized images (n, 3, side, side) to what `pooled` makes vectors of."""
        made = self._build()
        return copy.deepcopy(made) if isinstance(made, nn.Module) else made

    def runner(self, device: str) -> Vectors:
        """Return the function; the network stays on the device."""
        place = pick_device(device)
        if place not in self._ready:
            made = self.network()
            if isinstance(made, nn.Module):
                made = made.eval().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._ready[place] = made
        network = self._ready[place]
        first = next(network.parameters(), None) if isinstance(network, nn.Module) else None
        dtype = first.dtype if first is not None and first.is_floating_point() else torch.float32
        shift, scale = (
            torch.tensor(values, device=place).reshape(1, 3, 1, 1)
            for values in ([255 * m for m in self.mean], [1 / (255 * s) for s in self.std])
        )

        def vectors(pixels: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                # Pixels of (height, width, 3) are what torch calls channels_last, as they lie.
                given = torch.from_numpy(pixels).to(place).permute(0, 3, 1, 2).float()
                return pooled(network(given.sub_(shift).mul_(scale).to(dtype))).float().cpu().numpy()

        return vectors


def pooled(output: Any) -> Tensor:
    """Return one vector per image of what a network gives: the mean over places, or over tokens.

    Parameters
    ----------
    output : Tensor or ndarray of shape (n, width), (n, tokens, width) or (n, width, height, width)

    Raises
    ------
    StageError
        It is none of these.

    Examples
    --------
    >>> pooled(np.ones((2, 5, 4, 4))).shape
    torch.Size([2, 5])
    """
    output = torch.from_numpy(output) if isinstance(output, np.ndarray) else output
    if isinstance(output, Tensor) and output.ndim in (2, 3, 4):
        return output if output.ndim == 2 else output.mean(dim=(2, 3) if output.ndim == 4 else 1)
    told = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
    raise StageError(
        f"The backbone gives {told} for a batch of images, not (n, width), (n, tokens, width) or "
        "(n, width, height, width). Wrap it in a module that returns its features alone."
    )


def backbone(
    model: str | nn.Module | Callable[[Tensor], Any] | Backbone = "auto",
    *,
    side: int | None = None,
    normalize: Normalize | None = None,
) -> Backbone:
    """Return what turns images into vectors.

    Parameters
    ----------
    model : {'auto', 'efficientnet_lite0', 'histograms'}, Module, callable or Backbone
        'auto' is EfficientNet-Lite0 where ``tilth[vision]`` is installed, and histograms otherwise. Or the
        name of an entry point of the group ``tilth.backbones``. A Module, of torchvision or timm or one's
        own, gets normalized images, float (n, 3, side, side), and gives vectors, tokens or maps, of which the
        mean is taken; so does any other callable, but as it cannot be told from another one, its vectors
        are not kept on disk. A Module is copied.
    side : int, at least 1, optional
        Pixels to which images are brought; by default 160 for EfficientNet-Lite0 (where it must be a multiple
        of 32), 64 for histograms, which have no other, and 224 for a user's network, or what a model of timm
        says.
    normalize : (mean, std), optional
        For a user's network: three numbers each, 0 to 1. By default what a model of timm says, or the
        statistics of ImageNet.

    Raises
    ------
    UnknownName
        There is no backbone of this name.
    DataError
        `side` or `normalize` do not fit the model.
    TilthError
        The weights of EfficientNet-Lite0 are not installed.

    Examples
    --------
    >>> backbone("histograms").width
    688
    """
    if isinstance(model, Backbone):
        return model
    if isinstance(model, str):
        return _named(model, side, normalize)
    if not callable(model):
        raise DataError(f"A backbone is a name, a Module or a function, not {type(model).__name__}.")
    return _own(model, side, normalize)


def _named(name: str, side: int | None, normalize: Normalize | None) -> Backbone:
    if name == "auto":
        name = "efficientnet_lite0" if lite.installed() else "histograms"
    if known(name) not in NAMES:
        return backbone(offered()[name].load()(), side=side, normalize=normalize)
    if normalize is not None:
        raise DataError(f"normalize is for a network of your own; '{name}' brings its own numbers.")
    if name == "histograms":
        if side not in (None, histograms.SIDE):
            raise DataError(f"side={side}: histograms are made at {histograms.SIDE} pixels. Leave it out.")
        return Histograms()
    side = SIDE if side is None else side
    if side < lite.STRIDE or side % lite.STRIDE:
        raise DataError(
            f"side={side}: for efficientnet_lite0 it must be a multiple of {lite.STRIDE}, such as {SIDE}."
        )
    return _lite0(side)


@lru_cache(maxsize=4)
def _lite0(side: int) -> Network:
    told = f"efficientnet_lite0 {side} {lite.weights_digest()}"
    return Network("efficientnet_lite0", side, lite.WIDTH, told, lite.lite0, lite.NORMALIZE)


def _own(model: Any, side: int | None, normalize: Normalize | None) -> Network:
    timm = getattr(model, "pretrained_cfg", None) or {}
    side = side or int(timm.get("input_size", (3, OWN_SIDE, OWN_SIDE))[-1])
    normalize = normalize or (timm.get("mean", IMAGENET[0]), timm.get("std", IMAGENET[1]))
    mean, std = (np.asarray(part, np.float64).ravel() for part in normalize)
    if len(mean) != 3 or len(std) != 3 or not (np.isfinite(mean).all() and (std > 0).all()):
        raise DataError("normalize: give mean and standard deviation of the three channels, 0 to 1.")
    name = type(model).__name__ if isinstance(model, nn.Module) else getattr(model, "__name__", "callable")
    given, fingerprint = model, ""
    if isinstance(model, nn.Module):
        given = copy.deepcopy(model).eval()
        fingerprint = f"{name} {side} {mean.tolist()} {std.tolist()} {_word(given)}"
    made = Network(name, side, 0, fingerprint, lambda: given, (mean.tolist(), std.tolist()))
    made.width = made.runner("cpu")(np.zeros((1, side, side, 3), np.uint8)).shape[1]
    return made


def _word(model: nn.Module) -> str:
    """Return a hash of a network: how it is built, what its layers do, and its weights."""
    word = hashlib.blake2b(repr(model).encode(), digest_size=16)
    for kind in dict.fromkeys(type(part) for part in model.modules()):
        code = getattr(kind.forward, "__code__", None)
        word.update(f"{kind.__module__}.{kind.__qualname__}".encode() + (code.co_code if code else b""))
    for name, value in model.state_dict().items():
        word.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        word.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return word.hexdigest()
