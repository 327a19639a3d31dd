"""Headers: what is an image opens, and what is none says why."""

import io
import os
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tilth.errors import ImageError
from tilth.images import opening
from tilth.images.opening import FORMATS, opened, orientation


def image_bytes(form, mode="RGB", size=(9, 5), **options):
    out = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(out, form, **options)
    return out.getvalue()


WHOLE = {form: image_bytes(form) for form in FORMATS}


def png_of(width, height):
    """Return a PNG that says it is so large, and holds next to nothing."""
    chunk = lambda kind, data: (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def why(source, **more):
    with pytest.raises(ImageError) as caught, opened(source, **more):
        pass
    return caught.value


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_opens_from_a_file_and_from_bytes(tmp_path, form):
    path = tmp_path / "x"
    path.write_bytes(WHOLE[form])
    for source in (path, str(path), WHOLE[form]):
        with opened(source) as image:
            assert (image.format, image.size, orientation(image)) == (form, (9, 5), 1)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("form", FORMATS)
@given(data=st.data())
def test_cut_and_damaged_files_open_or_say_why(form, data):
    whole = bytearray(WHOLE[form])
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    part = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        with opened(part) as image:
            assert image.width >= 0 and 1 <= orientation(image) <= 8
    except ImageError as error:
        assert error.reason in (
            "empty", "not an image", "truncated", "broken", "unsupported", "too large",
        )  # fmt: skip


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_header_that_is_cut_off_is_truncated(form):
    assert why(WHOLE[form][:20]).reason == "truncated"


def test_the_cap_on_pixels_is_this_one_and_pillows_is_left_alone():
    cap = Image.MAX_IMAGE_PIXELS
    for width, height in ((20_000, 20_000), (60_000, 60_000)):
        error = why(png_of(width, height))
        assert error.reason == "too large" and f"{width} x {height}" in str(error)
        with opened(png_of(width, height), max_pixels=width * height) as image:
            assert image.size == (width, height)
    assert why(WHOLE["PNG"], max_pixels=44).reason == "too large"
    with opened(WHOLE["PNG"], max_pixels=45):
        assert cap == Image.MAX_IMAGE_PIXELS


OTHERS = {
    "text": (b"not a picture at all, but a text\n" * 9, "not an image"),
    "page": (b"<!DOCTYPE html><html><body>404</body></html>", "not an image"),
    "zeros": (bytes(5000), "not an image"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "unsupported"),
    "photoshop": (b"8BPS\0\x01" + bytes(99), "unsupported"),
    "jpeg 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), "unsupported"),
    "a text that begins as a bitmap does": (b"BMW and other makes of cars" * 20, "not an image"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_image_says_so(tmp_path, case):
    content, reason = OTHERS[case]
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for source in (content, path):
        error = why(source)
        assert error.reason == reason
    assert error.path == str(path) and str(path) in str(error)


def test_paths_that_lead_nowhere_say_so(tmp_path):
    (tmp_path / "around.jpg").symlink_to(tmp_path / "around.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"x")
    for path in ("around.jpg", "gone.jpg", "none.jpg", "file/below.jpg", "a" * 3000, "odd\0name"):
        assert why(f"{tmp_path}/{path}").reason == "missing"


def test_folders_and_pipes_are_no_images(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert why(tmp_path / "pipe.jpg").reason == "not an image"
    assert why(tmp_path).reason == "not an image"


def with_exif(form, turn, **options):
    exif = Image.Exif()
    exif[0x0112] = turn
    return image_bytes(form, exif=exif, **options)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_is_read_from_the_header(form, turn):
    with opened(with_exif(form, turn)) as image:
        assert orientation(image) == turn


@pytest.mark.parametrize("turn", [0, 9, 77])
def test_an_orientation_that_is_none_is_upright(turn):
    with opened(with_exif("JPEG", turn)) as image:
        assert orientation(image) == 1


def test_a_damaged_note_of_the_orientation_is_no_damage_to_the_picture():
    data = with_exif("JPEG", 6).replace(b"MM\x00*", b"MM\xff\xff")
    with opened(data) as image:
        assert orientation(image) == 1


@pytest.mark.filterwarnings("error")
def test_no_format_is_asked_but_those_that_are_read(monkeypatch):
    icon = io.BytesIO()
    Image.new("RGB", (16, 16)).save(icon, "ICO")
    ppm = io.BytesIO()
    Image.new("RGB", (4, 4)).save(ppm, "PPM")
    assert why(icon.getvalue()).reason == "unsupported" and why(ppm.getvalue()).reason == "not an image"


def test_a_disk_that_fails_is_told_as_broken(monkeypatch, tmp_path):
    class Failing(io.BytesIO):
        def read(self, *_):
            raise OSError(5, "Input/output error")

    with pytest.raises(ImageError) as caught:
        opening._read_header(Failing(b"x"), "x.jpg")
    assert caught.value.reason == "broken"
