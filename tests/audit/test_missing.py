"""Diagnosis of gaps: planted mechanisms are told, chance is called chance, and no more is claimed."""

import time

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2_contingency, mannwhitneyu
from sklearn.metrics import roc_auc_score

from tilth.audit import FINDS, audit, causes, missing
from tilth.audit.column import Column
from tilth.core import parameters
from tilth.stages import stage
from tilth.stages.dependence import (
    LEAST,
    dependence,
    holm,
    rank_sums,
    sampled,
    tells_class,
    tells_number,
)
from tilth.table import Roles, Table

ROWS = 1500
IDS = np.arange(ROWS, dtype=np.uint64)


def complete(seed=0):
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, ROWS)
    return pl.DataFrame(
        {
            "age": age,
            "pay": age * 2 + random.normal(0, 9, ROWS),
            "rent": random.exponential(800, ROWS),
            "city": random.choice(["oslo", "rome", "lima"], ROWS),
            "y": random.choice(["a", "b"], ROWS),
        }
    )


def without(frame, **holes):
    return frame.with_columns(pl.when(~pl.Series(h)).then(pl.col(c)).alias(c) for c, h in holes.items())


def chance(share, seed=7):
    return np.random.default_rng(seed).random(ROWS) < share


def found(frame, target=None):
    seen = audit(frame, target, stages=[])
    return {f.kind: f for f in seen.of("missing")}


def gaps(frame):
    return missing.Gaps.of(Table.of(frame))


# How many


def test_a_table_without_gaps_has_no_finding():
    assert found(complete(), "y") == {}
    assert list(causes.reasons(Table.of(complete()), gaps(complete()), 0)) == []


def test_cells_columns_and_rows_are_counted():
    frame = without(complete(), age=IDS < 30, city=(IDS >= 20) & (IDS < 60))
    cells = found(frame)["missing.cells"]
    assert cells.score == 70 / (5 * ROWS) and cells.n_rows == 60 and cells.columns == ("city", "age")
    assert "70 of 7500 cells (0.9%)" in cells.message and "2 of 5 columns" in cells.message


def test_the_share_of_each_column_is_told_once_and_by_the_stage_that_fills_it():
    frame = without(complete(), age=chance(0.2))
    seen = audit(frame, stages=["impute.simple"])
    assert [f.columns for f in seen.of("missing.filled")] == [("age",)]
    told = [f for f in seen.of("missing") if f.stage == "audit.missing"]
    assert {f.kind for f in told} == {"missing.cells", "missing.random", "missing.little"}


def test_a_column_of_mostly_gaps_is_told_and_one_of_gaps_only_is_left_to_the_stage():
    frame = without(complete(), rent=chance(0.7), age=np.ones(ROWS, bool))
    told = found(frame)
    assert told["missing.mostly"].columns == ("rent",)
    assert all("age" not in f.columns for f in told.values())


# Patterns


def test_the_co_missing_matrix_counts_rows():
    one, two = chance(0.3, 1), chance(0.2, 2)
    seen = gaps(without(complete(), age=one, city=two))
    assert seen.names == ("age", "city")
    np.testing.assert_array_equal(
        seen.together, [[one.sum(), (one & two).sum()], [(one & two).sum(), two.sum()]]
    )
    np.testing.assert_allclose(seen.correlation, np.corrcoef(one, two), atol=1e-12)


def test_columns_that_are_missing_together_are_one_block():
    both = chance(0.1)
    told = found(without(complete(), age=both | (IDS == 3), pay=both, city=chance(0.1, 8)))
    block = told["missing.together"]
    assert set(block.columns) == {"age", "pay"} and block.n_rows == both.sum() and block.score > 0.98
    assert "missing.linked" not in told


def test_gaps_that_meet_more_or_less_often_than_by_chance_are_told_with_their_figures():
    one = chance(0.3)
    frame = without(complete(), age=one, pay=(one & chance(0.5, 8)) | chance(0.05, 9))
    told = found(frame)["missing.linked"]
    assert set(told.columns) == {"age", "pay"} and "'age' with 'pay'" in told.message
    assert told.score == pytest.approx(gaps(frame).correlation[0, 1])
    apart = found(without(complete(), age=one, pay=~one & chance(0.5, 8)))["missing.linked"]
    assert "(0 rows miss both" in apart.message and "correlation -" in apart.message


def test_independent_gaps_have_no_pattern():
    for seed in range(5):
        holes = {c: chance(0.2, seed * 10 + i) for i, c in enumerate(["age", "pay", "rent", "city"])}
        assert {f.kind for f in missing.pattern(gaps(without(complete(), **holes)))} == set()


def test_people_who_leave_a_study_make_a_monotone_pattern():
    left = np.random.default_rng(11).integers(0, 8, ROWS)
    told = found(without(complete(), age=left < 1, pay=left < 2, rent=left < 3))["missing.monotone"]
    assert told.columns == ("age", "pay", "rent") and told.score == 1.0 and told.n_rows == (left < 3).sum()
    back = without(complete(), age=left < 1, pay=(left < 2) & chance(0.7), rent=left < 3)
    assert "missing.monotone" not in found(back)
    beside = found(without(complete(), age=left < 1, pay=left < 2, rent=left < 3, city=chance(0.3)))
    assert beside["missing.monotone"].columns == ("age", "pay", "rent")


