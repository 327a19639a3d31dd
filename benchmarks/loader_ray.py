"""Read a table by Ray Data: its tensor column, with and without its local shuffle.

Ray brings processes of its own. They live only while it is their turn, as children of a fresh process, so
that they take no time from other candidates; Ray's start is no part of an epoch.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from torch import Tensor

from loader_peers import BATCH, BLOCK_ROWS, check, table

SHUFFLED = 10 * BATCH  # rows that Ray draws from: a larger buffer is better shuffled, and slower
NAMES = {"ray shuffled": {"local_shuffle_buffer_size": SHUFFLED}, "ray in order": {}}


def ray_seconds(rows: int, width: int, epochs: int) -> dict[str, list[float]]:
    """Return the seconds of epochs with and without a shuffle, measured in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one:
        return one.submit(_measured, rows, width, epochs).result()


def _measured(rows: int, width: int, epochs: int) -> dict[str, list[float]]:
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_DATA_DISABLE_PROGRESS_BARS="1")
    import ray

    # Ray hands out views of its read-only shared memory; nothing here writes to them.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    X, y = table(rows, width)
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        ray.init(
            address="local",
            num_cpus=os.cpu_count(),
            include_dashboard=False,
            object_store_memory=max(1 << 28, 4 * X.nbytes),
            logging_level="ERROR",
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        try:
            data = _in_store(X, y)
            for name, how in NAMES.items():
                check(name, _batches(data, how), X)  # and Ray's tasks have run once
            for _ in range(epochs):
                for name, how in NAMES.items():
                    start = time.perf_counter()
                    met = sum(len(labels) for _, labels in _batches(data, how))
                    seconds[name].append(time.perf_counter() - start)
                    if met != rows:
                        raise SystemExit(f"{name}: an epoch gave {met} of {rows} rows")
        finally:
            ray.shutdown()
    return seconds


def _in_store(X: Tensor, y: Tensor) -> Any:
    """Return the table in Ray's shared memory, the features as one tensor column."""
    import pyarrow as pa
    import ray.data
    from ray.data.extensions import ArrowTensorArray

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    parts = zip(X.split(BLOCK_ROWS), y.split(BLOCK_ROWS), strict=True)
    blocks = [
        pa.table({"X": ArrowTensorArray.from_numpy(x.numpy()), "y": labels.numpy()}) for x, labels in parts
    ]
    return ray.data.from_arrow(blocks).materialize()


def _batches(data: Any, how: dict[str, int]) -> Iterator[tuple[Tensor, Tensor]]:
    for batch in data.iter_torch_batches(batch_size=BATCH, **how):
        yield batch["X"], batch["y"]
