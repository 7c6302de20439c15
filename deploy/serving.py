"""Checks of a running server over HTTP, for the scripts that start the image."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.request import Request, urlopen

SENTENCE = b"The muon decays into an electron and two neutrinos."


def answer(url: str) -> bytes:
    """Return the body of a response. Raises `OSError` if the server refuses or does not respond."""
    with urlopen(url, timeout=10) as response:
        body: bytes = response.read()
    return body


def wait(what: str, wanted: Callable[[], Any], seconds: float = 60) -> float:
    """Wait until a function returns a true value. Return the seconds that it took."""
    began = time.monotonic()
    while True:
        try:
            if wanted():
                return time.monotonic() - began
        except (OSError, HTTPException):
            pass
        if time.monotonic() - began > seconds:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


def upload(url: str, name: str = "muon.txt", content: bytes = SENTENCE) -> None:
    """Send a file to the server's library. Raises `OSError` if the server refuses it."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    request = Request(
        f"{url}/v1/documents",
        head.encode() + content + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urlopen(request, timeout=10) as response:
        assert response.status == 202, response.status


def results(url: str, query: str = "query=muon") -> list[dict[str, Any]]:
    """Return the results of a search."""
    found: list[dict[str, Any]] = json.loads(answer(f"{url}/search?{query}"))["results"]
    return found
