"""Images: PNG, JPEG, GIF, BMP, WebP and TIFF, decoded to RGB and scaled down.

An image is decoded once and scaled to at most `MAX_SIDE_PX` on its longest side. No encoder uses
more, and a batch of photographs then takes only megabytes. JPEG is decoded at a reduced scale.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trawl.errors import ReadError
from trawl.readers.formats import Format, Limits, opened, short_reason, stem_title
from trawl.types import Metadata, Picture, Reading

if TYPE_CHECKING:
    from PIL.Image import Exif, Image
    from PIL.ImageFile import ImageFile

MAX_SIDE_PX = 1024
_WHITE = (255, 255, 255)
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})

# Tags of EXIF 2.32 (CIPA DC-008), tables 3 to 8.
_ORIENTATION = 0x0112
_MAKE, _MODEL = 0x010F, 0x0110
_EXIF_IFD = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_TURNED = frozenset({5, 6, 7, 8})
"""Orientations that swap width and height."""

_PLUGINS: dict[str, tuple[str, str]] = {
    "image/png": ("PngImagePlugin", "PngImageFile"),
    "image/jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "image/gif": ("GifImagePlugin", "GifImageFile"),
    "image/bmp": ("BmpImagePlugin", "BmpImageFile"),
    "image/webp": ("WebPImagePlugin", "WebPImageFile"),
    "image/tiff": ("TiffImagePlugin", "TiffImageFile"),
}


def read_picture(path: Path, limits: Limits, *, media_type: str) -> Reading:
    """Read the first frame of an image: upright, RGB, with alpha on white.

    `Picture.width_px` and `height_px` are the original's, upright; the image itself is at most
    `MAX_SIDE_PX` on its longest side. The metadata `taken` (a date) and `camera` come from EXIF.
    """
    kind = media_type.removeprefix("image/").upper()
    with opened(path) as stream:
        try:
            # The plugin, not Image.open, which tries every format and whose limit on the size
            # is one global of the process. The size is checked here instead.
            picture = _plugin(media_type)(stream)
            width_px, height_px = picture.size
            if width_px * height_px > limits.max_pixels:
                raise ReadError(
                    f"{width_px:,} x {height_px:,} pixels exceed the limit of "
                    f"{limits.max_pixels:,}; scale the image down, or raise max_pixels"
                )
            _draft(picture)
            picture.load()
            small, exif = _shrunk(picture), _exif(picture)
            orientation = _orientation(exif)
        except ReadError:
            raise
        except Exception as error:  # Pillow raises many types: struct.error, IndexError ...
            raise ReadError(f"the {kind} image cannot be decoded: {short_reason(error)}") from error
    if orientation in _TURNED:
        width_px, height_px = height_px, width_px
    part = Picture(_upright(small, orientation), width_px, height_px)
    return Reading(media_type, stem_title(path), (part,), _metadata(exif))


def _plugin(media_type: str) -> Callable[..., ImageFile]:
    module, name = _PLUGINS[media_type]
    plugin: Callable[..., ImageFile] = getattr(importlib.import_module(f"PIL.{module}"), name)
    return plugin


def _draft(picture: ImageFile) -> None:
    """Decode a JPEG at 1/2, 1/4 or 1/8 of its size, but not below `MAX_SIDE_PX`."""
    scale = MAX_SIDE_PX / max(picture.size)
    if scale < 1:
        width_px, height_px = round(picture.width * scale), round(picture.height * scale)
        picture.draft(None, (max(1, width_px), max(1, height_px)))


def _shrunk(picture: Image) -> Image:
    """Convert a loaded image to RGB and scale it to at most `MAX_SIDE_PX`, band by band.

    The bands bound the memory: 100 megapixels with alpha would otherwise be in memory three
    times. Scaling is a box filter by an integer factor, then Lanczos.
    """
    from PIL import Image as Images

    width, height = picture.size
    factor = max(1, max(width, height) // MAX_SIDE_PX)
    low, high = _extremes(picture) if picture.mode in _DEEP_MODES else (0.0, 0.0)
    reduced = Images.new("RGB", (-(-width // factor), -(-height // factor)))
    band_rows = factor * max(1, 256 // factor)
    for top in range(0, height, band_rows):
        band = picture.crop((0, top, width, min(height, top + band_rows)))
        if "transparency" in picture.info:
            band.info["transparency"] = picture.info["transparency"]
        flat = _stretched(band, low, high) if picture.mode in _DEEP_MODES else _as_rgb(band)
        reduced.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    if max(reduced.size) > MAX_SIDE_PX:
        reduced.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Images.Resampling.LANCZOS)
    return reduced


def _as_rgb(image: Image) -> Image:
    """Convert to RGB, with transparency on white, since figures are drawn for paper."""
    from PIL import Image as Images

    if image.mode in {"RGBA", "RGBa", "LA", "La", "PA"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Images.new("RGB", layered.size, _WHITE)
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    return image if image.mode == "RGB" else image.convert("RGB")


def _extremes(picture: Image) -> tuple[float, float]:
    """Return the smallest and largest finite value of an image of more than 8 bits."""
    low, high = np.inf, -np.inf
    for top in range(0, picture.height, 256):
        band = np.asarray(picture.crop((0, top, picture.width, min(picture.height, top + 256))))
        finite = band[np.isfinite(band)] if band.dtype.kind == "f" else band
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ReadError("no pixel is a finite number")
    return low, high


def _stretched(band: Image, low: float, high: float) -> Image:
    """Scale more than 8 bits (micrographs, detectors) linearly from low..high to 0..255."""
    from PIL import Image as Images

    values = np.nan_to_num(np.asarray(band, dtype=np.float64), nan=low, posinf=high, neginf=low)
    scale = 255.0 / (high - low) if high > low else 0.0
    return Images.fromarray(((values - low) * scale).round().astype(np.uint8)).convert("RGB")


def _exif(picture: ImageFile) -> Exif | None:
    """Return the EXIF block, None if it is damaged; the image may still be intact."""
    try:
        return picture.getexif()
    except Exception:
        return None


def _orientation(exif: Exif | None) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if it is missing or invalid."""
    value = exif.get(_ORIENTATION) if exif else None
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: Image, orientation: int) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def _metadata(exif: Exif | None) -> Metadata:
    """Return `taken` and `camera` from EXIF. Invalid values are common, and ignored."""
    metadata: Metadata = {}
    if exif is None:
        return metadata
    with contextlib.suppress(Exception):  # missing, blank, 0000:00:00, or a damaged block
        taken = exif.get_ifd(_EXIF_IFD).get(_DATE_TIME_ORIGINAL)
        metadata["taken"] = datetime.datetime.strptime(str(taken)[:10], "%Y:%m:%d").date()
    words: list[str] = []
    for tag in (_MAKE, _MODEL):
        value = exif.get(tag)
        if isinstance(value, str):
            words += [w for w in value.replace("\0", " ").split() if w not in words]
    if words:
        metadata["camera"] = " ".join(words).encode("utf-8", "replace").decode()
    return metadata


