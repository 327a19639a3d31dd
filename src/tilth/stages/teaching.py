"""Who answers for a row from the labels of others, and what rows get a label that way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tilth.errors import TilthWarning
from tilth.neighbors import Space
from tilth.neighbors.spreading import neighbor_graph, spread
from tilth.stages.folds import folds_of
from tilth.stages.judging import answers_of, chosen
from tilth.stages.reading import in_hashed_order
from tilth.stages.unlabeled import Partly, read_rows
from tilth.statistics.pseudo import Cut, alignment, cuts, log_loss, normalized, tempered
from tilth.table import Table

Teacher = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From positions of rows, their classes and weights, and positions of other rows, to these rows' class
probabilities: (n_asked, n_classes)."""


def models(table: Table, columns: list[str], rows: Partly, probe: Any, random_state: int) -> Teacher:
    """Return a teacher that fits a probe on the rows it is told of."""
    frame, classes = table.frame.select(columns).collect(), len(rows.levels)

    def teach(seen: np.ndarray, codes: np.ndarray, weight: np.ndarray, asked: np.ndarray) -> np.ndarray:
        told = None if (weight == 1).all() else weight
        with warnings.catch_warnings():
            # That rows are few is known, and shows in how sure the answers are.
            warnings.simplefilter("ignore", TilthWarning)
            return answers_of(
                frame[seen], codes, told, frame[asked], probe, "classification", random_state, classes
            )

    return teach


def spreading(table: Table, columns: list[str], rows: Partly, neighbors: int, alpha: float) -> Teacher:
    """Return a teacher that spreads labels over the neighbor graph of all rows; 0 where none arrives."""
    some = np.concatenate([rows.labeled, rows.open])
    # In the order of hashed ids, which decides between neighbors equally far.
    some = some[np.argsort(_places(in_hashed_order(table.ids))[some])]
    place = np.full(table.height, -1)
    place[some] = np.arange(len(some))
    reading, matrix = read_rows(table, columns, some)
    if not reading.columns:
        return lambda seen, codes, weight, asked: np.zeros((len(asked), len(rows.levels)))
    space = Space(categorical=tuple(reading.categorical.tolist()))
    graph = neighbor_graph(space, matrix[some], min(neighbors, max(len(some) - 1, 1)))

    def teach(seen: np.ndarray, codes: np.ndarray, weight: np.ndarray, asked: np.ndarray) -> np.ndarray:
        pull = np.zeros((len(some), len(rows.levels)))
        pull[place[seen], codes] = weight
        return normalized(spread(graph, pull, alpha))[place[asked]]

    return teach


