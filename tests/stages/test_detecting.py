import datetime as dt
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from tilth.stages.detecting import Detector, limit_of, rarity, reasons
from tilth.stages.reading import Reading
from tilth.statistics import Statistics
from tilth.table import Roles, Table


class FarOut(Detector):
    """Score rows by the largest number in them."""

    key: ClassVar[str] = "outliers.far"
    scaled = "none"

    def __init__(self, *, threshold=0.05, action="drop", on=None):
        self.threshold = threshold
        self.action = action
        self.on = on

    def measure(self, reading, matrix):
        seen.append(matrix)
        numbers = matrix[:, ~reading.categorical]
        return np.nan_to_num(np.abs(numbers)).max(axis=1, initial=0)


seen: list[np.ndarray] = []


@pytest.fixture
def ages():
    random = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "age": [200.0, *random.uniform(17, 90, 199)],
            "job": ["astronaut", *random.choice(["clerk", "cook"], 199)],
        }
    )


def test_the_share_with_the_highest_scores_is_dropped(ages):
    stage = FarOut(threshold=0.05).fit(ages)
    dropped = np.flatnonzero(stage.plan_.times == 0)
    assert dropped.tolist() == np.sort(np.argsort(-ages["age"].to_numpy())[:10]).tolist()
    assert (stage.plan_.score == -ages["age"].to_numpy()).all()


def test_a_flagged_row_names_the_columns_that_set_it_apart_and_what_is_usual(ages):
    reason = FarOut(threshold=0.005).fit(ages).plan_.reason
    low, high = np.sort(ages["age"].to_numpy()[1:])[[0, -1]]
    assert f"age 200 (99.9% of the others: {low:.6g}..{high:.6g})" in reason[0]
    assert "job 'astronaut' (0.00% of the others)" in reason[0]
    assert set(reason[1:]) == {""}


def test_report_changes_nothing_and_says_which_rows(ages):
    stage = FarOut(threshold=0.005, action="report").fit(ages)
    assert (stage.plan_.times == 1).all() and stage.plan_.weight is None
    (found,) = stage.findings_
    assert found.kind == "outliers.rows" and found.rows == (0,) and found.score == 1 / 200
    assert found.remedy == {"outliers.far": {"action": "weight"}}


def test_weights_fall_with_the_distance_beyond_the_bound(ages):
    stage = FarOut(threshold=0.05, action="weight").fit(ages)
    weight, flagged = stage.plan_.weight, stage.plan_.reason != ""
    assert (weight[~flagged] == 1).all() and ((weight[flagged] > 0) & (weight[flagged] < 1)).all()
    assert weight.argmin() == 0


def test_the_score_sees_rows_in_an_order_that_does_not_depend_on_theirs(ages):
    table = Table.of(ages.with_columns(pl.Series("key", range(200))), roles=Roles(row_id="key"))
    turned = table.with_frame(table.frame.reverse())
    seen.clear()
    FarOut(on=["age"]).fit(table), FarOut(on=["age"]).fit(turned)
    np.testing.assert_array_equal(seen[0], seen[1])


def test_columns_without_a_value_are_not_scored_and_a_table_of_them_loses_no_row():
    empty = pl.DataFrame({"a": pl.Series([None] * 5, dtype=pl.Float64)})
    assert (FarOut().fit(empty).plan_.times == 1).all()
    seen.clear()
    FarOut().fit(empty.with_columns(b=pl.Series([1.0, 2.0, 3.0, 4.0, 9.0])))
    assert seen[0].shape == (5, 1)


def test_a_class_never_loses_its_last_row_and_the_loss_is_reported():
    X = pl.DataFrame({"a": [1.0] * 50 + [100.0, 101.0]})
    y = ["usual"] * 50 + ["fraud"] * 2
    stage = FarOut(threshold=0.04).fit(X, y)
    assert np.flatnonzero(stage.plan_.times == 0).tolist() == [51]
    kinds = {f.kind: f for f in stage.findings_}
    assert "'fraud'" in kinds["outliers.class"].message and kinds["outliers.class"].score == 1.0


@pytest.mark.parametrize("rule", ["adjusted", "boxplot", "mad"])
def test_named_rules_flag_what_lies_far_out_and_little_else(rule):
    random = np.random.default_rng(1)
    scores = np.r_[random.lognormal(0, 0.3, 2000), 50.0, 60.0]
    limit, told = limit_of(scores, rule)
    assert 50 > limit > np.quantile(scores[:-2], 0.9) and told
    assert ((scores > limit).mean() < 0.02) == (rule == "adjusted") or rule != "adjusted"


def test_the_adjusted_rule_gives_way_to_skewness():
    scores = np.random.default_rng(2).lognormal(0, 1, 5000)
    flagged = {rule: (scores > limit_of(scores, rule)[0]).mean() for rule in ("adjusted", "boxplot")}
    assert flagged["adjusted"] < flagged["boxplot"] / 2


def test_rarity_is_told_beyond_what_is_usual_in_the_column():
    rows = pl.DataFrame({"n": [1.0, 2, 3, 4, None], "c": ["x", "x", "x", "y", None], "name": list("abcde")})
    reading = Reading.learn(Statistics([rows.lazy()]), rows.columns)
    found = rarity(reading, reading.matrix(rows), np.arange(5))
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)
    # Everyone has a name of their own: it sets no row apart.
    assert (found[:, 2] == 0).all()
    assert found[3, 0] > found[1, 0] and found[3, 1] > found[0, 1]
    assert (found[4, :2] < 0).all()


def test_reasons_speak_the_language_of_the_column():
    rows = pl.DataFrame(
        {
            "day": [dt.date(2020, 1, 1)] * 3 + [dt.date(1900, 1, 1)],
            "count": [5, 6, 7, None],
            "yes": [True, True, True, False],
        }
    )
    told = reasons(rows, np.array([False, False, False, True]), np.array([[0, 1, 2]]))
    assert told == [
        "day 1900-01-01 (99.9% of the others: 2020-01-01..2020-01-01); yes 'false' (0.00% of the others)"
    ]
