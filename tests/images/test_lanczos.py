"""Shrinking many pictures at once gives Pillow's pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tilth.images import lanczos
from tilth.images.lanczos import resampled


def by_pillow(grey, height, width):
    made = []
    for one in grey:
        rows = Image.fromarray(one).resize((width, one.shape[0]), Image.Resampling.LANCZOS)
        made.append(np.asarray(rows.resize((width, height), Image.Resampling.LANCZOS)))
    return np.stack(made)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_every_pixel_is_that_of_pillow(high, wide, height, width, seed):
    grey = np.random.default_rng(seed).integers(0, 256, (3, high, wide), dtype=np.uint8)
    assert np.array_equal(resampled(grey, height, width), by_pillow(grey, height, width))


def test_what_the_filter_throws_beyond_black_and_white_is_cut_off():
    grey = np.zeros((1, 40, 40), np.uint8)
    grey[0, 10:30, 10:30] = 255
    small = resampled(grey, 17, 31)
    assert small.min() == 0 and small.max() == 255
    assert np.array_equal(small, by_pillow(grey, 17, 31))


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_large_pictures_come_out_the_same_by_either_way(monkeypatch, limit):
    monkeypatch.setattr(lanczos, "_LARGE", limit)
    grey = np.random.default_rng(0).integers(0, 256, (2, 300, 211), dtype=np.uint8)
    assert np.array_equal(resampled(grey, 32, 32), by_pillow(grey, 32, 32))
