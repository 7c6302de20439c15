"""Traces: one span per request and per stage, sent by OTLP if configured."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from trawl.errors import SettingsError
from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Sink:
    """Takes OTLP over HTTP, as a collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                sink.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            assert names["service.name"] == "trawl"
            for scope in resource.scope_spans:
                self.spans += scope.spans


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.server.shutdown()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    (tmp_path / "muon.txt").write_text("The muon decays into an electron.", "utf-8")
    with Library(tmp_path / "lib", create=True) as library:
        library.add(tmp_path / "muon.txt")
        yield library


def test_a_search_is_a_trace(library: Library, sink: Sink) -> None:
    settings = load_settings(library.path, otlp_endpoint=sink.url)
    with TestClient(create_app(library, settings)) as client:
        response = client.get(
            "/search",
            params={"query": "a secret muon"},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        assert response.status_code == 200
        assert client.get("/v1/documents/nonsense").status_code == 422
    spans = {span.name: span for span in sink.spans}
    request = spans["GET /search"]
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == PARENT
    said = {one.key: one.value for one in request.attributes}
    assert said["http.route"].string_value == "/search"
    assert said["http.response.status_code"].int_value == 200
    assert said["trawl.request_id"].string_value == response.headers["x-request-id"]
    search = spans["search"]
    assert search.parent_span_id == request.span_id
    assert spans["queue"].parent_span_id == request.span_id
    stages = [spans[name] for name in ("prepare", "encode", "sources", "fuse", "hydrate")]
    for stage in stages:
        assert stage.trace_id == request.trace_id
        assert stage.parent_span_id == search.span_id
        assert search.start_time_unix_nano <= stage.start_time_unix_nano
    starts = [stage.start_time_unix_nano for stage in stages]
    assert starts == sorted(starts)
    assert "secret" not in str(sink.spans)
    other = spans["GET /v1/documents/{document_id}"]
    assert other.trace_id != request.trace_id


def test_an_unavailable_collector_does_no_harm(library: Library) -> None:
    settings = load_settings(library.path, otlp_endpoint="http://127.0.0.1:9")
    with TestClient(create_app(library, settings)) as client:
        assert client.get("/search", params={"query": "muon"}).status_code == 200


def test_a_missing_extra_is_explained(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    settings = load_settings(library.path, otlp_endpoint="http://127.0.0.1:4318")
    with pytest.raises(SettingsError, match=r"trawl-multimodal\[otel\]"):
        create_app(library, settings)


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://x", ""])
def test_an_invalid_endpoint_is_an_error(endpoint: str) -> None:
    with pytest.raises(SettingsError, match="otlp_endpoint"):
        load_settings(otlp_endpoint=endpoint)
