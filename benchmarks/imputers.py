"""Measure how well imputers recover planted cells of real data, and whether `impute.auto` finds the best."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
import polars as pl

from bars import RESULTS, Bar
from datasets import IMPUTATION, each
from holes import MECHANISMS, SHARES, plant

QUICK = ("wine", "diabetes")
SETS = tuple(name for name in IMPUTATION if name != "ames")  # its 73 columns take as long as all the others
ROWS = 800
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NEAR = 1.05
"""`impute.auto` is near the best single method if its loss is at most so many times the best one's."""
WIDEST = 60
"""Beyond so many columns, one per category, scikit-learn's chained equations would take minutes."""

Fill = Callable[[pl.DataFrame], pl.DataFrame]


def quality_bars(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    """Fill planted holes of every set by every method; write the table; return the bar."""
    lines: list[dict[str, Any]] = []
    start = time.perf_counter()
    # A core for each set: on so few rows, threads would wait for one another.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        names = QUICK if quick else SETS
        for name, told in zip(names, pool.map(one_set, names, [quick] * len(names)), strict=True):
            lines += told
            print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    if not lines:
        raise SystemExit("no set is there; see benchmarks/requirements.txt")
    table = pl.DataFrame(lines, infer_schema_length=None)
    near, told = near_best(table)
    rounded = near.with_columns(pl.col(pl.Float64).round(4))
    seconds = table.group_by("method", maintain_order=True).agg(pl.col("seconds").median().round(3))
    figures["quality"] = {"cells": rounded.to_dicts(), "median_seconds": dict(seconds.iter_rows())}
    figures["quality"] |= {"nrmse": _by(table, "nrmse"), "accuracy": _by(table, "accuracy")}
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "impute.md").write_text(told, encoding="utf-8")
    share = round(float(near["near"].mean()), 3)
    return [Bar("impute.auto/best_single.within_5_percent", share, 0.8, share >= 0.8)]


def one_set(name: str, quick: bool) -> list[dict[str, Any]]:
    """Fill the planted holes of a set; no line where it is absent."""
    lines: list[dict[str, Any]] = []
    for data in each([name], max_rows=ROWS):
        for mechanism, share in [("mcar", 0.3), ("mar", 0.3)] if quick else product(MECHANISMS, SHARES):
            cell = {"set": name, "mechanism": mechanism, "share": share}
            try:
                planted = plant(data.X, mechanism, share)
            except ValueError as error:
                print(f"{name}, {mechanism} {share:.0%}: {error}")
                continue
            lines += [cell | told for told in one_cell(data.X, planted.frame, planted.planted)]
    return lines


def methods() -> dict[str, Fill]:
    """Name the methods, ours and scikit-learn's."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    from tilth.stages import stage

    ours = {
        "mean": ("impute.simple", {"numeric": "mean"}),
        "median": ("impute.simple", {}),
        "linear": ("impute.iterative", {"model": "linear"}),
        "neighbors": ("impute.neighbors", {}),
        "boosting": ("impute.iterative", {}),
        "autoencoder": ("impute.autoencoder", {}),
    }
    made: dict[str, Fill] = {n: stage(key, **given).fit_transform for n, (key, given) in ours.items()}
    made["sklearn mean"] = simple
    made["sklearn neighbors"] = on_matrix(lambda: KNNImputer(keep_empty_features=True))
    made["sklearn linear"] = on_matrix(lambda: IterativeImputer(keep_empty_features=True, random_state=0))
    return made


def one_cell(frame: pl.DataFrame, holed: pl.DataFrame, holes: pl.DataFrame) -> list[dict[str, Any]]:
    """Fill holes by every method, and by the one that `impute.auto` chooses: a line for each."""
    from tilth.stages import stage

    auto = stage("impute.auto")
    told = []
    for name, fill in {**methods(), "auto": auto.fit_transform}.items():
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                filled = fill(holed)
        except TooWide:
            continue
        seconds = time.perf_counter() - start
        told.append({"method": name, "seconds": round(seconds, 3), **losses(frame, filled, holes)})
    told[-1]["chosen"] = auto.trials_.filter("chosen")["method"].item()
    return told


def losses(truth: pl.DataFrame, filled: pl.DataFrame, holes: pl.DataFrame) -> dict[str, float | None]:
    """Return the loss, NRMSE and accuracy on the planted cells, columns weighted by how many they have.

    A column's loss is the root mean square error over its standard deviation (numbers, dates), or the
    share of wrong cells (categories); a cell left empty is wrong, or has the error of the mean.
    """
    off: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for name in truth.columns:
        at = holes[name]
        if not at.any():
            continue
        one, other = truth[name].filter(at), filled[name].filter(at)
        if truth.schema[name].is_numeric() or truth.schema[name].is_temporal():
            whole = truth[name].to_physical().cast(pl.Float64)
            if not whole.std():
                continue
            wanted = one.to_physical().cast(pl.Float64)
            away = other.to_physical().cast(pl.Float64).fill_null(whole.mean()) - wanted
            off[True].append((float(np.sqrt((away**2).mean())) / float(whole.std(ddof=0)), len(one)))
        else:
            wrong = (one.cast(pl.String) != other.cast(pl.String)).fill_null(True)
            off[False].append((float(wrong.mean()), len(one)))
    mean = lambda told: sum(loss * n for loss, n in told) / sum(n for _, n in told) if told else None
    accuracy = mean(off[False])
    return {
        "loss": mean(off[True] + off[False]),
        "nrmse": mean(off[True]),
        "accuracy": None if accuracy is None else 1 - accuracy,
    }


class TooWide(Exception):
    """A method is left out because it would take minutes."""


def simple(frame: pl.DataFrame) -> pl.DataFrame:
    """Fill with scikit-learn's SimpleImputer: the mean, and the most frequent category."""
    from sklearn.impute import SimpleImputer

    reading, matrix = read(frame)
    for strategy, some in (("mean", ~reading.categorical), ("most_frequent", reading.categorical)):
        if some.any():
            matrix[:, some] = SimpleImputer(strategy=strategy, keep_empty_features=True).fit_transform(
                matrix[:, some]
            )
    return written(frame, reading, matrix)


