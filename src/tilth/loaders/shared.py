"""Arrays in memory that processes share."""

from __future__ import annotations

from math import prod
from multiprocessing import RawArray
from multiprocessing.context import get_spawning_popen
from typing import Any

import numpy as np


class SharedArray:
    """Hold an array whose memory is shared with processes that are started with it.

    Its memory has no name, so that nothing is left of it when the last of these processes has ended, however
    that happens. A copy made by pickling or copying for any other purpose has memory of its own.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy type

    Examples
    --------
    >>> SharedArray((2, 3), np.uint8).array.tolist()
    [[0, 0, 0], [0, 0, 0]]
    """

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._shape, self._dtype = shape, np.dtype(dtype)
        # The standard library takes shared memory where there is enough of it, else a file without a name.
        self._memory: Any = RawArray("B", max(1, prod(shape) * self._dtype.itemsize))

    @property
    def array(self) -> np.ndarray:
        """The array."""
        return np.frombuffer(self._memory, self._dtype, prod(self._shape)).reshape(self._shape)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if get_spawning_popen() is None:
            state["_memory"] = bytes(self._memory)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._memory, bytes):
            copied, self._memory = self._memory, RawArray("B", len(self._memory))
            self._memory[:] = copied
