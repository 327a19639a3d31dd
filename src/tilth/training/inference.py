"""A network's answers: computed part by part, where the network lives, without gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tilth.training.rows import as_tensor

# Rows per forward pass where no gradient is kept: large enough to fill a core, small enough for any memory.
INFERENCE_ROWS = 8192
# And numbers per pass, where rows are wide, as images are.
INFERENCE_CELLS = 2**23


def outputs(network: nn.Module, X: Any) -> Tensor:
    """Return a network's outputs in evaluation mode, computed part by part where the network lives.

    Parameters
    ----------
    network : nn.Module
    X : array or Tensor of shape (n_rows, ...)

    Returns
    -------
    Tensor of shape (n_rows, n_outputs)
        float32, on the CPU.
    """
    device = next(network.parameters()).device
    network.eval()
    X = as_tensor(X)
    with torch.inference_mode():
        parts = [network(part.to(device)).float().cpu() for part in X.split(rows_at_once(X))]
    return torch.cat(parts)


def rows_at_once(X: Tensor) -> int:
    """Return how many rows pass through a network at once where no gradient is kept."""
    return max(1, min(INFERENCE_ROWS, INFERENCE_CELLS // max(1, X[:1].numel())))


def precision(device: torch.device) -> torch.autocast:
    """Return the context in which networks compute on a device: bfloat16 where a card has it."""
    # bfloat16 has float32's range, so that losses need no scaling; cards without it stay in float32.
    enabled = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
