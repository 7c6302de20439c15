"""Draw a page of a PDF, or a figure of it, as a person sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trawl.errors import ReadError
from trawl.readers.pdf.cutouts import cut_out
from trawl.readers.pdf.document import open_document
from trawl.readers.pdf.pages import LOCK
from trawl.types import Box

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfPage

_MOST_HEIGHT_PX = 4_000
_MARK = (11, 106, 116)
"""The accent colour of the page (`web/tokens.css`), on paper."""
_FILL, _EDGE = 46, 190
_AROUND_PT = 2.0


def draw_page(path: Path, number: int, boxes: Sequence[Box], width_px: int) -> Image:
    """Return a page as RGB, with boxes marked. Pages count from 1.

    It is `width_px` wide, or narrower if it is very long. Raises `ReadError` if the document
    cannot be opened or has no such page.
    """

    def draw(page: PdfPage) -> Image:
        width, height = page.get_size()
        scale = min(width_px / max(width, 1.0), _MOST_HEIGHT_PX / max(height, 1.0))
        bitmap = page.render(scale=scale)
        try:
            image: Image = bitmap.to_pil().convert("RGB")
        finally:
            bitmap.close()
        _mark(image, boxes, scale)
        return image

    return _on_page(path, number, draw)


def draw_figure(path: Path, number: int, box: Box, small: Image | None) -> Image:
    """Return the figure in a box of a page as RGB. Raises `ReadError`.

    A figure that lies sideways is turned as `small`, its thumbnail, is.
    """
    image = _on_page(path, number, lambda page: cut_out(page, box)[0])
    is_wide, was_wide = (one is not None and one.width > one.height for one in (image, small))
    if small is None or is_wide == was_wide:
        return image
    turned = [image.rotate(angle, expand=True) for angle in (90, 270)]
    return min(turned, key=lambda one: _difference(one, small))


def _on_page(path: Path, number: int, draw: Callable[[PdfPage], Image]) -> Image:
    with LOCK:
        document = open_document(path)
        try:
            if not 1 <= number <= len(document):
                raise ReadError(f"has no page {number}; its pages are 1 to {len(document)}")
            page = document[number - 1]
            try:
                return draw(page)
            finally:
                page.close()
        finally:
            document.close()


def _mark(image: Image, boxes: Sequence[Box], scale: float) -> None:
    from PIL import ImageDraw

    pen = ImageDraw.Draw(image, "RGBA")
    line = max(1, round(image.width / 500))
    for left, top, right, bottom in boxes:
        corners = (
            max(0.0, (left - _AROUND_PT) * scale),
            max(0.0, (top - _AROUND_PT) * scale),
            min(image.width - 1.0, (right + _AROUND_PT) * scale),
            min(image.height - 1.0, (bottom + _AROUND_PT) * scale),
        )
        if corners[0] < corners[2] and corners[1] < corners[3]:
            pen.rounded_rectangle(
                corners, 2 * line, fill=(*_MARK, _FILL), outline=(*_MARK, _EDGE), width=line
            )


def _difference(one: Image, other: Image) -> float:
    first, second = (
        np.asarray(image.convert("L").resize((24, 24)), np.float32) for image in (one, other)
    )
    return float(np.abs(first - second).mean())
