"""`trawl serve` as a process: start, requests and exit."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from served import TRAWL, muon_library, serving, wait_until_ready
from trawl.library import Library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return muon_library(tmp_path_factory.mktemp("served") / "lib")


def test_it_serves_and_exits_cleanly(library: Path) -> None:
    with serving(library) as (process, address):
        assert address.startswith("http://127.0.0.1:")
        wait_until_ready(address)
        answer = httpx.get(f"{address}/search", params={"query": "muon"}).json()
        assert [result["source"] for result in answer["results"]] == ["muon.txt"]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        assert time.monotonic() - began < 10
        assert process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in (process.stdout.read() if process.stdout else "")


def test_documents_added_by_another_process_are_found(library: Path, tmp_path: Path) -> None:
    with serving(library) as (_, address):
        wait_until_ready(address)
        note = tmp_path / "kaon.txt"
        note.write_text("The kaon has a strange quark.", "utf-8")
        with Library(library) as writer:
            writer.add(note)
        until = time.monotonic() + 10
        sources: set[str] = set()
        while "kaon.txt" not in sources:
            assert time.monotonic() < until
            answer = httpx.get(f"{address}/search", params={"query": "kaon"}).json()
            sources = {result["source"] for result in answer["results"]}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_resumes_after_a_restart(tmp_path: Path, end: signal.Signals) -> None:
    library = tmp_path / "lib"
    Library(library, create=True).close()
    files = [("files", (f"muon{i}.txt", b"The muon decays. " * 50 + b"%d" % i)) for i in range(40)]
    with serving(library) as (process, address):
        sent = httpx.post(f"{address}/v1/documents", files=files, timeout=30)
        assert sent.status_code == 202
        job = sent.headers["location"]
        began = time.monotonic()
        with httpx.stream("GET", f"{address}{job}/events", timeout=30) as events:
            assert next(events.iter_lines()) == "event: job"
            process.send_signal(end)
            process.wait(timeout=10)
        assert time.monotonic() - began < 10
    with serving(library) as (_, address):
        until = time.monotonic() + 60
        while (found := httpx.get(f"{address}{job}").json())["state"] != "done":
            assert found["state"] in ("queued", "running"), found
            assert time.monotonic() < until, found
            time.sleep(0.1)
        assert found["report"]["failed"] == []
        assert found["report"]["added"] + found["report"]["unchanged"] == 40
        listed = httpx.get(f"{address}/v1/documents").json()
        assert listed["total"] == 40
        assert httpx.get(f"{address}/v1/stats").json()["chunks"]["text"] == sum(
            document["chunks"] for document in listed["documents"]
        )


def test_a_port_in_use_is_a_clear_error(library: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [str(TRAWL), "serve", "--library", str(library), "--port", port],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_library_is_a_clear_error(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(TRAWL), "serve", "--library", str(tmp_path / "none"), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert done.returncode == 1
    assert "no library" in done.stderr
    assert "Traceback" not in done.stderr
