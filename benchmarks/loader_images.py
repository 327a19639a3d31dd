"""ImageLoader beside a DataLoader as it is usually written for a folder of images.

2,000 JPEG files of 256 x 256 pixels and about 17 kB (--quick: 500), batches of 64, on 2 threads or 2 workers.
Each epoch every image gives a random crop of 224 x 224, mirrored every other time, normalized, as float32 on
the CPU: what is measured is a whole epoch of such batches, handed out and let go. The same is measured of
random resized crops (35% to 100% of the area, scaled to 224 x 224), which no bar is held to. The peers are a
map-style dataset of paths, albumentations, ToTensorV2 and torch's DataLoader with workers that stay: once
with Pillow, as torchvision's ImageFolder opens files, and once with OpenCV. Candidates take turns. A bar is
the ratio of medians over the rounds against the one like ImageFolder; the ratio to the other stands beside,
and so does our loader with worker processes in the place of threads.

First the pixels are checked: at their own size, the loader's images equal those that Pillow reads; random
parts equal the same box cut from Pillow's pixels and scaled by OpenCV; labels stay with their images. The
figures tell also how long the cache of decoded pixels took to build, which is no part of an epoch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import albumentations as A
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from bars import Bar
from tilth.loaders import ImageLoader
from tilth.loaders.pixels import Pictures

SIDE, SIZE, BATCH, THREADS = 256, 224, 64, 2
SCALE, STRETCH = (0.35, 1.0), 4 / 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GOAL_FILES, GOAL_CACHE = 4.0, 12.0


class Folder(Dataset):
    """Open, change and convert one image at a time, as ImageFolder does."""

    def __init__(self, paths: list[str], read: Callable[[str], np.ndarray], crop: A.BasicTransform) -> None:
        self.paths, self.read = paths, read
        self.change = A.Compose(
            [
                crop,
                A.HorizontalFlip(p=0.5),
                A.Normalize(mean=MEAN, std=STD),
                ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self.change(image=self.read(self.paths[row]))["image"], row


def by_pillow(path: str) -> np.ndarray:
    """Return RGB pixels."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def by_opencv(path: str) -> np.ndarray:
    """Return RGB pixels."""
    return cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)


def written(folder: Path, count: int) -> list[str]:
    """Write images as detailed as photographs: strong where coarse, and less in color than in light."""
    rng = np.random.default_rng(0)
    across = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    falling = 1 / np.maximum(across, 1 / SIDE)
    paths = []
    for i in range(count):
        planes = []
        for strength, power in ((45, 1.6), (12, 2), (12, 2)):
            noise = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * falling**power
            plane = np.fft.irfft2(noise, (SIDE, SIDE))
            planes.append(128 + strength * plane / plane.std())
        pixels = cv2.cvtColor(np.clip(np.dstack(planes), 0, 255).astype(np.uint8), cv2.COLOR_YCrCb2BGR)
        path = folder / f"{i:05}.jpg"
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
        paths.append(str(path))
    return paths


