"""The text of pages that are pictures, recognised by an OCR engine."""

from __future__ import annotations

from statistics import median

from PIL.Image import Image

from trawl.readers.ocr import OcrEngine, OcrLine, OcrPage
from trawl.readers.pdf.lines import Line, Word
from trawl.readers.pdf.pages import PageContent

OCR_DPI = 200
OCR_MAX_PX = 7_200
"""The longer side of a picture that is recognised."""
_LIKE_MEDIAN = 0.35
"""A line whose height is this near the median has the page's size: letters differ in height."""
_EM = 0.95
"""The height of a line, from ascenders to descenders, in font sizes."""


def recognise(engine: OcrEngine, image: Image, content: PageContent) -> tuple[PageContent, Image]:
    """Return a page with the lines that an engine finds in its picture, and the picture upright."""
    dpi = round(72 * image.width / content.width)
    page = engine.page(image, dpi)
    scale = 72 / dpi
    width, height = (side * scale for side in page.image.size)
    lines = [_line(line, scale, size) for line, size in _sized(page, scale)]
    characters = sum(line.chars for line in lines)
    return PageContent(content.number, width, height, lines, characters), page.image


def _sized(page: OcrPage, scale: float) -> list[tuple[OcrLine, float]]:
    """Return the lines with their font sizes in points."""
    heights = [(line.box[3] - line.box[1]) * scale / _EM for line in page.lines]
    usual = median(heights) if heights else 0.0
    return [
        (line, usual if abs(height - usual) <= _LIKE_MEDIAN * usual else height)
        for line, height in zip(page.lines, heights, strict=True)
    ]


def _line(line: OcrLine, scale: float, size: float) -> Line:
    left, top, right, bottom = (round(side * scale, 2) for side in line.box)
    box = (left, top, right, bottom)
    words = [Word(word, box, size, baseline=bottom) for word in line.text.split()]
    return Line(words, line.text, box, size, False, 0, bottom)
