"""A loader of images: one stream for any number of threads, labels that stay, and nothing left over."""

from __future__ import annotations

import gc
import json
import threading
import time
import warnings
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.loaders.pictures import broken, folder_of, write
from tilth.errors import DataError, ImageError, StageError, TilthWarning
from tilth.images.decode import decoded_to
from tilth.loaders import ImageDataset, ImageLoader
from tilth.loaders.pixels import Pictures

COUNT = 23


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return folder_of(tmp_path_factory.mktemp("images"), COUNT)


def loader(paths, target=None, **settings):
    target = np.arange(len(paths)) if target is None else target
    given = {"size": 16, "batch_size": 4, "device": "cpu", "random_state": 5, **settings}
    return ImageLoader(paths, target, **given)


def stream(batches):
    return [tuple(part.tolist() for part in batch) for batch in batches]


class Inverted:
    """A stage that inverts images of rows it draws, and writes down what it was given."""

    key = "augment.inverted"
    per_image = True

    def __init__(self):
        self.calls: list[tuple] = []

    def augment_image(self, pixels, *, row, epoch, label=None):
        self.calls.append((row, epoch, label))
        return 255 - pixels if (row * 7 + epoch) % 2 else pixels

    def augment(self, batch, generator):
        return batch


class Noise:
    def augment(self, batch, generator):
        X, *rest = batch
        return (X + torch.rand(X.shape, generator=generator), *rest)


WAYS = {
    "plain": {},
    "random": {"fit": "random", "flip": 0.5},
    "kept": {"fit": "random", "flip": 0.5, "cache": "memory"},
    "stages": {"augment": [Inverted(), Noise()], "normalize": "imagenet"},
    "balanced": {"sampler": "balanced", "augment": Inverted(), "fit": "random"},
    "families": {"sampler": "grouped", "groups": [i % 6 for i in range(COUNT)], "dtype": "float16"},
    "sequential": {"shuffle": False, "channels_last": False},
}


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("cache", [None, "memory", "folder"])
def test_images_are_as_pillow_reads_them_each_once_with_its_label_and_weight(
    paths, tmp_path, cache, channels_last
):
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    batches = loader(
        paths,
        weight=np.arange(COUNT) * 2,
        size=(40, 60),
        normalize=(mean, std),
        cache=tmp_path if cache == "folder" else cache,
        channels_last=channels_last,
    )
    assert len(batches) == 6 and batches.classes_.tolist() == list(range(COUNT))
    met = []
    for X, y, weight in batches:
        assert X.dtype == torch.float32 and X.shape == (len(y), 3, 40, 60)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        assert X.is_contiguous(memory_format=layout)
        assert torch.equal(weight, y.float() * 2)
        for image, row in zip(X, y.tolist(), strict=True):
            truth = (np.asarray(Image.open(paths[row]).convert("RGB")) / 255 - mean) / std
            np.testing.assert_allclose(image.numpy(), truth.transpose(2, 0, 1), atol=2e-6)
            met.append(row)
    assert sorted(met) == list(range(COUNT))


