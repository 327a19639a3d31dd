"""Choosing columns: kinds, names, globs, and the small algebra ``& | - ~`` over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tilth.errors import ColumnError, DataError, listed, nearest
from tilth.table.kinds import KINDS

_WORD = re.compile(r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<mark>[&|~()-])|(?P<word>[^\s&|~()"'-]+))""")


@dataclass(frozen=True)
class Selector:
    """Select columns by a text that Python, recipes and the command line write alike.

    Parameters
    ----------
    text : str
        A kind (``numeric``), a column name, a glob (``temp_*``), or an expression over them:
        ``numeric - "capital-gain"``, ``~categorical & income_*``. A name that holds an operator
        or a space is quoted inside an expression.

    Examples
    --------
    >>> kinds = {"age": "numeric", "city": "categorical", "temp_a": "numeric"}
    >>> Selector("numeric - age").of(kinds)
    ['temp_a']
    >>> (~Selector("temp_*") | Selector("temp_a")).of(kinds)
    ['age', 'city', 'temp_a']
    """

    text: str

    def __and__(self, other: Selector) -> Selector:
        return Selector(f"({self.text}) & ({other.text})")

    def __or__(self, other: Selector) -> Selector:
        return Selector(f"({self.text}) | ({other.text})")

    def __sub__(self, other: Selector) -> Selector:
        return Selector(f"({self.text}) - ({other.text})")

    def __invert__(self) -> Selector:
        return Selector(f"~({self.text})")

    def of(self, kinds: Mapping[str, str]) -> list[str]:
        """Return the chosen names, in the order of the table.

        Raises
        ------
        ColumnError
            If a plain name stands for no column.
        """
        if self.text in kinds and self.text not in KINDS:
            return [self.text]
        chosen = _Expression(self.text, kinds).read()
        return [name for name in kinds if name in chosen]


class _Expression:
    """Read one selector text by recursive descent: ``|`` and ``-`` bind looser than ``&``, ``~`` tightest."""

    def __init__(self, text: str, kinds: Mapping[str, str]) -> None:
        self.text, self.kinds, self.place = text, kinds, 0
        self.words: list[tuple[str, str]] = []
        end = 0
        while text[end:].strip():
            found = _WORD.match(text, end)
            if not found:
                raise DataError(f"Column selection '{text}': a quote is not closed.")
            self.words.append((found.lastgroup or "", found.group().strip()))
            end = found.end()

    def read(self) -> set[str]:
        chosen = self._sum()
        if self.place < len(self.words):
            raise self._broken()
        return chosen

    def _next(self, *marks: str) -> str:
        if self.place < len(self.words):
            sort, word = self.words[self.place]
            if sort == "mark" and word in marks:
                self.place += 1
                return word
        return ""

    def _sum(self) -> set[str]:
        chosen = self._product()
        while mark := self._next("|", "-"):
            other = self._product()
            chosen = chosen | other if mark == "|" else chosen - other
        return chosen

    def _product(self) -> set[str]:
        chosen = self._one()
        while self._next("&"):
            chosen = chosen & self._one()
        return chosen

    def _one(self) -> set[str]:
        if self._next("~"):
            return set(self.kinds) - self._one()
        if self._next("("):
            chosen = self._sum()
            if not self._next(")"):
                raise self._broken()
            return chosen
        if self.place >= len(self.words) or self.words[self.place][0] == "mark":
            raise self._broken()
        sort, word = self.words[self.place]
        self.place += 1
        if sort == "word" and word in KINDS:
            return {name for name, kind in self.kinds.items() if kind == word}
        return self._column(word[1:-1] if sort == "quoted" else word)

    def _column(self, word: str) -> set[str]:
        if word not in self.kinds and any(mark in word for mark in "*?["):
            return {name for name in self.kinds if fnmatchcase(name, word)}
        return self._named(word)

    def _named(self, name: str) -> set[str]:
        if name not in self.kinds:
            raise ColumnError(
                f"Column selection '{self.text}': no column or kind '{name}'"
                f"{nearest(name, [*self.kinds, *KINDS])}. Columns here: {listed(self.kinds)}."
            )
        return {name}

    def _broken(self) -> DataError:
        rest = " ".join(word for _, word in self.words[self.place :]) or "its end"
        return DataError(
            f"Column selection '{self.text}' cannot be read at {rest}. "
            "Write a kind, a name, a glob, or these joined by & | - ~ ( ); "
            'quote a name that holds a sign: "a-b".'
        )


def select(
    on: str | Sequence[str] | Selector | None, kinds: Mapping[str, str], handles: Sequence[str]
) -> list[str]:
    """Resolve a stage's `on` over the columns of a table.

    Parameters
    ----------
    on : str, Selector, sequence of str or None
        None takes every column of a kind in `handles`; an image, whose value is the path of a file, only if
        nothing else is handled. An expression is cut down to these kinds. A name that stands alone or in a
        sequence must be of such a kind; where only images are handled, a text so named is the path of one.
    kinds : mapping of column name to kind
    handles : sequence of str
        The kinds the stage can work on.

    Raises
    ------
    ColumnError
        If a name is no column.
    DataError
        If a column named outright is of a kind that the stage does not handle.
    """
    only_images = tuple(handles) == ("image",)
    if on is None:
        return [n for n, kind in kinds.items() if kind in handles and (kind != "image" or only_images)]
    if isinstance(on, str | Selector):
        text = on if isinstance(on, str) else on.text
        chosen = Selector(text).of(kinds)
        outright = [text] if text in kinds and text not in KINDS else []
    else:
        outright = [name for name in on if name in kinds]
        wanted = set().union(*(Selector(name).of(kinds) for name in on)) if on else set()
        chosen = [name for name in kinds if name in wanted]
    if only_images:
        texts = [name for name in outright if kinds[name] in ("categorical", "text")]
        kinds = {**kinds, **dict.fromkeys(texts, "image")}
    wrong = [name for name in outright if kinds[name] not in handles]
    if wrong:
        told = ", ".join(f"'{name}' ({kinds[name]})" for name in wrong)
        raise DataError(f"Cannot work on column {told}: only {listed(handles)} columns are handled here.")
    return [name for name in chosen if kinds[name] in handles]
