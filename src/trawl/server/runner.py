"""Running the jobs: one after the other, in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import anyio.to_thread
from filelock import FileLock, Timeout

from trawl.errors import LibraryLockedError, TrawlError
from trawl.server.job_process import StoppedError
from trawl.server.jobs import Job, JobStore
from trawl.server.problems import kind_of
from trawl.server.service import Service
from trawl.telemetry import logger

# How often it is looked for jobs that another process took in, and for the place of the
# one that runs them.
_LOOK_S = 0.5
_LEAD_S = 1.0
_RETRY_S = 2.0
_NOTE_S = 0.2


class JobRunner:
    """Adds the files of jobs to the library. Of several processes, one runs the jobs."""

    def __init__(self, service: Service, jobs: JobStore) -> None:
        self._service = service
        self._jobs = jobs
        # Not of one thread: it is held for as long as this runs, in whatever thread that is.
        self._lock = FileLock(service.library.path / ".jobs.lock", timeout=0, thread_local=False)
        self._called = asyncio.Event()

    def call(self) -> None:
        """Say that there is a new job."""
        self._called.set()

    async def run(self) -> None:
        """Run jobs until the service stops. What is running then waits for the next start."""
        try:
            while not self._service.stopping:
                try:
                    await self._step()
                except Exception as error:
                    # A full disk, say: the jobs wait, and so does whoever runs them.
                    logger.error("jobs cannot be run: %s", error, exc_info=error)
                    await asyncio.sleep(_RETRY_S)
        finally:
            self._lock.release()

    async def _step(self) -> None:
        """Run the next job, or wait a little for one."""
        if not await anyio.to_thread.run_sync(self._lead):
            await asyncio.sleep(_LEAD_S)
            return
        self._called.clear()
        job = await anyio.to_thread.run_sync(self._jobs.take)
        if job is not None:
            await self._run(job)
            return
        await self._service.ingester.rest()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._called.wait(), _LOOK_S)

    def _lead(self) -> bool:
        """Tell whether this is the process that runs jobs; one that begins to clears up first."""
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire()
        except (Timeout, OSError):
            return False
        self._jobs.recover()
        return True

    async def _run(self, job: Job) -> None:
        progress = _Progress(self._service, self._jobs, job.job_id)
        try:
            report = await self._service.add(job.files, job.metadata, progress)
        except StoppedError:
            # Cancelled jobs are so already, and stay it.
            await anyio.to_thread.run_sync(self._jobs.put_back, job.job_id)
        except LibraryLockedError:
            await anyio.to_thread.run_sync(self._jobs.put_back, job.job_id)
            await asyncio.sleep(_RETRY_S)
        except Exception as error:
            logger.error("job failed", exc_info=error, extra={"job_id": job.job_id})
            self._service.metrics.jobs.labels("failed").inc()
            kind = kind_of(error) if isinstance(error, TrawlError) else None
            detail = "Something broke." if kind is None else kind.detail or str(error)
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
    """Told after each file, in the thread that adds: notes it, and stops what is to end."""

    def __init__(self, service: Service, jobs: JobStore, job_id: str) -> None:
        self._service = service
        self._jobs = jobs
        self._job_id = job_id
        self._noted_at = time.monotonic()

    def __call__(self, done: int, total: int, uri: str) -> None:
        if self._service.stopping:
            raise StoppedError("the server stops")
        now = time.monotonic()
        if now - self._noted_at < _NOTE_S:
            return
        self._noted_at = now
        if not self._jobs.progress(self._job_id, done):
            raise StoppedError("the job was cancelled")
