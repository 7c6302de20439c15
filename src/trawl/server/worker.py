"""One of several processes that serve: `python -m trawl.server.worker`, started by `workers`.

Its first line of input says what to do. The input stays open for as long as the process
that started it lives; its end is the end of this one, too. What it has to tell goes to
standard output, a JSON object a line.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from trawl.errors import TrawlError
from trawl.server.metrics import Metrics, share_metrics


def main() -> int:
    """Serve, and give the exit code."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    tell = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Whatever is printed from here on is no message.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(**message: Any) -> None:
        tell.write(json.dumps(message) + "\n")
        tell.flush()

    threading.Thread(target=_end_with_input, daemon=True).start()
    share_metrics(Path(told["metrics"]))
    gc.disable()  # until it serves; see `running`
    try:
        from trawl.library import Library
        from trawl.server.serving import serve

        metrics = Metrics(Path(told["metrics"]), told["worker"], told["restarts"])
        listening = socket.socket(fileno=told["socket"])
        with Library(Path(told["library"]), **told["options"]) as library:
            serve(library, listening, metrics, lambda: say(listening=True))
    except TrawlError as error:
        say(error=type(error).__name__, message=str(error))
        return error.exit_code
    return 0


def _end_with_input() -> None:
    """Wait for the end of the input, and stop as if told to."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Everything is closed. A thread that still reads a file, or waits for input, does not
    # keep the process.
    os._exit(code)
