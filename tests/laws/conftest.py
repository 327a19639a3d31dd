"""What holds for all laws."""

from __future__ import annotations

import warnings

import pytest


@pytest.fixture(autouse=True)
def weights_may_get_lost() -> None:
    """Let stages that make weights or groups be asked for (X, y): the warning is tested with the pipeline."""
    warnings.filterwarnings("ignore", "The stages gave rows a (weight|group)")
