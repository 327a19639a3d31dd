"""Write Fashion-MNIST as a folder of images, with problems planted, for ``recipes/fashion.yaml``.

    python recipes/fashion.py --out out/fashion --images 2000

The data comes in the Debian package dataset-fashion-mnist (Expat licence): ``apt-get install
dataset-fashion-mnist``, or ``apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb
FOLDER`` and ``--data FOLDER``. What was planted is written beside the folder of images, to ``planted.csv``.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from pathlib import Path

import numpy as np

from tilth.cli.plant import SHARES, hostile, plant

CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
INSIDE = Path("usr/share/datasets/fashion-mnist")


def fashion(data: Path | None = None, part: str = "train") -> tuple[np.ndarray, list[str]]:
    """Return the images of a part, train or t10k, of shape (n, 28, 28), and the class of each.

    Raises
    ------
    FileNotFoundError
        If the package is not there.
    """
    roots = [data] if data else [Path("/"), Path(sys.prefix)]
    found = next((root / INSIDE for root in roots if (root / INSIDE).is_dir()), None)
    if found is None:
        raise FileNotFoundError(
            f"No {INSIDE} below {', '.join(map(str, roots))}; unpack dataset-fashion-mnist there."
        )
    read = lambda what, skip: np.frombuffer(
        gzip.decompress((found / f"{part}-{what}.gz").read_bytes())[skip:], np.uint8
    )
    codes = read("labels-idx1-ubyte", 8)
    return read("images-idx3-ubyte", 16).reshape(len(codes), 28, 28), [CLASSES[c] for c in codes]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="where the package was unpacked")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "fashion")
    parser.add_argument("--images", type=int, default=2000, help="how many, the first of the training part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clean", action="store_true", help="plant nothing")
    asked = parser.parse_args()
    if asked.out.exists() and any(asked.out.iterdir()):
        parser.error(f"{asked.out} holds something already; remove it or name another folder")
    try:
        pixels, classes = fashion(asked.data)
    except FileNotFoundError as error:
        parser.error(str(error))
    shares = dict.fromkeys(SHARES, 0.0) if asked.clean else SHARES
    chosen = slice(asked.images)
    truth = plant(pixels[chosen], classes[chosen], asked.out, shares=shares, random_state=asked.seed)
    if not asked.clean:
        list(hostile(asked.out))
    truth.write_csv(asked.out.parent / "planted.csv")
    print(f"{truth.height:,} images in {asked.out}, {truth['problem'].count():,} of them with a problem")


if __name__ == "__main__":
    main()
