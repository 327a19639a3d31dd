"""Leave out columns that do not vary."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.stage import Selection
from tilth.errors import DataError
from tilth.stages.selecting import Choosing
from tilth.statistics import Statistics
from tilth.table import kind_of


class SelectVariance(Choosing):
    """Leave out columns that are constant, or nearly so.

    Learns
        Of columns of any kind whether they hold one value only and, with `share` below 1, how often the most
        frequent value occurs; of numbers and booleans also the variance. The columns that go are remembered.
    New data
        The same columns are left out, whatever new rows hold; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Ignored: a column varies or not, however much its rows count.
    Cost
        One pass for constants and variances; a count of the values per column where `share` is below 1.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    threshold : float, at least 0
        A number or boolean goes if its variance is not above it; missing cells are not counted.
    scaled : {'none', 'range', 'mean'}
        The variance is that of the values in their units; after the smallest became 0 and the largest 1; or
        over the square of the mean, which is the coefficient of variation, squared.
    share : float, in (0, 1]
        A column goes if its most frequent value has at least this share of the rows; 1: constants only.
    missing : {'value', 'ignore'}
        Missing cells are a value of their own, so that a column of one value and gaps varies; or only the
        cells that are there are looked at.
    on : selection, optional
        The columns that may go; by default all. ``~(age | city)`` protects two of them.

    Attributes
    ----------
    kept_ : list of str
    dropped_ : dict of column to str
    scores_ : dict of column to float
        The variance as `scaled`, of numbers and booleans.

    Findings
        select.constant : a column holds one value only; score: 1.
        select.variance : the variance of a column is at most the threshold; score: the variance.
        select.frequent : one value has nearly all rows of a column; score: its share.

    Raises
        DataError : no feature would be left.

    Source
        Peer: scikit-learn's ``VarianceThreshold``; with missing='ignore' the columns left are the same.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": [30, 40, 50], "site": ["B", "B", "B"], "dose": [1.0, 1.0, None]})
    >>> SelectVariance().fit_transform(rows).columns
    ['age', 'dose']
    >>> SelectVariance(missing="ignore").fit(rows).dropped_
    {'site': "holds 'B' only", 'dose': 'holds 1.0 only'}
    """

    finds: ClassVar = {
        "select.constant": "a column holds one value only",
        "select.variance": "the variance of a column is at most the threshold",
        "select.frequent": "one value has nearly all rows of a column",
    }

    def __init__(
        self,
        *,
        threshold: Annotated[float, Ge(0)] = 0.0,
        scaled: Literal["none", "range", "mean"] = "none",
        share: Annotated[float, Gt(0), Le(1)] = 1.0,
        missing: Literal["value", "ignore"] = "value",
        on: Selection = None,
    ) -> None:
        self.threshold = threshold
        self.scaled = scaled
        self.share = share
        self.missing = missing
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"missing": "ignore", "share": 0.55},
            {"threshold": 0.01, "scaled": "range"},
            {"threshold": 1e-6, "scaled": "mean", "on": "numeric"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns go."""
        rows = statistics.rows
        first, same, nulls = self._constant(statistics)
        gaps = self.missing == "value"
        found: dict[str, tuple[str, str, float]] = {}
        for name in self.columns_:
            if nulls[name] == rows:
                found[name] = ("select.constant", "has no value", 1.0)
            elif same[name] and not (gaps and nulls[name]):
                found[name] = ("select.constant", f"holds {_shown(first[name])} only", 1.0)
        varying = [c for c in self.columns_ if c not in found]
        # A column of one value and gaps has a variance of 0, and varies all the same.
        variances = self._variances(statistics, [c for c in varying if not same[c]])
        for name, variance in variances.items():
            if variance <= self.threshold:
                told = f"has variance {variance:.4g}{self._of}, at most {self.threshold:g}"
                found[name] = ("select.variance", told, variance)
        if self.share < 1:
            for name in (c for c in varying if c not in found):
                value, share = self._commonest(statistics, name, rows, nulls[name])
                if share >= self.share:
                    told = f"holds {value} in {share:.2%} of its rows"
                    found[name] = ("select.frequent", told, share)
        reasons = {c: told for c, (_, told, _) in found.items()}
        if reasons and not self.leaves(reasons):
            few = " There is 1 sample only: every column is constant." if rows == 1 else ""
            raise DataError(
                f"select.variance: no column varies enough, so none would be left.{few} Lower `threshold`, "
                "raise `share`, protect columns with `on`, or look at how the data was read."
            )
        self.settle(reasons, variances)
        for name in self.columns_:
            kind, told, score = found[name]
            self.report(kind, f"'{name}' {told}.", score, columns=(name,), severity="low")

    @property
    def _of(self) -> str:
        return {"none": "", "range": " of its range", "mean": " of its mean, squared,"}[self.scaled]

    def _constant(self, statistics: Statistics) -> tuple[dict[str, Any], dict[str, bool], dict[str, int]]:
        """Return the first value of each column, whether all others equal it, and how many are missing."""
        first: dict[str, Any] = {}
        asked = [self._cells(c, statistics).drop_nulls().first().alias(c) for c in self.columns_]
        for shard in statistics.shards:
            row = shard.select(asked).collect().row(0, named=True) if asked else {}
            first |= {c: v for c, v in row.items() if c not in first and v is not None}
        same, nulls = dict.fromkeys(self.columns_, True), dict.fromkeys(self.columns_, 0)
        for shard in statistics.shards:
            cells = {c: self._cells(c, statistics) for c in self.columns_}
            told: list[pl.Expr] = []
            for at, (c, column) in enumerate(cells.items()):
                held = pl.lit(pl.Series([first.get(c)], dtype=statistics.schema[c])).first()
                held = held.cast(pl.String) if statistics.schema[c] == pl.Categorical else held
                told += [(column != held).any().alias(f"{at}d"), column.null_count().alias(f"{at}n")]
            counted = shard.select(told).collect().row(0) if told else ()
            for at, c in enumerate(self.columns_):
                same[c] = same[c] and not counted[2 * at]
                nulls[c] += counted[2 * at + 1]
        return first, same, nulls

    @staticmethod
    def _cells(name: str, statistics: Statistics) -> pl.Expr:
        # Physical codes of categories depend on the order they were met in.
        text = statistics.schema[name] == pl.Categorical
        return pl.col(name).cast(pl.String) if text else pl.col(name)

    def _variances(self, statistics: Statistics, columns: list[str]) -> dict[str, float]:
        """Return the variances of numbers and booleans, as `scaled`; those that overflow are left out."""
        some = [c for c in columns if kind_of(statistics.schema[c]) in ("numeric", "boolean")]
        finite = [
            shard.select(
                pl.when(pl.col(c).cast(pl.Float64).is_finite()).then(pl.col(c)).alias(c) for c in some
            )
            for shard in statistics.shards
        ]
        known = Statistics(finite)
        moments = known.moments(some)
        variance = moments.variance()
        if self.scaled == "mean":
            with np.errstate(all="ignore"):
                variance = variance / moments.mean**2
        elif self.scaled == "range":
            ends = known.extremes(some)
            pairs = zip(ends.low, ends.high, strict=True)
            width = np.array([0.0 if a is None else float(b) - float(a) for a, b in pairs])
            with np.errstate(all="ignore"):
                variance = (np.sqrt(variance) / width) ** 2
        return {c: float(v) for c, v in zip(some, variance, strict=True) if np.isfinite(v)}

    def _commonest(self, statistics: Statistics, name: str, rows: int, nulls: int) -> tuple[str, float]:
        """Return the most frequent value of a column, in words, and its share."""
        parts = [
            shard.select(self._cells(name, statistics).drop_nulls().alias("value"))
            .group_by("value")
            .agg(pl.len().alias("count"))
            .collect()
            for shard in statistics.shards
        ]
        counts = pl.concat(parts, how="vertical_relaxed").group_by("value").agg(pl.col("count").sum())
        most = int(counts["count"].max() or 0)  # type: ignore[arg-type]
        if self.missing == "value" and nulls >= most:
            return "no value", nulls / rows
        of = rows if self.missing == "value" else rows - nulls
        values = counts.filter(pl.col("count") == most)["value"].to_list()
        return min(map(_shown, values)), most / of


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
