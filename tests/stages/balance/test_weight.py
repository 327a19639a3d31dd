"""BalanceWeight: scikit-learn's class weights are the oracle."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from tilth.errors import DataError
from tilth.stages.balance.weight import BalanceWeight
from tilth.table import Table

LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=60).filter(
    lambda labels: len(set(labels)) > 1
)


@given(LABELS)
def test_balanced_equals_scikit_learn(labels: list) -> None:
    plan = BalanceWeight().fit(np.zeros((len(labels), 1)), labels).plan_
    np.testing.assert_allclose(plan.weight, compute_sample_weight("balanced", labels), rtol=1e-12)
    assert (plan.times == 1).all()


@given(LABELS, st.integers(0, 3))
def test_balanced_with_given_weights_equals_scikit_learn(labels: list, seed: int) -> None:
    y, weight = np.array(labels), np.random.default_rng(seed).uniform(0.1, 3, len(labels))
    factors = BalanceWeight().fit(np.zeros((len(y), 1)), y, weight).plan_.weight
    classes = np.unique(y)
    peer = compute_class_weight("balanced", classes=classes, y=y, sample_weight=weight)
    np.testing.assert_allclose(factors, peer[np.searchsorted(classes, y)], rtol=1e-12)


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.999999])
def test_effective_follows_the_paper(beta: float) -> None:
    counts = np.array([500, 60, 3])
    y = np.repeat(["a", "b", "c"], counts)
    factors = BalanceWeight(method="effective", beta=beta).fit(np.zeros((len(y), 1)), y).plan_.weight
    paper = (1 - beta) / (1 - beta**counts)
    np.testing.assert_allclose(
        factors / factors[0], (paper / paper[0])[np.repeat([0, 1, 2], counts)], rtol=1e-9
    )


def test_effective_reaches_from_no_change_to_balanced() -> None:
    y = np.repeat([0, 1], [90, 10])
    X = np.zeros((100, 1))
    none = BalanceWeight(method="effective", beta=0.0).fit(X, y).plan_.weight
    full = BalanceWeight(method="effective", beta=1 - 1e-12).fit(X, y).plan_.weight
    np.testing.assert_allclose(none, 1, rtol=1e-12)
    np.testing.assert_allclose(full, compute_sample_weight("balanced", y), rtol=1e-6)


@given(LABELS, st.sampled_from(["balanced", "effective"]))
def test_the_sum_of_weights_stays(labels: list, method: str) -> None:
    X, y = pl.DataFrame({"v": range(len(labels))}), pl.Series("y", labels)
    out = BalanceWeight(method=method).fit_resample(
        Table.of(X, y, sample_weight=np.arange(len(labels)) + 1.0)
    )
    assert out.role("weight").sum() == pytest.approx(len(labels) * (len(labels) + 1) / 2)


def test_rows_without_a_label_keep_their_weight() -> None:
    plan = BalanceWeight().fit(pl.DataFrame({"v": range(5)}), ["a", "a", "a", None, "b"]).plan_
    np.testing.assert_allclose(plan.weight, [2 / 3, 2 / 3, 2 / 3, 1, 2])
    assert plan.reason[3] == "" and plan.reason[4] == "class 'b': mass 1"


def test_a_class_of_weight_zero_stays_at_zero() -> None:
    out = BalanceWeight().fit_resample(pl.DataFrame({"v": [1, 2, 3]}), ["a", "b", "c"], [1.0, 3.0, 0.0])
    np.testing.assert_allclose(out[2], [2, 2, 0])


def test_imbalance_is_reported() -> None:
    (finding,) = BalanceWeight().fit(np.zeros((22, 1)), ["a"] * 20 + ["b"] * 2).findings_
    assert finding.kind == "balance.classes" and finding.score == pytest.approx(0.1)
    assert not BalanceWeight().fit(np.zeros((4, 1)), list("abab")).findings_


def test_a_target_of_values_is_refused() -> None:
    with pytest.raises(DataError, match=r"balance\.weight.*fractions.*quartiles"):
        BalanceWeight().fit(np.zeros((3, 1)), [0.5, 0.25, 1.0])
