"""Find the headings among paragraphs, and keep the headings above the current text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.paragraphs import Paragraph, item_mark
from trawl.readers.pdf.words import clean

SEPARATOR = " › "

_MAX_CHARS = 150
_MAX_LINES = 3
_LARGE = 1.12
"""The size of a heading by size alone, in that of the running text."""
_SHOWN_CHARS = 100
_PROSE_CHARS = 60

_KNOWN = re.compile(
    r"(?:abstract|introduction|background|related work|methods?|materials and methods|results?|"
    r"results and discussion|discussion|conclusions?|summary|references|bibliography|"
    r"acknowledge?ments?|appendix|appendices|contents|table of contents|keywords|"
    r"zusammenfassung|einleitung|literatur|inhalt|résumé|références|bibliographie)[.:]?",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"(\d{1,2}(?:\.\d{1,2})*)\.?\s+(?=\D)")
_ROMAN = re.compile(r"[IVX]{1,5}\.\s+(?=\S)")
_LETTER = re.compile(r"[A-Z](?:\.\d{1,2})*\.?\s+(?=[A-Z])")
_CHAPTER = re.compile(
    r"(?:chapter|part|section|appendix|kapitel|teil)\s+(?:\d+|[A-Z]\b|[IVX]+\b)", re.I
)
_WIDE_GAP_EM = 4.0


class Outline:
    """The headings above the current place of a document, and the size of its running text."""

    def __init__(self) -> None:
        self._sizes: Counter[float] = Counter()
        self._bold: Counter[bool] = Counter()
        self._stack: list[tuple[int, str]] = []
        self._levels: dict[tuple[float, bool, bool], int] = {}
        self._begun = False
        self._numbered = 0

    @property
    def section(self) -> str:
        """The headings above, outermost first."""
        return SEPARATOR.join(text for _, text in self._stack)

    @property
    def body(self) -> float:
        """The size of the running text so far, in points; 0 without text."""
        return self._sizes.most_common(1)[0][0] if self._sizes else 0.0

    def count(self, lines: Iterable[Line]) -> None:
        """Count the sizes of the lines of a page."""
        for line in lines:
            self._sizes[line.size] += line.chars
            self._bold[line.bold] += line.chars

    def takes(
        self, paragraph: Paragraph, before: Paragraph | None, after: Paragraph | None
    ) -> bool:
        """Return whether a paragraph is a heading; if so, it becomes that of the current place.

        `before` and `after` are the paragraphs around it.
        """
        text = " ".join(clean(line.text) for line in paragraph.lines)
        if not self._is_heading(paragraph, text, before, after):
            long = len(paragraph.lines) >= 3 and paragraph.size <= 1.05 * self.body
            self._begun = self._begun or long
            return False
        self._begun = True
        level = self._level(paragraph, text)
        while self._stack and self._stack[-1][0] >= level:
            self._stack.pop()
        self._stack.append((level, text[:_SHOWN_CHARS].rstrip(" .:")))
        return True

    def _is_heading(
        self, paragraph: Paragraph, text: str, before: Paragraph | None, after: Paragraph | None
    ) -> bool:
        lines = paragraph.lines
        if paragraph.notes or len(lines) > _MAX_LINES or len(text) > _MAX_CHARS:
            return False
        letters = sum(map(str.isalpha, text))
        if letters < 2 or 2 * letters < len(text.replace(" ", "")) or any(map(_has_gap, lines)):
            return False
        if _KNOWN.fullmatch(_without_number(text)) and len(lines) == 1:
            return True
        number = _number(text)
        if not self._begun and number is None:
            return False
        if text[-1] in ".,;" or (text[-1] == ":" and number is None):
            return False
        bold = paragraph.bold and self._bold[True] < self._bold[False]
        capitals = text == text.upper() and letters >= 4
        prose = after is not None and (
            sum(len(line.text) for line in after.lines) >= _PROSE_CHARS
            or _number_of(after) is not None
        )
        if (
            self._numbered > 1
            and number is None
            and self._style(paragraph, text) not in self._levels
        ):
            return False  # such as text in a figure: the document numbers its headings
        if paragraph.size >= _LARGE * self.body:
            return letters >= 3
        if number is not None and (bold or capitals or _has_small_capitals(lines[0])):
            return True
        mark = item_mark(paragraph)
        listed = mark and mark in (item_mark(other) for other in (before, after) if other)
        if number is not None:
            return len(lines) == 1 and len(text) <= 80 and prose and not listed
        if not prose or len(lines) > 2 or (paragraph.size < 0.95 * self.body and not capitals):
            return False
        return bold or (capitals and len(text) <= 60 and paragraph.size >= 0.95 * self.body)

    def _style(self, paragraph: Paragraph, text: str) -> tuple[float, bool, bool]:
        return paragraph.size, paragraph.bold, text == text.upper()

    def _level(self, paragraph: Paragraph, text: str) -> int:
        style = self._style(paragraph, text)
        level = _number(text)
        if level is not None:
            if _LETTER.match(text) and not _ROMAN.match(text) and not self._numbered:
                level -= 1  # sections that are lettered, as in an appendix
            else:
                self._numbered += level == 1
        elif _KNOWN.fullmatch(text):
            level = 1
        elif style in self._levels:
            level = self._levels[style]
        else:
            level = 1 + len({size for size, _, _ in self._levels if size > paragraph.size})
        self._levels.setdefault(style, level)
        return level


def is_plain_heading(text: str) -> bool:
    """Return whether a text heads a section of any document: "Abstract", or "1 Methods"."""
    short = len(text.split()) <= 5
    return _KNOWN.fullmatch(_without_number(text)) is not None or (
        short and (_DECIMAL.match(text) or _ROMAN.match(text)) is not None
    )


def _number(text: str) -> int | None:
    """Return the level of a numbered heading, None if it has no number."""
    if _CHAPTER.match(text):
        return 1
    decimal = _DECIMAL.match(text)
    if decimal:
        return 1 + decimal[1].count(".")
    if _ROMAN.match(text):
        return 1
    letter = _LETTER.match(text)
    return 2 + letter[0].rstrip(" .").count(".") if letter and "." in letter[0] else None


def _number_of(paragraph: Paragraph) -> int | None:
    return _number(clean(paragraph.lines[0].text))


def _without_number(text: str) -> str:
    for pattern in (_DECIMAL, _ROMAN, _LETTER):
        match = pattern.match(text)
        if match:
            return text[match.end() :]
    return text


def _has_gap(line: Line) -> bool:
    """Return whether a line has a gap as in a table or a list of contents."""
    return any(
        right.box[0] - left.box[2] > _WIDE_GAP_EM * line.size
        for left, right in zip(line.words, line.words[1:], strict=False)
    )


def _has_small_capitals(line: Line) -> bool:
    """Return whether a line is in capitals of two sizes."""
    text = line.text
    sizes = {round(word.size) for word in line.words}
    return text == text.upper() and len(sizes) > 1
