"""Answers that are kept: the same ones come back, for the same question only."""

import json

import numpy as np
import pytest

from tilth.audit.kept import kept


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))
    return tmp_path


def answer():
    return {
        "distance": np.array([[0.5, np.inf], [1.0, np.nan]]),
        "place": np.array([3, -1], np.int64),
        "nothing": np.zeros((0, 4), np.float32),
        "classes": ["a", 1, True, None],
        "probe": "linear",
        "loss": 0.25,
    }


def test_an_answer_comes_back_as_it_was_and_is_not_worked_out_again():
    asked = np.arange(6.0)
    first = kept("what", (asked, 3), answer)

    def never():
        raise AssertionError("worked out again")

    again = kept("what", (asked.copy(), 3), never)
    for name, value in answer().items():
        if isinstance(value, np.ndarray):
            assert again[name].dtype == first[name].dtype == value.dtype
            np.testing.assert_array_equal(again[name], value)
            again[name][...] = 0  # the caller's own
        else:
            assert again[name] == first[name] == value
    assert kept("what", (asked, 3), never)["place"].tolist() == [3, -1]


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("other", (np.arange(6.0), 3)),
        ("what", (np.arange(6.0), 4)),
        ("what", (np.arange(6.0).reshape(2, 3), 3)),
        ("what", (np.arange(6.0, dtype=np.float32), 3)),
        ("what", (np.arange(6.0)[::-1], 3)),
    ],
)
def test_another_question_has_its_own_answer(what, asked):
    kept("what", (np.arange(6.0), 3), lambda: {"n": 1})
    assert kept(what, asked, lambda: {"n": 2}) == {"n": 2}


def test_what_is_damaged_is_worked_out_anew(cache):
    kept("what", (1,), lambda: {"n": 1})
    for file in cache.rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    assert kept("what", (1,), lambda: {"n": 2}) == {"n": 2}


def test_nothing_is_kept_where_caches_are_off(cache, monkeypatch):
    monkeypatch.setenv("TILTH_CACHE", "")
    assert kept("what", (1,), lambda: {"n": 1}) == {"n": 1}
    assert kept("what", (1,), lambda: {"n": 2}) == {"n": 2}
    assert not list(cache.iterdir())


def test_values_are_plain():
    with pytest.raises(TypeError):
        kept("what", (object(),), dict)
    assert json.dumps(kept("what", (), lambda: {"a": [1, 2]})) == '{"a": [1, 2]}'
