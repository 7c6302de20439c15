"""Cutting text into passages by the tokens of the encoder that will see them.

A passage ends where a paragraph or a sentence does, if one ends in the last quarter of the room
there is; else at a line's or a word's end; else, in writing without spaces, between any two tokens
that do not share a character. The next passage begins about `overlap` tokens earlier, at a sentence
where one begins near.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_SEARCHED_SHARE = 0.25
"""How much of a passage's room is searched for a better end than its last token."""

# How good a place is for a cut. `_SHARED` parts the tokens of one character, where no cut can be;
# `_JOINED` parts what is one character on the screen, where one is made only if there is no other.
_SHARED, _JOINED, _ANYWHERE, _WORD, _LINE, _SENTENCE, _PARAGRAPH = range(-2, 5)

Codes = NDArray[np.uint32]


def split_text(
    text: str,
    token_spans: NDArray[np.int64],
    *,
    max_tokens: int = 200,
    overlap: int = 40,
) -> list[tuple[int, int]]:
    """Give the (start, end) characters of each passage, in order, end exclusive.

    `token_spans` is int64 [T, 2]: each token's first character and the one after its last,
    starts never falling. A passage has at most `max_tokens` of them, and begins and ends with
    a character that is no white space; every such character of the text is in some passage,
    also one that no token covers. Only a single character of more than `max_tokens` tokens
    breaks the limit. Text of white space alone gives none. Takes time linear in the text's
    length where `overlap` is a fixed share of `max_tokens`.
    """
    if max_tokens < 1 or not 0 <= overlap < max_tokens:
        raise ValueError(f"overlap {overlap} must be at least 0 and below max_tokens {max_tokens}")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    solid = np.flatnonzero(~_is_space(codes))
    if not len(solid):
        return []
    first, end = int(solid[0]), int(solid[-1]) + 1
    starts, blank = _starts(token_spans, solid, len(codes))
    if not len(starts):
        return [(first, end)]
    levels = _cut_levels(codes, starts, blank, solid)
    found = []
    for begin, stop in _token_windows(levels, max_tokens, overlap):
        start_char = first if begin == 0 else int(starts[begin])
        if stop == len(starts):
            found.append((start_char, end))
        else:  # up to the last solid character before the next token
            before = int(np.searchsorted(solid, starts[stop])) - 1
            found.append((start_char, int(solid[before]) + 1))
    return found


