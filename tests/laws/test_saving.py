"""Laws 6 and 7: a saved stage gives the same output, and a stage is its recipe."""

from functools import cache

import numpy as np
import polars as pl
import pytest

import tilth
from tests.laws.cases import FEATURES, Case, acts_as, alike, cases, learned
from tilth.core import RowStage

Pipeline = tilth.Pipeline


def given(case):
    return case.rows().select(FEATURES), case.rows()["y"]


@cache
def run(case):
    """Return a pipeline of the stage, fitted, and what came out: of row stages what they leave, else rows."""
    pipe = Pipeline([case.make()])
    return pipe, came_out(pipe, case)


def came_out(pipe, case):
    X, y = given(case)
    return pipe.fit_resample(X, y) if acts_as(case.make()) is RowStage else (pipe.fit(X, y).transform(X),)


@pytest.mark.parametrize("case", cases("bundle"))
def test_law_6_a_saved_stage_gives_the_same_output(case: Case, tmp_path):
    pipe, _ = run(case)
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    X = given(case)[0]
    for new in (X, case.rows(50, seed=4).select(FEATURES), X.head(1)):
        wanted, found = pipe.transform(new), again.transform(new)
        assert found.schema == wanted.schema
        assert found.equals(wanted)
    (_, one), (_, two) = pipe.stages_[0], again.stages_[0]
    assert two.get_params() == one.get_params()
    public = {name for name in learned(one) if name != "plan_"}
    alike(
        {n: v for n, v in learned(two).items() if n in public},
        {n: v for n, v in learned(one).items() if n in public},
        0,
        0,
    )
    assert not any(path.suffix in (".pkl", ".joblib") for path in (tmp_path / "bundle").rglob("*"))


@pytest.mark.parametrize("case", cases("bundle", RowStage))
def test_law_6_the_ledger_is_saved_with_the_stage(case: Case, tmp_path):
    pipe, _ = run(case)
    pipe.save(tmp_path / "bundle")
    again = tilth.load(tmp_path / "bundle")
    assert again.ledger_.account() == pipe.ledger_.account()
    assert again.ledger_.events.equals(pipe.ledger_.events)


@pytest.mark.parametrize("case", cases("recipe"))
def test_law_7_a_stage_and_its_recipe_are_the_same(case: Case):
    pipe = Pipeline([case.make()])
    text = pipe.to_recipe().to_yaml()
    again = Pipeline.from_recipe(tilth.Recipe.from_text(text))
    (_, one), (_, two) = pipe.stages_named()[0], again.stages_named()[0]
    assert type(one) is type(two)
    assert {n: _plain(v) for n, v in two.get_params().items()} == {
        n: _plain(v) for n, v in one.get_params().items()
    }
    assert again.to_recipe().to_yaml() == text


@pytest.mark.parametrize("case", cases("recipe", many=True))
def test_law_7_the_stage_of_a_recipe_does_the_same(case: Case):
    text = Pipeline([case.make()]).to_recipe().to_yaml()
    again = Pipeline.from_recipe(tilth.Recipe.from_text(text))
    for a, b in zip(came_out(again, case), run(case)[1], strict=True):
        assert a.equals(b) if isinstance(a, pl.DataFrame | pl.Series) else np.array_equal(a, b)


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
