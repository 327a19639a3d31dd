"""Opening an image file so far that its header is known: what is no image says why."""

from __future__ import annotations

import io
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from tilth.errors import ImageError

MAX_PIXELS = 100_000_000
"""Images of more pixels are not decoded, unless asked to: a file of some kilobytes may claim any size."""

ANY = 1 << 80
"""A cap that no image exceeds: where only the header is read."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
"""The formats that are read, as Pillow names them. A JPEG with more pictures behind it says MPO."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp"),
    *(".tif", ".tiff", ".bmp", ".dib", ".gif"),
)
"""What names of images end in, whatever the case."""

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held."""

# The first bytes of files that are images, but of formats that are not read.
_OTHERS = (
    (0, b"8BPS", "Photoshop"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (0, b"\x00\x00\x00\x0cjP", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"\x00\x00\x00\x0cJXL", "JPEG XL"),
    (0, b"\x00\x00\x01\x00", "an icon"),
    (0, b"qoif", "QOI"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"DICM", "DICOM"),
    (128, b"DICM", "DICOM"),
    (0, b"SIMPLE  =", "FITS"),
)

# Where nobody has set up logging, Python would print what Pillow logs of damaged files.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@contextmanager
def opened(source: str | Path | bytes, *, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """Open an image, reading no more than its header.

    Pillow's own cap on pixels is one for the whole process and only warns below twice its value; it is
    neither asked nor changed here.

    Parameters
    ----------
    source : str, Path or bytes
        A file, or its content.
    max_pixels : int
        Width times height beyond which an image is refused.

    Raises
    ------
    ImageError
        With the reason: ``missing``, ``permission``, ``empty``, ``not an image``, ``unsupported``, ``broken``
        or ``too large``.
    """
    name = "<bytes>" if isinstance(source, bytes) else str(source)
    with stream(source, name) as file:
        image = _read_header(file, name)
        if image.width * image.height > max_pixels:
            raise ImageError(
                name, "too large", f"{image.width} x {image.height} pixels, more than max_pixels={max_pixels}"
            )
        yield image


def orientation(image: Image.Image) -> int:
    """Return how the picture is turned, as EXIF counts it: 1 (upright) to 8; from 5 on, sides are swapped."""
    try:
        if tags := getattr(image, "tag_v2", None):
            value = tags.get(ORIENTATION, 1)
        elif data := image.info.get("exif"):
            exif = Image.Exif()
            exif.load(data)
            value = exif.get(ORIENTATION, 1)
        else:
            return 1
        return int(value) if 1 <= int(value) <= 8 else 1
    except Exception:
        return 1  # A damaged note about the picture is no damage to the picture.


@contextmanager
def stream(source: str | Path | bytes, name: str) -> Iterator[BinaryIO]:
    """Open a file to read from, or raise why it cannot be read."""
    if isinstance(source, bytes):
        if not source:
            raise ImageError(name, "empty", "no bytes")
        yield io.BytesIO(source)
        return
    try:
        status = os.stat(source)  # noqa: PTH116 - paths may be texts, many thousands of them
        regular = stat.S_ISREG(status.st_mode)
        # A pipe would be waited for without end.
        file = open(source if regular else os.devnull, "rb")  # noqa: PTH123, SIM115
    except PermissionError as error:
        raise ImageError(name, "permission", "this user may not read it") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(name, "missing", "no such file") from error
    except (OSError, ValueError) as error:  # a loop of links, a name too long, a zero byte in it
        raise ImageError(name, "missing", str(error)) from error
    with file:
        if not regular:
            raise ImageError(name, "not an image", "it is a folder, pipe or device")
        if not status.st_size:
            raise ImageError(name, "empty", "the file has 0 bytes")
        yield file


def _read_header(file: BinaryIO, name: str) -> Image.Image:
    try:
        prefix = file.read(160)
    except OSError as error:  # the disk, or what is behind it
        raise ImageError(name, "broken", str(error)) from error
    if any(form not in Image.OPEN for form in FORMATS):
        Image.init()
    told = ""
    for form in FORMATS:
        factory, accept = Image.OPEN[form]
        if not accept or accept(prefix) is not True or (form == "BMP" and not _is_bitmap(prefix)):
            continue
        file.seek(0)
        try:
            return factory(file, name)
        except Image.DecompressionBombError as error:  # of a frame that is larger than its picture
            raise ImageError(name, "too large", str(error)) from error
        except Exception as error:  # readers raise whatever damaged bytes lead them to
            told = told or f"{form}: {error}"
    if told:
        # A reader that came to the end of the file wanted more of it.
        riff = prefix[:4] == b"RIFF" and len(prefix) >= 8
        if riff:
            cut = file.seek(0, os.SEEK_END) < 8 + int.from_bytes(prefix[4:8], "little")
        else:
            cut = not file.closed and not file.read(1)
        raise ImageError(name, "truncated" if cut else "broken", told)
    for place, mark, form in _OTHERS:
        if prefix[place : place + len(mark)] == mark:
            raise ImageError(name, "unsupported", f"{form}; save it as JPEG or PNG")
    raise ImageError(name, "not an image", "its first bytes are those of no image format that is read")


def _is_bitmap(prefix: bytes) -> bool:
    """Tell whether a file that begins with BM is a bitmap: many a text is none."""
    return len(prefix) < 18 or int.from_bytes(prefix[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124)
