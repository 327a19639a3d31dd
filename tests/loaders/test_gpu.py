"""On a GPU loaders hand out the batches of the CPU, ahead of their use, and keep none of its memory."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader

from tests.loaders.pictures import broken, folder_of
from tilth.errors import ImageError, TilthWarning
from tilth.loaders import (
    DeviceFeed,
    ImageLoader,
    RowSampler,
    StreamLoader,
    TableDataset,
    TableLoader,
    resolve_device,
)
from tilth.loaders.device import _side_stream
from tilth.loaders.normal import Normal
from tilth.stages.augment.cutmix import AugmentCutmix
from tilth.stages.augment.mixup import AugmentMixup
from tilth.stages.augment.pixels import AugmentPixels

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
mps = pytest.mark.skipif(not torch.backends.mps.is_available(), reason="needs an MPS device")
pytestmark = pytest.mark.gpu

PLACES = ["device", "host", "pinned"]
GPU = "cuda"


def table(rows: int = 20_000, width: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(rows, width, generator=generator)
    X[:, 0] = torch.arange(rows)
    return X, torch.arange(rows) % 10, torch.rand(rows, generator=generator) + 0.1


def same(found, expected) -> None:
    assert len(found) == len(expected)
    for part, wanted in zip(found, expected, strict=True):
        assert part.device.type == torch.device(GPU).type
        assert part.dtype == wanted.dtype
        assert torch.equal(part.cpu(), wanted)


@contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Raise where the loop waits for the device."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def threads_end() -> None:
    due = time.monotonic() + 5
    while any(each.name.startswith("tilth") for each in threading.enumerate()):
        assert time.monotonic() < due, "a thread of a loader is still there"
        time.sleep(0.01)


def held() -> int:
    gc.collect()
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated()


@cuda
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "how",
    [
        {"sampler": "blocks", "block_rows": 3000},
        {"sampler": "blocks", "block_rows": 3000, "drop_last": True, "rank": 1, "world_size": 3},
        {"sampler": "sequential"},
        {"sampler": "sequential", "rank": 1, "world_size": 2, "block_rows": 3000},
        {"sampler": "shuffle"},
        {"sampler": "shuffle", "rank": 0, "world_size": 2},
        {"sampler": "weighted"},
        {"sampler": "balanced", "drop_last": True},
        {"sampler": "grouped"},
        {"sampler": "balanced_groups"},
    ],
)
def test_batches_of_a_table_are_those_of_the_cpu_wherever_it_rests(place, how):
    if place == "pinned" and how["sampler"] not in ("blocks", "sequential"):
        pytest.skip("only blocks are sent from a pinned table")
    X, y, weight = table()
    given = {"weight": weight, "groups": y, "batch_size": 700, **how}
    here = TableLoader(X, y, device="cpu", **given)
    there = TableLoader(X, y, device=GPU, place=place, **given)
    assert there.place == place
    assert there.pin_memory == (place != "device")
    assert len(here) == len(there)
    for _ in range(2):
        for expected, found in zip(here, there, strict=True):
            same(found, expected)


@cuda
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("width", [7, 1])
def test_codes_and_short_numbers_arrive_as_they_are(place, dtype, width):
    X, y, weight = table(5000, width)
    X[:, 0] = torch.arange(5000) % 9
    given = {"weight": weight, "codes": [0], "dtype": dtype, "sampler": "blocks", "block_rows": 999}
    here = TableLoader(X.numpy(), y, device="cpu", batch_size=256, **given)
    there = TableLoader(X.numpy(), y, device=GPU, place=place, batch_size=256, **given)
    for expected, found in zip(here, there, strict=True):
        assert [part.shape[1:] for part in found] == [(width - 1,), (1,), (), ()]
        same(found, expected)


@cuda
@pytest.mark.parametrize("place", PLACES)
def test_a_pass_goes_on_where_a_state_was_saved(place):
    X, y, _ = table()
    given = {"batch_size": 700, "sampler": "blocks", "block_rows": 3000, "device": GPU, "place": place}
    first = TableLoader(X, y, **given)
    list(first)
    passing = iter(first)
    for _ in range(11):
        next(passing)
    resumed = TableLoader(X, y, **given)
    resumed.load_state_dict(first.state_dict())
    left = list(passing)
    assert len(left) == len(first) - 11
    for expected, found in zip(left, resumed, strict=True):
        same(found, [part.cpu() for part in expected])


@cuda
@pytest.mark.parametrize("place", PLACES)
def test_a_batch_is_not_overwritten_while_work_on_it_waits(place):
    X, _, _ = table(60_000, 16)
    loader = TableLoader(X, batch_size=500, sampler="blocks", block_rows=2000, device=GPU, place=place)
    sums = []
    for (x,) in loader:
        torch.cuda._sleep(200_000)  # the model is far behind the loop
        sums.append(x.sum(dtype=torch.float64))
        x.fill_(torch.nan)  # a batch is the caller's to change
    assert sum(each.item() for each in sums) == pytest.approx(X.double().sum().item(), rel=1e-12)
    assert torch.equal(torch.cat([x.cpu() for (x,) in loader]).sort(0).values, X.sort(0).values)


@cuda
def test_pinned_memory_is_not_written_again_before_it_was_copied():
    feed = DeviceFeed(GPU)

    def batches():
        for number in range(30):
            memory = torch.empty(100_000, pin_memory=True)  # let go of as soon as it is sent, and lent again
            yield (memory.fill_(number),)

    with torch.cuda.stream(_side_stream(feed.device)):
        torch.cuda._sleep(200_000_000)  # the copies are far behind the loop
    found = [x.sum() for (x,) in feed(batches())]
    assert [each.item() for each in found] == [100_000.0 * number for number in range(30)]


@cuda
def test_parts_of_pinned_tensors_are_sent_as_they_are(monkeypatch):
    pinned = torch.arange(1000.0).pin_memory()
    feed = DeviceFeed(GPU)
    before = torch.cuda.host_memory_stats() if hasattr(torch.cuda, "host_memory_stats") else {}
    found = [x.cpu() for (x,) in feed((pinned[i : i + 10],) for i in range(0, 1000, 10))]
    assert torch.equal(torch.cat(found), pinned)
    after = torch.cuda.host_memory_stats() if before else {}
    assert after.get("num_host_alloc", 0) == before.get("num_host_alloc", 0)


@cuda
@pytest.mark.parametrize("place", PLACES)
def test_no_batch_of_a_table_waits_for_the_device(place):
    X, y, _ = table()
    loader = TableLoader(X, y, batch_size=700, sampler="blocks", block_rows=3000, device=GPU, place=place)
    list(loader)  # memory is there
    passing = iter(loader)
    next(passing)  # the order of the epoch is there
    with waiting_forbidden():
        count = sum(1 for _ in passing)
    assert count == len(loader) - 1


@cuda
def test_no_augmentation_waits_for_the_device():
    X = torch.randn(64, 3, 32, 32).to(GPU, torch.float16, memory_format=torch.channels_last)
    y = torch.arange(64, device=GPU) % 4
    stages = [
        AugmentPixels(flip_vertical=0.5, border="zero", erase=0.5, brightness=0.2, contrast=0.2),
        AugmentPixels(erase=0.5, fill="zero"),
        AugmentMixup(n_classes=4),
        AugmentCutmix(n_classes=4),
    ]
    generator = torch.Generator(GPU).manual_seed(0)
    for stage in stages:
        stage.augment((X, y), generator)
        with waiting_forbidden():
            found = stage.augment((X, y), generator)[0]
        assert found.shape == X.shape
        assert found.is_contiguous(memory_format=torch.channels_last)


@cuda
@pytest.mark.parametrize("place", PLACES)
def test_memory_comes_back_and_a_loop_that_does_nothing_fills_none(place):
    X, y, _ = table(200_000, 32)
    before = held()
    active = torch.cuda.memory_stats()["active_bytes.all.current"]
    given = {"batch_size": 1000, "sampler": "blocks", "block_rows": 5000, "device": GPU, "place": place}
    loader = TableLoader(X, y, **given)
    resting = held() - before
    assert (resting >= X.nbytes) == (place == "device")
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        for _ in loader:
            pass
    # Active is also what nobody holds any more, but the device has not done with.
    on_the_way = torch.cuda.memory_stats()["active_bytes.all.peak"] - active - resting
    # Gathered on the device, 32 MiB at a time; else blocks of 5,000 rows, or of 2 MiB.
    block = 32 * 2**20 if place == "device" else max(5000 * 33 * 8, 2 * 2**20)
    assert on_the_way <= 14 * block
    del loader
    assert held() == before


@cuda
def test_all_passes_share_the_memory_of_one_stream():
    X, y, _ = table(20_000, 128)
    given = {"batch_size": 700, "sampler": "blocks", "block_rows": 3000, "device": GPU, "place": "pinned"}
    reserved = []
    for number in range(40):
        for _ in TableLoader(X, y, **given):
            pass
        if number in (1, 39):
            reserved.append(torch.cuda.memory_reserved())
    # torch reserves 20 MiB or more for each stream that asks for a block of this size.
    assert reserved[1] - reserved[0] < 200 * 2**20


@cuda
@pytest.mark.parametrize("place", PLACES)
def test_a_pass_that_is_left_ends_its_threads_and_frees_its_batches(place):
    X, y, _ = table()
    loader = TableLoader(X, y, batch_size=100, sampler="blocks", device=GPU, place=place)
    list(loader)
    before = held()
    passing = iter(loader)
    for _ in range(5):
        next(passing)
    batch = next(passing)
    assert held() > before
    del passing, batch
    assert held() == before
    threads_end()


@cuda
def test_an_error_in_making_a_batch_reaches_the_loop_and_the_feed_can_be_used_again():
    feed = DeviceFeed(GPU)

    def batches():
        yield from ((torch.full((3,), float(i)),) for i in range(6))
        raise ZeroDivisionError("batch 6")

    received = []
    with pytest.raises(ZeroDivisionError, match="batch 6"):
        for (x,) in feed(batches()):
            received.append(x)
    assert [x[0].item() for x in received] == list(range(6 - feed.ahead))
    assert [x.item() for (x,) in feed([(torch.ones(()),)])] == [1.0]


@cuda
def test_batches_belong_to_the_stream_that_is_current_when_they_are_handed_out():
    X, _, _ = table()
    loader = TableLoader(X, batch_size=500, sampler="blocks", block_rows=2000, device=GPU, place="pinned")
    own = torch.cuda.Stream()
    with torch.cuda.stream(own):
        total = sum(x.sum(dtype=torch.float64) for (x,) in loader)
    own.synchronize()
    assert total.item() == pytest.approx(X.double().sum().item(), rel=1e-12)


@cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("place", PLACES)
def test_batches_come_to_the_device_that_was_named_whichever_is_current(place):
    X, y, _ = table()
    given = {"batch_size": 700, "sampler": "blocks", "block_rows": 3000}
    here = TableLoader(X, y, device="cpu", **given)
    there = TableLoader(X, y, device="cuda:1", place=place, **given)
    assert torch.cuda.current_device() == 0
    for expected, found in zip(here, there, strict=True):
        assert all(part.device == torch.device("cuda:1") for part in found)
        same(found, expected)
    assert torch.cuda.current_device() == 0


@cuda
def test_a_table_rests_where_it_fits(monkeypatch):
    X, y, _ = table()
    size = X.nbytes + y.nbytes
    free = 2 * size
    monkeypatch.setattr(torch.cuda, "memory_reserved", torch.cuda.memory_allocated)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * size))
    assert TableLoader(X, y, device=GPU).place == "device"
    free -= 2
    assert TableLoader(X, y, device=GPU).place == "host"
    assert TableLoader(X, y, device=GPU, sampler="blocks", block_rows=1000).place == "pinned"


@cuda
def test_augmentations_run_on_the_gpu_with_a_generator_of_the_gpu():
    def noise(batch, generator):
        assert batch[0].is_cuda
        assert generator.device.type == "cuda"
        return (batch[0] + torch.randn(batch[0].shape, generator=generator, device=generator.device),)

    loader = TableLoader(torch.zeros(100, 3), batch_size=10, device=GPU, augment=noise)
    loader.set_epoch(0)
    first = [x.cpu() for (x,) in loader]
    loader.set_epoch(0)
    assert all(torch.equal(a, x.cpu()) for a, (x,) in zip(first, loader, strict=True))
    assert not torch.equal(first[0], first[1])


@cuda
def test_a_dataset_in_a_dataloader_is_fed_as_well():
    X, y, _ = table()
    dataset = TableDataset(X, y)
    rows = RowSampler(len(dataset), random_state=3)
    batches = DataLoader(dataset, sampler=BatchSampler(rows, 512, False), batch_size=None, pin_memory=True)
    found = [part.cpu() for part, _ in DeviceFeed(GPU)(batches)]
    assert torch.equal(torch.cat(found)[:, 0].to(torch.int64), rows.rows(0))


@cuda
def test_batches_of_a_stream_are_those_of_the_cpu(tmp_path):
    X, y, weight = table(5000, 3)
    columns = {f"x{i}": X[:, i].numpy() for i in range(3)}
    pl.DataFrame({**columns, "y": y.numpy(), "w": weight.numpy()}).write_parquet(tmp_path / "rows.parquet")
    given = {"target": "y", "weight": "w", "batch_size": 300, "buffer_rows": 2000, "slice_rows": 500}
    here, there = (StreamLoader(tmp_path / "rows.parquet", device=each, **given) for each in ("cpu", GPU))
    for _ in range(2):
        for expected, found in zip(here, there, strict=True):
            same(found, expected)


PIXELS = np.random.default_rng(0).integers(0, 256, (5, 17, 12, 3), dtype=np.uint8)


@cuda
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_colors_become_the_numbers_of_the_cpu(channels_last, dtype):
    device = resolve_device(GPU)
    expected = Normal("imagenet", channels_last, torch.device("cpu"), dtype)(torch.from_numpy(PIXELS))
    found = Normal("imagenet", channels_last, device, dtype)(torch.from_numpy(PIXELS).to(device))
    assert found.device == device
    assert found.dtype == dtype
    assert found.stride() == expected.stride()
    apart = 3e-6 if dtype == torch.float32 else 0
    # A multiplication and an addition may be rounded once or twice.
    torch.testing.assert_close(found.cpu(), expected, rtol=torch.finfo(dtype).eps, atol=apart)


@cuda
def test_numbers_are_made_of_colors_without_any_memory_besides():
    device = resolve_device(GPU)
    normal = Normal("imagenet", True, device, torch.float16)
    pixels = torch.zeros(16, 64, 64, 3, dtype=torch.uint8, device=device)
    normal(pixels)
    before = held()
    torch.cuda.reset_peak_memory_stats()
    found = normal(pixels)
    assert torch.cuda.max_memory_allocated() - before == found.nbytes


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return folder_of(tmp_path_factory.mktemp("images"), 23)


def images(paths, device, **settings):
    given = {"size": 16, "batch_size": 5, "random_state": 5, "normalize": "imagenet", **settings}
    return ImageLoader(paths, np.arange(len(paths)), device=device, **given)


@cuda
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"fit": "random", "flip": 0.5},
        {"fit": "random", "flip": 0.5, "cache": "memory"},
        {"channels_last": False, "threads": 1},
        {"sampler": "balanced", "flip": 0.5},
        {"shuffle": False, "drop_last": True},
        {"dtype": "float16", "flip": 0.5},
        {"workers": 1, "flip": 0.5},
    ],
)
def test_batches_of_images_are_those_of_the_cpu(paths, settings):
    here, there = images(paths, "cpu", **settings), images(paths, GPU, **settings)
    assert there.pin_memory
    layout = torch.channels_last if settings.get("channels_last", True) else torch.contiguous_format
    for _ in range(2):
        for (X, y), (found, labels) in zip(here, there, strict=True):
            assert found.is_cuda
            assert found.dtype == X.dtype
            assert found.is_contiguous(memory_format=layout)
            torch.testing.assert_close(found.cpu(), X, rtol=2 * torch.finfo(X.dtype).eps, atol=3e-6)
            same([labels], [y])


@cuda
def test_no_batch_of_images_waits_for_the_device(paths):
    stages = [AugmentPixels(erase=0.5), AugmentMixup(n_classes=len(paths))]
    loader = images(paths, GPU, cache="memory", flip=0.5, augment=stages)
    list(loader)
    with waiting_forbidden():
        shapes = [X.shape for X, _ in loader]
    assert sum(shape[0] for shape in shapes) == len(paths)


@cuda
def test_images_that_are_left_out_do_not_move_the_others(paths, tmp_path):
    mixed = [*paths[:4], *broken(tmp_path), None, *paths[4:12]]
    batches = images(mixed, GPU, batch_size=2, shuffle=False)
    with pytest.warns(TilthWarning):
        passing = iter(batches)
        assert [next(passing)[1].tolist() for _ in range(3)] == [[0, 1], [2, 3], [8, 9]]
    assert batches.state_dict()["position"] == 5
    resumed = images(mixed, GPU, batch_size=2, shuffle=False)
    resumed.load_state_dict(batches.state_dict())
    assert [y.tolist() for _, y in resumed] == [y.tolist() for _, y in passing]
    with pytest.raises(ImageError):
        list(images(mixed, GPU, batch_size=2, shuffle=False, unreadable="raise"))
    del passing
    gc.collect()
    threads_end()


@mps
@pytest.mark.parametrize("place", ["device", "host"])
def test_batches_on_mps_are_those_of_the_cpu(place):
    X, y, weight = table(5000)
    here = TableLoader(X, y, weight=weight, batch_size=700, device="cpu")
    there = TableLoader(X, y, weight=weight, batch_size=700, device="mps", place=place)
    assert not there.pin_memory
    for expected, found in zip(here, there, strict=True):
        assert all(part.device.type == "mps" for part in found)
        assert all(torch.equal(part.cpu(), wanted) for part, wanted in zip(found, expected, strict=True))


@mps
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_colors_become_the_numbers_of_the_cpu_on_mps(dtype):
    device = torch.device("mps")
    expected = Normal("imagenet", True, torch.device("cpu"), dtype)(torch.from_numpy(PIXELS))
    found = Normal("imagenet", True, device, dtype)(torch.from_numpy(PIXELS).to(device))
    torch.testing.assert_close(found.cpu(), expected, rtol=torch.finfo(dtype).eps, atol=3e-6)
