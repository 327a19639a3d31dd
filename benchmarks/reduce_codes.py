"""Measure what the codes of an autoencoder lose, beside as many principal components, and how fast it learns.

The sets are not picked by their results. Of the real sets of numbers with 1,000 rows and 10 columns or more,
those five are taken that bend most, by a measure made before anything is trained: the principal components
that 90% of the variance needs, over the intrinsic dimension (TwoNN), which is also the code size.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
from scipy.stats import t
from sklearn.decomposition import PCA

from bars import Bar
from datasets import each
from tilth.neighbors import Space, nearest
from tilth.stages.reduce.autoencoder import ReduceAutoencoder
from tilth.statistics.dimension import two_nn

CANDIDATES = (
    "digits", "fashion", "magic", "page_blocks", "spambase", "satellite", "letter", "texture", "segment",
    "red_wine", "pc1", "bio",
)  # fmt: skip
PICTURES = ("digits", "fashion")
"""Sets whose columns share a unit: they are read as one vector, and scaled by one number."""

SETS, GOAL = 5, 4
MOST_ROWS, LOOKED_AT = 10_000, 2_000
SEEDS = 5
LIMIT = 10.0
"""Standard deviations to which numbers are held for both, as the stage holds what it reads."""
SIZE = 32
SECONDS = 180.0


def codes(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Return the bars and figures of `reduce.autoencoder`."""
    figures: dict[str, Any] = {}
    bars = _quality(quick, figures)
    bars += _speed(quick, figures)
    return bars, figures


# What is lost


