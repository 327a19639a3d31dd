"""Colors become the numbers that the formula says, and memory is lent out again only when nobody holds it."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from tilth.loaders.normal import Lender, Normal, written

CPU = torch.device("cpu")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 17, 12, 3), dtype=np.uint8)


def formula(mean, std):
    return ((PIXELS / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(
    ("normalize", "mean", "std"),
    [
        (None, (0, 0, 0), (1, 1, 1)),
        ("imagenet", MEAN, STD),
        ((MEAN, STD), MEAN, STD),
        ([[0.1, 0.2, 0.3], [1.0, 2.0, 0.5]], (0.1, 0.2, 0.3), (1, 2, 0.5)),
        ((np.array(MEAN), np.array(STD)), MEAN, STD),
    ],
)
def test_colors_become_the_numbers_of_the_formula_in_both_ways(channels_last, normalize, mean, std):
    normal = Normal(normalize, channels_last, CPU)
    looked_up = np.empty((5, *normal.shape(17, 12)), np.float32)
    for pixels, numbers in zip(PIXELS, looked_up, strict=True):
        normal.look_up(pixels, numbers)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for X in (normal.viewed(torch.from_numpy(looked_up)), normal(torch.from_numpy(PIXELS))):
        assert X.dtype == torch.float32 and X.shape == (5, 3, 17, 12)
        assert X.is_contiguous(memory_format=layout)
        np.testing.assert_allclose(X.numpy(), formula(mean, std), rtol=0, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_short_numbers_are_those_of_float32_rounded_once(channels_last, dtype):
    normal = Normal("imagenet", channels_last, CPU, dtype)
    exact = Normal("imagenet", channels_last, CPU)(torch.from_numpy(PIXELS))
    memory = Lender((5, *normal.shape(17, 12)), 2, dtype)()
    for pixels, numbers in zip(PIXELS, written(memory), strict=True):
        normal.look_up(pixels, numbers)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for X in (normal.viewed(memory), normal(torch.from_numpy(PIXELS))):
        assert X.dtype == dtype
        assert X.is_contiguous(memory_format=layout)
        # Half of the last place and, where float32 fell on the border, all of it.
        torch.testing.assert_close(X, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=0)
        assert (exact.to(dtype) == X).double().mean() > 0.999


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels_last", [True, False])
def test_the_one_kernel_of_cuda_makes_the_same_numbers(channels_last, dtype):
    normal = Normal("imagenet", channels_last, CPU, dtype)
    expected = normal(torch.from_numpy(PIXELS))
    normal.device = torch.device("cuda")  # the same call, on the pixels where they are
    found = normal(torch.from_numpy(PIXELS))
    assert found.stride() == expected.stride()
    assert torch.equal(found, expected)


def test_numbers_are_written_into_the_very_memory_that_was_given():
    # OpenCV makes a new array, in silence, where the one it is given is of another type or shape.
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for channels_last in (True, False):
            normal = Normal(None, channels_last, CPU, dtype)
            memory = torch.full((2, *normal.shape(17, 12)), -1.0, dtype=dtype)
            normal.look_up(PIXELS[0][:, ::-1], written(memory)[1])
            assert (memory[0] == -1).all()
            mirrored = torch.from_numpy(PIXELS[0][:, ::-1].copy())[None]
            torch.testing.assert_close(normal.viewed(memory[1:]), normal(mirrored), rtol=1e-2, atol=1e-6)


@pytest.mark.parametrize(
    "wrong", ["cifar", 1, (0.5, 0.5, 0.5), (MEAN, (1, 0, 1)), (MEAN, (1, np.nan, 1)), (MEAN[:2], STD[:2]), {}]
)
def test_what_does_not_normalize_is_refused(wrong):
    with pytest.raises(ValueError, match="normalize="):
        Normal(wrong, True, CPU)


def test_memory_is_lent_again_when_the_last_that_shares_it_is_gone():
    lend = Lender((4, 3), most=2)
    first = lend()
    where = first.data_ptr()
    row, array = first[2], first.numpy()
    del first
    gc.collect()
    assert lend().data_ptr() != where  # a row and an array hold it
    del row
    assert lend().data_ptr() != where
    del array
    gc.collect()
    again = {tensor.data_ptr() for tensor in [lend(), lend()]}
    assert where in again


def test_memory_that_a_graph_needs_is_not_lent_again():
    lend = Lender((2, 2), most=4)
    weight = torch.ones(2, 2, requires_grad=True)
    losses = []
    for number in range(1, 4):
        batch = lend()
        batch.fill_(number)
        losses.append((batch * weight).sum())
        del batch
    sum(losses).backward()
    assert torch.equal(weight.grad, torch.full((2, 2), 6.0))


def test_no_more_memory_waits_than_was_said():
    lend = Lender((2, 2), most=2)
    lent = [lend() for _ in range(5)]
    assert len({tensor.data_ptr() for tensor in lent}) == 5
    lent.clear()
    gc.collect()
    assert len(lend._waiting) == 2
