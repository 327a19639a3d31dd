"""A pretrained network of which only the last blocks learn, and a linear layer behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor, nn

from tilth.training.backbones import pooled

LEAST = 0.2
"""The blocks that learn hold together at least this share of the network's weights."""


class Tuned(nn.Module):
    """Put a linear layer behind a network, and let the network's last blocks learn.

    Batch norm and dropout of the network stay as they are where it is used: a few images cannot mend its
    means, and it was trained with its dropout already.

    Parameters
    ----------
    body : Module
        From images (n, 3, side, side) to vectors, tokens or maps.
    width, outputs : int
        Numbers that come out of it, and that are to come out.
    """

    def __init__(self, body: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(width, outputs)
        body.requires_grad_(False)
        for block in last_blocks(body):
            block.requires_grad_(True)

    def start(self, weight: Tensor, bias: Tensor) -> None:
        """Begin from a linear model of the network's vectors."""
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(bias)

    def train(self, mode: bool = True) -> Self:
        """Let the linear layer train; the network is always used as it is to be used."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits or values."""
        return self.head(pooled(self.body(images)))


def last_blocks(network: nn.Module) -> list[nn.Module]:
    """Return the last blocks of a network: as few as hold a fifth of its weights."""
    total = sum(p.numel() for p in network.parameters())
    blocks: list[nn.Module] = []
    held = 0
    for block in reversed(list(_blocks(network))):
        blocks.append(block)
        held += sum(p.numel() for p in block.parameters())
        if held >= LEAST * total:
            break
    return blocks


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the parts of a network that hold weights, in order; a sequence stands for its parts."""
    for child in network.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _blocks(child)
        elif any(True for _ in child.parameters()):
            yield child
