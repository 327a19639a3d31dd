"""One family of errors: each says what happened, where, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TilthError(Exception):
    """The family. Catch this to catch every error that Tilth raises on purpose."""


class DataError(TilthError, ValueError):
    """The data cannot be used as asked: mend the data or say which part of it to use."""


class ColumnError(DataError, KeyError):
    """A column is missing, unexpected or of another type than the one learned from."""

    # KeyError prints its argument's repr; a message is meant to be read.
    __str__ = Exception.__str__

    @classmethod
    def missing(cls, names: Iterable[str], available: Iterable[str], where: str) -> ColumnError:
        """Build the error for columns that are not there, offering the nearest names."""
        available = list(available)
        told = listed([f"'{name}'" + nearest(name, available) for name in names])
        return cls(f"{where}: no column {told}. Columns here: {listed(available)}.")

    @classmethod
    def retyped(cls, name: str, found: object, expected: object, where: str) -> ColumnError:
        """Build the error for a column whose type changed since fitting."""
        return cls(
            f"{where}: column '{name}' is {found}, but it was {expected} when the pipeline was fitted. "
            f"Read or cast it as {expected}, or fit again."
        )


class TypeMismatch(DataError, TypeError):
    """Rows or cells are of a type that is no data: pass numbers, texts, dates, or a dense table of them."""


class ImageError(DataError):
    """A file holds no image that can be used.

    Parameters
    ----------
    path : str
        The file, or what stands for it.
    reason : str
        missing, permission, empty, not an image, truncated, too large, unsupported, or broken.
    detail : str
        What the decoder said, or what to do.
    """

    def __init__(self, path: object, reason: str, detail: str = "") -> None:
        super().__init__(f"{path}: {reason}{': ' if detail else ''}{detail}".rstrip(".") + ".")
        self.path, self.reason, self.detail = str(path), reason, detail

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str, str]]:
        return type(self), (self.path, self.reason, self.detail)


class LeakageError(DataError):
    """Rows that are to test something were learned from before: hold them out first, then fit."""


class RecipeError(TilthError, ValueError):
    """A recipe is not valid: the message names file, line, field and the nearest valid word."""


class UnknownName(RecipeError, AttributeError):
    """A stage, option or probe of this name does not exist."""

    @classmethod
    def among(cls, what: str, name: str, available: Iterable[str]) -> UnknownName:
        """Build the error for an unknown name, offering the nearest ones."""
        available = list(available)
        return cls(f"There is no {what} '{name}'{nearest(name, available)}. Known: {listed(available)}.")


class StageError(TilthError):
    """A stage could not do its work; the message names the stage and the columns."""


class BundleError(TilthError):
    """A saved pipeline cannot be read: damaged, unsafe, or of another major version."""


class TilthWarning(UserWarning):
    """Something was approximated or skipped; it is said once and stands in the ledger."""


def nearest(name: str, available: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest of `available`, or an empty string."""
    names = [str(candidate) for candidate in available]
    # As written; then whatever the case; then by the last part alone: 'clip' means 'outliers.clip'.
    for wanted, known in (
        (str(name), {n: n for n in names}),
        (str(name).lower(), {n.lower(): n for n in names}),
        (str(name).lower(), {n.lower().rpartition(".")[2]: n for n in names if "." in n}),
    ):
        close = [known[c] for c in difflib.get_close_matches(wanted, list(known), n=2, cutoff=0.5)]
        if close:
            break
    return f" (did you mean {' or '.join(repr(c) for c in close)}?)" if close else ""


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Return the names as one readable line, cut after `limit`."""
    words = [str(name) for name in names]
    if not words:
        return "none"
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(words[:limit]) + more
