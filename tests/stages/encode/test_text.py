"""Texts as numbers: near where texts are alike, the same for any partition, missing where texts are."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

import tilth
from tests.laws.cases import alike, learned, parts
from tilth import EncodeText
from tilth.errors import DataError, StageError
from tilth.table import Table

JOBS = [
    "teacher",
    "Teachers",
    "school teacher",
    "nurse",
    "head nurse",
    "nurses",
    "pilot",
    None,
    "co-pilot",
    "",
]
RANDOM = np.random.default_rng(0)
ROWS = pl.DataFrame({"job": RANDOM.choice(np.array(JOBS, object), 300).tolist(), "age": np.arange(300)})
LONG = pl.DataFrame({"note": [" ".join(RANDOM.choice([j for j in JOBS if j], 6)) for _ in range(300)]})


def numbers(stage, rows):
    return stage.fit_transform(rows).select(pl.selectors.starts_with("job_", "note_")).to_numpy()


def near(one, two):
    return one @ two / np.linalg.norm(one) / np.linalg.norm(two)


def test_texts_that_are_alike_are_near():
    stage = EncodeText(size=5, on=["job"]).fit(ROWS)
    out = dict(
        zip(JOBS, stage.transform(ROWS.head(10).with_columns(job=pl.Series(JOBS))).to_numpy(), strict=True)
    )
    of = {name: row[:-1] for name, row in out.items()}
    assert near(of["teacher"], of["Teachers"]) > 0.8 > near(of["teacher"], of["nurse"])
    assert near(of["nurse"], of["head nurse"]) > near(of["nurse"], of["pilot"])
    misspelt = stage.transform(pl.DataFrame({"job": ["techer"], "age": [1]})).to_numpy()[0, :-1]
    assert near(misspelt, of["teacher"]) > 0.8


def test_numbers_are_those_of_scikit_learn_where_texts_repeat_too():
    texts = ROWS["job"].fill_null("")
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).fit_transform(texts.to_list())
    wanted = TruncatedSVD(3, algorithm="arpack").fit_transform(vectors)
    found = numbers(EncodeText(size=3, on=["job"]), ROWS.with_columns(job=texts))
    signs = np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found * signs, wanted, atol=1e-8)


def test_missing_texts_are_missing_or_zero_and_empty_ones_zero():
    out = (
        EncodeText(size=2, on=["job"])
        .fit(ROWS)
        .transform(pl.DataFrame({"job": [None, "", "nurse"], "age": [1] * 3}))
    )
    assert out["job_1"].is_null().to_list() == [True, False, False]
    assert out["job_1"][1] == 0.0 and out["job_1"].dtype == pl.Float64
    zeros = EncodeText(size=2, missing="zeros", on=["job"]).fit(ROWS)
    assert zeros.transform(pl.DataFrame({"job": [None], "age": [1]})).row(0) == (0.0, 0.0, 1)


@pytest.mark.parametrize("max_rows", [1000, 60])
@pytest.mark.parametrize("rows", [ROWS, LONG], ids=["short", "long"])
def test_partitions_do_not_matter(rows, max_rows):
    table, on = Table.of(rows), rows.columns[:1]
    whole = EncodeText(size=4, max_rows=max_rows, on=on).fit_table([table])
    merged = EncodeText(size=4, max_rows=max_rows, on=on).fit_table(parts(table, [7, 150, 151], [2, 0, 3, 1]))
    alike(learned(merged), learned(whole), 0, 0)
    alike(merged.change(table.frame).collect(), whole.change(table.frame).collect(), 0, 0)


def test_a_sample_is_drawn_by_the_seed():
    outs = [
        numbers(EncodeText(size=2, max_rows=40, random_state=seed, on=["note"]), LONG) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(outs[0], outs[1])
    assert np.abs(outs[0] - outs[2]).max() > 1e-6


def test_text_is_what_it_takes_and_categories_where_they_are_named():
    table = Table.of(ROWS, kinds={"job": "text"})
    assert EncodeText(size=2).fit_table([table]).columns_ == ["job"]
    assert EncodeText(size=2).fit(ROWS).columns_ == []
    out = EncodeText(size=2, on="categorical").fit_transform(
        ROWS.with_columns(pl.col("job").cast(pl.Categorical))
    )
    assert out.columns == ["job_1", "job_2", "age"]


def test_there_are_no_more_numbers_than_the_texts_have():
    stage = EncodeText(on=["x"]).fit(pl.DataFrame({"x": ["same", "same", None]}))
    assert list(stage.get_feature_names_out()) == ["x_1"]
    assert "1 numbers keep 100.0%" in stage.findings_[0].message
    empty = EncodeText(on=["x"]).fit(pl.DataFrame({"x": ["", " "]}))
    assert list(empty.get_feature_names_out()) == []
    assert empty.findings_[0].kind == "text.empty"


def test_longest_below_shortest_and_sentences_without_a_model_are_told():
    with pytest.raises(DataError, match="longest=2 is less than shortest=3"):
        EncodeText(longest=2, on=["job"]).fit(ROWS)
    with pytest.raises(DataError, match="needs `model`"):
        EncodeText(method="sentence", on=["job"]).fit(ROWS)
    with pytest.raises(DataError, match="no folder of a model"):
        EncodeText(method="sentence", model="nowhere", on=["job"]).fit(ROWS)


def test_that_transformers_is_not_installed_is_told_with_the_line_that_installs_it(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(StageError, match=r"pip install 'tilth\[text\]'"):
        EncodeText(method="sentence", model=str(tmp_path), on=["job"]).fit(ROWS)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """Save a small encoder with random weights."""
    transformers = pytest.importorskip("transformers")
    import torch

    folder = tmp_path_factory.mktemp("encoder")
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *{w.lower() for j in JOBS if j for w in j.split()},
        "-",
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=12,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


def embedded(encoder, text):
    """Embed one text as the method is written down: the mean over all words, of length 1."""
    import torch
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
    model = transformers.AutoModel.from_pretrained(encoder).eval()
    with torch.no_grad():
        told = tokenizer([text], return_tensors="pt", truncation=True, max_length=12)
        mean = model(**told).last_hidden_state.mean(dim=1)[0].numpy()
    return mean / np.linalg.norm(mean)


def test_sentences_are_the_mean_over_their_words(encoder):
    rows = pl.DataFrame({"job": ["teacher", "head nurse", None, "pilot " * 30]})
    out = EncodeText(method="sentence", model=encoder, device="cpu", batch_size=2, on=["job"], size=99)
    found = out.fit_transform(rows)
    assert found.columns == [f"job_{i}" for i in range(1, 17)]
    assert found["job_1"].is_null().to_list() == [False, False, True, False]
    for place in (0, 1, 3):
        np.testing.assert_allclose(found.row(place), embedded(encoder, rows["job"][place]), atol=1e-5)


def test_embeddings_are_brought_to_fewer_numbers_that_keep_what_is_near(encoder):
    rows = ROWS.with_columns(pl.col("job").fill_null("pilot"))
    more = {"method": "sentence", "model": encoder, "device": "cpu", "on": ["job"]}
    whole, few = numbers(EncodeText(size=99, **more), rows), EncodeText(size=6, **more).fit(rows)
    kept = few.transform(rows).drop("age").to_numpy()
    share = few.findings_[0].score
    assert kept.shape == (300, 6)
    assert (kept**2).sum() / (whole**2).sum() == pytest.approx(share, abs=1e-5)
    merged = EncodeText(size=6, **more).fit_table(parts(Table.of(rows), [10, 200], [2, 0, 1]))
    np.testing.assert_allclose(
        merged.change(Table.of(rows).frame).select("job_1").collect().to_numpy(), kept[:, :1], atol=1e-5
    )


def test_a_saved_stage_gives_the_same(tmp_path, encoder):
    for more in ({"size": 3}, {"method": "sentence", "model": encoder, "size": 3, "device": "cpu"}):
        pipe = tilth.Pipeline([EncodeText(on=["job"], **more)]).fit(ROWS)
        pipe.save(tmp_path / "bundle")
        assert tilth.load(tmp_path / "bundle").transform(ROWS).equals(pipe.transform(ROWS))
