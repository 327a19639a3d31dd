"""Measure what is done about rare classes: whether it helps, and how fast it is beside imbalanced-learn.

    python benchmarks/balance.py [PART ...] [--quick] [--jobs N] [--cache FOLDER] [--fresh]

table
    Real sets with a rare class, repeated cross-validation, three probes: doing nothing, weights, a moved
    threshold, rows repeated or dropped, SMOTE and SMOTENC; ranking, decisions and probabilities.
    `results/balance.md` holds all of it, and its summary is written into `docs/imbalance.md`.
smote, smotenc
    Made rows: equal in distribution to imbalanced-learn's, then time and memory beside it.
enn, tomek
    Cleaned classes: the same rows as imbalanced-learn's, then time beside it.

All parts are run where none is named. `--jobs`, `--cache` and `--fresh` are for the table: it keeps what each
fold answered, so that a run that was stopped goes on where it was; the cache lies in the system's temporary
folder unless one is named. It notices other settings, stages and package versions; after a change in what
those call, start `--fresh`. Sets whose package is absent are skipped with a printed line.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from bars import Bar, conclude

PARTS = {
    "table": ("balance_table", "table"),
    "smote": ("balance_speed", "smote"),
    "smotenc": ("balance_speed", "smotenc"),
    "enn": ("balance_clean", "enn"),
    "tomek": ("balance_clean", "tomek"),
}
"""Where each part is measured: a module beside this one, and its function of (quick, figures)."""


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="few sets and folds, fewer rows")
    parser.add_argument("--jobs", type=int, default=2, help="processes of the table")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "tilth-balance")
    parser.add_argument("--fresh", action="store_true", help="fit everything anew")
    asked = parser.parse_args()
    strange = [part for part in asked.parts if part not in PARTS]
    if strange:
        parser.error(f"there is no part {', '.join(strange)}; the parts are {', '.join(PARTS)}")
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for part in asked.parts or PARTS:
        module, function = PARTS[part]
        more = {"jobs": asked.jobs, "cache": asked.cache, "fresh": asked.fresh} if part == "table" else {}
        bars += getattr(import_module(module), function)(asked.quick, figures, **more)
    return conclude("-".join(["balance", *asked.parts]), bars, figures)


if __name__ == "__main__":
    sys.exit(main())
