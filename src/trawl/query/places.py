"""Where something stands in a filter's line, and the error that points at it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, NamedTuple

from trawl.errors import FilterError

ALLOWED = "allowed: = != < <= > >= in (...) between is null contains 'x' like '%x%' and or not ( )"
_EXCERPT_WIDTH = 72


class Place(NamedTuple):
    """A stretch of the line: `start` to `end`, characters from 0, end exclusive."""

    start: int
    end: int


class Line:
    """The text of a filter, which can quote and point at its own places."""

    def __init__(self, text: str) -> None:
        self.text = text

    @property
    def whole(self) -> Place:
        """From the first character to the last."""
        return Place(0, len(self.text))

    def quoted(self, place: Place) -> str:
        """What stands at `place`, in double quotes, cut to 30 characters."""
        found = self.text[place.start : place.end]
        return '"' + (found if len(found) <= 30 else found[:29] + "…") + '"'

    def error(self, place: Place, what: str) -> FilterError:
        """The error: what is wrong, the place under carets, and what is allowed."""
        return FilterError(
            f"filter, character {place.start + 1}: {what}\n{self.excerpt(place)}\n{ALLOWED}"
        )

    def excerpt(self, place: Place) -> str:
        """Two lines: the text around `place`, and carets under it."""
        text = self.text
        first = max(0, min(place.start - _EXCERPT_WIDTH // 2, len(text) - _EXCERPT_WIDTH))
        shown = text[first : first + _EXCERPT_WIDTH]
        line = "".join(c if c.isprintable() else " " for c in shown)
        before = _width(line[: place.start - first])
        under = max(1, _width(line[place.start - first : place.end - first]))
        lead, tail = ("…" if first else ""), ("…" if first + _EXCERPT_WIDTH < len(text) else "")
        return f"  {lead}{line}{tail}\n  {' ' * (len(lead) + before)}{'^' * under}"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a condition stands, so that an error found later can point at it.

    `written` says what kind of line it is; `values` has a place for each value, or one
    for all of them, and is empty where there is none.
    """

    line: Line
    written: Literal["filter", "query"]
    key: Place
    values: tuple[Place, ...] = ()

    def at_key(self, what: str) -> FilterError:
        """The error, with the key under carets."""
        return self._error(self.key, what)

    def at_value(self, what: str, number: int = 0) -> FilterError:
        """The error, with a value under carets; the key where no value is known."""
        place = self.values[min(number, len(self.values) - 1)] if self.values else self.key
        return self._error(place, what)

    def _error(self, place: Place, what: str) -> FilterError:
        shown = self.line.excerpt(place)
        return FilterError(f"{self.written}, character {place.start + 1}: {what}\n{shown}")


def _width(text: str) -> int:
    """Columns that a terminal gives `text`."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - marks
