"""Measure what turns columns into good numbers: quantile and power scales, one-hot and target encoding.

    python benchmarks/scale.py [--quick] [--only quantile|power|one_hot|target]

Each part checks first that results equal the peer's. The parts are in `scale_speed` and `encode_bars`, which
say how they measure.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bars import Bar, conclude

PARTS = ("quantile", "power", "one_hot", "target")


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
            found, told = part(name)(asked.quick)
            bars += found
            figures[name] = told
    return conclude("scale" if asked.only is None else f"scale-{asked.only}", bars, figures)


def part(name: str) -> Any:
    """Return the function that measures a part."""
    if name in ("quantile", "power"):
        import scale_speed

        return getattr(scale_speed, name)
    import encode_bars

    return getattr(encode_bars, name)


if __name__ == "__main__":
    sys.exit(main())
