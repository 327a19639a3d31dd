"""The doctor finds what a recipe mends, what it brings, and what depends on first weights."""

import json
from functools import partial

import numpy as np
import polars as pl
import pytest

from tilth.bench import doctor
from tilth.bench.doctor import FOLDS, checkup
from tilth.errors import DataError
from tilth.probes import MLP
from tilth.stages import find
from tilth.table import Roles, Table


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Train a smaller probe for fewer epochs: the tests are about what is made of it."""
    monkeypatch.setattr(doctor, "MLP", partial(MLP, hidden=(32,), max_epochs=25, batch_size=32))


def stage(key, **params):
    return find(key)(**params)


def table(rows=240, unit=1e4, task="classification"):
    draw = np.random.default_rng(0)
    score = draw.normal(size=rows)
    city = draw.choice(["Bern", "Oslo"], rows)
    signal = score + (city == "Oslo")
    return pl.DataFrame(
        {
            "income": unit * (score + 0.1 * draw.normal(size=rows)),
            "age": [None if n % 11 == 0 else float(n % 7) for n in range(rows)],
            "city": city,
            "y": np.where(signal > 0.5, "yes", "no") if task == "classification" else signal,
        }
    )


def checked(stages, frame=None, **options):
    frame = table() if frame is None else frame
    return checkup(
        stages, Table.of(frame, roles=Roles(target="y")), **{"inits": 1, "device": "cpu", **options}
    )


def kinds(examination):
    return {finding.kind for finding in examination.findings}


def test_a_recipe_that_scales_mends_columns_that_are_not_scaled():
    done = checked([stage("scale.robust")])
    found = next(f for f in done.before.findings if f.kind == "health.unscaled")
    assert found.columns == ("income",)
    assert found.remedy == {"scale.robust": {"on": ["income"]}}
    assert "health.unscaled" in done.mended
    assert "health.unscaled" not in kinds(done.after)
    assert done.rows == 240
    assert done.in_words()[0].startswith("The recipe mended: ")


def test_a_recipe_that_spoils_the_scale_is_told_so():
    done = checked([stage("scale.minmax", feature_range=(0.0, 50_000.0))], table(unit=1.0))
    assert "health.unscaled" in done.new
    assert any("With the recipe came: " in line for line in done.in_words())


def test_the_same_rows_are_kept_aside_before_and_after_row_stages():
    done = checked([stage("scale.robust"), stage("balance.over")])
    assert done.before.vitals.validation_rows == done.after.vitals.validation_rows == 240 // FOLDS
    assert done.after.vitals.rows >= done.before.vitals.rows == 240 - 240 // FOLDS


def test_values_are_examined_too_and_batch_stages_take_part():
    frame = table(task="regression")
    done = checked([stage("scale.robust"), stage("augment.mixup")], frame)
    assert done.after.vitals.validation_score > 0.5
    labels = checked([stage("scale.robust"), stage("augment.mixup")])
    assert labels.after.vitals.validation_score > 0.75


def test_several_first_weights_are_held_against_folds():
    told = []
    done = checked([stage("scale.robust")], inits=2, progress=told.append)
    assert len(done.after.vitals.init_scores) == 2
    assert len(done.after.vitals.fold_scores) == FOLDS
    assert done.after.vitals.init_scores[0] == done.after.vitals.fold_scores[0]
    assert "after: training 6 of 6" in told
    assert checked([stage("scale.robust")]).after.vitals.init_scores == ()


def test_the_same_seed_gives_the_same_answer_and_rows_are_drawn():
    first, again = (
        checked([stage("scale.robust")], max_rows=100, random_state=3).to_dict() for _ in range(2)
    )
    assert first == again
    assert first["rows"] == 100


def test_the_result_is_plain_json():
    told = json.loads(json.dumps(checked([stage("scale.robust")]).to_dict(), allow_nan=False))
    assert told["before"]["findings"][0]["columns"] == ["income"]
    assert {"before", "after", "mended", "new", "rows"} == set(told)


def test_too_little_is_refused_with_the_reason():
    with pytest.raises(DataError, match="folds"):
        checked([stage("scale.robust")], table(4))
    with pytest.raises(DataError, match="max_rows"):
        checked([stage("scale.robust")], max_rows=2)


def test_rows_kept_aside_are_later_where_rows_go_by_time():
    frame = table(120).with_columns(day=pl.Series(np.arange(120)[::-1].astype(float)))
    # What is learned of early rows does not hold for later ones, whose labels are turned round.
    late = pl.col("day") >= 60
    turned = pl.when(late).then(pl.when(pl.col("y") == "yes").then(pl.lit("no")).otherwise(pl.lit("yes")))
    frame = frame.with_columns(y=turned.otherwise(pl.col("y")))
    by_time = checked([stage("scale.robust")], frame, time="day", inits=2)
    drawn = checked([stage("scale.robust")], frame, inits=2)
    assert min(by_time.after.vitals.fold_scores) < 0.5
    assert by_time.after.vitals.fold_scores != drawn.after.vitals.fold_scores
    array = checked([stage("scale.robust")], frame, time=frame["day"].to_numpy(), max_rows=100)
    assert array.rows == 100