def _is_bmp(head: bytes) -> bool:
    """Return whether a file starts with "BM" and a known header size; many texts start with BM."""
    sizes = {12, 16, 40, 52, 56, 64, 108, 124}
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in sizes


def _format(
    media_type: str, name: str, suffixes: set[str], matches: Callable[[bytes], bool]
) -> Format:
    read = partial(read_picture, media_type=media_type)
    return Format(media_type, "image", name, frozenset(suffixes), read, matches)


FORMATS = (
    _format("image/png", "a PNG image", {".png"}, lambda h: h.startswith(b"\x89PNG\r\n\x1a\n")),
    _format(
        "image/jpeg",
        "a JPEG image",
        {".jpg", ".jpeg", ".jpe", ".jfif"},
        lambda h: h.startswith(b"\xff\xd8\xff"),
    ),
    _format("image/gif", "a GIF image", {".gif"}, lambda h: h[:6] in {b"GIF87a", b"GIF89a"}),
    _format("image/bmp", "a BMP image", {".bmp"}, _is_bmp),
    _format(
        "image/webp",
        "a WebP image",
        {".webp"},
        lambda h: h[:4] == b"RIFF" and h[8:12] == b"WEBP",
    ),
    _format(
        "image/tiff",
        "a TIFF image",
        {".tif", ".tiff"},
        lambda h: h[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"},
    ),
)
