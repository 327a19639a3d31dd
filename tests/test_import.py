"""`import tilth` is light: nothing heavy is imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tilth

HEAVY = {"torch", "cleanlab", "albumentations", "sklearn", "imblearn", "polars", "pandas", "pydantic"}


def imported_by(code: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in told.stdout.split()}


def test_importing_tilth_imports_nothing_heavy() -> None:
    assert not imported_by("import tilth") & HEAVY


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    assert not imported_by("import tilth.cli") & HEAVY


@pytest.mark.parametrize("name", tilth.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tilth, name) is not None
    assert name in dir(tilth)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'ImputeSimpel'"):
        _ = tilth.ImputeSimpel
