"""Measure encoding: one-hot against scikit-learn's speed, and whether target encoding leaks labels.

    python benchmarks/encode_bars.py [--quick] [--only one_hot|target]

Run by `scale.py`, which writes the results.

One-hot. 20 columns of strings, of 5 to 50 levels, 1,000,000 rows (--quick: 400,000), in pandas and Polars
frames, into a frame of the same kind. scikit-learn's ``OneHotEncoder`` is asked for the same: dense, of one
byte per cell, by ``set_output``. Its default, a sparse matrix, is timed beside it and holds no bar: it is
no frame. First the results are compared in full (--quick: of 50,000 rows); candidates take
turns, and times are medians.

Target. To real sets a column of levels is added that have nothing to do with the target, about four rows
each. It is encoded by `encode.target`, by scikit-learn's ``TargetEncoder`` with ``fit`` and ``transform`` of
the training rows (the full fit: each row's own label is in its value), and with ``fit_transform``. Probes are
fitted with the column and without it. What it adds to the score of the test rows should be nothing: the
corrected interval (Nadeau and Bengio, 2003) of the paired differences contains 0. Scores are ROC AUC and R
squared. Sets that are absent are skipped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import polars as pl

from bars import Bar
from datasets import Dataset, each
from tilth.bench.statistics import Estimate, corrected_t
from tilth.probes import probe
from tilth.stages import stage

GOAL = 3.0
CHECKED = 50_000
SETS = ("credit_data", "adult", "german", "attrition", "wage", "diabetes")
FEW = ("german", "wage")
MOST_ROWS, FEW_ROWS = 5000, 2000
FOLDS = 5
ROWS_PER_LEVEL = 4
PROBES = ("linear", "boosting")
ARMS = ("without", "tilth", "full fit", "scikit-learn")


def one_hot(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare the time of ``fit_transform`` from a frame of strings to a frame of flags."""
    rows, rounds = (400_000, 1) if quick else (1_000_000, 3)
    bars, figures = [], {}
    strings = _strings(rows)
    for form in ("pandas", "polars"):
        X = strings.to_pandas() if form == "pandas" else strings
        candidates = _encoders(form)
        _same(candidates, X[:CHECKED] if quick else X)
        seconds: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, make in candidates.items():
                encoder = make()
                start = time.perf_counter()
                encoder.fit_transform(X)
                seconds[name].append(time.perf_counter() - start)
        typical = {name: median(each) for name, each in seconds.items()}
        ratio = {name: round(typical[name] / typical["tilth"], 2) for name in typical}
        told = ", ".join(f"{name} {typical[name]:.2f} s ({ratio[name]:g}x)" for name in typical)
        print(f"one-hot, {form}, {rows:,} x {X.shape[1]}: {told}", flush=True)
        figures[form] = {"rows": rows, "columns": X.shape[1], "seconds": seconds, "ratio": ratio}
        speed = ratio["scikit-learn, dense"]
        bars.append(Bar(f"encode.one_hot.{form}/sklearn.speed", speed, GOAL, speed >= GOAL))
    return bars, figures


