"""BalanceRegression: formulas worked by hand and SciPy's density are the oracle."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import gaussian_kde

from tilth.core import fit
from tilth.errors import DataError, StageError, TilthWarning
from tilth.stages.balance.regression import BalanceRegression
from tilth.table import Table

POINTS = [[-3.0, 1.0], [0.0, 0.0], [3.0, 1.0]]


def rows_of(n: int = 400, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Make mixed rows whose target has tails."""
    random = np.random.default_rng(seed)
    y = random.standard_t(3, n)
    X = pl.DataFrame(
        {
            "a": y + random.normal(0, 0.5, n),
            "b": (y * 2 + random.normal(0, 0.5, n)).astype(np.float32),
            "n": random.integers(0, 9, n),
            "c": random.choice(["p", "q", "r"], n),
            "flag": random.random(n) < 0.5,
        }
    )
    return X, y


def smogn(**more: object) -> BalanceRegression:
    return BalanceRegression(**{"method": "smogn", "relevance": POINTS, **more})


# Weights


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_weights_are_one_less_the_density_scipy_gives(alpha: float) -> None:
    X, y = rows_of()
    stage = BalanceRegression(alpha=alpha, bandwidth=0.4).fit(X, y)
    peer = gaussian_kde(y)
    peer.set_bandwidth(0.4 / y.std(ddof=1))
    density = peer(y)
    brought = (density - density.min()) / np.ptp(density)
    expected = np.maximum(1 - alpha * brought, 1e-6)
    expected /= expected.mean()
    np.testing.assert_allclose(stage.plan_.weight, expected, atol=2e-3 * expected.max())
    assert stage.plan_.weight.sum() == pytest.approx(400)


def test_by_default_the_bandwidth_is_silvermans() -> None:
    X, y = rows_of()
    given = BalanceRegression(bandwidth=1.06 * y.std() * 400**-0.2).fit(X, y).plan_.weight
    np.testing.assert_allclose(BalanceRegression().fit(X, y).plan_.weight, given, rtol=1e-9)


def test_smoothed_counts_are_inverted_to_a_power_and_bins_have_a_width_in_the_targets_unit() -> None:
    X, y = pl.DataFrame({"a": range(4)}), np.array([0.0, 10.0, 10.0, 10.0])
    near, far = 1.0, np.exp(-0.5)
    for alpha in (0.5, 1.0):
        stage = BalanceRegression(method="lds", alpha=alpha, bins=2, bandwidth=5.0).fit(X, y)
        expected = np.array([near + 3 * far, *[3 * near + far] * 3]) ** -alpha
        np.testing.assert_allclose(stage.plan_.weight, expected / expected.mean(), rtol=1e-12)
    by_default = BalanceRegression(method="lds", bins=10).fit(X, y).plan_.weight
    np.testing.assert_allclose(
        by_default, BalanceRegression(method="lds", bins=10, bandwidth=2.0).fit(X, y).plan_.weight
    )


@pytest.mark.parametrize("method", ["weight", "lds"])
def test_weights_count_as_rows_and_their_sum_stays(method: str) -> None:
    X, y = rows_of(60)
    times = np.arange(60) % 3
    stage = BalanceRegression(method=method, bandwidth=0.7)
    _, _, weighted = stage.fit_resample(X, y, sample_weight=times.astype(float))
    repeated = np.repeat(np.arange(60), times)
    whole = stage.fit(X[repeated], y[repeated]).plan_.weight
    np.testing.assert_allclose(np.repeat(weighted / np.maximum(times, 1), times), whole, rtol=1e-6)
    assert weighted.sum() == pytest.approx(times.sum())
    assert (weighted[times == 0] == 0).all()


@pytest.mark.parametrize("method", ["weight", "lds"])
def test_no_alpha_changes_nothing_and_more_of_it_changes_more(method: str) -> None:
    X, y = rows_of()
    spread = [np.ptp(BalanceRegression(method=method, alpha=a).fit(X, y).plan_.weight) for a in (0, 0.3, 0.9)]
    assert spread[0] < 1e-12 < spread[1] < spread[2]


