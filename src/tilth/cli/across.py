"""`tilth across`: what do many data sets prove together?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tilth.cli import show
from tilth.cli.prepare import Json

if TYPE_CHECKING:
    from tilth.bench import Across

Files = Annotated[
    list[Path], typer.Argument(help="Results as JSON, one file per data set: tilth bench --results x.json.")
]
Results = Annotated[
    Path | None,
    typer.Option("--results", help="Also write the lines as a table: a file .parquet, .csv or .json."),
]


def across(files: Files, results: Results = None, json: Json = False) -> None:
    """Say what the results of many data sets prove together: helps, hurts, no evidence, or too few sets.

    Each data set counts once, by its mean gain. A set is called by the name of its file, or by the whole path
    where two files have one name.
    """
    from tilth.bench import across as judged
    from tilth.report import terminal

    done = judged(_named(files))
    if results is not None:
        done.write(results)
    if json:
        show.raw(done.to_json())
    else:
        first, *_ = done.in_words()
        show.say(first, "")
        show.shown(terminal.across_table(done))
        show.say("", *_remarks(done))
    show.written(results)


def _named(files: list[Path]) -> dict[str, Path]:
    """Call each data set by its file; a file that is named twice is refused."""
    from tilth.errors import DataError

    stems = [file.stem for file in files]
    names = [file.stem if stems.count(file.stem) == 1 else file.as_posix() for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"across: '{twice[0]}' is named twice, and would count twice. Name each file once.")
    return dict(zip(names, files, strict=True))


def _remarks(done: Across) -> list[str]:
    """Return what the table does not say: notes, each once, and sets that were left out."""
    notes: dict[str, list[str]] = {}
    left_out = []
    for line in done.lines:
        who = ", ".join(part for part in (line.stage, line.probe, line.metric) if part)
        if line.note:
            notes.setdefault(line.note, []).append(who)
        if line.left_out:
            left_out.append(f"{who}: not testable in {', '.join(line.left_out)}.")
    of_all = len(done.lines)
    told = [note if len(of) == of_all else f"{'; '.join(of)}: {note}" for note, of in notes.items()]
    return told + left_out
