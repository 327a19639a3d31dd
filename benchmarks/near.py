"""Find planted near copies among a million mixed rows, in bounded memory, and among the rows of real sets.

    python benchmarks/near.py [--quick] [--rounds N] [--only size|peer|real]

size: one copy is planted for every hundred rows, its numbers jittered by a thousandth of their standard
deviation, its texts with other case and spaces. A fresh process plans `duplicates.near` with its default
threshold; its peak memory is that of the whole process, less the rows themselves.

peer: all pairs of numbers within a radius, against scikit-learn's ``radius_neighbors_graph``: the same
pairs are checked before times are compared.

real: what the default takes from real sets, beside planted copies of three kinds: jittered numbers, texts
of other case and spaces, one cell exchanged for that of another row.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bars import Bar, conclude
from datasets import each

ROWS = 1_000_000
SECONDS, MEGABYTES = 300.0, 2048.0
PLANTED = 100
"""One planted copy for so many rows; in real sets, so many in all."""
JITTER = 1e-3
WORDS = ("Oslo", "New York", "Rome", "São Paulo", "Lima", "Accra", "Quito", "Hanoi", "Perth", "Cork")
REAL = (
    "adult", "caravan", "soybean", "page_blocks", "spambase", "letter", "credit_data", "ames", "california",
    "breast_cancer", "red_wine", "magic", "satellite", "abalone", "german", "lending_club", "attrition",
    "wage", "house_votes", "titanic", "house_prices", "surveys", "crashes", "reviews",
)  # fmt: skip


def main() -> int:
    """Measure, print, and return 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, five real sets")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison with scikit-learn")
    parser.add_argument("--only", choices=["size", "peer", "real"])
    parser.add_argument("--child", metavar="ROWS", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(measure(asked.child)))
        return 0
    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    if asked.only in (None, "size"):
        bars += size_bars(ROWS // 10 if asked.quick else ROWS, figures)
    if asked.only in (None, "peer"):
        bars += peer_bars(10_000 if asked.quick else 30_000, 1 if asked.quick else asked.rounds, figures)
    if asked.only in (None, "real"):
        bars += real_bars(REAL[:5] if asked.quick else REAL, figures)
    return conclude("near" if asked.only is None else f"near-{asked.only}", bars, figures)


def size_bars(rows: int, figures: dict[str, Any]) -> list[Bar]:
    """Time the stage on many rows, in a process of its own."""
    command = [sys.executable, __file__, "--child", str(rows)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    figures["size"] = told
    print(
        f"{told['rows']:,} x {told['columns']}: {told['seconds']:.1f} s, {told['beyond_mb']:.0f} MB beyond "
        f"the rows ({told['rows_mb']:.0f} MB); {told['planted']:,} planted, {told['others']:,} others taken",
        flush=True,
    )
    goal = SECONDS * rows / ROWS
    return [
        Bar("near.size.recall", told["recall"], 1.0, told["recall"] >= 1.0),
        Bar("near.size.seconds", round(told["seconds"], 1), goal, told["seconds"] <= goal),
        Bar("near.size.memory_mb", round(told["beyond_mb"]), MEGABYTES, told["beyond_mb"] <= MEGABYTES),
    ]


def measure(rows: int) -> dict[str, float]:
    """Plan the stage on rows made in this process."""
    from tilth.stages.duplicates.near import DuplicatesNear
    from tilth.table import Table

    table = Table.of(make(rows))
    held = table.frame.collect().estimated_size() / 2**20
    start = time.perf_counter()
    plan = DuplicatesNear().fit_table(table)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gone = plan.times == 0
    planted = rows // PLANTED
    return {
        "rows": rows,
        "columns": table.frame.collect_schema().len() - 1,
        "planted": planted,
        "seconds": seconds,
        "peak_mb": peak,
        "rows_mb": held,
        "beyond_mb": peak - held,
        "recall": float(gone[-planted:].mean()),
        "others": int(gone[:-planted].sum()),
    }


def make(rows: int) -> pl.DataFrame:
    """Return the same correlated numbers and texts with gaps in every process; the last are planted."""
    rng = np.random.default_rng(0)
    planted = rows // PLANTED
    whole = rows - planted
    hidden = rng.standard_normal((whole, 4))
    numbers = hidden @ rng.standard_normal((4, 12)) + rng.standard_normal((whole, 12))
    numbers[:, 3] = np.exp(numbers[:, 3])
    columns: dict[str, Any] = {f"x{i}": numbers[:, i] for i in range(12)}
    columns |= {f"n{i}": np.round(10 * hidden[:, i] + 5 * rng.standard_normal(whole)) for i in range(2)}
    frame = pl.DataFrame(columns)
    words = pl.Series(WORDS)
    for i in range(8):
        likely = (hidden[:, i % 4] > rng.standard_normal(whole)) * 3 + rng.integers(0, len(WORDS) - 3, whole)
        frame = frame.with_columns(words.gather(likely).alias(f"c{i}"))
    frame = frame.with_columns(
        pl.when(pl.Series(rng.random(whole) >= 0.02)).then(pl.col(c)).alias(c) for c in frame.columns
    )
    source = np.sort(rng.choice(whole, planted, replace=False))
    return pl.concat([frame, spelled(jittered(frame[source], frame, rng))])


def jittered(copies: pl.DataFrame, frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Move each number by a thousandth of the standard deviation of its column."""
    spread = lambda c: JITTER * float(frame[c].std() or 0.0) * rng.standard_normal(copies.height)
    return copies.with_columns(pl.col(c) + pl.Series(spread(c)) for c in numeric(frame))


def spelled(copies: pl.DataFrame) -> pl.DataFrame:
    """Write texts in capitals, with spaces around them and between their words."""
    spaced = [pl.col(c).str.to_uppercase().str.replace_all(" ", "  ") for c in textual(copies)]
    return copies.with_columns(pl.format(" {} ", c) for c in spaced)


def numeric(frame: pl.DataFrame) -> list[str]:
    """Name the columns of fractions."""
    return [c for c, dtype in frame.schema.items() if dtype == pl.Float64]


def textual(frame: pl.DataFrame) -> list[str]:
    """Name the columns of texts."""
    return [c for c, dtype in frame.schema.items() if dtype == pl.String]


def peer_bars(rows: int, rounds: int, figures: dict[str, Any]) -> list[Bar]:
    """Compare pairs and time with scikit-learn's."""
    from sklearn.neighbors import NearestNeighbors

    from tilth.neighbors import Space, within

    bars = []
    for width, radius in ((5, 0.1), (15, 1.5)):
        X = np.random.default_rng(0).standard_normal((rows, width))
        told: dict[str, list[float]] = {"tilth": [], "sklearn": []}
        graph = lambda X=X, radius=radius: NearestNeighbors(radius=radius).fit(X).radius_neighbors_graph()
        for _ in range(rounds):
            seconds, (i, j, _) = timed(lambda X=X, radius=radius: within(Space(), X, radius))
            told["tilth"].append(seconds)
            seconds, peer = timed(graph)
            told["sklearn"].append(seconds)
        one = peer.tocoo()
        upper = one.row < one.col
        if set(zip(i.tolist(), j.tolist(), strict=True)) != set(
            zip(one.row[upper].tolist(), one.col[upper].tolist(), strict=True)
        ):
            raise SystemExit(f"{rows} x {width}: the pairs differ from scikit-learn's; nothing is compared")
        seconds = {who: median(times) for who, times in told.items()}
        figures[f"peer.{width}"] = {"rows": rows, "radius": radius, "pairs": len(i), "seconds": seconds}
        ratio = round(seconds["sklearn"] / seconds["tilth"], 2)
        print(
            f"{rows:,} x {width} within {radius:g}: {len(i):,} equal pairs; {seconds['tilth']:.2f} s, "
            f"scikit-learn {seconds['sklearn']:.2f} s",
            flush=True,
        )
        bars.append(Bar(f"near.peer/sklearn.{width}.speed", ratio, 1.0, ratio >= 1.0))
    return bars


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long something took, and what came of it."""
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


def real_bars(names: tuple[str, ...], figures: dict[str, Any]) -> list[Bar]:
    """Plant copies in real sets, and tell what the default takes."""
    kinds = {"jittered": jittered, "spelled": lambda copies, *_: spelled(copies), "one cell": exchanged}
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    shares = []
    for data in each(names, max_rows=20_000):
        frame = data.frame.with_columns(
            pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.Float32).cast(pl.Float64)
        )
        whole = [c for c, dtype in frame.schema.items() if dtype.is_integer() and c != data.target]
        frame = frame.with_columns(pl.col(whole).cast(pl.Float64))
        told: dict[str, float] = {"others": taken(frame, data.target)[1]}
        for kind, alter in kinds.items():
            rng = np.random.default_rng(0)
            copies = frame[np.sort(rng.choice(frame.height, min(PLANTED, frame.height // 10), replace=False))]
            X = copies.drop(data.target)
            columns = {"jittered": numeric(X), "spelled": textual(X), "one cell": X.columns}[kind]
            if columns:
                altered = alter(X, frame.drop(data.target), rng).with_columns(copies[data.target])
                told[kind] = taken(frame, data.target, altered.select(frame.columns))[0]
                found[kind].append(told[kind])
        shares.append(told["others"])
        figures[f"real.{data.name}"] = told
        words = ", ".join(f"{kind} {told[kind]:.2f}" for kind in kinds if kind in told)
        print(
            f"{data.name:14} {frame.height:6,} x {frame.width:3}: {told['others']:6.2%} taken; {words}",
            flush=True,
        )
    if not shares:
        return []
    share = round(median(shares), 5)
    least = {kind: round(min(found[kind]), 3) for kind in ("jittered", "spelled") if found[kind]}
    bars = [Bar(f"near.real.{kind}.recall", value, 1.0, value >= 1.0) for kind, value in least.items()]
    return [*bars, Bar("near.real.others", share, 0.005, share <= 0.005)]


def exchanged(copies: pl.DataFrame, frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Exchange one cell of each row for that of another row that holds something else."""
    which = rng.integers(0, copies.width, copies.height)
    columns = {}
    for place, name in enumerate(copies.columns):
        values = copies[name].to_list()
        known = frame[name].unique().sort().to_list()
        for row in np.flatnonzero(which == place).tolist():
            others = [v for v in known if v != values[row]]
            values[row] = others[int(rng.integers(len(others)))] if others else values[row]
        columns[name] = pl.Series(name, values, dtype=copies.schema[name])
    return pl.DataFrame(columns)


def taken(frame: pl.DataFrame, target: str, planted: pl.DataFrame | None = None) -> tuple[float, float]:
    """Return which share of planted rows goes, and of the others which share goes that is no exact copy."""
    from tilth.stages.duplicates.near import DuplicatesNear
    from tilth.table import Roles, Table

    rows = frame if planted is None else pl.concat([frame, planted])
    plan = DuplicatesNear().fit_table(Table.of(rows, roles=Roles(target=target)))
    almost = np.array([reason.startswith("near") for reason in plan.reason[: frame.height]])
    return float((plan.times[frame.height :] == 0).mean()) if planted is not None else 0.0, float(
        almost.mean()
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=FutureWarning)
    sys.exit(main())
