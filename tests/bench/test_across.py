"""Many data sets: each has one voice, and few prove nothing."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from tests.bench.planted import FlipLabels, NoOp, gaussian
from tilth.bench import Ablation, Comparison, Verdict, ablate, across, compare
from tilth.bench.across import mean_interval, sets_needed, signed_rank
from tilth.bench.reading import read
from tilth.bench.statistics import holm
from tilth.errors import DataError, UnknownName
from tilth.report import as_json

NAN = float("nan")
EMPTY = pl.DataFrame()


def verdict(gain, before=0.8, *, metric="roc_auc", probe="linear", stage="", word="no evidence"):
    """Say that so much was gained; of losses and errors, less is better."""
    sign = -1 if metric in ("rmse", "log_loss") else 1
    rest = dict.fromkeys(("low", "high", "p", "p_holm", "mde80", "p_hurts", "p_same", "p_helps", "rope"), NAN)
    after = before + sign * gain
    return Verdict(probe, metric, before, after, gain, **rest, n_scores=10, word=word, stage=stage)


def result(*verdicts, rows=100, method=""):
    given = ("binary", ("roc_auc",), 5, 2, rows, EMPTY, list(verdicts), EMPTY)
    return Ablation(*given, method=method) if method else Comparison(*given)


def sets(gains, **more):
    return {f"set{k}": result(verdict(gain, 0.7 + 0.001 * k, **more)) for k, gain in enumerate(gains)}


def brute_force(gains):
    """Try all signs: the share of sums of signed ranks that are as far from 0 as the one there is."""
    size = np.abs(gains)
    ranks = np.array([(size < s).sum() + ((size == s).sum() + 1) / 2 for s in size])
    sums = [np.dot(signs, ranks * (size > 0)) for signs in itertools.product((-1, 1), repeat=len(gains))]
    found = abs(np.dot(np.sign(gains), ranks))
    return np.mean([abs(s) >= found - 1e-9 for s in sums])


GAINS = np.array([0.021, 0.013, -0.004, 0.034, 0.008, 0.017, 0.029, -0.002, 0.011, 0.025, 0.006, 0.019])


def test_twelve_sets_of_gains_prove_that_it_helps():
    done = across(sets(GAINS))
    (line,) = done.lines
    assert line.word == "helps" and line.n_sets == 12 and line.note == "" and line.sets_needed is None
    assert line.mean == pytest.approx(GAINS.mean()) and line.median == pytest.approx(np.median(GAINS))
    assert line.p == line.p_holm == pytest.approx(wilcoxon(GAINS, method="exact").pvalue)
    assert 0 < line.low < line.mean < line.high < 0.034
    assert (line.wins, line.ties, line.losses) == (10, 2, 0)
    (worse,) = across(sets(-GAINS)).lines
    assert worse.word == "hurts" and worse.p == pytest.approx(line.p) and worse.losses == 10
    assert across(sets(GAINS), random_state=0).lines == done.lines
    assert across(sets(GAINS), random_state=1).lines[0].low != line.low


@pytest.mark.parametrize("zeros", [0, 3])
@pytest.mark.parametrize("ties", [False, True])
def test_the_p_value_is_exact_with_ties_and_zeros(zeros, ties):
    gains = np.round(GAINS, 2) if ties else GAINS.copy()
    gains = np.append(gains[: 9 - zeros], np.zeros(zeros))
    assert signed_rank(gains) == pytest.approx(brute_force(gains), abs=1e-12)


def test_the_p_value_of_many_sets_is_scipys_and_of_no_difference_1():
    random = np.random.default_rng(0)
    for count in (2, 17, 40, 50):
        many = random.normal(0.3, 1, count)
        assert signed_rank(many) == pytest.approx(wilcoxon(many, method="exact").pvalue)
    tied = np.append(np.round(many, 1), np.zeros(4))
    assert signed_rank(tied) == pytest.approx(wilcoxon(tied, zero_method="pratt", method="approx").pvalue)
    # What is exact, with ties and zeros, is near what is not.
    assert signed_rank(tied[5:]) == pytest.approx(
        wilcoxon(tied[5:], zero_method="pratt", method="approx").pvalue, rel=0.1
    )
    assert signed_rank(np.zeros(5)) == signed_rank(np.array([0.3])) == 1.0
    (line,) = across(sets(np.zeros(12))).lines
    assert (line.word, line.p, line.low, line.high, line.ties) == ("no evidence", 1.0, 0.0, 0.0, 12)
    assert "lies within +-0.005" in line.note


@given(st.lists(st.floats(-1, 1).map(lambda v: round(v, 3)), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_turned_around_it_is_the_same_claim_turned_around(gains):
    (one,), (other,) = (across(sets(s * np.array(gains)), draws=100).lines for s in (1, -1))
    assert one.p == pytest.approx(other.p) and one.mean == pytest.approx(-other.mean)
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    turned = {"helps": "hurts", "hurts": "helps"}
    assert other.word == turned.get(one.word, one.word)
    assert one.p >= 2 / 2 ** len(gains) * (1 - 1e-9)


def test_few_sets_prove_nothing_and_it_is_said_how_many_would():
    (line,) = across(sets([0.05, 0.06, 0.07, 0.08, 0.09])).lines
    assert line.word == "not testable" and line.sets_needed == 6 and line.p == pytest.approx(2 / 2**5)
    assert "Holm's p is 0.062 at best" in line.note and "6 data sets are needed" in line.note
    assert across(sets([0.05, 0.06, 0.07, 0.08, 0.09, 0.1])).lines[0].word == "helps"
    # Nine stages by three probes, as many sets as one line would need: one too few for the first of 27.
    keys = [(f"s{k % 9}", p) for k in range(9) for p in ("linear", "boosting", "mlp")]
    told = lambda count: {
        f"set{k}": result(
            *(verdict(0.01 + 0.001 * k, 0.7 + 0.01 * k, stage=s, probe=p) for s, p in keys),
            method="leave_one_out",
        )
        for k in range(count)
    }
    ten, eleven = across(told(10)), across(told(11))
    assert {line.word for line in ten.lines} == {"not testable"} and ten.lines[0].sets_needed == 11
    assert {line.word for line in eleven.lines} == {"helps"} and len(eleven.lines) == 27
    assert [sets_needed(m) for m in (1, 2, 27)] == [6, 7, 11]


def test_p_values_are_holms_over_all_lines():
    random = np.random.default_rng(1)
    gains = {key: random.normal(0.004, 0.01, 9) for key in (("", "linear"), ("", "mlp"), ("a", "linear"))}
    told = {
        f"set{k}": [
            result(*(verdict(g[k], 0.7, stage=s, probe=p) for (s, p), g in gains.items() if not s)),
            result(
                *(verdict(g[k], 0.6, stage=s, probe=p) for (s, p), g in gains.items() if s), method="add_one"
            ),
        ]
        for k in range(9)
    }
    done = across(told)
    assert [(line.stage, line.probe) for line in done.lines] == list(gains) and done.method == "add_one"
    assert [line.p_holm for line in done.lines] == pytest.approx(holm([line.p for line in done.lines]))


def test_losses_and_errors_are_compared_as_shares_of_the_score_before():
    gains = np.array([0.03, 0.021, 0.04, 0.05, 0.01, 0.06])
    scale = np.array([1.0, 1000.0, 0.01, 7.0, 30.0, 5e6])
    told = {
        f"set{k}": result(verdict(g * unit, 2 * unit, metric="rmse"))
        for k, (g, unit) in enumerate(zip(gains, scale, strict=True))
    }
    done = across(told)
    (line,) = done.lines
    assert line.relative and line.rope == 0.01 and line.word == "helps"
    assert line.mean == pytest.approx(np.mean(gains / 2)) and line.wins == 5 and line.ties == 1
    assert "Gains in rmse are shares of the score before" in done.in_words()[0]
    # A perfect score before has no share.
    (less,) = across(told | {"perfect": result(verdict(0.0, 0.0, metric="rmse"))}).lines
    assert less.mean == line.mean and less.left_out == ("perfect",)


def test_what_a_set_could_not_test_is_left_out_and_named():
    told = sets(GAINS) | {"odd": result(verdict(0.9, word="not testable"))}
    told |= {"none": result(verdict(NAN, word="not testable"))}
    done = across(told)
    (line,) = done.lines
    assert line.n_sets == 12 and line.left_out == ("odd", "none") and line.mean == pytest.approx(GAINS.mean())
    assert "odd, none" in line.in_words()
    assert done.sets.filter(set="odd").row(0, named=True)["gain"] is None and done.sets.height == 14
    (nothing,) = across({"none": told["none"]}).lines
    assert nothing.word == "not testable" and nothing.n_sets == 0 and math.isnan(nothing.p)
    assert "in no data set" in nothing.note


def test_a_few_sets_do_not_outvote_the_rest_and_a_small_gain_is_no_help():
    (line,) = across(sets(np.append(GAINS[GAINS > 0], [-0.5]))).lines
    assert line.mean < 0 < line.median and line.word == "no evidence"
    (small,) = across(sets(np.linspace(0.001, 0.002, 12))).lines
    assert small.p_holm < 0.05 and small.word == "no evidence" and "practically equal" in small.note
    mixed = np.append(GAINS[GAINS > 0] * 0.1, np.full(2, -0.09))
    (told,) = across(sets(np.append(mixed, np.full(10, 0.0004)))).lines
    assert told.mean < 0 < told.median and "a few sets weigh against the rest" in told.note


def test_own_verdicts_are_counted_beside():
    words = ["helps", "helps", "hurts", "no evidence", "indication", "trades"]
    told = {f"set{k}": result(verdict(0.01, 0.7 + 0.01 * k, word=word)) for k, word in enumerate(words)}
    (line,) = across(told).lines
    assert (line.helps, line.hurts, line.wins) == (2, 1, 6)


def test_the_interval_is_of_the_mean_over_sets():
    random = np.random.default_rng(3)
    caught = 0
    for _ in range(100):
        low, high = mean_interval(random.normal(1.0, 1.0, 20), 500, 0)
        caught += low <= 1.0 <= high
    assert 86 <= caught <= 99
    assert all(math.isnan(edge) for edge in mean_interval(np.array([0.1]), 500, 0))
    low, high = mean_interval(np.array([0.0] * 11 + [1.0]), 500, 0)
    assert 0 <= low < high <= 1


def test_results_are_read_back_from_files_as_they_were(tmp_path):
    X, y = gaussian(120)
    alone = {"probes": ["linear"], "n_jobs": 1, "repeats": 1}
    one = compare(None, [FlipLabels(share=0.3)], X, y, **alone)
    left = ablate([NoOp(), FlipLabels(share=0.3)], X, y, **alone)
    two = compare(None, [FlipLabels(share=0.3)], *gaussian(120, strength=1.0), **alone)
    one.write(tmp_path / "one.json")
    (tmp_path / "two.json").write_text(json.dumps(as_json(comparison=two, ablation=None)))
    (tmp_path / "both.json").write_text(json.dumps(as_json(comparison=one, ablation=left)))
    told, from_files = (
        across({"one": a, "two": b}) for a, b in ((one, two), (tmp_path / "one.json", tmp_path / "two.json"))
    )
    assert told.lines == from_files.lines and told.sets.equals(from_files.sets)
    both = across({"both": tmp_path / "both.json"})
    # As plain values, in which what is not a number is alike.
    assert both.as_dict() == across({"both": [one, left]}).as_dict() and both.method == "leave_one_out"
    assert [line.stage for line in both.lines] == ["", *left.stages]
    assert [t.method for t in read(tmp_path / "both.json")] == ["", "leave_one_out"]


def test_the_result_can_be_read_by_people_and_by_machines(tmp_path):
    done = across(sets(GAINS))
    first, line = done.in_words()
    assert first.startswith("12 data sets, each with one mean gain per line; Wilcoxon's signed-rank test")
    assert line.startswith("linear, roc_auc: helps. Mean gain +0.0147, median +0.0150, over 12 data sets")
    assert "10 better, 2 alike, 0 worse" in line
    table = done.table()
    assert table.height == 1 and table.row(0, named=True)["word"] == "helps"
    assert pl.read_parquet(done.write(tmp_path / "lines.parquet")).equals(table)
    assert pl.read_csv(done.write(tmp_path / "s.csv", "sets"))["outcome"].value_counts().height == 2
    told = json.loads(done.write(tmp_path / "all.json").read_text())
    assert told["lines"][0]["n_sets"] == 12 and len(told["sets"]) == 12 and told["names"][0] == "set0"
    with pytest.raises(UnknownName, match="lines"):
        done.write(tmp_path / "x.csv", "line")
    with pytest.raises(DataError, match=r"\.txt"):
        done.write(tmp_path / "x.txt")


def test_one_run_under_two_names_is_refused():
    one = result(verdict(0.01, 0.71), rows=90)
    with pytest.raises(DataError, match="'a' and 'b' hold the same scores"):
        across({"a": one, "b": one})
    assert across({"a": one, "b": result(verdict(0.01, 0.71), rows=91)}).lines[0].n_sets == 2
    perfect = result(verdict(0.0, 1.0))
    assert across({"a": perfect, "b": perfect}).lines[0].n_sets == 2
    with pytest.raises(DataError, match="says two things about roc_auc of linear"):
        across({"a": [one, result(verdict(0.02, 0.72))]})


def test_what_cannot_be_compared_is_refused_with_the_reason(tmp_path):
    by = lambda method, before: result(verdict(0.1, before, stage="s"), method=method)
    with pytest.raises(DataError, match="'a' by shapley, 'b' by add_one"):
        across({"a": by("shapley", 0.5), "b": by("add_one", 0.6)})
    for nothing in ({}, None, [result(verdict(0.1))]):
        with pytest.raises(DataError, match="name at least one data set"):
            across(nothing)
    with pytest.raises(DataError, match="hold no verdict"):
        across({"a": result()})
    with pytest.raises(DataError, match="draws is 10"):
        across(sets(GAINS), draws=10)
    with pytest.raises(DataError, match="not int"):
        across({"a": 3})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no comparison and no ablation"),
        ('{"curve": {}}', "holds no comparison and no ablation"),
        ('{"comparison": {"rows": 3}}', "comparison: holds no list of verdicts"),
        ('{"verdicts": [], "rows": "3"}', "rows is '3'"),
        ('{"verdicts": [7], "rows": 3}', "verdict 1: is 7"),
        ('{"verdicts": [{"probe": 1}], "rows": 3}', "verdict 1: stage is None"),
        ("metric", "there is no metric 'roc_auk' (did you mean 'roc_auc'"),
        ("word", "'wins' is no word of a verdict"),
        ("before", "verdict 1: before is 'x'; a number or null belongs there"),
        ("gone", "verdict 1: before is 'absent'"),
    ],
)
def test_a_file_that_holds_no_result_says_what_is_wrong_in_it(text, words, tmp_path):
    path = tmp_path / "r.json"
    whole = result(verdict(0.1)).as_dict()
    said = {"metric": "roc_auk", "word": "wins", "before": "x"}
    if text in said:
        whole["verdicts"][0][text] = said[text]
        text = json.dumps(whole)
    elif text == "gone":
        del whole["verdicts"][0]["before"]
        text = json.dumps(whole)
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read(path)
    assert words in str(caught.value) and "r.json" in str(caught.value)


def test_a_file_that_is_not_there_or_a_table_is_refused(tmp_path):
    result(verdict(0.1)).write(tmp_path / "adult.json")
    with pytest.raises(DataError, match=r"did you mean 'adult\.json'"):
        read(tmp_path / "adlut.json")
    with pytest.raises(DataError, match=r"a table holds no design. Write one by 'tilth bench"):
        read(tmp_path / "adult.csv")
