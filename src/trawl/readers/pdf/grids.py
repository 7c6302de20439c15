"""The cells of a table: rows from baselines and rules, columns from gaps that rows share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from trawl.readers.pdf.clusters import is_rule, is_upright_rule
from trawl.readers.pdf.geometry import Box
from trawl.readers.pdf.lines import Word
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.scene import Scene, has_centre, overlap
from trawl.readers.pdf.words import clean

_CELL_GAP_EM = 0.55
"""The least gap between columns, in font sizes: spaces between words are about half of it."""


def grid_of(scene: Scene, box: Box) -> tuple[tuple[str, ...], ...]:
    """Return the cells of a table: rows from baselines and rules, columns from shared gaps."""
    words = [
        word
        for line in scene.lines
        if not line.angle
        for word in line.words
        if has_centre((box[0] - 2, box[1] - 2, box[2] + 2, box[3] + 2), word.box)
    ]
    rules = [
        rule
        for rule in scene.rules
        if overlap(rule.box, box, 0) > -2 and overlap(rule.box, box, 1) > -2
    ]
    if not words:
        return ()
    rows = _rows_of_words(words)
    separators = _separators(rows, box, rules)
    rows = _merged_rows(rows, separators, box, rules)
    return tuple(_cells(row, separators) for row in rows)


def markdown_of(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown. The first row is its head; short rows are filled."""
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    cells = [[clean(cell).replace("|", r"\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _rows_of_words(words: Sequence[Word]) -> list[list[Word]]:
    rows: list[list[Word]] = []
    bases: list[float] = []
    for word in sorted(words, key=lambda word: (-word.size, word.baseline)):
        best = min(
            (
                at
                for at in range(len(rows))
                if abs(bases[at] - word.baseline) < 0.45 * max(w.size for w in rows[at])
            ),
            key=lambda at: abs(bases[at] - word.baseline),
            default=None,
        )
        if best is None:
            rows.append([word])
            bases.append(word.baseline)
        else:
            rows[best].append(word)
    order = sorted(range(len(rows)), key=lambda at: bases[at])
    return [sorted(rows[at], key=lambda word: word.box[0]) for at in order]


def _separators(
    rows: Sequence[Sequence[Word]], box: Box, rules: Sequence[PageObject]
) -> list[float]:
    """Return the x of the borders between columns."""
    em = median(word.size for row in rows for word in row)
    upright = sorted((rule.box[0] + rule.box[2]) / 2 for rule in rules if is_upright_rule(rule))
    gaps = _shared_gaps(rows, em)
    separators = [(left + right) / 2 for left, right in gaps]
    for x in upright:
        if not box[0] + 3 < x < box[2] - 3:
            continue
        near = [at for at, (left, right) in enumerate(gaps) if left - 2 <= x <= right + 2]
        if near:
            separators[near[0]] = x
        elif all(abs(x - other) > 4 for other in separators):
            separators.append(x)
    return sorted(separators)


def _shared_gaps(rows: Sequence[Sequence[Word]], em: float) -> list[tuple[float, float]]:
    """Return the x-ranges between columns: no row has text there, or few rows have."""
    few = max(1, int(0.2 * len(rows))) if len(rows) > 2 else 0
    empty = _free_ranges(rows, 0)
    gaps = [gap for gap in empty if _separates(rows, gap, em, 0)]
    unsure = [gap for gap in empty if gap not in gaps and _separates(rows, gap, em, few)]
    if few:
        unsure += [gap for gap in _free_ranges(rows, few) if _separates(rows, gap, em, 0)]
    for gap in unsure:
        apart = all(gap[0] >= other[1] or gap[1] <= other[0] for other in gaps)
        if apart and _between_columns(rows, gap, gaps):
            gaps.append(gap)
    return sorted(gaps)


def _between_columns(
    rows: Sequence[Sequence[Word]],
    gap: tuple[float, float],
    gaps: Sequence[tuple[float, float]],
) -> bool:
    """Return whether several rows have text on both sides, up to the neighbouring gaps."""
    left = max((other[1] for other in gaps if other[1] <= gap[0]), default=float("-inf"))
    right = min((other[0] for other in gaps if other[0] >= gap[1]), default=float("inf"))
    before = sum(any(left - 1 <= w.box[0] and w.box[2] <= gap[0] + 1 for w in row) for row in rows)
    behind = sum(any(gap[1] - 1 <= w.box[0] and w.box[2] <= right + 1 for w in row) for row in rows)
    return before >= 2 and behind >= 2


def _free_ranges(rows: Sequence[Sequence[Word]], most: int) -> list[tuple[float, float]]:
    """Return the x-ranges in which at most `most` rows have text."""
    edges = sorted({x for row in rows for word in row for x in (word.box[0], word.box[2])})
    ranges: list[tuple[float, float]] = []
    start: float | None = None
    for left, right in pairwise(edges):
        middle = (left + right) / 2
        crossing = sum(any(w.box[0] < middle < w.box[2] for w in row) for row in rows)
        if crossing <= most and start is None:
            start = left
        elif crossing > most and start is not None:
            ranges.append((start, left))
            start = None
    return ranges


def _separates(
    rows: Sequence[Sequence[Word]], gap: tuple[float, float], em: float, few: int
) -> bool:
    """Return whether a gap is wider than a space in the rows with text on both sides.

    A `few` rows may be tight, such as a head whose cells nearly touch.
    """
    left, right = gap
    if right - left < 0.3 * em:
        return False
    both = tight = 0
    for row in rows:
        before = [word.box[2] for word in row if word.box[2] <= left + 0.5]
        behind = [word.box[0] for word in row if word.box[0] >= right - 0.5]
        if before and behind:
            both += 1
            tight += min(behind) - max(before) < _CELL_GAP_EM * em
    return both - tight > (0 if not tight else 1) and tight <= few


def _merged_rows(
    rows: list[list[Word]], separators: Sequence[float], box: Box, rules: Sequence[PageObject]
) -> list[list[Word]]:
    """Join the lines of cells that have several."""
    level = sorted(
        (rule.box[1] + rule.box[3]) / 2
        for rule in rules
        if is_rule(rule) and rule.width > 0.7 * (box[2] - box[0])
    )
    bands = [y for at, y in enumerate(level) if at == 0 or y - level[at - 1] > 2]
    if len(bands) > max(3, 0.6 * len(rows)) and len(rows) > 1:
        merged: dict[int, list[Word]] = {}
        for row in rows:
            middle = (row[0].box[1] + row[0].box[3]) / 2
            merged.setdefault(sum(y < middle for y in bands), []).extend(row)
        return [_by_line(row) for _, row in sorted(merged.items())]
    rows = _with_half_rows(rows, separators)
    bases = [median(word.baseline for word in row) for row in rows]
    steps = [after - before for before, after in pairwise(bases)]
    if len(steps) < 2:
        return rows
    tight, loose = min(steps), max(steps)
    found = [rows[0]]
    for row, step in zip(rows[1:], steps, strict=True):
        first_empty = bool(separators) and row[0].box[0] > separators[0] - 1
        if (
            first_empty
            and step < 1.2 * tight
            and loose > 1.3 * tight
            and len(_filled(row, separators)) < len(separators) + 1
            and step < 1.35 * row[0].size
        ):
            found[-1] = _by_line([*found[-1], *row])
        else:
            found.append(row)
    return found


def _with_half_rows(rows: Sequence[list[Word]], separators: Sequence[float]) -> list[list[Word]]:
    """Join cells that are centred between two rows to the upper one."""
    found = [rows[0]]
    for row in rows[1:]:
        size = max(word.size for word in row)
        step = median(w.baseline for w in row) - median(w.baseline for w in found[-1])
        if step < 0.9 * size and not _filled(row, separators) & _filled(found[-1], separators):
            found[-1] = sorted([*found[-1], *row], key=lambda word: word.box[0])
        else:
            found.append(row)
    return found


def _filled(row: Sequence[Word], separators: Sequence[float]) -> set[int]:
    return {_column(word, separators) for word in row}


def _by_line(words: Sequence[Word]) -> list[Word]:
    return sorted(words, key=lambda word: (round(word.baseline), word.box[0]))


def _column(word: Word, separators: Sequence[float]) -> int:
    middle = (word.box[0] + word.box[2]) / 2
    return sum(x < middle for x in separators)


def _cells(row: Sequence[Word], separators: Sequence[float]) -> tuple[str, ...]:
    """Return the text of each column. A cell that spans several is in its first one."""
    cells: list[list[str]] = [[] for _ in range(len(separators) + 1)]
    before: Word | None = None
    column = 0
    for word in row:
        joined = (
            before is not None
            and abs(before.baseline - word.baseline) < 0.3 * word.size
            and -1 < word.box[0] - before.box[2] < 0.4 * word.size
        )
        if not joined:
            column = _column(word, separators)
        if joined and cells[column] and before is not None:
            gap = word.box[0] - before.box[2]
            if gap < 0.12 * word.size:
                cells[column][-1] += word.text
            else:
                cells[column].append(word.text)
        else:
            cells[column].append(word.text)
        before = word
    return tuple(" ".join(cell) for cell in cells)
