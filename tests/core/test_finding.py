"""A finding is a value with finite figures, worst rows first."""

import dataclasses
import json

import numpy as np
import pytest

from tilth.core import Finding


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_a_score_must_be_finite(score):
    with pytest.raises(ValueError, match="must be finite"):
        Finding("missing.cells", "x", score)


def test_rows_come_worst_first_and_are_counted():
    found = Finding.on_rows("k", "m", np.array([7, 8, 9], np.uint64), np.array([0.3, 0.1, 0.2]), score=0.1)
    assert found.rows == (8, 9, 7)
    assert found.n_rows == 3


def test_a_long_list_of_rows_is_cut_but_counted():
    ids = np.arange(5000, dtype=np.uint64)
    found = Finding.on_rows("k", "m", ids, -ids.astype(float), score=0.1)
    assert len(found.rows) == Finding.ROWS_SHOWN
    assert found.rows[0] == 4999
    assert found.n_rows == 5000


def test_it_is_plain_json_and_cannot_be_changed():
    found = Finding("k", "m", 0.5, "high", ("a",), (2**64 - 1,), 1, {"impute.simple": {}}, "s")
    told = json.loads(json.dumps(found.as_dict()))
    assert told["rows"] == [2**64 - 1]
    assert told["remedy"] == {"impute.simple": {}}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.score = 1.0
