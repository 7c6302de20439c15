"""The Python client against a real server in this process."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from served import over_http
from trawl.client import AsyncClient, Client, Job, Part, ServerError, operations
from trawl.errors import (
    FilterError,
    GoneError,
    MetadataError,
    NotFoundError,
    QueryError,
    ReadError,
    UsageError,
)
from trawl.library import Library
from trawl.search import Question, SearchOptions
from trawl.server import create_app
from trawl.server.auth import hash_key, new_key
from trawl.settings import load_settings

KEY = new_key()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("served") / "lib"
    keys = {"test": {"sha256": hash_key(KEY), "scopes": ["read", "write", "admin"]}}
    with Library(path, create=True) as library:
        settings = load_settings(path, rate_limit="", api_keys=keys)
        with over_http(create_app(library, settings)) as address:
            yield address


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    note, picture = tmp_path / "muon.txt", tmp_path / "red.png"
    note.write_text("The muon decays into an electron.", "utf-8")
    picture.write_bytes(png())
    return [note, picture]


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 20, 20)).save(out, "PNG")
    return out.getvalue()


def test_files_are_added_found_and_removed(address: str, files: list[Path]) -> None:
    told: list[tuple[int, int]] = []
    with Client(address, key=KEY) as client:
        job = client.add(
            files, metadata={"year": 2019}, progress=lambda sent, total: told.append((sent, total))
        )
        assert job.state == "done"
        assert job.failed == ()
        assert job.added + job.unchanged == 2
        size = sum(file.stat().st_size for file in files)
        assert told[-1] == (size, size)
        answer = client.search("muon", modality="text", facets=["year"], where="year = 2019")
        hit = answer.hits[0]
        assert (hit.uri, hit.rank, hit.metadata) == ("muon.txt", 1, {"year": 2019})
        assert hit.span.start_char == 0
        assert answer.facets[0].counts == ((2019, 1),)
        assert client.stats()["documents"] == 2
        picture = client.search("red", modality={"image"}).hits[0]
        assert client.thumbnail(picture.chunk_id).startswith(b"\xff\xd8")
        for document_id in job.document_ids:
            client.remove(document_id)
        assert client.search("muon").hits == ()


def test_errors_are_those_of_a_library(address: str) -> None:
    with Client(address, key=KEY) as client:
        with pytest.raises(FilterError, match="no_such_column"):
            client.search("muon", where="no_such_column = 1")
        with pytest.raises(NotFoundError):
            client.remove("0" * 24)
        with pytest.raises(UsageError):
            client.search("muon", limit=0)
        with pytest.raises(QueryError):
            client.search(q="(muon")
    with Client(address, key="wrong") as stranger, pytest.raises(ServerError) as refused:
        stranger.search("muon")
    assert refused.value.status == 401


def test_no_server_is_a_clear_error() -> None:
    with Client("http://127.0.0.1:9", retries=0) as client, pytest.raises(ServerError) as error:
        client.stats()
    assert "trawl serve" in str(error.value)


def test_a_busy_server_is_retried_after_its_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    def busy(request: httpx.Request) -> httpx.Response:
        asked.append(len(request.content))
        if len(asked) < 3:
            return httpx.Response(503, headers={"Retry-After": "2"}, json={})
        return httpx.Response(200, json={"documents": 1})

    with Client("http://trawl", transport=httpx.MockTransport(busy)) as client:
        assert client.stats() == {"documents": 1}
    assert len(asked) == 3
    assert all(2 <= pause_s <= 2.2 for pause_s in slept)
    asked.clear()
    with (
        Client("http://trawl", transport=httpx.MockTransport(busy), retries=1) as client,
        pytest.raises(ServerError) as refused,
    ):
        client.stats()
    assert refused.value.status == 503


def test_every_route_has_its_method(address: str) -> None:
    """Compare the operations with the routes in the OpenAPI document."""
    asked: set[tuple[str, str]] = set()

    def noted(request: httpx.Request) -> httpx.Response:
        asked.add((request.method, request.url.path.replace("ID", "{id}")))
        return httpx.Response(404, json={})

    calls: dict[str, tuple[object, ...]] = {
        "add": ([],), "submit": ([],), "wait": ("ID",), "job": ("ID",), "cancel": ("ID",),
        "show": ("ID",), "chunk": ("ID",), "set_metadata": ("ID", {}), "remove": ("ID",),
        "thumbnail": ("ID",), "media": ("ID",), "similar": ("ID",), "query": ("muon",),
        "facets": (["year"],), "watch": ("ID",), "submit_lines": ([],), "liked": ("ID",),
        "candidates": (Question((), None, SearchOptions()),),
    }  # fmt: skip
    with Client("http://trawl", transport=httpx.MockTransport(noted)) as client:
        methods = [name for name in dir(client) if not name.startswith("_") and name != "close"]
        assert set(calls) < set(methods)
        assert set(methods) == {name for name in dir(AsyncClient) if name[0] != "_"} - {"close"}
        for name in methods:
            with pytest.raises(NotFoundError):
                next(iter(getattr(client, name)(*calls.get(name, ()))))
    document = httpx.get(f"{address}/openapi.json").json()
    served = {
        (method.upper(), re.sub(r"{\w+}", "{id}", path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    elsewhere = {
        ("GET", "/search"), ("POST", "/search-by-image"), ("GET", "/v1/search"),
        ("POST", "/v1/search/audio"), ("GET", "/v1/similar/{id}"),
        ("GET", "/chunks/{id}/thumbnail"), ("HEAD", "/v1/chunks/{id}/media"),
        ("GET", "/health/live"), ("GET", "/health/ready"),
    }  # fmt: skip
    # What `POST /v1/search` and the others answer as well, and what the page alone asks.
    page = {
        ("GET", "/v1/chunks/{id}/page"), ("GET", "/v1/chunks/{id}/picture"),
        ("GET", "/v1/chunks/{id}/peaks"), ("GET", "/v1/map"), ("GET", "/v1/map/points"),
        ("GET", "/v1/map/chunks"), ("GET", "/v1/skipped"),
    }  # fmt: skip
    assert served - elsewhere - page == asked


def test_a_composed_query(address: str, files: list[Path]) -> None:
    with Client(address, key=KEY) as client:
        job = client.add(files)
        picture = Part(image=files[1], weight=2)
        hits = client.search(parts=[picture, Part(text="muon", weight=-0.1)]).hits
        assert hits[0].uri == "red.png"
        words = client.query("muon modality:text", offset=0, limit=1).hits
        assert [hit.rank for hit in words] == [1]
        assert client.similar(words[0].chunk_id, nearest=True).hits is not None
        with pytest.raises(ReadError):
            client.search(image=b"no picture")
        for document_id in job.document_ids:
            client.remove(document_id)


def test_documents_are_shown_and_changed(address: str, files: list[Path], tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(png()[:60])
    looked: list[Job] = []
    with Client(address, key=KEY) as client:
        job = client.add([*files, torn], metadata={"year": 2019}, watch=looked.append)
        assert looked[-1] == job == client.job(job.job_id) == client.cancel(job.job_id)
        assert [one.uri for one in job.failed] == ["torn.png"]
        assert list(client.watch(job.job_id))[-1] == job
        assert client.documents(failed=True).total == 1
        assert client.documents(where="year = 2019", limit=1).next_offset == 1
        status = client.status()
        assert (status.documents, [one.uri for one in status.failed]) == (2, ["torn.png"])
        note = client.show(job.document_ids[0])
        assert note.document.uri == "muon.txt"
        assert note.document.added_at.tzinfo is not None
        assert client.chunk(note.chunks[0].chunk_id) == note.chunks[0]
        changed = client.set_metadata(note.document.document_id, {"year": None, "lab": "CERN"})
        assert changed.metadata == {"lab": "CERN"}
        (facet,) = client.facets(["lab"])
        assert facet.counts == (("CERN", 1),)
        with pytest.raises(MetadataError):
            client.set_metadata(note.document.document_id, {"year": 2**70})
        data = files[1].read_bytes()
        chunk_id = client.show(job.document_ids[1]).chunks[0].chunk_id
        whole = client.media(chunk_id)
        assert (whole.data, whole.media_type, whole.size_bytes) == (data, "image/png", len(data))
        part = client.media(chunk_id, start=3, end=9)
        assert (part.data, part.start, part.size_bytes) == (data[3:9], 3, len(data))
        assert client.health()["status"] in ("ok", "starting")
        assert "trawl_library_documents" in client.metrics()
        for document_id in job.document_ids:
            client.remove(document_id)
        with pytest.raises(NotFoundError):
            next(client.watch("0" * 32))


def test_documents_without_files(address: str) -> None:
    picture = base64.b64encode(png()).decode()
    lines = [
        {"text": "The kaon is strange.", "title": "Kaon", "metadata": {"year": 1947}},
        {"image": picture, "name": "red.png", "caption": "a red field", "metadata": {"year": 1}},
    ]
    with Client(address, key=KEY) as client:
        job = client.wait(client.submit_lines(lines).job_id)
        assert (job.state, job.added, job.failed) == ("done", 2, ())
        (kaon,) = client.search("kaon", where="year = 1947").hits
        assert (kaon.title, kaon.uri) == ("Kaon", "text.txt")
        red = client.show(job.document_ids[1])
        assert (red.document.uri, red.chunks[0].text) == ("red.png", "a red field")
        # The same text is the same document, and keeps its metadata until they are null.
        again = client.wait(client.submit_lines([{"text": "The kaon is strange."}]).job_id)
        assert (again.document_ids, again.unchanged) == (job.document_ids[:1], 1)
        assert client.show(job.document_ids[0]).document.metadata == {"year": 1947}
        line = {"text": "The kaon is strange.", "metadata": {"year": None}}
        again = client.wait(client.submit_lines([line]).job_id)
        assert (again.document_ids, again.replaced) == (job.document_ids[:1], 1)
        assert client.show(job.document_ids[0]).document.metadata == {}
        for wrong, said in (
            ([], "no line"),
            ([{"text": "a", "image": picture}], "body.1: .*exactly one"),
            ([{"text": "a"}, {"text": "b", "colour": 1}], "body.2.colour"),
            ([{"text": "a", "metadata": {"a": {"b": 1}}}], "a value is"),
        ):
            with pytest.raises(UsageError, match=said):
                client.submit_lines(wrong)
        for document_id in job.document_ids:
            client.remove(document_id)


def test_an_upload_restarts_when_it_is_retried(files: list[Path]) -> None:
    bodies: list[bytes] = []

    def busy(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read().split(b"\r\n\r\n", 1)[1])
        return httpx.Response(503, headers={"Retry-After": "0"}, json={})

    told: list[tuple[int, int]] = []
    with (
        Client("http://trawl", transport=httpx.MockTransport(busy), retries=2) as client,
        pytest.raises(ServerError),
    ):
        client.submit(files[:1], progress=lambda sent, total: told.append((sent, total)))
    assert len(bodies) == 3
    assert all(body.startswith(files[0].read_bytes()) for body in bodies)
    size = files[0].stat().st_size
    assert max(sent for sent, _ in told) == size == told[-1][1]


def test_the_error_of_each_problem(address: str) -> None:
    def answers(kind: str, status: int) -> Client:
        body = {"type": f"urn:problem:trawl:{kind}", "detail": "so it is"}
        headers = {"Content-Type": "application/problem+json"}
        reply = httpx.Response(status, json=body, headers=headers)
        return Client("http://trawl", transport=httpx.MockTransport(lambda _: reply))

    with answers("gone", 410) as client, pytest.raises(GoneError, match="so it is"):
        client.media("0" * 24 + ":0")
    with answers("something-new", 418) as client, pytest.raises(ServerError) as error:
        client.stats()
    assert error.value.status == 418


def test_operations_are_sent_by_nobody() -> None:
    steps = operations.stats()
    call = next(steps)
    assert (call.method, call.path) == ("GET", "/v1/stats")  # type: ignore[union-attr]
    steps.close()


@pytest.mark.anyio
async def test_the_same_awaited(address: str, files: list[Path]) -> None:
    async with AsyncClient(address, key=KEY) as client:
        job = await client.add(files)
        assert job.state == "done"
        answer = await client.search("muon", modality="text")
        assert answer.hits[0].uri == "muon.txt"
        assert (await client.similar(answer.hits[0].chunk_id)).hits is not None
        assert (await client.stats())["documents"] == 2
        assert (await client.status()).documents == 2
        assert [one.state async for one in client.watch(job.job_id)][-1] == "done"
        for document_id in job.document_ids:
            await client.remove(document_id)
        with pytest.raises(NotFoundError):
            await client.thumbnail("0" * 24 + ":0")
