"""Images that tests make."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def picture(number: int, height: int = 40, width: int = 60) -> np.ndarray:
    """Return an image of smooth colors, each number another."""
    small = np.random.default_rng(number).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def write(path: Path, pixels: np.ndarray) -> str:
    """Write RGB pixels as the kind of image that the name tells."""
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return str(path)


def folder_of(folder: Path, count: int, height: int = 40, width: int = 60, ending: str = "png") -> list[str]:
    """Write images and return their paths."""
    return [write(folder / f"{i:03}.{ending}", picture(i, height, width)) for i in range(count)]


def broken(folder: Path) -> list[str]:
    """Return paths of three files that hold no image: cut short, a text, and none."""
    whole = Path(write(folder / "whole.jpg", picture(0, 200, 300))).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.jpg").write_text("no image")
    return [str(folder / name) for name in ("cut.jpg", "text.jpg", "gone.jpg")]
