"""A paper that is drawn by coordinates, and remembers where its figures and tables are.

Coordinates are PDF points from the top left of the page as shown.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pypdfium2 as pdfium
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from paper_layouts.drawings import draw_table
from paper_layouts.words import paragraph, wrapped

Box = tuple[float, float, float, float]
Draw = Callable[[Any, float, float], None]
"""Draws a picture on a canvas, from its own origin at the bottom left, in a width and a height."""

_INK_SCALE = 2.0


@dataclass(frozen=True)
class Pdf:
    """A picture that is a page of a PDF: placed as a Form XObject, as LaTeX does."""

    data: bytes


@dataclass(frozen=True)
class Truth:
    """A figure or table: its box holds its ink without the caption. `grid` are a table's cells."""

    page: int
    kind: Literal["figure", "table"]
    label: str
    caption: str
    box: Box
    grid: tuple[tuple[str, ...], ...] = ()


class Paper:
    """Pages in the making. `rotated` pages are stored upright and shown after a quarter turn."""

    def __init__(
        self,
        seed: int,
        *,
        width: float = 612,
        height: float = 792,
        rotated: bool = False,
        margin: float = 0,
        font: str = "Times-Roman",
        size: float = 10,
    ) -> None:
        self.width, self.height = width, height
        self.rotated, self.margin = rotated, margin
        self.font, self.size = font, size
        self.truths: list[Truth] = []
        self.rng = random.Random(seed)
        self.page = 1
        self.turned = False
        self._buffer = io.BytesIO()
        stored = (height, width) if rotated else (width + 2 * margin, height + 2 * margin)
        self.canvas = Canvas(self._buffer, pagesize=stored, invariant=1)
        self._placed: list[tuple[int, Pdf, Box]] = []
        self._written: list[tuple[int, float, float, str, str, float]] = []
        self._is_scan = False
        self._orient(self.canvas)

    # Text

    def prose(
        self, x: float, top: float, width: float, bottom: float, *, starts: Sequence[str] = ()
    ) -> float:
        """Fill a column with justified paragraphs, which begin with `starts` where given."""
        leading, beginnings = self.size * 1.2, list(starts)
        while top + leading <= bottom:
            text = paragraph(self.rng)
            if beginnings:
                text = f"{beginnings.pop(0)} {text[0].lower()}{text[1:]}"
            lines = wrapped(text, self.font, self.size, width, indent=self.size)
            for number, line in enumerate(lines):
                if top + leading > bottom:
                    break
                indent = self.size if number == 0 else 0.0
                last = number == len(lines) - 1
                self._justified(x + indent, top, width - indent, line, last)
                top += leading
        return top

    def text(
        self,
        x: float,
        top: float,
        string: str,
        *,
        size: float = 0,
        font: str = "",
        align: str = "l",
    ) -> float:
        """Draw one line from its top and return its bottom."""
        size, font = size or self.size, font or self.font
        shift = {"l": 0.0, "c": 0.5, "r": 1.0}[align] * stringWidth(string, font, size)
        self.canvas.setFont(font, size)
        baseline = self.height - top - size * 0.8
        self.canvas.drawString(x - shift, baseline, string)
        self._written.append((self.page - 1, x - shift, baseline, string, font, size))
        return top + size * 1.2

    def heading(self, x: float, top: float, string: str) -> float:
        return self.text(x, top + 6, string, size=self.size + 2, font="Helvetica-Bold") + 3

    def caption(
        self,
        x: float,
        top: float,
        width: float,
        text: str,
        *,
        size: float = 9,
        font: str = "",
        bold: str = "",
        centered: bool = False,
    ) -> float:
        """Draw a caption. Its beginning `bold` is in bold face."""
        font = font or self.font
        for number, line in enumerate(wrapped(text, font, size, width * 0.98)):
            start = x
            if centered:
                start = x + (width - stringWidth(line, font, size)) / 2
            if number == 0 and bold:
                face = "Times-Bold" if font.startswith("Times") else "Helvetica-Bold"
                self.text(start, top, bold, size=size, font=face)
                start += stringWidth(bold, face, size)
                line = line[len(bold) :]
            top = self.text(start, top, line, size=size, font=font)
        return top

    # Floats

    def picture(self, x: float, top: float, width: float, height: float, draw: Draw | Pdf) -> Box:
        """Draw a picture and return the box of its ink."""
        if isinstance(draw, Pdf):
            self._placed.append((self.page - 1, draw, (x, top, x + width, top + height)))
        else:
            with self._at(self.canvas, x, top + height):
                draw(self.canvas, width, height)
        return self._ink(x, top, width, height, draw)

    def figure(
        self,
        x: float,
        top: float,
        width: float,
        height: float,
        draw: Draw | Pdf,
        label: str,
        caption: str,
        *,
        above: bool = False,
        gap: float = 8,
        column: tuple[float, float] | None = None,
        **look: Any,
    ) -> float:
        """Draw a figure with its caption, in the column (x, width) if given; return the bottom."""
        caption_x, caption_width = column or (x, width)
        if above:
            top = self.caption(caption_x, top, caption_width, caption, **look) + gap
        box = self.picture(x, top, width, height, draw)
        self._remember("figure", label, caption, box)
        bottom = top + height
        if not above:
            bottom = self.caption(caption_x, bottom + gap, caption_width, caption, **look)
        return bottom

    def table(
        self,
        x: float,
        top: float,
        width: float,
        rows: Sequence[Sequence[str]],
        label: str,
        caption: str | tuple[str, ...],
        *,
        style: str = "booktabs",
        below: bool = False,
        size: float = 8,
        gap: float = 4,
        column: tuple[float, float] | None = None,
        align: str = "l",
        **look: Any,
    ) -> float:
        """Draw a table with its caption (a pair of strings is on two lines); return the bottom."""
        grid = tuple(tuple(row) for row in rows)
        height = len(rows) * size * 1.4 + 4
        caption_x, caption_width = column or (x, width)
        lines = (caption,) if isinstance(caption, str) else caption
        if not below:
            for line in lines:
                top = self.caption(caption_x, top, caption_width, line, **look)
            top += gap

        def draw(canvas: Any, width: float, height: float) -> None:
            draw_table(canvas, width, height, grid, style, size, align, self.font)

        box = self.picture(x, top, width, height, draw)
        self._remember("table", label, " ".join(lines), box, grid)
        bottom = top + height
        if below:
            bottom += gap
            for line in lines:
                bottom = self.caption(caption_x, bottom, caption_width, line, **look)
        return bottom

    def image(self, x: float, top: float, width: float, height: float, pixels: Any) -> None:
        """Draw a picture that is no figure, such as a logo."""
        with self._at(self.canvas, x, top + height):
            self.canvas.drawImage(ImageReader(pixels), 0, 0, width, height)

    def box(self, x: float, top: float, width: float, height: float, *, fill: str = "") -> None:
        """Draw a rectangle, filled with a colour "r g b" or stroked."""
        with self._at(self.canvas, x, top + height):
            if fill:
                self.canvas.setFillColorRGB(*map(float, fill.split()))
                self.canvas.rect(0, 0, width, height, stroke=0, fill=1)
                self.canvas.setFillColorRGB(0, 0, 0)
            else:
                self.canvas.rect(0, 0, width, height)

    def placed_figure(
        self, x: float, top: float, width: float, height: float, draw: Draw, label: str, text: str
    ) -> None:
        """Draw a figure whose caption is drawn already."""
        box = self.picture(x, top, width, height, draw)
        self._remember("figure", label, text, box)

    def placed_table(
        self,
        x: float,
        top: float,
        width: float,
        rows: Sequence[Sequence[str]],
        label: str,
        text: str,
        *,
        size: float = 8,
    ) -> float:
        """Draw a table whose caption is drawn already, and return its bottom."""
        bottom = self.table(x, top, width, rows, label, (), gap=0, size=size)
        self.truths[-1] = replace(self.truths[-1], caption=text)
        return bottom

    def next_page(self, *, turned: bool = False) -> None:
        """Begin a page. The text of a `turned` page reads upwards, and its sides swap."""
        self.canvas.showPage()
        self.page += 1
        if turned != self.turned:
            self.width, self.height = self.height, self.width
            self.turned = turned
        self._orient(self.canvas)

    def scanned(self) -> Paper:
        """Return the paper as a scan: a picture of each page, with its text, which is hidden."""
        self._is_scan = True
        return self

    def pdf(self) -> bytes:
        """Return the finished file."""
        self.canvas.save()
        document = pdfium.PdfDocument(self._buffer.getvalue())
        for index, picture, box in self._placed:
            _place(document, index, picture, self._stored(box))
        if self._is_scan:
            document = self._scan(document)
        for page in document:
            if self.rotated:
                page.set_rotation(90)
            if self.margin:
                m = self.margin
                page.set_cropbox(m, m, m + self.width, m + self.height)
        out = io.BytesIO()
        document.save(out)
        return out.getvalue()

    # Drawing

    def _remember(
        self,
        kind: Literal["figure", "table"],
        label: str,
        text: str,
        box: Box,
        grid: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        if self.turned:
            left, top, right, bottom = box
            box = top, self.width - right, bottom, self.width - left
        self.truths.append(Truth(self.page, kind, label, text, box, grid))

    def _scan(self, document: pdfium.PdfDocument) -> pdfium.PdfDocument:
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(self.width, self.height))
        for index, page in enumerate(document):
            image = page.render(scale=150 / 72).to_pil()
            canvas.drawImage(ImageReader(image), 0, 0, self.width, self.height)
            for at, x, y, string, font, size in self._written:
                if at == index:
                    text = canvas.beginText(x, y)
                    text.setFont(font, size)
                    text.setTextRenderMode(3)
                    text.textLine(string)
                    canvas.drawText(text)
            canvas.showPage()
        canvas.save()
        return pdfium.PdfDocument(buffer.getvalue())

    def _orient(self, canvas: Any) -> None:
        if self.turned:
            canvas.transform(0, 1, -1, 0, self.height, 0)
        if self.rotated:  # shown (x, y from the bottom) is stored at (height - y, x)
            canvas.transform(0, 1, -1, 0, self.height, 0)
        canvas.translate(self.margin, self.margin)

    def _stored(self, box: Box) -> Box:
        """Return a box from the bottom left of the stored page."""
        assert not self.rotated, "a Pdf picture on a rotated page is not supported"
        left, top, right, bottom = box
        m = self.margin
        return left + m, self.height - bottom + m, right + m, self.height - top + m

    @contextmanager
    def _at(self, canvas: Any, x: float, bottom: float) -> Iterator[None]:
        canvas.saveState()
        canvas.translate(x, self.height - bottom)
        yield
        canvas.restoreState()

    def _justified(self, x: float, top: float, width: float, line: str, last: bool) -> None:
        spaces = line.count(" ")
        free = width - stringWidth(line, self.font, self.size)
        baseline = self.height - top - self.size * 0.8
        self._written.append((self.page - 1, x, baseline, line, self.font, self.size))
        text = self.canvas.beginText(x, baseline)
        text.setFont(self.font, self.size)
        text.setWordSpace(0 if last or not spaces else free / spaces)
        text.textLine(line)
        text.setWordSpace(0)
        self.canvas.drawText(text)

    def _ink(self, x: float, top: float, width: float, height: float, draw: Draw | Pdf) -> Box:
        """Return the box of a picture's ink, by drawing it alone with some space around."""
        space = 40.0
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=(width + 2 * space, height + 2 * space))
        canvas.translate(space, space)
        if not isinstance(draw, Pdf):
            draw(canvas, width, height)
        canvas.showPage()
        canvas.save()
        document = pdfium.PdfDocument(buffer.getvalue())
        if isinstance(draw, Pdf):
            _place(document, 0, draw, (space, space, space + width, space + height))
        pixels = document[0].render(scale=_INK_SCALE).to_numpy()
        rows, columns = np.nonzero(pixels.min(axis=2) < 250)
        left, right = columns.min() / _INK_SCALE, (columns.max() + 1) / _INK_SCALE
        upper, lower = rows.min() / _INK_SCALE, (rows.max() + 1) / _INK_SCALE
        dx, dy = x - space, top - space
        return float(left + dx), float(upper + dy), float(right + dx), float(lower + dy)


def _place(document: pdfium.PdfDocument, index: int, picture: Pdf, box: Box) -> None:
    """Place a page of another PDF in a box from the bottom left."""
    source = pdfium.PdfDocument(picture.data)
    width, height = source[0].get_size()
    placed = source.page_as_xobject(0, document).as_pageobject()
    left, bottom, right, top = box
    matrix = pdfium.PdfMatrix().scale((right - left) / width, (top - bottom) / height)
    placed.set_matrix(matrix.translate(left, bottom))
    page = document[index]
    page.insert_obj(placed)
    page.gen_content()
