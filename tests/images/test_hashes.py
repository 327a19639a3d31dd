"""Hashes are those of the package ImageHash; near ones are found as a loop over all pairs finds them."""

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tilth.images import hashes
from tilth.images.hashes import SIDE, STEPS, dhash, fingerprints, near, near_parts, phash, rings, unpacked


def scene(seed, height=60, width=80, channels=3):
    """Draw a picture with coarse and fine detail."""
    rng = np.random.default_rng(seed)
    sizes = ((3, 4), (8, 10), (20, 27))
    parts = [
        cv2.resize(rng.normal(0, s, (*size, channels)), (width, height), interpolation=cv2.INTER_CUBIC)
        for size, s in zip(sizes, (50, 25, 12), strict=True)
    ]
    made = np.clip(sum(parts) + 128, 0, 255).astype(np.uint8)
    return made.reshape(height, width) if channels == 1 else made


def by_loops(values, radius):
    apart = np.array([[(int(a) ^ int(b)).bit_count() for b in values] for a in values])
    apart = apart.reshape(len(values), len(values))
    return np.argwhere(np.triu(apart <= radius, 1))


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (33, 31), (60, 80), (128, 171), (16, 200)])
def test_hashes_are_those_of_imagehash(shape):
    peer = pytest.importorskip("imagehash")
    same = 0
    for seed in range(20):
        grey = scene(seed, shape[0], shape[1], 1)
        image = Image.fromarray(grey)
        for ours, theirs in ((dhash(grey), peer.dhash(image)), (phash(grey), peer.phash(image))):
            differ = ours ^ int(str(theirs), 16)
            # Pixels and shares that are equal to rounding may fall on either side.
            assert differ.bit_count() <= 2
            same += differ == 0
    assert same >= 38


def test_many_at_once_are_the_same_as_each_alone():
    pixels = np.stack([scene(seed) for seed in range(5)])
    phashes, dhashes, thumbs = fingerprints(pixels)
    for at, one in enumerate(pixels):
        grey = cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)
        assert (phashes[at], dhashes[at]) == (phash(grey), dhash(grey))
        assert fingerprints(one[None])[2][0] == thumbs[at]


def test_a_grey_picture_in_three_channels_is_that_picture():
    grey = scene(3, channels=1)[None]
    one, other = fingerprints(grey), fingerprints(np.repeat(grey[..., None], 3, axis=3))
    assert one[0] == other[0] and one[1] == other[1] and one[2] == other[2]


def test_a_flat_picture_has_one_bit_whatever_its_level():
    for level in (1, 90, 255):
        flat = np.full((40, 50), level, np.uint8)
        assert phash(flat) == 1 << 63 and dhash(flat) == 0
    assert phash(np.zeros((40, 50), np.uint8)) == 0


def test_thumbnails_hold_the_slowest_cosines():
    grey = scene(1, 32, 32, channels=1)
    (spectra, tints) = unpacked(pl.Series(fingerprints(grey[None])[2]))
    exact = cv2.dct(grey.astype(np.float64)).ravel()
    along = int(np.ceil(hashes.RINGS[-1]))
    places = [(at // along) * SIDE + at % along for at in np.concatenate(rings())]
    assert np.abs(spectra[0] / STEPS - exact[places]).max() <= 0.5 / STEPS + 1e-6
    assert (tints == 128).all()


def test_tints_tell_red_from_blue():
    red, blue = np.zeros((2, 1, 20, 20, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    (_, ours), (_, others) = (unpacked(pl.Series(fingerprints(p)[2])) for p in (red, blue))
    assert ours[0, :16].max() < 128 < ours[0, 16:].min()
    assert others[0, 16:].max() < 128 < others[0, :16].min()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 16), st.integers(0, 60))
def test_all_pairs_are_found_once(seed, radius, count):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**64, count, dtype=np.uint64)
    if count:
        # Copies with some bits turned, so that there are pairs at every distance.
        more = values[rng.integers(0, count, 2 * count)]
        for _ in range(radius + 2):
            turned = rng.random(len(more)) < 0.7
            more[turned] ^= np.uint64(1) << rng.integers(0, 64, turned.sum(), dtype=np.uint64)
        values = np.concatenate([values, more])
    assert np.array_equal(near(values, radius), by_loops(values, radius))


def test_pieces_are_bounded_and_lose_nothing(monkeypatch):
    values = np.random.default_rng(0).integers(0, 4, 200, dtype=np.uint64)
    expected = by_loops(values, 1)
    monkeypatch.setattr(hashes, "PIECE", 100)
    parts = list(near_parts(values, 1))
    assert max(map(len, parts)) <= 100
    found = np.concatenate(parts)
    assert np.array_equal(found[np.lexsort(found.T[::-1])], expected)


def test_no_hash_has_no_pair():
    assert near(np.empty(0, np.uint64), 8).shape == (0, 2)
