"""Checks for missing values in disguise: words that mean "no value", and numbers that stand for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from tilth.audit.column import Column, shown
from tilth.core.finding import Finding

FINDS = {
    "hidden.token": "texts such as '?' or 'N/A' stand for missing values",
    "hidden.word": "a category such as 'unknown' may stand for missing values",
    "hidden.sentinel": "a number such as -999 or 99999 stands for missing values",
    "hidden.zero": "zero lies apart from all other values, and may stand for missing ones",
}

# fmt: off
SURE = frozenset({
    "", "?", "??", "-", "--", "---", ".", "..", "*", "#", "n/a", "n.a.", "n.a", "#n/a", "#na", "<na>", "nan",
    "nat", "null", "(null)", "<null>", "#null!", "#value!", "#ref!", "#div/0!", "\\n", "n/k", "missing",
    "not available",
})
"""Texts that are no category in any language, lower case."""

MAYBE = frozenset({
    "na", "none", "nil", "unknown", "unk", "undefined", "unspecified", "not specified", "not known", "tbd",
    "not stated", "not applicable", "no answer", "no data", "refused", "don't know", "xxx",
})
"""Texts that may be a category of their own: a treatment 'none', the country code NA."""
# fmt: on

_NINES = re.compile(r"^-?(9{2,}|9{2,}\.9+|8{3,}|1e\+?\d+)$")


def tokens(column: Column) -> Iterator[Finding]:
    """Find texts that stand for a missing value."""
    if column.kind != "categorical" or column.filled == 0:
        return
    texts = column.texts
    strange = pl.col("plain").is_in([*SURE, *MAYBE])
    found = texts.filter(strange)
    if not found.height:
        return
    others = texts.filter(~strange)
    numeric = others.height > 0 and others["plain"].cast(pl.Float64, strict=False).null_count() == 0
    # Among numbers every such word is a gap; among words only those that are no category anywhere.
    sure = found if numeric else found.filter(pl.col("plain").is_in(list(SURE)))
    maybe = found.filter(~pl.col("value").is_in(sure["value"].implode()))
    for some, kind in ((sure, "hidden.token"), (maybe, "hidden.word")):
        if not some.height:
            continue
        values, count = some["value"].to_list(), int(some["count"].sum())
        told = ", ".join(shown(v) for v in values[:4])
        share = count / column.rows
        mask = column.series.cast(pl.String).is_in(values)
        remedy = {"data": {"null_values": values}}
        where = f"'{column.name}' has {told} in {count} of {column.rows} cells ({share:.1%})"
        if kind == "hidden.token":
            message = (
                f"{where}: missing in disguise.{' All its other values are numbers.' if numeric else ''}"
            )
            yield column.finding(
                kind, message, share, "high" if numeric else "medium", mask=mask, remedy=remedy
            )
        else:
            message = f"{where}: missing, or a category?"
            yield column.finding(kind, message, share, "info", mask=mask, remedy=remedy)


def sentinels(column: Column) -> Iterator[Finding]:
    """Find a number that stands for a missing value: often repeated, at the end, far from all the rest.

    Three things are asked at once: it looks like a sentinel (99, 999, -999, 1e10 ...), it is repeated,
    and the gap to its nearest neighbor is wider than all other values together. For -1, which lies near,
    the gap gives way to being the one negative among whole numbers, three times as frequent as the next.
    """
    if column.kind != "numeric":
        return
    numbers = column.numbers
    if len(numbers) < 10:
        return
    values, counts = numbers[:, 0], numbers[:, 1]
    for end, near in ((-1, -2), (0, 1)):
        value, count = values[end], counts[end]
        rest = values[:-1] if end == -1 else values[1:]
        gap, spread = abs(value - values[near]), rest[-1] - rest[0]
        lone = end == 0 and value == -1 and values[1] >= 0 and bool((rest == np.round(rest)).all())
        lone = lone and count >= 3 * counts[near]
        repeated = count >= max(5, 0.001 * column.rows)
        if not repeated or not (lone or (_NINES.match(f"{value:.10g}") and gap > spread)):
            continue
        bound = float((value + values[near]) / 2)
        bounds = [None, bound] if end == -1 else [bound, None]
        mask = column.series == value
        share = count / column.rows
        message = (
            f"'{column.name}' is {value:.10g} in {int(count)} of {column.rows} rows ({share:.2%}), and "
            f"otherwise between {rest[0]:.6g} and {rest[-1]:.6g}: a mark for a missing value."
        )
        clip = {"method": "range", "value_range": bounds, "action": "null", "on": [column.name]}
        remedy = {"outliers.clip": clip}
        yield column.finding("hidden.sentinel", message, share, "medium", mask=mask, remedy=remedy)


def zeros(column: Column) -> Iterator[Finding]:
    """Find zeros that lie apart from all other, positive values: a pressure of 0 was not measured."""
    if column.kind != "numeric" or len(column.numbers) < 10 or column.numbers[0, 0] != 0:
        return
    count, rest = column.numbers[0, 1], column.numbers[1:]
    share = count / column.rows
    if count < max(5, 0.005 * column.rows) or share > 0.5:
        return
    first, third = np.interp([0.25, 0.75], np.cumsum(rest[:, 1]) / rest[:, 1].sum(), rest[:, 0])
    if rest[0, 0] < 0.5 * (third - first) or third == first:
        return
    message = (
        f"'{column.name}' is 0 in {int(count)} of {column.rows} rows ({share:.1%}), and otherwise "
        f"{rest[0, 0]:.6g} or more: was it measured?"
    )
    bounds = [float(rest[0, 0] / 2), None]
    clip = {"method": "range", "value_range": bounds, "action": "null", "on": [column.name]}
    yield column.finding(
        "hidden.zero", message, share, "low", mask=column.series == 0, remedy={"outliers.clip": clip}
    )


CHECKS = (tokens, sentinels, zeros)
"""What is asked of each column, in this order."""
