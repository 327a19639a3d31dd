"""What holds for every probe: any container, any target, scikit-learn's manners, no trace left behind."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

import tilth.probes
from tilth.errors import ColumnError, DataError, UnknownName
from tilth.probes import OF_TABLES, probe

every = pytest.mark.parametrize("name", OF_TABLES)

BATCHES = (
    "rows are drawn into batches, bins and an inner split, so a weight is close to a repetition, not equal"
)
FAILS = {
    "Linear": {},
    "Boosting": {"check_sample_weight_equivalence_on_dense_data": BATCHES},
    "MLP": {
        "check_sample_weight_equivalence_on_dense_data": BATCHES,
        "check_methods_subset_invariance": "float32 sums differ in the last digit between batch sizes",
    },
}
MLP = {"hidden": (32,), "batch_size": 32, "max_epochs": 40, "device": "cpu", "learning_rate": 0.01}


@parametrize_with_checks(
    [
        probe(name, task=task, random_state=0, **(MLP if name == "mlp" else {}))
        for name in OF_TABLES
        for task in ("classification", "regression")
    ],
    expected_failed_checks=lambda model: FAILS[type(model).__name__],
)
@pytest.mark.filterwarnings("ignore::tilth.errors.TilthWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def containers(frame: pl.DataFrame):
    pandas = frame.drop("void").to_pandas()
    pandas.index = pandas.index[::-1]
    return {"polars": frame, "lazy": frame.lazy(), "pandas": pandas, "numpy": pandas.to_numpy(dtype=object)}


@every
@pytest.mark.parametrize("container", ["polars", "lazy", "pandas", "numpy"])
def test_learns_a_mixed_gappy_table_in_any_container(name, container, mixed, quick):
    frame, score = mixed
    y = np.where(score > 0.2, "high", "low")
    table = containers(frame)[container]
    model = quick(name).fit(table, y)
    assert model.task_ == "classification"
    assert model.classes_.tolist() == ["high", "low"]
    assert model.score(table, y) > 0.8
    probabilities = model.predict_proba(table)
    assert probabilities.shape == (frame.height, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(model.predict(table), model.classes_[probabilities.argmax(axis=1)])


@every
@pytest.mark.parametrize(
    ("cut", "classes"),
    [
        (lambda s: s > 0, [False, True]),
        (lambda s: np.digitize(s, [-1, 1]) * 10, [0, 10, 20]),
        (lambda s: pd.Series(np.where(s > 0, "yes", "no"), dtype="category"), ["no", "yes"]),
        (lambda s: pl.Series(np.where(s > 0, "yes", "no"), dtype=pl.Categorical), ["no", "yes"]),
        (lambda s: pd.Series(np.digitize(s, [0]), dtype="Int64"), [0, 1]),
    ],
)
def test_learns_classes_of_any_type(name, cut, classes, mixed, quick):
    frame, score = mixed
    y = cut(score)
    model = quick(name).fit(frame, y)
    assert model.classes_.tolist() == classes
    assert model.predict_proba(frame).shape[1] == len(classes)
    assert set(model.predict(frame).tolist()) <= set(classes)
    majority = pd.Series(np.asarray(y)).value_counts(normalize=True).max()
    assert model.score(frame, y) > majority + 0.1


@every
def test_regresses_without_being_told(name, mixed, quick):
    frame, score = mixed
    model = quick(name).fit(frame, 1000 + 50 * score)
    assert model.task_ == "regression"
    assert is_regressor(model)
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "classes_")
    assert model.score(frame, 1000 + 50 * score) > 0.6


@every
@pytest.mark.parametrize(
    ("load", "least"), [(load_breast_cancer, 0.92), (load_wine, 0.9), (load_diabetes, 0.3)]
)
def test_beats_the_majority_clearly_on_held_out_rows(name, load, least):
    X, y = load(return_X_y=True)
    train_X, test_X, train_y, test_y = train_test_split(X, y, test_size=0.3, random_state=0)
    options = {"device": "cpu"} if name == "mlp" else {}
    assert probe(name, random_state=0, **options).fit(train_X, train_y).score(test_X, test_y) > least


@every
def test_learns_nothing_from_shuffled_labels(name, mixed, quick):
    frame, score = mixed
    y = np.random.default_rng(1).permutation(score > np.median(score))
    half = frame.height // 2
    assert abs(quick(name).fit(frame[:half], y[:half]).score(frame[half:], y[half:]) - 0.5) < 0.12


@every
def test_same_seed_same_answers(name, mixed, quick):
    frame, score = mixed
    first, second = (quick(name).fit(frame, score > 0).predict_proba(frame) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("name", ["boosting", "mlp"])
def test_other_seed_other_answers(name, mixed, quick):
    frame, score = mixed
    models = [quick(name).set_params(random_state=seed).fit(frame, score > 0) for seed in (0, 1, None, None)]
    answers = [model.predict_proba(frame)[:, 0] for model in models]
    assert len(np.unique(answers, axis=0)) == 4


@every
@pytest.mark.parametrize("seed", [0, None])
def test_global_random_states_are_untouched(name, seed, mixed, quick):
    frame, score = mixed
    before = torch.random.get_rng_state(), copy.deepcopy(np.random.get_state())  # noqa: NPY002
    quick(name).set_params(random_state=seed).fit(frame, score > 0).predict(frame)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(after[1], before[1][1])
    assert after[2] == before[1][2]


@every
def test_rows_of_weight_zero_are_as_if_absent(name, mixed, quick):
    frame, score = mixed
    y = score > 0
    wrong = np.random.default_rng(0).random(frame.height) < 0.45
    given = np.where(wrong, ~y, y)
    # A value and a class that only absent rows hold must leave no trace either.
    odd = frame.with_columns(
        pl.when(pl.Series(wrong)).then(pl.lit("Nowhere")).otherwise("city").alias("city")
    )
    weighted = quick(name).fit(odd, given, sample_weight=np.where(wrong, 0.0, 1.0))
    removed = quick(name).fit(odd.filter(pl.Series(~wrong)), given[~wrong], np.ones((~wrong).sum()))
    np.testing.assert_array_equal(weighted.predict_proba(frame), removed.predict_proba(frame))
    assert weighted.score(frame, y) > quick(name).fit(frame, given).score(frame, y) + 0.05


@every
def test_answers_for_no_rows_and_for_one(name, mixed, quick):
    frame, score = mixed
    model = quick(name).fit(frame, score > 0)
    assert model.predict(frame.head(0)).shape == (0,)
    assert model.predict_proba(frame.head(0)).shape == (0, 2)
    np.testing.assert_allclose(
        model.predict_proba(frame.head(1)), model.predict_proba(frame)[:1], rtol=1e-4, atol=1e-6
    )
    assert quick(name).fit(frame, score).predict(frame.head(0)).shape == (0,)


@every
def test_new_data_may_hold_anything_and_still_gets_one_answer_a_row(name, mixed, quick):
    frame, score = mixed
    model = quick(name).fit(frame, score > 0)
    strange = frame.head(4).with_columns(
        pl.Series("city", ["Atlantis", None, "", "Oslo"]),
        pl.Series("age", [float("inf"), float("nan"), None, 1e308]),
        pl.Series("void", ["a", "b", "c", "d"]),
        pl.Series("member", [None] * 4, dtype=pl.Boolean),
    )
    assert np.isfinite(model.predict_proba(strange)).all()
    moved = frame.select(reversed(frame.columns)).with_columns(more=1)
    np.testing.assert_array_equal(model.predict_proba(moved), model.predict_proba(frame))


@every
def test_a_missing_or_retyped_column_is_named(name, mixed, quick):
    frame, score = mixed
    model = quick(name).fit(frame, score > 0)
    with pytest.raises(ColumnError, match=r"no column 'wage'"):
        model.predict(frame.drop("wage"))
    with pytest.raises(ColumnError, match="column 'age' is String, but it was Float64"):
        model.predict(frame.with_columns(pl.col("age").cast(pl.String)))


@every
@pytest.mark.parametrize("container", ["polars", "pandas", "numpy"])
def test_works_in_cross_validation_and_search(name, container, mixed, quick):
    frame, score = mixed
    order = np.argsort(score)  # sorted by class: only stratified folds can score this
    table = containers(frame[order])[container]
    y = np.where(score[order] > 0, "yes", "no")
    y = {"polars": pl.Series(y), "pandas": pd.Series(y), "numpy": y}[container]
    options = {"max_epochs": 10} if name == "mlp" else {}
    model = quick(name, **options)
    assert is_classifier(model)
    assert cross_val_score(model, table, y, cv=3, scoring="roc_auc").min() > 0.7
    assert cross_val_predict(model, table, y, cv=3, method="predict_proba").shape == (frame.height, 2)
    parameter = {"linear": "C", "boosting": "learning_rate", "mlp": "learning_rate"}[name]
    search = GridSearchCV(model, {parameter: [1e-6, 0.1]}, cv=3, error_score="raise").fit(table, y)
    assert search.best_params_ == {parameter: 0.1}


@every
def test_clone_keeps_parameters_and_forgets_what_was_learned(name, mixed, quick):
    frame, score = mixed
    model = quick(name, task="classification").fit(frame, score > 0)
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(frame)


@every
def test_fitting_again_forgets_the_former_task(name, mixed, quick):
    frame, score = mixed
    model = quick(name).fit(frame, score > 0)
    model.fit(frame, score)
    assert not hasattr(model, "classes_")
    assert model.predict(frame).dtype == np.float64


@every
@pytest.mark.parametrize(
    ("rows", "weight", "message"),
    [
        (599, None, "Rows do not match: X has 600, y 599"),
        (600, np.ones(3), "one weight per row"),
        (600, np.full(600, -1.0), "not negative"),
        (600, np.zeros(600), "not all zero"),
        (600, np.full(600, np.nan), "must be finite"),
    ],
)
def test_rows_and_weights_that_cannot_be_right_are_refused(name, rows, weight, message, mixed, quick):
    frame, score = mixed
    with pytest.raises(DataError, match=message):
        quick(name).fit(frame, score[:rows] > 0, weight)


@every
def test_unknown_parameter_values_are_refused_by_scikit_learns_own_error(name, mixed, quick):
    frame, score = mixed
    with pytest.raises(ValueError, match=r"The 'task' parameter of .* must be a str among"):
        quick(name).set_params(task="clasification").fit(frame, score > 0)


def test_probe_offers_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'linear'"):
        probe("lineal")


def test_package_lists_its_names_and_denies_others():
    assert {"Linear", "Boosting", "MLP", "Inputs", "probe"} <= set(dir(tilth.probes))
    assert type(probe("mlp")) is tilth.probes.MLP
    with pytest.raises(AttributeError, match="no attribute 'Forest'"):
        _ = tilth.probes.Forest


def test_importing_the_package_and_its_probes_does_not_import_torch():
    code = (
        "import sys, tilth.probes\n"
        "assert not {'torch', 'sklearn', 'polars'} & set(sys.modules)\n"
        "tilth.probes.Linear(), tilth.probes.Boosting(), tilth.probes.MLP()\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
