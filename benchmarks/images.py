"""What is found in folders of images, how fast, and whether it helps; against CleanVision and cleanlab.

    python benchmarks/images.py [--quick] [--only found | labels | many | bench]

found   Fashion-MNIST as 10,000 files, with 3% exact and 3% re-encoded and resized copies, 1% each dark,
        blurry and truncated files planted: F1 of what is found, and the seconds, beside CleanVision's, which
        a truncated file ends with an error, so that it is given the others.
labels  10,000 files of which 8% are in the wrong folder: average precision beside cleanlab's, on the same
        embedding.
many    50,000 files audited, in a process of its own: peak memory, rate, and the second audit, which recalls
        what the first one measured.
bench   1,000 files: whether the recipe, and each of its stages, helped a small network and a frozen one.

Fashion-MNIST comes as benchmarks/requirements.txt says. Images, caches and outputs lie in a temporary folder.
"""

from __future__ import annotations

import sys

from bars import drive

if __name__ == "__main__":
    sys.exit(
        drive(
            "images",
            __doc__,
            {
                "found": ("images_found", "found"),
                "labels": ("images_found", "labels"),
                "many": ("images_many", "many"),
                "bench": ("images_bench", "bench"),
            },
        )
    )
