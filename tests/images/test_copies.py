"""Copies encoded or resized anew are found; pictures that only look alike, and blank ones, are not."""

import hashlib
import io

import cv2
import numpy as np
import polars as pl
import pytest
from PIL import Image

from tests.images.test_hashes import scene
from tilth.images import copies, hashes
from tilth.images.copies import Copies, groups
from tilth.images.decode import decode
from tilth.images.hashes import fingerprints, near


def encoded(pixels, kind="PNG", scale=1.0, **how):
    image = Image.fromarray(pixels)
    if scale != 1.0:
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC
        )
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def told(files):
    """Return what `properties` tells of files, as far as copies need it; None is an unreadable file."""
    lines = []
    for number, data in enumerate(files):
        if data is None:
            lines.append((f"broken {number}", None, None))
            continue
        (hashed,), _, (thumb,) = fingerprints(decode(data)[None])
        lines.append((hashlib.md5(data).hexdigest(), int(hashed), thumb))
    return pl.DataFrame(
        lines, schema={"digest": pl.String, "phash": pl.UInt64, "thumbnail": pl.Binary}, orient="row"
    )


HOW = [
    {"kind": "JPEG", "quality": 50},
    {"kind": "JPEG", "quality": 95, "scale": 0.5},
    {"kind": "JPEG", "quality": 60, "scale": 1.5},
    {"kind": "PNG", "scale": 0.7},
    {"kind": "WEBP", "quality": 70},
    {"kind": "BMP"},
]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("channels", [1, 3])
def test_copies_encoded_anew_are_found_and_no_others(how, channels):
    scenes = [scene(seed, channels=channels) for seed in range(30)]
    files = [encoded(one) for one in scenes] + [encoded(one, **how) for one in scenes]
    assert groups(told(files)).tolist() == [*range(30), *range(30)]


def alike(seed):
    """Draw one of many pictures of the same coarse shape, as shirts are: their prints differ."""
    shirt = np.zeros((28, 28), np.uint8)
    shirt[4:26, 8:20], shirt[4:10, 3:25] = 160, 160
    cloth = cv2.resize(
        np.random.default_rng(seed).normal(0, 25, (9, 9)), (28, 28), interpolation=cv2.INTER_CUBIC
    )
    return np.where(shirt > 0, np.clip(shirt + cloth, 0, 255), 0).astype(np.uint8)


def test_pictures_that_only_look_alike_are_told_apart_where_hashes_do_not():
    pictures = [alike(seed) for seed in range(60)]
    files = [encoded(one) for one in pictures] + [encoded(one, "JPEG", quality=80) for one in pictures[:10]]
    frame = told(files)
    candidates = len(near(frame["phash"].to_numpy()[:60], 8))
    assert candidates > 10
    assert groups(frame).tolist() == [*range(60), *range(10)]


def test_blank_pictures_are_copies_only_byte_for_byte():
    rng = np.random.default_rng(0)
    blank = [np.full((40, 40), level, np.uint8) for level in (0, 3, 255, 254)]
    blank += [np.clip(rng.normal(200, 1.5, (40, 40)), 0, 255).astype(np.uint8) for _ in range(4)]
    files = [encoded(one) for one in blank]
    again = encoded(blank[0], "BMP")
    assert groups(told([*files, files[2], again])).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 2, 8]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p[:, ::-1],
        lambda p: p[::-1],
        lambda p: np.rot90(p, 2),
        lambda p: p[8:, 10:],
        lambda p: p[..., [2, 1, 0]],
        lambda p: np.clip(p.astype(int) + 25, 0, 255).astype(np.uint8),
        lambda p: 255 - p,
    ],
    ids=["mirrored", "upside down", "turned", "cut", "recolored", "lighter", "negative"],
)
def test_changed_pictures_are_no_copies(change):
    files = [encoded(scene(seed)) for seed in range(8)]
    files += [encoded(np.ascontiguousarray(change(scene(seed)))) for seed in range(8)]
    assert groups(told(files)).tolist() == list(range(16))


