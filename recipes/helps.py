"""Write census data in which some capital gains are not known, and were entered as 9999999.

    python recipes/helps.py
    tilth bench recipes/helps.yaml

A number that means "missing" is a common fault: to a linear model those people are very rich. The recipe
makes such cells missing, fills them, and marks where they were.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import polars as pl

UNKNOWN = 9_999_999
EVERY = 25
OUT = Path(__file__).parent / "out"


def main(folder: Path = OUT) -> Path:
    """Write the table to a folder, and return its path."""
    census = pl.read_csv(str(files("tilth.demo") / "adult.csv"), null_values=["?"])
    unknown = pl.int_range(pl.len()) % EVERY == 0
    folder.mkdir(exist_ok=True)
    path = folder / "helps.csv"
    gains = pl.when(unknown).then(UNKNOWN).otherwise("capital-gain").alias("capital-gain")
    census.with_columns(gains).write_csv(path)
    return path


if __name__ == "__main__":
    print(f"Written: {main()}")
