"""Image preprocessing of mini: every mode of Pillow becomes the same kind of array."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from trawl.encoders import images


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "I", "F", "I;16"])
def test_every_mode_becomes_uint8_rgb(mode: str) -> None:
    image = Image.new("RGB", (20, 10), "red").convert("L").convert("RGB")
    given = image.convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
    array = images.squash_all([given], 8)
    assert array.shape == (1, 8, 8, 3)
    assert array.dtype == np.uint8


def test_transparency_is_on_white() -> None:
    clear = Image.new("RGBA", (9, 9), (0, 0, 0, 0))
    assert images.squash(clear, 4).min() == 255


def test_more_than_8_bits_are_scaled_to_the_full_range() -> None:
    deep = Image.fromarray(np.array([[1000, 1000], [3000, 3000]], dtype=np.uint16))
    array = np.asarray(images.as_rgb(deep))
    assert array.min() == 0
    assert array.max() == 255


def test_a_constant_image_does_not_divide_by_zero() -> None:
    flat = Image.fromarray(np.full((3, 3), 7.0, dtype=np.float32))
    assert np.asarray(images.as_rgb(flat)).max() == 0


def test_a_box_crops() -> None:
    halves = Image.new("RGB", (40, 20), "black")
    halves.paste("white", (20, 0, 40, 20))
    # The filter reaches over the box's edge, so the column beside it is left out.
    assert images.squash(halves, 4, (20.0, 0.0, 40.0, 20.0))[:, 1:].min() == 255
    assert images.squash(halves, 4, (0.0, 0.0, 20.0, 20.0))[:, :-1].max() == 0


def test_no_images_make_no_rows() -> None:
    assert images.squash_all([], 8).shape == (0, 8, 8, 3)
