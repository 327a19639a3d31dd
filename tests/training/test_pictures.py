"""Batches of images in memory: normalized, in an order that rows keep, each changed once an epoch."""

import numpy as np
import torch

from tilth.training.pictures import Channels, Images


def images(rows=23, seed=0, **options):
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (rows, 6, 5, 3)).astype(np.uint8)
    at = np.arange(rows)
    given = {"batch_size": 4, "device": torch.device("cpu"), **options}
    source = Images(
        pixels,
        torch.arange(rows),
        torch.ones(rows),
        given.pop("ids", np.arange(100, 100 + rows, dtype=np.uint64)),
        Channels.of(pixels),
        given.pop("training", at[:-2]),
        given.pop("validation", at[-2:]),
        **given,
    )
    return pixels, source


def test_channels_are_those_of_numpy_and_come_out_standardized():
    pixels, source = images()
    flat = pixels.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(source.channels.mean, flat.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(source.channels.std, flat.std(axis=0), rtol=1e-6)
    made = source.channels.tensor(pixels)
    assert made.shape == (23, 3, 6, 5)
    assert made.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(made.mean(dim=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(dim=(0, 2, 3), correction=0), 1, atol=1e-5)
    flat = Channels.of(np.full((2, 4, 4, 3), 9, np.uint8))
    assert flat.std.tolist() == [1.0] * 3


def test_an_epoch_meets_each_training_row_once_in_an_order_of_its_own():
    pixels, source = images(training=np.arange(20), validation=np.arange(20, 23))
    first, second = ([row for batch in source.batches(e) for row in batch.target.tolist()] for e in (0, 1))
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert source.steps == 5
    assert source.validation.target.tolist() == [20, 21, 22]
    batch = next(source.batches(0))
    assert torch.equal(batch.X, source.channels.tensor(pixels[batch.target.numpy()]))


def test_the_order_of_rows_does_not_depend_on_which_others_there_are():
    _, source = images()
    rows = [row for batch in source.batches(3) for row in batch.target.tolist()]
    _, fewer = images(training=np.arange(0, 21, 2))
    left = [row for batch in fewer.batches(3) for row in batch.target.tolist()]
    assert left == [row for row in rows if row % 2 == 0][: len(left)]


def test_a_last_batch_of_one_row_is_dropped_and_none_without_validation():
    _, source = images(training=np.arange(21), validation=np.arange(0))
    assert [len(batch.X) for batch in source.batches(0)] == [4] * 5
    assert source.steps == 5
    assert source.validation is None


def test_changes_get_row_epoch_and_label_and_do_not_touch_the_source():
    seen = []

    def change(pixels, row, epoch, label):
        seen.append((row, epoch, label))
        return np.zeros_like(pixels)

    pixels, source = images(
        change=change, labels=[f"l{n}" for n in range(23)], threads=2, training=np.arange(20)
    )
    kept = pixels.copy()
    for batch in source.batches(5):
        assert (batch.X[0, :, :1, :1] == batch.X).all()
    assert sorted(seen) == [(100 + n, 5, f"l{n}") for n in range(20)]
    assert np.array_equal(pixels, kept)
    assert not (source.validation.X[0, :, :1, :1] == source.validation.X).all()
