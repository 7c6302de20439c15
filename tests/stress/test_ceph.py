"""Four writers of one library in Ceph, which keeps the condition of a create under load.

They are killed, or stopped for longer than their lease lives, at random moments.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import lance
import pyarrow as pa
import pytest
from ceph import missing, serving_ceph

from adding import CHUNKS, SOURCES
from buckets import new_bucket
from trawl.locations import Location, location_of, prove_exclusive
from trawl.store import Store, lease, write_lock

WRITERS = 4
TURNS = 10
WAIT_S = 180

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with serving_ceph(tmp_path_factory.mktemp("ceph")) as found:
        yield found


@pytest.fixture
def location(options: dict[str, str]) -> Location:
    found = location_of(f"{new_bucket(options)}/library", options)
    Store.create(found, SOURCES)
    return found


def start(location: Location, worker: int, folder: Path, *, alone: bool) -> subprocess.Popen[bytes]:
    options = json.dumps(location.storage_options)
    program = str(Path(__file__).with_name("adding.py"))
    kind = "alone" if alone else "stopped"
    return subprocess.Popen(
        [sys.executable, program, location.address, options, str(worker), str(folder), kind],
        stderr=(folder / f"errors{worker}").open("ab"),
    )


def rows(location: Location, name: str) -> pa.Table:
    return lance.dataset(location.table(name), storage_options=location.storage_options).to_table()


def log_of(folder: Path, worker: int) -> list[str]:
    path = folder / f"log{worker}"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(folder: Path, running: Mapping[int, subprocess.Popen[bytes]], worker: int) -> None:
    """Wait until a writer has begun a turn, and two more turns of any are done."""

    def done() -> int:
        return sum(line.startswith("done") for n in running for line in log_of(folder, n))

    mine, before = len(log_of(folder, worker)), done()
    deadline = time.monotonic() + WAIT_S
    while len(log_of(folder, worker)) == mine or done() < before + 2:
        ended = [n for n, process in running.items() if process.poll() is not None]
        assert not ended, [(folder / f"errors{n}").read_text() for n in ended]
        assert time.monotonic() < deadline, "the writers make no progress"
        time.sleep(0.05)


def test_creates_are_exclusive(location: Location) -> None:
    prove_exclusive(location, rounds=100)


@pytest.mark.parametrize("fault", ["killed", "stopped"])
def test_nothing_is_lost_or_doubled(
    fault: str, location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    began = time.monotonic()

    def run(worker: int) -> subprocess.Popen[bytes]:
        return start(location, worker, tmp_path, alone=fault == "killed")

    running = {worker: run(worker) for worker in range(WRITERS)}
    try:
        for _ in range(TURNS):
            worker = chance.randrange(WRITERS)
            # The one that is hit has begun a turn, and others have made progress.
            wait_for(tmp_path, running, worker)
            time.sleep(chance.uniform(0, 1.5))
            if fault == "killed":
                running[worker].kill()
                running[worker].wait()
                running[worker] = run(worker)
            else:
                running[worker].send_signal(signal.SIGSTOP)
                time.sleep(6)
                running[worker].send_signal(signal.SIGCONT)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    seconds = time.monotonic() - began
    lines = [line.split(maxsplit=1) for n in range(WRITERS) for line in log_of(tmp_path, n)]
    begun, done = ({name for what, name in lines if what == kind} for kind in ("begin", "done"))
    refused = Counter(name for what, name in lines if what == "refused")
    print(f"{fault}: {len(done)} commits in {seconds:.0f} s, refused: {dict(refused)}")
    assert ["two", "holders"] not in lines
    assert len(done) >= TURNS

    monkeypatch.setattr(lease, "TTL_S", 4.0)
    with write_lock(location, 30) as lock:  # clears what killed writers have left
        Store(location, SOURCES).writer(lock)
    documents = Counter(rows(location, "documents")["document_id"].to_pylist())
    chunks = rows(location, "chunks")
    assert set(documents.values()) == {1}
    assert done <= documents.keys() <= begun
    assert Counter(chunks["document_id"].to_pylist()) == dict.fromkeys(documents, CHUNKS)
    assert len(set(chunks["chunk_id"].to_pylist())) == chunks.num_rows
