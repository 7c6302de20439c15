"""Null statistics follow the size of the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trawl import Library
from trawl.encoders import load_model
from trawl.search.caches import Nulls

WORDS = ("tide", "moon", "sea", "mill", "boat", "sand", "wind", "rain", "salt", "gull")


def write(folder: Path, numbers: range) -> list[Path]:
    files = []
    for n in numbers:
        words = np.random.default_rng(n).choice(WORDS, 12)
        files.append(folder / f"{n}.txt")
        files[-1].write_text(" ".join(words), "utf-8")
    return files


def test_nulls_follow_a_library_that_grows(library: Library, tmp_path: Path) -> None:
    nulls = Nulls(library._models)

    def size() -> int | None:
        null = nulls.of(library._store.refresh(), "mini.text", "text")
        return null.size if null is not None else None

    assert size() is None
    library.add(write(tmp_path, range(40)))
    assert size() == 40
    # Measured again after more than 5 % growth.
    library.add(write(tmp_path, range(40, 42)))
    assert size() == 40
    library.add(write(tmp_path, range(42, 60)))
    assert size() == 60
    library.remove([tmp_path / f"{n}.txt" for n in range(30)])
    assert size() == 30


def test_pictures_alone_have_a_null_for_text_queries(library: Library, tmp_path: Path) -> None:
    for n in range(12):
        Image.new("RGB", (40, 40), (20 * n, 90, 200 - 9 * n)).save(tmp_path / f"{n}.png")
    nulls = Nulls(library._models)
    library.add([tmp_path / "0.png"])
    one = nulls.of(library._store.refresh(), "mini.image", "text")
    assert one is not None
    assert (one.size, one.trust) == (1, 1.0)
    # Queries by picture are represented by other pictures, and one has no other.
    assert nulls.of(library._store.refresh(), "mini.image", "image") is None
    library.add([*tmp_path.glob("*.png")])
    twelve = nulls.of(library._store.refresh(), "mini.image", "image")
    assert twelve is not None
    assert twelve.size == 11
    assert twelve.trust < 0.1


def test_without_a_stored_calibration_the_library_measures_itself(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(write(tmp_path, range(40)))
    snapshot = library._store.refresh()
    stored = Nulls(library._models).of(snapshot, "mini.text", "text")
    model = load_model("mini")
    monkeypatch.setattr("trawl.encoders.registry.stored_reference", lambda *_: None)
    assert not model.reference.is_stored
    assert model.reference.intent_of(model.reference.questions[0]) == {}
    measured = Nulls([model]).of(snapshot, "mini.text", "text")
    assert stored is not None
    assert measured is not None
    # Excerpts of texts about the same few words are nearer to them than the question bank.
    assert measured.best > stored.best + 0.05
