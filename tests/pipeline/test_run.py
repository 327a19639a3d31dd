"""Running a recipe: everything is written, twice the same, or nothing."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import tilth
from tilth.errors import DataError, RecipeError
from tilth.loaders import StreamLoader
from tilth.pipeline import prepare, run, split

RECIPE = """
data: {path: people.csv, target: class, split: {test: 0.25}}
stages:
  - duplicates.exact: {action: drop}
  - impute.simple: {indicator: true}
  - encode.category
  - scale.robust
  - balance.over
output: {dir: out, format: parquet}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = 200
    frame = pl.DataFrame(
        {
            "age": pl.Series(rng.integers(18, 80, rows)).set(pl.Series(rng.random(rows) < 0.1), None),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows),
            "pay": rng.normal(30, 5, rows),
            "class": np.where(np.arange(rows) % 5 == 0, "yes", "no"),
        }
    )
    frame = pl.concat([frame, frame.head(10)])
    frame.write_csv(tmp_path / "people.csv")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_two_runs_write_the_same_bytes(folder: Path) -> None:
    run(folder / "recipe.yaml", out=folder / "a")
    run(folder / "recipe.yaml", out=folder / "b")
    first, second = hashes(folder / "a"), hashes(folder / "b")
    assert first == second
    assert {"train.parquet", "test.parquet", "ledger.parquet", "findings.json", "recipe.yaml"} <= set(first)


def test_the_ledger_accounts_for_every_input_row(folder: Path) -> None:
    result = run(folder / "recipe.yaml")
    account = result.ledger.account()
    fates = result.ledger.fates(result.before)
    assert account["balanced"] and account["rows_in"] == fates.height == result.before.height
    assert (fates["fate"] == "dropped").sum() == account["dropped"] > 0
    assert pl.read_parquet(folder / "out" / "train.parquet").height == account["rows_out"]


def test_undo_from_the_saved_ledger_restores_dropped_rows(folder: Path) -> None:
    result = run(folder / "recipe.yaml")
    ledger = tilth.Ledger.read(folder / "out")
    dropped = set(ledger.events.filter(pl.col("action") == "dropped")["row"])
    undone = ledger.undo("duplicates.exact", result.before)
    assert dropped and dropped <= set(undone.ids.tolist())
    assert not dropped & set(ledger.replay(result.before).ids.tolist())


def test_the_bundle_of_a_run_transforms_the_test_rows_alike(folder: Path) -> None:
    result = run(folder / "recipe.yaml")
    again = tilth.load(folder / "out" / "bundle")
    _, test = split(tilth.read(folder / "people.csv", target="class"), result.recipe)
    assert test is not None and result.test is not None
    assert again.transform(test).X().equals(result.test.X())


def test_a_split_is_stratified_and_parts_nothing(folder: Path) -> None:
    table = tilth.read(folder / "people.csv", target="class")
    training, test = split(table, tilth.Recipe.read(folder / "recipe.yaml"))
    assert test is not None
    assert sorted([*training.ids.tolist(), *test.ids.tolist()]) == sorted(table.ids.tolist())
    assert abs((test.y == "yes").mean() - (table.y == "yes").mean()) < 0.02  # type: ignore[operator]


def test_copies_of_a_row_stay_on_one_side_of_the_split(folder: Path) -> None:
    rows = pl.read_csv(folder / "people.csv").unique(maintain_order=True)
    twice = pl.concat([rows, rows])
    parts = split(tilth.read(twice, target="class"), tilth.Recipe.from_text(RECIPE))
    training, test = (set(part.X().rows()) for part in parts if part is not None)
    assert test and not training & test


def test_a_group_is_never_split(folder: Path) -> None:
    frame = pl.read_csv(folder / "people.csv").with_columns((pl.int_range(pl.len()) % 20).alias("house"))
    frame.write_csv(folder / "people.csv")
    text = RECIPE.replace("split: {test: 0.25}", "group: house, split: {test: 0.25, by: group}")
    recipe = tilth.Recipe.from_text(text)
    training, test = split(tilth.read(folder / "people.csv", target="class", group="house"), recipe)
    assert test is not None
    houses = [set(part.role("group")) for part in (training, test)]  # type: ignore[arg-type]
    assert not houses[0] & houses[1] and len(houses[1]) == 5
    by_chance = tilth.Recipe.from_text(text.replace(", by: group", ""))
    again = split(tilth.read(folder / "people.csv", target="class", group="house"), by_chance)[1]
    assert again is not None and set(again.role("group")) == houses[1]  # type: ignore[arg-type]


