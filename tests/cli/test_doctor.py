"""`tilth doctor`: findings before and after a recipe, in words and as JSON."""

import json
from pathlib import Path

import polars as pl
import pytest

from tilth.cli import main

from .test_cli import run


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [(float(i * 37 % 100) * 1e5, "abc"[i % 3], "yn"[i * 37 % 100 > 50]) for i in range(200)]
    pl.DataFrame(rows, schema=["income", "city", "paid"], orient="row").write_csv("people.csv")
    Path("recipe.yaml").write_text(
        "data: {path: people.csv, target: paid, split: {test: 0.2}}\nstages:\n- scale.robust\n"
    )
    return "recipe.yaml"


def test_findings_are_printed_with_remedies_and_what_the_recipe_mended(recipe, capsys):
    code, out, err = run(capsys, "doctor", recipe, "--quick", "--device", "cpu")
    assert (code, err) == (0, "")
    assert "income has a root mean square of" in out
    assert "scale.robust: {on: [income]}" in out
    assert "The recipe mended: health.unscaled" in out
    assert out.index("Before: ") < out.index("After the recipe.")


def test_json_holds_the_numbers_of_fewer_rows(recipe, capsys):
    code, out, _ = run(capsys, "doctor", recipe, "--quick", "--device", "cpu", "--json", "--max-rows", "60")
    told = json.loads(out)
    assert code == 0
    assert told["rows"] == 60
    assert told["before"]["findings"][0]["kind"] == "health.unscaled"
    assert told["after"]["numbers"]["validation_rows"] == 12


def test_a_recipe_that_is_not_there_is_a_plain_error(capsys, tmp_path):
    assert main(["doctor", str(tmp_path / "no.yaml")]) == 2
    assert "no.yaml" in capsys.readouterr().err
