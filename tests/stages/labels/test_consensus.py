"""labels.consensus: several people's labels become one, and the ledger tells which rows they changed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tilth
from tilth.cli import main
from tilth.core import Ledger
from tilth.core.plan import apply
from tilth.errors import DataError
from tilth.stages.labels.consensus import LabelsConsensus
from tilth.statistics.annotators import crowdlab, dawid_skene, majority
from tilth.table import Roles, Table, read

NAMES = ["a1", "a2", "a3"]
WORDS = np.array(["cat", "dog"])


def crowd(rows=200, seed=0):
    """Make features, what three people of different care say, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    votes = {
        name: pl.Series(WORDS[np.where(rng.random(rows) < right, truth, 1 - truth)]).set(
            pl.Series(rng.random(rows) < 0.2), None
        )
        for name, right in zip(NAMES, (0.95, 0.85, 0.6), strict=True)
    }
    frame = pl.DataFrame({"x": rng.normal(truth * 2.0, 1), "z": rng.normal(size=rows), **votes})
    return frame, WORDS[truth]


def coded(frame, names=NAMES):
    """Return the votes as codes."""
    return frame.select(
        pl.col(names).replace_strict({"cat": 0, "dog": 1}, default=None).fill_null(-1)
    ).to_numpy()


FRAME, TRUTH = crowd()
LABELED = (coded(FRAME) >= 0).any(axis=1)
ROLE = Roles(annotators=tuple(NAMES))


@pytest.mark.parametrize(("method", "arithmetic"), [("majority", majority), ("dawid_skene", dawid_skene)])
def test_the_target_becomes_the_consensus(method, arithmetic):
    table = Table.of(FRAME, roles=ROLE)
    stage = LabelsConsensus(method=method, on=[])
    plan = stage.fit_table(table)
    told = arithmetic(coded(FRAME)[LABELED], 2)
    after = apply(plan, table, stage.key)
    assert after.y.filter(pl.Series(LABELED)).to_list() == WORDS[told.labels].tolist()
    assert after.y.filter(pl.Series(~LABELED)).is_null().all()
    np.testing.assert_allclose(plan.score[LABELED], told.quality)
    assert np.isnan(plan.score[~LABELED]).all()
    assert after.features == ["x", "z"]


def test_crowdlab_asks_a_probe_that_sees_no_annotator():
    asked = {}

    class Spy(LabelsConsensus):
        def _judged(self, table, rows, told, seen):
            asked["seen"], asked["p"] = seen, super()._judged(table, rows, told, seen)
            asked["rows"] = rows
            return asked["p"]

    stage = Spy(annotators=NAMES, probe="linear")
    y = stage.fit_resample(FRAME)[1]
    assert asked["seen"] == ["x", "z"]
    told = crowdlab(coded(FRAME)[asked["rows"]], asked["p"])
    assert np.asarray(y)[asked["rows"]].tolist() == WORDS[told.labels].tolist()
    assert (np.asarray(y)[asked["rows"]] == TRUTH[asked["rows"]]).mean() > 0.9


def test_who_is_worse_than_others_is_found_and_nobody_else():
    stage = LabelsConsensus(annotators=NAMES, method="dawid_skene").fit(FRAME)
    of = {f.columns[0]: f for f in stage.findings_ if f.kind == "labels.annotator"}
    assert {name: f.severity for name, f in of.items()} == {"a1": "info", "a2": "info", "a3": "medium"}
    assert of["a1"].score > of["a2"].score > of["a3"].score
    assert "worse than the others" in of["a3"].message
    split = next(f for f in stage.findings_ if f.kind == "labels.consensus")
    votes = coded(FRAME)
    torn = ((votes == 0).any(axis=1) & (votes == 1).any(axis=1)).sum()
    assert f"disagree on {torn} of them" in split.message
    assert split.score == pytest.approx(torn / ((votes >= 0).sum(axis=1) > 1).sum())
    unlabeled = next(f for f in stage.findings_ if f.kind == "labels.unlabeled")
    assert unlabeled.score == pytest.approx((~LABELED).mean())


