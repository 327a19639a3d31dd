"""Texts that name rows rather than describe them: UUIDs, hash values, and a running number in fixed words."""

from __future__ import annotations

import polars as pl

_MACHINES = {
    "UUIDs": r"^\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$",
    "hash values": rf"^(?:0x)?(?:{'|'.join(f'[0-9a-f]{{{n}}}' for n in (24, 32, 40, 56, 64, 96, 128))})$",
}


def machine_of(plain: pl.Series) -> str:
    """Say which machine made all of these names, in lower case; an empty text: none.

    Examples
    --------
    >>> machine_of(pl.Series(["2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"]))
    'hash values'
    """
    return next((what for what, look in _MACHINES.items() if bool(plain.str.contains(look).all())), "")


def around_number(texts: pl.Series) -> tuple[str, str] | None:
    """Return what stands before and after a number in all of these texts; None where that differs.

    Examples
    --------
    >>> around_number(pl.Series(["row 1", "row 2"]))
    ('row ', '')
    """
    split = texts.str.extract_groups(r"^(.*?)(\d+)(\D*)$").struct.unnest()
    starts, ends = split["1"].drop_nulls().unique(), split["3"].drop_nulls().unique()
    if split["2"].null_count() == 0 and len(starts) == len(ends) == 1:
        return starts[0], ends[0]
    return None