@pytest.mark.parametrize("method", ["weight", "lds", "over", "smogn"])
def test_the_unit_of_the_target_does_not_matter_and_huge_ones_are_served(method: str) -> None:
    X, y = rows_of(150)
    stage = BalanceRegression(method=method, k=1)
    one, other = stage.fit(X, y).plan_, BalanceRegression(method=method, k=1).fit(X, y * 2.0**1000).plan_
    assert one.times.tolist() == other.times.tolist()
    if one.weight is not None:
        np.testing.assert_allclose(one.weight, other.weight, rtol=1e-9)
    if one.fresh is not None:
        np.testing.assert_allclose(one.fresh["target"] * 2.0**1000, other.fresh["target"], rtol=1e-9)


# Repeating


def test_rare_rows_are_repeated_until_their_bump_has_an_average_one_and_none_is_dropped() -> None:
    X, y = rows_of()
    stage = BalanceRegression(method="over", relevance=POINTS)
    out, values = stage.fit_resample(X, y)
    bumps = [(y <= -1.5), (np.abs(y) < 1.5), (y >= 1.5)]
    average = round(400 / 3)
    assert [int((values <= -1.5).sum()), int((np.abs(values) < 1.5).sum()), int((values >= 1.5).sum())] == [
        average,
        int(bumps[1].sum()),
        average,
    ]
    times = stage.plan_.times
    assert (times[bumps[1]] == 1).all() and all(np.ptp(times[bump]) <= 1 for bump in bumps)
    assert out["a"][:400].equals(X["a"])
    assert stage.plan_.reason[np.argmin(y)].startswith(
        f"{bumps[0].sum()} of 400 values lie from {y.min():.6g}"
    )


def test_the_extreme_amount_is_in_proportion_to_one_by_the_count() -> None:
    X, y = rows_of()
    _, values = BalanceRegression(method="over", relevance=POINTS, amount="extreme").fit_resample(X, y)
    counts = np.array([(y <= -1.5).sum(), (np.abs(y) < 1.5).sum(), (y >= 1.5).sum()])
    wanted = np.round(400 / counts / (1 / counts).sum())
    assert (values <= -1.5).sum() == wanted[0] and (values >= 1.5).sum() == wanted[2]


def test_a_higher_threshold_and_one_side_alone_leave_fewer_rare() -> None:
    X, y = rows_of()
    count = {}
    for name, more in {
        "low": {"threshold": 0.1},
        "high": {"threshold": 1.0},
        "side": {"extremes": "high"},
    }.items():
        stage = BalanceRegression(method="over", **more).fit(X, y)
        (finding,) = [f for f in stage.findings_ if f.kind == "balance.rare"]
        count[name] = finding.n_rows
        assert (stage.plan_.times > 1).sum() <= finding.n_rows
    assert count["low"] > count["high"] and count["low"] > count["side"]


# Making rows


def test_counts_of_each_bump_are_exact_and_made_rows_stay_in_it() -> None:
    X, y = rows_of()
    stage = smogn()
    out, values = stage.fit_resample(X, y)
    average = round(400 / 3)
    assert [(values <= -1.5).sum(), (np.abs(values) < 1.5).sum(), (values >= 1.5).sum()] == [average] * 3
    assert out.schema == X.schema and out["b"].dtype == pl.Float32
    plan = stage.plan_
    parents, made = y[plan.parents], plan.fresh["target"].to_numpy()
    assert (np.sign(parents) == np.sign(made)[:, None]).all()
    assert (plan.times[np.abs(y) >= 1.5] == 1).all() and (plan.times[np.abs(y) < 1.5] <= 1).all()
    assert (plan.reason[plan.times == 0] != "").all()
    kept = smogn(drop=False).fit(X, y).plan_
    assert (kept.times == 1).all() and kept.fresh.equals(plan.fresh)


