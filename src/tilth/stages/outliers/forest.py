"""Score rows by how soon random cuts set them apart."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from tilth.core.stage import Selection
from tilth.stages.detecting import Action, Detector, Threshold
from tilth.stages.reading import Reading
from tilth.statistics.tails import as_numbers


class OutliersForest(Detector):
    """Flag rows that few random cuts are enough to set apart from all others (isolation forest).

    Each tree cuts a draw of the rows at random places of random columns until every row is alone; rows
    far from the others are alone after few cuts. Columns may have any units.

    Learns
        Nothing that stays.
    Training
        Rows beyond `threshold` are dropped, given a smaller weight, or only reported (action). A missing
        cell is read as its column's median, so that a gap sets no row apart. A category is read as the
        negative logarithm of its share: rare ones are far out. Reasons name the cells that are rarest in
        their columns.
    Weights
        Ignored: scores count rows.
    Cost
        `n_estimators` trees of `max_samples` rows each, then every row through every tree: linear in rows.
    Scaling
        Needs all rows in one place. Trees draw rows by the hash of their ids.

    Parameters
    ----------
    n_estimators : int, >= 1
        Trees; with more, scores depend less on chance.
    max_samples : int, >= 2
        Rows each tree is made of; all where there are fewer. Few rows keep groups of odd rows from
        hiding one another.
    threshold : float in (0, 0.5], or {'adjusted', 'boxplot', 'mad'}
        The share of the rows that is flagged, those with the highest scores; or the bound on the
        score: the boxplot's fence adjusted to skewness, the plain one, or 3.5 scaled median
        deviations above the median.
    action : {'drop', 'weight', 'report'}
        What is done with flagged rows; 'weight' multiplies their weight by how close they come to
        the bound, seen from the median score.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.
    random_state : int
        Seed of the cuts.
    n_jobs : int, optional
        Threads for the trees, -1 for one per core; the scores are the same.

    Findings
        outliers.rows : rows lie far from the others.
        outliers.class : most rows of a class lie far from the others.

    Source
        Liu, Ting and Zhou, "Isolation forest", ICDM 2008. The trees are those of scikit-learn's
        ``IsolationForest``.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [31, 35, 38, 40, 44, 200], "pay": [9, 5, 7, 6, 8, 7]})
    >>> OutliersForest(threshold=0.1).fit_resample(rows)[0]["age"].to_list()
    [31, 35, 38, 40, 44]
    """

    def __init__(
        self,
        *,
        n_estimators: Annotated[int, Ge(1)] = 200,
        max_samples: Annotated[int, Ge(2)] = 256,
        threshold: Threshold = "adjusted",
        action: Action = "drop",
        on: Selection = None,
        random_state: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.threshold = threshold
        self.action = action
        self.on = on
        self.random_state = random_state
        self.n_jobs = n_jobs

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"n_estimators": 50},
            {"n_estimators": 20, "max_samples": 32, "threshold": 0.05, "action": "weight", "random_state": 1},
            {"n_estimators": 20, "threshold": "mad", "action": "report", "n_jobs": 2},
        ]

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Return scikit-learn's score, between 0 and 1."""
        from sklearn.ensemble import IsolationForest

        numbers = as_numbers(matrix, reading.categories)
        gaps = np.isnan(numbers)
        if gaps.any():
            numbers = np.where(gaps, np.nanmedian(numbers, axis=0), numbers)
        forest = IsolationForest(
            n_estimators=self.n_estimators,
            max_samples=min(self.max_samples, len(matrix)),
            random_state=self.random_state,
            n_jobs=self.n_jobs,
        )
        return -forest.fit(numbers).score_samples(numbers)
