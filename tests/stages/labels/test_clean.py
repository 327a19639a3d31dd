"""LabelsClean: cleanlab is the oracle for the flags; planted flips are the oracle for what they are worth."""

import warnings
from copy import copy
from functools import cache

import numpy as np
import polars as pl
import pytest
from cleanlab.dataset import overall_label_health_score
from cleanlab.filter import find_label_issues
from sklearn.datasets import load_breast_cancer, load_digits

from tilth.errors import DataError, TilthWarning
from tilth.stages import judging
from tilth.stages.judging import Judgment
from tilth.stages.labels.clean import LabelsClean
from tilth.table import Table

FILTERS = [
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
]


@cache
def planted(name: str) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Return features, labels of which a tenth is flipped, and which."""
    X, y = (load_breast_cancer if name == "cancer" else load_digits)(return_X_y=True)
    rng = np.random.default_rng(7)
    flipped = np.zeros(len(y), dtype=bool)
    flipped[rng.choice(len(y), len(y) // 10, replace=False)] = True
    classes = y.max() + 1
    noisy = np.where(flipped, (y + rng.integers(1, classes, len(y))) % classes, y)
    return pl.DataFrame(X, schema=[f"x{j}" for j in range(X.shape[1])]), noisy, flipped


@cache
def judged(name: str = "cancer") -> tuple[LabelsClean, Table]:
    X, y, _ = planted(name)
    stage, table = LabelsClean(probe="linear", action="report"), Table.of(X, y)
    stage.fit_table(table)
    return stage, table


def acting(name: str = "cancer", **otherwise: object) -> LabelsClean:
    """Return a stage that has judged the rows and is to act otherwise on them: that costs no fit."""
    return copy(judged(name)[0]).set_params(**{"action": "drop"} | otherwise)


def own(found: Judgment) -> np.ndarray:
    """Return the probability of each row's given label."""
    return found.probabilities[np.arange(len(found.labels)), found.labels]


@pytest.mark.parametrize(
    "name, probe, filter, recall, precision",
    [
        ("cancer", "linear", "prune_by_noise_rate", 0.85, 0.75),
        ("cancer", "boosting", "prune_by_noise_rate", 0.75, 0.7),
        ("cancer", "linear", "predicted_neq_given", 0.9, 0.7),
        ("digits", "linear", "prune_by_noise_rate", 0.85, 0.75),
    ],
)
def test_planted_flips_are_found(name: str, probe: str, filter: str, recall: float, precision: float) -> None:
    X, y, flipped = planted(name)
    # A single dealing into folds is enough for boosting, which takes its time.
    stage = acting(name) if probe == "linear" else LabelsClean(probe=probe, repeats=1)
    gone = stage.set_params(filter=filter).fit(X, y).plan_.times == 0
    assert (gone & flipped).sum() / flipped.sum() >= recall
    assert (gone & flipped).sum() / gone.sum() >= precision


@pytest.mark.parametrize("filter", FILTERS)
def test_flags_are_those_of_cleanlab_for_the_same_probabilities(filter: str) -> None:
    stage, table = judged()
    found = stage.judge(table)
    mask = find_label_issues(planted("cancer")[1], found.probabilities, filter_by=filter, n_jobs=1)
    plan = acting(filter=filter, max_share=1.0).fit_table(table)
    np.testing.assert_array_equal(plan.times == 0, mask)


def test_the_probe_is_asked_about_rows_it_never_saw() -> None:
    rng = np.random.default_rng(0)
    X, y = pl.DataFrame({"id": rng.permutation(300).astype(str)}), rng.integers(0, 2, 300)
    # A level per row is learned by heart in sample; out of sample it says nothing.
    stage = LabelsClean(probe="linear", action="report").fit(X, y)
    quality = next(f for f in stage.findings_ if f.kind == "labels.quality")
    assert "agrees with" in quality.message
    found = stage.judge(Table.of(X, y))
    assert abs((found.probabilities.argmax(axis=1) == y).mean() - 0.5) < 0.1