def _starts(
    token_spans: NDArray[np.int64], solid: NDArray[np.int64], length: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give each token's first character that is no white space, and which tokens are blank.

    int64 [T'] and bool [T']: tokens of leading and trailing white space are dropped; others of
    white space (blank) take the start of what follows them.
    """
    after = np.append(solid, length)
    starts = after[np.searchsorted(solid, token_spans[:, 0])]
    ends = token_spans[:, 1]
    kept = (starts < length) & (ends > solid[0])
    return starts[kept], (starts >= ends)[kept]


def _token_windows(
    levels: NDArray[np.int8], max_tokens: int, overlap: int
) -> list[tuple[int, int]]:
    """Give the (first, end) tokens of each passage; `levels` [T] rates the cut before a token."""
    count = len(levels)
    searched = max_tokens - math.ceil((1 - _SEARCHED_SHARE) * max_tokens)
    windows = []
    begin, stop = 0, 0
    while True:
        last = begin + max_tokens
        if last >= count:
            windows.append((begin, count))
            return windows
        # Past the last end, or the passage would add nothing.
        end = _best_end(levels, max(begin, stop) + 1, last, searched)
        if end is None and begin < stop:
            begin = stop  # without overlap there may be room
            continue
        stop = end if end is not None else _next_edge(levels, last + 1)
        windows.append((begin, stop))
        if stop >= count:
            return windows
        begin = _next_begin(levels, begin, stop, max_tokens, overlap)


def _best_end(levels: NDArray[np.int8], least: int, last: int, searched: int) -> int | None:
    """Give the last of the best places to cut among the `searched` + 1 ones up to `last`.

    None where all from `least` on are within one character.
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
    """Give the end of a character of more tokens than there is room for."""
    while place < len(levels) and levels[place] == _SHARED:
        place += 1
    return place


def _next_begin(
    levels: NDArray[np.int8], begin: int, stop: int, max_tokens: int, overlap: int
) -> int:
    """Give the token at which the passage after (begin, stop) begins.

    Of the starts of sentences within half of `overlap` around the wished place the nearest is
    taken; then of words; then any edge of a character; at last `stop`, without overlap.
    """
    wished = stop - overlap
    reach = overlap // 2
    # One passage's room must hold the overlap and at least one token more.
    low = max(begin + 1, wished - reach, stop + 1 - max_tokens)
    room = levels[low : min(stop, max(low, wished + reach)) + 1]
    for level in (_SENTENCE, _LINE, _WORD, _ANYWHERE, _JOINED):
        places = np.flatnonzero(room >= level)
        if len(places):
            return low + int(places[np.abs(places + low - wished).argmin()])
    return stop


# --- where text may be cut -----------------------------------------------------------

# The characters for which str.isspace() holds.
_SPACES = np.array(
    [
        *(*range(0x09, 0x0E), *range(0x1C, 0x21), 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)),
        *(0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
    ],
    dtype=np.uint32,
)
_STOPS = np.array([ord(c) for c in ".!?…‽؟۔।"], dtype=np.uint32)
_WIDE_STOPS = np.array([ord(c) for c in "。！？｡．"], dtype=np.uint32)
"""Ends of sentences that no space follows."""
_CLOSERS = np.array([ord(c) for c in "\"'’”»)]}」』）】》"], dtype=np.uint32)
# Marks that belong to the character before them: combining marks of the common scripts, variation
# selectors, skin tones, the zero-width joiner, tags (a share of Unicode's Extend property, UAX 29).
_EXTENDING = (
    *((0x0300, 0x036F), (0x0483, 0x0489), (0x0591, 0x05BD), (0x0610, 0x061A), (0x064B, 0x065F)),
    *((0x093A, 0x093C), (0x093E, 0x094F), (0x0E31, 0x0E31), (0x0E34, 0x0E3A), (0x0E47, 0x0E4E)),
    *((0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x200D, 0x200D), (0x20D0, 0x20FF), (0xFE00, 0xFE0F)),
    *((0xFE20, 0xFE2F), (0x1F3FB, 0x1F3FF), (0xE0020, 0xE007F), (0xE0100, 0xE01EF)),
)
_JOINER = 0x200D


def _is_space(codes: Codes) -> NDArray[np.bool_]:
    return np.isin(codes, _SPACES)


def _cut_levels(
    codes: Codes, starts: NDArray[np.int64], blank: NDArray[np.bool_], solid: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Rate the place before each token for a cut; int8 [T]. The first token's is `_PARAGRAPH`."""
    levels = np.full(len(starts), _ANYWHERE, dtype=np.int8)
    here = starts[1:]
    previous = solid[np.searchsorted(solid, here) - 1]  # the solid character before
    spaced = here - previous > 1
    line_ends = np.cumsum(codes == 0x0A) + 2 * np.cumsum((codes == 0x0C) | (codes == 0x2029))
    lines = line_ends[here] - line_ends[previous]
    found = levels[1:]
    found[spaced] = _WORD
    found[lines >= 1] = _LINE
    found[_sentence_ends(codes, previous, here, spaced)] = _SENTENCE
    found[lines >= 2] = _PARAGRAPH
    found[_joined(codes, previous, here) & ~spaced] = _JOINED
    # Tokens of one character (the bytes of an emoji) share its start. A blank token belongs to
    # the passage before it, where it falls off the end, and not to the token after it.
    found[(here == starts[:-1]) & ~blank[:-1]] = _SHARED
    found[:-1][blank[1:-1] & (here[:-1] == here[1:])] = _SHARED
    levels[0] = _PARAGRAPH
    return levels


def _sentence_ends(
    codes: Codes,
    previous: NDArray[np.int64],
    here: NDArray[np.int64],
    spaced: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Tell where a sentence ends at `previous` and the next begins at `here`.

    A stop, perhaps with quotes and brackets after it, and a space; but not before a small letter
    or a digit (``e.g. this``, ``Fig. 3``), nor after an initial (``J. Smith``).
    """
    mark = previous
    for _ in range(3):
        closing = np.isin(codes[mark], _CLOSERS)
        mark = np.where(closing, np.maximum(mark - 1, 0), mark)
    following = codes[here]
    lower_or_digit = ((following >= 0x61) & (following <= 0x7A)) | (
        (following >= 0x30) & (following <= 0x39)
    )
    one, two = codes[np.maximum(mark - 1, 0)], codes[np.maximum(mark - 2, 0)]
    edge = _is_space(two) | (two == 0x2E) | (mark < 2)
    initial = (codes[mark] == 0x2E) & (one >= 0x41) & (one <= 0x5A) & edge
    stop = np.isin(codes[mark], _STOPS) & spaced & ~lower_or_digit & ~initial
    # A closing bracket after a wide stop belongs to the sentence: it may not begin the next.
    wide = np.isin(codes[mark], _WIDE_STOPS) & ~np.isin(following, _CLOSERS)
    ends: NDArray[np.bool_] = stop | wide
    return ends


def _joined(
    codes: Codes, previous: NDArray[np.int64], here: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell where the character at `here` is drawn together with the one before."""
    following = codes[here]
    joined: NDArray[np.bool_] = codes[previous] == _JOINER
    for low, high in _EXTENDING:
        joined = joined | ((following >= low) & (following <= high))
    return joined
