"""What checks look at: one column, its values and how often each occurs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import polars as pl

from tilth.core.finding import Finding
from tilth.statistics import Counts
from tilth.table import ROW, Kind, Table, kind_of

SENTENCE = 3
"""Words, in the mean, beyond which texts are sentences and no names."""

COUNTED = ("numeric", "categorical", "boolean", "datetime", "text")
"""The kinds whose values can be counted; images, vectors and other objects are left to the stages."""


@dataclass(frozen=True)
class Column:
    """Hold one column of the table that is looked at.

    Parameters
    ----------
    name : str
    kind : {'numeric', 'categorical', 'boolean', 'datetime', 'text', 'image', 'vector', 'other'}
    series : Series of length n_rows
        In the order of the source.
    ids : ndarray of shape (n_rows,), uint64
    """

    name: str
    kind: Kind
    series: pl.Series
    ids: np.ndarray

    @classmethod
    def of(cls, table: Table, name: str) -> Self:
        """Take one column of a table, with its row ids."""
        taken = table.frame.select(name, ROW).collect()
        kind = table.kinds.get(name) or kind_of(table.schema[name])
        return cls(name, kind, taken[name], taken[ROW].to_numpy())

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self.series)

    @property
    def filled(self) -> int:
        """Count the rows that have a value."""
        return self.rows - self.series.null_count()

    @cached_property
    def counts(self) -> pl.DataFrame:
        """Return ``value, count``, most frequent first; nulls are not values."""
        return Counts.of(self.series.alias("value").to_frame().lazy(), ["value"]).tables["value"]

    @property
    def distinct(self) -> int:
        """Count the different values."""
        return self.counts.height

    @cached_property
    def texts(self) -> pl.DataFrame:
        """Return ``value, count`` with the values as text, and ``plain``: stripped, in lower case."""
        text = pl.col("value").cast(pl.String)
        return self.counts.with_columns(text, text.str.strip_chars().str.to_lowercase().alias("plain"))

    @cached_property
    def numbers(self) -> np.ndarray:
        """Return the distinct finite numbers, ascending, as float64 of shape (n, 2): value and count."""
        counted = self.counts.select(pl.col("value").cast(pl.Float64), pl.col("count").cast(pl.Float64))
        counted = counted.filter(pl.col("value").is_finite()).sort("value")
        return counted.to_numpy()

    def where(self, mask: pl.Series) -> tuple[int, ...]:
        """Return the ids of the rows where `mask` holds, at most as many as a finding shows."""
        places = np.flatnonzero(mask.fill_null(False).to_numpy())[: Finding.ROWS_SHOWN]
        return tuple(int(i) for i in self.ids[places])


def shown(value: object, limit: int = 40) -> str:
    """Write a value of the data as part of a sentence: quoted, its control characters visible, cut."""
    text = (
        repr(value) if isinstance(value, str) else f"{value:.6g}" if isinstance(value, float) else str(value)
    )
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def sentences(column: Column) -> bool:
    """Tell whether texts are sentences: ids and categories have few words."""
    return words(column) > SENTENCE


def words(column: Column) -> float:
    """Return the mean number of words of the different values."""
    some = column.texts["value"].head(1000)
    return float(some.str.strip_chars().str.count_matches(r"\s+").mean() or 0.0) + 1  # type: ignore[arg-type]
