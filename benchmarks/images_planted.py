"""Fashion-MNIST as a folder of images with known problems."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tilth.cli.plant import SHARES, plant

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))


@contextmanager
def planted(count: int, shares: Mapping[str, float] = SHARES) -> Iterator[tuple[Path, pl.DataFrame]]:
    """Give a temporary folder of images, and what was planted; Tilth's cache lies beside it, empty at first.

    Parameters
    ----------
    count : int
        Images of the training part, before copies.
    shares : mapping of problem to float
    """
    from fashion import fashion

    pixels, classes = fashion()
    before = os.environ.get("TILTH_CACHE")
    with tempfile.TemporaryDirectory(prefix="tilth-images-") as name:
        os.environ["TILTH_CACHE"] = str(Path(name) / "cache")
        try:
            photos = Path(name) / "photos"
            yield photos, plant(pixels[:count], classes[:count], photos, shares=shares)
        finally:
            os.environ.pop("TILTH_CACHE")
            if before is not None:
                os.environ["TILTH_CACHE"] = before
