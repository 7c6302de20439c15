"""Find the captions of figures and tables among the lines of a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trawl.readers.pdf.geometry import Box, union
from trawl.readers.pdf.lines import Line, Word

FloatKind: TypeAlias = Literal["figure", "table"]

_MAX_LINES = 40
_CELL_GAP_EM = 1.5
"""A gap of this width inside a line separates cells, or neighbouring columns."""

_NUMBER = (
    r"(?P<number>S?\d{1,3}(?:[.\-]\d{1,3}){0,2}[A-Za-z]?"
    r"|[A-Z]\.?\d{1,3}(?:\.\d{1,3})?[a-z]?|[IVXL]{1,6}|[A-Z](?=\s*[.:|]))"
)
_START = re.compile(
    r"(?P<before>(?:Supplementary|Supplemental|Supporting|Supp\.|Suppl\.|Extended\s+Data|Appendix)\s+)?"
    r"(?P<word>Figure|FIGURE|Fig\.?|FIG\.?|Figura|FIGURA|Abbildung|Abb\.?|ABBILDUNG|Scheme|SCHEME"
    r"|Chart|CHART|Plate|PLATE|Рисунок|Рис\.?|图|図|圖|Таблица|Табл\.?|表|Table|TABLE|Tab\.?|TAB\.?|Tabelle|TABELLE|Tableau|Tabla)\s*"
    rf"{_NUMBER}(?P<mark>\s*[.:|—–]|\s*\)|\s+[-—–|](?=\s))?(?P<rest>.*)",
    re.DOTALL,
)
_LEADER = re.compile(r"(?:\.\s?){4,}\s*\w*$")
"""The dots before a page number, in a list of figures."""
_NAMES = {
    "fig": "Figure", "figure": "Figure", "abb": "Abbildung", "abbildung": "Abbildung",
    "figura": "Figura", "scheme": "Scheme", "chart": "Chart", "plate": "Plate",
    "рисунок": "Рисунок", "рис": "Рисунок", "图": "图", "図": "図", "圖": "圖",
    "таблица": "Таблица", "табл": "Таблица", "表": "表",
    "table": "Table", "tab": "Table", "tabelle": "Tabelle", "tableau": "Tableau", "tabla": "Tabla",
}  # fmt: skip
_TABLES = frozenset({"Table", "Tabelle", "Tableau", "Tabla", "Таблица", "表"})


@dataclass(slots=True)
class Caption:
    """A caption. `label` is its number in a regular form: "Figure 2", "Table I", "Figure S1".

    `lines` are the words of each of its lines. `sure` says that punctuation follows the number
    and that it begins a block of text; others need a figure right beside them.
    """

    kind: FloatKind
    label: str
    text: str
    box: Box
    size: float
    sure: bool
    lines: list[list[Word]]


@dataclass(frozen=True, slots=True)
class Run:
    """Words of a line without a wide gap between them."""

    words: list[Word]
    text: str
    box: Box
    size: float
    line: int
    baseline: float

    @property
    def bold(self) -> bool:
        """Whether most of its first word is bold."""
        return self.words[0].bold


def find_captions(lines: Sequence[Line], body_size: float) -> list[Caption]:
    """Return the captions of a page, from the top. `body_size` is the size of running text."""
    runs = runs_of(lines)
    starts = []
    for run in runs:
        match = _START.match(run.text)
        if match is not None:
            start = _start(run, match, runs, body_size)
            if start is not None:
                starts.append(start)
    captions = [
        _whole(run, match, sure, runs, [s[0] for s in starts]) for run, match, sure in starts
    ]
    return [caption for caption in captions if caption is not None]


def runs_of(lines: Sequence[Line], gap_em: float = _CELL_GAP_EM) -> list[Run]:
    """Split level lines at wide gaps."""
    runs = []
    for number, line in enumerate(lines):
        if line.angle or not line.words:
            continue
        words = sorted(line.words, key=lambda word: word.box[0])
        start = 0
        for at in range(1, len(words) + 1):
            if at < len(words):
                right = max(word.box[2] for word in words[start:at])
                gap = words[at].box[0] - right
                if gap <= gap_em * max(words[at].size, words[at - 1].size, 4):
                    continue
            part = words[start:at]
            whole = at - start == len(words)
            text = line.text if whole else _joined(part)
            box = union([word.box for word in part])
            runs.append(Run(part, text, box, _size(part), number, line.baseline))
            start = at
    return runs


def _size(words: Sequence[Word]) -> float:
    """Return the largest font size of a good part of the words: small capitals have two."""
    least = 0.15 * sum(len(word.text) for word in words)
    counts: dict[float, int] = {}
    for word in words:
        counts[round(word.size, 1)] = counts.get(round(word.size, 1), 0) + len(word.text)
    return max(size for size, count in counts.items() if count >= least)


def label_of(text: str) -> tuple[FloatKind, str] | None:
    """Return the kind and the label at the start of a text, or None."""
    match = _START.match(text)
    return None if match is None else _label(match)


def _label(match: re.Match[str]) -> tuple[FloatKind, str]:
    name = _NAMES[match["word"].rstrip(".").lower()]
    before = " ".join((match["before"] or "").split())
    label = f"{before} {name} {match['number']}".strip()
    return ("table" if name in _TABLES else "figure"), label


def _start(
    run: Run, match: re.Match[str], runs: Sequence[Run], body_size: float
) -> tuple[Run, re.Match[str], bool] | None:
    """Return a run that begins a caption, with its match and whether it is sure."""
    mark, rest = match["mark"], match["rest"]
    if (mark is not None and mark.strip() == ")") or _LEADER.search(rest):
        return None
    if mark is None and rest and not rest[0].isspace():
        return None
    rest = rest.strip()
    roman = match["number"].isalpha()
    if roman and mark is None and rest:
        return None
    begins = _begins_block(run, runs)
    smaller = run.size < 0.97 * body_size
    if not rest:  # the number alone: a caption follows on the next line
        below = _below(run, runs)
        if (
            not begins
            or below is None
            or not (mark or roman or run.bold or match["word"].isupper())
        ):
            return None
        return run, match, True
    if mark is not None:
        if not begins:
            return None
        return run, match, not _reads_on(rest)
    labelled = _label_is_bold(run, match)
    upper = rest[0].isupper() or not rest[0].isalpha()
    apart = labelled or smaller or match["word"].isupper()
    if begins and upper and apart and rest[0] not in "([,;":
        return run, match, labelled
    return None


def _reads_on(rest: str) -> bool:
    """Return whether the text after a number and its mark goes on like a sentence."""
    return rest[:1] in ",;)"


def _label_is_bold(run: Run, match: re.Match[str]) -> bool:
    """Return whether the label is bold and the text behind it is not."""
    count = len(run.text[: match.end("number")].split())
    head, tail = run.words[:count], run.words[count:]
    return bool(tail) and all(word.bold for word in head) and not tail[-1].bold


def _begins_block(run: Run, runs: Sequence[Run]) -> bool:
    """Return whether a run does not continue the text above it."""
    above = [
        other
        for other in runs
        if 0 < run.baseline - other.baseline < 1.45 * max(run.size, other.size)
        and min(run.box[2], other.box[2]) - max(run.box[0], other.box[0]) > 0
    ]
    left = [other for other in runs if other.line == run.line and other.box[2] <= run.box[0] + 1]
    if any(run.box[0] - other.box[2] < 1.8 * run.size and len(other.text) > 25 for other in left):
        return False
    for other in above:
        same = abs(other.size - run.size) <= 0.04 * run.size
        if not same or (run.bold and not other.words[-1].bold):
            continue
        step = run.baseline - other.baseline
        if step < 1.32 * run.size and len(other.text) > 25:
            return False
    return True


def _below(run: Run, runs: Sequence[Run]) -> Run | None:
    """Return the nearest run close below."""
    near = [
        other
        for other in runs
        if 0.5 * run.size < other.baseline - run.baseline < 2.2 * run.size
        and other.box[0] < run.box[2] + 150
        and other.box[2] > run.box[0] - 150
        and min(other.box[2], run.box[2]) - max(other.box[0], run.box[0]) > 0
    ]
    return min(near, key=lambda other: other.baseline, default=None)


def _whole(
    run: Run, match: re.Match[str], sure: bool, runs: Sequence[Run], starts: Sequence[Run]
) -> Caption | None:
    """Return a caption with all of its lines."""
    kind, label = _label(match)
    parts = [run]
    alone = not match["rest"].strip()
    step: float | None = None
    limit = min(
        (s.box[0] for s in starts if s is not run and _level(s, run) and s.box[0] > run.box[2]),
        default=float("inf"),
    )
    while len(parts) < _MAX_LINES:
        last, box = parts[-1], union([part.box for part in parts])
        following = _next_line(last, box, limit, runs, starts, alone and len(parts) == 1)
        if following is None:
            break
        new_step = following.baseline - last.baseline
        tolerance = 0.3 if alone and len(parts) == 1 else 0.06
        if abs(following.size - last.size) > tolerance * last.size and not _small_capitals(
            last, following
        ):
            break
        if step is not None and new_step > step + max(0.18 * last.size, 1.0):
            break
        if step is None and new_step > (2.2 if alone else 1.55) * last.size:
            break
        if step is None and not (alone and len(parts) == 1):
            step = new_step
        if _ended(parts, following):
            break
        parts.append(following)
    words = [part.words for part in parts]
    text = _text([part.text for part in parts])
    return Caption(kind, label, text, union([p.box for p in parts]), run.size, sure, words)


def _small_capitals(one: Run, other: Run) -> bool:
    """Return whether two lines are in capitals of the same two sizes."""
    if one.text.upper() != one.text or other.text.upper() != other.text:
        return False
    sizes = [{round(word.size, 1) for word in run.words} for run in (one, other)]
    return bool(sizes[0] & sizes[1])


def _level(one: Run, other: Run) -> bool:
    return abs(one.baseline - other.baseline) < 3 * other.size


def _next_line(
    last: Run, box: Box, limit: float, runs: Sequence[Run], starts: Sequence[Run], wider: bool
) -> Run | None:
    """Return the runs of the next line of a caption, as one."""
    candidates = [
        run
        for run in runs
        if 0.6 * last.size < run.baseline - last.baseline < 2.3 * last.size
        and run.box[0] < min(box[2], limit - 1)
        and run.box[2] > box[0]
    ]
    if not candidates:
        return None
    first = min(candidates, key=lambda run: (round(run.baseline), run.box[0]))
    foreign = first.box[0] < box[0] - 1.5 * last.size and first.box[2] > box[2] + 40
    if first in starts or (foreign and not wider):
        return None
    row = [
        run for run in candidates if abs(run.baseline - first.baseline) < 1 and run not in starts
    ]
    words = [word for run in row for word in run.words if word.box[0] < limit - 1]
    if not words:
        return None
    joined = _joined(words) if len(row) > 1 or len(words) < len(first.words) else first.text
    box = union([word.box for word in words])
    return Run(words, joined, box, _size(words), first.line, first.baseline)


def _ended(parts: list[Run], following: Run) -> bool:
    """Return whether a caption ended with a short line, and other text follows."""
    if len(parts) < 2:
        return False
    left = min(part.box[0] for part in parts)
    right = max(part.box[2] for part in parts)
    last = parts[-1]
    short = last.box[2] < right - 0.25 * (right - left) and abs(last.box[0] - left) < 2
    return short and last.text.rstrip().endswith(".") and following.box[2] > right - 2


def _joined(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _text(lines: Sequence[str]) -> str:
    """Join lines; a hyphen at the end of one joins a word that goes on in lower case."""
    text = ""
    for line in lines:
        line = line.strip()
        if text.endswith("-") and len(text) > 1 and text[-2].isalpha() and line[:1].islower():
            text = text[:-1] + line
        else:
            text = f"{text} {line}".strip()
    return text
