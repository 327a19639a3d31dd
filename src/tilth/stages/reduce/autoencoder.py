"""Put a few numbers in the place of columns of any kind: codes from which a network restores them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge, Gt, Lt

from tilth.core.stage import Selection
from tilth.stages.mixed import Mixed
from tilth.stages.reducing import Reducer
from tilth.stages.restoring import FINDS, tell_codes, tell_errors, tell_training
from tilth.statistics import Statistics

if TYPE_CHECKING:
    from tilth.training import Layout

ROWS_AT_ONCE = 2**13


class ReduceAutoencoder(Reducer):
    """Put numbers ``code1``, ``code2`` ... in the place of columns, from which a network can restore them.

    Where data bends, as pictures do, as many codes keep more of it than principal components. Columns of
    every kind are taken, with gaps: numbers, dates, categories, and vectors such as the pixels of pictures.

    Learns
        A network (float32) of an encoder and a decoder, each a linear path with layers beside it. It starts
        as PCA of the same size, so that what is learned is only what PCA misses. Its loss is the squared
        error on numbers (in standard deviations, held to 10 of them; a vector's elements share one
        scale), the cross-entropy on categories, and the binary cross-entropy on whether a cell is missing;
        missing cells count as no value. Training stops when the loss on rows kept aside (a tenth, at most
        5,000) no longer falls; the weights where it was lowest are kept, be it those of the start.
    New data
        The columns are replaced by their codes. A missing cell is seen as missing where some were at fit, and
        otherwise as the mean. Infinities count as missing; of categories the 50 most frequent are told
        apart, all others are as one. `inverse_transform` gives the columns back as the codes tell them: whole
        numbers and dates rounded, the likeliest category, no value where that is likelier.
    Training
        Same as new data.
    Weights
        A row counts in the loss by its weight. How columns are scaled, and the start, leave weights out.
    Cost
        `max_epochs` passes at most; a row costs about six multiplications per weight and pass. Memory:
        `buffer_rows` rows in float32, and eight bytes for each other row. Acting: one pass, in float64 on
        the CPU whatever the device, so that it repeats everywhere.
    Scaling
        Up to `buffer_rows` rows the same for any partition and order of the rows. Beyond that rows are read
        again in each epoch, a buffer at a time, shuffled within it: scales, start and the rows kept aside are
        still the same for any partition, the batches are not, so that results differ as they do between
        seeds. On a CPU a seed and a number of threads give the same weights again; on other devices to
        rounding.

    Parameters
    ----------
    size : int, >= 1
        Codes; no more than the columns are wide, with a column for each number and category.
    method : {'undercomplete', 'denoising', 'variational'}
        'undercomplete': give rows back. 'denoising': give them back with a share `corruption` of the cells
        hidden, other ones each time. 'variational': each row is a normal distribution of codes, held to the
        standard normal: codes are smooth; their means are given out.
    width : int, >= 1
        Units of each hidden layer.
    layers : int, >= 0
        Hidden layers of the encoder, and of the decoder; with 0 both are linear.
    activation : {'silu', 'gelu', 'relu', 'tanh'}
        What bends the units of the hidden layers.
    corruption : float, in (0, 1)
        For 'denoising'.
    beta : float, >= 0
        For 'variational': how much the divergence from the standard normal counts.
    warm_up : int, >= 0
        For 'variational': epochs in which `beta` rises from little to all, against codes that tell nothing.
    max_epochs : int, >= 1
        Passes over the rows at most; the learning rate falls to 0 until then.
    patience : int, >= 1
        Passes without a lower loss on the rows kept aside, after which training stops.
    batch_size : int, >= 2
        Rows per step.
    learning_rate : float, > 0
        Its peak.
    buffer_rows : int, >= 2
        Most rows held in memory at a time.
    random_state : int, >= 0
        Seed of the rows kept aside, of the weights at the start, the order of rows, and what is drawn.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        Where the network is trained; on CUDA in bfloat16.
    n_jobs : int, optional
        Threads of the CPU in training; -1 for one per core. Wide rows gain from several.
    progress : bool
        Print a line on stderr after an epoch, at most one in a second.
    on : selection, optional
        The columns; by default all numeric, categorical, boolean, datetime and vector ones.

    Findings
        reduce.error : how much is lost, beside what PCA of as many components loses.
        reduce.linear : PCA loses no more.
        reduce.lost : more than half of a column is lost.
        reduce.size : there are fewer columns than codes were asked for.
        reduce.dead : codes that are the same for all rows.
        reduce.collapsed : codes of 'variational' that tell nothing of a row.
        training.short : the loss still fell when the epochs were over.
        training.diverged : the loss became infinite; the best weights until then are kept.

    Raises
        DataError : no column has a value; vectors of a column differ in length; all weights are 0.
        TilthError : the device is not present.

    Source
        Hinton and Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313,
        2006; Vincent et al., ICML 2008 (denoising); Kingma and Welling, ICLR 2014, and Rybkin et al., ICML
        2021 (variational, with a learned variance). Peer: scikit-learn's ``PCA``, which the network equals
        before it is trained (to 1e-5 in the tests).

    Examples
    --------
    >>> import polars as pl
    >>> angle = np.random.default_rng(0).uniform(0, 3, 500)
    >>> rows = pl.DataFrame({"x": np.cos(angle), "y": np.sin(angle), "late": angle > 1.5})
    >>> stage = ReduceAutoencoder(size=1, learning_rate=0.01, max_epochs=30).fit(rows)
    >>> stage.transform(rows).columns
    ['code1']
    >>> bool(stage.errors_["codes"][1] < 0.2 < stage.errors_["pca"][1])
    True
    """

    handles: ClassVar = ("numeric", "categorical", "boolean", "datetime", "vector")
    takes_gaps: ClassVar = True
    takes: ClassVar = ()
    prefix: ClassVar = "code"
    scaling: ClassVar = "local"
    finds: ClassVar = FINDS

    def __init__(
        self,
        *,
        size: Annotated[int, Ge(1)] = 16,
        method: Literal["undercomplete", "denoising", "variational"] = "undercomplete",
        width: Annotated[int, Ge(1)] = 256,
        layers: Annotated[int, Ge(0)] = 2,
        activation: Literal["silu", "gelu", "relu", "tanh"] = "silu",
        corruption: Annotated[float, Gt(0), Lt(1)] = 0.2,
        beta: Annotated[float, Ge(0)] = 1.0,
        warm_up: Annotated[int, Ge(0)] = 5,
        max_epochs: Annotated[int, Ge(1)] = 100,
        patience: Annotated[int, Ge(1)] = 10,
        batch_size: Annotated[int, Ge(2)] = 128,
        learning_rate: Annotated[float, Gt(0)] = 0.001,
        buffer_rows: Annotated[int, Ge(2)] = 100_000,
        random_state: Annotated[int, Ge(0)] = 0,
        device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
        n_jobs: int | None = 1,
        progress: bool = False,
        on: Selection = None,
    ) -> None:
        self.size = size
        self.method = method
        self.width = width
        self.layers = layers
        self.activation = activation
        self.corruption = corruption
        self.beta = beta
        self.warm_up = warm_up
        self.max_epochs = max_epochs
        self.patience = patience
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.buffer_rows = buffer_rows
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.progress = progress
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        quick = {"size": 3, "width": 8, "max_epochs": 2, "batch_size": 32, "device": "cpu"}
        return [
            quick,
            {**quick, "method": "denoising", "layers": 2, "activation": "relu", "corruption": 0.4},
            {**quick, "method": "variational", "activation": "tanh", "beta": 0.5, "warm_up": 1},
            {**quick, "layers": 0, "max_epochs": 1, "size": 100, "patience": 1, "random_state": 1},
        ]

    def learn_reading(self, statistics: Statistics) -> None:
        """Learn how to read the columns, and in which of them cells are missing."""
        self.mixed_ = Mixed.learn(statistics, self.columns_)
        nulls = statistics.nulls(self.mixed_.columns)
        self.holed_ = np.flatnonzero([nulls[c] > 0 for c in self.mixed_.columns])

    def learn_matrix(self, statistics: Statistics) -> int:
        """Train the network, and measure what it loses."""
        from tilth.training import Progress, Stream, divergence, encode, train_codes

        layout = self._layout()
        size = min(self.size, len(layout.source))
        rows = Stream(
            statistics.shards,
            self.mixed_.columns,
            self._coarse,
            len(layout.source),
            id_column=statistics.id_column,
            weight=statistics.weight,
            batch_size=self.batch_size,
            buffer_rows=self.buffer_rows,
            random_state=self.random_state,
            device=self.device,
        )
        progress = Progress(self.key, self.max_epochs) if self.progress else None
        trained = train_codes(
            rows,
            layout,
            size,
            method=self.method,
            hidden=(self.width,) * self.layers,
            activation=self.activation,
            corruption=self.corruption,
            beta=self.beta,
            warm_up=self.warm_up,
            learning_rate=self.learning_rate,
            max_epochs=self.max_epochs,
            patience=self.patience,
            n_jobs=self.n_jobs,
            on_epoch=progress,
        )
        if progress is not None:
            progress.close()
        self.weights_ = trained.weights
        aside = rows.validation
        seen = rows.start if aside is None else aside.X.cpu().numpy()
        codes = encode(self.weights_, seen, layout, self.activation)
        nats = None
        if self.method == "variational":
            nats = divergence(codes[:, :size], codes[:, size:]).mean(axis=0)
        tell_training(self, trained.stopped, trained.best, trained.epochs)
        tell_codes(self, codes[:, :size], nats)
        self._measure(
            seen.astype(np.float64), codes[:, :size], trained.start.restored(seen), aside is not None
        )
        return size

    def _measure(self, rows: np.ndarray, codes: np.ndarray, linear: np.ndarray, aside: bool) -> None:
        from tilth.training import decode, lost, lost_at_all

        layout = self._layout()
        told = decode(self.weights_, codes, self.activation)[0]
        self.errors_ = tell_errors(
            self,
            self.mixed_.columns,
            [lost(rows, wide, layout) for wide in (told, linear)],
            [lost_at_all(rows, wide, layout) for wide in (told, linear)],
            layout.categorical,
            len(rows),
            aside,
        )

    def read(self, rows: pl.DataFrame) -> np.ndarray:
        """Return rows as a matrix, with gaps."""
        from tilth.training.autoencoder import LIMIT

        return np.clip(self.mixed_.wide(rows), -LIMIT, LIMIT)

    def write(self, matrix: np.ndarray) -> list[pl.Series]:
        """Return the columns."""
        return self.mixed_.cells(matrix)

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Return the codes."""
        from tilth.training import encode

        layout, size = self._layout(), len(self.weights_["into.bias"])
        parts = np.split(matrix, range(ROWS_AT_ONCE, len(matrix), ROWS_AT_ONCE))
        return np.vstack([encode(self.weights_, part, layout, self.activation)[:, :size] for part in parts])

    def unproject(self, codes: np.ndarray) -> np.ndarray:
        """Return the cells that codes stand for, NaN where they are likelier missing than not."""
        from tilth.training import decode

        source, parts = self.mixed_.source, []
        for part in np.split(codes, range(ROWS_AT_ONCE, len(codes), ROWS_AT_ONCE)):
            wide, missing = decode(self.weights_, part, self.activation)
            gone = np.zeros((len(part), len(self.mixed_.columns)), bool)
            gone[:, self.holed_] = missing > 0
            parts.append(np.where(gone[:, source], np.nan, wide))
        return np.vstack(parts)

    def _layout(self) -> Layout:
        from tilth.training import Layout

        return Layout(self.mixed_.source, self.mixed_.categorical, self.holed_)

    def _coarse(self, rows: pl.DataFrame) -> np.ndarray:
        """Read rows to learn from: the last digits of a mean, which vary with the partition, do not count."""
        from tilth.training.autoencoder import STEPS

        coarse: np.ndarray = np.round(self.read(rows) * STEPS) / STEPS
        return coarse
