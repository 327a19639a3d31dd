"""Representatives: scikit-learn's k-means and imbalanced-learn's ClusterCentroids are the oracles."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.under_sampling import ClusterCentroids
from sklearn.cluster import KMeans

from tilth.statistics.representatives import representatives


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(0, 1000), st.data())
def test_exactly_as_many_rows_are_chosen_whatever_their_copies(
    rows: int, seed: int, data: st.DataObject
) -> None:
    count = data.draw(st.integers(1, rows))
    matrix = np.random.default_rng(seed).integers(0, 3, (rows, 2)).astype(float)
    chosen, distances = representatives(matrix, count, seed)
    assert chosen.sum() == count
    assert (distances >= 0).all()


def test_each_cluster_has_its_row_and_none_of_it_is_nearer_to_the_center() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 3))
    chosen, distances = representatives(rows, 15, 3)
    model = KMeans(15, n_init=1, random_state=3).fit(rows)
    assert sorted(model.labels_[chosen]) == list(range(15))
    far = np.linalg.norm(rows - model.cluster_centers_[model.labels_], axis=1)
    np.testing.assert_allclose(distances, far)
    for label, nearest in zip(model.labels_[chosen], distances[chosen], strict=True):
        assert nearest == distances[model.labels_ == label].min()


def test_the_rows_are_those_that_imbalanced_learn_finds_at_the_centers() -> None:
    random = np.random.default_rng(1)
    X = np.vstack([random.normal(size=(150, 2)), random.normal(4, 1, (20, 2))])
    y = np.repeat([0, 1], [150, 20])
    theirs = ClusterCentroids(estimator=KMeans(n_init=1, random_state=5), voting="hard")
    kept, label = theirs.fit_resample(X, y)
    chosen, _ = representatives(X[:150], 20, 5)
    assert np.unique(kept[label == 0], axis=0).tolist() == np.unique(X[:150][chosen], axis=0).tolist()
