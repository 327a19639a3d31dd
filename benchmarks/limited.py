"""Measure what can be had where labels or rows are few.

    python benchmarks/limited.py [--quick] [--only PART] [--data FOLDER]

pseudo
    5% of the labels kept: models trained on these alone, beside models trained also on what `labels.pseudo`
    makes of the rest, tested on rows and labels that no one has touched.
ask
    Labels asked for by `labels.ask`, beside as many of rows drawn at random.
curves
    What learning curves say of more rows, beside what more rows then bring.

`--data FOLDER` adds photographs to 'pseudo': ``cifar10n`` in it, see `python benchmarks/labels.py --help`.
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
    "pseudo": ("limited_pseudo", "pseudo_bars"),
    "ask": ("limited_ask", "ask_bars"),
    "curves": ("limited_curve", "curves"),
}
"""Where each part is measured: a module beside this one, and its function of (quick, figures)."""


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few sets, one repeat")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--data", metavar="FOLDER", type=Path, help="where the folder cifar10n lies")
    asked = parser.parse_args()
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for part in PARTS if asked.only is None else (asked.only,):
        module, function = PARTS[part]
        more = {"folder": asked.data} if part == "pseudo" else {}
        bars += getattr(import_module(module), function)(asked.quick, figures, **more)
    return conclude("limited" if asked.only is None else f"limited-{asked.only}", bars, figures)


if __name__ == "__main__":
    sys.exit(main())
