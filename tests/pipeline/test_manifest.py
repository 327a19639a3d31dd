"""A run of images: a manifest that names each row's file, copies in class folders, a source left alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

import tilth
from tilth.errors import DataError, RecipeError
from tilth.images.decode import decode
from tilth.pipeline import manifest, run
from tilth.recipes import Recipe
from tilth.table import Roles, Table


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def photos(tmp_path: Path) -> pl.DataFrame:
    """Make images of two classes in folders of their own, some of one name, and a manifest of them."""
    rng = np.random.default_rng(0)
    lines = []
    for i in range(24):
        label = "cat" if i < 16 else "dog/wolf"
        folder = tmp_path / "photos" / ("a" if i % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{i // 2}{'.png' if i % 3 else '.JPG'}"
        pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
        path.write_bytes(cv2.imencode(path.suffix.lower(), pixels)[1].tobytes())
        lines.append((str(path), label, "test" if i % 8 == 0 else "train"))
    return pl.DataFrame(lines, schema=["path", "label", "split"], orient="row")


def table_of(frame: pl.DataFrame, **roles: str) -> Table:
    return Table.of(frame, roles=Roles(target="label", image="path", **roles))


def carried_out(frame: pl.DataFrame, out: Path, text: str = "", **roles: str):
    recipe = Recipe.from_text(text or "stages: [balance.over]\n")
    return run(recipe, data=table_of(frame, **(roles or {"split": "split"})), out=out)


SPLIT = "data: {split: {column: split}}\nstages: [balance.over]\n"


def test_a_manifest_names_the_file_of_each_row_wherever_the_folder_lies(photos, tmp_path) -> None:
    done = carried_out(photos, tmp_path / "deep" / "out", SPLIT)
    lines = pl.read_csv(tmp_path / "deep" / "out" / "manifest.csv")
    assert lines.columns == ["row_id", "path", "label", "split"]
    train, test = lines.filter(pl.col("split") == "train"), lines.filter(pl.col("split") == "test")
    assert (train.height, test.height) == (done.after.height, done.test.height) == (28, 3)
    assert not any(Path(p).is_absolute() or "\\" in p for p in lines["path"])
    there = [(tmp_path / "deep" / "out" / p).resolve() for p in lines["path"]]
    assert {str(p) for p in there} == {str(Path(p).resolve()) for p in photos["path"]}
    # A repeated row has a line, and an id, of its own.
    assert lines["row_id"].n_unique() == lines.height
    assert sorted(train["label"].value_counts()["count"]) == [14, 14]


def test_paths_in_the_prepared_rows_are_those_of_the_manifest(photos, tmp_path) -> None:
    carried_out(photos, tmp_path / "out", SPLIT)
    lines = pl.read_csv(tmp_path / "out" / "manifest.csv")
    prepared = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert prepared["path"].to_list() == lines.filter(pl.col("split") == "train")["path"].to_list()


def test_copies_lie_in_class_folders_byte_for_byte_and_the_source_is_as_it_was(photos, tmp_path) -> None:
    before = hashes(tmp_path / "photos")
    carried_out(photos, tmp_path / "out", SPLIT + "output: {images: copy}\n")
    assert hashes(tmp_path / "photos") == before
    lines = pl.read_csv(tmp_path / "out" / "manifest.csv")
    assert all((tmp_path / "out" / p).is_file() for p in lines["path"])
    written = hashes(tmp_path / "out" / "images")
    # Rows are repeated, files are not.
    assert lines.height > len(written) == 24
    assert sorted(written.values()) == sorted(before.values())
    assert {p.rsplit("/", 1)[0] for p in written} == {
        "test/cat", "test/dog%2Fwolf", "train/cat", "train/dog%2Fwolf"
    }  # fmt: skip


def test_files_of_one_name_are_told_apart_by_their_rows_whatever_the_order(photos, tmp_path) -> None:
    names = []
    for number, frame in enumerate((photos, photos.reverse())):
        table = Table.of(
            frame.with_columns(key=pl.col("path").str.split("photos").list.last()),
            roles=Roles(target="label", image="path", row_id="key"),
        )
        text = "stages: []\noutput: {images: copy}\n"
        run(Recipe.from_text(text), data=table, out=tmp_path / f"out{number}")
        names.append(hashes(tmp_path / f"out{number}" / "images"))
    assert names[0] == names[1] and len(names[0]) == 24
    assert all(p.split("/")[0] in ("cat", "dog%2Fwolf") for p in names[0])
    # '0.JPG' in folder b has no namesake of its class; '2.png' has one in folder a.
    assert "cat/0.JPG" in names[0]
    assert sum(p.startswith("cat/2-") for p in names[0]) == 2 and "cat/2.png" not in names[0]


def test_names_that_differ_by_case_only_are_one_name(tmp_path) -> None:
    lines = pl.DataFrame(
        {"row_id": [1, 2, 3], "path": ["x/A.jpg", "y/a.JPG", "z/b.jpg"], "label": "c", "split": "train"}
    )
    placed = manifest.placed(lines, "path", "label", "split", lambda p: Path(p).name)
    assert placed.to_list() == [
        "images/c/A-0000000000000001.jpg", "images/c/a-0000000000000002.JPG", "images/c/b.jpg"
    ]  # fmt: skip


def test_a_row_that_got_another_label_lies_in_its_folder(photos, tmp_path) -> None:
    table = table_of(photos)
    recipe = Recipe.from_text("stages: []\noutput: {images: copy}\n")
    from tilth.pipeline import run as module_run  # the function, beside its module

    done = module_run(recipe, data=table, out=tmp_path / "first")
    changed = done.after.frame.with_columns(pl.lit("wolf").alias("label"))
    done.after = done.after.with_frame(changed)
    (tmp_path / "made").mkdir()
    manifest.write(done, tmp_path / "made", tmp_path / "made", lambda _: None)
    assert {p.split("/")[0] for p in hashes(tmp_path / "made" / "images")} == {"wolf"}


@pytest.mark.parametrize(
    "label",
    ["..", ".", "a/b", "a\\b", "/etc", "c:", "con*?", "", " x ", "x.", "ü", "名", "%2F", "a" * 300, "\x00"],
)
def test_a_class_is_one_folder_inside_the_output(label, tmp_path) -> None:
    name = manifest.folder_name(label)
    (tmp_path / name).mkdir()
    assert (tmp_path / name).resolve().parent == tmp_path.resolve()
    assert not set(name) & set('/\\:*?"<>|\0') and len(name.encode()) <= 255


def test_classes_that_differ_have_folders_that_differ() -> None:
    long = "a" * 200
    labels = ["a/b", "a%2Fb", "a_b", "A", f"{long}1", f"{long}2", ".x", "%2Ex", "", "%", "x.", "x%2E"]
    assert len({manifest.folder_name(label) for label in labels}) == len(labels)


def test_images_without_a_label_lie_beside_the_classes(photos, tmp_path) -> None:
    frame = photos.with_columns(label=pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("label"))
    carried_out(frame, tmp_path / "out", "stages: []\noutput: {images: copy}\n", split="split")
    written = hashes(tmp_path / "out" / "images")
    assert sum("/" not in p.removeprefix("train/").removeprefix("test/") for p in written) == 2


def test_resized_images_keep_their_shape_and_small_ones_their_size(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(1)
    for name, shape in (("wide.png", (40, 100, 3)), ("small.png", (10, 12, 3)), ("grey.jpg", (64, 64))):
        pixels = rng.integers(0, 256, shape, np.uint8)
        (tmp_path / "in" / name).write_bytes(cv2.imencode(Path(name).suffix, pixels)[1].tobytes())
    # A PNG that calls itself a JPEG keeps what it is.
    (tmp_path / "in" / "liar.jpg").write_bytes((tmp_path / "in" / "small.png").read_bytes())
    before = hashes(tmp_path / "in")
    frame = pl.DataFrame({"path": sorted(str(p) for p in (tmp_path / "in").iterdir())})
    recipe = Recipe.from_text("stages: []\noutput: {images: resize, size: 20}\n")
    run(recipe, data=Table.of(frame, roles=Roles(image="path")), out=tmp_path / "out")
    assert hashes(tmp_path / "in") == before
    made = {p.name: decode(p) for p in (tmp_path / "out" / "images").iterdir()}
    assert {n: p.shape[:2] for n, p in made.items()} == {
        "wide.png": (20, 50), "small.png": (10, 12), "grey.jpg": (20, 20), "liar.png": (10, 12)
    }  # fmt: skip
    assert (made["small.png"] == decode(tmp_path / "in" / "small.png")).all()
    assert cv2.imread(str(tmp_path / "out" / "images" / "grey.jpg"), cv2.IMREAD_UNCHANGED).ndim == 2


def test_an_image_that_cannot_be_read_stops_the_writing_and_leaves_nothing(photos, tmp_path) -> None:
    Path(photos["path"][3]).unlink()
    for text in ("images: copy", "images: resize, size: 16"):
        with pytest.raises(DataError, match=r"1 of 24 images cannot be written.*prune\.unreadable"):
            carried_out(photos, tmp_path / "out", f"stages: []\noutput: {{{text}}}\n")
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".out*"))


def test_dropped_images_are_named_with_the_reason(photos, tmp_path) -> None:
    frame = pl.concat([photos, photos.head(2)]).with_columns(a=pl.int_range(pl.len()) % 24)
    table = Table.of(frame.drop("split"), roles=Roles(target="label", image="path"))
    run(Recipe.from_text("stages: [duplicates.exact: {on: a}]\n"), data=table, out=tmp_path / "out")
    gone = pl.read_csv(tmp_path / "out" / "dropped.csv")
    assert gone.columns == ["row_id", "path", "label", "stage", "reason", "score"]
    assert gone["row_id"].to_list() == [24, 25] and set(gone["stage"]) == {"duplicates.exact"}
    assert [(tmp_path / "out" / p).resolve() for p in gone["path"]] == [
        Path(p).resolve() for p in photos["path"][:2]
    ]


def test_weights_and_groups_of_stages_stand_in_the_manifest(photos, tmp_path) -> None:
    frame = photos.with_columns(a=pl.int_range(pl.len()) % 20)
    line = "- duplicates.exact: {{on: a, target: false, action: {}}}\n"
    text = f"stages:\n{line.format('weight')}{line.format('group')}"
    carried_out(frame.drop("split"), tmp_path / "out", text, row_id="path")
    lines = pl.read_csv(tmp_path / "out" / "manifest.csv")
    assert {"weight", "group"} <= set(lines.columns)
    assert sorted(lines["weight"].unique()) == [0.5, 1.0]


def test_images_are_asked_for_only_where_there_are_some(tmp_path) -> None:
    table = Table.of(pl.DataFrame({"a": [1, 2], "label": ["x", "y"]}), roles=Roles("label"))
    with pytest.raises(RecipeError, match="holds no images"):
        run(Recipe.from_text("stages: []\noutput: {images: copy}\n"), data=table, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    run(Recipe.from_text("stages: []\n"), data=table, out=tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.csv").exists()


def test_two_runs_write_the_same(photos, tmp_path) -> None:
    text = SPLIT + "output: {images: resize, size: 16}\n"
    carried_out(photos, tmp_path / "a", text)
    carried_out(photos, tmp_path / "b", text)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")


def test_a_size_without_scaling_is_refused() -> None:
    with pytest.raises(RecipeError, match="size"):
        Recipe.from_text("stages: []\noutput: {images: copy, size: 100}\n")
    assert tilth.Recipe.from_text("stages: []\noutput: {images: resize}\n").output.size == 256
