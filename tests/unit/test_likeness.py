"""Near-duplicates are recognised, and similar pictures and passages are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from trawl.ingest.duplicates import Originals
from trawl.likeness import (
    PICTURE_BYTES,
    TEXT_BYTES,
    Prints,
    picture_print,
    same_picture,
    same_text,
    text_print,
)


def photo(seed: int) -> Image.Image:
    """Return a picture with the smooth detail of a photograph."""
    noise = np.random.default_rng(seed)
    total = np.zeros((240, 320, 3))
    for cells, weight in ((4, 90), (9, 50), (22, 25)):
        small = noise.uniform(-1, 1, (cells, cells, 3))
        bands = [
            Image.fromarray(small[:, :, band].astype(np.float32)).resize((320, 240), 3)
            for band in range(3)
        ]
        total += weight * np.stack([np.asarray(band) for band in bands], 2)
    return Image.fromarray(np.clip(total + 120, 0, 255).astype(np.uint8))


def plot(halves_at: float) -> Image.Image:
    """Return the plot of an exponential decay."""
    image = Image.new("RGB", (400, 300), "white")
    pen = ImageDraw.Draw(image)
    pen.rectangle((40, 20, 380, 260), outline="black", width=2)
    places = np.linspace(0, 1, 100)
    heights = 0.5 ** (places / halves_at)
    pen.line(
        [(40 + 340 * x, 260 - 230 * y) for x, y in zip(places, heights, strict=True)], "blue", 3
    )
    return image


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": lambda image: image,
    "smaller": lambda image: image.resize((150, 111)),
    "compressed": lambda image: jpeg(image, 15),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "lighter": lambda image: image.point(lambda level: min(255, level + 25)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
}
CROPS: dict[str, tuple[int, int, int, int]] = {
    "all sides": (12, 9, 308, 231),
    "one side": (30, 0, 320, 240),
    "a corner": (0, 0, 290, 218),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same(change: str) -> None:
    for image in (photo(1), photo(2), plot(0.2)):
        one, other = picture_print(image), picture_print(CHANGES[change](image))
        assert len(one) == PICTURE_BYTES
        assert same_picture(one, other)
        assert same_picture(other, one)


@pytest.mark.parametrize("crop", CROPS)
def test_a_cropped_photo_is_the_same(crop: str) -> None:
    for seed in range(4):
        one, other = picture_print(photo(seed)), picture_print(photo(seed).crop(CROPS[crop]))
        assert same_picture(one, other)
        assert same_picture(other, one)


def test_different_pictures_are_not_the_same() -> None:
    prints = [picture_print(photo(seed)) for seed in range(12)]
    prints += [picture_print(plot(at)) for at in (0.1, 0.2, 0.3, 0.45)]
    for place, one in enumerate(prints):
        assert not any(same_picture(one, other) for other in prints[:place])


def test_a_picture_of_one_colour_has_no_print() -> None:
    blank = picture_print(Image.new("RGB", (50, 50), "red"))
    assert blank == b""
    assert not same_picture(blank, blank)


WORDS = (
    "A muon decays to an electron and two neutrinos after about two microseconds on average. The "
    "lifetime is measured with a slab of plastic that gives a flash of light when the muon stops "
    "and another one when the electron leaves. The times between the flashes follow an "
    "exponential law, and its slope is the lifetime of the particle at rest."
)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (WORDS.upper().replace(" ", "\n"), True),
        (WORDS.replace("about", "roughly").replace("slab", "piece"), True),
        ("Note: " + WORDS, True),
        (WORDS[: len(WORDS) // 2], False),
        (" ".join(reversed(WORDS.split())), False),
        (WORDS.replace(" the ", " this ").replace(" a ", " one ").replace("muon", "pion"), False),
    ],
)
def test_edited_passages(other: str, same: bool) -> None:
    assert same_text(WORDS, other) is same


def test_a_passage_of_a_few_words_is_no_duplicate() -> None:
    assert text_print("A muon decays.") == b""
    assert not same_text("A muon decays.", "A muon decays.")
    assert len(text_print(WORDS)) == TEXT_BYTES


def test_candidates_are_found_among_many_prints() -> None:
    texts = [f"{WORDS} {number} {WORDS[::-1]} {number * 7}" for number in range(3)]
    prints = Prints([text_print(WORDS)])
    for text in texts:
        prints.extend([text_print(text)])
    assert prints.like(text_print("Note: " + WORDS)).tolist() == [0]
    assert len(prints) == 4
    assert Prints().like(text_print(WORDS)).tolist() == []
    pictures = Prints([picture_print(photo(seed)) for seed in range(40)])
    for seed in range(40, 60):
        pictures.extend([picture_print(photo(seed))])
        assert seed in pictures.like(picture_print(CHANGES["smaller"](photo(seed))))


def test_documents_are_compared_as_a_whole() -> None:
    passages = [
        f"{WORDS} Page {number} of {number * 31} about {number * 17}." for number in range(4)
    ]
    prints = [text_print(passage) for passage in passages]
    originals = Originals({"text": prints, "photo": [picture_print(photo(1))]})
    shifted = [text_print(passage[40:] + passage[:40]) for passage in passages]
    assert originals.like("new", shifted) == "text"
    assert originals.like("text", shifted) is None
    assert originals.like("new", [picture_print(jpeg(photo(1), 20))]) == "photo"
    assert originals.like("new", [picture_print(photo(2))]) is None
    assert originals.like("new", [*prints, picture_print(photo(1))]) is None
    assert originals.like("new", [*prints, b""]) is None
    originals.add("more", [picture_print(photo(2))])
    assert originals.like("new", [picture_print(photo(2))]) == "more"
