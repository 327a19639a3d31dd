"""N-grams of texts: counted and weighed as scikit-learn does it, and brought to the same axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from tilth.statistics import ngrams
from tilth.statistics.ngrams import Grams, Ngrams, main_axes

WAYS = [("char_wb", 3, 4), ("char_wb", 1, 6), ("char", 2, 3), ("word", 1, 2)]
TEXTS = [
    "The quick  brown fox",
    "jumps over\tthe lazy dog",
    "a I x",
    "Ünïcödé 日本語 text",
    "",
    " ",
    "fox-trot, 12 %",
]


def counted(texts, grams):
    """Return the sorted counts of each text's n-grams: what is left when their names are forgotten."""
    parts = list(grams.counted(texts))
    assert sum(many for many, _ in parts) == len(texts)
    told, first = [[] for _ in texts], 0
    for many, part in parts:
        for text, _, count in part.iter_rows():
            told[first + text].append(count)
        first += many
    return [sorted(one) for one in told]


def peers(texts, analyzer, shortest, longest):
    try:
        made = CountVectorizer(analyzer=analyzer, ngram_range=(shortest, longest)).fit_transform(texts)
    except ValueError:
        return [[] for _ in texts]  # an empty vocabulary
    return [sorted(row.data.tolist()) for row in made]


@pytest.mark.parametrize(("analyzer", "shortest", "longest"), WAYS)
@given(st.lists(st.text(alphabet="abc XYZé日\t\n.-", max_size=20), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_n_grams_are_those_of_scikit_learn(analyzer, shortest, longest, texts):
    assert counted(texts, Grams(analyzer, shortest, longest)) == peers(texts, analyzer, shortest, longest)


def test_texts_are_read_in_parts_all_the_same(monkeypatch):
    texts = TEXTS * 5
    whole = counted(texts, Grams())
    times = np.ones(len(texts))
    one = Ngrams.learn(texts, times, 3)
    monkeypatch.setattr(ngrams, "LETTERS_AT_ONCE", 30)
    assert len(list(Grams().counted(texts))) > 3
    assert counted(texts, Grams()) == whole
    two = Ngrams.learn(texts, times, 3)
    np.testing.assert_array_equal(one.axes, two.axes)
    np.testing.assert_array_equal(one.project(texts), two.project(texts))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("analyzer", "shortest", "longest"), WAYS)
def test_numbers_are_those_of_tf_idf_and_truncated_svd(monkeypatch, exact, analyzer, shortest, longest):
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefgh"), random.integers(2, 7))) for _ in range(40)]
    texts = [" ".join(random.choice(words, 1 + i % 8)) for i in range(150)]
    monkeypatch.setattr(ngrams, "EXACT_TEXTS", 1000 if exact else 0)
    vectors = TfidfVectorizer(analyzer=analyzer, ngram_range=(shortest, longest))
    peer = TruncatedSVD(5, algorithm="arpack")
    wanted = peer.fit_transform(vectors.fit_transform(texts))
    grams = Grams(analyzer, shortest, longest)
    made = Ngrams.learn(texts, np.ones(len(texts)), 5, grams)
    found = made.project(texts, grams)
    share = (peer.singular_values_**2).sum() / len(texts)
    if not exact:  # random projections part axes of nearly one length as they like
        assert 0.99 * share <= made.share <= share + 1e-9
        return
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=1e-8)
    assert made.share == pytest.approx(share)


def test_a_text_that_occurs_twice_counts_as_two():
    texts = sorted(set(TEXTS))
    times = np.arange(1, len(texts) + 1)
    one = Ngrams.learn(texts, times, 3)
    two = Ngrams.learn(list(np.repeat(texts, times)), np.ones(times.sum()), 3)
    np.testing.assert_array_equal(one.kept, two.kept)
    np.testing.assert_allclose(one.project(texts), two.project(texts), atol=1e-9)


def test_the_n_grams_of_the_most_texts_are_kept_and_others_are_not_known():
    made = Ngrams.learn(["aaa bbb", "aaa ccc", "aaa"], np.ones(3), 2, Grams("word", 1, 1, most=1))
    assert len(made.kept) == 1
    assert made.project(["aaa", "bbb", ""], Grams("word", 1, 1)).tolist() == [[1.0], [0.0], [0.0]]


@pytest.mark.parametrize("texts", [[], ["", " "]])
def test_texts_without_n_grams_have_no_axes(texts):
    made = Ngrams.learn(texts, np.ones(len(texts)), 3)
    assert made.axes.shape == (0, 0)
    assert made.project(["some"]).shape == (1, 0)


def test_axes_are_orthogonal_their_signs_fixed_and_no_more_than_there_are():
    rows = np.random.default_rng(0).normal(size=(20, 3)) @ np.random.default_rng(1).normal(size=(3, 8))
    axes, lengths = main_axes(rows, 6)
    assert axes.shape == (8, 3)
    np.testing.assert_allclose(lengths, np.linalg.svd(rows)[1][:3])
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert (axes[np.abs(axes).argmax(axis=0), range(3)] > 0).all()
    other, _ = main_axes(-rows, 6)
    np.testing.assert_allclose(other, axes, atol=1e-9)