def test_nothing_is_left_when_a_stage_fails(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(RECIPE.replace("scale.robust", "outliers.clip: {on: wage}"))
    with pytest.raises(tilth.TilthError, match="wage"):
        run(folder / "recipe.yaml")
    assert sorted(p.name for p in folder.iterdir()) == ["people.csv", "recipe.yaml"]


def test_a_folder_that_no_run_wrote_is_not_replaced(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="was not written by a run"):
        run(folder / "recipe.yaml")
    assert (folder / "out" / "thesis.txt").read_text() == "mine"


def test_an_older_run_is_replaced(folder: Path) -> None:
    run(folder / "recipe.yaml")
    (folder / "recipe.yaml").write_text(RECIPE.replace("  - balance.over\n", ""))
    run(folder / "recipe.yaml")
    account = json.loads((folder / "out" / "tilth-run.json").read_text())["account"]
    assert account["repeated"] == 0


def test_a_recipe_without_data_says_so() -> None:
    with pytest.raises(RecipeError, match="names no data"):
        run(tilth.Recipe.from_text("stages: [scale.robust]"))


def test_csv_output(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(RECIPE.replace("parquet", "csv"))
    result = run(folder / "recipe.yaml")
    assert pl.read_csv(folder / "out" / "train.csv").height == result.after.height


def test_the_loader_section_says_how_batches_come(folder: Path) -> None:
    recipe = tilth.Recipe.from_text(RECIPE + "loader: {batch_size: 32, drop_last: true, device: cpu}\n")
    result = run(recipe, base=folder)
    sizes = {len(batch[0]) for batch in result.loader()}
    assert sizes == {32}
    assert next(iter(result.loader(batch_size=16)))[0].shape[0] == 16


def test_the_loader_section_says_which_columns_are_codes_and_in_what_order_rows_come(folder: Path) -> None:
    stages = RECIPE.replace("  - encode.category\n", "")
    told = "{codes: [city], dtype: float16, sampler: blocks, block_rows: 50, device: cpu}"
    loader = run(tilth.Recipe.from_text(f"{stages}loader: {told}\n"), base=folder).loader()
    X, codes, _ = next(iter(loader))
    assert (X.dtype, codes.shape[1], loader.sampler.order) == (torch.float16, 1, "blocks")
    assert loader.codes_["city"].tolist() == ["Lima", "Oslo", "Rome"]


def test_a_stream_feeds_the_file_that_a_run_wrote(folder: Path) -> None:
    told = "loader: {stream: true, batch_size: 32, slice_rows: 10, buffer_rows: 40, device: cpu}\n"
    stages = RECIPE.replace("  - balance.over\n", "  - balance.weight\n  - augment.jitter: {share: 0.1}\n")
    result = run(tilth.Recipe.from_text(stages + told), base=folder)
    loader = result.loader(sampler="sequential")
    assert isinstance(loader, StreamLoader) and result.loader().sampler.shuffle
    X, y, weight = (torch.cat(part).numpy() for part in zip(*loader, strict=True))
    plain = result.after.X().to_numpy()
    assert X.shape == plain.shape and 0 < np.abs(X - plain).max() < 2  # as prepared, then jittered
    assert loader.classes_[y].tolist() == result.after.y.to_list()
    np.testing.assert_allclose(weight, result.after.role("weight").to_numpy(), rtol=1e-6)
    (folder / "script.py").write_text(tilth.Recipe.from_text(stages + told).to_python())
    names = runpy.run_path(str(folder / "script.py"), run_name="__main__")
    assert isinstance(names["loader"], StreamLoader) and len(names["loader"].dataset) == len(X)


def test_a_stream_needs_the_file(folder: Path) -> None:
    recipe = tilth.Recipe.from_text(RECIPE + "loader: {stream: true}\n")
    with pytest.raises(DataError, match="and none was written"):
        prepare(recipe, base=folder).loader()
    assert len(prepare(recipe, base=folder).loader(stream=False).dataset) > 0
    as_csv = tilth.Recipe.from_text(RECIPE.replace("parquet", "csv"))
    with pytest.raises(DataError, match="and none was written"):
        run(as_csv, base=folder).loader(stream=True)
