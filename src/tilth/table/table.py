"""Table: one lazy Polars frame and the roles of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from tilth.errors import ColumnError, DataError, listed
from tilth.statistics import key_of
from tilth.table.container import Container, enter, enter_column, free_name, rows_agree
from tilth.table.kinds import Kind, kind_of
from tilth.table.target import one_column

ROW = "__row__"
"""The hidden column of row ids: unsigned 64-bit, unique, stable however the rows are partitioned."""

TEXTS = (pl.Categorical, pl.Enum)
"""Types that mix as texts only."""

FACTS = ("file", "format", "width", "height", "mode", "orientation", "bytes", "problem")
"""What is told of each image: its path as it was given, and what `tilth.images.facts` reads in its header."""


@dataclass(frozen=True)
class Roles:
    """Say which columns are not features; each role names one column or is None.

    Parameters
    ----------
    target, weight, group, row_id, split : str, optional
        Columns that are never inputs of a model.
    image : str, optional
        A feature that holds the path of an image.
    annotators : tuple of str
        Columns that each hold one person's labels; never inputs of a model.
    facts : tuple of str
        Columns that tell of the image file, as `FACTS` lists them: carried along, never inputs of a model.
    clean : str, optional
        Labels that were checked, null where nobody did: carried along, never inputs of a model; the bench
        judges by them, too.
    """

    target: str | None = None
    weight: str | None = None
    group: str | None = None
    row_id: str | None = None
    split: str | None = None
    image: str | None = None
    annotators: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    clean: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", tuple(self.facts))
        told = self.annotators
        object.__setattr__(self, "annotators", (told,) if isinstance(told, str) else tuple(told))
        if repeated := {name for name in self.annotators if self.annotators.count(name) > 1}:
            twice = listed(sorted(repeated))
            raise ColumnError(f"annotators: {twice} is named twice. Name each column once.")

    def named(self) -> dict[str, Any]:
        """Return role -> column (annotators, facts -> columns) for the roles that are set."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        return {role: value for role, value in told.items() if value is not None and value != ()}

    def columns(self) -> list[tuple[str, str]]:
        """Return (role, column), once for each column that has a role."""
        named = self.named()
        many = {role: named.pop(role, ()) for role in ("annotators", "facts")}
        return [*named.items(), *((role, column) for role, columns in many.items() for column in columns)]

    @property
    def reserved(self) -> set[str]:
        """Name the columns that are no features."""
        return {column for role, column in self.columns() if role != "image"}


