"""Which of the prepared columns a loader feeds, and as what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from tilth.errors import DataError, listed
from tilth.table import Table

Codes = Sequence[str] | Mapping[str, Sequence[Any]]
Image = str | Literal[False] | None
"""The column of images to feed, None for the one there is, or False for the numbers beside it."""


def image_to_feed(table: Table, image: Image) -> str | None:
    """Return the column of images to feed, or None to feed numbers."""
    images = images_of(table)
    if isinstance(image, str):
        if image not in images:
            raise DataError(
                f"image='{image}': the prepared rows have no such column of images: {listed(images)}."
            )
        return image
    if image is None and images:
        if len(images) > 1:
            raise DataError(f"There are several columns of images: {listed(images)}. Say which: image='...'.")
        return images[0]
    if images and len(images) == len(table.features):
        raise DataError("image=False: the rows hold nothing but images. embed.images makes numbers of them.")
    return None


def refuse_images(table: Table, image: Image) -> None:
    """Raise where rows that are to be streamed name images to feed."""
    if image_to_feed(table, image) is not None:
        raise DataError(
            "stream=True: the rows name images, which are read one by one as it is. Leave stream out, or "
            "pass image=False to feed the columns beside them."
        )


def images_of(table: Table) -> list[str]:
    """Name the columns of images."""
    return [name for name, kind in table.kinds.items() if kind == "image"]


def numbers_of(table: Table) -> pl.DataFrame:
    """Return the features that are no images."""
    return table.X().drop(images_of(table))


def types_of_numbers(table: Table, codes: Codes | None) -> dict[str, pl.DataType]:
    """Return the types of the columns that are to be numbers."""
    others = {*images_of(table), *names_of(codes)}
    return {name: table.schema[name] for name in table.features if name not in others}


def names_of(codes: Codes | None) -> list[str]:
    """Name the columns that are to be codes."""
    if isinstance(codes, str):  # the loader says what is wrong with that
        return [codes]
    return [] if codes is None else [str(name) for name in codes]


def paths_of(table: Table, column: str) -> pl.Series:
    """Return the paths in a column of images."""
    return table.frame.select(column).collect()[column]
