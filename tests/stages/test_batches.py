"""Where columns stand in a batch, which are one feature, and what is copied to its device."""

import numpy as np
import polars as pl
import pytest
import torch

import tilth
from tilth.errors import StageError
from tilth.stages.batches import Augmentation, rectangles
from tilth.table import Table


class Plain(Augmentation):
    """Do nothing."""

    def __init__(self, *, on=None):
        self.on = on


def learned(frame: pl.DataFrame, y: object = None, **parameters: object) -> Plain:
    return Plain(**parameters).fit_table(Table.of(frame, y))


WIDE = pl.DataFrame(
    {
        "v": pl.Series([[0.0, 1.0], [2.0, 3.0]], dtype=pl.Array(pl.Float32, 2)),
        "city=Oslo": [0, 1],
        "age": [1.0, 2.0],
        "city=Rome": [1, 0],
        "age_missing": [False, True],
        "only_missing": [False, True],
        "=": [1.0, 2.0],
        "list": [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]],
    }
)


def test_columns_that_belong_together_are_one_feature_wherever_they_stand():
    stage = learned(WIDE)
    assert stage.width_ == 11
    assert stage.features_ == 6
    at = stage.block_of(torch.zeros(1, 11)).tolist()
    assert at == [0, 0, 1, 2, 1, 2, 3, 4, 5, 5, 5]
    assert stage.n_blocks == 6


def test_columns_that_are_not_named_have_the_number_after_the_last():
    stage = learned(WIDE, on=["age", "list"])
    assert stage.block_of(torch.zeros(1, 11)).tolist() == [2, 2, 2, 0, 2, 2, 2, 2, 1, 1, 1]
    assert (stage.n_blocks, stage.features_) == (2, 6)


def test_the_names_are_those_that_stages_give():
    raw = pl.DataFrame({"age": [1.0, None, 3.0], "city": ["a", "b", "c"]})
    stages = [tilth.stage("impute.simple", indicator=True), tilth.stage("encode.category")]
    assert learned(tilth.Pipeline(stages).fit_transform(raw)).features_ == 2


@pytest.mark.parametrize(
    "y, classes",
    [
        (None, None),
        (["a", "b", None, "a"], 2),
        ([0, 7, 7, 3], 3),
        ([True, False, True, True], 2),
        ([0.5, 1.0, 2.0, 0.5], None),
    ],
)
def test_classes_are_counted_as_a_loader_counts_them(y, classes):
    assert learned(pl.DataFrame({"a": [1.0] * 4}), y).n_classes_ == classes


def test_what_is_held_is_copied_to_a_device_once_and_forgotten_by_the_next_fit():
    stage = learned(WIDE)
    X, calls = torch.zeros(1, 11), []
    make = lambda: calls.append(1) or [1.0]
    assert stage.held(X, "key", make) is stage.held(X, "key", make)
    assert stage.held(X.to("meta"), "key", make).device.type == "meta"
    assert len(calls) == 2
    narrow = stage.fit_table(Table.of(WIDE.select("age")))
    assert narrow.block_of(torch.zeros(1, 1)).tolist() == [0]


def test_a_batch_of_another_shape_or_type_is_refused():
    stage = learned(WIDE)
    assert stage.enter([torch.zeros(3, 11, dtype=torch.uint8)]).shape == (3, 11)
    with pytest.raises(StageError, match=r"is not fitted.*a pipeline's loader does so"):
        Plain().enter([torch.zeros(3, 2)])
    with pytest.raises(StageError, match=r"fitted on 11 columns.*\(3, 2\)"):
        stage.enter([torch.zeros(3, 2)])
    with pytest.raises(StageError, match=r"\(3, 11, 1\)"):
        stage.enter([torch.zeros(3, 11, 1)])
    stage.__class__ = type("Floating", (Plain,), {"floating": True})
    with pytest.raises(StageError, match=r"X\.float\(\)"):
        stage.enter([torch.zeros(3, 11, dtype=torch.int64)])


