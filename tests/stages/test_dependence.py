"""What tells marked rows apart: the columns that do are named, however many are shuffled at once."""

import numpy as np
import polars as pl
import pytest

from tilth.stages import dependence as asked
from tilth.stages.dependence import dependence


@pytest.fixture
def marked():
    rng = np.random.default_rng(0)
    mark = rng.random(400) < 0.5
    frame = {f"x{i}": rng.normal(size=400) for i in range(5)}
    frame["x3"] = frame["x3"] + 2 * mark
    return pl.DataFrame(frame), mark, np.arange(400, dtype=np.uint64)


def test_columns_shuffled_a_few_at_a_time_are_told_as_all_at_once(marked, monkeypatch):
    whole = dependence(*marked)
    assert whole.reasons[0][0] == "x3" and whole.auc > 0.8
    for cells in (1, 2 * 5 * 134):
        monkeypatch.setattr(asked, "MOST_CELLS", cells)
        assert dependence(*marked) == whole
