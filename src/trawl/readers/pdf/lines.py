"""Arrange the words of a page into lines, by position alone.

The order of words in the file does not matter. Words that nearly touch form a segment. Two
segments on one baseline belong to one line unless a gutter passes between them: a corridor free of
text over several lines, with running text along it. The cells of a table's row therefore stay one
line, and the columns of a page do not.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from trawl.readers.pdf.geometry import turned_back, union, upright
from trawl.types import Box

_NEAR_EM = 0.6
"""Words at most this far apart are of one segment; gutters are wider."""
_SAME_BASE_EM = 0.2
_SCRIPT_BASE_EM = 0.6
"""How far the baseline of an index or exponent may be from the line's."""
_INITIAL = 0.45
"""Smaller text beside a letter is not of its line: the letter is an initial, several lines high."""
_WIDE_EM = 8.0
"""A segment of this width along a gutter is running text, and not a cell of a table."""
_ALONG_EM = 4.0
"""How far running text may end from its gutter."""
_SUPPORT = 3
"""Segments of running text that a gutter needs on a side."""
_LABEL = re.compile(r"[^\w\s()\[\]{}.,;:=+]|[(\[]?\w{1,3}[.)\]]{1,2}")
"""The mark of an item in a list: a bullet, or a number with a stop or bracket."""
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")
"""Letters of Hebrew, Arabic and their relatives."""


@dataclass(slots=True)
class Word:
    """A word: `box` on the page as shown, `size` of the font in points as shown.

    `angle` is 0, or the degrees by which the text is turned against the clock. `baseline` is its
    height in the page turned so that the text is level. `spaced` tells whether a space precedes
    it in the file.
    """

    text: str
    box: Box
    size: float
    bold: bool = False
    angle: int = 0
    baseline: float = 0.0
    spaced: bool = True


@dataclass(slots=True)
class Line:
    """Words on one baseline, in the order of reading. `size` and `bold` are those of most."""

    words: list[Word]
    text: str
    box: Box
    size: float
    bold: bool
    angle: int
    baseline: float

    @property
    def chars(self) -> int:
        """The number of characters, without spaces."""
        return sum(len(word.text) for word in self.words)


@dataclass(slots=True)
class _Segment:
    """Words that nearly touch, in a page turned so that they are level."""

    words: list[Word]
    x0: float
    x1: float
    base: float
    size: float

    def add(self, word: Word) -> None:
        self.words.append(word)
        self.x1 = max(self.x1, word.box[2])
        if word.size > 0.85 * self.size:
            self.base = word.baseline
            self.size = max(self.size, word.size)


@dataclass(frozen=True, slots=True)
class _Corridor:
    """A strip free of text, and whether it separates columns."""

    left: float
    right: float
    top: float
    bottom: float
    cuts: bool


def lines_of(words: Sequence[Word], width: float, height: float) -> list[Line]:
    """Return the lines of a page of `width` x `height` points, from the top.

    Text at other angles follows the level text.
    """
    by_angle: defaultdict[int, list[Word]] = defaultdict(list)
    for word in words:
        by_angle[word.angle].append(word)
    lines = []
    for angle in sorted(by_angle):
        turned = [
            replace(word, box=upright(word.box, angle, width, height)) if angle else word
            for word in by_angle[angle]
        ]
        found = _level_lines(turned) if angle % 90 == 0 else _runs(turned)
        for line in sorted(found, key=lambda line: (line.box[1], line.box[0])):
            if angle:
                for word in line.words:
                    word.box = turned_back(word.box, angle, width, height)
                line.box = turned_back(line.box, angle, width, height)
            lines.append(line)
    return lines


def _level_lines(words: list[Word]) -> list[Line]:
    segments = _segments(words)
    after = _joined(segments)
    lines = []
    heads = set(range(len(segments))) - set(after.values())
    for head in heads:
        members, at = list(segments[head].words), head
        while at in after:
            at = after[at]
            members += segments[at].words
        lines.append(line_of(members))
    return _with_initials(lines)


