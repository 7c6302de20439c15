"""The part of a passage that shows why it was found, with the query's words marked."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import snowballstemmer

_WORD = re.compile(r"\w+")
_MARK, _END = "<mark>", "</mark>"
_LENGTH = 200

# The stemmer of the full-text index, so that what matched is what is marked.
_stemmer = snowballstemmer.stemmer("english")


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Give a word as the full-text index sees it: lower case, no accents, stemmed."""
    folded = unicodedata.normalize("NFKD", word.lower())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return str(_stemmer.stemWord(plain))


def snippet(text: str, query: str) -> str:
    """Give about 200 characters of `text` around most of the query's words.

    The words are between `<mark>` and `</mark>`, and the rest is escaped for HTML, so
    that a page can show it as it is. White space is joined to single spaces.
    """
    text = " ".join(text.split())
    wanted = {stem(word) for word in _WORD.findall(query)}
    matches = _matches(text, wanted)
    start, end = _window(text, matches)
    inside = [(a, b) for a, b in matches if a >= start and b <= end]
    shown = _marked(text, start, end, inside)
    return ("… " if start > 0 else "") + shown + (" …" if end < len(text) else "")


def _matches(text: str, wanted: set[str]) -> list[tuple[int, int]]:
    """Give where the words stand whose stem is wanted.

    A stem begins as its word does, so most words need not be stemmed at all.
    """
    initials = {word[:1] for word in wanted}
    return [
        found.span()
        for found in _WORD.finditer(text)
        if (found[0][0].lower() in initials or not found[0][0].isascii())
        and stem(found[0]) in wanted
    ]


def _window(text: str, matches: list[tuple[int, int]]) -> tuple[int, int]:
    """Choose the stretch with the most matches, from the start of a word to the end of one."""
    if len(text) <= _LENGTH:
        return 0, len(text)
    best, most = 0, -1
    for index, (start, _) in enumerate(matches):
        inside = sum(1 for _, b in matches[index:] if b <= start + _LENGTH * 3 // 4)
        if inside > most:
            best, most = start, inside
    lead = text.rfind(". ", max(0, best - _LENGTH // 3), best)
    start = lead + 2 if lead >= 0 else _word_start(text, max(0, best - _LENGTH // 8))
    end = text.rfind(" ", start, start + _LENGTH + 1) if start + _LENGTH < len(text) else len(text)
    return start, end if end > start else min(len(text), start + _LENGTH)


def _word_start(text: str, position: int) -> int:
    if position == 0:
        return 0
    space = text.find(" ", position, position + 40)
    return space + 1 if space >= 0 else position


def _marked(text: str, start: int, end: int, matches: Iterable[tuple[int, int]]) -> str:
    out, position = [], start
    for a, b in matches:
        out += [html.escape(text[position:a], quote=False), _MARK]
        out += [html.escape(text[a:b], quote=False), _END]
        position = b
    out.append(html.escape(text[position:end], quote=False))
    return "".join(out)
