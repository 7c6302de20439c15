"""A library in an object store: adding, searching, other readers, the local copy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buckets import Gateway, new_bucket
from conftest import write_collection
from served import asked
from trawl import Library
from trawl.errors import LibraryError, LibraryMissingError, QueryError, StorageError
from trawl.server import jobs
from trawl.settings import Settings
from trawl.store.full_text import Words
from trawl.types import Report


@pytest.fixture(scope="module")
def gateway(storage_options: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(storage_options) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "collection"
    write_collection(folder)
    return folder


@pytest.fixture(scope="module")
def address(gateway: Gateway, files: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a library with the collection."""
    address = f"{new_bucket(gateway.options)}/papers/physics"
    with Library(
        address, create=True, storage_options=gateway.options,
        cache_dir=tmp_path_factory.mktemp("cache"),
    ) as library:  # fmt: skip
        report = library.add(files)
        assert (report.added, len(report.failed)) == (6, 0)
    return address


@pytest.fixture
def library(address: str, gateway: Gateway, tmp_path: Path) -> Iterator[Library]:
    with Library(address, storage_options=gateway.options, cache_dir=tmp_path) as opened:
        yield opened


def first(library: Library, text: str) -> str:
    return Path(library.search(text, limit=1).hits[0].uri).name


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_copy(library: Library) -> None:
    """Wait until the newest version is served from the local disk."""
    wait_until(lambda: str(library._store.snapshot()._dataset.uri).startswith(("/", "file:")))


def test_it_answers_as_a_library_in_a_directory_does(
    library: Library, files: Path, tmp_path: Path
) -> None:
    with Library(tmp_path / "local", create=True) as local:
        local.add(files)
        for text in ("muon decay", "bread in the oven", "a red sunset"):
            theirs = [(hit.chunk_id, round(hit.score, 5)) for hit in library.search(text).hits]
            ours = [(hit.chunk_id, round(hit.score, 5)) for hit in local.search(text).hits]
            assert theirs == ours
        assert library.status().chunks == local.status().chunks
        assert library.columns() == local.columns()
        assert [row.uri for row in library.documents()] == [row.uri for row in local.documents()]
    picture = library.search("a red sunset", modality="image", limit=1).hits[0]
    assert library.thumbnail(picture.chunk_id).startswith(b"\xff\xd8")
    assert library.show(picture.document_id).document.title == "Evening"
    with library.original(picture.chunk_id).file as original:
        assert original.read() == (files / "figures" / "sunset.jpg").read_bytes()
    assert library.size_bytes() > 0
    assert "s3://" in repr(library)


def test_a_copied_library_is_searched_without_a_request(library: Library, gateway: Gateway) -> None:
    library.search("muon decay")
    wait_for_copy(library)
    library.search("a red sunset")  # the words of this version are counted once
    gateway.requests.clear()
    assert first(library, "muon decay") == "muons.md"
    assert first(library, "bread in the oven") == "bread.txt"
    assert library.search("a red sunset", where="year = 2019").hits
    # A LIST looks for new versions in the background; it is a GET of the bucket.
    gateway.failing = 1
    try:
        time.sleep(0.5)
        assert first(library, "muon decay") == "muons.md"
    finally:
        gateway.failing = 0


def test_another_reader_sees_a_commit(gateway: Gateway, tmp_path: Path, files: Path) -> None:
    address = new_bucket(gateway.options)
    with (
        Library(
            address, create=True, storage_options=gateway.options, cache_dir=tmp_path / "a"
        ) as one,
        Library(address, storage_options=gateway.options, cache_dir=tmp_path / "b") as other,
    ):
        assert other.search("muon decay").hits == ()
        one.add(files / "muons.md")
        assert first(one, "muon decay") == "muons.md"
        deadline = time.monotonic() + 30
        while not other.search("muon decay").hits:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        one.set_metadata(files / "muons.md", {"title": "Muons, edited"})
        assert one.show(files / "muons.md").document.title == "Muons, edited"
        page = one.search("muon decay", limit=1)
        one.add(files / "bread.txt")
        assert one.search("muon decay", limit=1, cursor=page.cursor).version == page.version
        assert one.remove(files / "muons.md") == 1
        assert "muons.md" not in {Path(hit.uri).name for hit in one.search("muon decay").hits}


