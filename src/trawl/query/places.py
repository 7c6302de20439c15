"""Places in the text of a filter or a query, and the errors that point at them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from trawl.errors import FilterError, QueryError, UsageError

if TYPE_CHECKING:
    from lark import Token

_EXCERPT_WIDTH = 72
QUOTES = '"“”„'
_ESCAPE = re.compile(r"\\([^\w\s]|_)")
_SYNTAX = {
    "filter": "allowed: = != < <= > >= in (...) between is null contains 'x' like '%x%' "
    "and or not ( )",
    "query": 'allowed: words "a phrase" +word -word word~ word^2 (words)^0.5 image:FILE '
    "audio:FILE like:CHUNK key:value has:key modality:image; a \\ before a sign makes it a "
    "plain character",
}


class Place(NamedTuple):
    """A stretch of the text: `start` to `end`, characters from 0, end exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Line:
    """The text of a filter or a query, which quotes and points at its own places."""

    text: str
    kind: Literal["filter", "query"]

    def quoted(self, place: Place) -> str:
        """Return the text at `place` in double quotes, cut to 30 characters."""
        found = self.text[place.start : place.end]
        return '"' + (found if len(found) <= 30 else found[:29] + "…") + '"'

    def error(self, place: Place, problem: str) -> UsageError:
        """Return a syntax error: the problem, the place under carets, the allowed syntax."""
        kind = FilterError if self.kind == "filter" else QueryError
        return kind(f"{self.pointing(place, problem)}\n{_SYNTAX[self.kind]}")

    def pointing(self, place: Place, problem: str) -> str:
        """Return three lines: the problem, the text around `place`, and carets under it."""
        text = self.text
        first = max(0, min(place.start - _EXCERPT_WIDTH // 2, len(text) - _EXCERPT_WIDTH))
        excerpt = text[first : first + _EXCERPT_WIDTH]
        line = "".join(c if c.isprintable() else " " for c in excerpt)
        before = _width(line[: place.start - first])
        under = max(1, _width(line[place.start - first : place.end - first]))
        lead, tail = ("…" if first else ""), ("…" if first + _EXCERPT_WIDTH < len(text) else "")
        return (
            f"{self.kind}, character {place.start + 1}: {problem}\n"
            f"  {lead}{line}{tail}\n"
            f"  {' ' * (len(lead) + before)}{'^' * under}"
        )


@dataclass(frozen=True, slots=True)
class Spot:
    """The place of a condition, for errors that are found after parsing.

    `values` has a place for each value, or one for all of them; it is empty for a
    condition without a value.
    """

    line: Line
    key: Place
    values: tuple[Place, ...] = ()

    def at_key(self, problem: str) -> FilterError:
        """Return an error that points at the key."""
        return FilterError(self.line.pointing(self.key, problem))

    def at_value(self, problem: str, number: int = 0) -> FilterError:
        """Return an error that points at a value, or at the key if no value is known."""
        place = self.values[min(number, len(self.values) - 1)] if self.values else self.key
        return FilterError(self.line.pointing(place, problem))


def place_of(node: Any) -> Place:
    """Return the place of a token or a tree."""
    where = getattr(node, "meta", node)
    return Place(where.start_pos, where.end_pos)


def unescaped(text: str) -> str:
    """Return `text` without the backslashes before signs."""
    return _ESCAPE.sub(r"\1", text)


def plain_signs(text: str, signs: str) -> Iterator[tuple[int, str]]:
    """Return the `signs` in `text` that have no backslash before them, with their indices."""
    for found in re.finditer(rf"\\(?:[^\w\s]|_)|[{re.escape(signs)}]", text):
        if len(found[0]) == 1:
            yield found.start(), found[0]


def quote_inside(quote: str) -> str:
    """Return the message for a quote inside a word."""
    return f"a quote opens only where a word begins; write \\{quote} for the sign itself"


def text_of(line: Line, token: Token) -> str:
    """Return the text of a token, quoted or not. Raises `QueryError` for a quote inside."""
    if token[0] in QUOTES:
        return unescaped(token[1:-1])
    for at, sign in plain_signs(token, QUOTES):
        start = place_of(token).start + at
        raise line.error(Place(start, start + 1), quote_inside(sign))
    return unescaped(token)


def _width(text: str) -> int:
    """Return the number of terminal columns that `text` takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - marks
