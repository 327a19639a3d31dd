"""The labeled rows of a table as a matrix with classes: what stages that balance by neighbors work on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from tilth.neighbors import Space
from tilth.stages.classes import Classes
from tilth.stages.reading import Reading, read_columns
from tilth.table import ROW, Table

Scale = Literal["standard", "none"]
"""Numbers in standard deviations, or in the units they have."""


@dataclass(frozen=True)
class ClassedRows:
    """Hold the labeled rows in the order of their ids, so that ties do not depend on how they came.

    Parameters
    ----------
    classes : Classes
        Of all rows of the table.
    places : ndarray of shape (n_labeled,), int64
        Where each row stands in the table.
    ids : ndarray of shape (n_labeled,), uint64
    codes : ndarray of shape (n_labeled,), int64
        The class of each row.
    reading : Reading
    matrix : ndarray of shape (n_labeled, n_columns), float64
        As the reading reads them; one column of gaps where no column has a value.
    space : Space
        How their distance is measured.
    made : ndarray of shape (n_labeled,), bool
        Rows that a stage has made.
    """

    classes: Classes
    places: np.ndarray
    ids: np.ndarray
    codes: np.ndarray
    reading: Reading
    matrix: np.ndarray
    space: Space
    made: np.ndarray

    @classmethod
    def of(cls, table: Table, columns: list[str], stage: str, scale: Scale, made: int = 0) -> ClassedRows:
        """Read the labeled rows of a table, of which the last `made` are no source rows.

        Two different categories are as far apart as SMOTENC has it: by the median of the standard
        deviations of the numbers.
        """
        classes = Classes.of(table.need("target", stage), stage)
        ids = table.ids
        order = np.argsort(ids, kind="stable")
        places = order[classes.codes[order] >= 0]
        # The last bit of a mean depends on the order of its terms, and a cluster may depend on that bit.
        sorted_rows = table.frame.select([ROW, *columns]).collect()[order].lazy()
        reading, matrix = read_columns(table.with_frame(sorted_rows), columns, scale)
        if reading.columns:
            matrix, coded = matrix[classes.codes[order] >= 0], reading.categorical
            space = Space(categorical=tuple(coded.tolist()), mismatch=_mismatch(matrix[:, ~coded], scale))
        else:
            matrix, space = np.full((len(places), 1), np.nan), Space()
        new = places >= table.height - made
        return cls(classes, places, ids[places], classes.codes[places], reading, matrix, space, new)

    def name(self, row: np.integer) -> str:
        """Name a row and its class, for reasons."""
        row_of = "a made row" if self.made[row] else f"row {self.ids[row]}"
        return f"{row_of} ('{self.classes.names[self.codes[row]]}')"


def _mismatch(numbers: np.ndarray, scale: Scale) -> float:
    """Return what two different categories add to the sum of squared differences."""
    known = numbers[:, ~np.isnan(numbers).all(axis=0)]
    if scale == "standard" or not known.size:
        return 1.0
    # Half of each first, so that huge numbers have a finite spread.
    spread = float(np.median(np.nanstd(known / 2, axis=0))) * 2
    return spread**2 if spread > 0 else 1.0
