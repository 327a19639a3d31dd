"""imbalanced-learn's own checks of a sampler, on every balance stage found."""

import re
import warnings

import numpy as np
import pytest
from imblearn.utils.estimator_checks import estimator_checks_generator

from tests.laws.exceptions import NUMBERS
from tilth import stages
from tilth.core import RowStage

# key -> check -> why the stage cannot pass it; one that passes all the same fails the test.
EXCUSED: dict[str, dict[str, str]] = {}
# Examples that name the classes of the laws' rows: the checks have classes of their own.
NAMED = re.compile(r"'(yes|no)'")

# Stages with a target of numbers are left out: the checks want such a target refused.
KEYS = [
    key
    for key in sorted(stages.keys())
    if key.startswith("balance.") and issubclass(stages.find(key), RowStage)
]


def checks():
    """List every check for every example of every stage, those apart that name classes."""
    listed = []
    for key in KEYS:
        if key in NUMBERS:
            continue
        cls = stages.find(key)
        for number, parameters in enumerate(cls.examples()):
            if NAMED.search(repr(parameters)):
                continue
            for stage, check in estimator_checks_generator(cls(**parameters)):
                name = check.func.__name__
                reason = EXCUSED.get(key, {}).get(name)
                marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
                listed.append(pytest.param(stage, check, id=f"{key}[{number}]-{name}", marks=marks))
    return listed


@pytest.fixture(autouse=True)
def weights_may_get_lost():
    """Let stages that weight rows be asked for (X, y), as the checks do."""
    warnings.filterwarnings("ignore", "The stages gave rows a weight")


@pytest.fixture(autouse=True)
def classes_may_be_small():
    """Let stages that make rows be given classes of few rows, as the checks do."""
    warnings.filterwarnings("ignore", r"balance\.\w+: (Class|Method) '")


@pytest.mark.parametrize(("stage", "check"), checks())
def test_a_balance_stage_passes_imbalanced_learns_checks(stage, check):
    check(stage)


@pytest.mark.parametrize("key", [key for key in NUMBERS if key in KEYS])
def test_a_stage_excused_for_its_target_takes_numbers(key):
    X = np.random.default_rng(0).normal(size=(60, 2))
    stage = stages.find(key)()
    assert len(stage.fit_resample(X, X[:, 0] ** 3)[0]) > 0


def test_the_checks_run_over_stages():
    assert {"balance.over", "balance.weight"} <= {*KEYS}
    assert not {key for key in EXCUSED if key not in KEYS}
    for key in KEYS:
        assert key in NUMBERS or not NAMED.search(repr(stages.find(key).examples()[0])), key