def test_quality_is_cleanlabs_health_score_and_issues_come_worst_first() -> None:
    stage, table = judged()
    found = stage.judge(table)
    issue, quality = (
        next(f for f in stage.findings_ if f.kind == k) for k in ("labels.issue", "labels.quality")
    )
    peer = overall_label_health_score(found.labels, found.probabilities, verbose=False)
    assert quality.score == pytest.approx(peer)
    confidence = own(found)[list(issue.rows)]
    assert (np.diff(confidence) >= 0).all() and issue.n_rows == len(issue.rows)
    assert "Most often: given '" in issue.message


@pytest.mark.parametrize("probe", ["linear", "boosting", "mlp"])
def test_a_judgment_does_not_depend_on_the_order_of_rows(probe: str) -> None:
    X, y, _ = planted("cancer")
    table = Table.of(X[:150, :4], y[:150])
    order = np.random.default_rng(1).permutation(table.height)
    shuffled = table.with_frame(table.frame.collect()[order].lazy())
    one, other = (LabelsClean(probe=probe, repeats=1).fit_table(t).score for t in (table, shuffled))
    np.testing.assert_array_equal(other, one[order])


def test_the_same_seed_gives_the_same_plan_and_numpys_state_is_left_alone() -> None:
    X, y, _ = planted("cancer")
    X, y = X[:120, :4], y[:120]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    scores = [LabelsClean(probe="boosting", random_state=s, folds=2).fit(X, y).plan_.score for s in (5, 5, 6)]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["malign", "benign"])])
def test_labels_of_text_give_the_same_plan(dtype) -> None:
    X, y, _ = planted("cancer")
    text = pl.Series("y", np.where(y == 1, "malign", "benign")).cast(dtype)
    plan = LabelsClean(probe="linear").fit(X, text).plan_
    np.testing.assert_array_equal(plan.times, acting().fit_table(judged()[1]).times)
    gone = int(np.flatnonzero(plan.times == 0)[0])
    assert plan.reason[gone].startswith(f"given '{text[gone]}', looks like '")


def test_relabel_changes_labels_and_nothing_else() -> None:
    X, y, flipped = planted("cancer")
    text = pl.Series("y", np.where(y == 1, "malign", "benign"), dtype=pl.Categorical)
    table = Table.of(X, text)
    after = LabelsClean(probe="linear", action="relabel", threshold=0.7).fit_resample(table)
    assert after.frame.drop("y").collect().equals(table.frame.drop("y").collect())
    assert after.y.dtype == text.dtype
    truth = np.where(np.where(flipped, 1 - y, y) == 1, "malign", "benign")
    assert (after.y.cast(pl.String).to_numpy() == truth).mean() > 0.96


def test_a_higher_threshold_relabels_fewer_and_surer_rows() -> None:
    stage, table = judged()
    confident = stage.judge(table).probabilities.max(axis=1)
    loose, strict = (
        acting(action="relabel", threshold=t).fit_table(table).label.is_not_null().to_numpy()
        for t in (0.0, 0.9)
    )
    assert strict.sum() < loose.sum() and not (strict & ~loose).any()
    assert (confident[strict] >= 0.9).all()


def test_weight_is_the_confidence_in_the_given_label() -> None:
    stage, table = judged()
    plan = acting(action="weight").fit_table(table)
    found, acted = stage.judge(table), plan.weight != 1
    assert acted.any() and (plan.times == 1).all()
    np.testing.assert_array_equal(plan.weight[acted], own(found)[acted])


def test_at_most_the_share_allowed_goes_the_least_believed_first() -> None:
    stage, table = judged()
    confidence = own(stage.judge(table))
    flagged = acting().fit_table(table).times == 0
    few = acting(max_share=0.02).fit_table(table).times == 0
    assert few.sum() == int(0.02 * table.height)
    assert confidence[few].max() <= confidence[flagged & ~few].min()


