"""Pixels are decoded to one size, kept once, and cut into parts that are what they are said to be."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.loaders.pictures import broken, folder_of, picture, write
from tilth.errors import DataError, ImageError
from tilth.images.decode import decoded_to
from tilth.loaders import pixels as room
from tilth.loaders.pixels import Pictures, decoded


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return folder_of(tmp_path, 9)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("kept", [False, True])
def test_images_of_their_own_size_are_as_pillow_reads_them(tmp_path, paths, threads, kept):
    found, problems = decoded(paths, 40, 60, threads=threads, cache=tmp_path / "kept" if kept else None)
    assert found.dtype == np.uint8 and problems == [None] * 9
    for pixels, path in zip(found, paths, strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_images_fit_as_decoding_one_by_one_makes_them(paths, fit):
    found, _ = decoded(paths, 24, 24, fit=fit)
    for pixels, path in zip(found, paths, strict=True):
        np.testing.assert_array_equal(pixels, decoded_to(path, 24, 24, fit=fit))


@pytest.mark.parametrize("kept", [False, True])
def test_what_holds_no_image_is_black_and_told(tmp_path, paths, kept):
    hostile = [*broken(tmp_path), None]
    found, problems = decoded([paths[0], *hostile], 16, 16, cache=tmp_path / "kept" if kept else None)
    assert problems == [None, "truncated", "not an image", "missing", "missing"]
    assert found[0].any() and not found[1:].any()


def test_images_of_more_pixels_than_allowed_are_told(paths):
    assert decoded(paths[:1], 8, 8, max_pixels=40 * 60 - 1)[1] == ["too large"]


def test_no_images_are_an_empty_array(tmp_path):
    for cache in (None, tmp_path / "kept", tmp_path / "kept"):
        found, problems = decoded([], 8, 9, cache=cache)
        assert found.shape == (0, 8, 9, 3) and problems == []


def test_pixels_are_kept_once_and_found_again(tmp_path, paths, monkeypatch):
    told: list[str] = []
    first, problems = decoded(paths, 20, 20, cache=tmp_path / "kept", progress=told.append)
    assert told[-1].startswith("9 of 9 images")
    monkeypatch.setattr(room, "decoded_to", None)  # nothing is decoded any more
    again, same = decoded(paths, 20, 20, cache=tmp_path / "kept", progress=pytest.fail)
    assert isinstance(again, np.memmap) and not again.flags.writeable
    np.testing.assert_array_equal(first, again)
    assert same == problems
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("change", ["file", "size", "fit", "order", "most"])
def test_other_pixels_are_kept_apart(tmp_path, paths, change):
    asked = {"paths": paths, "height": 20, "width": 20, "cache": tmp_path / "kept"}
    decoded(**asked)
    if change == "file":
        write(Path(paths[0]), picture(99))
        os.utime(paths[0], ns=(1, 1))
    other = {"size": {"height": 21}, "fit": {"fit": "pad"}, "order": {"paths": paths[::-1]}}
    other |= {"most": {"max_pixels": 10}, "file": {}}
    found, _ = decoded(**asked | other[change])
    fresh, _ = decoded(**asked | other[change] | {"cache": None})
    np.testing.assert_array_equal(found, fresh)
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_building_that_fails_leaves_nothing_behind(tmp_path, paths):
    def stop(word: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decoded(paths, 20, 20, cache=tmp_path / "kept", progress=stop)
    assert list((tmp_path / "kept").iterdir()) == []
    assert decoded(paths, 20, 20, cache=tmp_path / "kept")[1] == [None] * 9


def test_two_that_build_at_once_end_with_one(tmp_path, paths):
    other = []

    def meanwhile(word: str) -> None:
        if not other:
            other.append(decoded(paths, 20, 20, cache=tmp_path / "kept")[0])

    found, _ = decoded(paths, 20, 20, cache=tmp_path / "kept", progress=meanwhile)
    np.testing.assert_array_equal(found, other[0])
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize("kept", [False, True])
def test_pixels_that_do_not_fit_are_refused_before_anything_is_decoded(tmp_path, kept, monkeypatch):
    monkeypatch.setattr(room, "_fill", None)
    with pytest.raises(DataError, match=r"100 images of 999999 x 999999 pixels take 299,?999.*GB"):
        decoded(["x.png"] * 100, 999_999, 999_999, cache=tmp_path if kept else None)
    assert list(tmp_path.iterdir()) == []


def test_disk_is_the_folder_of_tilths_caches(tmp_path, paths, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "home"))
    Pictures(paths, (8, 8), "crop", cache="disk")
    assert len(list((tmp_path / "home" / "pixels").iterdir())) == 1
    monkeypatch.setenv("TILTH_CACHE", "")
    with pytest.raises(DataError, match="TILTH_CACHE is empty"):
        Pictures(paths, (8, 8), "crop", cache="disk")


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_kept_pictures_are_those_that_are_decoded(tmp_path, paths, fit):
    fresh = Pictures(paths, (24, 20), fit)
    for cache in ("memory", tmp_path / "kept"):
        kept = Pictures(paths, (24, 20), fit, cache=cache)
        for row in range(9):
            np.testing.assert_array_equal(kept.whole(row), fresh.whole(row))
            assert not kept.whole(row).flags.writeable


def test_a_kept_problem_raises_as_a_fresh_one(tmp_path):
    hostile = [*broken(tmp_path), None]
    for cache in (None, "memory"):
        for fit in ("crop", "random"):
            pictures = Pictures(hostile, (8, 8), fit, cache=cache)
            for row, (path, reason) in enumerate(
                zip(hostile, ("truncated", "not an image", "missing", "missing"), strict=True)
            ):
                for ask in (lambda: pictures.whole(row), lambda: pictures.part(row, 0.5, 1.0, 0.5, 0.5)):  # noqa: B023
                    with pytest.raises(ImageError) as caught:
                        ask()
                    assert caught.value.reason == reason
                    assert path is None or caught.value.path == path


def ramps(folder: Path, height: int, width: int) -> str:
    """Write an image whose red grows to the right and whose green grows downward, from 0 to 255."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return write(folder / f"ramps-{height}-{width}.png", pixels)


