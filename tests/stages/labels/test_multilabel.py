"""labels.multilabel: what is flagged and scored is cleanlab's, and little data is no error."""

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from cleanlab.multilabel_classification import get_label_quality_scores
from cleanlab.multilabel_classification.filter import find_label_issues

from tilth.cli import main
from tilth.core import Ledger
from tilth.errors import DataError
from tilth.stages.labels.multilabel import LabelsMultilabel
from tilth.table import Table, read

NAMES = np.array(["big", "red", "round"])
QUICK = {"probe": "linear", "looks": 1}


def rows(count=300, wrong=0.05, seed=0):
    """Make features, the labels they tell, and the same with some labels flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, 3)) < (0.5, 0.3, 0.4)
    x = truth * 3.0 + rng.normal(size=(count, 3))
    flipped = rng.random(truth.shape) < wrong
    return pl.DataFrame({f"x{j}": x[:, j] for j in range(3)}), truth, truth ^ flipped


def texts(given, separator=";"):
    return pl.Series("tags", [separator.join(NAMES[row]) for row in given])


X, TRUTH, GIVEN = rows()
TAGS = texts(GIVEN)


@cache
def plain():
    """Return the stage fitted on the rows."""
    return LabelsMultilabel(**QUICK).fit(X, TAGS)


def test_flags_and_scores_are_cleanlabs_for_the_same_probabilities():
    asked = {}

    class Spy(LabelsMultilabel):
        def _judge(self, table, sets):
            asked["judged"], asked["p"] = super()._judge(table, sets)
            asked["given"] = sets.given
            return asked["judged"], asked["p"]

    plan = Spy(**QUICK, max_share=1.0).fit(X, TAGS).plan_
    assert (asked["judged"], asked["given"].tolist()) == ([0, 1, 2], GIVEN.tolist())
    labels = [np.flatnonzero(row).tolist() for row in GIVEN]
    peer = find_label_issues(labels, asked["p"], n_jobs=1)
    assert (plan.times == 0).tolist() == peer.tolist()
    assert 5 < peer.sum() < 100
    np.testing.assert_allclose(plan.score, get_label_quality_scores(labels, asked["p"]), atol=1e-9)


def test_wrong_labels_are_found():
    wrong = (GIVEN != TRUTH).any(axis=1)
    stage = plain()
    hit = stage.plan_.times == 0
    assert (wrong & hit).sum() > 0.7 * wrong.sum()
    assert (wrong & hit).sum() > 0.6 * hit.sum()
    found = stage.findings_[0]
    assert (found.kind, found.n_rows, found.score) == ("labels.issue", hit.sum(), pytest.approx(hit.mean()))


def test_relabel_flips_what_is_doubted_and_leaves_the_order_of_the_others():
    turned = pl.Series([";".join(NAMES[row][::-1]) for row in GIVEN])
    stage = LabelsMultilabel(**QUICK, action="relabel", threshold=0.8).fit(X, turned)
    label = stage.plan_.label
    changed = label.is_not_null().to_numpy()
    assert changed.sum() > 10
    now = [set(t.split(";")) - {""} for t in label.filter(label.is_not_null())]
    was = [set(NAMES[row]) for row in GIVEN[changed]]
    right = [set(NAMES[row]) for row in TRUTH[changed]]
    agrees = lambda sets: np.mean([a == b for a, b in zip(sets, right, strict=True)])
    assert agrees(now) > 0.7
    assert agrees(was) < 0.3
    for text, before, after, reason in zip(
        label.filter(label.is_not_null()), was, now, stage.plan_.reason[changed], strict=True
    ):
        stay = [name for name in text.split(";") if name in before]
        assert stay == sorted(stay, reverse=True)
        for name in before - after:
            assert f"without '{name}'" in reason
        for name in after - before:
            assert f"with '{name}'" in reason
    assert (stage.plan_.reason[~changed] == "").all()
    sure = LabelsMultilabel(**QUICK, action="relabel", threshold=1.0).fit(X, turned).plan_
    assert sure.label.null_count() == len(X)


def test_weight_is_the_score_and_the_lowest_come_first():
    every = LabelsMultilabel(**QUICK, action="weight", max_share=1.0).fit(X, TAGS).plan_
    few = LabelsMultilabel(**QUICK, action="weight", max_share=0.02).fit(X, TAGS).plan_
    acted = few.weight != 1
    assert acted.sum() == 6
    np.testing.assert_allclose(few.weight[acted], few.score[acted])
    hit = every.weight != 1
    assert few.score[acted].max() <= np.sort(every.score[hit])[5]
    plan = LabelsMultilabel(**QUICK, action="report").fit(X, TAGS).plan_
    assert (plan.weight, plan.label, plan.times.sum()) == (None, None, len(X))


@pytest.mark.parametrize("separator", ["|", ", ", "·"])
def test_any_separator_and_spaces_give_the_same(separator):
    spaced = pl.Series(
        [f" {separator} ".join([*NAMES[row], NAMES[row][0]] if row.any() else []) for row in GIVEN]
    )
    other = LabelsMultilabel(**QUICK, separator=separator).fit(X, spaced).plan_
    np.testing.assert_allclose(other.score, plain().plan_.score)


def test_an_empty_text_has_no_label_and_a_missing_one_is_left_alone_or_has_none():
    empty = ~GIVEN.any(axis=1)
    assert empty.sum() > 20
    gone = TAGS.set(pl.Series(empty), None)
    same = LabelsMultilabel(**QUICK, missing="none").fit(X, gone).plan_
    np.testing.assert_allclose(same.score, plain().plan_.score)
    left = LabelsMultilabel(**QUICK).fit(X, gone).plan_
    assert np.isnan(left.score).tolist() == empty.tolist()
    assert (left.times[empty] == 1).all()


def test_rare_labels_are_told_and_judged_by_nobody():
    for tags in (TAGS.set(pl.Series(np.arange(300) == 7), "red;odd"), TAGS + ";all"):
        stage = LabelsMultilabel(**QUICK).fit(X, tags)
        rare = next(f for f in stage.findings_ if f.kind == "labels.rare")
        assert rare.score == 1
        assert ("'odd'" in rare.message) != ("'all'" in rare.message)
        assert np.isfinite(stage.plan_.score).all()
    unique = LabelsMultilabel(**QUICK).fit(X, [f"tag {i}" for i in range(300)])
    assert (unique.plan_.times == 1).all()
    assert unique.findings_[0].score == 300


def test_every_label_keeps_a_row():
    torn = pl.DataFrame({"v": [0.0, 0.0, 5.0, 5.0, 5.0, 5.0, 0.0, 0.0]})
    tags = ["a", "a;b", "a", "", "", "a;c", "c", "a"]
    stage = LabelsMultilabel(**QUICK, filter="predicted_neq_given", folds=2, max_share=1.0).fit(torn, tags)
    kept = {t for text, n in zip(tags, stage.plan_.times, strict=True) if n for t in text.split(";") if t}
    assert kept >= {"a", "c"}
    assert (stage.plan_.times == 0).any()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_rows_are_no_error(count):
    plan = LabelsMultilabel(**QUICK, folds=2).fit(X.head(count), TAGS.head(count)).plan_
    assert len(plan.times) == count


def test_rows_of_no_weight_are_left_alone_and_groups_stay_in_a_fold():
    weight = np.where(np.arange(300) % 10 == 0, 0.0, 1.0)
    plan = LabelsMultilabel(**QUICK).fit(X, TAGS, sample_weight=weight, groups=np.arange(300) // 3).plan_
    assert np.isnan(plan.score).tolist() == (weight == 0).tolist()


def test_whole_numbers_are_one_label_each_and_cannot_be_relabeled():
    y = np.where(TRUTH[:, 0], 1, 0)
    y[:5] = 1 - y[:5]
    plan = LabelsMultilabel(**QUICK).fit(X, y).plan_
    assert (plan.times[:5] == 0).sum() >= 4
    with pytest.raises(DataError, match="cannot hold several labels"):
        LabelsMultilabel(**QUICK, action="relabel").fit(X, y)
    with pytest.raises(DataError, match="Unknown label type: continuous"):
        LabelsMultilabel(**QUICK).fit(X, X["x0"])
    known = sorted({"", "red", "big", "big;red", "round", "big;red;round", "red;round"})
    narrow = TAGS.set(TAGS == "big;round", "big").cast(pl.Enum(known))
    with pytest.raises(DataError, match="no category for some new sets"):
        LabelsMultilabel(**QUICK, action="relabel", threshold=0.5).fit(X, narrow)


def test_lists_are_told_to_be_joined():
    with pytest.raises(DataError, match=r"holds List\(String\).*list.join\(';'\)"):
        LabelsMultilabel(**QUICK).fit(X, pl.Series("tags", [list(NAMES[row]) for row in GIVEN]))


def test_a_recipe_relabels_and_the_ledger_takes_it_back(tmp_path: Path):
    X.with_columns(texts(GIVEN, "|")).write_csv(tmp_path / "x.csv")
    stage = "labels.multilabel: {separator: '|', missing: none, action: relabel, probe: linear}"
    (tmp_path / "r.yaml").write_text(f"data: {{path: x.csv, target: tags}}\nstages:\n  - {stage}\n")
    assert main(["run", str(tmp_path / "r.yaml")]) == 0
    table, ledger = read(tmp_path / "x.csv", target="tags"), Ledger.read(tmp_path / "out")
    events = ledger.events.filter(pl.col("action") == "relabeled")
    assert events.height > 10
    out = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert ledger.replay(table).y.to_list() == out["tags"].to_list()
    assert ledger.undo("labels.multilabel", table).y.to_list() == table.y.to_list()
    assert Table.of(out.drop("row_id")).height == 300