# What the gaps depend on


def test_gaps_that_depend_on_a_column_are_told_with_its_name():
    frame = complete()
    hole = np.random.default_rng(1).random(ROWS) < 1 / (1 + np.exp(-(frame["age"].to_numpy() - 50) / 4))
    told = found(without(frame, rent=hole))
    depends = told["missing.depends"]
    assert depends.columns == ("rent",) and depends.score > 0.8 and depends.n_rows == hole.sum()
    assert "not MCAR: where it is missing depends on 'age'" in depends.message
    assert "missing.random" not in told


def test_gaps_at_random_are_consistent_with_mcar_and_no_more_is_claimed():
    for seed in range(4):
        told = found(without(complete(seed), rent=chance(0.3, seed + 100), city=chance(0.1, seed + 200)), "y")
        assert set(told["missing.random"].columns) == {"rent", "city"}
        assert "consistent with MCAR" in told["missing.random"].message
        assert "no test of these data can tell" in told["missing.random"].message
        assert not {"missing.depends", "missing.label"} & set(told)


def test_gaps_that_depend_on_the_missing_value_itself_are_never_said_to():
    frame = complete()
    told = found(without(frame, rent=frame["rent"].to_numpy() > 1500))
    assert "missing.depends" not in told
    assert not any("MNAR" in f.message for f in told.values())


def test_gaps_that_only_go_with_gaps_depend_on_no_value():
    one = chance(0.3)
    told = found(without(complete(), age=one, rent=one ^ chance(0.1, 8), city=chance(0.2, 9)))
    assert "missing.depends" not in told and "missing.linked" in told


def test_categories_dates_and_truths_are_asked_too():
    random = np.random.default_rng(0)
    frame = complete().with_columns(
        seen=pl.datetime(2020, 1, 1) + pl.duration(days=pl.Series(random.integers(0, 900, ROWS))),
        yes=pl.Series(random.random(ROWS) < 0.5),
    )
    for cause, hole in (
        ("city", (frame["city"] == "rome").to_numpy()),
        ("seen", frame.select(pl.col("seen") > pl.datetime(2021, 6, 1)).to_series().to_numpy()),
        ("yes", frame["yes"].to_numpy()),
    ):
        told = found(without(frame, rent=hole & chance(0.8)))["missing.depends"]
        assert f"depends on '{cause}'" in told.message


def test_few_gaps_are_not_asked_about():
    told = found(without(complete(), age=IDS < LEAST - 1), "y")
    assert not {"missing.depends", "missing.random", "missing.label"} & set(told)
    assert "missing.random" in found(
        without(complete(), age=np.isin(IDS, sampled(chance(0.5), IDS, 0, LEAST)))
    )