def test_rows_between_two_are_on_the_way_and_their_value_is_by_the_distances() -> None:
    random = np.random.default_rng(1)
    y = np.concatenate([random.normal(0, 0.3, 300), random.uniform(4, 6, 30)])
    X = pl.DataFrame({"a": y * 3 + random.normal(0, 0.1, 330), "b": y - random.normal(0, 0.1, 330)})
    plan = smogn().fit(X, y).plan_
    two = plan.parents[:, 0] != plan.parents[:, 1]
    assert two.mean() > 0.5
    rows, (one, other) = X.to_numpy(), plan.parents[two].T
    share = plan.shares[two, 1]
    made = plan.fresh.filter(pl.Series(two))
    np.testing.assert_allclose(
        made.select("a", "b").to_numpy(), rows[one] + share[:, None] * (rows[other] - rows[one]), rtol=1e-9
    )
    # On a straight line distances are as the shares are.
    np.testing.assert_allclose(made["target"], y[one] + share * (y[other] - y[one]), rtol=1e-9)
    scale = rows.std(axis=0)
    apart = np.linalg.norm((rows[one] - rows[other]) / scale, axis=1)
    bump = np.flatnonzero(y > 1.5)
    usual = [np.median(np.linalg.norm((rows[i] - rows[bump[bump != i]]) / scale, axis=1)) for i in one]
    assert (apart < np.array(usual) / 2).all()


def test_a_category_takes_a_parents_cell_and_moves_the_value_by_its_mismatch() -> None:
    random = np.random.default_rng(2)
    y = np.concatenate([random.normal(0, 0.3, 200), random.uniform(4, 6, 60)])
    # Rare rows lie in three places far apart, so that a mismatch is near.
    place = np.concatenate([np.zeros(200), np.repeat([-9.0, 0.0, 9.0], 20)])
    X = pl.DataFrame({"a": y, "b": place, "c": random.choice(["p", "q"], 260)})
    X = X.with_columns(pl.col("c").cast(pl.Enum(["p", "q", "unused"])))
    plan = smogn(k=15).fit(X, y).plan_
    two = np.flatnonzero(plan.parents[:, 0] != plan.parents[:, 1])
    one, other = plan.parents[two].T
    made = plan.fresh[two]
    assert made.schema["c"] == X.schema["c"]
    from_one, from_other = (made["c"] == X["c"][one]).to_numpy(), (made["c"] == X["c"][other]).to_numpy()
    mixed = from_one != from_other
    assert mixed.sum() > 20 and (from_one | from_other).all()
    assert 0.2 < from_one[mixed].mean() < 0.8
    numbers, cells = X.select("a", "b").to_numpy(), made.select("a", "b").to_numpy()
    scale = numbers.std(axis=0)
    far = [
        np.sqrt((((cells - numbers[parent]) / scale) ** 2).sum(axis=1) + ~same)
        for parent, same in ((one, from_one), (other, from_other))
    ]
    whole = far[0] + far[1]
    expected = (far[1] * y[one] + far[0] * y[other]) / np.where(whole > 0, whole, 1)
    np.testing.assert_allclose(made["target"].to_numpy()[whole > 0], expected[whole > 0], rtol=1e-9)


def test_rows_around_one_have_its_cells_moved_within_the_bump() -> None:
    X, y = rows_of()
    plan = smogn(noise=0.5).fit(X, y).plan_
    one = np.flatnonzero(plan.parents[:, 0] == plan.parents[:, 1])
    base = plan.parents[one, 0]
    made = plan.fresh[one]
    assert len(one) > 20 and (plan.shares[one] == [1, 0]).all()
    assert made["c"].equals(X["c"][base]) and made["flag"].equals(X["flag"][base])
    moved = (made["a"] - X["a"][base]).to_numpy()
    assert np.mean(moved != 0) > 0.5
    for side in (-1, 1):
        own = X["a"].filter(pl.Series(side * y >= 1.5))
        assert made["a"].filter(pl.Series(side * y[base] >= 1.5)).is_between(own.min(), own.max()).all()
    still = smogn(noise=0.0).fit(X, y).plan_
    assert (
        still.fresh[one]
        .select("a", "n", "target")
        .equals(X.with_columns(target=y)[base].select("a", "n", "target"))
    )


def test_noise_is_as_wide_as_asked_for() -> None:
    random = np.random.default_rng(3)
    y = np.concatenate([random.normal(0, 0.5, 2000), random.uniform(3, 40, 500)])
    X = pl.DataFrame({"a": random.normal(0, 7, 2500)})
    points = [[0.0, 0.0], [3.0, 1.0]]
    # One neighbor in 500 rows of one column is always near; the second of two far groups is not.
    groups = np.arange(2500)
    stage = BalanceRegression(method="smogn", relevance=points, noise=0.05)
    stage.fit(X, y, groups=groups)
    plan = stage.plan_
    base = plan.parents[:, 0]
    moved = (plan.fresh["a"] - X["a"][base]).to_numpy() / X["a"][np.flatnonzero(y > 2)].to_numpy().std()
    assert moved.std() == pytest.approx(0.05, rel=0.1)
    (alone,) = [f for f in stage.findings_ if f.kind == "balance.alone"]
    assert alone.n_rows == (y > 1.5).sum()


