"""LabelsAsk: what is asked about is what a plain look at the answers, or at the distances, would choose."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from tests.neighbors.peers import all_pairs
from tilth.audit import audit
from tilth.errors import DataError
from tilth.stages.labels.ask import LabelsAsk
from tilth.table import Roles, Table

METHODS = ["typical", "coverage", "margin", "entropy"]


@cache
def digits(share: float = 0.1) -> tuple[pl.DataFrame, pl.Series, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    X, y = X[:500], y[:500]
    known = np.random.default_rng(1).random(500) < share
    frame = pl.DataFrame(X, schema=[f"p{j}" for j in range(64)])
    return frame, pl.Series("digit", [str(v) if k else None for v, k in zip(y, known, strict=True)]), y


def asked(stage: LabelsAsk) -> list[int]:
    (finding,) = stage.findings_
    return list(finding.rows)


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_named_first_to_last_and_none_is_changed(method: str):
    X, y, _ = digits()
    stage = LabelsAsk(method=method, size=12).fit(X, y)
    rows = asked(stage)
    assert len(set(rows)) == 12
    assert y[rows].is_null().all()
    assert [stage.plan_.reason[row].split(":")[0] for row in rows] == [
        f"asked as number {n}" for n in range(1, 13)
    ]
    assert (stage.plan_.reason != "").sum() == 12
    assert np.isfinite(stage.plan_.score[y.is_null().to_numpy()]).all()
    assert np.isnan(stage.plan_.score[y.is_not_null().to_numpy()]).all()
    assert not stage.acts
    X2, y2 = stage.fit_resample(X, y)
    assert X2.equals(X)
    assert y2.equals(y)


@pytest.mark.parametrize("method", ["margin", "entropy"])
def test_without_spread_the_rows_in_most_doubt_are_asked(method: str):
    X, y, _ = digits()
    stage = LabelsAsk(method=method, size=10, spread=1).fit(X, y)
    score = stage.plan_.score
    assert sorted(score[asked(stage)]) == sorted(score[np.isfinite(score)])[:10]
    assert score[asked(stage)].tolist() == sorted(score[asked(stage)])


def test_scores_of_doubt_are_those_of_the_probabilities():
    from tilth.probes import Linear

    X, y, _ = digits()
    few, without = y.is_not_null(), y.is_null()
    stages = {m: LabelsAsk(method=m, probe=Linear(C=0.1)).fit(X, y) for m in ("margin", "entropy")}
    p = Linear(C=0.1).fit(X.filter(few), y.filter(few)).predict_proba(X.filter(without))
    top = np.sort(p, axis=1)
    at = without.to_numpy()
    np.testing.assert_allclose(stages["margin"].plan_.score[at], top[:, -1] - top[:, -2], atol=1e-4)
    np.testing.assert_allclose(
        stages["entropy"].plan_.score[at], 1 + (p * np.log(p)).sum(axis=1) / np.log(10), atol=1e-4
    )


def test_with_spread_a_batch_asks_no_question_twice():
    random = np.random.default_rng(0)
    # Twenty copies of one row in doubt, and thirty rows around it in less.
    x = np.concatenate([np.zeros(20), random.normal(0, 0.2, 30), [-5.0] * 5, [5.0] * 5])
    y = pl.Series([None] * 50 + ["a"] * 5 + ["b"] * 5)
    X = pl.DataFrame({"x": x, "z": np.concatenate([np.zeros(20), random.normal(size=30), np.zeros(10)])})
    alike = LabelsAsk(method="margin", size=5, spread=1, probe="linear").fit(X, y)
    apart = LabelsAsk(method="margin", size=5, spread=10, probe="linear").fit(X, y)
    assert X[asked(alike)].n_unique() < X[asked(apart)].n_unique() == 5


def test_coverage_asks_for_the_row_farthest_from_all_that_are_known():
    random = np.random.default_rng(2)
    rows = random.normal(size=(60, 3))
    y = pl.Series(["a" if i % 10 == 0 else None for i in range(60)])
    stage = LabelsAsk(method="coverage", size=8).fit(pl.DataFrame(rows, schema=["a", "b", "c"]), y)
    far = all_pairs(*[(rows - rows.mean(axis=0)) / rows.std(axis=0)] * 2, (False,) * 3)
    known, expected = list(range(0, 60, 10)), []
    for _ in range(8):
        expected.append(int(far[known].min(axis=0).argmax()))
        known.append(expected[-1])
    assert asked(stage) == expected
    open_rows = y.is_null().to_numpy()
    nearest = far[::10].min(axis=0)[open_rows]
    factor = np.median(-stage.plan_.score[open_rows] / nearest)
    np.testing.assert_allclose(-stage.plan_.score[open_rows], factor * nearest)


def test_typical_rows_hold_all_classes_sooner_than_draws_do():
    X, _, truth = digits()
    none = pl.Series([None] * 500, dtype=pl.String)
    rows = asked(LabelsAsk(size=12).fit(X, none))
    random = np.random.default_rng(0)
    drawn = np.mean([len(set(truth[random.permutation(500)[:12]])) for _ in range(200)])
    assert len(set(truth[rows])) > drawn


@pytest.mark.parametrize("method", ["typical", "coverage"])
def test_no_label_and_no_target_is_needed_where_columns_tell(method: str):
    X, _, _ = digits()
    alone = LabelsAsk(method=method, size=3).fit(X)
    none = LabelsAsk(method=method, size=3).fit(X, pl.Series([None] * 500, dtype=pl.String))
    assert asked(alone) == asked(none)
    numbers = LabelsAsk(method=method, size=3).fit(X, [0.5 + i if i < 3 else None for i in range(500)])
    assert not set(asked(numbers)) & {0, 1, 2}


def test_doubt_needs_labels_and_says_which_methods_do_not():
    X, _, _ = digits()
    with pytest.raises(DataError, match="has one class") as error:
        LabelsAsk(method="margin").fit(X, pl.Series(["a"] + [None] * 499))
    assert any("'typical' and 'coverage'" in note for note in error.value.__notes__)


def test_with_a_label_in_every_row_nothing_is_asked():
    stage = LabelsAsk().fit(pl.DataFrame({"a": [0.0, 1.0]}), ["a", "b"])
    assert stage.findings_ == []


def test_rows_of_weight_0_are_not_asked_about():
    frame = pl.DataFrame({"a": np.arange(6.0), "y": ["a"] + [None] * 5, "w": [1.0, 1, 1, 1, 1, 0]})
    for method in ("typical", "coverage"):
        stage = LabelsAsk(method=method, size=9)
        stage.plan_ = stage.fit_table(Table.of(frame, roles=Roles(target="y", weight="w")))
        assert sorted(asked(stage)) == [1, 2, 3, 4]


def test_more_rows_than_there_are_is_all_of_them():
    X = pl.DataFrame({"a": [0.0, 1.0, None, 5.0], "b": ["x", None, "y", "x"]})
    for method in METHODS:
        assert sorted(asked(LabelsAsk(method=method, size=99).fit(X, ["p", "q", None, None]))) == [2, 3]


def test_an_audit_takes_its_finding():
    X, y, _ = digits()
    report = audit(Table.of(X.head(60), pl.Series("y", y.head(60))), stages=[LabelsAsk(size=4)])
    assert [f.n_rows for f in report.findings if f.kind == "labels.ask"] == [4]


@given(
    st.permutations(range(30)),
    st.sampled_from(METHODS),
    st.integers(1, 6),
)
@settings(max_examples=10)
def test_what_is_asked_does_not_depend_on_the_order_of_rows(order, method, size):
    random = np.random.default_rng(4)
    frame = pl.DataFrame(
        {
            "a": random.normal(size=30).round(1),
            "b": random.integers(0, 3, 30) * 1.0,
            "y": [str(i % 2) if i % 4 == 0 else None for i in range(30)],
            "key": np.arange(30),
        }
    ).with_columns(pl.when(pl.col("key") == 4).then(pl.lit("1")).otherwise("y").alias("y"))
    stage, roles = LabelsAsk(method=method, size=size), Roles(target="y", row_id="key")
    stage.fit_table(Table.of(frame, roles=roles))
    plain = asked(stage)
    stage.fit_table(Table.of(frame[np.array(order)], roles=roles))
    assert asked(stage) == plain
