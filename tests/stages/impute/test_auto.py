"""Choosing an imputer by evidence: the choice, what it hands over, and where it is written down."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

import tilth
from tests.stages.test_hiding import rows
from tilth.core.stage import RowStage
from tilth.errors import StageError, UnknownName
from tilth.pipeline.run import run
from tilth.stages import stage
from tilth.stages.impute.auto import ImputeAuto
from tilth.table import ROW

NAMES = ["impute.simple", {"impute.simple": {"numeric": "mean"}}, {"impute.neighbors": {"n_neighbors": 3}}]


@pytest.fixture(scope="module")
def frame():
    return rows(500).drop(ROW)


@pytest.fixture(scope="module")
def fitted(frame):
    return stage("impute.auto", candidates=NAMES, indicator=True).fit(frame)


def test_the_best_method_is_fitted_on_all_rows_and_does_the_work(frame, fitted):
    assert fitted.chosen_ == {"impute.neighbors": {"n_neighbors": 3}}
    alone = stage("impute.neighbors", n_neighbors=3, indicator=True).fit(frame)
    assert fitted.transform(frame).equals(alone.transform(frame))
    assert fitted.cells_ == alone.cells_


def test_the_trials_are_told_as_a_table_with_seconds(fitted):
    told = fitted.trials_
    assert told["method"].to_list() == [
        "impute.simple",
        "impute.simple: {numeric: mean}",
        "impute.neighbors: {n_neighbors: 3}",
    ]
    assert told["chosen"].to_list() == [False, False, True]
    assert told.filter("chosen")["loss"].item() == told["loss"].min()
    assert (told["seconds"] > 0).all()
    assert set(fitted.by_column_["column"]) == {"b", "c"}


def test_the_choice_is_a_finding_whose_remedy_is_the_line_of_the_recipe(fitted):
    (found,) = [f for f in fitted.findings_ if f.kind == "impute.choice"]
    assert found.remedy == {"impute.neighbors": {"n_neighbors": 3, "indicator": True}}
    assert "impute.simple 0." in found.message
    assert {f.kind for f in fitted.findings_} == {"impute.choice", "missing.filled"}


def test_the_recipe_of_a_fitted_pipeline_names_the_method(frame, tmp_path):
    pipe = tilth.Pipeline([stage("impute.auto", candidates=NAMES, indicator=True), tilth.ScaleStandard()])
    assert "impute.auto" in pipe.to_recipe().to_yaml()
    pipe.fit(frame)
    text = pipe.to_recipe().to_yaml()
    assert "impute.neighbors: {n_neighbors: 3, indicator: true}" in text
    assert "impute.auto" not in text
    again = tilth.Pipeline.from_recipe(tilth.Recipe.from_text(text)).fit(frame)
    assert again.transform(frame).equals(pipe.transform(frame))
    pipe.save(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "recipe.yaml").read_text() == text
    assert "impute.auto" in clone(pipe).to_recipe().to_yaml()


def test_a_saved_choice_is_loaded_with_its_method(frame, tmp_path):
    pipe = tilth.Pipeline([stage("impute.auto", candidates=NAMES), ("model", LinearRegression())])
    X = frame.drop("c")
    pipe.fit(X, np.arange(len(X), dtype=float)).save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    np.testing.assert_array_equal(again.predict(X), pipe.predict(X))
    loaded = again["impute.auto"]
    assert type(loaded.stage_) is type(pipe["impute.auto"].stage_)
    assert loaded.trials_.drop("seconds").equals(pipe["impute.auto"].trials_.drop("seconds"))
    assert loaded.trials_["seconds"].null_count() == 3
    assert isinstance(loaded, ImputeAuto)
    assert again.to_recipe() == pipe.to_recipe()


def test_the_chosen_method_gets_the_own_columns_and_seed(frame):
    auto = stage("impute.auto", candidates=["impute.neighbors"], on=["a", "b"], random_state=7).fit(frame)
    made = auto.concrete()
    assert made.on == ["a", "b"]
    assert made.random_state == 7
    assert auto.transform(frame)["c"].null_count() == frame["c"].null_count()


def test_a_candidate_may_keep_parameters_of_its_own(frame):
    auto = stage("impute.auto", candidates=[{"impute.neighbors": {"random_state": 3, "on": "numeric"}}])
    made = auto.fit(frame).concrete()
    assert made.random_state == 3
    assert made.on == "numeric"


def test_more_rows_than_max_rows_are_sampled_and_all_are_filled(frame):
    auto = stage("impute.auto", candidates=NAMES, max_rows=200, repeats=1).fit(frame)
    assert "of 200 rows" in auto.findings_[0].message
    assert sum(auto.transform(frame).null_count().row(0)) == 0
    assert auto.trials_["repeats"].to_list() == [1, 1, 1]


def test_candidates_that_are_no_column_stage_or_unknown_are_refused(frame):
    assert issubclass(tilth.stages.find("duplicates.exact"), RowStage)
    with pytest.raises(StageError, match=r"'duplicates\.exact' is no column stage"):
        stage("impute.auto", candidates=["duplicates.exact"]).fit(frame)
    with pytest.raises(UnknownName, match="simpel"):
        stage("impute.auto", candidates=["impute.simpel"]).fit(frame)
    with pytest.raises(ValueError, match="numeric"):
        stage("impute.auto", candidates=[{"impute.simple": {"numeric": "middle"}}]).fit(frame)
    with pytest.raises(StageError, match="is no column stage"):
        stage("impute.auto", candidates=[{"impute.simple": {}, "impute.neighbors": {}}]).fit(frame)


def test_a_recipe_with_candidates_reads_and_runs(frame):
    text = "stages: [impute.auto: {candidates: [impute.simple, {impute.neighbors: {n_neighbors: 3}}]}]"
    pipe = tilth.Pipeline.from_recipe(tilth.Recipe.from_text(text)).fit(frame)
    assert "impute.neighbors: {n_neighbors: 3}" in pipe.to_recipe().to_yaml()


def test_a_run_writes_the_recipe_that_it_came_to(frame, tmp_path):
    frame.write_csv(tmp_path / "rows.csv")
    line = "{candidates: [impute.simple, {impute.neighbors: {n_neighbors: 3}}]}"
    text = f"data: {{path: rows.csv, split: {{test: 0.25}}}}\nstages: [impute.auto: {line}]\n"
    (tmp_path / "mine.yaml").write_text(text)
    result = run(tmp_path / "mine.yaml", out=tmp_path / "out")
    written = tilth.Recipe.read(tmp_path / "out" / "recipe.yaml")
    assert written == result.recipe
    assert [stage.key for stage in written.stages] == ["impute.neighbors"]
    assert written.data.split.test == 0.25
    again = run(tmp_path / "out" / "recipe.yaml", out=tmp_path / "again", data=result.before)
    assert again.recipe == written


def test_rows_without_gaps_at_fit_are_tried_on_all_columns(frame):
    whole = frame.drop_nulls()
    auto = stage("impute.auto", candidates=NAMES).fit(whole)
    assert set(auto.by_column_["column"]) == {"a", "b", "c"}
    assert sum(auto.transform(frame).null_count().row(0)) == 0
