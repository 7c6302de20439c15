"""A library of pictures as sets of vectors: stored, searched in full and by an index, edited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trawl import Library, maxsim
from trawl.search import QueryPart
from trawl.store import maintenance
from trawl.types import Modality, Space, Vectors

PARTS, WIDTH = 6, 16
SPACE = Space("patches", PARTS * WIDTH, "1", parts=PARTS)


class Patches:
    """Maps a picture to a vector for each of its rows of pixels, from their first colour."""

    modality: Modality = "image"
    space = SPACE

    def encode(self, items: Sequence[Any]) -> Vectors:
        rows = [np.stack([_vector(one.getpixel((0, y))) for y in range(PARTS)]) for one in items]
        return np.stack([maxsim.joined(each, PARTS) for each in rows])


class Words:
    """Maps a text of colours, such as "#010203 #040506", to a vector for each."""

    modality: Modality = "text"
    space = SPACE

    def encode(self, items: Sequence[str]) -> Vectors:
        found = []
        for text in items:
            codes = [word for word in text.split() if word.startswith("#")] or ["#000000"]
            colours = [tuple(bytes.fromhex(code[1:])) for code in codes[:PARTS]]
            found.append(maxsim.joined(np.stack([_vector(one) for one in colours]), PARTS))
        return np.stack(found)


def _vector(colour: Any) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(list(colour))
    vector = random.standard_normal(WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _picture(folder: Path, number: int) -> list[str]:
    """Write a picture with rows of random colours, and return their codes."""
    colours = np.random.default_rng(number).integers(0, 255, (PARTS, 3), dtype=np.uint8)
    pixels = np.repeat(colours[:, None], 9, axis=1)
    Image.fromarray(pixels).save(folder / f"{number}.png")
    return ["#" + bytes(colour).hex() for colour in colours]


def _open(place: Path, **given: Any) -> Library:
    return Library(place, encoders=[Words(), Patches()], freshness_s=0, **given)


def _first(library: Library, query: str) -> str:
    return Path(library.search(query, modality="image").hits[0].uri).stem


@pytest.mark.parametrize("indexed_from", [2_000, 60], ids=["in full", "by an index"])
def test_words_and_pictures_find_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indexed_from: int
) -> None:
    monkeypatch.setattr(maintenance, "_SETS_INDEXED_FROM", indexed_from)
    folder, place = tmp_path / "media", tmp_path / "library"
    folder.mkdir()
    codes = {number: _picture(folder, number) for number in range(70)}
    with _open(place, create=True, profile="mini,patches") as library:
        assert library.add(folder).added == 70
        assert library.sources["patches.image"].parts == PARTS
        assert "patches.text" not in library.sources
        for number in (0, 33, 69):
            assert _first(library, f"{codes[number][4]} {codes[number][1]}") == str(number)
            hits = library.search(image=folder / f"{number}.png", modality="image").hits
            assert Path(hits[0].uri).stem == str(number)
            (evidence,) = [e for e in hits[0].evidence if e.source == "patches.image"]
            assert evidence.similarity == pytest.approx(1, abs=2e-3)
        liked = library.search(like=hits[0].chunk_id).hits
        assert liked
        assert all(Path(hit.uri).stem != "69" for hit in liked)
        narrow = library.search(codes[33][0], modality="image", where="title like '%33%'").hits
        assert [Path(hit.uri).stem for hit in narrow] == ["33"]
        parts = [
            QueryPart("text", codes[5][2], 3.0),
            QueryPart("image", Image.open(folder / "6.png"), 0.2),
        ]
        assert Path(library.search(parts=parts, modality="image").hits[0].uri).stem == "5"

        codes[99] = _picture(folder, 99)
        assert library.add(folder).added == 1
        assert _first(library, codes[99][0]) == "99"
        assert library.remove([str(folder / "33.png")]) == 1
        assert _first(library, codes[33][0]) != "33"
        library.set_metadata(folder / "5.png", {"caption": "Five colours"})
        assert _first(library, codes[5][0]) == "5"
    with _open(place) as again:
        assert _first(again, codes[99][3]) == "99"


def test_a_served_library_searches_sets_beside_held_vectors(tmp_path: Path) -> None:
    folder, place = tmp_path / "media", tmp_path / "library"
    folder.mkdir()
    codes = {number: _picture(folder, number) for number in range(8)}
    with _open(place, create=True, profile="mini,patches", memory_bytes=2**26) as library:
        library.add(folder)
        library.warm()
        assert _first(library, codes[3][0]) == "3"
        query = f"{codes[3][0]} {codes[5][1]}"
        diverse = library.search(query, modality="image", diversity=0.5).hits
        assert {Path(hit.uri).stem for hit in diverse[:2]} == {"3", "5"}
