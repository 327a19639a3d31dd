"""Approximate neighbor search against the exact one: how many neighbors it finds, and from where on it pays.

    python benchmarks/neighbors.py [--quick] [--rows N ...]

All rows are searched for among all rows. Both searches are timed on a sample of the queries, since each query
costs the same, and the time for all is that of the sample times their number; the graph is built once.
Times are those of the processor, all threads together, which other processes disturb less than the clock:
several threads share the searches, but not the building of the graph.
Rows of independent normal columns are the hardest there are: everything is about equally far. Rows of eight
factors and some noise are nearer to what tables hold.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np

from bars import Bar, conclude
from tilth.neighbors import Space, nearest

COLUMNS, K = 32, 10
SIZES = (10_000, 50_000, 200_000, 1_000_000)
HELD = (200_000, 1_000_000)
"""Sizes that are held to goals; the others tell from where on a graph pays."""
QUERIES = 2000
WALKED = 100_000
"""Queries by which the approximate search is timed: so many that what the graph costs does not drown them."""
RECALL = 0.95


def rows_of(kind: str, n: int) -> np.ndarray:
    """Make rows of 32 columns."""
    random = np.random.default_rng(0)
    factors = np.eye(COLUMNS) if kind == "independent" else random.normal(size=(8, COLUMNS))
    noise = 0.0 if kind == "independent" else 0.3
    return random.normal(size=(n, len(factors))) @ factors + noise * random.normal(size=(n, COLUMNS))


def timed(query: np.ndarray, rows: np.ndarray, search: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Search, and return the processor's seconds before what it found."""
    start = time.process_time()
    far, at = nearest(Space(), query, rows, K, search=search)  # type: ignore[arg-type]
    return time.process_time() - start, far, at


def measure(kind: str, n: int) -> dict[str, Any]:
    """Compare the two searches on the same rows."""
    # The queries are not among the rows: none finds itself.
    many = min(WALKED, n)
    made = rows_of(kind, n + many)
    rows, more, query = made[:n], made[n:], made[n : n + QUERIES]
    few_exact, *_ = timed(query[:1], rows, "exact")
    exact, far, at = timed(query, rows, "exact")
    few_walked, *_ = timed(query[:1], rows, "approximate")
    walked, near, found = timed(more, rows, "approximate")
    near, found = near[:QUERIES], found[:QUERIES]
    shared = (found[:, :, None] == at[:, None, :]) & (found >= 0)[:, :, None]
    row, one, other = np.nonzero(shared)
    if not np.array_equal(near[row, one], far[row, other]):
        raise SystemExit("The two searches measure the same rows differently.")
    whole = {
        "exact": few_exact + max(exact - few_exact, 0) / QUERIES * n,
        "approximate": few_walked + max(walked - few_walked, 0) / many * n,
    }
    return {
        "recall": float(shared.any(axis=2).mean()),
        "build_s": few_walked,
        "exact_ms_per_query": exact / QUERIES * 1e3,
        "approximate_ms_per_query": max(walked - few_walked, 0) / many * 1e3,
        "all_rows_s": whole,
        "times_faster": whole["exact"] / whole["approximate"],
    }


def main() -> int:
    """Run all sizes and kinds; a size at which the exact search is as fast is named as such."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20,000 rows only, under 50 s")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="the sizes measured")
    asked = parser.parse_args()
    quick = asked.quick
    sizes, held = ((20_000,), (20_000,)) if quick else (asked.rows, HELD)
    figures: dict[str, Any] = {}
    bars = []
    for n in sizes:
        for kind in ("independent", "factors"):
            told = figures[f"{kind}_{n}"] = measure(kind, n)
            whole = told["all_rows_s"]
            verdict = "" if told["times_faster"] > 1.1 else "  the exact search is as fast, or faster"
            print(
                f"{n:>9,} x {COLUMNS} {kind:<12} recall@{K} {told['recall']:.3f}  all rows: exact "
                f"{whole['exact']:.4g} s, approximate {whole['approximate']:.4g} s (graph "
                f"{told['build_s']:.3g} s), {told['times_faster']:.2f} times as fast{verdict}",
                flush=True,
            )
            if n in held:
                bars.append(Bar(f"recall_{kind}_{n}", told["recall"], RECALL, told["recall"] >= RECALL))
                if not quick:
                    faster = told["times_faster"]
                    bars.append(Bar(f"times_faster_{kind}_{n}", faster, 1.0, faster > 1.0))
    return conclude("neighbors-quick" if quick else "neighbors", bars, figures)


if __name__ == "__main__":
    sys.exit(main())
