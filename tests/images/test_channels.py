"""Mean and spread of the color channels: as NumPy tells them, in any order, without what cannot be read."""

from __future__ import annotations

import math
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tilth.images.channels import Channels


def written(folder, pixels):
    paths = []
    for number, one in enumerate(pixels):
        paths.append(str(folder / f"{number}.png"))
        Image.fromarray(one).save(paths[-1])
    return paths


def random_pixels(count, side=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def test_mean_and_spread_are_those_of_all_pixels(tmp_path):
    pixels = random_pixels(6)
    found = Channels.of(written(tmp_path, pixels))
    rows = pixels.reshape(-1, 3) / 255
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.std, rows.std(axis=0), atol=1e-9)
    assert (found.count, found.unread) == (6, 0)


@given(st.lists(st.integers(0, 4), max_size=6), st.randoms())
@settings(max_examples=25, deadline=None)
def test_parts_in_any_order_are_the_whole_to_the_last_bit(bounds, shuffled):
    seen = [Channels(1, (a, 2 * a, 3), (a, a, a)) for a in (3**25, 5**17, 7, 0, 11**9)]
    whole = reduce(add, seen)
    cuts = sorted({0, *bounds, len(seen)})
    parts = [reduce(add, seen[i:j], Channels()) for i, j in pairwise(cuts)]
    shuffled.shuffle(parts)
    assert reduce(add, parts, Channels()) == whole


def test_files_read_in_parts_are_the_whole_to_the_last_bit(tmp_path):
    paths = written(tmp_path, random_pixels(7))
    whole = Channels.of(paths)
    assert (
        Channels.of(paths[:3]) + Channels.of(paths[3:4]) + Channels.of([]) + Channels.of(paths[4:]) == whole
    )
    assert Channels.of(paths[::-1], threads=3) == whole
    assert (whole + Channels()).mean == whole.mean


def test_every_image_counts_the_same_whatever_its_size(tmp_path):
    large, small = np.full((40, 40, 3), 255, np.uint8), np.zeros((4, 4, 3), np.uint8)
    found = Channels.of([*written(tmp_path, [large, small])])
    assert found.mean == pytest.approx([0.5] * 3)
    assert found.std == pytest.approx([0.5] * 3)


def test_an_image_counts_as_often_as_it_is_told(tmp_path):
    paths = written(tmp_path, random_pixels(3))
    assert Channels.of(paths, [2, 1, 3]) == Channels.of([paths[i] for i in (0, 0, 1, 2, 2, 2)])


def test_large_images_are_reduced_and_small_ones_are_not(tmp_path):
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 255
    path = written(tmp_path, [checks.astype(np.uint8)])
    assert Channels.of(path).std == pytest.approx([0.5] * 3)
    assert Channels.of(path, side=64).std == pytest.approx([0.5] * 3)
    assert Channels.of(path, side=16).std == pytest.approx([0] * 3, abs=0.01)


def test_grey_images_have_equal_channels(tmp_path):
    found = Channels.of(written(tmp_path, random_pixels(2)[..., 0]))
    assert len(set(found.mean)) == len(set(found.std)) == 1


def test_what_cannot_be_read_is_counted_and_left_out(tmp_path):
    paths = written(tmp_path, random_pixels(2))
    text = tmp_path / "text.png"
    text.write_text("no image")
    found = Channels.of([*paths, str(text), str(tmp_path / "absent.png")], [1, 1, 4, 1])
    assert (found.count, found.unread) == (2, 5)
    assert found.mean == Channels.of(paths).mean
    nothing = Channels.of([str(text)])
    assert all(map(math.isnan, nothing.mean + nothing.std))
    assert Channels.of(paths, max_pixels=143).count == 0


def test_what_was_read_is_remembered_until_the_file_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    paths = written(tmp_path, random_pixels(3))
    first = Channels.of(paths)
    monkeypatch.setattr("tilth.images.channels.decode", lambda *_, **__: pytest.fail("read again"))
    assert Channels.of(paths) == first
    with pytest.raises(pytest.fail.Exception):
        Channels.of(paths, side=8)
    with pytest.raises(pytest.fail.Exception):
        Channels.of(paths, cache=False)


def test_progress_is_told(tmp_path):
    told: list[str] = []
    Channels.of(written(tmp_path, random_pixels(3)), progress=told.append)
    assert told[-1].startswith("3 of 3 images")
