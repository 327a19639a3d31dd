"""Small drawn images of two kinds, with a size that can be regressed, written by the test."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import polars as pl


def drawn(
    folder: Path, rows: int = 160, side: int = 32, seed: int = 0
) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Write noisy discs and squares; return their paths, their kinds and their sizes."""
    random = np.random.default_rng(seed)
    kinds, sizes = random.choice(["disc", "square"], rows), random.integers(5, 11, rows)
    paths = []
    for row, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        image = random.integers(0, 60, (side, side, 3)).astype(np.uint8)
        x, y = (int(v) for v in random.integers(12, side - 12, 2))
        color = tuple(int(v) for v in random.integers(140, 255, 3))
        if kind == "disc":
            cv2.circle(image, (x, y), int(size), color, -1)
        else:
            cv2.rectangle(image, (x - int(size), y - int(size)), (x + int(size), y + int(size)), color, -1)
        paths.append(str(folder / f"{row:04d}.png"))
        cv2.imwrite(paths[-1], image)
    return pl.DataFrame({"path": paths}), kinds, sizes.astype(float)