def test_rows_without_a_label_are_left_alone() -> None:
    X, y, _ = planted("cancer")
    holed = pl.Series("y", [None if i % 4 == 0 else int(v) for i, v in enumerate(y)])
    stage = LabelsClean(probe="linear")
    for action in ("drop", "relabel"):
        after = stage.set_params(action=action).fit_resample(Table.of(X, holed))
        assert after.y.null_count() == holed.null_count()
        unlabeled = holed.is_null().to_numpy()
        assert (stage.plan_.times[unlabeled] == 1).all() and np.isnan(stage.plan_.score[unlabeled]).all()


def test_groups_keep_copies_from_vouching_for_each_other() -> None:
    rng = np.random.default_rng(0)
    X = pl.DataFrame({"key": np.repeat(rng.permutation(40), 5).astype(str)})
    y, groups = np.repeat(rng.integers(0, 2, 40), 5), np.repeat(np.arange(40), 5)
    stage = LabelsClean(probe="linear", action="report")
    agrees = []
    for table in (Table.of(X, y), Table.of(X, y, groups=groups)):
        stage.fit_table(table)
        agrees.append((stage.judge(table).probabilities.argmax(axis=1) == y).mean())
    assert agrees[0] > 0.9 > 0.7 > agrees[1]


def test_a_class_of_three_rows_is_judged_and_one_of_one_row_is_left_alone() -> None:
    X, y, _ = planted("cancer")
    labels = np.where(y == 1, "a", "b").astype(object)
    labels[[3, 50, 99]], labels[7] = "rare", "alone"
    stage = LabelsClean(probe="linear", max_share=1.0)
    plan = stage.fit(X, labels).plan_
    assert not np.isnan(plan.score[[3, 50, 99]]).any() and (plan.times[[3, 50, 99]] == 1).any()
    assert plan.times[7] == 1 and np.isnan(plan.score[7])
    (rare,) = [f for f in stage.findings_ if f.kind == "labels.rare"]
    assert "'alone'" in rare.message and "'rare'" not in rare.message
    assert (plan.times == 0).any()


@pytest.mark.parametrize("rows", [100, 300, 500])
@pytest.mark.parametrize("probe", ["auto", "linear", "boosting"])
@pytest.mark.parametrize("fewest", [1, 2, 3])
def test_few_rows_and_a_rare_class_never_raise(rows: int, probe: str, fewest: int) -> None:
    X, y, _ = planted("digits")
    labels = y[:rows] % 3
    rare = np.flatnonzero(labels == 2)
    labels[rare[fewest:]] = 0
    with warnings.catch_warnings():
        # Boosting says that it cannot stop early where a class has one row left.
        warnings.simplefilter("ignore", TilthWarning)
        plan = LabelsClean(probe=probe, repeats=1, folds=3).fit(X[:rows, ::8], labels).plan_
    assert (plan.times[rare[:fewest]] == 1).any()
    assert np.isnan(plan.score).sum() == (fewest == 1)


def test_a_class_never_loses_its_last_row() -> None:
    X = pl.DataFrame({"v": np.r_[np.zeros(60), np.ones(60), np.zeros(5)]})
    y = np.r_[np.zeros(60), np.ones(60), np.full(5, 2)].astype(int)
    plan = LabelsClean(probe="linear", filter="predicted_neq_given", max_share=1.0).fit(X, y).plan_
    assert (plan.times[y == 2] == 1).sum() == 1


def test_weights_reach_the_probe_and_rows_of_weight_zero_are_not_judged() -> None:
    X, y, _ = planted("cancer")
    weight = np.where(np.arange(len(y)) % 5 == 0, 0.0, 1.0 + np.arange(len(y)) % 3)
    table = Table.of(X, y, sample_weight=weight)
    stage = LabelsClean(probe="linear", action="report")
    plan = stage.fit_table(table)
    assert np.isnan(plan.score).tolist() == (weight == 0).tolist()
    even = LabelsClean(probe="linear", action="report").fit_table(
        Table.of(X, y, sample_weight=(weight > 0) * 1.0)
    )
    assert np.nanmax(np.abs(even.score - plan.score)) > 1e-3


