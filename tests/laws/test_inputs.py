"""Laws 3, 8 and 11: inputs stay as they were, nothing selected is nothing done, another column is named."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.laws.cases import FEATURES, Case, acts_as, alike, cases, learned
from tilth.core import BatchStage, ColumnStage, RowStage
from tilth.errors import ColumnError, DataError
from tilth.table import Table


def numbers(rows):
    return rows.select("near", "skewed", "single", "flat").to_numpy()


FORMS = {
    "pandas": (lambda rows: rows.to_pandas(), lambda one, two: pd.testing.assert_frame_equal(one, two)),
    "polars": (lambda rows: rows.clone(), lambda one, two: alike(one, two, 0, 0)),
    "numpy": (numbers, np.testing.assert_array_equal),
    "arrow": (
        lambda rows: rows.to_arrow(),
        lambda one, two: alike(pl.from_arrow(one), pl.from_arrow(two), 0, 0),
    ),
}


def run(stage, X, y, w=None, g=None):
    """Call everything that a user can call with rows."""
    if isinstance(stage, ColumnStage):
        return [stage.fit(X, y).transform(X), stage.fit_transform(X, y)]
    if acts_as(stage) is RowStage:
        return [*stage.fit_resample(X, y, sample_weight=w, groups=g)]
    stage.fit(X, y)
    return []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", cases("inputs", many=True))
def test_law_3_inputs_are_left_as_they_were(case: Case, form: str):
    rows = case.rows(60)
    make, same = FORMS[form]
    X = make(rows.select(FEATURES))
    y, w, g = rows["y"].to_numpy().copy(), rows["w"].to_numpy().copy(), rows["g"].to_numpy().copy()
    held = copy.deepcopy((X, y, w, g))
    for out in run(case.make(), X, y, w, g):
        if isinstance(out, np.ndarray) and out.dtype.kind == "f" and out.flags.writeable:
            out[...] = -1.0  # what a user does to the result must not reach the input
        elif isinstance(out, pd.DataFrame):
            out.iloc[:, 0] = -1.0
    same(X, held[0])
    for now, before in zip((y, w, g), held[1:], strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("case", cases("inputs", many=True))
def test_law_3_read_only_arrays_are_enough(case: Case):
    rows = case.rows(60)
    X, y = numbers(rows), rows["y"].to_numpy().copy()
    X.setflags(write=False)
    y.setflags(write=False)
    run(case.make(), X, y)
    run(case.make(), np.asfortranarray(X), y)


@pytest.mark.parametrize("case", cases("inputs", many=True))
def test_law_3_the_table_and_the_parameters_are_left_as_they_were(case: Case):
    table, stage = case.table(60), case.make()
    frame, parameters = table.frame.collect(), copy.deepcopy(stage.get_params())
    stage.fit_table([table] if isinstance(stage, ColumnStage) else table)
    assert table.frame.collect().equals(frame)
    assert stage.get_params() == parameters


@pytest.mark.parametrize("case", cases("inputs", ColumnStage, many=True))
def test_law_3_transforming_learns_nothing(case: Case):
    stage = case.make().fit_table([case.table()])
    before = copy.deepcopy(learned(stage))
    stage.transform(case.table(30, seed=5))
    alike(learned(stage), before, 0, 0)


def selecting(*kinds):
    return [c for c in cases("empty", *kinds, first=True) if hasattr(c.values[0].make(), "on")]


@pytest.mark.parametrize("on", [[], "numeric & categorical", "no_such_*"])
@pytest.mark.parametrize("case", selecting(ColumnStage))
def test_law_8_nothing_selected_is_nothing_done(case: Case, on: object):
    table = case.table()
    stage = case.make(on=on).fit_table([table])
    assert stage.columns_ == []
    assert stage.findings_ == []
    assert stage.change(table.frame).collect().equals(table.frame.collect())
    X = case.rows().select(FEATURES).to_pandas()
    pd.testing.assert_frame_equal(stage.transform(X), X)


@pytest.mark.parametrize("case", selecting(RowStage))
def test_law_8_nothing_selected_drops_and_makes_no_row(case: Case):
    table = case.table()
    stage = case.make(on=[])
    out = stage.fit_resample(table)
    assert stage.columns_ == []
    assert out.frame.collect().equals(table.frame.collect())


@pytest.mark.parametrize("case", selecting(BatchStage))
def test_law_8_nothing_selected_changes_no_batch(case: Case):
    import torch

    rows = case.rows(8).select("near", "flat")
    stage = case.make(on=[]).fit(rows)
    X = torch.as_tensor(rows.to_numpy())
    out = stage.augment((X,), torch.Generator().manual_seed(0))[0]
    assert torch.equal(out, X)


@pytest.mark.parametrize("form", ["pandas", "polars", "lazy", "arrow"])
@pytest.mark.parametrize("case", cases("columns", ColumnStage, first=True))
def test_law_11_a_missing_extra_or_retyped_column_is_named(case: Case, form: str):
    rows, y = case.rows(30).select(FEATURES), case.rows(30)["y"]
    turned = {"pandas": pl.DataFrame.to_pandas, "polars": pl.DataFrame.clone, "lazy": pl.DataFrame.lazy}
    make = turned.get(form, pl.DataFrame.to_arrow)
    stage = case.make().fit(make(rows), y)
    with pytest.raises(ColumnError, match=r"no column 'skewed' \(did you mean 'skewd'"):
        stage.transform(make(rows.rename({"skewed": "skewd"})))
    with pytest.raises(ColumnError, match="unexpected column 'more'"):
        stage.transform(make(rows.with_columns(more=1)))
    for name, other in (("skewed", pl.String), ("city", None), ("yes", pl.String), ("seen", pl.String)):
        told = rows.with_columns(pl.lit(1).alias(name) if other is None else pl.col(name).cast(other))
        with pytest.raises(ColumnError, match=rf"column '{name}' is .*fitted"):
            stage.transform(make(told))


@pytest.mark.parametrize("case", cases("columns", ColumnStage, first=True))
def test_law_11_columns_are_matched_by_name_whatever_their_order(case: Case):
    rows, y = case.rows(30).select(FEATURES), case.rows(30)["y"]
    stage = case.make().fit(rows, y)
    alike(stage.transform(rows.select(FEATURES[::-1])), stage.transform(rows), 0, 0)


@pytest.mark.parametrize("case", cases("columns", ColumnStage, first=True))
def test_law_11_an_array_of_another_width_is_refused(case: Case):
    X = numbers(case.rows(30))
    stage = case.make().fit(X, case.rows(30)["y"])
    with pytest.raises(DataError, match=r"X has 3 features, but .* is expecting 4 features"):
        stage.transform(X[:, :3])


@pytest.mark.parametrize("case", selecting())
def test_law_11_a_selection_of_no_column_is_named_with_the_nearest(case: Case):
    rows = case.rows(30)
    with pytest.raises(ColumnError, match=r"no column or kind 'nearr' \(did you mean 'near'"):
        case.make(on=["nearr"]).fit(rows.select(FEATURES), rows["y"])


@pytest.mark.parametrize("case", cases("columns", RowStage, first=True))
def test_law_11_a_target_that_is_needed_and_not_there_is_named(case: Case):
    table = Table.of(case.rows(30).select(FEATURES))
    if not case.cls.needs_target:
        case.make().fit_table(table)
        return
    with pytest.raises(DataError, match="y to be passed"):
        case.make().fit_table(table)
