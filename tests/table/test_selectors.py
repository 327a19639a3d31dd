"""Selecting columns: the algebra is that of sets, and a wrong word is named with the nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.errors import ColumnError, DataError
from tilth.table import KINDS, Selector, select

KINDS_OF = {
    "age": "numeric",
    "temp_a": "numeric",
    "temp_b": "numeric",
    "city": "categorical",
    "numeric": "categorical",
    "capital-gain": "numeric",
    "two words": "text",
    "seen": "datetime",
    "ok": "boolean",
}

# Each leaf is a text and the set it must stand for, found without the parser.
LEAVES = st.sampled_from(
    [(kind, {c for c, k in KINDS_OF.items() if k == kind}) for kind in KINDS]
    + [(c, {c}) for c in ("age", "temp_a", "city", "seen", "ok")]
    + [(f'"{c}"', {c}) for c in ("capital-gain", "two words", "numeric", "age")]
    + [
        ("temp_*", {"temp_a", "temp_b"}),
        ("*", set(KINDS_OF)),
        ("?ge", {"age"}),
        ("[ac]*", {"age", "city", "capital-gain"}),
    ]
)


def join(children):
    def written(sign, one, two):
        combined = {"&": one[1] & two[1], "|": one[1] | two[1], "-": one[1] - two[1]}[sign]
        return f"({one[0]}) {sign} ({two[0]})", combined

    both = st.builds(written, st.sampled_from("&|-"), children, children)
    return both | children.map(lambda one: (f"~({one[0]})", set(KINDS_OF) - one[1]))


@given(st.recursive(LEAVES, join, max_leaves=8))
def test_the_algebra_is_that_of_sets(pair):
    text, wanted = pair
    chosen = Selector(text).of(KINDS_OF)
    assert chosen == [name for name in KINDS_OF if name in wanted]


@given(LEAVES, LEAVES)
def test_python_operators_and_the_text_say_the_same(one, two):
    a, b = Selector(one[0]), Selector(two[0])
    assert set((a & b).of(KINDS_OF)) == one[1] & two[1]
    assert set((a | b).of(KINDS_OF)) == one[1] | two[1]
    assert set((a - b).of(KINDS_OF)) == one[1] - two[1]
    assert set((~a).of(KINDS_OF)) == set(KINDS_OF) - one[1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("numeric - age", ["temp_a", "temp_b", "capital-gain"]),
        ("age | temp_a & city", ["age"]),
        ("numeric - age - temp_a", ["temp_b", "capital-gain"]),
        ("~numeric & ~categorical", ["two words", "seen", "ok"]),
        ("capital-gain", ["capital-gain"]),
        ("two words", ["two words"]),
        ("  age  ", ["age"]),
        ("numeric", ["age", "temp_a", "temp_b", "capital-gain"]),
        ('"numeric"', ["numeric"]),
        ("nothing_*", []),
    ],
)
def test_texts_as_people_write_them(text, wanted):
    assert Selector(text).of(KINDS_OF) == wanted


@pytest.mark.parametrize(
    "text", ["", "   ", "age &", "& age", "(age", "age)", "~", "age city", '"age', "age & | city"]
)
def test_a_text_that_cannot_be_read_says_where(text):
    with pytest.raises(DataError, match="Column selection"):
        Selector(text).of(KINDS_OF)


def test_a_wrong_name_offers_the_nearest():
    with pytest.raises(ColumnError, match=r"no column or kind 'agee' \(did you mean 'age'"):
        Selector("numeric - agee").of(KINDS_OF)


class TestSelect:
    """What a stage's `on` becomes."""

    def test_none_takes_the_kinds_that_are_handled_in_the_order_of_the_table(self):
        assert select(None, KINDS_OF, ("boolean", "datetime")) == ["seen", "ok"]

    def test_an_empty_list_selects_nothing(self):
        assert select([], KINDS_OF, ("numeric",)) == []

    def test_names_come_in_the_order_of_the_table_and_once(self):
        assert select(["temp_a", "age", "temp_*"], KINDS_OF, ("numeric",)) == ["age", "temp_a", "temp_b"]

    def test_an_expression_is_cut_down_to_what_is_handled(self):
        assert select("*", KINDS_OF, ("boolean",)) == ["ok"]
        assert select(~Selector("numeric"), KINDS_OF, ("boolean",)) == ["ok"]

    @pytest.mark.parametrize("on", ["city", ["age", "city"], Selector("city")])
    def test_a_column_named_outright_must_be_handled(self, on):
        with pytest.raises(DataError, match=r"'city' \(categorical\): only numeric"):
            select(on, KINDS_OF, ("numeric",))

    @pytest.mark.parametrize("on", ["citty", ["age", "citty"], Selector("citty")])
    def test_a_name_that_is_no_column_is_an_error(self, on):
        with pytest.raises(ColumnError, match="citty"):
            select(on, KINDS_OF, KINDS)
