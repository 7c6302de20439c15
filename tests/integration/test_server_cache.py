"""The response cache: hits while the library is unchanged, and never stale."""

from __future__ import annotations

import asyncio
import datetime
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from trawl.errors import QueryError
from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings
from trawl.wire import DetailedResponse, SearchResponse


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    (tmp_path / "muon.txt").write_text("The muon decays into an electron.", "utf-8")
    with Library(tmp_path / "lib", create=True, freshness_s=0) as library:
        library.add(tmp_path / "muon.txt")
        yield library


class Counting:
    """Counts the searches of a library, and can block them."""

    def __init__(self, library: Library) -> None:
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()
        self._search = library.search
        library.search = self  # type: ignore[method-assign, assignment]

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        self.gate.wait(20)
        return self._search(*args, **options)


def ask(client: TestClient, query: str, **options: Any) -> tuple[str, list[str]]:
    response = client.get("/search", params={"query": query, **options})
    assert response.status_code == 200, response.text
    found = [result["source"] for result in response.json()["results"]]
    return response.headers["cache-status"], found


def test_the_second_time_is_a_hit(library: Library) -> None:
    counting = Counting(library)
    with TestClient(create_app(library)) as client:
        counting.calls = 0  # not the warm-up's
        first = ask(client, "the muon")
        again = ask(client, "  the \n muon ")
        before = counting.calls
        assert first[0] == "trawl; fwd=miss; stored"
        assert again == ("trawl; hit", first[1])
        assert ask(client, "the muon", use_cache=False)[0] == "trawl; fwd=bypass"
        assert counting.calls == before + 1


@pytest.mark.parametrize("option", [{"top_k": 3}, {"modality": "text"}, {"query": "The muon"}])
def test_another_query_is_a_miss(library: Library, option: dict[str, Any]) -> None:
    with TestClient(create_app(library)) as client:
        ask(client, "the muon")
        assert ask(client, **{"query": "the muon", **option})[0] == "trawl; fwd=miss; stored"


def test_a_hit_echoes_the_query_as_sent(library: Library) -> None:
    with TestClient(create_app(library)) as client:
        ask(client, "the muon")
        response = client.get("/search", params={"query": " the  muon"})
    assert response.headers["cache-status"] == "trawl; hit"
    assert response.json()["query"] == " the  muon"


def test_new_data_is_never_hidden(library: Library, tmp_path: Path) -> None:
    with TestClient(create_app(library)) as client:

        def until_first(source: str) -> None:
            """Search until another process' commit is seen; the cache must not hide it."""
            give_up_at = time.monotonic() + 20
            while True:
                status, found = ask(client, "kaon")
                if found[0] == source:
                    assert status == "trawl; fwd=miss; stored"
                    return
                assert time.monotonic() < give_up_at
                time.sleep(0.01)

        assert ask(client, "kaon")[1] == ["muon.txt"]
        (tmp_path / "kaon.txt").write_text("The kaon has a strange quark.", "utf-8")
        with Library(library.path) as writer:
            writer.add(tmp_path / "kaon.txt")
        until_first("kaon.txt")
        with Library(library.path) as writer:
            writer.remove(tmp_path / "kaon.txt")
        until_first("muon.txt")


def test_without_entries_there_is_no_cache(library: Library) -> None:
    settings = load_settings(library.path, cache_entries=0)
    with TestClient(create_app(library, settings)) as client:
        assert ask(client, "muon")[0] == "trawl; fwd=bypass"
        assert ask(client, "muon")[0] == "trawl; fwd=bypass"


@pytest.mark.anyio
async def test_concurrent_equal_queries_are_searched_once(library: Library) -> None:
    counting = Counting(library)
    counting.gate.clear()
    transport = httpx.ASGITransport(create_app(library))
    async with httpx.AsyncClient(transport=transport, base_url="http://trawl") as client:
        asked = [
            asyncio.create_task(client.get("/search", params={"query": "muon"})) for _ in range(20)
        ]
        await asyncio.sleep(0.2)
        counting.gate.set()
        answers = [await one for one in asked]
    assert counting.calls == 1
    statuses = sorted(answer.headers["cache-status"] for answer in answers)
    assert statuses == ["trawl; fwd=miss; collapsed"] * 19 + ["trawl; fwd=miss; stored"]


@pytest.mark.anyio
async def test_an_error_reaches_all_waiting_clients_and_is_not_cached(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = library.search
    gate = threading.Event()

    def failing(*_: Any, **__: Any) -> Any:
        gate.wait(20)
        raise QueryError("not today")

    monkeypatch.setattr(library, "search", failing)
    transport = httpx.ASGITransport(create_app(library))
    async with httpx.AsyncClient(transport=transport, base_url="http://trawl") as client:
        asked = [
            asyncio.create_task(client.get("/search", params={"query": "muon"})) for _ in range(3)
        ]
        await asyncio.sleep(0.1)
        gate.set()
        assert [(await one).status_code for one in asked] == [422, 422, 422]
        monkeypatch.setattr(library, "search", search)
        assert (await client.get("/search", params={"query": "muon"})).status_code == 200


def test_responses_match_their_models(library: Library, tmp_path: Path) -> None:
    """Responses are rendered without the models that document them."""
    Image.new("RGB", (60, 40), "red").save(tmp_path / "red.png")
    library.add(tmp_path / "red.png", metadata={"day": datetime.date(2021, 5, 4), "n": 1})
    with TestClient(create_app(library)) as client:
        plain = client.get("/search", params={"query": "muon"})
        detailed = client.post("/v1/search", json={"text": "muon", "facets": ["day"], "all": True})
    assert plain.json()["more"] == 1
    for response, model, count in ((plain, SearchResponse, 1), (detailed, DetailedResponse, 2)):
        assert response.status_code == 200, response.text
        assert len(response.json()["results"]) == count
        assert json.loads(model.model_validate_json(response.text).model_dump_json()) == (
            response.json()
        )
        assert response.json().keys() == model.model_fields.keys()
