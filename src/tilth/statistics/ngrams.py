"""Texts as numbers by what they are written with: n-grams, how rare each is, and the main axes of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

Analyzer = Literal["char_wb", "char", "word"]

EXACT_TEXTS = 500
"""Up to so many different texts axes come from all products of two texts; beyond, from random projections."""

NOTHING = 1e-6
"""An axis this much shorter than the longest is rounding."""

LETTERS_AT_ONCE = 2_000_000
"""Letters whose n-grams are held at a time."""

_BASE = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Grams:
    """Say which n-grams of a text count: those of scikit-learn's vectorizers, told apart by a 64-bit hash.

    Parameters
    ----------
    analyzer : {'char_wb', 'char', 'word'}
        Letters within words, with a space at both ends; letters; or words of two letters or more.
    shortest, longest : int
        Letters or words in a row.
    lowercase : bool
    most : int
        N-grams that are kept at most, those of the most texts.
    """

    analyzer: Analyzer = "char_wb"
    shortest: int = 3
    longest: int = 4
    lowercase: bool = True
    most: int = 2**16

    def counted(self, texts: Sequence[str]) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield for some texts at a time how many they are, and ``text, gram, count`` in this order."""
        if not len(texts):
            return
        cells = pl.Series(texts, dtype=pl.String).str.replace_all("\0", " ", literal=True)
        cells = cells.str.to_lowercase() if self.lowercase else cells
        size = cells.str.len_chars().cast(pl.Int64).cum_sum().to_numpy() // LETTERS_AT_ONCE
        starts = np.flatnonzero(np.diff(size, prepend=-1))
        for start, end in zip(starts, [*starts[1:], len(texts)], strict=True):
            part = cells[int(start) : int(end)]
            found = pl.concat(
                pl.DataFrame({"text": text.astype(np.int32), "gram": gram})
                for text, gram in self._found(part)
            )
            yield len(part), found.group_by("text", "gram").agg(pl.len().alias("count")).sort("text", "gram")

    def _found(self, cells: pl.Series) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self.analyzer == "char":
            symbols, text_of = _letters(cells.str.replace_all(r"\s\s+", " "))
            part_of = text_of
        else:
            split = cells.str.extract_all(r"\b\w\w+\b" if self.analyzer == "word" else r"\S+")
            words = pl.DataFrame({"word": split, "text": np.arange(len(cells))}).explode("word").drop_nulls()
            padded = words["word"] if self.analyzer == "word" else (" " + words["word"] + " ")
            symbols, part_of = _letters(padded)
            text_of = words["text"].to_numpy()[part_of]
        if self.analyzer == "word":
            text_of = words["text"].to_numpy()
            symbols, part_of = _whole(symbols, part_of, len(words)), text_of
        for n in range(self.shortest, self.longest + 1):
            at, hashes = _rolled(symbols, part_of, n)
            yield text_of[at], hashes
        if self.analyzer == "char_wb":
            # Words that are shorter than all n-grams count whole.
            lengths = np.bincount(part_of, minlength=len(words))
            short = np.flatnonzero(lengths < self.shortest)
            yield words["text"].to_numpy()[short], _whole(symbols, part_of, len(words))[short]


