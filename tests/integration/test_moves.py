"""Moved files keep their document: edits, metadata given with `add`, names and vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import picture, table
from trawl import Library
from trawl.ingest import document_id_of
from trawl.store import DocumentRow, Writer
from trawl.store import writer as writer_module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "m"
    made.mkdir()
    (made / "a.txt").write_text("A text about herons.", "utf-8")
    picture("red", "white").save(made / "p.png")
    (made / "p.png.json").write_text('{"place": "Brighton", "caption": "A red sky"}', "utf-8")
    return made


def documents(library: Library) -> dict[str, DocumentRow]:
    return {Path(row.uri).name: row for row in library.documents()}


def test_a_moved_folder_takes_its_documents_along(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(folder, metadata={"project": "birds"})
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    before = table(library, "chunks").to_table().sort_by("ordinal")
    moved = folder.rename(folder.parent / "deep")
    monkeypatch.setattr("trawl.ingest.reading.draft_chunks", None)  # nothing is read or embedded
    report = library.add(moved)
    assert (report.moved, report.added, report.replaced, report.failed) == (2, 0, 0, ())
    found = documents(library)
    assert {name: row.uri for name, row in found.items()} == {
        "a.txt": str(moved / "a.txt"),
        "p.png": str(moved / "p.png"),
    }
    assert found["a.txt"].document_id == document_id_of(str(moved / "a.txt"))
    assert found["a.txt"].metadata == {"project": "birds", "star": 5}
    assert found["p.png"].metadata == {"project": "birds", "place": "Brighton"}
    (hit,) = library.search("herons", required=["herons"]).hits
    assert (hit.uri, hit.metadata) == (str(moved / "a.txt"), {"project": "birds", "star": 5})
    (red,) = library.search("sky", required=["sky"]).hits
    assert library.thumbnail(red.chunk_id)[:2] == b"\xff\xd8"
    assert [chunk.chunk_id for chunk in library.show(moved / "p.png").chunks] == [red.chunk_id]
    after = table(library, "chunks").to_table().sort_by("ordinal")
    assert after.num_rows == before.num_rows == 2
    for name in before.schema.names:
        if name.startswith("v_"):
            assert sorted(map(str, before[name].to_pylist())) == sorted(
                map(str, after[name].to_pylist())
            )
    assert table(library, "media").count_rows() == 1
    assert library.add(moved).unchanged == 2


def test_a_renamed_file_keeps_its_edits(library: Library, folder: Path) -> None:
    library.add(folder)
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    (folder / "a.txt").rename(folder / "herons.txt")
    report = library.add(folder)
    assert (report.moved, report.added, report.unchanged) == (1, 0, 1)
    assert documents(library)["herons.txt"].metadata == {"star": 5}
    assert len(library.documents()) == 2
    assert [hit.uri for hit in library.search("x", required=["herons.txt"]).hits] == [
        str(folder / "herons.txt")
    ]


def test_a_name_in_another_case_is_a_move(library: Library, folder: Path) -> None:
    library.add(folder)
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    (folder / "a.txt").rename(folder / "A.TXT")
    assert library.add(folder, prune=True).moved == 1
    assert documents(library)["A.TXT"].metadata == {"star": 5}


def test_files_that_swap_their_names(library: Library, folder: Path) -> None:
    (folder / "b.txt").write_text("B is a text about owls.", "utf-8")
    library.add(folder)
    library.set_metadata(str(folder / "a.txt"), {"bird": "heron"})
    library.set_metadata(str(folder / "b.txt"), {"bird": "owl"})
    (folder / "a.txt").rename(folder / "c")
    (folder / "b.txt").rename(folder / "a.txt")
    (folder / "c").rename(folder / "b.txt")
    report = library.add(folder)
    assert (report.moved, report.replaced, report.unchanged) == (2, 0, 1)
    found = documents(library)
    assert (found["a.txt"].metadata, found["b.txt"].metadata) == (
        {"bird": "owl"},
        {"bird": "heron"},
    )
    assert [hit.metadata for hit in library.search("owls", required=["owls"]).hits] == [
        {"bird": "owl"}
    ]
    assert library.add(folder).unchanged == 3


def test_a_copy_is_not_a_move(library: Library, folder: Path) -> None:
    library.add(folder)
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    shutil.copy(folder / "a.txt", folder / "copy.txt")
    report = library.add(folder)
    assert (report.moved, report.added) == (0, 1)
    assert documents(library)["copy.txt"].metadata == {}
    # The original goes, but it has not become the copy, which was there before.
    (folder / "a.txt").unlink()
    assert library.add(folder, prune=True).removed == 1


def test_copies_that_move_together(library: Library, folder: Path) -> None:
    for name in ("one", "two"):
        (folder / name).mkdir()
        shutil.copy(folder / "a.txt", folder / name / "a.txt")
    library.add(folder)
    library.set_metadata(str(folder / "two" / "a.txt"), {"star": 2})
    moved = folder.rename(folder.parent / "m2")
    assert library.add(moved).moved == 4
    assert library.show(moved / "two" / "a.txt").document.metadata == {"star": 2}
    assert library.show(moved / "one" / "a.txt").document.metadata == {}


def test_a_file_that_was_moved_and_changed_is_reported(library: Library, folder: Path) -> None:
    library.add(folder / "a.txt")
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    moved = folder.rename(folder.parent / "m2")
    (moved / "a.txt").write_text("A text about storks.", "utf-8")
    report = library.add(moved / "a.txt")
    assert (report.moved, report.added) == (0, 1)
    (notice,) = report.notices
    assert notice.uri == str(moved / "a.txt")
    assert f"at {folder / 'a.txt'} is gone" in notice.notice
    assert len(library.documents()) == 2


def test_a_moved_link_keeps_its_document(library: Library, folder: Path) -> None:
    links = folder.parent / "links"
    links.mkdir()
    (links / "heron.txt").symlink_to(folder / "a.txt")
    library.add(links)
    library.set_metadata(str(links / "heron.txt"), {"star": 5})
    moved = links.rename(folder.parent / "links2")
    assert library.add(moved).moved == 1
    (row,) = library.documents()
    assert (row.uri, row.metadata) == (str(moved / "heron.txt"), {"star": 5})
    assert [hit.uri for hit in library.search("herons").hits] == [row.uri]


def test_a_file_becomes_a_link_and_again_a_file(library: Library, folder: Path) -> None:
    file = folder / "a.txt"
    library.add(file)
    library.set_metadata(str(file), {"star": 5})
    hidden = folder.parent / "objects"
    hidden.mkdir()
    file.rename(hidden / "0123456789abcdef0123456789abcdef")
    file.symlink_to(hidden / "0123456789abcdef0123456789abcdef")
    assert library.add(file).moved == 1
    (row,) = library.documents()
    assert (row.uri, row.metadata) == (str(file), {"star": 5})
    # Another version of the content, in another object.
    (hidden / "fedcba9876543210fedcba9876543210").write_text("On storks.", "utf-8")
    file.unlink()
    file.symlink_to(hidden / "fedcba9876543210fedcba9876543210")
    assert library.add(file).replaced == 1
    (row,) = library.documents()
    assert row.metadata == {"star": 5}
    file.unlink()
    (hidden / "fedcba9876543210fedcba9876543210").rename(file)
    assert library.add(file).moved == 1
    (row,) = library.documents()
    assert (row.document_id, row.metadata) == (document_id_of(str(file)), {"star": 5})


def test_metadata_of_add_is_kept_until_it_is_taken_back(library: Library, folder: Path) -> None:
    note = folder / "note.md"
    note.write_text("---\nproject: own\n---\nA note.", "utf-8")
    library.add(folder, metadata={"project": "x", "year": 2020})
    assert library.add(folder).unchanged == 3
    assert documents(library)["note.md"].metadata == {"project": "x", "year": 2020}
    note.write_text("---\nproject: own\n---\nA changed note.", "utf-8")
    assert library.add(folder).replaced == 1
    assert documents(library)["note.md"].metadata == {"project": "x", "year": 2020}
    assert library.add(folder, metadata={"year": 2021}).replaced == 3
    assert documents(library)["note.md"].metadata == {"project": "x", "year": 2021}
    library.set_metadata(str(note), {"year": 1999})
    library.add(folder, metadata={"project": None, "year": None})
    found = documents(library)
    assert found["note.md"].metadata == {"project": "own", "year": 1999}
    assert found["a.txt"].metadata == {}
    assert library.search("note", where="project = 'own'").hits


def test_metadata_of_add_survives_an_unreadable_file(library: Library, folder: Path) -> None:
    file = folder / "a.txt"
    library.add(file, metadata={"project": "x"})
    good = file.read_bytes()
    file.write_bytes(b"")
    assert library.add(file).failed
    file.write_bytes(good)
    library.add(file)
    assert documents(library)["a.txt"].metadata == {"project": "x"}


@pytest.mark.parametrize("step", ["_upsert document_id", "_delete_chunks", "_forget"])
def test_a_writer_that_is_killed_during_a_move(
    library: Library, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    library.add(folder)
    library.set_metadata(str(folder / "a.txt"), {"star": 5})
    moved = folder.rename(folder.parent / "m2")
    upsert = writer_module._upsert

    def killed(*args: object) -> None:
        if step.startswith("_upsert") and args[2] != "document_id":
            upsert(*args)  # type: ignore[arg-type]
            return
        if args[1:] != ([],):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step.startswith("_upsert"):
            patch.setattr(writer_module, "_upsert", killed)
        else:
            patch.setattr(Writer, step, killed)
        with pytest.raises(KeyboardInterrupt):
            library.add(moved)
    assert len(library.documents()) == 2
    library.add(moved)
    found = documents(library)
    assert {row.uri for row in found.values()} == {str(moved / "a.txt"), str(moved / "p.png")}
    assert found["a.txt"].metadata == {"star": 5}
    for name, rows in (("chunks", 2), ("media", 1)):
        assert table(library, name).count_rows() == rows
