"""What stages that put fewer numbers in the place of many columns share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from sklearn.utils.metaestimators import available_if

from tilth.core.stage import ColumnStage
from tilth.stages.dense import Dense
from tilth.stages.foreign import mapped
from tilth.statistics import Statistics
from tilth.statistics.blocks import blocks_of, put
from tilth.table.container import free_name

Device = Literal["auto", "cpu", "cuda", "mps"]

WORTH = 10**11
"""Multiplications from which on 'auto' looks for a GPU: below, loading torch takes longer."""


class Reducer(ColumnStage):
    """Put numbers ``<prefix>1``, ``<prefix>2`` ... in the place of columns.

    An author writes `learn_matrix` and `project`, and `unproject` where columns can be had back. Rows must
    not depend on one another in either: a row served alone is changed as in a table.

    Attributes
    ----------
    prefix : str
        What the new columns are called.
    dense_ : Dense
        How the columns are read as a matrix.
    names_ : list of str
        The new columns, in order.
    """

    handles: ClassVar[tuple[str, ...]] = ("numeric", "boolean", "vector")
    takes: ClassVar[tuple[str, ...]] = ("numeric", "vector")
    fused: ClassVar = False
    takes_gaps: ClassVar[bool] = False
    restores: Literal["exactly", "nearly"] = "nearly"
    prefix: ClassVar[str] = "component"

    def learn_matrix(self, statistics: Statistics) -> int:
        """Learn from the rows, and return how many numbers take the place of the columns."""
        raise NotImplementedError

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the new numbers, shape (n_rows, n_components), of rows as `read` gives them."""
        raise NotImplementedError

    def learn_reading(self, statistics: Statistics) -> None:
        """Learn how the columns are read."""
        self.dense_ = Dense.learn(statistics, self.columns_)

    def read(self, rows: pl.DataFrame) -> np.ndarray:
        """Return rows as a matrix."""
        return self.dense_.matrix(rows)

    def write(self, matrix: np.ndarray) -> list[pl.Series]:
        """Return the columns that a matrix stands for; whole numbers and booleans may be floats."""
        return self.dense_.cells(matrix)

    def learn(self, statistics: Statistics) -> None:
        """Learn the reading, the numbers and their names."""
        self.names_: list[str] = []
        if self.columns_:
            self.learn_reading(statistics)
            size = self.learn_matrix(statistics)
            kept = [c for c in statistics.schema.names() if c not in self.columns_]
            self.names_ = numbered(self.prefix, size, kept)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the numbers in the place of the first of the columns."""
        if not self.columns_:
            return frame
        before = frame.collect_schema().names()
        output: dict[str, pl.DataType] = dict.fromkeys(self.names_, pl.Float64())
        made = mapped(frame, self.columns_, output, self._projected, self.key)
        first = next(c for c in before if c in self.columns_)
        at = before.index(first)
        kept = [[c for c in part if c not in self.columns_] for part in (before[:at], before[at:])]
        return made.select(*kept[0], *self.names_, *kept[1])

    @available_if(lambda self: hasattr(self, "unproject"))
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the columns back in the place of the numbers, as well as these tell them."""
        if not self.columns_:
            return frame
        loose = {c: pl.Float64() if t.is_numeric() or t == pl.Boolean else t for c, t in self.types_.items()}
        return mapped(frame, self.names_, loose, self._restored, self.key)

    def _projected(self, rows: pl.DataFrame) -> pl.DataFrame:
        # The matrix of all rows would take as much memory as they do.
        width = sum(getattr(dtype, "size", 1) for dtype in self.types_.values())
        blocks = blocks_of(rows.height, width)
        made = np.empty((rows.height, len(self.names_)), order="F")
        put(lambda block: np.asarray(self.project(self.read(rows[block]))), blocks, made)
        return pl.DataFrame(made, schema=self.names_, orient="row")

    def _restored(self, rows: pl.DataFrame) -> pl.DataFrame:
        codes = rows.select(self.names_).cast(pl.Float64).to_numpy()
        return pl.DataFrame(self.write(self.unproject(codes)))


def numbered(prefix: str, size: int, taken: Sequence[str]) -> list[str]:
    """Name new columns ``<prefix>1`` and on, by no name that is taken."""
    names: list[str] = []
    for number in range(1, size + 1):
        names.append(free_name(f"{prefix}{number}", [*taken, *names]))
    return names


def device_for(device: Device, products: int) -> str:
    """Return the device that torch is to multiply on, or 'cpu', where NumPy does.

    Parameters
    ----------
    device : {'auto', 'cpu', 'cuda', 'mps'}
    products : int
        How many multiplications there are; few of them are not worth looking for a GPU.

    Raises
    ------
    TilthError
        The device is not present.
    """
    if device == "cpu" or (device == "auto" and products < WORTH):
        return "cpu"
    from tilth.training import pick_device

    return str(pick_device(device))
