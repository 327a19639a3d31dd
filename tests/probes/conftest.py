"""One small mixed, gappy table with a target that its columns explain."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from tilth.probes import probe


@pytest.fixture(scope="package", autouse=True)
def one_thread():
    """Keep the peers to one thread too: on busy cores their threads only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def mixed() -> tuple[pl.DataFrame, np.ndarray]:
    """A frame of every kind of column, gaps included, and the score its target is cut from."""
    random = np.random.default_rng(0)
    rows = 600
    age, wage = random.normal(40, 12, rows), random.lognormal(3, 1, rows)
    city, member = random.choice(["Bern", "Oslo", "Rome"], rows), random.random(rows) > 0.5
    score = (age - 40) / 12 + 1.5 * (city == "Oslo") - 1.5 * member + 0.3 * random.normal(size=rows)
    frame = pl.DataFrame(
        {
            "age": age,
            "wage": wage,
            "visits": random.integers(0, 9, rows),
            "city": city,
            "grade": pl.Series(random.choice(["a", "b"], rows), dtype=pl.Enum(["a", "b"])),
            "member": member,
            "joined": [
                dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in random.integers(0, 900, rows)
            ],
            "void": pl.Series([None] * rows, dtype=pl.Null),
        }
    )
    gaps = random.random(frame.shape) < 0.05
    frame = frame.with_columns(
        pl.when(pl.Series(~gaps[:, i])).then(pl.col(name)) for i, name in enumerate(frame.columns)
    )
    return frame, score


@pytest.fixture
def quick():
    """Make a probe that fits in a fraction of a second."""

    def make(name: str, **params):
        fast = {"boosting": {"max_iter": 60}, "mlp": {"hidden": (64,), "batch_size": 64, "device": "cpu"}}
        return probe(name, random_state=0, **{**fast.get(name, {}), **params})

    return make
