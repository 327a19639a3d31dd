"""What a run did, in one line each, and nothing about what did not happen."""

import pytest

from tilth.core import Ledger
from tilth.report.words import done


@pytest.mark.parametrize(
    ("added", "gone", "told"),
    [
        (["a_1", "a_2"], [], "2 columns added."),
        (["a_1", "a_2"], ["a"], "2 columns added, 1 replaced."),
        ([], ["a"], "1 column removed."),
    ],
)
def test_columns_that_came_and_went_are_told_and_none_of_those_that_did_not(added, gone, told):
    ledger = Ledger(rows_in=3, rows_out=3)
    ledger.record_columns("stage", {}, added, gone)
    assert done(ledger).lines == (told,)


def test_a_column_in_which_no_cell_changed_is_no_change():
    ledger = Ledger(rows_in=3, rows_out=3)
    ledger.record_columns("stage", {"path": 0}, [], [])
    assert done(ledger).lines == ("No row and no cell was changed.",)
