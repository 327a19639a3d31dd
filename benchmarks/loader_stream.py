"""Stream a Parquet file that is larger than the memory it is read with: peak memory, rate, and shuffle.

15,500,000 rows of 50 float32 columns, of which 49 are random, so that nothing compresses: 3.1 GB, written
piece by piece in row groups of 100,000 rows, as pyarrow writes them. Each candidate reads the whole file in a
fresh process, which reports its own peak memory, PyTorch included; candidates take turns. Every row has to
come once, with its label, or nothing is compared.

tilth   StreamLoader as it comes: shuffled, windows of 128 MiB, batches of 1,024 rows.
pyarrow dataset.to_batches into torch, in the order of the file, cut into batches of 1,024 rows.
ray     Ray Data, where it is installed, in the order of the file, once. Its memory is that of several
        processes, and is not told.

With --quick, Tilth alone streams 0.6 GB in windows of 131,072 rows (27 MB), and has to stay under 0.6 GB, of
which PyTorch takes a good part.

How well rows are shuffled is measured on where they come from: the scatter of the mean place of a batch in
the file under an exact shuffle, as it is known, by the scatter that was met. 1 is exact; `shuffle_quality`
is what the loader says of itself.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bars import Bar
from loader_peers import peers

WIDTH, BATCH, GROUP = 50, 1024, 100_000
ROWS, QUICK_ROWS, QUICK_BUFFER = 15_500_000, 3_100_000, 131_072
GOAL, QUICK_GOAL = 1.0, 0.6  # GB of memory
ROUNDS = 3

Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def stream(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bar for memory, and the figures of all candidates."""
    rows, goal = (QUICK_ROWS, QUICK_GOAL) if quick else (ROWS, GOAL)
    candidates = [_tilth] if quick else [_tilth, _pyarrow, *([_ray] if peers()["ray"] else [])]
    found: dict[str, list[dict[str, float]]] = {each.__name__.strip("_"): [] for each in candidates}
    with tempfile.TemporaryDirectory(prefix="stream-") as folder:
        file = Path(folder) / "rows.parquet"
        _write(file, rows)
        size = file.stat().st_size / 1e9
        print(f"stream   {rows:,} rows, {size:.2f} GB in one Parquet file")
        if size < (0.6 if quick else 3.0):
            raise SystemExit(f"the file holds {size:.2f} GB, less than it is meant to")
        for turn in range(1 if quick else ROUNDS):
            for each in candidates:
                if each is not _ray or turn == 0:
                    buffer = QUICK_BUFFER if quick else None
                    found[each.__name__.strip("_")].append(_in_process(_epoch, each, file, rows, buffer))
    figures: dict[str, Any] = {"rows": rows, "file, GB": round(size, 3)}
    for name, turns in found.items():
        figures[name] = {key: round(median([turn[key] for turn in turns]), 4) for key in turns[0]}
        told = "  ".join(f"{key} {value:g}" for key, value in figures[name].items())
        print(f"{name:8} {told}  ({len(turns)} epoch{'s' * (len(turns) > 1)})")
    peak = max(turn["peak memory, GB"] for turn in found["tilth"])
    return [Bar("loader.stream/memory", round(peak, 3), goal, peak < goal)], figures


def _in_process(work: Callable[..., Any], *given: Any) -> Any:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        return one.submit(work, *given).result()


def _write(file: Path, rows: int) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(WIDTH)]
    schema = pa.schema([*[(name, pa.float32()) for name in names], ("label", pa.int8())])
    # As a dictionary, numbers of which hardly two are the same would take half as much again.
    with ParquetWriter(file, schema, use_dictionary=["label"]) as writer:
        for start in range(0, rows, GROUP):
            place = np.arange(start, min(start + GROUP, rows))
            # x0 names the row: whole numbers are exact in float32 up to 2**24.
            columns = [place.astype(np.float32)]
            columns += [rng.standard_normal(len(place), dtype=np.float32) for _ in names[1:]]
            writer.write_table(pa.table([*columns, (place % 10).astype(np.int8)], schema=schema))


def _epoch(candidate: Callable[..., tuple[Batches, Any]], file: Path, rows: int, buffer: int | None) -> dict:
    """Read the file once, in this process, and return what it took."""
    before = _peak()
    start = time.perf_counter()
    batches, loader = candidate(file, buffer)
    met, places, first = np.zeros(rows, bool), [], 0.0
    for X, y in batches:
        first = first or time.perf_counter() - start
        row = X[:, 0].numpy().astype(np.int64)
        if X.shape[1] != WIDTH or (y.numpy() != row % 10).any() or met[row].any():
            raise SystemExit(f"{candidate.__name__}: a row came twice, or without its label")
        met[row] = True
        if len(row) == BATCH:
            places.append(row.mean())
    seconds = time.perf_counter() - start
    if not met.all():
        raise SystemExit(f"{candidate.__name__}: {rows - met.sum()} of {rows} rows did not come")
    told = {
        "M rows/s": rows / seconds / 1e6,
        "peak memory, GB": _peak(),
        "of which at the start, GB": before,
        "first batch, s": first,
        "shuffle, measured": min(rows / (12 * BATCH) ** 0.5 / float(np.std(places)), 1.0),
    }
    if candidate is _ray:
        del told["peak memory, GB"], told["of which at the start, GB"]
    if loader is not None:
        told |= {"shuffle, stated": loader.shuffle_quality, "places": loader.places}
    return told


def _tilth(file: Path, buffer: int | None) -> tuple[Batches, Any]:
    from tilth.loaders.stream import StreamLoader

    loader = StreamLoader(file, "label", batch_size=BATCH, device="cpu", buffer_rows=buffer)
    return iter(loader), loader


def _pyarrow(file: Path, buffer: int | None) -> tuple[Batches, Any]:
    from pyarrow import dataset

    def batches() -> Batches:
        for part in dataset.dataset(file).to_batches(batch_size=64 * BATCH):
            *columns, label = (column.to_numpy(zero_copy_only=False) for column in part.columns)
            X, y = torch.from_numpy(np.column_stack(columns)), torch.from_numpy(label.astype(np.int64))
            yield from zip(X.split(BATCH), y.split(BATCH), strict=True)

    return batches(), None


def _ray(file: Path, buffer: int | None) -> tuple[Batches, Any]:
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DATA_DISABLE_PROGRESS_BARS="1")
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.init(
        address="local",
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        object_store_memory=1 << 30,
        logging_level="ERROR",
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=str(file.parent / "ray"),
    )
    ray.data.DataContext.get_current().enable_progress_bars = False

    def batches() -> Batches:
        try:
            for part in ray.data.read_parquet(str(file)).iter_batches(batch_size=BATCH, batch_format="numpy"):
                label = part.pop("label")
                X = torch.from_numpy(np.column_stack(list(part.values())))
                yield X, torch.from_numpy(label.astype(np.int64))
        finally:
            ray.shutdown()

    return batches(), None


def _peak() -> float:
    """Return the most memory that this process has held, in GB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux carries the peak of the parent over into that of getrusage
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
