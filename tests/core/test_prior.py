"""Class frequencies turned back: exactly, where rows of a class were drawn or weighted by class alone."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core import prior
from tilth.table import Roles, Table


def table_of(labels, weight=None):
    frame = pl.DataFrame({"a": np.arange(len(labels), dtype=float), "y": labels})
    if weight is not None:
        frame = frame.with_columns(pl.Series("w", weight))
    return Table.of(frame, roles=Roles(target="y", weight=None if weight is None else "w"))


def test_the_shift_is_by_weight_and_leaves_out_rows_without_a_label():
    before = table_of(["a", "a", "a", "b", None])
    after = table_of(["a", "a", "a", "b", None], [1.0, 1.0, 1.0, 3.0, 50.0])
    assert prior.shift(before, after) == pytest.approx({"a": 0.75 / 0.5, "b": 0.25 / 0.5})
    assert prior.shift(before, before) == {}
    assert prior.shift(table_of([None, None]), before) == {}


def test_a_class_that_went_or_came_has_no_factor():
    assert prior.shift(table_of(["a", "a", "b", "c"]), table_of(["a", "b"])) == pytest.approx(
        {"a": 1.0, "b": 0.5}
    )


def test_factors_of_two_stages_multiply():
    assert prior.product({"a": 2.0, "b": 0.5}, {"b": 4.0, "c": 3.0}) == {"a": 2.0, "b": 2.0, "c": 3.0}


@given(
    st.lists(st.floats(0.05, 1), min_size=2, max_size=4),
    st.lists(st.floats(0.05, 1), min_size=4, max_size=4),
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
)
def test_bayes_rule_is_turned_back_exactly(shares, resampled, likelihood):
    """Of densities p(x|class), posteriors at one prior are turned to those at another."""
    classes = len(shares)
    old, new = np.array(shares) / sum(shares), np.array(resampled[:classes]) / sum(resampled[:classes])
    density = np.array(likelihood[:classes])
    posterior = lambda share: (density * share / (density * share).sum())[None]
    names = [f"c{i}" for i in range(classes)]
    factors = dict(zip(names, old / new, strict=True))
    assert np.allclose(prior.corrected(posterior(new), names, factors), posterior(old), rtol=1e-12)


def test_names_are_those_of_the_target():
    for labels in ([True, False], [1, 2], [1.0, 2.0], ["x", "y"]):
        before, after = table_of(labels), table_of([*labels, labels[0]])
        assert sorted(prior.shift(before, after)) == sorted(prior.names_of(np.array(labels)))