def _quality(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    found = []
    for data in each(("digits", "satellite") if quick else CANDIDATES, MOST_ROWS):
        rows = data.X.select(cs.numeric()).cast(pl.Float64).drop_nulls().to_numpy()
        linear, intrinsic = _dimensions(_scaled(data.name, rows, rows))
        found.append((linear / intrinsic, data.name, rows, linear, intrinsic))
        print(f"{data.name:12} {rows.shape[0]:,} x {rows.shape[1]}: {linear} components for 90%, "
              f"intrinsic dimension {intrinsic:.1f}, bends {linear / intrinsic:.2f}", flush=True)  # fmt: skip
    found.sort(key=lambda each: -each[0])
    table, below = [], 0
    for bend, name, rows, linear, intrinsic in found[:SETS]:
        size = max(2, round(intrinsic))
        ratios, start = [], time.perf_counter()
        for seed in range(1 if quick else SEEDS):
            ours, theirs = _lost(name, rows[:1500] if quick else rows, size, seed, 40 if quick else 100)
            ratios.append(ours / theirs)
            table.append({"set": name, "size": size, "seed": seed, "codes": ours, "pca": theirs})
        low, high = _interval(np.array(ratios))
        below += high < 1
        print(f"{name:12} {size} codes lose {np.mean(ratios):.3f} of what PCA loses "
              f"[{low:.3f}, {high:.3f}] ({time.perf_counter() - start:.0f} s)", flush=True)  # fmt: skip
        figures.setdefault("codes", []).append(
            {"set": name, "rows": len(rows), "columns": rows.shape[1], "size": size, "bends": bend,
             "components_for_90%": linear, "intrinsic_dimension": intrinsic,
             "ratio": float(np.mean(ratios)), "low": low, "high": high}
        )  # fmt: skip
    figures["codes_by_seed"] = table
    if quick:
        return [Bar("reduce.codes_below_pca.quick", below, len(found), below == len(found))]
    if len(found) < len(CANDIDATES):
        print("codes: not all sets are there, so that no bar is held")
        return []
    return [Bar("reduce.codes_below_pca.of_5_sets", below, GOAL, below >= GOAL)]


def _dimensions(rows: np.ndarray) -> tuple[int, float]:
    """Return how many components hold 90% of the variance, and the intrinsic dimension."""
    shares = np.cumsum(PCA(svd_solver="full").fit(rows).explained_variance_ratio_)
    different = np.unique(rows, axis=0)
    order = np.random.default_rng(0).permutation(len(different))[:LOOKED_AT]
    distances, _ = nearest(Space(), different[order], different[order], 2, exclude_self=True)
    return int(np.searchsorted(shares, 0.9) + 1), two_nn(distances).dimension


def _scaled(name: str, rows: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Center on the training rows and scale; a constant column by 1."""
    spread = train.std(axis=0)
    if name in PICTURES:
        spread = np.full(len(spread), np.sqrt(np.square(spread).mean()))
    return np.clip((rows - train.mean(axis=0)) / np.where(spread > 0, spread, 1), -LIMIT, LIMIT)


def _lost(name: str, rows: np.ndarray, size: int, seed: int, epochs: int) -> tuple[float, float]:
    """Return the share of variance that codes and components lose on 30% of the rows, not trained on."""
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = int(0.7 * len(rows))
    train, test = (_scaled(name, rows[part], rows[order[:cut]]) for part in (order[:cut], order[cut:]))
    stage = ReduceAutoencoder(size=size, max_epochs=epochs, random_state=seed, device="cpu")
    stage.fit(_frame(name, train))
    told = _matrix(stage.inverse_transform(stage.transform(_frame(name, test))))
    pca = PCA(size, svd_solver="full").fit(train)
    straight = pca.inverse_transform(pca.transform(test))
    around = np.square(test - train.mean(axis=0)).sum()
    return tuple(float(np.square(test - each).sum() / around) for each in (told, straight))  # type: ignore[return-value]


def _frame(name: str, rows: np.ndarray) -> pl.DataFrame:
    if name in PICTURES:
        return pl.DataFrame({"pixels": pl.Series(rows, dtype=pl.Array(pl.Float64, rows.shape[1]))})
    return pl.DataFrame(rows, schema=[f"x{i}" for i in range(rows.shape[1])], orient="row")


def _matrix(frame: pl.DataFrame) -> np.ndarray:
    return frame["pixels"].to_numpy() if frame.columns == ["pixels"] else frame.to_numpy()


def _interval(ratios: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of a mean over splits that overlap (Nadeau and Bengio's correction)."""
    if len(ratios) < 2:
        return float(ratios[0]), float(ratios[0])
    error = np.sqrt(ratios.var(ddof=1) * (1 / len(ratios) + 0.3 / 0.7))
    half = t.ppf(0.975, len(ratios) - 1) * error
    return float(ratios.mean() - half), float(ratios.mean() + half)


# How fast


def _speed(quick: bool, figures: dict[str, Any]) -> list[Bar]:
    import torch

    pictures = next(each(("fashion",)), None)
    if pictures is None:
        return []
    rows, epochs = (6_000, 5) if quick else (60_000, 30)
    pixels = pictures.X.to_numpy()
    train, test = pixels[:rows], pixels[60_000:]
    pca = PCA(SIZE, svd_solver="covariance_eigh").fit(train.astype(np.float64))
    straight = pca.inverse_transform(pca.transform(test.astype(np.float64)))
    around = np.square(test - pca.mean_).sum()
    linear = float(np.square(test - straight).sum() / around)
    told: dict[str, Any] = {"rows": rows, "columns": 784, "size": SIZE, "pca_lost": linear}
    with tempfile.TemporaryDirectory() as folder:
        for what, part in (("train", train), ("test", test)):
            whole = pl.Series(part, dtype=pl.Array(pl.UInt8, 784))
            pl.DataFrame({"pixels": whole}).write_parquet(f"{folder}/{what}.parquet", row_group_size=2000)
        told["cpu"] = _trained(folder, epochs, rows, "cpu")
        if not quick:
            # Beyond the buffer: what is held no longer grows with the rows.
            told["small_buffer"] = _trained(folder, 2, rows // 6, "cpu")
        if torch.cuda.is_available():
            told["cuda"] = _trained(folder, epochs, rows, "cuda")
    figures["pictures"] = told
    cpu = told["cpu"]
    print(f"{rows:,} x 784 in {cpu['seconds']:.0f} s, {epochs} epochs, 2 threads of {cpu['device']}")
    print(f"{SIZE} codes lose {cpu['lost']:.4f} of the variance of 10,000 other pictures, PCA {linear:.4f}")
    print(f"memory on top of what was held before: {cpu['megabytes']:.0f} MB")
    if not quick:
        small = told["small_buffer"]
        told_small = f"{small['megabytes']:.0f} MB, {small['seconds'] / 2:.1f} s an epoch"
        print(f"with a buffer of {rows // 6:,} rows: {told_small}")
    suffix = ".quick" if quick else ""
    bars = [
        Bar(
            f"reduce.codes_60k_lost_of_pca{suffix}", round(cpu["lost"] / linear, 3), 1.0, cpu["lost"] < linear
        ),
    ]
    if not quick:
        seconds = cpu["seconds"]
        bars.append(Bar("reduce.codes_60k_seconds", round(seconds, 1), SECONDS, seconds < SECONDS))
    if "cuda" not in told:
        print("GPU: none is here, so that its time was not measured")
    elif not quick:
        faster = cpu["seconds"] / told["cuda"]["seconds"]
        print(
            f"GPU: {told['cuda']['device']}, {told['cuda']['seconds']:.1f} s, lost {told['cuda']['lost']:.4f}"
        )
        bars.append(Bar("reduce.codes_60k_gpu_speedup", round(faster, 1), 10.0, faster >= 10))
    return bars


def _trained(folder: str, epochs: int, buffer_rows: int, device: str) -> dict[str, Any]:
    """Train in a process of its own, so that its memory can be told."""
    asked = [sys.executable, __file__, folder, str(epochs), str(buffer_rows), device]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _train(folder: str, epochs: int, buffer_rows: int, device: str) -> dict[str, Any]:
    import torch

    test = pl.read_parquet(f"{folder}/test.parquet")
    stage = ReduceAutoencoder(
        size=SIZE,
        max_epochs=epochs,
        batch_size=256,
        buffer_rows=buffer_rows,
        device=device,
        n_jobs=2,
    )
    # What is imported and made ready on first use is neither time nor memory of the training.
    ReduceAutoencoder(size=2, max_epochs=1, device=device).fit(test.head(300))
    before = _held()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        stage.fit(pl.scan_parquet(f"{folder}/train.parquet"))
    seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    codes = stage.transform(test)
    acting = time.perf_counter() - start
    told = stage.inverse_transform(codes)["pixels"].cast(pl.Array(pl.Float64, 784)).to_numpy()
    truth = test["pixels"].cast(pl.Array(pl.Float64, 784)).to_numpy()
    around = np.square(truth - _mean(folder)).sum()
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {
        "seconds": seconds,
        "transform_seconds_10k": acting,
        "megabytes": most - before,
        "lost": float(np.square(truth - told).sum() / around),
        "epochs": epochs,
        "buffer_rows": buffer_rows,
        "device": name,
        "cores": os.cpu_count(),
    }


def _mean(folder: str) -> np.ndarray:
    pixels = pl.read_parquet(f"{folder}/train.parquet")["pixels"].to_numpy()
    mean: np.ndarray = pixels.mean(axis=0)
    return mean


def _held() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "CPU")


if __name__ == "__main__":
    print(json.dumps(_train(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])))
