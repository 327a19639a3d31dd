"""Remove columns that miss too many of their cells."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import polars as pl
from annotated_types import Ge, Le

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.statistics import Statistics


class ImputeDrop(ColumnStage):
    """Remove columns of which more than a share of the cells is missing.

    Learns
        The columns to remove, from the share of their cells that is missing.
    New data
        The same columns are removed, whatever new rows miss; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Ignored: a cell is missing or not, however much its row counts.
    Cost
        One count of nulls per column; acting costs nothing.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    share : float, in [0, 1]
        A column goes if the share of its cells that is missing is larger; 0 keeps complete columns only.
    on : selection, optional
        The columns that may go; by default all. ``~(age | city)`` protects two of them.

    Findings
        missing.dropped : a column is removed; score: the share of its cells that is missing.

    Raises
        DataError : no feature would be left.

    Source
        The usual first step by hand. Peer: pandas' ``DataFrame.dropna(axis=1, thresh=...)``; the tests
        compare the columns that are left.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [30, 40, None], "pet": [None, None, "cat"]})
    >>> ImputeDrop().fit_transform(rows).columns
    ['age']
    """

    finds: ClassVar = {"missing.dropped": "a column misses too many cells and is removed"}

    def __init__(self, *, share: Annotated[float, Ge(0), Le(1)] = 0.5, on: Selection = None) -> None:
        self.share = share
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"share": 0.1}, {"share": 0.0, "on": "~numeric"}]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns go."""
        rows = statistics.rows
        nulls = statistics.nulls(self.columns_)
        # Columns that stay are not worked on: they go out as they came in.
        self.columns_ = [c for c in self.columns_ if nulls[c] / rows > self.share]
        if self.columns_ and len(self.columns_) == len(self.schema_):
            raise DataError(
                f"impute.drop: each column misses more than {self.share:.0%} of its cells, so none would be "
                "left. Raise `share`, protect columns with `on`, or look at how the data was read."
            )
        for name in self.columns_:
            self.report(
                "missing.dropped",
                f"'{name}' misses {nulls[name]} of {rows} cells ({nulls[name] / rows:.1%}) and is removed.",
                nulls[name] / rows,
                severity="medium",
                columns=(name,),
                n_rows=nulls[name],
                remedy={"impute.drop": {"share": self.share, "on": [name]}},
            )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Remove the columns."""
        return frame.drop(self.columns_)
