"""The words and lines of a PDF's page, by pdfium.

pdfium is not thread-safe: hold `LOCK` for every use of it. Words come from the characters of the
page in the order of its content, which may be any order; `lines.py` arranges them by position.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.readers.pdf.geometry import Frame, turned_back, upright
from trawl.readers.pdf.line_numbers import without_line_numbers
from trawl.readers.pdf.lines import Line, Word, lines_of

if TYPE_CHECKING:
    from pypdfium2 import PdfPage

LOCK = threading.RLock()
"""Guards pdfium, which allows one call at a time in a process."""

MAX_CHARS = 400_000
"""Characters of one page that are read."""

_LEAST_SIZE = 0.1
"""Smaller text, in points, is not visible."""

_ASCENT, _DESCENT = 0.75, 0.22
"""The box of a word around its baseline, in font sizes. Fonts state heights that vary widely."""

_SPACES = np.array([code for code in range(0x3001) if code < 33 or chr(code).isspace()])
_CONTROLS = np.array([code for code in range(1, 28) if code not in (9, 10, 13)])
_UNSEEN = np.array([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])
_HYPHENS = np.array([0x02, 0xFFFE])
"""The codes by which pdfium marks a hyphen at the end of a line."""

_BOLD = re.compile(r"bold|black|heavy|demi|semibold|cmbx|cmb\d|-bd|medi\b", re.IGNORECASE)


@dataclass(slots=True)
class PageContent:
    """What a page shows. `number` counts from 1, `width` and `height` are points.

    `characters` counts those of the text layer, `unreadable` the ones without a meaning
    (replacement characters and private codes), `hidden` those that are not painted, as in the
    text layer of a scan.
    """

    number: int
    width: float
    height: float
    lines: list[Line] = field(default_factory=list)
    characters: int = 0
    unreadable: int = 0
    hidden: int = 0
    cut: bool = False


@dataclass(slots=True)
class _Chars:
    """The characters of a page, as arrays of one length."""

    codes: NDArray[np.uint32]
    boxes: NDArray[np.float32]  # [N, 4] left, top, right, bottom in the PDF's coordinates
    origins: NDArray[np.float64]  # [N, 2] on the baseline
    objects: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Style:
    size: float
    angle: int
    bold: bool
    hidden: bool


def read_page(page: PdfPage, number: int) -> PageContent:
    """Return the content of a page. The caller holds `LOCK`.

    Raises `pypdfium2.PdfiumError` if the page's text cannot be loaded.
    """
    frame = frame_of(page)
    content = PageContent(number, frame.width, frame.height)
    textpage = page.get_textpage()
    try:
        count = textpage.count_chars()
        content.cut = count > MAX_CHARS
        chars = _characters(textpage.raw, min(count, MAX_CHARS))
        styles = _styles(textpage.raw, chars, frame.rotation)
    finally:
        textpage.close()
    words = _words(chars, styles, frame, content)
    content.lines = lines_of(without_line_numbers(words), frame.width, frame.height)
    return content


def frame_of(page: PdfPage) -> Frame:
    """Return the visible part of a page. The caller holds `LOCK`."""
    left, bottom, right, top = page.get_bbox()
    return Frame(left, bottom, right, top, page.get_rotation())


@cache
def _pdfium() -> Any:
    """Return pdfium's functions with arguments that are quick to convert: plain addresses."""
    from pypdfium2_raw.bindings import _libs

    library = _libs["pdfium"]
    address, number = ctypes.c_void_p, ctypes.c_int

    class Functions:
        code = library["FPDFText_GetUnicode"]
        box = library["FPDFText_GetLooseCharBox"]
        origin = library["FPDFText_GetCharOrigin"]
        object = library["FPDFText_GetTextObject"]
        matrix = library["FPDFText_GetMatrix"]
        size = library["FPDFText_GetFontSize"]
        font = library["FPDFTextObj_GetFont"]
        mode = library["FPDFTextObj_GetTextRenderMode"]
        flags = library["FPDFFont_GetFlags"]
        weight = library["FPDFFont_GetWeight"]
        name = library["FPDFFont_GetBaseFontName"]

    for function, arguments, result in (
        (Functions.code, (address, number), ctypes.c_uint),
        (Functions.box, (address, number, address), number),
        (Functions.origin, (address, number, address, address), number),
        (Functions.object, (address, number), address),
        (Functions.matrix, (address, number, address), number),
        (Functions.size, (address, number), ctypes.c_double),
        (Functions.font, (address,), address),
        (Functions.mode, (address,), number),
        (Functions.flags, (address,), number),
        (Functions.weight, (address,), number),
        (Functions.name, (address, ctypes.c_char_p, ctypes.c_size_t), ctypes.c_size_t),
    ):
        function.argtypes, function.restype = arguments, result
    return Functions


