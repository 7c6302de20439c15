"""Store the jobs that add uploaded files, and run them one at a time.

A job is a row of a small database in the library's directory, beside its files. Adding skips
files that are already in the library, so an interrupted job is simply run again.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from trawl.errors import LibraryLockedError, LibraryReadOnlyError, StorageError, TrawlError
from trawl.server.errors import kind_of
from trawl.server.job_process import StoppedError
from trawl.server.service import Service
from trawl.server.turns import turn_of
from trawl.telemetry import logger
from trawl.types import Report
from trawl.wire import JobState

FINAL: frozenset[JobState] = frozenset({"done", "failed", "cancelled"})
KEPT_S = 7 * 86_400
_RETRY_S = 2.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    files TEXT NOT NULL,
    metadata TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    report TEXT,
    error TEXT
)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """Files to add. `files` are paths on this server; `done` counts those read so far.

    `report` has the fields of `Report` as JSON; `error` is set if the job as a whole failed.
    Times are seconds since 1970.
    """

    job_id: str
    state: JobState
    created_at: float
    updated_at: float
    files: tuple[str, ...]
    metadata: Mapping[str, Any]
    done: int
    report: Mapping[str, Any] | None
    error: str | None


class Jobs(ABC):
    """The jobs of one library. Safe to use from several threads and processes; blocking.

    `poll_s` is how often the progress of a running job is recorded, and looked at by those who
    watch it.
    """

    poll_s: float

    @abstractmethod
    def add(self, files: Sequence[str], metadata: Mapping[str, Any]) -> Job:
        """Queue a job."""

    @abstractmethod
    def get(self, job_id: str) -> Job | None:
        """Return a job, or None."""

    @abstractmethod
    def queued(self) -> int:
        """Return the number of queued jobs."""

    @abstractmethod
    def take(self) -> Job | None:
        """Set the oldest queued job running and return it; None if there is none."""

    @abstractmethod
    def progress(self, job_id: str, done: int) -> bool:
        """Record the number of files done; return False if the job was cancelled."""

    @abstractmethod
    def finish(self, job_id: str, report: Report) -> None:
        """Record that a running job is done."""

    @abstractmethod
    def fail(self, job_id: str, error: str) -> None:
        """Record that a running job as a whole failed."""

    @abstractmethod
    def put_back(self, job_id: str) -> None:
        """Queue a running job again."""

    @abstractmethod
    def cancel(self, job_id: str) -> bool:
        """Cancel a queued or running job; return False if it is already finished."""

    @abstractmethod
    def recover(self) -> None:
        """Queue the running jobs of a process that died, and delete those finished a week ago."""


class JobStore(Jobs):
    """The jobs of a library in a directory: a SQLite database."""

    poll_s = 0.2

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
                connection.row_factory = sqlite3.Row
                connection.execute(_SCHEMA)
                yield connection
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
                raise LibraryReadOnlyError(f"{self._path}: {error}") from error
            raise

    def add(self, files: Sequence[str], metadata: Mapping[str, Any]) -> Job:
        job_id, now = uuid.uuid4().hex, time.time()
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO jobs (job_id, state, created_at, updated_at, files, metadata) "
                "VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, now, now, json.dumps(files), json.dumps(metadata)),
            )
        return Job(job_id, "queued", now, now, tuple(files), metadata, 0, None, None)

    def get(self, job_id: str) -> Job | None:
        if not self._path.exists():
            return None
        with self._connected() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        return _job(row) if row is not None else None

    def queued(self) -> int:
        if not self._path.exists():
            return 0
        with self._connected() as connection:
            found = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'")
            return int(found.fetchone()[0])

    def take(self) -> Job | None:
        if not self._path.exists():
            return None
        with self._connected() as connection:
            row = connection.execute(
                "UPDATE jobs SET state = 'running', updated_at = ? WHERE job_id = "
                "(SELECT job_id FROM jobs WHERE state = 'queued' ORDER BY created_at LIMIT 1) "
                "RETURNING *",
                (time.time(),),
            ).fetchone()
        return _job(row) if row is not None else None

    def progress(self, job_id: str, done: int) -> bool:
        return self._change(job_id, "done = ?", (done,), "running")

    def finish(self, job_id: str, report: Report) -> None:
        self._change(
            job_id,
            "state = 'done', done = json_array_length(files), report = ?",
            (json.dumps(report_fields(report)),),
            "running",
        )

    def fail(self, job_id: str, error: str) -> None:
        self._change(job_id, "state = 'failed', error = ?", (error,), "running")

    def put_back(self, job_id: str) -> None:
        self._change(job_id, "state = 'queued'", (), "running")

    def cancel(self, job_id: str) -> bool:
        return self._change(job_id, "state = 'cancelled'", (), "queued", "running")

    def recover(self) -> None:
        if not self._path.exists():
            return
        with self._connected() as connection:
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            connection.execute(
                "DELETE FROM jobs WHERE state NOT IN ('queued', 'running') AND updated_at < ?",
                (time.time() - KEPT_S,),
            )

    def _change(self, job_id: str, change: str, values: tuple[Any, ...], *states: JobState) -> bool:
        """Change a job that is in one of `states`; `change` is SQL from this module."""
        marks = ", ".join("?" for _ in states)
        with self._connected() as connection:
            changed = connection.execute(
                f"UPDATE jobs SET {change}, updated_at = ? WHERE job_id = ? AND state IN ({marks})",
                (*values, time.time(), job_id, *states),
            )
            return changed.rowcount == 1


def report_fields(report: Report) -> dict[str, Any]:
    """Return the report of a job as JSON values."""
    return {
        "added": report.added,
        "unchanged": report.unchanged,
        "replaced": report.replaced,
        "moved": report.moved,
        "chunks": report.chunks,
        "seconds": report.seconds,
        "failed": [{"uri": one.uri, "reason": one.reason} for one in report.failed],
        "notices": [{"uri": one.uri, "notice": one.notice} for one in report.notices],
    }


def _job(row: sqlite3.Row) -> Job:
    return Job(
        job_id=row["job_id"],
        state=row["state"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        files=tuple(json.loads(row["files"])),
        metadata=json.loads(row["metadata"]),
        done=row["done"],
        report=json.loads(row["report"]) if row["report"] is not None else None,
        error=row["error"],
    )


class JobRunner:
    """Adds the files of jobs to the library. Of several processes, only one runs jobs."""

    def __init__(self, service: Service, jobs: Jobs) -> None:
        self._service = service
        self._jobs = jobs
        self._turn = turn_of(service.library.location)
        self._has_recovered = False
        self._wakeup = asyncio.Event()

    def wake(self) -> None:
        self._wakeup.set()

    async def run(self) -> None:
        """Run jobs until the service stops. A running job resumes at the next start."""
        try:
            while not self._service.stopping:
                try:
                    await self._step()
                except Exception as error:
                    # A full disk, for example: keep the jobs and retry later. One that this
                    # process was running is queued again.
                    self._has_recovered = False
                    logger.error("jobs cannot be run: %s", error, exc_info=error)
                    await asyncio.sleep(_RETRY_S)
        finally:
            self._turn.end()

    async def _step(self) -> None:
        if not await anyio.to_thread.run_sync(self._acquire):
            await asyncio.sleep(self._turn.poll_s)
            return
        self._wakeup.clear()
        job = await anyio.to_thread.run_sync(self._jobs.take)
        if job is not None:
            await self._run(job)
            return
        await self._service.ingester.rest()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wakeup.wait(), self._turn.poll_s)

    def _acquire(self) -> bool:
        """Return whether this process runs the jobs, and recover old ones when it starts to."""
        if not self._turn.is_held():
            self._has_recovered = False
            if not self._turn.take():
                return False
        if not self._has_recovered:
            self._jobs.recover()
            self._has_recovered = True
        return True

    async def _run(self, job: Job) -> None:
        progress = _Progress(self._service, self._jobs, job.job_id)
        try:
            report = await self._service.add(job.files, job.metadata, progress)
        except StoppedError:
            # A cancelled job stays cancelled.
            await anyio.to_thread.run_sync(self._jobs.put_back, job.job_id)
        except LibraryLockedError:
            await anyio.to_thread.run_sync(self._jobs.put_back, job.job_id)
            await asyncio.sleep(_RETRY_S)
        except Exception as error:
            if self._service.is_remote and isinstance(error, StorageError | OSError):
                raise  # the store may answer later
            logger.error("job failed", exc_info=error, extra={"job_id": job.job_id})
            self._service.metrics.jobs.labels("failed").inc()
            kind = kind_of(error) if isinstance(error, TrawlError) else None
            detail = "Internal error." if kind is None else kind.detail or str(error)
            await anyio.to_thread.run_sync(self._jobs.fail, job.job_id, detail)
        else:
            await anyio.to_thread.run_sync(self._jobs.finish, job.job_id, report)
            self._service.metrics.ingest(report)
            logger.info(
                "job done: %d added, %d failed",
                report.added,
                len(report.failed),
                extra={"job_id": job.job_id},
            )


class _Progress:
    """Records progress, at most every `poll_s`, and stops a job that was cancelled."""

    def __init__(self, service: Service, jobs: Jobs, job_id: str) -> None:
        self._service = service
        self._jobs = jobs
        self._job_id = job_id
        self._recorded_at = time.monotonic()

    def __call__(self, done: int, total: int, uri: str) -> None:
        if self._service.stopping:
            raise StoppedError("the server is stopping")
        now = time.monotonic()
        if now - self._recorded_at < self._jobs.poll_s:
            return
        self._recorded_at = now
        if not self._jobs.progress(self._job_id, done):
            raise StoppedError("the job was cancelled")
