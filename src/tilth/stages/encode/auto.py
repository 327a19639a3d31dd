"""Turn each column that is no number into numbers, in the way its values ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import polars as pl
from annotated_types import Ge, Gt, Le
from sklearn.utils.metaestimators import available_if

from tilth.core.stage import Selection
from tilth.stages.composed import Composed
from tilth.stages.names import around_number, machine_of
from tilth.stages.written import Ways, Written, written
from tilth.statistics import Statistics
from tilth.table import Table, kind_of

Way = Literal["one_hot", "target", "frequency", "text", "left"]

SENTENCE = 3
"""Words, in the mean, beyond which texts are sentences and no names."""

NAMES, FEW_ROWS = 0.99, 20
"""From this share of different values on texts name the rows, if there are more than a few rows."""

_STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "one_hot": ("encode.category", {}),
    "target": ("encode.target", {}),
    "frequency": ("encode.category", {"method": "frequency"}),
    "text": ("encode.text", {"missing": "zeros"}),
}
_TOLD = {
    "one_hot": "one column of 0 and 1 for each",
    "target": "each became what it tells of the target",
    "frequency": "each became its share of the rows",
    "text": "they became numbers by their letters",
}


class EncodeAuto(Composed):
    """Turn dates, categories and texts into numbers, each column by how many values it has and of what kind.

    Text columns that hold numbers, dates or truth values are read first (encode.parse). Then dates give way
    to their parts (encode.date); columns of few levels to columns of 0 and 1 (encode.category); columns of
    many to what each tells of the target (encode.target), or to their frequency where there is no target;
    sentences, and columns with too few rows in each of their many levels, to numbers by their letters
    (encode.text). Columns that only name the rows are left out.

    Learns
        How often each value of each column occurs, and what the chosen stages learn.
    New data
        What the chosen stages do. Numbers and booleans stay as they are.
    Training
        Same as new data, but for columns encoded by the target, whose training rows are encoded by other
        rows (see encode.target).
    Weights
        Only encode.target heeds them.
    Cost
        Different values are counted for all columns but numbers; then what the chosen stages cost.
    Scaling
        As the chosen stages: exact, and a sample for texts.

    Parameters
    ----------
    few_levels : int, at least 1
        Up to so many levels a column becomes columns of 0 and 1.
    level_rows : float, at least 1
        Beyond, a level must have so many rows in the mean to be taken as a level, and not as a text.
    many : {'auto', 'target', 'frequency', 'text'}
        What many levels become. 'auto' is 'target' if there is a target, else 'frequency'.
    names : {'drop', 'text'}
        UUIDs, hash values and running numbers in fixed words, one to a row, are left out, or texts.
    least_share : float, in (0, 1]
        A text column is read as numbers, dates or truth values if this share of its cells can be.
    size : int, at least 1
        Numbers that a text becomes, at most.
    random_state : int
        Seed of folds and samples.
    on : selection, optional
        The columns; by default all categories, texts and dates.

    Findings
        auto.choice : what a column became, and why.
        auto.left : a column that only names the rows was left out.
        parse.numbers : a column of numbers was read.
        parse.dates : a column of dates was read.
        parse.booleans : a column of truth values was read.
        parse.unreadable : cells of a column that was read could not be, and are missing now.
        parse.ambiguous : cells could be read in another way too, and nothing settles it.

    Raises
        DataError : with many='target', there is no target.

    Source
        The rule by the number of levels is that of skrub's ``TableVectorizer`` (peer), whose many levels
        become n-grams; target encoding of many levels is that of Pargent et al., "Regularized target
        encoding outperforms traditional methods in supervised machine learning with high cardinality
        features", Computational Statistics 37 (2022).

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"city": ["Rome", "Oslo"], "price": ["$1,200", "$3"], "age": [31, 57]})
    >>> EncodeAuto().fit_transform(rows).rows()
    [(0, 1, 1200.0, 31), (1, 0, 3.0, 57)]
    """

    handles: ClassVar = ("categorical", "text", "datetime")
    finds: ClassVar = {
        "auto.choice": "what a column became, and why",
        "auto.left": "a column that only names the rows was left out",
        "parse.numbers": "a column of numbers was read",
        "parse.dates": "a column of dates was read",
        "parse.booleans": "a column of truth values was read",
        "parse.unreadable": "cells of a column that was read could not be, and are missing now",
        "parse.ambiguous": "cells could be read in another way too, and nothing settles it",
    }
    scaling: ClassVar = "sample"

    def __init__(
        self,
        *,
        few_levels: Annotated[int, Ge(1)] = 30,
        level_rows: Annotated[float, Ge(1)] = 3.0,
        many: Literal["auto", "target", "frequency", "text"] = "auto",
        names: Literal["drop", "text"] = "drop",
        least_share: Annotated[float, Gt(0), Le(1)] = 0.9,
        size: Annotated[int, Ge(1)] = 30,
        random_state: int = 0,
        on: Selection = None,
    ) -> None:
        self.few_levels = few_levels
        self.level_rows = level_rows
        self.many = many
        self.names = names
        self.least_share = least_share
        self.size = size
        self.random_state = random_state
        self.on = on

    @classmethod
    def examples(cls) -> list[dict[str, Any]]:
        """List parameter sets that walk every path."""
        return [
            {},
            {"few_levels": 2, "many": "frequency", "random_state": 2},
            {"few_levels": 2, "level_rows": 100.0, "size": 2, "names": "text", "least_share": 0.5},
        ]

    def fit_table(self, shards: Sequence[Table]) -> Self:
        """Choose stages, and fit each on what those before it left."""
        self.free_: list[str] = [c for c, kind in shards[0].kinds.items() if kind == "text"]
        self.left_: list[str] = []
        return super().fit_table(shards)

    def choose(self, statistics: Statistics) -> list[tuple[str, dict[str, Any]]]:
        """Choose by levels and what they look like; tell why."""
        schema = statistics.schema
        texts = [c for c in self.columns_ if kind_of(schema[c]) == "categorical"]
        asked = [c for c in texts if schema[c] == pl.String and c not in self.free_]
        read = written(statistics, asked, Ways(), self.least_share)
        days = [c for c in self.columns_ if c not in texts or (c in read and read[c].what == "dates")]
        for name in days:
            held = "dates as text" if name in read else str(schema[name])
            self.report("auto.choice", f"'{name}' holds {held}: its parts are numbers.", 1.0, columns=(name,))
        chosen: dict[Way, list[str]] = {}
        for name in texts:
            if name not in read:
                chosen.setdefault(self._way(name, statistics), []).append(name)
        self.left_ = chosen.pop("left", [])
        return self._lines(read, days, chosen)

    def _lines(
        self, read: dict[str, Written], days: list[str], chosen: dict[Way, list[str]]
    ) -> list[tuple[str, dict[str, Any]]]:
        lines: list[tuple[str, dict[str, Any]]] = []
        if read:
            lines.append(("encode.parse", {"least_share": self.least_share, "on": list(read)}))
        if days:
            lines.append(("encode.date", {"on": days}))
        for way, (key, more) in _STAGES.items():
            if columns := chosen.get(way):  # type: ignore[call-overload]
                seeded = {"random_state": self.random_state} if way in ("target", "text") else {}
                sized = {"size": self.size} if way == "text" else {}
                lines.append((key, {**more, **seeded, **sized, "on": columns}))
        return lines

    def _way(self, name: str, statistics: Statistics) -> Way:
        counted = statistics.counts([name])
        table = counted.tables[name].select(pl.col("value").cast(pl.String), "count")
        levels, filled = table.height, counted.total(name)
        told = f"'{name}' has {levels} different values in {filled} cells"
        many: Way = (
            self.many if self.many != "auto" else "frequency" if statistics.target is None else "target"
        )
        words = _words(table["value"])
        way: Way
        if name in self.free_:
            way, why = "text", f"{told}, and is declared as text"
        elif levels <= self.few_levels:
            way, why = "one_hot", f"{told}, {self.few_levels} at most"
        elif words > SENTENCE:
            way, why = "text", f"{told}, of {words:.1f} words in the mean"
        elif names := _names(table["value"], filled):
            if self.names == "drop":
                message = f"{told}, {names}: they name the rows, and the column was left out."
                remedy = {"data": {"row_id": name}} if levels == filled else None
                self.report("auto.left", message, 1.0, severity="medium", columns=(name,), remedy=remedy)
                return "left"
            way, why = "text", f"{told}, {names}"
        elif filled < self.level_rows * levels:
            way, why = "text", f"{told}, {filled / levels:.1f} rows for each, fewer than {self.level_rows:g}"
        else:
            way, why = many, f"{told}, {filled / levels:.1f} rows for each"
        self.report("auto.choice", f"{why}: {_TOLD[way]}.", float(levels), columns=(name,))
        return way

    def change(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Do what the stages do to new rows, without the columns that were left out."""
        return super().change(frame.drop(self.left_) if self.left_ else frame)

    def change_training(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Do what the stages do to the rows that were learned from, without the columns left out."""
        return super().change_training(frame.drop(self.left_) if self.left_ else frame)

    @available_if(
        lambda self: (
            not getattr(self, "left_", ()) and all(hasattr(p, "invert") for p in getattr(self, "parts_", ()))
        )
    )
    def invert(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Undo what the stages did, if all can be undone."""
        for part in reversed(self.parts_):
            frame = part.inverted(frame)
        return frame


def _words(values: pl.Series) -> float:
    """Return the mean number of words of some of the different values."""
    spaces = values.sort().head(1000).str.strip_chars().str.count_matches(r"\s+").mean()
    return float(spaces or 0.0) + 1  # type: ignore[arg-type]


def _names(values: pl.Series, filled: int) -> str:
    """Say how values name the rows, or nothing."""
    if filled < FEW_ROWS or len(values) < NAMES * filled:
        return ""
    if made := machine_of(values.str.strip_chars().str.to_lowercase()):
        return made
    around = around_number(values)
    return f"all {'…'.join(around)!r} around a number" if around else ""