def test_a_library_that_was_created_again_is_not_answered_from_the_old_copy(
    gateway: Gateway, tmp_path: Path
) -> None:
    address = new_bucket(gateway.options) + "/again"
    settings = {"storage_options": gateway.options, "cache_dir": tmp_path / "cache"}
    for text in ("The first life of the library.", "Its second life is another."):
        note = tmp_path / "note.txt"
        note.write_text(text)
        with Library(address, create=True, **settings) as library:
            library.location.clear("")
        with Library(address, create=True, **settings) as library:
            library.add(note)
            library.search("life")
            wait_for_copy(library)
            hit = library.search("life").hits[0]
            assert library.show(hit.chunk_id).chunks[0].text == text


def test_a_library_that_is_too_large_is_read_from_the_store(
    address: str, gateway: Gateway, tmp_path: Path
) -> None:
    with Library(
        address, storage_options=gateway.options, cache_dir=tmp_path, mirror_bytes=1000
    ) as library:
        library.search("muon decay")
        library._store.settle()
        library.location.read("library.json")
        gateway.requests.clear()
        words = Words("bread")
        assert len(library._store.snapshot().words(words, 5, None).rows)
        assert gateway.requests["GET"] == 0  # the index of the words is in memory
        assert first(library, "muon decay") == "muons.md"
        assert gateway.requests["GET"] > 0
        assert not list(tmp_path.rglob("*.manifest"))


def test_settings_are_read_from_the_store(gateway: Gateway, tmp_path: Path) -> None:
    address = new_bucket(gateway.options)
    settings = {"storage_options": gateway.options, "cache_dir": tmp_path}
    with Library(address, create=True, **settings) as library:
        library.location.write("trawl.toml", b"chunk_tokens = 100\n")
    with Library(address, **settings) as library:
        assert library.settings.chunk_tokens == 100


def test_a_place_without_a_library_or_with_other_files_is_refused(
    gateway: Gateway, tmp_path: Path
) -> None:
    address = new_bucket(gateway.options)
    settings = {"storage_options": gateway.options, "cache_dir": tmp_path}
    with pytest.raises(LibraryMissingError, match="trawl init --library s3://"):
        Library(address, **settings)
    Library(f"{address}/library", create=True, **settings).close()
    with pytest.raises(LibraryError, match=r"holds other files \(library\).*empty prefix"):
        Library(address, create=True, **settings)
    assert "testing" not in repr(Settings(storage_options=gateway.options))


def test_a_page_of_a_deleted_version_is_refused(library: Library) -> None:
    with pytest.raises(QueryError, match="start again from the first page"):
        library.search("muon decay", cursor="v999-10")


def test_the_commands_take_an_address(address: str, gateway: Gateway, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "TRAWL_STORAGE_OPTIONS": json.dumps(gateway.options),
        "TRAWL_CACHE_DIR": str(tmp_path),
        "TRAWL_LIBRARY": address,
    }
    done = subprocess.run(
        [sys.executable, "-m", "trawl", "search", "muon", "decay", "--json"],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(done.stdout.splitlines()[0])
    assert "muons.md" in done.stdout


def test_a_server_whose_store_fails_is_degraded_and_answers(
    address: str, gateway: Gateway, tmp_path: Path
) -> None:
    with (
        Library(address, storage_options=gateway.options, cache_dir=tmp_path) as library,
        asked(library) as client,
    ):
        wait_until(lambda: client.get("/health/ready").json()["status"] == "ok")
        wait_for_copy(library)
        library._store.settle()
        gateway.failing = 1
        try:
            wait_until(lambda: client.get("/health/ready").json()["status"] == "degraded")
            ready = client.get("/health/ready")
            assert ready.status_code == 200
            assert ready.json()["documents"]
            assert client.get("/health/live").status_code == 200
            answer = client.get("/search", params={"query": "muon decay"}).json()
            assert answer["results"][0]["source"].endswith("muons.md")
        finally:
            gateway.failing = 0
        wait_until(lambda: client.get("/health/ready").json()["status"] == "ok")


def test_a_job_is_run_again_after_the_store_has_failed(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_RETRY_S", 0.1)
    failures = [OSError("the store does not answer"), StorageError("nor does it now")]
    settings = {"storage_options": gateway.options, "cache_dir": tmp_path}
    with Library(new_bucket(gateway.options), create=True, **settings) as library:
        add = library.add

        def adding(*args: Any, **options: Any) -> Report:
            if failures:
                raise failures.pop()
            return add(*args, **options)

        monkeypatch.setattr(library, "add", adding)
        with asked(library) as client:
            files = {"files": ("note.txt", b"Tides follow the moon.", "text/plain")}
            path = client.post("/v1/documents", files=files).headers["location"]
            wait_until(lambda: client.get(path).json()["state"] == "done")
            assert client.get(path).json()["report"]["added"] == 1
            assert not failures
