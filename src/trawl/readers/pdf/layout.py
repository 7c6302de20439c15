"""Order the lines of a page as a person reads them, by position alone.

A region of the page is cut recursively. If a gutter divides all of its lines, the left side is read
before the right one. If some lines cross the best gutter, such as a title or a caption over both
columns, they divide the region into bands, which are read from the top. Footnotes come last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from trawl.readers.pdf.geometry import union, upright
from trawl.readers.pdf.lines import Line, leftwards
from trawl.readers.pdf.pages import PageContent
from trawl.types import Box

_MAX_DEPTH = 40
_MAX_LINES = 2_000
"""Lines of one page that are put in order; more are read from the top, without columns."""
_OVERHANG_EM = 1.2
"""A line that passes a gutter by no more than this does not cross it."""
_WIDE_EM = 4.0
"""A side of a gutter has at least two lines of this width, unlike the bullets of a list."""
_PAIRED_LINES = 2.5
"""Height of text on both sides that makes a gutter, in lines."""
_NOTE_SIZE = 0.93
"""The largest size of notes, as a share of the running text's."""


@dataclass(slots=True)
class Column:
    """Lines that follow one another, one below the other.

    `notes` marks footnotes and text at another angle than the page's, which are outside of the
    running text. `left` and `right` are the margins of its lines in a page turned so that its
    text is level, as are the lines' `level` boxes.
    """

    lines: list[Line]
    level: list[Box]
    notes: bool = False

    @property
    def left(self) -> float:
        """The left margin."""
        return min(box[0] for box in self.level)

    @property
    def right(self) -> float:
        """The right margin."""
        return max(box[2] for box in self.level)


@dataclass(frozen=True, slots=True)
class _Item:
    """A line, or an obstacle such as a figure (`line` is None), in a level page."""

    box: Box
    size: float
    line: Line | None


def columns_of(page: PageContent, obstacles: Sequence[Box] = ()) -> list[Column]:
    """Return the lines of a page in the order of reading.

    `obstacles` are the boxes of figures and tables. They divide columns as a line of their width
    would.
    """
    if not page.lines:
        return []
    angles: Counter[int] = Counter()
    for line in page.lines:
        angles[line.angle] += line.chars
    angle = angles.most_common(1)[0][0] if page.characters else 0
    items = []
    for line in page.lines:
        if line.angle == angle:
            box = upright(line.box, angle, page.width, page.height)
            items.append(_Item(box, line.size, line))
    body = _body_size(items)
    for box in obstacles:
        items.append(_Item(upright(box, angle, page.width, page.height), body, None))
    rightmost_first = sum(leftwards(line.text) for line in page.lines) * 2 > len(page.lines)
    if len(items) > _MAX_LINES:
        ordered = [_rows(items)]
    else:
        ordered = _ordered(items, body, rightmost_first, _MAX_DEPTH)
    columns = [_column(part) for part in ordered]
    columns = _notes_last([column for column in columns if column.lines], body)
    others = [line for line in page.lines if line.angle != angle]
    return columns + [Column([line], [line.box], notes=True) for line in others]


def _column(items: list[_Item]) -> Column:
    with_text = [(item.line, item.box) for item in items if item.line is not None]
    return Column([line for line, _ in with_text], [box for _, box in with_text])


def _body_size(items: Sequence[_Item]) -> float:
    sizes: Counter[float] = Counter()
    for item in items:
        if item.line is not None:
            sizes[item.size] += item.line.chars
    return sizes.most_common(1)[0][0]


def _ordered(
    items: list[_Item], body: float, rightmost_first: bool, depth: int
) -> list[list[_Item]]:
    gutter = _gutter(items, body) if depth and len(items) > 1 else None
    if gutter is None:
        return [_rows(items)]
    sides = [_side(item, gutter) for item in items]
    groups = [band for _, band in _bands(items, sides, body)]
    if 0 not in sides:
        head = _head(items, sides, body)
        rest = [item for item in items if item not in head]
        groups = [head, rest] if head else [[], []]
        if not head:
            for item, side in zip(items, sides, strict=True):
                groups[side > 0].append(item)
            if _is_margin(*groups) or rightmost_first:
                groups.reverse()
    elif len(groups) == 1:
        return [_rows(items)]
    return [part for group in groups for part in _ordered(group, body, rightmost_first, depth - 1)]


