"""Printing: results to the output, all else to the error stream; tables are plain where nobody looks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

# A file or a pipe has no width; wide enough for a sentence beside the names it is about.
PLAIN_WIDTH = 160


def console(error: bool = False) -> Console:
    """Return a console of the output or the error stream, as it is now."""
    made = Console(stderr=error, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = PLAIN_WIDTH
    return made


def say(*lines: str) -> None:
    """Print lines to the output."""
    printer = console()
    for line in lines:
        printer.print(_harmless(line), soft_wrap=not printer.is_terminal)


def problem(message: str) -> None:
    """Print a message to the error stream."""
    printer = console(error=True)
    style = "red" if printer.is_terminal else None
    printer.print(_harmless(message), style=style, soft_wrap=not printer.is_terminal)


def table(names: Sequence[str], rows: Iterable[Sequence[Any]], wrap: str = "") -> None:
    """Print rows under names; the column `wrap` gives way where there is not enough room."""
    printer = console()
    made = Table(box=box.SIMPLE_HEAD if printer.is_terminal else None, pad_edge=False, header_style="bold")
    for name in names:
        made.add_column(name, overflow="fold", no_wrap=bool(wrap) and name != wrap)
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    _print(printer, made)


def shown(what: RenderableType) -> None:
    """Print what the report makes for a terminal."""
    _print(console(), what)


def _print(printer: Console, what: RenderableType) -> None:
    """Print something on a console; where nobody looks, without the spaces that fill its lines."""
    if printer.is_terminal:
        printer.print(what)
        return
    with printer.capture() as captured:
        printer.print(what)
    raw("\n".join(line.rstrip() for line in captured.get().splitlines()))


def raw(text: str) -> None:
    """Print text that a program reads: as it is."""
    print(text, end="" if text.endswith("\n") else "\n")


def as_json(value: Any) -> None:
    """Print plain values as JSON."""
    raw(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str))


def written(*paths: Path | str | None) -> None:
    """Name the files that were written."""
    if found := [str(path) for path in paths if path is not None]:
        console(error=True).print(f"Written: {', '.join(found)}", soft_wrap=True)


def _harmless(text: str) -> str:
    """Return text without control codes: names and cells of data may hold some, meant for the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Show what is being done while it is done, if somebody looks."""
    printer = console(error=True)
    if not printer.is_terminal:
        yield lambda _: None
        return
    with printer.status("starting") as status:
        yield lambda told: status.update(told)


@contextmanager
def step(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Show a line that turns while something is done, and its seconds when it is."""
    start = time.perf_counter()
    with console.status(f"{title} ...") as status:
        yield lambda what: status.update(f"{title} [dim]{what}[/dim]")
    console.print(f"[bold]{title}[/bold]  [dim]{time.perf_counter() - start:.1f} s[/dim]")