def test_parents_are_of_one_group_and_rows_follow_it() -> None:
    X, y = rows_of()
    groups = np.array([f"g{i}" for i in range(400)])
    groups[np.abs(y) >= 1.5] = np.where(np.arange((np.abs(y) >= 1.5).sum()) % 2, "even", "odd")
    stage = smogn()
    out, _, weight, after = stage.fit_resample(X, y, sample_weight=np.arange(400.0), groups=groups)
    plan = stage.plan_
    assert (groups[plan.parents[:, 0]] == groups[plan.parents[:, 1]]).all()
    assert (plan.parents[:, 0] != plan.parents[:, 1]).any()
    made = plan.fresh.height
    assert after[-made:].tolist() == groups[plan.parents[:, 0]].tolist()
    np.testing.assert_allclose(weight[-made:], (plan.parents * plan.shares).sum(axis=1))
    assert len(out) == len(after)


def test_gaps_stay_where_the_first_parent_has_one() -> None:
    X, y = rows_of()
    holes = np.random.default_rng(4).random(400) < 0.3
    X = X.with_columns(pl.when(~pl.Series(holes)).then(pl.col("a")).alias("a"))
    X = X.with_columns(pl.when(~pl.Series(holes)).then(pl.col("n")).alias("n"))
    plan = smogn().fit(X, y).plan_
    assert (plan.fresh["a"].is_null().to_numpy() == holes[plan.parents[:, 0]]).all()
    assert plan.fresh["n"].null_count() == plan.fresh["a"].null_count() > 0


def test_what_is_made_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    X, y = rows_of()
    table = Table.of(X, y)
    order = np.random.default_rng(0).permutation(400)
    turned = table.with_frame(table.frame.collect()[order].lazy())
    one, other = smogn().fit_table(table), smogn().fit_table(turned)
    assert one.fresh.equals(other.fresh)
    np.testing.assert_array_equal(one.times[order], other.times)
    np.testing.assert_array_equal(order[other.parents], one.parents)
    assert not smogn(random_state=1).fit_table(table).fresh.equals(one.fresh)


def test_more_neighbors_lead_farther() -> None:
    random = np.random.default_rng(3)
    y = np.concatenate([random.normal(0, 0.5, 900), random.uniform(3, 4, 100)])
    X = pl.DataFrame({"a": random.normal(0, 7, 1000)})
    reach = []
    for k in (1, 20):
        plan = smogn(k=k, relevance=[[0, 0], [3, 1]]).fit(X, y).plan_
        one, other = (X["a"].to_numpy()[p] for p in plan.parents.T)
        reach.append(np.abs(one - other).mean())
    assert reach[1] > 3 * reach[0]


# Targets and paths of a user


def test_whole_numbers_stay_whole_and_pandas_comes_back() -> None:
    X, y = rows_of()
    frame, target = X.to_pandas(), pd.Series(np.round(y * 10).astype("int32"), name="y")
    out, values = smogn(relevance=[[-30, 1], [0, 0], [30, 1]]).fit_resample(frame, target)
    assert isinstance(out, pd.DataFrame) and values.dtype == "int32" and out.dtypes.equals(frame.dtypes)
    out, values = smogn().fit_resample(X.select("a", "b").to_numpy(), y)
    assert isinstance(out, np.ndarray) and len(out) == len(values)


def test_rows_without_a_value_are_left_alone() -> None:
    X, y = rows_of()
    holed = pl.Series("y", [None if i % 5 == 0 else v for i, v in enumerate(y)])
    for method in ("weight", "lds", "over", "smogn"):
        plan = BalanceRegression(method=method, relevance=POINTS).fit(X, holed).plan_
        assert (plan.times[::5] == 1).all() and (plan.reason[::5] == "").all()
        assert plan.weight is None or (plan.weight[::5] == 1).all()
        assert plan.parents is None or (plan.parents % 5 != 0).all()


