"""Pictures to arrays, one way for training and for search.

The image tower of ``mini`` sees every picture squashed to a square: photographs in the reference
data are nearly square, and a figure loses less when it is squashed than when its axes and labels
are cropped away or its area shrinks inside a letter box. The training code imports this module,
so what the weights saw is what they are given.

References: Pillow's ``Image.resize`` filters with support scaled to the reduction
(antialiased), see the Pillow handbook, "Concepts: Filters".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_WHITE = (255, 255, 255)
_REDUCING_GAP = 2.0

Box = tuple[float, float, float, float]


def as_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in mode RGB, transparency laid over white.

    White, because transparent figures are drawn for paper; black would hide their axes.
    """
    if image.mode == "RGB":
        return image
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        layered = image.convert("RGBA")
        ground = Image.new("RGB", layered.size, _WHITE)
        ground.paste(layered, mask=layered.getchannel("A"))
        return ground
    if image.mode.startswith("I;16") or image.mode in {"I", "F"}:
        return _stretched(image)
    return image.convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Map a picture of more than 8 bits (micrographs, detectors) linearly onto 0 to 255."""
    values = np.asarray(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return Image.fromarray(((values - low) * scale).astype(np.uint8)).convert("RGB")


def squash(image: Image.Image, size_px: int, box: Box | None = None) -> NDArray[np.uint8]:
    """Resize a picture, or a box of it (left, upper, right, lower), to a square.

    Returns uint8 ``[size_px, size_px, 3]``, RGB, 0 to 255.
    """
    square = as_rgb(image).resize(
        (size_px, size_px), Image.Resampling.BILINEAR, box=box, reducing_gap=_REDUCING_GAP
    )
    return np.asarray(square, dtype=np.uint8)


def batch(images: Sequence[Image.Image], size_px: int) -> NDArray[np.uint8]:
    """Squash pictures into one array, uint8 ``[N, size_px, size_px, 3]``, RGB, 0 to 255.

    The network's first layers scale and normalise, so that bytes and not floats are copied.
    """
    pixels = np.empty((len(images), size_px, size_px, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels[row] = squash(image, size_px)
    return pixels
