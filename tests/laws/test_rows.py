"""Laws 4 and 5 of row stages: a plan belongs to the ids of its rows, and everything stays with its row."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tests.laws.cases import FEATURES, ROLES, Case, alike, cases
from tests.laws.exceptions import NUMBERS
from tilth.core import RowStage
from tilth.core.plan import apply
from tilth.table import ROW, Table


def by_id(plan, table):
    """Return the plan as one frame, a row per source id."""
    frame = pl.DataFrame({ROW: table.ids, "times": plan.times})
    for name in ("weight", "label", "group", "reason", "score"):
        value = getattr(plan, name)
        if value is not None:
            frame = frame.with_columns(pl.Series(name, value))
    return frame.sort(ROW)


def groups_after(plan, groups):
    """Return the groups of all rows as the plan leaves them."""
    return groups if plan.group is None else plan.group.cast(groups.dtype).fill_null(groups)


@pytest.mark.parametrize("case", cases("seed of rows", RowStage))
def test_law_4_a_row_meets_the_same_fate_wherever_it_stands(case: Case):
    table = case.table()
    order = np.random.default_rng(0).permutation(table.height).tolist()
    turned = Table.of(case.rows()[order], roles=ROLES)
    plans = case.fitted().plan_, case.make().fit_table(turned)
    alike(by_id(plans[0], table), by_id(plans[1], turned))
    outs = [
        apply(p, t, case.key, seed=0).frame.collect().sort(ROW)
        for p, t in zip(plans, (table, turned), strict=True)
    ]
    alike(*outs)


@pytest.mark.parametrize("case", cases("seed", RowStage))
def test_law_4_planning_again_gives_the_same(case: Case):
    table, stage = case.table(), case.make()
    one = case.fitted().plan_
    for other in (stage.fit_table(table), stage.fit_table(table)):
        alike(by_id(one, table), by_id(other, table), rtol=0, atol=0)
        assert (one.fresh is None) == (other.fresh is None)
        if one.fresh is not None:
            assert one.fresh.equals(other.fresh)


@pytest.mark.parametrize("case", cases("roles", RowStage))
def test_law_5_target_weight_group_and_id_stay_with_their_row(case: Case):
    table, plan = case.table(), case.fitted().plan_
    after = apply(plan, table, case.key, seed=0)
    source, out = table.frame.collect(), after.frame.collect()
    sources = plan.sources
    old = sources >= 0
    was = source[sources[old]]
    now = out.filter(pl.Series(old))
    assert now.select(*FEATURES, "key").equals(was.select(*FEATURES, "key"))
    assert now["g"].equals(groups_after(plan, source["g"])[sources[old]])
    label = (
        pl.Series([None] * table.height, dtype=source["y"].dtype)
        if plan.label is None
        else plan.label.cast(source["y"].dtype)
    )
    assert now["y"].to_list() == pl.select(pl.coalesce(label[sources[old]], was["y"])).to_series().to_list()
    factor = np.ones(table.height) if plan.weight is None else plan.weight
    np.testing.assert_allclose(now["w"], was["w"].to_numpy() * factor[sources[old]], rtol=1e-15)
    kept = int((plan.times > 0).sum())
    assert out[ROW][:kept].to_list() == source[ROW].filter(pl.Series(plan.times > 0)).to_list()
    assert out[ROW].n_unique() == out.height
    if plan.fresh is not None:
        made = out.filter(pl.Series(~old))
        if case.key in NUMBERS:
            assert made["y"].is_between(source["y"].min(), source["y"].max()).all()
        else:
            assert made["y"].is_in(source["y"].implode()).all()
        assert made["g"].equals(groups_after(plan, source["g"])[plan.parents[:, 0]])
        low, high = source["w"].min(), source["w"].max()
        factor = np.ones(made.height) if plan.fresh_weight is None else plan.fresh_weight
        assert (made["w"] / pl.Series(factor)).is_between(low * 0.999, high * 1.001).all()


@pytest.mark.parametrize("form", ["polars", "pandas"])
@pytest.mark.parametrize("case", cases("roles", RowStage, many=True))
def test_law_5_the_same_holds_for_what_is_passed_beside_the_table(case: Case, form: str):
    rows = case.rows()
    X, y, w, g = rows.select(FEATURES), rows["y"], rows["w"], rows["g"]
    if form == "pandas":
        index = pd.Index(np.arange(len(rows)) // 2, name="twice")
        X, y, w, g = (part.to_pandas().set_axis(index) for part in (X, y, w, g))
    stage = case.make()
    X2, y2, w2, g2 = stage.fit_resample(X, y, sample_weight=w, groups=g)
    plan = stage.plan_
    old = plan.sources >= 0
    assert len(X2) == len(y2) == len(w2) == len(g2) == len(old)
    assert type(X2) is type(X)
    assert type(y2) is type(y)
    of = plan.sources[old]
    if form == "pandas":
        pd.testing.assert_frame_equal(X2[old].reset_index(drop=True), X.iloc[of].reset_index(drop=True))
        assert X2.dtypes.equals(X.dtypes)
        if old.all():
            assert X2.index.equals(X.index.take(of))
            assert y2.index.equals(X2.index)
        assert y2.name == "y"
    else:
        assert X2.filter(pl.Series(old)).equals(X[of])
        assert X2.schema == X.schema
    if plan.label is None:
        assert np.asarray(y2)[old].tolist() == np.asarray(y)[of].tolist()
    assert np.asarray(g2)[old].tolist() == groups_after(plan, rows["g"])[of].to_list()
    factor = np.ones(len(rows)) if plan.weight is None else plan.weight
    np.testing.assert_allclose(np.asarray(w2)[old], (np.asarray(w) * factor)[of], rtol=1e-12)


@pytest.mark.parametrize("case", cases("account", RowStage))
def test_law_5_the_ledger_accounts_for_every_row_and_can_take_it_back(case: Case):
    from tilth.core import fit

    table = case.table()
    done = fit([(case.key, case.make())], table)
    assert done.ledger.account()["balanced"]
    assert done.ledger.replay(table).frame.collect().equals(done.table.frame.collect())
    if case.key in done.ledger.stages:
        back = done.ledger.undo(case.key, table).frame.collect()
        assert back.equals(table.frame.collect())