def parts_of(table: Table, rows: Partly, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Part the labeled rows, to hide the labels of one part after another; no group lies in two.

    Returns
    -------
    list of (out, fair), each ndarray of shape (n_labeled,), bool
        The rows of the part, and those of them whose class the others hold: no one can know the rest.
    """
    groups = table.role("group")
    some = None if groups is None else groups[rows.labeled]
    fold = folds_of(table.ids[rows.labeled], folds, seed, rows.codes, some)
    parts = [fold == number for number in np.unique(fold)]
    return [(out, out & np.isin(rows.codes, rows.codes[~out])) for out in parts]


def judged(teach: Teacher, rows: Partly, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Ask a teacher about labeled rows that it was not told of: (n_fair, n_classes), in the rows' order."""
    answers = np.zeros((len(rows.labeled), len(rows.levels)))
    for out, fair in parts:
        if fair.any():
            seen = rows.labeled[~out]
            answers[fair] = teach(seen, rows.codes[~out], rows.weight[seen], rows.labeled[fair])
    return answers[fair_of(parts)]


def fair_of(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the places of the labeled rows that can be judged."""
    return np.flatnonzero(np.any([fair for _, fair in parts], axis=0))


def best_model(
    table: Table, columns: list[str], rows: Partly, probe: Any, parts: list[Any], seed: int
) -> Teacher:
    """Choose a probe, or its penalty, by what it says of labeled rows that it has not seen.

    Where no row can be judged, 'auto' is the linear probe, with the penalty that it has.
    """
    fair = fair_of(parts)
    if not len(fair):
        who = "linear" if isinstance(probe, str) and probe == "auto" else probe
        return models(table, columns, rows, who, seed)
    weight = rows.weight[rows.labeled[fair]]
    who, _ = chosen(
        probe,
        lambda who: judged(models(table, columns, rows, who, seed), rows, parts),
        lambda answers: log_loss(answers, rows.codes[fair], weight),
    )
    return models(table, columns, rows, who, seed)


@dataclass
class Told:
    """Hold what rows without a label were told: all of shape (n_open,) but the last two.

    Parameters
    ----------
    codes : ndarray, int64
        The class that a row was labeled as; -1 for none.
    sure, guess : ndarray
        The probability of its likeliest class when it was labeled, or at last; and that class at last.
    round : ndarray, int64
        In which round it was labeled, from 1.
    scale, cut : ndarray of shape (n_classes,)
        What aligned the classes in the last round, and the threshold of each.
    """

    codes: np.ndarray
    sure: np.ndarray
    round: np.ndarray
    guess: np.ndarray
    scale: np.ndarray
    cut: np.ndarray


def rounds(
    teach: Teacher,
    rows: Partly,
    *,
    heat: float,
    align: bool,
    threshold: float,
    cut: Cut,
    factor: Callable[[np.ndarray], np.ndarray],
    most: int,
) -> Told:
    """Label what the teacher is sure of, and teach it anew with that, until nothing is added.

    Parameters
    ----------
    teach : callable
    rows : Partly
    heat : float
        The temperature that answers are brought to.
    align : bool
        Make classes as frequent as among the labeled rows.
    threshold, cut : float, str
        See `cuts`.
    factor : callable
        From probabilities to factors on the weight of rows that got a label.
    most : int
        Rounds at most.
    """
    count = len(rows.open)
    even = np.ones(len(rows.levels))
    told = Told(
        np.full(count, -1), np.zeros(count), np.zeros(count, np.int64), np.full(count, -1), even, even
    )
    for number in range(1, most + 1):
        old = told.codes >= 0
        seen = np.concatenate([rows.labeled, rows.open[old]])
        codes = np.concatenate([rows.codes, told.codes[old]])
        trust = np.concatenate([np.ones(len(rows.labeled)), factor(told.sure[old])])
        answers = tempered(teach(seen, codes, rows.weight[seen] * trust, rows.open), heat)
        told.scale = alignment(answers, rows.shares) if align else even
        answers = normalized(answers * told.scale)
        told.guess, sure = answers.argmax(axis=1), answers.max(axis=1)
        told.cut = cuts(sure, told.guess, rows.shares, threshold, cut)
        added = ~old & (sure >= told.cut[told.guess]) & (sure > 0)
        told.sure = np.where(old, told.sure, sure)
        told.codes[added], told.round[added] = told.guess[added], number
        if not added.any():
            break
    return told


def found_again(
    learn: Callable[[Partly], Told], rows: Partly, parts: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Hide the labels of one part after another, and see what the same way of labeling makes of them.

    Parameters
    ----------
    learn : callable
        From rows of which some have a label to what the others are told: all rounds of it.

    Returns
    -------
    given, told : ndarray of shape (n_labeled_again,), int64
        The class that a row has, and that it was labeled as, of all rows that got a label.
    """
    count, given, told = len(rows.open), [], []
    for out, fair in parts:
        if not fair.any():
            continue
        without = np.concatenate([rows.open, rows.labeled[fair]])
        codes = learn(replace(rows, labeled=rows.labeled[~out], codes=rows.codes[~out], open=without)).codes
        again = codes[count:] >= 0
        given.append(rows.codes[fair][again])
        told.append(codes[count:][again])
    nothing = np.zeros(0, np.int64)
    return np.concatenate([nothing, *given]), np.concatenate([nothing, *told])


def _places(order: np.ndarray) -> np.ndarray:
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places
