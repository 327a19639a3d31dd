"""Contributions of columns to an answer: they sum up, and are those of hand where a hand can tell."""

import sys

import numpy as np
import polars as pl
import pytest

from tilth.bench.contributing import contributions
from tilth.errors import DataError, TilthError
from tilth.pipeline import Pipeline
from tilth.probes import Boosting
from tilth.stages.impute.simple import ImputeSimple

shap = pytest.importorskip("shap")


class Plane:
    """Answer by a plane over the columns."""

    def predict(self, frame):
        return (2 * frame["a"] - 3 * frame["b"]).to_numpy()


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pl.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60), "c": rng.normal(size=60)})


def test_of_a_plane_each_column_adds_its_slope_times_its_distance_from_the_mean(frame):
    found = contributions(Plane(), frame.head(4), frame)
    for name, slope in (("a", 2), ("b", -3), ("c", 0)):
        mine = found.filter(pl.col("column") == name)["contribution"].to_numpy()
        assert mine == pytest.approx(slope * (frame[name].head(4) - frame[name].mean()).to_numpy(), abs=1e-9)


def test_contributions_sum_up_to_the_answer_less_the_base(mixed):
    pipe, X = mixed
    found = contributions(pipe, X.tail(5), X, permutations=3)
    sums = found.group_by("row", maintain_order=True).agg(
        pl.col("contribution").sum(), pl.col("base").first(), pl.col("answer").first()
    )
    assert (sums["contribution"] + sums["base"]).to_numpy() == pytest.approx(
        sums["answer"].to_numpy(), abs=1e-6
    )
    assert sums["answer"].to_numpy() == pytest.approx(pipe.predict_proba(X.tail(5))[:, 1])


@pytest.fixture(scope="module")
def mixed():
    rng = np.random.default_rng(1)
    X = pl.DataFrame({"x": rng.normal(size=200), "city": rng.choice(["Oslo", "Rome"], 200)})
    X = X.with_columns(x=pl.when(pl.int_range(pl.len()) % 7 > 0).then("x"), still=pl.lit("same"))
    y = pl.Series("y", np.where((X["city"] == "Oslo").to_numpy(), "yes", "no"))
    return Pipeline([ImputeSimple(), Boosting(random_state=0)]).fit(X, y), X


def test_texts_and_gaps_are_explained_as_they_were_given(mixed):
    pipe, X = mixed
    found = contributions(pipe, X.head(3), X, label="yes", permutations=3)
    city = found.filter(pl.col("column") == "city")
    assert ((city["contribution"] > 0) == (city["value"] == "Oslo")).all()
    assert (found.filter(pl.col("column") == "still")["contribution"] == 0).all()
    assert found.filter((pl.col("column") == "x") & (pl.col("row") == 0))["value"].item() is None
    other = contributions(pipe, X.head(3), X, label="no", permutations=3)
    assert other["contribution"].to_numpy() == pytest.approx(-found["contribution"].to_numpy(), abs=1e-9)


def test_the_same_seed_draws_the_same(mixed):
    pipe, X = mixed
    one, same = (contributions(pipe, X.head(2), X, permutations=1, random_state=5) for _ in range(2))
    assert one.equals(same)


def test_what_cannot_be_explained_is_refused(frame, mixed):
    with pytest.raises(DataError, match="the background"):
        contributions(Plane(), frame.select("a", "b"), frame)
    with pytest.raises(DataError, match="at least one row"):
        contributions(Plane(), frame.clear(), frame)
    with pytest.raises(DataError, match="at least 1"):
        contributions(Plane(), frame, frame, permutations=0)
    with pytest.raises(DataError, match="no class 'maybe'"):
        contributions(mixed[0], mixed[1].head(1), mixed[1], label="maybe")
    with pytest.raises(DataError, match="no probabilities"):
        contributions(Plane(), frame.head(1), frame, label=1)


def test_without_shap_it_is_said_what_to_install(frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(TilthError, match=r"tilth\[explain\]"):
        contributions(Plane(), frame.head(1), frame)
