"""Test rows made worse, as data gets worse in use: gaps, noise, columns that drift or are rescaled, mixed-up
units, unseen categories; for images blur, noise, JPEG and brightness."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import ndtri

from tilth.statistics import hash_rows, key_of, uniform
from tilth.table import ROW

CLEAN = "as it is"
UNSEEN = "never seen"
UNITS = 1000.0
"""By what a mixed-up unit is off: grams for kilograms."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Corruption:
    """Name one way of making test rows worse, and how much.

    Parameters
    ----------
    name : str
    level : float
        How much, in the unit of its kind.
    unit : str
        How the level is read: ``{:.0%} of the cells``.
    """

    name: str
    level: float
    unit: str

    @property
    def told(self) -> str:
        """Say it in words."""
        return f"{self.name}, {self.unit.format(self.level)}"


def _each(name: str, unit: str, *levels: float) -> tuple[Corruption, ...]:
    return tuple(Corruption(name, level, unit) for level in levels)


TABULAR = (
    *_each("missing cells", "{:.0%} of the cells", 0.1, 0.3, 0.5),
    *_each("noise", "{:g} sd", 0.1, 0.5, 1.0),
    *_each("shifted columns", "{:g} sd", 0.25, 0.5, 1.0),
    *_each("rescaled columns", "times {:g}", 1.1, 1.5, 2.0),
    *_each("mixed-up units", "{:.0%} of the cells", 0.01, 0.05, 0.2),
    *_each("unseen categories", "{:.0%} of the cells", 0.1, 0.3, 0.5),
)
"""What is done to tables; each level goes on from the one before it, by the same draws."""

IMAGES = (
    *_each("blur", "sigma {:.1%} of the side", 0.015, 0.03, 0.06),
    *_each("image noise", "sd {:.0%} of the range", 0.04, 0.08, 0.16),
    *_each("JPEG", "quality {:.0f}", 60, 30, 10),
    *_each("brightness", "{:+.0%} of the range", 0.1, 0.2, 0.4),
)
"""What is done to images, at the size at which a probe looks at them."""


@dataclass(frozen=True)
class Columns:
    """Know which features of a table can be made worse, and how far their values lie apart.

    Parameters
    ----------
    spread : dict of column to float
        Standard deviation of a numeric feature over the training rows.
    categories : tuple of str
        Features that hold categories as text.
    cells : tuple of str
        Features in which cells can be missing: all but images.
    """

    spread: dict[str, float] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()

    @classmethod
    def of(cls, train: pl.DataFrame, kinds: Mapping[str, str]) -> Columns:
        """Learn from the training rows; flags of 0 and 1, constants and empty columns stay as they are."""
        spread: dict[str, float] = {}
        for name, kind in kinds.items():
            if kind != "numeric" or not train.schema[name].is_numeric():
                continue
            values = train[name].cast(pl.Float64)
            known = values.filter(values.is_finite())
            flag = known.n_unique() <= 2 and known.is_in([0.0, 1.0]).all()
            deviation = known.std(ddof=0)
            if not flag and isinstance(deviation, float) and 0 < deviation < float("inf"):
                spread[name] = deviation
        texts = (pl.String, pl.Categorical, pl.Enum)
        categories = [n for n, kind in kinds.items() if kind == "categorical" and train.schema[n] in texts]
        return cls(spread, tuple(categories), tuple(n for n, kind in kinds.items() if kind != "image"))

    def apply(self, corruption: Corruption) -> bool:
        """Tell whether there is a column for this corruption."""
        if corruption.name == "missing cells":
            return bool(self.cells)
        return bool(self.categories if corruption.name == "unseen categories" else self.spread)


def worsened(frame: pl.DataFrame, corruption: Corruption, columns: Columns, seed: int) -> pl.DataFrame:
    """Return the rows made worse: types and row ids stay, and draws are keyed by (seed, column, row id).

    Parameters
    ----------
    frame : DataFrame
        Raw test rows with their ids.
    corruption : Corruption
        One of `TABULAR`.
    columns : Columns
    seed : int
    """
    return frame.with_columns(list(_made(frame, corruption, columns, seed)))


