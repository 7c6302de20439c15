"""Join the lines of columns to paragraphs, also across columns and pages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from trawl.readers.pdf.layout import Column
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.words import Vocabulary, clean
from trawl.types import Box, Region

_GAP = 1.35
"""A distance between lines that begins a paragraph, in those usual in the column."""
_INDENT_EM = 0.7
_SHORT = 0.85
"""The last line of a paragraph is shorter than this share of the column's width."""
_SAME_SIZE = 0.07
_SCRAP = 4
"""Characters of a line between two others that is part of a fraction in the text."""

_BULLET = r"[•‣▪▫◦●○■□∗⋄➢✓–—*-]"
_ITEM = re.compile(rf"(?:{_BULLET}|\(?(?:\d{{1,3}}|[a-zA-Z]|[ivx]{{1,5}})[.)]|\[\d{{1,3}}\])\s")
_NUMBERED = re.compile(r"(?:\d{1,2}(?:\.\d{1,2})*\.?|[IVX]{1,5}\.|[A-Z]\.)\s+[A-Z]")
_ENDED = re.compile(r"[.!?:;。！？؟…][\"'”’»)\]\d]*$")
_ABBREVIATED = re.compile(
    r"\b(?:al|cf|e\.g|eq|eqs|fig|figs|i\.e|no|pp|resp|sec|vs)\.$", re.IGNORECASE
)
_NO_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60]")


@dataclass(slots=True)
class Paragraph:
    """Lines that follow each other, with the pages that they are on.

    `full` tells whether the last line reaches the right margin, `indented` whether the first
    one is indented.
    """

    lines: list[Line] = field(default_factory=list)
    pages: list[int] = field(default_factory=list)
    full: bool = False
    indented: bool = False
    notes: bool = False

    @property
    def size(self) -> float:
        """The size of most characters."""
        sizes: Counter[float] = Counter()
        for line in self.lines:
            sizes[line.size] += line.chars
        return sizes.most_common(1)[0][0]

    @property
    def bold(self) -> bool:
        """Whether most characters are bold."""
        return sum(line.chars if line.bold else -line.chars for line in self.lines) > 0

    def text(self, vocabulary: Vocabulary) -> tuple[str, list[tuple[int, Region]]]:
        """Return the text on one line, and the (start, region) of each line in it."""
        pieces: list[str] = []
        regions: list[tuple[int, Region]] = []
        at = 0
        texts = [clean(line.text) for line in self.lines]
        for index, (line, page) in enumerate(zip(self.lines, self.pages, strict=True)):
            text, space = texts[index], ""
            if index + 1 < len(texts):
                text, space = vocabulary.joined(text, texts[index + 1])
                if space and _NO_SPACES.match(texts[index + 1][:1]) and _NO_SPACES.match(text[-1:]):
                    space = ""
            if text:
                regions.append((at, Region(page, line.box)))
            pieces += [text, space]
            at += len(text) + len(space)
        return "".join(pieces).rstrip(), regions


def paragraphs_of(column: Column, page: int) -> list[Paragraph]:
    """Return the paragraphs of a column."""
    lines, boxes = column.lines, column.level
    steps = [
        below[3] - above[3]
        for above, below in pairwise(boxes)
        if below[3] - above[3] > 0.5 * (below[3] - below[1])
    ]
    usual = median(steps) if steps else 0.0
    found: list[Paragraph] = []
    above = -1  # the last line that is no part of a fraction
    for index, (line, box) in enumerate(zip(lines, boxes, strict=True)):
        scrap = above >= 0 and line.chars <= _SCRAP and box[3] - boxes[above][3] < 0.8 * usual
        if above < 0 or (not scrap and _begins(column, index, above, found[-1], usual)):
            indented = box[0] - column.left > _INDENT_EM * line.size
            found.append(Paragraph(indented=indented, notes=column.notes))
        found[-1].lines.append(line)
        found[-1].pages.append(page)
        if not scrap:
            above = index
            found[-1].full = column.right - box[2] < (1 - _SHORT) * (column.right - column.left)
    return found


