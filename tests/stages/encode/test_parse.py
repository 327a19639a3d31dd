"""Numbers, dates and truth values as text: read as what they are, counted, and never lost in silence."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tilth
from tests.laws.cases import alike, learned, parts
from tilth import EncodeParse
from tilth.errors import DataError, TilthWarning
from tilth.table import Table

ROWS = pl.DataFrame(
    {
        "price": ["$1,200.50", "($3)", "N/A", "12"] * 10,
        "eu": ["1.234,5", "2,5", None, "1.000"] * 10,
        "weight": [f"{i % 9 + 1} kg" for i in range(30)] + [f"{i % 9 + 1}000 g" for i in range(10)],
        "day": ["25/01/2021", "03/02/2021", None, "3.4.2021"] * 10,
        "at": ["2021-01-01T12:00:00+02:00", "2021-01-02T12:00:00Z", "2021-01-03 12:00", None] * 10,
        "member": ["yes", "No", None, "Y"] * 10,
        "zip": ["00123", "10115", "20095", "80331"] * 10,
        "city": ["Rome", "Oslo", "Lima", "Bonn"] * 10,
    }
)


def kinds(stage):
    return {(f.kind, *f.columns) for f in stage.findings_}


def only(stage, kind):
    (found,) = [f for f in stage.findings_ if f.kind == kind]
    return found


def test_columns_become_what_they_hold_and_others_stay():
    stage = EncodeParse().fit(ROWS)
    out = stage.transform(ROWS)
    assert out["price"].head(4).to_list() == [1200.5, -3.0, None, 12.0]
    assert out["eu"].head(4).to_list() == [1234.5, 2.5, None, 1000.0]
    assert out["weight"].to_list() == [float(i % 9 + 1) for i in [*range(30), *range(10)]]
    assert out["day"].head(4).to_list() == [
        dt.date(2021, 1, 25),
        dt.date(2021, 2, 3),
        None,
        dt.date(2021, 4, 3),
    ]
    assert out.schema["at"] == pl.Datetime("us", "UTC")
    assert [at.hour for at in out["at"].head(3)] == [10, 12, 12]
    assert out["member"].head(4).to_list() == [True, False, None, True]
    assert out.select("zip", "city").equals(ROWS.select("zip", "city"))
    wanted = {"price": "numbers", "eu": "numbers", "weight": "numbers", "day": "dates", "at": "dates"}
    assert kinds(stage) == {(f"parse.{what}", c) for c, what in wanted.items()} | {
        ("parse.booleans", "member")
    }
    assert "10 cells say that there is no value" in stage.findings_[0].message
    assert stage.findings_[0].n_rows == 30


@pytest.mark.parametrize("bounds", [[20], [1, 2, 3, 39], list(range(1, 40))])
def test_what_is_learned_from_parts_is_what_is_learned_from_the_whole(bounds):
    rows = ROWS.with_columns(
        pl.when(pl.int_range(40) == 7).then(pl.lit("soon")).otherwise("day").alias("day")
    )
    table = Table.of(rows)
    whole = EncodeParse().fit_table([table])
    merged = EncodeParse().fit_table(parts(table, bounds, list(range(len(bounds) + 1))[::-1]))
    alike(learned(merged), learned(whole))
    assert only(whole, "parse.unreadable").rows == (7,)


def test_a_saved_stage_reads_the_same(tmp_path):
    pipe = tilth.Pipeline([EncodeParse()]).fit(ROWS)
    pipe.save(tmp_path / "bundle")
    assert tilth.load(tmp_path / "bundle").transform(ROWS).equals(pipe.transform(ROWS))


def test_the_same_comes_of_pandas_and_arrow():
    wanted = EncodeParse().fit_transform(ROWS)
    for X in (ROWS.to_pandas(), ROWS.to_pandas().astype("string"), ROWS.to_arrow()):
        out = Table.of(EncodeParse().fit_transform(X)).X()
        assert out["price"].equals(wanted["price"])
        assert out["day"].cast(pl.Date).equals(wanted["day"])


def test_what_pandas_reads_is_read_the_same():
    random = np.random.default_rng(0)
    days = pd.Timestamp("1970-01-01") + pd.to_timedelta(random.integers(0, 36500, 200), "D")
    rows = pl.DataFrame(
        {
            "iso": days.strftime("%Y-%m-%d").tolist(),
            "us": days.strftime("%m/%d/%Y").tolist(),
            "number": random.normal(0, 1e6, 200).astype(str).tolist(),
        }
    )
    out = EncodeParse(order="month_first").fit_transform(rows)
    assert out["iso"].to_list() == out["us"].to_list() == [day.date() for day in days]
    assert out["number"].to_list() == pd.to_numeric(rows["number"].to_pandas()).tolist()


def test_what_cannot_be_read_is_counted_and_new_texts_are_warned_of_once():
    values = [str(i) for i in range(38)] + ["soon", "soon"]
    stage = EncodeParse().fit(pl.DataFrame({"x": values}))
    found = only(stage, "parse.unreadable")
    assert (found.n_rows, found.rows) == (2, (38, 39))
    assert "2 of 40 cells are no numbers and became missing: 'soon'" in found.message
    assert stage.transform(pl.DataFrame({"x": ["1", "soon", "N/A"]}))["x"].to_list() == [1.0, None, None]
    with pytest.warns(TilthWarning, match="new cells hold 'later'") as told:
        out = stage.transform(pl.DataFrame({"x": ["later", "2", "later"]}))
    assert len(told) == 1
    assert out["x"].to_list() == [None, 2.0, None]


def test_unreadable_cells_are_an_error_where_asked_for():
    rows = pl.DataFrame({"x": [str(i) for i in range(39)] + ["soon"]})
    with pytest.raises(DataError, match=r"1 of 40 cells of 'x' are no numbers: 'soon'"):
        EncodeParse(unreadable="error").fit(rows)
    stage = EncodeParse(unreadable="error").fit(rows.head(39))
    with pytest.raises(Exception, match="cells hold 'soon'"):
        stage.transform(rows)


def test_a_column_is_taken_from_a_share_on_and_told_of_below():
    rows = pl.DataFrame({"x": ["1", "2", "3", "red"] * 5})
    stage = EncodeParse().fit(rows)
    assert stage.transform(rows).equals(rows)
    found = only(stage, "parse.left")
    assert "75.0% of its cells" in found.message
    again = EncodeParse(**found.remedy["encode.parse"]).fit(rows)
    assert again.transform(rows)["x"].null_count() == 5
    assert not EncodeParse().fit(pl.DataFrame({"x": ["1", "red", "blue"] * 5})).findings_


@pytest.mark.parametrize(
    ("values", "more", "first", "other"),
    [
        (["03/04/2021", "05/06/2021"], {}, dt.date(2021, 4, 3), dt.date(2021, 3, 4)),
        (["1,234", "5,678"], {}, 1234.0, 1.234),
    ],
)
def test_what_is_open_is_told_with_the_line_for_the_other_way(values, more, first, other):
    rows = pl.DataFrame({"x": values * 5})
    stage = EncodeParse(**more).fit(rows)
    found = only(stage, "parse.ambiguous")
    assert found.n_rows == 10
    assert stage.transform(rows)["x"][0] == first
    again = EncodeParse(**found.remedy["encode.parse"]).fit(rows)
    assert again.transform(rows)["x"][0] == other
    assert "parse.ambiguous" not in {f.kind for f in again.findings_}


def test_other_cells_settle_what_is_open():
    rows = pl.DataFrame({"d": ["03/04/2021", "12/25/2021"], "n": ["1,234", "5,67"], "both": ["1,5", "2.25"]})
    stage = EncodeParse().fit(rows)
    assert stage.transform(rows).row(0) == (dt.date(2021, 3, 4), 1.234, 1.5)
    assert "parse.ambiguous" not in {f.kind for f in stage.findings_}


def test_two_orders_in_one_column_are_each_read_and_the_open_cells_told():
    rows = pl.DataFrame({"d": ["25/01/2021", "01/26/2021", "01/27/2021", "03/04/2021"]})
    stage = EncodeParse().fit(rows)
    assert stage.transform(rows)["d"].to_list() == [
        dt.date(2021, 1, 25), dt.date(2021, 1, 26), dt.date(2021, 1, 27), dt.date(2021, 3, 4),
    ]  # fmt: skip
    assert only(stage, "parse.ambiguous").n_rows == 1


def test_percent_whole_numbers_and_what_is_looked_for_are_options():
    rows = pl.DataFrame(
        {"p": ["5%", "7.5%"], "n": ["9007199254740993", "2"], "d": ["2021-01-01", "2021-01-02"]}
    )
    out = EncodeParse(percent="share", whole=True, what=["numbers"]).fit_transform(rows)
    assert out["p"].to_list() == pytest.approx([0.05, 0.075])
    assert out["n"].to_list() == [2**53 + 1, 2]
    assert out["d"].dtype == pl.String
    stage = EncodeParse(whole=True).fit(rows)
    with pytest.warns(TilthWarning, match="'1.5'"):
        assert stage.transform(rows.with_columns(n=pl.lit("1.5")))["n"].null_count() == 2


def test_days_as_whole_numbers_and_category_types_are_read_where_they_are_named():
    rows = pl.DataFrame(
        {"n": [20210131, 20210201, None], "c": pl.Series(["1", "2", "3"], dtype=pl.Categorical)}
    )
    assert EncodeParse().fit_transform(rows).equals(rows)
    out = EncodeParse(on=["n", "c"]).fit_transform(rows)
    assert out["n"].to_list() == [dt.date(2021, 1, 31), dt.date(2021, 2, 1), None]
    assert out["c"].to_list() == [1.0, 2.0, 3.0]
    assert EncodeParse(on=["n"]).fit_transform(pl.DataFrame({"n": [20210145, 7]}))["n"].dtype == pl.Int64


def test_zero_and_one_are_numbers_and_yes_and_no_with_others_stay():
    out = EncodeParse().fit_transform(pl.DataFrame({"a": ["0", "1"], "b": ["t", "f"], "c": ["yes", "maybe"]}))
    assert out.dtypes == [pl.Float64, pl.Boolean, pl.String]


def test_moments_with_a_zone_are_not_read_where_there_were_none():
    stage = EncodeParse().fit(pl.DataFrame({"at": ["2021-01-01 10:00", "2021-01-02 11:00"]}))
    with pytest.warns(TilthWarning, match="10:00z"):
        out = stage.transform(pl.DataFrame({"at": ["2021-01-01T10:00Z", "2021-01-01"]}))
    assert out["at"].to_list() == [None, dt.datetime(2021, 1, 1)]
