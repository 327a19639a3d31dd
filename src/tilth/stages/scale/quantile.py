"""Spread the values of a column evenly, or as a normal distribution, by their quantiles."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError, StageError
from tilth.stages.elementwise import mapped
from tilth.statistics import Statistics
from tilth.statistics.ranking import Ranking

TIED = 0.05
"""Share of the rows that one value must take to be told."""


class ScaleQuantile(ColumnStage):
    """Map each numeric column to ranks between 0 and 1, or to normal scores, by interpolated quantiles.

    Learns
        `n_quantiles` values of each column at equal steps of rank, from the lowest to the highest, in its
        units; missing cells are not counted.
    New data
        Values are interpolated between the quantiles; those below all become 0, those above all 1 (for
        'normal' -5.2 and 5.2). Missing cells stay. A value that several quantiles share gets the middle of
        their ranks; the lowest and highest get 0 and 1. Whole numbers become floats.
    Training
        Same as new data.
    Weights
        Ignored: ranks describe the values, not how much a row counts.
    Cost
        One sort per column; acting is O(cells), a table lookup for nearly all of them.
    Scaling
        Exact for any partition; with `subsample` the quantiles are those of a sample, which is the same for
        any partition.

    Parameters
    ----------
    output : {'uniform', 'normal'}
        Ranks in [0, 1], or their normal scores, held to those of the ranks 1e-7 and 1 - 1e-7.
    n_quantiles : int, >= 2
        Values learned per column; of fewer rows, as many as there are.
    subsample : int, >= 2, optional
        Rows the quantiles are learned from; by default all.
    random_state : int
        Draws the sample, by row id.
    on : selection, optional
        The columns; by default all numeric ones.

    Findings
        scale.constant : a column has one value only; it becomes 0 (for 'normal' -5.2).
        scale.ties : one value takes so many rows of a column that the result is not spread out there.
        scale.few_rows : there are fewer rows than quantiles.

    Raises
        DataError : a learned column holds infinity, or values too far apart for their difference.
        StageError : more quantiles than rows of the sample.

    Source
        Peer: scikit-learn's ``QuantileTransformer(subsample=None)``; the tests compare to 1e-9. One
        difference: for 'normal' it takes values within 1e-7, in the column's units, of the lowest or highest
        for those, which would flatten columns of small numbers; here only they themselves are.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"a": [1.0, 10.0, 100.0, 1000.0, 10000.0]})
    >>> ScaleQuantile(n_quantiles=5).fit_transform(rows)["a"].to_list()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """

    handles: ClassVar = ("numeric",)
    finds: ClassVar = {
        "scale.constant": "a column has one value only",
        "scale.ties": "one value takes many rows of a column",
        "scale.few_rows": "there are fewer rows than quantiles",
    }
    # What lies beyond the quantiles comes back as the lowest or highest.
    restores = "nearly"

    def __init__(
        self,
        *,
        output: Literal["uniform", "normal"] = "uniform",
        n_quantiles: Annotated[int, Ge(2)] = 1000,
        subsample: Annotated[int, Ge(2)] | None = None,
        random_state: Annotated[int, Ge(0)] = 0,
        on: Selection = None,
    ) -> None:
        self.output = output
        self.n_quantiles = n_quantiles
        self.subsample = subsample
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"output": "normal", "n_quantiles": 20}, {"subsample": 50, "n_quantiles": 10}]

    def learn(self, statistics: Statistics) -> None:
        """Learn the quantiles."""
        if self.subsample is not None and self.subsample < self.n_quantiles:
            raise StageError(
                f"scale.quantile: {self.n_quantiles} quantiles cannot be learned from subsample="
                f"{self.subsample} rows. Raise `subsample` or lower `n_quantiles`."
            )
        rows, columns = statistics.rows, self.columns_
        if self.subsample is not None and self.subsample < rows:
            drawn = statistics.sample(columns, self.subsample, self.random_state)
            statistics = Statistics([drawn.lazy()])
        count = max(1, min(self.n_quantiles, rows))
        if count < self.n_quantiles and columns:
            self.report(
                "scale.few_rows",
                f"{count} quantiles are learned, not {self.n_quantiles}: there are no more rows.",
                float(count),
                severity="info",
                n_rows=rows,
                remedy={"scale.quantile": {"n_quantiles": count}},
            )
        found = statistics.quantiles(columns, np.linspace(0.0, 1.0, count).tolist())
        # Interpolated, each can come out a last digit too large.
        found = np.maximum.accumulate(found, axis=0)
        self.quantiles_ = {
            name: column
            for name, column in zip(columns, found.T.copy(), strict=True)
            if not np.isnan(column[0])
        }
        for name, column in self.quantiles_.items():
            self._look_at(name, column)

    def _look_at(self, name: str, quantiles: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(quantiles[-1] - quantiles[0]):
                raise DataError(
                    f"scale.quantile: column '{name}' holds infinity, or values too far apart for their "
                    "difference. Put outliers.clip before, or make these cells missing."
                )
        values, counts = np.unique(quantiles, return_counts=True)
        if len(values) == 1:
            self.report(
                "scale.constant", f"'{name}' has one value only.", 0.0, severity="low", columns=(name,)
            )
            return
        most = int(counts.argmax())
        share = (counts[most] - 1) / (len(quantiles) - 1)
        if share >= TIED:
            self.report(
                "scale.ties",
                f"'{name}': about {share:.0%} of the values are {values[most]:.6g}, and stay one value.",
                float(share),
                severity="info",
                columns=(name,),
            )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Interpolate between the quantiles."""
        made = {c: Ranking(q) for c, q in self.quantiles_.items()}
        return mapped(
            frame,
            {c: r.shares if self.output == "uniform" else r.scores for c, r in made.items()},
            self.columns_,
        )

    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Interpolate back."""
        made = {c: Ranking(q) for c, q in self.quantiles_.items()}
        return mapped(
            frame,
            {c: r.of_shares if self.output == "uniform" else r.of_scores for c, r in made.items()},
            self.columns_,
        )
