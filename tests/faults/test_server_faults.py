"""Misbehaving clients, and too many of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    note = tmp_path / "muon.txt"
    note.write_text("The muon decays into an electron and two neutrinos.", "utf-8")
    with Library(tmp_path / "lib", create=True) as library:
        library.add(note)
        yield library


def client_of(library: Library, **options: Any) -> httpx.AsyncClient:
    app = create_app(library, load_settings(library.path, **options))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://trawl", timeout=30
    )


async def test_requests_over_the_queue_length_are_refused_at_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, gate = library.search, threading.Event()

    def held(*args: Any, **options: Any) -> Any:
        gate.wait(20)
        return search(*args, **options)

    monkeypatch.setattr(library, "search", held)
    async with client_of(library, search_threads=1, search_queue=2) as client:
        asked = [
            asyncio.create_task(client.get("/search", params={"query": f"muon {i}"}))
            for i in range(3)
        ]
        while (await client.get("/health")).status_code not in (200, 503):
            pass
        refused = await asyncio.wait_for(client.get("/search", params={"query": "muon"}), 5)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"] == "urn:problem:trawl:overloaded"
        gate.set()
        assert [(await one).status_code for one in asked] == [200, 200, 200]
        assert (await client.get("/search", params={"query": "muon"})).status_code == 200


async def test_a_slow_body_times_out(library: Library) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        while True:
            await asyncio.sleep(0.05)
            yield b"a"

    async with client_of(library, upload_timeout_s=0.3) as client:
        response = await client.post(
            "/search-by-image",
            content=slowly(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    assert response.status_code == 408
    assert response.json()["type"] == "urn:problem:trawl:too-slow"


async def test_an_endless_body_is_cut_off(library: Library) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        while True:
            sent += 65536
            yield b"a" * 65536

    async with client_of(library, max_upload_bytes=1_000_000) as client:
        response = await client.post(
            "/search-by-image",
            content=endless(),
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    assert response.status_code == 413
    assert sent < 1_300_000


async def test_a_declared_length_over_the_limit_is_refused_unread(library: Library) -> None:
    async with client_of(library, max_upload_bytes=1_000) as client:
        response = await client.post(
            "/search-by-image",
            content=b"",
            headers={
                "Content-Type": "multipart/form-data; boundary=x",
                "Content-Length": str(2 * 2**30),
            },
        )
    assert response.status_code == 413
    assert response.json()["type"] == "urn:problem:trawl:too-large"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no boundary at all",
        b"--x\r\n\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nunfinished",
        b"--x\r\n" + b"A: b\r\n" * 5_000,
    ],
)
async def test_a_broken_form_is_a_problem(library: Library, content: bytes) -> None:
    async with client_of(library) as client:
        response = await client.post(
            "/search-by-image",
            content=content,
            headers={"Content-Type": "multipart/form-data; boundary=x"},
        )
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_bomb_is_not_decoded(library: Library) -> None:
    import struct
    import zlib

    def part(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", header)
        + part(b"IDAT", zlib.compress(bytes(1_000_000)))
        + part(b"IEND", b"")
    )
    async with client_of(library) as client:
        response = await client.post("/search-by-image", files={"file": ("a.png", bomb)})
    assert response.status_code == 415
    assert "30,000 x 30,000" in response.json()["detail"]
