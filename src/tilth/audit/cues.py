"""Simple properties of images that tell the label: a model may learn these and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm, rankdata

from tilth.core.finding import Finding, Severity
from tilth.errors import DataError
from tilth.stages.classes import Classes
from tilth.statistics import key_of, uniform
from tilth.table import ROW

FINDS = {"images.cue": "a simple property of the images tells their label"}

FAMILIES: dict[str, tuple[str, ...]] = {
    "shape": ("width", "height", "aspect"),
    "light": ("brightness", "dark", "bright"),
    "contrast": ("contrast", "entropy", "bytes"),
    "sharpness": ("sharpness",),
    "color": ("saturation", "redness", "greenness", "blueness"),
}
"""Properties that mean nearly the same: of each family, the one that tells most is reported."""

FROM = {"shape": 0.75, "sharpness": 0.85}
"""Areas under the curve from which on a property is reported, where not `ELSE`: an object may well be darker
than others, but hardly photographed in another size."""
ELSE = 0.9
MANIFEST = 0.97
"""An area from which on a cue is severe."""
MEANS = {
    "dark": "the light of the lightest pixels ('dark')",
    "bright": "the light of the darkest pixels ('bright')",
    "bytes": "the size of the files ('bytes')",
    "redness": "how red they are ('redness')",
    "greenness": "how green they are ('greenness')",
    "blueness": "how blue they are ('blueness')",
}
"""What properties are, where their names do not say it."""
SURE = 0.01
"""The chance of any false report among all that is tried."""
NEARLY = 0.05
"""Areas that differ by less tell about the same."""
SHARP = 1.2
"""Images of this sharpness or more are sharp."""
BINS = 32
FEW = 20
"""Images that a class needs to be asked about."""
SHOWN = 24
"""Images of which rows are named."""


@dataclass(frozen=True)
class Cue:
    """Hold how well a property tells one class from the rest.

    Parameters
    ----------
    name : str
        Of the property.
    class_ : int
        The class, as a code.
    area : float
        Under the receiver operating characteristic, on rows that were not learned from.
    p : float
        How likely so large an area is where the property tells nothing.
    score : ndarray of shape (n_rows,), float64
        How likely the property makes the class.
    """

    name: str
    class_: int
    area: float
    p: float
    score: np.ndarray


def cues(properties: pl.DataFrame, y: pl.Series, seed: int = 0) -> Iterator[Finding]:
    """Find properties that tell a class from the rest on images that were not learned from.

    The property is cut into bins by its quantiles, so that it need not rise or fall with the class. Shares
    of the class per bin are learned on one half of the images and judged on the other; equal files count
    once. Chances are corrected for all properties and classes that are tried.

    Parameters
    ----------
    properties : DataFrame of n_rows
        Of `tilth.images.properties.properties`, readable images only; with the hidden row ids, findings name
        rows.
    y : Series of length n_rows
        Labels; nothing is found where they are values rather than classes.
    seed : int
    """
    try:
        classes = Classes.of(y, "audit.cues")
    except DataError:
        return  # values, not classes; or one class
    # Files that are equal, of one label, are one observation.
    once = properties.select(pl.struct("digest", pl.Series("", classes.codes)).is_first_distinct())
    asked = (classes.codes >= 0) & once.to_series().to_numpy()
    properties, codes, names = properties.filter(asked), classes.codes[asked], classes.names
    told = _prepared(properties)
    learned = uniform(seed, key_of(properties["digest"])) < 0.5
    tried: dict[str, list[Cue]] = {family: [] for family in FAMILIES}
    for family, members in FAMILIES.items():
        for name in members:
            tried[family] += _asked(
                name, told[name].cast(pl.Float64).fill_null(-1.0).to_numpy(), codes, learned
            )
    count = sum(map(len, tried.values()))
    for family, found in tried.items():
        sure = [cue for cue in found if cue.p * count < SURE and cue.area >= FROM.get(family, ELSE)]
        if sure:
            # The plainest of those that tell about as much: families name it first.
            most = max(cue.area for cue in sure)
            best = next(cue for cue in sure if cue.area >= most - NEARLY)
            yield _finding(best, family, sure, told, codes, names, count)


def _prepared(properties: pl.DataFrame) -> pl.DataFrame:
    """Part color from brightness, and leave out how sharp the sharp ones are: that is what they show."""
    mean = pl.mean_horizontal("red", "green", "blue")
    casts = [
        (pl.col(channel) - mean).round(4).alias(f"{channel}ness") for channel in ("red", "green", "blue")
    ]
    return properties.with_columns(*casts, pl.col("sharpness").fill_nan(None).clip(upper_bound=SHARP))


def _asked(name: str, values: np.ndarray, codes: np.ndarray, learned: np.ndarray) -> Iterator[Cue]:
    """Learn what a property says of each class, and judge it on the other half."""
    if not learned.any():
        return
    cuts = np.unique(np.quantile(values[learned], np.arange(1, BINS) / BINS))
    bins = np.searchsorted(cuts, values, side="left")
    n_bins, n_classes = len(cuts) + 1, int(codes.max()) + 1
    table = lambda rows: np.bincount(codes[rows] * n_bins + bins[rows], minlength=n_classes * n_bins).reshape(
        n_classes, n_bins
    )
    known, new = table(learned), table(~learned)
    # A bin of few images says little: it is drawn to the share that the class has of all.
    share = known.sum(axis=1) / max(known.sum(), 1)
    scores = (known + share[:, None] * n_classes) / (known.sum(axis=0) + n_classes)
    total, every = new.sum(axis=0), int(new.sum())
    for class_ in np.flatnonzero((known.sum(axis=1) >= FEW / 2) & (new.sum(axis=1) >= FEW / 2)):
        positive = int(new[class_].sum())
        negative = every - positive
        if not negative:
            continue
        # The area from the counts of bins: in the order of their scores, ties among equal ones.
        group = rankdata(scores[class_], method="dense").astype(np.int64) - 1
        of_all = np.bincount(group, weights=total)
        rank = np.cumsum(of_all) - (of_all - 1) / 2
        ours = np.bincount(group, weights=new[class_], minlength=len(of_all))
        area = (float(rank @ ours) - positive * (positive + 1) / 2) / (positive * negative)
        ties = float((of_all**3 - of_all).sum()) / (every * max(every - 1, 1))
        spread = np.sqrt(positive * negative / 12 * max(every + 1 - ties, 0.0)) / (positive * negative)
        if spread > 0:
            yield Cue(name, int(class_), area, float(norm.sf((area - 0.5) / spread)), scores[class_][bins])


def _finding(
    cue: Cue,
    family: str,
    sure: list[Cue],
    told: pl.DataFrame,
    codes: np.ndarray,
    names: list[str],
    count: int,
) -> Finding:
    """Say what a property tells of a class."""
    ours = codes == cue.class_
    values = told[cue.name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    middle, others = (f"{np.nanmedian(values[rows]):.4g}" for rows in (ours, ~ours))
    others_too = len({one.class_ for one in sure}) - 1
    more = f" (and {others_too} other classes less well)" if others_too and len(names) > 2 else ""
    severity: Severity = "medium" if family == "shape" else "low"
    if cue.area >= MANIFEST:
        severity = "high" if family == "shape" else "medium"
    rows: tuple[int, ...] = ()
    if ROW in told.columns:
        # Those that the property makes the class most clearly, whether they are of it or not.
        order = np.lexsort((told[ROW].to_numpy(), -cue.score))[:SHOWN]
        rows = tuple(told[ROW].to_numpy()[order].tolist())
    return Finding(
        "images.cue",
        f"Of the images, {MEANS.get(cue.name, cue.name)} alone tells class '{names[cue.class_]}' from the "
        f"others{more}: the area under the curve is {cue.area:.3f} on images not learned from (0.5 is "
        f"chance; {count} were tried). Its median is {middle} there and {others} elsewhere. If this is how "
        "the images were taken, a model may learn it instead of what they show.",
        cue.area,
        severity,
        columns=tuple(dict.fromkeys(one.name for one in sorted(sure, key=lambda one: -one.area))),
        rows=rows,
        n_rows=int(ours.sum()),
        remedy={"augment.images": {"policy": "standard"}}
        if family in ("light", "color", "contrast")
        else None,
        stage="audit.cues",
    )
