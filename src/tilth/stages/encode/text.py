"""Turn texts into numbers by what they are written with, or by what they mean."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import polars as pl
from annotated_types import Ge

from tilth.core.stage import ColumnStage, Selection
from tilth.errors import DataError
from tilth.stages.foreign import mapped
from tilth.statistics import Statistics
from tilth.statistics.ngrams import Analyzer, Grams, Ngrams, main_axes
from tilth.table.container import free_name


class EncodeText(ColumnStage):
    """Turn each text into a few numbers: the main axes of its n-grams, or of the embedding of its sentences.

    Learns
        For 'ngrams', which n-grams occur in a sample of the rows, how rare each is, and the main axes (a
        truncated singular value decomposition) of tf-idf; for 'sentence', the main axes of the embeddings,
        if `size` is less than the model's width.
    New data
        The column gives way to Float64 columns ``<name>_1 ... <name>_<size>``, in its place: fewer where the
        texts do not have as many axes. Texts without a known n-gram are all 0.
    Training
        Same as new data.
    Weights
        Ignored: texts are described as often as they occur.
    Cost
        Each different text is read once, a million letters in about a second. Sentences cost a pass
        through the model each; a GPU is used if there is one.
    Scaling
        Sample: of at most `max_rows` rows, chosen by seed and row id, so that partitions do not matter.
        Embeddings depend on the batch in the seventh digit.

    Parameters
    ----------
    method : {'ngrams', 'sentence'}
        By letters or words, which finds names alike, also misspelled ones, and topics; or by a model of
        language.
    size : int, at least 1
        Numbers per column, at most.
    analyzer : {'char_wb', 'char', 'word'}
        For 'ngrams': letters within words, letters across them, or whole words.
    shortest : int, at least 1, optional
        For 'ngrams': letters or words in a row, at least; by default 3 letters or 1 word.
    longest : int, at least 1, optional
        At most; by default one more than `shortest`.
    lowercase : bool
        For 'ngrams': take capital letters as small ones.
    max_ngrams : int, at least 1
        For 'ngrams': so many are kept, those of the most texts.
    model : str, optional
        For 'sentence': the folder of an encoder and its tokenizer, as transformers saves them. Nothing is
        downloaded; the folder is needed again for new rows.
    device : str
        For 'sentence': 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.
    batch_size : int, at least 1
        For 'sentence': texts at a time.
    missing : {'null', 'zeros'}
        Missing texts are missing in all columns, or 0.
    max_rows : int, at least 1
        Rows learned from, at most.
    random_state : int
        Seed of the sample and of the decomposition.
    on : selection, optional
        The columns; by default those of text, and columns of categories if they are named.

    Findings
        text.kept : how much of the texts the numbers keep.
        text.empty : no text of a column has an n-gram; the column was left out.

    Raises
        DataError : with 'sentence', there is no model in the folder, or none is named; `longest` is less
            than `shortest`.
        StageError : with 'sentence', transformers is not installed.

    Source
        Deerwester et al., "Indexing by latent semantic analysis", JASIS 41 (1990); sentences as in Reimers
        and Gurevych, "Sentence-BERT", EMNLP 2019. Peers: scikit-learn's ``TfidfVectorizer``
        and ``TruncatedSVD`` in a row, equal to 1e-8 but for signs; skrub's ``StringEncoder`` is the same
        idea.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"job": ["teacher", "teachers", "nurse", None]})
    >>> EncodeText(size=2, on=["job"]).fit_transform(rows).to_numpy().round(2).tolist()
    [[0.92, 0.0], [0.92, 0.0], [0.0, 1.0], [nan, nan]]
    """

    handles: ClassVar = ("text", "categorical")
    takes: ClassVar = ("text",)
    finds: ClassVar = {
        "text.kept": "how much of the texts the numbers keep",
        "text.empty": "no text of a column has an n-gram; the column was left out",
    }
    scaling: ClassVar = "sample"
    fused: ClassVar = False

    def __init__(
        self,
        *,
        method: Literal["ngrams", "sentence"] = "ngrams",
        size: Annotated[int, Ge(1)] = 30,
        analyzer: Analyzer = "char_wb",
        shortest: Annotated[int, Ge(1)] | None = None,
        longest: Annotated[int, Ge(1)] | None = None,
        lowercase: bool = True,
        max_ngrams: Annotated[int, Ge(1)] = 65536,
        model: str | None = None,
        device: str = "auto",
        batch_size: Annotated[int, Ge(1)] = 64,
        missing: Literal["null", "zeros"] = "null",
        max_rows: Annotated[int, Ge(1)] = 50_000,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.method = method
        self.size = size
        self.analyzer = analyzer
        self.shortest = shortest
        self.longest = longest
        self.lowercase = lowercase
        self.max_ngrams = max_ngrams
        self.model = model
        self.device = device
        self.batch_size = batch_size
        self.missing = missing
        self.max_rows = max_rows
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path; that of a model needs a folder of one."""
        return [
            {},
            {"on": "categorical", "size": 3, "missing": "zeros"},
            {"on": "categorical", "analyzer": "word", "lowercase": False, "max_rows": 50, "max_ngrams": 6},
            {"on": "categorical", "analyzer": "char", "shortest": 1, "longest": 2, "random_state": 3},
        ]

    def learn(self, statistics: Statistics) -> None:
        """Learn the axes of each column."""
        self._check()
        self.axes_: dict[str, dict[str, Any]] = {}
        self.names_: dict[str, list[str]] = {}
        taken = [c for c in statistics.schema.names() if c not in self.columns_]
        for name in self.columns_:
            texts, times = self._texts(statistics, name)
            self.axes_[name], size = self._learn_column(name, texts, times)
            self.names_[name] = []
            for number in range(1, size + 1):
                self.names_[name].append(free_name(f"{name}_{number}", taken))
                taken.append(self.names_[name][-1])

    def _check(self) -> None:
        if self.method == "sentence" and self.model is None:
            raise DataError("encode.text: method 'sentence' needs `model`, the folder of an encoder.")
        if self._grams.longest < self._grams.shortest:
            raise DataError(
                f"encode.text: longest={self.longest} is less than shortest={self._grams.shortest}."
            )

    @property
    def _grams(self) -> Grams:
        shortest = self.shortest or (1 if self.analyzer == "word" else 3)
        longest = self.longest or shortest + 1
        return Grams(self.analyzer, shortest, longest, self.lowercase, self.max_ngrams)

    def _texts(self, statistics: Statistics, name: str) -> tuple[list[str], np.ndarray]:
        """Return the different texts of the sample in their own order, and how often each occurs."""
        drawn = statistics.sample([name], self.max_rows, self.random_state)[name].cast(pl.String)
        counted = drawn.drop_nulls().alias("text").value_counts().sort("text")
        return counted["text"].to_list(), counted["count"].to_numpy()

    def _learn_column(self, name: str, texts: list[str], times: np.ndarray) -> tuple[dict[str, Any], int]:
        if self.method == "sentence":
            made, size, share = self._learn_sentences(texts, times)
        else:
            ngrams = Ngrams.learn(texts, times, self.size, self._grams, self.random_state)
            made, size, share = dict(vars(ngrams)), ngrams.axes.shape[1], ngrams.share
        if not size:
            of = f"'{name}': none of {len(texts)} different texts has an n-gram; the column was left out."
            self.report("text.empty", of, 1.0, severity="medium", columns=(name,))
        else:
            of = "embeddings" if self.method == "sentence" else f"{len(made['kept'])} n-grams"
            message = (
                f"'{name}': {size} numbers keep {share:.1%} of the {of} of {len(texts)} different texts."
            )
            self.report("text.kept", message, share, columns=(name,))
        return made, size

    def _learn_sentences(self, texts: list[str], times: np.ndarray) -> tuple[dict[str, Any], int, float]:
        from tilth.stages.sentences import embed, width

        wide = width(str(self.model))
        if self.size >= wide or not texts:
            return {}, wide, 1.0
        rows = embed(texts, str(self.model), self.device, self.batch_size).astype(np.float64)
        rows *= np.sqrt(times)[:, None]
        axes, lengths = main_axes(rows, self.size, self.random_state)
        return {"axes": axes}, axes.shape[1], float((lengths**2).sum() / (rows**2).sum())

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Replace each column by its numbers."""
        if not self.columns_:
            return frame
        schema = frame.collect_schema()
        output: dict[str, pl.DataType] = {
            out: pl.Float64() for names in self.names_.values() for out in names
        }
        after = [out for c in schema.names() for out in self.names_.get(c, [c])]
        return mapped(frame, self.columns_, output, self._numbers, self.key).select(after)

    def _numbers(self, rows: pl.DataFrame) -> pl.DataFrame:
        made: list[pl.Series] = []
        for name in self.columns_:
            texts = rows[name].cast(pl.String)
            known = texts.drop_nulls().unique().sort()
            numbers = self._project(name, known.to_list())
            place = texts.cast(pl.Enum(known)).to_physical()
            for out, column in zip(self.names_[name], numbers.T, strict=True):
                cells = pl.Series(out, np.ascontiguousarray(column)).gather(place)
                made.append(cells.fill_null(0.0) if self.missing == "zeros" else cells)
        return pl.DataFrame(made)

    def _project(self, name: str, texts: list[str]) -> np.ndarray:
        learned = self.axes_[name]
        if self.method == "ngrams":
            return Ngrams(**learned).project(texts, self._grams)
        from tilth.stages.sentences import embed

        rows = embed(texts, str(self.model), self.device, self.batch_size).astype(np.float64)
        return rows @ learned["axes"] if learned else rows
