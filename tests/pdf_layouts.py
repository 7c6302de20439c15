"""Documents of several layouts, drawn with reportlab in an order that is not that of reading.

Each layout returns the PDF and its paragraphs in the order of reading. Lines of all columns are
drawn from the top of the page, row by row, as some producers do.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from typing import NamedTuple

from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = 612, 792

_WORDS = re.findall(
    r"\w+",
    "muon detector field signal energy track photon magnet sample crystal surface layer phase "
    "model value method result early late strong weak narrow broad linear random sparse dense "
    "recent first measured observed computed shown given found compared reduced placed moved "
    "cooled heated the a of in on with under above between near after before for and or but as "
    "it they we each both",
)


class Drawn(NamedTuple):
    """A line of text to draw; `y` is the distance of the baseline from the top."""

    text: str
    x: float
    y: float
    size: float
    font: str


class Page:
    """Collects lines, and draws them row by row."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[Drawn] = []
        self.paragraphs: list[str] = []

    def sentence(self, words: int) -> str:
        chosen = self.random.choices(_WORDS, k=words)
        return " ".join(chosen).capitalize() + "."

    def column(self, x: float, top: float, width: float, bottom: float, size: float = 10.0) -> None:
        """Fill a column with paragraphs of several lines."""
        y = top
        while y + 5 * 1.2 * size < bottom:
            text = self.sentence(self.random.randint(30, 60))
            y = self.paragraph(text, x, y, width, size, bottom) + 0.8 * size

    def paragraph(
        self,
        text: str,
        x: float,
        top: float,
        width: float,
        size: float = 10.0,
        bottom: float = HEIGHT,
        font: str = "Times-Roman",
    ) -> float:
        """Set a paragraph, and return the height of its last baseline."""
        rows: list[str] = [""]
        for word in text.split():
            longer = f"{rows[-1]} {word}".strip()
            if stringWidth(longer, font, size) > width:
                rows.append(word)
            else:
                rows[-1] = longer
        y = top
        kept = []
        for row in rows:
            y += 1.2 * size
            if y > bottom:
                break
            self.lines.append(Drawn(row, x, y, size, font))
            kept.append(row)
        self.paragraphs.append(" ".join(kept))
        return y

    def draw(self, canvas: Canvas, rotation: int = 0) -> None:
        if rotation:
            canvas.setPageRotation(rotation)  # the page keeps its size as shown
        for line in sorted(self.lines, key=lambda line: (line.y, line.x)):
            canvas.saveState()
            if rotation == 90:
                canvas.translate(line.y, line.x)
            elif rotation == 180:
                canvas.translate(WIDTH - line.x, line.y)
            else:
                canvas.translate(line.x, HEIGHT - line.y)
            canvas.rotate(rotation)
            canvas.setFont(line.font, line.size)
            canvas.drawString(0, 0, line.text)
            canvas.restoreState()
        canvas.showPage()


def _title(page: Page) -> float:
    y = page.paragraph("A broad study of narrow things", 150, 60, 400, 20, font="Times-Bold")
    return page.paragraph(page.sentence(60), 100, y + 10, 412) + 14


def two_columns(page: Page) -> None:
    page.column(54, 60, 240, 730)
    page.column(318, 60, 240, 730)


def three_columns(page: Page) -> None:
    for column in range(3):
        page.column(48 + 180 * column, 60, 160, 730, 9)


def title_over_columns(page: Page) -> None:
    y = _title(page)
    page.column(54, y, 240, 730)
    page.column(318, y, 240, 730)


def misaligned_columns(page: Page) -> None:
    page.column(54, 60, 240, 730)
    page.column(318, 64.7, 240, 730, 10.5)


def mixed_columns(page: Page) -> None:
    """Two columns, then a wide paragraph, then three columns."""
    page.column(54, 60, 240, 290)
    page.column(318, 60, 240, 290)
    y = page.paragraph(page.sentence(70), 54, 310, 504) + 14
    for column in range(3):
        page.column(54 + 174 * column, y, 156, 730, 9)


def margin_notes(page: Page) -> None:
    """A wide column, and small notes in the right margin beside it."""
    page.column(54, 60, 370, 730)
    main, page.paragraphs = page.paragraphs, []
    for top in (120, 300, 520):
        page.paragraph(page.sentence(14), 446, top, 110, 8)
    page.paragraphs = main + page.paragraphs


def footnotes(page: Page) -> None:
    """Two columns with footnotes under each; the text goes on in the second column."""
    page.column(54, 60, 240, 660)
    left = page.paragraphs
    page.paragraphs = []
    page.paragraph("1 " + page.sentence(16), 54, 690, 240, 8)
    note, page.paragraphs = page.paragraphs, []
    page.column(318, 60, 240, 660)
    right, page.paragraphs = page.paragraphs, []
    page.paragraph("2 " + page.sentence(16), 318, 690, 240, 8)
    page.paragraphs = left + right + note + page.paragraphs


LAYOUTS: dict[str, tuple[Callable[[Page], None], int]] = {
    "two columns": (two_columns, 0),
    "three columns": (three_columns, 0),
    "title over columns": (title_over_columns, 0),
    "misaligned columns": (misaligned_columns, 0),
    "mixed columns": (mixed_columns, 0),
    "margin notes": (margin_notes, 0),
    "footnotes": (footnotes, 0),
    "turned page": (two_columns, 90),
    "page upside down": (title_over_columns, 180),
}
"""The function that fills a page, and the page's rotation, by name."""


def drawn(name: str, seed: int = 1) -> tuple[bytes, list[str]]:
    """Return a PDF of one page in a layout, and its paragraphs in the order of reading."""
    fill, rotation = LAYOUTS[name]
    page = Page(seed)
    fill(page)
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(WIDTH, HEIGHT))
    page.draw(canvas, rotation)
    canvas.save()
    return stream.getvalue(), page.paragraphs
