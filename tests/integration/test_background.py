"""Background samples and null statistics follow the size of the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trawl import Library
from trawl.search.caches import Backgrounds

WORDS = ("tide", "moon", "sea", "mill", "boat", "sand", "wind", "rain", "salt", "gull")


def write(folder: Path, numbers: range) -> list[Path]:
    files = []
    for n in numbers:
        words = np.random.default_rng(n).choice(WORDS, 12)
        files.append(folder / f"{n}.txt")
        files[-1].write_text(" ".join(words), "utf-8")
    return files


def test_sample_and_null_follow_a_library_that_grows(library: Library, tmp_path: Path) -> None:
    backgrounds = Backgrounds(library._models)
    query = library._models[0].text.encode(["the moon and the tide"])[0]

    def background() -> tuple[int, int | None]:
        found = backgrounds.of(library._store.refresh(), "mini.text", query, "text")
        return len(found.similarities), found.null.size if found.null is not None else None

    assert background() == (0, None)
    library.add(write(tmp_path, range(40)))
    assert background() == (40, 39)
    # Redrawn after more than 5 % growth.
    library.add(write(tmp_path, range(40, 42)))
    assert background() == (40, 39)
    library.add(write(tmp_path, range(42, 60)))
    assert background() == (60, 59)
    library.remove([tmp_path / f"{n}.txt" for n in range(30)])
    assert background() == (30, 29)


def test_pictures_are_measured_as_soon_as_there_are_texts_to_ask_with(
    library: Library, tmp_path: Path
) -> None:
    for n in range(12):
        Image.new("RGB", (40, 40), (20 * n, 90, 200 - 9 * n)).save(tmp_path / f"{n}.png")
    library.add([*tmp_path.glob("*.png")])
    backgrounds = Backgrounds(library._models)
    query = library._models[0].text.encode(["a blue square"])[0]

    def null_size() -> int | None:
        found = backgrounds.of(library._store.refresh(), "mini.image", query, "text")
        assert len(found.similarities) == 12
        return found.null.size if found.null is not None else None

    assert null_size() is None
    library.add(write(tmp_path, range(20)))
    assert null_size() == 12
