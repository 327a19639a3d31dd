"""The parts of dates, moments, times of day and durations, as expressions, and dates put together of them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import polars as pl

Part = Literal[
    "year", "quarter", "month", "week", "weekday", "day", "dayofyear", "hour", "minute", "second", "weekend",
    "month_start", "month_end", "days",
]  # fmt: skip
Family = Literal["moment", "time", "duration"]

_CLOCK = ("hour", "minute", "second")
PARTS: dict[Part, tuple[Family, ...]] = {
    p: ("moment", "time") if p in _CLOCK else ("moment", "duration") if p == "days" else ("moment",)
    for p in get_args(Part)
}
"""The families of columns that have each part."""

CYCLES: dict[str, float] = {
    "quarter": 4, "month": 12, "week": 53, "weekday": 7, "day": 31, "dayofyear": 366, "hour": 24,
    "minute": 60, "second": 60,
}  # fmt: skip
"""How many places each cycle has at most; days are counted against their own month and year."""

_MICRO_PER_DAY = 86_400_000_000


def family(dtype: pl.DataType) -> Family:
    """Tell what a temporal type is: a day or moment, a time of day, or a duration."""
    return "time" if dtype == pl.Time else "duration" if dtype == pl.Duration else "moment"


def moment_of(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return days and moments in microseconds, in UTC where they have a zone; other columns as they are."""
    if family(dtype) != "moment":
        return column
    moment = column.dt.convert_time_zone("UTC") if getattr(dtype, "time_zone", None) else column
    return (moment.dt.replace_time_zone(None) if dtype == pl.Datetime else moment).cast(pl.Datetime("us"))


def at_zone(column: pl.Expr, dtype: pl.DataType, zone: str | None) -> pl.Expr:
    """Return days and moments as the clock of a zone shows them, without the zone; times as they are."""
    if family(dtype) != "moment":
        return column
    if getattr(dtype, "time_zone", None):
        column = column.dt.convert_time_zone(zone) if zone else column
        column = column.dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us"))


def part(clock: pl.Expr, name: Part, reference: dt.datetime | None = None) -> pl.Expr:
    """Return one part: Int32, UInt8 for what is 0 or 1, Float64 for days.

    Parameters
    ----------
    clock : Expr
        Moments as `at_zone` gives them (for days, as `moment_of` does), times or durations.
    name : str
    reference : datetime, optional
        From when days are counted; without one, of a column without values, all are missing.
    """
    at = clock.dt
    if name == "days":
        since = clock if reference is None else clock - pl.lit(reference, pl.Datetime("us"))
        return since.cast(pl.Duration("us"), strict=False).dt.total_microseconds() / _MICRO_PER_DAY
    if name in ("weekend", "month_start", "month_end"):
        told = {
            "weekend": at.weekday() > 5,
            "month_start": at.day() == 1,
            "month_end": at.day() == at.days_in_month(),
        }
        return told[name].cast(pl.UInt8)
    read = {
        "year": at.year, "quarter": at.quarter, "month": at.month, "week": at.week, "weekday": at.weekday,
        "day": at.day, "dayofyear": at.ordinal_day, "hour": at.hour, "minute": at.minute, "second": at.second,
    }  # fmt: skip
    return read[name]().cast(pl.Int32)


def phase(number: pl.Expr, name: str, clock: pl.Expr) -> pl.Expr:
    """Return the place of a part in its cycle, as an angle from 0."""
    length: Any = CYCLES[name]
    if name == "day":
        length = clock.dt.days_in_month()
    if name == "dayofyear":
        length = 365 + clock.dt.is_leap_year().cast(pl.Int32)
    first = 0 if name in _CLOCK else 1
    return (number - first) * (2 * math.pi) / length


def from_parts(
    parts: Mapping[str, pl.Expr], dtype: pl.DataType, reference: dt.datetime | None, zone: str | None
) -> pl.Expr:
    """Put a column together of its days, or of year, month, day, hour, minute and second as far as known.

    Parameters
    ----------
    zone : str, optional
        The zone of the clock that the parts are of, where it is not the column's own.
    """
    kind = family(dtype)
    if "days" in parts:
        micro = (
            (parts["days"].cast(pl.Float64) * _MICRO_PER_DAY).round().cast(pl.Int64).cast(pl.Duration("us"))
        )
        if kind == "duration":
            return micro.cast(dtype)
        moment = pl.lit(reference, pl.Datetime("us")) + micro
        return _typed(moment, dtype, "UTC")
    whole = {p: e.cast(pl.Float64).round().cast(pl.Int64) for p, e in parts.items()}
    if kind == "time":
        zero = whole["hour"] * 0
        seconds = (whole["hour"] * 60 + whole.get("minute", zero)) * 60 + whole.get("second", zero)
        return (seconds * 1_000_000_000).cast(pl.Time)
    # Days are added to the first of the month, so that numbers which are none of it are no error.
    first = pl.date(whole["year"], whole["month"].clip(1, 12), 1).cast(pl.Datetime("us"))
    hours = whole.get("hour", pl.lit(0)) * 3600
    seconds = (
        (whole["day"] - 1) * 86400
        + hours
        + whole.get("minute", pl.lit(0)) * 60
        + whole.get("second", pl.lit(0))
    )
    return _typed(first + (seconds * 1_000_000).cast(pl.Duration("us")), dtype, zone)


def _typed(moment: pl.Expr, dtype: pl.DataType, zone: str | None) -> pl.Expr:
    own = getattr(dtype, "time_zone", None)
    if own is None:
        return moment.cast(dtype)
    # An hour that is skipped when clocks change has no moment; of one that comes twice, the first is taken.
    known = moment.dt.replace_time_zone(zone or own, ambiguous="earliest", non_existent="null")
    return known.dt.convert_time_zone(own).cast(dtype)
