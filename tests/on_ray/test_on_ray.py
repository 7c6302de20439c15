"""`add` on a Ray cluster does what `add` on this machine does, whatever its workers do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import lance
import psutil
import pyarrow as pa
import pytest
from reportlab.pdfgen.canvas import Canvas

from conftest import picture, write_collection
from trawl import Library
from trawl.cli.output import encode, report_json
from trawl.errors import EngineError
from trawl.ingest.on_ray import RayCluster
from trawl.ingest.on_ray import engine as on_ray
from trawl.ingest.on_ray.cluster import joined
from trawl.ingest.on_ray.worker import Measured, Parcel, Worker
from trawl.ingest.reading import Job
from trawl.types import Report

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.lock"
)
ONE, TWO = RayCluster(workers=1), RayCluster(workers=2)
Local: TypeAlias = tuple[dict[str, Any], dict[str, pa.Table]]


@pytest.fixture(scope="module", autouse=True)
def address() -> Iterator[str]:
    """Start the cluster that `add` would start, and keep it for all tests."""
    with joined(TWO) as ray:
        # The worker classes below are in no module that a worker could import.
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield ray.get_runtime_context().gcs_address


@pytest.fixture(scope="module", autouse=True)
def intruder(address: str) -> subprocess.Popen[str]:
    """Connect with a wrong token. Ray tries for 20 s, so this begins before the other tests."""
    return subprocess.Popen(
        [sys.executable, "-c", "import ray, sys; ray.init(sys.argv[1])", address],
        env={**os.environ, "RAY_AUTH_TOKEN": "wrong" * 8},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, a PDF, pictures, sounds, an archive, and files that are broken or not read."""
    folder = tmp_path_factory.mktemp("files") / "mixed"
    write_collection(folder)
    for number in range(40):
        (folder / f"note{number}.txt").write_text(f"Note {number}: a muon decays.\n" * 30, "utf-8")
    canvas = Canvas(str(folder / "paper.pdf"))
    for page in range(3):
        canvas.drawString(72, 700, f"Page {page + 1} is about the lifetime of muons.")
        canvas.showPage()
    canvas.save()
    for number in range(20):
        picture("white", "red", (60 + number, 80)).save(folder / f"shape{number}.png")
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        archive.writestr("inside.txt", "A text inside an archive.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing else")
    (folder / "empty.txt").touch()
    (folder / "data.json").write_text("{}", "utf-8")
    return folder


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Local:
    """What `trawl add` does without Ray, in a process of its own: NumPy has one thread there."""
    path = tmp_path_factory.mktemp("local") / "library"
    command = [sys.executable, "-m", "trawl", "add", str(files), "--library", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout), tables(path)


def as_json(report: Report) -> dict[str, Any]:
    return {**json.loads(encode(report_json(report))), "seconds": 0}


def tables(path: Path) -> dict[str, pa.Table]:
    """Return all rows of a library in a fixed order, without the times of adding."""
    found = {}
    for name, key in (("chunks", "chunk_id"), ("documents", "document_id")):
        table = lance.dataset(str(path / f"{name}.lance")).to_table()
        times = [column for column in table.schema.names if column in ("added_at", "updated_at")]
        found[name] = table.drop_columns(times).sort_by(key).combine_chunks()
    return found


def assert_same(path: Path, expected: dict[str, pa.Table]) -> None:
    for name, table in tables(path).items():
        assert table.schema == expected[name].schema
        for column in table.schema.names:
            assert table[column].equals(expected[name][column]), f"{name}.{column}"


def test_same_ids_vectors_and_report(tmp_path: Path, files: Path, local: Local) -> None:
    calls = []
    with Library(tmp_path / "library", create=True) as library:
        report = library.add(files, engine=TWO, progress=lambda *call: calls.append(call))
        assert as_json(report) == {**local[0], "seconds": 0}
        assert_same(tmp_path / "library", local[1])
        assert [done for done, _, _ in calls] == list(range(1, len(calls) + 1))
        assert calls[-1][0] == calls[-1][1]

        again = library.add(files, engine=ONE)
        assert (again.unchanged, again.added, again.failed) == (report.added, 0, report.failed)
        assert_same(tmp_path / "library", local[1])


