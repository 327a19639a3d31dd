"""Score rows by how badly an autoencoder restores them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.stages.detecting import Action, Detector, Threshold
from tilth.stages.reading import Reading

HALVINGS = 4
"""Times that the columns are parted in two halves, each of which is restored from the other."""
CALIBRATED = 2000
"""Rows by which it is measured how much harder cells are to restore where fewer are there."""
ROWS_AT_ONCE = 2**14


class OutliersAutoencoder(Detector):
    """Flag rows that a network, trained to restore hidden cells of all rows, restores badly.

    Finds rows whose cells are common one by one, but do not go together.

    Learns
        The weights of a multilayer perceptron (float32). It sees numbers in standard deviations, held to
        10 of them, dates as numbers, categories as 0/1 columns, and which cells are there. What keeps it
        from learning the odd rows by heart is that cells are hidden, and that training ends early.
    Training
        Rows beyond `threshold` are dropped, given a smaller weight, or only reported (action). The score
        is the mean error over the columns: squared for numbers, minus the logarithm of the share for
        categories; once seeing the cell, and once with its half of the columns hidden. A missing cell
        counts as much as the mean error in its column, and errors are made less by what it takes to
        restore a cell where fewer are there, so that gaps do not tell. The reasons name the columns of
        the largest errors.
    Weights
        Ignored: a row is as odd whatever it counts.
    Cost
        Learning: `max_epochs` passes over at most `max_rows` rows; scoring: 9 passes.
    Scaling
        Needs all rows in one place. On a CPU a seed gives the same scores again; on other devices to
        rounding.

    Parameters
    ----------
    width : int, >= 1
        Units of each hidden layer.
    layers : int, >= 1
        Hidden layers.
    corruption : float, in (0, 1)
        Share of the known cells hidden in training; the more, the less the network copies what it sees.
    max_epochs : int, >= 1
        Passes over the rows at most; the learning rate falls to 0 until then.
    patience : int, >= 1
        Passes without a lower error on the rows kept aside (15%), after which training stops.
    batch_size : int, >= 2
        Rows per step.
    learning_rate : float, > 0
        Its peak.
    max_rows : int, >= 1, optional
        Rows learned from; null takes all. All are scored.
    random_state : int, >= 0
        Seed of the weights at the start, the rows kept aside, and what is hidden.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where the network is trained; on CUDA in bfloat16.
    threshold : float in (0, 0.5], or {'adjusted', 'boxplot', 'mad'}
        The share of the rows that is flagged, those with the highest scores; or the bound on the
        score: the boxplot's fence adjusted to skewness, the plain one, or 3.5 scaled median
        deviations above the median.
    action : {'drop', 'weight', 'report'}
        What is done with flagged rows; 'weight' multiplies their weight by how close they come to
        the bound, seen from the median score.
    on : selection, optional
        The columns; by default all that are numeric, categorical, boolean or dates.

    Findings
        outliers.rows : rows lie far from the others.
        outliers.class : most rows of a class lie far from the others.

    Raises
        TilthError : the device is not present.

    Source
        Hawkins et al., "Outlier detection using replicator neural networks", DaWaK 2002; Vincent et al.,
        "Extracting and composing robust features with denoising autoencoders", ICML 2008. Peer: none is
        equal; in the tests a bent relation is found broken where pyod's ``PCA`` sees nothing.

    Examples
    --------
    >>> import polars as pl
    >>> x = np.linspace(-1, 1, 400)
    >>> rows = pl.DataFrame({"x": x, "y": np.where(np.arange(400) == 200, 0.9, x**2)})
    >>> OutliersAutoencoder(threshold=0.002, learning_rate=0.01).fit(rows).findings_[0].rows
    (200,)
    """

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 64,
        layers: Annotated[int, Ge(1)] = 2,
        corruption: Annotated[float, Gt(0), Lt(1)] = 0.5,
        max_epochs: Annotated[int, Ge(1)] = 20,
        patience: Annotated[int, Ge(1)] = 10,
        batch_size: Annotated[int, Ge(2)] = 128,
        learning_rate: Annotated[float, Gt(0)] = 0.003,
        max_rows: Annotated[int, Ge(1)] | None = 50_000,
        random_state: Annotated[int, Ge(0)] = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        threshold: Threshold = "adjusted",
        action: Action = "drop",
        on: Selection = None,
    ) -> None:
        self.width = width
        self.layers = layers
        self.corruption = corruption
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_rows = max_rows
        self.random_state = random_state
        self.device = device
        self.threshold = threshold
        self.action = action
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"width": 8, "max_epochs": 3},
            {"width": 4, "layers": 1, "max_epochs": 2, "max_rows": 50, "threshold": 0.1, "action": "weight"},
        ]

    def measure(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Train the network, and return the mean error over the cells of each row."""
        from tilth.training import train_autoencoder

        # The rows come in the order of hashes: any first of them are a sample.
        self.weights_ = train_autoencoder(
            reading.one_hot(matrix[: self.max_rows]),
            reading.source,
            reading.categorical,
            hidden=(self.width,) * self.layers,
            corruption=self.corruption,
            known_weight=1.0,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            device=self.device,
            random_state=self.random_state,
        )
        row, column = np.zeros(len(matrix)), np.zeros(matrix.shape[1])
        for start in range(0, len(matrix), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            errors = self._errors(reading, matrix[rows])
            row[rows] = errors.sum(axis=1)
            column += errors.sum(axis=0)
        known = ~np.isnan(matrix)
        if known.all():
            return row / matrix.shape[1]
        missing = (~known) @ (column / known.sum(axis=0))
        return (row / self._harder(reading, matrix) + missing) / matrix.shape[1]

    def _harder(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Return for each row by which factor its cells are harder to restore, as fewer of them are there.

        Measured by hiding cells of all rows, so that no odd row with gaps excuses itself.
        """
        random, sample = np.random.default_rng(self.random_state), matrix[:CALIBRATED]
        counts, errors = np.zeros(4), np.zeros(4)
        for place, share in enumerate((0.75, 0.5, 0.25, 0.0)):
            rows = np.where(random.random(sample.shape) < share, np.nan, sample)
            count = (~np.isnan(rows)).sum(axis=1)
            error = self._errors(reading, rows).sum(axis=1) / np.maximum(count, 1)
            counts[place] = count.mean()
            # The median, so that odd rows, hard to restore from whatever, do not even it out.
            errors[place] = np.median(error[count > 0]) if count.any() else 0.0
        harder = np.maximum(errors / errors[-1], 1.0) if errors[-1] > 0 else np.ones(4)
        factors: np.ndarray = np.interp((~np.isnan(matrix)).sum(axis=1), counts, harder)
        return factors

    def contributions(self, reading: Reading, matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the error on each cell."""
        return self._errors(reading, matrix[rows])

    def _errors(self, reading: Reading, matrix: np.ndarray) -> np.ndarray:
        """Return the error per cell, with and without seeing it; 0 where it is missing."""
        from tilth.training import reconstruct, reconstruction_errors

        wide, source, categorical = reading.one_hot(matrix), reading.source, reading.categorical
        told = reconstruct(self.weights_, wide, source)
        errors = reconstruction_errors(told, wide, source, categorical)
        random, n_columns = np.random.default_rng(self.random_state), len(categorical)
        for _ in range(HALVINGS):
            half = random.permutation(n_columns) < (n_columns + 1) // 2
            for hidden in (half, ~half):
                blind = np.where(hidden[source], np.nan, wide)
                told = reconstruct(self.weights_, blind, source)
                apart = reconstruction_errors(told, wide, source, categorical)
                errors += np.where(hidden, apart, 0) / HALVINGS
        return np.nan_to_num(errors)
