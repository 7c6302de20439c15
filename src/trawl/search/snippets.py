"""Snippets: the part of a passage that matches the query best, with its words marked."""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache

from trawl.words import Place, Token, places, ranked, tokens

# A full stop ends a sentence where white space and a capital, a digit or a quote follow.
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)\]]*\s+(?=[^\W_a-z]|[\"'“‘(\[])|[。！？])")
# The stop words of the full-text index, and some more that say little about a passage.
_ENGLISH = (
    "a about after again against all also am an and any are as at be because been before being "
    "below between both but by can could did do does doing down each few for from further had "
    "has have having he her here hers herself him himself his how i if in into is it its "
    "itself just me more most my myself no not now of off on one or other our ours out over "
    "own same she should so some such than that the their theirs them then there these they "
    "this those through to too under until up was we were what when where which while who "
    "whom whose why will with would you your yours"
)
_FUNCTION_WORDS = frozenset(_ENGLISH.split())
_MARK, _END = "<mark>", "</mark>"
_LENGTH = 200


@lru_cache(maxsize=256)
def content_stems(query: str) -> frozenset[str]:
    """Return the stems of a query's words, without function words if it has others."""
    every = tokens(query)
    content = [token for token in every if token.text not in _FUNCTION_WORDS]
    return frozenset(term for term, _ in ranked(content or every))


def snippet(text: str, query: str, fuzzy: Sequence[tuple[str, int]] = ()) -> str:
    """Return about 200 characters of `text`, as HTML.

    The snippet starts at the sentence that is followed by the most distinct words of the
    query. Those words are between `<mark>` and `</mark>`, the rest is escaped, and runs of
    white space are replaced by single spaces. `fuzzy` are words with the number of letters
    that may differ.
    """
    text = " ".join(text.split())
    near = [(token.text, most) for word, most in fuzzy for token in tokens(word)]

    def similar(token: Token) -> str | None:
        if token.joined is not None:
            return None
        return next((word for word, most in near if _near(token.text, word, most)), None)

    found = places(text, content_stems(query), similar if near else None)
    start, end = _window(text, found)
    inside = [match for match in found if match.start >= start and match.end <= end]
    shown = _marked(text, start, end, inside)
    return ("… " if start > 0 else "") + shown + (" …" if end < len(text) else "")


@lru_cache(maxsize=1 << 14)
def _near(other: str, word: str, most: int) -> bool:
    """Return whether two words differ in at most `most` letters added, removed or changed."""
    if abs(len(other) - len(word)) > most:
        return False
    row = list(range(len(word) + 1))
    for place, letter in enumerate(other, start=1):
        last, row[0] = row[0], place
        for at, wanted in enumerate(word, start=1):
            last, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, last + (letter != wanted))
        if min(row) > most:
            return False
    return row[-1] <= most


def _window(text: str, matches: Sequence[Place]) -> tuple[int, int]:
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


def _best_start(text: str, matches: Sequence[Place], sentences: Sequence[int]) -> int:
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
            value = len({match.term for match in inside}), start == sentence, len(inside)
            if value > most:
                best, most = start, value
    return best if most[1] else _word_start(text, max(0, best - _LENGTH // 8))


def _word_start(text: str, position: int) -> int:
    if position == 0:
        return 0
    space = text.find(" ", position, position + 40)
    return space + 1 if space >= 0 else position


def _marked(text: str, start: int, end: int, matches: Iterable[Place]) -> str:
    out, position = [], start
    for a, b in _merged(matches):
        out += [html.escape(text[position:a], quote=False), _MARK]
        out += [html.escape(text[a:b], quote=False), _END]
        position = b
    out.append(html.escape(text[position:end], quote=False))
    return "".join(out)


def _merged(matches: Iterable[Place]) -> list[tuple[int, int]]:
    """Return the spans to mark; pairs of characters that overlap are one."""
    spans: list[tuple[int, int]] = []
    for start, end, _ in matches:
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans
