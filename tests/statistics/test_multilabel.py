"""Several labels per row: the cells, rows and scores are cleanlab's."""

from typing import get_args

import numpy as np
import pytest
from cleanlab.multilabel_classification import get_label_quality_scores
from cleanlab.multilabel_classification.filter import find_label_issues, find_multilabel_issues_per_class

from tilth.statistics.confident import Method, Score
from tilth.statistics.multilabel import multilabel_issues, multilabel_quality


def rows(count=400, labels=4, seed=0):
    """Make labels, a tenth of them wrong, and probabilities that mostly know better."""
    rng = np.random.default_rng(seed)
    truth = rng.random((count, labels)) < rng.uniform(0.2, 0.6, labels)
    given = truth ^ (rng.random(truth.shape) < 0.1)
    probabilities = 1 / (1 + np.exp(-rng.normal(np.where(truth, 1.5, -1.5), 1.2)))
    return given, probabilities


def listed(given):
    return [np.flatnonzero(row).tolist() for row in given]


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("seed", range(2))
def test_cells_and_rows_are_cleanlabs(method, seed):
    given, probabilities = rows(seed=seed)
    ours = multilabel_issues(given, probabilities, method=method)
    how = {"filter_by": method, "n_jobs": 1}
    assert (ours == find_multilabel_issues_per_class(listed(given), probabilities, **how)).all()
    if not method.startswith("low_"):
        assert (ours.any(axis=1) == find_label_issues(listed(given), probabilities, **how)).all()
    assert 0 < ours.sum() < ours.size / 3


@pytest.mark.parametrize("method", get_args(Score))
@pytest.mark.parametrize("labels", [2, 7])
def test_scores_are_cleanlabs(method, labels):
    given, probabilities = rows(labels=labels)
    peer = get_label_quality_scores(listed(given), probabilities, method=method)
    np.testing.assert_allclose(multilabel_quality(given, probabilities, method=method), peer, atol=1e-9)


def test_a_label_that_one_row_has_is_no_trouble():
    given, probabilities = rows()
    given[:, 1] = np.arange(len(given)) == 3
    assert multilabel_issues(given, probabilities).shape == given.shape
    assert np.isfinite(multilabel_quality(given, probabilities)).all()
