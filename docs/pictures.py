"""Draw what stages do, from the stages themselves, into docs/pictures.

python docs/pictures.py [KEY ...]     (by default all that have a picture)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import image_pictures
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
    "scale.quantile": {"output": "normal"},
    "reduce.autoencoder": {"size": 2},
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


def skewed() -> dict[str, np.ndarray]:
    """Make a column with a long tail and a few far values, and one of two humps."""
    random = np.random.default_rng(10)
    tail = np.append(random.lognormal(1.0, 0.8, 2980), random.uniform(60, 90, 20))
    humps = np.append(random.normal(20, 3, 1800), random.normal(45, 6, 1200))
    return {"a long tail": tail, "two humps": humps}


def scaled(key: str, axes: Axes) -> None:
    """Draw columns before and after scaling: what is moved, and what stays of their shape."""
    axes.axis("off")
    rows = pl.DataFrame(skewed())
    out = tilth.stage(key, **GIVEN.get(key, {})).fit_transform(rows)
    for across, (name, color) in enumerate(zip(rows.columns, (BLUE, ORANGE), strict=True)):
        for down, (frame, when) in enumerate(((rows, "before"), (out, "after"))):
            inner = axes.inset_axes((0.52 * across, 0.56 * (1 - down), 0.46, 0.38))
            inner.hist(frame[name].to_numpy(), bins=60, color=GREY if when == "before" else color)
            inner.set_yticks([])
            inner.tick_params(labelsize=7)
            inner.set_title(f"{name}, {when}", fontsize=8, loc="left", pad=3)
    axes.set_title(f"{key}{said(GIVEN.get(key, {}))}")


def made_of_rows(key: str, axes: Axes) -> None:
    """Draw rows before and after each is brought to length 1."""
    rows = cloud()
    out = tilth.stage(key).fit_transform(rows)
    axes.scatter(rows["x"], rows["y"], s=7, color=GREY, label="before", linewidths=0)
    axes.scatter(out["x"], out["y"], s=9, color=ORANGE, label="after", linewidths=0)
    axes.set(xlabel="x", ylabel="y", title=f"{key}: the direction of each row", aspect="equal")
    axes.legend(frameon=False, fontsize=8)


def said(given: dict[str, Any]) -> str:
    """Write parameters as part of a title."""
    return f": {', '.join(f'{name} {value}' for name, value in given.items())}" if given else ""


def digits() -> tuple[pl.DataFrame, np.ndarray]:
    """Return the handwritten digits: 64 pixels, and which digit it is."""
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    return pl.DataFrame(pixels, schema=[f"p{place}" for place in range(64)]), digit


def explained(key: str, axes: Axes) -> None:
    """Draw the variance along each component, beside that of columns that are shuffled each by itself."""
    X, _ = digits()
    random = np.random.default_rng(11)
    mixed = [np.cov(random.permuted(X.to_numpy(), axis=0), rowvar=False) for _ in range(20)]
    chance = np.quantile([np.linalg.eigvalsh(one)[::-1] for one in mixed], 0.95, axis=0)
    scores = tilth.stage(key, keep=64).fit_transform(X).to_numpy()
    chosen = tilth.stage(key, keep="parallel").fit_transform(X).width
    shares = 100 * scores.var(axis=0) / X.to_numpy().var(axis=0).sum()
    number = np.arange(1, len(shares) + 1)
    axes.bar(number, shares, color=np.where(number <= chosen, BLUE, GREY).tolist())
    beside = axes.twinx()
    beside.plot(number, shares.cumsum(), color=ORANGE, lw=1.2)
    beside.set(ylim=(0, 103), ylabel="all up to here, %")
    beside.spines["right"].set_visible(True)
    axes.axvline(chosen + 0.5, color="black", lw=0.8, ls="--")
    axes.text(chosen + 1, 0.45 * shares[0], f"parallel analysis keeps {chosen}", fontsize=8)
    by_chance = 100 * chance[: len(shares)] / X.to_numpy().var(axis=0, ddof=1).sum()
    axes.plot(number, by_chance, color="black", lw=1, label="by chance (95%)")
    axes.legend(frameon=False, fontsize=8, loc="center right")
    axes.set(xlabel="component", ylabel="share of the variance, %", title=f"{key}: 64 pixels of digits")


def mapped(key: str, axes: Axes) -> None:
    """Draw the digits in two numbers, beside principal components, colored by what digit it is."""
    X, digit = digits()
    axes.axis("off")
    pair = (("reduce.pca", {"keep": 2}), (key, GIVEN.get(key, {})))
    for across, (which, given) in enumerate(pair):
        stage = tilth.stage(which, **given)
        codes = (stage.fit(X, digit) if stage.needs_target else stage.fit(X)).transform(X).to_numpy()
        inner = axes.inset_axes((0.5 * across, 0.0, 0.46, 0.92))
        shown = inner.scatter(*codes.T[:2], c=digit, s=2, cmap="tab10", linewidths=0, rasterized=True)
        inner.set(xticks=[], yticks=[])
        inner.set_title(which, fontsize=9)
    axes.figure.colorbar(shown, ax=axes, ticks=range(10), label="digit", shrink=0.8)


def kept(key: str, axes: Axes) -> None:
    """Draw distances between digits before and after."""
    X, _ = digits()
    X = X[::9]
    pairs = np.triu_indices(X.height, 1)
    for keep, color in ((16, GREY), (256, BLUE)):
        wide = np.tile(X.to_numpy(), 16)  # 1,024 columns, so that there is something to reduce
        out = tilth.stage(key, keep=keep).fit_transform(wide)
        far = [np.linalg.norm(rows[pairs[0]] - rows[pairs[1]], axis=1) for rows in (wide, np.asarray(out))]
        axes.scatter(*far, s=1, color=color, label=f"{keep} sums", linewidths=0, alpha=0.4, rasterized=True)
    ends = [0, float(np.max(far))]
    axes.plot(ends, ends, color="black", lw=0.8, ls="--")
    axes.set(xlabel="distance in 1,024 columns", ylabel="distance after", title=f"{key}: pairs of digits")
    axes.legend(frameon=False, fontsize=8, markerscale=6)


def told(key: str, axes: Axes) -> None:
    """Draw what a column of chance tells of the target, if a row's own label counts and if it does not."""
    random = np.random.default_rng(12)
    X, y = pl.DataFrame({"code": random.integers(0, 1500, 4000).astype(str)}), random.integers(0, 2, 4000)
    stage = tilth.stage(key)
    other = stage.fit_transform(X, y)["code"].to_numpy()
    own = stage.transform(X)["code"].to_numpy()
    axes.axis("off")
    bins = np.linspace(0, 1, 41).tolist()
    for across, (values, name) in enumerate(
        ((own, "from all rows: what new rows get"), (other, "from other rows: what training rows get"))
    ):
        inner = axes.inset_axes((0.52 * across, 0.1, 0.46, 0.8))
        for label, color in ((0, GREY), (1, ORANGE)):
            inner.hist(values[y == label], bins, color=color, alpha=0.7, label=f"target {label}")
        inner.set_title(name, fontsize=8, loc="left")
        inner.set(xlabel="code becomes", yticks=[])
        inner.margins(y=0.25)
    inner.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)
    axes.set_title(f"{key}: 1,500 levels that tell nothing")


PICTURES: dict[str, Callable[[str, Axes], None]] = {
    "outliers.clip": clipped,
    "impute.drop": shares,
    "impute.drop_rows": shares,
    "impute.sentinels": marks,
    "labels.clean": doubted,
    "balance.smote": made,
    "encode.target": told,
    "scale.rows": made_of_rows,
    "reduce.pca": explained,
    "reduce.random": kept,
    "reduce.autoencoder": mapped,
    "reduce.kernel_pca": mapped,
    "reduce.supervised": mapped,
    **image_pictures.PICTURES,
}


def painter(key: str) -> Callable[[str, Axes], None] | None:
    """Return what draws a stage; None where nothing does."""
    rooms = {"impute": filled, "outliers": scored, "scale": scaled}
    return PICTURES.get(key) or rooms.get(key.partition(".")[0])


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
