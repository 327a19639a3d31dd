"""Turn what stands for a missing value into a missing value."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any, ClassVar, Literal

import polars as pl

from tilth.core.finding import Finding
from tilth.core.stage import ColumnStage, Selection
from tilth.errors import ColumnError, TilthWarning, listed
from tilth.stages.hidden import TEXTS, Suspect, days, matches, number, plain, strange, sums, words
from tilth.stages.marks import numbers
from tilth.statistics import Statistics
from tilth.table import kind_of, select

SURE = ("hidden.token", "hidden.sentinel", "hidden.date")

Value = int | float | str


class ImputeSentinels(ColumnStage):
    """Make cells missing that hold a word, a number or a day in place of a missing value.

    Learns
        Which values of each column stand for a missing one, by evidence or as given in `values`; and
        which text columns hold numbers apart from them.
    New data
        The same values become missing; rows and order unchanged. A text column that became numbers at
        fit is read as numbers: a word that means "no value" in any case becomes missing, and any other
        text that is no number too, with a `TilthWarning` that names it.
    Training
        Same as new data.
    Weights
        Ignored: what a value stands for does not depend on how much a row counts.
    Cost
        One scan of the texts and the extremes of the numbers; a few more scans for columns where
        something looks strange. Days are counted. No column's different values are held.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    values : dict of column to list, list, or null, optional
        What stands for a missing value: texts, numbers, and days as texts such as ``1900-01-01``. A
        dict gives them per column (or kind, or glob), a list for all columns. Numbers also match texts
        that read as this number, days every moment of the day; spaces around a text do not count. By
        default they are found by evidence.
    evidence : {'sure', 'maybe'}
        Without `values`, what is acted on: 'sure' leaves alone what may be a value as well, such as
        'unknown' among categories, zeros, and days amid the others; these are reported only.
    action : {'null', 'report'}
        Make the cells missing, or only say so.
    numbers : bool
        A text column whose other values are all numbers becomes Float64, if it is named in `values`
        or lost a value. Codes such as '007' are no numbers; categorical types stay what they are.
    on : selection, optional
        The columns; by default all numeric, categorical and datetime ones.

    Findings
        hidden.token : texts such as '?' or 'N/A' stand for missing values.
        hidden.word : a category such as 'unknown' may stand for missing values.
        hidden.sentinel : a number such as -999 or 99999 stands for missing values.
        hidden.zero : zero lies apart from all other values, and may stand for missing ones.
        hidden.date : a day such as 1900-01-01 or 9999-12-31 stands for missing dates.
        hidden.spike : a day such as 1970-01-01 is far more frequent than all others around it.
        hidden.given : cells hold one of the given `values`.
        hidden.absent : no cell of a column holds one of the values given for it.

    Raises
        ColumnError : `values` names a column that is not there.

    Source
        Qahtan et al., "FAHES: a robust disguised missing values detector", KDD 2018, for the idea of
        telling them by their place in the distribution.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"age": ["31", "?", "57", "999"], "city": ["Oslo", "-", "Rome", "Lima"]})
    >>> ImputeSentinels(values={"age": ["?", 999], "city": ["-"]}).fit_transform(rows).rows()
    [(31.0, 'Oslo'), (None, None), (57.0, 'Rome'), (None, 'Lima')]
    >>> ImputeSentinels().fit_transform(rows).rows()
    [(31.0, 'Oslo'), (None, None), (57.0, 'Rome'), (999.0, 'Lima')]
    """

    handles: ClassVar = ("numeric", "categorical", "datetime")
    finds: ClassVar = {
        "hidden.token": "texts such as '?' or 'N/A' stand for missing values",
        "hidden.word": "a category such as 'unknown' may stand for missing values",
        "hidden.sentinel": "a number such as -999 or 99999 stands for missing values",
        "hidden.zero": "zero lies apart from all other values, and may stand for missing ones",
        "hidden.date": "a day such as 1900-01-01 or 9999-12-31 stands for missing dates",
        "hidden.spike": "a day such as 1970-01-01 is far more frequent than all others around it",
        "hidden.given": "cells hold a value that was given as standing for a missing one",
        "hidden.absent": "no cell of a column holds one of the values given for it",
    }
    partial: ClassVar = True

    def __init__(
        self,
        *,
        values: dict[str, list[Value]] | list[Value] | None = None,
        evidence: Literal["sure", "maybe"] = "sure",
        action: Literal["null", "report"] = "null",
        numbers: bool = True,
        on: Selection = None,
    ) -> None:
        self.values = values
        self.evidence = evidence
        self.action = action
        self.numbers = numbers
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"evidence": "maybe", "action": "report"},
            {"values": {"numeric": [7.5, -5], "categorical": ["Rom", "mid"], "datetime": ["2020-05-01"]}},
            {"values": ["a", "low", 3, "2021-01-01"], "numbers": False},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which values stand for a missing one, and count the cells that hold them."""
        rows, schema = statistics.rows, statistics.schema
        given = self._given(schema)
        if given is None:
            found = list(_suspects(statistics, self.columns_, rows))
            acted: dict[str, list[Any]] = {}
            for suspect in found:
                self._tell(suspect, statistics, rows)
                if self.evidence == "maybe" or suspect.kind in SURE:
                    acted.setdefault(suspect.column, []).extend(suspect.values)
        else:
            acted = {c: list(dict.fromkeys(vs)) for c, vs in given.items() if vs}
        masks = {c: matches(c, schema[c], vs) for c, vs in acted.items()}
        cells = dict(zip(masks, sums(statistics, list(masks.values())), strict=True))
        if given is not None:
            self._tell_given(acted, cells, statistics, rows)
        self.values_: dict[str, list[Any]] = acted
        self.cells_ = dict(cells) if self.acts else {}
        self.numbers_ = self._become_numbers(statistics, masks, cells) if self.numbers else []

    def _given(self, schema: pl.Schema) -> dict[str, list[Any]] | None:
        """Resolve `values` over the columns; None: look for evidence."""
        if self.values is None:
            return None
        if not isinstance(self.values, dict):
            return dict.fromkeys(self.columns_, self.values)
        kinds = {c: kind_of(schema[c]) for c in self.schema_}
        given: dict[str, list[Any]] = {}
        for key, values in self.values.items():
            try:
                known = key in kinds and kinds[key] in self.handles
                chosen = [key] if known else select(key, kinds, self.handles)
            except ColumnError as error:
                error.add_note("In stage impute.sentinels, parameter 'values'.")
                raise
            for name in chosen:
                if name in self.columns_:
                    given[name] = [*given.get(name, []), *values]
        return given

    def _become_numbers(
        self, statistics: Statistics, masks: dict[str, pl.Expr], cells: dict[str, int]
    ) -> list[str]:
        """Name the text columns in which everything but the sentinels is a number."""
        named = isinstance(self.values, dict)
        texts = [c for c in masks if statistics.schema[c] == pl.String and (named or cells[c])]
        asked: list[pl.Expr] = []
        for name in texts:
            kept = ~masks[name] & pl.col(name).is_not_null()
            asked += [kept, kept & number(plain(pl.col(name))).is_not_null()]
        counted = sums(statistics, asked)
        pairs = zip(texts, counted[::2], counted[1::2], strict=True)
        return [name for name, left, read in pairs if 0 < left == read]

    def _tell(self, suspect: Suspect, statistics: Statistics, rows: int) -> None:
        ids = _ids(statistics, matches(suspect.column, statistics.schema[suspect.column], suspect.values))
        self.report(
            suspect.kind,
            suspect.message,
            suspect.count / rows,
            severity=suspect.severity,
            columns=(suspect.column,),
            rows=ids,
            n_rows=suspect.count,
            remedy={"impute.sentinels": {"values": {suspect.column: list(suspect.values)}}},
        )

    def _tell_given(
        self, given: dict[str, list[Any]], cells: dict[str, int], statistics: Statistics, rows: int
    ) -> None:
        for name, values in given.items():
            count, told = cells[name], listed((repr(v) for v in values), 4)
            remedy = {"impute.sentinels": {"values": {name: values}}}
            if count:
                message = f"'{name}' has {told} in {count} of {rows} cells ({count / rows:.1%}), as given."
                ids = _ids(statistics, matches(name, statistics.schema[name], values))
                more = {"columns": (name,), "rows": ids, "n_rows": count, "remedy": remedy}
                self.report("hidden.given", message, count / rows, severity="low", **more)
            elif isinstance(self.values, dict) and name in self.values:
                message = f"'{name}' has {told} in none of {rows} cells: is the value spelled as in the data?"
                self.report("hidden.absent", message, 0.0, columns=(name,))

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Make the cells missing, and texts numbers."""
        if not self.acts:
            return frame
        schema = frame.collect_schema()
        held = {
            name: pl.when(~matches(name, schema[name], values)).then(pl.col(name)).alias(name)
            for name, values in self.values_.items()
        }
        frame = frame.with_columns(held.values()) if held else frame
        read = [
            plain(pl.col(name)).map_batches(_reader(name), return_dtype=pl.Float64, is_elementwise=True)
            for name in self.numbers_
        ]
        return frame.with_columns(read) if read else frame


def _suspects(statistics: Statistics, columns: Sequence[str], rows: int) -> Iterator[Suspect]:
    schema = statistics.schema
    of_texts = list(words(statistics, [c for c in columns if schema[c] in TEXTS], rows))
    yield from of_texts
    views: dict[str, pl.Expr] = {}
    for name in columns:
        column, dtype = pl.col(name), schema[name]
        if dtype.is_float() or dtype.is_decimal():
            # Infinity is a trouble of its own, and would be the end of every column that holds it.
            column = column.cast(pl.Float64) if dtype.is_decimal() else column
            views[name] = pl.when(column.is_finite()).then(column)
        elif dtype.is_integer():
            views[name] = column
    for suspect in of_texts:
        if suspect.severity == "high":
            # What hides among numbers behind a '?' is looked at as what it is: ages with a gap, not words.
            text = plain(pl.col(suspect.column))
            views[suspect.column] = number(pl.when(~text.is_in(suspect.values)).then(text))
    yield from numbers(statistics, views, rows)
    for name in columns:
        if schema[name] in (pl.Date, pl.Datetime):
            yield from days(statistics, name, rows)


def _ids(statistics: Statistics, mask: pl.Expr) -> tuple[int, ...]:
    """Return the smallest ids of the rows where `mask` holds, as many as a finding shows."""
    row, most = pl.col(statistics.id_column), Finding.ROWS_SHOWN
    parts = [s.filter(mask).select(row.bottom_k(most)).collect().to_series() for s in statistics.shards]
    return tuple(sorted(int(i) for part in parts for i in part)[:most])


def _reader(name: str) -> Callable[[pl.Series], pl.Series]:
    """Return what reads texts as numbers, and says once that some are none that should be."""
    told: list[str] = []
    lock = Lock()  # parts of a column are read side by side

    def read(text: pl.Series) -> pl.Series:
        found = text.cast(pl.Float64, strict=False)
        lost = text.filter(found.is_null() & text.is_not_null())
        odd = lost.to_frame("text").filter(~strange(pl.col("text")))["text"]
        with lock:
            first = len(odd) > 0 and not told
            told.extend(odd.head(1))
        if first:
            warnings.warn(
                f"impute.sentinels: '{name}' was numbers at fit, and new cells hold other texts, such as "
                f"{told[0]!r}: they became missing. Mend them, or name them in `values`.",
                TilthWarning,
                stacklevel=2,
            )
        return found

    return read
