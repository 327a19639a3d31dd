"""Results of the bench, as they are in memory or as JSON: the claims in them, and nothing made up."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tilth.bench.metrics import METRICS
from tilth.bench.result import Trial, Word
from tilth.errors import DataError, nearest

HOW = "Write one by 'tilth bench recipe.yaml --results x.json', or by the method write('x.json') of a result."
NUMBERS = ("before", "after", "difference")
Given = Trial | str | Path | Sequence[Trial | str | Path]


@dataclass(frozen=True)
class Claim:
    """Hold what one verdict says of one data set.

    Parameters
    ----------
    stage : str
        Empty: of the whole recipe.
    probe, metric, word : str
    before, after, difference : float
        As in `Verdict`; NaN where there is none.
    """

    stage: str
    probe: str
    metric: str
    word: str
    before: float
    after: float
    difference: float


@dataclass(frozen=True)
class Told:
    """Hold the claims of one run.

    Parameters
    ----------
    method : str
        How an ablation asked; empty for a comparison.
    rows : int
    claims : tuple of Claim
    """

    method: str
    rows: int
    claims: tuple[Claim, ...]


def told_of(given: Given) -> list[Told]:
    """Return what results say, whichever way they are given.

    Parameters
    ----------
    given : Comparison, Ablation, path of a JSON file, or several of these
        A file that `tilth bench` wrote may hold a comparison and an ablation.

    Raises
    ------
    DataError
        A file cannot be read, or holds no result of the bench.
    """
    if isinstance(given, Trial):
        claims = tuple(
            Claim(v.stage, v.probe, v.metric, v.word, v.before, v.after, v.difference) for v in given.verdicts
        )
        return [Told(str(getattr(given, "method", "")), given.rows, claims)]
    if isinstance(given, str | Path):
        return read(given)
    if isinstance(given, Sequence):
        return [told for one in given for told in told_of(one)]
    raise DataError(
        f"A result is a Comparison, an Ablation or the path of a JSON file, not {type(given).__name__}."
    )


def read(path: str | Path) -> list[Told]:
    """Read the results in a JSON file: one that a result wrote itself, or `tilth bench` wrote or printed.

    Raises
    ------
    DataError
        The file is not there, is no JSON, or a verdict in it is not whole; the place is named.
    """
    source = Path(path)
    if source.suffix in (".csv", ".parquet"):
        raise DataError(f"{source}: a table holds no design. {HOW}")
    try:
        held = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        near = [p.name for p in source.parent.glob("*.json")] if source.parent.is_dir() else []
        raise DataError(f"{source}: no such file{nearest(source.name, near)}. Check the path.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{source}: cannot be read as JSON: {error}. {HOW}") from error
    if isinstance(held, Mapping) and "verdicts" in held:
        return [_told(held, str(source))]
    parts = ("comparison", "ablation")
    found = [name for name in parts if isinstance(held, Mapping) and held.get(name) is not None]
    if not found:
        raise DataError(f"{source}: holds no comparison and no ablation. {HOW}")
    return [_told(held[name], f"{source}: {name}") for name in found]


def _told(held: Any, where: str) -> Told:
    if not (isinstance(held, Mapping) and isinstance(held.get("verdicts"), list)):
        raise DataError(f"{where}: holds no list of verdicts. {HOW}")
    rows, method = held.get("rows"), held.get("method", "")
    if not isinstance(rows, int) or isinstance(rows, bool) or not isinstance(method, str):
        raise DataError(f"{where}: rows is {rows!r} and method {method!r}; a number and a text belong there.")
    return Told(
        method, rows, tuple(_claim(v, f"{where}: verdict {i}") for i, v in enumerate(held["verdicts"], 1))
    )


def _claim(held: Any, where: str) -> Claim:
    if not isinstance(held, Mapping):
        raise DataError(f"{where}: is {held!r}, and no verdict. {HOW}")
    texts = {name: held.get(name) for name in ("stage", "probe", "metric", "word")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise DataError(f"{where}: {name} is {value!r}; a text belongs there. {HOW}")
    metric = str(texts["metric"])
    if metric not in METRICS:
        raise DataError(f"{where}: there is no metric '{metric}'{nearest(metric, METRICS)}.")
    if texts["word"] not in get_args(Word):
        raise DataError(f"{where}: '{texts['word']}' is no word of a verdict.")
    numbers = {}
    for name in NUMBERS:
        value = held.get(name, "absent")
        if not (value is None or (isinstance(value, int | float) and not isinstance(value, bool))):
            raise DataError(f"{where}: {name} is {value!r}; a number or null belongs there. {HOW}")
        numbers[name] = math.nan if value is None else float(value)
    return Claim(**texts, **numbers)  # type: ignore[arg-type]
