"""Score rows by how far their nearest neighbors are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge

from tilth.core.stage import Selection
from tilth.neighbors import Space, nearest
from tilth.stages.detecting import Action, Detector, Threshold
from tilth.stages.reading import Reading


class OutliersNeighbors(Detector):
    """Flag rows whose nearest neighbors are far, or farther than those of their neighbors.

    Two rows are compared over the columns that both have: squared differences of numbers and dates, and 1
    for two different categories, scaled up to all columns.

    Learns
        Nothing that stays.
    Training
        Rows beyond `threshold` are dropped, given a smaller weight, or only reported (action). A row's
        distances are taken over the cells it has; one with nothing in common with any other gets the
        median score. The reasons name the columns in which a row differs most from its neighbors.
    Weights
        Ignored: a row is as near whatever it counts.
    Cost
        All pairs, in matrix products: O(rows^2 x columns) time, O(rows x n_neighbors) memory and blocks
        of a few MiB. Exact, not approximate.
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
    method : {'kth', 'mean', 'lof'}
        Distance to the last of the nearest `n_neighbors` rows; mean distance to them; or the local outlier
        factor: how much denser it is where the neighbors are than at the row. The first two find rows that
        lie apart from all; 'lof' those that lie apart from the group they are near to.
    n_neighbors : int, >= 1
        Rows compared with; all others where there are fewer. A group of as many odd rows hides itself; of
        few, one near copy does, and densities vary by chance.
    scale : {'standard', 'none'}
        Numbers are compared in standard deviations, or in the units they have.
    device : {'cpu', 'auto', 'cuda', 'mps'}
        Where neighbors are looked for; the scores are the same.
    threshold : float in (0, 0.5], or {'adjusted', 'boxplot', 'mad'}
        The share of the rows that is flagged, those with the highest scores; or the bound on the
        score: the boxplot's fence adjusted to skewness, the plain one, or 3.5 scaled median
        deviations above the median.
    action : {'drop', 'weight', 'report'}
        What is done with flagged rows; 'weight' multiplies their weight by how close they come to
        the bound, seen from the median score.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.

    Findings
        outliers.rows : rows lie far from the others.
        outliers.class : most rows of a class lie far from the others.

    Raises
        TilthError : the device is not present.

    Source
        Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD
        2000 ('kth'); Angiulli and Pizzuti, "Fast outlier detection in high dimensional spaces", PKDD 2002
        ('mean'); Breunig et al., "LOF: identifying density-based local outliers", SIGMOD 2000, whose advice
        on the number of neighbors (10 to 20) is followed. Peers: scikit-learn's ``LocalOutlierFactor`` and
        ``NearestNeighbors``, pyod's ``KNN``; equal to 1e-6 on complete numbers.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 1.1, 1.2, 1.3, 9.0], "b": ["x", "x", "x", "x", "y"]})
    >>> OutliersNeighbors(n_neighbors=2, threshold=0.2).fit_resample(rows)[0]["a"].to_list()
    [1.0, 1.1, 1.2, 1.3]
    """

    def __init__(
        self,
        *,
        method: Literal["kth", "mean", "lof"] = "kth",
        n_neighbors: Annotated[int, Ge(1)] = 20,
        scale: Literal["standard", "none"] = "standard",
        device: Literal["cpu", "auto", "cuda", "mps"] = "cpu",
        threshold: Threshold = "adjusted",
        action: Action = "drop",
        on: Selection = None,
    ) -> None:
        self.method = method
        self.n_neighbors = n_neighbors
        self.scale = scale
        self.device = device
        self.threshold = threshold
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"method": "mean", "n_neighbors": 5, "scale": "none", "threshold": 0.1, "action": "report"},
            {"method": "lof", "action": "weight"},
        ]

    @property
    def scaled(self) -> Literal["standard", "none"]:  # type: ignore[override]
        """Tell how numbers are read."""
        return self.scale

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Return the distance to the neighbors, or how it compares with theirs."""
        k = max(min(self.n_neighbors, len(matrix) - 1), 1)
        distances, indices = nearest(
            _space(reading), matrix, matrix, k, exclude_self=True, device=self.device
        )
        there = indices >= 0
        reached = there.sum(axis=1)
        known = reached > 0
        distances = np.where(there, distances, 0.0)
        last = distances[np.arange(len(matrix)), np.maximum(reached - 1, 0)]
        counts = np.maximum(reached, 1)
        if self.method == "kth":
            scores = last
        elif self.method == "mean":
            scores = distances.sum(axis=1) / counts
        else:
            # No neighbor is nearer than its own neighbors are to it: that evens densities out.
            reach = np.where(there, np.maximum(distances, last[indices]), 0.0)
            # As scikit-learn has it: copies lie in no infinite density.
            density = 1 / (reach.sum(axis=1) / counts + 1e-10)
            scores = np.where(there, density[indices], 0.0).sum(axis=1) / counts / density
        return np.where(known, scores, np.median(scores[known])) if known.any() else np.zeros(len(matrix))

    def contributions(self, reading: Reading, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the mean squared difference to the neighbors, per column."""
        k = max(min(self.n_neighbors, len(matrix) - 1), 1)
        # The rows are among those searched, so that one more is asked for, and themselves are left out.
        _, indices = nearest(_space(reading), matrix[rows], matrix, k + 1, device=self.device)
        there = (indices >= 0) & (indices != rows[:, None])
        there &= there.cumsum(axis=1) <= k
        total, count = np.zeros((len(rows), matrix.shape[1])), np.zeros((len(rows), matrix.shape[1]))
        for place in range(indices.shape[1]):
            apart = matrix[rows] - matrix[indices[:, place]]
            shared = ~np.isnan(apart) & there[:, place, None]
            differ = np.where(reading.categorical, apart != 0, np.square(apart))
            total += np.where(shared, differ, 0.0)
            count += shared
        return total / np.maximum(count, 1)


def _space(reading: Reading) -> Space:
    return Space(categorical=tuple(reading.categorical.tolist()))
