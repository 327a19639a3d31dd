"""Every sampler of imbalanced-learn through adapt: the sampler itself is the oracle."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from imblearn.utils.testing import all_estimators
from sklearn.base import clone

from tests.laws.cases import alike
from tilth import Pipeline
from tilth.core import fit
from tilth.core.plan import apply
from tilth.errors import DataError, StageError
from tilth.stages.adapt import adapt
from tilth.stages.adapt_rows import AdaptSampler
from tilth.table import ROW, Roles, Table

SAMPLERS = dict(all_estimators(type_filter="sampler"))
CATEGORICAL = {"SMOTENC": ["c"], "SMOTEN": None}
NAMES = sorted(SAMPLERS)


def made(name: str):
    """Return a sampler with its defaults, seeded where it can be."""
    if name == "SMOTENC":
        return SMOTENC(["c"], random_state=0)
    cls = SAMPLERS[name]
    given = {"random_state": 0} if "random_state" in cls().get_params() else {}
    if name == "KMeansSMOTE":
        given["cluster_balance_threshold"] = 0.1
    return cls(**given)


def rows_of(name: str, n: int = 300, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    """Make rows of three classes, in the kinds of column that a sampler takes."""
    random = np.random.default_rng(seed)
    y = random.choice(["many", "some", "few"], n, p=[0.7, 0.2, 0.1])
    center = np.select([y == "some", y == "few"], [1.5, -1.5], 0.0)
    X = pl.DataFrame(
        {
            "a": center + random.normal(size=n),
            "b": (center * 3 + random.normal(size=n)).astype(np.float32),
            "n": (random.integers(0, 40, n) + center * 5).astype(np.int32),
        }
    )
    words = pl.Series("c", random.choice(["p", "q", "r"], n))
    if name == "SMOTENC":
        return X.with_columns(words), y
    if name == "SMOTEN":
        return pl.DataFrame({c: random.choice(["u", "v", "w", "x"], n) for c in "cdefgh"}), y
    return X, y


@pytest.fixture(autouse=True)
def quiet():
    """Let samplers say what they will; what they do is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield


