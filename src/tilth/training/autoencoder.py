"""A network that gives rows back from the cells that are there: it fills gaps, and errs on odd rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tilth.training.losses import log_shares
from tilth.training.networks import mlp
from tilth.training.trainer import Trainer

LIMIT = 10.0
"""Standard deviations beyond which a number is no longer told from others: no far cell decides alone."""
STEPS = 2**10
"""Steps per standard deviation in which numbers are learned: the last digits of a mean, which depend on how
the rows were parted, must not decide what is learned."""


def train_autoencoder(
    wide: np.ndarray,
    source: np.ndarray,
    categorical: np.ndarray,
    *,
    hidden: Sequence[int],
    corruption: float,
    known_weight: float,
    learning_rate: float,
    batch_size: int,
    max_epochs: int,
    patience: int,
    device: str,
    random_state: int,
) -> list[np.ndarray]:
    """Train a denoising autoencoder on rows with gaps, and return its weights.

    The network sees the cells, 0 where there is none, and which cells it sees. A share of the known cells
    is hidden from it, other ones each time, and it is told how far off it is: on numbers by the squared
    error, on categories by the cross-entropy. Training stops early by the same measure on rows kept aside.

    Parameters
    ----------
    wide : ndarray of shape (n_rows, n_wide), float64
        Numbers of mean 0 and standard deviation 1, and 0/1 columns per category; NaN where missing.
    source : ndarray of shape (n_wide,), int
        The column that each of them comes from: 0, 1, ... rising, none left out.
    categorical : ndarray of shape (n_columns,), bool
    hidden : sequence of int
        Units of each hidden layer.
    corruption : float in (0, 1)
        Share of the known cells hidden.
    known_weight : float in [0, 1]
        How much the error on a cell that is not hidden counts, against 1 for one that is.
    learning_rate, batch_size, max_epochs, patience, device, random_state
        As for `Trainer`.

    Returns
    -------
    list of ndarray, float32
        Weights, of shape (n_outputs, n_inputs), and biases of each layer in turn. Of fewer than two rows
        nothing is learned: the network then answers the mean and the shares of the categories.

    Source
    ------
    Vincent, Larochelle, Bengio and Manzagol, "Extracting and composing robust features with denoising
    autoencoders", ICML 2008.
    """
    inputs = torch.from_numpy(np.round(_inputs(wide, source) * STEPS) / STEPS).float()
    n_wide, n_columns = len(source), len(categorical)
    widths = [n_wide, n_columns]
    network = mlp(sum(widths), n_wide, hidden, "silu", dropout=0, batch_norm=False, random_state=random_state)
    _start_at_the_middle(network[-1], wide, categorical[source])
    if len(wide) > 1:
        place = torch.from_numpy(source)
        of_category = torch.from_numpy(categorical[source])

        def corrupt(X: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
            values, known = X.split(widths, dim=1)
            kept = known * (torch.rand_like(known) >= corruption)
            at = place.to(X.device)
            counted = known - (1 - known_weight) * kept
            return (
                torch.cat([values * kept.index_select(1, at), kept], dim=1),
                torch.cat([values, counted], dim=1),
            )

        def loss(output: Tensor, target: Tensor) -> Tensor:
            values, counted = target.split(widths, dim=1)
            at, words = place.to(output.device), of_category.to(output.device)
            error = (output - values).square()
            if categorical.any():
                error = torch.where(words, -values * log_shares(output, at, n_columns), error)
            return (error * counted.index_select(1, at)).sum(dim=1) / n_columns

        Trainer(
            network,
            loss,
            corrupt=corrupt,
            learning_rate=learning_rate,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            device=device,
            random_state=random_state,
        ).fit(inputs)
    return [value.cpu().numpy() for value in network.state_dict().values()]


def reconstruct(weights: Sequence[np.ndarray], wide: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return what the network takes the cells of rows to be, from those it sees.

    Computed in float64 on the CPU, so that a row is answered the same alone and among others.

    Parameters
    ----------
    weights : sequence of ndarray
        From `train_autoencoder`.
    wide, source
        As for `train_autoencoder`.

    Returns
    -------
    ndarray of shape (n_rows, n_wide), float64
        Numbers as they are scaled; for each category the logarithm of its share, up to a constant per column.
    """
    values = _inputs(wide, source)
    for place in range(0, len(weights), 2):
        values = values @ weights[place].T.astype(np.float64) + weights[place + 1]
        if place + 2 < len(weights):
            values *= 0.5 * (1 + np.tanh(values / 2))  # SiLU, without an exponential that overflows
    return values


def reconstruction_errors(
    output: np.ndarray, wide: np.ndarray, source: np.ndarray, categorical: np.ndarray
) -> np.ndarray:
    """Return how far the network is off on each cell; NaN where it is missing.

    Parameters
    ----------
    output : ndarray of shape (n_rows, n_wide)
        From `reconstruct`.
    wide, source, categorical
        As for `train_autoencoder`.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
        Of numbers the squared error; of categories minus the logarithm of the share (nats). A category that
        has no column of its own counts as the least likely one of those that have.
    """
    first = np.flatnonzero(np.diff(source, prepend=-1))
    errors = np.square(wide[:, first] - output[:, first])
    for place in np.flatnonzero(categorical):
        here = source == place
        logits, cells = output[:, here], wide[:, here]
        shares = logits - logits.max(axis=1, keepdims=True)
        shares -= np.log(np.exp(shares).sum(axis=1, keepdims=True))
        own = np.where(cells == 1, shares, 0).sum(axis=1)
        told = np.where(cells.any(axis=1), own, shares.min(axis=1))
        errors[:, place] = np.where(np.isnan(cells[:, 0]), np.nan, -told)
    return errors


def _inputs(wide: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the cells, held to the limit, 0 where there is none, and beside them which columns are known."""
    known = ~np.isnan(wide)
    first = np.flatnonzero(np.diff(source, prepend=-1))
    return np.hstack([np.clip(np.where(known, wide, 0), -LIMIT, LIMIT), known[:, first]])


def _start_at_the_middle(last: nn.Module, wide: np.ndarray, of_category: np.ndarray) -> None:
    """Let the network begin with the mean of each number, and the shares of each category."""
    assert isinstance(last, nn.Linear)
    cells = np.where(np.isnan(wide), 0, wide).sum(axis=0)
    rows = np.maximum((~np.isnan(wide)).sum(axis=0), 1)
    shares = np.log(np.maximum(cells, 0.5) / rows)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.from_numpy(np.where(of_category, shares, 0)))
