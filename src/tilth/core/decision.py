"""Stages that leave rows as they are, and choose how a model's probabilities are turned into decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tilth.core.stage import RowStage


class DecisionStage(RowStage):
    """Leave rows as they are, and choose which class a model's probabilities are to decide for.

    An author writes `learn_decision` and `decide`. The pipeline and the bench ask them for the model that
    follows: they learn from probabilities for training rows that the model was not fitted on.

    Attributes
    ----------
    folds : int
        Into so many parts the training rows are cut to get such probabilities.
    random_state : int
        Seed of the parts.
    """

    needs_target: ClassVar[bool] = True
    folds: int
    random_state: int

    @property
    def decided(self) -> bool:
        """Tell whether it has learned how to decide."""
        return False

    def learn_decision(
        self, truth: np.ndarray, probabilities: np.ndarray, weight: np.ndarray, classes: Sequence[str]
    ) -> None:
        """Learn how to decide.

        Parameters
        ----------
        truth : ndarray of shape (n_rows,), int
            Places in `classes`.
        probabilities : ndarray of shape (n_rows, n_classes)
        weight : ndarray of shape (n_rows,)
        classes : sequence of str
        """

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the place of the class that is decided for, shape (n_rows,): the most probable one."""
        return np.asarray(probabilities.argmax(axis=1))
