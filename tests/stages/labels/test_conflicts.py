"""LabelsConflicts: pandas' counting and medians per group are the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.errors import DataError
from tilth.stages.labels.conflicts import LabelsConflicts
from tilth.table import Table

CELL = st.tuples(st.sampled_from([0.5, None]), st.sampled_from(["x", "", None]))
WEIGHT = st.sampled_from([0.0, 0.5, 1.0, 3.0])
CLASSES = st.lists(st.tuples(CELL, st.sampled_from(["p", "q", "r", None]), WEIGHT), min_size=1, max_size=20)
NUMBERS = st.lists(st.tuples(CELL, st.sampled_from([0.0, 1.5, 4.0, 9.0]), WEIGHT), min_size=1, max_size=20)


def table_of(rows: list) -> tuple[Table, pd.DataFrame]:
    """Return the rows as a table, and as pandas counts them: labeled rows with a weight, by their set."""
    X = pl.DataFrame([r for r, _, _ in rows], schema={"a": pl.Float64, "b": pl.String}, orient="row")
    dtype = pl.String if isinstance(rows[0][1], str | None) else None
    y = pl.Series("y", [y for _, y, _ in rows], dtype=dtype)
    weight = [w for _, _, w in rows]
    if not any(weight):
        weight[0] = 1.0
    seen = pd.DataFrame({"set": [repr(r) for r, _, _ in rows], "y": y.to_list(), "w": weight})
    return Table.of(X, y, sample_weight=weight), seen[(seen["w"] > 0) & seen["y"].notna()]


@given(CLASSES, st.sampled_from([0.5, 0.7]))
def test_what_goes_and_what_is_relabeled_is_what_pandas_counts(rows: list, share: float) -> None:
    table, seen = table_of(rows)
    gone, torn, new, agree = set(), set(), {}, {}
    for _, part in seen.groupby("set"):
        votes = part.groupby("y")["w"].sum() / part["w"].sum()
        best = votes[votes > votes.max() - 1e-9]
        settled = len(best) == 1 and best.iloc[0] >= share - 1e-9
        agree |= votes[part["y"]].set_axis(part.index).to_dict()
        if len(votes) > 1:
            torn |= set(part.index)
            off = part.index[part["y"] != best.index[0]] if settled else part.index
            gone |= set(off)
            new |= dict.fromkeys(off, best.index[0]) if settled else {}
    make = lambda **more: LabelsConflicts(share=share, **more).fit_table(table)
    assert set(np.flatnonzero(make().times == 0).tolist()) == gone
    assert set(np.flatnonzero(make(ties="keep").times == 0).tolist()) == set(new)
    label = make(action="relabel").label
    assert {i: v for i, v in enumerate(label) if v is not None} == new
    weight = make(action="weight").weight
    np.testing.assert_allclose(weight, [agree[i] if i in torn else 1 for i in range(len(rows))])
    report = make(action="report")
    assert (report.times == 1).all() and report.label is None and report.weight is None
    np.testing.assert_allclose(report.score, [agree.get(i, np.nan) for i in range(len(rows))])


@given(NUMBERS, st.sampled_from([0.0, 0.3]))
def test_numbers_are_compared_with_the_weighted_median(rows: list, tolerance: float) -> None:
    table, seen = table_of(rows)
    values = seen["y"].to_numpy()
    wide = 0.0
    if len(values) > 1:
        quartiles = np.quantile(values, [0.25, 0.75])
        wide = tolerance * (quartiles[1] - quartiles[0] or values.std(ddof=1)) * (1 + 1e-9)
    gone, new, weights = set(), {}, dict.fromkeys(range(len(rows)), 1.0)
    for _, part in seen.groupby("set"):
        middle = np.median(np.repeat(part["y"], (part["w"] * 2).astype(int)))  # weights are halves
        far = (part["y"] - middle).abs() > wide
        if np.ptp(part["y"]) <= wide:
            continue
        settled = part["w"][~far].sum() / part["w"].sum() >= 0.5 - 1e-9
        gone |= set(part.index[far] if settled else part.index)
        new |= dict.fromkeys(part.index[far], middle)
        for i, y in part["y"].items():
            weights[i] = part["w"][(part["y"] - y).abs() <= wide].sum() / part["w"].sum()
    make = lambda **more: LabelsConflicts(tolerance=tolerance, task="regression", **more).fit_table(table)
    assert set(np.flatnonzero(make().times == 0).tolist()) == gone
    label = make(action="relabel").label
    assert {i: v for i, v in enumerate(label) if v is not None} == pytest.approx(new)
    np.testing.assert_allclose(make(action="weight").weight, list(weights.values()), rtol=1e-6)


@given(CLASSES, st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_rows(rows: list, random) -> None:
    table, _ = table_of(rows)
    order = list(range(table.height))
    random.shuffle(order)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    for action in ("drop", "relabel", "weight"):
        one, two = (LabelsConflicts(action=action).fit_table(t) for t in (table, turned))
        assert two.times.tolist() == one.times[order].tolist()
        assert two.reason.tolist() == one.reason[order].tolist()
        if action == "relabel":
            assert two.label.to_list() == one.label[order].to_list()


def test_after_relabeling_to_the_majority_no_settled_set_is_in_conflict() -> None:
    X = pl.DataFrame({"a": [1, 1, 1, 2, 2, 2, 3]})
    stage = LabelsConflicts(action="relabel")
    X2, y2 = stage.fit_resample(X, ["p", "p", "q", "q", "r", "r", "p"])
    assert y2.tolist() == ["p", "p", "p", "r", "r", "r", "p"]
    assert not LabelsConflicts().fit(X2, y2).findings_


def test_the_finding_tells_how_right_a_model_can_be() -> None:
    X = pl.DataFrame({"a": [1, 1, 1, 2, 2, 3, 4, 5]})
    stage = LabelsConflicts(action="report").fit(X, list("ppqprppp"))
    (found,) = stage.findings_
    assert found.n_rows == 5 and found.score == pytest.approx(5 / 8)
    assert "in 2 sets of equal features" in found.message
    assert "more than 75.00% of them" in found.message  # 2 + 1 + 3 of 8
    assert found.rows[0] == 2  # the row that the fewest agree with
    assert found.columns == ("a",) and found.severity == "high"


@pytest.mark.parametrize(
    "y",
    [
        pl.Series([True, True, False, None]),
        pl.Series(["p", "p", "q", None], dtype=pl.Categorical),
        pl.Series(["p", "p", "q", None], dtype=pl.Enum(["q", "p"])),
        pl.Series([1, 1, 2, None], dtype=pl.Int8),
        pl.Series([["p"], ["p"], ["p", "q"], None]),
        pl.Series([0, 0, 1, None]).cast(pl.Date),
    ],
)
def test_labels_of_any_type_are_compared_and_keep_it(y: pl.Series) -> None:
    X = pl.DataFrame({"a": [1, 1, 1, 1]})
    after = LabelsConflicts(action="relabel").fit_resample(Table.of(X, y.alias("y")))
    assert after.y.dtype == y.dtype
    first = y.to_list()[0]
    assert after.y.to_list() == [first, first, first, None]


def test_whole_numbers_get_a_whole_median() -> None:
    X = pl.DataFrame({"a": [1, 1, *range(10, 60)]})
    after = LabelsConflicts(action="relabel").fit_resample(Table.of(X, pl.Series("y", [3, 90, *range(50)])))
    assert after.y.dtype == pl.Int64
    assert after.y[:2].to_list() == [46, 46]  # 46.5 rounds to the even one


def test_numbers_close_to_each_other_agree() -> None:
    X = pl.DataFrame({"a": [1, 1, *range(10, 60)]})
    y = np.r_[10.0, 10.5, np.arange(50.0)]
    assert not LabelsConflicts().fit(X, y).findings_
    assert LabelsConflicts(tolerance=0.0).fit(X, y).plan_.times[:2].tolist() == [0, 0]


def test_an_empty_choice_does_nothing_and_one_row_is_no_conflict() -> None:
    X, y = pl.DataFrame({"a": [1, 1]}), ["p", "q"]
    assert LabelsConflicts(on=[]).fit(X, y).plan_.times.tolist() == [1, 1]
    assert not LabelsConflicts().fit(X.head(1), ["p"]).findings_
    assert not LabelsConflicts().fit(X, [None, None]).findings_
    assert not LabelsConflicts(task="regression").fit(X.head(1), [1.5]).findings_


def test_texts_are_no_numbers_and_infinite_ones_are_refused() -> None:
    X = pl.DataFrame({"a": [1, 1]})
    with pytest.raises(DataError, match=r"task is 'regression'.*holds String"):
        LabelsConflicts(task="regression").fit(X, ["p", "q"])
    with pytest.raises(DataError, match="infinite"):
        LabelsConflicts().fit(X, [np.inf, 1.5])
