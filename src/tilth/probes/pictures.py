"""Images in a frame: which column names them, and their pixels or vectors, made once for many fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.errors import ColumnError, DataError, TilthWarning, listed
from tilth.table import ROW, Roles, Table

if TYPE_CHECKING:
    from tilth.training.backbones import Backbone

LOOKED_AT = 1000
"""So many cells tell whether a column names images."""
Paths = Sequence[str | None] | NDArray[np.object_]
TEXTS = (pl.String, pl.Categorical, pl.Enum)


class UnreadableImages(TilthWarning):
    """Images that cannot be decoded were not learned from, or answered without being seen."""


class ImageColumn:
    """Find the column of a frame that names images, and read it from later frames.

    Parameters
    ----------
    name : str, optional
        The column; by default the only one of texts that end as names of image files do.

    Attributes
    ----------
    name_ : str

    Raises
    ------
    ColumnError
        There is no such column, or it holds no texts.
    DataError
        No column, or several, look like names of images.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def fit(self, frame: pl.DataFrame, weight: NDArray[np.float64] | None = None) -> ImageColumn:
        """Find the column."""
        self.name_ = self.name if self.name is not None else self._found(frame)
        self.transform(frame)
        return self

    def transform(self, frame: pl.DataFrame) -> NDArray[np.object_]:
        """Return the paths, None where there is none: shape (n_rows,)."""
        if self.name_ not in frame.columns:
            raise ColumnError.missing([self.name_], frame.columns, "A probe of images")
        column = frame[self.name_]
        if column.dtype not in (*TEXTS, pl.Null):
            raise ColumnError(
                f"A probe of images: column '{self.name_}' is {column.dtype}, and paths of images are texts. "
                "Name the column of paths: image='path'."
            )
        return np.array(column.cast(pl.String).to_list(), dtype=object).reshape(frame.height)

    def _found(self, frame: pl.DataFrame) -> str:
        names = image_columns(frame)
        if len(names) == 1:
            return names[0]
        if names:
            raise DataError(
                f"A probe of images: columns {listed(names)} look like paths of images. Name one: "
                f"image='{names[0]}'."
            )
        raise DataError(
            f"A probe of images: none of the columns {listed(frame.columns)} looks like paths of images. "
            "Name it: image='path'. Where embed.images made numbers of it, keep it: {keep: true}."
        )


def image_columns(frame: pl.DataFrame) -> list[str]:
    """Name the columns whose texts all end as names of image files do, judged by the first thousand."""
    return [c.name for c in frame if c.dtype in TEXTS and _names_images(c)]


def _names_images(column: pl.Series) -> bool:
    from tilth.images.opening import SUFFIXES

    seen = column.drop_nulls().head(LOOKED_AT).cast(pl.String)
    return len(seen) > 0 and all(text.lower().endswith(SUFFIXES) for text in seen)


@dataclass
class Shelf:
    """Keep what was made of images, for all fits that need it.

    Parameters
    ----------
    paths : list of str
        Each once.
    pixels : dict of (side, framing) to (ndarray of uint8 (n, side, side, 3), problems)
    vectors : dict of fingerprint to ndarray of float32 (n, width)
    """

    paths: list[str] = field(default_factory=list)
    pixels: dict[tuple[int, str], tuple[NDArray[np.uint8], list[str | None]]] = field(default_factory=dict)
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {path: place for place, path in enumerate(self.paths)}

    def places(self, paths: Paths) -> list[int] | None:
        """Return where these images are, or None where one of them is not here."""
        found = [self._place.get(path, -1) if path is not None else -1 for path in paths]
        return None if -1 in found else found

    def problems(self) -> list[str | None]:
        """Return why each image cannot be read, where it was tried."""
        for _, problems in self.pixels.values():
            return problems
        for vectors in self.vectors.values():
            return [None if known else "no vector" for known in complete(vectors)]
        return []

    def stock_pixels(self, side: int, framing: Any, progress: Callable[[str], None] | None = None) -> bool:
        """Decode the images to squares; tell whether that was still to do."""
        if (side, framing) in self.pixels:
            return False
        from tilth.loaders.pixels import decoded

        self.pixels[side, framing] = decoded(self.paths, side, side, fit=framing, progress=progress)
        return True

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let the probes in this thread take from the shelf within the block."""
        token = _SHELF.set(self)
        try:
            yield
        finally:
            _SHELF.reset(token)


_SHELF: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


def pixels_of(
    paths: Paths, side: int, framing: Any, threads: int | None
) -> tuple[NDArray[np.uint8], list[str | None]]:
    """Return images as pixels of shape (n, side, side, 3), and why an image has none."""
    from tilth.loaders.pixels import decoded

    shelf = _SHELF.get()
    if shelf is not None and (side, framing) in shelf.pixels:
        places = shelf.places(paths)
        if places is not None:
            pixels, problems = shelf.pixels[side, framing]
            return pixels[places], [problems[place] for place in places]
    return decoded(list(paths), side, side, fit=framing, threads=threads)


def vectors_of(
    paths: Paths, backbone: Backbone, *, device: str, threads: int | None, cache: bool
) -> NDArray[np.float32]:
    """Return the vectors of images, of shape (n, width); NaN where an image has none."""
    shelf = _SHELF.get()
    if shelf is not None and backbone.fingerprint and backbone.fingerprint in shelf.vectors:
        places = shelf.places(paths)
        if places is not None:
            return shelf.vectors[backbone.fingerprint][places]
    known = [path for path in paths if path is not None]
    made = np.full((len(paths), backbone.width), np.nan, np.float32)
    if known:
        at = [place for place, path in enumerate(paths) if path is not None]
        made[at] = backbone.embed(known, device=device, threads=threads, cache=cache)
    return made


def unreadable(problems: Sequence[str | None]) -> str:
    """Say how many images cannot be read, and why."""
    reasons = [problem for problem in problems if problem is not None]
    counts = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    told = listed([f"{count:,} {reason}" for reason, count in counts.items()])
    return f"{len(reasons):,} of {len(problems):,} images cannot be read ({told})"


def shares(
    target: NDArray[Any], weight: NDArray[np.float64] | None, classes: int | None
) -> NDArray[np.float64]:
    """Return what to answer where nothing is seen: the shares of the classes, or the mean of the values."""
    if classes is None:
        return np.asarray(np.average(target, weights=weight))
    counts = np.bincount(target, weights=weight, minlength=classes)
    return counts / counts.sum()


@dataclass(frozen=True)
class Shown:
    """Hold images to train on, and what stages that augment may ask of them.

    Parameters
    ----------
    name : str
        The column of paths.
    paths, labels, ids : ndarray of shape (n,)
        Labels as they were given.
    pixels : ndarray of shape (n, side, side, 3), uint8
    """

    name: str
    paths: NDArray[np.object_]
    labels: NDArray[Any]
    ids: NDArray[np.uint64]
    pixels: NDArray[np.uint8]

    def as_table(self) -> Table:
        """Return paths and labels, for stages to learn from."""
        paths = pl.Series(self.name, self.paths.tolist(), dtype=pl.String)
        frame = pl.DataFrame([paths, pl.Series(ROW, self.ids, dtype=pl.UInt64)])
        return Table.of(frame, pl.Series("label", self.labels.tolist()), roles=Roles(image=self.name))


def complete(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell which rows hold numbers only."""
    return np.asarray(np.isfinite(vectors).all(axis=1), dtype=np.bool_)
