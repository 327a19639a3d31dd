"""One image file to one array: oriented, in eight bits, at a reduced scale where that is enough."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from tilth.errors import ImageError
from tilth.images.opening import MAX_PIXELS, opened, orientation, stream

Mode = Literal["rgb", "grey", "stored"]
"""Three channels, one, or one if the file has one: then it is grey without a look at the pixels."""
Fit = Literal["crop", "squash", "pad"]

JPEG = b"\xff\xd8\xff"
PNG = b"\x89PNG\r\n\x1a\n"
HELD = 1 << 26
"""Bytes: a larger file is not read into memory as a whole."""
# What the orientation says must be done to the rows and columns: transpose first, then flip these axes.
TURNS: dict[int, tuple[bool, tuple[int, ...]]] = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}


def decode(
    source: str | Path | bytes,
    *,
    side: int | None = None,
    mode: Literal["rgb", "grey"] = "rgb",
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Return the pixels of an image as eight-bit numbers.

    The orientation that the file states is applied. CMYK and palettes become RGB by Pillow's rules, without
    color profiles. What is transparent lies on white. Sixteen bits are divided by 257; 32-bit integers and
    floats, which state no range, are stretched from their least (black) to their greatest (white) finite
    value. Of several frames or pages the first one is taken. Grey is the luma of ITU-R BT.601, which a JPEG
    file holds as such.

    Parameters
    ----------
    source : str, Path or bytes
        The file, or its content.
    side : int, optional
        In pixels, at least 1: reduce the image while its shorter side stays at least this long. JPEG is
        decoded at an eighth to eight eighths of its scale, others are averaged over whole blocks of pixels;
        never enlarged.
    mode : {'rgb', 'grey'}
        Three channels, or one.
    max_pixels : int
        Images of more pixels, by their header, are refused before anything is decoded.

    Returns
    -------
    array of uint8, shape (height, width, 3) or (height, width), contiguous in memory

    Raises
    ------
    ImageError
        With `path` and the `reason`: missing, permission, empty, not an image, truncated, too large,
        unsupported or broken.
    """
    name = "<bytes>" if isinstance(source, bytes) else str(source)
    return decoded_from(content(source, name), name, side=side, mode=mode, max_pixels=max_pixels)[0]


