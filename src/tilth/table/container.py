"""The container round trip: what comes in as pandas goes out as pandas, with its index and types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import polars as pl

from tilth.errors import DataError, TilthError, TypeMismatch, listed

Form = Literal["numpy", "pandas", "polars", "lazy", "arrow"]
_ROWS_AT_ONCE = 65_536
# What a column of many types may hold: each of these has a text that reads well.
_SCALARS = (str, int, float, np.generic, type(None), dt.date, dt.time, dt.timedelta, Decimal)


@dataclass(frozen=True)
class Container:
    """Remember what rows came in, and give rows back in the same.

    Parameters
    ----------
    form : {'numpy', 'pandas', 'polars', 'lazy', 'arrow'}
    source : object, optional
        The pandas frame as it came: its index and the columns that no stage touched go out as
        they are.
    """

    form: Form
    source: Any = None

    def to(self, form: Form) -> Container:
        """Return a container of another form (what ``set_output`` asks for)."""
        return self if form == self.form else replace(self, form=form)

    def restore(
        self,
        frame: pl.LazyFrame,
        *,
        touched: Collection[str] = (),
        rows: np.ndarray | None = None,
        fused: bool = False,
    ) -> Any:
        """Give the columns of `frame` back in this container.

        Parameters
        ----------
        frame : LazyFrame
        touched : collection of str
            Columns whose values or types a stage changed.
        rows : ndarray of int, optional
            The source position of each row; -1 for a row made anew. None: same rows, same order.
        fused : bool
            The query works row by row, so it may be carried out in blocks of rows.
        """
        if self.form == "lazy":
            return frame
        if self.form == "numpy":
            return _to_numpy(frame, fused)
        if self.form == "pandas":
            return self._to_pandas(frame, touched, rows)
        collected = frame.collect()
        return collected.to_arrow() if self.form == "arrow" else collected

    def restore_column(self, column: pl.Series, like: Any = None) -> Any:
        """Give one column back: as a Series of the frame library, or as an array."""
        if self.form == "pandas":
            return _retyped(column, like.dtype) if hasattr(like, "dtype") else column.to_pandas()
        if self.form == "arrow":
            return column.to_arrow()
        return column.to_numpy() if self.form == "numpy" else column

    def _to_pandas(self, frame: pl.LazyFrame, touched: Collection[str], rows: np.ndarray | None) -> Any:
        import pandas as pd

        schema, source = frame.collect_schema(), self.source
        names = schema.names()
        known = {} if source is None else dict(zip(map(str, source.columns), source.columns, strict=True))
        fresh = rows is not None and bool((rows < 0).any())
        kept = [n for n in names if n in known and n not in touched]
        like = {n: source[known[n]].dtype for n in names if n in known}
        back = {n for n in like if (fresh if n in kept else _is_nullable(like[n], schema[n]))}
        made = [n for n in names if n not in kept and n not in back]
        out = _float_block(frame, made)
        if out is None:
            out = frame.select(made).collect().to_pandas()
        retyped = frame.select(n for n in names if n in back).collect()
        if source is not None and rows is None and len(source):
            out.index = source.index
        elif source is not None and rows is not None and not fresh:
            out.index = source.index.take(rows)
        elif not made:
            out = pd.DataFrame(index=pd.RangeIndex(retyped.height))
        columns = {}
        for name in names:
            if name in back and name in kept:
                columns[name] = _with_fresh(source[known[name]], retyped[name], rows)
            elif name in back:
                columns[name] = _retyped(retyped[name], like[name]).array
            elif name in made:
                columns[name] = out[name]
            else:
                whole = source[known[name]]
                columns[name] = whole if rows is None else whole.iloc[rows]
        # Columns keep the name they came with (pandas allows numbers as names).
        result = out if list(columns) == made and not kept else pd.DataFrame(columns, index=out.index)
        if len(names) == 0 and source is not None:
            result = pd.DataFrame(index=source.index if rows is None else out.index)
        result.columns = pd.Index([known.get(name, name) for name in names])
        return result


def enter(X: Any) -> tuple[pl.LazyFrame, Container]:
    """Read what a user holds into a lazy frame, without changing it.

    Raises
    ------
    DataError
        If names repeat or the type is not known.
    """
    if isinstance(X, pl.LazyFrame):
        return X, Container("lazy")
    if isinstance(X, pl.DataFrame):
        return X.lazy(), Container("polars")
    module = type(X).__module__.partition(".")[0]
    if module == "pandas" and hasattr(X, "columns"):
        return _from_pandas(X).lazy(), Container("pandas", X)
    if module == "pyarrow":
        frame = pl.from_arrow(X)
        if not isinstance(frame, pl.DataFrame):
            raise DataError("A pyarrow array is one column; pass a pyarrow Table.")
        return frame.lazy(), Container("arrow")
    if module == "scipy":
        raise TypeMismatch(
            "Sparse data was passed, but dense data is required. "
            "Use X.toarray() to convert to a dense array (sparse input is not supported)."
        )
    array = np.asarray(X)
    if array.ndim != 2:
        raise DataError(
            f"Expected a table with two dimensions, got {array.ndim} ({type(X).__name__}). "
            "Reshape your data: X.reshape(-1, 1) for one column, X.reshape(1, -1) for one row."
        )
    return _from_numpy(array).lazy(), Container("numpy")


def enter_column(values: Any, role: str) -> pl.Series:
    """Read one column (target, weight, group) that a user passed beside the table."""
    if isinstance(values, pl.Series):
        return values.fill_nan(None) if values.dtype.is_float() else values
    module = type(values).__module__.partition(".")[0]
    if module == "pandas" and not hasattr(values, "name") and getattr(values, "ndim", 1) == 1:
        import pandas as pd

        values = pd.Series(values)  # a bare pd.Categorical or pd.array
    if module == "pyarrow":
        arrow = pl.Series(pl.from_arrow(values))
        return arrow.fill_nan(None) if arrow.dtype.is_float() else arrow
    name = getattr(values, "name", None)
    name = name if isinstance(name, str) else ""
    if module == "pandas":
        series = (
            getattr(values, "squeeze", lambda _: values)(1) if getattr(values, "ndim", 1) == 2 else values
        )
        series = pl.Series(name, _plain(series))
    else:
        array = np.asarray(values)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim != 1:
            raise DataError(f"The {role} must have one value per row; its shape is {array.shape}.")
        series = _column(name, array)
    return series.fill_nan(None) if series.dtype.is_float() else series


def rows_agree(frame: pl.LazyFrame, column: pl.Series, role: str) -> None:
    """Raise where a column passed beside the table has another length."""
    if not frame.collect_schema().names():
        return  # a frame without columns has no rows to count; that it has none is told elsewhere
    rows = int(frame.select(pl.len()).collect().item())
    if rows != len(column):
        raise DataError(
            f"Found input variables with inconsistent numbers of samples: [{rows}, {len(column)}] "
            f"(rows of X, values of the {role})."
        )


def free_name(name: str, taken: Sequence[str]) -> str:
    """Return `name`, or `name` with underscores after it, so that it repeats no other."""
    while name in taken:
        name += "_"
    return name


def _from_numpy(array: np.ndarray) -> pl.DataFrame:
    rows, width = array.shape
    names = [f"x{j}" for j in range(width)]
    if array.dtype.kind not in "fiub" or not width:
        return pl.DataFrame([_column(n, array[:, j]) for j, n in enumerate(names)] or None)
    if array.dtype.itemsize == 2 and array.dtype.kind == "f":
        array = array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    # Polars holds columns one after another. Turning row blocks that fit the cache, two at a
    # time, is twice as fast as asking for one column after the other.
    columns = np.empty((width, rows), array.dtype)

    def turn(start: int) -> None:
        columns[:, start : start + 8192] = array[start : start + 8192].T

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(turn, range(0, rows, 8192)))
    return pl.DataFrame([pl.Series(n, columns[j]) for j, n in enumerate(names)])


def _column(name: str, values: np.ndarray) -> pl.Series:
    if values.dtype.kind in "fiubmM":
        if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
            values = values.astype(np.float64)
        return pl.Series(name, values)
    if values.dtype.kind == "c":
        raise DataError("Complex data not supported: split it into its real and imaginary part.")
    cells = [None if _is_missing(cell) else cell for cell in values.tolist()]
    cells = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    try:
        return pl.Series(name, cells, strict=True)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        return _mixed(name, cells)


def _is_missing(cell: Any) -> bool:
    # Told by name, so that pandas is not imported for users who do not have their data in it.
    is_nan = isinstance(cell, float | np.floating) and bool(cell != cell)
    return cell is None or is_nan or type(cell).__name__ in ("NAType", "NaTType")


def _mixed(name: str, cells: list) -> pl.Series:
    strange = next((c for c in cells if not isinstance(c, _SCALARS)), None)
    if strange is not None:
        # The words are scikit-learn's, whose users and checks know them.
        raise TypeMismatch(
            f"Column '{name}': argument must be a string or a real number, not '{type(strange).__name__}'."
        )
    if all(isinstance(c, int | float | np.number | None) for c in cells):
        return pl.Series(name, [None if c is None else float(c) for c in cells], dtype=pl.Float64)
    return pl.Series(name, [None if c is None else str(c) for c in cells], dtype=pl.String)


def _from_pandas(frame: Any) -> pl.DataFrame:
    names = [str(name) for name in frame.columns]
    repeated = sorted({n for n in names if names.count(n) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise DataError(f"Column names must be unique; repeated: {listed(repeated)}. Rename them.")
    columns = [pl.Series(n, _plain(frame.iloc[:, j])) for j, n in enumerate(names)]
    return pl.DataFrame(dict(zip(names, columns, strict=True)))


def _plain(series: Any) -> Any:
    if series.dtype == object or series.dtype.kind == "c":
        return _column(str(series.name), series.to_numpy())
    if categories := _named(series.dtype):
        # Categories of numbers are categories all the same: nothing may scale them.
        series = series.cat.rename_categories(list(categories))
    levels = _levels(series)
    if levels is not None:
        return pl.Series(series.astype(object).where(series.notna(), None).tolist(), dtype=pl.Enum(levels))
    if str(series.dtype).startswith("Sparse"):
        series = series.sparse.to_dense()
    if series.dtype.kind == "f" and series.dtype.itemsize == 2:
        series = series.astype("float32")
    try:
        return pl.from_pandas(series)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(f"Column '{series.name}' of type {series.dtype} cannot be read: {error}") from error


def _is_nullable(dtype: Any, inside: pl.DataType) -> bool:
    """Tell whether a changed column can go out in the nullable pandas type that it came in."""
    from pandas.api import types

    if not types.is_extension_array_dtype(dtype) or dtype in ("category", "str"):
        return False
    if inside.is_integer():
        return bool(types.is_integer_dtype(dtype))
    if inside.is_float():
        return bool(types.is_float_dtype(dtype))
    return bool(
        types.is_bool_dtype(dtype)
        if inside == pl.Boolean
        else types.is_string_dtype(dtype) and inside == pl.String
    )


def _with_fresh(whole: Any, column: pl.Series, rows: Any) -> Any:
    """Take the cells that came in as they came, and those of fresh rows (-1 in `rows`) from the column."""
    import pandas as pd

    made = rows < 0
    new = _retyped(column.filter(pl.Series(made)), whole.dtype)
    order = np.where(made, len(whole) + np.cumsum(made) - 1, rows)
    return pd.concat([whole, new], ignore_index=True).iloc[order].array


def _retyped(column: pl.Series, dtype: Any) -> Any:
    """Give a column the pandas type it came with, unless fractions would be cut or nulls have no place."""
    import pandas as pd
    from pandas.api import types

    if types.is_integer_dtype(dtype):
        cut = column.dtype.is_float() and bool((column % 1 != 0).any())
        if cut or (column.null_count() and not types.is_extension_array_dtype(dtype)):
            return column.to_pandas()
    if categories := _named(dtype):
        return pd.Series([categories.get(c) for c in column.to_list()], dtype=dtype)
    if dtype.kind == "O" and not types.is_extension_array_dtype(dtype):
        return pd.Series(column.to_list(), dtype=object)
    return column.to_pandas(use_pyarrow_extension_array=True).astype(dtype)


def _named(dtype: Any) -> dict[str, Any]:
    """Return text -> category for pandas categories that are no texts; empty for all other types."""
    categories = getattr(dtype, "categories", ()) if str(dtype) == "category" else ()
    named = {str(c): c for c in categories}
    return named if len(named) == len(categories) and any(not isinstance(c, str) for c in categories) else {}


def _levels(series: Any) -> list[str] | None:
    """Return the categories of an ordered column of texts: their order means something, so it is kept."""
    dtype = series.dtype
    if not getattr(dtype, "ordered", False):
        arrow = getattr(dtype, "pyarrow_dtype", None)
        if not getattr(arrow, "ordered", False):
            return None
        chunks = series.array.__arrow_array__().unify_dictionaries().chunks
        levels = chunks[0].dictionary.to_pylist() if chunks else []
    else:
        levels = dtype.categories.tolist()
    return levels if all(isinstance(level, str) for level in levels) else None


def _to_numpy(frame: pl.LazyFrame, fused: bool) -> np.ndarray:
    schema = frame.collect_schema()
    plain = all(t.is_numeric() or t == pl.Boolean for t in schema.values()) and len(schema) > 0
    if not plain:
        collected = frame.collect()
        out = np.empty(collected.shape, dtype=object)
        for j, column in enumerate(collected):
            out[:, j] = (
                column.to_list() if column.dtype not in (pl.Categorical, pl.Enum) else column.cast(pl.String)
            )
        return out
    if not fused:
        return frame.collect().to_numpy(order="c")
    # Blocks of rows stay in the cache between the query and the row-major result, and the
    # result is the only thing of its size in memory.
    rows = int(frame.select(pl.len()).collect().item())
    starts = range(0, max(rows, 1), _ROWS_AT_ONCE)
    blocks = (frame.slice(start, _ROWS_AT_ONCE).collect().to_numpy(order="c") for start in starts)
    first = next(blocks)
    if rows <= _ROWS_AT_ONCE:
        return first
    out = np.empty((rows, len(schema)), np.result_type(first.dtype))
    for start, block in zip(starts, _chain(first, blocks), strict=True):
        if block.dtype != out.dtype:
            out = out.astype(np.result_type(out, block))  # integers that meet their first null
        out[start : start + len(block)] = block
    return out


def _chain(first: np.ndarray, rest: Any) -> Any:
    yield first
    yield from rest


def _float_block(frame: pl.LazyFrame, names: Sequence[str]) -> Any:
    """Return a pandas frame over one block of memory, if all columns are of one float type."""
    import pandas as pd

    schema = frame.collect_schema()
    types = {schema[n] for n in names}
    if len(types) != 1 or not next(iter(types)).is_float():
        return None
    try:
        rows = int(frame.select(pl.len()).collect().item())
        block = np.empty((len(names), rows), np.float64 if types == {pl.Float64()} else np.float32)
        for start in range(0, len(names), 8):
            part = frame.select(names[start : start + 8]).collect()
            for j, column in enumerate(part):
                block[start + j] = column.to_numpy()
    except pl.exceptions.PolarsError as error:
        raise TilthError(f"The prepared columns could not be computed: {error}") from error
    return pd.DataFrame(block.T, columns=list(names), copy=False)
