"""Load generators for a server on loopback: a closed loop of clients, and an open loop.

The closed loop uses `wrk` if it is installed, since a client in C leaves the cores to the server,
or else the client in this file. The open loop always uses the latter.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import psutil

_WRK_SCRIPT = """
local paths = {}
for line in io.lines(os.getenv("LOAD_PATHS")) do paths[#paths + 1] = line end
local at = 0
request = function()
  at = at + 1
  if at > #paths then at = 1 end
  return wrk.format("GET", paths[at])
end
done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'LOAD {"requests": %d, "us": %d, "p50": %f, "p95": %f, "p99": %f, "status": %d, "lost": %d}',
    summary.requests, summary.duration, latency:percentile(50) / 1000,
    latency:percentile(95) / 1000, latency:percentile(99) / 1000, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Result of a load: responses per second, and latencies including refusals."""

    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    refused: int
    lost: int

    def row(self, name: str) -> str:
        """Return a row of a Markdown table."""
        wrong = f" ({self.refused} refused, {self.lost} lost)" if self.refused + self.lost else ""
        return (
            f"| {name} | {self.per_second:,.0f}{wrong} | {self.p50_ms:.1f} | {self.p95_ms:.1f} "
            f"| {self.p99_ms:.1f} |"
        )


HEADER = "| load | responses/s | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|"


def closed_loop(address: str, paths: Sequence[str], clients: int, seconds: float) -> Load:
    """Run `clients` that send one request after another for `seconds`.

    Each path is requested once; when `paths` are used up, they repeat.
    """
    if shutil.which("wrk"):
        return _wrk(address, paths, clients, seconds)
    return asyncio.run(_closed_loop(address, paths, clients, seconds))


def _wrk(address: str, paths: Sequence[str], clients: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder, "load.lua"), Path(folder, "paths")
        script.write_text(_WRK_SCRIPT, "utf-8")
        listed.write_text("\n".join(paths), "utf-8")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        done = subprocess.run(
            [*command, "-s", str(script), address],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"LOAD_PATHS": str(listed)},
        )
    found = re.search(r"^LOAD (.*)$", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout + done.stderr
    summary = json.loads(found[1])
    return Load(
        summary["requests"],
        (summary["requests"] - summary["status"]) / (summary["us"] / 1e6),
        summary["p50"],
        summary["p95"],
        summary["p99"],
        summary["status"],
        summary["lost"],
    )


# --- the client in Python ------------------------------------------------------------------


@dataclass(slots=True)
class Responses:
    """Durations of responses in seconds, by status; status 0 is a lost connection."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def note(self, status: int, took_s: float) -> None:
        """Record a response."""
        self.seconds.setdefault(status, []).append(took_s)

    def statuses(self) -> Counter[int]:
        """Return the number of responses by status."""
        return Counter({status: len(took) for status, took in self.seconds.items()})

    def percentile_ms(self, percent: float, *statuses: int) -> float:
        """Return a percentile of the latency of responses with one of `statuses`, in ms."""
        took = sorted(s for status in statuses for s in self.seconds.get(status, ()))
        return took[min(len(took) - 1, int(len(took) * percent / 100))] * 1000 if took else 0.0


class Connection:
    """A connection that sends one request after another."""

    def __init__(self, address: str) -> None:
        found = re.search(r"http://([\d.]+):(\d+)", address)
        assert found is not None
        self._host, self._port = found[1], int(found[2])
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and body; status 0 if the connection broke."""
        try:
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
            self._writer.write(f"GET {path} HTTP/1.1\r\nHost: trawl\r\n\r\n".encode())
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
            if b"\r\nconnection: close" in head.lower():
                await self.close()
            return int(head[9:12]), body
        except (OSError, asyncio.IncompleteReadError):
            await self.close()
            return 0, b""

    async def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _closed_loop(address: str, paths: Sequence[str], clients: int, seconds: float) -> Load:
    responses, at = Responses(), 0
    until = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal at
        connection = Connection(address)
        while (began := time.perf_counter()) < until:
            path, at = paths[at % len(paths)], at + 1
            status, _ = await connection.get(path)
            responses.note(status, time.perf_counter() - began)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - responses.began
    counts = responses.statuses()
    every = tuple(counts)
    return Load(
        counts.total(),
        counts[200] / took,
        responses.percentile_ms(50, *every),
        responses.percentile_ms(95, *every),
        responses.percentile_ms(99, *every),
        counts.total() - counts[200] - counts[0],
        counts[0],
    )


async def request_each(address: str, paths: Sequence[str], clients: int) -> Responses:
    """Request every path once, from `clients` clients."""
    responses, left = Responses(), iter(paths)

    async def client() -> None:
        connection = Connection(address)
        for path in left:
            began = time.perf_counter()
            status, _ = await connection.get(path)
            responses.note(status, time.perf_counter() - began)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return responses


async def open_loop(
    address: str, paths: Iterable[str], per_second: float, seconds: float, connections: int = 400
) -> Responses:
    """Send `per_second` requests per second, regardless of earlier responses.

    At most `connections` are open. A request without a free connection is recorded as lost
    (status -1), so that the client itself has no backlog.
    """
    # Use the connection that was idle longest, as if each request came from a different client.
    responses, free = Responses(), deque(Connection(address) for _ in range(connections))
    remaining, tasks = iter(paths), set()

    async def send(connection: Connection, path: str, due: float) -> None:
        status, _ = await connection.get(path)
        responses.note(status, time.perf_counter() - due)
        free.append(connection)

    count = int(per_second * seconds)
    for number in range(count):
        due = responses.began + number / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if not free:
            responses.note(-1, 0.0)
            continue
        task = asyncio.create_task(send(free.popleft(), next(remaining), time.perf_counter()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in free:
        await connection.close()
    return responses


# --- the server ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its address and process."""

    address: str
    process: psutil.Process

    def peer(self) -> tuple[str, int]:
        """Return the host and the port."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        return host, int(port)

    def refusals(self) -> dict[str, int]:
        """Return the number of searches with a status other than 200, by status."""
        with urlopen(f"{self.address}/metrics") as response:
            page = response.read().decode()
        found = re.findall(
            r'^trawl_http_request_seconds_count\{.*route="/search".*status="(\d+)"\} (\S+)',
            page,
            re.MULTILINE,
        )
        return {status: int(float(count)) for status, count in found if status != "200"}

    def memory_mb(self) -> float:
        """Return the resident memory of the server and its workers, in MB."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in every) / 1e6

    def cpu_s(self) -> float:
        """Return the CPU time used, in seconds."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in every)


@contextmanager
def serving(command: Sequence[str], **environment: str) -> Iterator[Served]:
    """Run a server that prints its address; wait until it is ready; stop it after the block."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if "LOAD_LOG" in os.environ else subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TRAWL_RATE_LIMIT": "", "TRAWL_LOG_LEVEL": "warning"} | environment,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://[\d.]+:\d+", line)
        if found is None:
            sys.exit(f"the server did not start: {line}{process.stdout.read()}")
        _wait_until_ready(found[0])
        yield Served(found[0], psutil.Process(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def trawl_serve(library: Path, *options: str) -> list[str]:
    """Return the command that serves a library on a free port."""
    trawl = str(Path(sys.executable).parent / "trawl")
    return [trawl, "serve", "--library", str(library), "--port", "0", *options]


def _wait_until_ready(address: str) -> None:
    async def ready() -> bool:
        connection = Connection(address)
        status, _ = await connection.get("/health")
        await connection.close()
        return status == 200

    until = time.monotonic() + 60
    while not asyncio.run(ready()):
        if time.monotonic() > until:
            sys.exit(f"the server at {address} did not become ready")
        time.sleep(0.1)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