@pytest.mark.parametrize("target", [np.linspace(0, 1, 60), np.arange(60)])
def test_a_regression_target_is_refused_with_a_way_out(target: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"labels\.clean.*regression.*quartiles"):
        LabelsClean().fit(np.zeros((60, 1)), target)


@pytest.mark.parametrize("labels", [list("aab"), ["a"] * 9 + ["b"], list("ab")])
def test_where_two_classes_cannot_be_judged_nothing_is_done_and_that_is_said(labels: list) -> None:
    stage = LabelsClean().fit(np.zeros((len(labels), 1)), pl.Series(labels, dtype=pl.String))
    assert (stage.plan_.times == 1).all()
    (finding,) = stage.findings_
    assert finding.kind == "labels.rare" and finding.message.startswith("No label was judged")


@pytest.mark.parametrize("labels", [["only"] * 60, [None] * 5 + ["only"]])
def test_a_target_of_one_class_is_refused(labels: list) -> None:
    with pytest.raises(DataError, match="has one class, 'only'"):
        LabelsClean().fit(np.zeros((len(labels), 1)), pl.Series(labels, dtype=pl.String))


def test_a_target_is_needed() -> None:
    with pytest.raises(DataError, match="requires y"):
        LabelsClean().fit(np.zeros((6, 1)))


