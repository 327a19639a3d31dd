"""The family of errors: one base, and messages that name the place and the nearest word."""

import pytest

from tilth import errors
from tilth.errors import (
    BundleError,
    ColumnError,
    DataError,
    RecipeError,
    StageError,
    TilthError,
    TypeMismatch,
    UnknownName,
)

KINDS = [DataError, ColumnError, TypeMismatch, RecipeError, UnknownName, StageError, BundleError]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_of_the_family(kind):
    assert issubclass(kind, TilthError)


def test_errors_can_be_caught_by_the_builtin_that_fits_them():
    assert issubclass(DataError, ValueError)
    assert issubclass(ColumnError, KeyError)
    assert issubclass(TypeMismatch, TypeError)
    assert issubclass(TypeMismatch, ValueError)
    assert issubclass(RecipeError, ValueError)
    assert issubclass(UnknownName, AttributeError)


def test_a_missing_column_is_named_with_the_nearest_one_and_all_that_are_there():
    error = ColumnError.missing(["incom"], ["age", "income"], "adult.csv: target")
    assert str(error) == (
        "adult.csv: target: no column 'incom' (did you mean 'income'?). Columns here: age, income."
    )


def test_a_column_error_reads_as_text_and_not_as_the_repr_of_a_key():
    assert "\n" in str(ColumnError("two\nlines"))


def test_a_retyped_column_is_told_with_both_types():
    text = str(ColumnError.retyped("age", "String", "Int64", "ScaleRobust"))
    assert text.startswith("ScaleRobust: column 'age' is String, but it was Int64")


def test_an_unknown_name_offers_the_nearest():
    text = str(UnknownName.among("stage", "scale.robst", ["scale.robust", "impute.simple"]))
    assert "There is no stage 'scale.robst' (did you mean 'scale.robust'?)" in text
    assert text.endswith("Known: scale.robust, impute.simple.")


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("AGE", ["age", "city"], " (did you mean 'age'?)"),
        ("zzz", ["age", "city"], ""),
        ("age", [], ""),
        (3, [31, 4], " (did you mean '31'?)"),
    ],
)
def test_nearest_looks_past_case_and_stays_silent_when_nothing_is_near(word, known, told):
    assert errors.nearest(word, known) == told


def test_a_long_list_is_cut_and_counted():
    assert errors.listed(range(3)) == "0, 1, 2"
    assert errors.listed([]) == "none"
    assert errors.listed(range(20), limit=2) == "0, 1 and 18 more"