def _characters(textpage: Any, count: int) -> _Chars:
    pdfium = _pdfium()
    handle = ctypes.cast(textpage, ctypes.c_void_p).value
    boxes = np.zeros((count, 4), np.float32)
    origins = np.zeros((count, 2), np.float64)
    code, box, origin, object_ = pdfium.code, pdfium.box, pdfium.origin, pdfium.object
    codes, objects = [0] * count, [0] * count
    box_at, origin_at = boxes.ctypes.data, origins.ctypes.data
    for i in range(count):
        codes[i] = code(handle, i)
        objects[i] = object_(handle, i) or 0
        box(handle, i, box_at)
        origin(handle, i, origin_at, origin_at + 8)
        box_at += 16
        origin_at += 16
    return _Chars(np.array(codes, np.uint32), boxes, origins, np.array(objects, np.uint64))


def _styles(textpage: Any, chars: _Chars, rotation: int) -> dict[int, _Style]:
    """Return the style of each text object, by its address."""
    pdfium = _pdfium()
    handle = ctypes.cast(textpage, ctypes.c_void_p).value
    matrix = np.zeros(6, np.float32)
    styles: dict[int, _Style] = {}
    bold_of: dict[int, bool] = {}
    addresses, firsts = np.unique(chars.objects, return_index=True)
    for address, first in zip(addresses.tolist(), firsts.tolist(), strict=True):
        if not address:
            continue
        pdfium.matrix(handle, first, matrix.ctypes.data)
        a, b, c, d = matrix[:4].tolist()
        size = abs(pdfium.size(handle, first)) * math.hypot(c, d)
        box = chars.boxes[first].tolist()
        turn = round(math.degrees(math.atan2(b, a))) - rotation
        angle = next((right for right in (0, 90, 180, 270) if _near(turn, right)), turn % 360)
        height = abs(box[2] - box[0] if angle in (90, 270) else box[1] - box[3])
        if height and not 0.4 < size / height < 2.5:  # a Type 3 font in units of its own
            size = height
        font = pdfium.font(address) or 0
        if font not in bold_of:
            bold_of[font] = _is_bold(pdfium, font)
        hidden = pdfium.mode(address) == 3
        styles[address] = _Style(size, angle, bold_of[font], hidden)
    return styles


def _near(turn: int, right: int) -> bool:
    """Return whether an angle is close to a right one, as on a page scanned askew."""
    return abs((turn - right + 180) % 360 - 180) <= 5


def _is_bold(pdfium: Any, font: int) -> bool:
    if not font:
        return False
    buffer = ctypes.create_string_buffer(256)
    pdfium.name(font, buffer, len(buffer))
    name = buffer.value.decode("latin-1").rpartition("+")[2]
    forced = bool(pdfium.flags(font) & (1 << 18))
    return forced or pdfium.weight(font) >= 700 or _BOLD.search(name) is not None


