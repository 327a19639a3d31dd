"""OutliersForest: scikit-learn's IsolationForest is the oracle."""

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from tilth.stages.outliers.forest import OutliersForest
from tilth.stages.reading import Reading
from tilth.statistics import Statistics


@pytest.fixture
def rows() -> pl.DataFrame:
    random = np.random.default_rng(0)
    X = random.standard_normal((500, 5)) * [1, 100, 0.01, 1, 1]
    X[:10] *= random.choice([-6, 6], (10, 5))
    return pl.DataFrame(X, schema=list("abcde"))


def scores(rows, **more) -> np.ndarray:
    return -OutliersForest(action="report", **more).fit(rows).plan_.score


def test_scores_are_those_of_scikit_learn_for_the_same_seed(rows: pl.DataFrame) -> None:
    stage = OutliersForest(n_estimators=20, max_samples=64, random_state=3)
    reading = Reading.learn(Statistics([rows.lazy()]), rows.columns)
    matrix = reading.matrix(rows)
    peer = IsolationForest(n_estimators=20, max_samples=64, random_state=3).fit(matrix)
    np.testing.assert_allclose(stage.measure(reading, matrix), -peer.score_samples(matrix), rtol=1e-12)


def test_rows_far_out_have_the_highest_scores(rows: pl.DataFrame) -> None:
    far = np.arange(500) < 10
    assert roc_auc_score(far, scores(rows)) > 0.99
    assert (OutliersForest(threshold=0.02).fit(rows).plan_.times == 0)[:10].mean() > 0.8


def test_the_seed_changes_scores_and_threads_do_not(rows: pl.DataFrame) -> None:
    one = scores(rows, n_estimators=20)
    assert not np.array_equal(one, scores(rows, n_estimators=20, random_state=1))
    np.testing.assert_array_equal(one, scores(rows, n_estimators=20, n_jobs=2))


def test_more_trees_leave_less_to_chance(rows: pl.DataFrame) -> None:
    def apart(trees: int) -> float:
        return np.abs(
            scores(rows, n_estimators=trees) - scores(rows, n_estimators=trees, random_state=1)
        ).mean()

    assert apart(200) < apart(10) / 2


def test_a_row_is_not_flagged_for_its_gaps(rows: pl.DataFrame) -> None:
    gaps = np.arange(500) % 10 == 9
    for count in (1, 3):
        holed = rows.with_columns(pl.when(~pl.Series(gaps)).then(pl.col(c)) for c in rows.columns[:count])
        flagged = OutliersForest(threshold=0.05).fit(holed).plan_.times == 0
        assert flagged[gaps].mean() <= flagged[~gaps].mean()
        assert scores(holed)[gaps].mean() < scores(holed)[~gaps].mean()


def test_rare_categories_are_far_out_and_names_are_not() -> None:
    random = np.random.default_rng(2)
    rows = pl.DataFrame(
        {
            "n": random.uniform(size=400),
            "job": ["astronaut", *random.choice(["clerk", "cook"], 399)],
            "name": [f"row {i}" for i in range(400)],
        }
    )
    assert scores(rows).argmax() == 0
    assert np.ptp(scores(rows.select("name"))) == 0