def _side(item: _Item, gutter: float) -> int:
    """Return -1 or 1 for an item to the left or right of a gutter, 0 if it crosses."""
    left, _, right, _ = item.box
    if min(gutter - left, right - gutter) > _OVERHANG_EM * item.size:
        return 0
    return -1 if left + right < 2 * gutter else 1


def _gutter(items: list[_Item], body: float) -> float | None:
    """Return where the best gutter of a region is, None if it has one column.

    The best has most text on both sides, where no line crosses it, and the fewest lines across.
    """
    boxes = np.array([item.box for item in items])
    sizes = np.array([item.size for item in items])
    x0, top, x1, bottom = boxes.T
    edges = np.unique(np.concatenate([x0 - 0.5, x1 + 0.5]).round())
    edges = edges[(edges > x0.min()) & (edges < x1.max())][:, None]
    crosses = np.minimum(edges - x0, x1 - edges) > _OVERHANG_EM * sizes
    left = ~crosses & (x0 + x1 < 2 * edges)
    right = ~crosses & ~left
    wide = x1 - x0 >= _WIDE_EM * sizes
    enough = ((left & wide).sum(1) >= 2) & ((right & wide).sum(1) >= 2)
    edges, crosses, left, right = (part[enough] for part in (edges, crosses, left, right))
    if not len(edges):
        return None
    heights = np.arange(top.min(), bottom.max(), 2.0)[:, None]
    covers = ((heights >= top) & (heights < bottom)).T.astype(np.float32)
    on_left, on_right, across = (
        part.astype(np.float32) @ covers > 0 for part in (left, right, crosses)
    )
    both = on_left & on_right & ~across
    paired = 2.0 * both.sum(1)
    # Of equal gutters, the widest is safest against lines that stick out.
    room = np.where(right, x0, np.inf).min(1) - np.where(left, x1, -np.inf).max(1)
    score = paired - 0.5 * body * crosses.sum(1) + 0.01 * np.clip(room, -body, 2 * body)
    score[paired < _PAIRED_LINES * body] = -np.inf
    best = int(score.argmax())
    return float(edges[best, 0]) if np.isfinite(score[best]) else None


def _bands(items: list[_Item], sides: list[int], body: float) -> list[tuple[bool, list[_Item]]]:
    """Divide items into bands from the top: those that cross the gutter, and those beside it.

    Items beside a line that crosses are of its band, such as the names of three authors. So are
    short lines between those that cross, such as the last one of a paragraph.
    """
    crossing = [item for item, side in zip(items, sides, strict=True) if side == 0]
    spans = [
        side == 0 or any(_beside(item, other) for other in crossing)
        for item, side in zip(items, sides, strict=True)
    ]
    bands: list[tuple[bool, list[_Item]]] = []
    for item, crosses in sorted(zip(items, spans, strict=True), key=lambda pair: _middle(pair[0])):
        if not bands or bands[-1][0] != crosses:
            bands.append((crosses, []))
        bands[-1][1].append(item)
    side_of = dict(zip(map(id, items), sides, strict=True))
    joined: list[tuple[bool, list[_Item]]] = []
    for crosses, band in bands:
        crosses = crosses or _shared_height(band, side_of) < 1.5 * body
        if joined and joined[-1][0] and crosses:
            joined[-1][1].extend(band)
        else:
            joined.append((crosses, list(band)))
    return joined if len(joined) > 1 else bands


