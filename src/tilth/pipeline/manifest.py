"""The images of a run: a manifest that names each, and copies of them in class folders where asked."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import numpy as np
import polars as pl

from tilth.core import Ledger
from tilth.errors import DataError, ImageError
from tilth.images.decode import decode, resized
from tilth.images.each import each
from tilth.table import ROW, Table
from tilth.table.container import free_name

if TYPE_CHECKING:
    from tilth.pipeline.run import RunResult

How = Literal["none", "copy", "resize"]

FOLDER = "images"
QUALITY = 95
"""Of a JPEG that was scaled down: what it then loses is hard to see."""
SAFE = " !#$&'()+,-.;=@[]^_`{}~"
"""Characters that stand in the name of a folder as they are, besides letters and digits."""
LONGEST = 100
"""Characters of a class's folder name, and of a file's name, at most: systems allow about 255 bytes."""


def write(result: RunResult, made: Path, folder: Path, tell: Callable[[str], None]) -> pl.DataFrame:
    """Write ``manifest.csv``, ``dropped.csv`` and, where the recipe asks, the images.

    Parameters
    ----------
    result : RunResult
        Of a table with images.
    made : Path
        The folder to write into.
    folder : Path
        Where that folder will lie: paths start there.
    tell : callable

    Returns
    -------
    DataFrame
        The path of each row's image, as it was written: the hidden row id and the image column.
    """
    how, size = result.recipe.output.images, result.recipe.output.size
    image, target = str(result.before.roles.image), result.before.roles.target
    lines = manifest(result)
    if how == "none":
        paths = _seen(lines[image], folder)
    else:
        split = str(result.before.roles.split or lines.columns[-1])
        name_of = (lambda path: Path(path).name) if how == "copy" else _name_scaled
        paths = placed(lines, image, target, split, name_of)
        pairs = pl.DataFrame([lines[image].alias("path"), paths.alias("file")]).drop_nulls().unique("file")
        pairs = pairs.sort("file")
        write_images(pairs["path"].to_list(), [str(made / f) for f in pairs["file"]], how, size, tell)
    lines = lines.with_columns(paths.alias(image))
    lines.write_csv(made / "manifest.csv")
    gone = dropped(result)
    gone = gone.with_columns(_seen(gone[image], folder))
    gone.write_csv(made / "dropped.csv")
    return lines.select(pl.col("row_id").alias(ROW), image)


def _seen(paths: pl.Series, folder: Path) -> pl.Series:
    """Return paths as they are seen from a folder, so that both may be moved together."""
    seen = [None if path is None else _relative(path, folder) for path in paths]
    return pl.Series(paths.name, seen, dtype=pl.String)


def _relative(path: str, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return Path(path).resolve().as_posix()


def manifest(result: RunResult) -> pl.DataFrame:
    """Name the image of each row that came out: ``row_id, path, label, weight, group, split``.

    The columns have the names they had in the data; a weight that stages made is 'weight', a split that the
    recipe made is 'split'. Training rows come first, in the order of the prepared rows: a repeated row has a
    line, and an id, for each time it is there. A row that was made of others has no path.

    Parameters
    ----------
    result : RunResult
        Of a table with images.
    """
    parts = [_lines(result.after, sources(result.before, result.ledger), "train")]
    if result.test is not None and result.test_before is not None:
        parts.append(_lines(result.test, sources(result.test_before, Ledger()), "test"))
    return pl.concat(parts, how="diagonal_relaxed")


def dropped(result: RunResult) -> pl.DataFrame:
    """Name the images that were left out: ``row_id, path, label, stage, reason, score``."""
    gone = result.ledger.events.filter(pl.col("action").cast(pl.String) == "dropped")
    target = result.before.roles.target
    told = result.before.frame.select(ROW, *([target] if target else [])).collect()
    lines = gone.select(pl.col("row").alias(ROW), "stage", "reason", "score")
    lines = lines.join(sources(result.before, result.ledger), on=ROW, how="left", maintain_order="left")
    lines = lines.join(told, on=ROW, how="left", maintain_order="left")
    named = [str(result.before.roles.image), *([target] if target else [])]
    return lines.select(pl.col(ROW).alias("row_id"), *named, "stage", "reason", "score")


def sources(before: Table, ledger: Ledger) -> pl.DataFrame:
    """Return the path of the image of each row, of repeated rows too."""
    known = before.frame.select(ROW, str(before.roles.image)).collect()
    again = ledger.events.filter(pl.col("action").cast(pl.String) == "repeated")
    for stage in again["stage"].unique(maintain_order=True):
        made = again.filter(pl.col("stage") == stage).select(pl.col("row").alias(ROW), "made")
        made = made.join(known, on=ROW, how="inner", maintain_order="left")
        known = pl.concat([known, made.with_columns(pl.col("made").alias(ROW)).select(known.columns)])
    return known


def _lines(table: Table, paths: pl.DataFrame, part: str) -> pl.DataFrame:
    roles = table.roles
    image = paths.columns[1]
    names = table.schema.names()
    wanted = {role: getattr(roles, role) for role in ("target", "weight", "group", "split")}
    kept = {role: name for role, name in wanted.items() if name is not None and name in names}
    lines = table.frame.select(ROW, *kept.values()).collect()
    # A stage's own weights and groups stand in hidden columns.
    lines = lines.rename({name: name.strip("_") for name in kept.values() if name.startswith("__")})
    lines = lines.join(paths, on=ROW, how="left", maintain_order="left")
    if "split" not in kept:
        lines = lines.with_columns(pl.lit(part).alias(free_name("split", lines.columns)))
    rest = [c for c in lines.columns if c not in (ROW, image)]
    return lines.select(pl.col(ROW).alias("row_id"), image, *rest)


def placed(
    lines: pl.DataFrame, image: str, target: str | None, split: str, name_of: Callable[[str], str]
) -> pl.Series:
    """Say where the image of each line goes: ``images/split/class/file``.

    Lines of one file and one class share it: a row that was repeated is written once. Files of one name
    in a folder are told apart by the smallest row id of each. Without test rows there is no folder for them.

    Parameters
    ----------
    lines : DataFrame
        A manifest.
    image, target, split : str
        Its columns.
    name_of : callable
        From the path of an image to the name of its file.
    """
    folder: pl.Expr = pl.lit(FOLDER)
    if lines[split].n_unique() > 1:
        folder = folder + "/" + _quoted(lines, split).fill_null("train")
    if target is not None:
        # An image without a label lies beside the classes' folders.
        labeled = folder + "/" + _quoted(lines, target)
        folder = pl.when(pl.col(target).is_null()).then(folder).otherwise(labeled)
    paths = lines[image].unique().drop_nulls().to_list()
    names = [name_of(path) for path in paths]
    name = pl.col(image).replace_strict(paths, names, default=None, return_dtype=pl.String)
    told = lines.select("row_id", image, folder.alias("folder"), name.alias("name"))
    # Some systems hold 'A.jpg' and 'a.jpg' for one name.
    lower = pl.col("name").str.to_lowercase()
    clash = pl.col(image).n_unique().over("folder", lower) > 1
    first = pl.col("row_id").min().over("folder", image)
    told = told.with_columns(clash.alias("clash"), first.alias("first"))
    files = [
        f"{folder}/{_with_id(name, first) if clash else name}" if name is not None else None
        for _, _, folder, name, clash, first in told.iter_rows()
    ]
    return pl.Series("file", files, dtype=pl.String)


def _with_id(name: str, row: int) -> str:
    path = Path(name)
    return f"{path.stem[:LONGEST]}-{row:016x}{path.suffix}"


def _quoted(lines: pl.DataFrame, column: str) -> pl.Expr:
    """Write a value as the name of one folder: values that differ have names that differ."""
    values = lines[column].cast(pl.String).unique().drop_nulls().to_list()
    return pl.col(column).cast(pl.String).replace_strict({v: folder_name(v) for v in values}, default=None)


def folder_name(value: str) -> str:
    """Return a folder's name for a class: what could leave the folder, or no system holds, is %-encoded.

    Examples
    --------
    >>> folder_name("cat"), folder_name("a/b"), folder_name(".."), folder_name("")
    ('cat', 'a%2Fb', '%2E%2E', '%')
    """
    name = "".join(c if c.isalnum() or c in SAFE else quote(c, safe="", errors="replace") for c in value)
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if name.endswith((" ", ".")):
        name = f"{name[:-1]}%{ord(name[-1]):02X}"
    if len(name) > LONGEST:
        word = hashlib.blake2b(value.encode(errors="replace"), digest_size=8).hexdigest()
        name = f"{name[: LONGEST - 17]}%{word}"
    return name or "%"


def write_images(
    paths: Sequence[str], files: Sequence[str], how: How, size: int, tell: Callable[[str], None]
) -> None:
    """Write images under the names given; the files they come from are only read.

    'copy' writes the same bytes. 'resize' scales an image down until its shorter side is `size` pixels; one
    that is smaller keeps its size. It is turned as its orientation says and loses what else is not pixels;
    what is seen through is white. JPEG and WebP become JPEG, everything else PNG, which loses nothing.

    Raises
    ------
    DataError
        If an image cannot be read: a stage that leaves such rows out is named.
    """
    for folder in {str(Path(f).parent) for f in files}:
        Path(folder).mkdir(parents=True, exist_ok=True)
    work = _copied if how == "copy" else lambda pair: _scaled(pair, size)
    refused = [told for told in each(work, list(zip(paths, files, strict=True)), progress=tell) if told]
    if refused:
        raise DataError(
            f"{len(refused)} of {len(paths)} images cannot be written, the first: {refused[0].rstrip('.')}. "
            "Put prune.unreadable first in the recipe, so that such rows are left out and accounted for."
        )


def _copied(pair: tuple[str, str]) -> str | None:
    path, file = pair
    try:
        source = Path(path).open("rb")  # noqa: SIM115 - only its own trouble is told of it
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    # What the disk that is written to refuses is an error of its own.
    with source, Path(file).open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return None


def _scaled(pair: tuple[str, str], size: int) -> str | None:
    path, file = pair
    try:
        pixels = decode(path, side=size)
    except ImageError as error:
        return str(error)
    height, width = pixels.shape[:2]
    scale = min(size / min(height, width), 1.0)
    pixels = resized(pixels, max(round(height * scale), 1), max(round(width * scale), 1))
    Path(file).write_bytes(_packed(pixels, Path(file).suffix.lower() == ".jpg"))
    return None


def _packed(pixels: np.ndarray, lossy: bool) -> bytes:
    grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all())
    shown = np.ascontiguousarray(pixels[..., :1] if grey else pixels)
    if lossy:
        import simplejpeg

        space = "GRAY" if grey else "RGB"
        return simplejpeg.encode_jpeg(
            shown, quality=QUALITY, colorspace=space, colorsubsampling="Gray" if grey else "444"
        )
    import cv2

    done, packed = cv2.imencode(".png", shown if grey else cv2.cvtColor(shown, cv2.COLOR_RGB2BGR))
    if not done:
        raise DataError(f"An image of {pixels.shape[1]}x{pixels.shape[0]} pixels cannot be written as PNG.")
    return packed.tobytes()


def _name_scaled(path: str) -> str:
    """Return the name of an image that is scaled: its suffix by what its bytes say, not by its old name."""
    head = b""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        head = file.read(12)
    lossy = head.startswith(b"\xff\xd8") or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
    return f"{Path(path).stem}{'.jpg' if lossy else '.png'}"
