"""Put the directions that tell of the target in the place of columns: LDA and PLS."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Le

from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.stages.answers import Answers
from tilth.stages.classes import Classes
from tilth.stages.reducing import Reducer
from tilth.statistics import Statistics
from tilth.statistics.supervised import Directions, discriminants, partial_least_squares
from tilth.table import Roles, Table

SIZE = 2
"""Components of PLS unless told otherwise, as in scikit-learn."""


class ReduceSupervised(Reducer):
    """Replace numbers and vectors by the few directions that tell most of the target.

    Learns
        Means and products of the columns, and with the target, over the rows that have a label. 'lda': the
        directions along which the classes lie farthest apart, in units of their spread within classes. 'pls':
        directions that covary most with the target, one after another, of columns in units of their standard
        deviation.
    New data
        The columns give way to ``direction1``, ``direction2`` ..., Float64, in the place of the first.
        `inverse_transform` gives back what these tell of the columns.
    Training
        Same as new data. The directions have seen the labels of these rows: with many columns and few rows,
        scores on them say little. The bench fits the stage within each training part.
    Weights
        Ignored.
    Cost
        Products of all pairs of columns, one pass; then decompositions of a matrix as large as the columns
        are many, squared. Acting: one product per row.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    method : {'auto', 'lda', 'pls'}
        'auto': 'lda' for classes, 'pls' for numbers. 'pls' takes classes too, as one 0/1 target for each.
    size : int, at least 1, optional
        Components at most. By default, and at most, one less than there are classes for 'lda'; 2 for 'pls'.
    shrinkage : float in [0, 1], or 'auto'
        For 'lda': how far the covariance within classes is drawn towards a multiple of the identity; 'auto'
        by the oracle approximating formula. At 0, directions in which no class varies are left out.
    on : selection, optional
        The columns; by default all numbers and vectors.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_wide,)
    weights_ : ndarray of shape (n_wide, n_components)
        Rows are projected as ((x - mean_) / scale_) @ weights_.
    loadings_ : ndarray of shape (n_components, n_wide)
    shares_ : ndarray of shape (n_components,)
        What each component tells of the target: the share of its variance between the classes ('lda'), or of
        the target's variance ('pls').
    shrinkage_ : float

    Findings
        reduce.supervised : what the components tell of the target; score: the share of the first ('lda'), or
            of all ('pls').
        reduce.fewer : there are fewer components than were asked for; score: how many there are.

    Raises
        DataError : a cell is missing or infinite; no column varies with the target; 'lda' for numbers.

    Source
        Fisher, "The use of multiple measurements", Ann. Eugenics 7 (1936); Dayal and MacGregor, J.
        Chemometrics 11 (1997); Chen et al., IEEE Trans. Signal Process. 58 (2010) for 'auto'. Peers:
        scikit-learn's ``LinearDiscriminantAnalysis(solver="eigen")`` at shrinkage 0 and
        ``PLSRegression``, to 1e-6.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> random = np.random.default_rng(0)
    >>> kind = np.repeat(["a", "b", "c"], 50)
    >>> rows = pl.DataFrame({f"x{i}": random.normal(size=150) + i * (kind == "b") for i in range(4)})
    >>> ReduceSupervised().fit_transform(rows, kind).columns
    ['direction1', 'direction2']
    """

    prefix: ClassVar = "direction"
    needs_target: ClassVar = True
    finds: ClassVar = {
        "reduce.supervised": "what the components tell of the target",
        "reduce.fewer": "there are fewer components than were asked for",
    }

    def __init__(
        self,
        *,
        method: Literal["auto", "lda", "pls"] = "auto",
        size: Annotated[int, Ge(1)] | None = None,
        shrinkage: Annotated[float, Ge(0), Le(1)] | Literal["auto"] = "auto",
        on: Selection = None,
    ) -> None:
        self.method = method
        self.size = size
        self.shrinkage = shrinkage
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [{}, {"method": "pls", "size": 3}, {"method": "lda", "shrinkage": 0.0, "size": 4}]

    def learn_matrix(self, statistics: Statistics) -> int:
        """Learn the directions."""
        target = statistics.target or ""
        labeled = [shard.filter(pl.col(target).is_not_null()) for shard in statistics.shards]
        labels = pl.concat([shard.select(target).collect() for shard in labeled], how="vertical_relaxed")
        if not labels.height:
            raise DataError(f"{self.key}: no row has a label. Label some rows, or reduce by reduce.pca.")
        levels = self._levels(labels)

        def read(rows: pl.DataFrame) -> np.ndarray:
            return np.hstack([self.dense_.matrix(rows), _targets(rows[target], levels)])

        with np.errstate(over="ignore", invalid="ignore"):
            gram = Statistics(labeled, statistics.id_column).gram([*self.columns_, target], read)
        if not np.isfinite(gram.scatter).all():
            raise DataError(
                f"{self.key}: numbers are so large that their squares overflow. Put outliers.clip or "
                "scale.log before it, or choose other columns with `on`."
            )
        found = self._directions(gram, levels)
        # One layout in memory: products are then the same to the last bit once loaded from a bundle.
        self.mean_, self.scale_, self.weights_ = found.mean, found.scale, np.ascontiguousarray(found.weights)
        self.loadings_, self.shares_, self.shrinkage_ = found.loadings, found.shares, found.shrinkage
        size = self.weights_.shape[1]
        if not size:
            raise DataError(
                f"{self.key}: no column varies together with the target, over {gram.rows} labeled rows. "
                "Reduce by reduce.pca, or choose other columns with `on`."
            )
        self._tell(size, levels is not None and self.method != "pls")
        return size

    def _levels(self, labels: pl.DataFrame) -> pl.Series | None:
        """Return the classes of the target as texts; None for numbers."""
        name = labels.columns[0]
        answers = Answers.of(Table.of(labels, roles=Roles(target=name)), self.key)
        if not answers.names and self.method != "lda":
            return None
        return Classes.of(labels[name], self.key).levels.cast(pl.String)

    def _directions(self, gram: Any, levels: pl.Series | None) -> Directions:
        if levels is not None and self.method != "pls":
            return discriminants(gram, len(levels), self.size or len(levels) - 1, self.shrinkage)
        targets = 1 if levels is None else len(levels)
        return partial_least_squares(gram, targets, self.size or SIZE)

    def _tell(self, size: int, lda: bool) -> None:
        if self.size is not None and size < self.size:
            most = (
                "classes less one, and directions that differ"
                if lda
                else "directions that covary with the target"
            )
            self.report(
                "reduce.fewer",
                f"{self.size} components were asked for, and there are {size}: {most}.",
                float(size),
            )
        if lda:
            told = ", ".join(f"{share:.1%}" for share in self.shares_[:5])
            message = f"Of the variance of the components, {told} lies between the classes."
            score = float(self.shares_[0])
        else:
            score = float(self.shares_.sum())
            message = f"{size} components tell {score:.1%} of the target's variance in the rows learned from."
        self.report("reduce.supervised", message, score, columns=tuple(self.columns_))

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the numbers along the directions."""
        return np.asarray(((matrix - self.mean_) / self.scale_) @ self.weights_)

    def unproject(self, codes: np.ndarray) -> np.ndarray:
        """Return the columns as the numbers tell them, by least squares."""
        return np.asarray((codes @ self.loadings_) * self.scale_ + self.mean_)


def _targets(target: pl.Series, levels: pl.Series | None) -> np.ndarray:
    """Return the target as numbers: itself, or 0/1 columns."""
    if levels is None:
        return target.cast(pl.Float64).to_numpy().reshape(-1, 1)
    text = target.cast(pl.String)
    return np.column_stack([(text == level).to_numpy() for level in levels]).astype(np.float64)
