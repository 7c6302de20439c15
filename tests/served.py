"""Helpers of the server tests: serve a library, and check a refusal."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings


@contextmanager
def asked(library: Library) -> Iterator[TestClient]:
    """Yield a client of an application without a rate limit, in this process."""
    settings = load_settings(library.path, rate_limit="")
    with TestClient(create_app(library, settings)) as client:
        yield client


@contextmanager
def over_http(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port from a thread, and yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def muon_library(path: Path) -> Path:
    """Create a library with one note."""
    note = path.parent / "muon.txt"
    note.write_text("The muon decays into an electron and two neutrinos.", "utf-8")
    with Library(path, create=True) as library:
        library.add(note)
    return path


def refused(response: Any, status: int, kind: str) -> dict[str, Any]:
    """Return the problem document of a response, which must not name `secret-place`."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert "secret-place" not in response.text
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:problem:trawl:{kind}"
    return body
