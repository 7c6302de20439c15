"""The jobs and uploads of a library in an object store, which all its servers share.

A job is an object, `jobs/JOB.json`. Its state changes by overwriting the version that was read, so
that a job that another server has taken, cancelled or finished is not set back. `jobs/open/` has
an empty object for each job that is not finished, whose name sorts by time.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import Any

from trawl.locations import Bucket
from trawl.server.jobs import FINAL, KEPT_S, Job, Jobs, report_fields
from trawl.server.uploads import BLOCK_BYTES, Upload, Uploads, changed_sidecar, safe_name
from trawl.types import Report
from trawl.wire import JobState

_FOLDER = "jobs/"
_OPEN = "jobs/open/"
_UPLOADS = "uploads/"
_IN_MEMORY = 4 * 2**20
# The first characters of a job's id are the second in which it was created.
_TIME_DIGITS = 10
_MOST_TRIES = 20


class BucketJobs(Jobs):
    """The jobs of one library. Safe to use from several threads and servers; blocking.

    `owner` is written into a job that this server runs: only it may record the progress and the
    end of the job, until another server recovers it.
    """

    poll_s = 1.0  # each look is a request, and each record two

    def __init__(self, location: Bucket) -> None:
        self._location = location
        self._owner = uuid.uuid4().hex

    def add(self, files: Sequence[str], metadata: Mapping[str, Any]) -> Job:
        now = time.time()
        job_id = f"{int(now):0{_TIME_DIGITS}x}{uuid.uuid4().hex[_TIME_DIGITS:]}"
        job = Job(job_id, "queued", now, now, tuple(files), metadata, 0, None, None)
        self._location.create(_name(job_id), _written(job, ""))
        # Last: a job without it is not run, and its client has got no answer.
        self._location.write(_opened(job_id), b"")
        return job

    def get(self, job_id: str) -> Job | None:
        found = self._read(job_id)
        return found[0] if found is not None else None

    def queued(self) -> int:
        return sum(job.state == "queued" for job in self._open())

    def take(self) -> Job | None:
        for job in self._open():
            if job.state == "queued":
                taken = self._change(job.job_id, ("queued",), state="running", owner=self._owner)
                if taken is not None:
                    return taken
        return None

    def progress(self, job_id: str, done: int) -> bool:
        return self._own(job_id, done=done)

    def finish(self, job_id: str, report: Report) -> None:
        job = self.get(job_id)
        done = len(job.files) if job is not None else 0
        self._own(job_id, state="done", done=done, report=report_fields(report))

    def fail(self, job_id: str, error: str) -> None:
        self._own(job_id, state="failed", error=error)

    def put_back(self, job_id: str) -> None:
        self._own(job_id, state="queued")

    def cancel(self, job_id: str) -> bool:
        return self._change(job_id, ("queued", "running"), state="cancelled") is not None

    def recover(self) -> None:
        for job in list(self._open()):
            if job.state == "running":
                self._change(job.job_id, ("running",), state="queued")
        oldest = f"{_name(f'{int(time.time() - KEPT_S):0{_TIME_DIGITS}x}')}"
        for entry in list(self._location.entries(_FOLDER)):
            if entry.name < oldest and not self._location.exists(_opened(_id(entry.name))):
                self._location.delete(entry.name)

    def _open(self) -> Iterator[Job]:
        """Return the jobs that are not finished, oldest first."""
        for entry in sorted(self._location.entries(_OPEN), key=lambda entry: entry.name):
            job = self.get(_id(entry.name))
            if job is None or job.state in FINAL:  # its server died before it deleted this
                self._location.delete(entry.name)
            else:
                yield job

    def _own(self, job_id: str, **changes: Any) -> bool:
        """Change a job that this server runs; return False if it does not any more."""
        return self._change(job_id, ("running",), mine=True, **changes) is not None

    def _change(
        self, job_id: str, states: Sequence[JobState], *, mine: bool = False, **changes: Any
    ) -> Job | None:
        """Change a job that is in one of `states`, or return None."""
        owner = changes.pop("owner", None)
        for _ in range(_MOST_TRIES):
            found = self._read(job_id)
            if found is None or found[0].state not in states:
                return None
            job, known_owner, tag = found
            if mine and known_owner != self._owner:
                return None
            if replace(job, **changes) == job:
                return job
            changed = replace(job, updated_at=time.time(), **changes)
            content = _written(changed, owner or known_owner)
            if self._location.replace(_name(job_id), content, tag):
                if changed.state in FINAL:
                    self._location.delete(_opened(job_id))
                return changed
        return None

    def _read(self, job_id: str) -> tuple[Job, str, str] | None:
        """Return a job, the server that runs it and the tag of the object."""
        try:
            content, tag = self._location.read_tagged(_name(job_id))
        except FileNotFoundError:
            return None
        fields = json.loads(content)
        owner = fields.pop("owner")
        fields["files"] = tuple(fields["files"])
        return Job(**fields), owner, tag


def _name(job_id: str) -> str:
    return f"{_FOLDER}{job_id}.json"


def _opened(job_id: str) -> str:
    return f"{_OPEN}{job_id}"


def _id(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")


def _written(job: Job, owner: str) -> bytes:
    return json.dumps({**asdict(job), "owner": owner}).encode()


class BucketUploads(Uploads):
    """Stores uploads as objects, `uploads/HASH/NAME`, which any server reads. Blocking."""

    def __init__(self, location: Bucket) -> None:
        self._location = location

    def store(self, upload: Upload) -> str:
        digest = hashlib.sha256()
        with SpooledTemporaryFile(_IN_MEMORY) as copy:
            while block := upload.stream.read(BLOCK_BYTES):
                digest.update(block)
                copy.write(block)
            name = f"{_UPLOADS}{digest.hexdigest()[:32]}/{safe_name(upload.name)}"
            if not self._location.exists(name):  # an existing object has the same content
                copy.seek(0)
                self._location.upload(name, copy)
        sidecar = f"{name}.json"
        changed = changed_sidecar(partial(self._location.read, sidecar), upload.sidecar)
        if changed is not None:
            self._location.write(sidecar, changed)
        return f"{self._location.address}/{name}"

    def delete(self, uri: str) -> None:
        name = uri.removeprefix(f"{self._location.address}/")
        if name.startswith(_UPLOADS) and name != uri:
            for one in (name, f"{name}.json"):
                self._location.delete(one)
