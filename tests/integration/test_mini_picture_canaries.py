"""The shipped weights rank generated images: every image finds its caption."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from canary_pictures import CANARIES
from trawl.encoders import Model, load_model


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("mini")


@pytest.fixture(scope="module")
def cosines(model: Model) -> np.ndarray:
    """Rows are pictures, columns are captions, in the order of `CANARIES`."""
    pictures = model.encoders["image"].encode([draw() for draw in CANARIES.values()])
    return pictures @ model.text.encode(list(CANARIES)).T


def test_each_picture_is_nearest_to_its_own_caption(cosines: np.ndarray) -> None:
    captions = list(CANARIES)
    found = {captions[i]: captions[best] for i, best in enumerate(cosines.argmax(axis=1))}
    assert found == {caption: caption for caption in captions}


def test_each_caption_is_nearest_to_its_own_picture(cosines: np.ndarray) -> None:
    captions = list(CANARIES)
    found = {captions[i]: captions[best] for i, best in enumerate(cosines.argmax(axis=0))}
    assert found == {caption: caption for caption in captions}


def test_a_larger_copy_is_the_same_picture(model: Model) -> None:
    small = [draw() for draw in CANARIES.values()]
    large = [p.resize((p.width * 3, p.height * 3), Image.Resampling.BICUBIC) for p in small]
    encoder = model.encoders["image"]
    assert (encoder.encode(small) * encoder.encode(large)).sum(axis=1).min() > 0.9


def test_a_picture_of_any_shape_is_a_unit_vector(model: Model) -> None:
    pictures = [Image.new("RGB", size, "grey") for size in ((1, 1), (3, 900), (2000, 40), (96, 96))]
    lengths = np.linalg.norm(model.encoders["image"].encode(pictures), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-5)


def test_vectors_do_not_depend_on_the_batch(model: Model) -> None:
    pictures = [draw() for draw in CANARIES.values()]
    encoder = model.encoders["image"]
    alone = np.concatenate([encoder.encode([picture]) for picture in pictures])
    np.testing.assert_allclose(encoder.encode(pictures), alone, atol=1e-5)
