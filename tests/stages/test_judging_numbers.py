"""What models expect of numbers: leave-one-out algebra is the oracle."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

from tilth.errors import DataError
from tilth.stages.judging_numbers import judge_numbers
from tilth.table import Table

GIVEN = {"folds": 5, "repeats": 1, "looks": 1, "random_state": 0}
X, Y = (part[:80] for part in load_diabetes(return_X_y=True))
FRAME = pl.DataFrame(X[:, :4], schema=list("abcd"))


def test_one_row_at_a_time_is_the_algebra_of_leverage() -> None:
    table = Table.of(FRAME, Y)
    told = judge_numbers(table, list("abcd"), "s", probe=LinearRegression(), **GIVEN | {"folds": "one"})
    design = np.c_[np.ones(80), X[:, :4]]
    hat = design @ np.linalg.pinv(design)
    left_out = (Y - hat @ Y) / (1 - np.diag(hat))
    np.testing.assert_allclose(told.residual, left_out[told.rows], rtol=1e-8)
    np.testing.assert_array_equal(told.given, Y[told.rows])
    assert told.probe == "LinearRegression" and told.why == ""


def test_rows_come_in_the_order_of_their_ids_and_those_without_value_or_weight_do_not_come() -> None:
    weight, y = np.ones(80), Y.copy()
    weight[[3, 40]], y[7] = 0, np.nan
    table = Table.of(FRAME, y, sample_weight=weight)
    told = judge_numbers(table, list("abcd"), "s", probe=LinearRegression(), **GIVEN)
    assert set(range(80)) - set(told.rows.tolist()) == {3, 7, 40}
    assert (np.diff(table.ids[told.rows].astype(object)) > 0).all()
    kept = np.setdiff1d(np.arange(80), [3, 7, 40])
    alone = table.with_frame(table.frame.collect()[kept].lazy())
    again = judge_numbers(alone, list("abcd"), "s", probe=LinearRegression(), **GIVEN)
    np.testing.assert_array_equal(again.spread, told.spread)


def test_a_second_look_hardly_sees_what_lay_far_off() -> None:
    y = X[:, 2] * 100 + np.random.default_rng(0).normal(0, 0.1, 80)
    wrong = y.copy()
    wrong[::10] -= 30
    misled = []
    for looks in (1, 2):
        told = judge_numbers(
            Table.of(FRAME, wrong), ["c"], "s", probe=LinearRegression(), **GIVEN | {"looks": looks}
        )
        misled.append(np.abs(told.expected - y[told.rows]).mean())
    assert misled[1] < misled[0] / 5


@pytest.mark.parametrize(
    "groups, why", [(["a"] * 80, "all rows are of one group"), ([None] + ["a"] * 79, "")]
)
def test_a_row_without_a_group_is_a_group(groups: list, why: str) -> None:
    table = Table.of(FRAME, Y, groups=groups)
    if why:
        assert judge_numbers(table, ["a"], "s", probe=LinearRegression(), **GIVEN).why == why
    else:
        # The other side of its fold: one row, from which no slope can be learned.
        told = judge_numbers(table, ["a"], "s", probe=LinearRegression(), **GIVEN)
        np.testing.assert_allclose(told.expected[told.rows != 0], Y[0])


def test_classes_are_refused() -> None:
    with pytest.raises(DataError, match="s: works on numbers, but the target 'target' holds String"):
        judge_numbers(Table.of(FRAME, ["a", "b"] * 40), ["a"], "s", probe="linear", **GIVEN)
