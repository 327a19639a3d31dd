"""What was learned of files, kept on disk: a file that is as it was is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
import warnings
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tilth.errors import TilthWarning

MOST_PARTS = 16
"""More files than this are made one: each `keep` writes one of its own."""
SMALL = 64 << 20
"""Bytes beyond which a file is not merged with others: merging holds them in memory."""
MOST_BYTES = 4 << 30
"""Bytes beyond which the oldest files of a cache are dropped."""


def cache_folder() -> Path | None:
    """Return where caches lie: `TILTH_CACHE`, else `tilth` in the user's cache folder; None: switched off.

    ``TILTH_CACHE=`` (empty) switches caches off.
    """
    told = os.environ.get("TILTH_CACHE")
    if told is not None:
        return Path(told) if told else None
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # no home
        return None
    return Path(base) / "tilth"


def file_keys(paths: Sequence[str | None]) -> pl.Series:
    """Return a text per file that changes where the file does: of its absolute path, size and time of change.

    A file that is not there, or that is no file, has null.
    """
    here = os.getcwd()  # noqa: PTH109 - asked once, not for each path
    return pl.Series("key", [_key(path, here) for path in paths], dtype=pl.String)


def _key(path: str | None, here: str) -> str | None:
    if path is None:
        return None
    try:
        status = os.stat(path)  # noqa: PTH116 - many thousands of paths
    except (OSError, ValueError):
        return None
    # os.path.join leaves an absolute path as it is, as abspath does, but does not tidy it: that is dear.
    told = f"{os.path.join(here, path)}\0{status.st_size}\0{status.st_mtime_ns}"  # noqa: PTH118
    return hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class Cache:
    """Keep a frame of things learned under keys, in a folder of Parquet files that processes share.

    What is damaged, or cannot be written, counts as not kept: it is learned again.

    Parameters
    ----------
    name : str
        What is kept; a folder is called so.
    version : str
        Of the way it is learned: what another version kept is not used.
    """

    def __init__(self, name: str, version: str) -> None:
        base = cache_folder()
        self.folder = None if base is None else base / name / version

    def recall(self, keys: pl.Series) -> pl.DataFrame:
        """Return what is kept under `keys`, each key once: column ``key`` and what was kept with it.

        Where nothing is, there are no rows, and perhaps no column but ``key``.
        """
        wanted = pl.DataFrame({"key": keys.drop_nulls().unique()})
        found: list[pl.DataFrame] = []
        for part in reversed(self._parts()) if wanted.height else ():
            some = _read(part, wanted)
            if some is None or (found and some.schema != found[0].schema):
                continue
            found.append(some)
        if not found:
            return pl.DataFrame(schema={"key": pl.String})
        return pl.concat(found).unique("key", keep="first", maintain_order=True)

    def keep(self, frame: pl.DataFrame) -> None:
        """Keep what was learned; rows without a key are left out."""
        frame = frame.filter(pl.col("key").is_not_null())
        if self.folder is None or not frame.height:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write(frame)
            self._tidy()
        except OSError as error:
            warnings.warn(
                f"{self.folder}: cannot be written ({error.strerror or error}), so that nothing is kept for "
                "the next run. Name another folder in TILTH_CACHE, or leave it empty to switch caches off.",
                TilthWarning,
                stacklevel=2,
            )

    def _parts(self) -> list[Path]:
        """List the files, oldest first."""
        if self.folder is None:
            return []
        return [part for _, part in sorted(_dated(self.folder.glob("*.parquet")))]

    def _write(self, frame: pl.DataFrame) -> None:
        assert self.folder is not None
        name = uuid.uuid4().hex
        made = self.folder / f"{name}.writing"
        try:
            frame.write_parquet(made)
            made.replace(self.folder / f"{name}.parquet")
        finally:
            made.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Make one file of many small ones, and drop the oldest where all are too large."""
        assert self.folder is not None
        small = [part for part in self._parts() if _size(part) < SMALL]
        if len(small) > MOST_PARTS:
            frames = [frame for part in reversed(small) if (frame := _read(part)) is not None]
            same = [frame for frame in frames if frame.schema == frames[0].schema]
            self._write(pl.concat(same).unique("key", keep="first", maintain_order=True))
            for part in small:
                part.unlink(missing_ok=True)
        # All versions of a cache share its room.
        parts = [part for _, part in sorted(_dated(self.folder.parent.glob("*/*.parquet")))]
        total = sum(map(_size, parts))
        for part in parts[:-1]:
            if total <= MOST_BYTES:
                break
            total -= _size(part)
            part.unlink(missing_ok=True)


def _read(part: Path, wanted: pl.DataFrame | None = None) -> pl.DataFrame | None:
    """Return the rows of a file that are wanted; a damaged file is removed."""
    try:
        rows = pl.scan_parquet(part, glob=False)
        return (rows if wanted is None else rows.join(wanted.lazy(), on="key", how="semi")).collect()
    except FileNotFoundError:  # another process has tidied up
        return None
    except (OSError, pl.exceptions.PolarsError):
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        return None


def _dated(parts: object) -> list[tuple[int, Path]]:
    dated = []
    for part in parts:  # type: ignore[attr-defined]
        try:
            dated.append((part.stat().st_mtime_ns, part))
        except OSError:
            continue
    return dated


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0
