"""The controls, and that a broken bench does not pass them."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from scipy.stats import norm

from tilth.bench import self_test
from tilth.bench.controls import (
    AddNoise,
    Blur,
    DropAtRandom,
    FlipLabels,
    Repair,
    two_classes,
    with_errors,
)
from tilth.bench.self_test import SelfTest, control, refuses, verdicts_of
from tilth.bench.statistics import wilson
from tilth.cli import main
from tilth.errors import DataError
from tilth.table import Table


def test_every_control_passes_and_is_told():
    told = []
    done = self_test.self_test(2, n_jobs=1, progress=told.append)
    assert done.ok, done.in_words()
    names = ["no-op", "a/a", "random drop", "noise columns", "shuffled", "harm", "gain", "leaks"]
    assert told == names == [c.name for c in done.controls]
    assert [c.runs for c in done.controls] == [1, 2, 1, 1, 1, 1, 1, 2]
    assert json.loads(json.dumps(done.as_dict()))["ok"] is True
    assert done.in_words()[-1] == "Every control came out right."


def test_a_bench_that_believes_plain_tests_does_not_pass(monkeypatch):
    from tilth.bench import estimating
    from tilth.bench.statistics import corrected_t

    plain = lambda d, folds, size=1.0, ratio=None: corrected_t(d, folds, size, ratio=0.0)
    monkeypatch.setattr(estimating, "corrected_t", plain)
    found = verdicts_of(partial(self_test.alike, rows=150), 16, n_jobs=1, slices=[])
    hits = sum(v.word == "helps" for v in found)
    assert not control("a/a", "", hits, len(found), 0.05, True).ok


def test_a_bench_that_refuses_nothing_does_not_pass(monkeypatch):
    assert refuses(self_test.filtered) and refuses(self_test.synthetic)
    monkeypatch.setattr("tilth.bench.trial.refuse_fitted", lambda *_: [])
    assert not refuses(self_test.synthetic)


def test_runs_do_not_depend_on_the_number_of_processes():
    trials = partial(self_test.alike, rows=100)
    one, two = (verdicts_of(trials, 3, n_jobs=jobs, repeats=2) for jobs in (1, 2))
    assert one == two
    assert len({v.difference for v in one}) == 3


def test_wilsons_interval_solves_its_equation_at_both_ends():
    z = norm.ppf(0.975)
    for hits, runs in [(0, 7), (3, 20), (50, 1000), (7, 7)]:
        share = hits / runs
        for edge in wilson(hits, runs):  # |share - edge| is z standard errors of the edge, or 0 at an end
            error = z * np.sqrt(edge * (1 - edge) / runs)
            assert abs(share - edge) == pytest.approx(error, abs=1e-9) or edge == share
    with pytest.raises(DataError, match="no share"):
        wilson(8, 7)


def test_a_bound_is_missed_only_where_the_whole_interval_is_beyond_it():
    assert control("", "", 1, 20, 0.05, True).ok and not control("", "", 4, 20, 0.05, True).ok
    assert control("", "", 3, 4, 0.8, False).ok and not control("", "", 0, 4, 0.8, False).ok
    missed = SelfTest((control("harm", "what", 0, 4, 0.8, False),))
    assert not missed.ok and missed.in_words()[0].startswith("MISS  harm: what: 0 of 4 runs")
    assert missed.in_words()[-1] == "1 of 1 controls missed."
    with pytest.raises(DataError, match="runs is 0"):
        self_test.self_test(0)


def test_the_stages_do_what_their_worth_is_said_to_be():
    X, y = two_classes(4000, 0)
    blurred = Blur(spread=2.0, random_state=3).fit(X).transform(X)
    noise = blurred.to_numpy() - X.to_numpy()
    assert noise.std() == pytest.approx(2.0, rel=0.02) and abs(noise.mean()) < 0.05
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.05
    turned = Blur(spread=2.0, random_state=4).fit(X).transform(X).to_numpy() - X.to_numpy()
    assert abs(np.corrcoef(noise[:, 0], turned[:, 0])[0, 1]) < 0.05
    assert AddNoise(count=3).fit(X).transform(X).columns[-3:] == ["noise0", "noise1", "noise2"]
    spoiled = with_errors(X, 0.02, 0)
    assert (spoiled.to_numpy() > 1e5).mean() == pytest.approx(0.02, abs=0.002)
    assert np.allclose(Repair().fit(spoiled).transform(spoiled).to_numpy(), X.to_numpy(), atol=1e-9)
    table = Table.of(X, y)
    assert DropAtRandom(share=0.1).plan(table).times.mean() == pytest.approx(0.9, abs=0.02)
    flipped = FlipLabels(share=0.2).plan(table).label
    changed = flipped.is_not_null().to_numpy()
    assert changed.mean() == pytest.approx(0.2, abs=0.02)
    assert (flipped.drop_nulls().to_numpy() == 1 - y[changed]).all()


def test_the_command_prints_the_controls_and_ends_with_their_code(monkeypatch, capsys):
    made = SelfTest((control("harm", "what", 4, 4, 0.8, False),))
    asked = []
    monkeypatch.setattr(self_test, "self_test", lambda runs, progress: asked.append(runs) or made)
    assert main(["bench", "--self-test", "--runs", "7"]) == 0
    assert asked == [7] and "ok  harm: what: 4 of 4" in capsys.readouterr().out
    assert main(["bench", "--self-test", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["controls"][0]["hits"] == 4
    made = SelfTest((control("harm", "what", 0, 4, 0.8, False),))
    assert main(["bench", "--self-test"]) == 1


def test_the_command_takes_a_recipe_or_tests_itself(capsys):
    for arguments in (["bench"], ["bench", "recipe.yaml", "--self-test"]):
        assert main(arguments) == 2
        assert "Name a recipe, or ask for --self-test." in capsys.readouterr().err
