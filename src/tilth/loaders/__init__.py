"""Loaders hand prepared rows to PyTorch: one permutation per epoch, batches gathered, not collated.

The names below are loaded on first use, so that importing this room does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tilth.loaders.dataset import TableDataset
    from tilth.loaders.device import DeviceFeed, resolve_device
    from tilth.loaders.image import ImageLoader
    from tilth.loaders.image_dataset import ImageDataset
    from tilth.loaders.sampler import RowSampler
    from tilth.loaders.stream import StreamLoader
    from tilth.loaders.table import TableLoader

    # Users look for it here; it needs a pipeline, which is floors above. The one import upward: nothing in
    # this room may use it, and pyproject.toml names it.
    from tilth.pipeline.load import from_bundle

_HOMES = {
    "DeviceFeed": "device",
    "ImageDataset": "image_dataset",
    "ImageLoader": "image",
    "RowSampler": "sampler",
    "StreamLoader": "stream",
    "TableDataset": "dataset",
    "TableLoader": "table",
    "from_bundle": "tilth.pipeline.load",
    "resolve_device": "device",
}

__all__ = [
    "DeviceFeed",
    "ImageDataset",
    "ImageLoader",
    "RowSampler",
    "StreamLoader",
    "TableDataset",
    "TableLoader",
    "from_bundle",
    "resolve_device",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    home = _HOMES[name]
    return getattr(importlib.import_module(home if "." in home else f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
