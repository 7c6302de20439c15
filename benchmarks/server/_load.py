"""Loads for a server on loopback: a closed loop of clients, and an open one at a given rate.

The closed loop is `wrk` where it is installed (a client in C leaves the two cores to the server),
and otherwise the client of this file, which is also the open loop.
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
    """What a load saw: answers a second, and the milliseconds that they and refusals took."""

    requests: int
    a_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    refused: int
    lost: int

    def row(self, name: str) -> str:
        """Give a line of a table in Markdown."""
        wrong = f" ({self.refused} refused, {self.lost} lost)" if self.refused + self.lost else ""
        return (
            f"| {name} | {self.a_second:,.0f}{wrong} | {self.p50_ms:.1f} | {self.p95_ms:.1f} "
            f"| {self.p99_ms:.1f} |"
        )


HEADER = "| load | answers a second | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|"


def closed_loop(address: str, paths: Sequence[str], clients: int, seconds: float) -> Load:
    """Let `clients` ask one question after the other for so long.

    Each question is asked once, as long as `paths` last; then they come again.
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
    said = json.loads(found[1])
    return Load(
        said["requests"],
        (said["requests"] - said["status"]) / (said["us"] / 1e6),
        said["p50"],
        said["p95"],
        said["p99"],
        said["status"],
        said["lost"],
    )


# --- the client in Python ------------------------------------------------------------------


@dataclass(slots=True)
class Seen:
    """The answers to an open or a closed loop: seconds each took, by status; 0 is none."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def note(self, status: int, took_s: float) -> None:
        """Count an answer."""
        self.seconds.setdefault(status, []).append(took_s)

    def statuses(self) -> Counter[int]:
        """Give how many answers there were by status."""
        return Counter({status: len(took) for status, took in self.seconds.items()})

    def percentile_ms(self, percent: float, *statuses: int) -> float:
        """Give a percentile of the milliseconds of answers with one of some statuses."""
        took = sorted(s for status in statuses for s in self.seconds.get(status, ()))
        return took[min(len(took) - 1, int(len(took) * percent / 100))] * 1000 if took else 0.0


class Connection:
    """One connection that asks one question after the other."""

    def __init__(self, address: str) -> None:
        found = re.search(r"http://([\d.]+):(\d+)", address)
        assert found is not None
        self._host, self._port = found[1], int(found[2])
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask, and give the status and the body; status 0 where the connection broke."""
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
        """Let the connection go."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _closed_loop(address: str, paths: Sequence[str], clients: int, seconds: float) -> Load:
    seen, at = Seen(), 0
    until = time.perf_counter() + seconds

    async def client() -> None:
        nonlocal at
        connection = Connection(address)
        while (began := time.perf_counter()) < until:
            path, at = paths[at % len(paths)], at + 1
            status, _ = await connection.get(path)
            seen.note(status, time.perf_counter() - began)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    took = time.perf_counter() - seen.began
    counts = seen.statuses()
    every = tuple(counts)
    return Load(
        counts.total(),
        counts[200] / took,
        seen.percentile_ms(50, *every),
        seen.percentile_ms(95, *every),
        seen.percentile_ms(99, *every),
        counts.total() - counts[200] - counts[0],
        counts[0],
    )


async def ask_each(address: str, paths: Sequence[str], clients: int) -> Seen:
    """Ask every question once, `clients` of them at a time."""
    seen, left = Seen(), iter(paths)

    async def client() -> None:
        connection = Connection(address)
        for path in left:
            began = time.perf_counter()
            status, _ = await connection.get(path)
            seen.note(status, time.perf_counter() - began)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return seen


async def open_loop(
    address: str, paths: Iterable[str], a_second: float, seconds: float, connections: int = 400
) -> Seen:
    """Ask `a_second` questions a second, whatever becomes of those before.

    At most `connections` are open; a question that finds none free is noted as not answered
    (status -1), so that the client itself cannot pile up.
    """
    # As if each question came from somebody else: by the connection that was quiet for longest.
    seen, free = Seen(), deque(Connection(address) for _ in range(connections))
    questions, tasks = iter(paths), set()

    async def ask(connection: Connection, path: str, due: float) -> None:
        status, _ = await connection.get(path)
        seen.note(status, time.perf_counter() - due)
        free.append(connection)

    count = int(a_second * seconds)
    for number in range(count):
        due = seen.began + number / a_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if not free:
            seen.note(-1, 0.0)
            continue
        task = asyncio.create_task(ask(free.popleft(), next(questions), time.perf_counter()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for connection in free:
        await connection.close()
    return seen


# --- the server ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: its address, and its process."""

    address: str
    process: psutil.Process

    def peer(self) -> tuple[str, int]:
        """Give the host and the port."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        return host, int(port)

    def refusals(self) -> dict[str, int]:
        """Give how many searches were answered with a status other than 200, by status."""
        with urlopen(f"{self.address}/metrics") as answer:
            page = answer.read().decode()
        found = re.findall(
            r'^trawl_http_request_seconds_count\{.*route="/search".*status="(\d+)"\} (\S+)',
            page,
            re.MULTILINE,
        )
        return {status: int(float(count)) for status, count in found if status != "200"}

    def memory_mb(self) -> float:
        """Give the resident memory of the server and its workers, in MB."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in every) / 1e6

    def cpu_s(self) -> float:
        """Give the seconds of CPU that it has used."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in every)


@contextmanager
def serving(command: Sequence[str], **environment: str) -> Iterator[Served]:
    """Run a server that prints its address, until it is ready and until the block ends."""
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
    """Give the command that serves a library on a free port."""
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
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
