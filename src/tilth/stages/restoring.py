"""What is told of a network that restores rows from codes: how it was trained, and what is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from tilth.core.stage import Stage

FINDS = {
    "reduce.error": "how much is lost, beside what PCA of as many components loses",
    "reduce.linear": "PCA loses no more",
    "reduce.lost": "more than half of a column is lost",
    "reduce.size": "there are fewer columns than codes were asked for",
    "reduce.dead": "codes that are the same for all rows",
    "reduce.collapsed": "codes that tell nothing of a row",
    "training.short": "the loss still fell when the epochs were over",
    "training.diverged": "the loss became infinite",
}
DEAD = 1e-3
"""Share of the largest standard deviation of a code below which one is dead."""
COLLAPSED = 0.01
"""Nats that a code must tell of a row, on average, not to have collapsed onto the prior."""
LOST = 0.5
NO_MORE = 0.999
"""Of what PCA loses: codes that lose at least this are no better."""


def tell_training(stage: Stage, stopped: str, best: int, epochs: int) -> None:
    """Report a training that went wrong or ended too early.

    Parameters
    ----------
    stage : Stage
        With the parameters `learning_rate` and `max_epochs`.
    stopped : str
        Why it ended.
    best, epochs : int
        The epoch of the weights, from 0 (-1: those of the start), and how many there were.
    """
    params = stage.get_params()
    if stopped == "diverged":
        kept = f"the weights of epoch {best + 1} are" if best >= 0 else "what stood before training is"
        stage.report(
            "training.diverged",
            f"The loss became infinite in epoch {epochs}; {kept} kept.",
            float(epochs),
            severity="high",
            remedy={stage.key: {"learning_rate": params["learning_rate"] / 10}},
        )
    elif stopped == "epochs" and best + 1 == epochs:
        stage.report(
            "training.short",
            f"The loss on rows kept aside was lowest in the last of {epochs} epochs.",
            float(epochs),
            remedy={stage.key: {"max_epochs": 2 * params["max_epochs"]}},
        )


def tell_codes(stage: Stage, codes: np.ndarray, nats: np.ndarray | None) -> None:
    """Report codes that tell nothing.

    Parameters
    ----------
    stage : Stage
        With the parameters `size` and, where `nats` are given, `beta`.
    codes : ndarray of shape (n_rows, size)
    nats : ndarray of shape (size,), optional
        What each code tells of a row, on average: its divergence from the prior.
    """
    size, params = codes.shape[1], stage.get_params()
    if size < params["size"]:
        stage.report(
            "reduce.size",
            f"The columns are {size} numbers wide: there are {size} codes, not {params['size']}.",
            float(size),
            severity="low",
            remedy={stage.key: {"size": size}},
        )
    spread = codes.std(axis=0)
    dead = spread <= DEAD * spread.max()
    if dead.any():
        stage.report(
            "reduce.dead",
            f"{dead.sum()} of {size} codes are the same for all rows.",
            float(dead.mean()),
            severity="low",
            remedy={stage.key: {"size": max(1, int((~dead).sum()))}},
        )
    if nats is None:
        return
    collapsed = nats < COLLAPSED
    if collapsed.any():
        stage.report(
            "reduce.collapsed",
            f"{collapsed.sum()} of {size} codes tell less than {COLLAPSED:g} nats of a row: they have "
            "collapsed onto the prior.",
            float(collapsed.mean()),
            severity="medium",
            remedy={stage.key: {"beta": params["beta"] / 4}},
        )


def tell_errors(
    stage: Stage,
    names: Sequence[str],
    lost: Sequence[np.ndarray],
    overall: Sequence[float],
    categorical: np.ndarray,
    rows: int,
    aside: bool,
) -> pl.DataFrame:
    """Report what codes lose beside principal components, and return it per column.

    Parameters
    ----------
    stage : Stage
        With the parameter `size`.
    names : sequence of str
        The columns.
    lost : pair of ndarray of shape (n_columns,)
        What codes and components lose of each: a share, NaN where there is nothing to lose.
    overall : pair of float
        The same over all numbers.
    categorical : ndarray of shape (n_columns,), bool
    rows : int
        How many it was measured on.
    aside : bool
        Whether the rows were kept out of the training.
    """
    told = pl.DataFrame({"column": names, "codes": lost[0], "pca": lost[1]}, nan_to_null=True)
    size = stage.get_params()["size"]
    wrong = told.filter(pl.Series(categorical)).mean()
    said, scores = [], []
    if np.isfinite(overall[0]):
        said.append(f"{overall[0]:.1%} of the variance of numbers (PCA: {overall[1]:.1%})")
        scores.append(overall[0])
    if categorical.any() and wrong["codes"].item() is not None:
        said.append(f"{wrong['codes'].item():.1%} of the categories (PCA: {wrong['pca'].item():.1%})")
        scores.append(wrong["codes"].item())
    if said:
        where = "kept aside" if aside else "that it learned from"
        stage.report(
            "reduce.error",
            f"The codes lose {' and '.join(said)}, measured on {rows} rows {where}.",
            float(scores[0]),
            n_rows=rows,
        )
    if aside and not categorical.any() and overall[0] >= NO_MORE * overall[1]:
        stage.report(
            "reduce.linear",
            f"As many principal components lose {overall[1]:.1%} of the variance of numbers, and the codes "
            f"{overall[0]:.1%}: PCA is simpler and no worse.",
            overall[0] - overall[1],
            severity="medium",
            remedy={"reduce.pca": {"keep": size}},
        )
    for name, share in zip(names, lost[0], strict=True):
        if share > LOST:
            stage.report(
                "reduce.lost",
                f"The codes lose {share:.1%} of '{name}'.",
                float(share),
                severity="low",
                columns=(name,),
                remedy={stage.key: {"size": 2 * size}},
            )
    return told
