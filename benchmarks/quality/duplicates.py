"""Near-duplicates: which changed copies are recognised, and which different items are not.

    python benchmarks/quality/duplicates.py [--photos 400]

Photographs of ImageNet and Flickr8k, textbook figures and SciFact's abstracts, with copies that
are changed by code. Every pair of different items is a chance for a false alarm.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from common import data_folder, table
from trawl.likeness import picture_print, same_picture, same_text

Change = Callable[[Image.Image], Image.Image]


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def _crop(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = image.size
    return image.crop(
        (int(left * width), int(top * height), int(right * width), int(bottom * height))
    )


def _half(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


CHANGES: dict[str, Change] = {
    "half the size": _half,
    "JPEG of quality 30": lambda image: _jpeg(image, 30),
    "JPEG of quality 10": lambda image: _jpeg(image, 10),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "20 % lighter": lambda image: image.point(lambda level: min(255, int(level * 1.2))),
    "2 % cut off each side": lambda image: _crop(image, 0.02, 0.02, 0.98, 0.98),
    "5 % cut off each side": lambda image: _crop(image, 0.05, 0.05, 0.95, 0.95),
    "10 % cut off one side": lambda image: _crop(image, 0.1, 0, 1, 1),
    "half the size, 5 % cut off, JPEG 50": lambda image: _jpeg(
        _half(_crop(image, 0.05, 0.05, 0.95, 0.95)), 50
    ),
}


def pictures(folder: str, pattern: str, most: int) -> list[Path]:
    """Return the first pictures of a data set, by name."""
    return sorted(data_folder(folder).rglob(pattern))[:most]


def photos(paths: Sequence[Path]) -> None:
    """Print the recognised changes, and the false alarms among all pairs, of photographs."""
    images = [Image.open(path).convert("RGB") for path in paths]
    prints = [picture_print(image) for image in images]
    rows: list[tuple[str, list[float]]] = []
    for name, change in CHANGES.items():
        pairs = zip(prints, (picture_print(change(image)) for image in images), strict=True)
        found = sum(same_picture(one, other) for one, other in pairs)
        rows.append((name, [found / len(images)]))
    table(f"{len(images):,} photographs", ["recognised"], rows)
    alarms(paths, prints)


def alarms(paths: Sequence[Path], prints: Sequence[bytes]) -> None:
    """Print the pairs of different pictures that are taken for the same."""
    began = time.perf_counter()
    found = [
        (paths[one].name, paths[other].name)
        for one, other in itertools.combinations(range(len(prints)), 2)
        if same_picture(prints[one], prints[other])
    ]
    count = len(prints) * (len(prints) - 1) // 2
    each_us = (time.perf_counter() - began) / count * 1e6
    print(f"\n{count:,} pairs of different pictures, {len(found)} taken for the same")
    print(f"{each_us:.0f} us a pair")
    for one, other in found:
        print(f"  {one}  {other}")


def passages(count: int) -> None:
    """Print the recognised edits, and the false alarms among all pairs, of abstracts."""
    chosen = random.Random(0)
    with (data_folder("scifact") / "corpus.jsonl").open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in itertools.islice(lines, count)]

    def one_word_in(every: int) -> Callable[[str], str]:
        def change(text: str) -> str:
            words = text.split()
            for at in range(chosen.randrange(every), len(words), every):
                words[at] = "changed"
            return " ".join(words)

        return change

    def without_sentence(text: str) -> str:
        sentences = text.split(". ")
        del sentences[len(sentences) // 2]
        return ". ".join(sentences)

    changes: dict[str, Callable[[str], str]] = {
        "line breaks, upper case, no punctuation": lambda text: "\n".join(
            text.upper().replace(",", "").split()
        ),
        "one word in 50 replaced": one_word_in(50),
        "one word in 25 replaced": one_word_in(25),
        "one word in 10 replaced": one_word_in(10),
        "one sentence left out": without_sentence,
        "half of the text": lambda text: text[: len(text) // 2],
    }
    rows: list[tuple[str, list[float]]] = []
    for name, change in changes.items():
        found = sum(same_text(text, change(text)) for text in texts)
        rows.append((name, [found / len(texts)]))
    table(f"{len(texts):,} abstracts", ["recognised"], rows)
    some = texts[:1000]
    false = sum(same_text(one, other) for one, other in itertools.combinations(some, 2))
    pairs = len(some) * (len(some) - 1) // 2
    print(f"pairs of different abstracts: {pairs:,}; taken for the same: {false}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    most: int = parser.parse_args().photos
    print("ImageNet samples")
    photos(pictures("imagenet_samples", "*.jpg", most))
    print("Flickr8k, test split")
    photos(pictures("flickr8k", "*.jpg", most))
    print("Textbook figures, every third")
    figures = sorted(data_folder("openstax_figures").rglob("*.jpg"))[::3][:most]
    alarms(figures, [picture_print(Image.open(path).convert("RGB")) for path in figures])
    passages(1000)


if __name__ == "__main__":
    main()
