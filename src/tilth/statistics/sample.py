"""A seeded sample of rows that does not depend on how the rows were partitioned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from tilth.statistics.draws import uniform


@dataclass(frozen=True)
class Sample:
    """Keep the `rows` rows whose draw from (seed, row id) is smallest.

    A bottom-k sample: uniform without replacement, merges exactly, the same for every partition.
    """

    frame: pl.DataFrame
    rows: int
    id_column: str
    seed: int

    @classmethod
    def of(cls, frame: pl.LazyFrame, rows: int, id_column: str, seed: int = 0) -> Sample:
        """Draw the sample of a frame that carries its row ids in `id_column`."""
        return cls(frame.collect(), rows, id_column, seed)._cut()

    def __add__(self, other: Sample) -> Sample:
        both = pl.concat([self.frame, other.frame], how="vertical_relaxed")
        return Sample(both, self.rows, self.id_column, self.seed)._cut()

    def _cut(self) -> Sample:
        draws = uniform(self.seed, self.frame[self.id_column].to_numpy())
        chosen = np.argsort(draws, kind="stable")[: self.rows]
        return Sample(self.frame[chosen], self.rows, self.id_column, self.seed)
