"""A tiny builder of elements: whatever is not an element already is text, and is escaped."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable

VOID = frozenset({"br", "hr", "meta", "wbr", "img", "input", "link"})

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


class Element(str):
    """Text that is markup already; only `element` and `raw` make it."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]
"""What may stand inside an element; None stands for nothing."""


def clean(value: object) -> str:
    """Return text that a document can hold, whatever the data held.

    Control characters become their pictures (NUL is shown as ␀), and what would turn the direction
    of the text around it, or is no character at all, becomes U+FFFD.
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    code = ord(char)
    if char in "\n\t":
        return char
    if code < 32:
        return chr(0x2400 + code)
    if code == 127:
        return "\u2421"
    if char in _BIDI or code & 0xFFFE == 0xFFFE or unicodedata.category(char) in ("Cc", "Cs"):
        return "\ufffd"
    return char


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """Make an element.

    Parameters
    ----------
    tag : str
    *children : str, number, Element, or iterables of these
        Escaped unless they are elements.
    **attributes
        An underscore is written as a hyphen and one at the end is dropped (``class_``); None and
        False leave the attribute out, True writes it without a value.

    Examples
    --------
    >>> element("p", "a < b", element("b", "c"), class_="note", title='"')
    '<p class="note" title="&quot;">a &lt; b<b>c</b></p>'
    """
    told = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Element(f"<{tag}{told}>")
    return Element(f"<{tag}{told}>{''.join(_inside(children))}</{tag}>")


def raw(text: str) -> Element:
    """Take the package's own text, such as its style sheet, as it is."""
    return Element(text)


def name_of(value: object) -> Element:
    """Show a name from the data, kept from mixing its direction with the text around it."""
    text = clean(value)
    return element("bdi", text if text.strip() else f"“{text}”", class_="name")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(clean(value), quote=True)}"'


def _inside(children: Iterable[Child]) -> Iterable[str]:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            yield child
        elif isinstance(child, str | int | float):
            yield html.escape(clean(child), quote=False)
        else:
            yield from _inside(child)
