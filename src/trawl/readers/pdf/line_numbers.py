"""Leave out the numbers of lines in the margin of drafts and legal texts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from trawl.readers.pdf.lines import Word

_LEAST = 15
_REGULAR = 0.8
"""The share of numbers that follow the last one at the usual distance."""


def without_line_numbers(words: Sequence[Word]) -> list[Word]:
    """Return the words of a page without the numbers of its lines.

    They are at least 15 whole numbers, one above the other at regular distances, that count by 1
    or by 5. The rows of tables are rarely that many, and numbered references have no such
    distances.
    """
    columns: defaultdict[int, list[Word]] = defaultdict(list)
    for word in words:
        if word.angle == 0 and word.text.isdecimal() and len(word.text) < 5:
            columns[round(word.box[2] / 3)].append(word)
    numbers: set[int] = set()
    for column in columns.values():
        if len(column) >= _LEAST and _counts(sorted(column, key=lambda word: word.baseline)):
            numbers.update(map(id, column))
    return [word for word in words if id(word) not in numbers]


def _counts(column: list[Word]) -> bool:
    """Return whether numbers count downwards at regular distances."""
    gaps = [below.baseline - above.baseline for above, below in pairwise(column)]
    usual = median(gaps)
    regular = sum(abs(gap - usual) < 0.1 * usual for gap in gaps)
    steps = [int(below.text) - int(above.text) for above, below in pairwise(column)]
    step = steps[0]
    return step in (1, 5) and steps.count(step) == len(steps) and regular > _REGULAR * len(gaps)
