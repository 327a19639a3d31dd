"""Describe images without any training: how edges run, which colors there are, and where they lie."""

from __future__ import annotations

import cv2
import numpy as np

SIDE = 64
"""Pixels: images are brought to a square of this side before."""
CELLS, DIRECTIONS = 8, 9
"""Edges are counted in 8 x 8 cells, each in 9 directions of half a turn."""
LEVELS = 4
"""Colors are counted by 4 levels of red, green and blue."""
PLACES = 4
"""The mean color is told of 4 x 4 places."""
WIDTH = CELLS * CELLS * DIRECTIONS + LEVELS**3 + 3 * PLACES * PLACES
VERSION = "1"
"""Of what the numbers mean: vectors of another version are not compared with these."""

EDGES, COLORS, PLACED = 4.0, 2.0, 4.0
"""Lengths of the parts: of edges, of colors, and of the mean colors of a white image. Neighbors and linear
models do well by them on photographs, clip art, icons and clothes alike, and vary little around them."""
FAINT = 0.02
"""Edges of this strength in all of a block count half: below it is noise. Shares of black to white."""


def histograms(pixels: np.ndarray) -> np.ndarray:
    """Return one vector per image, float32 of shape (n, WIDTH).

    Three parts follow one another. Edges: gradients of the luma by direction, softly binned, each cell held
    against the blocks of four cells it lies in, so that contrast hardly counts. Colors: the square roots of
    how often each color occurs, so that distances are Hellinger's. Places: mean colors.

    Parameters
    ----------
    pixels : ndarray of shape (n, SIDE, SIDE, 3), uint8

    Source
    ------
    Dalal and Triggs, "Histograms of oriented gradients", CVPR 2005; the four blocks are averaged as in
    Felzenszwalb et al., PAMI 32 (2010).
    """
    if pixels.ndim != 4 or pixels.shape[1:] != (SIDE, SIDE, 3):
        raise ValueError(f"histograms: pixels must be of shape (n, {SIDE}, {SIDE}, 3), not {pixels.shape}.")
    if not len(pixels):
        return np.empty((0, WIDTH), np.float32)
    return np.hstack([_edges(pixels), _colors(pixels), _places(pixels)]).astype(np.float32, copy=False)


def _edges(pixels: np.ndarray) -> np.ndarray:
    n, size = len(pixels), SIDE // CELLS
    grey = cv2.cvtColor(pixels.reshape(n * SIDE, SIDE, 3), cv2.COLOR_RGB2GRAY)
    grey = grey.reshape(n, SIDE, SIDE).astype(np.float32) / 255
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength, angle = cv2.cartToPolar(across.reshape(n * SIDE, SIDE), down.reshape(n * SIDE, SIDE))
    # A whole turn is twice the directions: an edge from dark to light runs as one from light to dark.
    bins = angle.ravel() * (DIRECTIONS / np.pi)
    low = bins.astype(np.int64)
    rest = bins - low
    line, column = np.divmod(np.arange(SIDE * SIDE), SIDE)
    cell = line // size * CELLS + column // size
    base = (np.arange(n)[:, None] * CELLS**2 + cell).ravel() * DIRECTIONS
    total = n * CELLS**2 * DIRECTIONS
    cells = np.bincount(base + low % DIRECTIONS, strength.ravel() * (1 - rest), total)
    cells += np.bincount(base + (low + 1) % DIRECTIONS, strength.ravel() * rest, total)
    return _held(cells.reshape(n, CELLS, CELLS, DIRECTIONS) / size**2).reshape(n, -1)


def _held(cells: np.ndarray) -> np.ndarray:
    """Hold each cell against the four blocks it lies in, and bring all of them to one length."""
    power = np.pad(np.square(cells).sum(axis=-1), ((0, 0), (1, 1), (1, 1)), mode="edge")
    block = power[:, 1:, 1:] + power[:, :-1, 1:] + power[:, 1:, :-1] + power[:, :-1, :-1]
    length = np.sqrt(block + FAINT**2)
    made = np.zeros_like(cells)
    for part in (length[:, 1:, 1:], length[:, :-1, 1:], length[:, 1:, :-1], length[:, :-1, :-1]):
        made += np.minimum(cells / part[..., None], 0.2)
    norm = np.sqrt(np.square(made).sum(axis=(1, 2, 3), keepdims=True))
    # A flat image has no edges: what noise is there is not made long.
    return made * (EDGES / np.maximum(norm, 1.0))


def _colors(pixels: np.ndarray) -> np.ndarray:
    n = len(pixels)
    half = pixels.reshape(n, SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    level = half.reshape(-1, 3) * np.float32((LEVELS - 1) / 255)
    low = np.minimum(level.astype(np.int64), LEVELS - 2)
    rest = level - low
    base = np.arange(n).repeat(SIDE**2 // 4)
    counts = np.zeros(n * LEVELS**3)
    for corner in np.ndindex(2, 2, 2):  # each color counts for the levels around it, by how near they are
        share = np.where(corner, rest, 1 - rest).prod(axis=1)
        code = base
        for channel in range(3):
            code = code * LEVELS + low[:, channel] + corner[channel]
        counts += np.bincount(code, share, n * LEVELS**3)
    return np.sqrt(counts.reshape(n, -1) * (4 / SIDE**2)) * COLORS


def _places(pixels: np.ndarray) -> np.ndarray:
    size = SIDE // PLACES
    means = pixels.reshape(len(pixels), PLACES, size, PLACES, size, 3).mean(axis=(2, 4))
    return means.reshape(len(pixels), -1) * (PLACED / (255 * np.sqrt(3 * PLACES**2)))
