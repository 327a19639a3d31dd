"""Transforms of images, by albumentations: checked as written, built for each thread, and drawn by key.

Whatever is done to an image is written as a recipe writes it: ``{HorizontalFlip: {p: 0.5}}``. Only names in
albumentations' own registry are known; nothing is imported by name.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, ValidationError

from tilth.errors import RecipeError, StageError, UnknownName, listed
from tilth.stages.magnitudes import LEVELS, OPERATIONS, of_policy, operation

Name = Literal["none", "light", "standard", "heavy", "trivial", "rand"]

_SWITCH = "NO_ALBUMENTATIONS_UPDATE"
_MOST_CHAINS = 256
_IMPORTING = threading.Lock()
_OF_THREAD = threading.local()

_LIST = "is what the list itself is; within it, use Sequential"
_TENSORS = "gives tensors, which the loader makes"
_MORE = "needs boxes or masks beside the image"
_BEYOND = {
    "Compose": _LIST,
    "ReplayCompose": _LIST,
    "ToTensorV2": _TENSORS,
    "ToTensor3D": _TENSORS,
    "AtLeastOneBBoxRandomCrop": _MORE,
    "BBoxSafeRandomCrop": _MORE,
    "ConstrainedCoarseDropout": _MORE,
    "CropNonEmptyMaskIfExists": _MORE,
    "RandomSizedBBoxSafeCrop": _MORE,
    "ToRGB": "does nothing: the images have three channels already",
}
_RISKS = {
    "turned over": (
        *("VerticalFlip", "Transpose", "RandomRotate90", "D4", "SquareSymmetry"),
        "where up and down tell classes apart",
    ),
    "recolored": (
        *("InvertImg", "ChannelShuffle", "ChannelDropout", "HEStain", "RGBShift", "ToSepia", "ToGray"),
        "where colors tell classes apart",
    ),
    "cut up": ("RandomGridShuffle", "GridDropout", "where the arrangement of parts tells classes apart"),
}


@cache
def _albumentations() -> Any:
    """Import albumentations, and keep it from asking the network for its newest version."""
    with _IMPORTING:
        before = os.environ.get(_SWITCH)
        os.environ[_SWITCH] = "1"
        try:
            import albumentations
            from albumentations.core import serialization
        finally:
            if before is None:
                del os.environ[_SWITCH]
            else:
                os.environ[_SWITCH] = before
        return albumentations, serialization.SERIALIZABLE_REGISTRY


@cache
def known() -> dict[str, type]:
    """Return the transforms of images and the compositions of them that albumentations has, by name."""
    library, registry = _albumentations()
    bases = (library.DualTransform, library.ImageOnlyTransform, library.BaseCompose)
    return {
        name: kind
        for name, kind in sorted(registry.items())
        if "." not in name  # those of other packages have their module's name before their own
        and issubclass(kind, bases)
        and kind not in bases
        and not issubclass(kind, library.Transform3D)
        and not name.startswith(("Base", "_"))
        and name not in _BEYOND
    }


def checked(written: list[Any]) -> list[Any]:
    """Return transforms as they are written, or say what is wrong with them.

    Raises
    ------
    RecipeError
        A name or a parameter is not known, with the nearest that are; a value is not allowed; a transform
        needs more than an image, gives something else than pixels, or leaves nothing of the image.
    """
    for entry, made in zip(written, build(written), strict=True):
        _try(*_read(entry), made)
    return written


Transforms = Annotated[list[str | dict[str, dict[str, Any] | None]], AfterValidator(checked)]
"""A list of names, each alone or with its parameters: ``[ToGray, {HorizontalFlip: {p: 0.5}}]``."""


def build(written: Iterable[Any]) -> list[Any]:
    """Return the objects of written transforms; compositions are built with all that is in them."""
    return [_built(*_read(entry)) for entry in written]


def _read(entry: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if not (isinstance(entry, Mapping) and len(entry) == 1):
        raise RecipeError(
            f"A transform is a name, or a name with parameters, {{HorizontalFlip: {{p: 0.5}}}}; not {entry!r}"
        )
    ((name, given),) = entry.items()
    return str(name), dict(given or {})


def _built(name: str, given: dict[str, Any]) -> Any:
    if name in _BEYOND:
        raise RecipeError(f"{name} {_BEYOND[name]}. Leave it out")
    if name not in known():
        raise UnknownName.among("transform of albumentations", name, known())
    kind: Any = known()[name]
    parameters = _parameters(kind)
    for wrong in (p for p in given if p not in parameters):
        raise UnknownName.among(f"parameter of {name}", wrong, parameters)
    if "transforms" in parameters:
        chance = given.get("p", 1)
        if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
            raise RecipeError(f"{name}: p: it is a probability, from 0 to 1, found {chance!r}")
        given["transforms"] = build(given.get("transforms") or [])
        if not given["transforms"]:
            raise RecipeError(f"{name}: it needs `transforms`, a list of one or more")
    elif "InitSchema" in vars(next(c for c in kind.__mro__ if "__init__" in vars(c))):
        # Else what is not allowed is but warned of, and defaults are taken.
        given["strict"] = True
    try:
        made = kind(**given)
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{name}: {_told(error)}") from error
    more = sorted(set(getattr(made, "targets_as_params", ())) - {"image"})
    if more:
        raise RecipeError(f"{name} needs more than the image: {listed(more)}. Choose another transform")
    return made


def _parameters(kind: Any) -> list[str]:
    return [name for name in inspect.signature(kind.__init__).parameters if name not in ("self", "strict")]


def _told(error: Exception) -> str:
    """Say in one line what albumentations has against the parameters."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return " ".join(str(error).split())
    told = []
    for one in cause.errors(include_url=False):
        place = f"{one['loc'][0]}: " if one["loc"] else ""
        found = "" if one["type"] == "missing" or not place else f", found {one['input']!r}"
        told.append(f"{place}{one['msg'].removeprefix('Value error, ').rstrip('.')}{found}")
    return "; ".join(dict.fromkeys(told))


