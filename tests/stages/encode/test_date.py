"""Dates as numbers: the parts that pandas tells, cycles that close, and dates put together again."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilth
from tilth import EncodeDate
from tilth.errors import ColumnError, DataError
from tilth.stages.clock import CYCLES, PARTS

MOMENTS = [
    dt.datetime(2020, 2, 29, 23, 59, 58),
    dt.datetime(2021, 12, 31, 0, 0, 1),
    dt.datetime(1969, 7, 20, 20, 17, 40),
    dt.datetime(2024, 9, 1, 6, 30),
]
ROWS = pl.DataFrame({"at": [*MOMENTS, None]})


def test_parts_are_those_that_pandas_tells():
    at = ROWS["at"].to_pandas()
    out = EncodeDate(parts=list(PARTS), constant="keep", reference="2000-01-01").fit_transform(ROWS)
    wanted = {
        "week": at.dt.isocalendar().week,
        "weekday": at.dt.day_of_week + 1,
        "dayofyear": at.dt.day_of_year,
        "weekend": (at.dt.day_of_week > 4).where(at.notna()),
        "month_start": at.dt.is_month_start.where(at.notna()),
        "month_end": at.dt.is_month_end.where(at.notna()),
        "days": (at - np.datetime64("2000-01-01")) / np.timedelta64(1, "D"),
    }
    for part in PARTS:
        told = wanted[part] if part in wanted else getattr(at.dt, part)
        np.testing.assert_allclose(
            out[f"at_{part}"].cast(pl.Float64).to_numpy(), told.astype(float), rtol=1e-12, err_msg=part
        )
    assert out.columns == [f"at_{part}" for part in PARTS]


def test_cycles_close_and_have_length_one():
    days = pl.DataFrame({"d": pl.date_range(dt.date(2020, 1, 1), dt.date(2021, 12, 31), eager=True)})
    out = EncodeDate(parts=["month", "weekday", "day", "dayofyear"], cycles="instead").fit_transform(days)
    assert out.columns == [
        f"d_{p}_{f}" for p in ("month", "weekday", "day", "dayofyear") for f in ("sin", "cos")
    ]
    for part in ("month", "weekday", "day", "dayofyear"):
        x, y = out[f"d_{part}_sin"].to_numpy(), out[f"d_{part}_cos"].to_numpy()
        np.testing.assert_allclose(x**2 + y**2, 1)
        # One place is as far from the next as the last is from the first.
        steps = np.hypot(np.diff(x), np.diff(y))
        assert steps.max() < 2.001 * np.sin(
            np.pi / {"month": 12, "weekday": 7, "day": 28, "dayofyear": 365}[part]
        )


def test_cycles_stand_beside_or_instead():
    one = EncodeDate(parts=["year", "month"], cycles="beside").fit(ROWS)
    assert list(one.get_feature_names_out()) == ["at_year", "at_month", "at_month_sin", "at_month_cos"]
    two = EncodeDate(parts=["year", "month"], cycles="instead").fit(ROWS)
    assert list(two.get_feature_names_out()) == ["at_year", "at_month_sin", "at_month_cos"]
    assert set(CYCLES) < set(PARTS)


def test_parts_that_do_not_vary_are_left_out_and_told():
    days = pl.DataFrame({"d": [dt.date(2020, 1, 1), dt.date(2020, 3, 4), None]})
    stage = EncodeDate().fit(days)
    assert stage.transform(days).columns == ["d_month", "d_day", "d_days"]
    (found,) = stage.findings_
    assert found.message == "'d' has the same year (2020), weekday (3), hour (0) in all rows: left out."
    kept = EncodeDate(constant="keep").fit(days)
    assert len(kept.transform(days).columns) == 6 and not kept.findings_
    one = EncodeDate().fit(days.head(1))
    assert one.transform(days).columns == []
    assert "Nothing is left" in one.findings_[0].message


def test_days_are_counted_from_the_earliest_or_the_day_given():
    days = pl.DataFrame({"d": [dt.date(2020, 1, 11), dt.date(2020, 1, 1)]})
    assert EncodeDate(parts=["days"]).fit_transform(days)["d_days"].to_list() == [10.0, 0.0]
    given = EncodeDate(parts=["days"], reference="2019-12-31").fit(days)
    assert given.transform(days)["d_days"].to_list() == [11.0, 1.0]
    assert given.transform(days)["d_days"].dtype == pl.Float64


def test_times_have_clocks_and_durations_have_days():
    rows = pl.DataFrame(
        {
            "t": [dt.time(1, 30, 5), dt.time(23), None],
            "long": [dt.timedelta(days=1, hours=12), None, dt.timedelta(0)],
        }
    )
    out = EncodeDate(parts=["year", "hour", "minute", "days"]).fit_transform(rows)
    assert out.to_dict(as_series=False) == {
        "t_hour": [1, 23, None],
        "t_minute": [30, 0, None],
        "long_days": [1.5, None, 0.0],
    }
    stage = EncodeDate(parts=["year"]).fit(rows)
    assert stage.transform(rows).equals(rows)
    assert {f.kind for f in stage.findings_} == {"date.left"}


def test_the_clock_is_that_of_the_zone():
    rows = pl.DataFrame({"at": MOMENTS}).with_columns(pl.col("at").dt.replace_time_zone("UTC").alias("zoned"))
    hours = {
        zone: EncodeDate(parts=["hour"], zone=zone, on=["zoned"]).fit_transform(rows)["zoned_hour"].to_list()
        for zone in (None, "Asia/Kolkata", "America/New_York")
    }
    assert hours[None] == [23, 0, 20, 6]
    assert hours["Asia/Kolkata"] == [5, 5, 1, 12]
    assert hours["America/New_York"] == [18, 19, 16, 2]
    naive = EncodeDate(parts=["hour"], zone="Asia/Kolkata").fit_transform(rows.select("at"))
    assert naive["at_hour"].to_list() == hours[None]
    days = EncodeDate(parts=["days"], zone="Asia/Kolkata", reference="2020-01-01").fit_transform(rows)
    assert days["at_days"].to_list() == days["zoned_days"].to_list()


@given(
    st.lists(st.none() | st.dates(dt.date(1, 1, 2), dt.date(9999, 12, 30)), min_size=1, max_size=20),
    st.sampled_from(
        [["days"], ["year", "month", "day"], ["day", "year", "month", "weekday"], ["hour", "days"]]
    ),
    st.sampled_from(["drop", "keep"]),
)
@settings(max_examples=80, deadline=None)
def test_dates_are_put_together_again(days, parts, constant):
    rows = pl.DataFrame({"d": pl.Series(days, dtype=pl.Date), "x": range(len(days))})
    stage = EncodeDate(parts=parts, constant=constant).fit(rows)
    if not hasattr(stage, "inverse_transform"):
        assert constant == "drop" and len(set(days) - {None}) < 2
        return
    assert stage.restores == "exactly"
    assert stage.inverse_transform(stage.transform(rows)).equals(rows)


@given(
    st.lists(
        st.none() | st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)), min_size=1, max_size=20
    ),
    st.sampled_from([None, "Asia/Kolkata"]),
    st.sampled_from(["", "UTC", "Pacific/Auckland"]),
)
@settings(max_examples=80, deadline=None)
def test_moments_are_put_together_again_to_a_microsecond(moments, zone, own):
    rows = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Datetime("us"))})
    if own:
        rows = rows.select(pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone(own))
    stage = EncodeDate(zone=zone, constant="keep").fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert back.schema == rows.schema
    apart = (back["at"] - rows["at"]).dt.total_microseconds().abs().drop_nulls()
    assert back["at"].is_null().equals(rows["at"].is_null())
    assert (apart <= 1).all()
    parts = ["year", "month", "day", "hour", "minute", "second"]
    by_parts = EncodeDate(parts=parts, zone=zone, constant="keep").fit(rows)
    assert by_parts.restores == "nearly"
    if own in ("", "UTC") or zone:  # a clock that is turned back shows an hour twice
        apart = (by_parts.inverse_transform(by_parts.transform(rows))["at"] - rows["at"]).drop_nulls()
        assert (apart.dt.total_microseconds().abs() < 1_000_000).all()


def test_without_the_parts_there_is_no_inverse():
    for parts in (["year", "month"], ["weekday", "hour"]):
        assert not hasattr(EncodeDate(parts=parts).fit(ROWS), "inverse_transform")
    assert not hasattr(
        EncodeDate(parts=["year", "month", "day"], cycles="instead").fit(ROWS), "inverse_transform"
    )


def test_new_rows_may_be_dates_where_there_were_moments_but_not_times():
    stage = EncodeDate(parts=["hour", "year"]).fit(ROWS)
    out = stage.transform(pl.DataFrame({"at": [dt.date(2020, 1, 1)]}))
    assert out.row(0) == (0, 2020)
    with pytest.raises(ColumnError, match="column 'at' is Time, but it was a moment"):
        stage.transform(pl.DataFrame({"at": [dt.time(1)]}))


@pytest.mark.parametrize(
    ("more", "told"), [({"zone": "Mars/Olympus"}, "is no time zone"), ({"reference": "soon"}, "is no day")]
)
def test_what_is_no_zone_or_day_is_told(more, told):
    with pytest.raises(DataError, match=told):
        EncodeDate(**more).fit(ROWS)


def test_names_that_are_taken_are_left_alone():
    rows = ROWS.with_columns(pl.lit(1.0).alias("at_year"))
    out = EncodeDate(parts=["year"]).fit_transform(rows)
    assert out.columns == ["at_year_", "at_year"]
    assert out["at_year"].to_list() == [1.0] * 5


def test_a_pipeline_with_it_is_one_query_and_comes_back_from_a_bundle(tmp_path):
    pipe = tilth.Pipeline([EncodeDate(cycles="beside", zone="UTC")]).fit(ROWS)
    assert EncodeDate.fused
    pipe.save(tmp_path / "bundle")
    assert tilth.load(tmp_path / "bundle").transform(ROWS).equals(pipe.transform(ROWS))
