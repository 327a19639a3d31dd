"""Rows a few at a time: what is read is bounded, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Window:
    """Hold where some successive rows of a part lie.

    Parameters
    ----------
    shard : LazyFrame
    start, rows : int
    """

    shard: pl.LazyFrame
    start: int
    rows: int

    def read(self, columns: Sequence[str]) -> pl.DataFrame:
        """Read these rows, and no others where the source can skip rows (Parquet and memory can)."""
        return self.shard.select(columns).slice(self.start, self.rows).collect(engine="streaming")


def windows(shards: Sequence[pl.LazyFrame], rows: int) -> list[Window]:
    """Cut parts into windows of at most `rows` rows, in their order.

    Examples
    --------
    >>> [window.rows for window in windows([pl.LazyFrame({"a": range(5)}), pl.LazyFrame({"a": [7]})], 2)]
    [2, 2, 1, 1]
    """
    cut = []
    for shard in shards:
        count = int(shard.select(pl.len()).collect(engine="streaming").item())
        cut += [Window(shard, start, min(rows, count - start)) for start in range(0, count, rows)]
    return cut
