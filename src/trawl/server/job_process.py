"""Add the files of jobs in a process of their own, at a lower priority.

Python runs one thread at a time, so reading and embedding files in the server's process would
delay searches. The two processes exchange Python objects over a `multiprocessing` pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeAlias

import anyio.to_thread

from trawl.errors import TrawlError
from trawl.library import Library
from trawl.server.logs import configure
from trawl.telemetry import events, logger
from trawl.types import Modality, Report

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with the number of files done, the number of files, and the last file."""

# An idle process is ended after this time, to free its memory.
_IDLE_S = 60.0
_NICENESS = 10
_PROGRESS_S = 0.1
_spawn = multiprocessing.get_context("spawn")


class StoppedError(Exception):
    """Raised by `Progress` to end an ingest early."""


class Ingester:
    """Adds files to one library, one call at a time, in a thread of this process."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def add(
        self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files. Raises what `Library.add` and `progress` raise.

        `progress` is called after each file, in another thread.
        """
        return await anyio.to_thread.run_sync(partial(self._add, files, metadata, progress))

    def _add(self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress) -> Report:
        return self._library.add(files, metadata=metadata, progress=progress)

    async def rest(self) -> None:
        """Release resources that are not needed while no job runs."""

    async def close(self, within_s: float) -> None:
        """Release all resources; a running `add` is stopped if possible."""


class ProcessIngester(Ingester):
    """Adds files in another process, which is reused for the next job.

    `options` are the library's settings by name. Use from one event loop.
    """

    def __init__(self, library: Library, options: Mapping[str, Any]) -> None:
        self._address = library.location.full_address
        self._options = dict(options)
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._used_at = 0.0
        self._is_closing = False

    def _add(self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress) -> Report:
        process, pipe = self._started()
        with suppress(OSError):  # if the process has died, `recv` raises EOFError
            pipe.send(_Job(list(files), dict(metadata)))
        stopped: StoppedError | None = None
        while True:
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                if self._is_closing:
                    raise StoppedError("the job process was closed") from None
                process.join()
                raise RuntimeError(
                    f"the job process ended with code {process.exitcode} during a job"
                ) from None
            self._used_at = time.monotonic()
            match message:
                case Report():
                    return message
                case StoppedError():
                    raise stopped or message
                case Exception():
                    raise message
                case _Event():
                    getattr(events, message.name)(*message.args, **message.named)
                case tuple() if stopped is None:
                    try:
                        progress(*message)
                    except StoppedError as error:
                        stopped = error
                        with suppress(OSError):
                            pipe.send(_STOP)

    def _started(self) -> tuple[SpawnProcess, Connection]:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self._pipe, theirs = _spawn.Pipe()
            self._process = _spawn.Process(
                target=run_jobs, args=(theirs, self._address, self._options), name="trawl-jobs"
            )
            self._is_closing = False
            self._process.start()
            theirs.close()
        return self._process, self._pipe

    async def rest(self) -> None:
        """End the process if it has been idle for a while."""
        if self._process is not None and time.monotonic() - self._used_at > _IDLE_S:
            await self.close(1.0)

    async def close(self, within_s: float) -> None:
        """End the process, by force after `within_s`.

        If it is killed while it writes, the next writer repairs the library.
        """
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None and pipe is not None and process.is_alive():
            self._is_closing = True
            await anyio.to_thread.run_sync(_end, process, pipe, within_s)


def _end(process: SpawnProcess, pipe: Connection, within_s: float) -> None:
    with suppress(OSError):
        pipe.send(_END)
    process.join(within_s)
    if process.exitcode is None:
        logger.warning("a file is still being added; its job resumes at the next start")
        process.kill()
        process.join()


# --- messages to the job process, and from it --------------------------------------------

_STOP = "stop"
_END = "end"


@dataclass(frozen=True, slots=True)
class _Job:
    files: list[str]
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Event:
    """A call of `telemetry.events`, to be repeated in the server's process."""

    name: str
    args: tuple[Any, ...]
    named: dict[str, Any]


# --- in the job process --------------------------------------------------------------------


def run_jobs(pipe: Connection, library: str, options: Mapping[str, Any]) -> None:
    """Add the files of each job received on `pipe`, until it is closed."""
    os.setpgrp()  # Ctrl-C is handled by the server, which then ends this process
    os.nice(_NICENESS)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox, outbox = _Inbox(pipe), _Outbox(pipe)
    try:
        with Library(library, **options) as opened:
            configure(opened.settings.log_format, opened.settings.log_level)
            events.watch(outbox)
            while (job := inbox.jobs.get()) is not None:
                inbox.stop.clear()
                outbox.send(_add(opened, job, outbox, inbox.stop))
    except TrawlError as error:
        outbox.send(error)
    sys.stderr.flush()
    os._exit(0)  # the receiving thread still blocks on the pipe


def _add(library: Library, job: _Job, outbox: _Outbox, stop: threading.Event) -> Report | Exception:
    """Return the report of a job, or the error that ended it."""
    sent_at = time.monotonic()

    def progress(done: int, total: int, uri: str) -> None:
        nonlocal sent_at
        if stop.is_set():
            raise StoppedError("the job was stopped")
        if time.monotonic() - sent_at >= _PROGRESS_S:
            sent_at = time.monotonic()
            outbox.send((done, total, uri))

    try:
        return library.add(job.files, metadata=job.metadata, progress=progress)
    except (TrawlError, StoppedError) as error:
        return error
    except Exception as error:
        logger.exception("a job failed")
        return RuntimeError(f"{type(error).__name__}: {error}")


class _Inbox:
    """Receives jobs, and requests to stop the running one, in a thread."""

    def __init__(self, pipe: Connection) -> None:
        self.jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        self._pipe = pipe
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        message: object = None
        while message != _END:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):  # the server is gone
                message = _END
            if isinstance(message, _Job):
                self.jobs.put(message)
            else:
                self.stop.set()
        self.jobs.put(None)


class _Outbox:
    """Sends messages from any thread. As an `Observer`, forwards what models do."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        with self._lock, suppress(OSError):
            self._pipe.send(message)

    def encoded(self, *args: str, items: int, seconds: float) -> None:
        self.send(_Event("encoded", args, {"items": items, "seconds": seconds}))

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        self.send(_Event("model_loaded", (model, modality), {"seconds": seconds}))

    # These are about queries, which this process does not serve.

    def encoder_queue(self, *args: str, waiting: int) -> None: ...

    def encoder_refused(self, model: str, modality: Modality) -> None: ...

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None: ...

    def source_searched(self, source: str, *, seconds: float) -> None: ...
