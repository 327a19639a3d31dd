"""Near copies among the rows of a table: what a split must not tear apart."""

from __future__ import annotations

import numpy as np

from tilth.errors import DataError
from tilth.neighbors import Space, groups_of, within
from tilth.neighbors.close import close_radius
from tilth.stages.cells import Cells
from tilth.statistics import uniform
from tilth.table import Table

KINDS = ("numeric", "categorical", "boolean", "datetime")

MOST_ROWS = 100_000
MOST_CELLS = 5_000_000
"""What is searched in a few seconds; a larger table is searched for exact copies only."""


def close_groups(table: Table) -> tuple[np.ndarray, str]:
    """Group rows that are near copies of one another, directly or through others.

    Numbers are standardized; categories, and which cells are missing, must be equal. How near is near
    depends on the data: see `tilth.neighbors.close.close_radius`.

    Returns
    -------
    codes : ndarray of shape (n_rows,), int64
        Equal within a group.
    obstacle : str
        Why there was no search; empty if there was one.
    """
    alone = np.arange(table.height, dtype=np.int64)
    names = [name for name, kind in table.kinds.items() if kind in KINDS]
    if not names or table.height < 3:
        return alone, ""
    if table.height > MOST_ROWS or table.height * len(names) > MOST_CELLS:
        return alone, f"{table.height:,} rows x {len(names):,} columns are too many"
    cells = Cells.read(table, names, text="as_is", missing="compare")
    space = Space(categorical=cells.categorical)
    try:
        radius = close_radius(space, cells.matrix, uniform(0, table.ids))
        i, j, _ = within(space, cells.matrix, radius)
    except DataError as error:
        return alone, str(error).partition(".")[0]
    return groups_of(i, j, table.height), ""
