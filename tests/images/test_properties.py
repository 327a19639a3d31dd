"""What an image is like in numbers: Pillow and NumPy are the peers, image by image."""

import hashlib
import io
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tilth.images import decode as decoding
from tilth.images import properties as module
from tilth.images.decode import resized
from tilth.images.hashes import dhash, phash
from tilth.images.properties import SCHEMA, SIDE, measure, properties, sharpness

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))


def scenes(count, height, width, seed=0):
    """Make pictures with the fall of detail that photographs have, and edges."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        layers = [
            cv2.resize(rng.normal(size=(height // 2**n + 2, width // 2**n + 2, 3)) * 2**n, (width, height))
            for n in range(5)
        ]
        values = sum(layers)
        x, y = rng.integers(0, width // 2), rng.integers(0, height // 2)
        values[y : y + height // 3, x : x + width // 3] += rng.normal(size=3) * 40
        values = (values - values.min()) / np.ptp(values) * 255
        out.append(values.astype(np.uint8))
    return np.stack(out)


def saved(folder, images, form="png", **options):
    folder.mkdir(exist_ok=True)
    paths = []
    for number, pixels in enumerate(images):
        paths.append(str(folder / f"{number:03d}.{form}"))
        Image.fromarray(pixels).save(paths[-1], **options)
    return paths


def test_the_numbers_are_those_of_pillow_and_numpy(tmp_path):
    images = [*scenes(3, 40, 60), RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)]
    got = properties(saved(tmp_path / "a", images))
    assert got.schema == {"path": pl.String, **SCHEMA} and got["problem"].is_null().all()
    for pixels, line in zip(images, got.iter_rows(named=True), strict=True):
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        assert line["brightness"] == pytest.approx(grey.mean() / 255, rel=1e-5)
        assert line["contrast"] == pytest.approx(grey.std() / 255, rel=1e-5)
        for name, share in (("dark", 99), ("bright", 5)):
            level = np.percentile(grey, share, method="inverted_cdf") / 255
            assert line[name] == pytest.approx(level, abs=1e-6)
        assert line["entropy"] == pytest.approx(Image.fromarray(grey).entropy(), rel=1e-5)
        chroma = np.ptp(pixels.astype(int), axis=2)
        assert line["saturation"] == pytest.approx(chroma.mean() / 255, rel=1e-5)
        assert line["color"] == pytest.approx(
            np.percentile(chroma, 99, method="inverted_cdf") / 255, abs=1e-6
        )
        means = pixels.reshape(-1, 3).mean(axis=0) / 255
        assert [line[c] for c in ("red", "green", "blue")] == pytest.approx(means.tolist(), rel=1e-5)
        data = Path(line["path"]).read_bytes()
        assert line["bytes"] == len(data)
        assert line["digest"] == hashlib.blake2b(data, digest_size=16).hexdigest()
        assert (line["phash"], line["dhash"]) == (phash(grey), dhash(grey)) and line["thumbnail"]
        assert (line["height"], line["width"]) == pixels.shape[:2]
        assert line["aspect"] == pytest.approx(pixels.shape[1] / pixels.shape[0])


@pytest.mark.parametrize("form", ["png", "jpg", "tif"])
def test_a_grey_file_has_the_numbers_of_the_same_in_three_channels(form, tmp_path):
    grey = scenes(1, 40, 50)[0, :, :, 0]
    if form == "jpg":  # what the file shows, without what writing it lost
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "JPEG", quality=90)
        (tmp_path / "one.jpg").write_bytes(file.getvalue())
        shown = np.asarray(Image.open(file))
    else:
        Image.fromarray(grey).save(tmp_path / f"one.{form}")
        shown = grey
    Image.fromarray(np.repeat(shown[:, :, None], 3, axis=2)).save(tmp_path / "three.png")
    got = properties([str(tmp_path / f"one.{form}"), str(tmp_path / "three.png")]).drop(
        "path", "bytes", "digest"
    )
    assert got.row(0) == got.row(1) and got["color"].to_list() == [0, 0]


def test_what_cannot_be_read_says_why_and_the_rest_is_null(tmp_path):
    (whole,) = saved(tmp_path / "a", scenes(1, 30, 40), "jpg")
    data = Path(whole).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.png").write_text("words")
    got = properties([str(tmp_path / "cut.jpg"), whole, str(tmp_path / "text.png"), "no.jpg", None, whole])
    assert got["problem"].to_list() == ["truncated", None, "not an image", "missing", "missing", None]
    measured = got.drop("path", "problem", "bytes", "digest")
    assert all(set(row) == {None} for row in measured.filter(got["problem"].is_not_null()).rows())
    # What the file is can be said of a file that is cut off.
    assert got["bytes"][0] == len(data) // 2 and got["digest"][0] is not None
    assert got.row(1) == got.row(5)


def test_any_number_of_threads_any_company_and_any_order_give_the_same(tmp_path):
    paths = saved(tmp_path / "a", scenes(40, 28, 28), "jpg") + saved(tmp_path / "b", scenes(9, 30, 20))
    whole = properties(paths, threads=1, cache=False)
    assert whole.equals(properties(paths, threads=5, cache=False))
    order = RNG.permutation(len(paths))
    assert whole[order.tolist()].equals(properties([paths[n] for n in order], cache=False))
    alone = pl.concat(properties([path], cache=False) for path in paths)
    assert whole.equals(alone)


def test_what_is_known_is_not_measured_again(tmp_path, monkeypatch):
    paths = saved(tmp_path / "a", scenes(5, 30, 30))
    first = properties(paths)
    asked = []
    monkeypatch.setattr(
        module, "_lines", lambda some, cap, real=module._lines: asked.extend(some) or real(some, cap)
    )
    assert properties(paths).equals(first) and asked == []
    Image.fromarray(scenes(1, 31, 30, seed=9)[0]).save(paths[2])
    again = properties(paths)
    assert asked == [paths[2]] and again["height"].to_list() == [30, 30, 31, 30, 30]
    assert properties(paths, cache=False).equals(again) and len(asked) == 6


def test_the_cap_on_pixels_is_kept_whatever_is_remembered(tmp_path):
    paths = saved(tmp_path / "a", scenes(2, 30, 30))
    assert properties(paths, max_pixels=899)["problem"].to_list() == ["too large"] * 2
    assert properties(paths)["problem"].null_count() == 2
    assert properties(paths, max_pixels=899)["problem"].to_list() == ["too large"] * 2


def test_files_too_large_to_hold_are_measured_from_disk(tmp_path, monkeypatch):
    paths = saved(tmp_path / "a", scenes(2, 40, 30)) + saved(tmp_path / "b", scenes(1, 40, 30), "jpg")
    wanted = properties(paths, cache=False)
    monkeypatch.setattr(decoding, "HELD", 100)
    got = properties(paths, cache=False)
    assert got.drop("sharpness").equals(wanted.drop("sharpness"))
    assert got["sharpness"].to_list() == pytest.approx(wanted["sharpness"].to_list())


def test_progress_counts_images(tmp_path):
    told = []
    properties(saved(tmp_path / "a", scenes(70, 16, 16)), progress=told.append)
    assert told[-1].startswith("70 of 70 images")


def test_large_images_are_measured_at_one_scale(tmp_path):
    large = resized(scenes(1, 300, 450)[0], 900, 1350)
    small = resized(large, SIDE, round(SIDE * 1.5))
    got = properties(
        [*saved(tmp_path / "a", [large], "jpg", quality=95), *saved(tmp_path / "b", [large, small])]
    )
    assert got["width"].to_list() == [1350, 1350, 192] and got["height"].to_list() == [900, 900, 128]
    for name in ("brightness", "contrast", "red", "green", "blue", "saturation", "dark", "bright"):
        assert np.ptp(got[name].to_numpy()) < 0.02, name
    assert np.ptp(got["sharpness"].to_numpy()) < 0.1
    assert np.bitwise_count(got["phash"].to_numpy() ^ got["phash"][0]).max() <= 4


def test_extremes_have_an_answer(tmp_path):
    odd = [
        np.zeros((1, 1, 3), np.uint8),
        np.full((2, 900, 3), 255, np.uint8),
        np.full((50, 50, 3), 77, np.uint8),
        RNG.integers(0, 256, (3000, 4, 3), dtype=np.uint8),
    ]
    got = properties(saved(tmp_path / "a", odd))
    assert got["problem"].null_count() == 4
    assert got["sharpness"].is_null().to_list() == [True, True, True, False]
    assert got["dark"].to_list()[:2] == [0, 1] and got["bright"].to_list()[:2] == [0, 1]
    assert got["entropy"].to_list()[:3] == [0, 0, 0] and got["contrast"].to_list()[:3] == [0, 0, 0]
    assert got["aspect"][1] == 450


def blurred(images, radius):
    return np.stack(
        [cv2.GaussianBlur(one, (0, 0), radius, borderType=cv2.BORDER_REPLICATE) for one in images]
    )


@pytest.mark.parametrize("side", [28, 32, 128])
def test_blur_lowers_sharpness_and_contrast_does_not(side):
    grey = scenes(20, side, side)[:, :, :, 1]
    sharp = sharpness(grey)
    assert (sharp > 0.9).all() and (sharp < 2.3).all()
    falling = [sharp, *(sharpness(blurred(grey, radius)) for radius in (1.0, 1.5, 2.0, 3.0))]
    assert all((a > b).all() for a, b in pairwise(falling))
    assert falling[2].max() < 0.85 and falling[4].max() < 0.6
    faint = (grey // 3 + 90).astype(np.uint8)
    assert np.abs(sharpness(faint) / sharp - 1).max() < 0.05
    assert sharpness(255 - grey) == pytest.approx(sharp, rel=1e-4)


def test_noise_and_flat_images_are_not_blurred():
    noise = RNG.integers(0, 256, (3, 40, 40), dtype=np.uint8)
    assert (sharpness(noise) > 2).all()
    flat = np.full((2, 40, 40), 90, np.uint8)
    flat[1, :, 20:] = 91
    assert np.isnan(sharpness(flat)).all()
    # Noise over blur hides it at full scale; at half of it there is less.
    soft = blurred(scenes(10, 128, 128)[:, :, :, 0], 3).astype(float)
    noisy = np.clip(soft + RNG.normal(size=soft.shape) * 2, 0, 255).astype(np.uint8)
    assert np.median(sharpness(noisy)) < 1.3


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.booleans())
def test_numbers_are_finite_and_in_their_range(height, width, count, grey):
    shape = (count, height, width) if grey else (count, height, width, 3)
    told = measure(np.random.default_rng(height).integers(0, 256, shape, dtype=np.uint8))
    for name, values in told.items():
        known = np.array([v for v in values if v is not None], dtype=float)
        assert len(values) == count and np.isfinite(known).all(), name
        top = {"entropy": 8, "sharpness": 4}.get(name, 1)
        assert ((known >= 0) & (known <= top + 1e-6)).all(), name
