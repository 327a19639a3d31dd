"""Fill missing cells with one value per column."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.statistics import Statistics
from tilth.table import kind_of
from tilth.table.container import free_name


class ImputeSimple(ColumnStage):
    """Fill missing cells with the column's median, mean, most frequent value or a constant.

    Learns
        One value per column, in the column's units: exact median (a selection), mean, or mode
        (ties: the smaller value).
    New data
        Nulls and NaN are replaced; rows and order unchanged.
    Training
        Same as new data.
    Weights
        Ignored: a fill value describes the cells, not how much a row counts.
    Cost
        One selection per numeric column, one count per other column; acting is O(cells).
    Scaling
        Exact for any partition.

    Parameters
    ----------
    numeric : {'median', 'mean', 'most_frequent', 'constant'}
        How numeric and datetime columns are filled (datetime: 'mean' is taken as 'median').
    categorical : {'most_frequent', 'constant'}
        How categorical and boolean columns are filled (boolean: always the most frequent).
    fill_value : float or str, optional
        The value of 'constant'. By default 0 in numeric and ``"missing"`` in categorical columns.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    on : selection, optional
        The columns; by default all numeric, categorical, boolean and datetime ones.

    Findings
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all; it is filled with the constant.

    Raises
        DataError : `fill_value` cannot be held by the column it would fill, or a column holds infinity and
        has no mean.

    Source
        Peer: scikit-learn's ``SimpleImputer`` and ``MissingIndicator``; the tests compare to 1e-12.

    Examples
    --------
    >>> import polars as pl
    >>> ImputeSimple(indicator=True).fit_transform(pl.DataFrame({"age": [30.0, None, 50.0]})).rows()
    [(30.0, False), (40.0, True), (50.0, False)]
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime")
    finds: ClassVar = {
        "missing.filled": "a column had missing cells",
        "missing.all": "a column had no value at all",
    }
    partial: ClassVar = True

    def __init__(
        self,
        *,
        numeric: Literal["median", "mean", "most_frequent", "constant"] = "median",
        categorical: Literal["most_frequent", "constant"] = "most_frequent",
        fill_value: float | str | None = None,
        indicator: bool = False,
        on: Selection = None,
    ) -> None:
        self.numeric = numeric
        self.categorical = categorical
        self.fill_value = fill_value
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
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the fill values."""
        schema = statistics.schema
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
            self._tell(name, nulls[name], rows)
        # Both lists are parallel: a flag takes no name that is taken.
        self.holed_ = [c for c in self.columns_ if nulls[c]]
        self.flags_: list[str] = []
        for name in self.holed_:
            self.flags_.append(free_name(f"{name}_missing", [*schema.names(), *self.flags_]))
        self.cells_ = {c: nulls[c] if self.values_[c] is not None else 0 for c in self.columns_}

    def _strategy(self, kind: str) -> str:
        if kind == "boolean":
            return "most_frequent"
        if kind == "categorical":
            return self.categorical
        return "median" if kind == "datetime" and self.numeric == "mean" else self.numeric

    def _constant(self, name: str, dtype: pl.DataType) -> Any:
        kind = kind_of(dtype)
        if self.fill_value is None:
            return {"numeric": 0.0, "categorical": "missing", "boolean": False}.get(kind)
        if (kind == "numeric") == isinstance(self.fill_value, str) or kind in ("boolean", "datetime"):
            plain = {"numeric": 0.0, "categorical": "missing", "boolean": False}.get(kind)
            if self._strategy(kind) != "constant":
                return plain
            raise DataError(
                f"impute.simple: column '{name}' ({kind}) cannot hold fill_value={self.fill_value!r}. "
                "Use one impute.simple per kind, each with its own `on`."
            )
        return self.fill_value

    def _tell(self, name: str, nulls: int, rows: int) -> None:
        if nulls == rows:
            self.report(
                "missing.all",
                f"'{name}' has no value in {rows} rows.",
                1.0,
                severity="high",
                columns=(name,),
                n_rows=rows,
            )
        elif nulls:
            share = nulls / rows
            self.report(
                "missing.filled",
                f"'{name}' misses {nulls} of {rows} cells ({share:.1%}).",
                share,
                severity="medium" if share > 0.05 else "low",
                columns=(name,),
                n_rows=nulls,
                remedy={"impute.simple": {"indicator": True}},
            )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace nulls by the learned values."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        marked = zip(self.holed_, self.flags_, strict=True) if self.indicator else ()
        flags = [pl.col(c).is_null().alias(flag) for c, flag in marked]
        fills = [self._filled(c, schema[c]) for c in self.columns_ if self.values_[c] is not None]
        return frame.with_columns(flags).with_columns(fills)

    def _filled(self, name: str, dtype: pl.DataType) -> pl.Expr:
        value, column = self.values_[name], pl.col(name)
        if kind_of(dtype) != "numeric":
            if dtype == pl.Enum and value not in dtype.categories:  # type: ignore[attr-defined]
                column = column.cast(pl.String)
                dtype = pl.String()
            return column.fill_null(
                pl.lit(value).cast(dtype) if isinstance(value, str) else pl.lit(value, dtype)
            )
        if dtype.is_float():
            return column.fill_null(pl.lit(value, dtype))
        # Half a unit is no integer: a column of whole numbers becomes one of fractions only if it must.
        if dtype.is_integer() and value == int(value):
            least, most = pl.select(dtype.min().alias("least"), dtype.max().alias("most")).row(0)  # type: ignore[attr-defined]
            if least <= value <= most:
                return column.fill_null(pl.lit(int(value), dtype))
        return column.cast(pl.Float64).fill_null(value)
