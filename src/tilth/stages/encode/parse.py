"""Read numbers, dates and truth values that are written as text."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from threading import Lock
from typing import Annotated, Any, ClassVar, Literal, get_args

import polars as pl
from annotated_types import Gt, Le, MinLen

from tilth.core.finding import Finding
from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError, TilthWarning, listed
from tilth.stages.hidden import strange
from tilth.stages.written import Ways, What, Written, plain_of, read, text_of, type_of, written
from tilth.statistics import Statistics

MOST_LOST = 1000
"""Unreadable texts that are kept of the rows learned from: about others in new rows a warning is given."""

LEFT = 0.5
"""From this readable share on it is told that a column was left as it is."""


class EncodeParse(ColumnStage):
    """Turn text columns that hold numbers, dates or truth values into such columns.

    Numbers may come with marks of thousands (``1,200``, ``1.200``, ``1 200``, ``1'200``), a decimal comma,
    a sign or code of money, a percent sign, brackets for negatives, and units behind them: masses, lengths,
    times, volumes and the like are brought to the most frequent unit, and ``k``, ``m``, ``bn`` are
    multiplied. Codes such as ``007`` are no numbers. Dates are read with year, month name, day or month
    first, with or without a time and its zone. Years of two digits lie in 1970 to 2069.

    Learns
        Which columns can be read, what their texts are, and in which way they are read: decimal mark,
        units, the order of day and month, as other cells of the column settle it.
    New data
        Columns become Float64 (Int64 with `whole`), Date, Datetime or Boolean; moments that come with zones
        are moments in UTC. Read in the way that was learned. Words that say there is no value, such as
        ``N/A``, become missing. What else cannot be read becomes missing with a `TilthWarning`, unless the
        same text was there at fit.
    Training
        Same as new data.
    Weights
        Ignored: what a text says does not depend on how much a row counts.
    Cost
        One scan of all texts; then different values are counted of the columns in which enough cells hold
        a digit or a truth value, and each is matched against some patterns.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    what : list of {'numbers', 'dates', 'booleans'}, optional
        What is looked for, by default all three. Truth values are ways of writing yes and no, and nothing
        else in the column.
    least_share : float, in (0, 1]
        A column is taken if at least this share of its cells with a value can be read.
    unreadable : {'missing', 'error'}
        What cells that cannot be read become, in columns that are taken.
    decimal : {'auto', 'point', 'comma'}
        The decimal mark. 'auto': what other cells of the column settle; the point where none does, so that
        ``1,234`` is in thousands.
    order : {'auto', 'day_first', 'month_first'}
        Whether 03/04/2021 is in April or in March. 'auto': what other cells settle; day first where none
        does, and a finding says so.
    percent : {'number', 'share'}
        5% is 5, or 0.05.
    whole : bool
        Columns of whole numbers become Int64, not Float64; a new cell with a fraction cannot be read then.
    on : selection, optional
        The columns; by default all of texts. Columns of a categorical type, and whole numbers that are days
        (20210304), are taken if they are named.

    Findings
        parse.numbers : a column of numbers was read.
        parse.dates : a column of dates was read.
        parse.booleans : a column of truth values was read.
        parse.unreadable : cells of a column that was read could not be, and are missing now.
        parse.ambiguous : cells could be read in another way too, and nothing settles it.
        parse.left : many cells of a column can be read, but too few.

    Raises
        DataError : with unreadable='error', a cell cannot be read.

    Source
        The formats are those of RFC 3339, RFC 2822 and the locales of CLDR. Peers: pandas' ``to_datetime``
        and ``to_numeric``, equal where they read the same text.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"price": ["$1,200.50", "$3", "N/A"], "day": ["25/01/2021", "03/02/2021", None]})
    >>> EncodeParse().fit_transform(rows).rows()
    [(1200.5, datetime.date(2021, 1, 25)), (3.0, datetime.date(2021, 2, 3)), (None, None)]
    """

    handles: ClassVar = ("categorical", "numeric")
    takes: ClassVar = ("categorical",)
    finds: ClassVar = {
        "parse.numbers": "a column of numbers was read",
        "parse.dates": "a column of dates was read",
        "parse.booleans": "a column of truth values was read",
        "parse.unreadable": "cells of a column that was read could not be, and are missing now",
        "parse.ambiguous": "cells could be read in another way too, and nothing settles it",
        "parse.left": "many cells of a column can be read, but too few",
    }

    def __init__(
        self,
        *,
        what: Annotated[list[What], MinLen(1)] | None = None,
        least_share: Annotated[float, Gt(0), Le(1)] = 0.9,
        unreadable: Literal["missing", "error"] = "missing",
        decimal: Literal["auto", "point", "comma"] = "auto",
        order: Literal["auto", "day_first", "month_first"] = "auto",
        percent: Literal["number", "share"] = "number",
        whole: bool = False,
        on: Selection = None,
    ) -> None:
        self.what = what
        self.least_share = least_share
        self.unreadable = unreadable
        self.decimal = decimal
        self.order = order
        self.percent = percent
        self.whole = whole
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"what": ["numbers"], "decimal": "comma", "whole": True, "percent": "share"},
            {"what": ["dates", "booleans"], "order": "month_first", "least_share": 0.5},
            {"unreadable": "error", "on": "categorical"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn which columns can be read, and how; tell what was read."""
        # A category type is a person's word that these are categories.
        asked = [c for c in self.columns_ if self.on is not None or statistics.schema[c] == pl.String]
        ways = Ways(self.what or get_args(What), self.decimal, self.order, self.percent, self.whole)
        told = written(statistics, asked, ways, min(self.least_share, LEFT))
        found = {c: one for c, one in told.items() if one.share >= self.least_share}
        self.ways_: dict[str, dict[str, Any]] = {c: one.way for c, one in found.items()}
        self.lost_: dict[str, list[str]] = {c: list(one.lost[:MOST_LOST]) for c, one in found.items()}
        for name, one in told.items():
            if name in found:
                self._tell(name, one, statistics)
            else:
                self._tell_left(name, one)

    def _tell(self, name: str, one: Written, statistics: Statistics) -> None:
        formats = f" with {' and '.join(one.formats)}" if one.formats and one.what == "numbers" else ""
        formats = f": {', '.join(one.formats)}" if one.what == "dates" else formats
        message = (
            f"'{name}' was read as {one.what}, {one.read} of {one.filled} cells, such as "
            f"{', '.join(map(repr, one.examples))}{formats}."
        )
        message += f" {one.gaps} cells say that there is no value." if one.gaps else ""
        self.report(f"parse.{one.what}", message, one.share, columns=(name,), n_rows=one.read)
        if one.open:
            shown = (
                "1,234 is read as in thousands"
                if one.way.get("decimal") == "point"
                else "1,234 is read as 1.234"
            )
            other: dict[str, Any] = {"decimal": "comma" if one.way.get("decimal") == "point" else "point"}
            if one.what == "dates":
                first = one.way["first"]
                shown = f"of day and month the {first} is read as the first"
                other = {"order": "month_first" if first == "day" else "day_first"}
            self.report(
                "parse.ambiguous",
                f"'{name}': {one.open} of {one.filled} cells can be read in two ways; {shown}. Set "
                f"{next(iter(other))!r} if that is wrong.",
                one.open / one.filled,
                severity="medium",
                columns=(name,),
                n_rows=one.open,
                remedy={"encode.parse": {"on": [name], **other}},
            )
        if one.lost:
            self._tell_lost(name, one, statistics)

    def _tell_lost(self, name: str, one: Written, statistics: Statistics) -> None:
        count = one.filled - one.gaps - one.read
        words = listed(map(repr, one.lost), 4)
        if self.unreadable == "error":
            raise DataError(
                f"encode.parse: {count} of {one.filled} cells of '{name}' are no {one.what}: {words}. Mend "
                "them, use unreadable='missing', or leave the column out with `on`."
            )
        text = text_of(name, statistics.schema[name])
        bad = text.is_not_null() & read(text, one.way).is_null() & ~strange(text)
        row, most = pl.col(statistics.id_column), Finding.ROWS_SHOWN
        parts = [s.filter(bad).select(row.bottom_k(most)).collect().to_series() for s in statistics.shards]
        self.report(
            "parse.unreadable",
            f"'{name}': {count} of {one.filled} cells are no {one.what} and became missing: {words}.",
            count / one.filled,
            severity="medium",
            columns=(name,),
            rows=tuple(sorted(int(i) for part in parts for i in part)[:most]),
            n_rows=count,
        )

    def _tell_left(self, name: str, one: Written) -> None:
        words = listed(map(repr, one.lost), 4)
        self.report(
            "parse.left",
            f"'{name}' was left as text: {one.share:.1%} of its cells can be read as {one.what}, the "
            f"others not: {words}.",
            one.share,
            columns=(name,),
            n_rows=one.read,
            remedy={"encode.parse": {"on": [name], "least_share": round(one.share - 0.005, 2)}},
        )

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Read the columns."""
        if not self.ways_:
            return frame
        schema = frame.collect_schema()
        made = []
        for name, way in self.ways_.items():
            text = plain_of(name, schema[name])
            if text is None:
                text = pl.col(name).cast(pl.String)
            reader = self._reader(name)
            made.append(text.map_batches(reader, return_dtype=type_of(way), is_elementwise=True).alias(name))
        return frame.with_columns(made)

    def _reader(self, name: str) -> Callable[[pl.Series], pl.Series]:
        """Return what reads texts, and says once that some cannot be read that should be."""
        way, known = self.ways_[name], self.lost_[name]
        known = [text.strip().lower() for text in known]
        told: list[str] = []
        lock = Lock()  # parts of a column are read side by side

        def act(text: pl.Series) -> pl.Series:
            cells = text.to_frame("text")
            made = cells.select(read(pl.col("text"), way)).to_series()
            if made.null_count() == text.null_count():
                return made
            odd = cells.filter(made.is_null() & text.is_not_null() & ~text.is_in(known))
            texts = odd.filter(~strange(pl.col("text")))["text"].unique().sort().to_list()
            if not texts:
                return made
            words = listed(map(repr, texts), 4)
            if self.unreadable == "error":
                raise DataError(
                    f"encode.parse: '{name}' was read as {way['what']} at fit, and cells hold {words}. Mend "
                    "them, use unreadable='missing', or fit again."
                )
            with lock:
                first = not told
                told.append(words)
            if first:
                warnings.warn(
                    f"encode.parse: '{name}' was read as {way['what']} at fit, and new cells hold {words}: "
                    "they became missing.",
                    TilthWarning,
                    stacklevel=2,
                )
            return made

        return act