def _letters(cells: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code points of all texts one after another, and which text each is of."""
    symbols = np.frombuffer("".join(cells).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    return symbols.astype(np.uint64), np.repeat(np.arange(len(cells)), cells.str.len_chars().to_numpy())


def _rolled(symbols: np.ndarray, part_of: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where n symbols of one part begin, and their hashes."""
    if len(symbols) < n:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    last = len(symbols) - n + 1
    at = np.flatnonzero(part_of[:last] == part_of[n - 1 :])
    with np.errstate(over="ignore"):
        hashes = np.full(len(at), n, dtype=np.uint64)
        for step in range(n):
            hashes = _mixed(hashes * _BASE + symbols[at + step])
    return at, hashes


def _whole(symbols: np.ndarray, part_of: np.ndarray, parts: int) -> np.ndarray:
    """Hash all symbols of each part."""
    hashes = np.zeros(parts, dtype=np.uint64)
    if len(symbols):
        starts = np.flatnonzero(np.diff(part_of, prepend=-1))
        place = (np.arange(len(symbols)) - np.repeat(starts, np.diff([*starts, len(symbols)]))).astype(
            np.uint64
        )
        with np.errstate(over="ignore"):
            each = _mixed(symbols * _BASE + _mixed(place + np.uint64(1)))
            hashes[part_of[starts]] = _mixed(np.add.reduceat(each, starts))
    return hashes


def _mixed(words: np.ndarray) -> np.ndarray:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = words ^ (words >> np.uint64(31))
    return mixed


@dataclass(frozen=True)
class Ngrams:
    """Hold the n-grams that were met, how rare each is, and the main axes of their tf-idf.

    Parameters
    ----------
    kept : ndarray of shape (n_kept,), uint64
        Hashes of n-grams, ascending.
    rarity : ndarray of shape (n_kept,), float64
        The inverse document frequency, as scikit-learn smooths it.
    axes : ndarray of shape (n_kept, size), float64
        Singular vectors, their largest entry positive.
    share : float
        The part of the squared tf-idf that the axes keep.
    """

    kept: np.ndarray
    rarity: np.ndarray
    axes: np.ndarray
    share: float

    @classmethod
    def learn(
        cls, texts: Sequence[str], times: np.ndarray, size: int, grams: Grams | None = None, seed: int = 0
    ) -> Ngrams:
        """Learn from different texts.

        Parameters
        ----------
        texts : sequence of str
            In an order of their own, so that the axes do not depend on that of the rows.
        times : ndarray of shape (n_texts,)
            How often each occurs.
        size : int
            Axes at most; fewer where the texts do not have as many.
        """
        grams = Grams() if grams is None else grams
        times = np.asarray(times, dtype=np.float64)
        parts = list(grams.counted(texts))
        kept, found = _met(parts, times, grams.most)
        if not len(kept):
            return cls(kept, np.zeros(0), np.zeros((0, 0)), 0.0)
        from scipy.sparse import vstack

        rarity = np.log((1 + times.sum()) / (1 + found)) + 1
        rows = vstack([_tf_idf(part, many, kept, rarity) for many, part in parts], format="csr")
        rows.data *= np.repeat(np.sqrt(times), np.diff(rows.indptr))
        axes, lengths = main_axes(rows, size, seed)
        share = float((lengths**2).sum() / (rows.data**2).sum())
        return cls(kept, rarity, axes, min(share, 1.0))

    def project(self, texts: Sequence[str], grams: Grams | None = None) -> np.ndarray:
        """Return texts as numbers, (n_texts, size); all 0 where no n-gram is known."""
        if not self.axes.shape[1] or not len(texts):
            return np.zeros((len(texts), self.axes.shape[1]))
        parts = (grams or Grams()).counted(texts)
        return np.vstack([_tf_idf(part, many, self.kept, self.rarity) @ self.axes for many, part in parts])


def main_axes(rows: Any, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return singular vectors of rows, (n_columns, k), and their singular values, longest first.

    Parameters
    ----------
    rows : ndarray or sparse matrix of shape (n_rows, n_columns)
        Not centered.
    size : int
        Vectors at most; those of length 0 are left out.
    """
    fewest = min(rows.shape)
    if fewest <= EXACT_TEXTS:
        by_rows = rows.shape[0] <= rows.shape[1]
        products = rows @ rows.T if by_rows else rows.T @ rows
        products = products.toarray() if hasattr(products, "toarray") else products
        squares, vectors = np.linalg.eigh(products)
        lengths = np.sqrt(np.maximum(squares[::-1], 0))[:size]
        vectors = vectors[:, ::-1][:, : len(lengths)]
        there = lengths > NOTHING * max(lengths[0], np.finfo(float).tiny)
        lengths, vectors = lengths[there], vectors[:, there]
        axes = np.asarray(rows.T @ vectors) / lengths if by_rows else vectors
    else:
        from sklearn.utils.extmath import randomized_svd

        _, lengths, axes = randomized_svd(
            rows, min(size, fewest), n_iter=7, random_state=seed, flip_sign=False
        )
        there = lengths > NOTHING * max(lengths[0], np.finfo(float).tiny)
        lengths, axes = lengths[there], axes.T[:, there]
    largest = np.abs(axes).argmax(axis=0)
    return axes * np.sign(axes[largest, np.arange(axes.shape[1])]), lengths


def _met(
    parts: Sequence[tuple[int, pl.DataFrame]], times: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the n-grams of the most texts, ascending, and in how many texts each is."""
    met, first = [], 0
    for many, part in parts:
        weighted = part.select("gram", pl.Series("times", times[first + part["text"].to_numpy()]))
        met.append(weighted.group_by("gram").agg(pl.col("times").sum()))
        first += many
    if not met:
        return np.empty(0, np.uint64), np.empty(0)
    # Numbers of texts are whole: their sums do not depend on the order.
    found = pl.concat(met).group_by("gram").agg(pl.col("times").sum())
    found = found.sort("times", "gram", descending=[True, False]).head(most).sort("gram")
    return found["gram"].to_numpy(), found["times"].to_numpy()


def _tf_idf(part: pl.DataFrame, many: int, kept: np.ndarray, rarity: np.ndarray) -> Any:
    """Return a sparse matrix of shape (many, n_kept), its rows of length 1."""
    from scipy.sparse import csr_array

    gram = part["gram"].to_numpy()
    at = np.minimum(np.searchsorted(kept, gram), len(kept) - 1)
    there = kept[at] == gram
    at, text = at[there], part["text"].to_numpy()[there]
    values = part["count"].to_numpy()[there] * rarity[at]
    lengths = np.sqrt(np.bincount(text, values**2, minlength=many))
    bounds = np.concatenate([[0], np.cumsum(np.bincount(text, minlength=many))])
    return csr_array((values / lengths[text], at, bounds), shape=(many, len(kept)))
