"""Fill missing cells with what a denoising autoencoder takes them to be."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.stages.imputing import Imputer
from tilth.stages.reading import Reading
from tilth.statistics import Statistics

ROWS_AT_ONCE = 2**14


class ImputeAutoencoder(Imputer):
    """Fill each missing cell with what a network, trained to restore hidden cells, takes it to be.

    Sees relations that bend, and such between several columns, in all columns at once.

    Learns
        A multilayer perceptron (float32), trained to give back cells that are hidden from it, other ones
        each time: numbers by squared error, categories by cross-entropy. It sees numbers in standard
        deviations, held to 10 of them, dates as numbers, categories as 0/1 columns, and which cells are
        there. Training stops when the error on rows kept aside no longer falls.
    New data
        Missing cells are filled: numbers with their expected value, categories with the likeliest;
        rows and order unchanged, and no row is filled differently among others. Infinities count as
        missing where others are filled, and stay. A column without any value at fit stays as it is.
    Training
        Same as new data.
    Weights
        Ignored: what a cell is likely to be does not depend on how much its row counts.
    Cost
        Learning: `max_epochs` passes over at most `max_rows` rows (2,000 x 20: seconds on one core).
        Filling: one pass, in float64 on the CPU whatever the device, so that it repeats everywhere.
    Scaling
        Exact up to `max_rows` rows, a sample above; the same for any partition. On a CPU a seed gives the
        same weights again; on other devices to rounding.

    Parameters
    ----------
    width : int, >= 1
        Units of each hidden layer.
    layers : int, >= 1
        Hidden layers.
    corruption : float, in (0, 1)
        Share of the known cells hidden in training. Near the share that is missing is best.
    max_epochs : int, >= 1
        Passes over the rows at most; the learning rate falls to 0 until then.
    patience : int, >= 1
        Passes without a lower error on the rows kept aside (15%), after which training stops.
    batch_size : int, >= 2
        Rows per step.
    learning_rate : float, > 0
        Its peak.
    max_rows : int, >= 1, optional
        Rows learned from, a sample by `random_state`; null takes all.
    random_state : int, >= 0
        Seed of the sample, the weights at the start, the rows kept aside, and what is hidden.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where the network is trained; on CUDA in bfloat16.
    indicator : bool
        Add a boolean column ``<name>_missing`` for each column that had missing cells at fit.
    on : selection, optional
        The columns, both those filled and those seen; by default all numeric, categorical, boolean and
        datetime ones.

    Findings
        missing.filled : a column had missing cells.
        missing.all : a column had no value at all; it stays empty.

    Raises
        TilthError : the device is not present.

    Source
        Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008;
        for gaps: Gondara and Wang, "MIDA: multiple imputation using denoising autoencoders", PAKDD 2018.
        Peer: scikit-learn's ``IterativeImputer``; in the tests it comes near where relations are
        linear, and is better where they bend.

    Examples
    --------
    >>> import polars as pl
    >>> angle = np.random.default_rng(0).uniform(0, 6.28, 400)
    >>> rows = pl.DataFrame({"x": np.cos(angle), "y": np.sin(angle), "left": np.cos(angle) < 0})
    >>> stage = ImputeAutoencoder(max_epochs=20).fit(rows)
    >>> stage.transform(pl.DataFrame({"x": [-0.7], "y": [0.7], "left": [None]}, rows.schema))["left"].item()
    True
    """

    scaling: ClassVar = "sample"

    def __init__(
        self,
        *,
        width: Annotated[int, Ge(1)] = 128,
        layers: Annotated[int, Ge(1)] = 2,
        corruption: Annotated[float, Gt(0), Lt(1)] = 0.2,
        max_epochs: Annotated[int, Ge(1)] = 100,
        patience: Annotated[int, Ge(1)] = 20,
        batch_size: Annotated[int, Ge(2)] = 128,
        learning_rate: Annotated[float, Gt(0)] = 0.01,
        max_rows: Annotated[int, Ge(1)] | None = 20_000,
        random_state: Annotated[int, Ge(0)] = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        indicator: bool = False,
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
        self.indicator = indicator
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {"width": 8, "max_epochs": 3},
            {"width": 4, "layers": 1, "max_epochs": 2, "max_rows": 60, "indicator": True},
        ]

    def learn_matrix(self, statistics: Statistics, reading: Reading) -> None:
        """Train the network on a sample of the rows."""
        from tilth.training import train_autoencoder

        count = statistics.rows if self.max_rows is None else self.max_rows
        rows = statistics.sample(self.columns_, count, self.random_state)
        wide, source = self._wide(reading, reading.matrix(rows))
        self.weights_ = train_autoencoder(
            wide,
            source,
            reading.categorical[~reading.empty],
            hidden=(self.width,) * self.layers,
            corruption=self.corruption,
            # Cells that can be seen keep the network in touch with what cells look like.
            known_weight=0.3,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            device=self.device,
            random_state=self.random_state,
        )

    def complete(self, matrix: np.ndarray) -> np.ndarray:
        """Fill the gaps of each row from the cells that are there."""
        from tilth.training import reconstruct

        out = matrix.copy()
        for start in range(0, len(matrix), ROWS_AT_ONCE):
            part = out[start : start + ROWS_AT_ONCE]
            seen, source = self._wide(self.reading_, part)
            told = np.full((len(part), len(self.reading_.source)), np.nan)
            told[:, ~self.reading_.empty[self.reading_.source]] = reconstruct(self.weights_, seen, source)
            np.copyto(part, self.reading_.narrow(told), where=np.isnan(part))
        return out

    @staticmethod
    def _wide(reading: Reading, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the columns that have values as the network sees them, and which comes from which."""
        kept = ~reading.empty[reading.source]
        # Numbered anew: the network knows of no other columns.
        source = np.unique(reading.source[kept], return_inverse=True)[1]
        return reading.one_hot(matrix)[:, kept], source
