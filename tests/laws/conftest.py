"""What holds for all laws."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the laws case by case: what several laws ask of one fit is then fitted once, in one process."""
    places = [n for n, item in enumerate(items) if item.path.parent == HERE]
    laws = sorted((items[n] for n in places), key=_case)
    for place, law in zip(places, laws, strict=True):
        items[place] = law


def _case(item: pytest.Item) -> str:
    asked = getattr(item, "callspec", None)
    case = asked and asked.params.get("case")
    return f"{case.key}[{case.number}]" if case else ""


@pytest.fixture(autouse=True)
def weights_may_get_lost() -> None:
    """Let stages that make weights or groups be asked for (X, y): the warning is tested with the pipeline."""
    warnings.filterwarnings("ignore", "The stages gave rows a (weight|group)")


@pytest.fixture(autouse=True)
def classes_may_be_small() -> None:
    """Let stages that make rows be given classes of few rows: the warnings are tested with the stages."""
    warnings.filterwarnings("ignore", r"balance\.\w+: (Class|Method) '")