def test_labels_become_shares_in_the_precision_of_the_features():
    stage = learned(pl.DataFrame({"a": [1.0] * 3}), ["a", "b", "c"])
    y, partner, share = torch.tensor([0, 2]), torch.tensor([1, 0]), torch.tensor([0.75, 1.0])
    for dtype, told in ((torch.float64,) * 2, (torch.float32,) * 2, (torch.uint8, torch.float32)):
        (mixed,) = stage.mixed_roles((torch.zeros(2, 1, dtype=dtype), y), partner, share)
        assert mixed.dtype == told
        assert mixed.tolist() == [[0.75, 0, 0.25], [0, 0, 1.0]]
    kept = list(
        stage.mixed_roles((torch.zeros(2, 1), y, torch.tensor([1.0, 2.0])), partner, share, labels=False)
    )
    assert kept[0] is y
    np.testing.assert_allclose(kept[1], [1.25, 2.0])


KEYS = ("augment.cutmix", "augment.jitter", "augment.mixup", "augment.swap")


@pytest.mark.parametrize("parameters", [{}, {"within": "class", "on": ["a", "b"]}])
@pytest.mark.parametrize("key", KEYS)
def test_nothing_is_read_back_from_the_device_of_a_batch(key: str, parameters: dict[str, object]):
    """Tensors without data cannot be read: whatever made the host wait for a GPU would raise here."""
    if key == "augment.jitter":
        parameters = {name: value for name, value in parameters.items() if name != "within"}
    frame = pl.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), schema=["a", "b", "c"])
    stage = tilth.stage(key, **parameters).fit(frame, ["p", "q", "r"] * 3)
    batch = torch.zeros(9, 3), torch.arange(9) % 3, torch.ones(9)
    out = stage.augment(tuple(part.to("meta") for part in batch))
    here = stage.augment(batch, torch.Generator().manual_seed(0))
    assert [part.device.type for part in out] == ["meta"] * 3
    assert [(part.shape, part.dtype) for part in out] == [(part.shape, part.dtype) for part in here]


@pytest.mark.parametrize("key", ["augment.cutmix", "augment.mixup"])
def test_nothing_is_read_back_from_the_device_of_a_batch_of_images(key: str):
    batch = torch.zeros(9, 3, 4, 4), torch.arange(9) % 3, torch.ones(9)
    for parameters in ({}, {"within": "class", "per": "batch"}):
        stage = tilth.stage(key, n_classes=3, **parameters)
        out = stage.augment(tuple(part.to("meta") for part in batch))
        here = stage.augment(batch, torch.Generator().manual_seed(0))
        assert [(part.shape, part.dtype) for part in out] == [(part.shape, part.dtype) for part in here]


@pytest.mark.parametrize("key", ["augment.jitter", "augment.swap"])
def test_stages_of_columns_say_which_change_images(key: str):
    stage = tilth.stage(key).fit(pl.DataFrame({"a": [1.0, 2.0]}), ["p", "q"])
    with pytest.raises(
        StageError, match=rf"{key}: works on rows of columns.*\(2, 3, 4, 4\).*augment\.pixels"
    ):
        stage.augment((torch.zeros(2, 3, 4, 4), torch.zeros(2)))


def test_rectangles_are_cut_off_at_the_edges():
    X = torch.zeros(3, 1, 4, 5)
    corners = [torch.tensor(side) for side in ([-1, 1, 3], [2, 2, 9], [0, 4, 0], [2, 3, 0])]
    inside = rectangles(*corners, X)
    assert inside.shape == (3, 1, 4, 5)
    assert inside[0, 0].nonzero().tolist() == [[0, 0], [0, 1]]
    assert inside[1, 0].nonzero().tolist() == [[1, 4], [2, 4]]
    assert not inside[2].any()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("key", KEYS)
def test_batches_are_augmented_on_the_gpu_by_its_own_generator(key: str):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(500, 4)).astype(np.float32), random.integers(0, 3, 500)
    stage = tilth.stage(key).fit(X, y)
    batch = tuple(torch.as_tensor(part, device="cuda") for part in (X, y))
    one, again, other = (stage.augment(batch, torch.Generator("cuda").manual_seed(s)) for s in (0, 0, 1))
    assert all(part.is_cuda for part in one)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert torch.equal(batch[0].cpu(), torch.as_tensor(X))
    np.testing.assert_allclose(one[0].mean(0).cpu(), X.mean(0), atol=0.2)