@dataclass(frozen=True)
class Table:
    """Hold rows with everything that belongs to them, so that they cannot come apart.

    Target, weight, group and row id are columns of the same frame: a filter or a concatenation
    moves them all. In floating-point columns NaN means missing, and is null inside.

    Parameters
    ----------
    frame : LazyFrame
        All columns and the hidden row ids (`ROW`).
    roles : Roles
    kinds_declared : mapping of column to kind
        Kinds that the type does not tell: text, image.
    container : Container
        What the rows came in; what they go out in.
    notes : tuple of str
        What reading the rows left out, or found odd: a sentence each.
    """

    frame: pl.LazyFrame
    roles: Roles
    kinds_declared: Mapping[str, Kind]
    container: Container
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        roles: Roles | None = None,
        kinds: Mapping[str, Kind] | None = None,
    ) -> Table:
        """Make a table of what users hold.

        Parameters
        ----------
        X : ndarray, pandas or Polars frame (eager or lazy), pyarrow Table, or Table
        y, sample_weight, groups : array-like of shape (n_rows,), optional
            Matched to `X` by position.
        roles : Roles, optional
            Roles of columns that are already in `X`. Where they name annotators and there is no
            target, an empty one is made, of the annotators' type, for `labels.consensus` to fill.
        kinds : mapping of column to kind, optional

        Raises
        ------
        DataError
            If lengths differ, names repeat, or a column cannot be read.
        """
        if isinstance(X, Table):
            frame, container, roles, notes = X.frame, X.container, roles or X.roles, X.notes
            kinds = {**X.kinds_declared, **(kinds or {})}
        else:
            frame, container = enter(X)
            roles, notes = roles or Roles(), ()
            _check_hidden(frame)
        names = frame.collect_schema().names()
        for role, name in roles.columns():
            if name not in names:
                raise ColumnError.missing([name], [n for n in names if n != ROW], f"Role '{role}'")
        given = {"target": y, "weight": sample_weight, "group": groups}
        added: list[pl.Series] = []
        for role, values in given.items():
            if values is None:
                continue
            column = enter_column(one_column(values) if role == "target" else values, role)
            rows_agree(frame, column, role)
            if role == "weight":
                _check_weights(column)
            column = column.alias(free_name(column.name or role, names))
            names.append(column.name)
            added.append(column)
            roles = replace(roles, **{role: column.name})  # type: ignore[arg-type]
        if added:
            frame = pl.concat([frame, pl.DataFrame(added).lazy()], how="horizontal")
        frame = _missing_is_null(frame)
        if ROW not in names:
            frame = _with_ids(frame, roles.row_id)
        declared = [name for name, kind in (kinds or {}).items() if kind == "image" and name in names]
        if roles.image is None and len(declared) == 1:
            roles = replace(roles, image=declared[0])
        table = cls(frame, roles, dict(kinds or {}), container, notes)
        if roles.annotators and roles.target is None:
            return table.with_empty_target(roles.annotators)
        return table

    @cached_property
    def schema(self) -> pl.Schema:
        """Return names and Polars types of all columns but the hidden one."""
        return pl.Schema({n: t for n, t in self.frame.collect_schema().items() if n != ROW})

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Return the kind of each feature, in order."""
        told: dict[str, Kind] = dict(self.kinds_declared)
        if self.roles.image is not None:
            told[self.roles.image] = "image"
        return {
            name: told.get(name, kind_of(dtype))
            for name, dtype in self.schema.items()
            if name not in self.roles.reserved
        }

    @property
    def features(self) -> list[str]:
        """Name the features, in order."""
        return list(self.kinds)

    @cached_property
    def height(self) -> int:
        """Count the rows."""
        return int(self.frame.select(pl.len()).collect().item())

    def with_frame(self, frame: pl.LazyFrame, roles: Roles | None = None) -> Table:
        """Return the table with other rows or columns; without the image role where its column is gone."""
        roles = roles or self.roles
        if roles.image is not None and roles.image not in frame.collect_schema():
            roles = replace(roles, image=None)
        return replace(self, frame=frame, roles=roles)

    def with_empty_target(self, like: Sequence[str]) -> Table:
        """Return the table with a target without values, of a type that holds those of the columns named."""
        name = free_name("label", self.schema.names())
        columns = [pl.col(c).cast(pl.String) if self.schema[c] in TEXTS else pl.col(c) for c in like]
        frame = self.frame.with_columns(pl.when(False).then(pl.coalesce(columns)).alias(name))
        return self.with_frame(frame, replace(self.roles, target=name))

    def collect(self) -> Table:
        """Return the table with its query carried out and its rows in memory."""
        return self.with_frame(self.frame.collect().lazy())

    def X(self) -> pl.DataFrame:
        """Return the features."""
        return self.frame.select(self.features).collect()

    def role(self, name: str) -> pl.Series | None:
        """Return the column that holds a role, or None."""
        column = getattr(self.roles, name)
        return None if column is None else self.frame.select(column).collect()[column]

    def need(self, role: str, for_what: str) -> pl.Series:
        """Return the column that holds a role, or say that it is needed."""
        column = self.role(role)
        if column is None:
            given = {"target": "y", "weight": "sample_weight", "group": "groups"}.get(role, role)
            raise DataError(
                f"{for_what} requires y to be passed, but the target y is None. Name the target column."
                if role == "target"
                else f"{for_what} needs a {role} column: pass {given}= or name it in the roles."
            )
        return column

    def facts(self) -> pl.DataFrame | None:
        """Return what is told of the image files, by the names of `FACTS`; None where nothing is."""
        told = self.roles.facts
        if len(told) != len(FACTS):
            return None
        named = zip(FACTS, told, strict=True)
        return self.frame.select(pl.col(name).alias(fact) for fact, name in named).collect()

    @property
    def y(self) -> pl.Series | None:
        """Return the target, or None."""
        return self.role("target")

    @property
    def ids(self) -> np.ndarray:
        """Return the row ids, unsigned 64-bit."""
        return self.frame.select(ROW).collect()[ROW].to_numpy()


def _missing_is_null(frame: pl.LazyFrame) -> pl.LazyFrame:
    floats = [name for name, dtype in frame.collect_schema().items() if dtype.is_float()]
    return frame.with_columns(pl.col(floats).fill_nan(None)) if floats else frame


def _check_weights(column: pl.Series) -> None:
    if not column.dtype.is_numeric() and column.dtype != pl.Boolean:
        raise DataError(f"sample_weight must be numbers, not {column.dtype}.")
    weights = column.cast(pl.Float64)
    strange = int((weights.is_null() | ~weights.is_finite() | (weights < 0)).sum())
    if strange:
        raise DataError(
            f"sample_weight: {strange} of {len(weights)} are missing, infinite or negative. Mend them."
        )
    if len(weights) and (weights == 0).all():
        raise DataError("sample_weight: every weight is zero, so no row counts. Pass weights, or none.")


def _check_hidden(frame: pl.LazyFrame) -> None:
    """Refuse a user's own column under the hidden name; ids that came out of a Table may come back."""
    dtype = frame.collect_schema().get(ROW)
    if dtype is None:
        return
    if (
        dtype != pl.UInt64
        or frame.select(pl.col(ROW).is_duplicated().any() | pl.col(ROW).is_null().any()).collect().item()
    ):
        raise DataError(
            f"The column name '{ROW}' is kept for row ids. "
            "Rename the column; to use it as a key, name it as the row_id."
        )


def _with_ids(frame: pl.LazyFrame, key: str | None) -> pl.LazyFrame:
    if key is None:
        return frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(ROW))
    values = frame.select(key).collect()[key]
    repeated = values.filter(values.is_duplicated())
    if len(repeated):
        raise DataError(
            f"Row id column '{key}' repeats {repeated[0]!r} (and {len(repeated) - 1} further cells). "
            "A row id names one row: choose a unique column, or none to use the position."
        )
    ids = pl.Series(ROW, key_of(values.to_list()), dtype=pl.UInt64)
    return pl.concat([frame, pl.DataFrame([ids]).lazy()], how="horizontal")
