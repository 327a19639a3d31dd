"""A small residual network for small images, light enough for one core."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tilth.training.networks import Dropout, initialize
from tilth.training.runtime import seeded


class Residual(nn.Module):
    """Add to what comes in what two convolutions make of it, each with batch norm.

    Parameters
    ----------
    channels_in, channels : int
    stride : int
        2 halves height and width.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)
        # At first a block hands on what comes in: what two convolutions make of it is let in by training.
        nn.init.zeros_(self.second_norm.weight)
        self.past: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels:
            # Means, then a convolution in steps of one, so that every pixel counts. In steps of two, torch
            # 2.13 also writes past its memory on several threads (one pixel wide, 8 channels, channels last).
            self.past = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of shape (n, channels, height / stride, width / stride)."""
        made = torch.relu(self.first_norm(self.first(maps)))
        return torch.relu(self.second_norm(self.second(made)) + self.past(maps))


def resnet(
    outputs: int,
    widths: Sequence[int] = (16, 32, 64),
    dropout: float = 0.1,
    random_state: int = 0,
) -> nn.Sequential:
    """Build a small residual network for images of about 28 to 64 pixels.

    A convolution, and the largest of each four neighbors; then for each width a residual block, all but the
    first of which halve height and width; the means over quarters of what is left, dropout, and one linear
    layer.

    Parameters
    ----------
    outputs : int
        Logits or values.
    widths : sequence of int, default (16, 32, 64)
        Channels of each block.
    dropout : float in [0, 1), default 0.1
        Share of the numbers before the last layer silenced in training.
    random_state : int, default 0
        Seed of the weights.

    Returns
    -------
    nn.Sequential
        Takes (n, 3, height, width), channels last in memory; initialized, on the CPU, float32.

    References
    ----------
    He, Zhang, Ren, Sun: Deep residual learning for image recognition, CVPR 2016. He, Zhang, Zhang, Zhang,
    Xie, Li: Bag of tricks for image classification with convolutional neural networks, CVPR 2019 (means
    before the shortcut).

    Examples
    --------
    >>> resnet(10)(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 10])
    """
    with seeded(random_state):  # torch draws weights as it builds a layer
        layers: list[nn.Module] = [
            nn.Conv2d(3, widths[0], 3, 1, 1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
            # Looked at in full, then halved: a convolution in steps of two, half the work, saw less of 28
            # pixels.
            nn.MaxPool2d(2),
        ]
        width = widths[0]
        for number, channels in enumerate(widths):
            layers.append(Residual(width, channels, 1 if number == 0 else 2))
            width = channels
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten()]
        if dropout > 0:
            layers.append(Dropout(dropout))
        layers.append(nn.Linear(4 * width, outputs))
    network = nn.Sequential(*layers)
    initialize(network, random_state)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
