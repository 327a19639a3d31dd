"""Robustness: both arms on the same worse rows, judged as any other claim; attacks checked; failures told."""

import pickle
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.tree import DecisionTreeClassifier

from tests.bench.looking import judged, looked
from tests.probes.drawn import drawn
from tilth.bench import compare
from tilth.bench.corruptions import CLEAN, IMAGES, TABULAR
from tilth.bench.importance import Importance, groups_of
from tilth.bench.robustness import CHECK, LOOK, NOTE, Challenges
from tilth.bench.robustness_result import differs, robustness_of
from tilth.bench.statistics import holm
from tilth.bench.trial import facts_of
from tilth.core import ColumnStage
from tilth.errors import StageError
from tilth.probes import CNN, Transfer
from tilth.stages.embed.images import EmbedImages
from tilth.stages.scale.standard import ScaleStandard
from tilth.table import Roles, Table

N = 1500
QUICK = {"folds": 5, "repeats": 2, "n_jobs": 1}


def rows():
    rng = np.random.default_rng(0)
    X = pl.DataFrame(
        {"a": rng.normal(size=N), "b": 50 + 10 * rng.normal(size=N), "city": rng.choice(["x", "y"], N)}
    )
    told = X["a"] + (X["b"] - 50) / 10 + (X["city"] == "x") + pl.Series(rng.normal(size=N)) * 0.5
    return X, (told > 0.5).cast(pl.Int64).alias("y")


@pytest.fixture(scope="module")
def data():
    return rows()


class OneHot(ColumnStage):
    """Make a number of the city."""

    handles: ClassVar = ("categorical",)
    takes_gaps: ClassVar = True

    def change(self, frame):
        return frame.with_columns(city=(pl.col("city") == "x").fill_null(value=False).cast(pl.Float64))


class Guard(ColumnStage):
    """Take values that lie far out for missing: no use on rows as they are, much where units are mixed up."""

    handles: ClassVar = ("numeric",)
    takes_gaps: ClassVar = True

    def change(self, frame):
        numbers = pl.col("a", "b")
        return frame.with_columns(pl.when(numbers.abs() < 100).then(numbers))


@pytest.fixture(scope="module")
def compared(data):
    return compare(None, [Guard()], *data, probes=["linear"], robustness=True, **QUICK)


def word(compared, told, probe="linear"):
    return next(v for v in compared.robustness.verdicts if (v.stage, v.probe) == (told, probe))


def test_a_stage_that_does_nothing_to_the_rows_as_they_are_can_help_where_they_are_worse(compared):
    assert {v.word for v in compared.verdicts} == {"no difference"}
    helped = word(compared, "mixed-up units, 20% of the cells")
    assert helped.word == "helps"
    assert differs(helped)
    same = word(compared, "noise, 0.5 sd")
    assert (same.word, same.difference) == ("no difference", 0)
    assert not differs(same)


def test_the_rows_as_they_are_score_what_the_comparison_says(compared):
    of = compared.robustness.scores.filter(pl.col("challenge") == CLEAN)
    keys = ["probe", "metric", "arm", "repeat", "fold"]
    both = of.select(*keys, "value").join(compared.scores, on=keys, suffix="_there")
    assert both.height == of.height > 0
    assert (both["value"] == both["value_there"]).all()


def test_every_challenge_is_scored_for_every_probe_and_arm_in_every_fold(compared):
    scores = compared.robustness.scores
    told = [c.told for c in TABULAR]
    assert set(told) <= set(scores["told"])
    counts = scores.filter(pl.col("told").is_in(told)).group_by("told", "probe", "arm", "metric").len()
    assert (counts["len"] == 10).all()
    assert counts.height == len(told) * 2 * 2


def test_scores_fall_with_the_level_and_the_loss_is_told(compared):
    table = compared.robustness.table().filter(
        (pl.col("probe") == "linear") & (pl.col("metric") == "roc_auc")
    )
    lost = table.filter(pl.col("challenge") == "missing cells").sort("level")["lost_before"].to_list()
    assert 0 < lost[0] < lost[1] < lost[2]
    assert table.filter(pl.col("challenge") == CLEAN)["lost_after"].item() == 0


def test_the_family_of_claims_is_their_own(compared):
    alone = compare(None, [Guard()], *rows(), probes=["linear"], **QUICK)
    assert [v.p_holm for v in alone.verdicts] == [v.p_holm for v in compared.verdicts]
    adjusted = [v.p_holm for v in compared.robustness.verdicts]
    assert adjusted == pytest.approx(holm([v.p for v in compared.robustness.verdicts]).tolist())


def test_attacks_are_checked(compared):
    checks = compared.robustness.checks
    assert set(checks["arm"]) == {"before", "after"}
    assert checks["holds"].all()
    assert checks.height == 2 * 5
    assert compared.robustness.notes == []


def test_who_is_attacked_by_the_gradients_of_another_is_said_and_not_checked(data):
    lines = Challenges()(judged(*data, ("tree", DecisionTreeClassifier(max_depth=3)), OneHot()))
    (note,) = [line for line in lines if line["look"] == NOTE]
    assert "by the gradients of linear" in note["told"]
    assert not [line for line in lines if line["look"] == CHECK]
    assert {line["told"] for line in lines if line["look"] == LOOK} >= {"FGSM, 0.05 sd", "FGSM, 0.1 sd"}
    assert not any(line["told"].startswith("PGD") for line in lines if line["look"] == LOOK)