def _begins(column: Column, index: int, above: int, current: Paragraph, usual: float) -> bool:
    """Return whether a line begins a paragraph, after line number `above`."""
    line, last = column.lines[index], column.lines[above]
    box, box_last = column.level[index], column.level[above]
    em = max(line.size, last.size)
    step = box[3] - box_last[3]
    if step < 0.5 * em:  # side by side
        return False
    if step > max(_GAP * usual, 1.3 * em) or step > 3 * em:
        return True
    if abs(line.size - last.size) > _SAME_SIZE * em and min(line.chars, last.chars) > 3:
        return True
    if _ITEM.match(line.text) and _is_item(box, box_last, current, em):
        return True
    width = column.right - column.left
    room = column.right - box_last[2]
    short = room > (1 - _SHORT) * width
    if line.bold != last.bold and (short or column.right - box[2] > (1 - _SHORT) * width):
        return True
    if _centred(box, column, em) or _centred(box_last, column, em):
        return not (_centred(box, column, em) and _centred(box_last, column, em))
    heading = len(current.lines) == 1 and room > 0.3 * width and _NUMBERED.match(last.text)
    if heading and line.text[0].isupper():
        return True
    indent = box[0] - box_last[0]
    if indent > _INDENT_EM * em:
        # A first line is indented; so are all lines of an item but its first.
        if _ITEM.match(last.text):
            return short and line.text[0].isupper()
        at_margin = box_last[0] - column.left < 0.3 * em
        return short or (at_margin and _ENDED.search(last.text) is not None)
    if indent < -_INDENT_EM * em and len(current.lines) > 1:
        return True
    return short and _ENDED.search(last.text) is not None


def _is_item(box: Box, above: Box, current: Paragraph, em: float) -> bool:
    """Return whether a line that begins like an item of a list is one."""
    first = current.lines[0]
    bullet = re.match(_BULLET, first.text) is not None
    outdented = box[0] < above[0] - 0.3 * em
    return (
        bullet
        or outdented
        or _ITEM.match(first.text) is not None
        or (abs(box[0] - above[0]) > 0.3 * em or _ENDED.search(current.lines[-1].text) is not None)
    )


def _centred(box: Box, column: Column, em: float) -> bool:
    """Return whether a short line is in the middle of its column."""
    left, right = box[0] - column.left, column.right - box[2]
    return min(left, right) > 2 * em and abs(left - right) < 1.5 * em


def item_mark(paragraph: Paragraph) -> str:
    """Return the kind of mark before an item of a list: "1", "a", "A" or "•"; else ""."""
    match = _ITEM.match(paragraph.lines[0].text)
    if match is None:
        return ""
    mark = match[0].strip("().[] ")
    kinds = ((str.isdecimal, "1"), (str.islower, "a"), (str.isupper, "A"))
    return next((kind for is_kind, kind in kinds if is_kind(mark)), "•")


def continues(before: Paragraph, after: Paragraph) -> bool:
    """Return whether a paragraph goes on in the next column or on the next page."""
    size = before.size
    if before.notes != after.notes or abs(after.size - size) > _SAME_SIZE * size:
        return False
    if before.bold != after.bold or _ITEM.match(after.lines[0].text):
        return False
    end, beginning = clean(before.lines[-1].text), clean(after.lines[0].text)
    if not end or not beginning:
        return False
    if beginning[0].islower() or end[-1] in "-\u2010,":
        return not _ENDED.search(end) or end[-1] in "-;:"
    ended = _ENDED.search(end) and not _ABBREVIATED.search(end)
    return before.full and not ended and not after.indented


def merged(paragraphs: Sequence[Paragraph]) -> Paragraph:
    """Return one paragraph of the lines of several."""
    lines = [line for paragraph in paragraphs for line in paragraph.lines]
    pages = [page for paragraph in paragraphs for page in paragraph.pages]
    first, last = paragraphs[0], paragraphs[-1]
    return Paragraph(lines, pages, last.full, first.indented, first.notes)
