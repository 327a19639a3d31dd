"""Put random projections in the place of columns."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from tilth.core.stage import Selection
from tilth.stages.reducing import Reducer
from tilth.statistics import Statistics
from tilth.statistics.blocks import blocks_of
from tilth.statistics.random_directions import normal_directions, sparse_directions


class ReduceRandom(Reducer):
    """Replace numbers and vectors by sums of them with random weights, which nearly keep distances.

    Learns
        Nothing of the values: the weights are drawn by seed and the names of the columns, so that neither
        their order nor the rows change them. With keep='auto' the number of rows decides how many sums are
        enough.
    New data
        The columns give way to ``random1``, ``random2`` ..., Float64, in the place of the first of them.
        `inverse_transform` gives back the shortest rows that have the same sums (pseudo-inverse).
    Training
        Same as new data.
    Weights
        Ignored: nothing is learned of rows.
    Cost
        O(columns x sums) to draw; acting: one product per row.
    Scaling
        Exact for any partition: only the rows are counted.

    Parameters
    ----------
    keep : int, at least 1, or 'auto'
        How many sums; 'auto': as many as keep the squared distance of any two rows to a factor of 1 +- `eps`
        with high probability, whatever the rows are like (Johnson and Lindenstrauss), and no more than there
        are columns.
    eps : float in (0, 1)
        For 'auto': how much squared distances may change.
    method : {'sparse', 'gaussian'}
        Weights of -1, 0 and 1, or normal ones; both scaled to keep lengths on average.
    density : float in (0, 1], or 'auto'
        For 'sparse': the share of weights that are not 0; 'auto': 1 / sqrt(columns) (Li, Hastie and Church).
        1/3 is Achlioptas's.
    random_state : int, at least 0
        Seed of the weights.
    on : selection, optional
        The columns; by default all numbers and vectors. Put scale.standard before it where units differ.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_wide)
    density_ : float
    n_components_ : int

    Findings
        reduce.nothing : the bound of 'auto' asks for as many sums as there are columns, or more; score: how
            many.

    Raises
        DataError : a cell is missing or infinite.

    Source
        Li, Hastie and Church, "Very sparse random projections", KDD 2006; Achlioptas, JCSS 66 (2003);
        Dasgupta and Gupta (2003) for the bound. Peers: scikit-learn's ``SparseRandomProjection`` and
        ``GaussianRandomProjection``: the same bound and density, other draws; the tests compare how weights
        and distances are distributed.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame(np.eye(64), schema=[f"x{i}" for i in range(64)])
    >>> ReduceRandom(keep=8).fit_transform(rows).shape
    (64, 8)
    """

    prefix: ClassVar = "random"
    finds: ClassVar = {"reduce.nothing": "the bound asks for as many sums as there are columns, or more"}

    def __init__(
        self,
        *,
        keep: Annotated[int, Ge(1)] | Literal["auto"] = "auto",
        eps: Annotated[float, Gt(0), Lt(1)] = 0.1,
        method: Literal["sparse", "gaussian"] = "sparse",
        density: Annotated[float, Gt(0), Le(1)] | Literal["auto"] = "auto",
        random_state: Annotated[int, Ge(0)] = 0,
        on: Selection = None,
    ) -> None:
        self.keep = keep
        self.eps = eps
        self.method = method
        self.density = density
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"keep": 3, "density": 1 / 3, "random_state": 5}, {"keep": 2, "method": "gaussian"}]

    def learn_matrix(self, statistics: Statistics) -> int:
        """Draw the weights."""
        names, width = self.dense_.names, self.dense_.width
        # The weights do not depend on the rows, but rows that cannot be summed are better told now.
        for shard in statistics.shards:
            rows = shard.select(self.columns_).collect()
            for block in blocks_of(rows.height, width):
                self.read(rows[block])
        size = self.keep if isinstance(self.keep, int) else self._enough(statistics.rows)
        self.n_components_ = size
        if self.method == "gaussian":
            self.density_ = 1.0
            self.components_ = normal_directions(names, size, self.random_state)
        else:
            self.density_ = float(1.0 / np.sqrt(width)) if self.density == "auto" else float(self.density)
            self.components_ = sparse_directions(names, size, self.density_, self.random_state)
        return size

    def _enough(self, rows: int) -> int:
        from sklearn.random_projection import johnson_lindenstrauss_min_dim

        bound, width = max(int(johnson_lindenstrauss_min_dim(rows, eps=self.eps)), 1), self.dense_.width
        if bound >= width:
            self.report(
                "reduce.nothing",
                f"To keep distances to {self.eps:.0%}, {rows} rows need {bound} sums, and there are {width} "
                "columns: nothing is reduced. Keep a count, or take reduce.pca.",
                float(bound),
                severity="medium",
                remedy={"reduce.pca": {}},
            )
        return min(bound, width)

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the sums of rows."""
        return np.asarray(matrix @ self.components_.T)

    def unproject(self, codes: np.ndarray) -> np.ndarray:
        """Return the shortest rows with these sums."""
        return np.asarray(codes @ np.linalg.pinv(self.components_).T)