def _words(
    chars: _Chars, styles: dict[int, _Style], frame: Frame, content: PageContent
) -> list[Word]:
    addresses = np.array(sorted(styles), np.uint64)
    ordered = [styles[address] for address in sorted(styles)]
    sizes = np.array([style.size for style in ordered])
    angles = np.array([style.angle for style in ordered])
    bold = np.array([style.bold for style in ordered])
    hidden = np.array([style.hidden for style in ordered])
    codes = np.where(np.isin(chars.codes, _HYPHENS), ord("-"), chars.codes)
    is_space = np.isin(codes, _SPACES)
    kept = np.flatnonzero((chars.objects != 0) & ~is_space & ~np.isin(codes, _UNSEEN))
    controls = int(np.count_nonzero(np.isin(codes, _CONTROLS)))
    content.characters = len(kept) + controls
    if not len(kept):
        return []
    codes = codes[kept]
    which = np.searchsorted(addresses, chars.objects[kept])
    size, angle = sizes[which], angles[which]
    content.hidden = int(np.count_nonzero(hidden[which]))
    content.unreadable = int(np.count_nonzero(_unreadable(codes))) + controls
    x0, x1, base = _level(chars, kept, angle, frame)
    spaced = np.ones(len(kept), bool)
    spaced[1:] = np.add.reduceat(is_space, kept)[:-1] > 0
    unit = np.maximum(size[1:], size[:-1])
    gap = np.maximum(x0[1:] - x1[:-1], x0[:-1] - x1[1:])
    breaks = spaced[1:] | (angle[1:] != angle[:-1])
    breaks |= np.abs(np.diff(base)) > 0.15 * unit
    breaks |= (gap > 0.3 * unit) | (gap < -1.5 * unit)
    starts = np.concatenate(([0], np.flatnonzero(breaks) + 1))
    lengths = np.diff(starts, append=len(kept))
    text = "".join(map(chr, codes.tolist()))
    paired = bool(((codes >= 0xD800) & (codes <= 0xDFFF)).any())
    words = []
    for start, length, left, right, em, heavy in zip(
        starts.tolist(),
        lengths.tolist(),
        np.minimum.reduceat(x0, starts).tolist(),
        np.maximum.reduceat(x1, starts).tolist(),
        np.maximum.reduceat(size, starts).tolist(),
        (np.add.reduceat(bold[which].astype(int), starts) * 2 > lengths).tolist(),
        strict=True,
    ):
        level, turn = float(base[start]), int(angle[start])
        box = (left, level - _ASCENT * em, right, level + _DESCENT * em)
        shown = turned_back(box, turn, frame.width, frame.height) if turn else box
        if em >= _LEAST_SIZE and _visible(shown, frame):
            word = text[start : start + length]
            if paired:  # pdfium returns codes of UTF-16
                word = word.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            words.append(Word(word, shown, em, heavy, turn, level, bool(spaced[start])))
    return words


def _level(
    chars: _Chars, kept: NDArray[np.intp], angle: NDArray[np.int64], frame: Frame
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return left, right and baseline of characters, turned so that their text is level."""
    left, top, right, bottom = chars.boxes[kept].astype(np.float64).T
    shown: Any = frame.shown(left, bottom, right, top)
    x, y = chars.origins[kept].T
    point: Any = frame.shown(x, y, x, y)
    x0, x1, base = shown[0].copy(), shown[2].copy(), point[1].copy()
    for turn in (90, 180, 270):
        at = angle == turn
        if at.any():
            sub: Any = upright(tuple(p[at] for p in shown), turn, frame.width, frame.height)
            on: Any = upright(tuple(p[at] for p in point), turn, frame.width, frame.height)
            x0[at], x1[at], base[at] = sub[0], sub[2], on[1]
    return x0, x1, base


def _unreadable(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return which characters have no meaning: replacement characters and private codes."""
    private = ((codes >= 0xE000) & (codes <= 0xF8FF)) | (codes >= 0xF0000)
    return np.asarray(private | (codes == 0xFFFD) | (codes == 0xFFFF))


def _visible(box: tuple[float, float, float, float], frame: Frame) -> bool:
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    return 0 <= x <= frame.width and 0 <= y <= frame.height
