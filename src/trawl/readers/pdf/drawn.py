"""Turn the figures and tables of a page into parts: pictures, and passages of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trawl.readers.pdf.floats import Float
from trawl.readers.pdf.geometry import union
from trawl.readers.pdf.grids import markdown_of
from trawl.readers.pdf.lines import Line
from trawl.readers.pdf.objects import PageObject
from trawl.readers.pdf.pages import PageContent
from trawl.readers.pdf.words import clean
from trawl.types import Box, Picture, Region

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfPage

PAGE_DPI = 150
MAX_SIDE_PX = 1_800
"""The longer side of a page's picture."""

_DRAWN_PARTS, _DRAWN_SHARE = 8, 0.3
_PROSE_CHARS, _PROSE_LINES = 50, 4


def page_picture(page: PdfPage, dpi: int = PAGE_DPI, most_px: int = MAX_SIDE_PX) -> Image:
    """Return a page as an RGB picture. The caller holds `LOCK`."""
    scale = min(dpi / 72, most_px / max(*page.get_size(), 1.0))
    bitmap = page.render(scale=scale)
    try:
        image: Image = bitmap.to_pil().convert("RGB")
        return image
    finally:
        bitmap.close()


def is_drawing(page: PageContent, objects: Sequence[PageObject]) -> bool:
    """Return whether a page is a drawing or a slide rather than text: it is worth a picture.

    It has several drawn parts over much of its area, and hardly a line of running text.
    """
    drawn = [each.box for each in objects]
    prose = sum(line.chars > _PROSE_CHARS for line in page.lines)
    if len(drawn) < _DRAWN_PARTS or prose > _PROSE_LINES:
        return False
    left, top, right, bottom = union(drawn)
    return (right - left) * (bottom - top) > _DRAWN_SHARE * page.width * page.height


def figure(image: Image, box: Box, each: Float, number: int, section: str) -> Picture:
    """Return the picture of a figure, or of a table that is a picture itself.

    `box` is what `image` shows of the page.
    """
    return Picture(
        image,
        *image.size,
        caption=clean(each.caption),
        page=number,
        box=box,
        label=each.label,
        section=section,
        words=clean(each.words),
    )


def table_text(each: Float) -> str:
    """Return a table as its caption and its rows in Markdown; the first row is its head."""
    head = [clean(each.caption), ""] if each.caption else []
    return "\n".join([*head, markdown_of(each.rows)])


def table_region(each: Float, number: int) -> Region:
    """Return the region of a table with its caption."""
    boxes = [each.box] if each.caption_box is None else [each.box, each.caption_box]
    return Region(number, union(boxes))


def lines_in(lines: list[Line], floats: list[Float]) -> set[int]:
    """Return the ids of the lines that are inside of floats, or of their captions."""
    boxes = [box for each in floats for box in (each.box, each.caption_box) if box is not None]
    return {id(line) for line in lines if any(_is_in(line.box, box) for box in boxes)}


def _is_in(line: Box, box: Box) -> bool:
    """Return whether most of a line is inside a box."""
    width = min(line[2], box[2] + 1) - max(line[0], box[0] - 1)
    height = min(line[3], box[3] + 1) - max(line[1], box[1] - 1)
    area = (line[2] - line[0]) * (line[3] - line[1])
    return width > 0 and height > 0 and width * height > 0.6 * area
