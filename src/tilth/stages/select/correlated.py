"""Of columns that say the same, keep the better one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Le

from tilth.core.stage import Selection
from tilth.stages.answers import Answers
from tilth.stages.selecting import Choosing
from tilth.statistics import Statistics
from tilth.statistics.association import correlation_ratio, pearson, ranked, table_of, tschuprow
from tilth.statistics.paired import PairSums
from tilth.table import Roles, Table, kind_of

LEAST = 10
"""Rows that two columns must share: with fewer, they go together by chance."""
LARGEST = 1e100
"""Squares of numbers up to here, and sums of many of them, stay finite in float64."""
ROUNDING = 1e-9
"""By so much sums over other partitions may differ."""
DIGITS = 6
"""Digits to which relations with the target are compared: copies in other units tie."""


class SelectCorrelated(Choosing):
    """Leave out columns that say the same as another one, and keep the better of the two.

    Learns
        How closely each two columns go together: numbers, booleans and dates by Pearson's r or Spearman's,
        categories by Tschuprow's T, which is 1 only where each level of one goes with one of the other. Each
        pair is looked at over the rows that have both, at least 10. Columns are then taken from the best on:
        fewer missing cells, then more closely related to the target (if there is one), then more distinct
        values, then the first. One that goes together with a column already taken is left out.
    New data
        The same columns are left out; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Ignored.
    Cost
        Pearson: products of all pairs of columns, one pass; Spearman and categories: a count or a product
        per pair, over at most `max_rows` rows.
    Scaling
        Pearson is exact for any partition. Ranks, categories, relations with the target and distinct values
        are those of a sample of `max_rows` rows, the same for any partition.

    Parameters
    ----------
    threshold : float, in (0, 1]
        Two columns say the same from this \\|r\\|, or T, on.
    method : {'pearson', 'spearman', 'either'}
        For numbers: along a line; along any rising or falling curve, by ranks within each column; or the
        larger of the two.
    max_rows : int, at least 10
        Rows of the sample.
    random_state : int
        Seed of the sample.
    on : selection, optional
        The columns that are compared, and may go.

    Attributes
    ----------
    kept_ : list of str
    dropped_ : dict of column to str
    twins_ : dict of column to str
        For each column that goes, the one that says the same and stays.
    scores_ : dict of column to float
        The largest \\|r\\|, or T, of the column with another.

    Findings
        select.twin : a column says the same as another that stays; score: \\|r\\| or T.

    Raises
        DataError : the target is infinite in a row, or has one class.

    Source
        Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", J. Korean Stat. Soc. 42 (2013). Peers:
        pandas' ``DataFrame.corr``, to 1e-9; ``scipy.stats.contingency.association``, to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"cm": [1.0, 2, None, 4, 5, 6, 7, 8, 9, 10, 11, 12]})
    >>> rows = rows.with_columns(inch=pl.int_range(1, 13) / 2.54, odd=pl.int_range(12) % 2)
    >>> SelectCorrelated().fit(rows).dropped_
    {'cm': "goes with 'inch' (r = +1.000, 11 rows)"}
    """

    handles: ClassVar = ("numeric", "boolean", "datetime", "categorical")
    finds: ClassVar = {"select.twin": "a column says the same as another that stays"}
    scaling: ClassVar = "sample"

    def __init__(
        self,
        *,
        threshold: Annotated[float, Gt(0), Le(1)] = 0.95,
        method: Literal["pearson", "spearman", "either"] = "pearson",
        max_rows: Annotated[int, Ge(LEAST)] = 20_000,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.threshold = threshold
        self.method = method
        self.max_rows = max_rows
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"threshold": 0.3},
            {"threshold": 0.3, "method": "spearman", "max_rows": 80},
            {"threshold": 0.25, "method": "either", "on": "numeric | categorical"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns go together, and which of them stay."""
        schema = statistics.schema
        target = [] if statistics.target is None else [statistics.target]
        sample = statistics.sample([*self.columns_, *target], self.max_rows, self.random_state)
        words = [c for c in self.columns_ if kind_of(schema[c]) == "categorical"]
        numbers = [c for c in self.columns_ if c not in words]
        values = _numbers(sample.lazy(), numbers).collect().to_numpy().astype(np.float64)
        codes = [_codes(sample[c]) for c in words]
        names = [*numbers, *words]
        r, rows = _beside(self._of_numbers(statistics, numbers, values), _of_words(codes, sample, words))
        order = self._order(statistics, names, [*values.T, *codes], sample)
        close = (np.abs(r) >= self.threshold - ROUNDING) & (rows >= LEAST)
        kept: list[int] = []
        twin: dict[int, int] = {}
        for place in order:
            near = [k for k in kept if close[place, k]]
            if near:
                twin[place] = max(near, key=lambda k: (round(abs(r[place, k]), DIGITS), -order.index(k)))
            else:
                kept.append(place)
        told = {i: ("r" if names[i] in numbers else "T", names[j], r[i, j]) for i, j in twin.items()}
        self.twins_ = {names[i]: names[j] for i, j in sorted(twin.items())}
        dropped = {
            names[i]: f"goes with '{other}' ({sign} = {value:+.3f}, {int(rows[i, twin[i]])} rows)"
            for i, (sign, other, value) in sorted(told.items())
        }
        strongest = np.where(rows >= LEAST, np.abs(r), 0.0).max(axis=1, initial=0.0)
        self.settle(dropped, dict(zip(names, strongest.tolist(), strict=True)))
        for place, (_, other, value) in sorted(told.items()):
            name = names[place]
            self.report(
                "select.twin",
                f"'{name}' {dropped[name]}, which stays: {self._why(name, other)}.",
                abs(float(value)),
                columns=(name, other),
                n_rows=int(rows[place, twin[place]]),
            )

    def _of_numbers(
        self, statistics: Statistics, columns: list[str], values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return r of each pair of numbers, and the rows it rests on."""
        none = np.zeros((len(columns),) * 2)
        line, rows, order, ranked_rows = none, none, none, none
        if columns and self.method != "spearman":
            read = [_numbers(shard, columns) for shard in statistics.shards]
            moments = Statistics(read).moments(columns)
            scale = np.where(moments.deviations > 0, moments.std(), 1.0)
            parts = [PairSums.of(shard, columns, moments.mean, scale) for shard in read]
            sums = sum(parts[1:], parts[0])
            line, rows = sums.correlation(), sums.rows
        if columns and self.method != "pearson":
            sums = PairSums.of_matrix(columns, ranked(values))
            order, ranked_rows = sums.correlation(), sums.rows
        curved = np.abs(order) > np.abs(line) + ROUNDING
        r, rows = np.where(curved, order, line), np.where(curved, ranked_rows, rows)
        np.fill_diagonal(r, 0.0)
        return r, rows

    def _order(
        self, statistics: Statistics, names: list[str], cells: Sequence[np.ndarray], sample: pl.DataFrame
    ) -> list[int]:
        """Return the columns, the best first."""
        nulls = statistics.nulls(names)
        distinct = [int(sample[c].drop_nulls().n_unique()) for c in names]
        related = np.zeros(len(names))
        if statistics.target is not None:
            frame = sample.select(statistics.target)
            answers = Answers.of(Table.of(frame, roles=Roles(target=statistics.target)), self.key)
            related = np.array([_related(column, answers) for column in cells])
        self.evidence_ = {
            c: (nulls[c], float(t), d) for c, t, d in zip(names, related, distinct, strict=True)
        }
        place = {c: i for i, c in enumerate(self.columns_)}
        best = lambda i: (nulls[names[i]], -round(float(related[i]), DIGITS), -distinct[i], place[names[i]])
        return sorted(range(len(names)), key=best)

    def _why(self, name: str, other: str) -> str:
        """Say in what the column that stays is better."""
        worse, better = self.evidence_[name], self.evidence_[other]
        if worse[0] != better[0]:
            return f"it misses {better[0]} cells, '{name}' {worse[0]}"
        if round(worse[1], DIGITS) != round(better[1], DIGITS):
            return f"it is related to the target by {better[1]:.3f}, '{name}' by {worse[1]:.3f}"
        if worse[2] != better[2]:
            return f"it has {better[2]} distinct values, '{name}' {worse[2]}"
        return "it comes first"


def _numbers(frame: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    """Read columns as numbers, null where missing or infinite."""
    schema = frame.collect_schema()
    read = [
        (pl.col(c).to_physical() if schema[c].is_temporal() else pl.col(c)).cast(pl.Float64) for c in columns
    ]
    return frame.select(
        pl.when(number.is_finite()).then(number.clip(-LARGEST, LARGEST)).alias(c)
        for c, number in zip(columns, read, strict=True)
    )


def _codes(cells: pl.Series) -> np.ndarray:
    """Number the levels by their text; -1 where missing."""
    return cells.cast(pl.String).rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1


def _of_words(
    codes: Sequence[np.ndarray], sample: pl.DataFrame, names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return T of each pair of categories, and the rows it rests on."""
    r, rows = np.zeros((len(codes),) * 2), np.zeros((len(codes),) * 2)
    text = [sample[c].cast(pl.String) for c in names]
    for i in range(len(codes)):
        for j in range(i):
            table = table_of(codes[i], codes[j])
            # Names that never repeat tell nothing, but the same names are the same.
            same = table.shape[0] > 1 and bool((text[i] == text[j]).fill_null(True).all())
            r[i, j] = r[j, i] = 1.0 if same else tschuprow(table)
            rows[i, j] = rows[j, i] = table.sum()
    return r, rows


def _beside(*pairs: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Put groups of columns side by side that are not compared with one another."""
    from scipy.linalg import block_diag

    full = [pair for pair in pairs if len(pair[0])]
    if not full:
        return np.zeros((0, 0)), np.zeros((0, 0))
    r, rows = (block_diag(*parts) for parts in zip(*full, strict=True))
    return r, rows


def _related(cells: np.ndarray, answers: Answers) -> float:
    """Return how closely a column, numbers or codes, goes with the target, from 0 to 1."""
    words = cells.dtype.kind == "i"
    if answers.names:
        target = np.where(answers.known, answers.values, -1)
        return tschuprow(table_of(cells, target)) if words else correlation_ratio(cells, target)
    target = np.where(answers.known, answers.values, np.nan)
    return correlation_ratio(target, cells) if words else abs(pearson(cells, target))
