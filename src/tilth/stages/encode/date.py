"""Turn dates, moments, times of day and durations into numbers."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import polars as pl
from annotated_types import MinLen
from sklearn.utils.metaestimators import available_if

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import ColumnError, DataError, listed
from tilth.stages.clock import CYCLES, PARTS, Part, at_zone, family, from_parts, moment_of, part, phase
from tilth.statistics import Statistics
from tilth.table.container import free_name

DEFAULT: tuple[Part, ...] = ("year", "month", "day", "weekday", "hour", "days")


class EncodeDate(ColumnStage):
    """Turn each date, moment, time of day or duration into numbers: its parts, days since a day, cycles.

    Learns
        The earliest moment of each column, and which parts are the same in all rows: these are left out.
    New data
        Each column gives way to columns ``<name>_<part>``, in its place: whole numbers as Int32, ``weekend``
        and the starts and ends as 0 and 1, ``days`` as Float64. With cycles, ``<name>_<part>_sin`` and
        ``_cos``. Missing cells are missing in all of them. Weeks begin on Monday, which is weekday 1.
    Training
        Same as new data.
    Weights
        Ignored: the parts of a date do not depend on how much a row counts.
    Cost
        One scan for the earliest moment and the extremes of all parts.
    Scaling
        Exact for any partition.

    Parameters
    ----------
    parts : list of part, optional
        ``year``, ``quarter``, ``month``, ``week`` (ISO), ``weekday``, ``day``, ``dayofyear``, ``hour``,
        ``minute``, ``second``, ``weekend``, ``month_start``, ``month_end``, and ``days`` since the reference,
        with fractions. By default year, month, day, weekday, hour and days. Times of day have hour, minute
        and second only, durations days only.
    cycles : {'none', 'beside', 'instead'}
        Of quarter, month, week, weekday, day, dayofyear, hour, minute and second also, or only, the sine and
        cosine of the place in the cycle, so that December is next to January. A month is as long as it is.
    reference : str, optional
        The day from which days are counted, such as ``2000-01-01``. By default the earliest of the rows
        learned from.
    zone : str, optional
        The clock that is read for moments with a time zone, such as ``Europe/Oslo``; by default the column's
        own. Moments without a zone have one clock only.
    constant : {'drop', 'keep'}
        What happens to parts that are the same in all rows.
    on : selection, optional
        The columns; by default all dates, moments, times of day and durations.

    Findings
        date.constant : parts were the same in all rows, and were left out.
        date.left : no chosen part applies to a column, which was left as it is.

    Raises
        DataError : `reference` is no day, or `zone` no time zone.
        ColumnError : a column of moments is one of times of day in new rows, or the like.

    Source
        Cycles: Fisher, "Statistical Analysis of Circular Data" (1993), section 2. Peer: pandas' ``dt``
        accessor; equal.

    Examples
    --------
    >>> import datetime as dt, polars as pl
    >>> rows = pl.DataFrame({"seen": [dt.date(2020, 2, 28), dt.date(2020, 3, 1), None]})
    >>> EncodeDate(parts=["month", "weekday", "days"]).fit_transform(rows).rows()
    [(2, 5, 0.0), (3, 7, 2.0), (None, None, None)]
    """

    handles: ClassVar = ("datetime",)
    finds: ClassVar = {
        "date.constant": "parts were the same in all rows, and were left out",
        "date.left": "no chosen part applies to a column, which was left as it is",
    }

    def __init__(
        self,
        *,
        parts: Annotated[list[Part], MinLen(1)] | None = None,
        cycles: Literal["none", "beside", "instead"] = "none",
        reference: str | None = None,
        zone: str | None = None,
        constant: Literal["drop", "keep"] = "drop",
        on: Selection = None,
    ) -> None:
        self.parts = parts
        self.cycles = cycles
        self.reference = reference
        self.zone = zone
        self.constant = constant
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"parts": ["year", "month", "day"], "cycles": "beside", "constant": "keep"},
            {"parts": list(PARTS), "cycles": "instead", "reference": "2000-01-01", "zone": "Asia/Kolkata"},
            {"parts": ["hour", "minute", "weekend"], "zone": "UTC"},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the reference of each column, and which parts do not vary."""
        given = self._given()
        wanted = list(dict.fromkeys(DEFAULT if self.parts is None else self.parts))
        schema = statistics.schema
        self.families_ = {c: family(schema[c]) for c in self.columns_}
        self.references_: dict[str, dt.datetime] = {}
        self.same_: dict[str, dict[str, float]] = {}
        self.names_: dict[str, dict[str, str]] = {}
        views = {c: moment_of(pl.col(c), schema[c]).alias(c) for c in self.columns_}
        seen = Statistics([s.select(views.values()) for s in statistics.shards], statistics.id_column)
        lows = dict(zip(self.columns_, seen.extremes(self.columns_).low, strict=True))
        taken = [c for c in schema.names() if c not in self.columns_]
        for name in self.columns_:
            parts = [p for p in wanted if self.families_[name] in PARTS[p]]
            low = lows[name] if given is None else given
            if self.families_[name] == "moment" and low is not None:
                day = low.replace(tzinfo=None) if isinstance(low, dt.datetime) else low
                self.references_[name] = dt.datetime(day.year, day.month, day.day)
            asked = {p: self._part(name, p, schema[name]).cast(pl.Float64).alias(p) for p in parts}
            shards = [s.select(asked.values()) for s in statistics.shards]
            ends = Statistics(shards, statistics.id_column).extremes(parts)
            same = {p: a for p, a, b in zip(parts, ends.low, ends.high, strict=True) if a is None or a == b}
            self.same_[name] = {p: float("nan") if a is None else float(a) for p, a in same.items()}
            self._name(name, parts, taken)

    def _given(self) -> dt.datetime | None:
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (OSError, ValueError, KeyError) as error:
                raise DataError(
                    f"encode.date: zone={self.zone!r} is no time zone. Use a name such as 'Europe/Oslo'."
                ) from error
        if self.reference is None:
            return None
        try:
            return dt.datetime.fromisoformat(self.reference).replace(tzinfo=None)
        except ValueError as error:
            raise DataError(
                f"encode.date: reference={self.reference!r} is no day. Write it as in 2000-01-31."
            ) from error

    def _name(self, name: str, parts: list[Part], taken: list[str]) -> None:
        """Name what a column gives way to: the part, or its sine and cosine, to the column out."""
        if not parts:
            message = (
                f"'{name}' has none of the parts {listed(self.parts or DEFAULT)}, and was left as it is."
            )
            self.report("date.left", message, 1.0, severity="medium", columns=(name,))
            taken.append(name)
            return
        dropped = [p for p in parts if p in self.same_[name] and self.constant == "drop"]
        self.names_[name] = {}
        for each in parts:
            kinds = [""] if self.cycles != "instead" or each not in CYCLES else []
            kinds += ["_sin", "_cos"] if self.cycles != "none" and each in CYCLES else []
            for kind in kinds if each not in dropped else []:
                out = free_name(f"{name}_{each}{kind}", taken)
                self.names_[name][each + kind] = out
                taken.append(out)
        if dropped:
            known = {p: v for p in dropped if (v := self.same_[name][p]) == v}
            told = listed(f"{p} ({v:g})" for p, v in known.items()) if known else listed(dropped)
            of = f"'{name}' has the same {told} in all rows: left out."
            gone = "" if self.names_[name] else " Nothing is left of the column."
            self.report("date.constant", of + gone, len(dropped) / len(parts), columns=(name,))

    def _part(self, name: str, each: Part, dtype: pl.DataType) -> pl.Expr:
        clock = at_zone(pl.col(name), dtype, self.zone)
        if each == "days":
            return part(moment_of(pl.col(name), dtype), "days", self.references_.get(name))
        return part(clock, each)

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace each column by its parts."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        for name, known in self.families_.items():
            if family(schema[name]) != known:
                raise ColumnError.retyped(name, schema[name], f"a {known}", "encode.date")
        return frame.select(e for c in schema.names() for e in self._columns(c, schema[c]))

    def _columns(self, name: str, dtype: pl.DataType) -> list[pl.Expr]:
        if name not in self.names_:
            return [pl.col(name)]
        made = []
        for key, out in self.names_[name].items():
            each: Any = key.removesuffix("_sin").removesuffix("_cos")
            number = self._part(name, each, dtype)
            if key != each:
                angle = phase(number, each, at_zone(pl.col(name), dtype, self.zone))
                number = angle.sin() if key.endswith("_sin") else angle.cos()
            made.append(number.alias(out))
        return made

    @property
    def restores(self) -> Literal["exactly", "nearly"]:  # type: ignore[override]
        """Tell what the inverse gives back: days exactly, moments to a microsecond or their smallest part."""
        exact = all(str(t) == "Date" for t in getattr(self, "types_", {}).values())
        return "exactly" if exact else "nearly"

    @available_if(lambda self: all(map(self._back, getattr(self, "names_", ()))))
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Put the parts together again: days since the reference, or year, month, day and the time."""
        schema = frame.collect_schema()
        back = {c: self._back(c) for c in self.names_}
        made = [
            from_parts(how, self.types_[c], self.references_.get(c), self.zone).alias(c)
            for c, how in back.items()
        ]
        gone = [out for names in self.names_.values() for out in names.values()]
        places = [c for c in schema.names() if c not in gone]
        return frame.select(*made, *(c for c in places if c not in back))

    def _back(self, name: str) -> dict[str, pl.Expr]:
        """Return the parts that a column can be put together of; empty where it cannot."""
        names, same = self.names_[name], self.same_[name]
        if not names:
            return {}
        exists = pl.any_horizontal([pl.col(c).is_not_null() for c in names.values()])
        parts: dict[str, pl.Expr] = {p: pl.col(names[p]) for p in PARTS if p in names}
        given = "days" in parts
        parts |= {p: pl.when(exists).then(v) for p, v in same.items() if p not in names and v == v}
        kind = self.families_[name]
        needed = {"moment": ["year", "month", "day"], "time": ["hour"], "duration": ["days"]}[kind]
        whole = ["days"] if kind != "time" and (given or kind == "duration") else needed
        if not all(p in parts for p in whole):
            return {}
        chosen = whole if whole == ["days"] else [*whole, "hour", "minute", "second"]
        return {p: parts[p] for p in dict.fromkeys(chosen) if p in parts}
