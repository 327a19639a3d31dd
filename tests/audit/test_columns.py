"""Each check of one column: it fires on what it is for, and only on that."""

import numpy as np
import polars as pl
import pytest

from tilth.audit import FINDS, columns, hidden
from tilth.audit.column import Column
from tilth.table import Table


def column(values, name="x", kind=None):
    series = pl.Series(name, values)
    kinds = {True: "numeric"}
    kind = kind or kinds.get(series.dtype.is_numeric(), "categorical")
    return Column(name, kind, series, np.arange(len(series), dtype=np.uint64))


def checked(one):
    return [f for check in columns.CHECKS for f in check(one)]


def disguised(one):
    return hidden.look(Table.of(one.series.to_frame()))


def kinds(values, **more):
    one = column(values, **more)
    return [f.kind for f in (*checked(one), *disguised(one))]


def only(values, kind, **more):
    one = column(values, **more)
    # What hides is uncovered before anything else is asked; see the audit.
    found = disguised(one) if kind.startswith("hidden") else [*checked(one), *disguised(one)]
    assert [f.kind for f in found] == [kind]
    return found[0]


def marks(finding):
    return finding.remedy["impute.sentinels"]["values"]["x"]


WORDS = ["oslo", "rome", "lima", "bern"] * 50


def test_clean_columns_yield_nothing():
    rng = np.random.default_rng(0)
    assert kinds(WORDS) == []
    assert kinds(rng.normal(size=500)) == []
    assert kinds(rng.integers(0, 90, 500)) == []
    assert kinds([None] * 30, kind="numeric") == []


def test_constant_is_found_with_its_value():
    finding = only([7.0] * 40, "column.constant")
    assert "7" in finding.message
    assert finding.severity == "medium"


def test_one_value_with_gaps_is_no_constant():
    assert only([1, None] * 40, "column.nearly_constant").severity == "info"


def test_nearly_constant_from_its_share_on():
    assert kinds(["a"] * 999 + ["b"]) == ["column.nearly_constant"]
    assert kinds(["a"] * 980 + ["b"] * 20) == []


def test_counting_whole_numbers_are_an_id():
    finding = only(list(range(100, 200)), "column.id")
    assert finding.remedy == {"data": {"row_id": "x"}}
    assert kinds(np.arange(100) * 0.5) == []
    assert kinds(np.sort(np.random.default_rng(0).normal(size=100))) == []


def test_numbers_given_out_one_to_a_row_are_an_id_in_any_order():
    assert kinds(np.random.default_rng(0).permutation(100)) == ["column.id"]
    assert kinds(np.random.default_rng(0).integers(0, 10**6, 100)) == []


def test_unique_texts_are_an_id_and_sentences_are_not():
    assert only([f"id-{i:04d}" for i in range(60)], "column.id").remedy == {"data": {"row_id": "x"}}
    assert kinds([f"this is the sentence number {i}" for i in range(60)]) == []


def test_repeated_sentences_are_free_text():
    finding = only([f"this is the sentence number {i % 90}" for i in range(180)], "text.free")
    assert finding.remedy == {"data": {"kinds": {"x": "text"}}}


def test_many_categories_and_rare_ones():
    values = [f"c{i}" for i in range(80) for _ in range(2)] + ["c0"] * 500
    assert kinds(values) == ["column.many_categories", "column.rare_categories"]
    assert kinds([f"c{i % 40}" for i in range(400)]) == []


def test_infinity_is_found_and_its_remedy_keeps_the_finite_range():
    finding = only([1.0, 2.5, 4.0, float("inf")] * 10, "column.infinite")
    assert finding.n_rows == 10
    assert finding.rows[:2] == (3, 7)
    assert finding.remedy["outliers.clip"]["value_range"] == [1.0, 4.0]


@pytest.mark.parametrize("values", [["1", " 2.5", "3e2"], ["1,5", "2,25", "10,0"], ["1.234,5", "12", "3,1"]])
def test_numbers_written_as_text(values):
    assert kinds(values * 20) == ["text.numbers"]


def test_variants_of_case_and_space_are_named():
    finding = only(["Oslo", "oslo ", "Rome", "Lima"] * 20, "text.variants")
    assert "'Oslo'" in finding.message and "'oslo '" in finding.message


def test_token_among_words_is_medium_and_among_numbers_high():
    words = only([*WORDS, "?", " ? "], "hidden.token")
    assert words.severity == "medium"
    assert marks(words) == ["?"]
    assert (words.n_rows, words.rows) == (2, (200, 201))
    numbers = only([str(i % 50) for i in range(100)] + ["unknown"], "hidden.token")
    assert numbers.severity == "high"
    assert numbers.remedy == {"impute.sentinels": {"values": {"x": ["unknown"]}}}


@pytest.mark.parametrize("word", ["NA", "none", "Unknown"])
def test_words_that_may_be_categories_are_only_remarked(word):
    assert only([*WORDS, word], "hidden.word").severity == "info"


@pytest.mark.parametrize("mark", [999, 99999, -999])
def test_sentinels_far_from_the_rest(mark):
    values = np.concatenate([np.arange(100).repeat(3), np.full(20, mark)])
    finding = only(values, "hidden.sentinel")
    assert (finding.n_rows, finding.rows) == (20, tuple(range(300, 320)))
    assert finding.remedy == {"impute.sentinels": {"values": {"x": [mark]}}}


def test_minus_one_counts_only_as_the_one_negative_among_whole_numbers():
    rest = np.arange(60).repeat(2)
    assert kinds(np.concatenate([rest, np.full(20, -1)])) == ["hidden.sentinel"]
    assert kinds(np.concatenate([rest, np.full(20, -1), [-2, -3]])) == []
    assert kinds(np.concatenate([rest * 0.37, np.full(20, -1.0)])) == []


def test_a_lone_or_near_nine_is_no_sentinel():
    rest = np.arange(100).repeat(3)
    assert kinds(np.concatenate([rest, [9999]])) == []
    assert kinds(np.concatenate([rest, np.full(20, 110)])) == []
    assert kinds(np.concatenate([rest, np.full(20, 199)])) == []


def test_zero_apart_from_the_rest_is_asked_about():
    pressure = np.concatenate([np.random.default_rng(0).normal(70, 10, 400).clip(40), np.zeros(20)])
    finding = only(pressure, "hidden.zero")
    assert finding.n_rows == 20
    assert finding.severity == "low"
    assert marks(finding) == [0]
    assert kinds(np.random.default_rng(0).poisson(9, 400)) == []


def test_every_finding_of_the_checks_is_declared():
    assert set(columns.FINDS) | set(hidden.FINDS) <= set(FINDS)
