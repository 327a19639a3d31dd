"""What holds for all laws."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture(autouse=True)
def weights_may_get_lost() -> None:
    """Let stages that make weights or groups be asked for (X, y): the warning is tested with the pipeline."""
    warnings.filterwarnings("ignore", "The stages gave rows a (weight|group)")


@pytest.fixture(autouse=True)
def classes_may_be_small() -> None:
    """Let stages that make rows be given classes of few rows: the warnings are tested with the stages."""
    warnings.filterwarnings("ignore", r"balance\.\w+: (Class|Method) '")
