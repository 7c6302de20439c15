"""Convert decoded images of any mode to RGB as a viewer shows them, scaled down.

Images are processed in bands, which bounds the memory: 100 megapixels with alpha would otherwise
be in memory three times. Scaling is a box filter by an integer factor, then Lanczos.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trawl.errors import ReadError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE_PX = 1024
_BAND_ROWS = 256
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
_DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_ALPHA_MODES = frozenset({"RGBA", "RGBa", "LA", "La", "PA"})
_KEPT_MODES = frozenset({"L", "RGB", "CMYK", "LAB"})
"""Modes that are scaled as they are, and converted to RGB afterwards with their profile."""
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}

# TIFF 6.0; GDAL_NODATA is GDAL's ASCII tag.
_PHOTOMETRIC, _BITS, _SAMPLE_FORMAT, _GDAL_NODATA = 262, 258, 339, 42113
_FLOAT_NODATA = 1e30
"""Magnitude of a float that marks a missing value, such as -3.4e38."""
_MAX_SAMPLE = 1 << 22
_MIN_DISTINCT = 16


def shrunk(picture: Image) -> Image:
    """Return a loaded image in RGB, of at most `MAX_SIDE_PX` on its longest side.

    Transparency is on white, or on black if nothing would be visible on white; an alpha channel
    of zeros only is ignored. Colour profiles are converted to sRGB. More than 8 bits are scaled
    to the range of the values, without outliers and missing values.
    """
    from PIL import Image as Images

    width, height = picture.size
    factor = max(1, max(width, height) // MAX_SIDE_PX)
    convert = _conversion(picture)
    reduced: Image | None = None
    for top, band in _bands(picture, factor * max(1, _BAND_ROWS // factor)):
        flat = convert(band)
        if reduced is None:
            reduced = Images.new(flat.mode, (-(-width // factor), -(-height // factor)))
        reduced.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    assert reduced is not None  # no plugin opens an image without rows
    if max(reduced.size) > MAX_SIDE_PX:
        reduced.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Images.Resampling.LANCZOS)
    return _flat(_in_srgb(reduced, picture.info.get("icc_profile")))


def is_uniform(image: Image) -> bool:
    """Return whether all pixels of an RGB image have the same colour."""
    return all(low == high for low, high in image.getextrema())  # type: ignore[misc]


def _bands(picture: Image, rows: int = _BAND_ROWS) -> Iterator[tuple[int, Image]]:
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(picture.height, top + rows)))
        if "transparency" in picture.info:
            band.info["transparency"] = picture.info["transparency"]
        yield top, band


def _conversion(picture: Image) -> Callable[[Image], Image]:
    """Return the conversion of a band to a mode that can be scaled."""
    if picture.mode in _DEEP_MODES or _tag(picture, _SAMPLE_FORMAT) == 2:
        return Levels.of(picture).apply
    if picture.mode in _ALPHA_MODES or "transparency" in picture.info:
        if any(_alpha(band).getextrema()[1] for _, band in _bands(picture)):
            return lambda band: band if band.mode == "RGBA" else band.convert("RGBA")
        # Zeros everywhere: programs that know no alpha write such files, viewers ignore it.
        return lambda band: band.convert("RGBA").convert("RGB")
    if picture.mode in _KEPT_MODES:
        return lambda band: band
    mode = "L" if picture.mode == "1" else "RGB"
    return lambda band: band.convert(mode)


def _alpha(band: Image) -> Image:
    return (band if band.mode in {"RGBA", "LA"} else band.convert("RGBA")).getchannel("A")


def _in_srgb(image: Image, profile: bytes | None) -> Image:
    """Convert an image to RGB or RGBA, by its ICC profile if that fits and is valid."""
    from PIL import ImageCms

    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colors = image.convert("RGB") if alpha is not None else image
    if profile:
        with contextlib.suppress(Exception):  # a damaged profile is no reason to refuse
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space.strip()
            if colors.mode == "L" and space == "RGB":
                colors = colors.convert("RGB")
            if space == _PROFILE_SPACES[colors.mode]:
                target = ImageCms.createProfile("sRGB")
                converted = ImageCms.profileToProfile(colors, source, target, outputMode="RGB")
                colors = converted or colors
    if colors.mode != "RGB":
        colors = colors.convert("RGB")
    if alpha is not None:
        colors.putalpha(alpha)
    return colors


def _flat(image: Image) -> Image:
    """Return an image without alpha, on the ground on which more is visible; white if in doubt."""
    from PIL import Image as Images

    if image.mode != "RGBA":
        return image
    grounds = []
    for color in (_WHITE, _BLACK):
        ground = Images.new("RGB", image.size, color)
        ground.paste(image, mask=image.getchannel("A"))
        grounds.append(ground)
    on_white, on_black = (float(np.asarray(ground.convert("L")).std()) for ground in grounds)
    return grounds[1] if on_white < 4 < on_black else grounds[0]


def _tag(picture: Image, tag: int) -> object:
    """Return a value of a TIFF's directory, the first if there are several; None if missing."""
    value = getattr(picture, "tag_v2", {}).get(tag)
    return value[0] if isinstance(value, tuple) and value else value


