"""What reaches a GPU, and how long a model waits for it: the part `device` of loaders.py.

Nothing here is measured without a CUDA device; that is said, and no bar is printed.

copy    The rate at which batches of a table that rests on the device are handed out, in an exact shuffle,
        over the rate at which the device copies one tensor into another: both read and write each byte once.
        Batches are large (524,288 rows of 50 float32 and a label), so that the device is measured and not
        Python; the rate of batches of 1,024 is a figure. The clock starts with the second batch, when the
        order of the epoch is drawn and on the device; how long drawing takes is a figure, too.
bus     The rate at which batches of a table in pinned memory arrive, in the order "blocks", over the rate at
        which the device copies from pinned memory. The order is drawn before the clock starts, which runs for
        the whole epoch: from the first block on its way to the last batch handed out. Batches are of 16,384
        rows; the rate of batches of 1,024, and of tables of which the host gathers rows, are figures.
mlp     The share of an epoch's time in which the device has nothing to do because the next batch of 1,024
        rows is not there: between an event before a batch is asked for and one after. The first batch, and
        with it drawing the order, counts. A small network, Adam, the table where the loader puts it; the same
        for tables in pinned memory and on the host are figures. So is what an epoch takes where all batches
        lie ready.
images  The same share for a ResNet-18 in bfloat16, channels last, on batches of 256 random crops, half of
        them flipped, from decoded images of 256 x 256 kept in memory.

First all batches are checked to be those that the loader makes on the CPU. Rates and shares are medians over
the rounds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from bars import Bar
from tilth.loaders import ImageLoader, TableLoader
from tilth.training.resnet import Residual

WIDTH, CLASSES = 50, 10
GOALS = {"copy": 0.5, "bus": 0.8, "mlp": 0.05, "images": 0.05}
Step = Callable[[Tensor, Tensor], None]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. A table of `rows` takes 208 bytes for each, on the host and on the device."""

    rows: int
    batch: int
    block_rows: int
    mlp_rows: int
    images: int
    side: int
    image_batch: int
    rounds: int


FULL = Sizes(8 * 2**20, 2**19, 2**16, 10**6, 4096, 256, 256, 7)
QUICK = Sizes(4 * 2**20, 2**19, 2**16, 250_000, 2048, 256, 256, 3)


class Clock:
    """Take the time on the device, by events: of the work that is queued, not of its queueing."""

    def __init__(self, device: torch.device) -> None:
        self.events = device.type == "cuda"

    def now(self) -> Any:
        """Return a point in time: after all that has been queued so far."""
        if not self.events:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        """Return the time between two points, once both have come."""
        if not self.events:
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000


