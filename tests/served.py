"""Helpers of the server tests: serve a library, and check a refusal."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from trawl.library import Library
from trawl.server import create_app
from trawl.settings import load_settings

TRAWL = Path(sys.executable).parent / "trawl"


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


@contextmanager
def serving(library: Path | str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `trawl serve`, on a free port unless an option names one; yield it and its address."""
    command = [str(TRAWL), "serve", "--library", str(library), "--port", "0", *options]
    # Into a file: a pipe that nobody reads stops the server once it is full.
    with (
        NamedTemporaryFile("w") as log,
        subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"TRAWL_RATE_LIMIT": ""},  # on a slow machine there is much to ask
        ) as process,
    ):
        try:
            process.stdout = Path(log.name).open(encoding="utf-8")  # noqa: SIM115 - Popen closes it
            line = ""
            while not line.endswith("\n") and process.poll() is None:
                line += process.stdout.readline()
                time.sleep(0.02)
            found = re.search(r"http://[\d.:\[\]a-f]+", line)
            assert found, line + process.stdout.read()
            yield process, found.group()
        finally:
            if process.poll() is None:
                process.kill()


def wait_until_ready(address: str, patience_s: float = 20.0) -> None:
    """Wait until the server at `address` can answer questions."""
    until = time.monotonic() + patience_s
    while not _is_ready(address):
        assert time.monotonic() < until, "the server did not become ready"
        time.sleep(0.02)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.ConnectError:
        return False


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
