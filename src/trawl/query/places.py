"""Where something stands in a filter's line, and the error that points at it."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

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


def _width(text: str) -> int:
    """Columns that a terminal gives `text`."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    marks = sum(unicodedata.combining(character) != 0 for character in text)
    return len(text) + wide - marks
