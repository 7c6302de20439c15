"""Who adds the files of a job: a thread of this process, or a process of its own.

Reading, cutting and embedding files is work for Python's interpreter, which does one thing
at a time: in a process of its own, with a lower priority, it leaves the answering alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

import anyio.to_thread

from trawl import errors
from trawl.errors import TrawlError
from trawl.library import Library
from trawl.telemetry import events, logger
from trawl.types import Failure, Report

Progress: TypeAlias = Callable[[int, int, str], None]

# A process that has had nothing to add for so long is let go, with its memory.
_IDLE_S = 60.0


class StoppedError(Exception):
    """Raised by `Progress` where an ingest is to end before its files do."""


class Adds(Protocol):
    """Adds files to one library, one call after the other."""

    async def add(
        self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files. Raises what `Library.add` raises, and what `progress` does.

        `progress` is told after each file, in some thread.
        """
        ...

    async def rest(self) -> None:
        """Let go of what is not needed while there is nothing to add."""
        ...

    async def close(self, within_s: float) -> None:
        """Let go of everything; what is being added then is given up."""
        ...


class ThreadAdds:
    """Adds in a thread of this process."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def add(
        self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files. Raises what `Library.add` raises, and what `progress` does."""
        return await anyio.to_thread.run_sync(
            partial(self._library.add, files, metadata=metadata, progress=progress)
        )

    async def rest(self) -> None:
        """Do nothing."""

    async def close(self, within_s: float) -> None:
        """Do nothing: a thread cannot be given up."""


class ProcessAdds:
    """Adds in a process of its own (`trawl.server.adder`), which lives from job to job.

    `options` are the library's settings by name. To be used from one event loop.
    """

    def __init__(self, library: Path, options: Mapping[str, Any]) -> None:
        self._told = {"library": str(library.absolute()), "options": dict(options)}
        self._process: subprocess.Popen[bytes] | None = None
        self._used_at = 0.0
        self._is_closing = False

    async def add(
        self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress
    ) -> Report:
        """Add files. Raises what `Library.add` raises, and what `progress` does."""
        return await anyio.to_thread.run_sync(partial(self._add, files, metadata, progress))

    def _add(self, files: Sequence[str], metadata: Mapping[str, Any], progress: Progress) -> Report:
        process = self._started()
        _say(process, {"files": list(files), "metadata": dict(metadata)})
        stopped: StoppedError | None = None
        while True:
            said = self._heard(process)
            self._used_at = time.monotonic()
            match said.pop("kind"):
                case "progress" if stopped is None:
                    try:
                        progress(said["done"], said["total"], said["uri"])
                    except StoppedError as error:
                        stopped = error
                        _say(process, {"stop": True})
                case "event":
                    getattr(events, said["name"])(*said["args"], **said["named"])
                case "report":
                    return _report(said)
                case "stopped":
                    raise stopped or StoppedError("the process that adds was told to stop")
                case "error":
                    raise _error(said["name"], said["message"])

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # Not by the event loop: uvloop forks, which the store's threads do not bear.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trawl.server.adder"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is for the process that serves, which then ends this one.
                process_group=0,
            )
            self._is_closing = False
            _say(self._process, self._told)
        return self._process

    def _heard(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        line = _pipe(process.stdout).readline()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        if self._is_closing:
            raise StoppedError("the process that adds was closed")
        code = process.wait()
        raise RuntimeError(f"the process that adds ended with code {code}, in the middle of a job")

    async def rest(self) -> None:
        """Let the process go where it has had nothing to do for a while."""
        if self._process is not None and time.monotonic() - self._used_at > _IDLE_S:
            await self.close(1.0)

    async def close(self, within_s: float) -> None:
        """End the process: by the end of its input, and where that is not enough by force.

        A library whose writer is killed is set right by the next one.
        """
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            self._is_closing = True
            await anyio.to_thread.run_sync(_end, process, within_s)


def _end(process: subprocess.Popen[bytes], within_s: float) -> None:
    with suppress(OSError):
        _pipe(process.stdin).close()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        logger.warning("a file is still being added; its job goes on at the next start")
        process.kill()
        process.wait()


def _say(process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
    # A process that is gone says so by the end of what it says.
    with suppress(OSError, ValueError):
        _pipe(process.stdin).write(json.dumps(message).encode() + b"\n")
        _pipe(process.stdin).flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # both are asked for
    return pipe


def _report(said: Mapping[str, Any]) -> Report:
    failed = tuple(Failure(**one) for one in said["failed"])
    return Report(**{**said, "failed": failed})


def _error(name: str, message: str) -> Exception:
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, TrawlError):
        found: TrawlError = kind(message)
        return found
    return RuntimeError(f"{name}: {message}")
