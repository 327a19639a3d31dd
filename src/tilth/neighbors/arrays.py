"""Where the arithmetic of a search runs: NumPy on the CPU, torch on other devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tilth.errors import TilthError, UnknownName

# Columns stand in this many rows of groups when the lowest are looked for.
GROUP = 32


class NumpyArrays:
    """Hold arrays in main memory, and reuse the large ones: fresh memory costs more than the arithmetic.

    One thread at a time.
    """

    lib: Any = np
    tile_bytes = 8 << 20  # stays in the caches between one pass and the next

    def __init__(self) -> None:
        self._held: dict[tuple[str, np.dtype[Any]], np.ndarray] = {}

    def put(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        return np.ascontiguousarray(array)

    def back(self, array: Any) -> np.ndarray:
        """Bring an array back to main memory."""
        return np.asarray(array)

    def room(self, name: str, shape: tuple[int, int], dtype: Any) -> Any:
        """Return an array to write to; its content is lost at the next call for the same name."""
        size, key = shape[0] * shape[1], (name, np.dtype(dtype))
        if key not in self._held or self._held[key].size < size:
            self._held[key] = np.empty(size, dtype)
        return self._held[key][:size].reshape(shape)

    def along(self, array: Any, at: Any) -> Any:
        """Take from each row the places in `at`."""
        return np.take_along_axis(array, at, 1)

    def equal(self, a: Any, b: Any) -> Any:
        """Compare, as bytes of 0 and 1; written over by the next call."""
        out = self.room("same", np.broadcast_shapes(a.shape, b.shape), np.bool_)
        return np.equal(a, b, out=out).view(np.uint8)

    def lowest(self, array: Any, k: int) -> Any:
        """Return the places of the `k` lowest of each row, in any order."""
        if k >= array.shape[1]:
            return np.broadcast_to(np.arange(array.shape[1]), array.shape)
        return np.argpartition(array, k - 1, axis=1)[:, :k]

    def count(self, first: int, last: int) -> Any:
        """Count from `first` up to `last`."""
        return np.arange(first, last)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Keep products to the precision of their type."""
        yield


class TorchArrays:
    """Hold arrays on a torch device."""

    tile_bytes = 256 << 20

    def __init__(self, device: str) -> None:
        import torch

        self.lib: Any = torch
        self.device = torch.device(device)

    def put(self, array: np.ndarray) -> Any:
        """Bring an array to the device."""
        return self.lib.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def back(self, array: Any) -> np.ndarray:
        """Bring an array back to main memory."""
        return array.cpu().numpy()

    def room(self, name: str, shape: tuple[int, int], dtype: Any) -> Any:
        """Return an array to write to; torch itself keeps memory to use again."""
        return self.lib.empty(shape, dtype=getattr(self.lib, np.dtype(dtype).name), device=self.device)

    def along(self, array: Any, at: Any) -> Any:
        """Take from each row the places in `at`."""
        return self.lib.take_along_dim(array, at, 1)

    def equal(self, a: Any, b: Any) -> Any:
        """Compare, as bytes of 0 and 1."""
        return self.lib.eq(a, b).view(self.lib.uint8)

    def lowest(self, array: Any, k: int) -> Any:
        """Return the places of the `k` lowest of each row, in any order."""
        return self.lib.topk(array, min(k, array.shape[1]), dim=1, largest=False, sorted=False).indices

    def count(self, first: int, last: int) -> Any:
        """Count from `first` up to `last`."""
        return self.lib.arange(first, last, device=self.device)

    @contextmanager
    def exact(self) -> Iterator[None]:
        """Keep products to the precision of their type: no short cuts of the hardware."""
        before = self.lib.get_float32_matmul_precision()
        self.lib.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            self.lib.set_float32_matmul_precision(before)


Arrays = NumpyArrays | TorchArrays


def arrays_on(device: str) -> Arrays:
    """Return the arrays of a device: 'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for the best there is.

    Raises
    ------
    UnknownName
        The word names no device.
    TilthError
        The device is not present.
    """
    kind = str(device).partition(":")[0]
    known = ("auto", "cuda", "mps", "cpu")
    if kind not in known:
        raise UnknownName.among("device", str(device), known)
    if kind == "cpu":
        return NumpyArrays()
    import torch

    here = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind == "auto":
        found = next((name for name, count in here.items() if count), None)
        return TorchArrays(found) if found else NumpyArrays()
    _, _, number = str(device).partition(":")
    if here[kind] <= int(number or 0):
        raise TilthError(
            f"neighbors: device='{device}' was asked for, but torch finds {here[kind]} {kind} devices here. "
            "Use device='auto' to take the best there is."
        )
    return TorchArrays(str(device))


def lowest(arrays: Arrays, tile: Any, k: int) -> tuple[Any, Any]:
    """Return the `k` lowest values of each row and their columns, in any order; all where there are fewer.

    Columns are taken in groups: the k lowest values lie in the k groups whose least values are lowest.
    Finding these takes one vectorized pass, and what is left to select from is short.
    """
    rows, width = tile.shape
    groups = width // GROUP
    if groups < 2 * k:
        at = arrays.lowest(tile, k)
        return arrays.along(tile, at), at
    whole = groups * GROUP
    grouped = tile[:, :whole].reshape(rows, GROUP, groups)
    least = arrays.lib.amin(grouped, 1)
    if isinstance(arrays, NumpyArrays):
        limit = np.partition(least, k - 1, axis=1)[:, k - 1]
        # Where very many are equal, comparing leaves too much to sort.
        if np.isfinite(limit).all() and np.count_nonzero(least <= limit[:, None]) <= 2 * k * rows:
            return _lowest_up_to(limit, grouped, least, tile[:, whole:], k)
    chosen = arrays.lowest(least, k)
    at = (chosen[:, None, :] + arrays.count(0, GROUP)[None, :, None] * groups).reshape(rows, -1)
    if whole < width:
        rest = arrays.lib.broadcast_to(arrays.count(whole, width), (rows, width - whole))
        at = arrays.lib.hstack([at, rest])
    values = arrays.along(tile, at)
    best = arrays.lowest(values, k)
    return arrays.along(values, best), arrays.along(at, best)


def _lowest_up_to(
    limit: np.ndarray, grouped: np.ndarray, least: np.ndarray, rest: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` lowest of each row where at least `k` are no higher than `limit`.

    Few are no higher, and they lie in the few groups whose least value is none: comparing is cheaper than
    selecting.
    """
    n_rows, _, groups = grouped.shape
    row, group = np.nonzero(least <= limit[:, None])
    values = grouped[row, :, group]
    found, member = np.nonzero(values <= limit[row][:, None])
    last, column = np.nonzero(rest <= limit[:, None])
    rows = np.concatenate([row[found], last])
    places = np.concatenate([member * groups + group[found], column + GROUP * groups])
    values = np.concatenate([values[found, member], rest[last, column]])
    order = np.lexsort((values, rows))
    starts = np.searchsorted(rows[order], np.arange(n_rows))
    best = order[starts[:, None] + np.arange(k)]
    return values[best], places[best]