def decoded_from(
    data: bytes | str | Path, name: str, *, side: int | None, mode: Mode = "rgb", max_pixels: int = MAX_PIXELS
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return what `decode` does of a `content`, and the image's full height and width.

    Parameters
    ----------
    data : bytes, str or Path
        What `content` returned.
    name : str
        What errors call the file.
    side, mode, max_pixels
        As in `decode`.
    """
    least = (side, side) if side else (0, 0)
    pixels, full = _decode(data, name, least, False, mode, max_pixels)
    times = min(pixels.shape[:2]) // side if side else 1
    if times > 1:
        height, width = (max(n // times, side or 1) for n in pixels.shape[:2])
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return pixels, full


def decoded_to(
    source: str | Path | bytes,
    height: int,
    width: int,
    *,
    fit: Fit = "crop",
    mode: Literal["rgb", "grey"] = "rgb",
    out: np.ndarray | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Return an image at exactly this size; the rules of `decode` hold.

    Parameters
    ----------
    source : str, Path or bytes
        The file, or its content.
    height, width : int
        In pixels.
    fit : {'crop', 'squash', 'pad'}
        What becomes of another shape: the largest rectangle of the wanted shape is cut from the center, the
        sides are scaled each by its own factor, or black is put around.
    mode : {'rgb', 'grey'}
        Three channels, or one.
    out : array of uint8, optional
        Where the pixels are written, of the shape that is returned.
    max_pixels : int
        Images of more pixels are refused.

    Returns
    -------
    array of uint8, shape (height, width, 3) or (height, width): `out`, if it was given

    Raises
    ------
    ImageError
        As `decode`.
    """
    name = "<bytes>" if isinstance(source, bytes) else str(source)
    pixels, full = _decode(content(source, name), name, (height, width), fit == "pad", mode, max_pixels)
    high, wide = pixels.shape[:2]
    if fit == "crop":
        tall, broad = (
            min(high, max(1, round(wide * height / width))),
            min(wide, max(1, round(high * width / height))),
        )
        top, left = (high - tall) // 2, (wide - broad) // 2
        pixels = pixels[top : top + tall, left : left + broad]
    if fit != "pad":
        pixels = resized(pixels, height, width)
        if out is None:
            return pixels
        out[...] = pixels
        return out
    scale = min(height / full[0], width / full[1])
    tall, broad = (min(most, max(1, round(n * scale))) for n, most in zip(full, (height, width), strict=True))
    if out is None:
        out = np.empty((height, width, *pixels.shape[2:]), np.uint8)
    out[...] = 0
    top, left = (height - tall) // 2, (width - broad) // 2
    out[top : top + tall, left : left + broad] = resized(pixels, tall, broad)
    return out


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the pixels at another size: averaged over areas where a side shrinks, bilinear where it grows.

    Parameters
    ----------
    pixels : array, shape (height, width) or (height, width, channels)
    height, width : int
        In pixels.
    """
    high, wide = pixels.shape[:2]
    less = min(high, height), min(wide, width)
    if less != (high, wide):
        pixels = cv2.resize(pixels, less[::-1], interpolation=cv2.INTER_AREA)
    if less != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)


def _decode(
    data: bytes | str | Path, name: str, least: tuple[int, int], either: bool, mode: Mode, max_pixels: int
) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode at a scale at which the sides are at least so long: both, or only `either`; 0 is full scale."""
    if isinstance(data, bytes) and data.startswith(JPEG):
        found = _by_simplejpeg(data, least, either, mode, max_pixels)
        if found is not None:
            return found
    if isinstance(data, bytes) and data.startswith(PNG):
        pixels = _by_opencv(data, name, mode, max_pixels)
        if pixels is not None:
            return pixels, pixels.shape[:2]
    try:
        return _by_pillow(data, least, either, mode, max_pixels)
    except ImageError as error:
        raise ImageError(name, error.reason, error.detail) from None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        raise ImageError(name, reason(error), str(error)) from error


def content(source: str | Path | bytes, name: str) -> bytes | str | Path:
    """Return what a file holds, or its path if it is too large to be held in memory.

    Raises
    ------
    ImageError
        The file is missing, may not be read, is empty, or is no file at all.
    """
    if isinstance(source, bytes):
        return source
    data = _read(source)
    if data is None:
        with stream(source, name):  # says why it cannot be read
            return source
    return data


def _read(source: str | Path) -> bytes | None:
    """Return a file's bytes by as few calls as may be, for files are many; None for all but usual files."""
    try:
        # A pipe that is opened so is not waited for.
        file = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size < HELD:
            return None
        data = os.read(file, status.st_size)
        return data if len(data) == status.st_size else None
    except OSError:
        return None
    finally:
        os.close(file)


def reason(error: Exception) -> str:
    """Return the code for what a decoder complained of."""
    if isinstance(error, MemoryError):
        return "too large"
    told = str(error).lower()
    if "conversion from" in told:
        return "unsupported"
    return "truncated" if isinstance(error, EOFError) or "truncated" in told else "broken"


def _by_simplejpeg(
    data: bytes, least: tuple[int, int], either: bool, mode: Mode, max_pixels: int
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """Decode an ordinary JPEG; None where Pillow must look closer: other colors, or damage."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if space not in ("YCbCr", "Gray", "RGB") or height * width > max_pixels:
            return None
        turn = 1
        if _has_exif(data):
            with opened(data, max_pixels=max_pixels) as image:
                turn = orientation(image)
        high, wide = _wanted(height, width, least, either, turn)
        grey = mode == "grey" or (mode == "stored" and space == "Gray")
        pixels = simplejpeg.decode_jpeg(data, "GRAY" if grey else "RGB", min_height=high, min_width=wide)
    except ValueError:
        return None
    pixels = turned(pixels[:, :, 0] if grey else pixels, turn)
    return pixels, (width, height) if TURNS.get(turn, (False,))[0] else (height, width)


def _has_exif(data: bytes) -> bool:
    """Tell whether a JPEG has an EXIF segment before its pixels; a search for the letters takes longer."""
    at, end = 2, len(data) - 10
    while at <= end and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xE1 and data[at + 4 : at + 10] == b"Exif\x00\x00":
            return True
        if kind == 0xDA:  # pixels begin
            return False
        # A byte 0xFF may be repeated before what it announces.
        at += 1 if kind == 0xFF else 2 + (data[at + 2] << 8) + data[at + 3]
    return False


def _by_opencv(data: bytes, name: str, mode: Mode, max_pixels: int) -> np.ndarray | None:
    """Decode a plain, whole PNG, ten times as fast; None where Pillow must look closer."""
    plain, sound = _chunks(data)
    if not sound:
        raise ImageError(name, "broken", "a checksum is not that of its data")
    width, height, depth, color = struct.unpack(">IIBB", data[16:26].ljust(10, b"\0"))
    if not plain or depth != 8 or color not in (0, 2) or not 0 < width * height <= max_pixels:
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or (pixels.ndim == 2 and mode != "rgb"):
        return pixels
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY if mode == "grey" else cv2.COLOR_BGR2RGB)


def _chunks(data: bytes) -> tuple[bool, bool]:
    """Tell whether a PNG is nothing but header, pixels and end, and whether its pixels are as written.

    Pillow does not look at the checksum of what it has enough of; OpenCV writes of damage to the terminal.
    """
    at, kinds, view = 8, [b""], memoryview(data)
    while len(data) - at >= 12 and kinds[-1] != b"IEND":
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        kind, told = data[at + 4 : at + 8], data[end : end + 4]
        if kind != kinds[-1]:
            kinds.append(kind)
        checked = kind in (b"IHDR", b"IDAT") and len(told) == 4
        if checked and zlib.crc32(view[at + 4 : end]) != int.from_bytes(told, "big"):
            return False, False
        at = end + 4
    return kinds == [b"", b"IHDR", b"IDAT", b"IEND"], True


def _wanted(height: int, width: int, least: tuple[int, int], either: bool, turn: int) -> tuple[int, int]:
    """Return how high and wide the stored, unturned pixels must be at least; 0: does not matter."""
    if not all(least):
        return height, width
    high, wide = least[::-1] if TURNS.get(turn, (False,))[0] else least
    if not either:
        return high, wide
    return (high, 0) if high * width <= wide * height else (0, wide)


def _by_pillow(
    data: bytes | str | Path, least: tuple[int, int], either: bool, mode: Mode, max_pixels: int
) -> tuple[np.ndarray, tuple[int, int]]:
    with opened(data, max_pixels=max_pixels) as image:
        width, height = image.size
        if TURNS.get(orientation(image), (False,))[0]:
            width, height = height, width
        if image.format == "JPEG" and all(least):
            high, wide = _wanted(image.height, image.width, least, either, orientation(image))
            image.draft(None, (wide or 1, high or 1))
        image.load()
        # Asked after loading: a TIFF is turned by then, and says so.
        return turned(eight_bits(image, mode), orientation(image)), (height, width)


def eight_bits(image: Image.Image, mode: Mode) -> np.ndarray:
    """Return the pixels of a loaded Pillow image, by the rules that `decode` states."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        values = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretched(np.asarray(image)))
    elif image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("RGB", "L"):
        image = image.convert("RGB")
    wanted = {"grey": "L", "rgb": "RGB", "stored": image.mode}[mode]
    return np.array(image if image.mode == wanted else image.convert(wanted))


def _stretched(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    known = np.isfinite(values)
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    values = np.nan_to_num(values, nan=low, neginf=low, posinf=high)
    return np.rint((values - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def turned(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Return the pixels as an EXIF orientation (1 to 8; anything else is 1) wants them seen."""
    swap, flips = TURNS.get(turn, (False, ()))
    if swap:
        pixels = pixels.swapaxes(0, 1)
    return np.ascontiguousarray(np.flip(pixels, flips) if flips else pixels)
