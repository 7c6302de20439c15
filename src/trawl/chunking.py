"""Split text into passages by the tokens of an encoder.

A passage ends at the end of a paragraph or sentence if there is one in the last quarter of its
`max_tokens`; else at the end of a line or word; else, in scripts without spaces, between two tokens
that do not share a character. The next passage starts about `overlap` tokens earlier, at the start
of a sentence if there is one nearby.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_SEARCHED_SHARE = 0.25
"""Share of a passage that is searched for a better end than its last token."""

# The quality of a cut before a token. `_SHARED` is inside one character, where no cut is possible;
# `_JOINED` is inside one grapheme, and is used only if there is no other.
_SHARED, _JOINED, _ANYWHERE, _WORD, _LINE, _SENTENCE, _PARAGRAPH = range(-2, 5)

Codes = NDArray[np.uint32]
"""The code point of each character of a text."""

Kinds = NDArray[np.uint8]
"""The kinds of each character of a text, as bits (`_KINDS`)."""


def split_text(
    text: str,
    token_spans: NDArray[np.int64],
    *,
    max_tokens: int = 200,
    overlap: int = 40,
) -> list[tuple[int, int]]:
    """Return the (start, end) characters of each passage, in order, end exclusive.

    `token_spans` is int64 [T, 2], the start and end character of each token, sorted by start.
    A passage has at most `max_tokens` tokens, and starts and ends with a character that is not
    white space. Every such character is in a passage, even if no token covers it. Only a single
    character of more than `max_tokens` tokens exceeds the limit. White space alone has no
    passages. The time is linear in the length of the text if `overlap` is a fixed share of
    `max_tokens`. Raises `ValueError` unless 0 <= overlap < max_tokens.
    """
    if max_tokens < 1 or not 0 <= overlap < max_tokens:
        raise ValueError(f"overlap {overlap} must be at least 0 and below max_tokens {max_tokens}")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds = _KINDS[codes]
    solid = np.flatnonzero((kinds & _SPACE) == 0)
    if not len(solid):
        return []
    first, end = int(solid[0]), int(solid[-1]) + 1
    starts, blank = _starts(token_spans, solid, len(codes))
    if len(starts) <= max_tokens:
        return [(first, end)]
    levels = _cut_levels(codes, kinds, starts, blank, solid)
    passages = []
    for begin, stop in _token_windows(levels, max_tokens, overlap):
        start_char = first if begin == 0 else int(starts[begin])
        if stop == len(starts):
            passages.append((start_char, end))
        else:  # up to the last character before the next token that is not white space
            before = int(np.searchsorted(solid, starts[stop])) - 1
            passages.append((start_char, int(solid[before]) + 1))
    return passages


def _starts(
    token_spans: NDArray[np.int64], solid: NDArray[np.int64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the first character of each token that is not white space, and the blank tokens.

    int64 [T'] and bool [T']. Tokens of leading and trailing white space are dropped. A blank
    token (white space only) has the start of the next character.
    """
    after = np.append(solid, length)
    starts = after[np.searchsorted(solid, token_spans[:, 0])]
    ends = token_spans[:, 1]
    kept = (starts < length) & (ends > solid[0])
    return starts[kept], (starts >= ends)[kept]


def _token_windows(
    levels: NDArray[np.int8], max_tokens: int, overlap: int
) -> list[tuple[int, int]]:
    """Return the (start, end) tokens of each passage; `levels` [T] rates the cut before a token."""
    count = len(levels)
    searched = max_tokens - math.ceil((1 - _SEARCHED_SHARE) * max_tokens)
    windows = []
    begin, stop = 0, 0
    while True:
        last = begin + max_tokens
        if last >= count:
            windows.append((begin, count))
            return windows
        # Beyond the previous end, or the passage would add nothing.
        end = _best_end(levels, max(begin, stop) + 1, last, searched)
        if end is None and begin < stop:
            begin = stop  # there may be a cut without overlap
            continue
        stop = end if end is not None else _next_edge(levels, last + 1)
        windows.append((begin, stop))
        if stop >= count:
            return windows
        begin = _next_begin(levels, begin, stop, max_tokens, overlap)


def _best_end(levels: NDArray[np.int8], least: int, last: int, searched: int) -> int | None:
    """Return the last of the best cuts among the `searched` + 1 places up to `last`.

    Returns None if all places from `least` on are inside one character.
    """
    low = max(least, last - searched)
    room = levels[low : last + 1]
    if room.max() > _JOINED:
        return low + len(room) - 1 - int(room[::-1].argmax())
    whole = levels[least : last + 1]
    for level in (_ANYWHERE, _JOINED):
        places = np.flatnonzero(whole >= level)
        if len(places):
            return least + int(places[-1])
    return None


def _next_edge(levels: NDArray[np.int8], place: int) -> int:
    """Return the end of a character that has more than `max_tokens` tokens."""
    while place < len(levels) and levels[place] == _SHARED:
        place += 1
    return place