def test_few_rows_get_fewer_neighbors_with_a_warning_and_one_row_copies_moved_by_nothing() -> None:
    X, y = rows_of(200)
    y = np.clip(y, -1, 1)
    y[:3] = [5.0, 5.1, 5.2]
    stage = smogn(relevance=[[0, 0], [4, 1]])
    with pytest.warns(TilthWarning, match="3 of 200 values lie from 5 to 5.2: each has 2 neighbors"):
        stage.fit(X, y)
    (few,) = [f for f in stage.findings_ if f.kind == "balance.few"]
    assert few.n_rows == 3 and stage.plan_.fresh.height == 97
    y[1:3] = 0.5
    with pytest.warns(TilthWarning, match="each has 0 neighbors"):
        plan = smogn(relevance=[[0, 0], [4, 1]], noise=1.0).fit(X, y).plan_
    assert (plan.parents == 0).all()
    assert plan.fresh.select(X.columns).unique().equals(X[:1]) and (plan.fresh["target"] == 5).all()


def test_rows_of_texts_alone_are_repeated_with_their_value_moved() -> None:
    _, y = rows_of()
    X = pl.DataFrame({"t": [f"a text of its own, number {i}" for i in range(400)]})
    plan = smogn().fit(X, y).plan_
    assert (plan.parents[:, 0] == plan.parents[:, 1]).mean() > 0.5
    assert plan.fresh["t"].is_in(X["t"].implode()).all()


def test_findings_say_how_much_of_the_range_holds_how_few_rows() -> None:
    y = np.concatenate([np.linspace(0, 1, 95), [20, 40, 60, 80, 100]])
    stage = BalanceRegression().fit(np.arange(100.0)[:, None], y)
    (finding,) = stage.findings_
    assert finding.kind == "balance.values" and finding.score == 0 and finding.n_rows == 0
    assert "holds 0 of 100 rows" in finding.message and "0 to 100" in finding.message
    assert finding.remedy == {"balance.regression": {"method": "weight"}}
    assert BalanceRegression().fit(np.arange(100.0)[:, None], np.arange(100.0)).findings_ == []


def test_where_no_value_is_rare_nothing_is_done_and_said() -> None:
    X, y = np.arange(100.0)[:, None], np.arange(100.0)
    for method in ("over", "smogn"):
        stage = BalanceRegression(method=method).fit(X, y)
        assert (stage.plan_.times == 1).all() and stage.plan_.fresh is None
        assert "No value of 100 is rare" in stage.findings_[0].message


def test_classes_one_value_infinity_and_wrong_points_are_refused() -> None:
    X = np.arange(4.0)[:, None]
    with pytest.raises(DataError, match=r"works on numbers.*balance\.weight"):
        BalanceRegression().fit(X, ["a", "b", "a", "b"])
    with pytest.raises(DataError, match=r"one value, 3 \(n_samples=4\)"):
        BalanceRegression().fit(X, [3.0] * 4)
    with pytest.raises(DataError, match="infinite in 1 rows, the first being row 2"):
        BalanceRegression().fit(X, [1.0, 2.0, np.inf, 3.0])
    for points in ([[1, 0], [1, 1]], [[1, 0], [2, 1.5]]):
        with pytest.raises(StageError, match="values rising and relevance from 0 to 1"):
            BalanceRegression(method="over", relevance=points).fit(X, [1.0, 2.0, 3.0, 9.0])
    with pytest.raises(ValueError, match="relevance"):
        BalanceRegression(relevance=[[1, 0, 0], [2, 1, 0]]).fit(X, [1.0, 2.0, 3.0, 9.0])


def test_the_ledger_takes_back_what_was_made_dropped_and_weighted() -> None:
    X, y = rows_of()
    table = Table.of(X, y, groups=np.arange(400) // 8)
    for stage in (smogn(), BalanceRegression(), BalanceRegression(method="over")):
        done = fit([("b", stage)], table)
        assert done.ledger.account()["balanced"]
        assert done.ledger.undo("b", table).frame.collect().equals(table.frame.collect())
        assert done.prior == {}
