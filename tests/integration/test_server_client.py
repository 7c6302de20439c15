"""The Python client against a real server in this process."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from PIL import Image

from trawl.client import AsyncClient, Client, ServerError
from trawl.errors import FilterError, NotFoundError, QueryError, UsageError
from trawl.library import Library
from trawl.server import create_app
from trawl.server.keys import hash_key, new_key
from trawl.settings import load_settings

KEY = new_key()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("served") / "lib"
    keys = {"test": {"sha256": hash_key(KEY), "scopes": ["read", "write"]}}
    with Library(path, create=True) as library, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        settings = load_settings(path, rate_limit="", api_keys=keys)
        app = create_app(library, settings)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


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


def test_a_busy_server_is_asked_again_when_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.anyio
async def test_the_same_awaited(address: str, files: list[Path]) -> None:
    async with AsyncClient(address, key=KEY) as client:
        job = await client.add(files)
        assert job.state == "done"
        answer = await client.search("muon", modality="text")
        assert answer.hits[0].uri == "muon.txt"
        assert (await client.similar(answer.hits[0].chunk_id)).hits is not None
        assert (await client.stats())["documents"] == 2
        for document_id in job.document_ids:
            await client.remove(document_id)
        with pytest.raises(NotFoundError):
            await client.thumbnail("0" * 24 + ":0")
