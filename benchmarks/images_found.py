"""Find what was planted in a folder of images: copies, spoiled and unreadable files, wrong labels."""

from __future__ import annotations

import contextlib
import io
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
from sklearn.metrics import average_precision_score

from bars import Bar
from images_planted import planted

IMAGES, QUICK_IMAGES = 10_000, 1_000
ROUNDS = 3
SPOILED = ("dark", "blurry", "truncated")
BOTH = ("dark", "blurry")
"""What CleanVision looks for, too; a truncated file ends it with an error."""
DRAWS = 400
SPEED, COPIES_F1, SPOILED_F1 = 3.0, 0.97, 0.9

Flags = set[tuple[str, ...]]
"""Pairs of files that are copies, or (file, problem)."""


def found(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare what is found of copies and spoiled files, and the seconds, with CleanVision."""
    import cleanvision  # noqa: F401 - what importing takes is not timed

    import tilth.images.copies
    import tilth.images.properties  # noqa: F401

    seconds: dict[str, list[float]] = {"tilth": [], "tilth, from its cache": [], "cleanvision": []}
    told: dict[str, tuple[Flags, Flags]] = {}
    with planted(QUICK_IMAGES if quick else IMAGES) as (photos, truth):
        cut = [photos / file for file in truth.filter(pl.col("problem") == "truncated")["file"]]
        for turn in range(1 if quick else ROUNDS):
            with new_cache(photos.parent / f"cache{turn}"):
                for who in ("tilth", "tilth, from its cache"):
                    told["tilth"] = timed(ours, photos, seconds[who])
            with away(cut):
                told["cleanvision"] = timed(cleanvisions, photos, seconds["cleanvision"])
    copies = {
        _pair(f, o) for f, o in truth.filter(pl.col("of").is_not_null()).select("file", "of").iter_rows()
    }
    spoiled = {(f, p) for f, p in truth.select("file", "problem").iter_rows() if p in SPOILED}
    figures: dict[str, Any] = {"files": truth.height, "seconds": seconds}
    for who, (pairs, flags) in told.items():
        of = lambda some, *kinds: {one for one in some if one[1] in kinds}
        figures[who] = {
            "copies": _measures(copies, pairs),
            "dark and blurry": _measures(of(spoiled, *BOTH), of(flags, *BOTH)),
            "spoiled": _measures(spoiled, flags),
            **{kind: _measures(of(spoiled, kind), of(flags, kind)) for kind in SPOILED},
        }
        print(f"{who}, {truth.height:,} files:")
        for what, line in figures[who].items():
            print(f"  {what:16}", *(f"{name} {value:.3f}" for name, value in line.items()))
    for who, times in seconds.items():
        print(f"{who:22} {median(times):7.2f} s", " ".join(f"{s:.2f}" for s in times))
    mine, theirs = figures["tilth"], figures["cleanvision"]
    f1 = {what: mine[what]["F1"] for what in ("copies", "spoiled")}
    ahead = {what: mine[what]["recall"] - theirs[what]["recall"] for what in ("copies", *BOTH)}
    speed = median(seconds["cleanvision"]) / median(seconds["tilth"])
    return [
        Bar("images.copies.F1", round(f1["copies"], 4), COPIES_F1, f1["copies"] >= COPIES_F1),
        Bar("images.spoiled.F1", round(f1["spoiled"], 4), SPOILED_F1, f1["spoiled"] >= SPOILED_F1),
        *(
            Bar(f"images.{what}.recall/cleanvision.ahead", round(ahead[what], 4), 0, ahead[what] >= 0)
            for what in ahead
        ),
        Bar("images.speed/cleanvision", round(speed, 2), SPEED, quick or speed >= SPEED),
    ], figures


def labels(quick: bool) -> tuple[list[Bar], dict[str, Any]]:
    """Compare rankings of wrong labels with cleanlab's, on the same embeddings and by the same probe."""
    from tilth.training.backbones import backbone

    bars: list[Bar] = []
    figures: dict[str, Any] = {}
    with planted(QUICK_IMAGES if quick else IMAGES, {"label": 0.08}) as (photos, truth):
        paths = [str(photos / file) for file in truth["file"]]
        for name in ("histograms",) if quick else ("histograms", "efficientnet_lite0"):
            embedded = backbone(name).embed(paths, cache=False)
            ahead, figures[name] = ranked(name, embedded, truth)
            bars.append(Bar(f"images.labels.{name}.AP/best_of_cleanlab.ahead", ahead, 0, quick or ahead >= 0))
    return bars, figures


def ranked(name: str, embedded: np.ndarray, truth: pl.DataFrame) -> tuple[float, dict[str, Any]]:
    """Return by how much average precision leads the best of cleanlab's on an embedding, and all figures."""
    from label_human import all_sides, measures

    X = pl.DataFrame(embedded, schema=[f"e{i}" for i in range(embedded.shape[1])])
    wrong = (truth["given"] != truth["clean"]).to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probe, told = all_sides(X, truth["given"])
    lines = {who: measures(wrong, *side) for who, side in told.items()}
    print(f"{wrong.sum()} of {len(wrong)} labels are wrong; judged by {probe} on {name}")
    for who, line in lines.items():
        print(f"  {who:38}", *(f"{what} {value:5.1f}" for what, value in line.items()))
    best = max((who for who in lines if who != "tilth"), key=lambda who: lines[who]["AP"])
    ahead = round(lines["tilth"]["AP"] - lines[best]["AP"], 2)
    low, high = ahead_by_chance(wrong, told["tilth"][1], told[best][1])
    print(f"AP ahead of {best}: {ahead:+.2f}, 95% of {DRAWS} draws of the images {low:+.2f} to {high:+.2f}")
    return ahead, {"probe": probe, "sides": lines, "best": best, "ahead": [low, high]}


def ahead_by_chance(wrong: np.ndarray, mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Return between which bounds one average precision leads another when the images are drawn anew."""
    rng = np.random.default_rng(0)
    leads = []
    for _ in range(DRAWS):
        rows = rng.integers(0, len(wrong), len(wrong))
        ours, other = (average_precision_score(wrong[rows], -trust[rows]) for trust in (mine, theirs))
        leads.append(100 * (ours - other))
    low, high = np.quantile(leads, [0.025, 0.975])
    return float(low), float(high)


def timed(
    look: Callable[[Path], tuple[Flags, Flags]], photos: Path, seconds: list[float]
) -> tuple[Flags, Flags]:
    """Return pairs of copies and flags of files, and note the seconds it took to find them."""
    start = time.perf_counter()
    seen = look(photos)
    seconds.append(time.perf_counter() - start)
    return seen


@contextlib.contextmanager
def new_cache(folder: Path) -> Iterator[None]:
    """Let Tilth remember in an empty folder what it measured."""
    before = os.environ["TILTH_CACHE"]
    os.environ["TILTH_CACHE"] = str(folder)
    yield
    os.environ["TILTH_CACHE"] = before


@contextlib.contextmanager
def away(files: list[Path]) -> Iterator[None]:
    """Take files out of their folder for a while."""
    held = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    yield
    for file, data in held.items():
        file.write_bytes(data)


def ours(photos: Path) -> tuple[Flags, Flags]:
    """Look with the stages of an image recipe, from reading the folder on."""
    from tilth.stages import stage
    from tilth.table import ROW, read

    table = read(photos)
    name = dict(table.frame.select(ROW, "file").collect().iter_rows())
    flags: Flags = set()
    for one in (
        stage("prune.unreadable", action="report"),
        stage("prune.quality", issues=list(BOTH), action="report"),
    ):
        one.fit_table(table)
        for finding in one.findings_:
            if len(finding.rows) < finding.n_rows and finding.kind != "quality.unread":
                raise RuntimeError(f"{finding.kind} names {len(finding.rows)} of {finding.n_rows} files")
            problem = "truncated" if one.key == "prune.unreadable" else finding.kind.partition(".")[2]
            flags |= {(name[row], problem) for row in finding.rows}
    sets = stage("duplicates.images", action="group").fit_table(table).group
    files = pl.DataFrame({"file": [name[row] for row in table.ids.tolist()], "set": sets})
    return _pairs(files.group_by("set").agg("file").filter(pl.col("file").list.len() > 1)["file"]), flags


def cleanvisions(photos: Path) -> tuple[Flags, Flags]:
    """Look with CleanVision, at the same problems."""
    from cleanvision import Imagelab

    asked: dict[str, Any] = {"dark": {}, "blurry": {}, "exact_duplicates": {}, "near_duplicates": {}}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(data_path=str(photos))
        lab.find_issues(asked, n_jobs=os.cpu_count(), verbose=False)
    below = lambda path: Path(path).relative_to(photos).as_posix()
    sets = [s for kind in ("exact_duplicates", "near_duplicates") for s in lab.info[kind]["sets"]]
    flags = {(below(p), kind) for kind in BOTH for p in lab.issues.index[lab.issues[f"is_{kind}_issue"]]}
    return _pairs([below(p) for p in s] for s in sets), flags


def _pairs(sets: Iterable[Iterable[str]]) -> Flags:
    return {_pair(a, b) for files in sets for a, b in combinations(files, 2)}


def _pair(a: str, b: str) -> tuple[str, ...]:
    return tuple(sorted((a, b)))


def _measures(true: Flags, told: Flags) -> dict[str, float]:
    right = len(true & told)
    precision, recall = right / max(len(told), 1), right / max(len(true), 1)
    f1 = 2 * right / max(len(true) + len(told), 1)
    return {"precision": precision, "recall": recall, "F1": f1, "told": len(told)}
