"""LabelsPseudo: hidden labels are the oracle for what is found, scikit-learn's estimators for how."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

import tilth
from tilth.core import fit
from tilth.errors import DataError
from tilth.neighbors import Space
from tilth.neighbors.spreading import neighbor_graph
from tilth.stages.labels.pseudo import LabelsPseudo
from tilth.table import Roles, Table

METHODS = ["spreading", "self_training", "prototype"]
PLAIN = {"cut": "absolute", "weight": 1.0, "align": False, "calibrate": False}


@cache
def digits(share: float = 0.05) -> tuple[pl.DataFrame, pl.Series, np.ndarray]:
    """Return features, labels of which a share is known, and the truth."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:900], y[:900]
    known = np.random.default_rng(3).random(len(y)) < share
    frame = pl.DataFrame(X, schema=[f"p{j}" for j in range(64)])
    return frame, pl.Series("digit", [int(v) if k else None for v, k in zip(y, known, strict=True)]), y


def found(stage: LabelsPseudo, kind: str) -> list:
    return [f for f in stage.findings_ if f.kind == kind]


@cache
def fitted(method: str) -> LabelsPseudo:
    X, y, _ = digits()
    return LabelsPseudo(method=method).fit(X, y)


@pytest.mark.parametrize("method, least", [("spreading", 0.88), ("self_training", 0.78), ("prototype", 0.68)])
def test_most_labels_are_right_and_the_estimate_holds(method: str, least: float):
    truth, stage = digits()[2], fitted(method)
    label = stage.plan_.label
    new = label.is_not_null().to_numpy()
    right = (label.to_numpy()[new] == truth[new]).mean()
    assert new.sum() > 600
    assert right > least
    (told,) = found(stage, "labels.pseudo_right")
    assert told.score == pytest.approx(right, abs=0.1)
    (said,) = found(stage, "labels.pseudo")
    assert said.n_rows == new.sum()
    assert said.score == pytest.approx(new.sum() / digits()[1].is_null().sum())
    sure = stage.plan_.score
    assert sure[said.rows[0]] == np.nanmin(sure[new])


@pytest.mark.parametrize("method", METHODS)
def test_given_labels_are_never_changed_and_rest_is_dropped(method: str):
    y, plan = digits()[1], fitted(method).plan_
    given = y.is_not_null().to_numpy()
    assert (plan.times[given] == 1).all()
    assert plan.label.filter(pl.Series(given)).is_null().all()
    assert (plan.weight[given] == 1).all()
    new = plan.label.is_not_null().to_numpy()
    assert (plan.times == (given | new)).all()
    assert (plan.reason[given] == "").all()
    assert all(reason.startswith("looks like '") for reason in plan.reason[new])
    assert all(reason.startswith("no label") for reason in plan.reason[~new & ~given])
    np.testing.assert_allclose(plan.weight[new], plan.score[new])


def test_rest_keep_leaves_rows_without_a_label():
    X, y, _ = digits()
    stage = LabelsPseudo(cut="absolute", rest="keep", weight=0.25).fit(X, y)
    assert (stage.plan_.times == 1).all()
    (told,) = found(stage, "labels.pseudo_rest")
    assert "kept without one" in told.message
    assert set(np.unique(stage.plan_.weight)) == {0.25, 1.0}


def test_self_training_is_that_of_scikit_learn():
    X, y, _ = digits(0.1)
    model = LogisticRegression(max_iter=2000)
    known = y.fill_null(-1).to_numpy()
    # Pixels of one scale for both sides: what the stage hands to an estimator is standardized.
    X = X.select(pl.all().map_batches(lambda s: (s > 7).cast(pl.Float64), return_dtype=pl.Float64))
    X = X.select(c for c in X.columns if X[c].n_unique() == 2)
    peer = SelfTrainingClassifier(model, threshold=0.8, max_iter=3).fit(X.to_numpy(), known)
    given = {"method": "self_training", "probe": model, "threshold": 0.8, "max_rounds": 3, **PLAIN}
    plan = LabelsPseudo(**given).fit(X, y).plan_
    ours = plan.label.fill_null(-1).to_numpy()
    ours = np.where(known >= 0, known, ours)
    assert (ours == peer.transduction_).mean() > 0.995


