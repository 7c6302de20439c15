"""Image preprocessing and image towers.

`Transform` follows the image processors that checkpoints are published with: convert to
RGB, resize with Pillow and the card's filter, crop the centre, scale to 0..1, normalise by
channel. All numbers come from the card. `squash` is the preprocessing of ``mini``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trawl.encoders.base import unit
from trawl.encoders.onnx_session import Network
from trawl.errors import ModelError
from trawl.types import Modality, Space, Vectors

Box: TypeAlias = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels."""

_WHITE = (255, 255, 255)
_REDUCING_GAP = 2.0
# An image of 1 x 100,000 pixels would be resized to 67 GB before its centre is cropped.
_MAX_ASPECT_RATIO = 16
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Filters by their names on cards."""


class ImageTower:
    """Embeds images. `prepare_image` returns one row of the network's input `input_name`."""

    modality: Modality = "image"

    def __init__(
        self,
        space: Space,
        network: Network,
        prepare_image: Callable[[Image.Image], NDArray[Any]],
        *,
        input_name: str = "pixel_values",
        batch_size: int = 16,
    ) -> None:
        self.space = space
        self._network = network
        self._prepare = prepare_image
        self._input_name = input_name
        self._batch_size = batch_size

    def prepare(self, item: Image.Image, *, query: bool = False) -> NDArray[Any]:
        """Return the network's input for one image, a query's or a document's."""
        return self._prepare(item)

    def run(self, prepared: Sequence[NDArray[Any]]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors of prepared images."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for start in range(0, len(prepared), self._batch_size):
            batch = np.stack(prepared[start : start + self._batch_size])
            out[start : start + len(batch)] = self._network.run({self._input_name: batch})
        return unit(out)

    def encode(self, items: Sequence[Image.Image]) -> Vectors:
        """Return float32 [len(items), D] unit vectors."""
        return self.run([self.prepare(image) for image in items])


# --- the preprocessing of checkpoints -------------------------------------------------


@dataclass(frozen=True)
class Transform:
    """The options of a card's `[image]` table.

    `resize` is "shortest_edge" (keep the aspect ratio; the shorter side becomes
    `size_px`) or "squash" (to a square of `size_px`). Then the centre of `crop_px` is
    cropped; 0 keeps the whole image. `mean` and `std` are per channel, in 0..1.
    """

    size_px: int
    crop_px: int
    resize: Literal["shortest_edge", "squash"]
    filter: Image.Resampling
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Transform:
        """Parse a card's options. Raises `ModelError` if one is missing or invalid."""
        try:
            if options["resize"] not in ("shortest_edge", "squash"):
                raise ValueError(f"resize is {options['resize']!r}")
            return cls(
                size_px=int(options["size_px"]),
                crop_px=int(options.get("crop_px", 0)),
                resize=options["resize"],
                filter=FILTERS[options["filter"]],
                mean=np.array(options["mean"], np.float32).reshape(3, 1, 1),
                std=np.array(options["std"], np.float32).reshape(3, 1, 1),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"invalid [image] table in the model card: {error!r}") from error

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """Return one image as float32 [3, S, S], normalised."""
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        pixels = np.asarray(self._cropped(self._resized(rgb)))
        normalised = np.empty((3, *pixels.shape[:2]), np.float32)
        for channel, levels in enumerate(self._levels):
            np.take(levels, pixels[:, :, channel], out=normalised[channel], mode="clip")
        return normalised

    @cached_property
    def _levels(self) -> NDArray[np.float32]:
        """The normalised value of each of the 256 levels, float32 [3, 256].

        A table look-up is five times as fast as computing each pixel.
        """
        level = np.arange(256, dtype=np.float32) * np.float32(1 / 255)
        levels: NDArray[np.float32] = (level - self.mean[:, :, 0]) / self.std[:, :, 0]
        return levels

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.resize == "squash":
            size = (self.size_px, self.size_px)
        else:
            if self.crop_px:
                image = _limit_aspect_ratio(image)
            short, long = sorted(image.size)
            longer = int(self.size_px * long / short)
            wide = image.width > image.height
            size = (longer, self.size_px) if wide else (self.size_px, longer)
        # No reducing gap, although it is faster: the reference has none.
        return image if size == image.size else image.resize(size, self.filter)

    def _cropped(self, image: Image.Image) -> Image.Image:
        if not self.crop_px:
            return image
        left, top = (image.width - self.crop_px) // 2, (image.height - self.crop_px) // 2
        # Pillow fills the area outside the image with black, as the reference does.
        return image.crop((left, top, left + self.crop_px, top + self.crop_px))


def _limit_aspect_ratio(image: Image.Image) -> Image.Image:
    """Crop a very long image to its centre."""
    short = min(image.size)
    if max(image.size) <= _MAX_ASPECT_RATIO * short:
        return image
    width, height = (min(side, _MAX_ASPECT_RATIO * short) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


# --- the preprocessing of mini, shared with its training ------------------------------


def squash(image: Image.Image, size_px: int, box: Box | None = None) -> NDArray[np.uint8]:
    """Resize an image, or a box of it, to a square: uint8 [size_px, size_px, 3], RGB.

    Squashing rather than cropping keeps the axes and labels of figures. Most photographs
    of the training data are nearly square.
    """
    square = as_rgb(image).resize(
        (size_px, size_px), Image.Resampling.BILINEAR, box=box, reducing_gap=_REDUCING_GAP
    )
    return np.asarray(square, dtype=np.uint8)


def squash_all(images: Sequence[Image.Image], size_px: int) -> NDArray[np.uint8]:
    """Squash images into one array, uint8 [N, size_px, size_px, 3], RGB."""
    pixels = np.empty((len(images), size_px, size_px, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels[row] = squash(image, size_px)
    return pixels


def as_rgb(image: Image.Image) -> Image.Image:
    """Return the image in mode RGB, with transparency on white.

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
    """Scale an image of more than 8 bits (micrographs, detectors) linearly to 0..255."""
    values = np.asarray(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    scale = 255.0 / (high - low) if high > low else 0.0
    return Image.fromarray(((values - low) * scale).astype(np.uint8)).convert("RGB")
