"""Judging: scikit-learn's cross_val_predict is the oracle for what models say of unseen rows."""

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.preprocessing import FunctionTransformer

from tilth.probes import Linear, probe
from tilth.stages.folds import folds_of
from tilth.stages.judging import STRENGTHS, WITHIN, digest, judge, out_of_fold
from tilth.table import Table


def framed(X: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(X, schema=[f"x{j}" for j in range(X.shape[1])])


def wine() -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Return features, classes, and a fold for each row."""
    X, y = load_wine(return_X_y=True)
    return framed(X[:, :5]), y, np.random.default_rng(0).integers(0, 4, len(y))


ASK = {"columns": ["x0", "x1", "x2"], "stage": "labels.clean"}


def judged(y: np.ndarray, groups: np.ndarray | None = None, **given):
    X = framed(load_breast_cancer(return_X_y=True)[0][: len(y), :3])
    chosen = {"probe": "linear", "folds": 3, "repeats": 1, "looks": 1, "random_state": 0} | given
    return judge(Table.of(X, y, groups=groups), **ASK, **chosen)


@pytest.mark.parametrize("name", ["linear", "boosting"])
def test_probabilities_are_those_of_cross_val_predict(name: str) -> None:
    X, y, fold = wine()
    model = probe(name, task="classification", random_state=0)
    peer = cross_val_predict(model, X.to_pandas(), y, cv=PredefinedSplit(fold), method="predict_proba")
    found = out_of_fold(X, y, fold, probe=name, task="classification")
    np.testing.assert_allclose(found, peer, atol=1e-9)


def test_values_are_those_of_cross_val_predict() -> None:
    X, y, fold = wine()
    model = probe("linear", task="regression")
    peer = cross_val_predict(model, X.to_pandas(), y + 0.5, cv=PredefinedSplit(fold))
    found = out_of_fold(X, y + 0.5, fold, probe="linear", task="regression")
    np.testing.assert_allclose(found, peer, atol=1e-9)


@pytest.mark.parametrize("name", ["linear", "boosting", "mlp"])
def test_the_answer_does_not_depend_on_the_number_of_processes_and_leaves_numpys_state_alone(name) -> None:
    X, y, fold = wine()
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (out_of_fold(X, y, fold, probe=name, task="classification", n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_an_estimator_is_cloned_gets_numbers_and_a_seed_where_it_has_none() -> None:
    X, y, fold = wine()
    mixed = X.with_columns(
        pl.Series("kind", ["ab"[i % 2] for i in range(len(y))]), x0=pl.lit(None, pl.Float64)
    )
    forest = RandomForestClassifier(5)
    first, again = (out_of_fold(mixed, y, fold, probe=forest, task="classification") for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not hasattr(forest, "classes_") and forest.random_state is None
    other = out_of_fold(mixed, y, fold, probe=forest, task="classification", random_state=1)
    assert (other != first).any()


def test_weights_reach_an_estimator_that_takes_them() -> None:
    X, y, fold = wine()
    weight = np.where(y == 0, 5.0, 1.0)
    for model in ("linear", LogisticRegression()):
        plain = out_of_fold(X, y, fold, probe=model, task="classification")
        heavy = out_of_fold(X, y, fold, probe=model, task="classification", weight=weight)
        assert heavy[:, 0].mean() > plain[:, 0].mean() + 0.02
    assert out_of_fold(X, y + 0.5, fold, probe=Ridge(), task="regression", weight=weight).shape == (len(y),)


def test_a_class_that_the_other_folds_lack_has_probability_0_and_rows_add_up_to_1() -> None:
    X, y, _ = wine()
    fold = np.where(y == 1, 0, np.arange(len(y)) % 3)
    found = out_of_fold(X, y, fold, probe="linear", task="classification")
    assert found.shape == (len(y), 3)
    assert (found[fold == 0][:, 1] == 0).all() and (found[fold == 1][:, 1] > 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_where_the_other_folds_hold_one_class_it_is_certain() -> None:
    X, y, _ = wine()
    some = y < 2
    found = out_of_fold(X.filter(some), y[some], y[some], probe="linear", task="classification")
    assert found[y[some] == 0].tolist() == [[0.0, 1.0]] * int((y == 0).sum())


def test_judging_chooses_the_candidate_of_lower_loss() -> None:
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"a": rng.uniform(-1, 1, 400), "b": rng.uniform(-1, 1, 400)})
    told = {
        "columns": ["a", "b"],
        "stage": "labels.clean",
        "folds": 3,
        "repeats": 1,
        "looks": 1,
        "random_state": 0,
    }
    for y, better in (((X["a"] * X["b"] > 0), "boosting"), ((X["a"] + X["b"] > 0), "linear")):
        table = Table.of(X, y.cast(pl.Int64))
        found = {who: judge(table, probe=who, **told) for who in ("auto", "linear", "boosting")}
        assert found["auto"].probe.split()[0] == better
        assert found["auto"].loss == min(found["linear"].loss, found["boosting"].loss)


@pytest.mark.parametrize("noise, columns, chosen", [(0.0, 2, "1"), (0.3, 200, "0.01")])
def test_the_penalty_is_the_weakest_of_about_the_lowest_loss(noise: float, columns: int, chosen: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, columns))
    y = np.where(rng.random(300) < noise, X[:, 0] < 0, X[:, 0] > 0).astype(int)
    table = Table.of(framed(X), y)
    told = {"folds": 3, "repeats": 1, "looks": 1, "random_state": 0}
    found = judge(table, table.features, "labels.clean", probe="linear", **told)
    assert found.probe == f"linear (C={chosen})"
    losses = {
        c: judge(table, table.features, "labels.clean", probe=Linear("classification", C=c), **told).loss
        for c in STRENGTHS
    }
    assert found.loss == losses[float(chosen)] <= min(losses.values()) * (1 + WITHIN)


def test_repeats_are_means_over_dealings_that_differ() -> None:
    y = load_breast_cancer(return_X_y=True)[1][:200]
    once, thrice = judged(y), judged(y, repeats=3)
    assert (once.probabilities != thrice.probabilities).any()
    np.testing.assert_allclose(thrice.probabilities.sum(axis=1), 1)


def test_a_second_look_weighs_rows_by_what_the_first_believed() -> None:
    y = load_breast_cancer(return_X_y=True)[1][:200].copy()
    truth = y.copy()
    wrong = np.random.default_rng(0).choice(200, 40, replace=False)
    y[wrong] = 1 - y[wrong]
    once, twice = judged(y), judged(y, looks=2)
    own = once.probabilities[np.arange(200), y]
    X = framed(load_breast_cancer(return_X_y=True)[0][:200, :3])
    fold = folds_of(Table.of(X, y).ids, 3, 0, y)
    assert twice.probe == once.probe and once.probe.startswith("linear (C=")
    probe = Linear("classification", C=float(once.probe[10:-1]))
    weight = own * len(own) / own.sum()  # as much in all as before
    peer = out_of_fold(X, y, fold, probe=probe, task="classification", weight=weight)
    np.testing.assert_allclose(twice.probabilities, peer, atol=1e-9)
    # Of the right labels they are told the truth more surely.
    right = np.arange(200), truth
    assert twice.probabilities[right].mean() > once.probabilities[right].mean()


def test_one_row_at_a_time_is_leave_one_out() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    X, y = framed(X[:40, :3]), y[:40]
    found = judge(Table.of(X, y), **ASK, probe="linear", folds="one", repeats=4, looks=1, random_state=0)
    probe = Linear("classification", C=float(found.probe[10:-1]))
    peer = out_of_fold(X, y, np.arange(40), probe=probe, task="classification")
    np.testing.assert_array_equal(found.probabilities, peer)


@pytest.mark.parametrize("folds", [3, 5, "one"])
def test_a_class_of_two_rows_is_judged_and_one_of_one_row_is_told(folds) -> None:
    y = load_breast_cancer(return_X_y=True)[1][:80].copy()
    y[[3, 50]], y[7] = 2, 3
    found = judged(y, folds=folds)
    assert found.rare == [3] and found.classes == [0, 1, 2]
    assert {3, 50} <= set(found.rows.tolist()) and 7 not in found.rows
    assert found.probabilities.shape == (79, 3)
    assert (found.probabilities[np.isin(found.rows, [3, 50]), 2] > 0).all()


def test_a_class_whose_rows_are_all_of_one_group_is_told() -> None:
    y = load_breast_cancer(return_X_y=True)[1][:80].copy()
    y[10:14] = 2
    groups = np.arange(80)
    groups[10:14] = 10
    found = judged(y, groups)
    assert found.rare == [2] and len(found.rows) == 76


def test_rows_of_a_group_are_judged_by_models_that_saw_none_of_them() -> None:
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"key": np.repeat(rng.permutation(30), 4).astype(str)})
    y, groups = np.repeat(rng.integers(0, 2, 30), 4), np.repeat(np.arange(30), 4)
    told = {"columns": ["key"], "stage": "s", "probe": "linear", "repeats": 1, "looks": 1, "random_state": 0}
    agree = []
    for table in (Table.of(X, y), Table.of(X, y, groups=groups)):
        found = judge(table, **told, folds="one" if table.roles.group else 5)
        agree.append((found.probabilities.argmax(axis=1) == y).mean())
    assert agree[0] > 0.9 and agree[1] < 0.7


def test_the_digest_tells_rows_labels_weights_and_choices_apart() -> None:
    X, y, _ = wine()
    weight = np.ones(len(y))
    base = Table.of(X, y, sample_weight=weight)
    word = digest(base, X.columns, "linear", {"folds": 5})
    assert word == digest(Table.of(X, y, sample_weight=weight), X.columns, "linear", {"folds": 5})
    flipped, heavier, moved = y.copy(), weight.copy(), X.with_columns(x0=pl.col("x0").reverse())
    flipped[0], heavier[0] = 1, 2.0
    others = [
        digest(Table.of(X, flipped, sample_weight=weight), X.columns, "linear", {"folds": 5}),
        digest(Table.of(X, y, sample_weight=heavier), X.columns, "linear", {"folds": 5}),
        digest(Table.of(moved, y, sample_weight=weight), X.columns, "linear", {"folds": 5}),
        digest(base, X.columns[:4], "linear", {"folds": 5}),
        digest(base, X.columns, "boosting", {"folds": 5}),
        digest(base, X.columns, "linear", {"folds": 4}),
    ]
    assert len({word, *others}) == 7


def test_the_digest_tells_estimators_apart_by_all_that_they_hold() -> None:
    X, y, _ = wine()
    table = Table.of(X, y)
    first = np.zeros(5000)
    other = first.copy()
    other[2500] = 1
    words = [
        digest(table, X.columns, GaussianProcessClassifier(kernel=c)) for c in (first, first.copy(), other)
    ]
    assert words[0] == words[1] != words[2]
    assert digest(table, X.columns, FunctionTransformer(lambda rows: rows)) == ""