def test_spreading_is_that_of_scikit_learn_on_the_same_graph():
    X, y, _ = digits()
    known, matrix = y.fill_null(-1).to_numpy(), X.to_numpy()
    spread = matrix.std(axis=0)
    matrix = (matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1)
    graph = neighbor_graph(Space(), matrix, 10)
    peer = LabelSpreading(kernel=lambda *_: graph, alpha=0.9, max_iter=20_000, tol=1e-12).fit(matrix, known)
    plan = LabelsPseudo(threshold=0.0, **PLAIN).fit(X, y).plan_
    new = y.is_null().to_numpy()
    assert plan.label.to_numpy()[new].astype(int).tolist() == peer.transduction_[new].tolist()
    np.testing.assert_allclose(plan.score[new], peer.label_distributions_[new].max(axis=1), atol=1e-6)


def test_frequent_classes_do_not_swallow_rare_ones():
    random = np.random.default_rng(0)
    rare = np.arange(600) % 12 == 0
    X = pl.DataFrame({"a": random.normal(rare * 2.0), "b": random.normal(rare * 2.0)})
    kept = random.random(600) < 0.15
    y = pl.Series([("rare" if r else "often") if k else None for r, k in zip(rare, kept, strict=True)])
    plans = {
        cut: LabelsPseudo(method="self_training", cut=cut, align=cut != "absolute").fit(X, y).plan_
        for cut in ("absolute", "flexible")
    }
    share = {cut: (plan.label == "rare").sum() for cut, plan in plans.items()}
    assert share["flexible"] > 2 * share["absolute"]
    assert share["flexible"] / (plans["flexible"].label.is_not_null()).sum() == pytest.approx(
        rare.mean(), abs=0.05
    )


def test_several_rounds_label_more_and_say_in_which():
    X, y, _ = digits()
    given = {"method": "self_training", "cut": "absolute", "align": False}
    one = LabelsPseudo(max_rounds=1, **given).fit(X, y)
    more = LabelsPseudo(max_rounds=4, **given).fit(X, y)
    assert more.plan_.label.count() > one.plan_.label.count()
    assert "round" not in "".join(one.plan_.reason)
    assert any("round 2)" in reason for reason in more.plan_.reason)
    # What a row was labeled as in the first round stays.
    first = one.plan_.label.is_not_null()
    assert more.plan_.label.filter(first).equals(one.plan_.label.filter(first))


def test_one_label_of_each_class_is_enough_and_that_nothing_can_be_judged_is_said():
    X, _, truth = digits()
    first = [int(np.flatnonzero(truth == k)[0]) for k in range(10)]
    y = pl.Series([int(truth[i]) if i in first else None for i in range(900)])
    for method in METHODS:
        stage = LabelsPseudo(method=method).fit(X, y)
        (few,) = found(stage, "labels.pseudo_few")
        assert few.score == 10
        assert "is not known" in few.message
        assert not found(stage, "labels.pseudo_right")
        assert stage.plan_.label.count() > 0


def test_a_class_of_one_row_is_named_and_the_others_are_judged():
    X, y, truth = digits()
    only = int(np.flatnonzero((truth == 4) & y.is_not_null().to_numpy())[0])
    y = pl.Series([None if v == 4 and i != only else v for i, v in enumerate(y)])
    stage = LabelsPseudo().fit(X, y)
    (few,) = found(stage, "labels.pseudo_few")
    assert "'4'" in few.message
    assert found(stage, "labels.pseudo_right")


