"""How often each value of each column occurs, in a form that merges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Counts:
    """Hold the value counts per column: frames of ``value`` and ``count``, most frequent first.

    Ties are broken by the smaller value, as scikit-learn's ``most_frequent`` does. Nulls are not
    values; they are counted in `nulls`.
    """

    tables: dict[str, pl.DataFrame]
    nulls: dict[str, int]

    @classmethod
    def empty(cls, schema: dict[str, pl.DataType]) -> Counts:
        """Return the neutral element for columns of the given types."""
        tables = {c: pl.DataFrame(schema={"value": t, "count": pl.UInt64}) for c, t in schema.items()}
        return cls(tables, dict.fromkeys(schema, 0))

    @classmethod
    def of(cls, frame: pl.LazyFrame, columns: Sequence[str]) -> Counts:
        """Count the values of `columns`, one aggregation each."""
        counted = [
            frame.select(pl.col(c).alias("value"))
            .group_by("value")
            .agg(pl.len().cast(pl.UInt64).alias("count"))
            for c in columns
        ]
        tables, nulls = {}, {}
        for name, table in zip(columns, pl.collect_all(counted), strict=True):
            missing = table.filter(pl.col("value").is_null())["count"].sum()
            tables[name] = _ordered(table.drop_nulls("value"))
            nulls[name] = int(missing)
        return cls(tables, nulls)

    def __add__(self, other: Counts) -> Counts:
        tables = {
            name: _ordered(
                pl.concat([table, other.tables[name]], how="vertical_relaxed")
                .group_by("value")
                .agg(pl.col("count").sum())
            )
            for name, table in self.tables.items()
        }
        return Counts(tables, {c: n + other.nulls[c] for c, n in self.nulls.items()})

    def values(self, column: str) -> list:
        """Return the values of a column, most frequent first."""
        return self.tables[column]["value"].to_list()

    def total(self, column: str) -> int:
        """Return how many values of a column are not null."""
        return int(self.tables[column]["count"].sum())


def _ordered(table: pl.DataFrame) -> pl.DataFrame:
    # Categories sort by their text: their physical codes depend on the order they were met in.
    text = pl.col("value").cast(pl.String) if table["value"].dtype == pl.Categorical else pl.col("value")
    return table.sort([pl.col("count"), text], descending=[True, False])
