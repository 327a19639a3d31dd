"""Test rows against training rows: leaks across the split, drift, and where test rows come from."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2_contingency, ks_2samp

import tilth
from tilth.audit import audit, drift
from tilth.audit.column import Column
from tilth.errors import DataError
from tilth.pipeline.run import split
from tilth.recipes import Recipe
from tilth.table import Roles, Table

ROWS, HELD = 600, 200


def rows(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4))
    frame = pl.DataFrame({f"x{j}": x[:, j] for j in range(4)})
    return frame.with_columns(
        city=pl.Series(rng.choice(["oslo", "rome", "lima"], count)),
        y=pl.Series((x[:, 0] + rng.normal(size=count) > 0).astype(int)),
    )


@pytest.fixture
def train():
    return rows(ROWS, 0)


@pytest.fixture
def test():
    return rows(HELD, 1)


def looked(train, test=None, target="y", **more):
    return audit(train, target, test=test, stages=[], imputers=(), **more)


def across(seen):
    return {f.kind: f for f in seen.findings if f.kind.startswith(("leakage", "drift"))}


def test_test_rows_of_the_same_kind_raise_nothing(train, test):
    seen = looked(train, test)
    assert across(seen) == {}
    assert (seen.facts.rows, seen.facts.test_rows) == (ROWS, HELD)
    assert "600 rows and 200 test rows" in seen.in_words()[0]


def test_what_annotators_say_of_test_rows_is_no_feature(train, test):
    named = Roles("y", annotators=["ann", "bob"])
    told = Table.of(train.with_columns(ann=pl.col("y"), bob=pl.col("y")), roles=named)
    asked = looked(told, test.with_columns(ann=1 - pl.col("y")))
    plain = looked(train, test)
    assert [(f.kind, f.columns) for f in asked.findings] == [(f.kind, f.columns) for f in plain.findings]
    own = Table.of(test.with_columns(ann=pl.col("y")), roles=Roles("y", annotators=["ann"]))
    assert len(looked(told, own).findings) == len(plain.findings)


def test_exact_copies_are_counted_with_the_agreement_of_their_labels(train, test):
    copied = pl.concat(
        [test, train[:50].with_columns(y=pl.when(pl.int_range(50) < 10).then(1 - pl.col("y")).otherwise("y"))]
    )
    found = across(looked(train, copied))
    assert found.keys() == {"leakage.copies"}
    copies = found["leakage.copies"]
    assert (
        copies.n_rows == 50 and copies.severity == "high" and "80% of them with its label" in copies.message
    )
    assert set(copies.rows) == set(range(HELD, HELD + 50))


def test_near_copies_are_found_and_exact_ones_are_not_counted_with_them(train, test):
    jitter = [pl.col(f"x{j}") + 1e-3 for j in range(4)]
    mixed = pl.concat([test, train[:30].with_columns(jitter), train[30:40]])
    found = across(looked(train, mixed))
    near = found["leakage.near_copies"]
    assert near.n_rows == 30 and found["leakage.copies"].n_rows == 10
    assert set(near.rows) == set(range(HELD, HELD + 30))
    assert near.remedy == {"duplicates.near": {"action": "group"}}
    tilth.stage("duplicates.near", action="group")


def test_a_column_that_counts_rows_hides_no_copy(train, test):
    number = lambda frame, start: frame.with_columns(record=pl.int_range(start, start + frame.height))
    mixed = pl.concat([test, train[:30]])
    found = across(looked(number(train, 0), number(mixed, 9000)))
    assert found["leakage.copies"].n_rows == 30
    assert "drift.joint" not in found and "drift.column" not in found


def test_rows_of_few_values_meet_by_nature():
    rng = np.random.default_rng(0)
    draw = lambda n: pl.DataFrame(
        {"a": rng.integers(0, 3, n), "b": rng.integers(0, 3, n), "y": rng.integers(0, 2, n)}
    )
    found = across(looked(draw(400), draw(200)))
    assert found["leakage.copies"].severity == "low"
    assert "leakage.near_copies" not in found


def test_groups_that_straddle_are_told(train, test):
    ward = lambda frame, wards: frame.with_columns(
        ward=pl.Series([f"w{i % wards}" for i in range(frame.height)])
    )
    found = across(looked(ward(train, 40), ward(test, 20), group="ward"))
    straddle = found["leakage.groups"]
    assert (straddle.n_rows, straddle.severity, straddle.columns) == (HELD, "high", ("ward",))
    assert "20 values of 'ward'" in straddle.message
    apart = ward(test, 20).with_columns(ward=pl.lit("z"))
    assert "leakage.groups" not in across(looked(ward(train, 40), apart, group="ward"))


def test_a_time_column_split_at_random_is_told_and_one_split_by_time_is_not():
    rng = np.random.default_rng(0)
    day = np.arange(800)
    y = (rng.random(800) < np.where(day < 400, 0.1, 0.9)).astype(int)
    frame = pl.DataFrame(
        {"x": rng.normal(size=800), "day": pl.Series(day).cast(pl.Int32).cast(pl.Date), "y": y}
    )
    turn = rng.permutation(800)
    found = across(looked(frame[np.sort(turn[:600])], frame[np.sort(turn[600:])]))
    assert found["leakage.time"].severity == "high" and found["leakage.time"].score > 0.95
    assert "leakage.time" not in across(looked(frame[:600], frame[600:]))


def test_the_remedy_for_time_is_a_split_that_a_recipe_can_make():
    day = pl.Series(np.random.default_rng(0).permutation(100)).cast(pl.Int32).cast(pl.Date)
    table = Table.of(pl.DataFrame({"x": np.arange(100.0), "day": day}))
    recipe = Recipe.from_values(
        {"data": {"split": {"by": "time", "column": "day", "test": 0.25}}, "stages": []}
    )
    early, late = split(table, recipe)
    assert (early.height, late.height) == (75, 25)
    assert early.X()["day"].max() < late.X()["day"].min()


# --- drift ------------------------------------------------------------------------------------------


def shifted(test):
    return test.with_columns(x1=pl.col("x1") + 1.5)


def test_a_column_that_drifts_is_named_by_both_tests(train, test):
    found = across(looked(train, shifted(test)))
    assert found["drift.column"].columns == ("x1",) and found["drift.column"].severity == "medium"
    joint = found["drift.joint"]
    assert joint.columns == ("x1",) and joint.score > 0.7 and "95% interval" in joint.message


def test_p_values_are_those_of_scipy(train, test):
    one, two = (Column.of(Table.of(f), "x1") for f in (train, shifted(test)))
    p_value, _, _ = drift._compared(one, two)
    assert p_value == ks_2samp(one.series, two.series, method="exact").pvalue
    one, two = (Column.of(Table.of(f), "city") for f in (train, test))
    counts = [c.series.value_counts().sort("city")["count"].to_numpy() for c in (one, two)]
    assert drift._compared(one, two)[0] == pytest.approx(chi2_contingency(counts, correction=False).pvalue)


def test_gaps_and_unseen_categories_drift_too(train, test):
    holed = test.with_columns(
        x2=pl.when(pl.int_range(HELD) % 3 == 0).then(None).otherwise("x2"),
        city=pl.when(pl.int_range(HELD) % 4 == 0).then(pl.lit("bern")).otherwise("city"),
    )
    seen = [f for f in looked(train, holed).findings if f.kind in ("drift.column", "drift.unseen")]
    assert {(f.kind, f.columns) for f in seen} == {
        ("drift.column", ("x2",)),
        ("drift.column", ("city",)),
        ("drift.unseen", ("city",)),
    }
    assert "missing in 0.0%, then missing in 33.5%" in next(f for f in seen if f.columns == ("x2",)).message
    assert next(f for f in seen if f.kind == "drift.unseen").n_rows == 50


def test_label_shift_is_told_for_classes_and_for_numbers(train, test):
    ones = pl.concat([test.filter(pl.col("y") == 1), test.filter(pl.col("y") == 0)[:20]])
    assert "drift.target" in across(looked(train, ones))
    assert "drift.target" not in across(looked(train, test))
    number = lambda frame, shift: frame.with_columns(y=pl.col("x3") * 1.7 + shift)
    assert "drift.target" in across(looked(number(train, 0.0), number(test, 1.0)))


def test_chance_is_not_called_drift():
    alarms = 0
    for seed in range(20):
        found = across(looked(rows(300, 100 + seed), rows(150, 200 + seed)))
        alarms += any(kind.startswith("drift") for kind in found)
    assert alarms <= 2


# --- where test rows come from ----------------------------------------------------------------------


def test_a_split_column_names_the_test_rows(train, test):
    marked = pl.concat(
        [train.with_columns(part=pl.lit("train")), shifted(test).with_columns(part=pl.lit("test"))]
    )
    seen = looked(marked, split="part")
    assert (seen.facts.rows, seen.facts.test_rows) == (ROWS, HELD)
    assert "drift.column" in across(seen)
    assert seen.recipe.data.split.column == "part"
    with pytest.raises(DataError, match="named twice"):
        looked(marked, test, split="part")
    with pytest.raises(DataError, match="splits nothing"):
        looked(marked, split="city")


def test_files_frames_tables_and_arrays_serve_as_test_rows(train, test, tmp_path):
    train.write_csv(tmp_path / "train.csv")
    shifted(test).write_csv(tmp_path / "test.csv")
    kinds = set(across(looked(tmp_path / "train.csv", tmp_path / "test.csv")))
    assert {"drift.column", "drift.joint"} <= kinds
    assert set(across(looked(train.to_pandas(), shifted(test).to_pandas()))) == kinds
    assert set(across(looked(Table.of(train), Table.of(shifted(test))))) == kinds
    numbers = lambda frame: frame.drop("city", "y").to_numpy()
    seen = looked(numbers(train), numbers(shifted(test)), target=train["y"].to_numpy())
    assert "drift.column" in across(seen) and "drift.target" not in across(seen)


def test_test_rows_without_a_target_without_a_column_or_of_another_type(train, test):
    assert across(looked(train, test.drop("y"))) == {}
    assert across(looked(train, test.drop("x1")))["drift.absent"].columns == ("x1",)
    text = test.with_columns(
        x1=pl.when(pl.int_range(HELD) == 7).then(pl.lit("n/k")).otherwise(pl.col("x1").cast(pl.String))
    )
    assert across(looked(train, text))["drift.type"].columns == ("x1",)


def test_disguised_gaps_are_uncovered_in_test_rows_too(train, test):
    words = lambda frame: frame.with_columns(
        x1=pl.when(pl.int_range(frame.height) % 20 == 0)
        .then(pl.lit("?"))
        .otherwise(pl.col("x1").cast(pl.String))
    )
    assert across(looked(words(train), words(test))) == {}


def test_one_test_row_and_none(train, test):
    assert across(looked(train, test[:1])) == {}
    with pytest.raises(DataError, match="no test rows"):
        looked(train, test[:0])


def test_a_sample_is_compared_and_copies_are_still_all_counted(train, test):
    found = looked(train, pl.concat([test, train[:100]]), max_rows=150)
    assert found.of("leakage.copies")[0].n_rows == 100
