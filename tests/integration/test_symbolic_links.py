"""Links give a document its name and its sidecars; the file that they lead to is its identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import picture
from trawl import Library
from trawl.errors import GoneError
from trawl.ingest import document_id_of
from trawl.store import DocumentRow

KEY = "SHA256E-s123--9f86d081884c7d65"


@pytest.fixture
def annex(tmp_path: Path) -> Path:
    """A folder as git-annex and DVC make it: links with names, files with hashes."""
    store = tmp_path / ".objects"
    store.mkdir()
    picture("red", "white").save(store / f"{KEY}.jpg")
    (store / "blob").write_text("---\ntitle: Readme title\n---\n# H\n\nThe body.\n", "utf-8")
    folder = tmp_path / "pics"
    folder.mkdir()
    (folder / "sunset-brighton.jpg").symlink_to(f"../.objects/{KEY}.jpg")
    (folder / "sunset-brighton.jpg.json").write_text('{"place": "Brighton"}', "utf-8")
    (folder / "readme.md").symlink_to("../.objects/blob")
    return folder


def documents(library: Library) -> dict[str, DocumentRow]:
    return {Path(row.uri).name: row for row in library.documents()}


def test_a_link_gives_name_and_sidecar(library: Library, annex: Path) -> None:
    assert library.add(annex).added == 2
    found = documents(library)
    assert (found["sunset-brighton.jpg"].title, found["sunset-brighton.jpg"].metadata) == (
        "sunset-brighton",
        {"place": "Brighton"},
    )
    assert (found["readme.md"].title, found["readme.md"].media_type) == (
        "Readme title",
        "text/markdown",
    )
    (hit,) = library.search("picture", required=["sunset"]).hits
    assert hit.uri == str(annex / "sunset-brighton.jpg")
    target = annex.parent / ".objects" / f"{KEY}.jpg"
    assert hit.document_id == document_id_of(str(target))
    for name in (annex / "sunset-brighton.jpg", target):
        assert library.show(name).document.document_id == hit.document_id
    with library.original(hit.chunk_id).file as file:
        assert file.read() == target.read_bytes()
    assert library.add(annex).unchanged == 2


def test_a_link_that_leads_elsewhere_is_not_opened(library: Library, annex: Path) -> None:
    library.add(annex)
    (hit,) = library.search("picture", required=["sunset"]).hits
    link = annex / "sunset-brighton.jpg"
    link.unlink()
    link.symlink_to("/etc/passwd")
    with pytest.raises(GoneError):
        library.original(hit.chunk_id)


def test_a_link_that_is_gone_is_pruned(library: Library, annex: Path) -> None:
    library.add(annex)
    (annex / "sunset-brighton.jpg").unlink()
    assert library.add(annex, prune=True).removed == 1
    assert list(documents(library)) == ["readme.md"]
    assert library.remove(annex) == 1


@pytest.mark.parametrize("name", ["sunset-brighton.jpg", f"../.objects/{KEY}.jpg"])
def test_the_path_of_a_link_or_its_target_removes_the_document(
    library: Library, annex: Path, name: str
) -> None:
    library.add(annex)
    assert library.remove(annex / name) == 1
    assert list(documents(library)) == ["readme.md"]


def test_several_links_are_names_of_one_document(library: Library, annex: Path) -> None:
    others = annex.parent / "others"
    others.mkdir()
    (others / "evening.jpg").symlink_to(f"../.objects/{KEY}.jpg")
    (others / "evening.jpg.json").write_text('{"camera": "old"}', "utf-8")
    library.add(annex)
    assert library.add(others).replaced == 1
    row = documents(library)["sunset-brighton.jpg"]
    assert row.names == (str(others / "evening.jpg"),)
    assert row.metadata == {"place": "Brighton", "camera": "old"}
    assert library.search("picture", required=["evening"]).hits
    # The first name stays, whichever folder is added again.
    assert (library.add(annex).unchanged, library.add(others).unchanged) == (2, 1)
    # The document stays as long as a link leads to its file.
    (annex / "sunset-brighton.jpg").unlink()
    assert library.add(annex, prune=True).removed == 0
    library.add(others)
    assert "evening.jpg" in documents(library)


def test_a_name_of_its_own_precedes_that_of_a_link(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "report-v3.txt").write_text("Numbers of the third version.", "utf-8")
    (folder / "latest.txt").symlink_to("report-v3.txt")
    library.add(folder)
    (row,) = library.documents()
    assert (row.title, row.uri) == ("Numbers of the third version.", str(folder / "report-v3.txt"))
    assert row.names == (str(folder / "latest.txt"),)
    assert library.search("numbers", required=["latest"]).hits
    # A hash is no name: the layout of Hugging Face's cache.
    cache = tmp_path / "models"
    (cache / "blobs").mkdir(parents=True)
    (cache / "snapshots").mkdir()
    (cache / "blobs" / "d6c3a1f0d6c3a1f0d6c3a1f0").write_text("# Card\n\nA model.", "utf-8")
    (cache / "snapshots" / "README.md").symlink_to("../blobs/d6c3a1f0d6c3a1f0d6c3a1f0")
    assert library.add(cache).added == 1
    assert documents(library)["README.md"].title == "Card"


def test_a_link_to_a_folder(library: Library, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "far.txt").write_text("Far away.", "utf-8")
    folder = tmp_path / "in"
    (folder / "zdeep").mkdir(parents=True)
    (folder / "zdeep" / "near.txt").write_text("Near by.", "utf-8")
    (folder / "across").symlink_to(tmp_path / "data")
    (folder / "also").symlink_to("zdeep")
    library.add(folder)
    assert {row.uri for row in library.documents()} == {
        str(folder / "across" / "far.txt"),
        str(folder / "zdeep" / "near.txt"),
    }
    (folder / "across").unlink()
    assert library.add(folder, prune=True).removed == 1


def test_a_broken_link_says_what_is_missing(library: Library, annex: Path) -> None:
    library.add(annex)
    (annex.parent / ".objects" / f"{KEY}.jpg").unlink()
    (failure,) = library.add(annex).failed
    assert failure.uri == str(annex / "sunset-brighton.jpg")
    assert f"a link to '../.objects/{KEY}.jpg', which does not exist" in failure.reason
    # The document is the same, and keeps its chunks: the file may come back.
    assert sorted(documents(library)) == ["readme.md", "sunset-brighton.jpg"]
    assert library.search("picture", required=["sunset"]).hits
    picture("red", "white").save(annex.parent / ".objects" / f"{KEY}.jpg")
    assert library.add(annex).failed == ()
    assert library.documents(failed=True) == []


def test_a_figure_of_a_text_that_is_a_link(library: Library, annex: Path) -> None:
    (annex / "note.md").write_text("# Note\n\n![A red sky](sunset-brighton.jpg)\n", "utf-8")
    library.add(annex / "note.md")
    row = documents(library)["sunset-brighton.jpg"]
    assert row.metadata == {"place": "Brighton"}
    (chunk,) = library.show(row.document_id).chunks
    assert chunk.text == "A red sky"


def test_a_folder_that_is_a_link(library: Library, annex: Path) -> None:
    (annex.parent / "shortcut").symlink_to(annex)
    library.add(annex.parent / "shortcut")
    assert set(documents(library)) == {"sunset-brighton.jpg", "readme.md"}
    assert library.add(annex).unchanged == 2
