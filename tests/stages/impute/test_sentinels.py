"""What stands for a missing value is found by evidence, or given, and becomes missing; nothing else does."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.cases import alike, learned, parts
from tilth.errors import ColumnError, DataError, TilthWarning
from tilth.stages.impute.sentinels import ImputeSentinels
from tilth.statistics import Statistics
from tilth.table import Roles, Table

ROWS = 600
AT = np.arange(ROWS)
HOLES = AT % 30 == 0  # 20 cells


def planted(rest, mark, where=HOLES):
    return [mark if hole else value for value, hole in zip(rest, where, strict=True)]


def made():
    random = np.random.default_rng(0)
    whole, words = random.integers(0, 90, ROWS), random.choice(["oslo", "rome", "lima"], ROWS)
    born = [dt.date(1930, 1, 1) + dt.timedelta(days=int(d)) for d in random.integers(0, 25_000, ROWS)]
    return pl.DataFrame(
        {
            "age": planted(map(str, whole.tolist()), "?"),
            "city": planted(words.tolist(), "N/A"),
            "score": planted(whole.tolist(), 999),
            "size": pl.Series(planted(random.normal(100, 9, ROWS).tolist(), 99999.99), dtype=pl.Float32),
            "born": planted(born, dt.date(1900, 1, 1)),
            "mood": planted(words.tolist(), "unknown"),
            "level": random.normal(100, 9, ROWS) * ~HOLES,
            "met": planted(born, dt.date(1970, 1, 1)),
        }
    )


SURE = {"age": "hidden.token", "city": "hidden.token", "score": "hidden.sentinel", "size": "hidden.sentinel"}
SURE |= {"born": "hidden.date"}
MAYBE = {"mood": "hidden.word", "level": "hidden.zero", "met": "hidden.spike"}


def only(values, evidence="sure"):
    return ImputeSentinels(evidence=evidence).fit(pl.DataFrame({"x": values}))


def test_each_evidence_is_found_where_it_was_planted_and_nowhere_else():
    stage = ImputeSentinels().fit(made())
    assert {f.columns[0]: f.kind for f in stage.findings_} == SURE | MAYBE
    for found in stage.findings_:
        assert (found.n_rows, found.score) == (20, 20 / ROWS)
        assert found.rows == tuple(np.flatnonzero(HOLES))


@pytest.mark.parametrize(("evidence", "acted"), [("sure", SURE), ("maybe", SURE | MAYBE)])
def test_what_is_acted_on_is_as_sure_as_asked_for(evidence, acted):
    frame = made()
    stage = ImputeSentinels(evidence=evidence).fit(frame)
    out = stage.transform(frame)
    for name in frame.columns:
        assert out[name].is_null().to_list() == (HOLES & (name in acted)).tolist(), name
        kept = frame[name].filter(~HOLES)
        assert out[name].filter(~HOLES).equals(kept.cast(pl.Float64) if name == "age" else kept)
    assert stage.cells_ == dict.fromkeys(acted, 20)
    assert out.schema == frame.schema | {"age": pl.Float64}


def test_a_report_changes_nothing_and_finds_the_same():
    frame = made()
    stage = ImputeSentinels(action="report").fit(frame)
    assert stage.transform(frame).equals(frame)
    assert stage.cells_ == {}
    assert stage.findings_ == ImputeSentinels().fit(frame).findings_


def test_the_remedies_given_as_values_do_what_the_evidence_did():
    frame = made()
    told = ImputeSentinels().fit(frame)
    values = {f.columns[0]: f.remedy["impute.sentinels"]["values"][f.columns[0]] for f in told.findings_}
    assert values["size"] == [99999.99] and values["score"] == [999] and values["born"] == ["1900-01-01"]
    given = ImputeSentinels(values={c: v for c, v in values.items() if c in SURE}).fit(frame)
    assert given.transform(frame).equals(told.transform(frame))
    assert [f.kind for f in given.findings_] == ["hidden.given"] * 5
    assert given.cells_ == told.cells_


@pytest.mark.parametrize("values", [None, {"*": ["?", 999, "N/A", "1900-01-01"]}, ["?", 7, "rome"]])
def test_parts_learn_what_the_whole_learns_also_where_there_is_something_to_find(values):
    table = Table.of(made())
    whole = ImputeSentinels(values=values, evidence="maybe").fit_table([table])
    for bounds, order in (([50], [1, 0]), ([0, 0, 31, 600], None), (list(range(9, 600, 60)), None)):
        merged = ImputeSentinels(values=values, evidence="maybe").fit_table(parts(table, bounds, order))
        alike(learned(merged), learned(whole))


# Words


def test_what_means_no_value_is_a_gap_among_words_and_any_such_word_among_numbers():
    assert only(["oslo", "rome", "?", " ", "none"] * 9).values_ == {"x": ["", "?"]}
    assert only([*map(str, range(30)), "None", "na", "-"]).values_ == {"x": ["-", "None", "na"]}


def test_spaces_around_a_text_do_not_count_and_case_does():
    frame = pl.DataFrame({"x": ["?", " ? ", "a", "NA", "na"]})
    out = ImputeSentinels(values=["?", "NA "]).fit_transform(frame)
    assert out["x"].to_list() == [None, None, "a", None, "na"]


def test_a_repeated_word_among_numbers_is_asked_about_and_one_with_digits_is_not():
    rest = list(map(str, range(200)))
    (found,) = only([*rest, *["nd"] * 9]).findings_
    assert (found.kind, found.severity, found.n_rows) == ("hidden.word", "info", 9)
    assert only([*rest, *["nd"] * 9], "maybe").numbers_ == ["x"]
    assert only([*rest, *["nd"] * 2]).findings_ == []
    assert only([*rest, *["<5"] * 9]).findings_ == []
    assert only([*rest, *["nd"] * 200]).findings_ == []


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["1", "2", "?", "b"])])
def test_categorical_types_are_kept_also_where_all_others_are_numbers(dtype):
    frame = pl.DataFrame({"x": pl.Series(["1", "2", "?", None] * 5, dtype=dtype)})
    out = ImputeSentinels().fit_transform(frame)
    assert out.schema == frame.schema
    assert out["x"].cast(pl.String).to_list() == ["1", "2", None, None] * 5


def test_pandas_categories_and_index_are_kept():
    frame = pd.DataFrame({"x": pd.Categorical(["a", "?", "b"]), "n": ["1", "?", "3"]}, index=[7, 7, 9])
    out = ImputeSentinels().fit_transform(frame)
    assert out["x"].dtype == "category" and out.index.tolist() == [7, 7, 9]
    assert out["x"].isna().tolist() == [False, True, False]
    assert out["n"].dtype == np.float64 and out["n"].isna().tolist() == [False, True, False]


# Texts that become numbers


def test_codes_with_leading_zeros_stay_texts():
    out = ImputeSentinels().fit_transform(pl.DataFrame({"zip": ["02139", "10001", "?"] * 5}))
    assert out["zip"].to_list() == ["02139", "10001", None] * 5


def test_numbers_false_leaves_texts_texts():
    frame = pl.DataFrame({"x": ["1", "2", "?"]})
    assert ImputeSentinels(numbers=False).fit_transform(frame)["x"].to_list() == ["1", "2", None]


def test_a_named_column_becomes_numbers_even_where_these_rows_hold_no_sentinel():
    frame = pl.DataFrame({"x": ["1", "2"], "y": ["3", "4"]})
    assert ImputeSentinels(values={"x": ["?"]}).fit_transform(frame).schema == {
        "x": pl.Float64,
        "y": pl.String,
    }
    assert ImputeSentinels(values=["?"]).fit_transform(frame).schema == frame.schema
    assert ImputeSentinels(values={"x": ["1", 2]}).fit_transform(frame)["x"].to_list() == [None, None]


def test_new_texts_that_are_no_numbers_become_missing_and_are_named():
    stage = ImputeSentinels().fit(pl.DataFrame({"x": ["1", "2", "?"] * 5}))
    assert stage.transform(pl.DataFrame({"x": ["7", " ?", "Unknown", "", None, "05"]}))["x"].to_list() == [
        7, None, None, None, None, 5,
    ]  # fmt: skip
    told = r"^impute.sentinels: 'x' was numbers at fit, .* such as '(many|3 kg)': they became missing"
    with pytest.warns(TilthWarning, match=told) as warned:
        out = stage.transform(pl.DataFrame({"x": ["1", "many", "3 kg"]}))
    assert len(warned) == 1
    assert out["x"].to_list() == [1, None, None]


def test_sentinels_among_numbers_behind_a_token_are_found_too():
    stage = only([*map(str, range(200)), *["?"] * 9, *["99999"] * 6])
    assert stage.values_ == {"x": ["?", 99999]}
    assert stage.transform(pl.DataFrame({"x": ["99999.0", "3"]}))["x"].to_list() == [None, 3]


# Numbers


def test_the_answers_of_questionnaires_are_found_together():
    rest = np.arange(60).repeat(5)
    assert only([*rest, *[997] * 5, *[998] * 9, *[999] * 7]).values_ == {"x": [999, 998, 997]}
    assert only([*rest, *[-9] * 9, *[-8] * 7]).values_ == {"x": [-9, -8]}
    assert only([*rest, *[-9] * 4, *[-8] * 9]).values_ == {}


def test_a_sentinel_at_each_end_does_not_hide_the_other():
    stage = only([*np.arange(100).repeat(3), *[999] * 9, *[-999] * 8])
    assert stage.values_ == {"x": [999, -999]}
    assert all("otherwise between 0 and 99" in f.message for f in stage.findings_)


@pytest.mark.parametrize("mark", [2**31 - 1, -(2**31), 2**63 - 1, 10**10, -1])
def test_ends_of_machine_types_and_powers_of_ten_are_marks(mark):
    assert only([*np.arange(100).repeat(3).tolist(), *[mark] * 20]).values_ == {"x": [mark]}


@pytest.mark.parametrize(
    "values",
    [
        np.arange(90, 100).repeat(20),
        np.arange(-9, 10).repeat(9),
        np.random.default_rng(0).normal(size=500),
        np.random.default_rng(0).exponential(1e4, 500).round(),
        np.random.default_rng(0).poisson(3, 500),
        [-1, 1] * 200,
        [0, 1, 99] * 99,
    ],
)
def test_numbers_that_end_where_they_end_are_left_alone(values):
    stage = only(values, "maybe")
    assert stage.findings_ == []
    assert stage.values_ == {}


def test_infinities_and_gaps_neither_hide_nor_become_sentinels():
    values = [*np.arange(100.0).repeat(3), *[999.0] * 9, np.inf, -np.inf, np.nan, None]
    out = only(values).transform(pl.DataFrame({"x": values}))["x"]
    assert out.null_count() == 9 + 2 and out.is_infinite().sum() == 2


def test_values_that_a_type_cannot_hold_match_nothing():
    frame = pl.DataFrame(
        {
            "small": pl.Series([1, -1], dtype=pl.Int8),
            "positive": pl.Series([1, 255], dtype=pl.UInt8),
            "money": [Decimal("9.99"), Decimal("1.00")],
            "yes": [True, False],
            "time": [dt.time(1), dt.time(2)],
        }
    )
    out = ImputeSentinels(values=[999, -1, 9.99, 0.5, "?", "1900-01-01", "x"]).fit_transform(frame)
    assert [out[c].null_count() for c in out.columns] == [1, 0, 1, 0, 0]
    assert out.schema == frame.schema


@given(st.lists(st.integers(-3, 3) | st.none(), min_size=1), st.lists(st.integers(-4, 4), max_size=3))
def test_given_numbers_and_only_they_become_missing(cells, marks):
    frame = pl.DataFrame({"x": pl.Series(cells, dtype=pl.Int64), "t": [str(c) for c in cells]})
    stage = ImputeSentinels(values=marks, numbers=False).fit(frame)
    out = stage.transform(frame)
    assert out["x"].to_list() == [None if c in marks else c for c in cells]
    assert out["t"].to_list() == [None if c in marks else str(c) for c in cells]
    assert sum(stage.cells_.values()) == 2 * sum(c in marks for c in cells if c is not None)


# Days


def days(count=300, start=dt.date(1950, 1, 1), width=9000):
    random = np.random.default_rng(1)
    return [start + dt.timedelta(days=int(d)) for d in random.integers(0, width, count)]


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-30", "1900-01-01", "9999-12-31", "2099-12-31"])
def test_a_known_day_at_the_edge_is_a_mark_in_dates_and_moments(day):
    mark = dt.date.fromisoformat(day)
    assert only([*days(), *[mark] * 9]).values_ == {"x": [day]}
    moments = [dt.datetime.combine(d, dt.time(3, i % 60)) for i, d in enumerate([*days(), *[mark] * 9])]
    stage = only(moments)
    assert stage.values_ == {"x": [day]}
    assert stage.transform(pl.DataFrame({"x": moments}))["x"].null_count() == 9


def test_days_that_are_single_unknown_or_no_more_frequent_than_others_are_left_alone():
    assert only([*days(), dt.date(1900, 1, 1)], "maybe").findings_ == []
    assert only([*days(), *[dt.date(1911, 3, 7)] * 9], "maybe").findings_ == []
    usual = [dt.date(1970, 1, 1) + dt.timedelta(days=i % 40) for i in range(800)]
    assert only(usual, "maybe").findings_ == []


def test_a_day_amid_the_others_is_only_asked_about():
    stage = only([*days(), *[dt.date(1970, 1, 1)] * 20])
    (found,) = stage.findings_
    assert (found.kind, found.severity, found.n_rows) == ("hidden.spike", "info", 20)
    assert stage.values_ == {}


def test_zero_and_end_of_a_calendar_are_found_together():
    stage = only([*days(), *[dt.date(1900, 1, 1)] * 9, *[dt.date(9999, 12, 31)] * 7])
    assert stage.values_ == {"x": ["1900-01-01", "9999-12-31"]}
    assert "otherwise between 195" in stage.findings_[0].message


def test_a_day_is_any_moment_of_it_and_a_moment_only_itself():
    frame = pl.DataFrame(
        {"x": [dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, 5), dt.datetime(1999, 1, 1)]}
    )
    of = lambda value: ImputeSentinels(values=[value]).fit_transform(frame)["x"].is_null().to_list()
    assert of("1970-01-01") == [True, True, False]
    assert of("1970-01-01T05:00:00") == [False, True, False]
    zoned = frame.with_columns(pl.col("x").dt.replace_time_zone("America/New_York"))
    out = ImputeSentinels(values=["1970-01-01"]).fit_transform(zoned)
    assert out["x"].null_count() == 2 and out.schema == zoned.schema


# What is given


def test_values_are_given_by_column_kind_or_glob():
    frame = pl.DataFrame({"q1": [1, -7, 3], "q2": [-7, 2, 3], "n": [-7, -7, 1], "c": ["a", "b", "a"]})
    nulls = lambda values, **more: (
        ImputeSentinels(values=values, **more).fit_transform(frame).null_count().row(0)
    )
    assert nulls({"q1": [-7]}) == (1, 0, 0, 0)
    assert nulls({"q*": [-7], "q1": [3]}) == (2, 1, 0, 0)
    assert nulls({"numeric": [-7], "categorical": ["a"]}) == (1, 1, 2, 2)
    assert nulls([-7]) == (1, 1, 2, 0)
    assert nulls({"q*": [-7]}, on=["q2", "n"]) == (0, 1, 0, 0)


def test_a_given_value_that_no_cell_holds_is_told():
    (found,) = ImputeSentinels(values={"x": [-99]}).fit(pl.DataFrame({"x": [1, -999]})).findings_
    assert (found.kind, found.columns, found.n_rows) == ("hidden.absent", ("x",), 0)


def test_errors_name_the_column():
    frame = pl.DataFrame({"age": [1, 2], "yes": [True, False]})
    with pytest.raises(ColumnError, match="did you mean 'age'"):
        ImputeSentinels(values={"agee": [1]}).fit(frame)
    with pytest.raises(DataError, match=r"'yes' \(boolean\)"):
        ImputeSentinels(values={"yes": [1]}).fit(frame)
    with pytest.raises(ValueError, match="'values' parameter"):
        ImputeSentinels(values="?").fit(frame)


def test_labels_and_other_roles_are_never_touched():
    frame = pl.DataFrame({"x": ["a", "?"] * 5, "y": ["yes", "?"] * 5, "w": [1.0, 999.0] * 5})
    table = Table.of(frame, roles=Roles(target="y", weight="w"))
    out = ImputeSentinels().fit(table).transform(table)
    assert out.y.null_count() == 0 and out.role("weight").null_count() == 0
    assert out.X()["x"].null_count() == 5


def test_millions_of_different_values_are_not_held(monkeypatch):
    counts, heights = Statistics.counts, []

    def watched(self, columns):
        found = counts(self, columns)
        heights.extend(found.tables[c].height for c in columns)
        return found

    monkeypatch.setattr(Statistics, "counts", watched)
    rows = 50_000
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "text": [f"text {i}" for i in range(rows - 9)] + ["?"] * 9,
            "code": [str(i) for i in range(rows - 60)] + ["N/A"] * 60,
            "number": np.where(np.arange(rows) % 500 == 0, -999.0, random.random(rows)),
        }
    )
    stage = ImputeSentinels().fit(frame)
    assert stage.cells_ == {"text": 9, "code": 60, "number": 100}
    assert max(heights) == 1
