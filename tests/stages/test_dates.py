"""How days are written: every date that is written is read, as what it is, and nothing else is."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.stages.dates import FORMS, dates, is_timed, is_zoned, moment


def texts(*values: str) -> pl.DataFrame:
    return pl.DataFrame({"value": values}).with_columns(
        pl.lit(1).alias("count"), pl.col("value").str.to_lowercase().alias("plain")
    )


def read(value: str, first="day", *, strict=True) -> dt.datetime | None:
    return texts(value).select(moment(pl.col("plain"), list(FORMS), first, strict=strict)).item()


@given(st.lists(st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)), min_size=1, max_size=30), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_date_that_is_written_is_read(days: list[dt.date], month_first: bool) -> None:
    way = "%m/%d/%Y" if month_first else "%d.%m.%Y"
    written = texts(*sorted({day.strftime(way) for day in days}))
    found = dates(written)
    assert found.mask.all()
    assert found.forms == ("dmy",)
    assert sum(count for _, _, count in found.formats) == written.height
    surely = {"month/day/year"} if month_first else {"day/month/year"}
    assert {name for name, _, _ in found.formats} <= surely | {"day or month first"}


WAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d %b %Y", "%d-%B-%Y", "%b %d, %Y", "%A, %d %B %Y")


@given(
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2069, 12, 31)).map(
        lambda at: at.replace(microsecond=0)
    ),
    st.sampled_from(WAYS),
    st.sampled_from(["", "T%H:%M:%S", " %H:%M", " %I:%M:%S %p", "T%H:%M:%SZ", " %H:%M:%S+02:00"]),
)
@settings(max_examples=150, deadline=None)
def test_a_moment_is_what_was_written(at: dt.datetime, way: str, clock: str) -> None:
    if way == "%Y%m%d":
        clock = ""
    text = at.strftime(way + clock)
    kept = {"second": at.second if "%S" in clock else 0, "hour": at.hour if clock else 0}
    wanted = at.replace(minute=at.minute if clock else 0, **kept)
    wanted -= dt.timedelta(hours=2) * ("+02:00" in clock)
    assert read(text) == wanted
    one = texts(text)
    assert one.select(is_timed(pl.col("plain"))).item() == bool(clock)
    assert one.select(is_zoned(pl.col("plain"))).item() == ("Z" in clock or "+" in clock)


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), st.integers(-840, 840))
@settings(max_examples=60, deadline=None)
def test_iso_moments_are_read_as_pandas_reads_them(at: dt.datetime, minutes: int) -> None:
    text = at.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes))).isoformat()
    assert read(text) == pd.Timestamp(text).tz_convert("UTC").tz_localize(None).to_pydatetime()


def test_the_order_that_is_asked_for_is_kept_and_the_other_read_only_if_allowed() -> None:
    assert read("03/04/2021") == dt.datetime(2021, 4, 3)
    assert read("03/04/2021", "month") == dt.datetime(2021, 3, 4)
    assert read("25/12/2021", "month") is None
    assert read("25/12/2021", "month", strict=False) == dt.datetime(2021, 12, 25)


@pytest.mark.parametrize(("text", "wanted"), [("1.2.69", 2069), ("1.2.70", 1970), ("1 Feb 07", 2007)])
def test_years_of_two_digits_lie_between_1970_and_2069(text: str, wanted: int) -> None:
    assert read(text) == dt.datetime(wanted, 2, 1)


def test_a_month_without_a_day_is_its_first() -> None:
    assert read("Dec-2014") == read("december 2014") == dt.datetime(2014, 12, 1)
    assert read("Sept. 3, 2020") == dt.datetime(2020, 9, 3)


@pytest.mark.parametrize(
    "text",
    [
        "2021-02-30",
        "31/31/2021",
        "2021-13-01",
        "2020-01-01 25:00",
        "2020-01-01 13:00 pm",
        "2020-01-01 10:61",
        "1/2",
        "192.168.1.1",
        "2020",
        "may",
    ],
)
def test_what_does_not_exist_or_is_no_date_is_not_read(text: str) -> None:
    assert read(text) is None
    assert not dates(texts(text)).mask.any()


def test_forms_tell_which_came_first_by_what_settles_it() -> None:
    found = dates(texts("25/01/2021", "01/26/2021", "03/04/2021"))
    assert {name: count for name, _, count in found.formats} == {
        "day/month/year": 1,
        "month/day/year": 1,
        "day or month first": 1,
    }
