"""Adding documents: files are taken in at once, and added by a job that can be watched."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import AsyncIterator
from typing import Annotated, cast

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import StreamingResponse

from trawl.errors import NotFoundError
from trawl.ingest import document_id_of
from trawl.server.arrivals import arrivals, openapi_body
from trawl.server.intake import Intake
from trawl.server.jobs import FINAL, Job, JobStore
from trawl.server.keys import reads, writes
from trawl.server.problems import OverloadedError, documented
from trawl.server.runner import JobRunner
from trawl.server.service import ServiceOf, root_path
from trawl.wire import JobFailure, JobFile, JobOut, JobReport, file_name, without_paths

router = APIRouter(prefix="/v1", tags=["Adding"])

_MOST_JOBS = 100
_LOOK_S = 0.25
_SIGN_OF_LIFE_S = 15.0

JobId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{32}$",
        description="The `id` of a job.",
        examples=["0b8a3c5e7f9142d6a1b2c3d4e5f60718"],
    ),
]


async def _jobs(request: Request) -> JobStore:
    return cast(JobStore, request.app.state.jobs)


async def _runner(request: Request) -> JobRunner:
    return cast(JobRunner, request.app.state.runner)


async def _intake(request: Request) -> Intake:
    return cast(Intake, request.app.state.intake)


JobsOf = Annotated[JobStore, Depends(_jobs)]


@router.post(
    "/documents",
    summary="Add documents",
    status_code=202,
    dependencies=[writes],
    responses={
        202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}},
        **documented(400, 401, 403, 408, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=openapi_body(),
)
async def add(
    request: Request,
    response: Response,
    jobs: JobsOf,
    runner: Annotated[JobRunner, Depends(_runner)],
    intake: Annotated[Intake, Depends(_intake)],
) -> JobOut:
    """Take files in, and add them in a job: its address is in `Location`.

    A form carries files, and metadata for all of them; lines of JSON carry documents with
    a title, a caption and metadata each (`LineBody`). What came is safe once this answers:
    a job that is cut off goes on at the next start. The same file with the same name is the
    same document, however often it is sent.
    """
    async with arrivals(request) as (files, extra):
        if await anyio.to_thread.run_sync(jobs.queued) >= _MOST_JOBS:
            raise OverloadedError(
                f"{_MOST_JOBS} jobs wait already; add more when they are done", reason="jobs"
            )
        kept = [
            await anyio.to_thread.run_sync(intake.keep, one.stream, one.name, one.beside)
            for one in files
        ]
    job = await anyio.to_thread.run_sync(jobs.add, kept, extra)
    runner.call()
    response.headers["Location"] = f"{root_path(request)}/v1/jobs/{job.job_id}"
    return _out(job)


@router.get(
    "/jobs/{job_id}",
    summary="Look at a job",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429),
)
async def job(jobs: JobsOf, job_id: JobId) -> JobOut:
    """Tell how far a job is, and what became of its files."""
    return _out(await _found(jobs, job_id))


@router.get(
    "/jobs/{job_id}/events",
    summary="Watch a job",
    dependencies=[reads],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events named `job`; the data of each is the job as "
            "`GET /v1/jobs/{job_id}` gives it. The stream ends with the job.",
            "content": {"text/event-stream": {}},
        },
        **documented(401, 403, 404, 422, 429),
    },
)
async def events(service: ServiceOf, jobs: JobsOf, job_id: JobId) -> StreamingResponse:
    """Watch a job: an event at once and at each change, until it is over."""
    await _found(jobs, job_id)

    async def stream() -> AsyncIterator[str]:
        told, told_at = "", time.monotonic()
        while not service.stopping:
            now = await anyio.to_thread.run_sync(jobs.get, job_id)
            if now is None:
                return
            said = _out(now).model_dump_json()
            if said != told:
                told, told_at = said, time.monotonic()
                yield f"event: job\ndata: {said}\n\n"
            elif time.monotonic() - told_at > _SIGN_OF_LIFE_S:
                told_at = time.monotonic()
                yield ": still at it\n\n"
            if now.state in FINAL:
                return
            await asyncio.sleep(_LOOK_S)

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


@router.delete(
    "/jobs/{job_id}",
    summary="Cancel a job",
    dependencies=[writes],
    responses=documented(401, 403, 404, 422, 429),
)
async def cancel(jobs: JobsOf, job_id: JobId) -> JobOut:
    """Cancel a job that waits or runs. What it added so far stays; one that is over is as it was.

    The files stay in the library's directory until their documents are removed.
    """
    await _found(jobs, job_id)
    await anyio.to_thread.run_sync(jobs.cancel, job_id)
    return _out(await _found(jobs, job_id))


async def _found(jobs: JobStore, job_id: str) -> Job:
    found = await anyio.to_thread.run_sync(jobs.get, job_id)
    if found is None:
        raise NotFoundError(f"no job {job_id}; those that are over are forgotten after a week")
    return found


def _out(job: Job) -> JobOut:
    report = None
    if job.report is not None:
        failed = [
            JobFailure(source=file_name(one["uri"]), reason=without_paths(one["reason"]))
            for one in job.report["failed"]
        ]
        report = JobReport(**{**job.report, "failed": failed})
    return JobOut(
        id=job.job_id,
        state=job.state,
        done=job.done,
        total=len(job.files),
        files=[
            JobFile(source=file_name(one), document_id=document_id_of(one)) for one in job.files
        ],
        report=report,
        error=job.error,
        created_at=datetime.datetime.fromtimestamp(job.created_at, datetime.UTC),
        updated_at=datetime.datetime.fromtimestamp(job.updated_at, datetime.UTC),
    )
