"""A network that puts rows into a few numbers, and makes rows of such numbers: it starts as PCA."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tilth.training.losses import log_shares
from tilth.training.networks import mlp
from tilth.training.runtime import seeded
from tilth.training.stream import Stream
from tilth.training.trainer import Epoch, Trainer

Method = Literal["undercomplete", "denoising", "variational"]

LEAST_VARIANCE = 1e-8
"""Share of the largest variance below which a direction has none."""
ROWS_AT_ONCE = 2048
MOST_LOG_VARIANCE = (-15.0, 5.0)
"""Of a code: less is none, and more is many times that of the prior."""
MOST_WIDE = 3000
"""Columns up to which principal components come from the covariance; with more, from as many rows."""


@dataclass(frozen=True)
class Layout:
    """Say what the columns of a matrix are.

    Parameters
    ----------
    source : ndarray of shape (n_wide,), int
        The table's column that each comes from: 0, 1, ... rising, none left out.
    categorical : ndarray of shape (n_columns,), bool
        Those that are 0/1 columns, one per category; the others are numbers.
    holed : ndarray of shape (n_holed,), int
        The table's columns of which it is to be told whether a cell is missing.
    """

    source: np.ndarray
    categorical: np.ndarray
    holed: np.ndarray

    @property
    def of_category(self) -> np.ndarray:
        """Tell which columns of the matrix are 0/1 columns of a category."""
        return self.categorical[self.source]

    @property
    def first(self) -> np.ndarray:
        """Return the first column of the matrix of each holed column: it is missing if the cell is."""
        return np.searchsorted(self.source, self.holed)


class Start(NamedTuple):
    """Principal components, as weights of the straight path.

    Attributes
    ----------
    middle : ndarray of shape (n_wide,)
    into : ndarray of shape (size, n_wide)
        Makes codes of variance 1 of what lies off the middle.
    out : ndarray of shape (n_wide, size)
    """

    middle: np.ndarray
    into: np.ndarray
    out: np.ndarray

    def restored(self, wide: np.ndarray) -> np.ndarray:
        """Return what as many principal components make of rows; missing cells stand in the middle."""
        off = np.where(np.isnan(wide), 0, wide - self.middle)
        return off @ self.into.T @ self.out.T + self.middle


def principal(wide: np.ndarray, size: int) -> Start:
    """Return the principal components of a sample of rows, missing cells taken for the mean.

    Parameters
    ----------
    wide : ndarray of shape (n_rows, n_wide)
        NaN where missing.
    size : int
    """
    if wide.shape[1] > MOST_WIDE:
        wide = wide[:MOST_WIDE]
    n_rows, n_wide = wide.shape
    # In float64 only a block at a time: a sample of wide rows would take more memory than the buffer.
    blocks = [wide[start : start + ROWS_AT_ONCE] for start in range(0, n_rows, ROWS_AT_ONCE)]
    known = sum((~np.isnan(block)).sum(axis=0) for block in blocks)
    middle = sum(np.nansum(block, axis=0, dtype=np.float64) for block in blocks) / np.maximum(known, 1)
    off = (np.where(np.isnan(block), 0, block - middle) for block in blocks)
    if n_rows < n_wide:
        X = np.vstack(list(off))
        values, left = np.linalg.eigh(X @ X.T)
        vectors = X.T @ left / np.sqrt(np.maximum(values, 1e-300))
    else:
        values, vectors = np.linalg.eigh(sum(part.T @ part for part in off))
    values, vectors = values[::-1][:size], vectors[:, ::-1][:, :size]
    vectors = vectors * np.where(np.take_along_axis(vectors, abs(vectors).argmax(0)[None], 0) < 0, -1, 1)
    spread, out = np.zeros(size), np.zeros((n_wide, size))
    real = values > max(LEAST_VARIANCE * values[0], 1e-12) if len(values) else np.zeros(0, bool)
    spread[: len(values)][real] = np.sqrt(values[real] / n_rows)
    out[:, : len(values)][:, real] = vectors[:, real]
    into = (out / np.where(spread > 0, spread, 1)).T
    return Start(middle, into, out * spread)


class CodeNetwork(nn.Module):
    """Encode rows and decode them, each by a straight path and layers beside it that bend it.

    The last layers start at zero and the straight paths as principal components: before the first step
    the network is PCA.

    Parameters
    ----------
    layout : Layout
    start : Start
    rows : ndarray of shape (n_start, n_wide)
        A sample, from which shares of categories and gaps are counted.
    hidden : sequence of int
        Units of each hidden layer of the encoder; the decoder has them the other way round.
    activation : str
    variational : bool
    random_state : int
    """

    def __init__(
        self,
        layout: Layout,
        start: Start,
        rows: np.ndarray,
        hidden: Sequence[int],
        activation: str,
        variational: bool,
        random_state: int,
    ) -> None:
        super().__init__()
        n_wide, n_holed, size = len(layout.source), len(layout.holed), len(start.into)
        self.size, self.variational, self.random_state = size, variational, random_state
        heads = size * (1 + variational)
        built = {"activation": activation, "dropout": 0.0, "batch_norm": False, "random_state": random_state}
        self.encoder = mlp(n_wide + n_holed, heads, hidden, **built)  # type: ignore[arg-type]
        self.decoder = mlp(size, n_wide + n_holed, hidden[::-1], **built)  # type: ignore[arg-type]
        with seeded(random_state):
            self.into, self.out = nn.Linear(n_wide, size), nn.Linear(size, n_wide)
        self.first: Tensor
        self.register_buffer("first", torch.from_numpy(layout.first), persistent=False)
        # The spread of numbers around what is decoded; learned where the loss is a likelihood.
        words = layout.of_category
        some = rows[:ROWS_AT_ONCE]
        left = np.square(some - start.restored(some))[:, ~words]
        residual = max(float(np.nanmean(left)) if (~np.isnan(left)).any() else 1.0, 1e-4)
        self.log_variance = nn.Parameter(torch.tensor(float(np.log(residual))), requires_grad=variational)
        shares = np.clip(start.middle, 1 / (2 * len(rows)), 1)
        missing = np.clip(np.isnan(rows[:, layout.first]).mean(axis=0), 1 / (2 * len(rows)), None)
        missing = np.minimum(missing, 1 - 1 / (2 * len(rows)))
        bent_in, bent_out = self.encoder[-1], self.decoder[-1]
        assert isinstance(bent_in, nn.Linear) and isinstance(bent_out, nn.Linear)
        with torch.no_grad():
            bent_in.weight.zero_()
            bent_out.weight.zero_()
            self.into.weight.copy_(torch.from_numpy(start.into))
            self.into.bias.copy_(torch.from_numpy(-start.into @ start.middle))
            # A share moves as its logarithm, times the share.
            self.out.weight.copy_(
                torch.from_numpy(np.where(words[:, None], start.out / shares[:, None], start.out))
            )
            self.out.bias.copy_(torch.from_numpy(np.where(words, np.log(shares), start.middle)))
            bent_out.bias[n_wide:] = torch.from_numpy(np.log(missing / (1 - missing)))
            if variational:
                explained = np.square(start.out[~words]).sum(axis=0)
                noise = residual / (explained + residual)
                bent_in.bias[size:] = torch.from_numpy(np.log(np.maximum(noise, 1e-4)))

    def forward(self, X: Tensor) -> Tensor:
        """Return the decoded rows, the logits of missing cells and, where variational, mean and log variance.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_wide)
            NaN where missing.
        """
        gaps = X.index_select(1, self.first).isnan().to(X.dtype)
        X = X.nan_to_num(nan=0.0)
        heads = self.encoder(torch.cat([X, gaps], dim=1))
        codes = self.into(X) + heads[:, : self.size]
        told = [codes]
        if self.variational:
            log_variance = heads[:, self.size :].clamp(*MOST_LOG_VARIANCE)
            told.append(log_variance)
            codes = codes + (0.5 * log_variance).exp() * self._noise(codes)
        straight, bent = self.out(codes), self.decoder(codes)
        wide = straight.shape[1]
        parts = [straight + bent[:, :wide], bent[:, wide:]]
        return torch.cat(parts + told if self.variational else parts, dim=1)

    def _noise(self, codes: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(codes)
        # The rows kept aside meet the same noise in each epoch, or the best epoch would be the luckiest.
        fixed = torch.Generator().manual_seed(self.random_state)
        return torch.randn(codes.shape, generator=fixed).to(codes)


class CodeLoss:
    """Tell for each row how far it is from what was decoded: over known cells, each by its own measure.

    Numbers count by their squared error, categories by the cross-entropy, and whether a cell is missing by
    the binary cross-entropy; where variational, as a likelihood, with the divergence of the codes on top.

    Attributes
    ----------
    share : float
        How much of `beta` counts in training at the time; in validation all of it does.
    """

    def __init__(self, layout: Layout, network: CodeNetwork, beta: float) -> None:
        words = layout.of_category
        self.network, self.beta, self.share = network, beta, 1.0
        self.n_wide, self.n_holed = len(words), len(layout.holed)
        self.n_columns = int((~words).sum() + layout.categorical.sum() + self.n_holed)
        self.numbers = torch.from_numpy(np.flatnonzero(~words)) if words.any() else None
        self.words = torch.from_numpy(np.flatnonzero(words)) if words.any() else None
        self.of = torch.from_numpy(np.unique(layout.source[words], return_inverse=True)[1])
        self.n_categorical = int(layout.categorical.sum())

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Return one loss per row; `target` is the rows, NaN where missing."""
        at = output.device
        wide, flags = output[:, : self.n_wide], output[:, self.n_wide : self.n_wide + self.n_holed]
        told, known = target.nan_to_num(nan=0.0), ~target.isnan()
        if self.numbers is None:
            loss = self._numbers(wide - told, known)
        else:
            pick = self.numbers.to(at)
            loss = self._numbers(
                wide.index_select(1, pick) - told.index_select(1, pick), known.index_select(1, pick)
            )
            pick = self.words.to(at)  # type: ignore[union-attr]
            shares = log_shares(wide.index_select(1, pick), self.of.to(at), self.n_categorical)
            # Missing and rare categories are 0 in all columns.
            loss = loss - (told.index_select(1, pick) * shares).sum(dim=1)
        if self.n_holed:
            missing = (~known).index_select(1, self.network.first).to(flags.dtype)
            loss = loss + functional.binary_cross_entropy_with_logits(flags, missing, reduction="none").sum(1)
        if self.network.variational:
            mean, log_variance = output[:, self.n_wide + self.n_holed :].split(self.network.size, dim=1)
            share = self.share if self.network.training else 1.0
            loss = loss + share * self.beta * divergence(mean, log_variance).sum(dim=1)
        return loss / self.n_columns

    def _numbers(self, off: Tensor, known: Tensor) -> Tensor:
        error = off.square()
        if self.network.variational:
            spread = self.network.log_variance
            error = 0.5 * (error * (-spread).exp() + spread)
        return (error * known).sum(dim=1)


