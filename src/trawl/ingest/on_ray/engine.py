"""The engine in the driver: share the files among workers, and take what they read.

A file is measured by a worker first, since only its content hash says whether it is new, moved or
unchanged. That is decided here, in one place. Then it is read, preferably by the same worker.

Workers may end at any time. Files that one was reading are read again, alone, so that a file that
ends its worker is found and fails, while all others succeed.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from trawl.errors import EngineError
from trawl.ingest.engine import Step
from trawl.ingest.items import Item
from trawl.ingest.moves import Origins
from trawl.ingest.names import MEMBER
from trawl.ingest.on_ray.cluster import RayCluster, described, joined, reason_of
from trawl.ingest.on_ray.worker import Measured, Parcel, Setup, Worker, recipe_with_ocr
from trawl.ingest.reading import CANNOT_BE_OPENED, IngestOptions, Job
from trawl.readers.process import READER_FAILED

# Files and bytes per task. Small at the end, so that all workers end together.
_MOST_FILES = 32
_MOST_BYTES = 16 * 2**20
# While one task is embedded, the files of the next are read.
_READS_AT_ONCE = 2
_TRIES = 3
# Workers that end one after the other, without a file in between.
_MOST_LOSSES = 5
_START_S = 300.0
# The last bits of some vectors depend on it.
_BLAS = "OPENBLAS_NUM_THREADS"


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker, the files that it has measured, and its tasks."""

    actor: Any
    place: str = ""
    is_ready: bool = False
    measured: deque[Job] = field(default_factory=deque)
    measures: int = 0
    reads: int = 0
    is_alone: bool = False


@dataclass(slots=True, eq=False)
class _Task:
    kind: Literal["check", "measure", "read"]
    hand: _Hand
    jobs: dict[int, Job] = field(default_factory=dict)


