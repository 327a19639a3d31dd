"""What hides in text: each check fires on what it is for, says what it saw, and does not depend on order."""

from __future__ import annotations

import datetime as dt
import uuid

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audit.test_columns import checked, column, only
from tilth.stages.encode.parse import EncodeParse


def found(values: list[str], kind: str):
    (finding,) = [f for f in checked(column(values)) if f.kind == kind]
    return finding


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["$1,200.50", "$3", "$12,000"], "marks of thousands and signs of money"),
        (["5%", "7.5%", "12"], "20 of 60 have no percent sign"),
        (["(1,200.5)", "3,400.0", "5"], "brackets for negatives"),
        (["1.234,5", "12", "3,1"], "a decimal comma"),
        (["1,234", "5,678", "9,001"], "Is '1,234' in thousands, or with a decimal comma? None of the values"),
        (["1.5", "1,5", "2,5"], "Some have a decimal comma and some a decimal point"),
    ],
)
def test_numbers_are_read_with_their_marks(values: list[str], told: str) -> None:
    assert told in only(values * 20, "text.numbers").message


def test_one_unit_is_a_number_and_several_are_told_with_their_rows() -> None:
    assert "the unit 'kg'" in only([f"{i % 30} kg" for i in range(90)], "text.numbers").message
    values = [f"{i % 30} kg" for i in range(60)] + [f"{i % 30} lb" for i in range(30)] + ["7"] * 10
    finding = found(values, "text.units")
    assert "'kg' (60), 'lb' (30), none (10" in finding.message
    assert (finding.n_rows, finding.score) == (40, pytest.approx(0.4))
    assert set(finding.rows) <= set(range(60, 100))


@pytest.mark.parametrize("values", [["007", "012", "113"], ["12A", "7B", "31C"], ["1st", "2nd", "3rd"]])
def test_codes_are_no_numbers(values: list[str]) -> None:
    assert checked(column(values * 30)) == []


def test_a_few_words_among_numbers_are_named_one_by_one_in_the_remedy() -> None:
    words = ["red", "blue", "green", "teal", "pink"]
    finding = only([str(i % 40) for i in range(195)] + words, "text.mixed")
    assert (finding.severity, finding.n_rows, finding.rows) == ("high", 5, tuple(range(195, 200)))
    assert finding.remedy == {"impute.sentinels": {"values": {"x": sorted(words)}}}


def test_some_numbers_among_words_are_a_remark() -> None:
    finding = found(["oslo", "rome", "lima"] * 30 + [str(i) for i in range(20)], "text.mixed")
    assert finding.severity == "low"
    assert set(finding.rows) <= set(range(90, 110))


def test_dates_are_read_and_their_format_is_named() -> None:
    iso = [str(dt.date(2020, 1, 1) + dt.timedelta(i % 20)) for i in range(60)]
    assert "(year-month-day)" in only(iso, "text.dates").message
    finding = only(["2020-01-01", "2021-03-04", "2022-05-06"] * 30 + ["soon"] * 3, "text.dates")
    assert "'soon'" in finding.message
    assert finding.rows == (90, 91, 92)


def test_whether_the_day_comes_first_is_settled_by_other_dates_or_left_open() -> None:
    assert "none of them tells" in only(["03/04/2021", "05/06/2021"] * 30, "text.dates").message
    assert "(day/month/year)" in only(["03/04/2021", "25/06/2021"] * 30, "text.dates").message
    assert "(month/day/year)" in only(["03/04/2021", "06/25/2021"] * 30, "text.dates").message
    clash = found(["25/01/2021", "01/26/2021", "03/04/2021"] * 30, "text.formats")
    assert clash.severity == "high"
    assert "30 cells can be read either way" in clash.message


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["$1,200", "$3"], "text.numbers"),
        (["3 kg", "4 kg", "5 kg"], "text.numbers"),
        ([f"{i} {unit}" for i in range(9) for unit in ("kg", "lb")], "text.units"),
        (["2020-01-01", "2021-02-03"], "text.dates"),
        (["2020-01-01", "1 Feb 2020"], "text.formats"),
        (["yes", "Y", "no"], "text.booleans"),
    ],
)
def test_the_remedy_reads_the_column(values: list[str], kind: str) -> None:
    finding = found(values * 30, kind)
    assert finding.remedy == {"encode.parse": {"on": ["x"]}}
    rows = pl.DataFrame({"x": values * 30})
    assert EncodeParse(**finding.remedy["encode.parse"]).fit_transform(rows)["x"].dtype != pl.String


def test_yes_and_no_in_several_ways() -> None:
    finding = only(["yes", "Y", "no", "N", "1", "0"] * 20, "text.booleans")
    assert finding.score == pytest.approx(2 / 3)
    assert checked(column(["yes", "no"] * 20)) == []


def test_names_made_by_a_machine_name_rows_or_what_rows_belong_to() -> None:
    names = [str(uuid.UUID(int=i * 7919 + 10**30)) for i in range(80)]
    finding = only(names, "column.id")
    assert finding.remedy == {"data": {"row_id": "x"}} and "UUIDs" in finding.message
    assert found(names * 6, "column.key").remedy == {"data": {"group": "x"}}


def test_days_as_whole_numbers_and_few_days_far_off() -> None:
    assert "20200101 to 20200128" in found([20200101 + i % 28 for i in range(90)], "column.days").message
    assert checked(column([20200101 + i % 60 for i in range(300)])) == []  # 20200145 is no day
    days = [dt.date(2015, 1, 1) + dt.timedelta(i) for i in range(400)]
    for far in (dt.date(1899, 1, 1), dt.date(9999, 12, 31)):
        one = column(pl.Series("x", [*days, far]), kind="datetime")
        (finding,) = checked(one)
        assert (finding.kind, finding.rows) == ("column.far_days", (400,))
    assert checked(column(pl.Series("x", days), kind="datetime")) == []


cells = st.sampled_from(
    [
        "1",
        "2.5",
        "1,5",
        "3 kg",
        "4 lb",
        "2020-01-01",
        "25/01/2021",
        "01/26/2021",
        "yes",
        "Y",
        "red",
        "Red ",
        None,
    ]
)


@given(st.lists(cells, min_size=20, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_what_is_told_does_not_depend_on_the_order_of_rows(values: list, random) -> None:
    order = list(range(len(values)))
    random.shuffle(order)
    one, other = (
        checked(column(pl.Series("x", v, dtype=pl.String))) for v in (values, [values[i] for i in order])
    )
    assert [(f.kind, f.score, f.severity, f.n_rows) for f in one] == [
        (f.kind, f.score, f.severity, f.n_rows) for f in other
    ]
    assert [f.remedy for f in one] == [f.remedy for f in other]
    assert all(np.isfinite(f.score) for f in one)
