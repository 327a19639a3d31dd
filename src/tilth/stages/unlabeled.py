"""The rows of a table that some labels are known of: those with one, and those without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.errors import DataError
from tilth.stages.classes import Classes
from tilth.stages.reading import Reading, in_hashed_order, read_columns
from tilth.table import Table


@dataclass(frozen=True)
class Partly:
    """Hold the rows of a table that some labels are known of.

    Parameters
    ----------
    labeled : ndarray of shape (n_labeled,), int64
        Positions of the rows with a label and a weight above 0, in the order of their hashed ids.
    open : ndarray of shape (n_open,), int64
        Positions of the rows without a label, in the same order; those of weight 0 are left out.
    codes : ndarray of shape (n_labeled,), int64
        The class of each labeled row, as a place in `levels`.
    levels : list
        The classes that have a labeled row, in the target's own type.
    weight : ndarray of shape (n_rows,), float64
        Of all rows of the table; 1 without a weight role.
    """

    labeled: np.ndarray
    open: np.ndarray
    codes: np.ndarray
    levels: list[Any]
    weight: np.ndarray

    @classmethod
    def of(cls, table: Table, stage: str) -> Partly:
        """Read the target of a table: null is no label.

        Raises
        ------
        DataError
            If there is no label at all, or one class only, or the target holds values rather than classes.
        """
        target = table.need("target", stage)
        classes, given = Classes.of(target, stage), table.role("weight")
        weight = np.ones(table.height) if given is None else given.to_numpy().astype(np.float64)
        order = in_hashed_order(table.ids)
        order = order[weight[order] > 0]
        known = classes.codes[order] >= 0
        labeled, without = order[known], order[~known]
        kept, codes = np.unique(classes.codes[labeled], return_inverse=True)
        if len(without) and len(kept) < 2:
            raise DataError(
                f"{stage}: learns from labeled rows, and of {len(target)} rows {len(labeled)} have a label "
                f"in '{target.name}' and a weight above 0, of {len(kept)} classes. Label a row of at least "
                "two classes, or leave the stage out."
            )
        levels = classes.levels.to_list()
        return cls(labeled, without, codes, [levels[k] for k in kept], weight)

    @property
    def counts(self) -> np.ndarray:
        """Count the labeled rows of each class."""
        return np.bincount(self.codes, minlength=len(self.levels))

    @property
    def shares(self) -> np.ndarray:
        """Return how frequent the classes are among the labeled rows, by weight."""
        mass = np.bincount(self.codes, self.weight[self.labeled], len(self.levels))
        return mass / mass.sum()

    def named(self, codes: np.ndarray) -> str:
        """Say how many rows of each class there are, the most frequent first."""
        counts = np.bincount(codes, minlength=len(self.levels))
        order = np.argsort(-counts, kind="stable")
        return ", ".join(f"'{self.levels[k]}' {counts[k]}" for k in order.tolist() if counts[k])


def read_rows(table: Table, columns: list[str], order: np.ndarray) -> tuple[Reading, np.ndarray]:
    """Read some rows as numbers, scaled by themselves: to the last bit the same however a table is sorted.

    Parameters
    ----------
    table : Table
    columns : list of str
    order : ndarray of shape (n_read,), int64
        Positions, in an order that goes by their ids.

    Returns
    -------
    reading : Reading
    matrix : ndarray of shape (n_rows, n_columns), float64
        By position in the table; NaN in rows that are not in `order`.
    """
    reading, matrix = read_columns(table.with_frame(table.frame.collect()[order].lazy()), columns)
    placed = np.full((table.height, len(reading.columns)), np.nan)
    if reading.columns:
        placed[order] = matrix
    return reading, placed
