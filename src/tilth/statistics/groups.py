"""Mean, median and most frequent value of columns within groups of rows, in a form that merges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Groups:
    """Hold the values of columns with the keys of their rows until a value per group is asked for.

    A group is a combination of keys; a missing key is a key like any other. Merging concatenates, so the
    answer is exact for every partition; the state is as large as the columns. Categories count as texts:
    their physical codes depend on the order they were met in.

    Each answer is a frame with one row per group, sorted by the keys: the keys, then the columns asked
    for, null where a group has no value.
    """

    frame: pl.DataFrame
    keys: tuple[str, ...]

    @classmethod
    def empty(cls, schema: dict[str, pl.DataType], keys: Sequence[str]) -> Groups:
        """Return the neutral element for columns of the given types, the keys among them."""
        return cls.of(pl.LazyFrame(schema=schema), keys, [c for c in schema if c not in keys])

    @classmethod
    def of(cls, frame: pl.LazyFrame, keys: Sequence[str], columns: Sequence[str]) -> Groups:
        """Take `columns` with their `keys`."""
        schema = frame.collect_schema()
        return cls(frame.select(comparable(c, schema[c]) for c in (*keys, *columns)).collect(), tuple(keys))

    def __add__(self, other: Groups) -> Groups:
        return Groups(pl.concat([self.frame, other.frame], how="vertical_relaxed"), self.keys)

    def means(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return the mean of numbers."""
        # Listed in the order of the rows: a query's own means add up what each thread has, as it has it.
        listed = self._of_each(pl.col(c).cast(pl.Float64).drop_nulls() for c in columns)
        return listed.with_columns(pl.col(columns).list.mean())

    def medians(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return the median: between two values in the middle, their mean for numbers, else the lower one."""
        schema = self.frame.schema
        numeric = {c for c in columns if schema[c].is_numeric()}
        lower = lambda c: pl.col(c).drop_nulls().sort().get((pl.col(c).count() - 1) // 2, null_on_oob=True)
        # Between two infinities there is no value.
        middle = lambda c: pl.col(c).cast(pl.Float64).median().fill_nan(None)
        return self._of_each(middle(c) if c in numeric else lower(c) for c in columns)

    def most_frequent(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return the most frequent value; ties: the smaller value."""
        found = self._of_each(())
        for c in columns:
            counted = self.frame.drop_nulls(c).group_by(*self.keys, c).agg(pl.len().alias("__count__"))
            ranked = counted.sort("__count__", c, descending=[True, False])
            first = ranked.group_by(self.keys, maintain_order=True).agg(pl.col(c).first())
            found = found.join(first, on=self.keys, how="left", nulls_equal=True, maintain_order="left")
        return found

    def _of_each(self, asked: Iterable[pl.Expr]) -> pl.DataFrame:
        return self.frame.group_by(self.keys, maintain_order=True).agg(*asked).sort(self.keys)


def comparable(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column so that its values compare in any frame: categories, and a column of none, as texts."""
    return pl.col(name).cast(pl.String) if dtype in (pl.Categorical, pl.Enum, pl.Null) else pl.col(name)
