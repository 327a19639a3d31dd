"""The linear probe is scikit-learn's own pipeline on clean data, and weights count as rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tilth.probes import Linear


@pytest.fixture
def clean(mixed):
    frame, score = mixed
    table = frame.select("age", "wage", "visits", "city").to_pandas()
    return table.assign(city=table["city"].fillna("Bern")).fillna(table.mean(numeric_only=True)), score


def theirs(model):
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    columns = (numbers, ["age", "wage", "visits"]), (OneHotEncoder(), ["city"])
    return make_pipeline(make_column_transformer(*columns), model)


def test_probabilities_equal_the_scikit_learn_pipeline(clean):
    table, score = clean
    y = np.digitize(score, [-1, 1])
    expected = theirs(LogisticRegression(max_iter=1000)).fit(table, y).predict_proba(table)
    np.testing.assert_allclose(Linear().fit(table, y).predict_proba(table), expected, atol=1e-6)


@pytest.mark.parametrize("C", [1.0, 0.01])
def test_regression_equals_the_scikit_learn_pipeline(clean, C):
    table, score = clean
    expected = theirs(Ridge(alpha=1 / C)).fit(table, score).predict(table)
    np.testing.assert_allclose(Linear(C=C).fit(table, score).predict(table), expected, atol=1e-6)


@pytest.mark.parametrize("classes", [True, False])
def test_a_weight_of_two_counts_as_two_rows(mixed, classes):
    frame, score = mixed
    y = score > 0 if classes else score
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), weight)
    answer = "predict_proba" if classes else "predict"
    weighted = getattr(Linear().fit(frame, y, weight), answer)(frame)
    np.testing.assert_allclose(
        weighted, getattr(Linear().fit(frame[repeated], y[repeated]), answer)(frame), atol=1e-4
    )


def test_coefficients_follow_the_names_of_the_inputs(mixed):
    frame, score = mixed
    model = Linear().fit(frame.select("age", "city", "member"), score)
    effect = dict(zip(model.inputs_.names_, model.model_.coef_, strict=True))
    assert effect["city=Oslo"] > 0.8
    assert effect["member"] < -1
    assert abs(effect["age is missing"]) < 0.6


def test_reads_dates_as_a_trend(mixed):
    frame, _ = mixed
    dates = frame.select("joined").drop_nulls()
    days = dates["joined"].to_physical().to_numpy().astype(float)
    assert Linear().fit(dates, days / 7).score(dates, days / 7) > 0.99
    assert (
        Linear()
        .fit(pd.DataFrame({"t": pd.to_datetime(dates["joined"].to_list())}), days)
        .score(dates.rename({"joined": "t"}), days)
        > 0.99
    )