def _try(name: str, given: dict[str, Any], made: Any) -> None:
    """Apply a transform to a picture, several times; refuse one that leaves no picture, or just this one."""
    for entry, inner in zip(given.get("transforms", ()), _inside(made), strict=True):
        _try(*_read(entry), inner)
    picture = _picture()
    blank, same = [], []
    for word in range(8):
        _share([made], np.random.Generator(np.random.Philox(key=word)), random.Random(word))
        try:
            out = made(image=picture.copy(), force_apply=True)["image"]
        except Exception:  # it may need images of some size: that is told when there are some
            return
        if not (isinstance(out, np.ndarray) and out.dtype == np.uint8):
            what = getattr(out, "dtype", type(out).__name__)
            raise RecipeError(
                f"{name} gives {what}, and batches are made of 8-bit pixels. Leave it out: the loader does it"
            )
        if sorted(out.shape) != sorted(picture.shape) and not _sized(type(made)):
            raise RecipeError(f"{name} changes the size of images, and a batch needs all alike. Leave it out")
        blank.append(out.size == 0 or int(np.ptp(out.reshape(-1, out.shape[-1]), axis=0).max()) == 0)
        same.append(np.array_equal(out, picture))
    if all(blank):
        raise RecipeError(f"{name} leaves nothing of an image, and its label means nothing. Choose less")
    if all(same) and not given and name != "NoOp":
        raise RecipeError(f"{name} changes nothing as it is written. Give it parameters, or leave it out")


def _sized(kind: Any) -> bool:
    """Tell whether a transform can be given the size of what it makes."""
    return any(word in name for name in _parameters(kind) for word in ("size", "height", "width", "max"))


def _picture() -> np.ndarray:
    """Draw slopes of three colors, and a square of others in the middle."""
    down, across = np.mgrid[:48, :80]
    picture = np.stack([20 + 2 * across, 30 + 3 * down, np.full((48, 80), 90)], axis=2).astype(np.uint8)
    picture[12:30, 20:50] = 200 - picture[12:30, 20:50] // 2
    return picture


def risks(written: Iterable[Any]) -> Iterator[tuple[list[str], str, str]]:
    """Yield transforms that may change what class an image is of: names, what they do, and where."""
    names = list(dict.fromkeys(_names(written)))
    for done, (*risky, where) in _RISKS.items():
        if found := [name for name in names if name in risky]:
            yield found, done, where


def _names(written: Iterable[Any]) -> Iterator[str]:
    for name, given in map(_read, written):
        yield name
        yield from _names(given.get("transforms") or [])


def _share(transforms: Iterable[Any], numbers: np.random.Generator, python: random.Random) -> None:
    """Give all transforms one stream of random numbers.

    By a seed of their own, as ``set_random_seed`` gives it to each, all would draw the same numbers.
    """
    for transform in transforms:
        transform.random_generator, transform.py_random = numbers, python
        _share(_inside(transform), numbers, python)


