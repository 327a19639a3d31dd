"""YAML in and out: the 1.2 core schema, lines, and what is refused before anything is built."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.errors import RecipeError
from tilth.recipes import text

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)
    | st.sampled_from(
        ["on", "yes", "no", "null", "~", "1e3", "0x1F", "1_000", "12:30:00", "2020-01-01", "?", "-", ""]
    )
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8).filter(str.isprintable), inner)
    ),
    max_leaves=12,
)


@given(values)
def test_whatever_is_written_on_one_line_reads_back_the_same(value):
    assert text.read(f"a: {text.flow(value)}", "f")[0] == {"a": value}


@given(st.dictionaries(st.text(min_size=1, max_size=30).filter(str.isprintable), values, max_size=8))
def test_an_entry_reads_back_the_same_however_long_it_is(value):
    assert text.read(text.entry("  - key", value), "f")[0] == [{"key": value}]


def test_a_long_entry_takes_a_line_per_value_within_the_width():
    written = text.entry("data", {f"column_{i}": "x" * 20 for i in range(9)})
    assert written.splitlines()[0] == "data:"
    assert max(map(len, written.splitlines())) < text.WIDTH


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2020-01-01", "2020-01-01"),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
        ("TRUE", True),
        ("<<", "<<"),
    ],
)
def test_words_are_read_by_yaml_1_2(written, value):
    read = text.read(f"a: {written}", "f")[0]["a"]
    assert read == value
    assert type(read) is type(value)


def test_the_key_on_is_a_text():
    assert text.read("on: numeric", "f")[0] == {"on": "numeric"}


def test_nan_is_read_as_a_number():
    assert math.isnan(text.read("a: .nan", "f")[0]["a"])


def test_lines_are_kept_by_path():
    _, lines = text.read("a:\n  - x\n  - y: 1\n    z: 2\n", "f")
    assert lines["a",] == 1
    assert lines["a", 0] == 2
    assert lines["a", 1, "z"] == 4


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a: 1\n\tb: 2", 2, "tab"),
        ("a: [1", 1, "not valid YAML"),
        ("a: 1\nb: &x 2\nc: *x", 2, "aliases"),
        ("a: !!python/object/apply:os.system [id]", 1, "tag"),
        ("a: !custom x", 1, "tag"),
        ("a: 1\nb: 2\na: 3", 3, "'a' is said twice, first on line 1"),
        ("b:\n  1: 2", 2, 'the key 1 is not a text. Put it in quotes: "1"'),
        ("b: [?, x]", 1, 'Put it in quotes: "?"'),
        ("[a]: 2", 1, "not a text"),
        ("a: 1\n---\nb: 1", 2, "second document"),
        ("a: 1\nb: \x07", 2, "does not allow"),
        ("a:\n" + "  " + "[" * 40, 2, "nested"),
        ("a: " + "9" * 5000, 1, "too long"),
    ],
)
def test_what_no_recipe_needs_is_refused_with_its_line(content, line, words):
    with pytest.raises(RecipeError, match=rf"^file\.yaml:{line}: ") as caught:
        text.read(content, "file.yaml")
    assert words in str(caught.value)


def test_aliases_that_would_multiply_are_refused_at_once():
    bomb = "a: &a [x]\n" + "\n".join(f"b{i}: &b{i} [*a, *a, *a]" for i in range(50))
    with pytest.raises(RecipeError, match="aliases"):
        text.read(bomb, "f")


def test_a_text_of_absurd_length_is_refused_unread():
    with pytest.raises(RecipeError, match="characters"):
        text.read("[" * (text.LARGEST + 1), "f")


@pytest.mark.parametrize("content", ["", "\n\n", "# only a comment"])
def test_nothing_is_refused(content):
    with pytest.raises(RecipeError, match="is empty"):
        text.read(content, "f")
