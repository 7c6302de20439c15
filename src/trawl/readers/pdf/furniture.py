"""Find headers, footers and page numbers: what repeats at the same place of neighbouring pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.pages import PageContent

_ZONE = 0.13
"""The share of a page's height, at its top and bottom, that holds headers and footers."""
_ROWS = 4
"""Lines at the top, and at the bottom, that may be headers or footers."""
_SAME_PLACE_PT = 4.0
_CLEAR_EM = 0.45
"""The least distance of a header or footer from the text."""
_ALIKE = 0.85

_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|seite|p\.)?\s*(\d{1,5}|[ivxlc]{1,7})(?:\s*(?:/|of|von)\s*\d{1,5})?\W*",
    re.IGNORECASE,
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def furniture(page: PageContent, neighbours: Sequence[PageContent]) -> set[int]:
    """Return the ids of a page's lines that are headers, footers and page numbers.

    `neighbours` are the pages around it; a document of one page has none, and nothing is found.
    """
    found: set[int] = set()
    if not neighbours:
        return found
    for at_top in (True, False):
        for line in _margin(page, at_top):
            number = _PAGE_NUMBER.fullmatch(line.text)
            if number is not None and _value(number[1]) == page.number:
                found.add(id(line))
                continue
            for other in neighbours:
                apart, taller = other.number - page.number, page.height - other.height
                if any(_repeats(line, twin, apart, taller) for twin in _margin(other, at_top)):
                    found.add(id(line))
                    break
        found -= _attached(page, found, at_top)
    return found


def _attached(page: PageContent, found: set[int], at_top: bool) -> set[int]:
    """Return the ids of found lines that are set close to the text, and hence are part of it."""
    attached: set[int] = set()
    inwards = sorted(_margin(page, at_top), key=lambda line: line.box[1], reverse=at_top)
    for line in inwards:
        if id(line) in found and any(
            (other.box[1] - line.box[1] if at_top else line.box[1] - other.box[1]) > 0
            and _gap(line, other) < _CLEAR_EM * line.size
            for other in page.lines
            if id(other) not in found or id(other) in attached
        ):
            attached.add(id(line))
    return attached


def _gap(one: Line, other: Line) -> float:
    return max(one.box[1] - other.box[3], other.box[1] - one.box[3])


def _margin(page: PageContent, at_top: bool) -> list[Line]:
    """Return the lines near the top or bottom edge, from the edge."""
    depth = _ZONE * page.height
    if at_top:
        lines = [line for line in page.lines if line.box[3] < depth]
        lines.sort(key=lambda line: line.box[3])
    else:
        lines = [line for line in page.lines if line.box[1] > page.height - depth]
        lines.sort(key=lambda line: -line.box[1])
    rows: list[Line] = []
    heights: list[float] = []
    for line in lines:
        if line.angle:
            continue
        if not any(abs(line.box[3] - height) < _SAME_PLACE_PT for height in heights):
            heights.append(line.box[3])
        if len(heights) > _ROWS:
            break
        rows.append(line)
    return rows


def _repeats(line: Line, twin: Line, pages: int, lower: float) -> bool:
    """Return whether a line is that of another page, `pages` further on, or counts with it.

    `lower` is how much taller the line's page is.
    """
    apart = abs(line.box[3] - twin.box[3])
    if min(apart, abs(line.box[3] - twin.box[3] - lower)) > _SAME_PLACE_PT:
        return False
    if abs(line.size - twin.size) > 0.1 * line.size:
        return False
    text, other = _NUMBER.sub("#", line.text), _NUMBER.sub("#", twin.text)
    if text == other and len(text.strip("# .,-–|/")) > 2:
        return True
    numbers, others = _NUMBER.findall(line.text), _NUMBER.findall(twin.text)
    for place in (0, -1):  # a running title and a page number, such as "9 Results"
        mine = _value(numbers[place]) if numbers else None
        for there in (0, -1):
            its = _value(others[there]) if others else None
            if mine is not None and its is not None and its - mine == pages and _at_end(line, mine):
                return True
    return len(text) > 8 and SequenceMatcher(None, text, other).ratio() >= _ALIKE


def _at_end(line: Line, number: int) -> bool:
    """Return whether a line begins or ends with a number."""
    words = line.text.split()
    return number in (_value(words[0].strip("|-–—·. ")), _value(words[-1].strip("|-–—·. ")))


def _value(digits: str) -> int | None:
    """Return the value of an arabic or a roman number, None if it is neither."""
    if digits.isdecimal():
        return int(digits)
    values = [_ROMAN.get(digit, 0) for digit in digits.lower()]
    if not values or not all(values):
        return None
    following = [*values[1:], 0]
    return sum(
        -value if value < after else value for value, after in zip(values, following, strict=True)
    )