def _next_begin(
    levels: NDArray[np.int8], begin: int, stop: int, max_tokens: int, overlap: int
) -> int:
    """Return the first token of the passage after (begin, stop).

    That is the start of a sentence nearest to `stop - overlap`, within half of `overlap`; else
    of a line, a word or a character; else `stop`, without overlap.
    """
    target = stop - overlap
    reach = overlap // 2
    # A passage must contain the overlap and at least one more token.
    low = max(begin + 1, target - reach, stop + 1 - max_tokens)
    room = levels[low : min(stop, max(low, target + reach)) + 1]
    for level in (_SENTENCE, _LINE, _WORD, _ANYWHERE, _JOINED):
        places = np.flatnonzero(room >= level)
        if len(places):
            return low + int(places[np.abs(places + low - target).argmin()])
    return stop


# --- where text may be cut -----------------------------------------------------------

_SPACE, _STOP, _WIDE_STOP, _CLOSER, _EXTENDING = (1 << bit for bit in range(5))
_JOINER = 0x200D

# The characters for which str.isspace() holds, as ranges.
_SPACES = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
# Characters that extend the previous one: combining marks of common scripts, variation selectors,
# skin tones, the zero-width joiner, tags (a subset of Unicode's Extend property, UAX 29).
_EXTENDERS = (
    *((0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05BD), (0x0610, 0x061A), (0x064B, 0x065F)),
    *((0x093A, 0x093C), (0x093E, 0x094F), (0x0E31, 0x0E31), (0x0E34, 0x0E3A), (0x0E47, 0x0E4E)),
    *((0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x200D, 0x200D), (0x20D0, 0x20FF), (0xFE00, 0xFE0F)),
    *((0xFE20, 0xFE2F), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F), (0xE0100, 0xE01EF)),
)


def _kinds() -> NDArray[np.uint8]:
    """Return the kinds of every character, as bits: uint8 by code point."""
    kinds = np.zeros(0x110000, np.uint8)
    for kind, ranges in ((_SPACE, _SPACES), (_EXTENDING, _EXTENDERS)):
        for low, high in ranges:
            kinds[low : high + 1] |= kind
    for kind, characters in (
        (_STOP, ".!?…‽؟۔।"),
        (_WIDE_STOP, "。！？｡．"),  # ends of sentences without a following space
        (_CLOSER, "\"'’”»)]}」』）】》"),
    ):
        kinds[[ord(character) for character in characters]] |= kind
    return kinds


# Looking a character up is several times as fast as searching it in a list of characters.
_KINDS = _kinds()


def _cut_levels(
    codes: Codes,
    kinds: Kinds,
    starts: NDArray[np.int64],
    blank: NDArray[np.bool_],
    solid: NDArray[np.int64],
) -> NDArray[np.int8]:
    """Rate the place before each token for a cut; int8 [T]. The first token's is `_PARAGRAPH`."""
    levels = np.full(len(starts), _ANYWHERE, dtype=np.int8)
    here = starts[1:]
    previous = solid[np.searchsorted(solid, here) - 1]  # the last character that is not white space
    spaced = here - previous > 1
    line_ends = np.cumsum(codes == 0x0A) + 2 * np.cumsum((codes == 0x0C) | (codes == 0x2029))
    lines = line_ends[here] - line_ends[previous]
    inner = levels[1:]
    inner[spaced] = _WORD
    inner[lines >= 1] = _LINE
    inner[_sentence_ends(codes, kinds, previous, here, spaced)] = _SENTENCE
    inner[lines >= 2] = _PARAGRAPH
    joined = ((kinds[here] & _EXTENDING) != 0) | (codes[previous] == _JOINER)
    inner[joined & ~spaced] = _JOINED
    # Tokens of one character (the bytes of an emoji) share its start. A blank token belongs to
    # the passage before it, whose end drops it, and not to the token after it.
    inner[(here == starts[:-1]) & ~blank[:-1]] = _SHARED
    inner[:-1][blank[1:-1] & (here[:-1] == here[1:])] = _SHARED
    levels[0] = _PARAGRAPH
    return levels


def _sentence_ends(
    codes: Codes,
    kinds: Kinds,
    previous: NDArray[np.int64],
    here: NDArray[np.int64],
    spaced: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return where a sentence ends at `previous` and the next starts at `here`.

    A stop, optionally followed by quotes and brackets, and a space; but not before a lower-case
    letter or a digit (``e.g. this``, ``Fig. 3``), nor after an initial (``J. Smith``).
    """
    mark = previous
    for _ in range(3):
        closing = (kinds[mark] & _CLOSER) != 0
        mark = np.maximum(mark - closing, 0)
    following = codes[here]
    lower_or_digit = ((following >= 0x61) & (following <= 0x7A)) | (
        (following >= 0x30) & (following <= 0x39)
    )
    before, two = codes[np.maximum(mark - 1, 0)], np.maximum(mark - 2, 0)
    edge = ((kinds[two] & _SPACE) != 0) | (codes[two] == 0x2E) | (mark < 2)
    initial = (codes[mark] == 0x2E) & (before >= 0x41) & (before <= 0x5A) & edge
    stop = ((kinds[mark] & _STOP) != 0) & spaced & ~lower_or_digit & ~initial
    # A closing bracket after a wide stop belongs to the sentence.
    wide = ((kinds[mark] & _WIDE_STOP) != 0) & ((kinds[here] & _CLOSER) == 0)
    ends: NDArray[np.bool_] = stop | wide
    return ends
