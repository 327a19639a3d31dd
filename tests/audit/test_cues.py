"""A property that tells the label is found on held-out images, and chance is not."""

import numpy as np
import polars as pl
import pytest

from tilth.audit.cues import FAMILIES, cues
from tilth.table import ROW


def drawn(rng, count):
    """Return properties of images that tell nothing."""
    frame = {
        "digest": [f"{n:032x}" for n in range(count)],
        "width": rng.choice([200, 300, 400], count),
        "height": rng.choice([200, 300], count),
        "bytes": rng.integers(5000, 50000, count),
    }
    frame["aspect"] = frame["width"] / frame["height"]
    names = ("brightness", "dark", "bright", "contrast", "entropy", "saturation", "red", "green", "blue")
    for name in names:
        frame[name] = rng.uniform(0.2, 0.8, count)
    frame["sharpness"] = rng.uniform(0.9, 2, count)
    return pl.DataFrame(frame)


def labels(rng, count, classes="abc"):
    return pl.Series("label", rng.choice(list(classes), count))


def test_chance_is_not_told():
    rng = np.random.default_rng(0)
    for seed in range(20):
        assert not list(cues(drawn(rng, 300), labels(rng, 300), seed))


@pytest.mark.parametrize(
    ("name", "shift"),
    [("brightness", 0.5), ("entropy", 0.7), ("blue", 0.8), ("width", 300), ("bytes", 60000)],
)
def test_a_property_that_differs_in_one_class_is_told(name, shift):
    rng = np.random.default_rng(1)
    frame, y = drawn(rng, 400), labels(rng, 400)
    frame = frame.with_columns(
        pl.when(y == "b").then(pl.col(name) + shift).otherwise(pl.col(name)).alias(name)
    )
    (found,) = cues(frame, y)
    assert "class 'b'" in found.message and found.score > 0.9 and found.kind == "images.cue"
    family = next(f for f, names in FAMILIES.items() if name in names or f"{name}ness" in names)
    assert set(found.columns) <= set(FAMILIES[family])


def test_it_need_not_rise_or_fall_with_the_class():
    rng = np.random.default_rng(2)
    frame, y = drawn(rng, 600), labels(rng, 600, "ab")
    sides = rng.choice([0.1, 0.9], 600)
    frame = frame.with_columns(pl.when(y == "a").then(pl.Series(sides)).otherwise(0.5).alias("brightness"))
    (found,) = cues(frame, y)
    assert found.columns[0] == "brightness" and found.score > 0.99


def test_blurred_classes_are_told_and_how_sharp_sharp_ones_are_is_not():
    rng = np.random.default_rng(3)
    frame, y = drawn(rng, 400), labels(rng, 400, "ab")
    for low, high, count in ((1.3, 1.7, 0), (0.5, 1.7, 1)):
        values = np.where(y == "a", low, high) + rng.normal(0, 0.02, 400)
        assert len(list(cues(frame.with_columns(sharpness=pl.Series(values)), y))) == count


def test_of_properties_that_mean_the_same_one_finding_tells_all():
    rng = np.random.default_rng(4)
    frame, y = drawn(rng, 400), labels(rng, 400, "ab")
    shift = pl.when(y == "a").then(0.7).otherwise(0.0)
    frame = frame.with_columns(pl.col("brightness") + shift, pl.col("dark") + shift)
    (found,) = cues(frame, y)
    assert set(found.columns) == {"brightness", "dark"} and found.remedy == {
        "augment.images": {"policy": "standard"}
    }


def test_rows_are_those_that_the_property_tells_most_clearly():
    rng = np.random.default_rng(5)
    frame, y = drawn(rng, 400), labels(rng, 400, "ab")
    frame = frame.with_columns(
        pl.when(y == "a").then(0.95).otherwise(pl.col("saturation")).alias("saturation"),
        pl.Series(ROW, np.arange(1000, 1400), dtype=pl.UInt64),
    )
    (found,) = cues(frame, y)
    assert found.n_rows == (y == "a").sum() or found.n_rows == (y == "b").sum()
    assert 0 < len(found.rows) <= 24 and all(1000 <= row < 1400 for row in found.rows)


def test_copies_are_not_taken_for_held_out_images():
    rng = np.random.default_rng(6)
    frame, y = drawn(rng, 60), labels(rng, 60, "ab")
    many = pl.concat([frame] * 20).with_columns(bytes=pl.concat([frame] * 20)["bytes"])
    assert not list(cues(many, pl.concat([y] * 20)))


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(7)
    frame, y = drawn(rng, 300), labels(rng, 300)
    frame = frame.with_columns(pl.when(y == "c").then(1.2).otherwise(pl.col("contrast")).alias("contrast"))
    order = rng.permutation(300)
    assert [f.message for f in cues(frame, y)] == [f.message for f in cues(frame[order], y[order])]


@pytest.mark.parametrize(
    "y",
    [
        pl.Series(np.linspace(0, 1, 100)),
        pl.Series(["a"] * 100),
        pl.Series([None] * 100, dtype=pl.String),
        pl.Series(range(100)),
    ],
    ids=["fractions", "one class", "no label", "values"],
)
def test_where_there_are_no_classes_nothing_is_told(y):
    assert not list(cues(drawn(np.random.default_rng(8), 100), y))


def test_missing_properties_and_labels_are_borne():
    rng = np.random.default_rng(9)
    frame, y = drawn(rng, 300), labels(rng, 300, "ab")
    frame = frame.with_columns(
        pl.when(pl.int_range(300) % 7 == 0).then(None).otherwise(pl.col("sharpness")).alias("sharpness"),
        pl.when(y == "a").then(0.95).otherwise(pl.col("brightness")).alias("brightness"),
    )
    y = pl.Series([None if n % 5 == 0 else v for n, v in enumerate(y)])
    (found,) = cues(frame, y)
    assert found.columns[0] == "brightness"
