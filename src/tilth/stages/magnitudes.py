"""What the image policies do, and how much of it, written as a recipe writes albumentations' transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LEVELS = 30
"""The largest magnitude of an operation; the least is 0."""

_REFLECT = 4  # OpenCV's BORDER_REFLECT_101: the image goes on mirrored, without repeating its edge


def of_policy(name: str, strength: float, flip: bool) -> list[Any]:
    """Write what a policy does to every image; nothing for those that draw operations, and for strength 0.

    Parameters
    ----------
    name : str
    strength : float
        A factor on magnitudes, up to a most of each, and on how often something is done.
    flip : bool
        Flip half of the images left to right.

    Examples
    --------
    >>> [list(entry) for entry in of_policy("standard", 1.0, flip=True)]
    [['HorizontalFlip'], ['Affine'], ['ColorJitter']]
    """
    make = _WRITTEN.get(name)
    return make(strength, flip) if make and strength > 0 else []


def _light(by: float, flip: bool) -> list[Any]:
    return [*_flipped(flip), _moved(0.8, by, shift=0.125)]


def _standard(by: float, flip: bool) -> list[Any]:
    return [
        *_flipped(flip),
        _moved(0.8, by, shift=0.1, scale=0.1, turn=15.0),
        _colored(0.8, by, 0.2, 0.02),
    ]


def _heavy(by: float, flip: bool) -> list[Any]:
    blur = {"GaussianBlur": {"sigma_limit": [0.2, _up(1.0 * by, 3.0)], "p": 1}}
    sharp = {"Sharpen": {"alpha": [0.1, _up(0.5 * by, 1.0)], "p": 1}}
    coded = {"ImageCompression": {"quality_range": [int(100 - _up(50 * by, 90)), 100], "p": 1}}
    coarse = {"Downscale": {"scale_range": [1 - _up(0.4 * by, 0.7), 1 - _up(0.1 * by, 0.2)], "p": 1}}
    return [
        *_flipped(flip),
        _moved(0.9, by, shift=0.15, scale=0.25, turn=25.0, shear=10.0),
        _colored(0.8, by, 0.4, 0.05),
        {"OneOf": {"transforms": [blur, sharp, coded, coarse], "p": _chance(0.3, by)}},
        {"Erasing": {"scale": [0.02, _up(0.2 * by, 0.4)], "fill": 127, "p": _chance(0.4, by)}},
    ]


_WRITTEN: dict[str, Callable[[float, bool], list[Any]]] = {
    "light": _light,
    "standard": _standard,
    "heavy": _heavy,
}


def _up(value: float, most: float) -> float:
    return float(min(value, most))


def _chance(p: float, by: float) -> float:
    """Return the probability of something that happens with probability p if it has `by` times the chance."""
    return float(1 - (1 - p) ** by)


def _flipped(flip: bool) -> list[Any]:
    return [{"HorizontalFlip": {"p": 0.5}}] if flip else []


def _moved(
    p: float, by: float, *, shift: float, scale: float = 0.0, turn: float = 0.0, shear: float = 0.0
) -> Any:
    """Shift, zoom, turn and shear at once: pixels are interpolated once; beyond the edge is a mirror."""
    shift, scale = _up(shift * by, 0.3), _up(scale * by, 0.5)
    turn, shear = _up(turn * by, 45.0), _up(shear * by, 30.0)
    told = {
        "translate_percent": [-shift, shift],
        "scale": [1 - scale, 1 / (1 - scale)],
        "rotate": [-turn, turn],
        "shear": [-shear, shear],
        "border_mode": _REFLECT,
    }
    return {"Affine": {**told, "p": _chance(p, by)}}


def _colored(p: float, by: float, much: float, hue: float) -> Any:
    much, hue = _up(much * by, 0.8), _up(hue * by, 0.2)
    told = {what: [1 - much, 1 + much] for what in ("brightness", "contrast", "saturation")}
    return {"ColorJitter": {**told, "hue": [-hue, hue], "p": _chance(p, by)}}


# The operations of RandAugment and TrivialAugment: the most of each, in that order, in the papers' units.
_MOST = {
    **dict.fromkeys(("ShearX", "ShearY"), (0.3, 0.99)),
    **dict.fromkeys(("TranslateX", "TranslateY"), (0.45, 0.45)),
    "Rotate": (30.0, 135.0),
    **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (0.9, 0.99)),
    "Posterize": (4.0, 6.0),
    "Solarize": (1.0, 1.0),
    **dict.fromkeys(("AutoContrast", "Equalize", "Identity"), (0.0, 0.0)),
}
OPERATIONS = tuple(_MOST)


def operation(name: str, magnitude: float, sign: int, *, wide: bool) -> list[Any]:
    """Write one operation of RandAugment's or TrivialAugment's space; nothing for the identity.

    Parameters
    ----------
    name : str
        One of `OPERATIONS`.
    magnitude : float, in [0, 1]
    sign : {-1, 1}
        The direction, where the operation has one.
    wide : bool
        TrivialAugment's wide ranges; False: RandAugment's.

    Examples
    --------
    >>> operation("Posterize", 1.0, 1, wide=False)
    [{'Posterize': {'num_bits': 4, 'p': 1}}]
    """
    much = magnitude * _MOST[name][wide]
    signed = sign * much
    none = {"x": [0, 0], "y": [0, 0]}
    if name in ("AutoContrast", "Equalize"):
        how = {"method": "pil"} if name == "AutoContrast" else {"mode": "pil"}
        return [{name: {**how, "p": 1}}]
    if much == 0 or (name == "Posterize" and round(much) == 0):
        return []
    if name == "Rotate":
        return [{"Affine": {"rotate": [signed, signed], "p": 1}}]
    if name[:-1] == "Shear":
        angle = float(np.degrees(np.arctan(signed)))
        return [{"Affine": {"shear": {**none, name[-1].lower(): [angle, angle]}, "p": 1}}]
    if name[:-1] == "Translate":
        return [{"Affine": {"translate_percent": {**none, name[-1].lower(): [signed, signed]}, "p": 1}}]
    if name == "Posterize":
        return [{"Posterize": {"num_bits": 8 - round(much), "p": 1}}]
    if name == "Solarize":
        return [{"Solarize": {"threshold_range": [1 - much, 1 - much], "p": 1}}]
    if name == "Sharpness" and sign < 0:
        return [{"GaussianBlur": {"sigma_limit": [much, much], "blur_limit": [3, 3], "p": 1}}]
    if name == "Sharpness":
        # Of Pillow's 3 x 3 mean the middle counts 5 of 13; with 1/13 of this kernel the two are the same.
        return [{"Sharpen": {"alpha": [much / 13, much / 13], "lightness": [1, 1], "p": 1}}]
    place = {"Brightness": "brightness", "Contrast": "contrast", "Color": "saturation"}[name]
    still = {"brightness": [1, 1], "contrast": [1, 1], "saturation": [1, 1], "hue": [0, 0]}
    return [{"ColorJitter": {**still, place: [1 + signed, 1 + signed], "p": 1}}]
