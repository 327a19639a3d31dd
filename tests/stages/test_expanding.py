"""Which rows are made of which: exact counts, draws by row id, labels that give the loss of a mixed label."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.stages.augment.mixup import AugmentMixup
from tilth.stages.expanding import Making, is_measure
from tilth.table import Roles, Table


def table(y, group=None) -> Table:
    frame = pl.DataFrame(
        {"x": np.arange(len(y), dtype=float), "y": y, "key": [f"k{i}" for i in range(len(y))]}
    )
    if group is not None:
        frame = frame.with_columns(pl.Series("g", group))
    return Table.of(frame, roles=Roles(target="y", row_id="key", group=None if group is None else "g"))


def making(of: Table, expand: float = 1, *, by_class: bool = False, seed: int = 0) -> Making:
    stage = AugmentMixup(expand=expand, within="class" if by_class else "all", random_state=seed)
    stage.findings_ = []
    stage.columns_ = of.features
    return Making.of(stage, of, expand, labeled=True, by_class=by_class)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 40), st.floats(0.01, 4))
def test_exactly_so_many_rows_are_made(rows, expand):
    made = making(table(["a", "b"] * rows), expand)
    counts = np.bincount(made.rows, minlength=2 * rows)
    assert counts.sum() == int(expand) * 2 * rows + round(expand % 1 * 2 * rows)
    assert set(counts) <= {int(expand), int(expand) + 1}
    assert len(set(made.words.tolist())) == len(made.words)


def test_what_is_drawn_belongs_to_the_rows_id():
    y = np.random.default_rng(0).choice(["a", "b"], 60)
    group = np.arange(60) // 6
    order = np.random.default_rng(1).permutation(60)
    one = making(table(y, group), 1.5, by_class=True)
    frame = table(y, group).frame.collect()[order].drop("__row__")
    two = making(Table.of(frame, roles=Roles(target="y", row_id="key", group="g")), 1.5, by_class=True)
    assert order[two.rows].tolist() == one.rows.tolist()
    assert two.words.tolist() == one.words.tolist()
    assert order[two.partners(two.draw(3))].tolist() == one.partners(one.draw(3)).tolist()
    assert one.draw(0).tolist() != one.draw(1).tolist()
    assert making(table(y, group), 1.5, seed=1).words.tolist() != one.words.tolist()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.integers(0, 2)), min_size=1, max_size=30),
    st.booleans(),
)
def test_partners_share_the_group_and_the_class_and_rows_without_a_label_stay_out(rows, by_class):
    y, group = [label for label, _ in rows], np.array([g for _, g in rows])
    made = making(table(pl.Series(y, dtype=pl.String), group), 2, by_class=by_class)
    partner = made.partners(made.draw(0))
    assert (group[partner] == group[made.rows]).all()
    labels = np.array(y, dtype=object)
    assert all(labels[made.rows] != None) and all(labels[partner] != None)  # noqa: E711
    if by_class:
        assert (labels[partner] == labels[made.rows]).all()
    made.tell_alone()
    alone = set(made.rows[partner == made.rows].tolist())
    assert sum(f.n_rows for f in made.stage.findings_) == len(alone)


@pytest.mark.parametrize("labels, mass", [(["a", "b"], [0.7, 0.3]), (["a", "a"], [1.0, 0.0])])
def test_a_row_of_two_classes_comes_out_once_of_each_and_weighs_as_one(labels, mass):
    of = table(labels)
    made = making(of)
    parents = np.column_stack([made.rows, 1 - made.rows])
    shares = np.tile([0.7, 0.3], (2, 1))
    plan = made.plan(of.X()[made.rows], parents, shares, mix_labels=True, why="mixed")
    of_first = plan.fresh.with_columns(weight=plan.fresh_weight).filter(pl.col("x") == 0)
    weights = [of_first.filter(pl.col("y") == c)["weight"].sum() for c in "ab"]
    np.testing.assert_allclose(weights, mass)
    assert plan.fresh_weight.sum() == pytest.approx(2)
    assert plan.reason.tolist() == ["mixed", "mixed"]
    own = of.y.gather(plan.parents[:, 0]).to_list()
    assert plan.fresh["y"].to_list() == own


def test_a_parent_without_a_share_is_none():
    of = table(["a", "b"])
    made = making(of)
    parents = np.column_stack([made.rows, 1 - made.rows])
    plan = made.plan(of.X()[made.rows], parents, np.tile([1.0, 0.0], (2, 1)), mix_labels=True, why="mixed")
    assert (plan.parents[:, 0] == plan.parents[:, 1]).all()
    assert plan.fresh.height == 2


@pytest.mark.parametrize(
    "values, measure",
    [
        ([0.5, 1.5, None], True),
        (list(range(100)), True),
        ([0.0, 1.0, 1.0], False),
        ([0, 1, 2], False),
        (["a", "b"], False),
        ([True, False], False),
        ([None, None], False),
    ],
)
def test_numbers_to_be_predicted_are_told_from_classes(values, measure):
    assert is_measure(pl.Series("y", values)) is measure
