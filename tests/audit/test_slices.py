"""Weak slices: planted ones are found, chance is not, and any table, model and role will do."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsRegressor

import tilth
from tilth.audit import audit, slices, weak_slices
from tilth.audit.losses import Losses
from tilth.errors import ColumnError, DataError
from tilth.table import Roles, Table

ROWS = 2000


@pytest.fixture(scope="module")
def made():
    """Return features, right labels, and labels of which a quarter is wrong where age > 50 and sex is 'f'."""
    rng = np.random.default_rng(0)
    X = pl.DataFrame(
        {
            "age": rng.integers(18, 90, ROWS),
            "sex": rng.choice(["f", "m"], ROWS),
            "pay": rng.normal(size=ROWS),
            "town": rng.choice(list("abcde"), ROWS),
        }
    )
    right = np.where(X["pay"].to_numpy() > 0, "yes", "no")
    region = ((X["age"] > 50) & (X["sex"] == "f")).to_numpy()
    flip = region & (rng.random(ROWS) < 0.3)
    return X, right, np.where(flip, np.where(right == "yes", "no", "yes"), right), region, flip


def inside(finding, rows=ROWS):
    hit = np.zeros(rows, bool)
    hit[list(finding.rows)] = True
    return hit


def jaccard(finding, region):
    hit = inside(finding, len(region))
    return (hit & region).sum() / (hit | region).sum()


@pytest.mark.parametrize("probe", ["linear", "boosting", "auto", RandomForestClassifier(20)])
def test_a_planted_slice_is_found_with_its_conditions(made, probe):
    X, _, y, region, flip = made
    found = weak_slices(X, y, probe=probe)[0]
    assert found.kind == "slices.weak" and found.columns == ("age", "sex") and found.stage == "audit.slices"
    assert jaccard(found, region) > 0.8
    assert found.n_rows == len(found.rows)
    assert flip[list(found.rows[:50])].mean() > 0.8  # the most wrong first
    assert 0.2 < found.score < 0.45 and found.severity in ("medium", "high") and found.remedy is None
    assert "sex is 'f'" in found.message and "95%" in found.message and "labels.clean" in found.message


def test_right_labels_and_shuffled_losses_yield_nothing(made):
    X, right, *_ = made
    assert weak_slices(X, right, probe="linear") == []
    table = Table.of(X).collect()
    rng = np.random.default_rng(1)
    runs = 0
    for _ in range(60):
        losses = Losses(table.ids, (rng.random(ROWS) < 0.2).astype(float), True, "it")
        runs += bool(list(slices.look(table, losses)))
        losses = Losses(table.ids, rng.exponential(size=ROWS) ** 2, False, "it")
        runs += bool(list(slices.look(table, losses)))
    assert runs <= 4  # of 120, where one in a hundred is expected


def test_predictions_of_a_model_of_ones_own(made):
    X, right, y, region, _ = made
    classes = weak_slices(X, y, predictions=right)
    assert jaccard(classes[0], region) > 0.8 and "the model is right in 6" in classes[0].message
    sure = np.where(right == "yes", 0.9, 0.2)
    same = lambda one: [f.message for f in one] == [f.message for f in classes]
    assert same(weak_slices(X, y, predictions=sure))
    assert same(weak_slices(X, y, predictions=np.column_stack([1 - sure, sure])))
    assert same(weak_slices(X, y, predictions=pd.DataFrame({"no": 1 - sure, "yes": sure})))
    assert same(weak_slices(X, y, predictions=pl.Series(right)))
    assert same(weak_slices(X, y, predictions=pd.Series(right, dtype="category")))
    assert same(weak_slices(X, y, predictions=right[:, None]))
    assert same(weak_slices(X, y, predictions=pl.Series(right).cast(pl.Categorical)))
    assert same(weak_slices(X.with_columns(y=pl.Series(y)), "y", predictions=right.tolist()))
    assert same(weak_slices(X, (y == "yes"), predictions=(right == "yes").astype(int)))


def test_numbers(made):
    X, *_, region, _ = made
    rng = np.random.default_rng(2)
    y = X["pay"].to_numpy() * 3 + rng.normal(size=ROWS) * np.where(region, 3, 1)
    (found,) = weak_slices(X, y, probe="linear")
    assert jaccard(found, region) > 0.8 and "off by" in found.message and found.severity == "medium"
    assert 0.55 < found.score < 0.75
    given = weak_slices(X, y, predictions=X["pay"].to_numpy() * 3)
    assert jaccard(given[0], region) > 0.8
    assert weak_slices(X, y, probe=KNeighborsRegressor(20))
    whole = np.round(y).clip(-5, 5).astype(int)  # few whole numbers, and a model that takes them for numbers
    assert "off by" in weak_slices(X, whole, predictions=X["pay"].to_numpy() * 3)[0].message


def test_by_cuts_along_these_columns_only(made):
    X, right, y, *_ = made
    found = weak_slices(X, y, predictions=right, by=["sex"])
    assert [f.columns for f in found] == [("sex",)] and "Where sex is 'f' (" in found[0].message
    assert weak_slices(X, y, predictions=right, by=["town"]) == []
    as_group = X.with_columns(y=pl.Series(y), who=pl.Series(np.arange(ROWS)))
    assert weak_slices(as_group, "y", predictions=right, group="who", by=["sex"])[0].columns == ("sex",)


def test_parameters_bound_what_is_told(made):
    X, right, y, region, _ = made
    flat = [f.columns for f in weak_slices(X, y, predictions=right, depth=1)]
    assert {("sex",), ("age",)} >= set(flat) != set()
    assert weak_slices(X, y, predictions=right, min_rows=int(region.sum() * 3)) == []
    twice = np.where(X["town"].to_numpy() == "a", right, np.where(right == "yes", "no", "yes"))
    both = np.where(X["pay"].to_numpy() > 0.8, twice, y)
    many = weak_slices(X, both, predictions=right, max_slices=9)
    assert len(many) > 1 and weak_slices(X, both, predictions=right, max_slices=1) == many[:1]
    hits = [inside(f) for f in many]
    assert all((a & b).sum() < 0.5 * (a | b).sum() for i, a in enumerate(hits) for b in hits[:i])


def test_the_order_of_rows_and_the_container_change_nothing(made):
    X, _, y, *_ = made
    frame = X.with_columns(y=pl.Series(y), key=pl.Series([f"k{i}" for i in range(ROWS)]))
    turn = np.random.default_rng(3).permutation(ROWS)
    tables = [Table.of(f, roles=Roles(target="y", row_id="key")) for f in (frame, frame[turn])]
    one, two = (weak_slices(table, probe="linear") for table in tables)
    assert one == two and one
    assert weak_slices(frame.drop("key").to_pandas(), "y") == weak_slices(frame.drop("key").lazy(), "y")
    assert weak_slices(X.select("age", "pay").to_numpy(), y, probe="linear")[0].columns == ("x0",)


def test_groups_are_no_more_evidence_than_they_are(made):
    right = made[1]
    rng = np.random.default_rng(4)
    false = {True: 0, False: 0}
    for _ in range(12):
        who = np.repeat(np.arange(40), 50)
        height, off = rng.normal(size=40)[who], (rng.random(40) < 0.3)[who]
        frame = pl.DataFrame({"height": height, "who": who, "y": off ^ (right == "yes")})
        for grouped in false:
            asked = {"group": "who"} if grouped else {"by": ["height"]}
            false[grouped] += bool(weak_slices(frame, "y", predictions=right == "yes", **asked))
    assert false[True] == 0 and false[False] > 6


def test_a_slice_is_found_among_groups(made):
    X, _, y, region, _ = made
    frame = X.with_columns(who=pl.Series(np.arange(ROWS) // 2), y=pl.Series(y))
    frame = frame.with_columns(pl.when(pl.col("who") > 3).then("who"))
    found = weak_slices(frame, "y", group="who", probe="linear")[0]
    assert jaccard(found, region) > 0.8


def test_weights_count(made):
    X, right, y, region, _ = made
    frame = X.with_columns(y=pl.Series(y), w=pl.Series(np.where(region, 0.0, 1.0)))
    assert weak_slices(frame, "y", weight="w", predictions=right) == []
    assert weak_slices(frame, "y", weight="w", probe="linear") == []
    same = weak_slices(frame.with_columns(w=pl.lit(2.5)), "y", weight="w", predictions=right)
    assert [f.message for f in same] == [f.message for f in weak_slices(X, y, predictions=right)]
    uneven = frame.with_columns(w=pl.Series(np.random.default_rng(5).uniform(0.5, 1.5, ROWS)))
    assert jaccard(weak_slices(uneven, "y", weight="w", probe="linear")[0], region) > 0.8


def test_gaps_in_features_and_target(made):
    X, right, y, *_ = made
    rng = np.random.default_rng(6)
    holed = X.with_columns(
        pl.when(pl.Series(rng.random(ROWS) < 0.1)).then(None).otherwise(pl.col(c)).alias(c) for c in X.columns
    )
    labels = pl.Series("y", y).set(pl.Series(np.arange(ROWS) % 7 == 0), None)
    found = weak_slices(holed, labels, probe="linear")
    assert {"age", "sex"} <= {c for f in found for c in f.columns}
    given = weak_slices(X, labels, predictions=pl.Series(right).set(labels.is_null(), None))
    assert given and not {i for f in given for i in f.rows} & set(range(0, ROWS, 7))


@pytest.mark.parametrize(
    ("X", "y"),
    [
        ({"a": [1.0] * 300}, [0, 1] * 150),
        ({"a": list(range(300))}, [1] * 300),
        ({"a": list(range(300))}, [None] * 300),
        ({"a": [1.0]}, ["x"]),
        ({"a": list(range(12))}, ["x", "y"] * 6),
        ({"a": list(range(300))}, [f"v{i}" for i in range(300)]),
        ({"a": [None] * 300}, [0.5, 1.5, 2.5] * 100),
        ({"a": [[1.0, 2.0]] * 300}, [0, 1] * 150),
        ({"a": list(range(90))}, [0.5 * i for i in range(90)]),
    ],
)
def test_too_little_to_look_at_is_nothing_found(X, y):
    frame, y = pl.DataFrame(X), pl.Series("y", y, strict=False)
    assert weak_slices(frame, y, probe="linear") == []
    assert weak_slices(frame, y, predictions=y.fill_null(0)) == []
    assert weak_slices(frame, y, predictions=y.shuffle(0).fill_null(0), min_rows=400) == []


def test_one_group_is_nothing_found():
    frame = pl.DataFrame({"a": np.arange(300), "g": ["g"] * 300, "y": [0, 1, 1] * 100})
    assert weak_slices(frame, "y", group="g", probe="linear") == []
    assert weak_slices(frame.with_columns(pl.col("y") + 0.5 * pl.col("a")), "y", group="g") == []


def test_errors_say_what_is_wrong(made):
    X, right, y, *_ = made
    with pytest.raises(DataError, match="target"):
        weak_slices(X)
    with pytest.raises(ColumnError, match="did you mean 'sex'"):
        weak_slices(X, y, by=["sexx"])
    with pytest.raises(DataError, match="cannot be cut"):
        weak_slices(X.with_columns(many=pl.Series([[1.0]] * ROWS)), y, by=["many"])
    with pytest.raises(DataError, match="depth is 0"):
        weak_slices(X, y, depth=0)
    with pytest.raises(DataError, match="2000 rows"):
        weak_slices(X, y, predictions=right[:5])
    with pytest.raises(DataError, match="3 columns, but the target has 2 classes"):
        weak_slices(X, y, predictions=np.ones((ROWS, 3)))
    with pytest.raises(DataError, match="numbers, not classes"):
        weak_slices(X, X["pay"], predictions=np.ones((ROWS, 3)))
    with pytest.raises(DataError, match="none of the target's classes"):
        weak_slices(X, y, predictions=["YES"] * ROWS)
    with pytest.raises(DataError, match="Give numbers"):
        weak_slices(X, X["pay"], predictions=["YES"] * ROWS)
    with pytest.raises(DataError, match="1 predictions are missing"):
        weak_slices(X, X["pay"], predictions=[None, *X["pay"][1:]])


def test_an_audit_tells_them_from_what_labels_clean_learned(made):
    X, _, y, region, _ = made
    frame = X.with_columns(y=pl.Series(y), record=pl.Series(np.arange(ROWS)))
    seen = audit(frame, "y")
    (found,) = seen.of("slices")
    assert jaccard(found, region) > 0.8 and found.message in str(seen)
    steps = []
    audit(frame, "y", stages=["duplicates.exact"], progress=steps.append)
    assert "weak slices" not in steps
    assert audit(frame, "y", stages=["labels.clean"]).of("slices")


def test_an_audit_of_numbers_asks_a_probe(made):
    X, *_, region, _ = made
    rng = np.random.default_rng(7)
    y = X["pay"].to_numpy() * 3 + rng.normal(size=ROWS) * np.where(region, 3, 1)
    assert jaccard(tilth.audit(X, y).of("slices.weak")[0], region) > 0.8
    assert tilth.audit(X, stages=None).of("slices") == []
