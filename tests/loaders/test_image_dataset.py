"""Images one by one, for other loaders: the same numbers, with their own label and weight."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.loaders.pictures import broken, folder_of
from tilth.errors import DataError, ImageError
from tilth.loaders import ImageDataset

LABELS = list("abcab")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return folder_of(tmp_path, 5)


def test_an_image_is_as_pillow_reads_it_with_its_label_and_weight(paths):
    dataset = ImageDataset(paths, LABELS, weight=range(5), size=(40, 60))
    assert len(dataset) == 5 and dataset.classes_.tolist() == ["a", "b", "c"]
    for row, path in enumerate(paths):
        X, y, weight = dataset[row]
        truth = np.asarray(Image.open(path).convert("RGB")) / 255
        np.testing.assert_allclose(X.numpy(), truth.transpose(2, 0, 1), atol=1e-6)
        assert (y.item(), weight.item()) == ("abc".index(LABELS[row]), row)
    (alone,) = ImageDataset([Path(path) for path in paths], size=(40, 60))[-1]
    assert torch.equal(alone, dataset[4][0])


@pytest.mark.parametrize("fit", ["crop", "squash", "pad", "random"])
def test_rows_are_taken_by_slice_list_or_tensor(paths, fit):
    dataset = ImageDataset(paths, LABELS, size=16, fit=fit, normalize="imagenet", channels_last=fit == "pad")
    one_by_one = [dataset[row] for row in (1, 3)]
    for rows in (slice(1, 5, 2), [1, 3], np.array([1, 3]), torch.tensor([1, 3])):
        X, y = dataset[rows]
        assert X.shape == (2, 3, 16, 16)
        assert all(torch.equal(X[i], one_by_one[i][0]) for i in range(2))
        assert y.tolist() == [1, 0]


def test_it_works_in_a_plain_dataloader_with_workers(paths):
    dataset = ImageDataset(paths, LABELS, size=16)
    batches = list(DataLoader(dataset, batch_size=2, num_workers=2))
    assert [len(X) for X, _ in batches] == [2, 2, 1]
    assert torch.equal(torch.cat([X for X, _ in batches]), dataset[:][0])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_numbers_are_those_of_float32_rounded(paths, dtype):
    for rows in (2, [0, 3]):
        X, _ = ImageDataset(paths, LABELS, size=16, dtype=dtype)[rows]
        assert torch.equal(X, ImageDataset(paths, LABELS, size=16)[rows][0].to(getattr(torch, dtype)))


@pytest.mark.parametrize("cache", [None, "memory", "shared", "folder"])
def test_a_dataset_may_be_pickled_and_finds_its_cache_again(paths, tmp_path, cache):
    settings = {"cache": {"shared": "memory", "folder": tmp_path / "kept"}.get(cache, cache)}
    dataset = ImageDataset(paths, LABELS, size=64, shared=cache == "shared", **settings)
    content = pickle.dumps(dataset)
    assert (len(content) > 5 * 64 * 64 * 3) == (cache in ("memory", "shared"))  # a file is mapped again
    again = pickle.loads(content)
    if cache is not None:
        for path in paths:
            Path(path).unlink()
    assert all(torch.equal(a, b) for a, b in zip(again[:], dataset[:], strict=True))


def test_what_holds_no_image_raises_with_its_name(tmp_path):
    hostile = broken(tmp_path)
    dataset = ImageDataset([*hostile, None], size=8)
    for row, path in enumerate(hostile):
        with pytest.raises(ImageError, match=Path(path).name):
            dataset[row]
    with pytest.raises(ImageError, match=r"missing.*prune\.unreadable"):
        dataset[3]


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, pl.Series, pd.array, iter])
def test_paths_come_in_what_users_hold(paths, kind):
    assert ImageDataset(kind(paths), size=8).paths == paths


def test_missing_paths_are_known_as_such(paths):
    told = [Path(paths[0]), None, paths[1], float("nan")]
    for given in (told, pd.Series(told), pd.Series([paths[0], None, paths[1], pd.NA], dtype="string")):
        assert ImageDataset(given, size=8).paths == [paths[0], None, paths[1], None]


def test_lengths_and_paths_are_checked(paths):
    with pytest.raises(DataError, match="number 1 is of type int"):
        ImageDataset([paths[0], 3])
    with pytest.raises(DataError, match="paths name 5 images, but the target holds 2"):
        ImageDataset(paths, ["a", "b"])
    with pytest.raises(ValueError, match=r"is one path.*tilth\.read"):
        ImageDataset(paths[0])


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"size": True}, {"size": (8, 8, 3)}, {"size": 8.5}, {"size": (8, 0)}, {"fit": "cover"}],
)
def test_parameters_out_of_range_are_refused(paths, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ImageDataset(paths, **wrong)
