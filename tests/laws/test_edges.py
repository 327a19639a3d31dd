"""Law 14: strange rows get an answer or a clear error, never a crash, noise, or a silent loss of rows."""

import datetime as dt
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.laws.cases import FEATURES, Case, acts_as, cases, made
from tests.laws.exceptions import COMPLETE
from tilth.core import ColumnStage, RowStage
from tilth.errors import DataError, TilthError

ROWS = made(40, 0, True).select(FEATURES)
Y = made(40, 0, True)["y"]
AT = np.arange(40)


def with_column(values, name="odd"):
    return ROWS.with_columns(pl.Series(name, values, strict=False))


FRAMES = {
    "gaps": made(40, 0, False).select(FEATURES),
    "not a number": with_column(np.where(AT % 3 == 0, np.nan, AT)),
    "infinity": with_column(np.where(AT == 3, np.inf, AT)),
    "minus infinity": with_column(np.where(AT == 3, -np.inf, AT)),
    "both infinities": with_column(np.where(AT % 2 == 0, -np.inf, np.inf)),
    "nearly all infinite": with_column(np.where(AT == 3, 0.0, np.inf)),
    "a constant": with_column(np.full(40, 3.0)),
    "a constant text": with_column(["same"] * 40),
    "no value": with_column([None] * 40),
    "no number": with_column(pl.Series([None] * 40, dtype=pl.Float64)),
    "no text": with_column(pl.Series([None] * 40, dtype=pl.String)),
    "no truth": with_column(pl.Series([None] * 40, dtype=pl.Boolean)),
    "no date": with_column(pl.Series([None] * 40, dtype=pl.Date)),
    "one value": with_column([1.0] + [None] * 39),
    "huge whole numbers": with_column(pl.Series(2**63 - 1 - AT, dtype=pl.Int64)),
    "whole numbers of 128 bits": with_column(pl.Series([2**100 + int(i) for i in AT], dtype=pl.Int128)),
    "unsigned numbers": with_column(pl.Series([2**64 - 1 - int(i) for i in AT], dtype=pl.UInt64)),
    "huge numbers": with_column(np.where(AT % 2 == 0, 1e308, -1e308)),
    "tiny numbers": with_column(AT * 5e-324),
    "nearly equal numbers": with_column(1e15 + AT % 2),
    "one text per row": with_column([f"text {i}" for i in AT]),
    "empty texts": with_column(np.where(AT % 2 == 0, "", " ")),
    "texts that look like gaps": with_column(["NA", "nan", "None", "null", "<NA>"] * 8),
    "texts like column names": with_column(np.where(AT % 2 == 0, "near", "odd_a")),
    "lists": with_column([[1.0, 2.0]] * 40),
    "structs": with_column([{"a": 1}] * 40),
    "decimals": with_column([Decimal("1.10"), None] * 20),
    "times": with_column([dt.time(1, 2)] * 40),
    "durations": with_column([dt.timedelta(days=int(i)) for i in AT]),
    "moments with a zone": with_column(
        pl.Series([dt.datetime(2020, 3, 29, 2, 30)] * 40).dt.replace_time_zone("UTC")
    ),
    "an empty name": ROWS.rename({"near": ""}),
    "a name with signs": ROWS.rename({"near": 'a - "b" & *'}),
    "a name that a stage may make": ROWS.with_columns(
        pl.col("flat").alias("near_missing"), pl.col("flat").alias("city_Rom")
    ),
    "numbers alone": ROWS.select("near", "skewed", "whole"),
    "one column": ROWS.select("near"),
    "texts alone": ROWS.select("city", "level"),
    "truths alone": ROWS.select("yes"),
    "dates alone": ROWS.select("seen"),
}
SMALL = {"one row": ROWS.head(1), "two rows": ROWS.head(2), "three rows": ROWS.head(3)}
TARGETS = {
    "one class": np.full(40, "yes"),
    "a class of one": np.where(AT == 5, "rare", "often"),
    "two of one and one": np.where(AT == 5, "a", np.where(AT == 6, "b", "c")),
    "a class per row": np.array([f"class {i}" for i in AT]),
    "numbers as classes": AT % 3,
    "truths": AT % 3 == 0,
    "gaps": np.where(AT % 4 == 0, None, np.where(AT % 3 == 0, "a", "b")),
    "all gaps": np.array([None] * 40, dtype=object),
    "measures": np.linspace(0, 1, 40),
    "measures with gaps": np.where(AT % 4 == 0, np.nan, np.linspace(0, 1, 40)),
    "categories": pd.Series(pd.Categorical(np.where(AT % 3 == 0, "a", "b"), categories=["b", "a", "unused"])),
    "dates": np.array(["2020-01-01", "2020-01-02"] * 20, dtype="datetime64[D]"),
}


