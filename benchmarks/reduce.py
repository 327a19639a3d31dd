"""Measure what puts few numbers in the place of many: principal components, and the codes of autoencoders.

    python benchmarks/reduce.py [--quick] [--only pca|codes]

Each part checks first that results equal the peer's, where there is one to equal. The parts are in
`reduce_pca` and `reduce_codes`, which say how they measure.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bars import Bar, conclude

PARTS = ("pca", "codes")


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows, one round")
    parser.add_argument("--only", choices=PARTS)
    asked = parser.parse_args()
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    for name in PARTS:
        if asked.only in (None, name):
            found, figures[name] = part(name)(asked.quick)
            bars += found
    return conclude("reduce" if asked.only is None else f"reduce-{asked.only}", bars, figures)


def part(name: str) -> Any:
    """Return the function that measures a part."""
    if name == "pca":
        import reduce_pca

        return reduce_pca.pca
    import reduce_codes

    return reduce_codes.codes


if __name__ == "__main__":
    sys.exit(main())
