"""Leaks within one set of rows: what tells the target, and what merely helps to."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from tilth.audit import audit, leakage
from tilth.audit.column import Column
from tilth.audit.target import is_classes
from tilth.stages.leakage import Question, told
from tilth.table import Roles, Table

ROWS = 500


def asked(y, groups=None, **features):
    table = Table.of(pl.DataFrame(features | {"y": y}), roles=Roles(target="y")).collect()
    target = Column.of(table, "y")
    return (
        [Column.of(table, c) for c in table.features],
        Question.of(target, is_classes(target), groups),
        target,
    )


def found(y, ids=(), **features):
    columns, question, _ = asked(y, **features)
    return {f.columns[0]: f for f in leakage.given_away(columns, question, ids)}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_feature_made_from_the_target_gives_it_away(rng):
    y = rng.integers(0, 2, ROWS)
    seen = found(
        y,
        leak=y * 10 + rng.random(ROWS),
        word=np.where(y, "in", "out"),
        gap=pl.Series(np.where(y, 1.0, np.nan)).fill_nan(None),
        day=pl.Series(np.where(y, 19_000, 19_400) + rng.integers(0, 300, ROWS)).cast(pl.Int32).cast(pl.Date),
        fair=y + rng.normal(size=ROWS),
    )
    assert seen.keys() == {"leak", "word", "gap", "day"}
    assert all(f.score > 0.95 for f in seen.values())


@pytest.mark.parametrize("forms", [1, 2, 3])
def test_a_leak_in_a_few_forms_is_severe_in_each(rng, forms):
    y = rng.integers(0, 2, ROWS)
    leaks = {f"leak{i}": y * 10 + rng.random(ROWS) for i in range(forms)}
    seen = found(y, **leaks, fair=y + rng.normal(size=ROWS))
    assert seen.keys() == leaks.keys() and {f.severity for f in seen.values()} == {"high"}


def test_codes_of_no_order_are_seen_too(rng):
    y = rng.integers(0, 3, ROWS)
    code = rng.permutation(30)[y * 10 + rng.integers(0, 10, ROWS)]
    assert found(y, code=code, fair=rng.normal(size=ROWS))["code"].score > 0.7


def test_many_categories_are_asked_on_rows_they_were_not_learned_from(rng):
    y = rng.integers(0, 2, ROWS)
    city = rng.integers(0, 120, ROWS)
    clinic = [f"{'ab'[v]}{n}" for v, n in zip(y, rng.integers(0, 60, ROWS), strict=True)]
    assert found(y, city=[f"c{i}" for i in city], name=[f"n{i}" for i in range(ROWS)]) == {}
    assert found(y, clinic=clinic)["clinic"].score > 0.7


def test_explained_variance_for_numbers(rng):
    y = rng.normal(size=800)
    seen = found(y, same=y * 2 + 1, noise=rng.normal(size=800), half=y + rng.normal(size=800))
    assert seen.keys() == {"same"} and seen["same"].severity == "high"


def test_in_an_easy_problem_where_others_tell_as_much_nothing_is_severe(rng):
    y = rng.integers(0, 2, ROWS)
    strong = {f"x{i}": y * 4 + rng.normal(size=ROWS) for i in range(6)}
    seen = found(y, best=y * 9 + rng.normal(size=ROWS), **strong)
    assert seen["best"].score > 0.95 and seen["best"].severity == "medium"
    assert "an easy target" in seen["best"].message


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_digits])
def test_easy_real_sets_raise_no_alarm(load):
    made = load(as_frame=True)
    columns, question, _ = asked(made.target.to_numpy(), **dict(pl.from_pandas(made.data).to_dict()))
    told = list(leakage.given_away(columns, question))
    assert [f for f in told if f.severity in ("high", "medium")] == []


def test_noise_is_told_from_nothing(rng):
    y = rng.integers(0, 2, ROWS)
    columns, question, _ = asked(y, **{f"x{i}": rng.normal(size=ROWS) for i in range(20)})
    assert max(told(c, question) for c in columns) < 0.02


def test_groups_are_not_told_from_themselves(rng):
    # A value for each group tells the label of its other rows, and of no other group.
    group = np.repeat(np.arange(60), 10)
    y = (rng.random(60) < 0.5).astype(int)[group]
    place = rng.random(60)[group]
    alone = asked(y, place=place)
    together = asked(y, pl.Series("g", group), place=place)
    assert told(alone[0][0], alone[1]) > 0.7
    assert told(together[0][0], together[1]) < 0.2


def test_the_order_of_rows_does_not_matter(rng):
    y = rng.integers(0, 2, ROWS)
    leak = y * 3 + rng.normal(size=ROWS)
    table = Table.of(pl.DataFrame({"leak": leak, "y": y}), roles=Roles(target="y")).collect()
    turned = table.with_frame(table.frame.collect()[rng.permutation(ROWS)].lazy())
    scores = []
    for one in (table, turned):
        question = Question.of(Column.of(one, "y"), True)
        scores.append(told(Column.of(one, "leak"), question))
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


def test_more_classes_than_are_told_apart_and_few_rows_do_not_break():
    y = [f"c{i % 90}" for i in range(ROWS)]
    assert found(y, same=y, other=np.arange(ROWS) % 7)["same"].score > 0.7
    assert found([0, 1] * 5, x=[0, 1] * 5) == {}


# --- ids and order ----------------------------------------------------------------------------------


def test_a_number_that_was_given_out_by_class_tells_the_target(rng):
    y = np.sort(rng.integers(0, 2, ROWS))
    columns, question, _ = asked(
        y, record=np.arange(ROWS), ticket=[f"{'ab'[v]}-{i}" for i, v in enumerate(y)]
    )
    seen = {f.columns[0]: f for f in leakage.in_names(columns, question, ["record"])}
    assert seen["record"].severity == seen["ticket"].severity == "high"
    assert seen["record"].remedy == {"select.drop": {"on": ["record"]}}
    assert "record" not in {f.columns[0] for f in leakage.given_away(columns, question, ["record"])}


def test_numbers_and_names_that_tell_nothing_are_not_told(rng):
    y = rng.integers(0, 2, ROWS)
    columns, question, _ = asked(y, record=np.arange(ROWS), ticket=[f"t-{i}" for i in range(ROWS)])
    assert list(leakage.in_names(columns, question, ["record"])) == []


def test_a_target_that_follows_the_order_of_the_rows_is_told(rng):
    y = rng.integers(0, 2, ROWS)
    told = lambda values: list(leakage.in_order(asked(values, x=np.zeros(ROWS))[2], is_classes_of(values)))
    is_classes_of = lambda values: len(np.unique(values)) <= 20
    assert told(y) == []
    assert told(np.sort(y))[0].severity == "medium" and "sorted" in told(np.sort(y))[0].message
    assert "alternate" in told(np.arange(ROWS) % 2)[0].message
    walk = np.cumsum(rng.normal(size=ROWS))
    assert told(walk)[0].score > 0.8
    assert told(rng.normal(size=ROWS)) == []


def test_a_target_that_drifts_over_time_is_told_whatever_the_order_of_rows(rng):
    day = rng.permutation(ROWS)
    y = (rng.random(ROWS) < np.where(day < 250, 0.1, 0.9)).astype(int)
    when = pl.Series(day).cast(pl.Int32).cast(pl.Date)
    columns, _, target = asked(
        y, when=when, born=pl.Series(rng.permutation(ROWS)).cast(pl.Int32).cast(pl.Date)
    )
    (seen,) = leakage.over_time(columns, target, True)
    assert seen.columns == ("when", "y")
    assert seen.remedy == {"data": {"split": {"by": "time", "column": "when"}}}


def test_the_audit_tells_leaks(rng):
    y = rng.integers(0, 2, ROWS)
    frame = pl.DataFrame({"x": rng.normal(size=ROWS), "paid_back": np.where(y, "yes", "no"), "y": y})
    seen = audit(frame, "y", stages=[])
    assert seen.findings[0].kind == "target.given_away" and seen.findings[0].severity == "high"
