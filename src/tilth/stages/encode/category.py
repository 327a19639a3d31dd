"""Turn categories and booleans into numbers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from annotated_types import Ge, Lt
from sklearn.utils.metaestimators import available_if

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError, listed
from tilth.statistics import Counts, Statistics
from tilth.table.container import free_name

MOST_COLUMNS = 10_000
"""One-hot columns a stage makes at most: beyond, the table would no longer fit in memory."""

MANY_LEVELS = 100
"""One-hot levels of one column from which on a finding is reported."""

# Made once: with hundreds of flags, making literals costs more than comparing cells.
_ONE, _ZERO = pl.lit(1, pl.UInt8), pl.lit(0, pl.UInt8)


class EncodeCategory(ColumnStage):
    """Turn each categorical or boolean column into 0/1 columns, codes or frequencies.

    Learns
        The levels of each column and how often they occur. Levels are sorted as text, whatever type
        holds them, so that a category of pandas and an Enum of Polars give the same numbers.
    New data
        'one_hot': the column gives way to UInt8 columns ``<name>=<level>``, in its place; 'ordinal':
        Int32 codes from 0; 'frequency': the level's share of the rows learned from, Float64.
        `inverse_transform` gives the levels of 'one_hot' and 'ordinal' back, of 0/1 columns that are no
        longer 0 and 1 that of the highest; levels that became ``(other)``, or were ignored, come back
        missing, or, with `drop`, as the level left out.
    Training
        Same as new data.
    Weights
        Ignored: levels and their counts describe the cells, not how much a row counts.
    Cost
        One count per column; acting is one lookup per cell, and one comparison per 0/1 cell.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    method : {'one_hot', 'ordinal', 'frequency'}
        What a level becomes.
    rare_share : float, in [0, 1)
        Levels whose share of the rows is below this become one level ``(other)``.
    max_levels : int, at least 1, optional
        Levels per column at most, ``(other)`` included, that of missing cells not: the rarest
        (ties: those later in the order) become ``(other)``.
    unseen : {'ignore', 'other', 'error'}
        A level that was not there at fit: all zeros ('one_hot'), missing ('ordinal') or 0
        ('frequency'); or the level ``(other)``, which is made even if no level was rare; or an error.
    missing : {'level', 'null'}
        Missing cells are the level ``(missing)`` of columns that had some at fit (elsewhere they are
        unseen); or they stay missing in all that is made of them.
    drop : {'none', 'first', 'binary'}
        For 'one_hot', leave out the first column of each; or only where there are two.
    on : selection, optional
        The columns; by default all categorical ones (a boolean is a number already).

    Findings
        category.rare : levels of a column were put together as ``(other)``.
        category.many : a column became more than 100 columns.

    Raises
        DataError : more than 10,000 columns would be made, or, with unseen='error', a level is unseen.

    Source
        Micci-Barreca (2001), section 2, for rare levels. Peers: scikit-learn's ``OneHotEncoder`` and
        ``OrdinalEncoder``, compared bit for bit where no two rare levels tie.

    Examples
    --------
    >>> import polars as pl
    >>> cities = pl.DataFrame({"city": ["Rome", "Oslo", None]})
    >>> EncodeCategory().fit_transform(cities).to_dict(as_series=False)
    {'city=Oslo': [0, 1, 0], 'city=Rome': [1, 0, 0], 'city=(missing)': [0, 0, 1]}
    >>> EncodeCategory(method="ordinal").fit_transform(cities)["city"].to_list()
    [1, 0, 2]
    """

    handles: ClassVar = ("categorical", "boolean")
    takes: ClassVar = ("categorical",)  # a boolean is a number already
    finds: ClassVar = {
        "category.rare": "levels of a column were put together",
        "category.many": f"a column became more than {MANY_LEVELS} columns",
    }

    def __init__(
        self,
        *,
        method: Literal["one_hot", "ordinal", "frequency"] = "one_hot",
        rare_share: Annotated[float, Ge(0), Lt(1)] = 0.0,
        max_levels: Annotated[int, Ge(1)] | None = None,
        unseen: Literal["ignore", "other", "error"] = "ignore",
        missing: Literal["level", "null"] = "level",
        drop: Literal["none", "first", "binary"] = "none",
        on: Selection = None,
    ) -> None:
        self.method = method
        self.rare_share = rare_share
        self.max_levels = max_levels
        self.unseen = unseen
        self.missing = missing
        self.drop = drop
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"rare_share": 0.1, "unseen": "other", "drop": "first"},
            {"max_levels": 2, "missing": "null", "drop": "binary"},
            {"method": "ordinal", "missing": "null"},
            {"method": "ordinal", "unseen": "other", "max_levels": 3},
            {"method": "frequency", "rare_share": 0.2},
            {"method": "frequency", "unseen": "other", "missing": "null"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn levels, which of them are rare, and their shares."""
        self.levels_: dict[str, list[str]] = {}
        self.rare_: dict[str, list[str]] = {}
        self.shares_: dict[str, list[float]] = {}
        self.missing_: dict[str, bool] = {}
        self.other_: dict[str, bool] = {}
        counts = statistics.counts(self.columns_)
        for name in self.columns_:
            self._learn_column(name, counts)
        taken = [c for c in statistics.schema.names() if c not in self.columns_ or self.method != "one_hot"]
        self.names_ = self._named(taken) if self.method == "one_hot" else {}

    def _learn_column(self, name: str, counts: Counts) -> None:
        nulls = counts.nulls[name]
        rows = counts.total(name) + nulls
        table = counts.tables[name].select(pl.col("value").cast(pl.String), "count")
        table = table.sort("count", "value", descending=[True, False])
        rare = table.filter(pl.col("count") < self.rare_share * rows)
        kept = table.head(table.height - rare.height)
        has_other = rare.height > 0 or self.unseen == "other"
        if self.max_levels is not None and kept.height + has_other > self.max_levels:
            kept, has_other = kept.head(self.max_levels - 1), True
            rare = table.tail(table.height - kept.height)
        order = sorted(kept.rows())
        self.levels_[name] = [level for level, _ in order]
        self.rare_[name] = sorted(rare["value"].to_list())
        self.missing_[name] = self.missing == "level" and nulls > 0
        self.other_[name] = has_other
        shares = [count / rows for _, count in order]
        shares += [nulls / rows] * self.missing_[name] + [int(rare["count"].sum()) / rows] * has_other
        self.shares_[name] = shares
        if rare.height:
            share = int(rare["count"].sum()) / rows
            self.report(
                "category.rare",
                f"'{name}': {rare.height} of {table.height} levels, in {share:.1%} of the rows, "
                "became (other).",
                share,
                columns=(name,),
                n_rows=int(rare["count"].sum()),
            )

    def _named(self, taken: list[str]) -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        width = sum(map(len, self.shares_.values()))
        if width > MOST_COLUMNS:
            widest = max(self.shares_, key=lambda c: len(self.shares_[c]))
            raise DataError(
                f"encode.category: one-hot would make {width} columns, more than {MOST_COLUMNS}; "
                f"'{widest}' alone has {len(self.shares_[widest])} levels. Set max_levels or rare_share, "
                "choose method 'ordinal' or 'frequency', or leave the column out with `on`."
            )
        for column in self.columns_:
            levels = list(self.levels_[column])
            levels += ["(missing)"] * self.missing_[column] + ["(other)"] * self.other_[column]
            dropped = self.drop == "first" or (self.drop == "binary" and len(levels) == 2)
            names[column] = []
            for level in levels[dropped:]:
                name = free_name(f"{column}={level}", taken)
                names[column].append(name)
                taken.append(name)
            if len(levels) > MANY_LEVELS:
                self.report(
                    "category.many",
                    f"'{column}' became {len(levels)} columns.",
                    float(len(levels)),
                    severity="medium",
                    columns=(column,),
                    remedy={"encode.category": {"max_levels": MANY_LEVELS // 2, "unseen": "other"}},
                )
        return names

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace each column by its numbers."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        codes = {c: self._codes(c, schema[c]) for c in self.columns_}
        if self.method == "one_hot":
            places = {c: free_name(f"__codes__{c}", schema.names()) for c in self.columns_}
            coded = frame.with_columns(code.alias(places[c]) for c, code in codes.items())
            return coded.select(e for c in schema.names() for e in self._flags(c, places.get(c)))
        if self.method == "ordinal":
            return frame.with_columns(pl.when(code >= 0).then(code).alias(c) for c, code in codes.items())
        return frame.with_columns(self._shared(c, code).alias(c) for c, code in codes.items())

    def _flags(self, name: str, place: str | None) -> list[pl.Expr]:
        if place is None:
            return [pl.col(name)]
        first = len(self.shares_[name]) - len(self.names_[name])
        flags = enumerate(self.names_[name], first)
        return [self._flag(pl.col(place) == code).alias(flag) for code, flag in flags]

    def _flag(self, is_level: pl.Expr) -> pl.Expr:
        if self.missing == "null":
            return is_level.cast(pl.UInt8)
        # Several times faster than a cast, which keeps gaps.
        return pl.when(is_level).then(_ONE).otherwise(_ZERO)

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell whether all comes back: not levels that were put together, nor gaps that no flag tells."""
        untold = self.missing == "null" and not all(getattr(self, "names_", {"": ""}).values())
        return "nearly" if untold or any(getattr(self, "rare_", {}).values()) else "exactly"

    @available_if(lambda self: self.method != "frequency")
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Give the levels back; those put together as ``(other)``, and those ignored, are missing."""
        spent = {flag for flags in self.names_.values() for flag in flags} or set(self.columns_)
        kept = [c for c in frame.collect_schema() if c not in spent]
        return frame.select(*kept, *(self._told(c).alias(c) for c in self.columns_))

    def _told(self, name: str) -> pl.Expr:
        """Return the level that flags or a code stand for."""
        levels = self.levels_[name]
        told = pl.Series([*levels, *[None] * (len(self.shares_[name]) + 1 - len(levels))], dtype=pl.String)
        if self.types_[name] == pl.Boolean:
            told = told == "true"
        code = self._highest(name) if self.method == "one_hot" else self._nearest(name)
        return pl.lit(told.cast(self.types_[name])).gather(code)

    def _highest(self, name: str) -> pl.Expr:
        """Return the code of the highest flag; what flags leave of 1 is that of the code left out."""
        count, flags = len(self.shares_[name]), self.names_[name]
        dropped = count > len(flags)
        none = pl.lit(0 if dropped else count, pl.UInt32)
        if not flags:
            return pl.repeat(none, pl.len(), dtype=pl.UInt32)
        values = [pl.col(flag).cast(pl.Float64) for flag in flags]
        top, left = pl.max_horizontal(values), 1 - pl.sum_horizontal(values, ignore_nulls=False)
        coded = enumerate(values, int(dropped))
        first = pl.coalesce(pl.when(v == top).then(pl.lit(code, pl.UInt32)) for code, v in coded)
        return pl.when(left > top).then(none).otherwise(pl.when(left.is_not_null()).then(first))

    def _nearest(self, name: str) -> pl.Expr:
        last = max(len(self.shares_[name]) - 1, 0)
        return pl.col(name).cast(pl.Float64).round().clip(0, last).cast(pl.UInt32)

    def _shared(self, name: str, code: pl.Expr) -> pl.Expr:
        shares = self.shares_[name]
        known = code.replace_strict(range(len(shares)), shares, default=0.0, return_dtype=pl.Float64)
        return pl.when(code.is_not_null()).then(known)

    def _codes(self, name: str, dtype: pl.DataType) -> pl.Expr:
        """Return Int32 codes: levels, then missing, then other; -1: ignored, null: stays missing."""
        levels, rare = self.levels_[name], self.rare_[name]
        count = len(levels)
        other = pl.lit(count + self.missing_[name], pl.Int32)
        ignored = pl.lit(-1, pl.Int32)
        unseen = other if self.unseen == "other" else ignored
        text = pl.col(name) if dtype == pl.String else pl.col(name).cast(pl.String)
        if self.unseen == "error":
            text = text.map_batches(self._refuse(name), return_dtype=pl.String, is_elementwise=True)
        if levels or rare:
            known = text.cast(pl.Enum([*levels, *rare]), strict=False).to_physical().cast(pl.Int32)
        else:
            known = pl.lit(None, pl.Int32)
        if self.missing == "null":
            absent = pl.lit(None, pl.Int32)
        else:
            absent = pl.lit(count, pl.Int32) if self.missing_[name] else unseen
        return (
            pl.when(text.is_null())
            .then(absent)
            .when(known.is_null())
            .then(unseen)
            .when(known >= count)
            .then(other)
            .otherwise(known)
        )

    def _refuse(self, name: str) -> Any:
        known = [*self.levels_[name], *self.rare_[name]]

        def check(text: pl.Series) -> pl.Series:
            strange = text.filter(~text.is_in(known)).drop_nulls().unique().sort()
            gaps = self.missing == "level" and not self.missing_[name] and text.null_count() > 0
            if len(strange) or gaps:
                told = listed([*map(repr, strange.to_list()), *["a missing cell"] * gaps], 5)
                raise DataError(
                    f"encode.category: column '{name}' holds {told}, which was not there at fit. "
                    "Use unseen='ignore' or 'other', mend the cells, or fit again."
                )
            return text

        return check
