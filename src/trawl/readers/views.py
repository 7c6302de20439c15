"""What a person looks at: a page, a picture in full, the loudness of a recording.

The functions run in a reader process (`ReaderPool.run`), since they decode files of others. They
raise `ReadError`, and nothing else.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError
from trawl.readers import READERS, coded_sounds, pdf, sounds, videos
from trawl.readers.formats import Limits, as_read_error
from trawl.types import Box, Picture

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY = 85
_FINE_S = 0.01
"""The seconds that one value stands for, before values are joined to the wanted number."""
_MOST_S = 20.0
"""Seconds that the decoding of one recording may take."""
_SOUNDS = frozenset(format_.media_type for format_ in sounds.FORMATS)


@dataclass(frozen=True, slots=True)
class Peaks:
    """The loudness of a recording: `values` are the highest samples, 0..1, of equal stretches.

    They cover `duration_s` seconds. That is less than the recording if it is not `complete`,
    because decoding it takes too long.
    """

    values: tuple[float, ...]
    duration_s: float
    complete: bool


def page_jpeg(
    path: Path, limits: Limits, *, page: int, boxes: Sequence[Box], width_px: int
) -> bytes:
    """Return a page of a PDF as a JPEG file, with boxes marked."""
    from trawl.readers.pdf.views import draw_page

    with as_read_error(pdf.MEDIA_TYPE):
        return _jpeg(draw_page(path, page, boxes, width_px), width_px)


def figure_jpeg(
    path: Path, limits: Limits, *, page: int, box: Box, small: bytes | None, width_px: int
) -> bytes:
    """Return a figure of a PDF as a JPEG file; `small` is its thumbnail."""
    from PIL import Image

    from trawl.readers.pdf.views import draw_figure

    with as_read_error(pdf.MEDIA_TYPE):
        thumbnail = Image.open(io.BytesIO(small)) if small is not None else None
        return _jpeg(draw_figure(path, page, box, thumbnail), width_px)


def picture_jpeg(
    path: Path, limits: Limits, *, media_type: str, number: int, width_px: int
) -> bytes:
    """Return a picture of a file as a JPEG file. `number` counts its pictures from 0."""
    with as_read_error(media_type):
        parts = READERS[media_type](path, limits).parts
        pictures = (part for part in _steadily(parts, limits) if isinstance(part, Picture))
        found = next(islice(pictures, number, None), None)
        if found is None:
            raise ReadError(f"has no picture {number + 1}")
        return _jpeg(found.image, width_px)


def shot_jpeg(
    path: Path, limits: Limits, *, media_type: str, start_s: float, end_s: float, width_px: int
) -> bytes:
    """Return the frame in the middle of a video's shot as a JPEG file."""
    with as_read_error(media_type):
        (shown,) = videos.pictures_of(path, [videos.Shot(start_s, end_s)])
        return _jpeg(shown.image, width_px)


def peaks_of(path: Path, limits: Limits, *, media_type: str, count: int) -> Peaks:
    """Return at most `count` values for the sound track of a recording or a video."""
    with as_read_error(media_type):
        blocks = (sounds.sound_blocks if media_type in _SOUNDS else coded_sounds.coded_blocks)(path)
        fine, duration_s, complete = _fine_peaks(blocks, limits)
    if not len(fine):
        raise ReadError("contains no audio: zero samples")
    fine /= max(1.0, float(fine.max()))  # samples of floating-point files may exceed 1
    starts = np.unique(np.arange(count) * len(fine) // count)
    values = np.maximum.reduceat(fine, starts)
    return Peaks(tuple(round(value, 3) for value in values.tolist()), duration_s, complete)


def _fine_peaks(
    blocks: Iterator[tuple[int, NDArray[np.float32]]], limits: Limits
) -> tuple[NDArray[np.float32], float, bool]:
    """Return a value for every `_FINE_S`, the seconds that they cover, and whether that is all."""
    until = time.monotonic() + _MOST_S
    found: list[NDArray[np.float32]] = []
    rest = np.zeros(0, np.float32)
    samples, rate_hz, complete = 0, 1, True
    for rate_hz, block in blocks:
        step = max(1, round(rate_hz * _FINE_S))
        samples += len(block)
        joined = np.concatenate((rest, np.abs(np.nan_to_num(block))))
        whole = len(joined) // step * step
        found.append(joined[:whole].reshape(-1, step).max(axis=1))
        rest = joined[whole:]
        limits.progress(samples // rate_hz)
        if time.monotonic() > until:
            complete = False
            break
    if len(rest):
        found.append(rest.max(keepdims=True))
    fine = np.concatenate(found) if found else rest
    return fine, round(samples / rate_hz, 3), complete


def _steadily(parts: object, limits: Limits) -> Iterator[object]:
    assert isinstance(parts, Iterator | Sequence)
    for count, part in enumerate(parts):
        limits.progress(count)
        yield part


def _jpeg(image: Image, width_px: int) -> bytes:
    if image.width > width_px:
        height_px = max(1, round(image.height * width_px / image.width))
        image = image.resize((width_px, height_px), reducing_gap=2.0)
    packed = io.BytesIO()
    image.convert("RGB").save(packed, "JPEG", quality=_QUALITY, optimize=True)
    return packed.getvalue()
