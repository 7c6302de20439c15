"""Several servers on one library in an object store: uploads, jobs, and one that is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from buckets import Gateway, new_bucket
from served import serving, wait_until_ready
from trawl import Library
from trawl.locations import location_of

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


class Pair(NamedTuple):
    gateway: Gateway
    library: str
    one: str
    other: str


def names(library: Library) -> list[str]:
    """Return the file names of a library's documents, sorted."""
    return sorted(Path(row.uri).name for row in library.documents())


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


@pytest.fixture(scope="module")
def pair(
    storage_options: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """Two servers of one library behind a gateway. The first one runs the jobs."""
    address = f"{new_bucket(storage_options)}/library"
    with Gateway(storage_options) as gateway, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAWL_STORAGE_OPTIONS", json.dumps(gateway.options))
        patch.setenv("TRAWL_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        Library(address, create=True).close()
        with serving(address) as (_, one):
            wait_until_ready(one, PATIENCE_S)
            until = time.monotonic() + PATIENCE_S
            while not list(location_of(address, storage_options).entries(".job-leases/")):
                assert time.monotonic() < until
                time.sleep(0.1)
            with serving(address) as (_, other):
                wait_until_ready(other, PATIENCE_S)
                yield Pair(gateway, address, one, other)


def test_any_server_takes_uploads_and_shows_the_jobs_of_the_others(pair: Pair) -> None:
    job = upload(pair.other, ("muon.txt", "The muon decays into an electron and two neutrinos."))
    assert wait_for(pair.one, job, "done", "failed")["report"]["added"] == 1
    found = [wait_for_hit(server, "muon", "muon.txt") for server in (pair.one, pair.other)]
    chunk = found[0]["id"]
    original = httpx.get(f"{pair.one}/v1/chunks/{chunk}/media")
    assert original.text == "The muon decays into an electron and two neutrinos."
    document = chunk.partition(":")[0]
    assert httpx.delete(f"{pair.one}/v1/documents/{document}", timeout=60).status_code == 204
    with Library(pair.library) as opened:
        assert "muon.txt" not in names(opened)
        uploads = opened.location.entries("uploads/")
        assert not [entry for entry in uploads if "muon" in entry.name]


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
        assert names(opened) == sorted(name for name, _ in notes)
        assert sum(opened.status().chunks.values()) == len(notes)


def test_a_job_that_another_server_runs_stops_when_it_is_cancelled(pair: Pair) -> None:
    notes = [(f"note{n}.txt", f"Note {n} of the logbook tells of run {n}.") for n in range(40)]
    job = upload(pair.other, *notes)
    # Reading all files takes far longer than a server takes to see that it must stop.
    pair.gateway.delayed, pair.gateway.delay_s = "/uploads/", 1.0
    running = wait_for(pair.other, job, "running", "done")
    cancelled = httpx.delete(f"{pair.other}{job}", timeout=30).json()
    assert (running["state"], cancelled["state"]) == ("running", "cancelled")
    after = upload(pair.other, ("after.txt", "What comes after a cancelled job."))
    assert wait_for(pair.other, after, "done", "failed")["report"]["added"] == 1
    assert httpx.get(f"{pair.one}{job}").json()["state"] == "cancelled"
    with Library(pair.library) as opened:
        found = names(opened)
    assert "after.txt" in found
    assert len(found) == len(set(found)) < len(notes)
