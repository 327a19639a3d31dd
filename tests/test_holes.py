"""The holes that benchmarks plant: exact shares, the mechanism they are named after, nothing else changed."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

HOLES = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "holes.py"))
plant, MECHANISMS, SHARES = HOLES["plant"], HOLES["MECHANISMS"], HOLES["SHARES"]


def rows(count: int = 3000) -> pl.DataFrame:
    random = np.random.default_rng(0)
    frame = pl.DataFrame({f"n{i}": random.normal(size=count) for i in range(4)})
    return frame.with_columns(
        pl.Series("t", random.choice(["a", "b", "c"], count)),
        pl.Series("c", random.choice(["x", "y"], count)).cast(pl.Categorical),
        pl.when(pl.Series(random.random(count) < 0.2)).then(None).otherwise(pl.col("n0")).alias("gappy"),
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("share", SHARES)
def test_shares_are_exact_and_only_planted_cells_change(mechanism: str, share: float) -> None:
    frame = rows()
    made = plant(frame, mechanism, share, seed=1)
    assert made.frame.schema == frame.schema and made.planted.columns == frame.columns
    taking = list(made.drivers) if mechanism == "mar" else frame.columns
    for name in frame.columns:
        known, hole = frame[name].is_not_null(), made.planted[name]
        assert hole.sum() == (round(share * known.sum()) if name in taking else 0)
        assert (hole & ~known).sum() == 0
        assert made.frame[name].is_null().equals(~known | hole)
        assert made.frame[name].filter(~hole).equals(frame[name].filter(~hole))
    assert len(taking) == 5 if mechanism == "mar" else 7
    assert made.frame.select(pl.any_horizontal(pl.all().is_not_null()).all()).item()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_seed_decides(mechanism: str) -> None:
    one, two, other = (plant(rows(), mechanism, 0.3, seed=s).planted for s in (0, 0, 1))
    assert one.equals(two) and not one.equals(other)


def shift(values: np.ndarray, hole: np.ndarray) -> float:
    """Return how far the mean rank of the holes lies from that of the rest, in share of all ranks."""
    ranks = values.argsort().argsort() / len(values)
    return abs(ranks[hole].mean() - ranks[~hole].mean())


def test_holes_follow_what_their_mechanism_says_and_nothing_else() -> None:
    frame = rows()
    numbers = ["n0", "n1", "n2", "n3"]
    for mechanism in MECHANISMS:
        made = plant(frame.select(numbers), mechanism, 0.3, seed=3)
        for name in made.drivers or numbers:
            hole = made.planted[name].to_numpy()
            for other in numbers:
                by = name if mechanism == "mnar" else made.drivers.get(name)
                found = shift(frame[other].to_numpy(), hole)
                assert found > 0.2 if other == by else found < 0.05, (mechanism, name, other)
    assert all(driver not in made.drivers for driver in made.drivers.values())


def test_drivers_are_the_columns_with_the_fewest_gaps() -> None:
    frame = pl.DataFrame({"a": [1.0, None] * 50, "b": [None, 2.0] * 50, "whole": np.arange(100.0)})
    made = plant(frame, "mar", 0.3)
    assert made.drivers == {"a": "whole", "b": "whole"}


def test_only_the_columns_asked_for_take_holes_and_each_keeps_a_known_cell() -> None:
    made = plant(rows(40), "mcar", 0.99, on=["n1", "t"])
    assert [c for c in made.planted.columns if made.planted[c].any()] == ["n1", "t"]
    assert made.frame["n1"].count() == made.frame["t"].count() == 1


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_two_columns_at_half_leave_each_row_a_cell(mechanism: str) -> None:
    made = plant(rows().select("n0", "n1"), mechanism, 0.5)
    assert made.planted.sum().row(0) == (1500, 1500)
    assert made.frame.select(pl.any_horizontal(pl.all().is_not_null()).all()).item()


def test_what_cannot_be_planted_is_refused() -> None:
    with pytest.raises(ValueError, match="two columns"):
        plant(rows().select("n0"), "mar", 0.3)
    with pytest.raises(ValueError, match="no known cell"):
        plant(rows().select("n0"), "mcar", 0.5)