class RayEngine:
    """Reads and embeds in the workers of a Ray cluster. See `trawl.ingest.engine.Engine`."""

    def __init__(self, cluster: RayCluster, setup: Setup) -> None:
        self._cluster = cluster
        self._setup = setup

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: the workers end with `steps`."""

    def start(self) -> None:
        """Do nothing: workers embed without being asked."""

    def flush(self) -> None:
        """Do nothing: documents arrive embedded."""

    def steps(
        self, items: Sequence[Item], options: IngestOptions, origins: Origins, idle_s: float
    ) -> Generator[Step | None, None, None]:
        """Yield the steps of all files. Raises `EngineError` if the cluster cannot be used."""
        if not items:
            return
        with joined(self._cluster) as ray:
            crew = _Crew(ray, self._cluster, self._setup, options, origins)
            try:
                yield from crew.steps([Job(item, n) for n, item in enumerate(items)], idle_s)
            finally:
                crew.dismiss()


class _Crew:
    """The workers of a run."""

    def __init__(
        self,
        ray: Any,
        cluster: RayCluster,
        setup: Setup,
        options: IngestOptions,
        origins: Origins,
    ) -> None:
        self._ray = ray
        self._cluster = cluster
        self._options = options
        self._origins = origins
        self._size = cluster.count_workers(ray.cluster_resources())
        self._threads = max(1, int(cluster.cpus))
        self._class = ray.remote(Worker).options(
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
            max_concurrency=_READS_AT_ONCE + 2,
            scheduling_strategy="SPREAD",
            **_environment(self._threads),
        )
        self._given = ray.put(setup), ray.put(options)
        self._hands: list[_Hand] = []
        self._running: dict[Any, _Task] = {}
        self._todo: deque[Job] = deque()
        self._measured: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._tries: Counter[int] = Counter()
        self._losses = 0
        self._left = 0
        self._heard_at = time.monotonic()

    def steps(self, jobs: Sequence[Job], idle_s: float) -> Iterator[Step | None]:
        """Yield the steps of all files."""
        self._todo.extend(jobs)
        self._left = len(jobs)
        for _ in range(min(self._size, len(jobs))):
            self._hire()
        while self._left:
            self._assign()
            ready, _ = self._ray.wait(list(self._running), timeout=idle_s)
            if not ready:
                self._check_started()
                yield None
            for answer in ready:
                self._heard_at = time.monotonic()
                if answer in self._running:  # its worker may have been lost meanwhile
                    yield from self._received(answer, self._running[answer])

    def dismiss(self) -> None:
        """End all workers."""
        for hand in self._hands:
            with suppress(self._ray.exceptions.RayError):  # the cluster may be gone
                self._ray.kill(hand.actor)

    def _hire(self) -> None:
        actor = self._class.remote(*self._given, self._threads)
        hand = _Hand(actor)
        self._hands.append(hand)
        check = actor.check.remote(recipe_with_ocr(self._options))
        self._running[check] = _Task("check", hand)

    def _check_started(self) -> None:
        silent_s = time.monotonic() - self._heard_at
        if silent_s > _START_S and not any(hand.is_ready for hand in self._hands):
            raise EngineError(
                f"no worker has started within {_START_S:g} s: the Ray cluster has "
                f"{described(self._ray.cluster_resources())}, of which "
                f"{described(self._ray.available_resources())} is free; wait for other work to "
                "end, or ask for less"
            )

    # --- tasks -------------------------------------------------------------------------

    def _assign(self) -> None:
        """Hand out tasks to the workers that have started."""
        for hand in self._hands:
            if not hand.is_ready:
                continue
            if self._todo and not hand.measures and len(hand.measured) < _MOST_FILES:
                self._submit("measure", hand, self._taken(self._todo))
            if self._suspects:
                if not hand.reads:
                    hand.is_alone = True
                    self._submit("read", hand, [self._suspects.popleft()])
                continue
            while hand.reads < _READS_AT_ONCE and not hand.is_alone:
                source = self._source(hand)
                if source is None:
                    break
                self._submit("read", hand, self._taken(source))

    def _source(self, hand: _Hand) -> deque[Job] | None:
        """Return files to read: the worker's own, those of lost ones, or those of another."""
        if hand.measured or self._measured:
            return hand.measured or self._measured
        if self._todo or hand.measures:
            return None
        richest = max(self._hands, key=lambda one: len(one.measured))
        return richest.measured or None

    def _taken(self, source: deque[Job]) -> list[Job]:
        """Take the files of one task from a queue."""
        most = max(1, min(_MOST_FILES, self._left // (2 * _READS_AT_ONCE * len(self._hands))))
        taken = [source.popleft()]
        size_bytes = taken[0].size_bytes
        while source and len(taken) < most and size_bytes < _MOST_BYTES:
            taken.append(source.popleft())
            size_bytes += taken[-1].size_bytes
        return taken

    def _submit(self, kind: Literal["measure", "read"], hand: _Hand, jobs: list[Job]) -> None:
        if kind == "measure":
            answer = hand.actor.measure.remote(jobs)
            hand.measures += 1
        else:
            answer = hand.actor.read.options(num_returns="streaming").remote(jobs)
            hand.reads += 1
        self._running[answer] = _Task(kind, hand, {job.number: job for job in jobs})

    # --- answers -----------------------------------------------------------------------

    def _received(self, answer: Any, task: _Task) -> Iterator[Step]:
        errors = self._ray.exceptions
        try:
            value = self._ray.get(next(answer) if task.kind == "read" else answer)
        except StopIteration:
            yield from self._end(answer, task)
        except errors.RayTaskError as error:
            if task.kind != "read":
                raise EngineError(_cannot_work(error.cause or error)) from error
            yield from self._end(answer, task, reason_of(error))
        except errors.RayError as error:  # the worker or its machine has ended
            if "creation task" in str(error):
                raise EngineError(_cannot_work(error)) from error
            yield from self._lose(task.hand, reason_of(error))
        else:
            yield from self._unpacked(value, task)
            if task.kind != "read":
                yield from self._end(answer, task)

    def _unpacked(self, value: Any, task: _Task) -> Iterator[Step]:
        if task.kind == "check":
            task.hand.is_ready, task.hand.place = True, value
        elif task.kind == "measure":
            for measured in value:
                yield from self._identified(measured, task)
        else:
            yield from self._opened(value, task)

    def _identified(self, measured: Measured, task: _Task) -> Iterator[Step]:
        """Determine the origin of a file that has been measured, and let it be read."""
        job = task.jobs.pop(measured.number)
        job.size_bytes, job.modified_ns = measured.size_bytes, measured.modified_ns
        job.content_hash, job.content = measured.content_hash, measured.content
        job.error = measured.error
        if job.error is None:
            job.origin = self._origins.of(job.item, job.content_hash)
            if job.origin.state == "changed":
                task.hand.measured.append(job)
                return
        yield from self._finish(job, None, task.hand.place)

    def _opened(self, parcel: Parcel, task: _Task) -> Iterator[Step]:
        self._losses = 0
        for number, pages in parcel.pages.items():
            if number in task.jobs:
                yield task.jobs[number], pages
        for one in parcel.finished:
            job = task.jobs.pop(one.number)
            job.error, job.content_hash = one.error, one.content_hash
            yield from self._finish(job, one.pending, task.hand.place)

    def _finish(self, job: Job, pending: Any, place: str) -> Iterator[Step]:
        self._left -= 1
        if job.error is not None and job.error.startswith(CANNOT_BE_OPENED):
            _explain(job, place)
        yield job, pending

    def _end(self, answer: Any, task: _Task, reason: str = "") -> Iterator[Step]:
        """Take note that a task has ended; with a reason, that it failed."""
        del self._running[answer]
        if task.kind == "measure":
            task.hand.measures -= 1
        elif task.kind == "read":
            task.hand.reads -= 1
            task.hand.is_alone = False
        yield from self._again(task, reason)

    def _lose(self, hand: _Hand, reason: str) -> Iterator[Step]:
        """Replace a worker that has ended, and let others do its work."""
        self._losses += 1
        if self._losses > _MOST_LOSSES * self._size:
            raise EngineError(
                f"the workers of the Ray cluster keep ending: {reason}; what was committed is "
                "kept, and repeating the command continues there"
            )
        self._hands.remove(hand)
        self._measured.extend(hand.measured)
        lost = {answer: task for answer, task in self._running.items() if task.hand is hand}
        for answer, task in lost.items():
            del self._running[answer]
            yield from self._again(task, reason)
        self._hire()

    def _again(self, task: _Task, reason: str) -> Iterator[Step]:
        """Repeat what a task has left undone, or fail the file that was read alone too often."""
        if task.kind == "measure":
            self._todo.extendleft(task.jobs.values())
            return
        for job in task.jobs.values():
            self._tries[job.number] += 1
            if self._tries[job.number] < _TRIES:
                self._suspects.append(job)
                continue
            job.error = f"{READER_FAILED}ended {_TRIES} workers of the Ray cluster: {reason}"
            self._left -= 1
            yield job, None


def _environment(threads: int) -> dict[str, Any]:
    """Return what gives workers the threads per matrix product that this process has."""
    wanted = os.environ.get(_BLAS, "1")
    if wanted == str(threads):
        return {}  # as Ray does itself; another environment takes seconds to set up
    return {"runtime_env": {"env_vars": {_BLAS: wanted}}}


def _cannot_work(error: BaseException) -> str:
    return (
        f"a worker of the Ray cluster cannot be used: {reason_of(error)}. All machines of the "
        "cluster need the same Python, Trawl, models and optional packages"
    )


def _explain(job: Job, place: str) -> None:
    """Explain why a worker cannot open a file that this process can. Its chunks are kept."""
    try:
        with job.item.path.open("rb"):
            pass
    except OSError:
        return  # it is the same here
    reason = (job.error or "").removeprefix(CANNOT_BE_OPENED)
    if MEMBER in job.item.uri:
        way = "set TMPDIR to a folder that all machines share, where archives are unpacked"
    else:
        way = "keep the files where all machines see them at the same path"
    job.error = f"{CANNOT_BE_OPENED}{reason}, on the worker at {place}; {way}"
    job.content_hash = ""
