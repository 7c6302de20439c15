"""HEAD, CORS, proxies, unknown parameters, disconnected clients and read-only libraries."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterator
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from served import muon_library, refused
from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

ORIGIN = "https://search.example"
PROXY = ("10.0.0.1", 50_000)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library(muon_library(tmp_path_factory.mktemp("gateway") / "lib")) as library:
        yield library


def client_of(
    library: Library, client: tuple[str, int] = ("203.0.113.9", 50_000), **options: Any
) -> TestClient:
    settings = load_settings(library.path, **{"rate_limit": "", **options})
    app = create_app(library, settings)
    return TestClient(app, client=client, base_url="http://pub.example", follow_redirects=False)


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with client_of(library, cors_origins=[ORIGIN]) as client:
        yield client


@pytest.fixture(scope="module")
def behind(library: Library) -> Iterator[TestClient]:
    with client_of(library, PROXY, trusted_proxies=["10.0.0.0/8"]) as client:
        yield client


@pytest.fixture(scope="module")
def document_id(library: Library) -> str:
    return library.documents()[0].document_id


# --- HEAD --------------------------------------------------------------------------------


def test_every_get_route_answers_head(client: TestClient, document_id: str) -> None:
    query = {"/search": "?query=muon", "/v1/search": "?q=muon", "/v1/facets": "?key=modality"}
    values = {"document_id": document_id, "chunk_id": f"{document_id}:0", "job_id": "0" * 32}
    documented = cast(FastAPI, client.app).openapi()["paths"]
    paths = [path for path, methods in documented.items() if "get" in methods]
    assert len(paths) > 12
    for path in [*paths, "/docs", "/docs/start.js", "/docs/assets/swagger-ui.css"]:
        address = path.format(**values) + query.get(path, "")
        got, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (got.status_code, b""), address
        assert head.headers["content-type"] == got.headers["content-type"]
        if not path.startswith(("/metrics", "/v1/stats", "/search", "/v1/search", "/v1/similar")):
            assert head.headers.get("content-length") == got.headers.get("content-length")


def test_head_of_a_stream_ends(client: TestClient) -> None:
    """The events of a job that is not finished would stream without end."""
    jobs = cast(FastAPI, client.app).state.jobs
    job = jobs.add(["/nowhere/muon.txt"], {})
    response = client.head(f"/v1/jobs/{job.job_id}/events")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")


def test_head_is_measured_by_its_route(client: TestClient) -> None:
    client.head("/v1/stats")
    assert 'method="HEAD",route="/v1/stats",status="200"' in client.get("/metrics").text


def test_allow_names_head(client: TestClient) -> None:
    response = client.post("/v1/stats")
    refused(response, 405, "method")
    assert response.headers["allow"] == "GET, HEAD"


# --- CORS --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PATCH", "if-match, content-type, authorization"),
        ("GET", "range, if-none-match, if-range, if-modified-since"),
        ("GET", "x-api-key, x-request-id, traceparent"),
        ("HEAD", "x-api-key"),
        ("POST", "content-type"),
        ("DELETE", "authorization"),
    ],
)
def test_preflights_allow_all_documented_headers(
    client: TestClient, method: str, headers: str
) -> None:
    fields = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    assert client.options("/v1/documents/x", headers=fields).status_code == 200


def test_pages_can_read_the_documented_response_headers(client: TestClient) -> None:
    response = client.get("/health", headers={"Origin": ORIGIN})
    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert {"etag", "content-range", "location", "retry-after", "cache-status"} <= set(exposed)


# --- proxies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "path", "location"),
    [
        ({}, "/v1/search/", "http://pub.example/v1/search"),
        ({"X-Forwarded-Proto": "https"}, "/v1/search/", "https://pub.example/v1/search"),
        ({"X-Forwarded-Proto": "javascript"}, "/v1/search/", "http://pub.example/v1/search"),
        ({"X-Forwarded-Host": "a.example:444"}, "/v1/search/", "http://a.example:444/v1/search"),
        ({"X-Forwarded-Host": "a/b@c"}, "/v1/search/", "http://pub.example/v1/search"),
        ({"X-Forwarded-Prefix": "/trawl"}, "/v1/search/", "http://pub.example/trawl/v1/search"),
        (
            {"X-Forwarded-Prefix": "/trawl"},
            "/trawl/v1/search/",
            "http://pub.example/trawl/v1/search",
        ),
        ({"X-Forwarded-Prefix": "//evil.example"}, "/v1/search/", "http://pub.example/v1/search"),
    ],
)
def test_redirects_behind_a_trusted_proxy(
    behind: TestClient, headers: dict[str, str], path: str, location: str
) -> None:
    response = behind.post(path, json={"text": "a"}, headers=headers)
    assert (response.status_code, response.headers["location"]) == (307, location)


def test_forwarded_headers_of_others_are_ignored(client: TestClient) -> None:
    headers = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
    }
    response = client.post("/v1/search/", json={"text": "a"}, headers=headers)
    assert response.headers["location"] == "http://pub.example/v1/search"


@pytest.mark.parametrize("path", ["/search", "/trawl/search"])
def test_a_path_prefix_from_the_proxy_or_the_settings(library: Library, path: str) -> None:
    with client_of(library, root_path="/trawl", rate_limit="1/minute") as client:
        response = client.get(path, params={"query": "muon"})
        assert response.status_code == 200
        media = response.json()["results"][0]["media_url"]
        assert media is None or media.startswith("/trawl/v1/chunks/")
        assert client.get(path, params={"query": "muon"}).status_code == 429
        # The exemptions of the rate limit apply below the prefix too.
        prefix = path.removesuffix("/search")
        for exempt in ("/health/live", "/docs", "/openapi.json"):
            assert client.get(prefix + exempt).status_code == 200
        assert "/trawl/docs/start.js" in client.get(prefix + "/docs").text
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/trawl"}]


def test_the_location_of_a_job_has_the_prefix(library: Library) -> None:
    app = create_app(library, load_settings(library.path, root_path="/trawl"))
    response = TestClient(app).post("/v1/documents", files=[("files", ("a.txt", b"a"))])
    assert response.headers["location"].startswith("/trawl/v1/jobs/")


# --- requests that would be misunderstood ---------------------------------------------------


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_body_is_refused(client: TestClient, encoding: str) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    response = client.post("/v1/search", content=b"\x1f\x8b" + bytes(20), headers=headers)
    assert "Content-Encoding" in refused(response, 415, "unreadable")["detail"]
    assert response.headers["accept-encoding"] == "identity"


def test_identity_is_no_encoding(client: TestClient) -> None:
    headers = {"Content-Encoding": "identity"}
    assert client.post("/v1/search", json={"text": "a"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("address", "unknown"),
    [
        ("/search?query=x&where=year>3000", "query.where"),
        ("/v1/search?q=x&whre=year>3000", "query.whre"),
        ("/v1/documents?wher=x", "query.wher"),
        ("/v1/stats?where=x", "query.where"),
        ("/v1/facets?key=modality&top_k=3", "query.top_k"),
        (f"/v1/similar/{'0' * 24}:0?where=x", "query.where"),
        (f"/v1/jobs/{'0' * 32}?wait=1", "query.wait"),
    ],
)
def test_unknown_query_parameters_are_refused(
    client: TestClient, address: str, unknown: str
) -> None:
    body = refused(client.get(address), 422, "invalid")
    assert [one["where"] for one in body["errors"]] == [unknown]
    assert "unknown parameter" in body["detail"]


@pytest.mark.parametrize(
    ("address", "repeated"),
    [
        ("/search?query=x&query=y", "query"),
        ("/v1/search?q=x&where=year=1&where=year=2", "where"),
        ("/v1/documents?limit=1&limit=2", "limit"),
        ("/v1/facets?key=modality&where=year=1&where=year=2", "where"),
    ],
)
def test_repeated_parameters_are_refused(client: TestClient, address: str, repeated: str) -> None:
    body = refused(client.get(address), 422, "invalid")
    assert [one["where"] for one in body["errors"]] == [f"query.{repeated}"]
    assert "more than once" in body["detail"]


def test_lists_are_repeated_and_form_fields_are_not(client: TestClient) -> None:
    for address in (
        "/v1/search?q=x&modality=text&modality=image&facet=modality&facet=title",
        "/v1/facets?key=modality&key=title",
    ):
        assert client.get(address).status_code == 200
    files, data = {"file": ("a.png", b"a")}, {"top_k": ["1", "2"]}
    response = client.post("/search-by-image", files=files, data=data)
    assert "more than once" in refused(response, 422, "invalid")["detail"]


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ({"text": "x", "wher": "year = 1"}, "body.wher"),
        ({"parts": [{"text": "x", "wieght": 2}]}, "body.parts.0.wieght"),
        ({"text": "x", "fuzzy": [{"word": "a", "leters": 1}]}, "body.fuzzy.0.leters"),
    ],
)
def test_unknown_keys_are_refused_at_every_level(
    client: TestClient, body: dict[str, object], unknown: str
) -> None:
    refusal = refused(client.post("/v1/search", json=body), 422, "invalid")
    assert [one["where"] for one in refusal["errors"]] == [unknown]


def test_a_refusal_lists_the_parameters_that_exist(client: TestClient) -> None:
    detail = refused(client.get("/search?query=x&topk=3"), 422, "invalid")["detail"]
    assert detail.endswith("there are: modality, query, top_k, use_cache")


@pytest.mark.parametrize("path", ["/search-by-image", "/v1/search/audio", "/v1/documents"])
def test_unknown_form_fields_and_parameters_of_uploads_are_refused(
    client: TestClient, path: str
) -> None:
    field = "files" if path == "/v1/documents" else "file"
    response = client.post(path, files={field: ("a", b"a")}, data={"where": "year > 3000"})
    assert refused(response, 422, "invalid")["errors"][0]["where"] == "body.where"
    response = client.post(f"{path}?top_k=3&where=x", files={field: ("a", b"a")})
    assert "query.where" in refused(response, 422, "invalid")["detail"]


def test_probes_may_have_any_parameter(client: TestClient) -> None:
    assert client.get("/health/live?probe=1").status_code == 200


# --- clients that leave ----------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
@pytest.mark.parametrize("path", ["/v1/search", "/v1/documents", "/search-by-image"])
def test_a_client_that_leaves_is_no_server_error(
    library: Library, path: str, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(library, load_settings(library.path, rate_limit=""))
    messages = iter(
        [
            {"type": "http.request", "body": b"--b\r\n", "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 0) < 500

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"content-type", content_type.encode())],
        "client": ("203.0.113.9", 1),
        "server": ("pub.example", 80),
    }
    with caplog.at_level(logging.INFO, "trawl"):
        asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    page = app.state.service.metrics.page().decode()
    if content_type.startswith("multipart") or path == "/v1/search":
        assert f'method="POST",route="{path}",status="499"' in page
    assert 'status="5' not in page


# --- read-only libraries -----------------------------------------------------------------------


def test_a_read_only_library_says_so(
    library: Library, client: TestClient, document_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", "/secret-place")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    address = f"/v1/documents/{document_id}"
    for response in (
        client.patch(address, json={"year": 2020}),
        client.delete(address),
        client.post("/v1/documents", files=[("files", ("b.txt", b"b"))]),
    ):
        assert "read-only" in refused(response, 403, "read-only")["title"]
    assert client.get("/search?query=muon").status_code == 200
    assert client.get(address).status_code == 200


def test_jobs_of_a_read_only_library(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(library, load_settings(library.path, rate_limit=""))
    client = TestClient(app)
    monkeypatch.setattr(app.state.jobs, "_path", library.path / "nowhere" / "jobs")
    refused(client.get(f"/v1/jobs/{'0' * 32}"), 404, "not-found")
    response = client.post("/v1/documents", files=[("files", ("c.txt", b"c"))])
    refused(response, 403, "read-only")


# --- the rate limit on this machine --------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "headers", "statuses"),
    [
        ("127.0.0.1", {}, [200, 200]),
        ("::1", {}, [200, 200]),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.1"}, [200, 429]),
        ("203.0.113.9", {}, [200, 429]),
    ],
)
def test_the_rate_limit_without_keys_is_for_others(
    library: Library, address: str, headers: dict[str, str], statuses: list[int]
) -> None:
    with client_of(library, (address, 5), rate_limit="1/minute") as client:
        assert [
            client.get("/search?query=a", headers=headers).status_code for _ in range(2)
        ] == statuses
