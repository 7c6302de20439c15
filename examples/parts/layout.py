"""Lay out a short article in two columns as PDF, and draw its vector figures, with reportlab."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image as Pillow
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    KeepTogether,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Table,
    TableStyle,
)

PAGE_WIDTH, PAGE_HEIGHT = A4
MARGIN, GUTTER, TOP, BOTTOM = 54.0, 18.0, 62.0, 60.0
COLUMN = (PAGE_WIDTH - 2 * MARGIN - GUTTER) / 2
WIDE = PAGE_WIDTH - 2 * MARGIN

# 2026-11-26, in seconds since 1970. The files must not differ from build to build.
_CREATED = "1795651200"

_BODY = ParagraphStyle(
    "body", fontName="Times-Roman", fontSize=9.6, leading=11.6, alignment=TA_JUSTIFY,
    firstLineIndent=10,
)  # fmt: skip
_FIRST = ParagraphStyle("first", _BODY, firstLineIndent=0)
_HEADING = ParagraphStyle(
    "heading", fontName="Helvetica-Bold", fontSize=10.5, leading=13, spaceBefore=9, spaceAfter=3
)
_CAPTION = ParagraphStyle(
    "caption", fontName="Times-Roman", fontSize=8.4, leading=10, spaceBefore=4, spaceAfter=9
)
_ABOVE = ParagraphStyle("above", _CAPTION, spaceBefore=8, spaceAfter=3)
_TITLE = ParagraphStyle(
    "title", fontName="Helvetica-Bold", fontSize=17, leading=21, alignment=TA_CENTER, spaceAfter=6
)
_AUTHOR = ParagraphStyle(
    "author", fontName="Times-Roman", fontSize=10.5, leading=13, alignment=TA_CENTER, spaceAfter=8
)
_ABSTRACT = ParagraphStyle(
    "abstract", _BODY, leftIndent=24, rightIndent=24, firstLineIndent=0, fontSize=9.2, leading=11
)
_REFERENCE = ParagraphStyle(
    "reference", _FIRST, fontSize=8.4, leading=10, leftIndent=12, firstLineIndent=-12
)


@dataclass(frozen=True, slots=True)
class Article:
    """An article: `body` holds headings, paragraphs, figures and tables in order.

    `wide` is a figure over both columns at the top of the second page, with its caption.
    """

    title: str
    author: str
    running: str
    abstract: str
    body: Sequence[Flowable | Sequence[Flowable]]
    wide: Sequence[Flowable] = ()
    keywords: Sequence[str] = field(default_factory=tuple)


def pdf(article: Article) -> bytes:
    """Return the article as a PDF file. Equal articles have equal bytes."""
    os.environ["SOURCE_DATE_EPOCH"] = _CREATED
    out = io.BytesIO()
    document = BaseDocTemplate(
        out, pagesize=A4, invariant=1, title=article.title, author=article.author,
        keywords=list(article.keywords), subject=article.keywords[0],
    )  # fmt: skip
    height = PAGE_HEIGHT - TOP - BOTTOM
    opening = [
        Paragraph(article.title, _TITLE),
        Paragraph(article.author, _AUTHOR),
        Paragraph(f"<b>Abstract.</b> {' '.join(article.abstract.split())}", _ABSTRACT),
    ]
    head = sum(each.wrap(WIDE, height)[1] + each.getSpaceAfter() for each in opening) + 16
    wide = sum(each.wrap(WIDE, height)[1] + each.getSpaceBefore() for each in article.wide)
    wide += 14 if article.wide else 0

    def decorate(canvas: Canvas, template: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setFont("Times-Italic", 8.5)
        canvas.drawString(MARGIN, PAGE_HEIGHT - 40, article.running)
        canvas.drawRightString(PAGE_WIDTH - MARGIN, PAGE_HEIGHT - 40, "Trawl example collection")
        canvas.setFont("Times-Roman", 8.5)
        canvas.drawCentredString(PAGE_WIDTH / 2, 34, str(template.page))
        canvas.restoreState()

    def decorate_second(canvas: Canvas, template: BaseDocTemplate) -> None:
        decorate(canvas, template)
        y = PAGE_HEIGHT - TOP
        for each in article.wide:
            y -= each.wrapOn(canvas, WIDE, height)[1] + each.getSpaceBefore()
            each.drawOn(canvas, MARGIN, y)

    def columns(space: float) -> list[Frame]:
        return [
            Frame(x, BOTTOM, COLUMN, height - space, 0, 0, 0, 0)
            for x in (MARGIN, MARGIN + COLUMN + GUTTER)
        ]

    top = Frame(MARGIN, PAGE_HEIGHT - TOP - head, WIDE, head + 14, 0, 0, 0, 0)
    document.addPageTemplates(
        [
            PageTemplate("first", [top, *columns(head)], onPage=decorate),
            PageTemplate("second", columns(wide), onPage=decorate_second),
            PageTemplate("later", columns(0), onPage=decorate),
        ]
    )
    story: list[Flowable] = [
        NextPageTemplate(["second", "later", "later", "later"]),
        *opening,
        FrameBreak(),
    ]
    for block in article.body:
        story.append(block if isinstance(block, Flowable) else KeepTogether(list(block)))
    document.build(story)
    return out.getvalue()


# --- blocks ----------------------------------------------------------------------------


def heading(text: str) -> Paragraph:
    return Paragraph(text, ParagraphStyle("heading", _HEADING, keepWithNext=1))


def text(*paragraphs: str) -> list[Paragraph]:
    """Return paragraphs; the first is not indented."""
    return [
        Paragraph(" ".join(each.split()), _BODY if place else _FIRST)
        for place, each in enumerate(paragraphs)
    ]


def references(*entries: str) -> list[Paragraph]:
    return [Paragraph(f"[{n}] {entry}", _REFERENCE) for n, entry in enumerate(entries, start=1)]


def caption(label: str, words: str) -> Paragraph:
    return Paragraph(f"<b>{label}</b> {' '.join(words.split())}", _CAPTION)


def table(label: str, words: str, rows: Sequence[Sequence[str]]) -> list[Flowable]:
    """Return a table with rules and its caption above it."""
    style = [
        ("FONT", (0, 0), (-1, 0), "Times-Bold", 8.6),
        ("FONT", (0, 1), (-1, -1), "Times-Roman", 8.6),
        ("LINEABOVE", (0, 0), (-1, 0), 0.9, colors.black),
        ("LINEBELOW", (0, 0), (-1, 0), 0.5, colors.black),
        ("LINEBELOW", (0, -1), (-1, -1), 0.9, colors.black),
        ("ALIGN", (1, 0), (-1, -1), "CENTER"),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    above = Paragraph(f"<b>{label}</b> {' '.join(words.split())}", _ABOVE)
    return [above, Table([list(row) for row in rows], style=TableStyle(style), spaceAfter=10)]


class Picture(Flowable):
    """A raster picture, stored as JPEG."""

    def __init__(self, picture: Pillow.Image, width: float, quality: int = 82) -> None:
        super().__init__()
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        self._reader = ImageReader(io.BytesIO(out.getvalue()))
        self.width, self.height = width, width * picture.height / picture.width

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        self.canv.drawImage(self._reader, 0, 0, self.width, self.height)


class Drawing(Flowable):
    """A vector figure: `draw` gets the canvas, with the origin at the lower left of the figure."""

    def __init__(self, width: float, height: float, draw: Callable[[Canvas], None]) -> None:
        super().__init__()
        self.width, self.height = width, height
        self._paint = draw

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        self._paint(self.canv)


@dataclass(slots=True)
class Axes:
    """Axes of a plot in a vector figure, in points."""

    canvas: Canvas
    box: tuple[float, float, float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self.box
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        return left + across * (right - left), bottom + up * (top - bottom)

    def frame(
        self, x_label: str, y_label: str, x_ticks: Sequence[float], y_ticks: Sequence[float]
    ) -> None:
        left, bottom, right, top = self.box
        pen = self.canvas
        pen.setStrokeColor(colors.black)
        pen.setFillColor(colors.black)
        pen.setLineWidth(0.7)
        pen.rect(left, bottom, right - left, top - bottom)
        pen.setFont("Helvetica", 6.8)
        for value in x_ticks:
            x, _ = self.at(value, self.y_range[0])
            pen.line(x, bottom, x, bottom + 3)
            pen.drawCentredString(x, bottom - 9, f"{value:g}")
        for value in y_ticks:
            _, y = self.at(self.x_range[0], value)
            pen.line(left, y, left + 3, y)
            pen.drawRightString(left - 3, y - 2.4, f"{value:g}")
        pen.setFont("Helvetica", 7.4)
        pen.drawCentredString((left + right) / 2, bottom - 20, x_label)
        pen.saveState()
        pen.translate(left - 24, (bottom + top) / 2)
        pen.rotate(90)
        pen.drawCentredString(0, 0, y_label)
        pen.restoreState()

    def curve(self, points: Sequence[tuple[float, float]], colour: str, dash: bool = False) -> None:
        pen = self.canvas
        pen.setStrokeColor(colors.HexColor(colour))
        pen.setLineWidth(1.1)
        pen.setDash(3, 2) if dash else pen.setDash()
        path = pen.beginPath()
        path.moveTo(*self.at(*points[0]))
        for point in points[1:]:
            path.lineTo(*self.at(*point))
        pen.drawPath(path)
        pen.setDash()

    def dots(self, points: Sequence[tuple[float, float]], colour: str, error: float = 0.0) -> None:
        pen = self.canvas
        pen.setStrokeColor(colors.HexColor(colour))
        pen.setFillColor(colors.HexColor(colour))
        pen.setLineWidth(0.7)
        for x, y in points:
            across, up = self.at(x, y)
            if error:
                pen.line(across, self.at(x, y - error)[1], across, self.at(x, y + error)[1])
            pen.circle(across, up, 2.0, stroke=0, fill=1)

    def key(self, x: float, y: float, entries: Sequence[tuple[str, str]]) -> None:
        """Draw a legend of (words, colour) down from a point of the figure."""
        pen = self.canvas
        pen.setFont("Helvetica", 6.8)
        for place, (words, colour) in enumerate(entries):
            pen.setStrokeColor(colors.HexColor(colour))
            pen.setLineWidth(1.6)
            pen.line(x, y - 9 * place, x + 10, y - 9 * place)
            pen.setFillColor(colors.black)
            pen.drawString(x + 13, y - 9 * place - 2.3, words)
