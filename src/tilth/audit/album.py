"""What is told of the images of a table: the file, its name for people, its label."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilth.audit.result import Picture
from tilth.table import ROW, Table


@dataclass(frozen=True)
class Album:
    """Hold the images of a table by row id.

    Parameters
    ----------
    paths : dict of row id to path
    names : dict of row id to str
        What a file is called: its path from the folder that holds all of them.
    labels : dict of row id to label
        In the target's own type; rows without one are left out.
    splits : dict of row id to str
        The part of the data that a row belongs to, where there are several.
    """

    paths: dict[int, str]
    names: dict[int, str]
    labels: dict[int, Any] = field(default_factory=dict)
    splits: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, *tables: Table) -> Album:
        """Take the images of tables; a row without a path is left out."""
        paths: dict[int, str] = {}
        labels: dict[int, Any] = {}
        splits: dict[int, str] = {}
        for table in tables:
            roles, there = table.roles, table.schema.names()
            wanted = [str(roles.image)]
            wanted += [c for c in (roles.target, roles.split) if c is not None and c in there]
            frame = table.frame.select(ROW, *wanted).collect()
            paths |= {row: path for row, path in frame.select(ROW, wanted[0]).iter_rows() if path is not None}
            for held, column in ((labels, roles.target), (splits, roles.split)):
                if column in wanted[1:]:
                    held.update((row, v) for row, v in frame.select(ROW, column).iter_rows() if v is not None)
        names = dict(zip(paths, short_names(list(paths.values())), strict=True))
        return cls(paths, names, labels, splits)

    def picture(self, row: int, **more: Any) -> Picture:
        """Return what is told of one image."""
        label = self.labels.get(row)
        told = {"label": None if label is None else str(label), "note": self.splits.get(row, ""), **more}
        return Picture(row, self.paths[row], self.names[row], **told)

    def pictures(self, rows: Iterable[int], **more: Any) -> list[Picture]:
        """Return what is told of images; rows that have none are left out."""
        return [self.picture(row, **more) for row in rows if row in self.paths]

    def touched(self, event: dict[str, Any]) -> Picture:
        """Return an image with what a line of the ledger says of it."""
        new = event["after"] if event["action"] == "relabeled" else None
        label = {"label": event["before"], "suggested": new} if new is not None else {}
        return self.picture(event["row"], note=event["reason"] or "", **label)

    def examples(self, rows: Sequence[int] | np.ndarray, most: int) -> list[Picture]:
        """Return one image of each class among the rows given, up to so many classes."""
        first: dict[Any, int] = {}
        for row in sorted(int(r) for r in rows if int(r) in self.paths):
            first.setdefault(self.labels.get(row), row)
        return self.pictures(list(first.values())[:most])


def short_names(paths: Sequence[str]) -> list[str]:
    """Return paths from the deepest folder that holds them all, with forward slashes.

    Examples
    --------
    >>> short_names(["photos/cats/1.jpg", "photos/dogs/1.jpg"])
    ['cats/1.jpg', 'dogs/1.jpg']
    """
    folders: Collection[str] = {os.path.dirname(path) for path in paths}  # noqa: PTH120 - many paths
    try:
        shared = os.path.commonpath(folders) if folders else ""
    except ValueError:  # absolute and relative ones, or several drives
        shared = ""
    start = len(shared.rstrip(os.sep)) + 1 if shared else 0
    return [path[start:].replace(os.sep, "/") for path in paths]
