"""The numbers of a table as a whole: what is planted is told once, with its figures."""

import re

import numpy as np
import polars as pl
import pytest

from tilth.audit import audit, dimension, pairs
from tilth.audit.column import Column
from tilth.audit.numbers import MOST_COLUMNS, Numbers
from tilth.stages import stage
from tilth.table import Roles, Table

FEW = 400


def told(frame, findings=(), **more):
    return {f.kind: f for f in dimension.look(Table.of(frame), findings, **more)}


def wide_frame(rng, rows, axes, width, noise=0.05):
    values = rng.normal(size=(rows, axes)) @ rng.normal(size=(axes, width))
    return pl.DataFrame(values + rng.normal(0, noise, (rows, width)), schema=[f"c{i}" for i in range(width)])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_sum_of_columns_is_named_with_its_parts(rng):
    a, b, c, d = rng.normal(size=(4, FEW))
    found = told(pl.DataFrame({"a": a, "b": b, "total": a + b, "c": c, "d": d}))
    assert set(found) == {"dimension.rank"}
    finding = found["dimension.rank"]
    assert finding.columns == ("total",)
    assert "'total' by 'a' and 'b'" in finding.message or "'total' by 'b' and 'a'" in finding.message
    assert finding.score == pytest.approx(1 / 5)


def test_what_is_almost_a_sum_is_told_with_its_inflation(rng):
    a, b, c = rng.normal(size=(3, FEW))
    frame = pl.DataFrame({"a": a, "b": b, "c": c, "near": a - b + rng.normal(0, 0.1, FEW)})
    found = told(frame)
    assert set(found) == {"dimension.collinear"}
    finding = found["dimension.collinear"]
    assert set(finding.columns) == {"a", "b", "near"}
    # The worst one by brute force, with what chance adds taken off.
    X = frame.to_numpy()
    worst = max(np.diag(np.linalg.inv(np.corrcoef(X, rowvar=False))))
    assert finding.score == pytest.approx(worst * (FEW - 4) / (FEW - 1), rel=1e-6)
    condition = float(re.search(r"Condition number (\d+\.?\d*)", finding.message)[1])
    values = np.linalg.eigvalsh(np.corrcoef(X, rowvar=False))
    assert condition == pytest.approx(np.sqrt(values[-1] / values[0]), rel=0.01)


def test_pairs_that_were_told_are_not_told_again(rng):
    a, b, c, d = rng.normal(size=(4, FEW))
    frame = pl.DataFrame({"a": a, "b": b, "twin": a + rng.normal(0, 0.01, FEW), "c": c, "d": d})
    table = Table.of(frame)
    findings = list(pairs.correlated([Column.of(table, name) for name in table.features]))
    assert [f.columns for f in findings] == [("a", "twin")]
    assert "dimension.collinear" in told(frame)
    assert told(frame, findings) == {}


def test_chance_is_not_called_collinear(rng):
    # With 30 columns and 95 rows the plain factors come near 2, and none is named.
    assert not {"dimension.rank", "dimension.collinear"} & set(told(wide_frame(rng, 95, 30, 30, noise=30.0)))


def test_rows_on_a_plane_fill_its_dimensions(rng):
    found = told(wide_frame(rng, 1500, 2, 12, noise=0.0001))
    finding = found["dimension.intrinsic"]
    assert finding.score == pytest.approx(2, rel=0.15)
    alone = float(re.search(r"would look like (\d+\.?\d*)", finding.message)[1])
    assert alone > 8
    assert "2 principal components hold 99%" in found["dimension.reduce"].message


def test_independent_columns_look_like_independent_columns(rng):
    found = told(pl.DataFrame(rng.normal(size=(1500, 10)), schema=[f"c{i}" for i in range(10)]))
    alone = float(re.search(r"would look like (\d+\.?\d*)", found["dimension.intrinsic"].message)[1])
    assert found["dimension.intrinsic"].score == pytest.approx(alone, rel=0.1)
    reduce = found["dimension.reduce"]
    assert (
        reduce.remedy is None
        and "none is spare" in reduce.message
        and "components hold" not in reduce.message
    )


def test_the_remedy_leaves_out_as_many_columns_as_it_says(rng):
    frame = wide_frame(rng, 600, 9, 9)
    for i in range(4):
        frame = frame.with_columns(
            (pl.col(f"c{i}") * (i + 2) + pl.Series(rng.normal(0, 0.1, 600))).alias(f"t{i}")
        )
    finding = told(frame)["dimension.reduce"]
    ((key, parameters),) = finding.remedy.items()
    out = stage(key, **parameters).fit_transform(frame)
    assert frame.width - out.width == len(finding.columns) == 4
    assert finding.score == pytest.approx(4 / 13)


def test_many_columns_beside_few_rows_are_told(rng):
    finding = told(wide_frame(rng, 60, 40, 120, noise=1.0))["dimension.wide"]
    assert finding.severity == "medium" and finding.score == pytest.approx(0.5)
    low = told(wide_frame(rng, 120, 30, 30, noise=1.0))["dimension.wide"]
    assert low.severity == "low" and low.score == pytest.approx(4)
    assert "dimension.wide" not in told(wide_frame(rng, 400, 30, 30, noise=1.0))


