"""Vectors of edges and colors: the same for the same picture, near where pictures look alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.images.decode import resized
from tilth.images.histograms import SIDE, WIDTH, histograms


def stripes(angle: float, low: int = 40, high: int = 200) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    on = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 0.8) > 0
    return np.repeat(np.where(on, high, low).astype(np.uint8)[:, :, None], 3, axis=2)


def flat(*color: int) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), color, np.uint8)


def far(one: np.ndarray, two: np.ndarray) -> float:
    a, b = histograms(np.stack([one, two]))
    return float(np.linalg.norm(a - b))


def test_a_vector_is_of_fixed_width_and_finite():
    made = histograms(np.stack([flat(0, 0, 0), flat(255, 255, 255), stripes(0.3)]))
    assert made.shape == (3, WIDTH)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_a_picture_has_the_same_vector_alone_and_among_others():
    pictures = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    whole = histograms(pictures)
    alone = np.vstack([histograms(picture[None]) for picture in pictures])
    np.testing.assert_array_equal(whole, alone)


def test_direction_tells_pictures_apart_and_contrast_hardly():
    cells = slice(0, WIDTH - 112)
    strong, weak, across = histograms(np.stack([stripes(0.0), stripes(0.0, 80, 160), stripes(np.pi / 2)]))[
        :, cells
    ]
    assert np.linalg.norm(strong - weak) < 0.1 * np.linalg.norm(strong - across)


def test_a_slightly_turned_pattern_is_nearer_than_a_crossing_one():
    steps = [far(stripes(0.4), stripes(0.4 + turn)) for turn in (0.1, 0.4, 1.2)]
    assert steps == sorted(steps)


def test_color_tells_flat_pictures_apart():
    assert far(flat(200, 30, 30), flat(30, 30, 200)) > 3 * far(flat(200, 30, 30), flat(190, 40, 35))


def test_where_a_thing_lies_counts():
    left, right = flat(20, 20, 20), flat(20, 20, 20)
    left[20:40, 5:25], right[20:40, 40:60] = 230, 230
    assert far(left, right) > 0.5 * far(left, flat(20, 20, 20))


def test_a_gradient_of_one_direction_lies_in_its_bin():
    ramp = np.repeat(np.arange(SIDE, dtype=np.uint8)[None, :, None] * 3, SIDE, axis=0).repeat(3, axis=2)
    cells = histograms(ramp[None])[0, : WIDTH - 112].reshape(8, 8, 9)
    # It rises along rows only: angle 0 is all of the first of nine directions.
    assert (cells[..., 0] > 0).all()
    np.testing.assert_allclose(cells[..., 1:], 0, atol=1e-6)


def test_noise_of_one_level_is_no_edge():
    rough = flat(120, 120, 120)
    rough[::2] += 1
    cells = slice(0, WIDTH - 112)
    strong = np.linalg.norm(histograms(stripes(0.7)[None])[0, cells])
    assert np.linalg.norm(histograms(rough[None])[0, cells]) < 0.5 * strong


@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 28, 64, 200]))
@settings(max_examples=15, deadline=None)
def test_any_picture_of_any_size_has_a_bounded_vector(seed: int, size: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size + 3, 3), dtype=np.uint8)
    made = histograms(resized(pixels, SIDE, SIDE)[None])
    assert np.isfinite(made).all()
    assert made.min() >= 0
    assert np.linalg.norm(made) <= 20


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (SIDE, SIDE, 3), (2, SIDE, SIDE)])
def test_another_shape_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="64"):
        histograms(np.zeros(shape, np.uint8))
