"""One row, and all that is known of it."""

import polars as pl
import pytest

from tilth.errors import DataError
from tilth.pipeline import prepare
from tilth.recipes import Recipe

RECIPE = """
data: {path: people.csv, target: paid}
stages:
  - duplicates.exact: {action: drop}
  - impute.simple
  - balance.over
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("why")
    rows = [(None if i == 3 else 20.0 + i, f"c{i % 3}", "yes" if i % 4 == 0 else "no") for i in range(40)]
    pl.DataFrame([*rows, rows[5]], schema=["age", "city", "paid"], orient="row").write_csv(
        folder / "people.csv"
    )
    (folder / "recipe.yaml").write_text(RECIPE)
    return prepare(Recipe.read(folder / "recipe.yaml"), base=folder)


def test_a_dropped_row_says_which_stage_and_why(done):
    told = done.why(40).filter(pl.col("what") == "dropped").row(0, named=True)
    assert told["stage"] == "duplicates.exact"
    assert told["reason"]


def test_a_finding_that_names_the_row_is_told_and_others_are_not(done):
    found = {line["what"] for line in done.why(40).to_dicts()}
    named = {f.kind for f in done.findings if int(done.before.ids[40]) in f.rows}
    assert named
    assert named <= found
    assert not named & {line["what"] for line in done.why(7).to_dicts()}


def test_a_filled_cell_is_told_with_what_it_was_and_became(done):
    (cell,) = done.why(3).filter(pl.col("what") == "cell").to_dicts()
    assert (cell["stage"], cell["column"], cell["before"]) == ("impute.simple", "age", None)
    assert float(cell["after"]) > 20


def test_copies_of_a_row_are_told(done):
    assert sum("repeated" in done.why(i)["what"].to_list() for i in range(0, 40, 4)) > 0


def test_a_row_that_nothing_happened_to_has_no_line(done):
    assert done.why(7).filter(pl.col("what") != "repeated").height == 0


@pytest.mark.parametrize("place", [-1, 41])
def test_a_row_that_is_not_there_is_refused(done, place):
    with pytest.raises(DataError, match=rf"no row {place}: .* 0 to 40"):
        done.why(place)