def test_drop_takes_rows_below_the_threshold_and_leaves_a_row_of_each_class():
    told = majority(coded(FRAME)[LABELED], 2)
    stage = LabelsConsensus(annotators=NAMES, method="majority", action="drop", threshold=0.6, on=[]).fit(
        FRAME
    )
    dropped = np.zeros(len(FRAME), bool)
    dropped[np.flatnonzero(LABELED)[told.quality < 0.6]] = True
    assert (stage.plan_.times == 0).tolist() == dropped.tolist()
    assert all(" annotators say '" in r for r in stage.plan_.reason[dropped])
    torn = pl.DataFrame({"v": range(4), "a": ["x", "x", "y", "y"], "b": ["y", "y", "x", "z"]})
    most = LabelsConsensus(annotators=["a", "b"], method="majority", action="drop", threshold=1.0, on=[])
    kept = most.fit(torn).plan_.times == 1
    assert kept.sum() == len(set(majority(np.array([[0, 1], [0, 1], [1, 0], [1, 2]]), 3).labels.tolist()))


def test_weight_is_the_quality_and_report_does_nothing():
    stage = LabelsConsensus(annotators=NAMES, method="dawid_skene", action="weight").fit(FRAME)
    np.testing.assert_allclose(stage.plan_.weight[LABELED], stage.plan_.score[LABELED])
    assert (stage.plan_.weight[~LABELED] == 1).all()
    plan = LabelsConsensus(annotators=NAMES, method="dawid_skene", action="report").fit(FRAME).plan_
    assert (plan.weight, plan.label, plan.times.tolist()) == (None, None, [1] * len(FRAME))


def test_a_target_that_is_there_is_corrected_and_the_reason_says_by_how_many():
    y = TRUTH.copy()
    y[0] = "dog" if y[0] == "cat" else "cat"
    frame = FRAME.with_columns(
        pl.lit(None, pl.String).alias("a3"), pl.Series("a1", TRUTH), pl.Series("a2", TRUTH)
    )
    stage = LabelsConsensus(annotators=["a1", "a2"], method="majority").fit(frame, y)
    assert np.flatnonzero(stage.plan_.reason != "").tolist() == [0]
    assert stage.plan_.reason[0] == f"2 of 2 annotators say '{TRUTH[0]}' (quality 1.00)"
    assert stage.fit_resample(frame, y)[1].tolist() == TRUTH.tolist()


def test_ties_of_two_annotators_go_to_the_probe():
    two = FRAME.with_columns(pl.Series("a1", TRUTH), pl.Series("a2", WORDS[1 - (TRUTH == "dog").astype(int)]))
    two = two.with_columns(pl.when(pl.int_range(pl.len()) % 3 == 0).then("a2").otherwise("a1").alias("a2"))
    alone = LabelsConsensus(annotators=["a1", "a2"], method="majority", on=[]).fit_resample(two)[1]
    helped = LabelsConsensus(annotators=["a1", "a2"], method="majority", probe="linear").fit_resample(two)[1]
    tied = np.arange(200) % 3 == 0
    assert len(set(alone[tied])) == 1
    assert (helped[tied] == TRUTH[tied]).mean() > 0.75
    assert (helped[~tied] == alone[~tied]).all()


@pytest.mark.parametrize("form", ["polars", "pandas", "numpy", "whole", "categorical", "boolean"])
def test_labels_may_come_in_any_container_and_type(form):
    codes = coded(FRAME).astype(float)
    numbers = np.column_stack([FRAME["x"], np.where(codes < 0, np.nan, codes)])
    names = ["x", *NAMES]
    X, annotators, words = FRAME.select(names), NAMES, WORDS
    if form == "pandas":
        X = X.to_pandas()
    elif form == "numpy":
        X, annotators, words = numbers, ["x1", "x2", "x3"], np.array([0.0, 1.0])
    elif form == "whole":
        X, words = (
            pd.DataFrame(numbers, columns=names).astype(dict.fromkeys(NAMES, "Int64")),
            np.array([0, 1]),
        )
    elif form == "categorical":
        X = X.with_columns(pl.col("a1").cast(pl.Categorical), pl.col("a2").cast(pl.Enum(["dog", "cat"])))
    elif form == "boolean":
        X, words = X.with_columns(pl.col(NAMES) == "dog"), np.array([False, True])
    y = LabelsConsensus(annotators=annotators, method="majority", on=[]).fit_resample(X)[1]
    expected = words[majority(coded(FRAME)[LABELED], 2).labels]
    assert np.asarray(y)[LABELED].tolist() == expected.tolist()


def test_an_annotator_who_shares_no_row_or_labels_none_is_said_so():
    frame = pl.DataFrame(
        {"v": range(4), "a": ["x", "y", None, None], "b": ["x", "y", None, None], "c": [None, None, "x", "y"]}
    ).with_columns(pl.lit(None, pl.String).alias("d"))
    for method in ("majority", "dawid_skene", "crowdlab"):
        stage = LabelsConsensus(annotators=["a", "b", "c", "d"], method=method, probe="linear", folds=2).fit(
            frame
        )
        of = {f.columns[0]: f.message for f in stage.findings_ if f.kind == "labels.annotator"}
        assert "cannot be told" in of["d"]
        assert ("cannot be told" in of["c"]) == (method != "dawid_skene")


