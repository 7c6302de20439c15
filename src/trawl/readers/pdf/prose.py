"""Separate running text from the text of figures and tables, which it bounds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trawl.readers.pdf.geometry import Box
from trawl.readers.pdf.lines import Line

_LONG_CHARS = 25
_LEAST_WORDS = 4
_SAME_SIZE = 0.04
_COLUMN_LINES = 4


@dataclass(frozen=True, slots=True)
class Column:
    """The left and right edge of a column of running text, and the number of its lines."""

    left: float
    right: float
    lines: int


def sizes_of(lines: Sequence[Line]) -> Counter[float]:
    """Return the number of characters of each font size, in long lines."""
    sizes: Counter[float] = Counter()
    for line in lines:
        if line.angle == 0 and line.chars >= _LONG_CHARS:
            sizes[round(line.size, 1)] += line.chars
    return sizes


def size_of_most(sizes: Counter[float]) -> float:
    """Return the font size of most characters; 10 points without any."""
    return sizes.most_common(1)[0][0] if sizes else 10.0


def columns_of(lines: Sequence[Line], body_size: float) -> list[Column]:
    """Return the columns of running text on a page, from the left."""
    edges: defaultdict[int, list[Line]] = defaultdict(list)
    for line in lines:
        if _runs_on(line) and abs(line.size - body_size) <= _SAME_SIZE * body_size:
            edges[round(line.box[0] / 3)].append(line)
    columns: list[Column] = []
    for key in sorted(edges, key=lambda key: -len(edges[key])):
        group = edges[key]
        rights = sorted(line.box[2] for line in group)
        left, right = min(line.box[0] for line in group), rights[int(0.8 * len(rights))]
        for at, column in enumerate(columns):
            if abs(column.right - right) < 3 and abs(column.left - left) < 3 * body_size:
                count = column.lines + len(group)
                columns[at] = Column(min(left, column.left), max(right, column.right), count)
                break
        else:
            columns.append(Column(left, right, len(group)))
    return sorted((c for c in columns if c.lines >= _COLUMN_LINES), key=lambda c: c.left)


def prose_of(
    lines: Sequence[Line], body_size: float, columns: Sequence[Column], excluded: Collection[int]
) -> set[int]:
    """Return the indexes of long lines of running text, without the `excluded` ones."""
    candidates = [
        number for number, line in enumerate(lines) if number not in excluded and _runs_on(line)
    ]
    neighbours = _stacks(lines, candidates)
    prose: set[int] = set()
    for number in candidates:
        line = lines[number]
        stack = neighbours[number]
        if abs(line.size - body_size) <= _SAME_SIZE * body_size:
            fills = any(
                _inside(line.box, c) and line.box[2] - line.box[0] > 0.7 * (c.right - c.left)
                for c in columns
            )
            if len(stack) >= 2 or fills:
                prose.add(number)
        elif len(stack) >= 3 and _fills_column([lines[i] for i in stack], columns):
            prose.add(number)
    return prose


def _runs_on(line: Line) -> bool:
    """Return whether a line reads like running text: words, and no gaps as between cells."""
    if line.angle or line.chars < _LONG_CHARS or len(line.words) < _LEAST_WORDS:
        return False
    letters = sum(char.isalpha() for char in line.text)
    if letters < 0.6 * line.chars:
        return False
    words = line.words
    return all(after.box[0] - before.box[2] < 2.2 * line.size for before, after in pairwise(words))


def _stacks(lines: Sequence[Line], numbers: Sequence[int]) -> dict[int, list[int]]:
    """Return, for each line, the lines of the block of lines like it that it is in."""
    parent = {number: number for number in numbers}

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    ordered = sorted(numbers, key=lambda number: lines[number].baseline)
    for at, number in enumerate(ordered):
        line = lines[number]
        for other in ordered[at + 1 :]:
            below = lines[other]
            step = below.baseline - line.baseline
            if step > 1.9 * line.size:
                break
            if step > 0.5 * line.size and _alike(line, below):
                parent[root(other)] = root(number)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number in ordered:
        groups[root(number)].append(number)
    return {number: groups[root(number)] for number in ordered}


def _alike(one: Line, other: Line) -> bool:
    overlap = min(one.box[2], other.box[2]) - max(one.box[0], other.box[0])
    narrow = min(one.box[2] - one.box[0], other.box[2] - other.box[0])
    return (
        overlap > 0.5 * narrow
        and abs(one.box[0] - other.box[0]) < 2.5 * one.size
        and abs(one.size - other.size) <= 0.05 * one.size
    )


def _inside(box: Box, column: Column) -> bool:
    return box[0] > column.left - 4 and box[2] < column.right + 4


def _fills_column(stack: Sequence[Line], columns: Sequence[Column]) -> bool:
    """Return whether a block of text is as wide as a column, such as footnotes and abstracts."""
    left, right = min(x.box[0] for x in stack), max(x.box[2] for x in stack)
    return any(
        (abs(left - c.left) < 14 and abs(right - c.right) < 14)
        or right - left > 1.3 * (c.right - c.left)
        for c in columns
    )


def with_ends(lines: Sequence[Line], prose: set[int], excluded: Collection[int]) -> set[int]:
    """Return the lines of running text with the short ones that begin and end paragraphs."""
    found = set(prose)
    for number, line in enumerate(lines):
        if number in found or number in excluded or line.angle:
            continue
        for other in prose:
            near = lines[other]
            step = abs(line.baseline - near.baseline)
            if (
                0.5 * near.size < step < 1.5 * near.size
                and abs(line.size - near.size) <= _SAME_SIZE * near.size
                and -1.5 < line.box[0] - near.box[0] < 2.2 * near.size
                and line.box[2] < near.box[2] + 3 * near.size
            ):
                found.add(number)
                break
    return found