def device(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Measure on the current CUDA device; without one, say that nothing is measured."""
    if not torch.cuda.is_available():
        print("device: skipped, there is no CUDA device")
        return [], {"skipped": "no CUDA device"}
    there = torch.device("cuda", torch.cuda.current_device())
    found = torch.cuda.get_device_properties(there)
    print(f"device: {found.name}, {found.total_memory / 2**30:.0f} GiB")
    bars, figures = measured(there, QUICK if quick else FULL)
    return bars, {"device": found.name, "cuda": torch.version.cuda, **figures}


def measured(there: torch.device, sizes: Sizes) -> tuple[list[Bar], dict[str, Any]]:
    """Return bars and figures of a device of any kind; those of a CPU say nothing, but that it runs."""
    check_tables(there)
    values, figures = rates(there, sizes)
    value, figures["mlp"] = mlp_waits(there, sizes)
    values["mlp"] = value
    values["images"], figures["images"] = images_wait(there, sizes)
    bars = [
        Bar(f"loader.device.{name}", round(values[name], 4), goal, _reached(name, values[name]))
        for name, goal in GOALS.items()
    ]
    return bars, {"sizes": asdict(sizes), **figures}


def _reached(name: str, value: float) -> bool:
    return value >= GOALS[name] if name in ("copy", "bus") else value <= GOALS[name]


def table(rows: int) -> tuple[Tensor, Tensor]:
    """Return rows of random numbers and their labels; the first column says which row it is."""
    X = torch.empty(rows, WIDTH).uniform_(generator=torch.Generator().manual_seed(0))
    X[:, 0] = torch.arange(rows)  # whole numbers are exact in float32 up to 2**24
    return X, torch.arange(rows) % CLASSES


def placed(there: torch.device, place: str) -> dict[str, Any]:
    """Return the loader's arguments for a place; on a CPU there is but one."""
    ordered = {"sampler": "blocks"} if place == "pinned" else {}
    return {"device": there, "place": place if there.type == "cuda" else "auto", **ordered}


def check_tables(there: torch.device) -> None:
    """Stop unless batches are those of the CPU, wherever the table rests."""
    X, y = table(50_000)
    for place in ("device", "pinned", "host"):
        given = {"batch_size": 999, "block_rows": 7000}
        here = TableLoader(X, y, **given, **placed(torch.device("cpu"), place))
        for expected, found in zip(here, TableLoader(X, y, **given, **placed(there, place)), strict=True):
            if not all(torch.equal(a, b.cpu()) for a, b in zip(expected, found, strict=True)):
                raise SystemExit(f"{place}: batches differ from those of the CPU; nothing is measured")


def rates(there: torch.device, sizes: Sizes) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the shares of the device's and of the bus's rate that batches reach, and all rates in GB/s."""
    clock, (X, y) = Clock(there), table(sizes.rows)
    host = X.pin_memory() if there.type == "cuda" else X
    resting, other = X.to(there), torch.empty_like(X, device=there)
    found: dict[str, list[float]] = {}

    def note(name: str, count: int, seconds: float) -> None:
        found.setdefault(name, []).append(count / seconds / 1e9)

    plain = {"copy": resting, "bus": host}
    # The rows of a tensor that is on the device already are not copied once more.
    loaders = {"device": TableLoader(resting, y.to(there), batch_size=sizes.batch, **placed(there, "device"))}
    loaders["device, 1024"] = TableLoader(resting, y.to(there), batch_size=1024, **placed(there, "device"))
    for name, batch in (("pinned", sizes.block_rows // 4), ("pinned, 1024", 1024)):
        given = {"batch_size": batch, "block_rows": sizes.block_rows}
        loaders[name] = TableLoader(host, y, **given, **placed(there, "pinned"))
    loaders["host"] = TableLoader(X, y, batch_size=sizes.block_rows // 4, **placed(there, "host"))
    drawing = {name: order_seconds(loader) for name, loader in loaders.items()}
    for turn in range(sizes.rounds + 1):  # the first is to warm up
        for name, source in plain.items():
            start = clock.now()
            other.copy_(source, non_blocking=True)
            note(name, X.nbytes, clock.seconds(start, clock.now()))
        for name in ("device", "device, 1024"):
            note(name, *after_the_first(loaders[name], clock))
        for name in ("pinned", "pinned, 1024", "host"):
            note(name, n_bytes((X, y)), whole_epoch(loaders[name], clock))
        if turn == 0:
            found.clear()
    typical = {name: median(each) for name, each in found.items()}
    for name, rate in typical.items():
        spread = (max(found[name]) - min(found[name])) / rate
        print(f"{name:14} {rate:8.2f} GB/s  median of {sizes.rounds}, spread {spread:.0%}")
    print(
        f"{sizes.rows:,} rows shuffled in {drawing['device']:.3f} s, in blocks in {drawing['pinned']:.3f} s"
    )
    shares = {"copy": typical["device"] / typical["copy"], "bus": typical["pinned"] / typical["bus"]}
    return shares, {"gb_per_second": typical, "order_seconds": drawing}


def n_bytes(parts: Iterable[Tensor]) -> int:
    """Return how many bytes tensors hold together."""
    return sum(part.nbytes for part in parts)


def order_seconds(loader: TableLoader) -> float:
    """Draw the order of an epoch, let the loader find it drawn from then on, and return how long it took."""
    start = time.perf_counter()
    drawn = loader.sampler.rows(0)
    seconds = time.perf_counter() - start
    loader.sampler.rows = lambda epoch: drawn  # type: ignore[method-assign]
    return seconds


def after_the_first(loader: TableLoader, clock: Clock) -> tuple[int, float]:
    """Return the bytes of all batches but the first, and the seconds in which they were handed out."""
    passing = iter(loader)
    first = next(passing)
    start = clock.now()
    for _ in passing:
        pass
    seconds = clock.seconds(start, clock.now())
    return n_bytes(loader.dataset.tensors) - n_bytes(first), seconds


def whole_epoch(loader: TableLoader, clock: Clock) -> float:
    """Return the seconds from asking for the first batch until the last is there."""
    start = clock.now()
    for _ in loader:
        pass
    return clock.seconds(start, clock.now())


def waiting(batches: Iterable[Any], step: Step, clock: Clock) -> tuple[float, float]:
    """Return the share of the time of an epoch in which the device waits for data, and that time."""
    points = [clock.now()]
    passing = iter(batches)
    while (batch := next(passing, None)) is not None:
        points.append(clock.now())
        step(*batch)
        points.append(clock.now())
    points.append(clock.now())
    spans = [clock.seconds(a, b) for a, b in pairwise(points)]
    return sum(spans[::2]) / sum(spans), sum(spans)


def mlp_waits(there: torch.device, sizes: Sizes) -> tuple[float, dict[str, Any]]:
    """Return the share of waiting of a small network, and figures for each place of the table."""
    X, y = table(sizes.mlp_rows)
    X /= sizes.mlp_rows
    clock = Clock(there)
    network = nn.Sequential(
        nn.Linear(WIDTH, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, CLASSES)
    )
    step = stepping(network.to(there), torch.float32)
    loaders = {
        place: TableLoader(X, y, batch_size=1024, **placed(there, place))
        for place in ("auto", "pinned", "host")
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*loaders, "ready")}
    ready = list(islice(loaders["auto"], 8))
    for _ in range(sizes.rounds):
        waiting(islice(cycle(ready), 50), step, clock)  # warm
        for name, loader in loaders.items():
            found[name].append(waiting(loader, step, clock))
        found["ready"].append(waiting(islice(cycle(ready), len(loaders["auto"])), step, clock))
    return told("mlp", found), {
        name: {"waits": median(w for w, _ in each), "seconds": median(s for _, s in each)}
        for name, each in found.items()
    }


def told(model: str, found: dict[str, list[tuple[float, float]]]) -> float:
    """Print the shares of waiting, and return the first one's median."""
    shares = {name: median(share for share, _ in each) for name, each in found.items()}
    for name, each in found.items():
        seconds = median(second for _, second in each)
        print(
            f"{model:6} {name:8} waits {shares[name]:6.2%} of {seconds:.3f} s  median of {len(each)} epochs"
        )
    return next(iter(shares.values()))


def images_wait(there: torch.device, sizes: Sizes) -> tuple[float, dict[str, Any]]:
    """Return the share of waiting of a ResNet-18 for images from the cache, and figures."""
    size = sizes.side * 7 // 8
    share = (size / sizes.side) ** 2
    crops = {"size": size, "fit": "random", "scale": (share, share), "stretch": 1.0, "flip": 0.5}
    given = {**crops, "batch_size": sizes.image_batch, "cache": "memory", "normalize": "imagenet"}
    clock = Clock(there)
    found: dict[str, list[tuple[float, float]]] = {"cache": [], "ready": []}
    with tempfile.TemporaryDirectory() as folder, torch.backends.cudnn.flags(enabled=True, benchmark=True):
        paths = list(pictures(Path(folder), sizes.images, sizes.side))
        check_images(there, paths[: sizes.image_batch + 3], given)
        loader = ImageLoader(paths, torch.arange(len(paths)) % CLASSES, device=there, **given)
        step = stepping(resnet18().to(there, memory_format=torch.channels_last), torch.bfloat16)
        ready = list(islice(loader, 2))
        waiting(islice(cycle(ready), 8), step, clock)  # warm
        for _ in range(sizes.rounds):
            found["cache"].append(waiting(loader, step, clock))
            found["ready"].append(waiting(islice(cycle(ready), len(loader)), step, clock))
    value = told("images", found)
    seconds = {name: median(s for _, s in each) for name, each in found.items()}
    rate = len(paths) / seconds["cache"]
    print(f"images {rate:,.0f} a second, decoded images from {loader.threads} threads")
    return value, {"images_per_second": rate, "seconds": seconds, "threads": loader.threads}


def check_images(there: torch.device, paths: list[str], given: dict[str, Any]) -> None:
    """Stop unless batches are those of the CPU."""
    here, loader = (ImageLoader(paths, range(len(paths)), device=each, **given) for each in ("cpu", there))
    for (X, y), (found, labels) in zip(here, loader, strict=True):
        if not (torch.allclose(found.cpu(), X, atol=1e-5) and torch.equal(labels.cpu(), y)):
            raise SystemExit("images: batches differ from those of the CPU; nothing is measured")


def pictures(folder: Path, count: int, side: int) -> Iterator[str]:
    """Write images of smooth colors, and name them."""
    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        path = str(folder / f"{number:05}.jpg")
        cv2.imwrite(path, cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))
        yield path


def stepping(network: nn.Module, dtype: torch.dtype) -> Step:
    """Return one step of training in numbers of a type; nothing in it waits for the device."""
    kind = next(network.parameters()).device.type
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step(X: Tensor, y: Tensor) -> None:
        with torch.autocast(kind, dtype, enabled=dtype != torch.float32):
            loss = nn.functional.cross_entropy(network(X), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def resnet18() -> nn.Module:
    """Build a ResNet-18 for images of 224 x 224: eight residual blocks of 64 to 512 channels."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    width = 64
    for channels in (64, 128, 256, 512):
        layers += [Residual(width, channels, 1 if channels == 64 else 2), Residual(channels, channels, 1)]
        width = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))
