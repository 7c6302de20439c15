"""Pictures to what a vision tower takes, step by step as its reference processor does it.

The steps and their order are those of the image processors that the checkpoints were
published with: RGB, resize by Pillow with the card's filter, centre crop, scale to 0..1,
normalise by channel. Numbers are the card's; none is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.errors import ModelError

# A picture a pixel high and 100,000 wide would become one of 67 gigabytes before its middle
# is cut out of it.
_LARGEST_RATIO = 16

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Transform:
    """How one tower sees a picture.

    `resize` is "shortest_edge" (keep the proportions, the shorter side becomes `size_px`)
    or "squash" (to a square of `size_px`); then the middle `crop_px` are taken, all
    where it is 0. `mean` and `std` are of the channels, in 0..1.
    """

    size_px: int
    crop_px: int
    resize: Literal["shortest_edge", "squash"]
    filter: Image.Resampling
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Transform:
        """Read a card's options. Raises `ModelError` for what is missing or unknown."""
        try:
            if options["resize"] not in ("shortest_edge", "squash"):
                raise ValueError(f"resize is {options['resize']!r}")
            return cls(
                size_px=int(options["size_px"]),
                crop_px=int(options.get("crop_px", 0)),
                resize=options["resize"],
                filter=_FILTERS[options["filter"]],
                mean=np.array(options["mean"], np.float32).reshape(3, 1, 1),
                std=np.array(options["std"], np.float32).reshape(3, 1, 1),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the card's [image] is not as it should be: {error!r}") from error

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Give float32 [3, S, S] of one picture, normalised."""
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        pixels = np.asarray(self._cropped(self._resized(rgb)))
        normal = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel, levels in enumerate(self._levels):
            np.take(levels, pixels[:, :, channel], out=normal[channel], mode="clip")
        return normal

    @cached_property
    def _levels(self) -> NDArray[np.float32]:
        """What each of the 256 levels of a channel becomes, float32 [3, 256].

        There are but 768 different results, so they are looked up: five times as fast.
        """
        level = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
        found: NDArray[np.float32] = (level - self.mean[:, :, 0]) / self.std[:, :, 0]
        return found

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.resize == "squash":
            size = (self.size_px, self.size_px)
        else:
            if self.crop_px:
                image = _middle(image)
            short, long = sorted(image.size)
            longer = int(self.size_px * long / short)
            wide = image.width > image.height
            size = (longer, self.size_px) if wide else (self.size_px, longer)
        # Without a reducing gap, although that is faster: the reference has none.
        return image if size == image.size else image.resize(size, self.filter)

    def _cropped(self, image: Image.Image) -> Image.Image:
        if not self.crop_px:
            return image
        left, top = (image.width - self.crop_px) // 2, (image.height - self.crop_px) // 2
        # Pillow fills what lies outside with black, and so does the reference.
        return image.crop((left, top, left + self.crop_px, top + self.crop_px))


def _middle(image: Image.Image) -> Image.Image:
    """Give the middle of a picture that is far longer than what will be cut out of it."""
    short = min(image.size)
    if max(image.size) <= _LARGEST_RATIO * short:
        return image
    width, height = (min(side, _LARGEST_RATIO * short) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
