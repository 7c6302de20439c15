"""Start the process that computes the map, when it is asked for and out of date."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from tempfile import TemporaryFile
from typing import IO

from trawl.library import Library
from trawl.telemetry import logger

_RETRY_S = 30.0
# The process may take one processor at low priority, so that searches are not delayed.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LANCE_CPU_THREADS")


class Mapper:
    """Keeps the map of one library up to date while somebody looks at it. Thread-safe."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None  # a file, since a full pipe would stop the process
        self._failed_at = float("-inf")
        self.failure = ""

    def update(self) -> bool:
        """Start computing unless the map is current; return whether it is being computed.

        After a failure, it is tried again after 30 s; `failure` says why meanwhile.
        """
        with self._lock:
            if self._process is not None:
                if self._process.poll() is None:
                    return True
                self._finish()
            known = self._library.map()
            if known is not None and known.state == self._library.state:
                self.failure = ""
                return False
            if time.monotonic() - self._failed_at < _RETRY_S:
                return False
            self._start()
            return True

    def close(self) -> None:
        """End the process; the next one starts anew."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._forget()

    def _start(self) -> None:
        sources = {name: asdict(space) for name, space in self._library.sources.items()}
        library = self._library
        request = {
            "library": library.location.full_address,
            "storage_options": library.settings.storage_options,
            "work_dir": str(library.work_dir.absolute()),
            "sources": sources,
        }
        self._said = TemporaryFile()  # noqa: SIM115 - closed by `_forget`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trawl.library.mapping"],
            stdin=subprocess.PIPE,
            stderr=self._said,
            env=os.environ | dict.fromkeys(_ONE_THREAD, "1"),
            start_new_session=True,  # Ctrl-C is handled by the server
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode())
        self._process.stdin.close()

    def _finish(self) -> None:
        assert self._process is not None
        assert self._said is not None
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace").strip()
        code = self._process.returncode
        self._forget()
        if code:
            self._failed_at = time.monotonic()
            self.failure = "the map could not be computed; the server's log says why"
            logger.error("the map process ended with code %d: %s", code, said[-2000:])

    def _forget(self) -> None:
        if self._said is not None:
            self._said.close()
        self._process = self._said = None
