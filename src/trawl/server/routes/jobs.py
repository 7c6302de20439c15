"""Add documents: uploads are stored at once, and added by a job that clients can watch."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from trawl.errors import NotFoundError, UsageError
from trawl.ingest import document_id_of
from trawl.libraries.served import are_several
from trawl.server.auth import reads, writes
from trawl.server.errors import OverloadedError, documented
from trawl.server.jobs import FINAL, Job, JobRunner, Jobs
from trawl.server.openapi import LINES, documents_body
from trawl.server.parameters import check_fields
from trawl.server.schemas import MOST_FILES, MOST_LINES, MOST_METADATA, LineBody
from trawl.server.service import ServiceOf, root_path
from trawl.server.uploads import Upload, Uploads, metadata_object
from trawl.wire import JobFailure, JobFile, JobNotice, JobOut, JobReport, file_name, without_paths

router = APIRouter(prefix="/v1", tags=["Adding"])

_MOST_JOBS = 100

JobId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{32}$",
        description="The `id` of a job.",
        examples=["0b8a3c5e7f9142d6a1b2c3d4e5f60718"],
    ),
]


async def _jobs(request: Request) -> Jobs:
    return cast(Jobs, request.app.state.jobs)


async def _runner(request: Request) -> JobRunner:
    return cast(JobRunner, request.app.state.runner)


async def _uploads(request: Request) -> Uploads:
    return cast(Uploads, request.app.state.uploads)


async def _one_library(service: ServiceOf) -> None:
    if are_several(service.library):
        raise UsageError("this server searches several libraries; add documents to one of them")


JobsOf = Annotated[Jobs, Depends(_jobs)]


async def _known(jobs: JobsOf, job_id: JobId) -> Job:
    job = await anyio.to_thread.run_sync(jobs.get, job_id)
    if job is None:
        raise NotFoundError(f"no job {job_id}; finished jobs are deleted after a week")
    return job


@router.post(
    "/documents",
    summary="Add documents",
    status_code=202,
    dependencies=[writes, Depends(_one_library)],
    responses={
        202: {"headers": {"Location": {"description": "The job.", "schema": {"type": "string"}}}},
        **documented(400, 401, 403, 408, 413, 415, 422, 429, 503, 507),
    },
    openapi_extra=documents_body(),
)
async def add(
    request: Request,
    response: Response,
    jobs: JobsOf,
    runner: Annotated[JobRunner, Depends(_runner)],
    uploads: Annotated[Uploads, Depends(_uploads)],
) -> JobOut:
    """Store uploads, and add them in a job, whose address is in `Location`.

    A form has files, and metadata for all of them; lines of JSON are documents with a title,
    a caption and metadata each (`LineBody`). The uploads are stored when this responds: an
    interrupted job resumes at the next start. A file that is sent again under the same name
    is the same document.
    """
    async with _received(request) as (documents, metadata):
        if await anyio.to_thread.run_sync(jobs.queued) >= _MOST_JOBS:
            raise OverloadedError(
                f"{_MOST_JOBS} jobs are already waiting; retry later", reason="jobs"
            )
        paths = [await anyio.to_thread.run_sync(uploads.store, one) for one in documents]
    job = await anyio.to_thread.run_sync(jobs.add, paths, metadata)
    runner.wake()
    response.headers["Location"] = f"{root_path(request)}/v1/jobs/{job.job_id}"
    return _out(job)


@router.get(
    "/jobs/{job_id}",
    summary="Get a job",
    dependencies=[reads],
    responses=documented(401, 403, 404, 422, 429),
)
async def job(jobs: JobsOf, job_id: JobId) -> JobOut:
    """Return the progress of a job, and its report when it is done."""
    return _out(await _known(jobs, job_id))


@router.get(
    "/jobs/{job_id}/events",
    summary="Watch a job",
    dependencies=[reads],
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Server-sent events named `job`; the data of each is the job, as "
            "`GET /v1/jobs/{job_id}` returns it. The stream ends with the job.",
            "content": {"text/event-stream": {}},
        },
        **documented(401, 403, 404, 422, 429),
    },
)
async def events(
    service: ServiceOf, jobs: JobsOf, known: Annotated[Job, Depends(_known)]
) -> AsyncIterator[ServerSentEvent]:
    """Stream a job: an event at once and after each change, until it is finished."""
    sent: JobOut | None = None
    job: Job | None = known
    while job is not None and not service.stopping:
        current = _out(job)
        if current != sent:
            sent = current
            yield ServerSentEvent(event="job", data=current)
        if job.state in FINAL:
            return
        await asyncio.sleep(jobs.poll_s)
        job = await anyio.to_thread.run_sync(jobs.get, known.job_id)


@router.delete(
    "/jobs/{job_id}",
    summary="Cancel a job",
    dependencies=[writes],
    responses=documented(401, 403, 404, 422, 429),
)
async def cancel(jobs: JobsOf, job_id: JobId) -> JobOut:
    """Cancel a queued or running job; a finished one is not changed.

    Documents that it has added, and the uploaded files, are kept.
    """
    await _known(jobs, job_id)
    await anyio.to_thread.run_sync(jobs.cancel, job_id)
    return _out(await _known(jobs, job_id))


def _out(job: Job) -> JobOut:
    report = None
    if job.report is not None:
        failed = [
            JobFailure(source=file_name(one["uri"]), reason=without_paths(one["reason"]))
            for one in job.report["failed"]
        ]
        notices = [
            JobNotice(source=file_name(one["uri"]), notice=without_paths(one["notice"]))
            for one in job.report.get("notices", [])
        ]
        report = JobReport(**{**job.report, "failed": failed, "notices": notices})
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


# --- the body of POST /v1/documents ----------------------------------------------------------


@asynccontextmanager
async def _received(request: Request) -> AsyncIterator[tuple[list[Upload], Mapping[str, Any]]]:
    """Read the uploads, open as long as the context, and the metadata of all of them.

    Raises `RequestValidationError`, `UsageError`, and 415.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in LINES:
        yield _lines(await request.body()), {}
    elif media_type == "multipart/form-data":
        async with request.form(max_files=MOST_FILES + 1, max_fields=10) as form:
            uploads = [
                Upload(one.file, one.filename or "")
                for name, one in form.multi_items()
                if name == "files" and isinstance(one, UploadFile)
            ]
            if not 1 <= len(uploads) <= MOST_FILES:
                raise _invalid("files", f"there must be 1 to {MOST_FILES} files")
            await check_fields(request, "metadata", repeatable=["files"])
            yield uploads, _metadata(form.get("metadata"))
    else:
        raise HTTPException(
            415,
            f"documents are multipart/form-data or {LINES[0]}, not {media_type[:100] or 'untyped'}",
        )


def _metadata(value: Any) -> Mapping[str, Any]:
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if not isinstance(value, str) or len(value) > MOST_METADATA:
        raise _invalid("metadata", f"it must be JSON of at most {MOST_METADATA:,} characters")
    return metadata_object(value, values_may_be_null=True)


def _lines(body: bytes) -> list[Upload]:
    uploads: list[Upload] = []
    for number, line in enumerate(body.splitlines(), start=1):
        if not line.strip():
            continue
        if len(uploads) == MOST_LINES:
            raise _invalid(str(number), f"at most {MOST_LINES:,} lines are allowed")
        try:
            uploads.append(Upload.from_line(LineBody.model_validate_json(line)))
        except ValidationError as error:
            raise RequestValidationError(
                [
                    {**one, "loc": ("body", number, *one["loc"])}
                    for one in error.errors(include_context=False)
                ]
            ) from error
    if not uploads:
        raise _invalid("1", "there is no line")
    return uploads


def _invalid(where: str, reason: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", where), "msg": reason, "type": "value_error"}])