def on_matrix(make: Callable[[], Any]) -> Fill:
    """Fill with an imputer of numbers: standardized ones, and a column of 0 and 1 for each category."""

    def fill(frame: pl.DataFrame) -> pl.DataFrame:
        reading, matrix = read(frame)
        wide, imputer = reading.one_hot(matrix), make()
        if wide.shape[1] > WIDEST and type(imputer).__name__ == "IterativeImputer":
            raise TooWide
        return written(frame, reading, reading.narrow(imputer.fit_transform(wide)))

    return fill


def read(frame: pl.DataFrame) -> tuple[Any, np.ndarray]:
    """Return how the columns are read, and them as numbers."""
    from tilth.stages.reading import Reading
    from tilth.statistics import Statistics

    reading = Reading.learn(Statistics([frame.lazy()]), frame.columns)
    return reading, reading.matrix(frame)


def written(frame: pl.DataFrame, reading: Any, matrix: np.ndarray) -> pl.DataFrame:
    """Return the frame with its gaps filled from a matrix."""
    return frame.with_columns(
        frame[name].fill_null(reading.series(name, matrix[:, place]))
        for place, name in enumerate(reading.columns)
    )


def near_best(table: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Compare `impute.auto` with the best single method, cell by cell; and write the table for people."""
    names = [m for m in table["method"].unique(maintain_order=True) if m != "auto"]
    cell = ["set", "mechanism", "share"]
    wide = table.pivot("method", index=cell, values="loss", maintain_order=True) if table.height else table
    chosen = table.filter(pl.col("method") == "auto").select(*cell, "chosen")
    wide = wide.join(chosen, on=cell, how="left", maintain_order="left")
    best = pl.min_horizontal(names)
    near = wide.with_columns(best=best, ratio=pl.col("auto") / best).with_columns(
        near=pl.col("ratio") <= NEAR
    )
    return near, markdown(near, table, names)


def markdown(near: pl.DataFrame, table: pl.DataFrame, names: Sequence[str]) -> str:
    """Write the table: a line per set, mechanism and share."""
    hit, cells = int(near["near"].sum()), near.height
    seconds = dict(table.group_by("method").agg(pl.col("seconds").median()).iter_rows())
    lines = [
        "# How well imputers recover planted cells",
        "",
        "Loss on planted cells, smaller is better, the best single method in bold: the mean over columns, "
        "by their planted cells, of the root mean square error over the standard deviation (numbers) and of "
        f"the share of wrong cells (categories). `impute.auto` is within {NEAR - 1:.0%} of the best single "
        f"method in {hit} of {cells} cells ({hit / cells:.0%}). Made by `python benchmarks/impute.py --only "
        "quality`.",
        "",
        "| set | holes | " + " | ".join([*names, "auto", "auto took"]) + " |",
        "|---|---|" + "---:|" * (len(names) + 1) + "---|",
    ]
    for row in near.iter_rows(named=True):
        told = ["-" if row[n] is None else f"{row[n]:.3f}" for n in names]
        told = [f"**{t}**" if row[n] == row["best"] else t for n, t in zip(names, told, strict=True)]
        auto = f"{row['auto']:.3f}{'' if row['near'] else ' (!)'}"
        holes = f"{row['mechanism']} {row['share']:.0%}"
        lines.append("| " + " | ".join([row["set"], holes, *told, auto, row["chosen"]]) + " |")
    behind = [_cellwise(near, n) for n in [*names, "auto"]]
    lines.append("| mean ratio to the best | | " + " | ".join(behind) + " | |")
    lines.append("| median seconds | | " + " | ".join(f"{seconds[n]:.2f}" for n in [*names, "auto"]) + " | |")
    return "\n".join(lines) + "\n"


def _cellwise(near: pl.DataFrame, name: str) -> str:
    ratio = (near[name] / near["best"]).mean()
    return "-" if ratio is None else f"{ratio:.2f}"


def _by(table: pl.DataFrame, measure: str) -> dict[str, float | None]:
    """Return the mean of a measure over all cells, per method."""
    mean = pl.col(measure).cast(pl.Float64).mean().round(4)
    means = table.group_by("method", maintain_order=True).agg(mean)
    return dict(means.iter_rows())
