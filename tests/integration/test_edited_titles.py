"""Editing titles, captions and lists: what is found, what survives, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import lance
import numpy as np
import pytest
import soundfile
from PIL import Image

from conftest import tone
from trawl import Library
from trawl.encoders import load_profile
from trawl.errors import MetadataError, NotFoundError, UsageError
from trawl.store import Writer
from trawl.types import Hit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A note, a captioned photo, and a sound."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "note.md").write_text("# Muon\n\n" + "The particle decays quickly. " * 120, "utf-8")
    Image.linear_gradient("L").convert("RGB").save(folder / "p1.png")
    (folder / "p1.png.json").write_text(json.dumps({"title": "Scan", "caption": "a barn"}))
    soundfile.write(folder / "tone.wav", tone(440.0, 2.0), 16_000)
    return folder


def found(library: Library, query: str, **options: object) -> list[str]:
    return [Path(hit.uri).name for hit in _hits(library, query, **options)]


def _hits(library: Library, query: str, **options: object) -> tuple[Hit, ...]:
    return library.query(query, all=True, **options).hits  # type: ignore[arg-type]


def vectors(library: Library, file: Path) -> np.ndarray:
    document_id = library.show(file).document.document_id
    table = lance.dataset(str(library.path / "chunks.lance")).to_table(
        columns=["v_mini_2etext"], filter=f"document_id = '{document_id}'"
    )
    return np.array(table["v_mini_2etext"].to_pylist())


def test_an_edited_title_is_found_and_embedded(library: Library, folder: Path) -> None:
    library.add(folder)
    note = folder / "note.md"
    before = vectors(library, note)
    assert len(before) > 1
    row = library.set_metadata(note, {"title": "Sourdough  bread"})
    assert (row.title, row.metadata) == ("Sourdough bread", {})
    assert found(library, "+sourdough") == ["note.md"] * 2
    assert found(library, "+muon", per_document=0) == ["note.md"]  # the heading in the text
    assert {chunk.title for chunk in library.show(note).chunks} == {"Sourdough bread"}
    (mini,) = load_profile("mini", None)
    texts = [f"Sourdough bread\n{chunk.text}" for chunk in library.show(note).chunks]
    order = np.abs(vectors(library, note) @ mini.text.encode(texts).T - 1) < 1e-3
    assert order.any(axis=1).all()
    restored = library.set_metadata(note, {"title": None})
    assert restored.title == "Muon"
    assert found(library, "+sourdough") == []
    np.testing.assert_allclose(np.sort(vectors(library, note), 0), np.sort(before, 0), atol=1e-5)


def test_an_edited_caption_is_found_by_words_and_meaning(library: Library, folder: Path) -> None:
    library.add(folder)
    photo, sound = folder / "p1.png", folder / "tone.wav"
    thumbnail = library.thumbnail(library.show(photo).chunks[0].chunk_id)
    library.set_metadata(photo, {"caption": "ships in the harbour", "title": "Quay"})
    library.set_metadata(sound, {"caption": "a tuning fork"})
    assert found(library, "+harbour") == found(library, "+quay") == ["p1.png"]
    assert found(library, "+barn") == []
    assert found(library, "+fork") == ["tone.wav"]
    (hit, *_) = _hits(library, "boats at sea", modality="image")
    assert "mini.text" in {one.source for one in hit.evidence}
    (mini,) = load_profile("mini", None)
    expected = mini.text.encode(["ships in the harbour"])
    np.testing.assert_allclose(vectors(library, photo), expected, atol=1e-4)
    assert library.thumbnail(hit.chunk_id) == thumbnail
    # Empty hides the file's caption, None restores it.
    library.set_metadata(photo, {"caption": ""})
    assert library.show(photo).chunks[0].text == ""
    assert vectors(library, photo).tolist() == [None]
    library.set_metadata(photo, {"caption": None})
    assert library.show(photo).chunks[0].text == "a barn"
    assert found(library, "+barn") == ["p1.png"]
    np.testing.assert_allclose(vectors(library, photo), mini.text.encode(["a barn"]), atol=1e-4)


def test_edits_win_over_the_file_until_they_are_cleared(library: Library, folder: Path) -> None:
    library.add(folder)
    note, photo = folder / "note.md", folder / "p1.png"
    library.set_metadata(note, {"title": "Bread"})
    library.set_metadata(photo, {"caption": "ships"})
    assert library.add(folder).unchanged == 3
    note.write_text("# Kaon\n\nIt has a strange quark.", "utf-8")
    (folder / "p1.png.json").write_text(json.dumps({"title": "Scan", "caption": "a mill"}))
    assert library.add(folder).replaced == 2
    assert library.show(note).document.title == "Bread"
    assert found(library, "+bread") == ["note.md"]
    assert found(library, "+ships") == ["p1.png"]
    assert found(library, "+mill") == []
    (mini,) = load_profile("mini", None)
    text = library.show(note).chunks[0].text
    np.testing.assert_allclose(
        vectors(library, note), mini.text.encode([f"Bread\n{text}"]), atol=1e-4
    )
    assert library.set_metadata(note, {"title": None}).title == "Kaon"
    library.set_metadata(photo, {"caption": None})
    assert found(library, "+mill") == ["p1.png"]
    # An unreadable file keeps its edits too.
    library.set_metadata(note, {"title": "Bread"})
    good = note.read_bytes()
    note.write_bytes(b"\0" * 64)
    assert library.add(note).failed
    note.write_bytes(good)
    library.add(note)
    assert library.show(note).document.title == "Bread"


@pytest.mark.parametrize("edits", [{"title": "Bread"}, {"title": None}])
def test_a_writer_that_is_killed_before_the_chunks(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch, edits: dict[str, str | None]
) -> None:
    library.add(folder)
    note = folder / "note.md"
    if edits["title"] is None:
        library.set_metadata(note, {"title": "Other"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_apply_edits", killed)
        with pytest.raises(KeyboardInterrupt):
            library.set_metadata(note, edits)
    library.add(folder / "p1.png")
    title = edits["title"] or "Muon"
    assert {chunk.title for chunk in library.show(note).chunks} == {title}
    assert found(library, f"+{title}")


def test_lists_gain_and_lose_items(library: Library, folder: Path) -> None:
    library.add(folder)
    note = folder / "note.md"

    def tags(**changes: object) -> object:
        return library.set_metadata(note, **changes).metadata.get("tags")  # type: ignore[arg-type]

    assert tags(add={"tags": "a"}) == ["a"]
    assert tags(add={"tags": ["b", "a", 3]}) == ["a", "b", "3"]
    assert tags(remove={"tags": ["a", "none"]}, add={"tags": ["c"]}) == ["b", "3", "c"]
    assert found(library, "muon tags:c")
    assert tags(remove={"tags": ["b", "3", "c"]}) is None
    library.set_metadata(note, {"tags": "one"})
    assert tags(add={"tags": ["two"]}) == ["one", "two"]


def test_what_cannot_be_edited_changes_nothing(library: Library, folder: Path) -> None:
    library.add(folder)
    note = folder / "note.md"
    before = library.show(note).document
    for changes in ({"modality": "image"}, {"uri": None}, {"media_type": "x"}):
        with pytest.raises(UsageError, match="document_id, media_type, modality, uri"):
            library.set_metadata(note, changes)
    with pytest.raises(UsageError, match="document_id"):
        library.set_metadata(note, add={"document_id": ["x"]})
    with pytest.raises(UsageError, match="title is not a list"):
        library.set_metadata(note, add={"title": ["x"]})
    with pytest.raises(UsageError, match="both"):
        library.set_metadata(note, {"tags": ["a"]}, add={"tags": ["b"]})
    for value in (5, ["a"], " ", "x" * 1001, "\ud800"):
        with pytest.raises(MetadataError, match="title"):
            library.set_metadata(note, {"title": value})
    with pytest.raises(MetadataError, match="has no caption"):
        library.set_metadata(note, {"caption": "ships"})
    with pytest.raises(NotFoundError, match=r"none\.md"):
        library.set_metadata(folder / "none.md", {"title": "x"})
    assert library.show(note).document == before
