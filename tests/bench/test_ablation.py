"""Leaving stages out: each is judged by what is lost without it."""

import json

import numpy as np
import polars as pl
import pytest

from tests.bench.planted import Adds, Loses, Needs, NoOp, gaussian
from tilth.bench import ablate
from tilth.bench.answering import RowsChanged
from tilth.errors import StageError
from tilth.stages.outliers.clip import OutliersClip


@pytest.fixture(scope="module")
def damaged():
    """Rows whose features were hit by outliers of 1e6, and their classes."""
    X, y = gaussian(800, strength=0.8)
    hit = np.random.default_rng(2).random((800, 8)) < 0.02
    return pl.DataFrame({f"x{j}": np.where(hit[:, j], 1e6, X[f"x{j}"].to_numpy()) for j in range(8)}), y


def test_the_stage_that_repairs_helps_and_the_idle_one_makes_no_difference(damaged):
    done = ablate([NoOp(), OutliersClip()], *damaged, probes=["linear"], repeats=2, n_jobs=1)
    idle, clip = done.verdicts
    assert (
        done.stages == (idle.stage, clip.stage) == ("test.noop", "outliers.clip") or idle.stage != clip.stage
    )
    assert idle.word == "no difference" and clip.word == "helps"
    assert clip.after > clip.before and done.of(clip.stage) == [clip]
    assert set(done.scores["arm"]) == {"full", *(f"without {s}" for s in done.stages)}
    ranking = done.ranking()
    assert ranking["stage"].to_list() == [clip.stage, idle.stage] and ranking["rank"].to_list() == [1, 2]
    told = json.loads(done.to_json())
    assert told["stages"] == list(done.stages)
    assert any(line.startswith(f"{clip.stage}: linear, roc_auc: helps.") for line in done.in_words())


def test_a_stage_that_a_later_one_needs_is_not_testable_and_the_verdict_says_why():
    steps = [("adds", Adds()), ("needs", Needs())]
    done = ablate(steps, *gaussian(200, strength=1.5), probes=["linear"], repeats=1, n_jobs=1)
    adds, needs = done.verdicts
    assert adds.word == "not testable" and "cannot run" in adds.note and "made" in adds.note
    assert needs.word == "indication"


def test_a_pipeline_that_cannot_run_as_a_whole_is_an_error(damaged):
    with pytest.raises(StageError, match="no stages"):
        ablate([], *damaged)
    with pytest.raises(ValueError, match="made") as caught:
        ablate([Needs()], *damaged, probes=["linear"], n_jobs=1)
    assert any("'full' arm, repeat 1, fold 1" in note for note in caught.value.__notes__)


def test_a_leak_is_an_error_even_where_an_arm_may_fail(damaged):
    with pytest.raises(RowsChanged):
        ablate([NoOp(), Loses()], *damaged, probes=["linear"], n_jobs=1)
