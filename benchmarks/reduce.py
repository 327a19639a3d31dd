"""Measure what puts few numbers in the place of many: principal components, and the codes of autoencoders.

    python benchmarks/reduce.py [--quick] [--only pca|codes]

Each part checks first that results equal the peer's, where there is one to equal. The parts are in
`reduce_pca` and `reduce_codes`, which say how they measure.
"""

from __future__ import annotations

import sys

from bars import drive

PARTS = {"pca": ("reduce_pca", "pca"), "codes": ("reduce_codes", "codes")}

if __name__ == "__main__":
    sys.exit(drive("reduce", __doc__, PARTS))
