"""The pieces of `tilth demo --images`: what is planted, the recipe that is made, and what it caught."""

import polars as pl
import pytest

from tilth import pipeline
from tilth.cli import demo_images
from tilth.cli.plant import SHARES
from tilth.recipes import Recipe
from tilth.recipes.line import Line

PROPOSED = [
    "prune.unreadable",
    "duplicates.images",
    {"prune.quality": {"action": "report"}},
    {"embed.images": {"model": "histograms", "keep": True}},
    {"labels.clean": {"probe": "linear", "action": "report"}},
    {"augment.images": {"policy": "standard"}},
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    return root, demo_images.planted(root / "photos")


def test_problems_are_planted_among_the_images_of_the_package(made):
    root, truth = made
    counts = dict(truth["problem"].drop_nulls().value_counts().iter_rows())
    assert counts == {problem: round(1000 * share) for problem, share in SHARES.items()}
    assert sorted(truth["clean"].unique()) == sorted(
        p.name for p in (root / "photos").iterdir() if p.is_dir()
    )
    assert all((root / "photos" / file).is_file() for file in truth["file"])
    assert {p.name for p in (root / "photos").iterdir() if p.is_file()} == {
        "empty.png",
        "notes.jpg",
        "Thumbs.db",
    }


def test_planting_again_begins_with_an_empty_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "of_the_last_time.png").write_bytes(b"")
    truth = demo_images.planted(tmp_path / "photos")
    files = {p.relative_to(tmp_path / "photos").as_posix() for p in (tmp_path / "photos").glob("*/*")}
    assert files == set(truth["file"]) and not (tmp_path / "photos" / "of_the_last_time.png").exists()


def test_what_is_planted_is_told_by_kind(made):
    told = demo_images.told(made[1])
    assert told == "10 blurry, 10 dark, 30 exact copy, 80 label, 30 near copy, 10 truncated"


def test_the_recipe_acts_on_what_the_audit_reports(made):
    recipe = Recipe.from_text(demo_images.proposed(PROPOSED))
    assert [line.key for line in recipe.stages] == [
        *("prune.unreadable", "duplicates.images", "prune.quality"),
        *("embed.images", "labels.clean", "augment.images"),
    ]
    assert recipe.stages[2] == Line("prune.quality", {})
    assert recipe.stages[4] == Line("labels.clean", {"probe": "linear"})
    assert list(recipe.stages[:2]) == [Line(key, {}) for key in PROPOSED[:2]]
    assert [line.params for line in recipe.stages[3::2]] == [
        PROPOSED[3]["embed.images"],
        {"policy": "standard"},
    ]
    assert (recipe.data.path, recipe.data.split.test, recipe.loader.size) == ("photos", 0.2, demo_images.SIDE)


def test_what_was_caught_is_counted_among_the_training_images(made):
    root, truth = made
    recipe = Recipe.from_text(demo_images.proposed(PROPOSED[:3]))
    result = pipeline.prepare(recipe, base=root)
    told = {p: (n, gone) for p, n, gone in demo_images.caught(truth, result).iter_rows()}
    training = result.before.frame.select("file").collect()["file"]
    here = truth.filter(pl.col("file").is_in(training.implode()))
    counts = dict(here["problem"].drop_nulls().value_counts().iter_rows())
    assert {p: n for p, (n, _) in told.items() if p != "none"} == counts
    for problem in ("exact copy", "truncated", "blurry"):
        assert told[problem][0] == told[problem][1] > 0
    assert told["near copy"][1] >= 0.9 * told["near copy"][0] and told["dark"][1] >= 0.8 * told["dark"][0]
    assert told["label"][1] <= 3  # nothing looked at labels
