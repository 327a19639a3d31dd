"""What imputers that look at several columns at once share: from gaps to a matrix, and back to cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage
from tilth.stages.foreign import mapped
from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table.container import free_name

MOST = 2**53
"""Whole numbers up to here are exact in 64-bit floats."""

FINDS = {
    "missing.filled": "a column had missing cells",
    "missing.all": "a column had no value at all",
}


class Imputer(ColumnStage):
    """Fill the missing cells of a row from its other cells.

    An author writes `learn_matrix` and `complete`, which see the columns as `Reading` reads them.
    Rows must not depend on one another in `complete`: a row served alone is filled as in a table.

    What is filled in is the best guess, which seldom is a whole number: a column of whole numbers that had
    gaps at fit becomes Float64, as the same column comes from pandas in the first place. It stays what it
    is where 64-bit floats cannot hold its numbers, or where it had no gaps; gaps in new rows are then
    filled with whole numbers.

    Attributes
    ----------
    scaled : {'standard', 'none'}
        How numbers are read.
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = FINDS
    fused: ClassVar = False
    partial: ClassVar = True
    scaled: Literal["standard", "none"] = "standard"
    indicator: bool

    def learn_matrix(self, statistics: Statistics, reading: Reading) -> None:
        """Learn from the rows, read by `reading`."""

    def complete(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix of shape (n_rows, n_columns) without NaN, save in columns that had no value."""
        raise NotImplementedError

    def learn(self, statistics: Statistics) -> None:
        """Learn how to read the columns, count their gaps, and learn to fill them."""
        nulls, rows = statistics.nulls(self.columns_), statistics.rows
        self.reading_ = Reading.learn(statistics, self.columns_, self.scaled)
        known = dict(zip(self.columns_, ~self.reading_.empty, strict=True))
        for name in self.columns_:
            tell_missing(self, name, nulls[name], rows)
        self.cells_ = {c: nulls[c] if known[c] else 0 for c in self.columns_}
        self.holed_ = [c for c in self.columns_ if nulls[c]]
        self.flags_ = flags_for(self.holed_, statistics.schema.names())
        whole = [c for c in self.holed_ if statistics.schema[c].is_integer()]
        ends = statistics.extremes(whole)
        exact = [
            low is not None and -MOST <= low <= high <= MOST
            for low, high in zip(ends.low, ends.high, strict=True)
        ]
        self.fractions_ = [c for c, is_exact in zip(whole, exact, strict=True) if is_exact]
        if any(known.values()):
            self.learn_matrix(statistics, self.reading_)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Fill the gaps."""
        if not self.columns_ or self.reading_.empty.all():
            return frame
        schema = frame.collect_schema()
        marked = zip(self.holed_, self.flags_, strict=True) if self.indicator else ()
        frame = frame.with_columns(pl.col(c).is_null().alias(flag) for c, flag in marked)
        kept = {c: pl.Float64() if c in self.fractions_ else schema[c] for c in self.columns_}
        return mapped(frame, self.columns_, kept, self._filled, self.key)

    def _filled(self, rows: pl.DataFrame) -> pl.DataFrame:
        known = [c for c, empty in zip(self.columns_, self.reading_.empty, strict=True) if not empty]
        holed = [c for c in known if rows[c].null_count()]
        if not holed:
            return rows
        gaps = rows.select(pl.any_horizontal(pl.col(known).is_null())).to_series()
        # For each row its place among those with a gap; null where there is none.
        place = pl.select(pl.when(gaps).then(gaps.cast(pl.Int64).cum_sum() - 1)).to_series()
        full = self.complete(self.reading_.matrix(rows.filter(gaps)))
        at = dict(zip(self.columns_, full.T, strict=True))
        as_float = dict.fromkeys(self.fractions_, pl.Float64())
        rows = rows.cast(as_float)  # type: ignore[arg-type]
        made = {c: self.reading_.series(c, at[c], as_float.get(c)) for c in holed}
        return rows.with_columns(rows[c].fill_null(cells.gather(place)) for c, cells in made.items())


def flags_for(holed: Sequence[str], names: Sequence[str]) -> list[str]:
    """Name the indicator column of each column that had gaps: no flag takes a name that is taken."""
    flags: list[str] = []
    for name in holed:
        flags.append(free_name(f"{name}_missing", [*names, *flags]))
    return flags


def tell_missing(stage: ColumnStage, name: str, nulls: int, rows: int) -> None:
    """Report the gaps of a column."""
    if nulls == rows:
        told = f"'{name}' has no value in {rows} rows."
        stage.report("missing.all", told, 1.0, severity="high", columns=(name,), n_rows=rows)
    elif nulls:
        share = nulls / rows
        stage.report(
            "missing.filled",
            f"'{name}' misses {nulls} of {rows} cells ({share:.1%}).",
            share,
            severity="medium" if share > 0.05 else "low",
            columns=(name,),
            n_rows=nulls,
            remedy={"impute.simple": {"indicator": True}},
        )
