"""Values per group against pandas, for any partition."""

from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.statistics import Groups, Statistics

SCHEMA = {"k": pl.String(), "j": pl.Int64(), "v": pl.Float64(), "t": pl.String()}
ROW = st.tuples(
    st.sampled_from(["a", "b", None]),
    st.sampled_from([0, 1, None]),
    st.none() | st.integers(-50, 50).map(lambda n: n / 2),
    st.sampled_from(["x", "y", "z", None]),
)


def frame(rows) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def rows_of(found: pl.DataFrame) -> dict:
    return {row[:2]: row[2] for row in found.rows()}


@given(st.lists(st.lists(ROW, max_size=12), min_size=1, max_size=4))
def test_merged_parts_give_each_group_what_pandas_gives_it(parts):
    merged = reduce(
        add,
        (Groups.of(frame(p).lazy(), ["k", "j"], ["v", "t"]) for p in parts),
        Groups.empty(SCHEMA, ["k", "j"]),
    )
    means, medians, modes = (rows_of(f(["v"])) for f in (merged.means, merged.medians, merged.most_frequent))
    texts = rows_of(merged.most_frequent(["t"]))
    groups: dict[tuple, pd.DataFrame] = {}
    for key in {row[:2] for part in parts for row in part}:
        groups[key] = pd.DataFrame(
            [row[2:] for part in parts for row in part if row[:2] == key], columns=["v", "t"]
        )
    assert set(means) == set(medians) == set(modes) == set(texts) == set(groups)
    for key, rows in groups.items():
        numbers, words = rows["v"].dropna().astype(float), rows["t"].dropna()
        if len(numbers):
            assert means[key] == pytest.approx(numbers.mean(), rel=1e-12, abs=1e-12)
            assert medians[key] == numbers.median()
            assert modes[key] == numbers.mode().min()
        else:
            assert means[key] is medians[key] is modes[key] is None
        assert texts[key] == (words.mode().min() if len(words) else None)


def test_answers_are_sorted_by_the_keys_whatever_the_order_of_the_rows():
    random = np.random.default_rng(0)
    rows = pl.DataFrame({"k": random.choice(list("cab"), 90), "v": random.integers(0, 5, 90)})
    one = Statistics([rows.lazy()]).grouped(["k"], ["v"])
    two = Statistics([rows[60:].lazy(), rows[:0].lazy(), rows[:60].lazy()]).grouped(["k"], ["v"])
    for way in ("means", "medians", "most_frequent"):
        found = getattr(one, way)(["v"])
        assert found["k"].to_list() == ["a", "b", "c"]
        assert found.equals(getattr(two, way)(["v"]))


def test_a_date_has_the_lower_median_and_categories_count_as_texts():
    days = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 1, 4), eager=True)
    rows = pl.DataFrame(
        {"k": pl.Series(["p"] * 4, dtype=pl.Categorical), "d": days, "c": pl.Series(["z", "y", "z", "y"])}
    ).with_columns(pl.col("c").cast(pl.Categorical))
    groups = Groups.of(rows.lazy(), ["k"], ["d", "c"])
    assert groups.medians(["d"]).rows() == [("p", days[1])]
    assert groups.most_frequent(["c", "d"]).rows() == [("p", "y", days[0])]


def test_a_group_between_two_infinities_has_no_median():
    rows = pl.LazyFrame({"k": ["a", "a", "b"], "v": [-np.inf, np.inf, np.inf]})
    assert Groups.of(rows, ["k"], ["v"]).medians(["v"]).rows() == [("a", None), ("b", np.inf)]
