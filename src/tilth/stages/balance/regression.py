"""Weight, repeat or make rows whose numeric target has a rare value."""

from __future__ import annotations

import warnings
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le, Len

from tilth.core.plan import RowPlan
from tilth.core.stage import RowStage
from tilth.errors import DataError, StageError, TilthWarning
from tilth.stages.rare_rows import Made, Source, made_rows
from tilth.stages.reading import in_hashed_order, read_columns
from tilth.statistics import hash_rows
from tilth.statistics.density import (
    dense_weights,
    in_parts,
    kernel_density,
    rule_of_thumb,
    smoothed_counts,
)
from tilth.statistics.relevance import Bumps, Points, box_points, relevance, wanted_rows
from tilth.statistics.synthesis import apportion
from tilth.table import Table, kind_of

PARTS = 20
"""Parts of equal width of the target's range, by which the finding tells how empty it is."""
FEW = 0.25
"""A share of the rows in half of the range that is worth a finding; evenly spread it were a half."""
READ = ("numeric", "categorical", "boolean", "datetime")


class BalanceRegression(RowStage):
    """Make rare values of a numeric target count for more: by weights, by repeating rows, or by making some.

    Learns
        Nothing.
    Training
        'weight' weights rows by 1 less the density of values around theirs; 'lds' by the inverse of how many
        rows lie around. Factors are scaled so that the sum of weights stays what it was. 'over' and
        'smogn' part the values, from low to high, into bumps of rare values and of others: a value is rare
        whose relevance is at least `threshold`. 'over' repeats rows of rare bumps. 'smogn' makes rows: a
        neighbor of a row is drawn, of its own bump and group; if it is nearer than half the row's median
        distance to the bump's rows, the new row lies between the two, if not, around the first. Other bumps
        lose rows. Counts are exact, every row of a bump is the base of equally many to within one, and rows
        without a value are left alone.
        A row between two has numbers and dates between theirs (a missing cell where the first has one, its
        cell where only the other has), every other cell from one of them, drawn, and the mean of their values
        by their distances. A row around another has its cells, and its numbers and value moved by normal
        noise, none beyond the range of the bump. Whole numbers are rounded, 0/1 columns are not moved.
    Weights
        'weight' and 'lds': densities count weights, and the factors multiply them; rows of weight 0 keep it.
        'over' and 'smogn' count rows; a copy has its row's weight, a made row the mix of its parents'.
    Cost
        'weight': O(rows log rows), 'lds' and 'over' as well; 'smogn': distances between the rows of each
        rare bump.
    Scaling
        Needs all values in one place; 'smogn' all rows. Draws depend on seed and row id only.

    Parameters
    ----------
    method : {'weight', 'lds', 'over', 'smogn'}
        What is done, as above. 'weight' and 'lds' need a model that takes weights.
    alpha : float, at least 0
        'weight': how much of the density is taken off, from 0 (nothing changes) to 1 (the densest values get
        next to no weight; beyond 1 more do). 'lds': the power of the inverse count; 0.5 is gentler than 1.
    bandwidth : float, above 0, optional
        'weight' and 'lds': standard deviation of the Gaussian kernel, in the target's unit. By default
        Silverman's rule of thumb, or two bins.
    bins : int, at least 2
        'lds': parts of equal width of the range in which rows are counted.
    relevance : 'box', or list of [value, relevance]
        'over' and 'smogn': how relevant values are. 'box': 1 at the ends of the box plot's whiskers and
        beyond, 0 at the median. Or points, of rising values and relevance from 0 to 1. Between points it
        follows a monotone cubic, beyond the last it stays.
    extremes : {'both', 'low', 'high'}
        'box': the side on which values may be relevant.
    whisker : float, at least 0
        'box': the longest a whisker may be, in heights of the box.
    threshold : float, in (0, 1]
        The relevance from which on a value is rare.
    amount : {'balance', 'extreme'}
        Rows that each rare bump is to have: as many as a bump has on average; or in proportion to 1 / the
        rows it has, so that the rarest values become the most frequent.
    drop : bool
        'smogn': let other bumps lose rows, down to the number they are to have by `amount`.
    k : int, at least 1
        'smogn': nearest rows among which the neighbor is drawn. Numbers are standardized, and two different
        categories are as far apart as numbers one standard deviation from one another.
    noise : float, at least 0
        'smogn': standard deviation of the noise, in standard deviations of the bump's rows; less where the
        bump's rows lie nearer together than that.
    random_state : int
        Seed of the draws.

    Findings
        balance.values : half of the target's range holds few of the rows; score: their share.
        balance.rare : how many values are rare, and where; score: their share.
        balance.few : a bump has fewer than `k` + 1 rows; its rows have fewer neighbors.
        balance.alone : rows have no neighbor of their own group and bump; rows are made around them.

    Raises
        DataError : the target holds classes, infinite numbers or one value only.
        StageError : the points of relevance do not rise, or lie outside 0 to 1.

    Source
        Steininger et al., "Density-based weighting for imbalanced regression", Machine Learning 110 (2021);
        Yang et al., "Delving into deep imbalanced regression", ICML 2021; Branco, Torgo and Ribeiro, "SMOGN",
        PMLR 74 (2017), with relevance by Ribeiro (2011). There noise draws categories anew and may leave
        the bump's range. Peers: SciPy's ``gaussian_kde``, ``gaussian_filter1d`` and ``CubicHermiteSpline``;
        the tests compare densities to a thousandth of their peak, the others to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> X, y = pl.DataFrame({"a": range(9)}), [1.0, 1.1, 1.2, 1.2, 1.3, 1.3, 1.4, 1.5, 9.0]
    >>> BalanceRegression(alpha=0.5).fit(X, y).plan_.weight.round(1).tolist()
    [0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 1.8]
    >>> BalanceRegression(method="over").fit_resample(X, y)[1].tolist()[-4:]
    [1.5, 9.0, 1.5, 9.0]
    """

    finds: ClassVar = {
        "balance.values": "half of the target's range holds few of the rows",
        "balance.rare": "how many values are rare, and where",
        "balance.few": "a bump of rare values has too few rows for as many neighbors",
        "balance.alone": "rows have no neighbor of their own group and bump",
    }
    needs_target: ClassVar = True

    def __init__(
        self,
        *,
        method: Literal["weight", "lds", "over", "smogn"] = "weight",
        alpha: Annotated[float, Ge(0)] = 1.0,
        bandwidth: Annotated[float, Gt(0)] | None = None,
        bins: Annotated[int, Ge(2)] = 100,
        relevance: Literal["box"] | Annotated[list[Annotated[list[float], Len(2, 2)]], Len(2)] = "box",
        extremes: Literal["both", "low", "high"] = "both",
        whisker: Annotated[float, Ge(0)] = 1.5,
        threshold: Annotated[float, Gt(0), Le(1)] = 0.5,
        amount: Literal["balance", "extreme"] = "balance",
        drop: bool = True,
        k: Annotated[int, Ge(1)] = 5,
        noise: Annotated[float, Ge(0)] = 0.02,
        random_state: int = 0,
    ) -> None:
        self.method = method
        self.alpha = alpha
        self.bandwidth = bandwidth
        self.bins = bins
        self.relevance = relevance
        self.extremes = extremes
        self.whisker = whisker
        self.threshold = threshold
        self.amount = amount
        self.drop = drop
        self.k = k
        self.noise = noise
        self.random_state = random_state

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        points = [[-2.0, 1.0], [0.0, 0.0], [4.0, 1.0]]
        return [
            {},
            {"method": "lds", "alpha": 0.5, "bins": 20, "bandwidth": 1.5},
            {"method": "over", "extremes": "high", "whisker": 1.0},
            {"method": "smogn", "relevance": points, "k": 3, "noise": 0.1, "random_state": 3},
            {"method": "smogn", "relevance": points, "amount": "extreme", "drop": False, "threshold": 0.8},
        ]

    def plan(self, table: Table) -> RowPlan:
        """Say how often each row is taken, with which weight, and which rows are made."""
        values, known = _numbers(table, self.key)
        given = table.role("weight")
        weight = np.ones(table.height) if given is None else given.to_numpy().astype(np.float64)
        # In an order of their own: sums and ties do not depend on how the rows came.
        order = in_hashed_order(table.ids)
        rows = order[known[order]]
        if not len(rows):
            return RowPlan.keep_all(table.height)
        own = values[rows]
        if (own == own[0]).all():
            raise DataError(
                f"{self.key}: the target has one value, {own[0]:g} (n_samples={len(own)}): none is rarer "
                "than another. Choose another target, or rows of other values too."
            )
        self._tell_values(own)
        if self.method in ("weight", "lds"):
            return self._weighted(table.height, rows[weight[rows] > 0], values, weight)
        return self._resampled(table, rows, values)

    def _weighted(self, count: int, rows: np.ndarray, values: np.ndarray, weight: np.ndarray) -> RowPlan:
        factor, score = np.ones(count), np.full(count, np.nan)
        reason = np.full(count, "", dtype=object)
        if len(rows):
            # No sum of squares overflows where the largest value is 1.
            top = np.abs(values[rows]).max() or 1.0
            own, mass = values[rows] / top, weight[rows] / weight[rows].max()
            width = None if self.bandwidth is None else self.bandwidth / top
            if np.ptp(own) == 0:
                score[rows] = 1.0
            elif self.method == "weight":
                density = kernel_density(own, mass, width or rule_of_thumb(own, mass))
                score[rows] = density / density.max()
                factor[rows] = dense_weights(density, self.alpha)
            else:
                bin_width = np.ptp(own) / self.bins
                around = smoothed_counts(own, mass, self.bins, (width or 2 * bin_width) / bin_width)
                score[rows] = around / around.max()
                factor[rows] = score[rows] ** -self.alpha
            factor[rows] *= mass.sum() / (mass * factor[rows]).sum()
            reason[rows] = [
                f"value {value:.6g}: density {share:.1%} of the highest"
                for value, share in zip(values[rows], score[rows], strict=True)
            ]
        return RowPlan(np.ones(count, np.int64), weight=factor, reason=reason, score=score)

    def _resampled(self, table: Table, rows: np.ndarray, values: np.ndarray) -> RowPlan:
        own, ids = values[rows], table.ids[rows]
        scores = relevance(own, self._points(own))
        bumps = Bumps.part(own, scores, self.threshold)
        counts = bumps.counts
        wanted = wanted_rows(counts, bumps.rare, self.amount, self.drop and self.method == "smogn")
        self._tell_rare(bumps)
        times, score = np.ones(table.height, np.int64), np.full(table.height, np.nan)
        score[rows] = scores
        reason = np.full(table.height, "", dtype=object)
        source: Source | None = None
        made: list[Made] = []
        for bump in range(len(counts)) if bumps.rare.any() else ():
            members = np.flatnonzero(bumps.of == bump)
            more = int(wanted[bump] - counts[bump])
            draws = hash_rows(self.random_state, ids[members])
            low, high = bumps.low[bump], bumps.high[bump]
            why = f"{counts[bump]} of {len(own)} values lie from {low:.6g} to {high:.6g}"
            if more < 0:
                gone = rows[members[np.argsort(draws, kind="stable")[wanted[bump] :]]]
                times[gone], reason[gone] = 0, why
            elif more > 0 and self.method == "over":
                often = apportion(more, np.ones(len(members)), draws)
                times[rows[members]] += often
                reason[rows[members[often > 0]]] = why
            elif more > 0:
                source = source or _source(table, rows, own)
                if len(members) <= self.k:
                    self._tell_few(why, len(members))
                made.append(made_rows(source, members, more, self.k, self.noise, self.random_state))
        if not made:
            return RowPlan(times, reason=reason, score=score)
        self._tell_alone(made)
        base, other, gap = (
            np.concatenate([getattr(m, name) for m in made]) for name in ("base", "other", "gap")
        )
        return RowPlan(
            times,
            reason=reason,
            score=score,
            fresh=pl.concat([m.rows for m in made]),
            parents=rows[np.column_stack([base, other])],
            shares=np.column_stack([1 - gap, gap]),
        )

    def _points(self, values: np.ndarray) -> Points:
        if isinstance(self.relevance, str):
            return box_points(values, self.whisker, self.extremes)
        points = [(float(value), float(height)) for value, height in self.relevance]
        rising = np.diff([value for value, _ in points]) > 0
        if not rising.all() or not all(0 <= height <= 1 for _, height in points):
            raise StageError(
                f"{self.key}: relevance is {self.relevance}. Give points [value, relevance], values "
                "rising and relevance from 0 to 1, such as [[15, 1], [30, 0], [55, 1]]."
            )
        return points

    def _tell_values(self, values: np.ndarray) -> None:
        top = np.abs(values).max()
        counts = np.sort(np.bincount(in_parts(values / top, PARTS), minlength=PARTS))
        few = int(counts[: PARTS // 2].sum())
        share = few / len(values)
        if share < FEW:
            self.report(
                "balance.values",
                f"The emptier half of the target's range, {values.min():.6g} to {values.max():.6g}, holds "
                f"{few} of {len(values)} rows ({share:.1%}).",
                share,
                severity="medium" if share < FEW / 5 else "low",
                n_rows=few,
                remedy={"balance.regression": {"method": "weight"}},
            )

    def _tell_rare(self, bumps: Bumps) -> None:
        counts, n = bumps.counts, len(bumps.of)
        rare = int(counts[bumps.rare].sum())
        where = [
            f"{count} from {low:.6g} to {high:.6g}"
            for count, low, high, is_rare in zip(counts, bumps.low, bumps.high, bumps.rare, strict=True)
            if is_rare
        ]
        self.report(
            "balance.rare",
            f"{rare} of {n} values ({rare / n:.1%}) are rare: {'; '.join(where)}."
            if where
            else f"No value of {n} is rare, by a relevance of {self.threshold:g} or more: nothing is done.",
            rare / n,
            n_rows=rare,
        )

    def _tell_few(self, why: str, count: int) -> None:
        message = f"{why}: each has {count - 1} neighbors there, not {self.k}."
        warnings.warn(f"{self.key}: {message}", TilthWarning, stacklevel=2)
        self.report("balance.few", message, float(count), severity="medium", n_rows=count)

    def _tell_alone(self, made: list[Made]) -> None:
        alone = sum(m.alone for m in made)
        if alone:
            self.report(
                "balance.alone",
                f"{alone} rows of rare values have no neighbor of their own group and bump; rows are made "
                "around them, not between two.",
                float(alone),
                n_rows=alone,
            )


def _numbers(table: Table, stage: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the target, and which rows have one."""
    target = table.need("target", stage)
    if kind_of(target.dtype) != "numeric":
        raise DataError(
            f"{stage}: works on numbers, but the target '{target.name}' holds {target.dtype}. "
            "Use balance.weight or balance.smote for classes."
        )
    numbers = target.cast(pl.Float64).fill_nan(None)
    values = numbers.fill_null(0).to_numpy().copy()
    infinite = np.flatnonzero(~np.isfinite(values))
    if len(infinite):
        raise DataError(
            f"{stage}: the target '{target.name}' is infinite in {len(infinite)} rows, the first being row "
            f"{infinite[0]}. Mend or drop them."
        )
    return values, numbers.is_not_null().to_numpy()


def _source(table: Table, rows: np.ndarray, values: np.ndarray) -> Source:
    """Gather what rows are made of."""
    target = table.roles.target or ""
    ordered = table.frame.collect()[rows]
    read = [c for c in table.features if kind_of(ordered.schema[c]) in READ]
    reading, matrix = read_columns(table.with_frame(ordered.lazy()), read)
    frame = ordered.select([*table.features, target])
    groups = table.role("group")
    codes = None
    if groups is not None:
        # A row without a group is a group of its own.
        number = groups.cast(pl.String).rank("dense").cast(pl.Int64)
        codes = number.fill_null(-pl.int_range(table.height, eager=True) - 1).to_numpy()[rows]
    return Source(frame, target, values, table.ids[rows], codes, reading, matrix)
