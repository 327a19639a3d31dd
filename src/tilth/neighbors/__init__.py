"""Nearest neighbors, found exactly: the one service for every stage that needs them.

Imputation, outlier scores, synthetic rows and near duplicates ask the same question, so they share one
answer: the same distances, the same ties, the same bound on memory.
"""

from tilth.neighbors.search import nearest
from tilth.neighbors.space import Space
from tilth.neighbors.within import groups_of, within

__all__ = ["Space", "groups_of", "nearest", "within"]