def _inside(transform: Any) -> Iterable[Any]:
    """Return the transforms of a composition; others may have an attribute of that name, too."""
    return transform.transforms if isinstance(transform, _albumentations()[0].BaseCompose) else ()


@dataclass(frozen=True)
class Policy:
    """Say what is done to images of one strength.

    Parameters
    ----------
    name : str
    strength : float
        Magnitudes are multiplied by it, up to the most of each operation; 0 does nothing.
    flip : bool
        'light', 'standard' and 'heavy' flip half of the images left to right.
    n, m : int
        Operations per image, and their magnitude, of 'rand'.
    transforms : str
        What comes after the policy's own, as JSON.
    """

    name: Name
    strength: float = 1.0
    flip: bool = True
    n: int = 2
    m: int = 9
    transforms: str = "[]"

    def written(self) -> list[Any]:
        """Write what is done to every image, as recipes do; of 'trivial' and 'rand', what follows."""
        return [*of_policy(self.name, self.strength, self.flip), *json.loads(self.transforms)]

    def apply(self, pixels: np.ndarray, word: int, who: str) -> np.ndarray:
        """Return a changed image; gray ones go through as three equal channels, and come out gray.

        Parameters
        ----------
        pixels : ndarray of shape (height, width[, channels]), uint8
            Of one or three channels.
        word : int
            64 bits that all randomness comes from.
        who : str
            The stage, for messages.

        Raises
        ------
        StageError
            If the image is of another form, or a transform fails or changes its shape.
        """
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (*pixels.shape, 1)[2] not in (1, 3):
            raise StageError(
                f"{who}: an image is {pixels.dtype} of shape {pixels.shape}; it changes 8-bit pixels of "
                "shape (height, width), (height, width, 1) or (height, width, 3)."
            )
        if self.name == "none" and self.transforms == "[]":
            return pixels
        if pixels.ndim == 3 and pixels.shape[2] == 3:
            return self._changed(pixels, word, who)
        import cv2

        flat = pixels.reshape(pixels.shape[:2])
        changed = self._changed(cv2.cvtColor(flat, cv2.COLOR_GRAY2RGB), word, who)
        return np.asarray(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)).reshape(pixels.shape)

    def _changed(self, pixels: np.ndarray, word: int, who: str) -> np.ndarray:
        image = pixels
        for transform in _chain(self).draw(word):
            try:
                image = transform(image=image)["image"]
            except Exception as error:
                told = " ".join(str(error).split())
                raise StageError(
                    f"{who}: {type(transform).__name__} failed on an image of shape {image.shape}: {told}"
                ) from error
        if image.shape != pixels.shape:
            raise StageError(
                f"{who}: the transforms make an image of shape {image.shape} of one of {pixels.shape}, and a "
                "batch needs all alike. Give them the loader's size, or leave out what crops and resizes."
            )
        return image


class _Chain:
    """The objects that carry a policy out, for one thread: they hold what they drew last."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.fixed = build(policy.written())
        self.operations: dict[tuple[str, int, int], list[Any]] = {}

    def draw(self, word: int) -> list[Any]:
        """Return the transforms of an image, with their stream of random numbers."""
        python = random.Random(word)
        chosen = [*self._chosen(python), *self.fixed]
        _share(chosen, np.random.Generator(np.random.Philox(key=word)), python)
        return chosen

    def _chosen(self, python: random.Random) -> Iterator[Any]:
        policy = self.policy
        if policy.name not in ("trivial", "rand") or policy.strength <= 0:
            return
        for _ in range(1 if policy.name == "trivial" else policy.n):
            name = OPERATIONS[int(python.random() * len(OPERATIONS))]
            level = int(python.random() * (LEVELS + 1)) if policy.name == "trivial" else policy.m
            sign = 1 if python.random() < 0.5 else -1
            yield from self._at(name, min(LEVELS, round(level * policy.strength)), sign)

    def _at(self, name: str, level: int, sign: int) -> list[Any]:
        key = (name, level, sign)
        if key not in self.operations:
            wide = self.policy.name == "trivial"
            self.operations[key] = build(operation(name, level / LEVELS, sign, wide=wide))
        return self.operations[key]


def _chain(policy: Policy) -> _Chain:
    held: dict[Policy, _Chain] = _OF_THREAD.__dict__.setdefault("chains", {})
    if policy not in held:
        if len(held) >= _MOST_CHAINS:
            held.clear()
        held[policy] = _Chain(policy)
    return held[policy]
