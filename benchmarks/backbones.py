"""Measure what turns images into vectors: how fast the network is, and what a side of pixels is worth.

    python benchmarks/backbones.py [--quick] [--data FOLDER]

speed: EfficientNet-Lite0 as its package builds it, against the same weights as Tilth lays them out; first the
vectors are checked to be equal. Candidates take turns; seconds are those of the processor, one thread.

sides: how often a linear model is right (3 folds, columns standardized) on vectors made at 128, 160 and 224
pixels, on histograms, and on 16 x 16 pixels: Fashion-MNIST, and the photographs of CIFAR-10N with ``--data``
(the folder that benchmarks/labels.py takes). Without one of them that part is left out and says so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bars import Bar, conclude
from tilth.images.decode import decoded_to
from tilth.training import lite
from tilth.training.backbone import CPU_BATCH
from tilth.training.backbones import SIDE, backbone

GOAL_SPEED, GOAL_EQUAL, GOAL_SIDE, GOAL_PIXELS = 2.0, 1e-3, -0.01, 0.02
SIDES = (128, SIDE, 224)


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer images, two sides")
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="where the folder cifar10n lies")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    bars, figures = speed(2 if asked.quick else 7)
    count = 300 if asked.quick else 1500
    with tempfile.TemporaryDirectory() as folder:
        for name, found in (
            ("fashion", _fashion(Path(folder), count)),
            ("cifar10n", _cifar(asked.data, count)),
        ):
            if found is None:
                print(f"{name}: the data is not here; left out")
                continue
            more, figures[name] = sides(name, *found, (128, SIDE) if asked.quick else SIDES)
            bars += more
    return conclude("backbones", bars, figures)


def speed(rounds: int, images: int = 32, side: int = 128) -> tuple[list[Bar], dict[str, Any]]:
    """Time the network as it comes and as it is laid out."""
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(1)
    packaged = EfficientNet.from_name("efficientnet-lite0")
    packaged.load_state_dict(torch.load(lite._weights(), weights_only=True))
    packaged.eval()
    own = lite.lite0().to(memory_format=torch.channels_last)
    given = torch.randn(images, 3, side, side, generator=torch.Generator().manual_seed(0))
    laid = given.to(memory_format=torch.channels_last)
    runs: dict[str, Callable[[], torch.Tensor]] = {
        "packaged": lambda: packaged.extract_features(given).mean((2, 3)),
        "tilth": lambda: torch.cat([own(part) for part in laid.split(CPU_BATCH)]),
    }
    with torch.inference_mode():
        far = float((runs["packaged"]() - runs["tilth"]()).abs().max())
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    rates = {name: images / median(taken) for name, taken in seconds.items()}
    print(f"images/s at {side} pixels: " + ", ".join(f"{n} {r:.0f}" for n, r in rates.items()), flush=True)
    ratio = rates["tilth"] / rates["packaged"]
    bars = [
        Bar("backbones.equal", far, GOAL_EQUAL, far <= GOAL_EQUAL),
        Bar("backbones.speed", ratio, GOAL_SPEED, ratio >= GOAL_SPEED),
    ]
    return bars, {"rates": rates, "far": far}


def sides(
    name: str, paths: list[str], labels: np.ndarray, tried: tuple[int, ...]
) -> tuple[list[Bar], dict[str, Any]]:
    """Judge vectors by how often a linear model is right, and time them."""
    right: dict[str, float] = {}
    rates: dict[str, float] = {}
    made = {f"lite0-{side}": backbone("efficientnet_lite0", side=side) for side in tried}
    for told, one in {**made, "histograms": backbone("histograms")}.items():
        start = time.process_time()
        vectors = one.embed(paths, cache=False)
        rates[told] = len(paths) / (time.process_time() - start)
        right[told] = _right(vectors, labels)
    small = np.stack([decoded_to(path, 16, 16, fit="squash") for path in paths])
    right["pixels"] = _right(small.reshape(len(paths), -1) / 255, labels)
    line = ", ".join(f"{told} {share:.3f}" for told, share in right.items())
    print(f"{name}, {len(paths)} images, right: {line}", flush=True)
    gain = right[f"lite0-{SIDE}"] - right["lite0-128"]
    more = right["histograms"] - right["pixels"]
    bars = [
        Bar(f"backbones.{name}.side", gain, GOAL_SIDE, gain >= GOAL_SIDE),
        Bar(f"backbones.{name}.histograms", more, GOAL_PIXELS, more >= GOAL_PIXELS),
    ]
    return bars, {"right": right, "images_per_second": rates}


def _right(vectors: np.ndarray, labels: np.ndarray) -> float:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
    return float(cross_val_score(model, vectors.astype(np.float64), labels, cv=3).mean())


def _fashion(folder: Path, count: int) -> tuple[list[str], np.ndarray] | None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
    from fashion import fashion

    try:
        pixels, classes = fashion()
    except FileNotFoundError:
        return None
    chosen = np.random.default_rng(0).permutation(len(pixels))[:count]
    paths = [str(folder / f"{i}.png") for i in chosen]
    for path, place in zip(paths, chosen, strict=True):
        Image.fromarray(pixels[place]).save(path)
    return paths, np.array(classes)[chosen]


def _cifar(data: Path | None, count: int) -> tuple[list[str], np.ndarray] | None:
    if data is None or not (data / "cifar10n" / "labels.csv").is_file():
        return None
    told = pl.read_csv(data / "cifar10n" / "labels.csv").sample(count, seed=0, shuffle=True)
    return [str(data / "cifar10n" / path) for path in told["path"]], told["clean"].to_numpy()


if __name__ == "__main__":
    sys.exit(main())
