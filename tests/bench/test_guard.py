"""The guard: what was fitted on the rows of a bench is refused, and nothing else is."""

from functools import partial

import numpy as np
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import tilth
from tests.bench.planted import DropUnsure, FlipLabels, NoOp, Oversample, Weigh, gaussian
from tilth.bench import ablate, compare
from tilth.core import lineage
from tilth.errors import DataError, LeakageError
from tilth.pipeline import Pipeline, load
from tilth.stages.scale.standard import ScaleStandard

ALONE = {"probes": ["linear"], "folds": 3, "repeats": 1, "n_jobs": 1}


@pytest.fixture(autouse=True)
def nothing_remembered():
    lineage.forget()
    yield
    lineage.forget()


@pytest.fixture
def rows():
    return gaussian(300)


def refused(X, y=None, before=None, after=None, **more):
    with pytest.raises(LeakageError, match="allow_fitted=True") as caught:
        compare(before, after, X, y, **(ALONE | more))
    return str(caught.value)


@pytest.mark.parametrize(
    "stages", [[DropUnsure()], [SMOTE(random_state=0)], [FlipLabels()], [ScaleStandard()]], ids=str
)
def test_rows_that_came_out_of_a_fit_on_all_of_them_are_refused(rows, stages):
    X, y = rows
    y[:200] = 0  # rare enough for SMOTE to make rows
    told = refused(*Pipeline(stages).fit_resample(X, y))
    assert "Pipeline of" in told and "before any was held out" in told
    compare(None, None, X, y, **ALONE)  # the rows that went in are as good as ever


def test_a_part_of_what_came_out_another_order_and_another_container_are_recognized(rows):
    X, y = rows
    made, labels = Pipeline([ScaleStandard()]).fit_resample(X, y)
    turn = np.random.default_rng(0).permutation(300)[:120]
    refused(made[turn].to_pandas(), labels[turn])
    refused(made.to_numpy(), labels)


def test_a_lone_stage_and_a_transform_of_the_fitted_rows_are_recognized(rows):
    X, y = rows
    refused(*DropUnsure().fit_resample(X, y))
    lineage.forget()
    refused(ScaleStandard().fit_transform(X), y)
    lineage.forget()
    refused(Pipeline([ScaleStandard()]).fit(X, y).transform(X), y)


def test_a_table_keeps_weights_that_were_made_of_all_rows(rows):
    X, y = rows
    refused(Pipeline([Weigh()]).fit_resample(tilth.Table.of(X, y)))
    compare(None, None, X, y, **ALONE)


@pytest.mark.parametrize("stages", [[NoOp()], [Oversample()]], ids=str)
def test_rows_as_they_were_and_exact_copies_of_them_are_no_leak(rows, stages):
    X, y = rows
    compare(None, None, *Pipeline(stages).fit_resample(X, y), **ALONE)


def test_new_rows_that_a_pipeline_prepared_without_having_seen_them_pass(rows):
    X, y = rows
    ready = Pipeline([ScaleStandard()]).fit(X[:150], y[:150]).transform(X[150:])
    compare(None, None, ready, y[150:], **ALONE)


def test_other_rows_of_few_values_are_not_taken_for_prepared_ones():
    rng = np.random.default_rng(0)
    draw = lambda: pl.DataFrame({"a": rng.integers(0, 3, 300), "b": rng.integers(0, 3, 300)})
    first, other = draw(), draw()
    holed = first.with_columns(pl.when(pl.int_range(300) % 10 > 0).then("a").alias("a"))
    Pipeline([tilth.stage("impute.simple")]).fit_transform(holed)
    compare(None, None, other, rng.integers(0, 2, 300), **ALONE)


def test_what_was_allowed_stands_in_the_result(rows):
    X, y = rows
    done = compare(None, None, *Pipeline([DropUnsure()]).fit_resample(X, y), allow_fitted=True, **ALONE)
    (finding,) = [f for f in done.leaks if f.kind == "bench.fitted_allowed"]
    assert finding.severity == "high" and finding.message in done.in_words()


# --- estimators that stay fitted --------------------------------------------------------------------


def test_a_frozen_pipeline_that_saw_the_rows_is_refused_wherever_it_stands(rows, tmp_path):
    X, y = rows
    seen = Pipeline([ScaleStandard()]).fit(X, y)
    assert "fitted on 100% of these 300 rows" in refused(X, y, after=[FrozenEstimator(seen)])
    refused(X, y, after=FrozenEstimator(seen))
    refused(X, y, after=[seen.transform])
    refused(X, y, after=[lambda frame: seen.transform(frame)])
    refused(X, y, after=[partial(lambda frame, by: by(frame), by=seen.transform)])
    again = load(seen.save(tmp_path / "bundle"))
    assert "the 'before' arm" in refused(X, y, before=[FrozenEstimator(again)])
    with pytest.raises(LeakageError):
        ablate([FrozenEstimator(again)], X, y, **ALONE)


def test_a_frozen_pipeline_that_saw_other_rows_does_its_work(rows):
    X, y = rows
    seen = Pipeline([ScaleStandard()]).fit(X[:100], y[:100])
    (verdict,) = compare(None, [FrozenEstimator(seen)], X[100:], y[100:], **ALONE).verdicts
    assert abs(verdict.difference) < 0.01  # the probe scales anyway
    assert seen.stages_[0][1].schema_  # and the frozen one is still fitted
    assert "fitted on 33%" in refused(X, y, after=[FrozenEstimator(seen)])


def test_a_part_of_a_fitted_pipeline_remembers_its_rows(rows):
    X, y = rows
    seen = Pipeline([ScaleStandard(), NoOp()]).fit(X, y)
    assert "300 rows" in refused(X, y, after=[FrozenEstimator(seen[:1])])


def test_a_foreign_fitted_estimator_is_refused_as_unknown(rows):
    X, y = rows
    assert "nobody knows" in refused(X, y, after=[FrozenEstimator(StandardScaler().fit(X))])
    model = FrozenEstimator(LogisticRegression().fit(X.to_numpy(), y))
    assert "the probe 'mine'" in refused(X, y, probes=[("mine", model)])
    refused(X, y, after=Pipeline([NoOp(), model]))


def test_fitted_pipelines_and_stages_are_cloned_and_no_leak(rows):
    X, y = rows
    seen = Pipeline([ScaleStandard(), LogisticRegression()]).fit(X, y)
    compare(None, seen, X, y, **ALONE)
    compare(None, [ScaleStandard().fit(X)], X, y, **ALONE)
    compare(None, [StandardScaler().fit(X), lambda frame: frame], X, y, **ALONE)


def test_few_values_that_recur_by_nature_are_no_evidence():
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"a": rng.integers(0, 4, 600), "b": rng.integers(0, 4, 600)})
    seen = Pipeline([ScaleStandard()]).fit(X[:300])
    compare(None, [FrozenEstimator(seen)], X[300:], rng.integers(0, 2, 300), **ALONE)


def test_the_error_is_one_about_data():
    assert issubclass(LeakageError, DataError)
