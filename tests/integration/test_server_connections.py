"""Bounds of connections and request heads, on a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from trawl.library import Library
from trawl.server import create_app, http_protocol
from trawl.server.metrics import Metrics


class Served:
    """An application on a socket, in a thread."""

    def __init__(self, library: Library, max_connections: int) -> None:
        self.metrics = Metrics()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", int(self.listening.getsockname()[1]))
        config = uvicorn.Config(
            create_app(library, metrics=self.metrics),
            http=http_protocol.protocol_with(max_connections, self.metrics.rejected),
            log_config=None,
            access_log=False,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self.server.serve([self.listening])), daemon=True
        )
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)

    def connected(self) -> socket.socket:
        return socket.create_connection(self.address, 10)

    def count(self) -> int:
        return len(self.server.server_state.connections)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Library(tmp_path / "lib", create=True) as library:
        made = Served(library, 3)
        yield made
        made.stop()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read a response until the connection is closed."""
    said = b""
    while part := connection.recv(65_536):
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = dict(field.lower().split(": ", 1) for field in fields)
    return int(status.split()[1]), headers, body


def refused(connection: socket.socket, status: int, kind: str) -> dict[str, str]:
    found, headers, body = answer(connection)
    assert found == status
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["type"] == f"urn:problem:trawl:{kind}"
    assert problem["status"] == status
    assert problem["request_id"] == headers["x-request-id"]
    return headers


def test_a_connection_over_the_bound_is_refused_and_others_continue(served: Served) -> None:
    inside = [served.connected() for _ in range(3)]
    while served.count() < 3:
        time.sleep(0.01)
    with served.connected() as extra:
        extra.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused(extra, 503, "overloaded")["retry-after"] == "1"
    assert b'reason="connections"} 1.0' in served.metrics.page()
    inside[0].sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer(inside[0])[0] == 200
    for one in inside:
        one.close()
    while served.count():
        time.sleep(0.01)
    assert httpx.get(f"http://127.0.0.1:{served.address[1]}/health/live").status_code == 200


def test_connections_over_twice_the_bound_are_closed(served: Served) -> None:
    held = [served.connected() for _ in range(20)]
    with suppress(ConnectionResetError):
        # Beyond twice the number nobody is even listened to.
        assert held[-1].recv(100) == b""
    assert served.count() <= 7
    for one in held:
        one.close()


def test_an_endless_head_is_cut_off(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(300):
            # Whoever sends on all the same still finds the answer: the server reads it away.
            connection.sendall(b"X-Long: " + b"y" * 1_000 + b"\r\n")
        refused(connection, 431, "too-large")


def test_a_slow_head_times_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "_HEAD_S", 0.3)
    with served.connected() as silent, served.connected() as slow:
        slow.sendall(b"GET /health/live HTTP/1.1\r\n")
        refused(slow, 408, "too-slow")
        assert silent.recv(100) == b""


def test_garbage_after_a_request_closes_the_connection(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(b"GET /search?query=mass HTTP/1.1\r\nHost: x\r\n\r\n\x16 no\r\n\r\n")
        said = b""
        while part := connection.recv(65_536):
            said += part
        assert b"urn:problem:trawl:malformed" in said
    assert httpx.get(f"http://127.0.0.1:{served.address[1]}/health/live").status_code == 200


def test_input_that_is_not_http_gets_a_problem_document(served: Served) -> None:
    with served.connected() as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        refused(connection, 400, "malformed")
