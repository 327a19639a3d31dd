"""Fill missing cells from the rows most like theirs."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.stage import Selection
from tilth.neighbors import Space, nearest
from tilth.stages.imputing import Imputer
from tilth.stages.reading import Reading
from tilth.statistics import Statistics


class ImputeNeighbors(Imputer):
    """Fill each missing cell with the mean, or the vote, of the nearest rows that have it.

    Two rows are compared over the columns that both have: squared differences of numbers and dates, and 1
    for two different categories, scaled up to all columns; or by Gower's distance.

    Learns
        The rows themselves, at most `max_rows` of them, as one float64 matrix; and per column its mean or
        most frequent category, for cells that no row within reach has.
    New data
        Missing cells are filled from the rows learned from; rows and order unchanged. Infinities count as
        missing when rows are compared, and stay. A column without any value at fit stays as it is.
    Training
        Same as new data: a row is no donor to itself, as it lacks the cell.
    Weights
        Ignored: donors are those most alike, not those that count most.
    Cost
        Memory: the donors, and blocks of a few MiB. Time: rows with gaps x donors x columns, in matrix
        products. Exact, not approximate.
    Scaling
        Exact up to `max_rows` rows, a sample above; the same for any partition.

    Parameters
    ----------
    n_neighbors : int, >= 1
        Donors per cell; fewer where fewer rows within reach have it.
    weights : {'uniform', 'distance'}
        Donors count the same, or by 1 / distance (rows at distance 0 then count alone).
    metric : {'euclidean', 'gower'}
        How rows are compared. Gower's distance takes differences of numbers in shares of the column's
        range, so single large differences count less.
    scale : {'standard', 'none'}
        Numbers are compared in standard deviations, or in the units they have.
    max_rows : int, >= 1, optional
        Donors kept, a sample by `random_state`; null keeps all rows. The default keeps a fitted stage and
        the time per row small; more donors fill better, by less and less.
    random_state : int
        Seed of the sample.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the cells filled in are the same.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    on : selection, optional
        The columns, both those filled and those compared; by default all numeric, categorical, boolean
        and datetime ones.

    Findings
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all; it stays empty.

    Raises
        TilthError : the device is not present.

    Source
        Troyanskaya et al., "Missing value estimation methods for DNA microarrays" (2001). Peer:
        scikit-learn's ``KNNImputer``; with numbers only, ``scale='none'`` and ``max_rows=None`` (or
        ``scale='standard'`` on both sides) the tests compare to 1e-6, mostly closer. Votes that tie go to
        the category that is more frequent in the column.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"size": [1.0, 1.1, 5.0, 5.2], "fruit": ["plum", None, "melon", "melon"]})
    >>> ImputeNeighbors(n_neighbors=1).fit_transform(rows)["fruit"].to_list()
    ['plum', 'plum', 'melon', 'melon']
    """

    scaling: ClassVar = "sample"

    def __init__(
        self,
        *,
        n_neighbors: Annotated[int, Ge(1)] = 5,
        weights: Literal["uniform", "distance"] = "uniform",
        metric: Literal["euclidean", "gower"] = "euclidean",
        scale: Literal["standard", "none"] = "standard",
        max_rows: Annotated[int, Ge(1)] | None = 20_000,
        random_state: int = 0,
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        indicator: bool = False,
        on: Selection = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.metric = metric
        self.scale = scale
        self.max_rows = max_rows
        self.random_state = random_state
        self.device = device
        self.indicator = indicator
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"n_neighbors": 2, "weights": "distance", "scale": "none", "max_rows": None},
            {"metric": "gower", "max_rows": 30, "indicator": True},
        ]

    @property
    def scaled(self) -> Literal["standard", "none"]:  # type: ignore[override]
        """Tell how numbers are read."""
        return self.scale

    def learn_matrix(self, statistics: Statistics, reading: Reading) -> None:
        """Keep the rows to fill from."""
        rows = statistics.rows if self.max_rows is None else self.max_rows
        self.donors_ = reading.matrix(statistics.sample(self.columns_, rows, self.random_state))

    def complete(self, matrix: np.ndarray) -> np.ndarray:
        """Fill the gaps of each row from the donors nearest to it."""
        reading, donors = self.reading_, self.donors_
        # Rare categories read as one, which says how alike rows are, and not what to fill in.
        n_levels = reading.categories
        gives = ~np.isnan(donors) & ~(reading.categorical & (donors >= n_levels))
        space = Space(self.metric, tuple(reading.categorical.tolist()))
        # One list per row serves all its columns, if it is long enough to hold donors for each.
        share = min(1 - gives[:, ~reading.empty].mean(), 0.8)
        k = min(ceil(1.5 * self.n_neighbors / (1 - share)) + 4, len(donors))
        distances, indices = nearest(space, matrix, donors, k, device=self.device)
        out = matrix.copy()
        for column in np.flatnonzero(~reading.empty).tolist():
            rows = np.flatnonzero(np.isnan(matrix[:, column]))
            at, far = indices[rows], distances[rows]
            takes = gives[at, column] & (at >= 0)
            out[rows, column] = self._drawn(column, at, far, takes)
            # A list that ends within reach holds every donor there is.
            short = rows[(takes.sum(axis=1) < self.n_neighbors) & (at[:, -1] >= 0)]
            if short.size and k < len(donors):
                pool = np.flatnonzero(gives[:, column])
                far, at = nearest(space, matrix[short], donors[pool], self.n_neighbors, device=self.device)
                takes, at = at >= 0, np.append(pool, 0)[at]
                out[short, column] = self._drawn(column, at, far, takes)
        return out

    def _drawn(self, column: int, at: np.ndarray, far: np.ndarray, takes: np.ndarray) -> np.ndarray:
        """Take the mean or the vote of the first donors of each row, nearest first.

        Parameters
        ----------
        at, far, takes : ndarray of shape (n_rows, n_listed)
            Donors, how far they are, and which of them can give this column's cell.
        """
        takes = takes & (takes.cumsum(axis=1) <= self.n_neighbors)
        counts = takes.astype(np.float64)
        if self.weights == "distance":
            same = takes & (far == 0)
            near = np.divide(1.0, far, out=np.zeros_like(far), where=takes & (far > 0))
            counts = np.where(same.any(axis=1, keepdims=True), same, near)
        values = np.where(takes, self.donors_[at, column], 0.0)
        if self.reading_.categorical[column]:
            votes = np.zeros((len(at), len(self.reading_.levels[self.reading_.columns[column]])))
            for place in range(at.shape[1]):
                # Codes rise as categories get rarer, so the first of equal votes is the most frequent one.
                votes[np.arange(len(at)), values[:, place].astype(np.int64)] += counts[:, place]
            drawn = votes.argmax(axis=1).astype(np.float64)
        else:
            total = counts.sum(axis=1)
            drawn = (counts * values).sum(axis=1) / np.where(total > 0, total, 1.0)
        return np.where(takes.any(axis=1), drawn, self.reading_.mode[column])
