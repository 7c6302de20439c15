"""Jobs: files that were uploaded and wait to be added. They outlive the process.

A job is a row in a small database in the library's directory; its files lie beside it.
Adding skips what is in already, so a job that was cut off is simply run again: nothing
is lost, and nothing is there twice.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from trawl.types import Report

State: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

FINAL: frozenset[State] = frozenset({"done", "failed", "cancelled"})
_KEPT_S = 7 * 86_400

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
    """Files to be added. `files` are paths on this server; `done` counts those read so far.

    `report` is what `Report` holds, as JSON has it; `error` says why a job failed as a whole.
    Times are seconds since 1970.
    """

    job_id: str
    state: State
    created_at: float
    updated_at: float
    files: tuple[str, ...]
    metadata: Mapping[str, Any]
    done: int
    report: Mapping[str, Any] | None
    error: str | None


class JobStore:
    """The jobs of one library. Safe to use from several threads and processes; it blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
            connection.row_factory = sqlite3.Row
            connection.execute(_SCHEMA)
            yield connection

    def add(self, files: Sequence[str], metadata: Mapping[str, Any]) -> Job:
        """Enter a job, queued."""
        job_id, now = uuid.uuid4().hex, time.time()
        with self._connected() as connection:
            connection.execute(
                "INSERT INTO jobs (job_id, state, created_at, updated_at, files, metadata) "
                "VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, now, now, json.dumps(files), json.dumps(metadata)),
            )
        return Job(job_id, "queued", now, now, tuple(files), metadata, 0, None, None)

    def get(self, job_id: str) -> Job | None:
        """Give a job, or None."""
        with self._connected() as connection:
            row = connection.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        return _job(row) if row is not None else None

    def queued(self) -> int:
        """How many jobs wait."""
        if not self._path.exists():
            return 0
        with self._connected() as connection:
            found = connection.execute("SELECT count(*) FROM jobs WHERE state = 'queued'")
            return int(found.fetchone()[0])

    def take(self) -> Job | None:
        """Give the oldest job that waits, running from now on; None where none does."""
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
        """Note how many files are done; False where the job was cancelled meanwhile."""
        return self._change(job_id, "done = ?", (done,), "running")

    def finish(self, job_id: str, report: Report) -> None:
        """Note what adding gave."""
        said = {
            "added": report.added,
            "unchanged": report.unchanged,
            "replaced": report.replaced,
            "chunks": report.chunks,
            "seconds": report.seconds,
            "failed": [{"uri": one.uri, "reason": one.reason} for one in report.failed],
        }
        self._change(
            job_id,
            "state = 'done', done = json_array_length(files), report = ?",
            (json.dumps(said),),
            "running",
        )

    def fail(self, job_id: str, error: str) -> None:
        """Note that the job as a whole cannot be done."""
        self._change(job_id, "state = 'failed', error = ?", (error,), "running")

    def put_back(self, job_id: str) -> None:
        """Let a running job wait again."""
        self._change(job_id, "state = 'queued'", (), "running")

    def cancel(self, job_id: str) -> bool:
        """Cancel a job that waits or runs; False where it is over already."""
        return self._change(job_id, "state = 'cancelled'", (), "queued", "running")

    def recover(self) -> None:
        """Let the jobs of a process that is gone wait again, and forget those long over."""
        if not self._path.exists():
            return
        with self._connected() as connection:
            connection.execute("UPDATE jobs SET state = 'queued' WHERE state = 'running'")
            connection.execute(
                "DELETE FROM jobs WHERE state NOT IN ('queued', 'running') AND updated_at < ?",
                (time.time() - _KEPT_S,),
            )

    def _change(self, job_id: str, change: str, values: tuple[Any, ...], *states: State) -> bool:
        """Change a job that is in one of `states`; `change` is SQL of this module."""
        marks = ", ".join("?" for _ in states)
        with self._connected() as connection:
            changed = connection.execute(
                f"UPDATE jobs SET {change}, updated_at = ? WHERE job_id = ? AND state IN ({marks})",
                (*values, time.time(), job_id, *states),
            )
            return changed.rowcount == 1


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
