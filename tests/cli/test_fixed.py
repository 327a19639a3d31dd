"""The command line judges on the rows that a recipe keeps for testing, where it is asked to."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from tilth.cli import main

ASKED = """data: {path: people.csv, target: paid%s}
stages: [impute.simple]
bench: {probes: [linear], n_jobs: 1%s}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    paid = random.integers(0, 2, 400)
    age = paid + random.normal(size=400)
    rows = {"age": np.where(random.random(400) < 0.1, np.nan, age), "income": random.normal(size=400)}
    rows |= {"part": np.where(np.arange(400) % 3, "train", "test"), "day": np.arange(400), "paid": paid}
    pl.DataFrame(rows).with_columns(pl.col("age").fill_nan(None)).write_csv("people.csv")
    return tmp_path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def asked(split="", bench=""):
    Path("recipe.yaml").write_text(ASKED % (split, bench))


@pytest.mark.parametrize(
    ("split", "tested", "left"),
    [
        (", split: {test: 0.3}", 120, 400),
        (", split: {column: part}", 134, 400),
        (", split: {by: time, column: day, test: 0.25}", 100, 400),
    ],
    ids=["drawn", "column", "latest"],
)
def test_the_rows_kept_for_testing_judge(folder, capsys, split, tested, left):
    asked(split, ", fixed_test: true")
    code, out, err = run(capsys, "bench", "recipe.yaml", "--report", "b.html")
    assert code == 0, err
    assert f"binary, {left} rows, one fixed test set of {tested} rows, 5 training seeds" in out
    assert "fold" not in out.lower()
    page = Path("b.html").read_text()
    assert f"one fixed test set of {tested} rows, 5 training seeds" in page
    assert "Nadeau" not in page and "training folds" not in page and "mean per training seed" in page


def test_a_flag_asks_for_it_too_and_json_tells_how_many(folder, capsys):
    asked(", split: {column: part}")
    code, out, err = run(capsys, "bench", "recipe.yaml", "--fixed-test", "--json")
    assert code == 0, err
    told = json.loads(out)["comparison"]
    assert (told["tested"], told["folds"], told["repeats"]) == (134, 1, 5)
    assert {line["fold"] for line in told["scores"]} == {0}


@pytest.mark.parametrize(
    ("split", "bench", "flags", "says"),
    [
        ("", ", fixed_test: true", [], "keeps no rows for testing"),
        (", split: {test: 0.3}", ", fixed_test: true, folds: 3", [], "'folds' goes by folds"),
        (", split: {test: 0.3}", ", fixed_test: true, time: day", [], "'time' goes by folds"),
        (
            ", split: {test: 0.3}",
            ", fixed_test: true, ablate: shapley",
            [],
            "'ablate: shapley' goes by folds",
        ),
        (", split: {test: 0.3}", ", fixed_test: true", ["--learning-curve"], "learning curve goes by folds"),
        (", split: {test: 0.3}", ", fixed_test: true", ["--explain"], "explain cannot be estimated"),
    ],
    ids=["no split", "folds", "time", "shapley", "curve", "explain"],
)
def test_what_goes_by_folds_is_refused(folder, capsys, split, bench, flags, says):
    asked(split, bench)
    code, _, err = run(capsys, "bench", "recipe.yaml", *flags)
    assert code != 0 and says in " ".join(err.replace("│", " ").split())


def test_the_test_folder_of_images_judges(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for part, each in (("train", 20), ("test", 26)):
        for label, bright in (("day", 150), ("night", 90)):
            Path("photos", part, label).mkdir(parents=True)
            for k in range(each):
                pixels = np.clip(random.normal(bright, 40, size=(12, 12, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(Path("photos", part, label, f"{k}.png"))
    Path("recipe.yaml").write_text(
        "data: {path: photos}\nstages: [prune.unreadable]\n"
        "bench: {probes: [cnn], repeats: 1, fixed_test: true, n_jobs: 1}\n"
    )
    code, out, err = run(capsys, "bench", "recipe.yaml")
    assert code == 0, err
    assert "92 rows, one fixed test set of 52 rows, 1 training seed)" in out
    assert "indication" in out and "McNemar's exact test" in out