def test_columns_no_probe_can_read_are_an_error_and_an_empty_choice_is_not() -> None:
    X = pl.DataFrame({"v": pl.Series([[1.0, 2.0]] * 20, dtype=pl.Array(pl.Float64, 2))})
    with pytest.raises(DataError, match="no column that a probe can read among v"):
        LabelsClean().fit(X, list("ab") * 10)
    assert LabelsClean(on=[]).fit(X, list("ab") * 10).plan_.times.tolist() == [1] * 20


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
    y = truth.copy()
    y[:10] = 1 - y[:10]
    for probe in ("linear", "boosting", "mlp"):
        stage = LabelsClean(probe=probe, filter="predicted_neq_given", folds=3)
        gone = stage.fit(X, y).plan_.times == 0
        assert gone[:10].sum() >= 9 and gone[10:].sum() <= 2


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a model was fitted")


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note each time that models are asked."""
    asked: list[str] = []
    ask = judging.out_of_fold
    monkeypatch.setattr(
        judging, "out_of_fold", lambda *args, **given: asked.append(given["probe"]) or ask(*args, **given)
    )
    return asked


def test_what_is_done_with_a_judgment_costs_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("cancer")
    stage = LabelsClean(probe="linear", repeats=2).fit(X, y)
    told = {"filter": "both", "rank_by": "normalized_margin", "action": "relabel", "threshold": 0.6}
    fresh = LabelsClean(probe="linear", repeats=2, **told).fit(X, y).plan_
    monkeypatch.setattr(judging, "out_of_fold", refuse)
    plan = stage.set_params(**told).fit(X, y).plan_
    np.testing.assert_array_equal(plan.score, fresh.score)
    assert plan.label.equals(fresh.label)
    assert [f.kind for f in stage.findings_] == ["labels.quality", "labels.issue"]


@pytest.mark.parametrize(
    "change",
    [
        {"folds": 3},
        {"random_state": 1},
        {"repeats": 1},
        {"looks": 1},
        {"probe": "boosting"},
        {"on": ["x0", "x1"]},
    ],
)
def test_what_leads_to_a_judgment_makes_a_new_one(change: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("cancer")
    X, y = X[:150, :4], y[:150]
    stage = LabelsClean(probe="linear", repeats=2).fit(X, y)
    asked = counted(monkeypatch)
    score = stage.set_params(**change).fit(X, y).plan_.score
    assert asked
    np.testing.assert_array_equal(
        score, LabelsClean(**{"probe": "linear", "repeats": 2} | change).fit(X, y).plan_.score
    )


@pytest.mark.parametrize("changed", ["cell", "label", "weight", "group", "row"])
def test_other_data_makes_a_new_judgment(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = planted("cancer")
    X, y = X[:150, :4], y[:150].copy()
    roles = {"sample_weight": np.ones(150), "groups": np.arange(150) // 2}
    stage = LabelsClean(probe="linear", repeats=1).fit(X, y, **roles)
    asked = counted(monkeypatch)
    stage.fit(X, y, **roles)
    assert asked == []
    if changed == "cell":
        X = X.with_columns(x0=pl.when(pl.int_range(pl.len()) == 9).then(99.0).otherwise("x0"))
    elif changed == "label":
        y[9] = 1 - y[9]
    elif changed == "weight":
        roles["sample_weight"] = np.where(np.arange(150) == 9, 2.0, 1.0)
    elif changed == "group":
        roles["groups"] = np.arange(150) // 3
    else:
        X, y, roles = X[1:], y[1:], {role: values[1:] for role, values in roles.items()}
    score = stage.fit(X, y, **roles).plan_.score
    again = list(asked)
    assert len(again) >= 3  # two penalties at least, and the second look
    fresh = LabelsClean(probe="linear", repeats=1).fit(X, y, **roles).plan_.score
    assert [who.C for who in asked[len(again) :]] == [who.C for who in again]
    np.testing.assert_array_equal(score, fresh)


def test_a_bundle_holds_the_judgment(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tilth.pipeline import Pipeline, load

    X, y, _ = planted("cancer")
    table = Table.of(X, y)
    pipe = Pipeline([("labels", LabelsClean(probe="linear", repeats=1))]).fit(table)
    pipe.save(tmp_path / "bundle")
    stage = load(tmp_path / "bundle").steps[0][1]
    monkeypatch.setattr(judging, "out_of_fold", refuse)
    plan = stage.set_params(action="weight").fit_table(table)
    assert (plan.weight < 1).sum() > 20


def test_an_estimator_judges_and_no_recipe_can_name_it() -> None:
    from sklearn.naive_bayes import GaussianNB

    X, y, flipped = planted("cancer")
    stage = LabelsClean(probe=GaussianNB()).fit(X, y)
    assert not stage.recipe and LabelsClean(probe="linear").recipe
    gone = stage.plan_.times == 0
    assert (gone & flipped).sum() / flipped.sum() > 0.8
    quality = next(f for f in stage.findings_ if f.kind == "labels.quality")
    assert "the GaussianNB probe agrees" in quality.message


def test_auto_tells_whom_it_chose_and_one_row_at_a_time_works() -> None:
    X, y, _ = planted("cancer")
    stage = LabelsClean(folds="one").fit(X[:60, :3], y[:60])
    quality = next(f for f in stage.findings_ if f.kind == "labels.quality")
    assert "the linear (C=" in quality.message or "the boosting probe agrees" in quality.message


def test_scores_are_cleanlabs() -> None:
    from cleanlab.rank import get_label_quality_scores

    stage, table = judged()
    found = stage.judge(table)
    for score in ("self_confidence", "normalized_margin", "confidence_weighted_entropy"):
        plan = acting(rank_by=score, action="report").fit_table(table)
        peer = get_label_quality_scores(found.labels, found.probabilities, method=score)
        np.testing.assert_allclose(plan.score, peer)


def test_an_estimator_that_cannot_be_written_down_judges_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    X, y, _ = planted("cancer")
    stage = LabelsClean(probe=make_pipeline(FunctionTransformer(lambda rows: rows), GaussianNB()), repeats=1)
    score = stage.fit(X, y).plan_.score
    asked = counted(monkeypatch)
    np.testing.assert_array_equal(stage.fit(X, y).plan_.score, score)
    assert len(asked) == 2
