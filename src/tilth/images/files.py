"""Finding the image files of a folder: in the order of their names, each folder once, telling the rest."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tilth.errors import ImageError, listed
from tilth.images.opening import ANY, SUFFIXES, opened


@dataclass
class Found:
    """Hold what a folder and the folders in it hold.

    Parameters
    ----------
    files : list of str
        The image files, by their path from the folder on, with ``/``, sorted part by part.
    others : list of str
        Files that are no images, by name and first bytes.
    hidden : list of str
        Files and folders whose name begins with a dot: not looked at.
    loops : list of str
        Links to folders that were read already, or that hold the folder itself: not followed.
    closed : list of str
        Folders that this user may not read, or that cannot be.
    unnamed : list of str
        Image files whose name is no text (not UTF-8), with the odd bytes written out.
    without : list of str
        Folders that hold no image, nor do the folders in them; of these the topmost.
    """

    files: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    without: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return a sentence for each kind of thing that was left out."""
        kinds = Counter(PurePosixPath(name).suffix.lower() or "without a suffix" for name in self.others)
        common = sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        counts = listed((f"{count} {kind}" for kind, count in common), 6)
        told = [
            (self.others, "file", f"without an image left out: {counts}"),
            (self.hidden, "hidden name", "left out"),
            (
                self.loops,
                "link",
                "to a folder that is read anyway, or that holds this one: not followed",
            ),
            (self.closed, "folder", "that cannot be read: what it holds is not here; check its permissions"),
            (self.unnamed, "image", "left out, whose name is no UTF-8 text; rename it"),
            (self.without, "folder", "without an image"),
        ]
        return [
            f"{len(names)} {what}{'s' if len(names) > 1 else ''} {how} ({listed(map(repr, names), 3)})."
            for names, what, how in told
            if names
        ]


def walk(root: str | Path) -> Found:
    """Find the image files of a folder and of all folders in it.

    A file is one of an image if its name says so, or its first bytes do. Links are followed, to a folder
    only if it was not read before and does not hold `root`; so each folder is read once.

    Raises
    ------
    OSError
        The folder itself cannot be read.
    """
    root = os.fspath(root)
    found = Found()
    above = Path(root).resolve().parents
    seen = {_identity(folder) for folder in above}
    folders, links = [""], list[str]()
    while folders or links:
        # Folders that lie in the tree are read before those that are linked into it, whatever their names.
        linked = not folders
        place = links.pop(0) if linked else folders.pop()
        folder = os.path.join(root, place)  # noqa: PTH118 - an entry's path is to begin as `root` does
        identity = _identity(folder)
        if identity in seen:
            found.loops += [_shown(place)] if linked else []
            continue
        seen.add(identity)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            if not place:
                raise
            found.closed.append(_shown(place))
            continue
        for entry in entries:
            name = f"{place}/{entry.name}" if place else entry.name
            if entry.name.startswith("."):
                found.hidden.append(_shown(name))
            elif _is_folder(entry):
                (links if entry.is_symlink() else folders).append(name)
                found.without.append(_shown(name))
            else:
                _sort_in(entry, name, found)
    for names in vars(found).values():
        names.sort(key=lambda name: name.split("/"))
    holding = {""}
    for name in [*found.files, *found.unnamed]:
        while (name := name.rpartition("/")[0]) not in holding:
            holding.add(name)
    told = {*holding, *found.loops, *found.closed}
    found.without = [n for n in found.without if n not in told and n.rpartition("/")[0] in holding]
    return found


def _sort_in(entry: os.DirEntry, name: str, found: Found) -> None:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - many thousands of names
    if suffix not in SUFFIXES and not _is_image(entry.path):
        found.others.append(_shown(name))
    elif _shown(entry.path) != entry.path:
        found.unnamed.append(_shown(name))
    else:
        found.files.append(name)


def _is_image(path: str) -> bool:
    """Tell whether a file is an image though its name does not say so."""
    try:
        with opened(path, max_pixels=ANY):
            return True
    except ImageError as error:
        return error.reason == "unsupported"


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _identity(folder: str | Path) -> tuple[int, int] | str:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError:
        return os.fspath(folder)
    return status.st_dev, status.st_ino


def _shown(name: str) -> str:
    """Return a name as text, with bytes that are no text written out."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
