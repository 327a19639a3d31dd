"""Whatever is no element is text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tilth.report.elements import clean, element, name_of, raw


class Read(HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@given(st.text(), st.text())
def test_any_text_comes_back_as_text(inside, attribute):
    read = Read(element("p", inside, title=attribute))
    assert read.tags == ["p"]
    assert read.text == clean(inside)
    assert read.attributes == [("title", clean(attribute))]


@given(st.text(st.characters()))
def test_cleaned_text_can_always_be_written(text):
    clean(text).encode("utf-8")
    assert not any(ord(c) < 32 and c not in "\n\t" for c in clean(text))


def test_children_may_be_lists_numbers_or_nothing():
    assert element("p", ["a", [1, None]], 2.5) == "<p>a12.5</p>"


def test_attributes_may_be_left_out_or_bare():
    assert (
        element("details", open=True, hidden=False, class_=None, aria_label="x")
        == '<details open aria-label="x"></details>'
    )


def test_void_elements_are_not_closed():
    assert element("br") == "<br>"


def test_only_the_packages_own_text_is_raw():
    assert element("style", raw("a > b {}")) == "<style>a > b {}</style>"


def test_lone_surrogates_and_noncharacters_are_replaced():
    assert clean("a\ud800b\uffff") == "a\ufffdb\ufffd"


def test_a_name_of_spaces_is_visible():
    assert "“ ”" in name_of(" ")
