"""Verdicts of the rules: who may go, what reasons name, and that no class goes whole."""

import numpy as np
import polars as pl
import pytest

from tilth.errors import DataError
from tilth.stages.classed import ClassedRows
from tilth.stages.cleaning import Verdict, clean_by, may_go
from tilth.table import Table

X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1]})
Y = pl.Series(["no", "no", "no", "no", "no", "yes", "yes"])
ROWS = ClassedRows.of(Table.of(X, Y), ["a"], "s", "none")


def cleaned(rule: str, k: int = 2) -> Verdict:
    return clean_by(rule, ROWS, may_go(ROWS, "auto", "s"), k=k, kind="all", device="cpu", random_state=0)


def test_the_classes_that_may_be_cleaned() -> None:
    assert may_go(ROWS, "auto", "s").tolist() == [True, False]
    assert may_go(ROWS, "all", "s").tolist() == [True, True]
    assert may_go(ROWS, ["yes"], "s").tolist() == [False, True]
    assert may_go(ROWS, [], "s").tolist() == [False, False]
    with pytest.raises(DataError, match="classes: names the class 'maybe'"):
        may_go(ROWS, ["maybe"], "s: classes")


def test_classes_that_are_numbers_or_truths_are_named_as_such() -> None:
    for labels, name in (([0, 0, 1], 1), ([False, False, True], True), ([0.0, 0.0, 1.0], "1.0")):
        rows = ClassedRows.of(Table.of(pl.DataFrame({"a": [1, 2, 3]}), pl.Series(labels)), ["a"], "s", "none")
        assert may_go(rows, [name], "s").tolist() == [False, True]


@pytest.mark.parametrize(
    ("rule", "row", "reason"),
    [
        ("enn", 4, "class 'no': among its nearest rows are row 5 ('yes'), row 6 ('yes')"),
        ("repeated_enn", 4, "class 'no': among its nearest rows are row 5 ('yes'), row 6 ('yes')"),
        ("all_knn", 4, "class 'no': among its nearest rows are row 5 ('yes')"),
        ("ncr", 4, "class 'no': among its nearest rows are row 5 ('yes'), row 6 ('yes')"),
        ("tomek", 4, "class 'no': it and row 5 ('yes') are each other's nearest"),
    ],
)
def test_reasons_name_the_neighbors(rule, row: int, reason: str) -> None:
    verdict = cleaned(rule)
    assert np.flatnonzero(verdict.gone).tolist() == [row]
    assert verdict.reason[row] == reason
    assert (verdict.reason[~verdict.gone] == "").all()


def test_a_neighbor_that_outvotes_a_rare_row_is_told_which() -> None:
    frame = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 0.31, 0.4, 9.0, 9.1]})
    y = pl.Series(["no", "no", "no", "no", "yes", "no", "yes", "yes"])
    rows = ClassedRows.of(Table.of(frame, y), ["a"], "s", "none")
    verdict = clean_by("ncr", rows, may_go(rows, "auto", "s"), k=3, kind="all", device="cpu", random_state=0)
    assert verdict.reason[3] == "class 'no': one of the nearest of row 4 ('yes'), which they outvote"
    assert verdict.gone[3]


def test_more_than_three_neighbors_are_not_all_named() -> None:
    frame, y = pl.DataFrame({"a": [0.0, 1.0, 1.1, 1.2, 1.3, 1.4]}), pl.Series(["no"] + ["yes"] * 5)
    rows = ClassedRows.of(Table.of(frame, y), ["a"], "s", "none")
    verdict = clean_by("enn", rows, may_go(rows, "all", "s"), k=4, kind="all", device="cpu", random_state=0)
    assert verdict.reason[0].endswith("row 1 ('yes'), row 2 ('yes'), row 3 ('yes') ...")


def test_a_link_has_the_distance_of_the_two_as_its_score() -> None:
    verdict = cleaned("tomek")
    assert verdict.score[4] == pytest.approx(0.1)
    assert np.isnan(verdict.score[0])


@pytest.mark.parametrize("rule", ["condensed", "one_sided"])
def test_the_rows_that_stay_tell_the_class_of_those_that_go(rule) -> None:
    random = np.random.default_rng(0)
    a = np.concatenate([random.normal(0, 1, 200), random.normal(4, 1, 40)])
    rows = ClassedRows.of(
        Table.of(pl.DataFrame({"a": a}), pl.Series([0] * 200 + [1] * 40)), ["a"], "s", "none"
    )
    verdict = clean_by(rule, rows, may_go(rows, "auto", "s"), k=3, kind="all", device="cpu", random_state=4)
    gone, stay = verdict.gone, ~verdict.gone
    assert 0 < gone.sum() < 200
    assert not gone[200:].any()
    told = np.array([reason.endswith("rows that stay tell its class") for reason in verdict.reason])
    nearest = np.abs(a[told][:, None] - a[stay]).argmin(axis=1)
    assert (rows.codes[stay][nearest] == 0).mean() > 0.9
    assert (verdict.score[gone & told] <= 0).all()


def test_of_a_class_that_would_go_whole_the_best_row_stays() -> None:
    gone = np.array([True, True, True, False])
    verdict = Verdict(gone, np.array(["x", "y", "z", ""], dtype=object), np.array([0.1, 0.5, np.nan, 1.0]))
    spared, classes = verdict.sparing(np.array([0, 0, 0, 1]))
    assert classes == [0]
    assert spared.gone.tolist() == [True, False, True, False]
    assert spared.reason.tolist() == ["x", "", "z", ""]
    assert verdict.gone.tolist() == gone.tolist()
