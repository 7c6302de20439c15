"""Jobs and uploads of a library in an object store, which several servers share."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from buckets import new_bucket
from trawl.locations import Bucket, location_of
from trawl.server import bucket_jobs
from trawl.server.bucket_jobs import BucketJobs, BucketUploads
from trawl.server.turns import turn_of
from trawl.server.uploads import Upload
from trawl.store import lease as leases
from trawl.types import Report

REPORT = Report(1, 0, 0, 0, (), 2, 0.5)


@pytest.fixture
def location(storage_options: dict[str, str]) -> Bucket:
    return cast(Bucket, location_of(f"{new_bucket(storage_options)}/library", storage_options))


def test_a_job_is_taken_once_and_in_its_turn(location: Bucket) -> None:
    servers = [BucketJobs(location) for _ in range(4)]
    first = servers[0].add(["a.txt"], {"year": 2020})
    for number in range(3):
        servers[1].add([f"{number}.txt"], {})
    assert servers[2].queued() == 4
    assert servers[3].get(first.job_id) == first
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda server: server.take(), servers))
    ids = {job.job_id for job in taken if job is not None}
    assert len(ids) == len([job for job in taken if job is not None])
    assert first.job_id in ids
    while servers[0].take() is not None:
        pass
    assert servers[0].queued() == 0


def test_only_the_server_that_runs_a_job_ends_it(location: Bucket) -> None:
    one, other = BucketJobs(location), BucketJobs(location)
    job_id = one.add(["a.txt", "b.txt"], {}).job_id
    assert one.take() is not None
    assert one.progress(job_id, 1)
    assert not other.progress(job_id, 2)
    other.recover()  # it takes over, since `one` seems dead
    assert other.take() is not None
    assert not one.progress(job_id, 2)
    one.finish(job_id, REPORT)
    one.fail(job_id, "late")
    one.put_back(job_id)
    found = other.get(job_id)
    assert found is not None
    assert found.state == "running"
    other.finish(job_id, REPORT)
    found = one.get(job_id)
    assert found is not None
    assert (found.state, found.done) == ("done", 2)
    assert found.report is not None
    assert found.report["chunks"] == 2
    assert not one.cancel(job_id)
    assert list(location.entries("jobs/open/")) == []


def test_progress_that_is_known_is_not_written(location: Bucket) -> None:
    jobs = BucketJobs(location)
    job_id = jobs.add(["a.txt", "b.txt"], {}).job_id
    assert jobs.take() is not None
    assert jobs.progress(job_id, 1)
    before = location.read_tagged(f"jobs/{job_id}.json")
    assert jobs.progress(job_id, 1)
    assert location.read_tagged(f"jobs/{job_id}.json") == before
    assert jobs.progress(job_id, 2)
    assert location.read_tagged(f"jobs/{job_id}.json") != before


def test_a_cancelled_job_stays_cancelled(location: Bucket) -> None:
    one, other = BucketJobs(location), BucketJobs(location)
    job_id = one.add(["a.txt"], {}).job_id
    assert one.take() is not None
    assert other.cancel(job_id)
    assert not one.progress(job_id, 1)
    one.finish(job_id, REPORT)
    one.recover()
    found = one.get(job_id)
    assert found is not None
    assert found.state == "cancelled"


def test_finished_jobs_are_deleted_after_a_week(
    location: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = BucketJobs(location)
    finished, waiting = (jobs.add(["a.txt"], {}).job_id for _ in range(2))
    jobs.cancel(finished)
    jobs.recover()
    assert jobs.get(finished) is not None
    later = time.time() + bucket_jobs.KEPT_S + 10
    monkeypatch.setattr(bucket_jobs.time, "time", lambda: later)
    jobs.recover()
    assert jobs.get(finished) is None
    assert jobs.get(waiting) is not None
    assert jobs.queued() == 1
    assert jobs.get("0" * 32) is None


def test_uploads_are_objects_with_a_sidecar(location: Bucket) -> None:
    uploads = BucketUploads(location)
    first = uploads.store(Upload(io.BytesIO(b"A note."), "../note.txt", {"year": 2020, "a": 1}))
    again = uploads.store(Upload(io.BytesIO(b"A note."), "note.txt", {"a": None, "title": "N"}))
    assert first == again
    assert first.startswith(f"{location.address}/uploads/")
    name = first.removeprefix(f"{location.address}/")
    assert location.read(name) == b"A note."
    assert location.read(f"{name}.json") == b'{"year": 2020, "title": "N"}'
    uploads.delete("s3://elsewhere/uploads/x/y")
    uploads.delete(first)
    assert list(location.entries("uploads/")) == []


def test_servers_take_turns(location: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_RENEW_S", 0.1)
    one, other = turn_of(location), turn_of(location)
    assert not one.is_held()
    assert one.take()
    assert one.is_held()
    assert not other.take()
    one.end()
    assert other.take()
    other.end()