def answered(case, X, y=None):
    """Run a stage: it answers with every row accounted for, or says what is wrong."""
    stage = case.make()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            warnings.simplefilter("ignore", UserWarning)
            if isinstance(stage, ColumnStage):
                out = stage.fit(X, y).transform(X)
                assert len(out) == len(X)
            elif acts_as(stage) is RowStage:
                out, labels = stage.fit_resample(X, y)
                dropped = int((stage.plan_.times == 0).sum())
                copies = int(np.maximum(stage.plan_.times - 1, 0).sum())
                fresh = 0 if stage.plan_.fresh is None else stage.plan_.fresh.height
                assert len(out) == len(X) - dropped + copies + fresh
                assert labels is None or len(labels) == len(out)
            else:
                stage.fit(X, y)
    except (TilthError, ValueError) as error:
        assert len(str(error)) > 20
        assert "fault of the stage" not in str(error)


def answered_all(case, asked):
    """Run a stage on each of some rows by their name, and raise what went wrong for all of them at once."""
    wrong = []
    for name, X, y in asked:
        try:
            answered(case, X, y)
        except Exception as error:
            error.add_note(f"This is for {case.key}[{case.number}] and '{name}'.")
            wrong.append(error)
    if wrong:
        raise ExceptionGroup("no answer and no clear error", wrong)


# One test for all columns of a case: ten thousand of a few milliseconds each cost half as much again to list.
@pytest.mark.parametrize("case", cases("edges", many=True))
def test_law_14_strange_columns_get_an_answer_or_a_clear_error(case: Case):
    answered_all(case, [(name, X, Y.head(len(X))) for name, X in {**FRAMES, **SMALL}.items()])


@pytest.mark.parametrize("case", cases("targets", RowStage, many=True))
def test_law_14_strange_targets_get_an_answer_or_a_clear_error(case: Case):
    answered_all(case, [(name, ROWS, y) for name, y in TARGETS.items()])


@pytest.mark.parametrize("case", cases("edges", first=True))
def test_law_14_column_names_that_repeat_are_refused(case: Case):
    X = pd.DataFrame(np.ones((4, 2)), columns=["a", "a"])
    with pytest.raises(TilthError, match="must be unique; repeated: a"):
        case.make().fit(X, [0, 1, 0, 1])


@pytest.mark.parametrize("case", cases("edges", first=True))
@pytest.mark.parametrize(
    "X", [ROWS.head(0), np.empty((0, 2)), ROWS.head(0).to_pandas()], ids=["polars", "numpy", "pandas"]
)
def test_law_14_no_rows_to_learn_from_are_refused(case: Case, X: object):
    with pytest.raises(TilthError, match="at least one row"):
        case.make().fit(X, [])


@pytest.mark.parametrize("case", cases("unseen", ColumnStage))
def test_law_14_categories_that_were_not_there_at_fit_get_an_answer_or_a_clear_error(case: Case):
    stage = case.make().fit(ROWS, Y)
    new = ROWS.with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("Atlantis")).otherwise("city").alias("city"),
        pl.lit("top", ROWS.schema["level"]).alias("level"),
    )
    try:
        out = stage.transform(new)
    except TilthError as error:
        assert "Atlantis" in str(error) or "city" in str(error)
    else:
        assert len(out) == len(new)
        assert out.columns == stage.transform(ROWS).columns


@pytest.mark.parametrize("case", cases("unseen", ColumnStage))
def test_law_14_new_rows_may_have_gaps_and_infinities_where_there_were_none(case: Case):
    stage = case.make().fit(ROWS, Y)
    for new in (
        made(40, 3, False).select(FEATURES),
        ROWS.with_columns(near=np.inf, whole=None, city=None, yes=None),
    ):
        if case.key in COMPLETE:
            with pytest.raises(DataError, match=r"[Cc]olumn '.*' (misses|holds)"):
                stage.transform(new)
            continue
        out = stage.transform(new)
        assert len(out) == 40
        assert out.schema == stage.transform(ROWS).schema


PARTIAL = [case for case in cases("partial", ColumnStage) if case.values[0].cls.partial]


@pytest.mark.parametrize("case", PARTIAL)
def test_law_14_cells_that_a_partial_stage_leaves_alone_are_left_to_the_last_bit(case: Case):
    for dtype, large in ((pl.Int64, 2**53 + 1), (pl.UInt64, 2**63 + 1), (pl.Float64, 0.1)):
        X = pl.DataFrame({"n": pl.Series([large + i % 5 for i in range(39)] + [None], dtype=dtype)})
        stage = case.make().fit(X, AT % 2)
        out = stage.transform(X)["n"]
        changed = int((X["n"].ne_missing(out)).sum())
        assert changed == stage.cells_.get("n", 0)
