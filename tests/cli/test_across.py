"""`tilth across`: results of several data sets, judged together."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tilth.cli import main


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with two small data sets, and a recipe for each."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("north", "south")):
        random = np.random.default_rng(seed)
        x = random.normal(size=(120, 2))
        y = np.where(x[:, 0] + random.normal(size=120) > 0, "yes", "no")
        pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": y}).write_csv(f"{name}.csv")
        Path(f"{name}.yaml").write_text(
            f"data: {{path: {name}.csv, target: y}}\nstages: [scale.robust]\n"
            "bench: {probes: [linear], folds: 3, repeats: 1, n_jobs: 1, ablate: true}\n"
        )
    return tmp_path


def test_results_of_the_bench_are_judged_together(folder, capsys):
    for name in ("north", "south"):
        assert run(capsys, "bench", f"{name}.yaml", "--results", f"{name}.json")[0] == 0
    code, out, err = run(capsys, "across", "north.json", "south.json", "--results", "lines.csv")
    assert code == 0, err
    assert out.startswith("2 data sets, each with one mean gain per line; Wilcoxon's signed-rank test")
    assert out.count("not testable") == 2 and out.count("7 data sets are needed") == 1
    assert "all stages" in out and "scale.robust" in out and "lines.csv" in err
    table = pl.read_csv("lines.csv")
    assert table["n_sets"].to_list() == [2, 2] and table["sets_needed"].to_list() == [7, 7]
    code, out, _ = run(capsys, "across", "north.json", "south.json", "--json", "--results", "all.json")
    told = json.loads(out)
    assert told["names"] == ["north", "south"] and told["method"] == "leave_one_out"
    assert json.loads(Path("all.json").read_text()) == told


def test_files_of_one_name_are_told_apart_and_one_file_counts_once(folder, capsys):
    run(capsys, "bench", "north.yaml", "--results", "north.json")
    run(capsys, "bench", "south.yaml", "--results", "other/north.json")
    code, out, _ = run(capsys, "across", "north.json", "other/north.json", "--json")
    assert code == 0 and json.loads(out)["names"] == ["north.json", "other/north.json"]
    code, _, err = run(capsys, "across", "north.json", "north.json")
    assert code == 2 and "'north.json' is named twice" in err
    Path("copy.json").write_bytes(Path("north.json").read_bytes())
    code, _, err = run(capsys, "across", "north.json", "copy.json")
    assert code == 2 and "hold the same scores" in err


def test_what_is_no_result_is_refused_in_words(folder, capsys):
    code, out, err = run(capsys, "across", "north.yaml")
    assert (code, out) == (2, "") and "cannot be read as JSON" in err and "--results x.json" in err
    assert run(capsys, "across")[0] == 2
    assert "across" in run(capsys, "--help")[1]
