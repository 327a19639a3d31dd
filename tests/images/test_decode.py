"""One file to one array: Pillow is the peer for what is seen, and nothing but an ImageError is raised."""

import io
import threading
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from tilth.errors import ImageError
from tilth.images import decode as module
from tilth.images.decode import decode, decoded_to, resized
from tilth.images.facts import quiet
from tilth.images.opening import MAX_PIXELS

RNG = np.random.default_rng(0)
PIXELS = np.kron(RNG.integers(0, 256, (6, 8, 3)), np.ones((10, 10, 1))).astype(np.uint8)

SMOOTH = cv2.GaussianBlur(PIXELS, (0, 0), 4)


def saved(image, form, **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, form, **options)
    return file.getvalue()


def seen(data, mode="RGB"):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert(mode))


WAYS = {
    "jpeg": ("JPEG", {"quality": 90}),
    "progressive": ("JPEG", {"progressive": True, "quality": 80}),
    "png": ("PNG", {}),
    "tiff": ("TIFF", {}),
    "packed tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {"quality": 90}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("turn", range(1, 9))
def test_the_picture_is_turned_as_it_is_seen(way, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    form, options = WAYS[way]
    data = saved(PIXELS, form, exif=exif, **options)
    assert np.array_equal(decode(data), seen(data))
    # A JPEG's own luma may be of colors that are none: those are cut off in its RGB.
    apart = np.abs(decode(data, mode="grey").astype(int) - seen(data, "L"))
    assert apart.mean() < 3 if form == "JPEG" else apart.max() <= 1
    # What is asked for is of the picture as seen.
    small = decode(data, side=20)
    assert (small.shape[0] > small.shape[1]) == (turn > 4) and 20 <= min(small.shape[:2]) < 30
    smooth = saved(SMOOTH, form, exif=exif, **options)
    fitted, wanted = (decoded_to(one, 24, 12) for one in (smooth, saved(seen(smooth), "PNG")))
    assert fitted.shape == (24, 12, 3) and np.abs(fitted.astype(int) - wanted).mean() < 6


@pytest.mark.parametrize("form", ["BMP", "GIF", "PNG", "TIFF", "WEBP"])
def test_every_format_is_read_from_its_bytes_and_from_its_path(form, tmp_path):
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(PIXELS, form, **options)
    (tmp_path / "named.jpg").write_bytes(data)  # whatever its name says
    got = decode(data)
    assert np.array_equal(got, seen(data)) and got.dtype == np.uint8
    assert got.flags.c_contiguous and got.flags.writeable
    assert np.array_equal(decode(tmp_path / "named.jpg"), got)
    assert np.array_equal(decode(str(tmp_path / "named.jpg")), got)


def test_cmyk_and_palettes_become_rgb_as_pillow_does_it():
    image = Image.fromarray(PIXELS)
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert np.abs(decode(saved(lab, "TIFF")).astype(int) - PIXELS).mean() < 2
    for data in (
        saved(image.convert("CMYK"), "JPEG", quality=95),
        saved(image.convert("CMYK"), "TIFF"),
        saved(image.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        saved(image.convert("YCbCr"), "TIFF"),
        saved(image.convert("L"), "JPEG"),
        saved(image.convert("1"), "PNG"),
    ):
        assert np.array_equal(decode(data), seen(data))
        grey = decode(data, mode="grey").astype(int)
        assert np.abs(grey - seen(saved(decode(data), "PNG"), "L")).max() <= 1


def test_what_is_transparent_lies_on_white():
    image = Image.fromarray(PIXELS).convert("RGBA")
    alpha = np.full(PIXELS.shape[:2], 255, np.uint8)
    alpha[:20], alpha[20:40] = 0, 102
    image.putalpha(Image.fromarray(alpha))
    for data in (saved(image, "PNG"), saved(image, "WEBP", lossless=True, exact=True)):
        got = decode(data).astype(float)
        assert (got[:20] == 255).all() and np.array_equal(got[40:], PIXELS[40:])
        assert np.abs(got[20:40] - (PIXELS[20:40] * 0.4 + 255 * 0.6)).max() <= 1
    grey = saved(image.convert("LA"), "PNG")
    assert (decode(grey)[:20] == 255).all() and (decode(grey, mode="grey")[:20] == 255).all()
    few = image.convert("RGB").convert("P")
    hole = int(np.asarray(few)[0, 0])
    data = saved(few, "GIF", transparency=hole)
    assert (decode(data)[np.asarray(few) == hole] == 255).all()
    assert not (decode(data) == 255).all()


def test_sixteen_bits_are_divided_by_257(tmp_path):
    values = np.linspace(0, 65535, 30 * 40).astype(np.uint16).reshape(30, 40)
    wanted = np.rint(values / 257).astype(np.uint8)
    for data in (saved(Image.fromarray(values), "PNG"), saved(Image.fromarray(values), "TIFF")):
        assert np.array_equal(decode(data, mode="grey"), wanted)
        assert np.array_equal(decode(data), np.repeat(wanted[..., None], 3, axis=2))
    Image.fromarray(values.astype(">u2")).save(tmp_path / "big.tif")
    assert np.array_equal(decode(tmp_path / "big.tif", mode="grey"), wanted)
    # In color Pillow keeps the upper eight bits: no further than 1 from it.
    color = np.stack([values, values[::-1], values[:, ::-1]], axis=2)
    data = cv2.imencode(".png", color[:, :, ::-1])[1].tobytes()
    assert np.abs(decode(data).astype(int) - np.rint(color / 257).astype(int)).max() <= 1


def test_numbers_without_a_range_are_stretched():
    values = np.linspace(-3.0, 5.0, 1200, dtype=np.float32).reshape(30, 40)
    values[0, 0], values[0, 1], values[0, 2] = np.nan, np.inf, -np.inf
    got = decode(saved(Image.fromarray(values), "TIFF"), mode="grey")
    finite = np.isfinite(values)
    low, high = values[finite].min(), values[finite].max()
    wanted = np.rint((values[finite].astype(float) - low) / (high - low) * 255)
    assert np.array_equal(got[finite], wanted.astype(np.uint8))
    assert (got[0, 0], got[0, 1], got[0, 2]) == (0, 255, 0)
    whole = Image.fromarray(np.arange(1200, dtype=np.int32).reshape(30, 40) * 1000)
    assert decode(saved(whole, "TIFF"), mode="grey")[-1, -1] == 255
    assert not decode(saved(Image.fromarray(np.full((9, 9), 7, np.int32)), "TIFF")).any()
    assert not decode(saved(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF")).any()


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first_is_taken(form):
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if form == "WEBP" else {}
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert (decode(data) == [255, 0, 0]).all()


@settings(max_examples=60)
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.integers(1, 40),
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.sampled_from(["rgb", "grey"]),
)
def test_the_shorter_side_stays_at_least_as_long_as_asked(height, width, side, form, mode):
    data = saved(np.resize(PIXELS, (height, width, 3)), form)
    got = decode(data, side=side, mode=mode)
    shorter = min(got.shape[:2])
    assert shorter >= min(side, height, width) and shorter <= max(min(height, width), 1)
    assert shorter < 2 * side or side >= min(height, width)
    assert np.prod(got.shape[:2]) <= height * width
    assert got.flags.c_contiguous and got.ndim == (3 if mode == "rgb" else 2)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_reduced_scale_shows_the_same(form):
    smooth = resized(PIXELS, 400, 600)
    data = saved(smooth, form, **({"quality": 95} if form == "JPEG" else {}))
    small = decode(data, side=100)
    assert 100 <= min(small.shape[:2]) < 200
    whole = resized(decode(data), *small.shape[:2])
    assert np.abs(small.astype(int) - whole).mean() < 1.5


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
@pytest.mark.parametrize("size", [(30, 30), (16, 40), (90, 50), (1, 1), (60, 80)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_given_size_is_met_exactly(fit, size, form):
    height, width = size
    data = saved(SMOOTH, form, **({"quality": 98, "subsampling": 0} if form == "JPEG" else {}))
    got = decoded_to(data, height, width, fit=fit)
    assert got.shape == (height, width, 3) and got.flags.c_contiguous
    out = np.full((height, width, 3), 9, np.uint8)
    assert decoded_to(data, height, width, fit=fit, out=out) is out and np.array_equal(out, got)
    grey = decoded_to(data, height, width, fit=fit, mode="grey")
    assert grey.shape == (height, width)
    high, wide = SMOOTH.shape[:2]
    if fit == "crop":
        tall, broad = min(high, round(wide * height / width)), min(wide, round(high * width / height))
        top, left = (high - tall) // 2, (wide - broad) // 2
        wanted = resized(SMOOTH[top : top + tall, left : left + broad], height, width)
    elif fit == "squash":
        wanted = resized(SMOOTH, height, width)
    else:
        scale = min(height / high, width / wide)
        tall, broad = max(1, round(high * scale)), max(1, round(wide * scale))
        wanted = np.zeros((height, width, 3), np.uint8)
        top, left = (height - tall) // 2, (width - broad) // 2
        wanted[top : top + tall, left : left + broad] = resized(SMOOTH, tall, broad)
    assert np.abs(got.astype(int) - wanted).mean() < (0.01 if form == "PNG" else 3)
    assert np.abs(grey.astype(int) - seen(saved(got, "PNG"), "L")).mean() < 4


def test_shrinking_averages_and_growing_interpolates():
    board = np.indices((8, 8)).sum(axis=0) % 2 * np.uint8(200)
    assert (resized(board.astype(np.uint8), 4, 4) == 100).all()
    ramp = np.array([[0, 100]], np.uint8)
    assert resized(ramp, 1, 4).tolist() == [[0, 25, 75, 100]]
    # One side shrinks, the other grows.
    assert resized(board.astype(np.uint8), 2, 16).shape == (2, 16)
    assert np.ptp(resized(board.astype(np.uint8), 2, 16)) == 0


def failed(source, **options):
    with pytest.raises(ImageError) as caught:
        decode(source, **options)
    assert caught.value.reason in str(caught.value)
    return caught.value.reason


def test_each_reason_has_its_case(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no picture at all, only words\n" * 9)
    jpeg, png = saved(PIXELS, "JPEG"), saved(PIXELS, "PNG")
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert failed(tmp_path / "none.jpg") == failed(tmp_path / "loop.jpg") == failed("a\0b.jpg") == "missing"
    assert failed(tmp_path / "empty.jpg") == failed(b"") == "empty"
    assert failed(tmp_path / "text.jpg") == failed(tmp_path) == "not an image"
    assert failed(tmp_path / "cut.jpg") == failed(png[: len(png) // 2]) == "truncated"
    for data in (jpeg, png, saved(PIXELS, "GIF")):
        assert failed(data, max_pixels=60 * 80 - 1) == "too large"
        assert decode(data, max_pixels=60 * 80).shape == (60, 80, 3)
    assert MAX_PIXELS == 100_000_000


def test_damage_that_leaves_a_png_readable_is_seen_all_the_same():
    data = saved(PIXELS, "PNG")
    told = []
    for place in range(41, len(data) - 16):
        damaged = bytearray(data)
        damaged[place] ^= 16
        told.append(failed(bytes(damaged)))
    assert set(told) <= {"broken", "truncated"} and told.count("broken") > 0.9 * len(told)


def test_a_pipe_is_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.png")
    started = time.monotonic()
    assert failed(tmp_path / "pipe.png") == "not an image"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_what_is_cut_off_anywhere_is_never_taken_for_whole(form):
    data = saved(PIXELS, form)
    # Behind the last pixel there are checksums and marks of the end.
    last = len(data) - 1 - {"PNG": 24, "GIF": 2, "JPEG": 2}.get(form, 0)
    for end in {*range(1, 120, 7), *np.linspace(1, last, 25).astype(int).tolist()}:
        reason = failed(data[:end])
        assert reason in ("truncated", "not an image", "broken"), (form, end)
        if end > 400:
            assert reason == "truncated", (form, end, len(data))


@settings(max_examples=120)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_damaged_bytes_give_pixels_or_an_image_error(form, changes):
    data = bytearray(saved(PIXELS[:30, :30], form))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        with quiet():
            got = decode(bytes(data), side=16, max_pixels=10_000)
    except ImageError as error:
        assert error.reason
    else:
        assert got.dtype == np.uint8 and got.ndim == 3


def test_a_file_too_large_to_hold_is_read_from_disk(tmp_path, monkeypatch):
    for form in ("JPEG", "PNG"):
        data = saved(PIXELS, form)
        (tmp_path / "one").write_bytes(data)
        monkeypatch.setattr(module, "HELD", len(data) // 2)
        assert module.content(tmp_path / "one", "one") == tmp_path / "one"
        assert np.array_equal(decode(tmp_path / "one"), seen(data))
        monkeypatch.undo()


def test_threads_do_not_disturb_each_other():
    files = [saved(np.roll(PIXELS, n, axis=1), form) for n in range(8) for form in ("JPEG", "PNG", "WEBP")]
    wanted = [decode(data) for data in files]
    wrong = []

    def work():
        wrong.extend(n for n, data in enumerate(files) if not np.array_equal(decode(data), wanted[n]))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_orientation_is_found_in_its_segment_and_nowhere_else():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = saved(PIXELS, "JPEG", exif=exif)
    padded = turned.replace(b"\xff\xe1", b"\xff\xff\xff\xe1", 1)  # fill bytes before a marker are allowed
    for data in (turned, padded):
        assert decode(data).shape == (80, 60, 3)
    told = saved(PIXELS, "JPEG", comment=b"Exif\x00\x00" + exif.tobytes())
    assert decode(told).shape == (60, 80, 3)
    for length in range(len(turned)):  # cut anywhere, it is looked through without an error of its own
        module._has_exif(turned[:length])