def divergence(mean: Any, log_variance: Any) -> Any:
    """Return the Kullback-Leibler divergence of each code from the standard normal, in nats.

    Parameters
    ----------
    mean, log_variance : Tensor or ndarray
    """
    exp = torch.exp if isinstance(log_variance, Tensor) else np.exp
    return 0.5 * (mean**2 + exp(log_variance) - log_variance - 1)


class Trained(NamedTuple):
    """What training left.

    Attributes
    ----------
    weights : dict of str to ndarray, float32
        Of each layer, by name.
    start : Start
        Principal components as many as codes, of the rows it began from.
    stopped : {"epochs", "patience", "diverged", "nothing"}
        Why it ended; "nothing" where there were fewer than two rows to learn from.
    best, epochs : int
        The epoch of the weights, from 0 (-1: those of the start), and how many there were.
    """

    weights: dict[str, np.ndarray]
    start: Start
    stopped: str
    best: int
    epochs: int


def train_codes(
    rows: Stream,
    layout: Layout,
    size: int,
    *,
    method: Method,
    hidden: Sequence[int],
    activation: str,
    corruption: float,
    beta: float,
    warm_up: int,
    learning_rate: float,
    max_epochs: int,
    patience: int,
    n_jobs: int | None,
    on_epoch: Callable[[int, Epoch], None] | None = None,
) -> Trained:
    """Train an autoencoder on a stream of rows.

    Parameters
    ----------
    rows : Stream
        Of width `len(layout.source)`: numbers of about mean 0 and standard deviation 1, 0/1 columns per
        category; NaN where missing.
    layout : Layout
    size : int
        Codes.
    method : {"undercomplete", "denoising", "variational"}
        Learn to give rows back; the same with a share `corruption` of the known cells at 0, the middle,
        others each time; or codes that are distributions, held to the standard normal by `beta` times their
        divergence, which counts in full from epoch `warm_up` on.
    hidden, activation
        As for `CodeNetwork`.
    learning_rate, max_epochs, patience, n_jobs, on_epoch
        As for `Trainer`; while `beta` rises patience is not tried.

    Source
    ------
    Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313, 2006;
    Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008;
    Kingma and Welling, "Auto-encoding variational Bayes", ICLR 2014; Higgins et al., "beta-VAE", ICLR 2017;
    Rybkin, Daniilidis and Levine, "Simple and effective VAE training with calibrated decoders", ICML 2021
    (the variance of the numbers is learned).
    """
    start, seed = principal(rows.start, size), rows.random_state
    variational = method == "variational"
    network = CodeNetwork(layout, start, rows.start, hidden, activation, variational, seed)
    loss = CodeLoss(layout, network, beta)
    warm_up = min(warm_up, max_epochs - 1) if variational else 0
    of = torch.from_numpy(layout.source)
    n_columns = len(layout.categorical)

    def corrupt(X: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        # A number is hidden by itself, also one of a vector; a category with all of its columns.
        draws = torch.rand_like(X)
        if layout.categorical.any():
            shared = torch.rand(len(X), n_columns, device=X.device).index_select(1, of.to(X.device))
            draws = torch.where(torch.from_numpy(layout.of_category).to(X.device), shared, draws)
        return torch.where((draws < corruption) & ~X.isnan(), 0.0, X), target

    def after(number: int, epoch: Epoch) -> None:
        loss.share = min(1.0, (number + 2) / (warm_up + 1))
        if on_epoch is not None:
            on_epoch(number, epoch)

    loss.share = 1 / (warm_up + 1)
    trainer = Trainer(
        network,
        loss,
        learning_rate=learning_rate,
        weight_decay=0.0,
        max_epochs=max_epochs,
        patience=patience + warm_up,
        device=str(rows.device),
        random_state=seed,
        n_jobs=n_jobs,
        on_epoch=after,
        corrupt=corrupt if method == "denoising" else None,
        start_counts=True,
    )
    stopped, best, epochs = "nothing", 0, 0
    if rows.steps:
        trainer.fit_source(rows)
        stopped, best, epochs = trainer.stopped_, trainer.best_epoch_, len(trainer.history_)
    weights = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
    return Trained(weights, start, stopped, best, epochs)
