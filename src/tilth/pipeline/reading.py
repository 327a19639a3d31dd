"""Reading the rows that a fitted pipeline is given as a path: what its columns are, the pipeline knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tilth.errors import ColumnError
from tilth.table import ROW, Roles, Table, read


def read_rows(
    path: str | Path, roles: Roles, *, training: bool, lazy: bool = False, null_values: Sequence[str] = ()
) -> Table:
    """Read a file, or a folder of images, whose columns have the roles that they had at fit.

    Parameters
    ----------
    path : str or Path
        As `tilth.read` takes it.
    roles : Roles
        Those of the rows that were fitted on.
    training : bool
        True: every column of a role must be there. False: new rows may come without their target, weight
        or group.
    lazy : bool, default False
        Leave the rows of a Parquet file on disk.
    null_values : sequence of str, default ()
        Texts that mean "missing", as `tilth.read` takes them.

    Raises
    ------
    DataError
        If the file cannot be read.
    ColumnError
        If a column of a role is missing from training rows.
    """
    source = Path(path)
    image = None if source.is_dir() else roles.image
    lazy = lazy and image is None and source.suffix.lower() in (".parquet", ".pq")
    table = read(source, image=image, null_values=null_values, lazy=lazy)
    return with_roles(table, roles, str(source) if training else None)


def with_roles(table: Table, roles: Roles, needed_by: str | None) -> Table:
    """Give columns the roles that those of the same names had at fit.

    Parameters
    ----------
    table : Table
    roles : Roles
        Those of the rows that were fitted on.
    needed_by : str or None
        Of what, in an error, all the columns are needed; None: those that are not there may be missing.
    """
    names = table.schema.names()
    known = {role: column for role, column in roles.named().items() if role not in ("image", "facts")}
    # An empty target is made for annotators, so rows need not hold one.
    made = "target" if "annotators" in known else None
    there = {}
    for role, told in known.items():
        lacking = [c for c in ([told] if isinstance(told, str) else told) if c not in names]
        if not lacking:
            there[role] = told
        elif needed_by is not None and role != made:
            raise ColumnError.missing(lacking, names, f"{needed_by}: {role}")
    # Without ids, as a row id that is a column makes others than the position does.
    frame = table.frame.drop(ROW) if "row_id" in there else table.frame
    return Table.of(replace(table, frame=frame), roles=replace(table.roles, **there))
