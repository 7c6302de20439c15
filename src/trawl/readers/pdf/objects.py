"""What a page paints besides text: pictures, paths and shadings, with their boxes.

pdfium states the box of an object inside a Form XObject in the form's own coordinates, and without
regard to clipping. Both are resolved here, so that a box is where the reader of the page sees ink.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trawl.readers.pdf.geometry import Box, Frame

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

MAX_OBJECTS = 20_000
"""Objects of one page that are examined. The rest count as dark areas, a form as one of them."""

_MAX_DEPTH = 12
_MAX_CLIP_POINTS = 400
_WHITE = 250
_FAINT = 8
_PATH, _IMAGE, _SHADING, _FORM = 2, 3, 4, 5

Kind: TypeAlias = Literal["image", "path", "shading"]
Matrix: TypeAlias = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class PageObject:
    """A painted object. `box` is in points from the top left of the page as shown.

    `filled` and `stroked` say how a path is painted, `light` that its fill may lie behind text.
    """

    kind: Kind
    box: Box
    filled: bool = False
    stroked: bool = False
    light: bool = False

    @property
    def width(self) -> float:
        """The width in points."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """The height in points."""
        return self.box[3] - self.box[1]


def page_objects(page: PdfPage, frame: Frame) -> list[PageObject]:
    """Return the visible objects of a page, in the order of painting.

    The caller holds `pages.LOCK`. White and transparent areas, and what is outside the page or
    clipped away, are left out.
    """
    walk = _Walk(frame)
    handle = ctypes.cast(page.raw, ctypes.c_void_p).value
    pdfium = _pdfium()
    whole = (0.0, 0.0, frame.width, frame.height)
    unit: Matrix = (1, 0, 0, 1, 0, 0)
    for number in range(pdfium.page_count(handle)):
        walk.visit(pdfium.page_object(handle, number), unit, whole, 0)
    return walk.found


class _Walk:
    def __init__(self, frame: Frame) -> None:
        self.found: list[PageObject] = []
        self._frame = frame
        self._pdfium = _pdfium()
        self._floats = (ctypes.c_float * 6)()
        self._at = ctypes.addressof(self._floats)
        self._numbers = (ctypes.c_uint * 4)()
        self._numbers_at = ctypes.addressof(self._numbers)
        self._budget = MAX_OBJECTS

    def visit(self, handle: int, matrix: Matrix, clip: Box, depth: int) -> None:
        pdfium = self._pdfium
        self._budget -= 1
        kind = pdfium.kind(handle)
        if kind not in (_PATH, _IMAGE, _SHADING, _FORM):
            return
        clip_handle = pdfium.clip(handle) if self._budget > 0 else None
        if clip_handle and pdfium.clip_count(clip_handle) > 0:
            clip = self._clipped(clip_handle, matrix, clip)
            if _is_empty(clip):
                return
        if kind == _FORM and self._budget > 0 and depth < _MAX_DEPTH:
            if not pdfium.matrix(handle, self._at):
                return
            inner = _chained(tuple(self._floats), matrix)
            for number in range(pdfium.form_count(handle)):
                self.visit(pdfium.form_object(handle, number), inner, clip, depth + 1)
            return
        if not pdfium.bounds(handle, self._at, self._at + 4, self._at + 8, self._at + 12):
            return
        left, bottom, right, top = self._floats[:4]
        box = _intersection(self._shown(matrix, left, bottom, right, top), clip)
        if _is_empty(box):
            return
        if kind == _IMAGE:
            self.found.append(PageObject("image", box))
        elif kind == _PATH and self._budget > 0:
            self._path(handle, box)
        elif kind == _PATH:
            self.found.append(PageObject("path", box, filled=True))
        else:
            self.found.append(PageObject("shading", box, filled=True, light=kind == _SHADING))

    def _path(self, handle: int, box: Box) -> None:
        pdfium = self._pdfium
        if not pdfium.draw_mode(handle, self._at, self._at + 4):
            return
        modes = ctypes.cast(self._at, ctypes.POINTER(ctypes.c_int))
        filled, stroked = modes[0] != 0, modes[1] != 0
        light = False
        if filled:
            level = self._level(pdfium.fill_colour, handle)
            filled = level < _WHITE
            light = level > 150
        if stroked:
            stroked = self._level(pdfium.stroke_colour, handle) < _WHITE
        if filled or stroked:
            self.found.append(PageObject("path", box, filled, stroked, light))

    def _level(self, colour: Callable[..., int], handle: int) -> float:
        """Return the lightness of a colour on white paper, from 0 to 255."""
        at = self._numbers_at
        if not colour(handle, at, at + 4, at + 8, at + 12):
            return 128.0  # a pattern
        red, green, blue, alpha = self._numbers
        if alpha <= _FAINT:
            return 255.0
        darkest = min(red, green, blue)
        if 255 - (255 - darkest) * alpha / 255 >= _WHITE:
            return 255.0
        grey = 0.3 * red + 0.59 * green + 0.11 * blue
        return min(255 - (255 - grey) * alpha / 255, _WHITE - 1)

    def _clipped(self, handle: int, matrix: Matrix, clip: Box) -> Box:
        """Return `clip` cut by the boxes of an object's clip paths."""
        pdfium, at = self._pdfium, self._at
        for path in range(pdfium.clip_count(handle)):
            count = pdfium.clip_segments(handle, path)
            if not 0 < count <= _MAX_CLIP_POINTS:
                continue
            points = []
            for number in range(count):
                segment = pdfium.clip_segment(handle, path, number)
                if segment and pdfium.point(segment, at, at + 4):
                    points.append(_applied(matrix, self._floats[0], self._floats[1]))
            if points:
                xs, ys = zip(*points, strict=True)
                clip = _intersection(self._frame.shown(min(xs), min(ys), max(xs), max(ys)), clip)
        return clip

    def _shown(self, matrix: Matrix, left: float, bottom: float, right: float, top: float) -> Box:
        if matrix != (1, 0, 0, 1, 0, 0):
            corners = [_applied(matrix, x, y) for x in (left, right) for y in (bottom, top)]
            xs, ys = zip(*corners, strict=True)
            left, bottom, right, top = min(xs), min(ys), max(xs), max(ys)
        return self._frame.shown(left, bottom, right, top)