def test_moved_and_changed_files(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("one", "two", "three"):
        (folder / f"{name}.txt").write_text(f"The text number {name}.", "utf-8")
    with Library(tmp_path / "library", create=True) as library:
        library.add(folder)
        library.set_metadata(folder / "one.txt", {"year": 1931})
        (folder / "old").mkdir()
        (folder / "one.txt").rename(folder / "old" / "one.txt")
        (folder / "two.txt").write_text("Another text.", "utf-8")
        (folder / "three.txt").unlink()
        report = library.add(folder, engine=ONE, prune=True)
        assert (report.moved, report.replaced, report.removed) == (1, 1, 1)
        assert library.show(folder / "old" / "one.txt").document.metadata["year"] == 1931


def test_killed_workers_are_replaced(tmp_path: Path, files: Path, local: Local) -> None:
    killed: set[int] = set()

    def kill(done: int, total: int, uri: str) -> None:
        if done in (1, total // 2):
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::Worker") and process.pid not in killed:
                    killed.add(process.pid)
                    process.kill()
                    return

    with Library(tmp_path / "library", create=True) as library:
        report = library.add(files, engine=TWO, progress=kill)
    assert len(killed) == 2
    assert as_json(report) == {**local[0], "seconds": 0}
    assert_same(tmp_path / "library", local[1])


class Mortal(Worker):
    """A worker that ends when it reads one of the files."""

    def read(self, jobs: Sequence[Job]) -> Iterator[Parcel]:
        if any(job.item.path.name == "note7.txt" for job in jobs):
            os._exit(1)
        yield from super().read(jobs)


def elsewhere(jobs: Sequence[Job], *names: str) -> Sequence[Job]:
    for job in jobs:
        if job.item.path.name in names:
            job.item = replace(job.item, path=Path("/nowhere") / job.item.path.name)
    return jobs


class Remote(Worker):
    """A worker on a machine that does not have some files, one of which another has measured."""

    def measure(self, jobs: Sequence[Job]) -> list[Measured]:
        return super().measure(elsewhere(jobs, "note7.txt", "inside.txt"))

    def read(self, jobs: Sequence[Job]) -> Iterator[Parcel]:
        yield from super().read(elsewhere(jobs, "shape7.png"))


class Outdated(Worker):
    """A worker with another version of Trawl."""

    def check(self, ocr_recipe: dict[str, object]) -> str:
        self._setup = replace(self._setup, version="0.0.1")
        return super().check(ocr_recipe)


@pytest.fixture
def workers_are(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Worker]], None]:
    return lambda kind: monkeypatch.setattr(on_ray, "Worker", kind)


def test_a_file_that_ends_its_workers_fails_alone(
    tmp_path: Path,
    files: Path,
    local: Local,
    workers_are: Callable[[type[Worker]], None],
) -> None:
    workers_are(Mortal)
    with Library(tmp_path / "library", create=True) as library:
        report = library.add(files, engine=TWO)
    others = [one for one in report.failed if not one.uri.endswith("note7.txt")]
    assert [one.uri for one in others] == [one["uri"] for one in local[0]["failed"]]
    (failure,) = set(report.failed) - set(others)
    assert failure.reason.startswith("its reader ended 3 workers")
    assert report.added == local[0]["added"] - 1


def test_a_file_that_a_worker_cannot_see(
    tmp_path: Path, files: Path, workers_are: Callable[[type[Worker]], None]
) -> None:
    workers_are(Remote)
    with Library(tmp_path / "library", create=True) as library:
        library.add(files / "note7.txt")
        library.set_metadata(files / "note7.txt", {"year": 1931})
        report = library.add(files, metadata={"shelf": 3}, engine=ONE)
        reasons = {Path(one.uri).name: one.reason for one in report.failed}
        assert "on the worker at 127.0.0.1; keep the files where" in reasons["note7.txt"]
        assert "on the worker at 127.0.0.1; keep the files where" in reasons["shape7.png"]
        assert "set TMPDIR" in reasons["inside.txt"]
        # As after a file that cannot be opened here: the chunks stay, and the next run tries again.
        assert library.search("Note 7", limit=3).hits[0].metadata["year"] == 1931
        assert library.add(files, metadata={"shelf": 3}).replaced == 1


def test_workers_of_another_version_are_refused(
    tmp_path: Path, files: Path, workers_are: Callable[[type[Worker]], None]
) -> None:
    workers_are(Outdated)
    with (
        Library(tmp_path / "library", create=True) as library,
        pytest.raises(EngineError, match=r"it has Trawl .* not 0\.0\.1; install the same"),
    ):
        library.add(files, engine=ONE)


def test_too_few_gpus(tmp_path: Path, files: Path) -> None:
    with (
        Library(tmp_path / "library", create=True) as library,
        pytest.raises(EngineError, match="0 GPU, which is too little"),
    ):
        library.add(files, engine=RayCluster(gpus=0.5))


def test_only_loopback_with_a_token(intruder: subprocess.Popen[str]) -> None:
    """Processes of other users on this machine need the token, other machines see nothing."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert listening
    _, errors = intruder.communicate(timeout=60)
    assert intruder.returncode != 0
    assert "token" in errors


def test_interrupted_and_resumed(tmp_path: Path, address: str) -> None:
    """Join the cluster by its address, as a command does; interrupt it after a commit."""
    folder, path = tmp_path / "files", tmp_path / "library"
    folder.mkdir()
    for number in range(2000):
        (folder / f"{number}.txt").write_text(f"Text number {number}.", "utf-8")
    command = [sys.executable, "-m", "trawl", "add", str(folder), "--library", str(path)]
    adding = subprocess.Popen(
        [*command, "--engine", "ray", "--address", address, "--workers", "2"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not _documents(path):
        assert adding.poll() is None, adding.communicate()
        time.sleep(0.05)
    os.killpg(adding.pid, signal.SIGINT)
    _, errors = adding.communicate(timeout=60)
    assert adding.returncode == 130, errors
    assert "repeat the command to resume" in errors
    assert "Traceback" not in errors
    kept = _documents(path)
    assert 0 < kept < 2000
    with Library(path) as library:
        report = library.add(folder)
    assert (report.unchanged, report.added) == (kept, 2000 - kept)


def _documents(path: Path) -> int:
    try:
        return lance.dataset(str(path / "documents.lance")).count_rows()
    except (ValueError, OSError):
        return 0
