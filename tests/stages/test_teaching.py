"""Who answers for a row, and what rows are told: scikit-learn's estimators are the oracles."""

from functools import cache

import numpy as np
import polars as pl
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from tilth.neighbors import Space
from tilth.neighbors.spreading import neighbor_graph
from tilth.stages.teaching import (
    best_model,
    fair_of,
    found_again,
    judged,
    models,
    parts_of,
    rounds,
    spreading,
)
from tilth.stages.unlabeled import Partly
from tilth.table import Roles, Table

PLAIN = {"heat": 1.0, "align": False, "cut": "absolute", "factor": np.ones_like}


@cache
def cancer(share: float = 0.05) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return a table of which a share is labeled, the labels with -1 for none, and the truth."""
    X, y = load_breast_cancer(return_X_y=True)
    known = np.where(np.random.default_rng(0).random(len(y)) < share, y, -1)
    frame = pl.DataFrame(X, schema=[f"x{j}" for j in range(X.shape[1])])
    labels = pl.Series([None if k < 0 else int(k) for k in known])
    return Table.of(frame, labels), known, y


def told_of(table: Table, rows: Partly, codes: np.ndarray) -> np.ndarray:
    """Return a label for each row of the table: given, or told."""
    out = np.full(table.height, -1)
    out[rows.labeled], out[rows.open] = rows.codes, codes
    return out


def test_rounds_are_those_of_scikit_learns_self_training():
    table, known, _ = cancer()
    rows = Partly.of(table, "labels.pseudo")
    X = table.frame.select(table.features).collect().to_numpy()
    # Scaled once for all rows, as the peer's model: a probe scales by the rows that it learns from.
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    peer = SelfTrainingClassifier(model, threshold=0.9, max_iter=4).fit(X, known)

    def teach(seen, codes, weight, asked):
        return model.fit(X[seen], codes).predict_proba(X[asked])

    told = rounds(teach, rows, threshold=0.9, most=4, **PLAIN)
    assert told_of(table, rows, told.codes).tolist() == peer.transduction_.tolist()
    assert (
        told_of(table, rows, told.round)[rows.open].tolist() == peer.labeled_iter_.clip(0)[rows.open].tolist()
    )


def test_spreading_is_that_of_scikit_learn_on_the_same_graph():
    table, known, _ = cancer()
    rows = Partly.of(table, "labels.pseudo")
    matrix = StandardScaler().fit_transform(table.frame.select(table.features).collect().to_numpy())
    graph = neighbor_graph(Space(), matrix, 10)
    peer = LabelSpreading(kernel=lambda *_: graph, alpha=0.9, max_iter=20_000, tol=1e-12).fit(matrix, known)
    teach = spreading(table, table.features, rows, 10, 0.9)
    answers = teach(rows.labeled, rows.codes, np.ones(len(rows.labeled)), rows.open)
    np.testing.assert_allclose(answers, peer.label_distributions_[rows.open], atol=1e-6)


def test_a_label_pulls_as_much_as_its_row_weighs():
    table, _, _ = cancer()
    rows = Partly.of(table, "labels.pseudo")
    teach = spreading(table, table.features, rows, 10, 0.9)
    even = np.ones(len(rows.labeled))
    heavy = np.where(rows.codes == 1, 5.0, 1.0)
    plain, pulled = (teach(rows.labeled, rows.codes, w, rows.open)[:, 1] for w in (even, heavy))
    assert (pulled >= plain).all()
    assert pulled.mean() > plain.mean() + 0.02


def test_no_row_is_judged_by_its_own_label_or_group():
    y = ["a", "b"] * 6 + [None] * 4
    frame = pl.DataFrame({"x": np.arange(16.0), "y": y, "g": np.arange(16) // 4})
    table = Table.of(frame, roles=Roles(target="y", group="g"))
    rows = Partly.of(table, "labels.pseudo")
    asked_of = []

    def teach(seen, codes, weight, asked):
        assert not set(frame["g"][seen]) & set(frame["g"][asked])
        asked_of.extend(asked.tolist())
        return np.full((len(asked), 2), 0.5)

    parts = parts_of(table, rows, 3, 0)
    assert judged(teach, rows, parts).shape == (12, 2)
    assert sorted(asked_of) == sorted(rows.labeled)


def test_a_class_of_one_row_is_not_judged():
    y = ["a", "a", "b", "b", "lone", None]
    table = Table.of(pl.DataFrame({"x": np.arange(6.0)}), pl.Series(y))
    rows = Partly.of(table, "labels.pseudo")
    fair = fair_of(parts_of(table, rows, 2, 0))
    assert sorted(rows.labeled[fair]) == [0, 1, 2, 3]


def test_labels_that_are_hidden_are_found_again_by_the_same_way():
    table, _, _ = cancer(0.2)
    rows = Partly.of(table, "labels.pseudo")
    parts = parts_of(table, rows, 4, 0)
    seen = []

    def learn(some: Partly):
        seen.append(len(some.labeled))
        assert not set(some.labeled) & set(some.open)
        assert set(some.labeled) | set(some.open) == set(rows.labeled) | set(rows.open)
        return rounds(models(table, table.features, some, "linear", 0), some, threshold=0.5, most=1, **PLAIN)

    given, told = found_again(learn, rows, parts)
    assert len(given) == len(told) == len(rows.labeled)
    assert (given == told).mean() > 0.9
    assert len(seen) == 4


def test_the_best_model_is_the_one_that_judges_hidden_labels_best():
    table, _, _ = cancer(0.2)
    rows = Partly.of(table, "labels.pseudo")
    parts = parts_of(table, rows, 3, 0)
    loss = {}
    for probe in ("auto", "boosting"):
        teach = best_model(table, table.features, rows, probe, parts, 0)
        answers = judged(teach, rows, parts)
        own = answers[np.arange(len(answers)), rows.codes[fair_of(parts)]]
        loss[probe] = -np.log(np.maximum(own, 1e-6)).mean()
    assert loss["auto"] < loss["boosting"]