def check(paths: list[str], cache: Path) -> None:
    """Stop unless the loader's images are those that Pillow and OpenCV make of the same files."""
    mean, std = np.array(MEAN), np.array(STD)
    whole = {"size": SIDE, "batch_size": BATCH, "normalize": "imagenet", "threads": THREADS, "device": "cpu"}
    for kept in (None, "memory", cache):
        for X, y in ImageLoader(paths, range(len(paths)), cache=kept, **whole):
            for image, row in zip(X.permute(0, 2, 3, 1).numpy(), y.tolist(), strict=True):
                same(image, (by_pillow(paths[row]) / 255 - mean) / std, 1e-5, "whole images")
    pictures = Pictures(paths, (SIZE, SIZE), "random")
    rng = np.random.default_rng(0)
    for row, path in enumerate(paths):
        # Crops that need no scaling, and others.
        area, wide = (
            ((SIZE / SIDE) ** 2, 1.0) if row % 2 else (rng.uniform(SCALE[0], 0.75), rng.uniform(0.75, 1.33))
        )
        down, right = rng.uniform(size=2)
        tall, broad = (area / wide) ** 0.5, (area * wide) ** 0.5
        tall, broad = tall / max(tall, broad, 1), broad / max(tall, broad, 1)
        high, across = round(tall * SIDE), round(broad * SIDE)
        top = min(round(down * (1 - tall) * SIDE), SIDE - high)
        left = min(round(right * (1 - broad) * SIDE), SIDE - across)
        box = by_pillow(path)[top : top + high, left : left + across]
        expected = cv2.resize(box, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        same(pictures.part(row, area, wide, down, right), expected, 0, "random parts")


def same(found: np.ndarray, expected: np.ndarray, apart: float, what: str) -> None:
    """Stop where two images differ by more than `apart`."""
    worst = np.abs(found.astype(float) - expected).max()
    if worst > apart:
        raise SystemExit(f"{what}: the loader's pixels are not those of the peer; they differ by {worst:.3g}")


def candidates(paths: list[str], cache: Path, resized: bool) -> dict[str, Iterable]:
    """Return what is timed; each gives an epoch when it is iterated over."""
    peer: dict[str, Any] = {
        "batch_size": BATCH,
        "shuffle": True,
        "num_workers": THREADS,
        "persistent_workers": True,
    }
    ours: dict[str, Any] = {
        "size": SIZE,
        "fit": "random",
        "scale": SCALE if resized else ((SIZE / SIDE) ** 2,) * 2,
        "stretch": STRETCH if resized else 1,
        "flip": 0.5,
        "normalize": (MEAN, STD),
        "batch_size": BATCH,
        "threads": THREADS,
        "device": "cpu",
    }
    crop = A.RandomCrop(SIZE, SIZE)
    if resized:
        crop = A.RandomResizedCrop(size=(SIZE, SIZE), scale=SCALE, ratio=(1 / STRETCH, STRETCH))
    return {
        "pillow": DataLoader(Folder(paths, by_pillow, crop), **peer),
        "opencv": DataLoader(Folder(paths, by_opencv, crop), **peer),
        "tilth": ImageLoader(paths, range(len(paths)), **ours),
        "workers": ImageLoader(paths, range(len(paths)), workers=THREADS, **ours),
        "cached": ImageLoader(paths, range(len(paths)), cache=cache, **ours),
    }


def epoch(batches: Iterable, images: int) -> float:
    """Return the seconds of an epoch, and stop where images are missing or of another form."""
    start = time.perf_counter()
    met = 0
    for X, y in batches:
        met += len(y)
        if X.dtype != torch.float32 or X.shape[1:] != (3, SIZE, SIZE):
            raise SystemExit(f"batches of {X.dtype}, {tuple(X.shape)}")
    seconds = time.perf_counter() - start
    if met != images:
        raise SystemExit(f"an epoch gave {met} of {images} images")
    return seconds


def timed(paths: list[str], cache: Path, resized: bool, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each candidate's epochs."""
    those = candidates(paths, cache, resized)
    seconds: dict[str, list[float]] = {name: [] for name in those}
    for batches in those.values():
        epoch(batches, len(paths))  # workers have begun, files and memory are warm
    for _ in range(rounds):
        for name, batches in those.items():
            seconds[name].append(epoch(batches, len(paths)))
    return seconds


def images(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bars and the figures."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    # Threads and workers are the parallelism. Set here and not in the workers: OpenCV waits forever, in a
    # process that was forked, for threads that only its parent has.
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        return _images(*((500, 3) if quick else (2000, 7)), quick)
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _images(count: int, rounds: int, quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    figures: dict[str, Any] = {"images": count, "rounds": rounds}
    bars = []
    with tempfile.TemporaryDirectory() as made:
        paths = written(Path(made), count)
        check(paths[: 64 if quick else 256], Path(made) / "checked")
        start = time.perf_counter()
        candidates(paths, Path(made) / "kept", resized=False)
        figures["cache built, s"] = round(time.perf_counter() - start, 2)
        print(f"cache of {count} images built in {figures['cache built, s']} s")
        for resized in (False, True):
            task = "resized crops" if resized else "crops"
            seconds = timed(paths, Path(made) / "kept", resized, rounds)
            typical = {name: median(each) for name, each in seconds.items()}
            figures[task] = {}
            for name, each in seconds.items():
                rate, spread = count / typical[name], (max(each) - min(each)) / typical[name]
                ratios = {f"x {p}": round(typical[p] / typical[name], 2) for p in ("pillow", "opencv")}
                figures[task][name] = {"images/s": round(rate), "spread": round(spread, 2), **ratios}
                told = ", ".join(f"{value:5.2f} {by}" for by, value in ratios.items())
                print(f"{task:14} {name:7} {rate:7,.0f} images/s, {told}, spread {spread:.0%}")
            if not resized:
                for what, name, goal in (("files", "tilth", GOAL_FILES), ("cache", "cached", GOAL_CACHE)):
                    value = figures[task][name]["x pillow"]
                    bars.append(Bar(f"loader.images/{what}", value, goal, value >= goal))
    return bars, figures
