"""Snippets: the part of a passage that matches the query best, with its words marked."""

from __future__ import annotations

import html
import re
import threading
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import Stemmer

_WORD = re.compile(r"\w+")
# A full stop ends a sentence where white space and a capital, a digit or a quote follow.
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]]*\s+(?=[^\W_a-z]|[\"'“‘(\[])|[。！？])")
# The stop words of the full-text index, and some more that say little about a passage.
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        "a about after again against all also am an and any are as at be because been before being "
        "below between both but by can could did do does doing down each few for from further had "
        "has have having he her here hers herself him himself his how i if in into is it its "
        "itself just me more most my myself no not now of off on one or other our ours out over "
        "own same she should so some such than that the their theirs them then there these they "
        "this those through to too under until up was we were what when where which while who "
        "whom whose why will with would you your yours"
    )
)
_MARK, _END = "<mark>", "</mark>"
_LENGTH = 200


class _Stemmers(threading.local):
    """The stemmer of the full-text index, one per thread: a `Stemmer` is not thread-safe."""

    def __init__(self) -> None:
        self.english = Stemmer.Stemmer("english")


_stemmers = _Stemmers()


class _Match(NamedTuple):
    """An occurrence of a query word in the text."""

    start: int
    end: int
    stem: str


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """Return a word as the full-text index stores it: lower case, no accents, stemmed."""
    folded = unicodedata.normalize("NFKD", word.lower())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return str(_stemmers.english.stemWord(plain))


def content_stems(text: str) -> set[str]:
    """Return the stems of the words that the full-text index looks up for a query."""
    return {stem(word) for word in _WORD.findall(text) if word.lower() not in _FUNCTION_WORDS}


def snippet(text: str, query: str) -> str:
    """Return about 200 characters of `text`, as HTML.

    The snippet starts at the sentence that is followed by the most distinct words of the
    query. Those words are between `<mark>` and `</mark>`, the rest is escaped, and runs of
    white space are replaced by single spaces.
    """
    text = " ".join(text.split())
    words = _WORD.findall(query)
    # Function words are marked only if the query has no others.
    content = [word for word in words if word.lower() not in _FUNCTION_WORDS]
    matches = _matches(text, {stem(word) for word in content or words})
    start, end = _window(text, matches)
    inside = [match for match in matches if match.start >= start and match.end <= end]
    shown = _marked(text, start, end, inside)
    return ("… " if start > 0 else "") + shown + (" …" if end < len(text) else "")


def _matches(text: str, wanted: set[str]) -> list[_Match]:
    """Return the words of `text` whose stem is in `wanted`, in order.

    A stem has the first letter of its word, so only words with such a letter are stemmed.
    """
    initials = {word[:1] for word in wanted}
    return [
        _Match(*word.span(), stem(word[0]))
        for word in _WORD.finditer(text)
        if (word[0][0].lower() in initials or not word[0][0].isascii()) and stem(word[0]) in wanted
    ]


def _window(text: str, matches: Sequence[_Match]) -> tuple[int, int]:
    """Return start and end of the snippet, at sentence boundaries where possible."""
    if len(text) <= _LENGTH:
        return 0, len(text)
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    start = _best_start(text, matches, [0, *ends])
    if start + _LENGTH >= len(text):
        return start, len(text)
    closed = bisect_right(ends, start + _LENGTH) - 1
    if closed >= 0 and ends[closed] >= start + _LENGTH * 2 // 3:
        return start, len(text[: ends[closed]].rstrip())
    end = text.rfind(" ", start, start + _LENGTH + 1)
    return start, end if end > start else min(len(text), start + _LENGTH)


def _best_start(text: str, matches: Sequence[_Match], sentences: Sequence[int]) -> int:
    """Return the start that is followed by the most distinct words, best a sentence's."""
    starts = [match.start for match in matches]
    best, most = 0, (0, False, 0)
    for place, match in enumerate(matches):
        sentence = sentences[bisect_right(sentences, match.start) - 1]
        # For a word far into a long sentence the snippet starts just before the word.
        fits = match.end <= sentence + _LENGTH * 3 // 4
        for start, first in ((sentence, bisect_left(starts, sentence)), (match.start, place)):
            if start == sentence and not fits:
                continue
            inside = matches[first : bisect_right(starts, start + _LENGTH * 3 // 4)]
            value = len({match.stem for match in inside}), start == sentence, len(inside)
            if value > most:
                best, most = start, value
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
