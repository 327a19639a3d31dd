"""Score rows by what several detectors agree on."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from annotated_types import MinLen
from scipy.stats import rankdata

from tilth.core import parameters
from tilth.core.stage import Selection
from tilth.errors import StageError
from tilth.stages import stage
from tilth.stages.detecting import Action, Detector, Threshold
from tilth.stages.reading import Reading

# Neighbors of the default member: a tenth of the rows, within these bounds.
_FEWEST, _MOST = 20, 200


class OutliersEnsemble(Detector):
    """Flag rows that several detectors together put far from the others (average of ranks).

    Detectors differ in what they miss, and their scores have no common unit; ranks have.

    Learns
        Nothing that stays.
    Training
        Rows beyond `threshold` are dropped, given a smaller weight, or only reported (action). Rows are
        put in the order of their mean rank over the members. The score at each place of that order is the
        mean of the members' scores at that place, each from its median in interquartile ranges: so a
        named threshold sees how far out the last rows are. Missing cells and categories are read as each
        member reads them. Reasons name the columns that rank highest in the members' reasons.
    Weights
        Ignored: scores count rows.
    Cost
        That of the members. The default ones compare all pairs of rows: for millions of rows, name
        others, such as [forest, ecod].
    Scaling
        Needs all rows in one place.

    Parameters
    ----------
    members : list of names or of {name: parameters}, optional
        Stages of this family that score rows; a full key names a stage of another. By default two that
        miss different rows: ``forest``, and ``neighbors`` by the distance to the k-th, k a tenth of
        the rows (20 to 200).
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
        Seed of the members that draw, where they are given none.

    Findings
        outliers.rows : rows lie far from the others.
        outliers.class : most rows of a class lie far from the others.

    Raises
        StageError : a member scores no rows, or is given what only the ensemble decides.
        UnknownName : a member, or a parameter of one, has an unknown name.

    Source
        Aggarwal and Sathe, "Theoretical foundations and algorithms for outlier ensembles", SIGKDD
        Explorations 2015. The default members had the highest mean ROC AUC and average precision over
        the labeled sets of ``benchmarks/outliers.py``.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [30, 30, 40, 40, 50, 50, 200], "pay": [5, 7, 7, 5, 7, 5, 9]})
    >>> ensemble = OutliersEnsemble(members=["ecod", {"neighbors": {"n_neighbors": 2}}], threshold=0.1)
    >>> ensemble.fit_resample(rows)[0]["age"].to_list()
    [30, 30, 40, 40, 50, 50]
    """

    def __init__(
        self,
        *,
        members: Annotated[list[str | dict[str, dict[str, Any]]], MinLen(1)] | None = None,
        threshold: Threshold = "adjusted",
        action: Action = "drop",
        on: Selection = None,
        random_state: int = 0,
    ) -> None:
        self.members = members
        self.threshold = threshold
        self.action = action
        self.on = on
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"members": ["ecod", "pca"], "threshold": 0.05, "action": "weight"},
            {
                "members": [{"outliers.forest": {"n_estimators": 20}}, {"neighbors": {"method": "lof"}}],
                "threshold": "mad",
                "action": "report",
                "random_state": 1,
            },
        ]

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Order rows by mean rank, and give each place the members' mean score there."""
        # Kept, because some explain their scores by what they learned for them.
        self._asked = self._made(len(matrix))
        ranks, heights = np.zeros(len(matrix)), np.zeros(len(matrix))
        for member in self._asked:
            scores = member.measure(reading, _as_read(matrix, reading, member))
            ranks += rankdata(scores)
            heights += _standardized(np.sort(scores)) / len(self._asked)
        # Rows of equal rank share the mean of their places.
        return np.interp(rankdata(ranks), np.arange(1, len(ranks) + 1), heights)

    def contributions(self, reading: Reading, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the mean, over the members, of each column's rank in the reasons of a row."""
        ranks = [
            rankdata(member.contributions(reading, _as_read(matrix, reading, member), rows), axis=1)
            for member in self._asked
        ]
        return np.mean(ranks, axis=0)

    def _made(self, n_rows: int) -> list[Detector]:
        nearest = int(np.clip(n_rows // 10, _FEWEST, _MOST))
        default: list[Any] = ["forest", {"neighbors": {"method": "kth", "n_neighbors": nearest}}]
        told: list[dict[str, Any]] = [{m: {}} if isinstance(m, str) else m for m in self.members or default]
        return [self._member(name, given) for one in told for name, given in one.items()]

    def _member(self, name: str, given: dict[str, Any]) -> Detector:
        key = name if "." in name else f"outliers.{name}"
        member = stage(key, **given)
        if not isinstance(member, Detector):
            raise StageError(f"{self.key}: '{key}' scores no rows; members do, such as outliers.forest.")
        decided = sorted({"on", "threshold", "action"} & set(given))
        if decided:
            raise StageError(
                f"{self.key}: {decided} of member '{key}' would have no effect: they are the ensemble's own. "
                "Give them to the ensemble."
            )
        if "random_state" in member.get_params() and "random_state" not in given:
            member.set_params(random_state=self.random_state)
        parameters.check(member)
        return member


def _as_read(matrix: np.ndarray, reading: Reading, member: Detector) -> np.ndarray:
    """Return the rows as a member wants numbers: standardized, or as they are."""
    return matrix if member.scaled == "standard" else matrix * reading.scale + reading.center


def _standardized(scores: np.ndarray) -> np.ndarray:
    """Measure from the median, in interquartile ranges (in standard deviations where these are 0)."""
    first, middle, third = np.quantile(scores, [0.25, 0.5, 0.75])
    spread = third - first if third > first else scores.std()
    return (scores - middle) / spread if spread > 0 else np.zeros_like(scores)
