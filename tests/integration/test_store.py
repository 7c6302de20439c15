"""The store on disk, with vectors of its own: indexes, filters, replacement, versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import lance
import numpy as np
import pytest

from buckets import new_bucket
from trawl.locations import Bucket, Location, location_of
from trawl.store import Mirror, Snapshot, Store, Words, Writer, maintenance, write_lock
from trawl.types import Chunk, Document, Space, Span

DIMENSION = 16
SOURCES = {name: Space("toy", DIMENSION, "f") for name in ("toy.text", "toy.image")}
ROWS = 600


def unit_vectors(count: int, seed: int = 0) -> np.ndarray:
    found = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def document(number: int, version: str = "h") -> Document:
    metadata = {"number": number, "third": number % 3 == 0}
    return Document(f"{number:024x}", f"/d/{number}", version, "text/plain", "T", metadata, 1)


def chunk(number: int, vector: np.ndarray, ordinal: int = 0, text: str = "") -> Chunk:
    source = "toy.image" if number % 4 == 0 else "toy.text"
    modality = "image" if number % 4 == 0 else "text"
    words = text or f"word{number} common"
    return Chunk(f"{number:024x}", ordinal, modality, Span(), words, {source: vector})


@pytest.fixture(params=["directory", "bucket"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, storage_options: dict[str, str]
) -> Location:
    if request.param == "directory":
        return location_of(tmp_path)
    return location_of(new_bucket(storage_options), storage_options)


@pytest.fixture
def store(location: Location, tmp_path: Path) -> Iterator[Store]:
    Store.create(location, SOURCES)
    mirror = None
    if isinstance(location, Bucket):
        mirror = Mirror(location, "chunks", tmp_path / "mirror", 2**30)
    opened = Store(location, SOURCES, mirror=mirror)
    yield opened
    opened.close()


@pytest.fixture
def writer(store: Store) -> Iterator[Writer]:
    with write_lock(store.location) as lock:
        found = store.writer(lock)
        yield found


@pytest.fixture
def filled(store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    monkeypatch.setattr(maintenance, "_INDEXED_FROM", 100)
    vectors = unit_vectors(ROWS)
    for start in range(0, ROWS, 50):
        batch = range(start, start + 50)
        writer.commit([(document(n), [chunk(n, vectors[n])]) for n in batch])
    writer.maintain()
    return store.refresh()


def numbers(snapshot: Snapshot, rows: np.ndarray) -> list[int]:
    return [int(found.metadata["number"]) for found in snapshot.take(rows.tolist())]


def exact(query: np.ndarray, count: int, keep: object) -> list[int]:
    vectors = unit_vectors(ROWS)
    allowed = [n for n in range(ROWS) if n % 4 != 0 and keep(n)]  # type: ignore[operator]
    return sorted(allowed, key=lambda n: -float(vectors[n] @ query))[:count]


def test_the_index_is_made_and_answers_as_brute_force_does(filled: Snapshot) -> None:
    assert filled._index_type("toy.text") == "IVF_FLAT"
    for query in unit_vectors(20, seed=1):
        ranking = filled.nearest("toy.text", query, 10, None)
        assert numbers(filled, ranking.rows) == exact(query, 10, lambda n: True)
        assert np.all(np.diff(ranking.similarities) <= 0)


def test_the_index_of_many_is_quantised_and_found_by_it_alone_far_away(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_QUANTISED_FROM", 100)
    monkeypatch.setattr(maintenance, "_INDEXED_FROM", 100)
    vectors = unit_vectors(ROWS)
    writer.commit([(document(n), [chunk(n, vectors[n])]) for n in range(ROWS)])
    writer.maintain()
    snapshot = store.refresh()
    assert snapshot._index_type("toy.text") == "IVF_RQ"
    is_far = snapshot._dataset.uri.startswith("s3:")
    assert snapshot._is_approximate("toy.text") == is_far
    for least in (0.8 if is_far else 0.95, 0.8):
        hits = 0
        for query in unit_vectors(20, seed=1):
            ranking = snapshot.nearest("toy.text", query, 10, None)
            found = numbers(snapshot, ranking.rows)
            hits += len(set(found) & set(exact(query, 10, lambda n: True)))
            assert np.allclose(ranking.similarities, vectors[found] @ query, atol=0.15)
        assert hits >= least * 200
        monkeypatch.setattr(type(snapshot), "_is_approximate", lambda *_: True)


@pytest.mark.parametrize(
    ("where", "keep"),
    [
        ("m_third = true", lambda n: n % 3 == 0),
        ("m_number IN (1, 2, 3, 500)", lambda n: n in (1, 2, 3, 500)),
        ("m_number >= 597", lambda n: n >= 597),
        ("m_number < 0", lambda n: False),
    ],
)
def test_a_filter_loses_nothing_and_lets_nothing_through(
    filled: Snapshot, where: str, keep: object
) -> None:
    for query in unit_vectors(5, seed=2):
        ranking = filled.nearest("toy.text", query, 10, where)
        assert numbers(filled, ranking.rows) == exact(query, 10, keep)


def test_indexed_distances_are_true_ones(filled: Snapshot) -> None:
    vectors = unit_vectors(ROWS)
    ranking = filled.nearest("toy.text", vectors[7], 5, None)
    places = numbers(filled, ranking.rows)
    assert places[0] == 7
    assert ranking.similarities == pytest.approx(
        [vectors[n] @ vectors[7] for n in places], abs=1e-4
    )


def test_old_versions_are_deleted_once_they_have_expired(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = unit_vectors(2)
    writer.commit([(document(0), [chunk(0, vectors[0])])])
    writer.maintain()
    if store.location.path is None:
        return  # compaction deletes those of an object store, after an hour
    assert len(store.refresh()._dataset.versions()) > 1
    monkeypatch.setattr(maintenance, "_KEPT", timedelta(0))
    writer.commit([(document(1), [chunk(1, vectors[1])])])
    writer.maintain()
    found = store.refresh()
    assert [one["version"] for one in found._dataset.versions()] == [found.version]
    assert found._dataset.count_rows() == 2
    tracked = found._dataset.tracked_files(min_version=found.version).read_all()["path"]
    root = store.location.path / "chunks.lance"
    left = [file for kind in ("data", "_indices") for file in (root / kind).rglob("*.*")]
    assert {file.relative_to(root).as_posix() for file in left} <= set(tracked.to_pylist())


def test_rows_that_come_after_the_index_are_found(
    store: Store, writer: Writer, filled: Snapshot
) -> None:
    new = unit_vectors(1, seed=9)[0]
    writer.commit([(document(10_001), [chunk(10_001, new)])])
    snapshot = store.refresh()
    assert snapshot.version > filled.version
    assert numbers(snapshot, snapshot.nearest("toy.text", new, 1, None).rows) == [10_001]
    assert numbers(snapshot, snapshot.words(Words("word10001"), 5, None).rows) == [10_001]


def test_a_replaced_document_changes_in_one_commit(store: Store, writer: Writer) -> None:
    vectors = unit_vectors(8)
    writer.commit([(document(1), [chunk(1, vectors[n], n, f"old{n}") for n in range(5)])])
    before = store.refresh()
    writer.commit([(document(1, "h2"), [chunk(1, vectors[n], n, f"new{n}") for n in range(2)])])
    after = store.refresh()
    assert after.version == before.version + 1
    assert [found.text for found in before.chunks(f"{1:024x}")] == [f"old{n}" for n in range(5)]
    assert [found.text for found in after.chunks(f"{1:024x}")] == ["new0", "new1"]
    assert len(after.words(Words("old3"), 5, None).rows) == 0


def test_removed_documents_leave_nothing(store: Store, writer: Writer) -> None:
    vectors = unit_vectors(3)
    writer.commit([(document(n), [chunk(n, vectors[n])]) for n in range(3)])
    writer.remove([f"{0:024x}", f"{2:024x}"])
    snapshot = store.refresh()
    assert snapshot.counts == {"text": 1, "image": 0, "audio": 0}
    assert [row.document_id for row in store.documents()] == [f"{1:024x}"]
    assert store.count_documents() == 1


def test_what_came_bit_by_bit_is_found_as_if_it_had_come_at_once(
    tmp_path: Path,
    filled: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(maintenance, "_MAX_UNINDEXED_ROWS", 5)
    vectors = unit_vectors(ROWS)
    ends = np.cumsum([200, 1, 3, 100, 2, 2, 2, 60, 10, 10, 10, 200]).tolist()
    (tmp_path / "bits").mkdir()
    store = Store.create(location_of(tmp_path / "bits"), SOURCES)
    with write_lock(store.location) as lock:
        writer = store.writer(lock)
        for start, end in zip([0, *ends], ends, strict=False):
            for some in np.array_split(np.arange(start, end), 3):
                writer.commit([(document(int(n)), [chunk(int(n), vectors[n])]) for n in some])
            writer.maintain()
    assert capfd.readouterr() == ("", "")
    bits = store.refresh()
    assert ends[-1] == ROWS
    assert bits.unindexed_rows == 0
    segments = [len(index.segments) for index in bits._dataset.describe_indices()]
    assert len(segments) == 4
    assert max(segments) > 1
    assert max(segments) <= 6
    for words in (
        Words("word7 common"),
        Words(phrases=("word599 common",)),
        Words("word30 word301"),
    ):
        first, second = (snapshot.words(words, 20, None) for snapshot in (bits, filled))
        assert first.similarities == pytest.approx(second.similarities)
        assert numbers(bits, first.rows[:1]) == numbers(filled, second.rows[:1])
    for query in unit_vectors(10, seed=3):
        found = bits.nearest("toy.text", query, 10, None)
        assert numbers(bits, found.rows) == exact(query, 10, lambda n: True)


def test_what_is_counted_never_keeps_python_to_itself(
    filled: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadlock(*_: object) -> int:
        raise AssertionError("the engine's threads wait for Python here, and Python for them")

    monkeypatch.setattr(lance.LanceFragment, "count_rows", deadlock)
    assert filled.counts == {"text": ROWS * 3 // 4, "image": ROWS // 4, "audio": 0}
    assert filled.size("toy.text") == ROWS


@pytest.mark.parametrize(
    ("sizes", "merged"),
    [
        ([], 0),
        ([100], 0),
        ([100, 25], 0),
        ([100, 26], 2),
        ([1000, 100, 20, 20], 3),
        ([1000, 300, 100, 20, 20], 5),
        ([1000, 600, 100, 20, 20], 3),
    ],
)
def test_segments_are_merged_once_the_later_ones_weigh_a_quarter(
    sizes: list[int], merged: int
) -> None:
    assert maintenance.segments_to_merge(sizes) == merged


def test_compaction_keeps_everything(store: Store, writer: Writer) -> None:
    vectors = unit_vectors(30)
    for n in range(30):
        writer.commit([(document(n), [chunk(n, vectors[n])])])
    before = store.refresh()
    writer.maintain()
    after = store.refresh()
    assert after.version > before.version
    assert sum(after.counts.values()) == 30
    for snapshot in (before, after):
        found = snapshot.words(Words("common"), 50, None)
        assert len(snapshot.take(found.rows.tolist())) == 30


def test_an_idle_run_commits_nothing(store: Store, writer: Writer, filled: Snapshot) -> None:
    writer.maintain()
    writer.commit([])
    writer.remove([])
    assert store.refresh().version == filled.version


def test_samples_hold_a_source_and_its_documents(filled: Snapshot) -> None:
    sample = filled.sample("toy.image", 1_000)
    assert sample.vectors.shape == (ROWS // 4, DIMENSION)
    assert len(set(sample.documents.tolist())) == ROWS // 4
    some = filled.sample("toy.image", 10)
    assert some.vectors.shape == (10, DIMENSION)
    assert np.array_equal(some.vectors, filled.sample("toy.image", 10).vectors)
    assert filled.size("toy.image") == ROWS // 4


def test_a_library_without_rows_answers(store: Store) -> None:
    snapshot = store.snapshot()
    query = unit_vectors(1)[0]
    assert len(snapshot.nearest("toy.text", query, 10, None).rows) == 0
    assert len(snapshot.words(Words("word"), 10, None).rows) == 0
    assert snapshot.sample("toy.text", 10).vectors.shape == (0, DIMENSION)
    assert snapshot.take([]) == []
    assert snapshot.chunk("none:0") is None


def test_a_version_whose_transaction_cannot_be_read_has_a_state(
    store: Store, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pylance raises TypeError for a compaction that rewrites indexes."""

    def unreadable(dataset: lance.LanceDataset, version: int) -> None:
        raise TypeError("RewrittenIndex.__init__() missing 3 required positional arguments")

    monkeypatch.setattr(lance.LanceDataset, "read_transaction", unreadable)
    snapshot = store.snapshot()
    assert snapshot.state.startswith(f"{snapshot.version}-")
    assert snapshot.state == snapshot.state
