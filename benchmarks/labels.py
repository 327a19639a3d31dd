"""Measure how well wrong labels are found, beside cleanlab, and what finding them is worth.

    python benchmarks/labels.py [--quick] [--only PART] [--data FOLDER]

planted
    Errors planted into real sets: F1 of the flags and average precision of the ranking per set, kind and rate
    of noise, against CleanLearning with the same probe. `results/labels.md` holds every cell.
small
    100, 300 and 500 rows with a class of three: whether anything raises, and average precision.
speed
    Flags for 1M x 10 and 50k x 1000 probabilities: the same rows as cleanlab's, time and memory beside its
    batched version.
cleaning
    Accuracy on right labels of models trained on right labels, on noisy ones, and on noisy ones cleaned.
values
    Errors planted into the targets of regressions: average precision against cleanlab's CleanLearning for
    regression with the same probe; and the ranks of eight known errors of the Boston housing data.
human
    Labels that people got wrong: CIFAR-10N beside what cleanlab's filters and ranks make of the same probe.
    It needs `--data FOLDER`, in which ``cifar10n`` holds ``labels.csv`` (path, clean, aggregate, worst,
    random1) and the photographs it names; they are published at noisylabels.com and with CIFAR-10.
leaks
    Leaks planted that the honest score must undo, fitted things that must be refused, and sets without a leak
    that must raise no alarm: what `python benchmarks/leaks.py` prints.

What is absent, a package or that folder, is skipped with a printed line.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from bars import Bar, conclude

PARTS = {
    "planted": ("label_quality", "planted_bars"),
    "small": ("label_quality", "small_bars"),
    "speed": ("label_speed", "speed_bars"),
    "cleaning": ("label_quality", "cleaning_bars"),
    "values": ("label_values", "value_bars"),
    "human": ("label_human", "human_bars"),
    "leaks": ("leaks", "leak_bars"),
}
"""Where each part is measured: a module beside this one, and its function of (quick, figures)."""


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few sets and rates, one seed")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="where the folder cifar10n lies")
    asked = parser.parse_args()
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for part in PARTS if asked.only is None else (asked.only,):
        if part == "human" and asked.data is None:
            print("human: --data names no folder with cifar10n, so that no bar is held")
            continue
        module, function = PARTS[part]
        more = {"folder": asked.data} if part == "human" else {}
        bars += getattr(import_module(module), function)(asked.quick, figures, **more)
    return conclude("labels" if asked.only is None else f"labels-{asked.only}", bars, figures)


if __name__ == "__main__":
    sys.exit(main())
