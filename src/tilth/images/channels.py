"""Mean and standard deviation of the color channels of images, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl

from tilth.errors import ImageError
from tilth.images.decode import MAX_PIXELS, decode
from tilth.images.each import Progress
from tilth.images.remembered import remembered

CHANNELS = ("red", "green", "blue")
VERSION = "1"
"""Of what the numbers mean: a cache of another version is not read."""
STEPS = 2**40
"""An image's share in the sums is a whole number of such parts, so that sums do not depend on their order."""
_SQUARES = tuple(f"{channel}_square" for channel in CHANNELS)
_SCHEMA = pl.Schema({"problem": pl.String} | dict.fromkeys((*CHANNELS, *_SQUARES), pl.Float64))


@dataclass(frozen=True)
class Channels:
    """Hold sums over images; every image counts the same, whatever its size.

    Parameters
    ----------
    count : int
        Images.
    total, squares : tuple of 3 int
        Per channel, the sum of each image's mean and mean square, in units of 1 / `STEPS`; channels run
        from 0 to 1.
    unread : int
        Images that cannot be read; they are in no sum.
    """

    count: int = 0
    total: tuple[int, ...] = (0, 0, 0)
    squares: tuple[int, ...] = (0, 0, 0)
    unread: int = 0

    @classmethod
    def of(
        cls,
        paths: Sequence[str],
        times: Sequence[int] | None = None,
        *,
        side: int | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        cache: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> Channels:
        """Read images and add them up.

        Parameters
        ----------
        paths : sequence of str
        times : sequence of int, optional
            How often each counts; by default once.
        side : int, optional
            Pixels: larger images are reduced while their shorter side stays at least this long.
        threads : int, optional
            How many decode at a time; by default one per core.
        progress : callable, optional
            Told how many images are done and at what rate.
        cache : bool
            Remember each image by its path, size and time of change.
        max_pixels : int
            Images of more pixels are not read.
        """

        def work(path: str) -> dict[str, object]:
            try:
                pixels = decode(path, side=side, max_pixels=max_pixels).reshape(-1, 3)
            except ImageError as error:
                return {"problem": error.reason}
            levels = np.arange(256, dtype=np.float64) / 255
            shares = [np.bincount(pixels[:, c], minlength=256) / len(pixels) for c in range(3)]
            told = [share @ levels for share in shares] + [share @ levels**2 for share in shares]
            return {"problem": None, **dict(zip((*CHANNELS, *_SQUARES), told, strict=True))}

        read = remembered(
            work,
            paths,
            _SCHEMA,
            name="channels",
            version=f"{VERSION}-{side or 'full'}",
            threads=threads,
            progress=progress,
            cache=cache,
        )
        often = pl.Series([1] * len(paths) if times is None else list(times), dtype=pl.Int64)
        known = read["problem"].is_null()
        good, often_good = read.filter(known), often.filter(known)
        sums = []
        for name in (*CHANNELS, *_SQUARES):
            parts = (good[name] * STEPS).round().cast(pl.Int64)
            sums.append(sum(p * n for p, n in zip(parts.to_list(), often_good.to_list(), strict=True)))
        count = int(often_good.sum())
        return cls(count, tuple(sums[:3]), tuple(sums[3:]), int(often.sum()) - count)

    def __add__(self, other: Channels) -> Channels:
        return Channels(
            self.count + other.count,
            tuple(a + b for a, b in zip(self.total, other.total, strict=True)),
            tuple(a + b for a, b in zip(self.squares, other.squares, strict=True)),
            self.unread + other.unread,
        )

    @property
    def mean(self) -> list[float]:
        """Return the mean per channel, 0 to 1; NaN where no image was read."""
        return [total / (self.count * STEPS) if self.count else float("nan") for total in self.total]

    @property
    def std(self) -> list[float]:
        """Return the standard deviation per channel, over all pixels of all images."""
        if not self.count:
            return [float("nan")] * 3
        # Fractions: the difference of two nearly equal numbers would lose what floats hold of it.
        whole = self.count * STEPS
        pairs = zip(self.squares, self.total, strict=True)
        spread = [Fraction(square, whole) - Fraction(total, whole) ** 2 for square, total in pairs]
        return [float(max(s, Fraction(0))) ** 0.5 for s in spread]
