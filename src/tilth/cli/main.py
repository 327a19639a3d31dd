"""The one place where errors end: what went wrong in plain words, and the exit code."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from tilth.cli.app import app
from tilth.cli.show import problem
from tilth.errors import TilthError, TilthWarning

WRONG, BROKEN, STOPPED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    Returns
    -------
    int
        0: done; 2: what was asked or the data is not right, and the message says what to do;
        1: a fault of Tilth or of the machine; 130: stopped by the user.
    """
    settings: dict[str, Any] = {"debug": False}
    with warnings.catch_warnings():
        warnings.simplefilter("default", TilthWarning)
        warnings.showwarning = partial(_note, settings)
        return _run(arguments, settings)


def _run(arguments: Sequence[str] | None, settings: dict[str, Any]) -> int:
    try:
        app(args=None if arguments is None else list(arguments), obj=settings, prog_name="tilth")
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(bool(done.code))
        if code == STOPPED:
            problem("Stopped.")
        return code
    except Exception as error:
        return _told(error, settings["debug"])
    return 0


def _told(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    expected = _expected(error)
    if not debug:
        words = str(error) or type(error).__name__
        told = [words if expected else f"{type(error).__name__}: {words}", *getattr(error, "__notes__", ())]
        if not expected:
            told.append(
                "This was not foreseen. Run it again as 'tilth --debug ...' to see where it happened."
            )
        problem("\n".join(told))
    return WRONG if expected else BROKEN


def _expected(error: Exception) -> bool:
    # scikit-learn's own error for a parameter; naming it here would import scikit-learn.
    return isinstance(error, TilthError) or type(error).__name__ == "InvalidParameterError"


def _note(
    settings: dict[str, Any],
    message: Warning | str,
    category: type[Warning],
    file: str,
    line: int,
    *more: Any,
) -> None:
    """Print what was approximated or skipped as a note; what other packages remark is for ``--debug``."""
    if settings["debug"]:
        problem(warnings.formatwarning(message, category, file, line).rstrip())
        return
    if issubclass(category, TilthWarning):
        problem(f"Note: {message}")
