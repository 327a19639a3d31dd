"""LabelsRegression: planted errors are the oracle for what is found, cleanlab is the peer."""

import warnings
from copy import copy
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.metrics import average_precision_score

from tilth.errors import DataError, TilthWarning
from tilth.stages import judging_numbers
from tilth.stages.labels.regression import LabelsRegression
from tilth.table import Table


@cache
def planted(name: str, share: float = 0.1, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Return features, values of which a share lies one to three deviations off, and which."""
    if name == "diabetes":
        X, y = load_diabetes(return_X_y=True)
    else:
        X, y = make_friedman1(400, 8, noise=1.0, random_state=3)
        if name == "uneven":
            y = y + np.random.default_rng(4).normal(0, np.where(X[:, 5] > 0.5, 6.0, 0.01))
    rng = np.random.default_rng([7, seed])
    wrong = np.zeros(len(y), dtype=bool)
    wrong[rng.choice(len(y), round(share * len(y)), replace=False)] = True
    off = rng.choice([-1, 1], len(y)) * rng.uniform(1, 3, len(y)) * y.std()
    return pl.DataFrame(X, schema=[f"x{j}" for j in range(X.shape[1])]), np.where(wrong, y + off, y), wrong


@cache
def judged(name: str = "diabetes") -> tuple[LabelsRegression, Table]:
    X, y, _ = planted(name)
    stage, table = LabelsRegression(probe="linear", action="report"), Table.of(X, y)
    stage.plan_ = stage.fit_table(table)
    return stage, table


def acting(name: str = "diabetes", **otherwise: object) -> LabelsRegression:
    """Return a stage that has judged the rows and is to act otherwise on them: that costs no fit."""
    return copy(judged(name)[0]).set_params(**{"action": "drop"} | otherwise)


def precision(score: np.ndarray, wrong: np.ndarray) -> float:
    return float(average_precision_score(wrong, -score))


def cleanlabs(X: pl.DataFrame, y: np.ndarray, probe: str) -> np.ndarray:
    from cleanlab.regression.learn import CleanLearning

    from tilth.probes import probe as made

    learner = CleanLearning(made(probe, task="regression", random_state=0), cv_n_folds=5, seed=0)
    return learner.find_label_issues(X.to_pandas(), y)["label_quality"].to_numpy()


@pytest.mark.parametrize(
    "name, probe", [("diabetes", "linear"), ("friedman", "linear"), ("uneven", "linear")]
)
def test_planted_errors_are_found_no_worse_than_by_cleanlab(name: str, probe: str) -> None:
    told, peer = [], []
    for seed in range(2):
        X, y, wrong = planted(name, seed=seed)
        plan = LabelsRegression(probe=probe, action="report").fit(X, y).plan_
        told.append(precision(plan.score, wrong))
        peer.append(precision(cleanlabs(X, y, probe), wrong))
    assert np.mean(told) >= np.mean(peer)


def test_few_right_values_are_flagged() -> None:
    X, y, wrong = planted("friedman")
    gone = acting("friedman").fit(X, y).plan_.times == 0
    assert (gone & wrong).sum() / wrong.sum() > 0.4
    assert (gone & ~wrong).sum() / gone.sum() < 0.1


def test_where_values_are_noisy_one_must_lie_farther_off() -> None:
    X, y, wrong = planted("uneven")
    stage = LabelsRegression(probe="boosting", repeats=1, action="report")
    local, residual = (
        stage.set_params(rank_by=rank_by).fit(X, y).plan_.score for rank_by in ("local", "residual")
    )
    assert precision(local, wrong) > precision(residual, wrong) + 0.02


def test_the_spread_ranks_and_flags_by_one_number_for_all_where_that_is_asked() -> None:
    stage, table = judged()
    found = stage.judge(table)
    plan = acting(rank_by="residual", action="report").fit_table(table)
    size = np.abs(found.residual)
    np.testing.assert_allclose(plan.score[found.rows], -size / (1.4826 * np.median(size)))


def test_the_probe_is_asked_about_rows_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    X, y = pl.DataFrame({"id": rng.permutation(300).astype(str)}), rng.normal(size=300)
    stage = LabelsRegression(probe="linear", action="report").fit(X, y)
    (fit,) = [f for f in stage.findings_ if f.kind == "labels.value_fit"]
    assert abs(fit.score) < 0.1


def test_findings_tell_the_share_and_the_worst_first() -> None:
    stage, table = judged()
    fit, issue = stage.findings_
    found, score = stage.judge(table), stage.plan_.score
    assert issue.kind == "labels.value_issue" and issue.n_rows == len(issue.rows)
    assert issue.score == pytest.approx(issue.n_rows / table.height)
    assert (np.diff(score[list(issue.rows)]) >= 0).all() and issue.rows[0] == score.argmin()
    assert f"{found.given[score[found.rows].argmin()]:.6g}, which looks like" in issue.message
    plain = np.abs(found.given - np.median(found.given)).mean()
    assert fit.score == pytest.approx(1 - np.abs(found.residual).mean() / plain)


def test_a_higher_rate_of_false_flags_flags_more_rows() -> None:
    _, table = judged("friedman")
    few, more = (
        acting("friedman", fdr=fdr, max_share=1.0).fit_table(table).times == 0 for fdr in (0.01, 0.3)
    )
    assert 0 < few.sum() < more.sum() and not (few & ~more).any()


@pytest.mark.parametrize("probe", ["linear", "boosting", "mlp"])
def test_a_judgment_does_not_depend_on_the_order_of_rows(probe: str) -> None:
    X, y, _ = planted("diabetes")
    table = Table.of(X[:120, :4], y[:120])
    order = np.random.default_rng(1).permutation(table.height)
    shuffled = table.with_frame(table.frame.collect()[order].lazy())
    one, other = (
        LabelsRegression(probe=probe, repeats=1, looks=1).fit_table(t).score for t in (table, shuffled)
    )
    np.testing.assert_array_equal(other, one[order])


@pytest.mark.parametrize("probe", ["linear", "boosting"])
def test_a_judgment_does_not_depend_on_the_unit(probe: str) -> None:
    X, y, _ = planted("diabetes")
    X, y = X[:120, :4], y[:120]
    one, other = (
        LabelsRegression(probe=probe, repeats=1).fit(X, values).plan_.score for values in (y, y * 2.0**-40)
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_same_seed_gives_the_same_plan_and_numpys_state_is_left_alone() -> None:
    X, y, _ = planted("diabetes")
    X, y = X[:120, :4], y[:120]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    scores = [
        LabelsRegression(probe="boosting", random_state=s, folds=2, repeats=1).fit(X, y).plan_.score
        for s in (5, 5, 6)
    ]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_drop_removes_the_rows_flagged_and_report_none() -> None:
    stage, table = judged()
    issue = stage.findings_[-1]
    assert (stage.plan_.times == 1).all()
    after = acting().fit_resample(table)
    assert set(table.ids) - set(after.ids) == set(issue.rows)


def test_relabel_brings_values_nearer_to_the_truth_and_changes_nothing_else() -> None:
    _, y, wrong = planted("friedman")
    truth = make_friedman1(400, 8, noise=1.0, random_state=3)[1]
    table = judged("friedman")[1]
    stage = acting("friedman", action="relabel")
    after = stage.fit_resample(table)
    assert after.frame.drop("target").collect().equals(table.frame.drop("target").collect())
    changed = after.y.to_numpy() != y
    assert changed.sum() > 15
    assert np.abs(after.y.to_numpy() - truth)[changed & wrong].mean() < 0.5 * np.abs(y - truth)[wrong].mean()
    right = y[stage.plan_.label.is_null().to_numpy()]
    assert right.min() <= after.y.min() and after.y.max() <= right.max()


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt16, pl.Float32, pl.Decimal(10, 2)])
def test_relabel_keeps_the_type_of_the_target(dtype: pl.DataType) -> None:
    X, y, _ = planted("friedman")
    target = pl.Series("y", np.clip(y * 10, 0, None).round()).cast(dtype)
    stage = LabelsRegression(probe="linear", repeats=1, action="relabel", fdr=0.2)
    X2, y2 = stage.fit_resample(X, target)
    assert y2.dtype == dtype and y2.null_count() == 0 and X2.equals(X)
    changed = (y2 != target).to_numpy()
    assert changed.any() and (changed == stage.plan_.label.is_not_null().to_numpy()).all()
    if dtype.is_integer():
        expected = stage.judge(Table.of(X, target)).expected[changed]
        np.testing.assert_array_equal(
            y2.to_numpy()[changed],
            np.clip(expected, (kept := target.filter(pl.Series(~changed))).min(), kept.max()).round(),
        )


def test_weight_is_one_over_the_square_of_the_spreads_off() -> None:
    stage, table = judged()
    plan = acting(action="weight").fit_table(table)
    acted = plan.weight != 1
    assert acted.sum() == stage.findings_[-1].n_rows and (plan.times == 1).all()
    np.testing.assert_allclose(plan.weight[acted], 1 / plan.score[acted] ** 2)


def test_at_most_the_share_allowed_goes_the_farthest_off_first() -> None:
    _, table = judged()
    flagged = acting().fit_table(table).times == 0
    plan = acting(max_share=0.01).fit_table(table)
    few = plan.times == 0
    assert few.sum() == int(0.01 * table.height) < flagged.sum()
    assert plan.score[few].max() <= plan.score[flagged & ~few].min()


def test_reasons_name_the_value_given_and_the_value_expected() -> None:
    stage, table = judged()
    plan, found = acting().fit_table(table), stage.judge(table)
    row = int(plan.score.argmin())
    at = int(np.flatnonzero(found.rows == row)[0])
    assert plan.reason[row].startswith(f"given {found.given[at]:.6g}, looks like {found.expected[at]:.6g} (")
    assert ((plan.reason != "") == (plan.times == 0)).all()


def test_rows_without_a_value_are_left_alone() -> None:
    X, y, _ = planted("diabetes")
    holed = pl.Series("y", [None if i % 4 == 0 else v for i, v in enumerate(y)])
    for action in ("drop", "relabel"):
        stage = LabelsRegression(probe="linear", repeats=1, action=action)
        after = stage.fit_resample(Table.of(X, holed))
        assert after.y.null_count() == holed.null_count()
        missing = holed.is_null().to_numpy()
        assert (stage.plan_.times[missing] == 1).all()
        np.testing.assert_array_equal(np.isnan(stage.plan_.score), missing)
        known = holed.is_not_null()
        alone = LabelsRegression(probe="linear", repeats=1, action=action)
        kept = Table.of(X, holed)
        alone.plan_ = alone.fit_table(kept.with_frame(kept.frame.filter(known)))
        np.testing.assert_array_equal(alone.plan_.score, stage.plan_.score[~missing])


def test_groups_keep_copies_from_vouching_for_each_other() -> None:
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"key": np.repeat(rng.permutation(40), 5).astype(str)})
    y = np.repeat(rng.normal(size=40), 5) + rng.normal(0, 0.05, 200)
    stage = LabelsRegression(probe="linear", action="report")
    fits = []
    for table in (Table.of(X, y), Table.of(X, y, groups=np.repeat(np.arange(40), 5))):
        stage.fit_table(table)
        fits.append(next(f.score for f in stage.findings_ if f.kind == "labels.value_fit"))
    assert fits[0] > 0.6 > 0.1 > fits[1]


def test_weights_reach_the_probe_and_rows_of_weight_zero_are_not_judged() -> None:
    X, y, _ = planted("diabetes")
    weight = np.where(np.arange(len(y)) % 5 == 0, 0.0, 1.0 + np.arange(len(y)) % 3)
    given = {"probe": "linear", "repeats": 1, "action": "report"}
    plan = LabelsRegression(**given).fit(X, y, sample_weight=weight).plan_
    assert np.isnan(plan.score).tolist() == (weight == 0).tolist()
    even = LabelsRegression(**given).fit(X, y, sample_weight=(weight > 0) * 1.0).plan_
    assert np.nanmax(np.abs(even.score - plan.score)) > 1e-3


@pytest.mark.parametrize(
    "target",
    [
        pl.Series(["a", "b"] * 30),
        pl.Series(["a", "b"] * 30, dtype=pl.Categorical),
        pl.Series([True, False] * 30),
        pl.Series(["1.5", "2"] * 30),
        pl.Series([20_000, 20_001] * 30).cast(pl.Date),
    ],
)
def test_classes_are_refused_with_a_way_out(target: pl.Series) -> None:
    with pytest.raises(DataError, match=r"labels\.regression: works on numbers.*labels\.clean"):
        LabelsRegression().fit(np.arange(60.0).reshape(-1, 1), target)


def test_two_values_are_judged_and_pointed_to_the_stage_for_classes() -> None:
    stage = LabelsRegression(probe="linear").fit(np.arange(60.0).reshape(-1, 1), np.arange(60) // 30)
    (finding,) = [f for f in stage.findings_ if f.kind == "labels.value_classes"]
    assert finding.remedy == {"labels.clean": {"action": "report"}}


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_refused_with_its_row(value: float) -> None:
    y = np.arange(60.0)
    y[9] = value
    with pytest.raises(DataError, match="'target' is infinite in 1 rows, the first being row 9"):
        LabelsRegression().fit(np.zeros((60, 1)), y)


@pytest.mark.parametrize(
    "values, groups, why",
    [
        ([3.5] * 60, None, "all values are 3.5"),
        ([1.0], None, "1 rows have a value"),
        ([None] * 9 + [1.0], None, "1 rows have a value"),
        ([None] * 9, None, "0 rows have a value"),
        (list(range(30)), ["a"] * 30, "all rows are of one group"),
    ],
)
def test_where_nothing_can_be_judged_nothing_is_done_and_that_is_said(values, groups, why: str) -> None:
    y = pl.Series("y", values, dtype=pl.Float64)
    stage = LabelsRegression().fit(np.zeros((len(y), 1)), y, groups=groups)
    assert (stage.plan_.times == 1).all()
    (finding,) = stage.findings_
    assert finding.kind == "labels.value_unjudged" and why in finding.message


@pytest.mark.parametrize("probe", ["auto", "linear", "boosting"])
@pytest.mark.parametrize("rows", [2, 3, 5, 12])
def test_few_rows_get_an_answer(rows: int, probe: str) -> None:
    X, y, _ = planted("diabetes")
    with warnings.catch_warnings():
        # Boosting says that it cannot stop early.
        warnings.simplefilter("ignore", TilthWarning)
        plan = LabelsRegression(probe=probe, repeats=1).fit(X[:rows, :2], y[:rows]).plan_
    assert np.isfinite(plan.score).all() and (plan.times == 1).sum() >= rows - 1


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_huge_and_tiny_values_are_judged_like_others(unit: float) -> None:
    X = pl.DataFrame({"a": np.arange(50.0)})
    y = np.arange(50.0) + np.arange(50) % 3
    y[20] = 90
    plan = LabelsRegression(probe="linear", action="relabel").fit(X, y * unit).plan_
    assert plan.label.is_not_null().arg_true().to_list() == [20]
    assert plan.label[20] / unit == pytest.approx(21, abs=3)


def test_more_than_half_equal_values_are_judged() -> None:
    rng = np.random.default_rng(0)
    X, y = pl.DataFrame({"a": rng.normal(size=100)}), np.where(np.arange(100) % 10 == 0, 7.0, 2.0)
    plan = LabelsRegression(probe="linear").fit(X, y).plan_
    assert np.isfinite(plan.score).all()
    assert plan.score[y == 7].max() < plan.score[y == 2].min()


def test_a_target_is_needed() -> None:
    with pytest.raises(DataError, match="requires y"):
        LabelsRegression().fit(np.zeros((6, 1)))


def test_columns_no_probe_can_read_are_an_error_and_an_empty_choice_is_not() -> None:
    X = pl.DataFrame({"v": pl.Series([[1.0, 2.0]] * 20, dtype=pl.Array(pl.Float64, 2))})
    with pytest.raises(DataError, match="no column that a probe can read among v"):
        LabelsRegression().fit(X, np.arange(20.0))
    assert LabelsRegression(on=[]).fit(X, np.arange(20.0)).plan_.times.tolist() == [1] * 20


def test_mixed_columns_with_gaps_are_judged_by_every_probe() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    X = pl.DataFrame(
        {
            "n": np.where(rng.random(200) < 0.1, np.nan, truth + rng.normal(0, 0.2, 200)),
            "c": [None if i % 9 == 0 else "xy"[t] for i, t in enumerate(truth)],
            "b": truth == 1,
            "d": pl.Series(truth * 1000).cast(pl.Date),
        }
    )
    y = truth * 10 + rng.normal(0, 1, 200)
    y[:5] = 10 - y[:5]
    for probe in ("linear", "boosting", "mlp"):
        gone = LabelsRegression(probe=probe, folds=3, repeats=1).fit(X, y).plan_.times == 0
        assert gone[:5].all() and gone[5:].sum() <= 4


def test_pandas_and_numpy_come_back_as_they_came() -> None:
    X, y, _ = planted("friedman")
    frame, series = X.to_pandas(), pl.Series("price", y).to_pandas()
    frame.index = series.index = np.arange(len(y)) // 2
    plan = LabelsRegression(probe="linear", repeats=1).fit(X, y).plan_
    X2, y2 = LabelsRegression(probe="linear", repeats=1).fit_resample(frame, series)
    X3, y3 = LabelsRegression(probe="linear", repeats=1).fit_resample(X.to_numpy(), y)
    np.testing.assert_array_equal(X3, X.to_numpy()[plan.times == 1])
    np.testing.assert_array_equal(y3, y2.to_numpy())
    assert y2.name == "price" and X2.index.equals(frame.index[plan.times == 1])


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a model was fitted")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note each time that models are asked."""
    asked: list[object] = []
    ask = judging_numbers.out_of_fold
    monkeypatch.setattr(
        judging_numbers, "out_of_fold", lambda *args, **given: asked.append(given) or ask(*args, **given)
    )
    return asked


def test_what_is_done_with_a_judgment_costs_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("diabetes")
    stage = LabelsRegression(probe="linear", repeats=1).fit(X, y)
    told = {"rank_by": "residual", "action": "relabel", "fdr": 0.2, "max_share": 0.1}
    fresh = LabelsRegression(probe="linear", repeats=1, **told).fit(X, y).plan_
    monkeypatch.setattr(judging_numbers, "out_of_fold", refuse)
    plan = stage.set_params(**told).fit(X, y).plan_
    np.testing.assert_array_equal(plan.score, fresh.score)
    assert plan.label.equals(fresh.label)


@pytest.mark.parametrize(
    "change",
    [
        {"folds": 3},
        {"folds": "one"},
        {"random_state": 1},
        {"repeats": 1},
        {"looks": 1},
        {"probe": "boosting"},
        {"on": ["x0"]},
    ],
)
def test_what_leads_to_a_judgment_makes_a_new_one(change: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("diabetes")
    X, y = X[:60, :3], y[:60].copy()
    y[9] = 2000.0  # so that a second look has something to leave out
    given = {"probe": "linear", "repeats": 2}
    stage = LabelsRegression(**given).fit(X, y)
    before = stage.plan_.score
    asked = counted(monkeypatch)
    score = stage.set_params(**change).fit(X, y).plan_.score
    assert asked and (score != before).any()
    np.testing.assert_array_equal(score, LabelsRegression(**given | change).fit(X, y).plan_.score)


def test_each_look_asks_twice_per_dealing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("diabetes")
    asked = counted(monkeypatch)
    for looks, repeats in ((1, 1), (1, 3), (3, 2)):
        asked.clear()
        LabelsRegression(probe="boosting", folds=2, looks=looks, repeats=repeats).fit(X[:40, :2], y[:40])
        assert len(asked) == 2 * looks * repeats


def test_a_bundle_holds_the_judgment(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tilth.pipeline import Pipeline, load

    X, y, _ = planted("diabetes")
    table = Table.of(X, y)
    pipe = Pipeline([("labels", LabelsRegression(probe="linear", repeats=1))]).fit(table)
    pipe.save(tmp_path / "bundle")
    stage = load(tmp_path / "bundle").steps[0][1]
    monkeypatch.setattr(judging_numbers, "out_of_fold", refuse)
    plan = stage.set_params(action="weight").fit_table(table)
    assert (plan.weight < 1).sum() > 5


def test_an_estimator_judges_and_no_recipe_can_name_it() -> None:
    from sklearn.linear_model import BayesianRidge

    X, y, wrong = planted("friedman")
    stage = LabelsRegression(probe=BayesianRidge()).fit(X, y)
    assert not stage.recipe and LabelsRegression(probe="linear").recipe
    gone = stage.plan_.times == 0
    assert (gone & wrong).sum() / gone.sum() > 0.8
    assert "The BayesianRidge probe explains" in stage.findings_[0].message


def test_auto_takes_the_better_probe() -> None:
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"a": rng.uniform(-3, 3, 300)})
    noise = rng.normal(0, 0.1, 300)
    for y, best in ((X["a"].to_numpy() + noise, "linear"), (np.abs(X["a"].to_numpy()) + noise, "boosting")):
        stage = LabelsRegression(repeats=1, looks=1).fit(X, y)
        assert f"The {best} probe explains" in stage.findings_[0].message
