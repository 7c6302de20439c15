"""Load shedding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from served import muon_library, refused
from trawl.library import Library
from trawl.server import create_app
from trawl.server.metrics import Metrics
from trawl.settings import load_settings


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(muon_library(tmp_path / "lib")) as library:
        yield library


@contextmanager
def full(client: TestClient) -> Iterator[None]:
    """Keep the one thread that searches busy."""
    gate = threading.Event()
    pool = cast(FastAPI, client.app).state.service.pool
    assert client.portal is not None
    client.portal.start_task_soon(pool.run, gate.wait, 30)
    while not pool.running:
        pass
    try:
        yield
    finally:
        gate.set()
    while pool.running:
        pass


def test_new_searches_are_refused_and_cached_ones_answered(library: Library) -> None:
    metrics = Metrics()
    settings = load_settings(library.path, rate_limit="", search_threads=1, search_queue=0)
    with TestClient(create_app(library, settings, metrics=metrics)) as client:
        known, new = "/search?query=muon", "/v1/search?q=electron"
        assert client.get(known).status_code == 200
        with full(client):
            response = client.get(new)
            problem = refused(response, 503, "overloaded")
            assert response.headers["retry-after"] == "1"
            assert problem["request_id"] == response.headers["x-request-id"]
            assert client.get(known).json()["results"]
            # Letter by letter the same is not all that is kept.
            assert client.get("/search?query=muon%20").status_code == 503
            refused(client.post("/v1/search", json={"text": "electron"}), 503, "overloaded")
            assert client.get("/health").status_code == 200
        assert client.get(new).status_code == 200
    page = metrics.page().decode()
    assert 'trawl_rejections_total{reason="search_queue"} 3.0' in page
    counted = 'trawl_http_request_seconds_count{method="GET",route="/v1/search",status="503"} 1.0'
    assert counted in page


def test_the_number_of_remembered_searches_is_bounded(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trawl.server.middleware._MOST_ANSWERED", 2)
    settings = load_settings(library.path, rate_limit="", search_threads=1, search_queue=0)
    with TestClient(create_app(library, settings)) as client:
        asked = [f"/search?query={word}" for word in ("muon", "electron", "muon", "decay")]
        assert [client.get(path).status_code for path in asked] == [200] * 4
        with full(client):
            found = {path: client.get(path).status_code for path in asked}
    assert found == {asked[0]: 200, asked[1]: 503, asked[3]: 200}
