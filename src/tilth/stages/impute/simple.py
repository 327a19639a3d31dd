"""Fill missing cells with one value per column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError, listed
from tilth.stages.imputing import FINDS, flags_for, tell_missing
from tilth.statistics import Groups, Statistics
from tilth.statistics.groups import comparable
from tilth.table import Kind, kind_of, select
from tilth.table.container import free_name

KEYS = ("numeric", "categorical", "boolean", "datetime")


class ImputeSimple(ColumnStage):
    """Fill missing cells with the column's median, mean, most frequent value or a constant.

    Learns
        One value per column, in the column's units: exact median (a selection), mean, or mode
        (ties: the smaller value). With `by`, one more per group of rows.
    New data
        Nulls and NaN are replaced; rows and order unchanged. A row of a group that was not there at fit,
        or that had no value, gets the value of the whole column.
    Training
        Same as new data.
    Weights
        Ignored: a fill value describes the cells, not how much a row counts.
    Cost
        One selection per numeric column, one count per other column; acting is O(cells). With `by`, one
        grouping more, and one look-up per cell.
    Scaling
        Exact for any partition. With `by`, the columns are held in memory while learning.

    Parameters
    ----------
    numeric : {'median', 'mean', 'most_frequent', 'constant'}
        How numeric and datetime columns are filled (datetime: 'mean' is taken as 'median').
    categorical : {'most_frequent', 'constant'}
        How categorical and boolean columns are filled (boolean: always the most frequent).
    fill_value : float or str, optional
        The value of 'constant'. By default 0 in numeric and ``"missing"`` in categorical columns; a date or
        time in ISO form in datetime columns, which are left missing without one.
    by : selection, optional
        The columns whose combinations of values are the groups that are filled each with its own value;
        they are not filled themselves. A missing value is one like any other. A constant is the same in
        all groups.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    on : selection, optional
        The columns; by default all numeric, categorical, boolean and datetime ones.

    Findings
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all; it is filled with the constant.

    Raises
        DataError : `fill_value` cannot be held by the column it would fill, a column holds infinity and
        has no mean, or `on` and `by` name the same column.

    Source
        Peer: scikit-learn's ``SimpleImputer`` and ``MissingIndicator``, and pandas' ``groupby`` with
        ``transform``; the tests compare to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> ImputeSimple(indicator=True).fit_transform(pl.DataFrame({"age": [30.0, None, 50.0]})).rows()
    [(30.0, False), (40.0, True), (50.0, False)]
    """

    handles: ClassVar = KEYS
    finds: ClassVar = FINDS
    partial: ClassVar = True

    def __init__(
        self,
        *,
        numeric: Literal["median", "mean", "most_frequent", "constant"] = "median",
        categorical: Literal["most_frequent", "constant"] = "most_frequent",
        fill_value: float | str | None = None,
        by: Selection = None,
        indicator: bool = False,
        on: Selection = None,
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.fill_value = fill_value
        self.by = by
        self.indicator = indicator
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"numeric": "mean", "indicator": True},
            {"numeric": "most_frequent"},
            {"numeric": "constant", "categorical": "constant"},
            {"by": "boolean", "numeric": "mean"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the fill values."""
        schema = statistics.schema
        self._part({c: kind_of(schema[c]) for c in self.schema_})
        kinds = {c: kind_of(schema[c]) for c in self.columns_}
        counted = [c for c, k in kinds.items() if self._strategy(k) == "most_frequent"]
        numbers = [c for c in self.columns_ if c not in counted and kinds[c] in ("numeric", "datetime")]
        nulls = statistics.nulls(self.columns_)
        values: dict[str, Any] = {}
        if self.numeric == "mean":
            moments = statistics.moments([c for c in numbers if kinds[c] == "numeric"])
            values = dict(zip(moments.columns, moments.mean.tolist(), strict=True))
            spoiled = [c for c, mean in values.items() if not np.isfinite(mean)]
            if spoiled:
                raise DataError(
                    f"impute.simple: column '{spoiled[0]}' holds infinity or values too large for a mean. "
                    "Use numeric='median', or make these cells missing."
                )
        middle = [c for c in numbers if self._strategy(kinds[c]) == "median"]
        medians = statistics.quantiles([c for c in middle if kinds[c] == "numeric"], [0.5])
        values |= dict(
            zip([c for c in middle if kinds[c] == "numeric"], medians.ravel().tolist(), strict=True)
        )
        rest = [c for c in self.columns_ if kinds[c] not in ("numeric",) or c in counted]
        counts = statistics.counts(rest)
        for name in rest:
            found = counts.values(name)
            if kinds[name] == "datetime" and self._strategy("datetime") == "median" and found:
                table = counts.tables[name].sort("value")
                middle_row = int(np.searchsorted(table["count"].cum_sum(), counts.total(name) / 2))
                found = [table["value"][middle_row]]
            values[name] = found[0] if found else None
        rows = statistics.rows
        self.values_: dict[str, Any] = {}
        for name in self.columns_:
            empty = nulls[name] == rows
            value = None if self._strategy(kinds[name]) == "constant" or empty else values[name]
            self.values_[name] = self._constant(name, schema[name]) if value is None else value
            tell_missing(self, name, nulls[name], rows)
        # Both lists are parallel: a flag takes no name that is taken.
        self.holed_ = [c for c in self.columns_ if nulls[c]]
        self.flags_ = flags_for(self.holed_, schema.names())
        self.cells_ = {c: nulls[c] if self.values_[c] is not None else 0 for c in self.columns_}
        filled = [c for c in self.columns_ if nulls[c] < rows and self._strategy(kinds[c]) != "constant"]
        self.groups_ = pl.DataFrame()
        if self.by_ and filled:
            self.groups_ = self._grouped(statistics.grouped(self.by_, filled), filled, kinds)

    def _part(self, kinds: dict[str, Kind]) -> None:
        """Tell the columns to fill from those that say in which group a row is."""
        self.by_ = [] if self.by is None else select(self.by, kinds, KEYS)
        both = [c for c in self.by_ if c in self.columns_]
        if both and self.on is not None:
            raise DataError(
                f"impute.simple: column {listed(both)} is in `by` and in `on`: it cannot say in which group "
                "a row is and be filled by the group. Take it out of one of them."
            )
        self.columns_ = [c for c in self.columns_ if c not in both]

    def _grouped(self, groups: Groups, filled: list[str], kinds: dict[str, Kind]) -> pl.DataFrame:
        """Return the groups and their values, one row each."""
        ways = {"mean": groups.means, "median": groups.medians, "most_frequent": groups.most_frequent}
        found = [way([c for c in filled if self._strategy(kinds[c]) == name]) for name, way in ways.items()]
        keys = found[0].select(self.by_)
        return pl.concat([keys, *(f.drop(self.by_) for f in found)], how="horizontal").select(
            *self.by_, *filled
        )

    def _strategy(self, kind: str) -> str:
        if kind == "boolean":
            return "most_frequent"
        if kind == "categorical":
            return self.categorical
        return "median" if kind == "datetime" and self.numeric == "mean" else self.numeric

    def _constant(self, name: str, dtype: pl.DataType) -> Any:
        kind = kind_of(dtype)
        plain = {"numeric": 0.0, "categorical": "missing", "boolean": False}.get(kind)
        if self.fill_value is None:
            return plain
        fits = isinstance(self.fill_value, str) == (kind == "categorical") and kind != "boolean"
        value = _moment(self.fill_value, dtype) if kind == "datetime" else self.fill_value if fits else None
        if value is None and self._strategy(kind) == "constant":
            raise DataError(
                f"impute.simple: column '{name}' ({kind}) cannot hold fill_value={self.fill_value!r}. "
                "Use one impute.simple per kind, each with its own `on`."
            )
        return plain if value is None else value

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace nulls by the learned values."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        marked = zip(self.holed_, self.flags_, strict=True) if self.indicator else ()
        flags = [pl.col(c).is_null().alias(flag) for c, flag in marked]
        filled = [c for c in self.columns_ if self.values_[c] is not None]
        if not self.groups_.width:
            return frame.with_columns(flags).with_columns(self._filled(c, schema[c]) for c in filled)
        group = free_name("__group__", schema.names())
        frame = frame.with_columns(*flags, self._number(schema).alias(group))
        return frame.with_columns(self._filled(c, schema[c], pl.col(group)) for c in filled).drop(group)

    def _number(self, schema: Mapping[str, pl.DataType]) -> pl.Expr:
        """Return for each row the place of its group in `groups_`, or a place past its end."""
        number = pl.lit(0, pl.Int64)
        for name in self.by_:
            keys = self.groups_[name].unique(maintain_order=True)
            key = comparable(name, schema[name])
            number = number * (len(keys) + 1) + _place(key, keys)
            # Numbered anew after each key, so that numbers stay below the square of the number of groups.
            number = _place(number, self.groups_.select(number).to_series().unique(maintain_order=True))
        return number

    def _filled(self, name: str, dtype: pl.DataType, group: pl.Expr | None = None) -> pl.Expr:
        value, own = self.values_[name], pl.Series(dtype=dtype)
        if group is not None and name in self.groups_.columns:
            own = self.groups_[name]
        kept = _type_for(dtype, value, own.drop_nulls())
        column = pl.col(name) if kept == dtype else pl.col(name).cast(kept)
        value = int(value) if kept.is_integer() else value
        overall = pl.lit(value).cast(kept) if isinstance(value, str) else pl.lit(value, kept)
        if group is None or own.is_empty():
            return column.fill_null(overall)
        places, values = pl.int_range(len(own), eager=True).filter(own.is_not_null()), own.drop_nulls()
        return column.fill_null(
            group.replace_strict(places, values.cast(kept), default=overall, return_dtype=kept)
        )


