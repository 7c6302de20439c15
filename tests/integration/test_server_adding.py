"""Adding in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fastapi.testclient import TestClient

from trawl.errors import LibraryLockedError
from trawl.library import Library
from trawl.server import create_app
from trawl.server.job_process import ProcessIngester, StoppedError
from trawl.server.metrics import Metrics
from trawl.settings import load_settings
from trawl.store import write_lock
from trawl.telemetry import events

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "lib", create=True, freshness_s=0, lock_wait_s=0.1) as library:
        yield library


def children() -> list[psutil.Process]:
    """Return this process' children, without the tracker that `multiprocessing` starts."""
    found = psutil.Process().children()
    return [one for one in found if not any("resource_tracker" in arg for arg in one.cmdline())]


def notes(folder: Path, count: int, words: int = 1) -> list[str]:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        text = f"Muon {number} decays. " * words
        (folder / f"muon{number}.txt").write_text(text, "utf-8")
    return [str(folder / f"muon{number}.txt") for number in range(count)]


def ingester_of(library: Library) -> ProcessIngester:
    return ProcessIngester(library, library.settings.model_dump(mode="json"))


async def test_a_process_adds_job_after_job(library: Library, tmp_path: Path) -> None:
    ingester, metrics = ingester_of(library), Metrics()
    told: list[int] = []
    try:
        with events.watched_by(metrics):
            files = notes(tmp_path / "notes", 20, words=200)
            files.append(str(tmp_path / "absent.txt"))
            report = await ingester.add(files, {"year": 2020}, lambda done, *_: told.append(done))
            assert report.added == 20
            assert [failure.uri for failure in report.failed] == [files[-1]]
            (process,) = children()
            assert process.nice() >= 10
            again = await ingester.add(files[:20], {"year": 2020}, lambda *_: None)
            assert (again.added, again.unchanged) == (0, 20)
            assert children() == [process]
        # What the other process did with its models is counted here.
        counted = 'trawl_encoder_batch_items_count{kind="document",modality="text",model="mini"}'
        assert counted in metrics.page().decode()
        assert library.status().documents == 20
    finally:
        await ingester.close(5)
    assert not process.is_running()


async def test_errors_cross_the_pipe(library: Library, tmp_path: Path) -> None:
    ingester = ingester_of(library)
    files = notes(tmp_path / "notes", 1)
    try:
        with (
            write_lock(library.location),
            pytest.raises(LibraryLockedError, match="another process"),
        ):
            await ingester.add(files, {}, lambda *_: None)
        assert (await ingester.add(files, {}, lambda *_: None)).added == 1
    finally:
        await ingester.close(5)


async def test_progress_can_stop_a_job(library: Library, tmp_path: Path) -> None:
    ingester = ingester_of(library)
    files = notes(tmp_path / "notes", 40, words=150)

    def stop(done: int, total: int, uri: str) -> None:
        raise StoppedError("enough")

    try:
        with pytest.raises(StoppedError, match="enough"):
            await ingester.add(files, {}, stop)
        assert library.status().documents < 40
        report = await ingester.add(files, {}, lambda *_: None)
        assert report.added + report.unchanged == 40
    finally:
        await ingester.close(5)


async def test_a_process_that_is_killed_fails_its_job_and_no_other(
    library: Library, tmp_path: Path
) -> None:
    ingester = ingester_of(library)
    files = notes(tmp_path / "notes", 40, words=150)

    def kill(done: int, total: int, uri: str) -> None:
        children()[0].kill()

    try:
        with pytest.raises(RuntimeError, match="ended with code -9"):
            await ingester.add(files, {}, kill)
        report = await ingester.add(files, {}, lambda *_: None)
        assert report.added + report.unchanged == 40
        assert report.failed == ()
    finally:
        await ingester.close(5)


async def test_closing_stops_a_running_job(library: Library, tmp_path: Path) -> None:
    ingester = ingester_of(library)
    files = notes(tmp_path / "notes", 40, words=150)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    job = asyncio.create_task(
        ingester.add(files, {}, lambda *_: loop.call_soon_threadsafe(started.set))  # type: ignore[arg-type, return-value]
    )
    await started.wait()
    await ingester.close(10)
    with pytest.raises(StoppedError):
        await job


def test_a_change_while_locked_is_refused_with_retry_after(
    library: Library, tmp_path: Path
) -> None:
    library.add(notes(tmp_path / "notes", 1))
    document_id = library.documents()[0].document_id
    with TestClient(create_app(library)) as client:
        with write_lock(library.location):
            refused = client.delete(f"/v1/documents/{document_id}")
            assert refused.status_code == 409
            assert refused.headers["retry-after"] == "2"
            assert refused.json()["type"] == "urn:problem:trawl:library-locked"
            page = client.get("/metrics").text
        assert 'trawl_rejections_total{reason="library_locked"} 1.0' in page
        assert client.delete(f"/v1/documents/{document_id}").status_code == 204


def test_cross_origin_requests_need_a_configured_origin(library: Library) -> None:
    origin = {"Origin": "https://search.example"}
    asks = origin | {"Access-Control-Request-Method": "GET"}
    with TestClient(create_app(library)) as client:
        assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
        assert client.options("/search", headers=asks).status_code == 405
    settings = load_settings(library.path, cors_origins=["https://search.example"])
    with TestClient(create_app(library, settings)) as client:
        allowed = client.options("/search", headers=asks)
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://search.example"
        other = client.get("/health", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
