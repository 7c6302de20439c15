"""Several processes that serve one address, and the one that watches over them.

All take connections from one socket, so whoever is free takes the next. This process does
nothing else: it replaces what dies, and passes on the signal to stop. It imports none of
what serving needs.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

from trawl import errors
from trawl.errors import LibraryError, TrawlError
from trawl.settings import Settings
from trawl.telemetry import logger

# From the signal to the end of the last one; whoever is not gone then is killed.
_END_S = 9.7
_TICK_S = 0.2
# One that dies young is not replaced at once: it would die again.
_YOUNG_S = 10.0
_LONGEST_PAUSE_S = 10.0


@dataclass(slots=True)
class _Place:
    """Where one process stands, and those that stood there before."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    is_listening: bool = False
    started_at: float = 0.0
    restarts: int = -1
    pause_s: float = 0.0
    start_again_at: float = 0.0
    said: bytes = b""
    error: TrawlError | None = field(default=None)


class Workers:
    """`settings.workers` processes that serve a library on a socket that listens already."""

    def __init__(
        self,
        library: Path,
        options: Mapping[str, Any],
        settings: Settings,
        listening: socket.socket,
    ) -> None:
        self._library = library
        self._options = {name: _plain(value) for name, value in options.items()}
        self._settings = settings
        self._socket = listening
        self._metrics = Path(tempfile.mkdtemp(prefix="trawl-metrics-"))
        self._places = [_Place(number) for number in range(settings.workers)]
        self._selector = selectors.DefaultSelector()
        self._stopping = False

    def run(self, started: Callable[[], None]) -> None:
        """Serve until SIGINT or SIGTERM; `started` is told once, when all take requests.

        Raises what keeps the first ones from starting.
        """
        before = {one: signal.signal(one, self._stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            for place in self._places:
                self._start(place)
            self._configure_log()
            self._watch(started)
        finally:
            self._end()
            for one, handler in before.items():
                signal.signal(one, handler)
            shutil.rmtree(self._metrics, ignore_errors=True)

    def _stop(self, sig: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _configure_log(self) -> None:
        # Now that the others are starting, there is time for it.
        from trawl.server.logs import configure

        configure(self._settings.log_format, self._settings.log_level)
        if self._settings.rate_limit and not self._counts_together():
            logger.warning(
                "each of the %d processes counts requests for itself: set limits_store to a "
                "Redis for one rate_limit over all of them",
                len(self._places),
            )

    def _counts_together(self) -> bool:
        return (self._settings.limits_store or self._settings.cache) != "memory"

    def _start(self, place: _Place) -> None:
        place.restarts += 1
        place.started_at = time.monotonic()
        place.is_listening = False
        place.said = b""
        process = subprocess.Popen(
            [sys.executable, "-m", "trawl.server.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._socket.fileno(),),
            # Ctrl-C is for this process, which then tells the others.
            process_group=0,
        )
        told = {
            "library": str(self._library),
            "options": self._options,
            "socket": self._socket.fileno(),
            "metrics": str(self._metrics),
            "worker": place.number,
            "restarts": place.restarts,
        }
        # The input stays open: its end tells the other side that this one is gone.
        _pipe(process.stdin).write(json.dumps(told).encode() + b"\n")
        _pipe(process.stdin).flush()
        self._selector.register(_pipe(process.stdout), selectors.EVENT_READ, place)
        place.process = process

    def _watch(self, started: Callable[[], None]) -> None:
        announced = False
        while not self._stopping:
            self._listen(_TICK_S)
            for place in self._places:
                self._look_after(place, announced)
            if not announced and all(place.is_listening for place in self._places):
                announced = True
                started()

    def _listen(self, wait_s: float) -> None:
        """Take in what the processes say."""
        for key, _ in self._selector.select(wait_s):
            place: _Place = key.data
            said = os.read(key.fd, 65_536)
            if not said:
                self._selector.unregister(key.fileobj)
                continue
            *lines, place.said = (place.said + said).split(b"\n")
            for line in lines:
                message = json.loads(line)
                place.is_listening = message.get("listening", place.is_listening)
                if "error" in message:
                    place.error = _error(message["error"], message["message"])

    def _look_after(self, place: _Place, announced: bool) -> None:
        """Replace a process that is gone. Raises what kept it from its first start."""
        process = place.process
        if process is None:
            if time.monotonic() >= place.start_again_at:
                self._start(place)
            return
        code = process.poll()
        if code is None:
            return
        self._listen(0)  # its last words
        if not announced:
            raise place.error or LibraryError(
                f"a process that was to serve ended at once (code {code}); its lines above say why"
            )
        lived_s = time.monotonic() - place.started_at
        self._forget(place)
        if lived_s < _YOUNG_S:
            place.pause_s = min(_LONGEST_PAUSE_S, max(0.5, place.pause_s * 2))
        else:
            place.pause_s = 0.0
        place.start_again_at = time.monotonic() + place.pause_s
        logger.error(
            "process %d (worker %d) ended with code %s%s: another takes its place",
            process.pid,
            place.number,
            code,
            f" ({place.error})" if place.error else "",
        )

    def _forget(self, place: _Place) -> None:
        """Let go of a process that is gone, and of the numbers that were true while it lived."""
        process, place.process = place.process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not pipe.closed:
                if pipe is process.stdout and pipe.fileno() in self._selector.get_map():
                    self._selector.unregister(pipe)
                pipe.close()
        for file in self._metrics.glob(f"gauge_live*_{process.pid}.db"):
            file.unlink(missing_ok=True)

    def _end(self) -> None:
        """Stop all, and wait for them; kill those that do not go."""
        living = [place.process for place in self._places if place.process is not None]
        for process in living:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + _END_S
        for process in living:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                logger.warning("process %d did not end in time and is killed", process.pid)
                process.kill()
                process.wait()
        for place in self._places:
            self._forget(place)
        self._selector.close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # both are asked for
    return pipe


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _error(name: str, message: str) -> TrawlError:
    """Give the error that another process met."""
    kind: Any = getattr(errors, name, TrawlError)
    error: TrawlError = kind(message)
    return error
