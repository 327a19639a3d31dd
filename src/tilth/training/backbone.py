"""What turns images into vectors: files are decoded ahead of it, and what was made of them is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from tilth.errors import DataError, ImageError, StageError
from tilth.images.cache import Cache
from tilth.images.decode import MAX_PIXELS, content, decoded_to
from tilth.images.each import Progress, each
from tilth.images.remembered import remembered
from tilth.training.runtime import pick_device

CPU_BATCH, BATCH = 16, 128
"""Images at a time where the user does not say: on a CPU, maps of more would not stay near the cores."""
KEPT, RECALLED = 4096, 16384
"""Images whose vectors are kept, and asked of the cache, together."""
AHEAD = 2**26
"""Bytes of pixels that may be decoded ahead of the network, at most."""
FEW = 8
"""Fewer images are embedded anew: looking through a large cache takes longer."""
VERSION = 1
"""Of how files become pixels: vectors kept by another version are not used."""

Vectors = Callable[[np.ndarray], np.ndarray]
_DIGESTS = pl.Schema({"digest": pl.String, "problem": pl.String})


class Backbone:
    """Turn images into vectors of one width.

    An author of another one writes `runner`.

    Parameters
    ----------
    name : str
    side : int
        Pixels: images are squashed to ``side`` times ``side``.
    width : int
        Numbers per image.
    fingerprint : str
        Stands for weights, size and preparation: vectors of equal fingerprints can be compared. Empty where
        the model cannot be told from another one, so that nothing is kept on disk.
    """

    def __init__(self, name: str, side: int, width: int, fingerprint: str) -> None:
        self.name, self.side, self.width, self.fingerprint = name, side, width, fingerprint

    def runner(self, device: str) -> Vectors:
        """Return a function from pixels, uint8 (n, side, side, 3), to vectors, float32 (n, width)."""
        raise NotImplementedError

    def embed(
        self,
        paths: Sequence[str | None],
        *,
        device: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
        cache: bool = True,
        progress: Progress | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> np.ndarray:
        """Return one vector per image: float32 of shape (n_images, width), NaN where a file is unreadable.

        A path that comes twice, and files of one content, are embedded once.

        Parameters
        ----------
        paths : sequence of str or None
        device : str
            'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.
        batch_size : int, at least 1, optional
            Images at a time; by default 16 on a CPU and 128 elsewhere.
        threads : int, at least 1, optional
            Threads that decode ahead of the network; by default one per core.
        cache : bool
            Keep vectors on disk, by the files' content and the fingerprint, and take those that are there.
        progress : callable, optional
            Told how many images are done and at what rate, a few times a second: first read, then embedded.
        max_pixels : int
            Images of more pixels are not decoded.

        Raises
        ------
        StageError
            A vector is not finite.
        """
        if batch_size is None:
            batch_size = CPU_BATCH if pick_device(device).type == "cpu" else BATCH
        if batch_size < 1:
            raise DataError(f"batch_size is {batch_size}; it must be at least 1.")
        cache = cache and bool(self.fingerprint) and len(paths) >= FEW
        asked = remembered(
            _digest,
            paths,
            _DIGESTS,
            name="digests",
            version="1",
            threads=threads,
            progress=progress,
            cache=cache,
        )["path", "digest"]
        files = asked.drop_nulls("digest").unique("digest", maintain_order=True)
        made = np.full((files.height, self.width), np.nan, np.float32)
        store = Cache(
            "embeddings", hashlib.blake2b(f"{VERSION} {self.fingerprint}".encode()).hexdigest()[:16]
        )
        missing = _recall(store, files["digest"], made) if cache else np.arange(files.height)
        written = 0  # of the missing ones, so many are in the cache

        def keep(done: int) -> None:
            nonlocal written
            rows = missing[written:done]
            rows = rows[~np.isnan(made[rows, 0])]
            written = done
            if cache:
                vectors = pl.Series("vector", [made[row].tobytes() for row in rows], dtype=pl.Binary)
                store.keep(pl.DataFrame({"key": files["digest"].gather(rows), "vector": vectors}))

        def work(path: str) -> np.ndarray | None:
            try:
                return decoded_to(path, self.side, self.side, fit="squash", max_pixels=max_pixels)
            except ImageError:
                return None

        if len(missing):
            vectors, batch, at = self.runner(device), [], []
            todo = files["path"].gather(missing).to_list()
            ahead = max(batch_size, min(256, AHEAD // (self.side**2 * 3)))
            read = each(work, todo, threads=threads, progress=progress, most_ahead=ahead)
            for done, pixels in enumerate(read, 1):
                if pixels is not None:
                    batch.append(pixels)
                    at.append(missing[done - 1])
                if batch and (len(batch) == batch_size or done == len(missing)):
                    made[at] = self._finite(vectors(np.stack(batch)))
                    batch, at = [], []
                    if done - written >= KEPT:
                        keep(done)
            keep(len(missing))
        if files.height == len(paths):
            return made
        place = asked.join(files.with_row_index("place"), on="digest", how="left", maintain_order="left")
        known = place["place"].is_not_null().to_numpy()
        out = np.full((len(paths), self.width), np.nan, np.float32)
        out[known] = made[place["place"].drop_nulls().to_numpy()]
        return out

    def _finite(self, vectors: np.ndarray) -> np.ndarray:
        if not np.isfinite(vectors).all():
            raise StageError(
                f"The backbone '{self.name}' gives vectors that are not finite. Check its weights, and that "
                "images are normalized as it was trained (`normalize`)."
            )
        return vectors


def _recall(store: Cache, digests: pl.Series, made: np.ndarray) -> np.ndarray:
    """Put vectors that are kept where they belong, and return the places of those that are not."""
    missing = []
    for start in range(0, len(digests), RECALLED):
        part = pl.DataFrame({"key": digests[start : start + RECALLED]})
        known = store.recall(part["key"])
        if "vector" not in known.columns:
            known = known.with_columns(vector=pl.lit(None, pl.Binary))
        there = part.join(known, on="key", how="left", maintain_order="left")["vector"]
        here = there.bin.size().eq(made.shape[1] * 4).fill_null(False)
        some = made[start : start + RECALLED]
        # Some at a time: the texts of bytes, and all of them as one, lie in memory beside the vectors.
        some[here.to_numpy()] = np.frombuffer(b"".join(there.filter(here)), np.float32).reshape(
            -1, made.shape[1]
        )
        missing.append(start + np.flatnonzero(~here.to_numpy()))
    return np.concatenate(missing) if missing else np.arange(0)


def _digest(path: str) -> dict[str, str | None]:
    try:
        data = content(path, path)
    except ImageError as error:
        return {"digest": None, "problem": error.reason}
    if isinstance(data, bytes):
        return {"digest": hashlib.blake2b(data, digest_size=16).hexdigest(), "problem": None}
    with Path(data).open("rb") as file:
        made = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
    return {"digest": made.hexdigest(), "problem": None}