def _segments(words: list[Word]) -> list[_Segment]:
    """Chain words from left to right with the nearest on their baseline."""
    bucket_pt = 6.0
    buckets: defaultdict[int, list[_Segment]] = defaultdict(list)
    segments: list[_Segment] = []
    # Large words come first at one place, so that an index finds its line.
    for word in sorted(words, key=lambda word: (word.box[0], -word.size)):
        reach = max(bucket_pt, 0.6 * word.size)
        low, high = word.baseline - reach, word.baseline + reach
        best, best_cost = None, 1.0
        for key in range(int(low // bucket_pt), int(high // bucket_pt) + 1):
            for segment in buckets[key]:
                cost = _distance(segment, word)
                if cost < best_cost:
                    best, best_cost = segment, cost
        if best is None:
            best = _Segment([word], word.box[0], word.box[2], word.baseline, word.size)
            segments.append(best)
            buckets[int(best.base // bucket_pt)].append(best)
            continue
        key = int(best.base // bucket_pt)
        best.add(word)
        if int(best.base // bucket_pt) != key:
            buckets[key].remove(best)
            buckets[int(best.base // bucket_pt)].append(best)
    return segments


def _distance(segment: _Segment, word: Word) -> float:
    """Return how far a word is from continuing a segment: below 1 if it does."""
    em = max(segment.size, word.size)
    gap = (word.box[0] - segment.x1) / em
    if not -1.0 <= gap <= _NEAR_EM:
        return 2.0
    smaller = min(segment.size, word.size)
    if smaller < _INITIAL * em:
        return 2.0
    small = smaller < 0.85 * em
    allowed = _SCRIPT_BASE_EM if small and gap < 0.35 else _SAME_BASE_EM
    if _is_bullet(segment):
        allowed = _SCRIPT_BASE_EM
    off = abs(segment.base - word.baseline) / em
    if off > allowed:
        return 2.0
    return off + max(gap, 0.0) / 2 + (0.2 if gap < -0.3 else 0.0)


def _is_bullet(segment: _Segment) -> bool:
    """Return whether a segment is the bullet of an item, which may be on a height of its own."""
    text = segment.words[0].text
    return len(segment.words) == len(text) == 1 and _LABEL.fullmatch(text) is not None


def _joined(segments: list[_Segment]) -> dict[int, int]:
    """Return, for each segment that continues in another one on its line, that one's index."""
    order = sorted(range(len(segments)), key=lambda i: segments[i].base)
    place = {i: at for at, i in enumerate(order)}
    known: list[_Corridor] = []
    candidates: list[tuple[float, int, int]] = []
    for i, segment in enumerate(segments):
        right = _right_neighbour(segments, order, place[i])
        if right is not None:
            candidates.append((segments[right].x0 - segment.x1, i, right))
    after: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, right in sorted(candidates):
        if right not in taken and not _separated(segments, order, place[i], i, right, known):
            after[i] = right
            taken.add(right)
    return after


def _right_neighbour(segments: list[_Segment], order: list[int], at: int) -> int | None:
    """Return the nearest segment to the right on the same baseline."""
    segment = segments[order[at]]
    best: int | None = None
    for step in (-1, 1):
        to = at + step
        while 0 <= to < len(order):
            other = segments[order[to]]
            em = max(segment.size, other.size)
            allowed = (0.4 if _is_bullet(segment) else _SAME_BASE_EM) * em
            if abs(other.base - segment.base) > allowed:
                if abs(other.base - segment.base) > 6 * segment.size:
                    break
                to += step
                continue
            initial = min(segment.size, other.size) < _INITIAL * em
            nearer = best is None or other.x0 < segments[best].x0
            if other.x0 >= segment.x1 - 0.3 * em and nearer and not initial:
                best = order[to]
            to += step
    return best


def _separated(
    segments: list[_Segment],
    order: list[int],
    at: int,
    left: int,
    right: int,
    known: list[_Corridor],
) -> bool:
    """Return whether a gutter passes between two segments on one baseline."""
    a, b = segments[left], segments[right]
    em = max(a.size, b.size)
    label = len(a.words) == 1 and _LABEL.fullmatch(a.words[0].text) is not None
    if b.x0 - a.x1 < (2.0 if label else _NEAR_EM) * em:
        return False
    for corridor in known:
        before, behind = corridor.left - a.x1, b.x0 - corridor.right
        inside = before >= -0.1 and behind >= -0.1 and corridor.top <= a.base <= corridor.bottom
        if inside and (corridor.cuts or max(before, behind) < em):
            return corridor.cuts
    corridor = _corridor(segments, order, at, a.x1, b.x0, _NEAR_EM * em)
    known.append(corridor)
    return corridor.cuts


def _corridor(
    segments: list[_Segment], order: list[int], at: int, left: float, right: float, least: float
) -> _Corridor:
    """Follow the gap between `left` and `right` up and down until text closes it."""
    seen: list[_Segment] = [segments[order[at]]]
    ends = [segments[order[at]].base] * 2
    for side, step in ((0, -1), (1, 1)):
        to = at + step
        while 0 <= to < len(order):
            other = segments[order[to]]
            if other.x0 < right and other.x1 > left:
                before, behind = other.x0 - left, right - other.x1
                if max(before, behind) < least:
                    break
                if behind >= before:
                    left = other.x1
                else:
                    right = other.x0
            seen.append(other)
            ends[side] = other.base
            to += step
    em = seen[0].size
    wide = [s for s in seen if s.x1 - s.x0 >= _WIDE_EM * s.size]
    to_left = [s for s in seen if s.x1 <= left + 0.1 and left - s.x1 < _ALONG_EM * em]
    wide_left = [s for s in wide if s.x1 <= left + 0.1 and left - s.x1 < _ALONG_EM * em]
    wide_right = [s for s in wide if s.x0 >= right - 0.1 and s.x0 - right < _ALONG_EM * em]
    justified = [s for s in wide_left if left - s.x1 < 0.5 * em]
    cuts = len(wide_left) >= _SUPPORT and len(wide_right) >= _SUPPORT
    cuts = cuts or len(justified) >= max(_SUPPORT, 0.6 * len(to_left))
    return _Corridor(left, right, ends[0], ends[1], cuts)


def line_of(words: Iterable[Word]) -> Line:
    """Return the line of words on one baseline, in the order of reading."""
    words = sorted(words, key=lambda word: word.box[0])
    right_to_left = sum(leftwards(word.text) for word in words) * 2 > len(words)
    pieces: list[str] = []
    for index, word in enumerate(words):
        if index:
            gap = (word.box[0] - words[index - 1].box[2]) / max(word.size, words[index - 1].size)
            if gap > 0.15 or (word.spaced and gap > 0.06):
                pieces.append(" ")
        pieces.append(word.text)
    if right_to_left:
        words = _read_leftwards(words)
        pieces = [" ".join(word.text for word in words)]
    sizes: Counter[float] = Counter()
    bases: Counter[float] = Counter()
    heavy = 0
    for word in words:
        sizes[round(word.size, 1)] += len(word.text)
        bases[word.baseline] += len(word.text)
        heavy += len(word.text) * (1 if word.bold else -1)
    return Line(
        words,
        "".join(pieces),
        union([word.box for word in words]),
        sizes.most_common(1)[0][0],
        heavy > 0,
        words[0].angle,
        bases.most_common(1)[0][0],
    )


def leftwards(text: str) -> bool:
    """Return whether a text has letters of a script that is written from right to left."""
    return _LEFTWARDS.search(text) is not None


def _read_leftwards(words: list[Word]) -> list[Word]:
    """Return the words of a line from right to left, and runs of other scripts as they are."""
    ordered: list[Word] = []
    run: list[Word] = []
    for word in reversed(words):
        if leftwards(word.text):
            ordered += [*reversed(run), word]
            run = []
        else:
            run.append(word)
    return [*ordered, *reversed(run)]


def _with_initials(lines: list[Line]) -> list[Line]:
    """Join an initial that is several lines high to the line that it begins."""
    for cap in [line for line in lines if len(line.text) == 1 and line.text.isalpha()]:
        for line in lines:
            top = abs((cap.box[3] - 0.97 * cap.size) - line.box[1])
            gap = line.box[0] - cap.box[2]
            if cap.size > 1.8 * line.size > 0 and top < line.size and -0.2 < gap / line.size < 1:
                joined = line_of([*cap.words, *line.words])
                joined.text = cap.text + line.text
                joined.box = (cap.box[0], *line.box[1:])
                joined.size = line.size
                lines[lines.index(line)] = joined
                lines.remove(cap)
                break
    return lines


def _runs(words: list[Word]) -> list[Line]:
    """Return the words of slanted text in the order of the file, split at jumps."""
    lines: list[list[Word]] = []
    for before, word in pairwise([None, *words]):
        assert word is not None
        near = before is not None and all(
            before.box[i] - word.size < word.box[i + 2]
            and word.box[i] - word.size < before.box[i + 2]
            for i in (0, 1)
        )
        if near:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [_in_order(words) for words in lines]


def _in_order(words: list[Word]) -> Line:
    line = line_of(words)
    return replace(line, words=words, text=" ".join(word.text for word in words))
