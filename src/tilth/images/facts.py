"""What the headers of image files tell, without decoding them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from tilth.errors import ImageError
from tilth.images.each import Progress
from tilth.images.opening import ANY, MAX_PIXELS, opened, orientation
from tilth.images.remembered import remembered

SCHEMA = pl.Schema(
    {
        "format": pl.String(),
        "width": pl.Int64(),
        "height": pl.Int64(),
        "mode": pl.String(),
        "orientation": pl.Int64(),
        "bytes": pl.Int64(),
        "problem": pl.String(),
    }
)
"""What is told of each file, besides its path."""

VERSION = "1"
"""Of what is told: what another version kept is not used."""


def facts(
    paths: Sequence[str | None],
    *,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    progress: Progress | None = None,
    cache: bool = True,
) -> pl.DataFrame:
    """Return what headers tell of files, one row for each path, in order.

    Parameters
    ----------
    paths : sequence of str or None
    max_pixels : int
        Width times height beyond which the problem is ``too large``.
    threads : int, optional
        By default one per core.
    progress : callable, optional
        Told how many headers were read, and how fast.
    cache : bool
        Take what is known of files that have not changed, and keep what is learned.

    Returns
    -------
    DataFrame
        ``path``; ``format`` as Pillow names it; ``width`` and ``height`` as displayed, in pixels; ``mode`` as
        Pillow names it (``RGB``, ``L``, ``CMYK``, ``I;16`` ...); ``orientation`` by EXIF, 1 to 8; ``bytes``;
        ``problem``: null, or why the file cannot be used. A header may be whole where the picture is cut off:
        only decoding tells.
    """
    with quiet():
        told = remembered(
            _facts,
            paths,
            SCHEMA,
            name="facts",
            version=VERSION,
            threads=threads,
            progress=progress,
            cache=cache,
        )
    too_large = pl.col("width") * pl.col("height") > max_pixels
    return told.with_columns(problem=pl.coalesce("problem", pl.when(too_large).then(pl.lit("too large"))))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep still what Pillow warns of, once per text: what matters of it is told as a problem of the file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _facts(path: str) -> dict[str, Any]:
    told: dict[str, Any] = dict.fromkeys(SCHEMA)
    try:
        told["bytes"] = os.stat(path).st_size  # noqa: PTH116
    except (OSError, ValueError):
        told["bytes"] = None
    try:
        # The cap asked for is applied to what is kept.
        with opened(path, max_pixels=ANY) as image:
            turned = orientation(image)
            width, height = image.size if turned < 5 else image.size[::-1]
            told |= {"format": image.format, "mode": image.mode, "orientation": turned}
            told |= {"width": width, "height": height}
    except ImageError as error:
        told["problem"] = error.reason
    return told
