from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from tilth.errors import TilthError, UnknownName
from tilth.neighbors import Space, nearest
from tilth.neighbors.arrays import NumpyArrays, TorchArrays, arrays_on, lowest


@pytest.mark.parametrize("arrays", [NumpyArrays(), TorchArrays("cpu")])
@pytest.mark.parametrize(("width", "k"), [(3, 5), (10, 10), (500, 7), (2000, 11), (2000, 200)])
def test_the_lowest_of_each_row_are_found_by_groups(arrays, width, k):
    tile = np.random.default_rng(0).integers(0, 60, size=(9, width)).astype(np.float32)
    tile[:, ::5] = np.inf
    values, at = (arrays.back(part) for part in lowest(arrays, arrays.put(tile), k))
    np.testing.assert_array_equal(np.sort(values, axis=1), np.sort(tile, axis=1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(tile, at, 1), values)
    assert all(len(set(row)) == len(row) for row in at.tolist())


def test_the_cpu_needs_no_torch():
    code = (
        "import sys, numpy as np\nfrom tilth.neighbors import Space, nearest\n"
        "nearest(Space(), np.eye(3), np.eye(3), 1)\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_word_that_is_no_device_is_told_with_the_nearest():
    with pytest.raises(UnknownName, match="cuda"):
        nearest(Space(), np.eye(3), np.eye(3), 1, device="cdua")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is present")
def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(TilthError, match="auto"):
        arrays_on("cuda")


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is a better device"
)
def test_auto_is_the_cpu_where_there_is_nothing_better():
    assert isinstance(arrays_on("auto"), NumpyArrays)


def test_products_keep_their_precision_and_the_setting_comes_back():
    torch.set_float32_matmul_precision("medium")
    try:
        with TorchArrays("cpu").exact():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.gpu
@pytest.mark.skipif(
    not (torch.cuda.is_available() or torch.backends.mps.is_available()), reason="needs a CUDA or MPS device"
)
@pytest.mark.parametrize("metric", ["euclidean", "gower"])
def test_a_gpu_finds_what_the_cpu_finds(metric):
    generator = np.random.default_rng(0)
    rows = np.round(generator.normal(size=(3000, 6)), 2)
    rows[:, 5] = generator.integers(0, 5, size=3000)
    rows[generator.random(rows.shape) < 0.1] = np.nan
    space = Space(metric, (False,) * 5 + (True,))
    expected = nearest(space, rows, rows, 9, exclude_self=True)
    found = nearest(space, rows, rows, 9, exclude_self=True, device="auto")
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])
