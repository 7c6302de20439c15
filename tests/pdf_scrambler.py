"""Redraw a PDF's text row by row across its columns, and measure the order of reading.

OCR layers and some producers write text in that order. LaTeX writes it in the order of reading,
from which the measure takes the lines that follow each other.
"""

from __future__ import annotations

import io
import itertools
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
import pypdfium2
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from trawl.readers.pdf.lines import leftwards
from trawl.readers.pdf.pages import LOCK, read_page

LEAST_CHARS = 12


class Row(NamedTuple):
    """A line as the file holds it: letters and digits alone, and its box from the bottom left."""

    letters: str
    left: float
    bottom: float
    right: float
    top: float


def scrambled(path: Path) -> bytes:
    """Return a PDF with the words of another one at their places, in the order of rows.

    Words at one height follow each other, whatever column they are of. Figures are left out, as
    is text that is not level.
    """
    font = _font()
    stream = io.BytesIO()
    canvas = Canvas(stream)
    with LOCK:
        document = pypdfium2.PdfDocument(path)
        for number, page in enumerate(document, start=1):
            content = read_page(page, number)
            page.close()
            canvas.setPageSize((content.width, content.height))
            words = [word for line in content.lines for word in line.words if word.angle == 0]
            for word in sorted(words, key=lambda word: (round(word.baseline / 4), word.box[0])):
                drawn = canvas.beginText(word.box[0], content.height - word.baseline)
                drawn.setFont(font, word.size)
                natural = pdfmetrics.stringWidth(word.text, font, word.size)
                drawn.setHorizScale(100 * (word.box[2] - word.box[0]) / natural)
                # The canvas draws from left to right whatever the script.
                drawn.textOut(word.text[::-1] if leftwards(word.text) else word.text)
                canvas.drawText(drawn)
            canvas.showPage()
        document.close()
    canvas.save()
    return stream.getvalue()


def neighbours(path: Path) -> list[tuple[str, str]]:
    """Return the (end, beginning) of lines that follow each other in one column.

    They are taken from the order of the file, which must be that of reading, as LaTeX writes it.
    """
    pairs = []
    with LOCK:
        document = pypdfium2.PdfDocument(path)
        for page in document:
            for above, below in itertools.pairwise(_rows(page)):
                height = above.top - above.bottom
                shared = min(above.right, below.right) - max(above.left, below.left)
                near = 0 < above.bottom - below.bottom < 2.5 * height
                long = min(len(above.letters), len(below.letters)) >= LEAST_CHARS
                if near and long and shared > 0.3 * (above.right - above.left):
                    pairs.append((above.letters[-LEAST_CHARS:], below.letters[:LEAST_CHARS]))
            page.close()
        document.close()
    return pairs


def kept(pairs: list[tuple[str, str]], text: str) -> list[bool]:
    """Return which pairs of lines follow each other in a text."""
    letters = letters_of(text)
    return [end + beginning in letters for end, beginning in pairs]


def letters_of(text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text)))


def _rows(page: pypdfium2.PdfPage) -> list[Row]:
    textpage = page.get_textpage()
    rows: list[Row] = []
    text, boxes = "", []
    for index in range(textpage.count_chars()):
        char = textpage.get_text_range(index, 1)
        if char in ("\r", "\n", "\r\n"):
            if boxes:
                rows.append(_row(text, boxes))
            text, boxes = "", []
        elif char.strip():
            text += char
            boxes.append(textpage.get_charbox(index))
    if boxes:
        rows.append(_row(text, boxes))
    textpage.close()
    return rows


def _row(text: str, boxes: list[tuple[float, float, float, float]]) -> Row:
    left, bottom, right, top = zip(*boxes, strict=True)
    return Row(letters_of(text), min(left), min(bottom), max(right), max(top))


@cache
def _font() -> str:
    """Register a font with most letters, which matplotlib brings along."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    pdfmetrics.registerFont(TTFont("scrambled", path))
    return "scrambled"
