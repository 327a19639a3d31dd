"""AugmentPixels: the same done to one image after another is the oracle."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tilth.errors import StageError
from tilth.stages.augment.pixels import ASPECT, TRIES, AugmentPixels
from tilth.table import Roles, Table

STILL = {"flip": 0.0, "shift": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 60, channels: int = 3, height: int = 16, width: int = 24, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, channels, height, width, generator=seeded(seed))


def padded(image: np.ndarray, by: tuple[int, int], border: str) -> np.ndarray:
    mode = {"reflect": "reflect", "edge": "edge", "zero": "constant"}[border]
    return np.pad(image, [(0, 0), (by[0], by[0]), (by[1], by[1])], mode=mode)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["reflect", "edge", "zero"]),
    st.sampled_from([0.0, 0.1, 0.25, 0.49]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(1, 4),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 99),
)
def test_flips_and_shifts_are_those_of_one_image_after_another(
    border, shift, flip, over, channels, height, width, seed
):
    X = images(7, channels, height, width, seed)
    before = X.clone()
    stage = AugmentPixels(flip=flip, flip_vertical=over, shift=shift, border=border)
    (out,) = stage.augment((X,), seeded(seed))
    assert torch.equal(X, before)
    if not (shift or flip or over):
        assert torch.equal(out, X)
        return
    draws = torch.rand(4, 7, generator=seeded(seed))
    most = int(shift * height), int(shift * width)
    for number in range(7):
        upside, left_right, down, across = draws[:, number].tolist()
        top, left = (int(draw * (2 * side + 1)) for draw, side in zip((down, across), most, strict=True))
        wide = padded(X[number].numpy(), most, border)
        wanted = wide[:, top : top + height, left : left + width]
        wanted = wanted[:, ::-1] if upside < over else wanted
        wanted = wanted[:, :, ::-1] if left_right < flip else wanted
        np.testing.assert_array_equal(out[number].numpy(), wanted)


def test_flips_are_drawn_for_each_image_by_itself_and_as_often_as_told():
    X = torch.arange(2.0).expand(4000, 1, 2, 2)
    stage = AugmentPixels(flip=0.3, flip_vertical=0, shift=0)
    flipped = stage.augment((X,), seeded())[0][:, 0, 0, 0] == 1
    assert flipped.double().mean().item() == pytest.approx(0.3, abs=0.03)
    assert abs(np.corrcoef(flipped[1:], flipped[:-1])[0, 1]) < 0.05


def test_all_shifts_are_alike_likely():
    line = torch.arange(32.0).expand(9000, 1, 32, 32)
    out = AugmentPixels(flip=0, shift=0.125, border="zero").augment((line,), seeded())[0]
    shift = (out[:, 0, 16, 16] - 16).long()
    counts = torch.bincount(shift + 4, minlength=9)
    assert len(counts) == 9
    np.testing.assert_allclose(counts / 9000, 1 / 9, atol=0.015)


@pytest.mark.parametrize("fill", ["noise", "zero"])
def test_a_rectangle_is_that_of_one_image_after_another(fill):
    X = torch.full((300, 3, 20, 30), 7.0)
    stage = AugmentPixels(**STILL, erase=0.6, fill=fill, area_least=0.05, area_most=0.9)
    out = stage.augment((X,), seeded(5))[0].numpy()
    draws = torch.rand(1 + 4 * TRIES, 300, generator=seeded(5)).numpy()
    erased = 0
    for number in range(300):
        chance, tries = draws[0, number], draws[1:, number].reshape(4, TRIES)
        box = None
        for area, aspect, down, across in tries.T if chance < 0.6 else ():
            area, aspect = np.float32((0.05 + 0.85 * area) * 600), np.exp((2 * aspect - 1) * ASPECT)
            tall, wide = round(float(np.sqrt(area * aspect))), round(float(np.sqrt(area / aspect)))
            if tall < 20 and wide < 30:
                box = int(down * (20 - tall + 1)), int(across * (30 - wide + 1)), tall, wide
                break
        inside = np.zeros((20, 30), bool)
        if box:
            inside[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = True
            erased += 1
        assert np.array_equal((out[number] != 7).all(0), inside)
        assert (out[number][:, ~inside] == 7).all()
    assert 120 < erased < 200
    noise = out[out != 7]
    assert noise.std() == pytest.approx(1 if fill == "noise" else 0, abs=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.02)


def test_the_erased_share_lies_between_its_bounds():
    X = torch.ones(500, 1, 64, 64)
    stage = AugmentPixels(**STILL, erase=1.0, fill="zero", area_least=0.1, area_most=0.2)
    gone = (stage.augment((X,), seeded())[0] == 0).double().mean(dim=(1, 2, 3))
    assert gone.min() > 0.09
    assert gone.max() < 0.21
    assert gone.mean().item() == pytest.approx(0.15, abs=0.01)


def test_light_is_changed_about_the_mean_of_each_channel():
    X = images(400).double()
    (out,) = AugmentPixels(**STILL, brightness=0.5, contrast=0.4).augment((X,), seeded())
    more = (out.mean(dim=(2, 3)) - X.mean(dim=(2, 3))).numpy()
    stretch = (out.std(dim=(2, 3)) / X.std(dim=(2, 3))).numpy()
    np.testing.assert_allclose(more, np.repeat(more[:, :1], 3, 1), atol=1e-9)
    np.testing.assert_allclose(stretch, np.repeat(stretch[:, :1], 3, 1), atol=1e-9)
    for values, middle, most in ((more[:, 0], 0, 0.5), (stretch[:, 0], 1, 0.4)):
        assert np.abs(values - middle).max() <= most
        assert values.mean() == pytest.approx(middle, abs=most * 0.1)
        assert values.std() == pytest.approx(most / np.sqrt(3), rel=0.1)
    assert abs(np.corrcoef(more[:, 0], stretch[:, 0])[0, 1]) < 0.15


ALL = {"flip_vertical": 0.5, "erase": 0.5, "brightness": 0.2, "contrast": 0.2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_type_and_layout_of_memory_are_kept(dtype, layout):
    X = images().to(dtype).to(memory_format=layout)
    y, weight = torch.arange(60) % 3, torch.rand(60, generator=seeded())
    one, again, other = (AugmentPixels(**ALL).augment((X, y, weight), seeded(s)) for s in (3, 3, 4))
    assert one[0].dtype == dtype
    assert one[0].shape == X.shape
    assert one[0].is_contiguous(memory_format=layout)
    assert torch.equal(one[0], again[0])
    assert not torch.equal(one[0], other[0])
    assert one[1] is y
    assert one[2] is weight
    assert one[0].isfinite().all()


def test_layouts_of_memory_give_the_same_images():
    X = images()
    one, two = (
        AugmentPixels(**ALL).augment((X.to(memory_format=layout),), seeded())[0]
        for layout in (torch.contiguous_format, torch.channels_last)
    )
    torch.testing.assert_close(one, two)


def test_whole_numbers_can_be_moved_but_not_lit():
    X = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8, generator=seeded())
    (out,) = AugmentPixels(flip=1, shift=0).augment((X,), seeded())
    assert torch.equal(out, X.flip(3))
    for how in ({"brightness": 0.1}, {"erase": 0.5}):
        with pytest.raises(StageError, match=r"augment\.pixels: the batch holds torch\.uint8.*X\.float\(\)"):
            AugmentPixels(**how).augment((X,), seeded())
    assert AugmentPixels(erase=0.5, fill="zero").augment((X,), seeded())[0].dtype == torch.uint8


@pytest.mark.parametrize(
    "shape, told", [((9, 3), "Pass batches of images"), ((9, 8, 8, 3), r"X\.permute\(0, 3, 1, 2\)")]
)
def test_what_is_no_batch_of_images_is_refused(shape, told):
    with pytest.raises(StageError, match=rf"augment\.pixels: changes images of shape.*{told}"):
        AugmentPixels().augment((torch.zeros(shape),), seeded())


def test_a_table_without_images_is_left_alone_and_that_is_told():
    frame = pl.DataFrame({"a": [1.0, 2.0]})
    stage, X = AugmentPixels().fit(frame), torch.rand(2, 1)
    assert [found.kind for found in stage.findings_] == ["augment.no_image"]
    assert stage.augment((X,), seeded())[0] is X
    rows = Table.of(pl.DataFrame({"path": ["a.png", "b.png"]}), roles=Roles(image="path"))
    stage, X = AugmentPixels(flip=1, shift=0).for_batches(rows), images(2)
    assert stage.findings_ == []
    assert torch.equal(stage.augment((X,), seeded())[0], X.flip(3))
    assert AugmentPixels(on=[]).for_batches(rows).augment((X,), seeded())[0] is X


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("fill", ["noise", "zero"])
def test_nothing_is_read_back_from_the_device_of_a_batch(fill, layout):
    X = images().to("meta").to(memory_format=layout)
    for how in ({}, STILL):
        (out,) = AugmentPixels(**(ALL | how), fill=fill, border="zero").augment((X,))
        assert out.device.type == "meta"
        assert out.shape == X.shape
        assert out.is_contiguous(memory_format=layout)


class Made(TorchDispatchMode):
    """Count the batches of numbers for which memory is taken."""

    def __init__(self, X: torch.Tensor) -> None:
        super().__init__()
        self.cells, self.kept, self.count = X.numel(), [X.untyped_storage()], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.is_floating_point() and out.numel() >= self.cells:
            memory = out.untyped_storage()
            self.count += memory._cdata not in [kept._cdata for kept in self.kept]
            self.kept.append(memory)
        return out


@pytest.mark.parametrize(
    "how, batches",
    [
        ({}, 1),
        ({"border": "zero", "flip_vertical": 0.5}, 1),
        (STILL | {"brightness": 0.1}, 1),
        (STILL | {"brightness": 0.1, "contrast": 0.1}, 1),
        (STILL | {"erase": 0.5, "fill": "zero"}, 1),
        ({"border": "zero", "erase": 0.5, "fill": "zero"}, 1),
        ({"erase": 0.5, "fill": "zero", "contrast": 0.1}, 2),
        ({"erase": 0.5, "fill": "noise"}, 3),
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_on_a_device_memory_is_taken_for_few_batches(how, batches, layout):
    X = images(8, height=64, width=64).to("meta").to(memory_format=layout)
    with Made(X) as made:
        AugmentPixels(**how).augment((X,))
    # Noise is drawn channels last, and what it is part of is put in the other order where that is asked for.
    plain = how.get("fill") == "noise" and layout == torch.contiguous_format
    assert made.count == batches + plain


def test_an_empty_batch_stays_empty():
    X = images()[:0]
    assert AugmentPixels(**ALL).augment((X,), seeded())[0].shape == X.shape


@pytest.mark.parametrize("fill", ["noise", "zero"])
def test_a_batch_that_is_only_erased_is_not_changed_itself(fill):
    X = images().to(memory_format=torch.channels_last)
    before = X.clone()
    (out,) = AugmentPixels(**STILL, erase=1.0, fill=fill).augment((X,), seeded())
    assert torch.equal(X, before)
    assert not torch.equal(out, before)
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_are_changed_on_the_gpu_by_its_own_generator():
    X = images().to("cuda", torch.float16, memory_format=torch.channels_last)
    one, again, other = (
        AugmentPixels(**ALL).augment((X,), torch.Generator("cuda").manual_seed(s))[0] for s in (0, 0, 1)
    )
    assert one.is_cuda
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.isfinite().all()
