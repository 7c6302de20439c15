"""Looking up rows of ``documents``, in a table of a few rows."""

from __future__ import annotations

import datetime
from pathlib import Path

import lance
import pytest

from trawl.store import known
from trawl.store.known import DocumentRows, Known
from trawl.store.rows import DocumentRow, document_table
from trawl.types import Metadata


def row(
    document_id: str, uri: str, metadata: Metadata | None = None, chunks: int = 1
) -> DocumentRow:
    return DocumentRow(
        document_id=document_id, uri=uri, content_hash=f"hash of {uri[-5:]}",
        media_type="text/plain", title="", metadata=metadata or {}, size_bytes=1, chunks=chunks,
        error=None,
        added_at=datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC),
    )  # fmt: skip


ROWS = [
    row("d1", "/a/x.txt", {'it\'s "a" key': 1}),
    row("d2", "/b/x.txt", {"year": 2020}),
    row("d3", "/b/it's.md", chunks=0),
    row("d4", "/c/y.txt", {"text": '"year": 2020'}),
]


@pytest.fixture
def table(tmp_path: Path) -> lance.LanceDataset:
    return lance.write_dataset(document_table(ROWS), tmp_path / "documents.lance")


@pytest.mark.parametrize("read_at_once", [0, 100], ids=["by queries", "by a column in memory"])
def test_documents_are_found_by_content_and_address(
    table: lance.LanceDataset, monkeypatch: pytest.MonkeyPatch, read_at_once: int
) -> None:
    monkeypatch.setattr(known, "_READ_AT_ONCE", read_at_once)
    rows = DocumentRows(table)
    assert [one.document_id for one in rows.with_content("hash of x.txt")] == ["d1", "d2"]
    assert rows.with_content("hash of 's.md") == []  # without chunks
    assert rows.at("/b/it's.md") == ROWS[2]
    assert rows.at("/b") is None


@pytest.mark.parametrize("most", [0, 50], ids=["all are read", "by a filter"])
def test_documents_are_found_by_file_name(
    table: lance.LanceDataset, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(known, "_MAX_NAMES", most)
    found = DocumentRows(table).with_file_names(["it's.md", "x.txt"], "error IS NULL")
    assert [one.uri for one in found] == ["/a/x.txt", "/b/it's.md", "/b/x.txt"]


def test_the_metadata_with_a_key_is_read(table: lance.LanceDataset) -> None:
    rows = DocumentRows(table)
    assert list(rows.metadata(['it\'s "a" key'])) == [{'it\'s "a" key': 1}]
    assert {"year": 2020} in rows.metadata(["year"])


def test_rows_about_to_be_written_replace_those_of_the_table(table: lance.LanceDataset) -> None:
    rows = Known(table)
    assert rows.get("d9") is None
    changed = row("d1", "/moved.txt")
    rows.update({"d1": changed, "d2": None})
    assert rows["d1"] == changed
    assert rows["d3"] == ROWS[2]
    with pytest.raises(KeyError):
        rows["d2"]
    assert rows.version().at("/a/x.txt") == ROWS[0]