def test_a_class_that_no_row_looks_like_is_named():
    X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 0.3, 9.0, 9.1, 50.0, 50.1]})
    y = ["low", "low", None, None, "high", None, "far", "far"]
    stage = LabelsPseudo(neighbors=1).fit(X, y)
    (none,) = found(stage, "labels.pseudo_none")
    assert "'far'" in none.message
    assert none.remedy == {"labels.ask": {}}


def test_rows_that_no_label_reaches_say_so():
    X = pl.DataFrame({"a": [0.0, 1.0, 10.0, 11.0, 90.0, 91.0]})
    stage = LabelsPseudo(neighbors=1, threshold=0.0).fit(X, ["a", None, "b", None, None, None])
    assert stage.plan_.label.to_list() == [None, "a", None, "b", None, None]
    assert set(stage.plan_.reason[4:]) == {"no label: not connected with a labeled row"}


def test_without_a_value_in_any_column_no_label_spreads():
    X = pl.DataFrame({"a": pl.Series([None, None, None], dtype=pl.Float64)})
    stage = LabelsPseudo().fit(X, ["a", None, "b"])
    assert stage.plan_.times.tolist() == [1, 0, 1]
    assert stage.plan_.reason[1] == "no label: not connected with a labeled row"


def test_without_a_row_to_label_nothing_is_done_and_without_a_label_nothing_can_be():
    X = pl.DataFrame({"a": [0.0, 1.0, 2.0]})
    stage = LabelsPseudo().fit(X, ["a", "b", "a"])
    assert (stage.plan_.times == 1).all()
    assert stage.findings_ == []
    with pytest.raises(DataError, match="Label a row of at least two classes"):
        LabelsPseudo().fit(X, pl.Series([None, None, None], dtype=pl.String))
    with pytest.raises(DataError, match="cut the target into classes"):
        LabelsPseudo().fit(X, [0.5, None, 1.5])