def test_it_hands_out_what_a_dataloader_makes_of_the_dataset(paths):
    settings = {"size": (12, 20), "fit": "pad", "normalize": "imagenet"}
    labels = [f"class {i % 3}" for i in range(COUNT)]
    peer = DataLoader(ImageDataset(paths, labels, **settings), batch_size=4)
    for ours, theirs in zip(loader(paths, labels, shuffle=False, **settings), peer, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_unlabeled_batches_hold_the_images_alone(paths):
    (X,) = next(iter(ImageLoader(paths, size=16, batch_size=4, device="cpu")))
    assert X.shape == (4, 3, 16, 16) and 0 <= X.min() < X.max() <= 1


@pytest.mark.parametrize("way", WAYS)
def test_the_stream_is_the_same_for_any_number_of_threads(paths, way, monkeypatch):
    expected = [stream(batches) for batches in [loader(paths, threads=1, **WAYS[way])] for _ in range(2)]
    assert expected[0] != expected[1] or way == "sequential"
    whole, part = Pictures.whole, Pictures.part

    def now_and_then(work):
        def slow(self, row, *draws):
            time.sleep(0.004 * (row % 3 == 0))  # so that threads finish in another order
            return work(self, row, *draws)

        return slow

    monkeypatch.setattr(Pictures, "whole", now_and_then(whole))
    monkeypatch.setattr(Pictures, "part", now_and_then(part))
    for threads in (2, 8):
        batches = loader(paths, threads=threads, **WAYS[way])
        assert [stream(batches) for _ in range(2)] == expected


@pytest.mark.parametrize("stop", [0, 1, 3, 5, 6])
@pytest.mark.parametrize("way", WAYS)
def test_a_state_saved_in_mid_epoch_resumes_with_the_same_batches(paths, way, stop):
    batches = loader(paths, **WAYS[way])
    stream(batches)
    passing = iter(batches)
    for _ in range(stop):
        next(passing)
    state = json.loads(json.dumps(batches.state_dict()))
    rest, following = stream(passing), stream(batches)
    resumed = loader(paths, threads=3, **{**WAYS[way], "random_state": 0})
    resumed.load_state_dict(state)
    assert resumed.epoch == (2 if stop == 6 else 1)
    assert (stream(resumed) if rest else []) == rest
    assert stream(resumed) == following


def test_set_epoch_and_repeated_passes_count_as_those_of_tables(paths):
    batches = loader(paths, fit="random")
    epochs = [stream(batches) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    batches.set_epoch(1)
    assert [stream(batches), stream(batches)] == epochs[1:]
    batches.sampler.set_epoch(0)  # as Lightning does
    assert stream(batches) == epochs[0]
    with pytest.raises(DataError, match="not a state of ImageLoader"):
        batches.load_state_dict({})


def test_parts_and_flips_follow_the_row_and_not_its_place(paths):
    shuffled, orderly = (loader(paths, fit="random", flip=0.5, shuffle=s) for s in (True, False))
    of_row = {row: image for X, y in shuffled for row, image in zip(y.tolist(), X, strict=True)}
    for X, y in orderly:
        assert all(torch.equal(of_row[row], image) for row, image in zip(y.tolist(), X, strict=True))
    ids = np.arange(COUNT) + 100
    other = loader(paths, fit="random", flip=0.5, shuffle=False, ids=ids)
    assert not torch.equal(next(iter(other))[0], next(iter(orderly))[0])
    again = loader(paths[5:], np.arange(5, COUNT), fit="random", flip=0.5, shuffle=False, ids=range(5, COUNT))
    for X, y in again:
        rows = again.classes_[y.numpy()].tolist()
        assert all(torch.equal(of_row[row], image) for row, image in zip(rows, X, strict=True))


@pytest.mark.parametrize("cache", [None, "memory"])
def test_without_scaling_parts_are_pixels_of_the_image_wherever_they_lie(tmp_path, cache):
    paths = folder_of(tmp_path, 12, 64, 64)
    batches = loader(
        paths, size=56, fit="random", scale=(49 / 64, 49 / 64), stretch=1, cache=cache, augment=Inverted()
    )
    places = set()
    for X, y in batches:
        for image, row in zip((X * 255).round().permute(0, 2, 3, 1).numpy(), y.tolist(), strict=True):
            whole = decoded_to(paths[row], 64, 64).astype(float)
            whole = 255 - whole if row * 7 % 2 else whole
            cuts = {
                (top, left): whole[top : top + 56, left : left + 56] for top in range(9) for left in range(9)
            }
            found = [place for place, cut in cuts.items() if np.array_equal(cut, image)]
            assert len(found) == 1
            places.add(found[0])
    assert len(places) > 6


def test_parts_are_of_the_shape_that_stretch_allows(paths, monkeypatch):
    asked = []
    part = Pictures.part
    monkeypatch.setattr(Pictures, "part", lambda self, *a: asked.append(a[1:3]) or part(self, *a))
    list(loader(paths, fit="random", scale=(0.5, 0.6), stretch=2))
    areas, wide = np.array(asked).T
    assert 0.5 <= areas.min() < 0.53 and 0.57 < areas.max() <= 0.6
    assert 0.5 <= wide.min() < 0.65 and 1.6 < wide.max() <= 2


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_as_many_images_are_mirrored_as_was_said(paths, flip):
    mirrored = 0
    for epoch in range(20):
        batches = loader(paths, flip=flip)
        batches.set_epoch(epoch)
        for X, y in batches:
            for image, row in zip(X, y.tolist(), strict=True):
                plain = torch.from_numpy(decoded_to(paths[row], 16, 16)).permute(2, 0, 1) / 255
                turned = torch.allclose(image, plain.flip(2), atol=1e-6)
                assert turned != torch.allclose(image, plain, atol=1e-6)
                mirrored += turned
    assert abs(mirrored / (20 * COUNT) - flip) < 0.1  # of 460 draws the standard error is 0.023


def test_per_image_stages_get_the_id_the_epoch_and_the_label_and_change_the_pixels(paths):
    stage = Inverted()
    labels = ["odd" if i % 2 else "even" for i in range(COUNT)]
    batches = loader(paths, labels, augment=stage, ids=np.arange(COUNT) + 50, shuffle=False)
    for epoch in range(2):
        stage.calls.clear()
        X = torch.cat([X for X, _ in batches])
        assert sorted(stage.calls) == [(i + 50, epoch, labels[i]) for i in range(COUNT)]
        for i in range(COUNT):
            pixels = decoded_to(paths[i], 16, 16)
            pixels = 255 - pixels if ((i + 50) * 7 + epoch) % 2 else pixels
            np.testing.assert_allclose(X[i].numpy(), pixels.transpose(2, 0, 1) / 255, atol=1e-6)


def test_a_stage_of_tilth_changes_images_and_the_cache_stays_as_it_is(paths):
    import tilth

    stage = tilth.stage("augment.images", policy="heavy")
    batches = loader(paths, augment=stage, cache="memory", shuffle=False)
    before = [batches.dataset.pictures.whole(row).copy() for row in range(COUNT)]
    first, second = (torch.cat([X for X, _ in batches]) for _ in range(2))
    assert not torch.equal(first, second)
    for row in range(COUNT):
        np.testing.assert_array_equal(batches.dataset.pictures.whole(row), before[row])


@pytest.mark.parametrize("sampler", ["balanced", "weighted", "balanced_groups"])
def test_copies_of_a_row_that_are_drawn_in_one_epoch_differ(paths, sampler):
    stage = Inverted()
    labels = [0] * (COUNT - 1) + [1]
    weight = np.array(labels) * 100 + 1 if sampler == "weighted" else None
    settings = {"weight": weight, "groups": labels, "sampler": sampler}
    batches = loader(paths, labels, fit="random", augment=stage, **settings)
    copies = [image for X, y in batches for image, label in zip(X, y, strict=True) if label == 1]
    assert len(copies) > 5
    # Of small images two parts may happen to be of the same pixels.
    assert len({tuple(image.flatten().tolist()) for image in copies}) > 0.8 * len(copies)
    assert len({row for row, *_ in stage.calls}) == COUNT  # an id of its own for each draw


@pytest.mark.parametrize("world_size", [1, 3])
def test_images_of_a_group_or_a_block_come_together_each_once(paths, world_size):
    for sampler, settings, met_together in (
        ("grouped", {"groups": [f"family {row % 5}" for row in range(COUNT)]}, lambda row: row % 5),
        ("blocks", {"block_rows": 5}, lambda row: row // 5),
    ):
        shares = [
            loader(paths, sampler=sampler, rank=rank, world_size=world_size, **settings)
            for rank in range(world_size)
        ]
        for _ in range(2):
            epoch = [[y.tolist() for _, y in batches] for batches in shares]
            assert len({len(batches) for batches in epoch}) == 1
            rows = [row for batches in epoch for batch in batches for row in batch]
            assert sorted(rows) == list(range(COUNT))
            borders = sum(met_together(a) != met_together(b) for a, b in pairwise(rows))
            assert borders == 4  # of 5 groups or blocks


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("way", ["random", "balanced"])
def test_processes_share_the_stream_of_one(paths, world_size, way):
    whole = loader(paths, batch_size=1, world_size=1, **WAYS[way])
    alone = stream(whole)
    shares = [
        stream(loader(paths, batch_size=1, rank=r, world_size=world_size, **WAYS[way]))
        for r in range(world_size)
    ]
    assert len({len(share) for share in shares}) == 1
    together = [batch for step in zip(*shares, strict=True) for batch in step]
    assert together[:COUNT] == alone


@pytest.mark.parametrize("cache", [None, "memory"])
@pytest.mark.parametrize("fit", ["crop", "random"])
def test_what_cannot_be_decoded_is_left_out_counted_and_told_once(paths, tmp_path, cache, fit):
    hostile = broken(tmp_path)
    mixed = [*paths[:3], hostile[0], *paths[3:7], *hostile[1:], *paths[7:10]]
    labels = np.arange(len(mixed))
    batches = loader(mixed, labels, weight=labels, fit=fit, cache=cache, shuffle=False)
    with pytest.warns(TilthWarning, match=r"cut\.jpg: truncated.*skipped.*unreadable='raise'") as told:
        seen = list(batches)
    assert len(told) == 1
    assert [y.tolist() for _, y, _ in seen] == [[0, 1, 2], [4, 5, 6, 7], [10, 11], [12]]
    for X, y, weight in seen:
        assert torch.equal(y.float(), weight) and len(X) == len(y)
        if fit == "crop":
            for image, row in zip(X, y.tolist(), strict=True):
                plain = decoded_to(mixed[row], 16, 16).transpose(2, 0, 1) / 255
                np.testing.assert_allclose(image.numpy(), plain, atol=1e-6)
    reasons = ("truncated", "not an image", "missing")
    assert batches.skipped == dict(zip(hostile, reasons, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(len(y) for _, y, _ in batches) == 10


def test_a_stream_with_holes_is_resumed_at_its_place(paths, tmp_path):
    mixed = [*paths[:4], *broken(tmp_path), None, *paths[4:12]]
    batches = loader(mixed, batch_size=2, shuffle=False)
    with pytest.warns(TilthWarning):
        passing = iter(batches)
        first = stream(next(passing) for _ in range(3))
    assert [y for _, y in first] == [[0, 1], [2, 3], [8, 9]]
    assert batches.state_dict()["position"] == 5
    resumed = loader(mixed, batch_size=2, shuffle=False)
    resumed.load_state_dict(batches.state_dict())
    assert stream(resumed) == stream(passing)


def test_a_pass_that_ends_with_holes_is_done(paths, tmp_path):
    batches = loader([*paths[:4], *broken(tmp_path)], batch_size=3, shuffle=False)
    with pytest.warns(TilthWarning):
        assert [len(y) for _, y in batches] == [3, 1]
    assert (batches.state_dict()["epoch"], batches.state_dict()["position"]) == (1, 0)


def test_a_batch_with_nothing_left_is_not_yielded_and_raises_where_steps_must_agree(paths, tmp_path):
    mixed = [*paths[:3], *broken(tmp_path), *paths[3:6]]
    with pytest.warns(TilthWarning):
        assert [y.tolist() for _, y in loader(mixed, batch_size=3, shuffle=False)] == [[0, 1, 2], [6, 7, 8]]
    with (
        pytest.warns(TilthWarning),
        pytest.raises(DataError, match=r"Not even the only image.*prune\.unreadable"),
    ):
        list(loader(mixed, batch_size=1, shuffle=False, rank=0, world_size=2))


def test_the_first_that_cannot_be_decoded_raises_with_its_name_by_option(paths, tmp_path):
    batches = loader([*paths, *broken(tmp_path)], shuffle=False, unreadable="raise")
    with pytest.raises(ImageError, match=r"cut\.jpg") as caught:
        list(batches)
    assert caught.value.reason == "truncated" and caught.value.path.endswith("cut.jpg")
    assert not batches.skipped
    assert image_threads() == []


def image_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tilth-image")]


def open_files():
    return sorted(str(link.resolve()) for link in Path("/proc/self/fd").iterdir() if link.exists())


class Failing:
    per_image, key = True, "augment.failing"

    def __init__(self, returned=None):
        self.returned = returned

    def augment_image(self, pixels, *, row, epoch, label=None):
        if row == 9 and self.returned is None:
            raise ZeroDivisionError("one by zero")
        return pixels if row != 9 else self.returned(pixels)

    def augment(self, batch, generator):
        return batch


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "could not be changed: ZeroDivisionError: one by zero"),
        (lambda pixels: pixels[:8], r"uint8 of shape \(8, 16, 3\)"),
        (lambda pixels: pixels / 255, "float64"),
        (lambda pixels: None, "NoneType"),
    ],
)
def test_a_stage_that_fails_is_told_with_the_file_and_no_thread_is_left(paths, returned, words):
    with pytest.raises(StageError, match=r"augment\.failing: .*009\.png.*" + words):
        list(loader(paths, shuffle=False, augment=Failing(returned), threads=4))
    assert image_threads() == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed by Linux")
@pytest.mark.parametrize("way", ["left", "closed", "raised", "finished"])
@pytest.mark.parametrize("cache", [None, "folder"])
def test_no_threads_and_no_files_are_left(paths, tmp_path, way, cache):
    batches = loader(paths, threads=4, batch_size=2, cache=tmp_path if cache else None)
    list(batches)
    before = open_files()
    if way == "left":
        for _ in batches:
            break
    elif way == "closed":
        passing = iter(batches)
        next(passing)
        assert image_threads()
        passing.close()
    elif way == "raised":
        with pytest.raises(KeyboardInterrupt):
            for number, _ in enumerate(batches):
                if number == 2:
                    raise KeyboardInterrupt
    else:
        list(batches)
    gc.collect()
    assert image_threads() == []
    assert open_files() == before


def test_a_batch_may_be_kept_and_changed(paths):
    batches = loader(paths, shuffle=False)
    kept = [X for X, _ in batches]
    copies = [X.clone() for X in kept]
    for X, _ in batches:
        X.zero_()
    assert all(torch.equal(a, b) for a, b in zip(kept, copies, strict=True))
    assert torch.equal(torch.cat([X for X, _ in batches]), torch.cat(copies))


@pytest.mark.parametrize(("threads", "batches"), [(1, 3), (2, 3), (4, 5)])
def test_two_batches_are_decoded_ahead_or_as_many_as_keep_the_threads_busy(
    paths, monkeypatch, threads, batches
):
    asked = []
    whole = Pictures.whole
    monkeypatch.setattr(Pictures, "whole", lambda self, row: asked.append(row) or whole(self, row))
    passing = iter(loader(paths, batch_size=2, shuffle=False, threads=threads))
    next(passing)
    for _ in range(100):
        if len(asked) >= 2 * batches:
            break
        time.sleep(0.02)
    time.sleep(0.05)
    assert sorted(asked) == list(range(2 * batches))
    passing.close()


def test_the_global_generators_are_neither_read_nor_moved(paths):
    before = torch.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    list(loader(paths, fit="random", flip=0.5, augment=[Inverted(), Noise()]))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]  # noqa: NPY002


def test_the_attributes_that_training_frameworks_look_at_are_there(paths):
    batches = loader(paths, drop_last=True)
    assert (batches.batch_size, batches.drop_last, batches.num_workers, batches.pin_memory) == (
        4,
        True,
        0,
        False,
    )
    assert len(batches) == 5 and len(list(batches)) == 5
    assert len(batches.dataset) == len(batches.sampler) == COUNT
    assert "23 images of 16 x 16, 5 batches of 4, shuffle" in repr(batches)
    assert ImageLoader([], size=8, device="cpu").threads >= 1
    assert list(ImageLoader([], [], size=8, device="cpu")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": 0},
        {"threads": 1.5},
        {"threads": True},
        {"unreadable": "drop"},
        {"flip": 1.5},
        {"scale": (0.9, 0.1)},
        {"scale": (0, 1)},
        {"stretch": 0.9},
        {"stretch": np.inf},
        {"batch_size": 0},
        {"fit": "cover"},
        {"size": 0},
        {"normalize": "mnist"},
        {"augment": 3},
        {"dtype": "float64"},
        {"block_rows": 0},
        {"sampler": "weighted", "shuffle": False},
    ],
)
def test_parameters_out_of_range_are_refused(paths, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        loader(paths, **wrong)


@pytest.mark.parametrize("ids", [[1, 2], np.ones(COUNT), "abc"])
def test_ids_are_one_whole_number_for_each_image(paths, ids):
    with pytest.raises(DataError, match="ids: one whole number for each of 23"):
        loader(paths, ids=ids)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_short_numbers_are_those_of_float32_rounded_once(paths, dtype, channels_last):
    settings = {"normalize": "imagenet", "fit": "random", "channels_last": channels_last}
    kind = getattr(torch, dtype)
    for (X, y), (short, labels) in zip(
        loader(paths, **settings), loader(paths, dtype=dtype, **settings), strict=True
    ):
        assert short.dtype == kind and torch.equal(short, X.to(kind)) and torch.equal(y, labels)
    elsewhere = loader(paths, dtype=dtype, **settings)
    elsewhere.device = SimpleNamespace(type="elsewhere")
    assert all(short.dtype == kind for short, _ in elsewhere)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_batches_go_through_a_network_under_autocast(paths, dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
    network = network.to(memory_format=torch.channels_last)
    for X, _ in loader(paths, dtype=dtype, normalize="imagenet"):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = network(X)
        assert out.dtype == torch.bfloat16 and out.is_contiguous(memory_format=torch.channels_last)
        expected = network(X.float())
        assert (out.float() - expected).abs().max() < 0.05 * expected.abs().max()


def test_a_small_network_learns_from_it(tmp_path):
    rng = np.random.default_rng(0)
    labels = [("bright", "dark")[i % 2] for i in range(60)]
    paths = []
    for i in range(60):
        pixels = rng.normal(80 + 90 * (i % 2 == 0), 40, (32, 32, 3)).clip(0, 255).astype(np.uint8)
        paths.append(write(tmp_path / f"{i}.jpg", pixels))
    batches = ImageLoader(paths, labels, size=16, fit="random", flip=0.5, batch_size=12, device="cpu")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear(3, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.3)
    for _ in range(8):
        for X, y in batches:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()
    with torch.no_grad():
        assert torch.cat([model(X).argmax(1) == y for X, y in batches]).float().mean() > 0.95


@pytest.mark.parametrize("way", ["plain", "random", "kept", "balanced", "sequential"])
def test_where_the_device_makes_the_numbers_they_are_those_of_the_cpu(paths, way):
    settings = {key: value for key, value in WAYS[way].items() if key != "augment"} | {
        "normalize": "imagenet"
    }
    here, there = loader(paths, **settings), loader(paths, **settings)
    there.device = SimpleNamespace(type="elsewhere")  # pixels travel as they do to a device that is no CPU
    for (X, y), (found, labels) in zip(here, there, strict=True):
        layout = torch.channels_last if settings.get("channels_last", True) else torch.contiguous_format
        assert found.dtype == torch.float32 and found.is_contiguous(memory_format=layout)
        assert torch.equal(y, labels)
        torch.testing.assert_close(found, X, rtol=0, atol=3e-6)
