"""`tilth demo --images`: the main job on a folder of images that ship with the package."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.cli import show
from tilth.cli.demo import prove
from tilth.cli.show import step

if TYPE_CHECKING:
    import polars as pl

    from tilth.pipeline import RunResult

FOLDS, REPEATS, BATCH, SIDE = 4, 1, 64, 28


def demo_images(folder: Path, jobs: int | None) -> None:
    """Plant problems in 1,000 images of clothes, and let them be found, mended, judged and loaded."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    start = time.perf_counter()
    photos = folder / "photos"
    truth = planted(photos)
    console.print(
        f"The data: {truth.height:,} images of clothes in 10 classes ({photos}), with problems planted: "
        f"{told(truth)}, and 2 files that are no images.\n"
    )

    import tilth
    from tilth import pipeline
    from tilth.report import terminal

    with step(console, "1. Audit: what is wrong with it?") as tell:
        audit = tilth.audit(photos, progress=tell)
    console.print(terminal.findings_table(audit.findings))

    recipe_path = folder / "recipe.yaml"
    recipe_path.write_text(proposed(audit.proposed["stages"]), encoding="utf-8")
    console.print(f"\n2. The recipe it proposes ({recipe_path}):\n")
    console.print(recipe_path.read_text(encoding="utf-8"), markup=False, style="dim")

    with step(console, "3. Run: a manifest of the images to train on, a ledger") as tell:
        result = pipeline.run(recipe_path, progress=tell)
    console.print(terminal.stages_table(result.ledger, [name for name, _ in result.pipeline.named_steps()]))
    lines = [(p, str(n), str(gone)) for p, n, gone in caught(truth, result).iter_rows()]
    show.table(("planted", "images", "dropped"), lines)

    prove(console, "Tilth demo: images of clothes", audit, result, FOLDS, REPEATS, jobs, start)


def planted(photos: Path) -> pl.DataFrame:
    """Write the packaged images where the user can look at them, and plant problems; return which."""
    import shutil
    from importlib.resources import as_file, files

    from tilth.cli.plant import hostile, plant
    from tilth.images.decode import decode

    with as_file(files("tilth").joinpath("demo/fashion")) as packaged:
        paths = sorted(packaged.glob("*/*.png"))
        images = [decode(path, mode="grey") for path in paths]
        classes = [path.parent.name for path in paths]
    shutil.rmtree(photos, ignore_errors=True)
    truth = plant(images, classes, photos)
    list(hostile(photos))
    return truth


def told(truth: pl.DataFrame) -> str:
    """Say how many images have which problem."""
    counts = truth["problem"].drop_nulls().value_counts(sort=True)
    return ", ".join(f"{n} {problem}" for problem, n in sorted(counts.iter_rows()))


def proposed(stages: Sequence[str | dict[str, Any]]) -> str:
    """Return the audit's recipe for the demo: what it would report is dropped."""
    from tilth.recipes import Recipe

    acting: list[Any] = [_acting(line) for line in stages]
    told = Recipe.from_values(
        {
            "data": {"path": "photos", "split": {"test": 0.2}},
            "stages": acting,
            "loader": {"batch_size": BATCH, "drop_last": True, "size": SIDE},
            "output": {"dir": "prepared", "format": "csv"},
        }
    )
    return told.to_yaml()


def _acting(line: str | dict[str, Any]) -> str | dict[str, Any]:
    if isinstance(line, str):
        return line
    key, values = next(iter(line.items()))
    kept = {name: value for name, value in values.items() if (name, value) != ("action", "report")}
    return {key: kept} if kept else key


def caught(truth: pl.DataFrame, result: RunResult) -> pl.DataFrame:
    """Count the planted problems among the training images, and how many of them were dropped.

    Of an image and its copy either may be dropped.
    """
    import polars as pl

    from tilth.table import ROW

    before = result.before
    names = before.frame.select(pl.col(ROW).alias("row"), "file").collect()
    fates = result.ledger.fates(before).join(names, on="row").select("file", (pl.col("fate") == "dropped"))
    both = truth.join(fates, on="file").join(fates.rename({"file": "of"}), on="of", how="left", suffix="_of")
    gone = pl.col("fate") | pl.col("fate_of").fill_null(False)
    counted = both.with_columns(pl.col("problem").fill_null("none")).group_by("problem")
    told = counted.agg(pl.len().alias("images"), gone.sum().alias("dropped"))
    return told.sort("problem")
