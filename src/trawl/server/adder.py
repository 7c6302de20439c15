"""The process that adds the files of jobs: `python -m trawl.server.adder`, see `adding`.

Its first line of input says to which library; each further line is a job, or the order to
stop the one that runs. It answers with lines of JSON, and ends with its input.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trawl.errors import TrawlError
from trawl.library import Library
from trawl.server.adding import StoppedError
from trawl.server.logs import configure
from trawl.telemetry import Observer, events, logger
from trawl.types import Modality

# Those who ask questions go first.
_NICENESS = 10
_TELL_S = 0.1


class _Voice:
    """Says things, in lines of JSON; what the parts tell, too. Safe to use from any thread."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
        # Whatever is printed from here on is no message.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._lock = threading.Lock()

    def say(self, kind: str, **message: Any) -> None:
        line = json.dumps({"kind": kind, **message}, default=str)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()

    def _event(self, name: str, *args: Any, **named: Any) -> None:
        self.say("event", name=name, args=args, named=named)

    def encoded(self, *args: str, items: int, seconds: float) -> None:
        self._event("encoded", *args, items=items, seconds=seconds)

    def encoder_queue(self, *args: str, waiting: int) -> None:
        """Keep it: the queues of this process are not those that questions wait in."""

    def encoder_refused(self, model: str, modality: Modality) -> None:
        """Keep it: documents are not refused."""

    def model_loaded(self, model: str, modality: Modality, *, seconds: float) -> None:
        self._event("model_loaded", model, modality, seconds=seconds)

    def embedding(self, model: str, modality: Modality, *, hit: bool) -> None:
        """Keep it: nobody asks questions here."""

    def source_searched(self, source: str, *, seconds: float) -> None:
        """Keep it: nobody asks questions here."""


class _Orders:
    """What comes in: jobs in a queue, and whether the one that runs is to stop."""

    def __init__(self) -> None:
        self.jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.stop = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8") as lines:
            for line in lines:
                order = json.loads(line)
                if "stop" in order:
                    self.stop.set()
                else:
                    self.jobs.put(order)
        self.stop.set()
        self.jobs.put(None)


class _Progress:
    """Tells how far a job is, and stops it where that was ordered."""

    def __init__(self, voice: _Voice, stop: threading.Event) -> None:
        self._voice, self._stop = voice, stop
        self._told_at = time.monotonic()

    def __call__(self, done: int, total: int, uri: str) -> None:
        if self._stop.is_set():
            raise StoppedError("told to stop")
        now = time.monotonic()
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            self._voice.say("progress", done=done, total=total, uri=uri)


def main() -> None:
    """Add what comes, until nothing more can come."""
    voice, orders = _Voice(), _Orders()
    os.nice(_NICENESS)
    told = orders.jobs.get()
    if told is None:
        return
    watching: Observer = voice
    try:
        with Library(Path(told["library"]), **told["options"]) as library:
            configure(library.settings.log_format, library.settings.log_level)
            events.watch(watching)
            while (job := orders.jobs.get()) is not None:
                orders.stop.clear()
                _add(library, job, voice, orders.stop)
    except TrawlError as error:
        voice.say("error", name=type(error).__name__, message=str(error))


def _add(library: Library, job: dict[str, Any], voice: _Voice, stop: threading.Event) -> None:
    try:
        report = library.add(
            job["files"], metadata=job["metadata"], progress=_Progress(voice, stop)
        )
    except StoppedError:
        voice.say("stopped")
    except TrawlError as error:
        voice.say("error", name=type(error).__name__, message=str(error))
    except Exception as error:
        logger.exception("a job cannot be run")
        voice.say("error", name=type(error).__name__, message=str(error))
    else:
        voice.say("report", **asdict(report))


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    # What was added is in. A thread that waits for input does not keep the process.
    os._exit(0)
