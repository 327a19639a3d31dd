"""ImputeIterative: scikit-learn's IterativeImputer is the oracle of quality."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge

import tilth
from tilth.errors import RecipeError, UnknownName
from tilth.stages.impute.iterative import ImputeIterative
from tilth.stages.impute.simple import ImputeSimple


def linear(rows: int = 800, columns: int = 8, share: float = 0.15, seed: int = 0):
    random = np.random.default_rng(seed)
    full = random.normal(size=(rows, 3)) @ random.normal(size=(3, columns))
    full += 0.3 * random.normal(size=full.shape)
    return full, np.where(random.random(full.shape) < share, np.nan, full)


def curved(rows: int = 700, share: float = 0.15, seed: int = 0):
    random = np.random.default_rng(seed)
    a, b, c = random.uniform(-2, 2, size=(3, rows))
    full = np.column_stack([a, b + 0.2 * random.normal(size=rows), a * b, c, c**2, np.sin(2 * a) + b])
    return full, np.where(random.random(full.shape) < share, np.nan, full)


def mixed(rows: int = 600, seed: int = 0) -> pl.DataFrame:
    """Make rows of every kind, in which each column can be told from the others."""
    random = np.random.default_rng(seed)
    city = random.integers(0, 3, rows)
    size = random.normal(city * 3.0, 0.5)
    day = dt.date(2020, 1, 1)
    return pl.DataFrame(
        {
            "city": np.array(["Oslo", "Rome", "Ürümqi"])[city],
            "size": size,
            "rooms": np.round(size * 2 + random.normal(0, 0.3, rows)).astype(int),
            "big": size > 3,
            "built": [day + dt.timedelta(days=float(d)) for d in np.round(size * 100)],
        }
    )


def gapped(frame: pl.DataFrame, share: float = 0.15, seed: int = 1) -> tuple[pl.DataFrame, dict]:
    random = np.random.default_rng(seed)
    gone = {c: random.random(frame.height) < share for c in frame.columns}
    holes = [pl.when(~pl.Series(gone[c])).then(pl.col(c)).alias(c) for c in frame.columns]
    return frame.with_columns(holes), gone


def error(told: np.ndarray, full: np.ndarray, rows: np.ndarray) -> float:
    return float(np.sqrt(((((told - full) / full.std(axis=0))[np.isnan(rows)]) ** 2).mean()))


def test_linear_is_as_good_as_chained_bayesian_ridges():
    full, rows = linear()
    ours = ImputeIterative(model="linear").fit_transform(rows)
    theirs = IterativeImputer(BayesianRidge(), max_iter=10, random_state=0).fit_transform(rows)
    assert error(ours, full, rows) <= 1.01 * error(theirs, full, rows)


@pytest.mark.parametrize(("made", "slack"), [(linear, 1.0), (curved, 1.05)])
def test_boosting_is_as_good_as_chained_boosting(made, slack):
    full, rows = made()
    ours = error(ImputeIterative().fit_transform(rows), full, rows)
    peer = IterativeImputer(HistGradientBoostingRegressor(random_state=0), max_iter=2, random_state=0)
    assert ours <= slack * error(peer.fit_transform(rows), full, rows)


def test_boosting_finds_what_is_not_linear_and_keeps_what_is():
    full, rows = curved()
    boosted, straight = (ImputeIterative(model=m).fit_transform(rows) for m in ("boosting", "linear"))
    assert error(boosted, full, rows) < 0.8 * error(straight, full, rows)
    full, rows = linear()
    boosted, straight = (ImputeIterative(model=m).fit_transform(rows) for m in ("boosting", "linear"))
    assert error(boosted, full, rows) < 1.1 * error(straight, full, rows)


def test_boosting_is_not_misled_by_columns_that_repeat_one_another():
    # Where a cell's twin is filled from the cell itself, a model would learn to trust the twin.
    random = np.random.default_rng(0)
    x = random.integers(0, 6, 800).astype(float)
    full = np.column_stack([x, np.exp(x / 2), x % 2, random.normal(x, 2.0)])
    rows = np.where(random.random(full.shape) < 0.3, np.nan, full)
    filled = ImputeIterative(max_iter=1).fit_transform(rows)
    peer = IterativeImputer(HistGradientBoostingRegressor(random_state=0), max_iter=2, random_state=0)
    assert error(filled, full, rows) < error(peer.fit_transform(rows), full, rows)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"model": "linear"},
        {"model": "ExtraTreesRegressor", "model_params": {"n_estimators": 10}, "max_iter": 2},
        {"model": "BayesianRidge", "max_iter": 3},
        {"model": "Ridge", "classifier": "GaussianNB", "max_iter": 2},
    ],
    ids=str,
)
def test_columns_of_every_kind_are_filled_from_the_others_in_their_own_type(params):
    full = mixed()
    rows, gone = gapped(full)
    out = ImputeIterative(**params).fit_transform(rows)
    assert out.drop("rooms").schema == full.drop("rooms").schema
    assert out.null_count().sum_horizontal().item() == 0
    for name in full.columns:
        known = ~pl.Series(gone[name])
        assert (out[name] == full[name]).filter(known).all()
    for name in ("city", "big"):
        hit = (out[name] == full[name]).filter(pl.Series(gone[name])).mean()
        plain = (ImputeSimple().fit_transform(rows)[name] == full[name]).filter(pl.Series(gone[name])).mean()
        # 0/1 regressions hide a category that lies between two others, as Rome does here.
        assert hit > max(0.55 if params.get("model") == "linear" else 0.75, plain + 0.1), name
    for name in ("size", "rooms", "built"):
        off = (out[name].to_physical() - full[name].to_physical()).filter(pl.Series(gone[name]))
        assert np.sqrt((off**2).mean()) < 0.5 * full[name].to_physical().std(), name


def test_categories_need_a_classifier_that_goes_with_the_regressor():
    rows, _ = gapped(mixed(100))
    with pytest.raises(
        RecipeError, match=r"no classifier like PLSRegression.*classifier: LogisticRegression"
    ):
        ImputeIterative(model="PLSRegression").fit(rows)
    out = ImputeIterative(model="PLSRegression", classifier="GaussianNB", max_iter=1).fit_transform(rows)
    assert out.null_count().sum_horizontal().item() == 0
    numbers = ["size", "rooms"]
    out = ImputeIterative(model="PLSRegression", model_params={"n_components": 1}, on=numbers).fit_transform(
        rows
    )
    assert out.select(numbers).null_count().sum_horizontal().item() == 0
    with pytest.raises(ValueError, match="upper bound is 1") as caught:
        ImputeIterative(model="PLSRegression", on=numbers).fit(rows)
    assert "PLSRegression learning column" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"model": "ExtraTreeRegresor"}, "no regressor of scikit-learn 'ExtraTreeRegresor'"),
        ({"classifier": "GausianNB"}, "no classifier of scikit-learn 'GausianNB'"),
    ],
)
def test_unknown_models_are_refused_with_the_nearest_name(params, told):
    rows, _ = gapped(mixed(60))
    with pytest.raises(UnknownName, match=told):
        ImputeIterative(**params).fit(rows)


def test_parameters_without_a_part_to_play_are_refused():
    rows = linear(60, 3)[1]
    with pytest.raises(RecipeError, match="model='linear' has no `classifier`"):
        ImputeIterative(model="linear", classifier="GaussianNB").fit(rows)
    with pytest.raises(RecipeError, match="BayesianRidge cannot be made with"):
        ImputeIterative(model="BayesianRidge", model_params={"trees": 3}).fit(rows)


def test_rows_are_filled_each_for_itself_and_again_after_loading(tmp_path):
    rows, _ = gapped(mixed(300))
    pipe = tilth.Pipeline([ImputeIterative()]).fit(rows)
    new, _ = gapped(mixed(40, seed=5), 0.4, seed=6)
    whole = pipe.transform(new)
    assert pl.concat([pipe.transform(new[i]) for i in range(new.height)]).equals(whole)
    pipe.save(tmp_path / "bundle")
    assert tilth.load(tmp_path / "bundle").transform(new).equals(whole)


def test_gaps_in_columns_that_had_none_at_fit_are_filled():
    full = mixed(400)
    rows = full.with_columns(pl.when(pl.int_range(pl.len()) % 5 > 0).then("size").alias("size"))
    new, gone = gapped(full, 0.3)
    straight = ImputeIterative(model="linear").fit(rows).transform(new)
    for params, models in (({}, 2), ({"all_columns": True}, 6)):
        stage = ImputeIterative(**params).fit(rows)
        assert len(stage.steps_) == models
        out = stage.transform(new)
        assert out.null_count().sum_horizontal().item() == 0
        hit = (out["city"] == full["city"]).filter(pl.Series(gone["city"])).mean()
        assert hit > 0.7
        assert out["city"].equals(straight["city"]) or params


def test_where_no_column_had_gaps_all_are_learned():
    full = curved()[0]
    stage = ImputeIterative().fit(full)
    assert [step["column"] for step in stage.steps_] == list(range(6))
    _, rows = curved(seed=3)
    new = curved(seed=3)[0]
    straight = ImputeIterative(model="linear").fit(full).transform(rows)
    assert error(stage.transform(rows), new, rows) < 0.8 * error(straight, new, rows)


def test_columns_are_taken_in_the_order_asked_for():
    rows = linear(100, 3, 0.0)[0]
    for column, count in ((0, 30), (1, 10), (2, 20)):
        rows[column * 30 : column * 30 + count, column] = np.nan
    for order, wanted in (("ascending", [1, 2, 0]), ("descending", [0, 2, 1]), ("given", [0, 1, 2])):
        stage = ImputeIterative(model="Ridge", order=order, max_iter=1).fit(rows)
        assert [step["column"] for step in stage.steps_] == wanted


def test_rounds_end_where_nothing_changes_any_more():
    rows = linear(200, 4, 0.1)[1]
    stage = ImputeIterative(model="Ridge", max_iter=60, tolerance=1e-3).fit(rows)
    assert 2 <= stage.n_iter_ < 60 and len(stage.steps_) == 4 * stage.n_iter_
    assert ImputeIterative(model="linear", tolerance=1e-8).fit(rows).n_iter_ > (
        ImputeIterative(model="linear", tolerance=1e-1).fit(rows).n_iter_
    )
    assert ImputeIterative(model="linear", max_iter=2, tolerance=1e-9).fit(rows).n_iter_ == 2


def test_models_learn_from_a_sample_that_the_seed_chooses():
    rows = linear(400, 4, 0.2)[1]
    for model in ("linear", "Ridge"):
        outs = [
            ImputeIterative(model=model, max_rows=80, random_state=seed).fit_transform(rows)
            for seed in (0, 0, 1)
        ]
        np.testing.assert_array_equal(outs[0], outs[1])
        assert not np.allclose(outs[0], outs[2])
    assert np.isfinite(ImputeIterative(max_rows=2).fit_transform(rows)).all()


def test_a_sample_that_lacks_a_columns_few_values_still_fills_it():
    rows = pl.DataFrame(
        {
            "a": np.arange(300.0),
            "b": [None] * 299 + [7.0],
            "c": [None] * 299 + ["x"],
            "d": [1.0, None, 2.0] * 100,
        }
    )
    for params in ({}, {"model": "linear"}, {"model": "Ridge"}, {"model": "ExtraTreesRegressor"}):
        out = ImputeIterative(max_rows=5, **params).fit_transform(rows)
        assert out.null_count().sum_horizontal().item() == 0, params
        assert out["c"].unique().to_list() == ["x"]


def test_a_prior_holds_few_rows_steady():
    full, rows = linear(20, 15, 0.2, seed=4)
    errors = [
        error(ImputeIterative(model="linear", prior_rows=p).fit_transform(rows), full, rows)
        for p in (0.0, 3.0)
    ]
    assert errors[1] < errors[0]


def test_wholly_missing_and_constant_columns_and_infinities_are_taken():
    rows = pl.DataFrame(
        {
            "nothing": pl.Series([None] * 60, dtype=pl.Float64),
            "flat": [1.0, None] * 30,
            "far": [float("inf"), None, 2.0] * 20,
            "one": ["x", None] * 30,
            "near": np.linspace(0, 1, 60),
        }
    )
    for params in ({}, {"model": "linear"}, {"model": "Ridge", "max_iter": 2}):
        out = ImputeIterative(**params).fit_transform(rows)
        assert out["nothing"].null_count() == 60
        assert out.drop("nothing").null_count().sum_horizontal().item() == 0
        assert out["far"][0] == float("inf") and np.isfinite(out["far"][1])
        assert out["flat"].to_list() == pytest.approx([1.0] * 60) and set(out["one"]) == {"x"}


def test_a_column_alone_gets_its_mean_or_its_most_frequent_category():
    numbers, words = pl.DataFrame({"a": [1.0, None, 4.0, 4.0]}), pl.DataFrame({"a": ["x", None, "y", "y"]})
    for model in ("boosting", "linear", "Ridge"):
        stage = ImputeIterative(model=model)
        assert stage.fit_transform(numbers)["a"][1] == pytest.approx(3.0)
        assert stage.fit_transform(words)["a"][1] == "y"


def test_many_categories_are_told_apart_and_rare_ones_read_as_one():
    random = np.random.default_rng(0)
    code = random.zipf(1.5, 1500).clip(max=90)
    frame = pl.DataFrame({"code": code.astype(str), "x": code + random.normal(0, 0.1, 1500)})
    rows, gone = gapped(frame)
    for params in ({}, {"model": "linear"}):
        out = ImputeIterative(**params).fit_transform(rows)
        assert out.null_count().sum_horizontal().item() == 0
        plain = ImputeSimple().fit_transform(rows)["code"]
        hits = [(c == frame["code"]).filter(pl.Series(gone["code"])).mean() for c in (out["code"], plain)]
        assert hits[0] > hits[1]