def _strings(rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    columns = {}
    for i, count in enumerate(np.linspace(5, 50, 20).astype(int)):
        levels = pl.Series([f"level {j}" for j in range(count)])
        columns[f"c{i}"] = levels[rng.integers(0, count, rows)]
    return pl.DataFrame(columns)


def _encoders(form: str) -> dict[str, Callable[[], Any]]:
    from sklearn.preprocessing import OneHotEncoder

    dense = lambda: OneHotEncoder(sparse_output=False, dtype=np.uint8).set_output(transform=form)
    return {
        "tilth": lambda: stage("encode.category"),
        "scikit-learn, dense": dense,
        "scikit-learn, sparse": OneHotEncoder,
    }


def _same(candidates: dict[str, Callable[[], Any]], X: Any) -> None:
    """Compare what comes out, in full, and warm up."""
    ours, dense, sparse = (make().fit_transform(X) for make in candidates.values())
    if type(ours) is not type(dense):
        raise SystemExit(f"one-hot: {type(ours)} and {type(dense)} are not compared")
    for place in range(dense.shape[1]):
        flags = np.asarray(dense.iloc[:, place] if hasattr(dense, "iloc") else dense.to_series(place))
        mine = np.asarray(ours.iloc[:, place] if hasattr(ours, "iloc") else ours.to_series(place))
        if mine.dtype != flags.dtype or not np.array_equal(mine, flags):
            raise SystemExit(f"one-hot: the results differ in column {place}; nothing is compared")
    if sparse.sum() != sum(int(np.asarray(ours[c]).sum()) for c in ours.columns):
        raise SystemExit("one-hot: the sparse result differs; nothing is compared")


def target(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare what a column without meaning does to scores, encoded in three ways."""
    lines: list[dict[str, Any]] = []
    print(f"{'set':12} {'probe':9} {'encoding':13} {'training':>8} {'test':>7}   test, against without")
    for data in each(FEW, FEW_ROWS) if quick else each(SETS, MOST_ROWS):
        scores = _scores(data, 1 if quick else 2)
        for name in PROBES:
            base = scores[name, "without"]
            for arm in ARMS:
                trained, tested = scores[name, arm].T
                line: dict[str, Any] = {"set": data.name, "probe": name, "arm": arm}
                line |= {"training": trained.mean(), "test": tested.mean()}
                if arm != "without":
                    line["gain"] = corrected_t(tested - base[:, 1], FOLDS)
                    line["gain_training"] = corrected_t(trained - base[:, 0], FOLDS)
                print(_told(line), flush=True)
                lines.append(line)
    return _bars(lines), {"rows": [_plain(line) for line in lines], "folds": FOLDS}


def _told(line: dict[str, Any]) -> str:
    gain: Estimate | None = line.get("gain")
    told = "" if gain is None else f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
    what = f"{line['set']:12} {line['probe']:9} {line['arm']:13}"
    return f"{what} {line['training']:8.4f} {line['test']:7.4f}   {told}"


def _bars(lines: list[dict[str, Any]]) -> list[Bar]:
    ours = [line["gain"] for line in lines if line["arm"] == "tilth"]
    naive = [line for line in lines if line["arm"] == "full fit"]
    nothing = sum(gain.low <= 0 <= gain.high for gain in ours)
    lost = sum(line["gain"].high < 0 < line["gain_training"].low for line in naive)
    return [
        Bar("encode.target.null_column.adds_nothing", nothing, len(ours), nothing == len(ours) > 0),
        Bar("encode.target.full_fit.leaks", lost, len(naive), lost == len(naive) > 0),
    ]


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"mean": told.mean, "low": told.low, "high": told.high} if isinstance(told, Estimate) else told
        for name, told in line.items()
    }


def _scores(data: Dataset, repeats: int) -> dict[tuple[str, str], np.ndarray]:
    """Return, for each probe and encoding, the scores of training and test rows in each fold."""
    frame = data.frame.drop_nulls(data.target)
    X, y = frame.drop(data.target), frame[data.target].to_numpy()
    if data.task == "classes":
        y = (y == np.unique(y)[-1]).astype(np.int64)
    levels = np.random.default_rng(1).integers(0, X.height // ROWS_PER_LEVEL, X.height)
    column = pl.DataFrame({"levels": [f"level {i}" for i in levels]})
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed, train, test in _folds(y, data.task, repeats):
        for arm, (seen, new) in _encoded(column[train], y[train], column[test], data.task, seed).items():
            parts = [pl.concat([X[at], made], how="horizontal") for at, made in ((train, seen), (test, new))]
            for name in PROBES:
                pair = _judged(name, parts[0], y[train], parts[1], y[test], data.task, seed)
                found.setdefault((name, arm), []).append(pair)
    return {place: np.array(pairs) for place, pairs in found.items()}


def _folds(y: np.ndarray, task: str, repeats: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    for repeat in range(repeats):
        kind = StratifiedKFold if task == "classes" else KFold
        for train, test in kind(FOLDS, shuffle=True, random_state=repeat).split(y, y):
            yield repeat, train, test


def _encoded(
    seen: pl.DataFrame, y: np.ndarray, new: pl.DataFrame, task: str, seed: int
) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """Return the column of training and of test rows, encoded in each way."""
    from sklearn.model_selection import KFold, StratifiedKFold
    from sklearn.preprocessing import TargetEncoder

    cv = (StratifiedKFold if task == "classes" else KFold)(5, shuffle=True, random_state=seed)
    kind = "binary" if task == "classes" else "continuous"
    ours = stage("encode.target", random_state=seed)
    theirs = TargetEncoder(target_type=kind, cv=cv).set_output(transform="polars").fit(seen, y)
    tested = theirs.transform(new)
    return {
        "without": (pl.DataFrame(), pl.DataFrame()),
        "tilth": (ours.fit_transform(seen, y), ours.transform(new)),
        "full fit": (theirs.transform(seen), tested),
        "scikit-learn": (theirs.fit_transform(seen, y), tested),
    }


def _judged(
    name: str, X: pl.DataFrame, y: np.ndarray, X_new: pl.DataFrame, y_new: np.ndarray, task: str, seed: int
) -> tuple[float, float]:
    """Fit a probe; return its scores of the rows it was fitted on, and of others."""
    from sklearn.metrics import r2_score, roc_auc_score

    model = probe(name, task="classification" if task == "classes" else "regression", random_state=seed)
    model.fit(X, y)
    if task == "classes":
        told = [roc_auc_score(t, model.predict_proba(rows)[:, 1]) for rows, t in ((X, y), (X_new, y_new))]
    else:
        told = [r2_score(t, model.predict(rows)) for rows, t in ((X, y), (X_new, y_new))]
    return told[0], told[1]


def main() -> int:
    """Print one line per bar and return 1 where one misses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rows, sets and rounds")
    parser.add_argument("--only", choices=["one_hot", "target"], help="one half of the bars")
    asked = parser.parse_args()
    wanted = [part for part in (one_hot, target) if asked.only in (None, part.__name__)]
    bars = [bar for part in wanted for bar in part(asked.quick)[0]]
    for bar in bars:
        print(f"BAR {bar.name} {bar.value:g} {bar.goal:g} {'ok' if bar.ok else 'MISS'}")
    return 0 if all(bar.ok for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