@pytest.mark.parametrize("method", ["majority", "dawid_skene", "crowdlab"])
def test_one_class_or_no_label_at_all_is_an_answer(method):
    same = FRAME.with_columns(pl.lit("cat").alias(n) for n in NAMES)
    y = LabelsConsensus(annotators=NAMES, method=method, probe="linear").fit_resample(same)[1]
    assert set(y) == {"cat"}
    none = FRAME.with_columns(pl.lit(None, pl.String).alias(n) for n in NAMES)
    stage = LabelsConsensus(annotators=NAMES, method=method).fit(none)
    assert [f.kind for f in stage.findings_] == ["labels.unlabeled"]
    assert (stage.plan_.times == 1).all()


def test_what_is_missing_or_does_not_fit_is_said():
    with pytest.raises(DataError, match="no annotators are named"):
        LabelsConsensus().fit(FRAME, TRUTH)
    with pytest.raises(DataError, match="cannot hold what annotators say, such as 'cat'"):
        LabelsConsensus(annotators=NAMES, method="majority", on=[]).fit(FRAME, np.arange(200) % 2)
    with pytest.raises(DataError, match="types that do not mix"):
        LabelsConsensus(annotators=["a1", "v"], method="majority").fit(
            FRAME.with_columns(pl.Series("v", [[1.0]] * 200)), TRUTH
        )
    with pytest.raises(DataError, match="no column that a probe can read"):
        LabelsConsensus(annotators=NAMES).fit(FRAME.select(NAMES))
    with pytest.raises(DataError, match="y to be passed"):
        LabelsConsensus(annotators=NAMES, method="majority").fit_table(Table.of(FRAME))
    with pytest.raises(DataError, match="No row has labels of two annotators"):
        LabelsConsensus(annotators=["a1"]).fit(FRAME)


def test_weights_and_groups_are_heard():
    groups = np.arange(200) // 2
    stage = LabelsConsensus(annotators=NAMES, probe="linear")
    plain = stage.fit(FRAME).plan_.score
    other = stage.fit(FRAME, sample_weight=np.where(FRAME["x"] > 1, 20.0, 0.5), groups=groups).plan_.score
    assert not np.allclose(plain, other, equal_nan=True)
    assert np.isfinite(other[LABELED]).all()


RECIPE = """
data: {path: x.csv, annotators: [a1, a2, a3]}
stages:
  - labels.consensus: {probe: linear}
  - scale.robust
output: {dir: out, format: parquet}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FRAME.write_csv(tmp_path / "x.csv")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def test_a_recipe_with_annotators_runs_and_can_be_undone(folder: Path, capsys):
    assert main(["run", str(folder / "recipe.yaml")]) == 0
    out = pl.read_parquet(folder / "out" / "train.parquet")
    labels = out["label"].to_numpy()
    assert (labels[LABELED] == TRUTH[LABELED]).mean() > 0.9
    assert out.filter(pl.Series(~LABELED))["label"].is_null().all()
    assert out.columns == ["row_id", "x", "z", *NAMES, "label"]
    assert out.select(NAMES).equals(FRAME.select(NAMES))

    ledger = Ledger.read(folder / "out")
    events = ledger.events.filter(pl.col("action") == "relabeled")
    assert events["row"].sort().to_list() == np.flatnonzero(LABELED).tolist()
    assert events["after"].to_list() == labels[events["row"].to_numpy()].tolist()
    assert events["reason"].str.contains("annotators say").all()
    before = read(folder / "x.csv", annotators=NAMES)
    assert ledger.replay(before).y.to_list() == out["label"].to_list()
    assert ledger.undo("labels.consensus", before).y.is_null().all()
    found = json.loads((folder / "out" / "findings.json").read_text())
    assert {f["kind"] for f in found} >= {"labels.annotator", "labels.consensus"}


def test_the_bundle_keeps_the_role_and_predicts_without_annotators(folder: Path):
    main(["run", str(folder / "recipe.yaml")])
    pipe = tilth.load(folder / "out" / "bundle")
    assert pipe.roles_ == Roles(target="label", annotators=tuple(NAMES))
    new = crowd(20, seed=1)[0].select("x", "z")
    assert pipe.transform(new).columns == ["x", "z"]
    assert len(pipe.transform(new)) == 20
