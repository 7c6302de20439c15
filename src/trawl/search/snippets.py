"""The part of a passage that shows why it was found, with the query's words marked."""

from __future__ import annotations

import html
import re
import threading
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import snowballstemmer

_WORD = re.compile(r"\w+")
# A full stop ends a sentence where white space and a capital, a digit or a quote follow.
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]]*\s+(?=[^\W_a-z]|[\"'“‘(\[])|[。！？])")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a about after all also an and any are as at be because been before both but by can "
        "could did do does for from had has have he her his how i if in into is it its may "
        "more most no not of on one or our over she should so some such than that the their "
        "them then there these they this those to under up was we were what when where which "
        "while who whose why will with would you your"
    )
)
_MARK, _END = "<mark>", "</mark>"
_LENGTH = 200


class _Stemmers(threading.local):
    """The stemmer of the full-text index, so that what matched is what is marked.

    One for each thread: it keeps the word that it is at in itself. With PyStemmer installed,
    as it is, `snowballstemmer` uses that, which is written in C.
    """

    def __init__(self) -> None:
        self.english = snowballstemmer.stemmer("english")


_stemmers = _Stemmers()


class _Match(NamedTuple):
    """A word of the query in the text: where it stands, and its stem."""

    start: int
    end: int
    stem: str


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Give a word as the full-text index sees it: lower case, no accents, stemmed."""
    folded = unicodedata.normalize("NFKD", word.lower())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return str(_stemmers.english.stemWord(plain))


def snippet(text: str, query: str) -> str:
    """Give about 200 characters of `text` from its best sentence on.

    The best is the sentence that has, with what follows it, the most different words of
    the query. These are between `<mark>` and `</mark>`, and the rest is escaped for HTML,
    so that a page can show it as it is. White space is joined to single spaces.
    """
    text = " ".join(text.split())
    words = _WORD.findall(query)
    # "the" says nothing of why a passage was found, unless nothing else was asked for.
    telling = [word for word in words if word.lower() not in _FUNCTION_WORDS]
    matches = _matches(text, {stem(word) for word in telling or words})
    start, end = _window(text, matches)
    inside = [found for found in matches if found.start >= start and found.end <= end]
    shown = _marked(text, start, end, inside)
    return ("… " if start > 0 else "") + shown + (" …" if end < len(text) else "")


def _matches(text: str, wanted: set[str]) -> list[_Match]:
    """Give where the words stand whose stem is wanted.

    A stem begins as its word does, so most words need not be stemmed at all.
    """
    initials = {word[:1] for word in wanted}
    return [
        _Match(*found.span(), stem(found[0]))
        for found in _WORD.finditer(text)
        if (found[0][0].lower() in initials or not found[0][0].isascii())
        and stem(found[0]) in wanted
    ]


def _window(text: str, matches: Sequence[_Match]) -> tuple[int, int]:
    """Choose the stretch to show, from the start of a sentence, or of a word, to an end."""
    if len(text) <= _LENGTH:
        return 0, len(text)
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    start = _best_start(text, matches, [0, *ends])
    if start + _LENGTH >= len(text):
        return start, len(text)
    closed = bisect_right(ends, start + _LENGTH) - 1
    if closed >= 0 and ends[closed] >= start + _LENGTH * 2 // 3:
        return start, len(text[: ends[closed]].rstrip())
    end = text.rfind(" ", start, start + _LENGTH + 1)
    return start, end if end > start else min(len(text), start + _LENGTH)


def _best_start(text: str, matches: Sequence[_Match], sentences: Sequence[int]) -> int:
    """Give where a stretch begins that has the most different words: a sentence, if it can."""
    starts = [match.start for match in matches]
    best, most = 0, (0, False, 0)
    for place, match in enumerate(matches):
        sentence = sentences[bisect_right(sentences, match.start) - 1]
        # A word far into a long sentence is shown from a little before it.
        fits = match.end <= sentence + _LENGTH * 3 // 4
        for start, first in ((sentence, bisect_left(starts, sentence)), (match.start, place)):
            if start == sentence and not fits:
                continue
            shown = matches[first : bisect_right(starts, start + _LENGTH * 3 // 4)]
            worth = len({found.stem for found in shown}), start == sentence, len(shown)
            if worth > most:
                best, most = start, worth
    return best if most[1] else _word_start(text, max(0, best - _LENGTH // 8))


def _word_start(text: str, position: int) -> int:
    if position == 0:
        return 0
    space = text.find(" ", position, position + 40)
    return space + 1 if space >= 0 else position


def _marked(text: str, start: int, end: int, matches: Iterable[_Match]) -> str:
    out, position = [], start
    for a, b, _ in matches:
        out += [html.escape(text[position:a], quote=False), _MARK]
        out += [html.escape(text[a:b], quote=False), _END]
        position = b
    out.append(html.escape(text[position:end], quote=False))
    return "".join(out)
