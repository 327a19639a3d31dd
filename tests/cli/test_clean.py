"""A column of checked labels in a recipe: judged by, never learned from, and carried along by a run."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import tilth
from tilth.cli import main
from tilth.pipeline import read_data
from tilth.recipes import Recipe


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with rows that tell nothing, and labels that only their checked column would tell."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 160)
    checked = [None if k % 3 == 0 else int(label) for k, label in enumerate(y)]
    noise = random.normal(size=160)
    pl.DataFrame({"a": noise, "checked": checked, "y": y}).write_csv("rows.csv")
    Path("recipe.yaml").write_text(
        "data: {path: rows.csv, target: y, split: {test: 0.2}}\n"
        "stages: [impute.simple: {indicator: true}, scale.standard]\n"
        "bench: {probes: [linear], folds: 3, repeats: 1, n_jobs: 1, clean: checked, ablate: true}\n"
    )
    return tmp_path


def test_the_bench_judges_by_it_and_no_model_learns_from_it(folder, capsys):
    code, out, err = run(capsys, "bench", "recipe.yaml", "--learning-curve", "--json")
    assert code == 0, err
    told = json.loads(out)
    for part, count in (("comparison", 1), ("ablation", 2)):
        said = [f for f in told[part]["controls"] if f["kind"] == "bench.clean_labels"]
        assert len(said) == count and told[part]["clean"]
    assert told["comparison"]["verdicts"][0]["before"] < 0.75
    assert max(line["value"] for line in told["curve"]["scores"] if line["metric"] == "roc_auc") < 0.95
    # Without the word in the recipe, the same column tells all.
    Path("recipe.yaml").write_text(Path("recipe.yaml").read_text().replace("clean: checked, ", ""))
    _, out, _ = run(capsys, "bench", "recipe.yaml", "--json")
    leaked = json.loads(out)["comparison"]
    assert leaked["verdicts"][0]["before"] > 0.8 and not leaked["clean"]
    _, out, _ = run(capsys, "bench", "recipe.yaml")
    assert "rows with a clean label" not in out


def test_a_run_carries_it_along_as_it_is(folder, capsys):
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 0, err
    there = pl.read_csv("rows.csv").with_row_index("row_id")
    for part in ("train", "test"):
        rows = pl.read_parquet(f"out/{part}.parquet")
        assert set(rows.columns) == {"row_id", "a", "checked", "y"}
        same = rows.select("row_id", "checked").join(
            there.with_columns(pl.col("row_id").cast(pl.UInt64)), on="row_id"
        )
        assert same["checked"].equals(same["checked_right"], null_equal=True) and same.height == rows.height
    loaded = tilth.load("out/bundle")
    new = pl.DataFrame({"a": [0.5]})
    assert loaded.transform(new).columns == ["a"]


def test_a_table_that_is_read_knows_it_and_a_column_that_is_not_there_is_named(folder, capsys):
    table = read_data(Recipe.read("recipe.yaml"), folder)
    assert table.features == ["a"] and table.roles.clean == "checked"
    assert tilth.read("rows.csv", target="y", clean="checked").features == ["a"]
    Path("recipe.yaml").write_text(
        Path("recipe.yaml").read_text().replace("clean: checked", "clean: chekced")
    )
    for command in ("bench", "run"):
        code, _, err = run(capsys, command, "recipe.yaml")
        assert code == 2 and "clean" in err and "did you mean 'checked'" in err
