"""Leave out the columns that are named."""

from __future__ import annotations

from typing import Any

from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.stages.selecting import Choosing
from tilth.statistics import Statistics


class SelectDrop(Choosing):
    """Leave out the columns that are named, such as one that gives the target away.

    Learns
        Which columns `on` names; nothing of what they hold.
    New data
        The same columns are left out; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Ignored: nothing is learned from the rows.
    Cost
        None.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    on : selection, optional
        The columns that go; by default none. ``~(age | city)`` leaves nothing but these two.

    Attributes
    ----------
    kept_ : list of str
    dropped_ : dict of column to str

    Raises
        DataError : no feature would be left.

    Source
        Peer: pandas' ``DataFrame.drop(columns=...)``; the tests compare what is left.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [30, 40], "id_old": [7, 8], "id_new": [1, 2]})
    >>> SelectDrop(on="id_*").fit_transform(rows).columns
    ['age']
    """

    def __init__(self, *, on: Selection = None) -> None:
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"on": "~numeric"}]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns go."""
        named = dict.fromkeys([] if self.on is None else self.columns_, "was named")
        if named and not self.leaves(named):
            raise DataError(
                f"select.drop: `on` names all {len(named)} columns, so none would be left. Name fewer, or "
                "say which are to stay: ~(age | city)."
            )
        self.settle(named, {})