def test_groups_that_miss_a_column_as_a_whole_are_no_dependence():
    # Each person is measured ten times, so any column that is the same for a person tells who it is.
    person = IDS // 10
    weight = np.random.default_rng(3).normal(size=ROWS // 10)[person]
    absent = (np.random.default_rng(4).random(ROWS // 10) < 0.3)[person]
    frame = without(complete().with_columns(weight=pl.Series(weight), person=pl.Series(person)), rent=absent)
    seen = lambda **roles: {
        f.kind for f in causes.reasons(Table.of(frame, roles=Roles(**roles)), gaps(frame), 0)
    }
    assert seen(group="person") == {"missing.random"}
    frame = frame.with_columns(side=pl.Series(IDS % 2))
    assert seen(group="side") <= {"missing.random", "missing.depends"}  # two groups, three folds
    assert seen() == {"missing.depends"}


def test_the_order_of_rows_and_columns_does_not_matter():
    frame = without(complete(), rent=chance(0.3), city=complete()["age"].to_numpy() > 50)
    table = Table.of(frame)
    turned = table.with_frame(table.frame.reverse())
    of = lambda t: [(f.kind, f.score, f.message) for f in causes.reasons(t, missing.Gaps.of(t), 0)]
    assert of(table) == of(turned)


# The label


def test_gaps_that_tell_the_class_are_told_and_an_indicator_is_the_remedy():
    frame = complete()
    hole = (frame["y"] == "b").to_numpy() & chance(0.4)
    told = found(without(frame, city=hole), "y")["missing.label"]
    assert told.columns == ("city",) and "100.0% of the labels are 'b'" in told.message
    assert told.remedy == {"impute.simple": {"indicator": True}}


def test_gaps_that_tell_the_number_to_predict_are_told():
    frame = complete().drop("y")
    hole = (frame["pay"].to_numpy() > 90) & chance(0.5)
    told = found(without(frame, city=hole), "pay")["missing.label"]
    assert "the median of the target is" in told.message and told.columns == ("city",)


def test_labels_that_are_missing_or_of_one_class_are_no_trouble():
    frame = without(complete(), y=chance(0.2, 3), city=chance(0.2, 4))
    assert "missing.label" not in found(frame, "y")
    y = Column.of(Table.of(frame.with_columns(y=pl.lit("a"))), "y")
    assert list(causes.label(gaps(frame), y, True, 0)) == []


# Little's test


def test_littles_test_tells_numbers_whose_means_depend_on_the_gaps_from_others():
    frame = complete()
    random = found(without(frame, pay=chance(0.3)))["missing.little"]
    assert "consistent with MCAR" in random.message and 0 <= random.score < 0.99
    bound = found(without(frame, pay=frame["age"].to_numpy() > 48))["missing.little"]
    assert "not MCAR" in bound.message and bound.score > 0.999
    assert bound.columns == ("pay",)


def test_littles_test_is_not_asked_where_it_has_nothing_to_say():
    assert "missing.little" not in found(without(complete(), city=chance(0.3)))
    assert "missing.little" not in found(without(complete().select("age", "city"), age=chance(0.3)))
    assert "missing.little" not in found(without(complete(), age=IDS < 3))


def test_a_heavy_tail_does_not_decide_littles_test():
    for seed in range(5):
        rent = np.random.default_rng(seed + 300).pareto(0.7, ROWS)
        told = found(without(complete(seed).with_columns(rent=pl.Series(rent)), pay=chance(0.3, seed + 100)))
        assert "consistent with MCAR" in told["missing.little"].message


# The arithmetic


def test_chance_is_not_taken_for_dependence():
    random = np.random.default_rng(0)
    p_values = []
    for seed in range(12):
        others = pl.DataFrame(random.normal(size=(400, 4)), schema=list("abcd"))
        p_values.append(dependence(others, random.random(400) < 0.3, IDS[:400], seed=seed).p_value)
    assert min(p_values) > 0.01 and 0.2 < np.mean(p_values) < 0.8


def test_a_permutation_sum_of_ranks_has_the_mean_and_spread_of_mann_and_whitney():
    ranks = np.arange(1.0, 201)
    for many in (30, 170):
        sums = rank_sums(ranks, many, np.random.default_rng(0))
        spread = np.sqrt(many * (200 - many) * 201 / 12)
        assert abs(sums.mean() - many * 100.5) < 4 * spread / np.sqrt(len(sums))
        assert sums.std() == pytest.approx(spread, rel=0.1)


def test_p_values_agree_with_those_of_scipy():
    random = np.random.default_rng(5)
    hole = random.random(600) < 0.3
    values = random.normal(size=600) + 0.2 * hole
    auc, p_value = tells_number(hole, values)
    assert auc == pytest.approx(roc_auc_score(hole, values), abs=1e-12)
    assert p_value == pytest.approx(mannwhitneyu(values[hole], values[~hole]).pvalue, abs=0.03)
    codes = np.where(random.random(600) < 0.1 * hole, 0, random.integers(0, 3, 600))
    table = [np.bincount(codes[hole]), np.bincount(codes[~hole])]
    assert tells_class(hole, codes) == pytest.approx(chi2_contingency(table).pvalue, abs=0.04)


def test_holms_method_is_that_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_sample_takes_as_many_gaps_as_values_and_all_rows_where_they_are_few():
    hole = chance(0.1)
    rows = sampled(hole, IDS, 0, 200)
    assert len(rows) == 200 and hole[rows].sum() == 100
    assert sorted(sampled(hole, IDS, 0, 5000)) == IDS.tolist()
    few = sampled(hole, IDS, 0, 600)
    assert hole[few].sum() == hole.sum() and len(few) == 600


# All of them


def test_every_finding_is_declared_and_each_remedy_is_a_line_of_a_recipe():
    left = np.random.default_rng(11).integers(0, 8, ROWS)
    frame = without(complete(), age=left < 1, pay=left < 2, rent=left < 6, city=chance(0.3))
    told = found(frame, "y") | found(without(complete(), city=(complete()["y"] == "b").to_numpy()), "y")
    assert {"missing.cells", "missing.mostly", "missing.monotone", "missing.label"} <= set(told)
    assert {"missing.depends", "missing.random"} & set(told)
    for finding in told.values():
        assert finding.kind in FINDS and finding.stage == "audit.missing"
        assert set(finding.columns) <= set(frame.columns)
        ((key, params),) = finding.remedy.items()
        # `on` also says which columns tell the missing ones: a few of them would know nothing.
        assert key != "impute.iterative" or "on" not in params
        parameters.check(stage(key, **params))


def test_a_wide_table_is_looked_at_in_a_bounded_time():
    random = np.random.default_rng(0)
    values = random.normal(size=(2000, 300))
    values[random.random(values.shape) < 0.2] = np.nan
    table = Table.of(values)
    start = time.perf_counter()
    seen = missing.Gaps.of(table)
    assert len(seen.names) == missing.MOST_COLUMNS
    assert list(missing.pattern(seen)) == []
    assert [f.kind for f in causes.reasons(table, seen, 0)] == ["missing.random"]
    assert len(list(causes.little(table, seen, 0))) <= 1
    assert time.perf_counter() - start < 60
