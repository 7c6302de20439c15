"""Several servers on one library in an object store: uploads, jobs, and one that is killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from buckets import new_bucket
from served import serving, wait_until_ready
from trawl import Library

PATIENCE_S = 90


@pytest.fixture
def library(
    storage_options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    address = f"{new_bucket(storage_options)}/library"
    monkeypatch.setenv("TRAWL_STORAGE_OPTIONS", json.dumps(storage_options))
    monkeypatch.setenv("TRAWL_CACHE_DIR", str(tmp_path / "cache"))
    Library(address, create=True).close()
    return address


def wait_for(server: str, job: str, *states: str) -> dict[str, Any]:
    """Wait until a server says that a job is in one of some states."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, Any] = httpx.get(f"{server}{job}").json()
        if found["state"] in states:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


def wait_for_hit(server: str, query: str, name: str) -> dict[str, Any]:
    """Wait until a server finds a file."""
    until = time.monotonic() + PATIENCE_S
    while True:
        answer = httpx.get(f"{server}/search", params={"query": query}, timeout=30).json()
        for result in answer["results"]:
            if result["source"].endswith(name):
                return dict(result)
        assert time.monotonic() < until, answer
        time.sleep(0.1)


def upload(server: str, *notes: tuple[str, str]) -> str:
    """Upload texts, and return the path of the job."""
    files = [("files", (name, text.encode(), "text/plain")) for name, text in notes]
    answer = httpx.post(f"{server}/v1/documents", files=files, timeout=60)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def test_any_server_takes_uploads_and_shows_the_jobs_of_the_others(library: str) -> None:
    with serving(library) as (_, one), serving(library) as (_, other):
        for server in (one, other):
            wait_until_ready(server, PATIENCE_S)
        job = upload(other, ("muon.txt", "The muon decays into an electron and two neutrinos."))
        assert wait_for(one, job, "done", "failed")["report"]["added"] == 1
        found = [wait_for_hit(server, "muon", "muon.txt") for server in (one, other)]
        chunk = found[0]["id"]
        original = httpx.get(f"{one}/v1/chunks/{chunk}/media")
        assert original.text == "The muon decays into an electron and two neutrinos."
        document = chunk.partition(":")[0]
        assert httpx.delete(f"{one}/v1/documents/{document}", timeout=60).status_code == 204
    with Library(library) as opened:
        assert opened.documents() == []
        assert list(opened.location.entries("uploads/")) == []


def test_a_job_of_a_server_that_is_killed_is_finished_once_by_another(library: str) -> None:
    notes = [(f"note{n}.txt", f"Note {n} of the logbook tells of run {n}.") for n in range(40)]
    with serving(library) as (process, one), serving(library) as (_, other):
        for server in (one, other):
            wait_until_ready(server, PATIENCE_S)
        job = upload(one, *notes)
        wait_for(other, job, "running", "done")
        process.kill()
        assert wait_for(other, job, "done", "failed")["state"] == "done"
    with Library(library) as opened:
        assert sorted(Path(row.uri).name for row in opened.documents()) == sorted(
            name for name, _ in notes
        )
        assert sum(opened.status().chunks.values()) == len(notes)
