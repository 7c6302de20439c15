"""Distinguish a usable text layer from a missing or a bad one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trawl.readers.pdf.pages import PageContent

ALMOST_NO_TEXT = "almost no text"
_FEW = 25
"""A page with fewer characters is also added as a picture: it may be a scan with a page number."""
_ENOUGH = 120
"""Characters that are needed to judge a text by its letters."""
_UNREADABLE = 0.2
_SYMBOLS = 0.35
_WITHOUT_VOWEL = 0.3
_MIXED_CASE = 0.3

_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]{4,}")
_VOWEL = re.compile(
    r"[aeiouy\u00e0-\u00e6\u00e8-\u00ef\u00f2-\u00f6\u00f8-\u00fd\u0100-\u0105\u0112-\u011b]", re.I
)
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def flaw_of(page: PageContent) -> str:
    """Return what makes a page's text layer unusable or doubtful, "" if nothing does."""
    if not page.characters:
        return "no text"
    if page.unreadable > _UNREADABLE * page.characters:
        return "text of characters without meaning"
    if _is_nonsense(line.text for line in page.lines):
        return "text that is no language"
    if page.characters < _FEW:
        return ALMOST_NO_TEXT
    return ""


def _is_nonsense(lines: Iterable[str]) -> bool:
    """Return whether a text has the statistics of a garbled one.

    Fonts without a valid map to Unicode result in such texts: few letters, words without vowels,
    or capitals inside of words.
    """
    text = " ".join(lines)
    solid = text.replace(" ", "")
    if len(solid) < _ENOUGH:
        return False
    named = sum(char.isalnum() for char in solid)
    dots = sum(char in ".·…_-" for char in solid)  # leaders and rules
    if len(solid) - named - dots > _SYMBOLS * (len(solid) - dots):
        return not _is_code(text)
    words = _LATIN.findall(text)
    if sum(map(len, words)) < 0.4 * named or len(words) < 20:
        return False
    # Capitals alone may be abbreviations or names of genes.
    plain = [word for word in words if not word.isupper()] or words
    without_vowel = sum(_VOWEL.search(word) is None for word in plain)
    mixed = sum(map(_is_mixed, plain))
    return without_vowel > _WITHOUT_VOWEL * len(plain) or mixed > _MIXED_CASE * len(plain)


def _is_mixed(word: str) -> bool:
    """Return whether a word has capitals at random places, unlike names in source code."""
    return len(word) < 2.5 * len(_PART.findall(word))


def _is_code(text: str) -> bool:
    """Return whether a text of many symbols is source code or mathematics: it has plain words."""
    words = _LATIN.findall(text)
    plain = sum(_VOWEL.search(word) is not None and not _is_mixed(word) for word in words)
    return len(words) >= 10 and plain > 0.8 * len(words)
