"""The examples that are there for their verdict end in it, with fewer repeats than they ask for."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

import tilth
from tilth.pipeline import Pipeline, read_data, split
from tilth.recipes import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FEWER = {"repeats": 2, "n_jobs": 1}


@pytest.mark.parametrize(
    ("name", "word"), [("helps", "helps"), ("hurts", "hurts"), ("no_evidence", "no evidence")]
)
def test_an_example_ends_in_its_verdict(name, word, tmp_path):
    path = RECIPES / f"{name}.yaml"
    recipe = Recipe.read(path)
    script = path.with_suffix(".py")
    if script.is_file():
        made = runpy.run_path(str(script))["main"](tmp_path)
        data = recipe.data.model_copy(update={"path": str(made)})
        recipe = Recipe.of(recipe.build(), **recipe.told() | {"data": data.told()})
    rows, _ = split(read_data(recipe, path.parent), recipe)
    asked = recipe.bench.told() | FEWER
    (verdict,) = tilth.compare(None, Pipeline.from_recipe(recipe), rows, **asked).verdicts
    assert verdict.word == word, verdict.in_words()
    assert (verdict.low > 0, verdict.high < 0) == (word == "helps", word == "hurts")
    if word == "no evidence":
        assert verdict.rows_needed > 600 and verdict.mde80 > verdict.rope
