"""Each column becomes numbers in the way its values ask for, and why is told with figures."""

from __future__ import annotations

import datetime as dt
import uuid

import numpy as np
import polars as pl
import pytest

import tilth
from tests.laws.cases import alike, learned, parts
from tilth import EncodeAuto
from tilth.errors import DataError
from tilth.table import Roles, Table

RANDOM = np.random.default_rng(0)
COUNT = 240
WORDS = ["soil", "seed", "plow", "rain", "harvest", "field", "barn", "sun"]
ROWS = pl.DataFrame(
    {
        "price": [f"${v:,.2f}" for v in RANDOM.uniform(1, 5000, COUNT)],
        "day": [str(dt.date(2020, 1, 1) + dt.timedelta(int(i))) for i in RANDOM.integers(0, 700, COUNT)],
        "seen": [
            dt.datetime(2020, 1, 1) + dt.timedelta(hours=int(i)) for i in RANDOM.integers(0, 9999, COUNT)
        ],
        "city": RANDOM.choice(["Rome", "Oslo", "Lima"], COUNT),
        "shop": [
            f"{w}{i}" for w, i in zip(RANDOM.choice(WORDS, COUNT), RANDOM.integers(0, 5, COUNT), strict=True)
        ],
        "maker": [" ".join(RANDOM.choice(WORDS, 2)) + str(i // 2) for i in range(COUNT)],
        "note": [" ".join(RANDOM.choice(WORDS, 6)) for _ in range(COUNT)],
        "id": [str(uuid.UUID(int=i * 7919 + 10**30)) for i in range(COUNT)],
        "order": [f"A-{i:05d}" for i in range(COUNT)],
        "age": RANDOM.integers(18, 90, COUNT),
        "member": RANDOM.random(COUNT) < 0.5,
    }
)
Y = pl.Series("y", np.where(RANDOM.random(COUNT) < 0.4, "yes", "no"))


def chosen(stage):
    return [(part.key, part.columns_) for part in stage.parts_]


def test_each_column_is_encoded_by_what_it_holds():
    stage = EncodeAuto(size=4).fit(ROWS, Y)
    assert chosen(stage) == [
        ("encode.parse", ["price", "day"]),
        ("encode.date", ["day", "seen"]),
        ("encode.category", ["city"]),
        ("encode.target", ["shop"]),
        ("encode.text", ["maker", "note"]),
    ]
    out = stage.transform(ROWS)
    assert all(dtype.is_numeric() or dtype == pl.Boolean for dtype in out.dtypes)
    assert out.height == COUNT and "id" not in out.columns and "order" not in out.columns
    assert out.select("age", "member").equals(ROWS.select("age", "member"))
    told = {f.columns[0]: f.message for f in stage.findings_ if f.kind.startswith("auto.")}
    assert set(told) == set(ROWS.columns) - {"price", "age", "member"}
    assert "3 different values in 240 cells, 30 at most" in told["city"]
    assert "UUIDs" in told["id"] and "'A-…' around a number" in told["order"]
    left = [f for f in stage.findings_ if f.kind == "auto.left"]
    assert [f.remedy for f in left] == [{"data": {"row_id": "id"}}, {"data": {"row_id": "order"}}]


def test_without_a_target_many_levels_become_frequencies():
    stage = EncodeAuto().fit(ROWS)
    assert ("encode.category", ["shop"]) in chosen(stage)
    share = (ROWS["shop"] == ROWS["shop"][0]).mean()
    assert stage.transform(ROWS)["shop"][0] == pytest.approx(share)
    with pytest.raises(DataError, match="requires y"):
        EncodeAuto(many="target").fit(ROWS)


@pytest.mark.parametrize(
    ("more", "column", "key"),
    [
        ({"few_levels": 2}, "city", "encode.target"),
        ({"few_levels": 2, "many": "frequency"}, "city", "encode.category"),
        ({"many": "text"}, "shop", "encode.text"),
        ({"few_levels": 50}, "shop", "encode.category"),
        ({"level_rows": 50.0}, "shop", "encode.text"),
        ({"level_rows": 1.0}, "maker", "encode.target"),
        ({"names": "text"}, "order", "encode.text"),
    ],
)
def test_every_threshold_moves_what_it_is_for(more, column, key):
    stage = EncodeAuto(size=3, **more).fit(ROWS, Y)
    assert [part.key for part in stage.parts_ if column in part.columns_] == [key]


def test_declared_text_is_text_and_size_and_share_are_heard():
    rows = ROWS.select("city", "price").with_columns(
        pl.when(pl.int_range(COUNT) % 3 == 0).then(pl.lit("on request")).otherwise("price").alias("price")
    )
    stage = EncodeAuto(size=2).fit_table([Table.of(rows, Y, kinds={"city": "text"})])
    assert chosen(stage) == [("encode.text", ["city", "price"])]
    assert stage.transform(rows).columns == ["city_1", "city_2", "price_1", "price_2"]
    read = EncodeAuto(least_share=0.6).fit(rows)
    assert chosen(read)[0] == ("encode.parse", ["price"])
    assert "parse.unreadable" in {f.kind for f in read.findings_}


def test_training_rows_are_encoded_by_other_rows():
    X = ROWS.select("shop")
    stage = EncodeAuto()
    trained, new = stage.fit_transform(X, Y), stage.transform(X)
    alone = tilth.EncodeTarget()
    assert trained.equals(alone.fit_transform(X, Y)) and new.equals(alone.transform(X))
    assert not trained.equals(new)


@pytest.mark.parametrize("bounds", [[100], [1, 2, 239], list(range(20, 240, 20))])
def test_parts_give_what_the_whole_gives(bounds):
    table = Table.of(ROWS.with_columns(Y), roles=Roles(target="y"))
    whole = EncodeAuto(size=3).fit_table([table])
    merged = EncodeAuto(size=3).fit_table(parts(table, bounds, list(range(len(bounds) + 1))[::-1]))
    alike(learned(merged), learned(whole))
    alike(merged.change(table.frame).collect(), whole.change(table.frame).collect())


def test_what_was_chosen_is_a_recipe_and_comes_back_from_a_bundle(tmp_path):
    stage = EncodeAuto(size=3).fit(ROWS, Y)
    wanted = stage.transform(ROWS)
    lines = [tilth.stage(key, **more) for line in stage.lines_ for key, more in line.items()]
    assert (
        tilth.Pipeline(lines)
        .fit(ROWS.drop("id", "order"), Y)
        .transform(ROWS.drop("id", "order"))
        .equals(wanted)
    )
    pipe = tilth.Pipeline([EncodeAuto(size=3)]).fit(ROWS, Y)
    pipe.save(tmp_path / "bundle")
    assert tilth.load(tmp_path / "bundle").transform(ROWS).equals(wanted)


def test_dates_alone_can_be_put_together_again():
    rows = ROWS.select("age", pl.col("seen").dt.date())
    stage = EncodeAuto().fit(rows)
    assert stage.inverse_transform(stage.transform(rows)).equals(rows)
    assert not hasattr(EncodeAuto().fit(ROWS), "inverse_transform")


def test_a_single_row_and_columns_without_a_value_are_taken():
    assert EncodeAuto().fit(ROWS.head(1)).transform(ROWS.head(1)).height == 1
    empty = pl.DataFrame({"a": pl.Series([None] * 30, dtype=pl.String), "b": range(30)})
    assert EncodeAuto().fit_transform(empty)["b"].to_list() == list(range(30))
