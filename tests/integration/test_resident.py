"""A library held in memory answers as the engine does, and follows what is committed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from trawl import Library
from trawl.server import create_app
from trawl.types import Answer

QUERIES = ("muon decay", "bread with a brown crust", "red sunset over the sea", "river sand banks")


@pytest.fixture
def held(tmp_path: Path, collection: Path) -> Iterator[Library]:
    with Library(tmp_path / "held", create=True, freshness_s=0) as library:
        library.add(collection)
        library.warm()
        library._store.settle()  # what is read is read then
        yield library


def told(answer: Answer) -> list[tuple[object, ...]]:
    return [
        (
            hit.chunk_id,
            hit.uri,
            hit.title,
            hit.snippet,
            hit.span,
            hit.metadata,
            hit.detail,
            round(hit.score, 4),
            [(one.source, one.rank, round(one.similarity, 4)) for one in hit.evidence],
        )
        for hit in answer.hits
    ]


def is_held(library: Library) -> bool:
    return all(library._store.snapshot().holds(source) for source in library._store.sources)


def same_as_the_engine(library: Library, **options: object) -> None:
    with Library(library.path, freshness_s=0) as engine:
        for query in QUERIES:
            mine = library.search(query, limit=50, **options)  # type: ignore[arg-type]
            assert told(mine) == told(engine.search(query, limit=50, **options))  # type: ignore[arg-type]
            assert mine.hits or options


def test_answers_are_those_of_the_engine(held: Library) -> None:
    assert is_held(held)
    same_as_the_engine(held)


@pytest.mark.parametrize(
    "options",
    [
        {"where": "year >= 2020"},
        {"where": "modality = 'image'"},
        {"where": "year = 1900"},
        {"modality": ("text", "audio")},
        {"excluded": ["river"]},
        {"required": ["muon"]},
        {"balance": True},
        {"diversity": 0.5},
    ],
)
def test_filters_and_lists_are_those_of_the_engine(
    held: Library, options: dict[str, object]
) -> None:
    assert is_held(held)
    same_as_the_engine(held, **options)


def test_what_changes_is_followed(held: Library, collection: Path, tmp_path: Path) -> None:
    more = tmp_path / "kaon.txt"
    more.write_text("The kaon has a strange quark.", "utf-8")
    held.add(more)
    assert held.search("kaon").hits[0].uri == str(more)
    held._store.settle()
    assert is_held(held)
    same_as_the_engine(held)
    (collection / "bread.txt").write_text("Rye bread\n\nRye wants sourdough and time.", "utf-8")
    held.add(collection)
    held.remove(collection / "long.txt")
    held._store.settle()
    assert is_held(held)
    same_as_the_engine(held)
    assert not [h for h in held.search("river sand").hits if h.uri.endswith("long.txt")]


def test_new_metadata_and_compaction_are_followed(held: Library, tmp_path: Path) -> None:
    for number in range(14):  # more fragments than are left alone
        note = tmp_path / f"note{number}.txt"
        note.write_text(f"Note {number}: pions decay to muons, {number} in all.", "utf-8")
        held.add(note, metadata={f"key{number}": number})
        held._store.settle()
    assert is_held(held)
    same_as_the_engine(held)
    same_as_the_engine(held, where="key7 = 7")


def test_another_process_is_followed(held: Library, tmp_path: Path) -> None:
    note = tmp_path / "axion.txt"
    note.write_text("The axion has not been seen.", "utf-8")
    with Library(held.path) as other:
        other.add(note)
    for _ in range(200):
        hits = held.search("axion").hits
        held._store.settle()
        if hits and hits[0].uri == str(note):
            break
    assert hits[0].uri == str(note)
    assert is_held(held)


def test_what_is_too_large_stays_with_the_engine(tmp_path: Path, collection: Path) -> None:
    with Library(tmp_path / "lib", create=True, memory_bytes=3_000, freshness_s=0) as library:
        library.add(collection)
        library.warm()
        library._store.settle()
        snapshot = library._store.snapshot()
        assert snapshot.holds("mini.audio")
        assert not snapshot.holds("mini.text")
        same_as_the_engine(library)
    with Library(tmp_path / "lib", memory_bytes=0) as library:
        library.warm()
        library._store.settle()
        assert not library._store.snapshot().holds("mini.audio")


def test_recall_is_in_the_status_of_a_served_library(held: Library) -> None:
    recall = held.status().recall
    assert set(recall) == {"mini.text", "mini.image", "mini.audio"}
    assert set(recall.values()) == {1.0}
    client = TestClient(create_app(held))
    assert client.get("/v1/stats").json()["recall"] == recall
    assert 'trawl_library_recall{source="mini.text"} 1.0' in client.get("/metrics").text
    with Library(held.path) as unheld:
        assert unheld.status().recall == {}
