"""Draw what stages do, from the stages themselves, into docs/pictures.

python docs/pictures.py [KEY ...]     (by default all that have a picture)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import tilth
from tilth.stages import keys

FOLDER = Path(__file__).parent / "pictures"
GREY, BLUE, ORANGE = "#b5b5b5", "#2f6f9f", "#d9662b"
# The same stage draws the same file: no dates, no random names inside.
STYLE = {"svg.hashsalt": "tilth", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}

# What a stage is given in its picture, where its defaults would draw nothing telling.
GIVEN: dict[str, dict[str, Any]] = {
    "impute.simple": {"by": "group"},
    "impute.neighbors": {"on": ["x", "y"]},
    "impute.iterative": {"on": ["x", "y"]},
    "impute.autoencoder": {"on": ["x", "y"], "max_epochs": 400},
}


def curve(rows: int = 320) -> pl.DataFrame:
    """Make rows along a curve, of two groups: `x`, `y` and the group."""
    random = np.random.default_rng(3)
    x = random.uniform(-3, 3, rows)
    group = np.where(x + random.normal(0, 0.8, rows) > 0, "right", "left")
    y = np.sin(1.4 * x) * 1.5 + 0.25 * x + random.normal(0, 0.18, rows)
    return pl.DataFrame({"x": x, "y": y, "group": group})


def filled(key: str, axes: Axes) -> None:
    """Draw where a stage puts cells that were hidden, beside where they were."""
    rows = curve()
    hidden = np.random.default_rng(4).random(rows.height) < 0.3
    gaps = rows.with_columns(pl.when(~pl.Series(hidden)).then(pl.col("y")).alias("y"))
    out = tilth.stage(key, **GIVEN.get(key, {})).fit_transform(gaps)
    known, truth, made = rows.filter(~pl.Series(hidden)), rows.filter(hidden), out.filter(hidden)
    axes.scatter(known["x"], known["y"], s=9, color=GREY, label="known", linewidths=0)
    axes.vlines(truth["x"], truth["y"], made["y"], color=ORANGE, lw=0.4, alpha=0.5)
    axes.scatter(
        truth["x"], truth["y"], s=12, facecolors="none", edgecolors=BLUE, lw=0.7, label="hidden: truth"
    )
    axes.scatter(made["x"], made["y"], s=11, color=ORANGE, label="hidden: filled", linewidths=0)
    error = float(((truth["y"] - made["y"]) ** 2).mean() ** 0.5 / rows["y"].std())  # type: ignore[operator, arg-type]
    axes.set(xlabel="x", ylabel="y", title=f"{key}: error {error:.2f} standard deviations")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def cloud() -> pl.DataFrame:
    """Make two dense clouds of rows, a loose one, and a few rows far from all."""
    random = np.random.default_rng(5)
    tight = random.normal([-2, -1], [0.35, 0.25], (150, 2))
    tilted = random.normal(size=(200, 2)) @ np.array([[0.9, 0.7], [0.0, 0.3]]) + [2, 1]
    far = np.array([[-2.0, 2.5], [0.2, -1.8], [4.5, -1.0], [-4.5, 0.3], [0.0, 3.2], [2.2, -0.6]])
    return pl.DataFrame(np.vstack([tight, tilted, far]), schema=["x", "y"])


def scored(key: str, axes: Axes) -> None:
    """Draw rows by their score, with those that are flagged."""
    rows = cloud()
    plan = tilth.stage(key, **{"threshold": 0.02, "action": "report", **GIVEN.get(key, {})}).fit(rows).plan_
    rank = np.argsort(np.argsort(-plan.score)) / rows.height
    flagged = rows.filter(plan.reason != "")
    shown = axes.scatter(rows["x"], rows["y"], c=rank, s=10, cmap="cividis_r", linewidths=0)
    axes.scatter(
        flagged["x"], flagged["y"], s=60, facecolors="none", edgecolors=ORANGE, label="the farthest 2%"
    )
    axes.figure.colorbar(shown, ax=axes, label="score (rank)", shrink=0.8)
    axes.set(xlabel="x", ylabel="y", title=key)
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def clipped(key: str, axes: Axes) -> None:
    """Draw a skewed column with the fences of three methods."""
    values = np.random.default_rng(6).lognormal(0, 0.7, 1500)
    rows = pl.DataFrame({"value": values})
    axes.hist(values, bins=60, color=GREY)
    for method, color in (("iqr", ORANGE), ("mad", "#7a4fa3"), ("adjusted", BLUE)):
        stage = tilth.stage(key, method=method).fit(rows)
        share = float(np.mean((values < stage.low_["value"]) | (values > stage.high_["value"])))
        axes.axvline(stage.high_["value"], color=color, label=f"{method}: {share:.1%} outside")
        if stage.low_["value"] > values.min():
            axes.axvline(stage.low_["value"], color=color)
    axes.set(xlabel="value", ylabel="rows", title=f"{key}: the bounds of a skewed column")
    axes.legend(frameon=False, fontsize=8)


def shares(key: str, axes: Axes) -> None:
    """Draw the missing share of columns or rows beside the one from which they are dropped."""
    random = np.random.default_rng(7)
    names = list("abcdefgh")
    likely = np.array([0.02, 0.7, 0.1, 0.35, 0.55, 0.0, 0.9, 0.2])
    holes = random.random((400, 8)) < (
        likely if key == "impute.drop" else likely * random.random((400, 1)) * 1.6
    )
    rows = pl.DataFrame(
        {c: np.where(h, np.nan, 1.0) for c, h in zip(names, holes.T, strict=True)}, nan_to_null=True
    )
    stage = tilth.stage(key).fit(rows)
    if key == "impute.drop":
        kept = set(stage.transform(rows).columns)
        axes.bar(names, holes.mean(axis=0), color=[BLUE if c in kept else ORANGE for c in names])
        axes.set(ylabel="missing share", title=f"{key}: columns left out in orange")
    else:
        missing, dropped = holes.mean(axis=1), stage.plan_.times == 0
        bins = (np.arange(-0.5, 9) / 8).tolist()
        axes.hist([missing[~dropped], missing[dropped]], bins, stacked=True, color=[BLUE, ORANGE])
        axes.set(
            xlabel="missing share of a row", ylabel="rows", title=f"{key}: training rows left out in orange"
        )
    (axes.axhline if key == "impute.drop" else axes.axvline)(stage.share, color="black", lw=0.8, ls="--")


def marks(key: str, axes: Axes) -> None:
    """Draw a column with a number that stands for a missing value."""
    random = np.random.default_rng(8)
    values = np.where(random.random(600) < 0.12, 999.0, random.normal(140, 40, 600).round())
    rows = pl.DataFrame({"pressure": values})
    gone = tilth.stage(key).fit_transform(rows)["pressure"].is_null().to_numpy()
    bins = np.linspace(0, 1000, 51).tolist()
    axes.hist(
        [values[~gone], values[gone]],
        bins,
        stacked=True,
        color=[GREY, ORANGE],
        label=["kept", "made missing"],
    )
    axes.set(xlabel="pressure", ylabel="rows", title=f"{key}: 999 was never measured")
    axes.legend(frameon=False, fontsize=8)


def doubted(key: str, axes: Axes) -> None:
    """Draw the handwritten digits whose label is least believed."""
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    X = pl.DataFrame(pixels, schema=[f"p{place}" for place in range(64)])
    stage = tilth.stage(key, probe="linear", action="report").fit(X, digit)
    judged = stage.judgment_["probabilities"]
    canvas = np.full((26, 84), np.nan)
    for place, row in enumerate(np.argsort(stage.plan_.score, kind="stable")[:12]):
        top, left = 13 * (place // 6), 14 * (place % 6) + 3
        canvas[top : top + 8, left : left + 8] = pixels[row].reshape(8, 8)
        said = f"{digit[row]}, looks like {judged[row].argmax()}"
        axes.text(left + 3.5, top + 9.4, said, ha="center", va="center", fontsize=7)
    axes.imshow(canvas, cmap="gray_r")
    axes.axis("off")
    axes.set_title(f"{key}: the least believed of {len(digit)} labels")


def made(key: str, axes: Axes) -> None:
    """Draw the rows that are made of a rare class, among those there are."""
    random = np.random.default_rng(9)
    many = random.normal(size=(300, 2)) @ np.array([[1.2, 0.3], [0.0, 0.8]])
    angle = random.uniform(0.2, 2.4, 24)
    few = np.column_stack([2.6 * np.cos(angle), 2.6 * np.sin(angle) - 0.6]) + random.normal(0, 0.2, (24, 2))
    X, y = np.vstack([many, few]), np.repeat(["frequent", "rare"], [300, 24])
    stage = tilth.stage(key, ratio=0.5)
    rows = stage.fit_resample(X, y)[0][len(X) :]
    axes.scatter(*many.T, s=7, color=GREY, label=f"frequent: {len(many)}", linewidths=0)
    axes.scatter(*rows.T, s=14, facecolors="none", edgecolors=ORANGE, lw=0.7, label=f"made: {len(rows)}")
    axes.scatter(*few.T, s=14, color=BLUE, label=f"rare: {len(few)}", linewidths=0)
    axes.set(xlabel="x", ylabel="y", title=f"{key}: rows between neighbors of the rare class")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


PICTURES: dict[str, Callable[[str, Axes], None]] = {
    "outliers.clip": clipped,
    "impute.drop": shares,
    "impute.drop_rows": shares,
    "impute.sentinels": marks,
    "labels.clean": doubted,
    "balance.smote": made,
}


def painter(key: str) -> Callable[[str, Axes], None] | None:
    """Return what draws a stage; None where nothing does."""
    return PICTURES.get(key) or {"impute": filled, "outliers": scored}.get(key.partition(".")[0])


def draw(key: str) -> Path | None:
    """Draw one stage's picture."""
    paint = painter(key)
    if paint is None:
        return None
    FOLDER.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.2), layout="constrained")
        paint(key, figure.subplots())
        figure.savefig(FOLDER / f"{key}.svg", metadata={"Date": None})
    return FOLDER / f"{key}.svg"


if __name__ == "__main__":
    for name in sys.argv[1:] or keys():
        if path := draw(name):
            print(path.relative_to(FOLDER.parent))