def test_the_list_holds_the_samplers_there_are():
    assert {"SMOTE", "ADASYN", "SMOTENC", "SMOTEN", "SMOTEENN", "ClusterCentroids"} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_counts_and_types_are_those_of_the_sampler(name: str) -> None:
    X, y = rows_of(name)
    numbers, names = pd.factorize(y, sort=True)
    theirs, labels = clone(made(name)).fit_resample(X.to_pandas(), numbers)
    labels = names[labels]
    out, given = adapt(made(name)).fit_resample(X, y)
    assert Counter(given.tolist()) == Counter(np.asarray(labels).tolist())
    assert out.height == len(theirs) and out.schema == X.schema
    # The same rows, in another order.
    cells = [pl.col(c).cast(pl.String) for c in X.columns]
    peer = pl.from_pandas(theirs).cast(dict(X.schema)).with_columns(y=pl.Series(np.asarray(labels)))
    alike(
        out.with_columns(y=pl.Series(given)).select(*cells, "y").sort(*X.columns, "y"),
        peer.select(*cells, "y").sort(*X.columns, "y"),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_made_row_names_its_parents(name: str) -> None:
    X, y = rows_of(name)
    stage = adapt(made(name)).fit(X, y)
    plan = stage.plan_
    if plan.fresh is None:
        assert plan.times.sum() > 0
        return
    assert plan.parents.shape == plan.shares.shape and len(plan.parents) == plan.fresh.height
    np.testing.assert_allclose(plan.shares.sum(axis=1), 1)
    assert ((plan.shares >= 0) & (plan.shares <= 1)).all()
    assert (y[plan.parents] == plan.fresh["target"].to_numpy()[:, None]).all()
    if name in ("SMOTEN", "ClusterCentroids"):
        return
    # Rows of all others lie on the line of two parents, or a little outwards of it.
    two = plan.parents[:, 0] != plan.parents[:, 1]
    assert two.mean() > 0.97
    numbers = X.select("a", "b").to_numpy()
    one, other = (numbers[plan.parents[two, place]] for place in (0, 1))
    there = plan.fresh.filter(pl.Series(two)).select("a", "b").to_numpy()
    inside = plan.shares[two, 1] > 0
    expected = one + plan.shares[two, 1, None] * (other - one)
    np.testing.assert_allclose(there[inside], expected[inside], atol=1e-4)
    assert inside.mean() > (0.3 if name == "SVMSMOTE" else 0.95)


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_ids_follow_and_the_ledger_takes_it_back(name: str) -> None:
    X, y = rows_of(name)
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    rows = X.with_columns(y=pl.Series(y), w=weight, key=pl.Series([f"row {i}" for i in range(len(y))]))
    table = Table.of(rows, roles=Roles(target="y", weight="w", row_id="key"))
    done = fit([("s", adapt(made(name)))], table)
    assert done.ledger.account()["balanced"]
    after = done.table.frame.collect()
    assert done.ledger.replay(table).frame.collect().equals(after)
    if "s" in done.ledger.stages:
        assert done.ledger.undo("s", table).frame.collect().equals(table.frame.collect())
    assert after[ROW].n_unique() == after.height
    plan = adapt(made(name)).fit_table(table)
    old = plan.sources >= 0
    kept = after.filter(pl.Series(old))
    assert kept.select(*X.columns, "y", "w", "key").equals(
        table.frame.collect()[plan.sources[old]].select(*X.columns, "y", "w", "key")
    )
    if plan.fresh is not None:
        mixed = (weight[plan.parents] * plan.shares).sum(axis=1)
        np.testing.assert_allclose(after.filter(pl.Series(~old))["w"], mixed)


@pytest.mark.parametrize("name", NAMES)
def test_groups_follow_where_parents_agree(name: str) -> None:
    X, y = rows_of(name)
    # One group for each class: parents always agree.
    table = Table.of(X, y, groups=np.char.add("of ", y))
    out = apply(adapt(made(name)).fit_table(table), table, "s").frame.collect()
    roles = table.roles
    assert (out[roles.group] == "of " + out[roles.target]).all()


def test_parents_of_two_groups_are_refused_with_a_way_out() -> None:
    X, y = rows_of("SMOTE")
    with pytest.raises(DataError, match=r"parents of different groups.*balance\.over"):
        adapt(SMOTE()).fit_resample(X, y, groups=np.arange(300))


def test_more_neighbors_than_usual_are_looked_among() -> None:
    X, y = rows_of("SMOTE", 2000)
    plan = adapt(SMOTE(k_neighbors=25)).fit(X, y).plan_
    assert (plan.parents[:, 0] != plan.parents[:, 1]).mean() > 0.97


def test_categories_alone_take_the_nearest_row_of_their_class() -> None:
    X, y = rows_of("SMOTEN")
    plan = adapt(SMOTEN(random_state=0)).fit(X, y).plan_
    assert plan.fresh.height > 20 and (plan.parents[:, 0] == plan.parents[:, 1]).all()
    cells = X.to_numpy()
    for row, parent in zip(plan.fresh.rows(), plan.parents[:, 0], strict=True):
        own = np.flatnonzero(y == row[-1])
        differ = (cells[own] != np.array(row[:-1], dtype=object)).sum(axis=1)
        assert differ[own.tolist().index(parent)] == differ.min()


def test_a_strategy_that_names_classes_is_given_names() -> None:
    X, y = rows_of("SMOTE")
    for sampler in (SMOTE(sampling_strategy={"few": 100}), TomekLinks(sampling_strategy=["many"])):
        out = adapt(sampler).fit_resample(X, pl.Series("y", y, dtype=pl.Categorical))[1]
        peer = clone(sampler).fit_resample(X.to_pandas(), y)[1]
        assert Counter(out.cast(pl.String).to_list()) == Counter(peer.tolist())


def test_columns_that_cannot_be_compared_are_refused_where_rows_are_made() -> None:
    class Lists:
        def fit_resample(self, X, y):
            return pd.concat([X, X.iloc[:1].map(lambda cell: [9.0, *cell])], ignore_index=True), [*y, y[0]]

        def __sklearn_tags__(self):
            tags = SMOTENC([0]).__sklearn_tags__()
            tags.input_tags.categorical = tags.input_tags.string = True
            return tags

    with pytest.raises(StageError, match="parents cannot be found by"):
        AdaptSampler(Lists()).fit(pl.DataFrame({"v": [[1.0], [2.0], [3.0]]}), ["a", "b", "a"])


@pytest.mark.parametrize("correct", [True, False])
def test_the_pipeline_turns_probabilities_back_unless_told_otherwise(correct: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(0)
    y = (random.random(2000) < 0.1).astype(int)
    X = pl.DataFrame({"a": y + random.normal(size=2000)})
    shares = []
    for sampler in (RandomUnderSampler(random_state=0), RandomOverSampler(random_state=0)):
        pipe = Pipeline([adapt(sampler, correct_prior=correct), LogisticRegression()]).fit(X, y)
        shares.append(pipe.predict_proba(X)[:, 1].mean())
    if correct:
        np.testing.assert_allclose(shares, y.mean(), atol=0.01)
    else:
        assert min(shares) > 0.25
    assert clone(adapt(SMOTE(), correct_prior=correct)).correct_prior is correct
