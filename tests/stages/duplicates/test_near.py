"""DuplicatesNear: plain loops over all pairs are the oracle, and planted near copies are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

import tilth
from tilth.core import replay
from tilth.errors import DataError
from tilth.stages import judging
from tilth.stages.duplicates.exact import DuplicatesExact
from tilth.stages.duplicates.near import DuplicatesNear
from tilth.table import Roles, Table

CELLS = st.tuples(
    st.sampled_from([0.0, 0.1, 0.2, 3.0, None]), st.sampled_from(["x", " X", "y", None]), st.booleans()
)
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(["yes", "no"])), min_size=1, max_size=25)
SCHEMA = {"a": pl.Float64, "b": pl.String, "c": pl.Boolean}


def tables(rows: list) -> tuple[pl.DataFrame, pl.Series]:
    X = pl.DataFrame([r for r, _ in rows], schema=SCHEMA, orient="row")
    return X, pl.Series("y", [y for _, y in rows])


def apart(X: pl.DataFrame, one: int, two: int) -> float:
    """Measure two rows as the docstring says, cell by cell."""
    std = X["a"].std(ddof=0) or 1.0
    std = std if std > 1e-12 else 1.0  # of equal numbers it may be rounding
    a, b = X.row(one), X.row(two)
    gone = (a[0] is None) != (b[0] is None)
    mean = X["a"].mean() or 0.0
    number = ((mean if a[0] is None else a[0]) - (mean if b[0] is None else b[0])) / std
    plain = [None if text is None else text.strip().lower() for text in (a[1], b[1])]
    return float(np.sqrt(number**2 + gone + (plain[0] != plain[1]) + (a[2] != b[2])))


@settings(max_examples=120, deadline=None)
@given(ROWS, st.sampled_from([0.0, 0.05, 0.5, 1.0, 1.3]), st.booleans())
def test_rows_that_go_are_those_of_plain_loops(rows: list, threshold: float, target: bool) -> None:
    X, y = tables(rows)
    stays: list[int] = []
    far = np.array([[apart(X, i, j) for j in range(len(y))] for i in range(len(y))])
    if (np.abs(far - threshold) < 1e-9).any() and threshold not in (0.0, 1.0):
        return
    near = (far <= threshold + 1e-12) & ((y.to_numpy()[:, None] == y.to_numpy()) | (not target))
    for i in range(len(y)):
        if not near[i, stays].any():
            stays.append(i)
    plan = DuplicatesNear(threshold=threshold, target=target).fit(X, y).plan_
    assert np.flatnonzero(plan.times).tolist() == stays
    gone = np.flatnonzero(plan.times == 0)
    np.testing.assert_allclose(
        plan.score[gone], [far[i, [s for s in stays if near[i, s]]].min() for i in gone]
    )


@given(ROWS)
def test_without_threshold_and_plain_texts_it_finds_what_exact_finds(rows: list) -> None:
    X, y = tables(rows)
    near = DuplicatesNear(threshold=0.0, text="as_is").fit(X, y).plan_
    exact = DuplicatesExact().fit(X, y).plan_
    assert near.times.tolist() == exact.times.tolist()
    assert near.reason.tolist() == exact.reason.tolist()


@given(st.integers(0, 999))
def test_on_a_grid_it_finds_what_pandas_finds_after_rounding(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 4, (60, 3)) + rng.uniform(-1e-4, 1e-4, (60, 3))
    plan = DuplicatesNear(threshold=0.01).fit(X).plan_
    assert (plan.times == 0).tolist() == pd.DataFrame(X).round().duplicated().tolist()


@settings(max_examples=50, deadline=None)
@given(ROWS, st.sampled_from(["drop", "weight", "group"]), st.randoms(use_true_random=False))
def test_what_is_done_does_not_depend_on_the_order_of_rows(rows: list, action: str, random) -> None:
    table = Table.of(*tables(rows))
    order = list(range(table.height))
    random.shuffle(order)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    stage = DuplicatesNear(threshold=0.5, action=action)
    one, two = stage.fit_table(table), stage.fit_table(turned)
    assert two.times.tolist() == one.times[order].tolist()
    assert two.reason.tolist() == one.reason[order].tolist()
    if action == "weight":
        assert two.weight.tolist() == one.weight[order].tolist()
    if action == "group":
        assert two.group.to_list() == one.group[order].to_list()


def numbers(name: str) -> pl.DataFrame:
    made = {"iris": load_iris, "wine": load_wine, "breast_cancer": load_breast_cancer}[name]()
    return pl.DataFrame(made.data, schema=[f"x{i}" for i in range(made.data.shape[1])])


class TestAuto:
    """The default threshold takes near copies and leaves rows that are merely similar."""

    @pytest.mark.parametrize("name", ["wine", "breast_cancer"])
    def test_jittered_copies_are_found_and_nothing_else(self, name: str) -> None:
        X = numbers(name)
        rng = np.random.default_rng(0)
        source = np.sort(rng.choice(X.height, 20, replace=False))
        jitter = X[source].select(pl.col(c) + rng.normal(0, 1e-3 * X[c].std(), 20) for c in X.columns)
        plan = DuplicatesNear().fit(pl.concat([X, jitter])).plan_
        assert np.flatnonzero(plan.times == 0).tolist() == list(range(X.height, X.height + 20))
        assert [int(r.split()[2]) for r in plan.reason[X.height :]] == source.tolist()

    def test_similar_flowers_are_no_near_copies(self) -> None:
        X = numbers("iris")
        plan = DuplicatesNear(target=False).fit(X).plan_
        assert np.flatnonzero(plan.times == 0).tolist() == np.flatnonzero(X.to_pandas().duplicated()).tolist()

    def test_another_category_is_never_almost_the_same(self) -> None:
        rng = np.random.default_rng(0)
        X = pl.DataFrame({f"c{i}": rng.choice(["a", "b", "c", "d", "e"], 300) for i in range(8)})
        other = X[:50].with_columns(c3=pl.lit("f"))
        assert (DuplicatesNear().fit(pl.concat([X, other])).plan_.times[300:] == 1).all()
        assert (DuplicatesNear(threshold=1.0).fit(pl.concat([X, other])).plan_.times[300:] == 0).all()

    def test_few_rows_have_no_measure_of_what_is_near(self) -> None:
        assert DuplicatesNear().fit(pl.DataFrame({"a": [1.0, 1.0000001]})).plan_.times.tolist() == [1, 1]
        assert DuplicatesNear().fit(pl.DataFrame({"a": [1.0, 1.0]})).plan_.times.tolist() == [1, 0]


def test_reasons_name_the_near_row_its_distance_and_what_differs() -> None:
    X = pl.DataFrame({"a": [0.0, 4.0, 4.001, 0.0], "b": ["Oslo", "Rome", "ROME", "Oslo"]})
    plan = DuplicatesNear(threshold=0.01).fit(X).plan_
    assert plan.reason.tolist() == ["", "", "near row 1 (distance=0.0005): a, b", "same as row 0"]
    assert np.isnan(plan.score[:2]).all() and plan.score[3] == 0


def test_the_finding_counts_what_is_not_an_exact_copy() -> None:
    X = pl.DataFrame({"a": [0.0, 4.0, 4.001, 0.0, 8.0]})
    stage = DuplicatesNear(threshold=0.01, action="report").fit(X)
    (finding,) = stage.findings_
    assert (finding.kind, finding.n_rows, finding.score, finding.rows) == ("duplicates.near", 1, 0.2, (2,))
    assert "1 of 5 rows (20.0%)" in finding.message and "are not counted (1)" in finding.message
    assert finding.remedy == {"duplicates.near": {"threshold": 0.01}}
    assert stage.plan_.times.tolist() == [1] * 5


def test_texts_that_are_spelled_otherwise_are_told_at_distance_0() -> None:
    stage = DuplicatesNear().fit(pl.DataFrame({"t": ["Oslo", "oslo", "OSLO ", "Rome"]}))
    assert stage.findings_[0].n_rows == 2 and stage.findings_[0].remedy == {"duplicates.near": {}}
    assert stage.plan_.reason[1] == "near row 0 (distance=0): t"


def test_the_most_complete_row_may_stay() -> None:
    X = pl.DataFrame({"a": [1.0, 1.0, 9.0], "b": [None, 2.0, 2.5], "c": ["x", "x", "y"]})
    first = DuplicatesNear(threshold=0.1, missing="skip").fit(X).plan_
    complete = DuplicatesNear(threshold=0.1, missing="skip", keep="complete").fit(X).plan_
    assert (first.times.tolist(), complete.times.tolist()) == ([1, 0, 1], [0, 1, 1])
    assert DuplicatesNear(threshold=0.1).fit(X).plan_.times.tolist() == [1, 1, 1]


def test_a_target_of_fractions_is_one_more_number() -> None:
    X = pl.DataFrame({"a": [1.0, 1.001, 5.0, 9.0]})
    y = np.array([2.5, 2.501, 3.5, 7.5])
    assert DuplicatesNear(threshold=0.01).fit(X, y).plan_.times.tolist() == [1, 0, 1, 1]
    y[1] = 7.5
    assert DuplicatesNear(threshold=0.01).fit(X, y).plan_.times.tolist() == [1, 1, 1, 1]
    assert DuplicatesNear(threshold=0.01, target=False).fit(X, y).plan_.times.tolist() == [1, 0, 1, 1]


def test_vectors_must_be_equal_and_columns_can_be_left_out() -> None:
    X = pl.DataFrame(
        {
            "key": ["p", "q", "r"],
            "v": pl.Series([[1.0, 2.0], [1.0, 2.0], [1.0, 2.1]], dtype=pl.Array(pl.Float64, 2)),
            "n": [1.0, 1.0, 1.0],
        }
    )
    assert DuplicatesNear(threshold=0.5).fit(X).plan_.times.tolist() == [1, 1, 1]
    assert DuplicatesNear(threshold=0.5, on="~key").fit(X).plan_.times.tolist() == [1, 0, 1]
    assert DuplicatesNear(threshold=0.5, on="n").fit(X).plan_.times.tolist() == [1, 0, 0]


def test_weights_of_a_set_sum_to_one_and_every_row_stays() -> None:
    X = pl.DataFrame({"a": [0.0, 0.001, 5.0, 0.002, 9.0]})
    plan = DuplicatesNear(threshold=0.01, action="weight").fit(X).plan_
    np.testing.assert_allclose(plan.weight, [1 / 3, 1 / 3, 1, 1 / 3, 1])
    assert plan.reason[0] == "one of 3 rows that are almost the same" and plan.times.tolist() == [1] * 5


class TestGroups:
    """Near rows become one group, for whatever comes later."""

    X = pl.DataFrame({"a": [0.0, 0.001, 5.0, 0.002, 9.0], "b": ["u", "u", "v", "u", "v"]})

    def test_rows_without_groups_get_one_each(self) -> None:
        out = DuplicatesNear(threshold=0.01, action="group").fit_resample(Table.of(self.X))
        assert out.role("group").to_list() == ["0", "0", "2", "0", "4"]
        assert out.features == self.X.columns

    def test_groups_that_are_tied_together_become_one(self) -> None:
        groups = np.array(["p", "q", "q", "r", "s"])
        *_, out = DuplicatesNear(threshold=0.01, action="group").fit_resample(self.X, None, groups=groups)
        assert out.tolist() == ["p", "p", "p", "p", "s"]

    def test_a_chain_is_one_group_and_more_than_one_row_that_stays(self) -> None:
        X = pl.DataFrame({"a": [0.0, 0.9, 1.8, 40.0, -40.0]})
        threshold = 1.0 / float(X["a"].std(ddof=0))
        plan = DuplicatesNear(threshold=threshold, action="group").fit(X).plan_
        assert plan.group.to_list() == ["0", "0", "0", "3", "4"]
        assert DuplicatesNear(threshold=threshold).fit(X).plan_.times.tolist() == [1, 0, 1, 1, 1]

    def test_a_pipeline_keeps_them_through_later_stages_a_replay_and_a_bundle(self, tmp_path) -> None:
        rng = np.random.default_rng(0)
        X = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
        X = pl.concat([X, X.with_columns(pl.col("a") + 1e-6)])
        y = pl.Series("y", np.where(X["a"] > 0, "yes", "no"))
        table = Table.of(X, y)
        stages = [
            tilth.stage("duplicates.near", action="group", threshold=0.001),
            tilth.stage("scale.standard"),
            tilth.stage("balance.over"),
        ]
        pipe = tilth.Pipeline(stages)
        out = pipe.fit_resample(table)
        assert replay(pipe.stages_, table, pipe.ledger_).frame.collect().equals(out.frame.collect())
        assert out.role("group").n_unique() == 60
        assert out.role("group").value_counts()["count"].min() >= 2
        account = pipe.ledger_.account()
        assert account["grouped"] == 120 and account["balanced"] and account["repeated"] > 0
        pipe.save(tmp_path / "bundle")
        again = tilth.load(tmp_path / "bundle")
        assert replay(again.stages_, table, again.ledger_).frame.collect().equals(out.frame.collect())
        without = pipe.ledger_.undo("duplicates.near", table)
        assert without.roles.group is None and without.features == ["a", "b"]

    def test_label_cleaning_never_judges_a_row_by_its_near_copy(self, monkeypatch) -> None:
        seen = []
        original = judging.folds_of

        def spy(*told, **more):
            folds = original(*told, **more)
            seen.append(folds)
            return folds

        monkeypatch.setattr(judging, "folds_of", spy)
        rng = np.random.default_rng(0)
        X = pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
        X = pl.concat([X, X.with_columns(pl.col("a") + 1e-6)])
        y = pl.Series("y", np.where(X["a"] > 0, "yes", "no"))
        near = tilth.stage("duplicates.near", action="group", threshold=0.001)
        stages = [near, tilth.stage("labels.clean", action="report")]
        tilth.Pipeline(stages).fit(Table.of(X, y))
        assert seen
        for folds in seen:
            assert (folds[:60] == folds[60:]).all()


def test_a_threshold_that_is_too_wide_ends_with_a_word_of_what_to_do(monkeypatch) -> None:
    import sys

    monkeypatch.setattr(sys.modules["tilth.neighbors.within"], "MOST_PAIRS", 1000)
    X = np.random.default_rng(0).normal(size=(200, 2))
    with pytest.raises(DataError, match="Choose a smaller radius") as told:
        DuplicatesNear(threshold=50.0).fit(X)
    assert told.value.__notes__ == ["In stage duplicates.near, parameter 'threshold'."]


def test_weights_and_keys_stay_with_their_rows() -> None:
    rows = pl.DataFrame({"k": ["r", "s", "t"], "a": [1.0, 1.0001, 9.0], "w": [0.1, 0.2, 0.3]})
    table = Table.of(rows, roles=Roles(weight="w", row_id="k"))
    out = DuplicatesNear(threshold=0.01).fit_resample(table)
    assert out.height == 2 and set(out.frame.collect()["k"]) > {"t"}
    assert (
        dict(zip(*out.frame.collect().select("k", "w"), strict=True)).items()
        <= {"r": 0.1, "s": 0.2, "t": 0.3}.items()
    )
