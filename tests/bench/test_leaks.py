"""Leak checks of a run: planted leaks are told, ordinary data raise nothing, and no fit sees a test row."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from tests.bench.planted import NoOp, Oversample, gaussian
from tilth.bench import ablate, compare, leaks, preparing
from tilth.bench.arms import run_fold
from tilth.bench.design import Arm, Design
from tilth.bench.leaks import FINDS, leaks_of, noted
from tilth.bench.preparing import advance, begin
from tilth.bench.slices import Slices
from tilth.bench.trial import plan
from tilth.errors import LeakageError
from tilth.table import Roles, Table

ROWS = 600
ARMS = (Arm("before"), Arm("after"))
ALONE = {"probes": ["linear"], "folds": 3, "repeats": 1, "n_jobs": 1}
UNUSUAL = {"bench.target_among_features", "bench.id", "bench.key", "bench.train_test_differ"}


def planned(X, y=None, groups=None, **more):
    told = {"folds": 3, "repeats": 1, "metric": "auto", "random_state": 0, "allow_fitted": False} | more
    return plan(X, y, None, groups, arms=ARMS, probes=["linear"], **told)


def told(X, y=None, groups=None, **more):
    """Return the findings of the leak checks, by column."""
    found = [f for f in planned(X, y, groups, **more)[1] if f.kind in FINDS]
    return {name: f for f in found for name in f.columns}


def kinds(found):
    return {name: (f.kind, f.severity) for name, f in found.items()}


@pytest.fixture
def rng():
    return np.random.default_rng(1)  # not the seed of `rows`: the same draws would tell their labels


@pytest.fixture
def rows():
    return gaussian(ROWS)


# --- the target among the features ------------------------------------------------------------------


AGAIN = ("bench.target_among_features", "high")


@pytest.mark.parametrize(
    "copy",
    [
        lambda y: y,
        lambda y: np.where(y == 1, "paid", "owed"),
        lambda y: 7.5 - 3 * y,
        lambda y: y == 0,
        lambda y: pl.Series(np.where(y == 1, "seen", None), dtype=pl.String),
    ],
    ids=["equal", "words", "scaled", "booleans", "a gap for one class"],
)
def test_the_target_under_another_name_is_told_and_noted(rows, copy):
    X, y = rows
    found = told(X.with_columns(pl.Series("copy", copy(y))), y)
    assert kinds(found) == {"copy": AGAIN}


def test_one_wrong_cell_makes_it_a_feature_that_gives_the_target_away(rows):
    X, y = rows
    copy = y.copy()
    copy[50] = 1 - copy[50]
    found = told(X.with_columns(pl.Series("copy", copy)), y)
    assert kinds(found) == {"copy": ("bench.given_away", "high")} and 0.9 < found["copy"].score < 1


def test_a_few_gaps_do_not_hide_the_target(rows, rng):
    X, y = rows
    gone = pl.Series(rng.random(ROWS) < 0.05)
    copy = pl.select(pl.when(gone).then(None).otherwise(pl.Series(y))).to_series()
    found = told(X.with_columns(copy.alias("copy")), y)
    assert kinds(found) == {"copy": AGAIN}
    assert f"in {ROWS - int(gone.sum())} of {ROWS} labeled rows" in found["copy"].message


@pytest.mark.parametrize("curve", [lambda y: y, lambda y: -2 * y + 1, np.exp], ids=["equal", "line", "curve"])
def test_a_number_in_other_units_is_the_target_and_a_noisy_one_is_not(rng, curve):
    y = rng.normal(size=ROWS)
    X = pl.DataFrame({"copy": curve(y), "near": y + rng.normal(size=ROWS), "other": rng.normal(size=ROWS)})
    assert kinds(told(X, y)) == {"copy": AGAIN}


def test_categories_that_go_one_to_one_with_recurring_numbers_are_the_target(rng):
    level = rng.integers(0, 40, ROWS)
    y = rng.permutation(40)[level] * 1.5
    X = pl.DataFrame({"street": [f"s{v}" for v in level], "x": rng.normal(size=ROWS)})
    assert kinds(told(X, y))["street"] == AGAIN


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 10_000))
def test_any_renaming_of_classes_is_found_and_any_merging_is_not(names, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, 120)
    renamed, merged = np.array(names)[y], np.minimum(np.array(names)[y], 2)
    X = pl.DataFrame({"renamed": renamed, "merged": merged, "x": rng.normal(size=120)})
    found = kinds(told(X, y))
    assert found["renamed"] == AGAIN and found.get("merged") != AGAIN


def test_a_sample_is_looked_at_first_and_all_rows_confirm_it(rows, monkeypatch):
    X, y = rows
    for name in ("MOST_ROWS", "LEAST_ROWS"):
        monkeypatch.setattr(leaks, name, 100)
    monkeypatch.setattr(leaks, "suspects", lambda *_: [])
    assert kinds(told(X.with_columns(pl.Series("copy", y)), y)) == {"copy": AGAIN}
    for wrong in (3, 17, 99, 400):  # most of them are in no sample of 100
        almost = y.copy()
        almost[wrong] ^= 1
        assert told(X.with_columns(pl.Series("copy", almost)), y) == {}


# --- one feature, names of rows, dates --------------------------------------------------------------


def test_a_feature_made_after_the_target_was_known_is_told(rows, rng):
    X, y = rows
    found = told(X.with_columns(pl.Series("paid_back", y * 10 + rng.random(ROWS))), y)
    assert kinds(found) == {"paid_back": ("bench.given_away", "high")}


def test_names_of_rows_are_told_and_grave_where_they_tell_the_target(rows, rng):
    X, y = rows
    ids = {"record": rng.permutation(ROWS), "ticket": [f"t-{i:05d}" for i in rng.permutation(ROWS)]}
    found = told(X.with_columns(**{k: pl.Series(v) for k, v in ids.items()}), y)
    assert kinds(found) == dict.fromkeys(ids, ("bench.id", "low"))
    assert found["record"].remedy == {"data": {"row_id": "record"}}
    by_class = np.argsort(np.argsort(y, kind="stable"))
    found = told(X.with_columns(pl.Series("record", by_class)), y)
    assert kinds(found) == {"record": ("bench.id", "high")} and "tells" in found["record"].message


def test_a_name_of_what_rows_belong_to_is_told_until_it_is_the_group(rows, rng):
    X, y = rows
    patient = [f"{n * 7919:032x}" for n in rng.integers(0, 100, ROWS)]
    X = X.with_columns(pl.Series("patient", patient))
    found = told(X, y)
    assert found["patient"].kind == "bench.key"
    assert found["patient"].remedy == {"data": {"group": "patient"}}
    table = Table.of(X.with_columns(pl.Series("y", y)), roles=Roles(target="y", group="patient"))
    assert "patient" not in told(table)


def test_a_target_that_follows_a_date_is_told_where_folds_are_random(rng):
    day = rng.permutation(ROWS)
    y = (rng.random(ROWS) < np.where(day < ROWS / 2, 0.1, 0.9)).astype(int)
    X = pl.DataFrame({"day": pl.Series(day).cast(pl.Int32).cast(pl.Date), "x": rng.normal(size=ROWS)})
    found = told(X, y)
    assert found["day"].kind == "bench.over_time"
    assert found["day"].remedy == {"bench": {"time": "day"}}
    assert told(X, y, time="day") == {}


# --- test rows against training rows ----------------------------------------------------------------


def test_a_column_that_tells_groups_apart_is_named(rows, rng):
    X, y = rows
    groups = np.arange(ROWS) // 20
    assert told(X, y, groups) == {}
    apart = pl.Series("clinic", rng.normal(size=30)[groups])
    found = told(X.with_columns(apart), y, groups)
    assert kinds(found) == {"clinic": ("bench.train_test_differ", "low")}
    assert found["clinic"].score > 0.6 and "Groups differ" in found["clinic"].message
    assert told(X.with_columns(apart), y) == {}  # random folds over rows: told apart by nothing


def test_later_rows_unlike_earlier_ones_are_told_but_not_by_the_time_itself(rows, rng):
    X, y = rows
    when = rng.permutation(ROWS)
    X = X.with_columns(pl.Series("when", when * 0.5))
    assert told(X, y, time="when") == {}
    found = told(X.with_columns(pl.Series("price", when / 150 + rng.normal(size=ROWS))), y, time="when")
    assert kinds(found) == {"price": ("bench.train_test_differ", "medium")}
    assert "out of date" in found["price"].message


def test_a_fixed_test_set_of_another_kind_is_told(rows, rng):
    X, y = rows
    kept = rng.random(ROWS) < 0.3
    assert told(X, y, test=kept) == {}
    moved = X.with_columns(pl.Series("x0", X["x0"].to_numpy() + 1.5 * kept))
    found = told(moved, y, test=kept)
    assert kinds(found) == {"x0": ("bench.train_test_differ", "medium")}
    assert found["x0"].score > 0.7


# --- ordinary data, other rows, other orders --------------------------------------------------------


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_ordinary_data_raise_no_alarm(load):
    made = load(as_frame=True)
    found = told(pl.from_pandas(made.data), made.target.to_numpy())
    assert not {f.kind for f in found.values()} & UNUSUAL
    assert {f.severity for f in found.values()} <= {"low"}
    # Petals tell most of an iris: more than 0.7, which is said, but not gravely.
    assert set(found) == ({"petal length (cm)", "petal width (cm)"} if load is load_iris else set())


def test_census_and_noise_raise_nothing(rng):
    rows = pl.read_csv(files("tilth").joinpath("demo/adult.csv").read_bytes())
    assert told(rows.drop("income"), rows["income"]) == {}
    X = pl.DataFrame({f"x{i}": rng.normal(size=ROWS) for i in range(10)})
    assert told(X, rng.normal(size=ROWS)) == {}


def test_what_is_told_depends_on_no_order_of_the_rows_and_not_on_chance(rows, rng):
    X, y = rows
    whole = X.with_columns(pl.Series("leak", y * 2 + rng.normal(size=ROWS) * 0.6), pl.Series("y", y))
    table = Table.of(whole, roles=Roles(target="y")).collect()
    turned = table.with_frame(table.frame.collect()[rng.permutation(ROWS)].lazy())
    one, again, two = (told(t)["leak"] for t in (table, table, turned))
    assert one == again
    assert (one.kind, one.severity) == (two.kind, two.severity)
    assert one.score == pytest.approx(two.score, abs=1e-9)


@pytest.mark.parametrize("groups", [None, np.arange(40) // 2])
def test_few_rows_empty_columns_and_odd_types_break_nothing(groups):
    X = pl.DataFrame(
        {
            "gap": pl.Series([None] * 40, dtype=pl.Float64),
            "far": [float("inf"), *range(39)],
            "one": ["a"] * 40,
            "kind": pl.Series(["a", "b"] * 20, dtype=pl.Categorical),
            "vector": [[1.0, 2.0]] * 40,
            "day": pl.Series(range(40)).cast(pl.Int32).cast(pl.Date),
        }
    )
    y = [0, 0, 1, 1] * 10
    assert "bench.unchecked" not in {f.kind for f in told(X, y, groups).values()}
    assert told(X[:20], y[:20]) == {}


# --- what follows from it ---------------------------------------------------------------------------


def test_a_grave_leak_is_told_first_and_stands_in_each_verdict_but_is_judged(rows):
    X, y = rows
    X = X.with_columns(pl.Series("copy", y))
    done = compare(None, [NoOp()], X, y, **ALONE)
    assert "'copy' is the target" in done.in_words()[1]
    assert all("given away by 'copy'" in v.note for v in done.verdicts)
    assert done.as_dict()["leaks"][0]["kind"] == "bench.target_among_features"
    parts = ablate([NoOp()], X, y, **ALONE)
    assert all("given away by 'copy'" in v.note for v in parts.verdicts)


def test_what_is_not_grave_is_in_no_verdict(rows, rng):
    X, y = rows
    done = compare(None, [NoOp()], X.with_columns(pl.Series("record", rng.permutation(ROWS))), y, **ALONE)
    assert "bench.id" in [f.kind for f in done.leaks]
    assert noted(done.verdicts, done.leaks) == done.verdicts
    assert not any("given away" in v.note for v in done.verdicts)


# --- no fit sees a test row -------------------------------------------------------------------------


class Torn(Design):
    """Learn from the test rows, too: a design that is wrong."""

    def within(self, repeat, fold):
        test = np.flatnonzero(self.fold_of[repeat] == fold)
        twice = np.concatenate([np.arange(self.table.height), test])
        fold_of = self.fold_of[:, twice].copy()
        fold_of[:, self.table.height :] = -1
        rows = {name: getattr(self, name)[twice] for name in ("truth", "weight", "units", "strata")}
        frame = self.table.frame.collect()[twice].lazy()
        return replace(self, table=self.table.with_frame(frame), fold_of=fold_of, slices=Slices(), **rows)


def test_a_design_that_trains_on_test_rows_is_refused_before_any_fit(rows):
    design, _ = planned(*rows)
    wrong = Torn(**{name: getattr(design, name) for name in Design.__dataclass_fields__})
    arms = (Arm("before"), Arm("after", (("twice", Oversample()),)))
    run_fold(design, arms, 0, 0, random_drop=False, optional=())
    with pytest.raises(LeakageError, match="puts 200 of 200 test rows among the training rows"):
        run_fold(wrong, arms, 0, 0, random_drop=False, optional=("before", "after"))


def test_a_stage_that_brings_test_rows_back_is_refused_even_where_it_may_fail(rows, monkeypatch):
    design, _ = planned(*rows)
    test = design.fold_of[0] == 0
    train = design.table.with_frame(design.table.frame.filter(pl.Series(~test)))
    at = begin(design, train, test)
    assert advance(at, "twice", Oversample()).prepared.table.height > train.height

    def reaches(name, stage, prepared):
        prepared.table = design.table

    monkeypatch.setattr(preparing.flow, "fit_next", reaches)
    with pytest.raises(LeakageError, match="Stage 'twice' puts 200 of 200 test rows"):
        advance(at, "twice", Oversample())
    arms = (Arm("before"), Arm("after", (("twice", Oversample()),)))
    with pytest.raises(LeakageError, match="Stage 'twice'"):
        run_fold(design, arms, 0, 0, random_drop=False, optional=("after",))


def test_numbers_at_the_end_of_their_range_break_nothing(rng):
    X = pl.DataFrame({"far": rng.choice([1e308, -1e308, 5e-324], 90), "whole": 2**62 + np.arange(90)})
    y = rng.choice([1e308, -1e308, 0.5], 90) * rng.random(90)
    assert "bench.unchecked" not in {f.kind for f in leaks_of(planned(X, y)[0])}


def test_nothing_to_look_at_is_no_finding():
    X = pl.DataFrame({"vector": [[float(i), 1.0] for i in range(60)]})
    design, _ = planned(X, [0, 1, 1] * 20)
    assert leaks_of(design) == []
