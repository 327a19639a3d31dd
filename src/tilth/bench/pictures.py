"""What a bench does where rows are images: copies stay in one fold, and files are decoded once for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tilth.core import Finding
from tilth.errors import DataError
from tilth.images.cache import file_keys
from tilth.probes import OF_IMAGES, OF_TABLES, PROBES, probe
from tilth.probes.pictures import Shelf, image_columns, unreadable
from tilth.table import Table

Tell = Callable[[str], None]


def images_of(table: Table) -> list[str]:
    """Name the features that hold paths of images."""
    return [name for name, kind in table.kinds.items() if kind == "image"]


def with_images(table: Table, probes: Sequence[Any] | None) -> Table:
    """Return the table with its column of images named, where only its look tells it and a probe asks for it.

    Raises
    ------
    DataError
        A probe reads images, and the table has none.
    """
    asked = [item for item in probes or () if reads_images(item)]
    if not asked or images_of(table):
        return table
    found = image_columns(table.X())
    if len(found) == 1 and table.roles.image is None:
        return replace(table, roles=replace(table.roles, image=found[0]))
    raise DataError(
        f"bench: {_named(asked[0])} reads images, and the table has no column of their paths. Name it: "
        "Roles(image='path'), tilth.read(..., image='path'), or in a recipe data: {image: path}."
    )


def default_probes(table: Table) -> tuple[str, ...]:
    """Return who judges where nobody is named: probes of images, where the rows are nothing but images."""
    images = images_of(table)
    return OF_IMAGES if images and len(images) == len(table.features) else OF_TABLES


def reads_images(item: Any) -> bool:
    """Tell whether a probe, a name or (name, estimator), reads images."""
    if isinstance(item, str):
        return item in OF_IMAGES
    return bool(getattr(item[1], "reads_images", False))


def _named(item: Any) -> str:
    return f"the probe '{item if isinstance(item, str) else item[0]}'"


def copies_of(table: Table, tell: Tell | None = None) -> NDArray[np.int64] | None:
    """Code rows by their images: those of the same image, or almost, share one; None: no images."""
    from tilth.images.copies import groups
    from tilth.images.properties import properties

    names = images_of(table)
    if not names:
        return None
    codes = [groups(properties(_paths(table, name), progress=tell)) for name in names]
    return np.unique(np.column_stack(codes), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def files_print(frame: pl.DataFrame, images: Sequence[str]) -> str:
    """Return what changes if a file that a frame names is changed: its size or its time."""
    return " ".join(str(key) for name in images for key in file_keys(frame[name].to_list()))


def stocked(
    table: Table, probes: Sequence[tuple[str, Any]], tell: Tell | None = None
) -> tuple[Shelf, list[Finding]]:
    """Decode and embed every image once, for all folds and arms.

    Returns
    -------
    shelf : Shelf
        Empty where no probe reads images.
    findings : list of Finding
        What it took, and which images cannot be read.
    """
    readers = []
    for name, estimator in probes:
        model = probe(name) if estimator is None and name in PROBES else estimator
        if getattr(model, "reads_images", False):
            readers.append((name, model))
    if not readers:
        return Shelf(), []
    own = {name: getattr(model, "image", None) or images_of(table)[0] for name, model in readers}
    paths = sorted(
        {path for column in set(own.values()) for path in _paths(table, column) if path is not None}
    )
    shelf, findings = Shelf(paths), []
    for name, model in readers:
        begun = perf_counter()
        said = model.stock(shelf, tell)
        seconds = perf_counter() - begun
        if said:
            message = (
                f"{name}: {len(paths):,} images were {said} once for all folds, in {seconds:,.1f} seconds."
            )
            findings.append(
                Finding("bench.images", message, seconds, "info", n_rows=len(paths), stage="bench")
            )
    reasons = shelf.problems()
    if any(reasons):
        message = (
            f"{unreadable(reasons)}: probes of images do not learn from them, and answer them by the shares "
            "of the classes, or the mean. Row stages never drop a row that is tested."
        )
        count = sum(reason is not None for reason in reasons)
        remedy: dict = {"prune.unreadable": {}}
        findings.append(
            Finding(
                "bench.unreadable",
                message,
                count / len(reasons),
                "medium",
                n_rows=count,
                remedy=remedy,
                stage="bench",
            )
        )
    return shelf, findings


def _paths(table: Table, name: str) -> list[str | None]:
    return table.frame.select(pl.col(name).cast(pl.String)).collect()[name].to_list()
