"""Cut figures out of pages, by rendering them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trawl.readers.pdf.geometry import Box

if TYPE_CHECKING:
    from PIL.Image import Image
    from pypdfium2 import PdfPage

_MOST_DPI, _LEAST_DPI = 200.0, 150.0
_SIDE_PX = 1_000.0
"""The longer side that a picture has, as far as the resolutions allow."""
MAX_SIDE_PX = 2_400
"""The longer side of a picture that is large on its page; its resolution is lower."""
_AROUND_PT = 2.0
_INK = 250
_BORDER_PX = 4


def cut_out(page: PdfPage, box: Box, angle: int = 0) -> tuple[Image, Box]:
    """Return the picture in a box of a page, as RGB, and the box of its ink.

    `box` is in points from the top left of the page as shown. The result is cut to its ink, with
    a narrow white border, and turned so that text at `angle` is level. The caller holds
    `pages.LOCK`.
    """
    from PIL import Image

    width, height = page.get_size()
    left, top = max(box[0] - _AROUND_PT, 0.0), max(box[1] - _AROUND_PT, 0.0)
    right, bottom = min(box[2] + _AROUND_PT, width), min(box[3] + _AROUND_PT, height)
    longest = max(right - left, bottom - top, 1.0)
    scale = min(max(_SIDE_PX / longest, _LEAST_DPI / 72), _MOST_DPI / 72, MAX_SIDE_PX / longest)
    bitmap = page.render(scale=scale, crop=(left, height - bottom, width - right, top))
    try:
        pixels = bitmap.to_numpy()[..., 2::-1].copy()
    finally:
        bitmap.close()
    rows, columns = np.nonzero(pixels.min(axis=2) < _INK)
    if not len(rows):
        return Image.fromarray(pixels), box
    upper, lower = int(rows.min()), int(rows.max()) + 1
    start, end = int(columns.min()), int(columns.max()) + 1
    inked = (left + start / scale, top + upper / scale, left + end / scale, top + lower / scale)
    shape = (lower - upper + 2 * _BORDER_PX, end - start + 2 * _BORDER_PX, 3)
    framed = np.full(shape, 255, np.uint8)
    framed[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX] = pixels[upper:lower, start:end]
    return Image.fromarray(np.ascontiguousarray(np.rot90(framed, -angle // 90))), inked