def test_an_attack_that_does_nothing_is_called_unsound(data, monkeypatch):
    from tilth.bench import attacks

    monkeypatch.setattr(attacks, "_moved", lambda method, epsilon, seed, losses, start, **more: start)
    design, lines = looked(Challenges(), *data, ["linear"], None, None)
    found = robustness_of(lines, facts_of(design, pl.DataFrame({"arm": ["before"], "share_kept": [1.0]})))
    failed = found.checks.filter(~pl.col("holds"))
    assert failed["check"].to_list() == ["accuracy: pgd 10 no better than guessing"] * 2
    assert any("not sound" in line for line in found.in_words())


class Blind(ColumnStage):
    """Hide a column in half of the rows."""

    handles: ClassVar = ("numeric",)
    takes_gaps: ClassVar = True

    def change(self, frame):
        return frame.with_columns(a=pl.when(pl.col("side") != "left").then("a"))


class Fussy(ColumnStage):
    """Take no category that was not there in fitting."""

    handles: ClassVar = ("categorical",)
    takes_gaps: ClassVar = True

    def change(self, frame):
        return frame.with_columns(pl.col("city").map_batches(self._checked, return_dtype=pl.String))

    def _checked(self, city):
        if not city.drop_nulls().is_in(["x", "y"]).all():
            raise StageError("An unknown city.")
        return city


def test_a_stage_that_cannot_take_the_worse_rows_is_told_and_the_rest_goes_on(data):
    done = compare(None, [Fussy()], *data, probes=["linear"], robustness=True, **QUICK)
    cannot = [n.message for n in done.robustness.notes if "cannot take" in n.message]
    assert len(cannot) == 3
    assert all("linear, after, in 10 folds" in message for message in cannot)
    assert word(done, "unseen categories, 10% of the cells").word == "not testable"
    assert word(done, "missing cells, 10% of the cells").word == "no difference"


def test_a_regression_is_scored_by_its_error_and_moved_by_it(data):
    X, _ = data
    done = compare(
        None, [ScaleStandard()], X, X["a"] + X["b"] / 10, probes=["linear"], robustness=True, **QUICK
    )
    table = done.robustness.table().filter(pl.col("metric") == "rmse")
    assert (table.filter(pl.col("challenge") == "fgsm")["lost_before"] > 0).all()
    assert done.robustness.checks["holds"].all()
    assert set(done.robustness.scores["metric"]) == {"rmse", "r2"}


def test_images_are_made_worse_and_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shapes").mkdir()
    frame, kinds = drawn(tmp_path / "shapes", 60)[:2]
    X = Table.of(frame, pl.Series("kind", kinds), roles=Roles(image="path"))
    for name, model, attacked in (
        ("cnn", CNN(widths=(8,), side=16, max_epochs=2, device="cpu"), True),
        ("transfer", Transfer(model="histograms"), False),
    ):
        lines = Challenges()(judged(X, None, (name, model)))
        scored = {line["told"] for line in lines if line["look"] == LOOK}
        assert {c.told for c in IMAGES} <= scored
        assert ("PGD, 8/255" in scored) == attacked
        assert any(line["look"] == CHECK for line in lines) == attacked
        assert [line["about"] for line in lines if line["look"] == NOTE] == ["attack"] * (not attacked)


def test_tables_whose_only_column_is_of_images_are_not_made_worse_for_who_reads_no_image(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "shapes").mkdir()
    frame, kinds = drawn(tmp_path / "shapes", 60)[:2]
    X = Table.of(frame, pl.Series("kind", kinds), roles=Roles(image="path"))
    lines = Challenges()(judged(X, None, "linear", EmbedImages(model="histograms")))
    assert "images" in [line["about"] for line in lines if line["look"] == NOTE]
    assert {line["told"] for line in lines if line["look"] == LOOK} >= {CLEAN, "FGSM, 0.1 sd"}


def test_a_look_goes_to_other_processes_and_finds_the_same_there(data):
    of = judged(*data, "linear")
    for look in (Challenges(), Importance(groups_of(Table.of(*data), True), shuffles=2)):
        sent = pickle.loads(pickle.dumps(look))
        assert sent == look
        assert repr(sent(of)) == repr(look(of))


def test_nothing_is_looked_at_unasked(data):
    done = compare(None, [ScaleStandard()], *data, probes=["linear"], folds=3, repeats=1, n_jobs=1)
    assert done.explanation is None
    assert done.robustness is None
    assert "robustness" not in done.as_dict()


def test_a_comparison_tells_all_it_was_asked_for_in_words_and_as_json(data):
    done = compare(None, [Guard()], *data, probes=["linear"], robustness=True, explain={"all": "*"}, **QUICK)
    words = "\n".join(done.in_words())
    assert "linear, roc_auc: after relies most on all." in words
    assert "mixed-up units, 20% of the cells: linear, roc_auc: helps." in words
    told = done.as_dict()
    assert {line["column"] for line in told["explanation"]["importance"]} == {"all"}
    assert done.to_json()


def test_the_slices_that_lose_are_named_with_their_rows():
    rng = np.random.default_rng(1)
    X = pl.DataFrame({"a": rng.normal(size=1500), "side": rng.choice(["left", "right"], 1500)})
    y = (X["a"] + pl.Series(rng.normal(size=1500)) * 0.3 > 0).cast(pl.Int64).alias("y")
    done = compare(None, [Blind()], X, y, probes=["linear"], explain=["a"], **QUICK)
    worse = done.explanation.slices.filter(pl.col("worse"))
    assert "side = left" in worse["slice"].to_list()
    assert "side = right" not in worse["slice"].to_list()
    line = worse.filter(pl.col("slice") == "side = left").row(0, named=True)
    assert line["rows"] == (X["side"] == "left").sum()
    assert any(f"worse where side = left ({line['rows']} rows)" in told for told in done.in_words())
