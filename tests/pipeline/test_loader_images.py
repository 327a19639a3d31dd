"""The loader of a pipeline on a folder of images: prepared rows, its own batch stages, and its colors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.loaders.pictures import broken, folder_of

import tilth
from tilth.errors import DataError, RecipeError, UnknownName
from tilth.images.decode import decoded_to
from tilth.loaders import ImageDataset, ImageLoader
from tilth.pipeline.run import run

SETTINGS = {"size": 16, "batch_size": 4, "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count in (("cat", 9), ("dog", 3)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        folder_of(tmp_path / "photos" / name, count)
    return tmp_path


def pipeline(*lines: str, **params: dict) -> tilth.Pipeline:
    return tilth.Pipeline([tilth.stage(key, **params.get(key.replace(".", "_"), {})) for key in lines])


def seen(loader: ImageLoader) -> tuple[torch.Tensor, list]:
    batches = list(loader)
    codes = torch.cat([batch[1] for batch in batches])
    return torch.cat([batch[0] for batch in batches]), loader.classes_[codes.numpy()].tolist()


def test_training_rows_are_those_that_fitting_left_and_copies_differ(folder: Path) -> None:
    table = tilth.read(folder / "photos")
    pipe = pipeline("balance.over", "augment.images").fit(table)
    loader = pipe.loader(table, **SETTINGS)
    assert isinstance(loader, ImageLoader) and len(loader.dataset) == 18
    X, labels = seen(loader)
    assert sorted(labels) == ["cat"] * 9 + ["dog"] * 9
    dogs = {tuple(image.flatten().tolist()) for image, label in zip(X, labels, strict=True) if label == "dog"}
    assert len(dogs) > 5  # of three files: each copy is augmented by its own id
    again, _ = seen(loader)
    assert not torch.equal(X.sort(0).values, again.sort(0).values)


def test_other_rows_come_whole_in_order_and_as_they_are(folder: Path) -> None:
    table = tilth.read(folder / "photos")
    pipe = pipeline("balance.over", "augment.images").fit(table)
    X, labels = seen(pipe.loader(table, training=False, **SETTINGS))
    frame = table.frame.collect()
    assert labels == frame["label"].to_list()
    for image, path in zip(X, frame["path"], strict=True):
        np.testing.assert_allclose(
            image.numpy(), decoded_to(path, 16, 16).transpose(2, 0, 1) / 255, atol=1e-6
        )
    dataset = pipe.dataset(table, training=False, size=16)
    assert isinstance(dataset, ImageDataset) and torch.equal(dataset[:][0], X)


def test_colors_are_normalized_as_the_pipeline_learned(folder: Path) -> None:
    table = tilth.read(folder / "photos")
    pipe = pipeline("scale.channels", "balance.over").fit(table)
    stage = pipe.stages_[0][1]
    mean, std = (np.asarray(part["path"]) for part in (stage.mean_, stage.std_))
    plain, _ = seen(pipe.loader(table, shuffle=False, **SETTINGS, normalize=((0, 0, 0), (1, 1, 1))))
    X, _ = seen(pipe.loader(table, shuffle=False, **SETTINGS))
    expected = (plain.permute(0, 2, 3, 1).numpy() - mean) / std
    np.testing.assert_allclose(X.permute(0, 2, 3, 1).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(pipe.dataset(table, size=16)[0][0].numpy(), X[0].numpy(), atol=1e-6)
    other, _ = seen(pipe.loader(table, shuffle=False, **SETTINGS, normalize="imagenet"))
    assert not torch.allclose(other, X)


@pytest.mark.parametrize("key", ["augment.mixup", "augment.cutmix", "augment.pixels"])
def test_stages_that_change_batches_get_normalized_images(folder: Path, key: str) -> None:
    table = tilth.read(folder / "photos")
    plain = pipeline("scale.channels").fit(table).loader(table, shuffle=False, **SETTINGS)
    changed = pipeline("scale.channels", key).fit(table).loader(table, shuffle=False, **SETTINGS)
    differ = 0
    for (X, y, *_), (other, labels, *_) in zip(plain, changed, strict=True):
        assert other.shape == X.shape and other.dtype == torch.float32 and len(labels) == len(y)
        differ += not torch.equal(X, other)
    assert differ


def test_what_no_stage_left_out_is_skipped_and_told(folder: Path) -> None:
    paths = [*folder_of(folder, 5), *broken(folder)]
    table = tilth.Table.of(
        pl.DataFrame({"path": paths, "y": list("abababab")}), roles=tilth.table.Roles("y", image="path")
    )
    loader = pipeline("balance.over").fit(table).loader(table, **SETTINGS)
    with pytest.warns(tilth.errors.TilthWarning, match="left out of its batch"):
        assert len(seen(loader)[1]) == 5
    assert set(loader.skipped.values()) == {"truncated", "not an image", "missing"}


def test_the_column_is_chosen_where_there_are_several_or_numbers_beside_it(folder: Path) -> None:
    paths = folder_of(folder, 6)
    frame = pl.DataFrame({"front": paths, "back": paths[::-1], "age": range(6), "y": [0, 1] * 3})
    table = tilth.Table.of(frame, roles=tilth.table.Roles("y"), kinds={"front": "image", "back": "image"})
    pipe = pipeline("scale.standard").fit(table)
    with pytest.raises(DataError, match=r"several columns of images: front, back.*image='\.\.\.'"):
        pipe.loader(table)
    front, back = (seen(pipe.loader(table, image=c, shuffle=False, **SETTINGS))[0] for c in ("front", "back"))
    assert torch.equal(front, back.flip(0))
    ((ages, _),) = pipe.loader(table, image=False, device="cpu", shuffle=False)
    assert ages.shape == (6, 1) and abs(ages.mean().item()) < 1e-6
    with pytest.raises(DataError, match="no such column of images: front, back"):
        pipe.loader(table, image="side")
    alone = tilth.Table.of(frame.drop("age", "back"), roles=tilth.table.Roles("y", image="front"))
    with pytest.raises(DataError, match=r"nothing but images\. embed\.images"):
        pipeline("balance.over").fit(alone).loader(alone, image=False)


def test_an_option_of_the_other_loader_is_refused_by_name(folder: Path) -> None:
    table = tilth.read(folder / "photos")
    pipe = pipeline("balance.over").fit(table)
    with pytest.raises(UnknownName, match="option of ImageLoader 'place'"):
        pipe.loader(table, place="host")
    with pytest.raises(UnknownName, match="option of ImageDataset 'flip'"):
        pipe.dataset(table, flip=0.5)
    X = np.zeros((4, 2))
    with pytest.raises(UnknownName, match="option of TableLoader 'sise'"):
        pipeline("scale.standard").fit(X, [0, 1, 0, 1]).loader(X, [0, 1, 0, 1], sise=8)


def test_the_loader_section_says_how_images_come(folder: Path) -> None:
    recipe = tilth.Recipe.from_text(
        "data: {path: photos, split: {test: 0.25}}\nstages: [balance.over, augment.images]\n"
        "loader: {batch_size: 3, size: [8, 12], fit: random, scale: [0.5, 1.0], stretch: 1.5, flip: 0.5, "
        "cache: memory, threads: 2, unreadable: raise, normalize: imagenet, channels_last: false, "
        "max_pixels: 5000, device: cpu}\n"
    )
    result = run(recipe, base=folder)
    loader = result.loader()
    assert isinstance(loader, ImageLoader)
    X, _ = next(iter(loader))
    assert X.shape == (3, 3, 8, 12) and X.is_contiguous()
    assert (loader.scale, loader.flip, loader.threads, loader.unreadable) == ((0.5, 1.0), 0.5, 2, "raise")
    assert loader.stretch == 1.5
    assert loader.dataset.pictures.max_pixels == 5000 and loader.dataset.normalize == "imagenet"
    assert len(next(iter(result.loader(batch_size=2)))[0]) == 2
    plain = run(
        tilth.Recipe.from_text("data: {path: photos}\nstages: []\nloader: {device: cpu}"),
        base=folder,
        out=folder / "b",
    )
    assert plain.loader().batch_size == 64 and plain.loader().dataset.size == (224, 224)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("size: 0", "loader.size"),
        ("size: [8, 8, 8]", "loader.size"),
        ("scale: [0.5]", "loader.scale"),
        ("fit: cover", r"loader\.fit"),
        ("cache: ram", r"loader\.cache"),
        ("flip: 2", "loader.flip"),
        ("thread: 2", "did you mean 'threads'"),
    ],
)
def test_words_of_the_section_are_checked(told: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        tilth.Recipe.from_text(f"stages: []\nloader: {{{told}}}")


def test_a_recipe_may_ask_for_worker_processes_which_change_nothing(folder: Path) -> None:
    text = (
        "data: {path: photos}\nstages: [scale.channels, augment.images]\nloader: {size: 16, batch_size: 4, "
    )
    told = text + "workers: 1, dtype: float16, sampler: blocks, block_rows: 5, device: cpu}"
    result = run(tilth.Recipe.from_text(told), base=folder)
    with_processes = result.loader()
    assert with_processes.num_workers == 1 and with_processes.sampler.order == "blocks"
    X, labels = seen(with_processes)
    threads, same = seen(result.loader(workers=0))
    assert X.dtype == torch.float16 and torch.equal(X, threads) and labels == same
