"""How fast data comes to a model: tables, images, a stream from disk, and a GPU; beside every loader at hand.

    python benchmarks/loaders.py [--quick] [--only table | images | stream | device]

table   1,000,000 x 50 float32, beside PyTorch's DataLoader in its forms, a bare loop of index_select,
        torchdata.nodes, Ray Data, Hugging Face datasets, and the copy of the whole table.
images  JPEG files to normalized crops, with 2 threads, from the files and from the cache of decoded pixels,
        beside a folder of images as it is usually read: Pillow, albumentations, and 2 workers.
stream  Parquet larger than the memory it is read with: peak memory, rate, and how well it is shuffled.
device  Batches on a GPU: from its own memory, from the host, and what a model waits for. Needs CUDA.

Each part checks first that results are equal. The parts are in `loader_table`, `loader_images`,
`loader_stream` and `loader_device`, which say how they measure. What is not installed, or not there, is not
measured, and says so. The peers come as benchmarks/requirements.txt says.
"""

from __future__ import annotations

import sys

from bars import drive

PARTS = {
    "table": ("loader_table", "table_bars"),
    "images": ("loader_images", "images"),
    "stream": ("loader_stream", "stream"),
    "device": ("loader_device", "device"),
}

if __name__ == "__main__":
    sys.exit(drive("loaders", __doc__, PARTS))
