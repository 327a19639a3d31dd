"""Put principal components in the place of columns."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Lt

from tilth.core.parameters import spoken
from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.stages.reducing import Device, Reducer, device_for
from tilth.statistics import Statistics
from tilth.statistics.components import Components, by_sketch, how_many
from tilth.statistics.gram import Gram, projected
from tilth.statistics.passes import Passes

WIDE = 2000
"""Columns up to which the covariance is made whole: it takes 32 MB, and its decomposition seconds."""
SPARE = 10
"""Vectors of the sketch beyond the components that are wanted."""
FIRST, PASSES = 64, 7
"""Components looked for at first where a share is asked for, and products with all rows in each look."""
FEW = 5
"""With so many times more columns than components, or than rows, a sketch is cheaper."""
CLEAR = 1e-3
"""Share of the first variance from which on single precision tells another to five digits."""
ONE_SIDED = 0.9
"""Share of the variance from which on a single column of many is said to decide the components."""


class ReducePca(Reducer):
    """Replace numbers and vectors by the few directions along which rows differ most.

    Learns
        The mean of each column, and the eigenvectors of the covariance with the largest variance; signs are
        fixed so that the largest loading of each is positive.
    New data
        The columns give way to ``pca1``, ``pca2`` ..., Float64, in the place of the first of them.
        `inverse_transform` gives back what these tell of the columns.
    Training
        Same as new data.
    Weights
        Ignored: components describe the values, not how much a row counts.
    Cost
        One pass for rows x columns^2 products, and columns^3 for the eigenvectors; 'randomized': eight passes
        or more for rows x columns x components products. Columns that are all Float32 are multiplied as such,
        and added up as double; only where a component has less than 1/1000 of the variance of the first, a
        second pass multiplies them as double. 'parallel' draws up to 100 covariances. Acting: one product
        per row. Beyond the rows, memory for the covariance and a few blocks of rows.
    Scaling
        Exact for any partition: what parts contribute is added up.

    Parameters
    ----------
    keep : int at least 1, float in (0, 1), 'all', 'mle' or 'parallel'
        Which components are kept: a count; as many as explain more than that share of the variance; as many
        as are likeliest (Minka), which needs at least as many rows as columns; or those whose variance is
        above what 95% of samples of independent normal columns have (Horn's parallel analysis; columns with
        far values reach more by chance alone). At least one, and none whose standard deviation is below about
        1e-8 of the first: that is rounding.
    scale : bool
        Divide columns by their standard deviation first: components of the correlation matrix. Otherwise
        columns of small numbers hardly count.
    whiten : bool
        Give each component a variance of 1.
    solver : {'auto', 'gram', 'randomized'}
        'gram' makes the covariance of all columns; 'randomized' finds the first components without it, close
        to the exact ones where variances fall. 'auto': 'gram', but beyond 2,000 columns 'randomized' for a
        count of at most a fifth of them, and where there are five times as many columns as rows.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where products are made; 'auto' looks for a GPU if there is enough to do for it.
    random_state : int, at least 0
        Seed of 'parallel' and of 'randomized'.
    on : selection, optional
        The columns; by default all numbers and vectors.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_wide)
        One direction a row, of length 1; a vector column counts as many columns (`n_wide` in all).
    explained_variance_, explained_variance_ratio_, singular_values_ : ndarray of shape (n_components,)
        The variance of each, its share of all, and the root of its squares summed over the rows.
    noise_variance_ : float
        The mean variance of the components that were left out.
    mean_, scale_ : ndarray of shape (n_wide,)
        What is subtracted from columns, and by what they are divided (1 without `scale`).
    n_components_, n_samples_ : int

    Findings
        reduce.explained : how much of the variance the components explain, and what the first are made of;
            score: the share.
        reduce.chance : no component has more variance than chance gives it; score: how many are kept.
        reduce.fewer : there are fewer components than were asked for; score: how many there are.
        reduce.nothing : as many components are kept as there are columns; score: how many.
        reduce.one_column : one column holds nearly all of the variance, by its unit; score: its share.

    Raises
        DataError : a cell is missing or infinite; numbers whose squares overflow; keep='mle' for fewer rows
            than columns, or with solver='randomized'.
        TilthError : the device is not present.

    Source
        Jolliffe, "Principal Component Analysis" (2002); Horn, Psychometrika 30 (1965); Minka, NIPS 2000;
        Halko, Martinsson and Tropp, SIAM Review 53 (2011). Peer: scikit-learn's ``PCA``, with its signs and
        its number by 'mle'; the tests compare to 1e-8, and Float32 to 1e-5.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> random = np.random.default_rng(0)
    >>> two = random.normal(size=(500, 2)) @ [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]
    >>> stage = ReducePca(keep="parallel").fit(pl.DataFrame(two + 0.1 * random.normal(size=(500, 6))))
    >>> stage.names_, round(float(stage.explained_variance_ratio_.sum()), 2)
    (['pca1', 'pca2'], 0.99)
    """

    prefix: ClassVar = "pca"
    finds: ClassVar = {
        "reduce.explained": "how much of the variance the components explain",
        "reduce.chance": "no component has more variance than chance gives it",
        "reduce.fewer": "there are fewer components than were asked for",
        "reduce.nothing": "as many components are kept as there are columns",
        "reduce.one_column": "one column holds nearly all of the variance",
    }

    def __init__(
        self,
        *,
        keep: Annotated[int, Ge(1)]
        | Annotated[float, Gt(0), Lt(1)]
        | Literal["all", "mle", "parallel"] = 0.95,
        scale: bool = False,
        whiten: bool = False,
        solver: Literal["auto", "gram", "randomized"] = "auto",
        device: Device = "auto",
        random_state: Annotated[int, Ge(0)] = 0,
        on: Selection = None,
    ) -> None:
        self.keep = keep
        self.scale = scale
        self.whiten = whiten
        self.solver = solver
        self.device = device
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"keep": "all", "scale": True, "whiten": True},
            {"keep": 2, "solver": "randomized", "scale": True},
            {"keep": 0.9, "scale": True, "device": "cpu", "solver": "randomized"},
            {"keep": "mle", "scale": True, "solver": "gram"},
            {"keep": "parallel", "scale": True, "random_state": 3},
        ]

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell whether all that varies was kept."""
        return "exactly" if getattr(self, "whole_", False) else "nearly"

    def read(self, rows: pl.DataFrame) -> np.ndarray:
        """Return rows as a matrix, in single precision where they are, and were, and that is enough."""
        types = rows.schema  # made anew each time it is asked for
        single = self.single_ and all(_is_single(types[c]) for c in self.columns_)
        return self.dense_.matrix(rows, np.float32 if single else np.float64)

    def learn_matrix(self, statistics: Statistics) -> int:
        """Learn the components."""
        self.n_samples_, width = statistics.rows, self.dense_.width
        sketched = self._sketches()
        self.single_ = not sketched and all(map(_is_single, self.dense_.types.values()))
        found, by_column = self._sketched(statistics) if sketched else self._exact(statistics)
        real = max(found.rank(width * float(np.finfo(float).eps)), 1)
        wanted = how_many(self.keep, found, by_column, self.n_samples_, self.random_state)
        size = max(min(wanted, real), 1)
        self.whole_ = size == real and len(found.variances) == width
        kept = found.first(size)
        # One layout in memory: products are then the same to the last bit once loaded from a bundle.
        self.components_ = np.ascontiguousarray(kept.vectors)
        self.explained_variance_, self.explained_variance_ratio_ = kept.variances, kept.shares
        self.singular_values_ = np.sqrt(kept.variances * (self.n_samples_ - 1))
        others = min(self.n_samples_, width) - size
        left = max(found.total - float(kept.variances.sum()), 0.0)
        self.noise_variance_ = left / others if others > 0 else 0.0
        self.n_components_ = size
        self._tell(by_column, wanted)
        return size

    def _sketches(self) -> bool:
        """Tell whether components are looked for without the covariance."""
        rows, width = self.n_samples_, self.dense_.width
        if self.solver == "randomized" and self.keep == "mle":
            raise DataError(
                f"{self.key}: keep='mle' needs the variance of every component, and solver='randomized' "
                "finds the first ones. Take solver='gram', or keep a count or share."
            )
        if self.solver != "auto" or width <= WIDE or self.keep == "mle":
            return self.solver == "randomized"
        return (isinstance(self.keep, int) and FEW * self.keep <= width) or FEW * rows <= width

    def _exact(self, statistics: Statistics) -> tuple[Components, np.ndarray]:
        """Return all components, and the variance of each column."""
        device = device_for(self.device, self.n_samples_ * self.dense_.width**2)
        with np.errstate(over="ignore", invalid="ignore"):
            gram: Gram = statistics.gram(self.columns_, self.read, device=device)
            self._learn_units(gram)
            covariance = gram.covariance() / np.outer(self.scale_, self.scale_)
        if not self.single_:
            self._need_finite(covariance)
        elif not np.isfinite(covariance).all():
            return self._exact_in_double(statistics)
        found, by_column = Components.of(covariance), np.diag(covariance).clip(min=0.0)
        if self.single_:
            every = self.keep in ("all", "mle")
            wanted = how_many(self.keep, found, by_column, self.n_samples_, self.random_state)
            last = min(len(by_column) if every else max(wanted, 1), len(by_column)) - 1
            if found.variances[last] <= CLEAR * found.variances[0]:
                return self._exact_in_double(statistics)
        return found, by_column

    def _exact_in_double(self, statistics: Statistics) -> tuple[Components, np.ndarray]:
        self.single_ = False
        return self._exact(statistics)

    def _sketched(self, statistics: Statistics) -> tuple[Components, np.ndarray]:
        """Return the first components, more than are kept, and the variance of each column."""
        rows, width = self.n_samples_, self.dense_.width
        passes = Passes(statistics.shards, self.columns_, self.read, width)
        with np.errstate(over="ignore", invalid="ignore"):
            moments = passes.moments()
            self._learn_units(Gram(rows, moments.mean, np.diag(moments.deviations)))
            by_column = moments.deviations / max(rows - 1, 1) / self.scale_**2
        self._need_finite(by_column)
        most = max(min(rows - 1, width), 1)
        size = self.keep if isinstance(self.keep, int) else most if self.keep == "all" else FIRST
        while True:
            found = by_sketch(
                lambda vectors: passes.scatter(self.mean_, self.scale_, vectors),
                width,
                min(size + SPARE, most),
                total=float(by_column.sum()),
                rows=rows,
                passes=PASSES,
                seed=self.random_state,
            )
            enough = isinstance(self.keep, int) or size >= most
            if enough or how_many(self.keep, found, by_column, rows, self.random_state) <= size:
                return found, by_column
            size *= 2

    def _learn_units(self, gram: Gram) -> None:
        deviation = gram.std()
        self.mean_ = gram.mean
        self.scale_ = np.where(deviation > 0, deviation, 1.0) if self.scale else np.ones(gram.width)

    def _need_finite(self, variances: np.ndarray) -> None:
        if not np.isfinite(variances).all():
            raise DataError(
                f"{self.key}: numbers are so large that their squares overflow. Put outliers.clip or "
                "scale.log before it, or choose other columns with `on`."
            )

    def _tell(self, by_column: np.ndarray, wanted: int) -> None:
        size, share = self.n_components_, float(self.explained_variance_ratio_.sum())
        width, columns = len(by_column), tuple(self.columns_)
        several = "1 component explains" if size == 1 else f"{size} components explain"
        made = "; ".join(f"{name} ({self.loadings(i)})" for i, name in enumerate(self._first()))
        told = f"{several} {share:.1%} of the variance of {width} columns: {made}."
        self.report("reduce.explained", told, share, columns=columns)
        if isinstance(self.keep, int) and size < self.keep:
            told = f"{self.keep} components were asked for, and {size} have any variance."
            self.report("reduce.fewer", told, float(size), severity="low")
        if wanted == 0:
            told = "No component has more variance than chance gives it; the first one is kept."
            self.report("reduce.chance", told, float(size), severity="medium", columns=columns)
        elif 1 < width == size and self.keep != "all":
            told = f"As many components are kept as there are columns ({width}): nothing is reduced."
            self.report("reduce.nothing", told, float(size), severity="low", columns=columns)
        largest, total = int(by_column.argmax()), float(by_column.sum())
        name = self.dense_.names[largest]
        if not self.scale and width > 2 and by_column[largest] > ONE_SIDED * total > 0 and name in columns:
            held = float(by_column[largest] / total)
            self.report(
                "reduce.one_column",
                f"'{name}' holds {held:.1%} of the variance of {width} columns, by its unit: the components "
                "tell of little else.",
                held,
                severity="medium",
                columns=(name,),
                remedy={"reduce.pca": {**spoken(self), "scale": True}},
            )

    def _first(self) -> list[str]:
        return [f"{self.prefix}{i + 1} {r:.1%}" for i, r in enumerate(self.explained_variance_ratio_[:3])]

    def loadings(self, place: int, most: int = 3) -> str:
        """Return in words what a component is made of: its largest loadings, none below half of the first."""
        vector = self.components_[place]
        first = np.argsort(-np.abs(vector), kind="stable")[:most]
        told = [i for i in first if abs(vector[i]) >= abs(vector[first[0]]) / 2]
        return ", ".join(f"{vector[i]:+.2f} {self.dense_.names[i]}" for i in told)

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the components of rows."""
        weights = self.components_.T / self.scale_[:, None]
        if self.whiten:
            weights = weights / self._deviations
        device = device_for(self.device, matrix.size * weights.shape[1])
        return projected(matrix, self.mean_, weights, device=device)

    def unproject(self, codes: np.ndarray) -> np.ndarray:
        """Return the columns that components stand for."""
        if self.whiten:
            codes = codes * self._deviations
        return np.asarray((codes @ self.components_) * self.scale_ + self.mean_)

    @property
    def _deviations(self) -> np.ndarray:
        return np.sqrt(np.where(self.explained_variance_ > 0, self.explained_variance_, 1.0))


def _is_single(dtype: Any) -> bool:
    return isinstance(getattr(dtype, "inner", dtype), pl.Float32)
