"""Peak memory of a block of work."""

import sys

import numpy as np
import pytest

from tilth.bench import memory
from tilth.bench.memory import Peak, highest


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and resets the peak")
def test_the_peak_is_that_of_the_block_and_no_other():
    with Peak() as large:
        block = np.ones(40 << 20)
    del block
    with Peak() as small:
        pass
    assert large.mb - small.mb > 200


def test_where_the_system_does_not_tell_there_is_no_peak(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_RESET", tmp_path / "absent" / "clear_refs")
    with Peak() as peak:
        pass
    assert peak.mb is None


def test_the_highest_of_nothing_is_nothing():
    assert highest(None, None) is None and highest(3.0, None, 5.0) == 5.0
