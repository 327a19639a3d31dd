"""Draw what stages do to images, from the images that ship with the package."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

import tilth
from tilth.cli.plant import SHARES, plant
from tilth.images.decode import decode, decoded_to
from tilth.table import ROW, Table

GREY, ORANGE = "#b5b5b5", "#d9662b"
SIDE = 28


def clothes(each: int = 100) -> Table:
    """Read the packaged images of clothes, the first of each class."""
    table = tilth.read(Path(str(files("tilth").joinpath("demo/fashion"))))
    few = pl.int_range(pl.len()).over("label") < each
    return table.with_frame(table.frame.filter(few)).collect()


def sheet(axes: Axes, rows: list[list[np.ndarray]], names: list[str], gap: int = 4) -> None:
    """Draw rows of images, each under a name at its left."""
    step = SIDE + gap
    canvas = np.full((step * len(rows), step * max(map(len, rows)), 3), 255, np.uint8)
    for top, row in enumerate(rows):
        for left, image in enumerate(row):
            canvas[top * step : top * step + SIDE, left * step : left * step + SIDE] = image
        axes.text(-6, top * step + SIDE / 2, names[top], ha="right", va="center", fontsize=8)
    axes.imshow(canvas, interpolation="nearest")
    axes.axis("off")


def augmented(key: str, axes: Axes) -> None:
    """Draw one image in five epochs of each policy."""
    table = clothes(1)
    path = table.X()["path"][1]
    image = decode(path)
    rows, names = [[image] * 8], ["none"]
    for policy in ("light", "standard", "heavy", "trivial", "rand"):
        stage = tilth.stage(key, policy=policy)
        stage.fit(table)
        rows.append(
            [stage.augment_image(image.copy(), row=7, epoch=epoch, label="boot") for epoch in range(8)]
        )
        names.append(policy)
    sheet(axes, rows, names)
    axes.set_title(f"{key}: one image in eight epochs, by policy")


def changed_on_the_device(key: str, axes: Axes) -> None:
    """Draw a batch before and after."""
    import torch

    paths = clothes(1).X()["path"].to_list()
    images = np.stack([decode(path) for path in paths])
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    stage = tilth.stage(key, **({"erase": 0.5, "shift": 0.15} if key == "augment.pixels" else {}))
    stage.fit(clothes(1))
    out = stage.augment((batch, torch.arange(len(batch))), torch.Generator().manual_seed(1))[0]
    after = (out.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    sheet(axes, [list(images), list(after)], ["before", "after"])
    axes.set_title(f"{key}: a batch before and after")


def doubtful(key: str, axes: Axes) -> None:
    """Draw what the stage finds among images with planted problems, the worst first."""
    paths = clothes(60).X()["path"].to_list()
    given: dict[str, Any] = {"issues": "all"} if key == "prune.quality" else {}
    with tempfile.TemporaryDirectory() as folder:
        images = [decode(path, mode="grey") for path in paths]
        shares = SHARES | {"label": 0.0, "truncated": 0.0}
        plant(images, [Path(path).parent.name for path in paths], Path(folder), shares=shares)
        table = tilth.read(folder)
        stage = tilth.stage(key, action="report", **given).fit(table)
        path_of = dict(table.frame.select(ROW, "path").collect().iter_rows())
        found = [f for f in stage.findings_ if f.rows]
        rows = [[decoded_to(path_of[row], SIDE, SIDE, fit="pad") for row in f.rows[:8]] for f in found]
    sheet(axes, rows, [f.kind.partition(".")[2] for f in found])
    axes.set_title(f"{key}: what it finds, the worst first")


def channels(key: str, axes: Axes) -> None:
    """Draw how bright pixels are before and after."""
    table = clothes(20)
    stage = tilth.stage(key).fit(table)
    pixels = np.stack([decode(p)[..., 0] for p in table.X()["path"]]).ravel() / 255
    mean, std = stage.mean_["path"][0], stage.std_["path"][0]
    for values, color, name in (
        (pixels, GREY, "before: 0 to 1"),
        ((pixels - mean) / std, ORANGE, "as a network gets them"),
    ):
        axes.hist(values, 60, color=color, label=name, log=True)
    axes.axvline(0, color="black", lw=0.6)
    axes.set(
        xlabel=f"red; mean {mean:.2f}, standard deviation {std:.2f}",
        ylabel="pixels",
        title=f"{key}: 200 images",
    )
    axes.legend(frameon=False, fontsize=8)


def embedded(key: str, axes: Axes) -> None:
    """Draw images in the two main directions of their numbers."""
    table = clothes(60)
    numbers = tilth.stage(key, model="histograms").fit_transform(table)
    X = numbers.frame.select(pl.col("^path_[0-9]+$")).collect().to_numpy()
    centered = X - X.mean(axis=0)
    directions = np.linalg.svd(centered, full_matrices=False)[2][:2]
    flat = centered @ directions.T
    labels = table.y
    for label in labels.unique().sort():
        axes.scatter(*flat[(labels == label).to_numpy()].T, s=6, linewidths=0, label=label)
    axes.set(xticks=[], yticks=[], title=f"{key}: 600 images by histograms, in two directions")
    axes.legend(frameon=False, fontsize=7, ncols=1, loc="center left", bbox_to_anchor=(1, 0.5))


PICTURES = {
    "augment.images": augmented,
    "augment.pixels": changed_on_the_device,
    "duplicates.images": doubtful,
    "embed.images": embedded,
    "prune.quality": doubtful,
    "scale.channels": channels,
}
