"""Score rows by how far out in the tails of their columns they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilth.core.stage import Selection
from tilth.stages.detecting import Action, Detector, Threshold
from tilth.stages.reading import Reading
from tilth.statistics.tails import rarities


class OutliersEcod(Detector):
    """Flag rows that lie far out in the tails of many columns, or very far in few (ECOD).

    Needs no parameter, no distance and no scale: the score is a sum over the columns of the negative
    logarithm of the share of the rows that lie as far out on the same side.

    Learns
        Nothing that stays.
    Training
        Rows beyond `threshold` are dropped, given a smaller weight, or only reported (action).
        Missing cells add nothing to a score. Categories and booleans add the negative logarithm of
        their share. Dates count as numbers.
    Weights
        Ignored: scores count rows.
    Cost
        A sort per column, in threads: O(rows log rows) each.
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
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

    Source
        Li et al., "ECOD: unsupervised outlier detection using empirical cumulative distribution
        functions", TKDE 2022. Peer: ``pyod.models.ecod.ECOD``, equal to 1e-6 on complete numbers.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [30, 30, 40, 40, 50, 50, 200], "pay": [5, 7, 7, 5, 7, 5, 9]})
    >>> OutliersEcod(threshold=0.1).fit_resample(rows)[0]["age"].to_list()
    [30, 30, 40, 40, 50, 50]
    """

    scaled = "none"

    def __init__(
        self,
        *,
        threshold: Threshold = "adjusted",
        action: Action = "drop",
        on: Selection = None,
    ) -> None:
        self.threshold = threshold
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"threshold": 0.05, "action": "weight"}, {"threshold": "mad", "action": "report"}]

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Add up the rarities of the cells."""
        scores = np.zeros(len(matrix))
        for rarity in rarities(matrix, reading.categories):
            scores += rarity
        return scores