def test_weights_multiply_and_rows_of_weight_0_teach_nothing():
    X = pl.DataFrame({"a": [0.0, 0.1, 0.2, 9.0, 9.1, 9.2, 0.3, 0.05]})
    y = ["low", "low", None, "high", "high", None, None, "high"]
    w = [1.0, 1.0, 3.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    stage = LabelsPseudo(neighbors=2, weight=0.5)
    _, labels, weights = stage.fit_resample(X, y, sample_weight=w)
    assert labels.tolist() == ["low", "low", "low", "high", "high", "high", "high"]
    assert weights.tolist() == [1.0, 1.0, 1.5, 1.0, 1.0, 0.5, 0.0]
    assert stage.plan_.reason[6] == "no label, and weight 0"


@pytest.mark.parametrize("form", ["pandas", "nullable", "polars", "numpy"])
def test_labels_come_back_as_they_came(form: str):
    X, y, _ = digits()
    X, y = X.head(300), y.head(300)
    if form in ("pandas", "nullable"):
        index = pd.Index(np.arange(300) * 2, name="twice")
        X = X.to_pandas().set_axis(index)
        y = pd.Series(y.to_list(), index=index, dtype="Int64" if form == "nullable" else "float64")
    if form == "numpy":
        X, y = X.to_numpy(), y.to_numpy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The stages gave rows a weight")
        _, labels = LabelsPseudo().fit_resample(X, y)
    assert type(labels) is type(y)
    assert labels.dtype == y.dtype
    assert not pd.isna(np.asarray(labels, dtype=float)).any()
    if form in ("pandas", "nullable"):
        assert set(labels.index) <= set(index)


def test_categories_gaps_and_dates_are_read():
    random = np.random.default_rng(0)
    kind = random.integers(0, 2, 200)
    X = pl.DataFrame(
        {
            "color": pl.Series(np.where(kind == 1, "red", "blue")).set(
                pl.Series(random.random(200) < 0.1), None
            ),
            "size": np.where(random.random(200) < 0.1, np.nan, random.normal(kind)),
        }
    )
    y = pl.Series(
        [None if i % 10 else str(k) for i, k in enumerate(kind)], dtype=pl.Enum(["1", "0", "unused"])
    )
    for method in METHODS:
        plan = LabelsPseudo(method=method).fit(X, y).plan_
        assert plan.label.dtype == y.dtype
        new = plan.label.is_not_null().to_numpy()
        assert (plan.label.cast(pl.String).to_numpy()[new] == kind[new].astype(str)).mean() > 0.85


def test_the_ledger_says_which_label_came_and_takes_it_back():
    X, y, _ = digits()
    table = Table.of(X, y)
    done = fit([("labels.pseudo", LabelsPseudo())], table)
    assert done.table.role("target").null_count() == 0
    back = done.ledger.undo("labels.pseudo", table).frame.collect()
    assert back.equals(table.frame.collect())


def test_a_pipeline_learns_from_the_labels_that_were_made():
    X, y, truth = digits()
    model = tilth.probes.probe("linear")
    few = y.is_not_null()
    alone = model.fit(X.filter(few), y.filter(few)).score(X, truth)
    pipe = tilth.Pipeline([LabelsPseudo(), tilth.probes.probe("linear")]).fit(X, y)
    assert len(pipe.predict(X)) == len(X)
    assert (pipe.predict(X) == truth).mean() > alone + 0.02


def test_an_estimator_keeps_the_stage_out_of_recipes():
    assert LabelsPseudo().recipe
    assert not LabelsPseudo(method="self_training", probe=LogisticRegression()).recipe


def rows_of(at: np.ndarray) -> Table:
    """Return rows of two classes in the order `at`, every third labeled."""
    random = np.random.default_rng(1)
    kind = np.arange(60) % 2
    labels = [f"{k}" if i % 3 == 0 else None for i, k in enumerate(kind)]
    frame = pl.DataFrame(
        {
            "a": random.normal(kind * 2.0),
            "b": random.integers(0, 3, 60) * 1.0,
            "y": labels,
            "key": np.arange(60),
        }
    )
    return Table.of(frame[at], roles=Roles(target="y", row_id="key"))


@given(st.permutations(range(60)), st.sampled_from(METHODS))
@settings(max_examples=8)
def test_what_a_row_is_told_does_not_depend_on_the_order_of_rows(order, method):
    at = np.array(order)
    stage = LabelsPseudo(method=method, folds=2, max_rounds=2, probe="linear")
    plain, mixed = stage.fit_table(rows_of(np.arange(60))), stage.fit_table(rows_of(at))
    assert plain.label[at].equals(mixed.label)
    np.testing.assert_allclose(plain.score[at], mixed.score, atol=1e-6)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c", None])), min_size=1, max_size=25),
    st.sampled_from(["spreading", "prototype"]),
    st.sampled_from(["flexible", "quantile", "absolute"]),
    st.floats(0, 1),
)
@settings(max_examples=60)
def test_every_row_is_labeled_left_or_refused(lines, method, cut, threshold):
    X = pl.DataFrame({"x": [float(x) for x, _ in lines]})
    y = pl.Series([c for _, c in lines], dtype=pl.String)
    stage = LabelsPseudo(method=method, cut=cut, threshold=threshold, folds=2, neighbors=2)
    if y.drop_nulls().n_unique() < 2:
        if y.null_count() or y.n_unique() == 1:
            with pytest.raises(DataError):
                stage.fit(X, y)
        return
    plan = stage.fit(X, y).plan_
    given_label = y.is_not_null().to_numpy()
    assert (plan.times[given_label] == 1).all()
    if plan.label is None:
        assert given_label.all()
        return
    new = plan.label.is_not_null().to_numpy()
    assert not (new & given_label).any()
    assert (plan.times == (given_label | new)).all()
    assert ((plan.weight > 0) & (plan.weight <= 1)).all()
    assert plan.label.drop_nulls().is_in(y.drop_nulls().implode()).all()
