"""Pipeline as users of scikit-learn expect it, and what it adds."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE
from sklearn.base import clone, is_classifier
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tilth
from tilth.errors import ColumnError, DataError, StageError, TilthWarning, UnknownName

STEPS = ("impute.simple", "scale.standard")


def numbers(rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 4))
    y = (X[:, 0] + 0.5 * rng.standard_normal(rows) > 0.8).astype(int)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, y


def people(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows),
            "pay": rng.lognormal(3, 1, rows),
        },
        index=np.arange(rows) // 2,
    )
    frame.loc[frame.index % 7 == 0, "age"] = np.nan
    return frame


def pipe(*more: object, model: object = None) -> tilth.Pipeline:
    stages = [tilth.stage(key) for key in STEPS]
    return tilth.Pipeline([*stages, *more, *([model] if model is not None else [])])


def test_equals_scikit_learns_pipeline() -> None:
    X, y = numbers()
    theirs = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression()).fit(X, y)
    ours = pipe(model=LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-10)
    np.testing.assert_allclose(ours.transform(X), theirs[:-1].transform(X), atol=1e-12)
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, lambda X: pl.DataFrame(X, orient="row")])
def test_fit_transform_is_fit_then_transform(make: object) -> None:
    X = make(numbers()[0])  # type: ignore[operator]
    once, twice = pipe().fit_transform(X), pipe().fit(X).transform(X)
    assert type(once) is type(twice) is type(X)
    np.testing.assert_array_equal(np.asarray(once), np.asarray(twice))


def test_rows_to_predict_are_never_dropped_or_repeated() -> None:
    X, y = numbers()
    X = np.vstack([X, X[:50]])
    y = np.concatenate([y, y[:50]])
    fitted = pipe(
        tilth.stage("duplicates.exact"), tilth.stage("balance.over"), model=LogisticRegression()
    ).fit(X, y)
    assert fitted.ledger_.account()["dropped"] == 50
    assert fitted.ledger_.account()["balanced"]
    assert len(fitted.predict(X)) == len(X) == len(fitted.transform(X))
    assert len(fitted.predict(X[:1])) == 1


def test_weights_and_groups_follow_their_rows_into_the_model() -> None:
    seen: dict[str, np.ndarray] = {}

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None, groups=None):  # type: ignore[no-untyped-def]
            seen.update(X=np.asarray(X), y=y, weight=sample_weight, groups=groups)
            return super().fit(X, y, sample_weight)

    X, y = numbers()
    X = np.nan_to_num(X)
    X[10] = X[3]  # a duplicate: row 10 goes
    weight, groups = np.arange(len(X)) + 1.0, np.arange(len(X)) // 5
    tilth.Pipeline([tilth.stage("duplicates.exact"), Spy()]).fit(X, y, sample_weight=weight, groups=groups)
    kept = np.delete(np.arange(len(X)), 10)
    np.testing.assert_array_equal(seen["X"], X[kept])
    np.testing.assert_array_equal(seen["weight"], weight[kept])
    np.testing.assert_array_equal(seen["groups"], groups[kept])


def test_a_model_that_takes_no_weights_is_a_warning() -> None:
    X, y = numbers()
    with pytest.warns(TilthWarning, match="takes no sample_weight"):
        pipe(tilth.stage("balance.weight"), model=KNeighborsClassifier()).fit(X, y)


def test_fit_resample_returns_the_containers_that_came_in() -> None:
    frame = people()
    y = pd.Series(np.where(frame["pay"] > 40, "rich", "poor"), index=frame.index, name="class")
    weight = pd.Series(np.linspace(1, 2, len(y)), index=frame.index)
    X2, y2, w2 = pipe(tilth.stage("balance.over")).fit_resample(frame, y, sample_weight=weight)
    assert isinstance(X2, pd.DataFrame) and isinstance(y2, pd.Series) and isinstance(w2, pd.Series)
    assert y2.value_counts().nunique() == 1
    assert len(X2) == len(y2) == len(w2) > len(frame)
    assert list(X2.index[: len(frame)]) == list(frame.index)
    assert X2["city"].dtype == frame["city"].dtype


def test_weights_that_have_no_place_to_come_back_in_are_a_warning() -> None:
    X, y = numbers()
    weighting = tilth.Pipeline([tilth.stage("balance.weight")])
    with pytest.warns(TilthWarning, match="has no place for it"):
        assert len(weighting.fit_resample(X, y)) == 2
    _, _, weight = weighting.fit_resample(X, y, sample_weight=np.ones(len(X)))
    assert len(np.unique(weight)) == 2


def test_cloned_searched_and_cross_validated() -> None:
    X, y = numbers()
    whole = pipe(model=LogisticRegression())
    assert is_classifier(whole) and clone(whole).get_params()["impute.simple__numeric"] == "median"
    grid = {"impute.simple__numeric": ["mean", "median"], "logisticregression__C": [0.1, 1.0]}
    search = GridSearchCV(whole, grid, cv=3).fit(X, y)
    assert search.best_params_["impute.simple__numeric"] in ("mean", "median")
    assert search.best_estimator_.stages_[0][1].numeric == search.best_params_["impute.simple__numeric"]
    scores = cross_validate(whole, X, y, cv=GroupKFold(3), groups=np.arange(len(X)) % 10)["test_score"]
    assert (scores > 0.7).all()


def test_steps_are_set_by_name_and_left_out_by_passthrough() -> None:
    whole = pipe()
    whole.set_params(**{"scale.standard": tilth.ScaleRobust()})
    assert isinstance(whole["scale.standard"], tilth.ScaleRobust)
    whole.set_params(**{"scale.standard": "passthrough"})
    X = np.array([[1.0], [3.0]])
    np.testing.assert_array_equal(whole.fit_transform(X), X)
    with pytest.raises(UnknownName, match=r"scale\.standart.*did you mean 'scale\.standard'"):
        whole.set_params(**{"scale.standart": None})


def test_equal_stages_get_names_of_their_own() -> None:
    names = [n for n, _ in tilth.Pipeline([tilth.ImputeSimple(), tilth.ImputeSimple(on="x*")]).named_steps()]
    assert names == ["impute.simple", "impute.simple-2"]


def test_a_slice_of_a_fitted_pipeline_is_fitted() -> None:
    X, y = numbers()
    whole = pipe(model=LogisticRegression()).fit(X, y)
    part = whole[:-1]
    assert len(part) == 2 and part.model is None
    np.testing.assert_array_equal(part.transform(X), whole.transform(X))
    assert whole[-1] is whole.model_ and whole["impute.simple"] is whole.stages_[0][1]


def test_foreign_steps_become_stages() -> None:
    X, y = numbers()
    fitted = tilth.Pipeline(
        [SimpleImputer(), StandardScaler(), SMOTE(random_state=0), LogisticRegression()]
    ).fit(X, y)
    account = fitted.ledger_.account()
    assert account["added"] == (y == 0).sum() - (y == 1).sum() and account["balanced"]
    theirs = make_pipeline(SimpleImputer(), StandardScaler()).fit(X)
    np.testing.assert_allclose(fitted.transform(X), theirs.transform(X), atol=1e-12)


def test_a_model_in_the_middle_is_refused() -> None:
    X, y = numbers()
    with pytest.raises(StageError, match="can only come last"):
        tilth.Pipeline([LogisticRegression(), tilth.ScaleStandard()]).fit(X, y)


def test_a_model_that_can_transform_too_is_the_model_where_it_comes_last() -> None:
    X, y = numbers()
    theirs = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LinearDiscriminantAnalysis())
    ours = pipe(model=LinearDiscriminantAnalysis()).fit(X, y)
    np.testing.assert_array_equal(ours.predict(X), theirs.fit(X, y).predict(X))
    inside = pipe(LinearDiscriminantAnalysis(), model=LogisticRegression()).fit(X, y)
    assert inside.transform(X).shape == (len(X), 1)


def test_columns_that_are_no_numbers_name_the_stage_that_would_make_them_some() -> None:
    frame, y = people(), np.arange(120) % 2
    with pytest.raises(DataError, match=r"'city'.*encode\.category"):
        pipe(model=LogisticRegression()).fit(frame, y)
    with pytest.raises(DataError, match=r"'city'.*encode\.category"):
        pipe().fit(frame, y).loader(frame, y)
    fitted = pipe(tilth.stage("encode.category"), model=LogisticRegression()).fit(frame, y)
    assert fitted.predict(frame).shape == (120,)


def test_missing_cells_before_a_model_that_takes_none_name_the_column() -> None:
    X, y = numbers()
    with pytest.raises(DataError, match=r"'x0'.*impute\.simple"):
        tilth.Pipeline([tilth.ScaleStandard(), LogisticRegression()]).fit(X, y)
    tilth.Pipeline([tilth.ScaleStandard(), HistGradientBoostingClassifier(max_iter=5)]).fit(X, y)


def test_new_data_is_checked_by_name_and_kind() -> None:
    frame = people()
    fitted = pipe().fit(frame)
    shuffled = fitted.transform(frame[["pay", "age", "city"]])
    pd.testing.assert_frame_equal(shuffled[["age", "city", "pay"]], fitted.transform(frame))
    with pytest.raises(ColumnError, match="no column 'pay'"):
        fitted.transform(frame.drop(columns="pay"))
    with pytest.raises(ColumnError, match="unexpected column 'tax'"):
        fitted.transform(frame.assign(tax=1))
    with pytest.raises(ColumnError, match="'age' is String, but it was Float64"):
        fitted.transform(frame.assign(age="old"))


def test_an_array_for_a_frame_is_taken_by_position_with_a_warning() -> None:
    frame = pd.DataFrame(numbers()[0], columns=list("abcd"))
    fitted = pipe().fit(frame)
    with pytest.warns(UserWarning, match="valid feature names"):
        out = fitted.transform(frame.to_numpy())
    np.testing.assert_array_equal(out, fitted.transform(frame).to_numpy())
    with (
        pytest.raises(DataError, match="X has 3 features, but Pipeline is expecting 4"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        fitted.transform(frame.to_numpy()[:, :3])


def test_a_fitted_pipeline_is_one_query() -> None:
    plan = pipe(tilth.stage("outliers.clip")).fit(pl.DataFrame(numbers()[0], orient="row")).plan()
    assert isinstance(plan, str) and plan.count("DF [") == 1


def test_explain_follows_one_row() -> None:
    frame = pl.DataFrame({"a": [1.0, None, 3.0], "b": ["x", "y", "x"]})
    told = pipe().fit(frame).explain(frame[1])
    assert told.filter(pl.col("column") == "a").rows() == [
        ("impute.simple", "a", None, "2.0"),
        ("scale.standard", "a", "2.0", "0.0"),
    ]
    with pytest.raises(DataError, match="one row; these are 3"):
        pipe().fit(frame).explain(frame)


def test_inverse_transform_of_the_part_that_can_be_inverted() -> None:
    X = np.nan_to_num(numbers()[0])
    fitted = tilth.Pipeline([tilth.ScaleRobust(), tilth.ScaleStandard()]).fit(X)
    np.testing.assert_allclose(fitted.inverse_transform(fitted.transform(X)), X, atol=1e-12)
    with pytest.raises(StageError, match=r"impute\.simple cannot be inverted"):
        pipe().fit(X).inverse_transform(X)


def test_set_output_and_feature_names() -> None:
    X, _ = numbers()
    fitted = pipe().set_output(transform="polars").fit(X)
    assert isinstance(fitted.transform(X), pl.DataFrame)
    assert list(fitted.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]
    assert isinstance(clone(fitted).fit_transform(X), pl.DataFrame)


def test_html_repr_draws_the_steps() -> None:
    drawn = pipe(model=LogisticRegression())._repr_html_()
    assert all(word in drawn for word in ("impute.simple", "ScaleStandard", "LogisticRegression"))


def test_a_regressor_scores_by_its_own_measure() -> None:
    X, _ = numbers()
    y = np.nan_to_num(X) @ np.array([1.0, 2.0, 3.0, 4.0])
    assert pipe(model=LinearRegression()).fit(X, y).score(X, y) > 0.99


def test_empty_input_is_refused_at_fit_and_kept_at_transform() -> None:
    X, _ = numbers()
    fitted = pipe().fit(X)
    assert fitted.transform(X[:0]).shape == (0, 4)
    with pytest.raises(DataError, match="0 sample"):
        pipe().fit(X[:0])
    with pytest.raises(DataError, match="0 feature"):
        pipe().fit(X[:, :0])


def test_a_saved_pipeline_predicts_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    frame, y = people(), np.arange(120) % 2
    stages = (tilth.stage("encode.category"), tilth.stage("balance.over"))
    fitted = pipe(*stages, model=LogisticRegression()).fit(frame, y)
    again = tilth.load(fitted.save(tmp_path / "bundle"))
    np.testing.assert_array_equal(again.predict_proba(frame), fitted.predict_proba(frame))
    assert again.ledger_.account() == fitted.ledger_.account()
    assert again.findings_ == fitted.findings_
    with pytest.raises(ColumnError, match="no column 'pay'"):
        again.predict(frame.drop(columns="pay"))


def test_a_recipe_and_a_pipeline_are_one_another() -> None:
    whole = tilth.Pipeline([tilth.ImputeSimple(indicator=True), tilth.OutliersClip(method="mad", width=4.0)])
    again = tilth.Pipeline.from_recipe(whole.to_recipe())
    assert [(n, s.get_params()) for n, s in again.stages_named()] == [
        (n, s.get_params()) for n, s in whole.stages_named()
    ]


def test_a_pipeline_with_a_classifier_can_be_fitted_again():
    X, y = pl.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]}), np.array([0, 0, 1, 1])
    pipe = tilth.Pipeline([tilth.ScaleStandard(), LogisticRegression()]).fit(X, y)
    assert pipe.fit(X, np.array(["n", "n", "y", "y"])).classes_.tolist() == ["n", "y"]
