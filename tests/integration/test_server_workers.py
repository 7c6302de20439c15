"""`trawl serve --workers 2`: several processes, one address, one library."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from served import muon_library
from trawl.library import Library

TRAWL = Path(sys.executable).parent / "trawl"


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the processes that serve, without the tracker that `multiprocessing` starts."""
    found = []
    for child in process.children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
    return found


@contextmanager
def serving(library: Path, *options: str) -> Iterator[tuple[psutil.Popen, str]]:
    """Run `trawl serve --workers 2` on a free port, and yield the process and its address."""
    command = [str(TRAWL), "serve", "--library", str(library), "--port", "0", "--workers", "2"]
    with psutil.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TRAWL_RATE_LIMIT": "", "COLUMNS": "200"},
    ) as process:
        workers: list[psutil.Process] = []
        try:
            said = ""
            while (found := re.search(r"http://[\d.:]+", said)) is None:
                line = process.stdout.readline()  # those of the log come between
                assert line, said
                said += line
            workers = workers_of(process)
            yield process, found.group()
        finally:
            for one in (process, *workers):
                if one.is_running():
                    one.kill()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return muon_library(tmp_path_factory.mktemp("served") / "lib")


def until(holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    give_up_at = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come to be"
        time.sleep(0.05)


def numbers(address: str) -> dict[str, float]:
    lines = [line for line in httpx.get(f"{address}/metrics").text.splitlines() if line[0] != "#"]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_two_processes_serve_and_exit_together(library: Path) -> None:
    with serving(library) as (process, address):
        workers = workers_of(process)
        assert len(workers) == 2
        until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        for _ in range(20):
            assert httpx.get(f"{address}/search?query=muon").json()["results"]
        resident = "trawl_process_resident_bytes"
        until(
            lambda: {f'{resident}{{worker="{n}"}}' for n in "01"} <= numbers(address).keys(),
        )
        found = numbers(address)
        assert found['trawl_process_resident_bytes{worker="1"}'] > 2**20
        answered = [value for name, value in found.items() if "requests_total" in name]
        counted = 'trawl_http_request_seconds_count{method="GET",route="/search",status="200"}'
        assert found[counted] == 20  # of both together
        assert sum(answered) >= 20

        # A request that is under way when the signal comes is finished.
        host, _, port = address.removeprefix("http://").partition(":")
        slow = http.client.HTTPConnection(host, int(port), timeout=20)
        body = b'{"text": "muon"}'
        slow.putrequest("POST", "/v1/search")
        slow.putheader("Content-Type", "application/json")
        slow.putheader("Content-Length", str(len(body)))
        slow.endheaders(body[:5])
        time.sleep(0.3)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        slow.send(body[5:])
        assert slow.getresponse().status == 200
        process.wait(timeout=10)
        assert time.monotonic() - began < 10
        assert process.returncode == 0
        said = process.stdout.read()
        assert "Traceback" not in said
        assert "http://" not in said  # the address is told once
        assert not any(worker.is_running() for worker in workers)


def test_a_dead_worker_is_replaced(library: Path) -> None:
    with serving(library) as (process, address):
        first, second = workers_of(process)
        first.kill()
        until(lambda: len(set(workers_of(process)) - {first}) == 2)
        assert second.is_running()
        until(lambda: numbers(address).get('trawl_worker_restarts{worker="0"}') == 1)
        assert httpx.get(f"{address}/search?query=muon").status_code == 200
        (added,) = set(workers_of(process)) - {first, second}
        # When the one that watches is killed, those that serve do not stay behind.
        process.kill()
        until(lambda: not (added.is_running() or second.is_running()))


def test_both_processes_can_show_and_cancel_a_job(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    Library(library, create=True).close()
    note = b"The muon decays. " * 50
    with serving(library) as (_, address):
        # A connection each time: whichever process is free takes it.
        files = [("files", (f"muon{i}.txt", b"A muon decays: %d." % i)) for i in range(5)]
        job = httpx.post(f"{address}/v1/documents", files=files).headers["location"]
        until(lambda: httpx.get(f"{address}{job}").json()["state"] == "done")
        until(
            lambda: all(
                len(httpx.get(f"{address}/search?query=muon").json()["results"]) == 5
                for _ in range(10)
            )
        )
        assert numbers(address)['trawl_ingest_documents_total{outcome="added"}'] == 5

        files = [("files", (f"kaon{i}.txt", note * 40 + b"%d" % i)) for i in range(100)]
        job = httpx.post(f"{address}/v1/documents", files=files, timeout=30).headers["location"]
        until(lambda: httpx.get(f"{address}{job}").json()["state"] == "running")
        assert httpx.delete(f"{address}{job}").json()["state"] == "cancelled"
        until(lambda: numbers(address)["trawl_jobs_waiting"] == 0)
        # What was under way has let go of the library: the next job can run.
        files = [("files", ("pion.txt", b"The pion decays into a muon."))]
        job = httpx.post(f"{address}/v1/documents", files=files).headers["location"]
        until(lambda: httpx.get(f"{address}{job}").json()["state"] == "done")


def test_an_error_at_the_start_is_reported(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(TRAWL), "serve", "-l", str(tmp_path / "none"), "--port", "0", "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert done.returncode == 1
    assert "no library" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
