"""Changing a document's metadata: its chunks, its row, and what survives re-adding."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest

from conftest import opened_again, table
from trawl import Library
from trawl.errors import FilterError, MetadataError, NotFoundError
from trawl.store import DocumentRow, Writer

MUON = "---\nyear: 2019\ntopic: physics\n---\n# Muon\n\nThe muon decays.\n"


@pytest.fixture
def muon(tmp_path: Path) -> Path:
    file = tmp_path / "in" / "muon.md"
    file.parent.mkdir()
    file.write_text(MUON, "utf-8")
    (file.parent / "bread.txt").write_text("Bread is baked in an oven.", "utf-8")
    return file


def only(library: Library, file: Path) -> DocumentRow:
    return library.show(file).document


def test_what_is_changed_is_found_at_once(library: Library, muon: Path) -> None:
    library.add(muon.parent)
    before = table(library, "chunks").to_table().sort_by("chunk_id")
    row = only(library, muon)
    version = library.version
    changed = library.set_metadata(
        row.document_id,
        {"year": 2020, "topic": None, "read": "2024-05-01", "tags": ["a", "b"], "by": {"x": 1}},
    )
    assert library.version > version
    expected = {
        "year": 2020,
        "read": datetime.date(2024, 5, 1),
        "tags": ["a", "b"],
        "by.x": 1,
    }
    assert changed.metadata == only(library, muon).metadata == expected
    for where in ("year = 2020", "tags contains 'b'", "read > date '2024-01-01'", "by.x = 1"):
        hits = library.search("muon", where=where).hits
        assert [hit.metadata for hit in hits] == [expected], where
    with pytest.raises(FilterError, match="no column"):  # no document has a topic
        library.search("muon", where="topic = 'physics'")
    # Nothing was embedded anew, and the other document is as it was.
    after = table(library, "chunks").to_table().sort_by("chunk_id")
    for name in before.schema.names:
        if name.startswith("v_") or name in ("text", "words", "span", "title"):
            assert before[name].equals(after[name]), name
    assert only(library, muon.parent / "bread.txt").metadata == {}


def test_edits_survive_re_adding_the_file(library: Library, muon: Path) -> None:
    library.add(muon)
    document_id = only(library, muon).document_id
    library.set_metadata(document_id, {"year": 2020, "topic": None})
    assert library.add(muon).unchanged == 1
    assert only(library, muon).metadata == {"year": 2020}
    muon.write_text(MUON.replace("physics", "gels") + "\nDNA.\n", "utf-8")
    assert library.add(muon, metadata={"lab": "CERN", "year": 1}).replaced == 1
    assert only(library, muon).metadata == {"year": 2020, "lab": "CERN"}
    assert library.search("muon", where="year = 2020 and lab = 'CERN'").hits
    # With the document the changes go.
    library.remove(muon)
    library.add(muon)
    assert only(library, muon).metadata == {"year": 2019, "topic": "gels"}


def test_edits_survive_an_unreadable_file(library: Library, muon: Path) -> None:
    library.add(muon)
    document_id = only(library, muon).document_id
    library.set_metadata(document_id, {"year": 2020})
    good = muon.read_bytes()
    muon.write_bytes(b"---\n: [\n---\n\xff\xfe\x00")
    assert library.add(muon).failed
    muon.write_bytes(good)
    assert library.add(muon).failed == ()
    assert only(library, muon).metadata["year"] == 2020


def test_a_value_without_a_type_changes_nothing(library: Library, muon: Path) -> None:
    library.add(muon)
    row = only(library, muon)
    with pytest.raises(MetadataError, match="matrix"):
        library.set_metadata(row.document_id, {"matrix": [[1]]})
    assert only(library, muon) == row
    with pytest.raises(NotFoundError):
        library.set_metadata("0" * 24, {"year": 1})
    assert library.set_metadata(row.document_id, {}) == row


def test_a_writer_that_is_killed_between_row_and_chunks(
    library: Library, muon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(muon)
    document_id = only(library, muon).document_id

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_apply_edits", killed)
        with pytest.raises(KeyboardInterrupt):
            library.set_metadata(document_id, {"year": 2020})
    assert library.search("muon", where="year = 2020").hits == ()
    library.add(muon.parent / "bread.txt")
    assert library.search("muon", where="year = 2020").hits


def test_a_library_from_before_edits_is_written_on(library: Library, muon: Path) -> None:
    library.add(muon)
    documents = table(library, "documents")
    documents.drop_columns(["modified_ns", "edits"])
    with opened_again(library) as old:
        row = only(old, muon)
        assert (row.modified_ns, row.edits) == (None, {})
        old.set_metadata(row.document_id, {"year": 2020})
        assert only(old, muon).edits == {"year": 2020}
        assert old.add(muon).unchanged == 1
        assert only(old, muon).modified_ns == muon.stat().st_mtime_ns


def test_documents_are_listed_by_pages_and_filters(library: Library, muon: Path) -> None:
    (muon.parent / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    library.add(muon.parent)
    page = library.document_page(limit=2)
    assert ([Path(row.uri).name for row in page.documents], page.total) == (
        ["bread.txt", "muon.md"],
        3,
    )
    assert [Path(row.uri).name for row in library.document_page(offset=2).documents] == ["torn.png"]
    filtered = library.document_page(where="year >= 2000")
    assert ([Path(row.uri).name for row in filtered.documents], filtered.total) == (["muon.md"], 1)
    assert library.document_page(failed=True).total == 1
    assert library.document_page(failed=True, where="year >= 2000").total == 0


def test_values_are_counted_by_documents(library: Library, muon: Path) -> None:
    for number, tags in enumerate((["a"], ["a", "b", "a"], [])):
        text = f"---\nyear: {2020 + number // 2}\ntags: [{', '.join(tags)}]\n---\n" + "word " * 900
        (muon.parent / f"{number}.md").write_text(text, "utf-8")
    library.add(muon.parent)
    assert sum(library.status().chunks.values()) > 8
    found = {facet.key: facet.counts for facet in library.facets(["year", "tags", "modality"])}
    assert found == {
        "year": ((2020, 2), (2019, 1), (2021, 1)),
        "tags": (("a", 2), ("b", 1)),
        "modality": (("text", 5),),
    }
    (filtered,) = library.facets(["tags"], where="year = 2020 and tags contains 'b'")
    assert filtered.counts == (("a", 1), ("b", 1))
    (none,) = library.facets(["tags"], where="year = 1900")
    assert none.counts == ()
    assert len(library.facets(["year"], limit=2)[0].counts) == 2
    assert library.facets(["year"], modality=["image"])[0].counts == ()


def test_a_document_is_named_by_id_or_path(library: Library, muon: Path) -> None:
    odd = muon.parent / os.fsdecode(b"caf\xe9.txt")
    odd.write_text("Latin text", "utf-8")
    library.add(muon.parent)
    assert library.set_metadata(str(muon), {"star": 5}).metadata["star"] == 5
    assert only(library, muon).metadata["star"] == 5
    assert library.set_metadata(str(odd), {"star": 4}).metadata == {"star": 4}
    assert library.show(str(odd)).document.metadata == {"star": 4}
    with pytest.raises(NotFoundError):
        library.show(os.fsdecode(b"none\xe9.txt"))
