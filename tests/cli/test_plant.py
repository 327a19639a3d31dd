"""Problems planted in a folder of images: what is told is what lies there."""

import hashlib

import cv2
import numpy as np
import polars as pl
import pytest

from tests.audit.photos import CLASSES, drawn
from tilth.cli.plant import SHARES, hostile, plant
from tilth.errors import ImageError
from tilth.images.copies import groups
from tilth.images.decode import decode
from tilth.images.properties import properties

COUNT = 200
MANY = {"label": 0.1, "exact copy": 0.05, "near copy": 0.05, "dark": 0.05, "blurry": 0.05, "truncated": 0.05}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(3)
    classes = [CLASSES[n % 2] for n in range(COUNT)]
    return [cv2.cvtColor(drawn(kind, rng), cv2.COLOR_BGR2RGB) for kind in classes], classes


@pytest.fixture(scope="module")
def made(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plant") / "photos"
    return folder, plant(*images, folder, shares=MANY)


def bytes_of(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_every_file_is_told_and_every_line_is_a_file_in_the_class_it_was_given(made):
    folder, truth = made
    assert sorted(truth["file"]) == sorted(bytes_of(folder))
    assert all(file.split("/")[0] == given for file, given in truth.select("file", "given").iter_rows())


def test_shares_are_shares_of_the_images_and_copies_are_further_files(made):
    _, truth = made
    counts = dict(truth["problem"].drop_nulls().value_counts().iter_rows())
    assert counts == {problem: round(share * COUNT) for problem, share in MANY.items()}
    assert truth.height == COUNT + counts["exact copy"] + counts["near copy"]


def test_no_share_is_no_problem(images, tmp_path):
    truth = plant(*images, tmp_path, shares=dict.fromkeys(SHARES, 0.0))
    assert truth.height == COUNT and truth["problem"].null_count() == COUNT
    assert truth["given"].to_list() == truth["clean"].to_list() == images[1]


def test_no_image_has_two_problems_and_none_with_one_is_copied(made):
    _, truth = made
    assert truth["file"].is_unique().all()
    copies = truth.filter(pl.col("of").is_not_null())
    assert set(copies["problem"]) == {"exact copy", "near copy"} and copies["of"].is_unique().all()
    originals = truth.join(copies.select(pl.col("of").alias("file")), on="file", how="semi")
    assert originals.height == copies.height and originals["problem"].null_count() == copies.height


def test_wrong_labels_are_wrong_and_all_others_right(made):
    _, truth = made
    wrong = truth["given"] != truth["clean"]
    assert wrong.to_list() == (truth["problem"] == "label").fill_null(False).to_list()


def test_what_is_in_the_files_is_what_is_told(made, images):
    folder, truth = made
    paths = [str(folder / file) for file in truth["file"]]
    looked = properties(paths, cache=False).with_columns(truth["problem"].alias("told"))
    assert looked.filter(pl.col("problem").is_not_null())["told"].unique().to_list() == ["truncated"]
    assert looked.filter(pl.col("told") == "truncated")["problem"].unique().to_list() == ["truncated"]
    fine = looked.filter(pl.col("told").is_null())
    is_told = lambda problem: looked.filter(pl.col("told") == problem)
    assert is_told("dark")["dark"].max() < 0.15 < fine["dark"].min()
    assert is_told("blurry")["sharpness"].max() < fine["sharpness"].median() / 2
    sets = dict(zip(truth["file"], groups(looked), strict=True))
    for file, of, problem in truth.select("file", "of", "problem").drop_nulls().iter_rows():
        same = (folder / file).read_bytes() == (folder / of).read_bytes()
        assert same == (problem == "exact copy")
        assert sets[file] == sets[of]
    number = (
        truth.with_row_index().filter(pl.col("problem").is_null() & pl.col("of").is_null()).row(0, named=True)
    )
    place = int(number["file"].split("/")[1].removesuffix(".png"))
    assert np.array_equal(decode(folder / number["file"]), images[0][place])


def test_near_copies_differ_in_format_and_most_in_size(made):
    folder, truth = made
    near = truth.filter(pl.col("problem") == "near copy")
    sides = [decode(folder / file).shape[0] for file in near["file"]]
    assert all(file.endswith(".jpg") for file in near["file"])
    assert len(set(sides)) > 3 and min(sides) >= 0.7 * 48 and max(sides) <= 1.6 * 48


def test_the_same_seed_makes_the_same_files_and_another_seed_others(made, images, tmp_path):
    folder, truth = made
    again = plant(*images, tmp_path / "again", shares=MANY)
    other = plant(*images, tmp_path / "other", shares=MANY, random_state=1)
    assert again.equals(truth) and bytes_of(tmp_path / "again") == bytes_of(folder)
    assert not other.equals(truth)


def test_grey_images_stay_grey(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.uint8)
    plant(grey, ["a", "b"] * 2, tmp_path, shares={"label": 0.0})
    assert np.array_equal(decode(tmp_path / "a" / "00000.png", mode="grey"), grey[0])
    assert cv2.imread(str(tmp_path / "b" / "00001.png"), cv2.IMREAD_UNCHANGED).ndim == 2


def test_hostile_files_are_there_and_are_no_images(tmp_path):
    paths = list(hostile(tmp_path / "photos"))
    assert sorted(p.name for p in paths) == ["Thumbs.db", "empty.png", "notes.jpg"]
    reasons = {}
    for path in paths:
        with pytest.raises(ImageError) as caught:
            decode(path)
        reasons[path.name] = caught.value.reason
    assert reasons == {"empty.png": "empty", "notes.jpg": "not an image", "Thumbs.db": "not an image"}
