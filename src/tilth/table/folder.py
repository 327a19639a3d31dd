"""Image folders and lists of images as tables: a row is a file, its class and split are its folders."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from tilth.errors import ColumnError, DataError, listed
from tilth.statistics import key_of
from tilth.table.container import free_name
from tilth.table.kinds import Kind
from tilth.table.table import FACTS, ROW, Roles, Table

PATH, LABEL, SPLIT = "path", "label", "split"
"""The columns of a folder: what opens the file, its class, and the part of the data that it is of."""

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of folders that are parts of the data, not classes, whatever the case."""

Progress = Callable[[str], None]


def read_folder(
    root: Path,
    given: dict[str, Any],
    null_values: Sequence[str] = (),
    *,
    kinds: Mapping[str, Kind] | None = None,
    progress: Progress | None = None,
) -> Table:
    """Read an image folder: ``<class>/<file>``, ``<split>/<class>/<file>``, or files alone.

    Parameters
    ----------
    root : Path
    given : dict of role to column
        By default the target is ``label`` where there are classes, and the split is ``split`` where the
        topmost folders are parts of the data.
    null_values : sequence of str
        Names of class folders that stand for no label.
    kinds : mapping of column to kind, optional
    progress : callable, optional
        Told how many headers were read.

    Raises
    ------
    DataError
        The folder cannot be read, or holds no image.
    ColumnError
        A role names a column that there is not.
    """
    from tilth.images.files import walk

    try:
        found = walk(root)
    except OSError as error:
        raise DataError(
            f"{root}: cannot be read: {error.strerror or error}. Check its permissions."
        ) from error
    notes = found.notes()
    if not found.files:
        raise DataError(
            f"{root}: the folder holds no image. {' '.join(notes) or 'It is empty.'} An image folder holds "
            "files such as .jpg or .png, in a folder for each class; a table is read by the name of its file."
        )
    folders = [name.split("/")[:-1] for name in found.files]
    split = _parts(folders, notes)
    label = [unicodedata.normalize("NFC", names[0]) if names else None for names in folders]
    label = [None if name in null_values else name for name in label]
    columns: dict[str, list] = {PATH: found.files}
    if any(name is not None for name in label):
        columns[LABEL] = label
        if bare := label.count(None):
            notes.append(f"{bare} of {len(label)} images lie in no folder of a class: they have no label.")
    if split is not None:
        columns[SPLIT] = split
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    roles = {"image": PATH}
    roles |= {role: name for role, name in (("target", LABEL), ("split", SPLIT)) if name in columns}
    roles |= given
    if roles["image"] != PATH:
        raise ColumnError.missing([roles["image"]], frame.columns, f"{root}: image")
    frame, told = pictured(frame, PATH, root, ids="row_id" not in given, progress=progress)
    made = Roles(**roles, facts=told)  # type: ignore[arg-type]
    for role, column in made.columns():
        if column not in frame.columns:
            raise ColumnError.missing([column], frame.columns, f"{root}: {role}")
    return replace(Table.of(frame.lazy(), roles=made, kinds=kinds), notes=tuple(notes))


def pictured(
    frame: pl.DataFrame, image: str, base: Path | None, *, ids: bool, progress: Progress | None = None
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Return a frame whose image column is ready, with the facts of its headers, and what they are called.

    Parameters
    ----------
    frame : DataFrame
    image : str
        A column of paths.
    base : Path, optional
        Where relative paths start: the column then holds paths that open. None: it is left as it is.
    ids : bool
        Add row ids by path, the second row of a path told apart by its number: they stay when rows are moved.
    progress : callable, optional
        Told how many headers were read.

    Raises
    ------
    DataError
        The column holds no texts, or none of its files is there.
    """
    from tilth.images.facts import facts

    paths = opening(frame[image], base)
    given = frame[image].cast(pl.String).alias("file")
    told = facts(paths.to_list(), progress=progress).drop("path").insert_column(0, given)
    _check_there(given, told["problem"], image, base)
    names = {fact: free_name(fact, frame.columns) for fact in FACTS}
    made = [paths, *told.rename(names).get_columns()]
    if ids:
        made.append(_ids(given))
    return frame.with_columns(made), tuple(names.values())


def opening(paths: pl.Series, base: Path | None) -> pl.Series:
    """Return paths that open: relative ones start at `base`, or stay as they are where there is none.

    Raises
    ------
    DataError
        The column holds no texts.
    """
    if paths.dtype not in (pl.String, pl.Categorical, pl.Enum):
        raise DataError(
            f"Image column '{paths.name}' holds {paths.dtype}: it must hold the paths of files, as texts."
        )
    texts = paths.cast(pl.String)
    if base is None:
        return texts
    start = os.fspath(base)
    joined = [p if p is None else os.path.join(start, p) for p in texts]  # noqa: PTH118 - many thousands
    return pl.Series(paths.name, joined, dtype=pl.String)


def _ids(files: pl.Series) -> pl.Series:
    number = files.to_frame().select(pl.int_range(pl.len()).over("file")).to_series()
    told = [(file, n) if n else file for file, n in zip(files.to_list(), number.to_list(), strict=True)]
    return pl.Series(ROW, key_of(told), dtype=pl.UInt64)


def _parts(folders: list[list[str]], notes: list[str]) -> list[str | None] | None:
    """Take the topmost folder off each file where these are parts of the data, and return the part of each.

    None: they are classes, or all files are of the same part.
    """
    top = sorted({names[0] for names in folders if names})
    named = {name: SPLITS[name.lower()] for name in top if name.lower() in SPLITS}
    if not named or len(named) < len(top):
        if len(named) > 1:
            others = listed([name for name in top if name not in named], 3)
            notes.append(
                f"The folders {listed(named, 3)} are read as classes, for beside them lies {others}."
            )
        return None
    parts = [named[names.pop(0)] if names else None for names in folders]
    if "test" not in parts and "val" in parts:
        notes.append("There is no folder 'test': the images of the validation folder are the test rows.")
        parts = ["test" if part == "val" else part for part in parts]
    elif "val" in parts:
        notes.append("The images of the validation folder count as training rows; 'test' is kept apart.")
    # Where all files are of one part, nothing is kept apart by it.
    return parts if "test" in parts and set(parts) != {"test"} else None


def _check_there(given: pl.Series, problem: pl.Series, name: str, base: Path | None) -> None:
    if len(given) and (problem == "missing").fill_null(False).all():
        first = next((path for path in given if path is not None), "")
        raise DataError(
            f"Image column '{name}': none of its {len(given)} files is there; the first is {first!r}."
            + (f" Relative paths start at {base}." if base is not None else "")
            + (" Write / in place of \\." if "\\" in first else "")
        )