def _applied(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _chained(first: tuple[float, ...], second: Matrix) -> Matrix:
    """Return the matrix that applies `first`, then `second`."""
    a, b, c, d, e, f = first
    a2, b2, c2, d2, e2, f2 = second
    return (
        a * a2 + b * c2,
        a * b2 + b * d2,
        c * a2 + d * c2,
        c * b2 + d * d2,
        e * a2 + f * c2 + e2,
        e * b2 + f * d2 + f2,
    )


def _intersection(one: Box, other: Box) -> Box:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )


def _is_empty(box: Box) -> bool:
    """Return whether a box has no extent. Rules may have no width or no height."""
    width, height = box[2] - box[0], box[3] - box[1]
    return not (width >= 0 and height >= 0 and width + height > 0.05 and math.isfinite(width))


@cache
def _pdfium() -> Any:
    """Return pdfium's functions with arguments that are quick to convert: plain addresses."""
    from pypdfium2_raw.bindings import _libs

    library = _libs["pdfium"]
    address, number = ctypes.c_void_p, ctypes.c_int

    class Functions:
        page_count = library["FPDFPage_CountObjects"]
        page_object = library["FPDFPage_GetObject"]
        form_count = library["FPDFFormObj_CountObjects"]
        form_object = library["FPDFFormObj_GetObject"]
        kind = library["FPDFPageObj_GetType"]
        bounds = library["FPDFPageObj_GetBounds"]
        matrix = library["FPDFPageObj_GetMatrix"]
        clip = library["FPDFPageObj_GetClipPath"]
        clip_count = library["FPDFClipPath_CountPaths"]
        clip_segments = library["FPDFClipPath_CountPathSegments"]
        clip_segment = library["FPDFClipPath_GetPathSegment"]
        point = library["FPDFPathSegment_GetPoint"]
        draw_mode = library["FPDFPath_GetDrawMode"]
        fill_colour = library["FPDFPageObj_GetFillColor"]
        stroke_colour = library["FPDFPageObj_GetStrokeColor"]

    for function, arguments, result in (
        (Functions.page_count, (address,), number),
        (Functions.page_object, (address, number), address),
        (Functions.form_count, (address,), number),
        (Functions.form_object, (address, ctypes.c_ulong), address),
        (Functions.kind, (address,), number),
        (Functions.bounds, (address, *[address] * 4), number),
        (Functions.matrix, (address, address), number),
        (Functions.clip, (address,), address),
        (Functions.clip_count, (address,), number),
        (Functions.clip_segments, (address, number), number),
        (Functions.clip_segment, (address, number, number), address),
        (Functions.point, (address, address, address), number),
        (Functions.draw_mode, (address, address, address), number),
        (Functions.fill_colour, (address, *[address] * 4), number),
        (Functions.stroke_colour, (address, *[address] * 4), number),
    ):
        function.argtypes, function.restype = arguments, result
    return Functions