def _place(values: pl.Expr, known: pl.Series) -> pl.Expr:
    places = pl.int_range(len(known), eager=True)
    return values.replace_strict(known, places, default=len(known), return_dtype=pl.Int64)


def _type_for(dtype: pl.DataType, value: Any, own: pl.Series) -> pl.DataType:
    """Return the type that holds a column, its fill value and those of its groups: its own, if that can."""
    if dtype == pl.Enum:
        return dtype if value in dtype.categories else pl.String()  # type: ignore[attr-defined]
    if dtype.is_float() or kind_of(dtype) != "numeric":
        return dtype
    # Half a unit is no integer: a column of whole numbers becomes one of fractions only if it must.
    if dtype.is_integer() and value == int(value) and (own.dtype.is_integer() or (own == own.floor()).all()):
        least, most = pl.select(dtype.min().alias("least"), dtype.max().alias("most")).row(0)  # type: ignore[attr-defined]
        if all(least <= v <= most for v in (value, own.min(), own.max()) if v is not None):
            return dtype
    return pl.Float64()


def _moment(text: Any, dtype: pl.DataType) -> dt.datetime | dt.date | dt.time | None:
    """Read a date or time in ISO form, in the time zone of its column; None if the column cannot hold it."""
    try:
        if dtype == pl.Time:
            return dt.time.fromisoformat(text)
        moment = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    if dtype == pl.Date:
        return moment.date() if moment == dt.datetime.combine(moment, dt.time()) else None
    zone = getattr(dtype, "time_zone", None)
    if dtype != pl.Datetime or (moment.tzinfo is not None and zone is None):
        return None
    return moment.replace(tzinfo=ZoneInfo(zone)) if zone and moment.tzinfo is None else moment
