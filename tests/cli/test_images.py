"""The command line on images: a folder and a list of images, from the audit to the loader's manifest."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

import tilth
from tests.audit.photos import planted
from tilth.cli import main
from tilth.recipes import Recipe


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    return root, planted(root / "photos", each=40)


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """Work in an empty folder beside a link to the images."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(made[0] / "photos")
    return tmp_path


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def recipe(text, path="recipe.yaml"):
    Path(path).write_text(text)


def test_audit_prints_findings_with_file_names_and_a_recipe_that_runs(folder, made, capsys):
    code, out, err = run(
        capsys, "audit", "photos/", "--embedding", "histograms", "--recipe", "r.yaml", "--report", "a.html"
    )
    assert code == 0 and "Written: r.yaml, a.html" in err
    first, second, third = out.splitlines()[:3]
    assert first == "photos: 101 images in 2 classes, target 'label' (classification)."
    assert second.startswith("101 images (") and "/s" in third
    for file in (made[1]["dark"][0], made[1]["unreadable"][0], made[1]["exact"][1]):
        assert file in out
    text = out.split("Proposed recipe:\n\n")[1]
    assert Recipe.from_text(text) == Recipe.read("r.yaml")
    html = Path("a.html").read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") > 15 and 'id="images"' in html
    code, out, _ = run(capsys, "run", "r.yaml")
    assert code == 0 and out.startswith("101 rows in, 92 rows out.")


def test_audit_as_json_holds_the_files_of_each_finding(folder, made, capsys):
    code, out, _ = run(capsys, "audit", "photos", "--embedding", "none", "--json")
    told = json.loads(out)
    assert code == 0 and told["facts"]["images"]["readable"] == 98
    shown = {f["kind"]: {file["name"] for file in f.get("files", ())} for f in told["findings"]}
    assert shown["quality.dark"] == set(made[1]["dark"])
    assert all(Path(file["path"]).exists() for f in told["findings"] for file in f.get("files", ()))
    assert "labels.issue" not in shown


def test_audit_of_a_list_of_images(folder, capsys):
    table = tilth.read("photos").frame.select("path", "label").collect()
    (folder / "lists").mkdir()
    table.with_columns(pl.format("../{}", "path").alias("path")).write_csv("lists/list.csv")
    asked = ("audit", "lists/list.csv", "--image", "path", "--target", "label", "--embedding", "none")
    code, out, _ = run(capsys, *asked, "--recipe", "r.yaml")
    assert code == 0 and out.startswith("list.csv: 101 images in 2 classes, target 'label'")
    data = Recipe.read("r.yaml").data
    assert (data.path, data.image, data.target) == ("lists/list.csv", "path", "label")
    code, out, _ = run(capsys, "run", "r.yaml", "--json")
    assert code == 0 and json.loads(out)["run"]["account"]["rows_in"] == 101


def test_audit_looks_at_no_more_images_than_asked(folder, capsys):
    code, out, _ = run(capsys, "audit", "photos", "--embedding", "none", "--max-rows", "30", "--json")
    facts = json.loads(out)["facts"]
    assert code == 0 and (facts["rows"], facts["looked_at"]) == (101, 30)
    assert facts["images"]["readable"] + facts["images"]["unreadable"] == 30


def test_run_writes_a_manifest_that_reads_back_as_a_list_of_images(folder, capsys):
    recipe(
        "data: {path: photos, split: {test: 0.25}}\nstages: [prune.unreadable, duplicates.images]\n"
        "output: {images: copy}\n"
    )
    code, out, _ = run(capsys, "run", "recipe.yaml", "--report", "r.html")
    assert code == 0
    table = tilth.read("out/manifest.csv", image="path", target="label", split="split")
    counts = dict(table.frame.collect()["split"].value_counts().iter_rows())
    rows_in, rows_out = (int(n) for n in re.findall(r"(\d+) rows", out)[:2])
    assert counts["train"] == rows_out < rows_in
    assert (
        table.facts().filter(pl.col("split") == "train" if False else pl.lit(True))["problem"].null_count()
        > 0
    )
    again = tilth.read("out/images")
    assert again.roles.split == "split" and again.roles.target == "label"
    html = Path("r.html").read_text(encoding="utf-8")
    assert 'id="pictures"' in html and "images dropped" in html


def test_run_resizes_into_a_folder_of_its_own_and_leaves_the_images_alone(folder, made, capsys):
    before = {p: p.stat().st_mtime_ns for p in (made[0] / "photos").rglob("*")}
    recipe(
        "data: {path: photos}\nstages: [prune.unreadable, augment.images]\n"
        "output: {images: resize, size: 16, dir: small}\n"
    )
    assert run(capsys, "run", "recipe.yaml", "--report", "r.html")[0] == 0
    assert {p: p.stat().st_mtime_ns for p in (made[0] / "photos").rglob("*")} == before
    facts = tilth.read("small/images").facts()
    assert facts.height == 98 and set(facts.select(pl.min_horizontal("width", "height")).to_series()) == {16}
    assert "epoch 4" in Path("r.html").read_text(encoding="utf-8")


def test_run_says_which_image_cannot_be_written(folder, capsys):
    recipe("data: {path: photos}\nstages: []\noutput: {images: resize, size: 16}\n")
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 2 and "3 of 101 images cannot be written" in err and "prune.unreadable" in err
    assert not Path("out").exists()


def test_bench_judges_a_recipe_of_images(folder, capsys):
    recipe(
        "data: {path: photos}\n"
        "stages: [prune.unreadable, duplicates.images, {embed.images: {model: histograms, keep: true}}]\n"
        "bench: {probes: [linear], folds: 2, repeats: 1, n_jobs: 1}\n"
    )
    code, out, _ = run(capsys, "bench", "recipe.yaml", "--report", "b.html")
    assert code in (0, 2)
    recipe(
        "data: {path: photos}\nstages: [prune.unreadable, duplicates.images]\n"
        "bench: {probes: [cnn], folds: 2, repeats: 1, n_jobs: 1}\n"
    )
    code, out, _ = run(capsys, "bench", "recipe.yaml", "--report", "b.html", "--json")
    told = json.loads(out)
    assert code == 0 and {v["probe"] for v in told["comparison"]["verdicts"]} == {"cnn"}


def test_wrong_use_is_told_with_what_to_do(folder, capsys):
    code, _, err = run(capsys, "audit", "phtos")
    assert code == 2 and "phtos" in err and "did you mean" in err
    recipe("data: {path: photos}\nstages: []\noutput: {images: copies}\n")
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 2 and "copy" in err
    recipe("data: {path: photos}\nstages: []\noutput: {size: 100}\n")
    code, _, err = run(capsys, "run", "recipe.yaml")
    assert code == 2 and "images: resize" in err
    (folder / "empty").mkdir()
    code, _, err = run(capsys, "audit", "empty")
    assert code == 2 and "holds no image" in err


def test_help_names_the_options(capsys):
    _, out, _ = run(capsys, "audit", "--help")
    assert "--image" in out and "--embedding" in out and "folder of images" in " ".join(out.split())
