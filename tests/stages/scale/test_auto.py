"""ScaleAuto: each column gets what its values call for, and the reason is told."""

import numpy as np
import polars as pl
import pytest

import tilth
from tilth.errors import DataError
from tilth.stages.scale.auto import ScaleAuto


@pytest.fixture
def rows() -> pl.DataFrame:
    random = np.random.default_rng(0)
    n = 2000
    return pl.DataFrame(
        {
            "normal": random.normal(50, 3, n),
            "even": random.uniform(0, 1, n),
            "heavy": random.standard_t(2, n),
            "income": np.exp(random.normal(10, 1, n)),
            "left": -np.exp(random.normal(0, 0.8, n)),
            "spend": np.where(random.random(n) < 0.4, 0, np.exp(random.normal(3, 3, n))),
            "flag": random.integers(0, 2, n),
            "one_two": random.integers(1, 3, n),
            "stars": random.integers(1, 6, n),
            "rare": (random.random(n) < 0.1) * random.integers(1, 4, n),
            "flat": np.full(n, 7.5),
            "none": pl.Series([None] * n, dtype=pl.Float64),
            "city": random.choice(["a", "b"], n),
        }
    )


def chosen(stage: ScaleAuto) -> dict[str, list[str]]:
    lines: dict[str, list[str]] = {}
    for line in stage.lines_:
        for key, parameters in line.items():
            for name in parameters["on"]:
                lines.setdefault(name, []).append(key)
    return lines


def test_each_column_gets_what_its_values_call_for(rows: pl.DataFrame) -> None:
    stage = ScaleAuto().fit(rows)
    found = chosen(stage)
    assert found == {
        "normal": ["scale.standard"],
        "even": ["scale.standard"],
        "heavy": ["scale.smooth_clip"],
        "income": ["scale.log", "scale.standard"],
        "left": ["scale.power", "scale.standard"],
        "spend": ["scale.log", "scale.smooth_clip"],
        "one_two": ["scale.minmax"],
        "stars": ["scale.standard"],
        "rare": ["scale.smooth_clip"],
    }
    out = stage.transform(rows)
    for name in ("flag", "flat", "none", "city"):
        assert out[name].equals(rows[name]), name
    assert set(out["one_two"]) == {0.0, 1.0}
    assert {"method": "log", "on": ["income"]} in [line.get("scale.log") for line in stage.lines_]


def test_a_reason_with_its_figures_and_a_remedy_is_told_of_every_column(rows: pl.DataFrame) -> None:
    stage = ScaleAuto().fit(rows)
    told = {f.columns[0]: f for f in stage.findings_ if f.kind == "scale.choice"}
    assert list(told) == [c for c in rows.columns if c != "city"]
    assert "0 and 1 alone" in told["flag"].message and told["flag"].remedy is None
    assert f"{(rows['spend'] == 0).mean():.1%} zeros" in told["spend"].message
    assert told["income"].remedy == {"scale.log": {"method": "log", "on": ["income"]}}
    assert told["income"].score > 0.02 and told["normal"].score == 0
    assert "quartile ranges away: scale.smooth_clip" in told["heavy"].message
    assert "at most" in told["normal"].message


def test_the_output_is_that_of_the_chosen_lines(rows: pl.DataFrame) -> None:
    stage = ScaleAuto(on="~categorical").fit(rows)
    stages = [tilth.stage(key, **params) for line in stage.lines_ for key, params in line.items()]
    chain = tilth.Pipeline(stages).fit(rows)
    assert stage.transform(rows).equals(chain.transform(rows))


def test_what_it_made_can_be_undone(rows: pl.DataFrame) -> None:
    stage = ScaleAuto().fit(rows)
    back = stage.inverse_transform(stage.transform(rows))
    assert back.schema == rows.schema
    numbers = rows.select(pl.selectors.numeric())
    for name in numbers.columns:
        one, two = rows[name].to_numpy(), back[name].to_numpy()
        np.testing.assert_allclose(two, one, rtol=1e-6, atol=1e-6, err_msg=name)


def test_only_the_forms_that_are_named_are_made(rows: pl.DataFrame) -> None:
    keys = lambda **params: {key for line in ScaleAuto(**params).fit(rows).lines_ for key in line}
    assert keys(forms=[]) == {"scale.minmax", "scale.standard", "scale.smooth_clip"}
    assert "scale.power" not in keys(forms=["log"]) and "scale.log" in keys(forms=["log"])
    assert keys(forms=["quantile"], gain=0.0) >= {"scale.quantile"}
    # Ties cannot be spread: normal scores are not for these.
    stage = ScaleAuto(forms=["quantile"], gain=0.0).fit(rows)
    assert chosen(stage)["spend"] == ["scale.smooth_clip"] and chosen(stage)["income"] == ["scale.quantile"]


def test_gain_and_far_move_the_choice(rows: pl.DataFrame) -> None:
    assert chosen(ScaleAuto(gain=0.9).fit(rows))["income"] == ["scale.smooth_clip"]
    assert chosen(ScaleAuto(gain=0.9, far=1e6).fit(rows))["income"] == ["scale.standard"]
    assert chosen(ScaleAuto(far=0.1).fit(rows))["even"] == ["scale.smooth_clip"]


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_a_column_does_not_matter(rows: pl.DataFrame, factor: float) -> None:
    columns = ["normal", "even", "heavy", "income", "spend"]
    one = ScaleAuto(forms=["log"]).fit(rows.select(columns))
    two = ScaleAuto(forms=["log"]).fit(rows.select(pl.col(columns) * factor))
    assert chosen(one) == chosen(two)


def test_infinite_cells_are_pressed_and_infinite_quartiles_refused() -> None:
    values = np.random.default_rng(0).normal(size=100)
    values[3], values[7] = np.inf, -np.inf
    out = ScaleAuto().fit_transform(pl.DataFrame({"a": values}))["a"]
    assert out[3] == 3.0 and out[7] == -3.0
    with pytest.raises(DataError, match="quartile of column 'a' is infinite"):
        ScaleAuto().fit(pl.DataFrame({"a": [0.0, 1.0, np.inf, np.inf, np.inf, np.inf]}))


def test_one_row_and_no_numbers_are_left_as_they_are() -> None:
    for rows in (pl.DataFrame({"a": [5.0], "b": [2]}), pl.DataFrame({"t": ["x", "y"]})):
        stage = ScaleAuto()
        assert stage.fit_transform(rows).equals(rows) and stage.lines_ == []
