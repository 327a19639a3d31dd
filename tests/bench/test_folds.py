"""Folds: even, keyed by row id, and never tearing apart what belongs together."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.bench.folds import assign, fingerprint, strata_of, units_of
from tilth.errors import DataError
from tilth.table import Table


def _ids(count):
    return np.arange(count, dtype=np.uint64)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 7), st.integers(20, 200))
def test_single_rows_are_spread_evenly_class_by_class(seed, folds, rows):
    strata = np.random.default_rng(seed).integers(0, 3, rows)
    fold = assign(strata, np.arange(rows), _ids(rows), folds, seed, 0)
    assert fold.min() >= 0 and fold.max() < folds
    for stratum in np.unique(strata):
        sizes = np.bincount(fold[strata == stratum], minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.max() - sizes.min() <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 5))
def test_units_are_never_torn_apart_and_the_order_of_rows_does_not_matter(seed, folds):
    rng = np.random.default_rng(seed)
    rows = 120
    strata, units, ids = rng.integers(0, 2, rows), rng.integers(0, 40, rows), rng.permutation(_ids(rows))
    fold = assign(strata, units, ids, folds, seed, 1)
    for unit in np.unique(units):
        assert len(np.unique(fold[units == unit])) == 1
    assert len(np.unique(fold)) == folds
    turn = rng.permutation(rows)
    assert (assign(strata[turn], units[turn], ids[turn], folds, seed, 1) == fold[turn]).all()


def test_groups_of_mixed_sizes_leave_classes_even():
    rng = np.random.default_rng(0)
    units = np.repeat(np.arange(300), rng.integers(1, 8, 300))
    strata = (rng.random(len(units)) < 0.3).astype(int)
    fold = assign(strata, units, _ids(len(units)), 5, 0, 0)
    for part in range(5):
        assert abs(strata[fold == part].mean() - strata.mean()) < 0.02
        assert abs((fold == part).mean() - 0.2) < 0.02


def test_seed_and_repeat_change_the_folds_and_nothing_else_does():
    strata = np.arange(200) % 2
    folds = lambda seed, repeat: assign(strata, np.arange(200), _ids(200), 5, seed, repeat)
    assert (folds(0, 0) == folds(0, 0)).all()
    for other in (folds(1, 0), folds(0, 1)):
        assert 0.1 < (other == folds(0, 0)).mean() < 0.35  # chance: 0.2


def test_copies_of_a_row_form_one_unit_whatever_their_label():
    X = pl.DataFrame(
        {"a": [1.0, 2.0, 1.0, None, None, 3.0] + [float(i) for i in range(10, 40)], "b": ["x"] * 36}
    )
    found = units_of(Table.of(X, np.arange(36) % 2), 5)
    assert found.codes[0] == found.codes[2] and found.codes[3] == found.codes[4]
    assert len(np.unique(found.codes)) == 34
    assert [f.kind for f in found.findings] == ["bench.copies_together"]


def test_copies_in_two_groups_tie_the_groups_together():
    values = [float(i) for i in range(40)]
    values[7] = values[0]  # rows 0 and 7 lie in groups 0 and 3
    groups = np.arange(40) // 2
    codes = units_of(Table.of(pl.DataFrame({"a": values}), np.arange(40) % 2, groups=groups), 4).codes
    assert codes[0] == codes[1] == codes[6] == codes[7]
    assert len(np.unique(codes)) == 19


def test_copies_that_are_the_nature_of_the_data_are_told_and_let_go():
    X = pl.DataFrame({"a": [0, 1] * 50})
    found = units_of(Table.of(X, np.arange(100) % 3), 5)
    assert len(np.unique(found.codes)) == 100
    assert [(f.kind, f.severity) for f in found.findings] == [("bench.copies_split", "medium")]
    groups = np.arange(100) // 4
    found = units_of(Table.of(X, np.arange(100) % 3, groups=groups), 5)
    assert len(np.unique(found.codes)) == 25


def test_fewer_groups_than_folds_are_refused_by_name():
    X = pl.DataFrame({"a": np.arange(30.0)})
    with pytest.raises(DataError, match="'ward' has 3 groups, but 5 folds"):
        units_of(Table.of(X, np.arange(30) % 2, groups=pl.Series("ward", np.arange(30) % 3)), 5)


def test_values_are_stratified_by_their_quantiles():
    values = np.random.default_rng(0).lognormal(size=500)
    fold = assign(strata_of(values, "regression", 5), np.arange(500), _ids(500), 5, 0, 0)
    means = [np.log(values[fold == k]).mean() for k in range(5)]
    assert np.ptp(means) < 0.1


def test_fingerprint_sees_every_cell_the_order_and_the_names():
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", None], "v": [[1.0, 2.0], [3.0, None], None]})
    known = fingerprint(frame)
    assert known == fingerprint(frame.clone())
    others = [
        frame.reverse(),
        frame.head(2),
        frame.rename({"a": "c"}),
        frame.with_columns(a=pl.Series([1.0, 2.0, 3.0])),
        frame.with_columns(v=pl.Series([[1.0, 2.0], [3.0, 4.0], None])),
    ]
    assert len({known, *map(fingerprint, others)}) == 6


# --- near copies ------------------------------------------------------------------------------------


def _near(rows=300, copies=30, jitter=1e-3):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 6))
    return np.vstack([X, X[:copies] + jitter * rng.normal(size=(copies, 6))])


def test_near_copies_form_one_unit_and_are_told():
    X = _near()
    found = units_of(Table.of(X, np.arange(330) % 2), 5)
    assert (found.codes[:30] == found.codes[300:]).all()
    assert len(np.unique(found.codes)) == 300
    assert [(f.kind, f.n_rows) for f in found.findings] == [("bench.near_together", 30)]


def test_rows_that_are_merely_alike_stay_apart():
    rng = np.random.default_rng(0)
    frames = [
        pl.DataFrame({"a": rng.normal(size=2000), "b": rng.normal(size=2000)}),
        pl.DataFrame({f"i{j}": rng.integers(0, 5, 2000) for j in range(8)}),
        pl.DataFrame({f"c{j}": rng.choice(["u", "v", "w"], 2000) for j in range(9)}),
    ]
    for X in frames:
        found = units_of(Table.of(X, np.arange(2000) % 2), 5)
        tied = sum(f.n_rows for f in found.findings if f.kind == "bench.near_together")
        assert tied <= 10, X.columns


def test_other_categories_and_other_gaps_are_no_near_copies():
    X = pl.DataFrame(_near(), schema=[f"x{j}" for j in range(6)])
    other = X.with_columns(c=pl.Series(["u"] * 300 + ["v"] * 30))
    assert units_of(Table.of(other, np.arange(330) % 2), 5).findings == []
    holed = X.with_columns(pl.when(pl.int_range(330) >= 300).then(None).otherwise("x0").alias("x0"))
    assert units_of(Table.of(holed, np.arange(330) % 2), 5).findings == []


def test_near_copies_tie_groups_together_and_the_order_of_rows_does_not_matter():
    X, groups = _near(), np.append(np.arange(300) // 3, 200 + np.arange(30) // 3)
    ids = np.arange(330, dtype=np.uint64)
    found = units_of(Table.of(X, np.arange(330) % 2, groups=groups), 5)
    assert found.codes[0] == found.codes[2] == found.codes[300]
    turn = np.random.default_rng(1).permutation(330)
    frame = pl.DataFrame(X).with_columns(__row__=pl.Series(ids))[turn]
    turned = units_of(Table.of(frame, (np.arange(330) % 2)[turn], groups=groups[turn]), 5)
    same = lambda codes: codes[:, None] == codes[None, :]
    assert (same(turned.codes) == same(found.codes[turn])).all()


def test_what_is_too_large_to_search_is_told(monkeypatch):
    monkeypatch.setattr("tilth.stages.close.MOST_ROWS", 100)
    found = units_of(Table.of(_near(), np.arange(330) % 2), 5)
    assert [f.kind for f in found.findings] == ["bench.near_unknown"]
    assert len(np.unique(found.codes)) == 330
