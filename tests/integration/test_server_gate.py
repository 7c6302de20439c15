"""API keys, rate limits, metrics and logs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from trawl.errors import SettingsError
from trawl.library import Library
from trawl.server import create_app, run
from trawl.server.auth import hash_key, new_key
from trawl.server.limits import RefusalDelay
from trawl.server.logs import formatter
from trawl.settings import load_settings

KEYS = {scope: new_key() for scope in ("read", "write", "admin")}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    path = tmp_path_factory.mktemp("gate")
    (path / "muon.txt").write_text("The muon decays into an electron.", "utf-8")
    with Library(path / "lib", create=True) as library:
        library.add(path / "muon.txt")
        yield library


def client_of(library: Library, **options: Any) -> TestClient:
    settings = load_settings(library.path, **options)
    return TestClient(create_app(library, settings), client=("203.0.113.9", 50_000))


@pytest.fixture
def keyed(library: Library) -> Iterator[TestClient]:
    keys = {scope: {"sha256": hash_key(KEYS[scope]), "scopes": [scope]} for scope in KEYS}
    with client_of(library, api_keys=keys) as client:
        yield client


def test_the_hundred_and_first_request_is_refused(library: Library) -> None:
    with client_of(library) as client:
        for expected in range(99, -1, -1):
            response = client.get("/search", params={"query": "muon"})
            assert response.status_code == 200
            assert f'"default";r={expected};' in response.headers["ratelimit"]
        refused = client.get("/search", params={"query": "muon"})
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["type"] == "urn:problem:trawl:too-many-requests"
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-policy"] == '"default";q=100;w=60'
        for path in ("/health", "/docs", "/openapi.json", "/metrics", "/health/live"):
            assert client.get(path).status_code != 429


def test_refusals_are_delayed_except_for_probes(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced: list[object] = []

    async def wait(delay: RefusalDelay, connection: object) -> None:
        paced.append(connection)

    monkeypatch.setattr(RefusalDelay, "wait", wait)
    with client_of(library, rate_limit="1/minute") as client:
        statuses = [client.get("/search?query=muon").status_code for _ in range(3)]
        assert (statuses, paced) == ([200, 429, 429], [("203.0.113.9", 50_000)] * 2)
        service = cast(FastAPI, client.app).state.service
        monkeypatch.setattr(service, "readiness", "failed")
        assert client.get("/health/ready").status_code == 503
        assert len(paced) == 2


def test_clients_behind_a_trusted_proxy_are_told_apart(library: Library) -> None:
    options = {"rate_limit": "1/minute", "trusted_proxies": ["203.0.113.0/24"]}
    with client_of(library, **options) as client:

        def asked_for(address: str) -> int:
            headers = {"X-Forwarded-For": address}
            response = client.get("/search", params={"query": "muon"}, headers=headers)
            return response.status_code

        assert [asked_for(a) for a in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [200, 200, 429]


def test_other_forwarded_headers_are_ignored(library: Library) -> None:
    with client_of(library, rate_limit="1/minute") as client:
        statuses = [
            client.get("/search?query=muon", headers={"X-Forwarded-For": f"192.0.2.{i}"})
            for i in range(2)
        ]
    assert [response.status_code for response in statuses] == [200, 429]


def test_a_picture_search_counts_as_two_requests(library: Library) -> None:
    with client_of(library, rate_limit="10/minute") as client:
        response = client.post("/search-by-image", files={"file": ("a", b"text")})
    assert '"default";r=8;' in response.headers["ratelimit"]


@pytest.mark.parametrize(
    ("path", "scope", "status"),
    [
        ("/search?query=muon", None, 401),
        ("/search?query=muon", "read", 200),
        ("/search?query=muon", "write", 403),
        ("/search?query=muon", "admin", 200),
        (f"/chunks/{'0' * 24}:0/thumbnail", None, 401),
        (f"/chunks/{'0' * 24}:0/thumbnail", "read", 404),
        ("/metrics", None, 401),
        ("/metrics", "read", 403),
        ("/metrics", "admin", 200),
        ("/health", None, 200),
        ("/health/live", None, 200),
        ("/docs", None, 200),
        ("/openapi.json", None, 200),
    ],
)
def test_scopes(keyed: TestClient, path: str, scope: str | None, status: int) -> None:
    headers = {"Authorization": f"Bearer {KEYS[scope]}"} if scope else {}
    if path == "/health":
        for _ in range(200):
            if keyed.get(path).status_code == 200:
                break
    response = keyed.get(path, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"].startswith("Bearer")
    if status in (401, 403):
        assert response.headers["content-type"] == "application/problem+json"


def test_the_x_api_key_header_works_too(keyed: TestClient) -> None:
    headers = {"X-API-Key": KEYS["read"]}
    assert keyed.get("/search?query=muon", headers=headers).status_code == 200


def test_a_wrong_key_is_refused_everywhere_and_counts(library: Library) -> None:
    keys = {"ada": {"sha256": hash_key(KEYS["read"])}}
    with client_of(library, api_keys=keys, rate_limit="2/minute") as client:
        statuses = [
            client.get("/health", headers={"Authorization": f"Bearer guess{i}"}).status_code
            for i in range(3)
        ]
        assert statuses == [401, 401, 429]
        # Whoever has a key is not kept out by a neighbour's guesses.
        headers = {"Authorization": f"Bearer {KEYS['read']}"}
        assert client.get("/search?query=muon", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "search.example"])
def test_a_public_address_needs_keys(library: Library, host: str) -> None:
    with pytest.raises(SettingsError, match="no keys"):
        run(library.path, host, 0)


def test_metrics_of_requests_stages_cache_and_library(library: Library) -> None:
    with client_of(library) as client:
        for query in ("muon", "muon", "kaon"):
            assert client.get("/search", params={"query": query}).status_code == 200
        client.get("/search")
        client.get("/nowhere/at/all")
        client.request("BREW", "/search")
        response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    page = response.text

    def value(line: str) -> float:
        found = re.search(rf"^{re.escape(line)} (\S+)$", page, re.MULTILINE)
        assert found, f"{line} is not in\n{page}"
        return float(found.group(1))

    counted = "trawl_http_request_seconds_count"
    assert value(f'{counted}{{method="GET",route="/search",status="200"}}') == 3
    assert value(f'{counted}{{method="GET",route="/search",status="422"}}') == 1
    assert value(f'{counted}{{method="GET",route="unmatched",status="404"}}') == 1
    assert value(f'{counted}{{method="other",route="/search",status="405"}}') == 1
    assert value('trawl_cache_requests_total{outcome="hit"}') == 1
    assert value('trawl_cache_requests_total{outcome="miss"}') == 2
    for stage in ("total", "queue", "prepare", "encode", "sources", "fuse", "hydrate"):
        assert value(f'trawl_search_stage_seconds_count{{stage="{stage}"}}') == 2
    for source in ("bm25", "mini.text"):
        assert value(f'trawl_search_source_seconds_count{{source="{source}"}}') >= 2
    assert value("trawl_library_documents") == 1
    assert value('trawl_library_chunks{modality="text"}') == 1
    assert value("trawl_cache_entries") == 2
    assert value('trawl_queue_waiting{queue="search"}') == 0
    assert value('trawl_queue_running{queue="search"}') == 0
    assert value("trawl_library_fragments") == 1
    assert value("trawl_library_unindexed_rows") == 0
    assert value('trawl_process_resident_bytes{worker="0"}') > 2**20


def record(**extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("trawl", logging.INFO, "", 0, "GET /search 200", (), None)
    vars(made).update(extra)
    return made


def test_log_lines_are_for_people_or_for_programs() -> None:
    made = record(request_id="abc", took_ms=4.1, status=200)
    shown = formatter("console").format(made)
    assert "info" in shown
    assert shown.endswith("GET /search 200 request_id=abc took_ms=4.1")
    line = json.loads(formatter("json").format(made))
    assert line["message"] == "GET /search 200"
    assert line["level"] == "info"
    assert line["logger"] == "trawl"
    assert line["request_id"] == "abc"
    assert line["status"] == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


def test_keys_in_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "trawl.toml").write_text(
        f'[api_keys."ada"]\nsha256 = "{hash_key("k")}"\nscopes = ["read", "write"]\n', "utf-8"
    )
    assert load_settings(tmp_path).api_keys["ada"].scopes == {"read", "write"}
