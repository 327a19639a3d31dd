"""Put known problems into a folder of images, so that what finds them can be counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

SHARES: dict[str, float] = {
    "label": 0.08,
    "exact copy": 0.03,
    "near copy": 0.03,
    "dark": 0.01,
    "blurry": 0.01,
    "truncated": 0.01,
}
"""The problems that are planted, and in how many of the images."""

SCHEMA: dict[str, Any] = {"file": pl.String, "given": pl.String, "clean": pl.String, "problem": pl.String}
"""A file below the folder, the class it is in, the class it belongs to, and what is wrong with it."""


def plant(
    images: Sequence[np.ndarray],
    classes: Sequence[str],
    folder: Path,
    *,
    shares: Mapping[str, float] = SHARES,
    random_state: int = 0,
) -> pl.DataFrame:
    """Write images as ``folder/<class>/<number>.png``, with problems that are drawn by a seed.

    No image has two problems, and none that has one is copied. A copy is a further file, in the class of its
    original.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width) or (height, width, 3), uint8
    classes : sequence of str
        The class that each image belongs to.
    folder : Path
    shares : mapping of problem to float
        In how many of the images, out of `SHARES`.
    random_state : int

    Returns
    -------
    DataFrame
        One line per file: ``file, given, clean, problem, of``; problem and of are null where there is none.
    """
    rng = np.random.default_rng(random_state)
    order, names = rng.permutation(len(images)), sorted(set(classes))
    counts = {problem: round(share * len(images)) for problem, share in shares.items()}
    ends = np.cumsum(list(counts.values()))
    starts = ends - list(counts.values())
    with_problem = {
        int(n): p for p, a, b in zip(counts, starts, ends, strict=True) for n in order[a:b].tolist()
    }
    lines: list[tuple[str | None, ...]] = []
    for number, (pixels, clean) in enumerate(zip(images, classes, strict=True)):
        problem = with_problem.get(number)
        given = str(rng.choice([n for n in names if n != clean])) if problem == "label" else clean
        copied = problem in ("exact copy", "near copy")
        file = f"{given}/{number:05d}.png"
        data = _png(_spoiled(pixels, problem, rng))
        _write(folder / file, data[: int(len(data) * 0.6)] if problem == "truncated" else data)
        lines.append((file, given, clean, None if copied else problem, None))
        if copied:
            again, content = f"{given}/{number:05d}-copy.png", data
            if problem == "near copy":
                again, content = f"{given}/{number:05d}-copy.jpg", _encoded_anew(pixels, rng)
            _write(folder / again, content)
            lines.append((again, given, clean, problem, file))
    return pl.DataFrame(lines, schema=SCHEMA | {"of": pl.String}, orient="row")


def hostile(folder: Path) -> Iterator[Path]:
    """Add files to a folder that only look like images: no bytes, text, and no image at all."""
    for name, data in (("empty.png", b""), ("notes.jpg", b"These are notes.\n"), ("Thumbs.db", b"\x00\x01")):
        _write(folder / name, data)
        yield folder / name


def _spoiled(pixels: np.ndarray, problem: str | None, rng: np.random.Generator) -> np.ndarray:
    if problem == "dark":
        return np.rint(pixels * rng.uniform(0.04, 0.12)).astype(np.uint8)
    if problem == "blurry":
        return cv2.GaussianBlur(pixels, (0, 0), max(pixels.shape[:2]) * rng.uniform(0.08, 0.12))
    return pixels


def _encoded_anew(pixels: np.ndarray, rng: np.random.Generator) -> bytes:
    """Return the image as a JPEG of another size."""
    scale = rng.uniform(0.75, 1.5)
    height, width = (max(round(side * scale), 8) for side in pixels.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    made = cv2.resize(pixels, (width, height), interpolation=how)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
    return cv2.imencode(".jpg", _bgr(made), quality)[1].tobytes()


def _png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", _bgr(pixels))[1].tobytes()


def _bgr(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