def test_distance_grows_with_what_encoding_takes_away():
    picture = scene(4, channels=1)
    apart = []
    for quality in (95, 70, 30):
        copies = Copies.find(
            told([encoded(picture), encoded(picture, "JPEG", quality=quality)]), threshold=1.0
        )
        apart.append(float(copies.apart[0]))
    assert apart == sorted(apart) and 0 < apart[0] < 0.02
    strict = Copies.find(
        told([encoded(picture), encoded(picture, "JPEG", quality=30)]), threshold=apart[2] * 0.9
    )
    assert not len(strict.i)


def test_a_radius_of_zero_compares_equal_hashes_only():
    frame = told([encoded(scene(seed)) for seed in range(3)])
    near = frame[[0, 0, 1]].with_columns(
        pl.Series("digest", ["a", "b", "c"]), pl.Series("phash", [5, 4, 5], dtype=pl.UInt64)
    )
    assert groups(near, radius=0).tolist() == [0, 1, 2]
    assert groups(near, radius=1).tolist() == [0, 0, 1]


def test_exact_only():
    picture = encoded(scene(0))
    files = [picture, encoded(scene(0), "BMP"), picture, None, None]
    assert groups(told(files), radius=None).tolist() == [0, 1, 0, 2, 3]
    assert groups(told(files)).tolist() == [0, 0, 0, 1, 2]


def test_files_that_cannot_be_read_are_alone_and_broken_ones_may_be_exact_copies():
    frame = pl.DataFrame(
        {"digest": ["x", None, "x", None], "phash": [None] * 4, "thumbnail": [None] * 4},
        schema={"digest": pl.String, "phash": pl.UInt64, "thumbnail": pl.Binary},
    )
    assert groups(frame).tolist() == [0, 1, 0, 2]
    assert groups(frame.clear()).tolist() == []


def test_chains_are_followed_in_groups_and_told_as_pairs():
    picture = scene(2, channels=1)
    soft = [cv2.GaussianBlur(picture, (0, 0), s) if s else picture for s in (0, 1.2, 2.6)]
    frame = told([encoded(one) for one in soft])
    wide = Copies.find(frame, threshold=1.0, radius=16)
    apart = dict(zip(zip(wide.i.tolist(), wide.j.tolist(), strict=True), wide.apart.tolist(), strict=True))
    assert len(apart) == 3
    ends = max(apart.values())
    between = sorted(apart.values())[1]
    limit = (ends + between) / 2
    some = Copies.find(frame, threshold=limit, radius=16)
    assert len(some.i) == 2 and some.together().tolist() == [0, 0, 0]


def test_the_order_of_rows_changes_nothing_but_numbers():
    scenes = [scene(seed) for seed in range(12)]
    frame = told([encoded(one) for one in scenes] + [encoded(one, "JPEG", quality=70) for one in scenes])
    order = np.random.default_rng(1).permutation(24)
    one, other = groups(frame)[order], groups(frame[order])
    assert np.array_equal(one[:, None] == one, other[:, None] == other)
    assert np.array_equal(
        np.unique(other, return_index=True)[1], np.sort(np.unique(other, return_index=True)[1])
    )


def test_very_many_copies_of_one_picture_are_told_as_one_set(monkeypatch):
    rng = np.random.default_rng(0)
    frames = [
        np.clip(scene(3) + rng.normal(0, 2, scene(3).shape), 0, 255).astype(np.uint8) for _ in range(40)
    ]
    frame = told([encoded(one) for one in [*frames, scene(4), scene(5)]])
    every = Copies.find(frame)
    assert len(every.i) > 500
    expected = every.together()
    monkeypatch.setattr(copies, "MOST", 50)
    monkeypatch.setattr(hashes, "PIECE", 20)
    few = Copies.find(frame)
    assert not len(few.i) and len(np.unique(few.unit)) == 3
    assert np.array_equal(few.together(), expected) and np.array_equal(few.exact, every.exact)
    monkeypatch.setattr(copies, "MOST", 10_000)
    assert len(Copies.find(frame).i) == len(every.i)
