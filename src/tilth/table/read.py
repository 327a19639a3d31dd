"""Reading tables from disk: every error says which file and what to do."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from tilth.errors import ColumnError, DataError, listed, nearest
from tilth.table.folder import opening, pictured, read_folder
from tilth.table.kinds import Kind
from tilth.table.table import Roles, Table

FORMATS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}


def read(
    path: Any,
    *,
    target: str | None = None,
    weight: str | None = None,
    group: str | None = None,
    row_id: str | None = None,
    split: str | None = None,
    image: str | None = None,
    annotators: Sequence[str] = (),
    clean: str | None = None,
    null_values: Sequence[str] = (),
    kinds: Mapping[str, Kind] | None = None,
    lazy: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Table:
    """Read a CSV or Parquet file or an image folder, or take a frame that is already in memory.

    Parameters
    ----------
    path : str, Path, or anything ``Table.of`` takes
        ``.csv``, ``.tsv``, ``.parquet`` or ``.pq``; or a folder of images, ``<class>/<file>`` or
        ``<split>/<class>/<file>``, whose columns are ``path``, ``label`` and ``split``, as far as its
        folders tell.
    target, weight, group, row_id, split : str, optional
        The columns that hold these roles. Of a folder, target and split are known.
    image : str, optional
        The column that holds paths of image files. Those of a file start at its folder, if they are
        relative. What the headers of the images tell is added in columns of the role ``facts``.
    annotators : sequence of str
        The columns that each hold one person's labels. Where no target is named, an empty one, 'label',
        is made for `labels.consensus` to fill.
    clean : str, optional
        The column of labels that were checked, null where nobody did: the bench judges by them, too.
    null_values : sequence of str
        Texts that mean "missing", besides the empty cell of a file. A text column whose other values
        are all numbers becomes numeric. Of a folder: names of class folders that stand for no label.
    kinds : mapping of column to kind, optional
        Declares a text column as ``text``, paths of images as ``image``: the only one so declared is `image`.
    lazy : bool
        False: the rows are read into memory once. True: each query scans the file anew, so that it
        may be larger than memory. A table of images is always in memory: it holds paths, not pixels.
    progress : callable, optional
        Told how many image headers were read, and how fast.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If the file is missing, empty, has no rows or cannot be parsed; if there is no image, or none of
        those named.
    ColumnError
        If a role names a column that is not there; the nearest names are offered.
    """
    declared = [name for name, kind in (kinds or {}).items() if kind == "image"]
    image = declared[0] if image is None and len(declared) == 1 else image
    roles = Roles(target, weight, group, row_id, split, image, annotators=annotators, clean=clean)  # type: ignore[arg-type]
    if not isinstance(path, str | Path):
        if isinstance(path, Table):
            roles = replace(path.roles, **roles.named())
        table = Table.of(path, roles=roles, kinds=kinds)
        if null_values:
            table = table.with_frame(_cleared(table.frame, null_values))
        return table if image is None else _in_memory(table, image, progress)
    source = Path(path)
    if source.is_dir():
        return read_folder(source, roles.named(), null_values, kinds=kinds, progress=progress)
    frame = _scan(source, null_values)
    try:
        if not lazy:
            frame = frame.collect().lazy()
        names = frame.collect_schema().names()
        rows = frame.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"{source}: cannot be read: {_first_line(error)}. Check the file's format."
        ) from error
    if rows == 0:
        raise DataError(
            f"{source}: the file has a header ({len(names)} columns) but no rows. Add rows to it."
        )
    for role, column in roles.columns():
        if column not in names:
            raise ColumnError.missing([column], names, f"{source}: {role}")
    frame = frame.with_columns(pl.col(pl.String).replace("", None))
    if null_values and FORMATS[source.suffix.lower()] != "csv":
        frame = _cleared(frame, null_values)
    for name in (name for name in declared if name != image):
        held = frame.collect()
        frame = held.with_columns(opening(held[name], source.parent)).lazy()
    if image is not None:
        ready, told = pictured(frame.collect(), image, source.parent, ids=row_id is None, progress=progress)
        frame, roles = ready.lazy(), replace(roles, facts=told)
    return Table.of(frame, roles=roles, kinds=kinds)


def _in_memory(table: Table, image: str, progress: Callable[[str], None] | None) -> Table:
    frame = table.frame.collect().drop(table.roles.facts)
    ready, told = pictured(frame, image, None, ids=False, progress=progress)
    return table.with_frame(ready.lazy(), replace(table.roles, facts=told))


def _cleared(frame: pl.LazyFrame, null_values: Sequence[str]) -> pl.LazyFrame:
    """Do for text columns what reading a CSV does: these values are missing, and the rest may be numbers."""
    texts = [name for name, dtype in frame.collect_schema().items() if dtype == pl.String]
    left = {name: pl.col(name).replace(list(null_values), [None] * len(null_values)) for name in texts}
    number = {name: text.str.strip_chars().cast(pl.Float64, strict=False) for name, text in left.items()}
    # Only a column that lost a value changes its type: codes such as '007' in other columns stay texts.
    gone = {c: left[c].null_count() - pl.col(c).null_count() for c in texts}
    same = [
        (
            (gone[c] > 0) & (number[c].null_count() == left[c].null_count()) & left[c].is_not_null().any()
        ).alias(c)
        for c in texts
    ]
    numeric = frame.select(same).collect().row(0, named=True) if texts else {}
    return frame.with_columns((number[c] if numeric[c] else left[c]).alias(c) for c in texts)


def _scan(source: Path, null_values: Sequence[str]) -> pl.LazyFrame:
    if not source.exists():
        near = [p.name for p in source.parent.glob("*")] if source.parent.is_dir() else []
        raise DataError(f"{source}: no such file{nearest(source.name, near)}. Check the path.")
    form = FORMATS.get(source.suffix.lower())
    if form is None:
        from tilth.images.opening import SUFFIXES

        image = " Images are read by the name of their folder." if source.suffix.lower() in SUFFIXES else ""
        raise DataError(f"{source}: cannot read '{source.suffix}' files; use {', '.join(FORMATS)}.{image}")
    if source.stat().st_size == 0:
        raise DataError(f"{source}: the file is empty (0 bytes). Check how it was written.")
    if form == "parquet":
        return pl.scan_parquet(source)
    separator = "\t" if source.suffix.lower() == ".tsv" else ","
    _check_header(source, separator)
    return pl.scan_csv(
        source,
        separator=separator,
        null_values=list(null_values) or None,
        # A number that first turns into a text in the last row must not break the reading.
        infer_schema_length=None,
        try_parse_dates=True,
    )


def _check_header(source: Path, separator: str) -> None:
    with source.open("rb") as file:
        head = file.read(1 << 20)
    try:
        # The last character may be cut in two, so the decoder is told that more may come.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: is not UTF-8 text ({error.reason}). Save it as UTF-8, or as Parquet."
        ) from error
    if not text.partition("\n")[0].strip():
        raise DataError(f"{source}: the first line is blank; a CSV begins with the names of its columns.")
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise DataError(f"{source}: its header cannot be read: {error}. Check the first line.") from error
    repeated = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    if repeated:
        raise DataError(
            f"{source}: column names must be unique; repeated: {listed(map(repr, repeated))}. Rename them."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
