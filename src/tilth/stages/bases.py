"""Which rows of a class others are made from: the variants of SMOTE."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tilth.neighbors import Space
from tilth.neighbors.others import others_near
from tilth.statistics.synthesis import sparsity

OUTWARD = -0.5
"""How far from a safe support vector a row may lie, away from its neighbor."""
MOST_MEASURED = 4096
"""Rows of a cluster over which the mean distance is taken."""


@dataclass(frozen=True)
class Rows:
    """Hold the labeled rows among which bases are chosen, in an order that does not depend on how they came.

    Parameters
    ----------
    space : Space
    matrix : ndarray of shape (n_rows, n_columns)
        As `Space` reads it.
    complete : ndarray of shape (n_rows, n_wide)
        The same for models, where they are asked: gaps filled, a 0/1 column per category.
    labels : ndarray of shape (n_rows,), int64
    """

    space: Space
    matrix: np.ndarray
    complete: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Bases:
    """Say which rows serve as bases.

    Parameters
    ----------
    weight : ndarray of shape (n_class,), float64
        The share of the made rows that each row of the class is the base of; all 0: there is none.
    reach : ndarray of shape (n_class,), float64
        How far towards its neighbor a made row may lie; below 0: away from it.
    pool : ndarray of shape (n_class,), int64
        Neighbors are of the same pool.
    """

    weight: np.ndarray
    reach: np.ndarray
    pool: np.ndarray

    @classmethod
    def all_of(cls, n_rows: int) -> Bases:
        """Let every row be a base."""
        return cls(np.ones(n_rows), np.ones(n_rows), np.zeros(n_rows, np.int64))


def in_danger(rows: Rows, own: np.ndarray, m: int, device: str) -> Bases:
    """Choose rows near the border: half or more of their `m` nearest are others, but not all.

    Source
    ------
    Han, Wang and Mao, "Borderline-SMOTE", ICIC 2005, steps 1 and 2.
    """
    others, everyone = others_near(rows.space, rows.matrix, rows.labels, own, m, device=device)
    danger = (2 * others >= everyone) & (others < everyone)
    return Bases(danger.astype(float), np.ones(len(own)), np.zeros(len(own), np.int64))


def supporting(rows: Rows, own: np.ndarray, m: int, support: np.ndarray, device: str) -> Bases:
    """Choose support vectors; from those among their own kind, rows are made outwards.

    Support vectors of whose `m` nearest all are others are noise.

    Parameters
    ----------
    support : ndarray of int64
        Positions of the support vectors of all classes.

    Source
    ------
    Nguyen, Cooper and Kamei, "Borderline over-sampling for imbalanced data classification", IJKESDP 3
    (2011).
    """
    others, everyone = others_near(rows.space, rows.matrix, rows.labels, own, m, device=device)
    danger = 2 * others >= everyone
    weight = np.isin(own, support) & (others < everyone)
    return Bases(weight.astype(float), np.where(danger, 1.0, OUTWARD), np.zeros(len(own), np.int64))


def support_vectors(rows: Rows) -> np.ndarray:
    """Return the support vectors of a classifier of all classes."""
    from sklearn.svm import SVC

    return SVC(gamma="scale").fit(rows.complete, rows.labels).support_.astype(np.int64)


def clusters_of(rows: Rows, n_clusters: int, seed: int) -> np.ndarray:
    """Cluster all rows by k-means."""
    from sklearn.cluster import MiniBatchKMeans

    n_clusters = min(n_clusters, len(rows.complete))
    made = MiniBatchKMeans(n_clusters=n_clusters, random_state=seed % 2**32, n_init="auto")
    return made.fit_predict(rows.complete).astype(np.int64)


def in_clusters(rows: Rows, own: np.ndarray, k: int, cluster: np.ndarray) -> Bases:
    """Choose clusters in which the class is at least half of the rows; the sparser one gets more.

    Parameters
    ----------
    k : int
        A cluster needs more rows of the class than this.
    cluster : ndarray of shape (n_rows,), int64

    Source
    ------
    Douzas, Bacao and Last (2018); see `tilth.statistics.synthesis.sparsity`.
    """
    weight = np.zeros(len(own))
    sizes, counts = np.bincount(cluster), np.bincount(cluster[own], minlength=int(cluster.max()) + 1)
    for number in np.flatnonzero((2 * counts >= sizes) & (counts > k)):
        mine = np.flatnonzero(cluster[own] == number)
        weight[mine] = sparsity(rows.complete[own[mine[:MOST_MEASURED]]]) / len(mine)
    return Bases(weight, np.ones(len(own)), cluster[own])


def by_density(rows: Rows, own: np.ndarray, k: int, device: str) -> Bases:
    """Weigh each row by how many of its `k` nearest are others.

    Source
    ------
    He et al., "ADASYN: adaptive synthetic sampling approach for imbalanced learning", IJCNN 2008, steps 2
    to 4.
    """
    others, everyone = others_near(rows.space, rows.matrix, rows.labels, own, k, device=device)
    return Bases(others / np.maximum(everyone, 1), np.ones(len(own)), np.zeros(len(own), np.int64))
