"""Memory that processes share: written there, read here, and of nobody else's."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

from tests.loaders.stages_for_workers import put
from tilth.loaders.shared import SharedArray


# A server of forks that this started would not have imported what workers need.
@pytest.mark.parametrize("method", sorted({*multiprocessing.get_all_start_methods()} - {"forkserver"}))
@pytest.mark.parametrize("dtype", [np.uint8, "int64"])
def test_what_a_process_writes_is_there_in_the_one_that_started_it(method, dtype):
    shared = SharedArray((2, 3), dtype)
    process = multiprocessing.get_context(method).Process(target=put, args=(shared, (1, 2), 77))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert shared.array.dtype == dtype and shared.array.tolist() == [[0, 0, 0], [0, 0, 77]]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda shared: pickle.loads(pickle.dumps(shared))])
def test_a_copy_has_memory_of_its_own(copied):
    shared = SharedArray((4,), np.int32)
    shared.array[:] = range(4)
    other = copied(shared)
    assert other.array.dtype == np.int32 and other.array.tolist() == [0, 1, 2, 3]
    other.array[0] = 9
    assert shared.array[0] == 0


def test_no_bytes_are_an_array_too():
    assert SharedArray((0, 5, 3), np.uint8).array.shape == (0, 5, 3)