@dataclass(frozen=True, slots=True)
class Levels:
    """The scale from values of more than 8 bits to 0..255.

    `negative` is set if zero is white. Values equal to `missing` are black.
    """

    low: float
    high: float
    dtype: str | None
    negative: bool
    missing: float | None

    @classmethod
    def of(cls, picture: Image) -> Levels:
        """Return the scale of an image: the range of its values without outliers."""
        dtype = None
        if _tag(picture, _SAMPLE_FORMAT) == 2 and picture.mode == "L":
            dtype = "i1"
        elif _tag(picture, _BITS) == 32 and picture.mode == "I":
            dtype = "u4" if _tag(picture, _SAMPLE_FORMAT) in {None, 1} else None
        missing = None
        with contextlib.suppress(ValueError, TypeError):
            missing = float(str(_tag(picture, _GDAL_NODATA)).strip(" \0"))
        whole = cls(0.0, 0.0, dtype, _tag(picture, _PHOTOMETRIC) == 0, missing)
        step = -(-picture.width * picture.height // _MAX_SAMPLE)
        sample = np.concatenate([whole._values(b).ravel()[::step] for _, b in _bands(picture)])
        low, high = _range(sample[np.isfinite(sample)])
        return cls(low, high, dtype, whole.negative, missing)

    def apply(self, band: Image) -> Image:
        """Return a band as an 8-bit image."""
        from PIL import Image as Images

        values = np.nan_to_num(self._values(band), nan=self.low, posinf=self.high, neginf=self.low)
        scale = 255.0 / (self.high - self.low) if self.high > self.low else 0.0
        levels = (np.clip(values, self.low, self.high) - self.low) * scale
        return Images.fromarray(levels.round().astype(np.uint8))

    def _values(self, band: Image) -> NDArray[np.float64]:
        """Return the values, float64 [height, width], negated if zero is white; missing are NaN."""
        raw = np.asarray(band)
        values = (raw.view(self.dtype) if self.dtype else raw).astype(np.float64)
        if self.missing is not None:
            values[np.isclose(values, self.missing, rtol=1e-6, atol=0)] = np.nan
        if raw.dtype.kind == "f":
            values[np.abs(values) >= _FLOAT_NODATA] = np.nan
        return -values if self.negative else values


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the smallest and largest value without outliers.

    An extreme value far from all others marks missing data or a hot pixel. The outer 0.1 % are
    outliers too if they are far from the rest.
    """
    if not values.size:
        raise ReadError("no pixel is a finite number")
    distinct, counts = np.unique(values, return_counts=True)
    first, last = 0, len(distinct) - 1
    while last - first >= _MIN_DISTINCT:
        if distinct[last] - distinct[last - 1] > 2 * (distinct[last - 1] - distinct[first]):
            last -= 1
        elif distinct[first + 1] - distinct[first] > 2 * (distinct[last] - distinct[first + 1]):
            first += 1
        else:
            break
    distinct, counts = distinct[first : last + 1], counts[first : last + 1]
    ranks = np.cumsum(counts) / counts.sum()
    low, high = distinct[np.searchsorted(ranks, [0.001, 0.999])]
    margin = (high - low) / 2
    if margin <= 0 or len(distinct) < _MIN_DISTINCT:
        return float(distinct[0]), float(distinct[-1])
    least = low if low - distinct[0] > margin else distinct[0]
    most = high if distinct[-1] - high > margin else distinct[-1]
    return float(least), float(most)
