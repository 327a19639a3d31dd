"""Judge a recipe for images, and each of its stages, by a small network and a frozen one."""

from __future__ import annotations

import time
import warnings
from typing import Any

from bars import Bar
from images_planted import planted

IMAGES, QUICK_IMAGES = 1_000, 300
FOLDS, REPEATS = 5, 1
MINUTES = 20.0
NUMBERS = ("before", "after", "difference", "low", "high")


def bench(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare before and after, leave out each stage in turn, and count the minutes.

    Tested images keep their planted faults and the labels they were given.
    """
    from tilth.bench import ablate, compare
    from tilth.report import terminal
    from tilth.table import read

    pipe, asked = quick_job() if quick else job()
    figures: dict[str, Any] = {}
    with planted(QUICK_IMAGES if quick else IMAGES) as (photos, truth), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figures["files"] = truth.height
        table = read(photos)
        judges = {
            "compare": lambda: compare(None, pipe, table, **asked),
            "ablate": lambda: ablate(pipe, table, **asked),
        }
        for name, judged in judges.items():
            start = time.perf_counter()
            trial = judged()
            minutes = (time.perf_counter() - start) / 60
            told = lambda v: {key: getattr(v, key) for key in ("stage", "probe", "metric", *NUMBERS, "word")}
            figures[name] = {
                "minutes": minutes,
                "verdicts": [told(v) for v in trial.verdicts],
                "words": trial.in_words(),
                "costs": trial.costs.to_dicts(),
            }
            print(f"{name}, {truth.height:,} files: {minutes:.1f} minutes")
            print(terminal.plain(terminal.verdict_table(trial)))
            verdicts = {v.in_words() for v in trial.verdicts}
            print(*(words for words in trial.in_words() if words not in verdicts), sep="\n", flush=True)
    minutes = round(sum(figures[name]["minutes"] for name in judges), 1)
    return [Bar("images.bench.minutes", minutes, MINUTES, minutes < MINUTES)], figures


def job() -> tuple[Any, dict[str, Any]]:
    """Return the recipe that is judged, and how."""
    embedded = {"embed.images": {"keep": True}}
    pipe = pipeline(embedded, {"labels.clean": {"probe": "linear"}}, {"augment.images": {"policy": "light"}})
    return pipe, {"probes": ["cnn", "transfer"], "folds": FOLDS, "repeats": REPEATS}


def quick_job() -> tuple[Any, dict[str, Any]]:
    """Return what walks the same way in seconds: too little is learned for a verdict."""
    from tilth.probes import CNN, Transfer

    probes = [("cnn", CNN(max_epochs=2)), ("transfer", Transfer(model="histograms"))]
    return pipeline({"augment.images": {"policy": "light"}}), {"probes": probes, "folds": 2, "repeats": 1}


def pipeline(*last: Any) -> Any:
    """Build the pipeline that leaves out unreadable files, copies and spoiled images, and goes on as told."""
    from tilth.pipeline import Pipeline
    from tilth.recipes import Recipe

    first = ["prune.unreadable", "duplicates.images", "prune.quality"]
    return Pipeline.from_recipe(Recipe.from_values({"stages": [*first, *last]}))