def _shared_height(items: list[_Item], side_of: dict[int, int]) -> float:
    """Return at how much height items are on both sides of a gutter."""
    shared = 0.0
    left, right = ([item for item in items if side_of[id(item)] == side] for side in (-1, 1))
    for item in left:
        beside = (
            min(item.box[3], other.box[3]) - max(item.box[1], other.box[1]) for other in right
        )
        shared += max(0.0, max(beside, default=0.0))
    return shared


def _beside(item: _Item, other: _Item) -> bool:
    """Return whether most of an item's height is beside another item."""
    shared = min(item.box[3], other.box[3]) - max(item.box[1], other.box[1])
    return shared > 0.5 * (item.box[3] - item.box[1])


def _middle(item: _Item) -> float:
    return (item.box[1] + item.box[3]) / 2


def _head(items: list[_Item], sides: list[int], body: float) -> list[_Item]:
    """Return the lines above columns that are not of them: a title, or authors; [] if none are.

    Authors are centred in the columns. They would otherwise be read with the column below each.
    """
    ordered = sorted(items, key=lambda item: item.box[1])
    bottom, cut, widest = ordered[0].box[3], 0, 0.5 * body
    limit = ordered[0].box[1] + 0.45 * (max(item.box[3] for item in items) - ordered[0].box[1])
    for index, item in enumerate(ordered):
        if item.box[1] > limit:
            break
        if item.box[1] - bottom > widest:
            cut, widest = index, item.box[1] - bottom
        bottom = max(bottom, item.box[3])
    head, rest = ordered[:cut], ordered[cut:]
    if head and min(item.size for item in head) > 1.15 * max(item.size for item in rest):
        return head
    if widest < 1.2 * body:
        return []
    side_of = dict(zip(map(id, items), sides, strict=True))
    for side in (-1, 1):
        below = [item for item in rest if side_of[id(item)] == side]
        above = [item for item in head if side_of[id(item)] == side]
        if not below or not above:
            return []
        edge = median(item.box[0] for item in below)
        aligned = sum(abs(item.box[0] - edge) < body for item in above)
        if 2 * aligned >= len(above):
            return []
    return head


def _is_margin(left: list[_Item], right: list[_Item]) -> bool:
    """Return whether the left side holds notes in the margin of the right one."""
    if not left or not right:
        return False
    a, b = union([item.box for item in left]), union([item.box for item in right])
    small = median(item.size for item in left) <= _NOTE_SIZE * median(item.size for item in right)
    return small and a[2] - a[0] < 0.5 * (b[2] - b[0])


def _rows(items: list[_Item]) -> list[_Item]:
    """Return the items of one column from the top, and from the left on one baseline."""
    ordered = sorted(items, key=lambda item: (item.box[3], item.box[0]))
    rows: list[list[_Item]] = []
    for item in ordered:
        row = rows[-1] if rows else None
        if row and abs(row[0].box[3] - item.box[3]) < 0.3 * min(row[0].size, item.size):
            row.append(item)
        else:
            rows.append([item])
    return [item for row in rows for item in sorted(row, key=lambda item: item.box[0])]


def _notes_last(columns: list[Column], body: float) -> list[Column]:
    """Move the footnotes at the end of each column behind the text of the page."""
    text: list[Column] = []
    notes: list[Column] = []
    for column in columns:
        start = _notes_start(column, body)
        if start:
            text.append(replace(column, lines=column.lines[:start], level=column.level[:start]))
        if start < len(column.lines):
            notes.append(Column(column.lines[start:], column.level[start:], notes=True))
    return text + notes


def _notes_start(column: Column, body: float) -> int:
    """Return the index of a column's first footnote, its length if there is none."""
    start = len(column.lines)
    while start and column.lines[start - 1].size <= _NOTE_SIZE * body:
        start -= 1
    for index in range(start, len(column.lines)):
        text = column.lines[index].text
        gap = column.level[index][1] - column.level[index - 1][3] if index else body
        if gap > 0.3 * body and (text[0].isdigit() or text[0] in "*†‡§¶∗"):
            return index
    return len(column.lines)
