"""Labels that spread over a graph of neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space

CLOSE = 1e-13
"""What may be missing from the solution, as a share of what was given: a row far from all labels gets little,
and of that each class its share."""
MOST_STEPS = 1000
BLOCK_BYTES = 1 << 27
"""Memory for the numbers of the classes that are solved for together."""


def neighbor_graph(space: Space, rows: np.ndarray, k: int, device: str = "cpu") -> Any:
    """Connect each row with its `k` nearest rows, in both directions.

    Parameters
    ----------
    space : Space
    rows : ndarray of shape (n_rows, n_columns)
    k : int, >= 1
    device : str
        Where neighbors are searched for; see `nearest`.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_rows, n_rows)
        1 where one of two rows is among the `k` nearest of the other; symmetric, no row connected with
        itself.

    Examples
    --------
    >>> neighbor_graph(Space(), np.array([[0.0], [1.0], [9.0]]), 1).toarray().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    from scipy.sparse import csr_array

    count = len(rows)
    _, found = nearest(space, rows, rows, k, exclude_self=True, device=device)
    there = found >= 0
    start = np.repeat(np.arange(count), found.shape[1])[there.ravel()]
    one_way = csr_array((np.ones(len(start)), (start, found[there])), shape=(count, count))
    return one_way.maximum(one_way.T).tocsr()


def spread(graph: Any, pull: np.ndarray, alpha: float) -> np.ndarray:
    """Spread labels along the edges of a graph: what iterating F <- alpha S F + (1 - alpha) Y comes to.

    S is the graph scaled by the square roots of its rows' sums, on both sides. The equations are symmetric
    and positive definite; conjugate gradients solve them in a small share of the steps that iterating takes.

    Parameters
    ----------
    graph : scipy.sparse array of shape (n_rows, n_rows)
        Symmetric, not negative, with an empty diagonal.
    pull : ndarray of shape (n_rows, n_classes)
        Y: how strongly each row is held to each class; 0 for a row without a label.
    alpha : float, in (0, 1)
        How much of a row's answer comes from its neighbors.

    Returns
    -------
    ndarray of shape (n_rows, n_classes), float64
        Not normalized. All 0 where no path leads to a row that is held to a class.

    Source
    ------
    Zhou et al., "Learning with local and global consistency", NeurIPS 2004, equations 2 and 3;
    ``sklearn.semi_supervised.LabelSpreading`` iterates the same on the same graph.

    Examples
    --------
    >>> line = neighbor_graph(Space(), np.arange(4.0)[:, None], 1)
    >>> held = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    >>> spread(line, held, 0.5).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    from scipy.sparse import diags_array

    degree = np.asarray(graph.sum(axis=1)).ravel()
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    scaled = diags_array(root) @ graph @ diags_array(root)
    width = max(BLOCK_BYTES // (4 * 8 * max(len(pull), 1)), 1)
    parts = [
        _solved(scaled.tocsr(), pull[:, start : start + width], alpha)
        for start in range(0, pull.shape[1], width)
    ]
    # What is below 0 is rounding: both the graph and what rows are held to are not negative.
    return np.maximum(np.hstack(parts), 0.0) if parts else np.zeros_like(pull)


def _solved(scaled: Any, pull: np.ndarray, alpha: float) -> np.ndarray:
    """Solve (1 - alpha S) F = (1 - alpha) Y by conjugate gradients, a column for each class."""
    given = (1 - alpha) * np.asarray(pull, dtype=np.float64)
    solution = np.zeros_like(given)
    residual, direction = given.copy(), given.copy()
    left = (residual * residual).sum(axis=0)
    enough = CLOSE**2 * left
    for _ in range(MOST_STEPS):
        if (left <= enough).all():
            break
        moved = direction - alpha * (scaled @ direction)
        along = (direction * moved).sum(axis=0)
        step = np.divide(left, along, out=np.zeros_like(left), where=along > 0)
        solution += step * direction
        residual -= step * moved
        new = (residual * residual).sum(axis=0)
        direction *= np.divide(new, left, out=np.zeros_like(left), where=left > 0)
        direction += residual
        left = new
    return solution