def test_distances_that_say_little_are_told(rng):
    frame = pl.DataFrame(rng.normal(size=(700, 60)), schema=[f"c{i}" for i in range(60)])
    finding = told(frame)["dimension.concentration"]
    assert finding.score < 1
    assert "dimension.concentration" not in told(wide_frame(rng, 700, 3, 60))


def test_nothing_depends_on_the_order_of_the_rows(rng):
    frame = wide_frame(rng, 300, 4, 10).with_columns(id=pl.int_range(300))
    one, other = (
        list(dimension.look(Table.of(f, roles=Roles(row_id="id")), seed=3))
        for f in (frame, frame.sample(fraction=1, shuffle=True, seed=1))
    )
    assert [f.kind for f in one] == [f.kind for f in other]
    for a, b in zip(one, other, strict=True):
        assert a.score == pytest.approx(b.score, rel=1e-9)


def test_vectors_flags_and_gaps_are_numbers_too(rng):
    base = wide_frame(rng, FEW, 5, 6)
    vector = pl.Series("pixels", rng.normal(size=(FEW, 4)), dtype=pl.Array(pl.Float64, 4))
    flags = pl.DataFrame({f"is{i}": rng.integers(0, 3, FEW) == i for i in range(3)})
    frame = pl.concat([base, flags], how="horizontal").with_columns(vector)
    frame = frame.with_columns(
        pl.when(pl.int_range(FEW) % 9 > 0).then("c0").alias("c0"),
        ragged=pl.Series([[1.0] * (1 + i % 2) for i in range(FEW)]),
    )
    numbers = Numbers.of(Table.of(frame))
    assert numbers.columns == 6 + 3 + 4 and "pixels[3]" in numbers.names and "is2" in numbers.names
    assert len(numbers.unit) == FEW - FEW // 9 - 1 and numbers.filled == 0
    np.testing.assert_allclose(numbers.unit.std(axis=0), 1)


def test_elements_of_a_vector_are_told_by_their_column_and_are_no_twins(rng):
    same = rng.normal(size=(FEW, 1)) + rng.normal(0, 0.05, (FEW, 9))
    found = told(pl.DataFrame({"pixels": pl.Series(same, dtype=pl.Array(pl.Float64, 9))}))
    assert found["dimension.collinear"].columns == ("pixels",)
    assert "'pixels[" in found["dimension.collinear"].message
    reduce = found["dimension.reduce"]
    assert reduce.remedy is None and "spare" not in reduce.message


def test_where_most_rows_have_gaps_they_are_filled_and_it_is_said(rng):
    frame = wide_frame(rng, FEW, 9, 9)
    holed = frame.with_columns(
        [pl.when(pl.Series(rng.random(FEW) > 0.2)).then(c).alias(c) for c in frame.columns]
    ).with_columns(mostly=pl.when(pl.int_range(FEW) < 50).then(1.0 * pl.int_range(FEW)))
    numbers = Numbers.of(Table.of(holed))
    assert "mostly" not in numbers.names and len(numbers.unit) == FEW
    assert numbers.filled == pytest.approx(holed.drop("mostly").null_count().sum_horizontal()[0] / (9 * FEW))
    assert "held to be the mean" in told(holed)["dimension.intrinsic"].message


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"a": ["x", "y"]}),
        pl.DataFrame({"a": [1.0]}),
        pl.DataFrame({"a": [1.0, 1.0], "b": [2, 3], "c": [float("inf"), None], "d": [1e308, -1e308]}),
        pl.DataFrame({f"c{i}": [1.0] * 200 for i in range(12)}),
        pl.DataFrame({f"c{i}": [0.0, 1.0] * 100 for i in range(12)}),
        pl.DataFrame(
            {f"c{i}": [None] * 20 for i in range(9)}, schema={f"c{i}": pl.Float64 for i in range(9)}
        ),
        pl.DataFrame({"v": [[1.0, 2.0], None, [3.0, 4.0]]}),
        pl.DataFrame(schema={f"c{i}": pl.Float64 for i in range(9)}),
    ],
)
def test_little_data_comes_to_no_harm(frame):
    found = told(frame)
    assert "dimension.intrinsic" not in found and all(np.isfinite(f.score) for f in found.values())


def test_a_wide_table_is_looked_at_in_part_and_it_is_said(rng):
    frame = pl.DataFrame(
        rng.normal(size=(30, MOST_COLUMNS + 50)), schema=[f"c{i}" for i in range(MOST_COLUMNS + 50)]
    )
    finding = told(frame)["check.limited"]
    assert str(MOST_COLUMNS) in finding.message
    assert finding.score == pytest.approx(MOST_COLUMNS / (MOST_COLUMNS + 50))


def test_the_audit_tells_it_and_names_are_left_out(rng):
    frame = wide_frame(rng, 300, 3, 9).with_columns(
        key=pl.int_range(1000, 1300), y=pl.Series(rng.random(300) > 0.5)
    )
    seen = audit(frame, "y", stages=[])
    found = {f.kind: f for f in seen.findings if f.kind.startswith("dimension.")}
    assert {"dimension.collinear", "dimension.intrinsic", "dimension.reduce"} <= set(found)
    assert set(found) <= set(dimension.FINDS)
    assert "9 columns of numbers" in found["dimension.intrinsic"].message
    assert all("key" not in f.columns for f in found.values())
