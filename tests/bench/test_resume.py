"""A bench that was killed goes on where it stopped, and gives what it would have given."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer

from tests.bench.planted import NoOp, gaussian
from tilth.bench import ablate, compare, learning_curve
from tilth.bench import trial as trials
from tilth.bench.arms import FoldResult, run_fold
from tilth.bench.resume import Kept, described, differences
from tilth.errors import DataError
from tilth.stages.outliers.clip import OutliersClip

TOLD = {"probes": ["linear"], "folds": 3, "repeats": 2, "n_jobs": 1}


@pytest.fixture(scope="module")
def rows():
    return gaussian(150, strength=1.0)


def bench(name, rows, **more):
    told = {**TOLD, **more}
    if name == "compare":
        return compare(None, [OutliersClip()], *rows, **told)
    if name == "curve":
        return learning_curve(None, *rows, sizes=[0.2, 0.4, 0.7, 1.0], **told)
    return ablate([NoOp(), OutliersClip()], *rows, method=name, **told)


def plain(done):
    """Return all of a result but the times."""
    told = done.as_dict()
    return json.dumps({k: v for k, v in told.items() if k != "costs"}, sort_keys=True)


class Stops:
    """Run folds until there are so many, then fail as a power cut does."""

    def __init__(self, run, count):
        self.run, self.left = run, count

    def __call__(self, *args, **kwargs):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return self.run(*args, **kwargs)


@pytest.mark.parametrize("name", ["compare", "leave_one_out", "shapley"])
def test_a_bench_goes_on_where_it_was_stopped(name, rows, tmp_path, monkeypatch):
    whole = bench(name, rows)
    folder = tmp_path / "kept"
    monkeypatch.setattr(trials, "run_fold", Stops(run_fold, 4))
    with pytest.raises(KeyboardInterrupt):
        bench(name, rows, resume=folder)
    assert len(list(folder.glob("repeat-*.json"))) == 4
    monkeypatch.setattr(trials, "run_fold", Stops(run_fold, 2))
    assert plain(bench(name, rows, resume=folder)) == plain(whole)
    monkeypatch.setattr(trials, "run_fold", Stops(run_fold, 0))
    assert plain(bench(name, rows, resume=str(folder))) == plain(whole)


def test_a_learning_curve_goes_on_too(rows, tmp_path, monkeypatch):
    from tilth.bench import curve

    whole = bench("curve", rows)
    real = curve._run_fold
    monkeypatch.setattr(curve, "_run_fold", Stops(real, 3))
    with pytest.raises(KeyboardInterrupt):
        bench("curve", rows, resume=tmp_path)
    monkeypatch.setattr(curve, "_run_fold", Stops(real, 3))
    assert plain(bench("curve", rows, resume=tmp_path)) == plain(whole)


def test_a_process_killed_at_any_moment_leaves_no_half_result(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from tests.bench.planted import NoOp, gaussian
        from tilth.bench import ablate
        told = {"probes": ["linear"], "folds": 5, "repeats": 8, "n_jobs": 1}
        ablate([NoOp()], *gaussian(150, strength=1.0), resume=sys.argv[1], **told)
        """
    )
    folder = tmp_path / "kept"
    begun = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": "."}
    )
    end = time.monotonic() + 120
    while len(list(folder.glob("repeat-*.json"))) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    begun.send_signal(signal.SIGKILL)
    assert begun.wait() == -signal.SIGKILL
    kept = sorted(folder.glob("repeat-*.json"))
    assert 3 <= len(kept) < 40
    assert all(json.loads(path.read_text(encoding="utf-8"))["scores"] for path in kept)
    # What was being written when it was killed is no result, and is in nobody's way.
    (folder / ".repeat-7-fold-4.json.x.part").write_text("{", encoding="utf-8")
    told = {"probes": ["linear"], "folds": 5, "repeats": 8, "n_jobs": 1}
    rows = gaussian(150, strength=1.0)
    assert plain(ablate([NoOp()], *rows, resume=folder, **told)) == plain(ablate([NoOp()], *rows, **told))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folds": 4}, "design.folds is 3 there and 4 here"),
        ({"random_state": 7}, "design.random_state is 0 there and 7 here"),
        ({"probes": ["boosting"]}, "probes.linear"),
        ({"metric": "accuracy"}, "design.metric"),
    ],
)
def test_a_folder_of_another_design_is_refused_and_says_what_differs(change, words, rows, tmp_path):
    bench("compare", rows, resume=tmp_path)
    with pytest.raises(DataError, match=words):
        bench("compare", rows, resume=tmp_path, **change)


