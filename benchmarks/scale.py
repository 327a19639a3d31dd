"""Measure what turns columns into good numbers: quantile and power scales, one-hot and target encoding.

    python benchmarks/scale.py [--quick] [--only quantile|power|one_hot|target]

Each part checks first that results equal the peer's. The parts are in `scale_speed` and `encode_bars`, which
say how they measure.
"""

from __future__ import annotations

import sys

from bars import drive

PARTS = {
    "quantile": ("scale_speed", "quantile"),
    "power": ("scale_speed", "power"),
    "one_hot": ("encode_bars", "one_hot"),
    "target": ("encode_bars", "target"),
}

if __name__ == "__main__":
    sys.exit(drive("scale", __doc__, PARTS))