share = st.floats(0, 1, exclude_max=True)


@settings(max_examples=60)
@given(
    area=st.floats(0.05, 1), stretch=share, down=share, right=share, cache=st.sampled_from([None, "memory"])
)
@pytest.mark.parametrize("shape", [(200, 300), (300, 200), (256, 256)])
def test_a_part_covers_the_area_in_the_shape_and_at_the_place_asked_for(
    tmp_path_factory, shape, area, stretch, down, right, cache
):
    path = ramps(tmp_path_factory.getbasetemp(), *shape)
    pictures = Pictures([path], (64, 64), "random", cache=cache)
    wide = (4 / 3) ** (2 * stretch - 1)
    part = pictures.part(0, area, wide, down, right).astype(float)
    assert part.shape == (64, 64, 3)
    # A pixel is the mean of what it covers: from the first's center to the last's are 63 of 64 parts.
    broad = (part[:, -1, 0] - part[:, 0, 0]).mean() / 255 * 64 / 63 * shape[1]
    tall = (part[-1, :, 1] - part[0, :, 1]).mean() / 255 * 64 / 63 * shape[0]
    slack = 6 + 0.03 * max(shape)
    expected = np.array(
        [(area * shape[0] * shape[1] / wide) ** 0.5, (area * shape[0] * shape[1] * wide) ** 0.5]
    )
    expected /= max(1, *(expected / shape))
    np.testing.assert_allclose([tall, broad], expected, atol=slack)
    top, left = part[..., 1].min() / 255 * shape[0], part[..., 0].min() / 255 * shape[1]
    np.testing.assert_allclose(
        [top, left], [down * (shape[0] - expected[0]), right * (shape[1] - expected[1])], atol=slack
    )


@pytest.mark.parametrize("cache", [None, "memory"])
def test_a_part_of_the_size_asked_for_is_cut_and_not_scaled(tmp_path, cache):
    path = folder_of(tmp_path, 1, 64, 64)[0]
    pictures = Pictures([path], (56, 56), "random", cache=cache)
    truth = decoded_to(path, 64, 64)
    for down, right in ((0, 0), (0.5, 0.25), (0.99, 0.99)):
        top, left = round(down * 8), round(right * 8)
        part = pictures.part(0, 49 / 64, 1.0, down, right)
        np.testing.assert_array_equal(part, truth[top : top + 56, left : left + 56])


def test_a_kept_part_is_that_of_the_file_but_for_sharpness(tmp_path):
    paths = folder_of(tmp_path, 4, 300, 420)
    fresh, kept = Pictures(paths, (64, 64), "random"), Pictures(paths, (64, 64), "random", cache="memory")
    for row in range(4):
        for draws in ((0.5, 0.8, 0.3, 0.9), (1.0, 1.3, 0.0, 0.0), (0.2, 1.0, 0.99, 0.5)):
            apart = fresh.part(row, *draws).astype(int) - kept.part(row, *draws)
            assert abs(apart).mean() < 10  # a third of what the place of half a part elsewhere makes
        assert abs(fresh.whole(row).astype(int) - kept.whole(row)).mean() < 6


def test_a_small_part_of_a_large_jpeg_is_decoded_in_detail(tmp_path):
    pixels = np.kron(
        np.random.default_rng(0).integers(0, 2, (64, 64, 1), dtype=np.uint8) * 255, np.ones((16, 16, 3))
    )
    path = write(tmp_path / "large.jpg", pixels.astype(np.uint8))
    part = Pictures([path], (64, 64), "random").part(0, 1 / 16, 1.0, 0.5, 0.5)
    truth = pixels[384:640, 384:640].reshape(64, 4, 64, 4, 3).mean((1, 3))
    assert abs(part - truth).mean() < 4
