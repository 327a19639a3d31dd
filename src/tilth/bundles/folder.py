"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Linux: exchange two names in one step; see renameat2(2).
_EXCHANGE, _HERE = 2, -100


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; when all went well it takes the place of `folder`.

    Whatever happens, `folder` is then the old one or the new one, and each file of it is on the disk.
    Where the system cannot exchange two folders at once (any but Linux), a crash between two renames
    leaves both of them whole, under hidden names beside `folder`.

    Parameters
    ----------
    folder : Path
        Its parents are made where they are missing.

    Raises
    ------
    OSError
        If the disk refuses; `folder` is as it was.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield made
        made.chmod(0o777 & ~_umask())
        for place, _, files in os.walk(made):
            for name in files:
                _sync(Path(place) / name)
            _sync(Path(place))
        old = _take_place(made, folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _take_place(made: Path, folder: Path) -> Path | None:
    """Rename, and return where the old folder now is."""
    if not folder.exists():
        made.rename(folder)
        return None
    if _exchange(made, folder):
        return made
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    try:
        made.rename(folder)
    except BaseException:
        (old / folder.name).rename(folder)
        old.rmdir()
        raise
    return old


def _exchange(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if rename is None:
        return False
    return rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
