"""The program of a reader process: read files that arrive on one pipe, and answer on another.

`trawl.readers.process` starts it. Every message is a tuple of its kind and its values, pickled.
A process reads one file at a time, and ends when its parent does, or after a while without work.
"""

from __future__ import annotations

import ctypes
import io
import os
import pickle
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from trawl.errors import ReadError
from trawl.readers.formats import Limits, Reader, guarded, short_reason
from trawl.types import Part, Passages, Picture, Reading

IDLE_S = 30.0
"""A process without work ends after this time."""
NEEDS_MEMORY = "memory"
"""The kind of the message for a file that needs more than the memory limit."""
_PROGRESS_S = 0.05
_PR_SET_PDEATHSIG = 1
_NICE = 10
"""The priority of tasks, below that of searches."""

Send: TypeAlias = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Request:
    """A file to read. `window_s` and `hop_s` are those of `Recording.windows`."""

    reader: Reader
    path: Path
    media_type: str
    limits: Limits
    window_s: float
    hop_s: float


@dataclass(frozen=True, slots=True)
class Task:
    """A function of a file whose small result is the answer, such as a picture of a page."""

    function: Callable[[Path, Limits], object]
    path: Path
    limits: Limits


def main(parent: int, requests: int, answers: int, memory_bytes: int) -> None:
    """Answer requests until the parent closes the pipe."""
    _protect(parent, memory_bytes)
    inbox = Connection(requests, writable=False)
    outbox = Connection(answers, readable=False)

    def send(*message: object) -> None:
        buffer = io.BytesIO()
        _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
        try:
            outbox.send_bytes(buffer.getbuffer())
        except OSError:  # the parent is gone, or needs no more of this file
            os._exit(0)

    send("ready")
    with suppress(OSError, EOFError):  # the parent is gone
        while inbox.poll(IDLE_S):
            _answer(pickle.loads(inbox.recv_bytes()), send)
            # Memory that a library leaks must not count against the next file.
            if resident_bytes() > memory_bytes // 2:
                break
    os._exit(0)


def _protect(parent: int, memory_bytes: int) -> None:
    """Limit this process, and end it with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):  # not on Linux: the closed pipe ends the process
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
    # Private memory, without the files that are mapped and the addresses that are only reserved.
    limit = memory_bytes + resident_bytes()
    for kind, most in ((resource.RLIMIT_DATA, limit), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):  # the limit that the process has is lower
            resource.setrlimit(kind, (most, most))
    with suppress(OSError):  # if memory is short, the system should end this process first
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def resident_bytes(process: int | str = "self") -> int:
    """Return the memory that a process occupies, 0 if that is not known."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def _answer(request: Request | Task, send: Send) -> None:
    try:
        limits = replace(request.limits, progress=_Throttled(send))
        if isinstance(request, Task):
            with suppress(OSError):  # somebody waits for searches too
                os.setpriority(os.PRIO_PROCESS, 0, _NICE)
            send("whole", request.function(request.path, limits))
            return
        reading = guarded(request.reader, request.path, request.media_type, limits)
        if isinstance(reading.parts, tuple) and not any(map(_is_recording, reading.parts)):
            send("whole", reading)  # a message less for each part, which small pictures notice
            return
        send("reading", replace(reading, parts=(), late_notices=[]))
        _send_parts(reading, request, send)
        send("done", list(reading.late_notices))
    except Exception as error:
        if _is_memory_error(error):
            send(NEEDS_MEMORY)
        else:
            send("failed", str(error) if isinstance(error, ReadError) else _described(error))


def _send_parts(reading: Reading, request: Request, send: Send) -> None:
    for part in reading.parts:
        if not _is_recording(part):
            send("part", part)
            continue
        assert not isinstance(part, Passages | Picture)
        send("recording", part.duration_s)
        for start_s, sound in part.windows(request.window_s, request.hop_s):
            send("window", start_s, sound)
        send("end")


def _is_recording(part: Part) -> bool:
    return not isinstance(part, Passages | Picture)


def _described(error: Exception) -> str:
    return f"cannot be read: {type(error).__name__}: {short_reason(error)}"


def _is_memory_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


class _Throttled:
    """Sends progress, but not every page of a fast reader."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._sent_at = 0.0

    def __call__(self, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        if now - self._sent_at >= _PROGRESS_S:
            self._sent_at = now
            self._send("progress", done, total)


class _Pickler(pickle.Pickler):
    """Sends the pixels of images, without what else their file holds."""

    def reducer_override(self, value: Any) -> Any:
        images = sys.modules.get("PIL.Image")
        if images is not None and isinstance(value, images.Image):
            return images.frombytes, (value.mode, value.size, value.tobytes())
        return NotImplemented
