"""Measure the overhead of HTTP on a search.

Usage: python http_overhead.py [FOLDER] (default: the example collection).

Starts `trawl serve` on a library of the folder and sends one query after another from this
process. Prints milliseconds: the time at the client minus the server's `query_time_ms`
(transport, parsing, formatting), a cached search, and the smallest route (`/health/live`), which
indicates how busy the machine is.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from trawl.library import Library

WORDS = ["muon", "electron", "jet", "boson", "detector", "event", "trigger", "energy", "decay"]
ROUNDS = 100
EXAMPLES = Path(__file__).resolve().parent.parent / "src" / "trawl" / "examples"


def get(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    began = time.perf_counter()
    connection.request("GET", path)
    body = connection.getresponse().read()
    return (time.perf_counter() - began) * 1000, body


def line(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    return f"{name:34} p50 {p50:7.2f}   p95 {p95:7.2f}   min {ordered[0]:7.2f}"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    if not folder.is_dir():
        raise SystemExit(f"skipped: no folder {folder}")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "lib"
        with Library(path, create=True) as library:
            print(f"{library.add(folder).chunks} chunks")
        server = subprocess.Popen(
            [str(Path(sys.executable).parent / "trawl"), "serve", "-l", str(path), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TRAWL_RATE_LIMIT": ""},
        )
        try:
            assert server.stdout is not None
            found = re.search(r"http://([\d.]+):(\d+)", server.stdout.readline())
            assert found is not None
            connection = http.client.HTTPConnection(found[1], int(found[2]), timeout=60)
            while b'"ok"' not in get(connection, "/health")[1]:
                time.sleep(0.05)
            measure(connection)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)


def measure(connection: http.client.HTTPConnection) -> None:
    queries = list(itertools.combinations(WORDS, 3))
    random.Random(0).shuffle(queries)
    overhead, search = [], []
    for words in queries[:ROUNDS]:
        took, body = get(connection, "/search?query=" + quote(" ".join(words)))
        inside = json.loads(body)["query_time_ms"]
        overhead.append(took - inside)
        search.append(inside)
    cached = [get(connection, "/search?query=muon%20decay")[0] for _ in range(ROUNDS + 1)][1:]
    smallest = [get(connection, "/health/live")[0] for _ in range(ROUNDS)]
    print(line("search (query_time_ms)", search))
    print(line("HTTP and formatting", overhead))
    print(line("cached search, total", cached))
    print(line("smallest route", smallest))


if __name__ == "__main__":
    main()
