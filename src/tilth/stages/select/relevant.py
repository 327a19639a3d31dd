"""Keep the columns that tell something of the target."""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.errors import StageError, TilthWarning
from tilth.stages.evidence import Evidence, Measure
from tilth.stages.selecting import Choosing
from tilth.statistics import Statistics
from tilth.statistics.shadows import adjusted, shadow_p_values


class SelectRelevant(Choosing):
    """Leave out columns that tell no more of the target than shuffled copies of the columns do.

    Learns
        In each round every column gets a shadow, a copy whose cells are shuffled among the rows, and the
        importance of columns and shadows is measured together. A column's p-value is the share of all shadows
        of all rounds that are at least as important as the column is on average, each less what its own
        shadows have; it is adjusted for the number of columns. 'confirmed' is what then has at most `alpha`,
        'tentative' what had before, and all else is 'rejected'. All that is relevant is looked for: each of
        columns that say the same is confirmed. Where not one is, and nothing else is left, all columns stay.
    New data
        The same columns are left out; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Used by the models and by mutual information. Rows of weight 0 or without a label are left out.
    Cost
        `rounds` forests of `trees` trees on twice the columns; mutual information is a count per column and
        round; a probe is fitted twice a round, and asked once more for every column and shadow.
    Scaling
        Learned from a sample of `max_rows` rows, the same for any partition and order of the rows.

    Shadows keep rows together that belong to one group, and no group is in both halves that a probe is fitted
    on and asked for.

    Parameters
    ----------
    by : {'forest', 'information', 'boosting', 'linear'}
        Importance: the impurity that splits on the column take away in extremely randomized trees, which sees
        what columns tell together; mutual information with the target, of each column alone, numbers in up
        to 10 bins; or the loss added when the column is shuffled among rows that the probe did not see.
    rounds : int, at least 2
        At least 1 / `alpha`: with fewer no column could be confirmed by itself.
    alpha : float, in (0, 1)
        Chance of an error, as `control` has it.
    control : {'share', 'any'}
        Of the columns confirmed, no more than a share `alpha` tell nothing, on average (Benjamini and
        Hochberg); or the chance that any of them tells nothing is at most `alpha` (Holm).
    tentative : {'drop', 'keep'}
        What becomes of tentative columns. Kept, a share `alpha` of the columns that tell nothing come along.
    trees : int, at least 10
        Trees per round, for 'forest'.
    max_rows : int, at least 10
        Rows of the sample.
    random_state : int
        Seed of the sample, the shadows and the models.
    on : selection, optional
        The columns that are looked at, and may go.

    Attributes
    ----------
    kept_ : list of str
    dropped_ : dict of column to str
    verdicts_ : dict of column to {'confirmed', 'tentative', 'rejected'}
    p_values_ : dict of column to float
        Adjusted as `control` has it.
    scores_ : dict of column to float
        Importance above that of the column's shadows, in standard deviations of all shadows.

    Findings
        select.irrelevant : a column tells no more than a shuffled one, and is left out; score: its p-value.
        select.tentative : a column tells more than a shuffled one, or does so by chance; score: its p-value.
        select.none : no column is confirmed, and all of them stay; score: the smallest p-value.

    Raises
        DataError : the target has one class, or is neither classes nor finite numbers.
        StageError : `rounds` are too few for `alpha`.

    Source
        Kursa and Rudnicki, "Feature selection with the Boruta package", J. Stat. Softw. 36 (2010), for
        shadows. It counts the rounds in which a column beats the best shadow; as all rounds share their
        rows, a column that is related to the target by chance wins them all. Here the shadows are the
        distribution under no relation that a permutation test needs, and p-values are theirs.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> random = np.random.default_rng(0)
    >>> rows = pl.DataFrame({f"x{i}": random.normal(size=300) for i in range(5)})
    >>> y = (rows["x1"] + 0.5 * random.normal(size=300)) > 0
    >>> SelectRelevant(by="information").fit(rows, y).kept_
    ['x1']
    """

    handles: ClassVar = ("numeric", "boolean", "datetime", "categorical")
    finds: ClassVar = {
        "select.irrelevant": "a column tells no more than a shuffled one, and is left out",
        "select.tentative": "a column tells more than a shuffled one, or does so by chance",
        "select.none": "no column is confirmed, and all of them stay",
    }
    scaling: ClassVar = "sample"
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        by: Measure = "forest",
        rounds: Annotated[int, Ge(2)] = 20,
        alpha: Annotated[float, Gt(0), Lt(1)] = 0.05,
        control: Literal["share", "any"] = "share",
        tentative: Literal["drop", "keep"] = "drop",
        trees: Annotated[int, Ge(10)] = 100,
        max_rows: Annotated[int, Ge(10)] = 3000,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.by = by
        self.rounds = rounds
        self.alpha = alpha
        self.control = control
        self.tentative = tentative
        self.trees = trees
        self.max_rows = max_rows
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        quick = {"rounds": 4, "alpha": 0.3, "max_rows": 60}
        return [
            {"by": "information"},
            {"by": "information", "control": "any", "tentative": "keep", "alpha": 0.3, "rounds": 8},
            {"trees": 10, **quick},
            {"by": "linear", "on": "near | skewed | city | yes", **quick},
            {"by": "boosting", "on": "near | city", **quick},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns tell of the target."""
        if not self.columns_:
            self.verdicts_, self.p_values_ = {}, {}
            self.settle({}, {})
            return
        if self.rounds * self.alpha < 1:
            raise StageError(
                f"select.relevant: {self.rounds} rounds cannot confirm a column at alpha={self.alpha:g}. Use "
                f"rounds={math.ceil(1 / self.alpha)} or more, or a larger alpha."
            )
        evidence = Evidence.gather(statistics, self.columns_, self.key, self.max_rows, self.random_state)
        real, shadow = self._rounds(evidence)
        raw = shadow_p_values(real, shadow)
        p = adjusted(raw, self.control)
        verdicts = np.where(
            p <= self.alpha, "confirmed", np.where(raw <= self.alpha, "tentative", "rejected")
        )
        spread = float(shadow.std()) or 1.0
        excess = (real.mean(axis=0) - shadow.mean(axis=0)) / spread
        found = dict(
            zip(
                evidence.columns,
                zip(verdicts.tolist(), p.tolist(), excess.tolist(), strict=True),
                strict=True,
            )
        )
        self.verdicts_ = {c: found[c][0] for c in self.columns_}
        self.p_values_ = {c: found[c][1] for c in self.columns_}
        scores = {c: found[c][2] for c in self.columns_}
        stays = {"confirmed"} | ({"tentative"} if self.tentative == "keep" else set())
        dropped = {
            c: f"is {word}: p = {self.p_values_[c]:.3g}"
            for c, word in self.verdicts_.items()
            if word not in stays
        }
        looked_at = self.columns_
        if dropped and not self.leaves(dropped):
            self._tell_none(looked_at, evidence.height)
            dropped = {}
        self.settle(dropped, scores)
        for name in looked_at:
            self._tell(name, name in dropped)

    def _rounds(self, evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
        """Return the importances of columns and of shadows, a row for each round."""
        found = []
        with warnings.catch_warnings():
            # What a probe lacks rows for shows in its losses.
            warnings.simplefilter("ignore", TilthWarning)
            for turn in range(1, self.rounds + 1):
                order = evidence.shuffled(self.random_state, turn)
                seed = self.random_state * 7919 + turn
                found.append(evidence.importance(self.by, seed, self.trees, order))
        both = np.array(found)
        return both[:, : len(evidence.columns)], both[:, len(evidence.columns) :]

    def _tell_none(self, columns: list[str], rows: int) -> None:
        least = min(self.p_values_[c] for c in columns)
        self.report(
            "select.none",
            f"None of {len(columns)} columns tells more of the target than a shuffled one does, in {rows} "
            f"rows (smallest p = {least:.3g}). All stay: without them nothing would be left.",
            least,
            severity="high",
            columns=tuple(columns),
        )

    def _tell(self, name: str, gone: bool) -> None:
        word, p = self.verdicts_[name], self.p_values_[name]
        if word == "tentative":
            end = "It is left out." if gone else "It stays."
            told = f"'{name}' may tell something of the target, or does so by chance (p = {p:.3g}). {end}"
            self.report("select.tentative", told, p, columns=(name,))
        elif gone:
            told = f"'{name}' tells no more of the target than a shuffled column (p = {p:.3g}): left out."
            self.report("select.irrelevant", told, p, columns=(name,))
