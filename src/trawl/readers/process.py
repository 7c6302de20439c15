"""Run readers in processes of their own, so that a file cannot harm more than itself.

A file that crashes its reader, needs too much memory or makes no progress ends the process that
reads it, and raises `ReadError`; the next file gets a new process. The content of a file arrives
part by part. `trawl.readers.child` is the program of such a process.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.spawn import get_executable
from pathlib import Path
from threading import Lock
from typing import Any

from trawl.errors import ReadError
from trawl.readers.child import NEEDS_MEMORY, Request, Task, resident_bytes
from trawl.readers.formats import PageProgress, ignore_progress
from trawl.types import Part, Reading, Sound

READER_FAILED = "its reader "
"""The beginning of the message if a file ended the process of its reader."""
_SAMPLE_S = 0.1
_START_S = 60.0
_END_S = 5.0
_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; from trawl.readers.child import main; "
    "main({parent}, {requests}, {answers}, {memory_bytes})"
)
# Libraries that start threads of their own would take the processors from other readers.
_ONE_THREAD = (
    "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS", "MALLOC_ARENA_MAX",
)  # fmt: skip


class ReaderPool:
    """Reader processes, which are started when they are needed. Thread-safe.

    A process is ended if it makes no progress on a file for `timeout_s`, or needs more than
    `memory_mb` megabytes for it.
    """

    def __init__(self, timeout_s: float, memory_mb: int) -> None:
        self._timeout_s = timeout_s
        self._memory_bytes = memory_mb * 2**20
        self._lock = Lock()
        self._idle: list[_Process] = []
        self._busy: set[_Process] = set()
        self._is_stopped = False
        # Linux ends a process with the thread that started it, so this thread stays.
        self._starter = ThreadPoolExecutor(1, "trawl-start-readers")

    @contextmanager
    def reading(self, request: Request) -> Iterator[Reading]:
        """Yield the reading of a file; its parts are read from the process while iterating.

        Raises `ReadError`, also while iterating.
        """
        process, reading = self._begun(request)
        try:
            yield reading
        finally:
            self._give_back(process)

    def run(self, task: Task) -> Any:
        """Return the result of a function of a file. Raises `ReadError`."""
        process, result = self._begun(task)
        self._give_back(process)
        return result

    def _begun(self, request: Request | Task) -> tuple[_Process, Any]:
        process = self._take()
        while True:
            was_used = process.files > 0
            try:
                return process, process.begin(request)
            except _EndedError as ended:
                self._give_back(process)
                # It may have ended for want of work, or for what an earlier file did to it.
                if not was_used or self._is_stopped:
                    raise ended.as_read_error(self._memory_bytes) from None
                process = self._take(fresh=True)
            except BaseException:
                self._give_back(process)
                raise

    def _take(self, *, fresh: bool = False) -> _Process:
        with self._lock:
            process = self._idle.pop() if self._idle and not fresh else None
        if process is None:
            try:
                process = self._starter.submit(
                    _Process, self._timeout_s, self._memory_bytes
                ).result()
            except OSError as error:
                raise ReadError(f"{READER_FAILED}cannot be started: {error.strerror}") from error
        with self._lock:
            self._busy.add(process)
        return process

    def _give_back(self, process: _Process) -> None:
        with self._lock:
            self._busy.discard(process)
            if process.is_ready:
                self._idle.append(process)
                return
        process.end()

    def resume(self) -> None:
        """Start processes again after `stop`."""
        with self._lock:
            self._is_stopped = False

    def stop(self) -> None:
        """End the processes that are reading; their files raise `ReadError`."""
        with self._lock:
            self._is_stopped = True
            for process in self._busy:
                process.kill()

    def close(self) -> None:
        """End all processes."""
        self.stop()
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()
        self._starter.shutdown()


@dataclass(slots=True)
class _EndedError(Exception):
    """The process ended: its exit code, the memory it used for the file, whether it had begun."""

    code: int
    used_bytes: int
    was_started: bool

    def as_read_error(self, memory_bytes: int) -> ReadError:
        if not self.was_started:
            return ReadError(f"{READER_FAILED}cannot be started: exit code {self.code}")
        if self.used_bytes > memory_bytes * 3 // 4:
            return _needs_memory(memory_bytes)
        if self.code >= 0:
            return ReadError(f"{READER_FAILED}ended with exit code {self.code}")
        name = signal.strsignal(-self.code) or "unknown"
        return ReadError(f"{READER_FAILED}crashed (signal {-self.code}: {name.lower()})")


def _needs_memory(memory_bytes: int) -> ReadError:
    mb = memory_bytes // 2**20
    limit = f"{mb / 1024:g} GB" if mb >= 1024 else f"{mb} MB"
    return ReadError(f"{READER_FAILED}needs more than {limit} of memory; raise reader_memory_mb")


class _Process:
    """One process, which reads one file at a time."""

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        self.files = 0
        self.is_ready = False
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes
        self._was_started = False
        self._progress: PageProgress = ignore_progress
        self._pages = 0
        self._used_bytes = 0
        self._reaping = Lock()
        requests, requests_fd = os.pipe()
        answers_fd, answers = os.pipe()
        self._inbox = Connection(answers_fd, writable=False)
        self._poller = select.poll()
        self._poller.register(answers_fd, select.POLLIN)
        self._outbox = Connection(requests_fd, readable=False)
        try:
            self._popen = subprocess.Popen(
                [get_executable(), "-P", "-c", self._program(requests, answers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(requests, answers),
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
                process_group=0,  # Ctrl-C in a terminal is for the parent
            )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            os.close(requests)
            os.close(answers)

    def _program(self, requests: int, answers: int) -> str:
        # Not `multiprocessing`, which runs the user's script again in each process.
        here = str(Path(__file__).parents[2])
        return _PROGRAM.format(
            path=[*filter(None, sys.path), here],
            parent=os.getpid(),
            requests=requests,
            answers=answers,
            memory_bytes=self._memory_bytes,
        )

    def begin(self, request: Request | Task) -> Any:
        """Send a request, and return the reading or the result of the task.

        Raises `_EndedError` and `ReadError`.
        """
        self.is_ready = False
        self.files += 1
        self._progress, self._pages, self._used_bytes = request.limits.progress, 0, 0
        request = replace(request, limits=replace(request.limits, progress=ignore_progress))
        with suppress(OSError):  # if the process has ended, `recv` raises
            self._outbox.send_bytes(pickle.dumps(request))
        if not self._was_started:
            self._next(within_s=_START_S)
            self._was_started = True
        kind, *values = self._next()
        if kind == "whole":
            self.is_ready = True
            return values[0]
        reading: Reading = self._expected("reading", kind, values)
        return replace(reading, parts=self._parts(reading.late_notices))

    def _parts(self, late_notices: list[str]) -> Iterator[Part]:
        while True:
            kind, *values = self._received()
            if kind == "done":
                late_notices += values[0]
                self.is_ready = True
                return
            if kind == "recording":
                recording = _RemoteRecording(values[0], self._windows())
                yield recording
                recording.skip()
            else:
                yield self._expected("part", kind, values)

    def _windows(self) -> Iterator[tuple[float, Sound]]:
        while True:
            kind, *values = self._received()
            if kind == "end":
                return
            self._expected("window", kind, values)
            yield values[0], values[1]

    def _expected(self, expected: str, kind: str, values: list[Any]) -> Any:
        if kind == expected:
            return values[0]
        self.is_ready = True  # the process reports an error and goes on
        raise _needs_memory(self._memory_bytes) if kind == NEEDS_MEMORY else ReadError(values[0])

    def _received(self) -> tuple[Any, ...]:
        try:
            return self._next()
        except _EndedError as ended:
            raise ended.as_read_error(self._memory_bytes) from None

    def _next(self, within_s: float | None = None) -> tuple[Any, ...]:
        """Return the next message that is not about progress."""
        while True:
            self._wait(within_s or self._timeout_s)
            try:
                message: tuple[Any, ...] = pickle.loads(self._inbox.recv_bytes())
            except (EOFError, OSError):
                raise self._ended() from None
            if message[0] != "progress":
                return message
            self._pages = message[1]
            self._progress(*message[1:])

    def _wait(self, within_s: float) -> None:
        """Wait for a message or the end of the process. Raises `ReadError` after too long."""
        until = time.monotonic() + within_s
        sample_ms = 1000 * min(_SAMPLE_S, within_s)
        while not self._poller.poll(sample_ms):
            # The reason is not known otherwise: libraries crash when they get no memory.
            self._used_bytes = max(self._used_bytes, resident_bytes(self._popen.pid))
            if time.monotonic() > until:
                self.kill()
                after = f"after page {self._pages:,}" if self._pages else "without a page"
                raise ReadError(
                    f"{READER_FAILED}ran out of time ({within_s:g} s {after}); "
                    "raise reader_timeout_s if the file is intact"
                )

    def _ended(self) -> _EndedError:
        self._reap()
        return _EndedError(self._popen.returncode, self._used_bytes, self._was_started)

    def _reap(self) -> None:
        self.kill()
        # One that waits for a lost network drive cannot be ended.
        with self._reaping, suppress(subprocess.TimeoutExpired):
            self._popen.wait(_END_S)

    def kill(self) -> None:
        """End the process at once. Has no effect on one that has ended."""
        with self._reaping:
            if self._popen.returncode is None:
                os.kill(self._popen.pid, signal.SIGKILL)

    def end(self) -> None:
        """End the process and release what it uses."""
        self._reap()
        self._close_pipes()

    def _close_pipes(self) -> None:
        self._inbox.close()
        self._outbox.close()


@dataclass(slots=True)
class _RemoteRecording:
    """A recording whose windows arrive from the process, for one pass."""

    duration_s: float
    _windows: Iterator[tuple[float, Sound]]

    def windows(self, window_s: float, hop_s: float) -> Iterator[tuple[float, Sound]]:
        """Yield the windows, of the lengths that were requested."""
        yield from self._windows

    def skip(self) -> None:
        """Receive the windows that were not read."""
        for _ in self._windows:
            pass