def test_other_rows_recipes_and_versions_are_refused(rows, tmp_path, monkeypatch):
    X, y = rows
    compare(None, [OutliersClip()], X, y, resume=tmp_path, **TOLD)
    with pytest.raises(DataError, match=r"data\.content"):
        compare(None, [OutliersClip()], X.with_columns(pl.col("x0") + 1e-9), y, resume=tmp_path, **TOLD)
    with pytest.raises(DataError, match=r"recipes\.after"):
        compare(None, [OutliersClip(width=9.0)], X, y, resume=tmp_path, **TOLD)
    with pytest.raises(DataError, match=r"bench"):
        ablate([OutliersClip()], X, y, resume=tmp_path, **TOLD)
    told = json.loads((tmp_path / "design.json").read_text(encoding="utf-8"))
    told["versions"]["polars"] = "0.0.1"
    (tmp_path / "design.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(DataError, match=r"versions\.polars is \"0\.0\.1\" there"):
        compare(None, [OutliersClip()], X, y, resume=tmp_path, **TOLD)


def test_folders_that_are_none_of_a_bench_are_refused(rows, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"holds files, but no design\.json"):
        bench("compare", rows, resume=tmp_path)
    with pytest.raises(DataError, match="is a file"):
        bench("compare", rows, resume=tmp_path / "notes.txt")
    (tmp_path / "design.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        bench("compare", rows, resume=tmp_path)


def test_numbers_come_back_bit_by_bit(tmp_path):
    odd = [0.1 + 0.2, float("nan"), float("inf"), -float("inf"), -0.0, 5e-324]
    first = FoldResult(scores=[{"value": v, "fold": 1} for v in odd], failed={"a": "why"}, notes=["n"])
    kept = Kept.at(tmp_path, {"a": np.int64(1), "b": (1.5, np.float64("nan"))})
    assert kept.run(lambda repeat, fold: first, FoldResult, 0, 1) is first
    again = Kept.at(tmp_path, {"a": 1, "b": [1.5, float("nan")]}).run(None, FoldResult, 0, 1)
    assert again.failed == first.failed and again.notes == first.notes
    np.testing.assert_array_equal(
        np.array([line["value"] for line in again.scores]).view(np.uint64),
        np.array(odd).view(np.uint64),
    )


def test_descriptions_are_the_same_for_equal_things_and_differ_for_others():
    def twice(x):
        return 2 * x

    things = [
        None,
        1,
        1.5,
        "a",
        [1, 2],
        {"a": 1},
        {"b"},
        np.arange(3),
        np.arange(4),
        np.array([None, "a"], dtype=object),
        pl.DataFrame({"a": [1]}),
        pl.Series("a", [2]),
        LogisticRegression(),
        LogisticRegression(C=2.0),
        LogisticRegression,
        FunctionTransformer(twice),
        twice,
        lambda x: 3 * x,
        partial(twice, 1),
    ]
    said = [json.dumps(described(thing)) for thing in things]
    assert len(set(said)) == len(said)
    assert said == [json.dumps(described(thing)) for thing in things]
    assert not any(" at 0x" in one for one in said)


def test_differences_are_named_by_their_place():
    one = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert differences(one, one) == []
    told = differences(one, {"a": {"b": 2, "c": [1, 2]}, "e": 1})
    assert told == [
        "a.b is 1 there and 2 here",
        'd is 1 there and "nothing" here',
        'e is "nothing" there and 1 here',
    ]
    assert len(differences({"a": "x" * 900}, {"a": "y"})[0]) < 300