def _made(frame: pl.DataFrame, corruption: Corruption, columns: Columns, seed: int) -> Iterator[pl.Series]:
    ids, level = frame[ROW].to_numpy(), corruption.level
    draw = lambda name: uniform(seed, ids, int(key_of([f"{corruption.name} {name}"])[0]))
    if corruption.name == "missing cells":
        for name in columns.cells:
            yield _where(frame[name], draw(name) < level, pl.Series([None], dtype=frame[name].dtype))
    elif corruption.name == "unseen categories":
        for name in columns.categories:
            column = frame[name]
            # An Enum holds no category that it does not know.
            column = column.cast(pl.String) if column.dtype == pl.Enum else column
            new = UNSEEN
            while (column.cast(pl.String) == new).any():
                new += "!"
            hit = (draw(name) < level) & column.is_not_null().to_numpy()
            text = _where(column.cast(pl.String), hit, pl.Series([new]))
            yield text.cast(column.dtype) if column.dtype == pl.Categorical else text
    else:
        change = NUMBERS[corruption.name]
        for name, spread in columns.spread.items():
            values = frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            # The sign of a drift is the column's, not the row's.
            side = 1.0 if hash_rows(seed, key_of([name]))[0] >> np.uint64(63) else -1.0
            yield _as_was(frame[name], change(values, level, spread, draw(name), side))


NUMBERS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "noise": lambda x, level, spread, drawn, side: x + level * spread * ndtri(np.clip(drawn, 2.0**-53, None)),
    "shifted columns": lambda x, level, spread, drawn, side: x + side * level * spread,
    "rescaled columns": lambda x, level, spread, drawn, side: x * level,
    "mixed-up units": lambda x, level, spread, drawn, side: np.where(drawn < level, x * UNITS, x),
}
"""What becomes of numbers: values, level, standard deviation, a draw per row, and the column's sign."""


def _where(column: pl.Series, hit: NDArray[np.bool_], value: pl.Series) -> pl.Series:
    made: pl.Series = value.new_from_index(0, len(column)).zip_with(pl.Series(hit), column)
    return made.alias(column.name)


def _as_was(column: pl.Series, values: NDArray[np.float64]) -> pl.Series:
    """Return numbers in the type of the column: whole ones rounded and held within it, gaps kept."""
    dtype = column.dtype
    if dtype.is_integer():
        whole: Any = dtype
        low, high = (float(pl.select(end).item()) for end in (whole.min(), whole.max()))
        # The largest float below 2**63 still fits; 2**63 itself does not.
        values = np.clip(np.rint(values), low, high if high < 2**53 else np.nextafter(high, 0))
    made = pl.Series(column.name, values).fill_nan(None).cast(dtype, strict=False)
    # A gap of a float column may be null or NaN, and stays what it is.
    return made.zip_with(column.is_finite().fill_null(value=False), column) if dtype.is_float() else made


def blurred(pixels: Pixels, level: float, ids: NDArray[np.uint64], seed: int) -> Pixels:
    """Return images blurred by a Gaussian of so large a share of their side."""
    sigma = level * pixels.shape[1]
    return np.stack([cv2.GaussianBlur(image, (0, 0), sigma) for image in pixels])


def noisy(pixels: Pixels, level: float, ids: NDArray[np.uint64], seed: int) -> Pixels:
    """Return images with Gaussian noise, drawn by row id."""
    made = np.empty_like(pixels)
    for place, word in enumerate(hash_rows(seed, ids)):
        drawn = np.random.default_rng(int(word)).standard_normal(pixels.shape[1:], dtype=np.float32)
        made[place] = np.clip(np.rint(pixels[place] + 255 * level * drawn), 0, 255)
    return made


def compressed(pixels: Pixels, level: float, ids: NDArray[np.uint64], seed: int) -> Pixels:
    """Return images as JPEG of this quality leaves them."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(level)]
    made = []
    for image in pixels:
        # OpenCV reads the channels as blue, green, red: what is kept of each differs.
        code = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
        back: Any = cv2.imdecode(code, cv2.IMREAD_COLOR)
        made.append(back[..., ::-1])
    return np.stack(made)


def brightened(pixels: Pixels, level: float, ids: NDArray[np.uint64], seed: int) -> Pixels:
    """Return images with so large a share of the range added to every channel."""
    return np.clip(pixels.astype(np.int16) + round(255 * level), 0, 255).astype(np.uint8)


PICTURES: dict[str, Callable[[Pixels, float, NDArray[np.uint64], int], Pixels]] = {
    "blur": blurred,
    "image noise": noisy,
    "JPEG": compressed,
    "brightness": brightened,
}
"""What becomes of pixels (n, side, side, 3): pixels, level, row ids, seed."""
