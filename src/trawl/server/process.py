"""Serve a library from one process: the server, and how it ends."""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from trawl.native import keep_few_arenas
from trawl.telemetry import logger

if TYPE_CHECKING:
    from trawl.library import Library
    from trawl.server.metrics import Metrics
    from trawl.server.service import Service

_KEEP_ALIVE_S = 30
# Seconds after the signal: responses are finished until then, ...
_GRACE_S = 8
# ... a job that is still at one file is abandoned (it resumes at the next start), ...
_EXIT_S = 9.5
# ... and a process that is still there is killed.
KILL_S = 9.7


def single(library: str | Path | tuple[str, ...]) -> str | None:
    """Return the address of the one library to serve, or None for several."""
    from trawl.libraries.catalogue import is_several

    addresses = library if isinstance(library, tuple) else (str(library),)
    return None if is_several(addresses) else addresses[0]


def open_served(library: str | Path | tuple[str, ...], options: Mapping[str, Any]) -> Library:
    """Open a library, or several that take its place."""
    keep_few_arenas()
    one = single(library)
    if one is not None:
        from trawl.library import Library

        return Library(one, **options)
    from trawl.libraries.served import ServedLibraries

    addresses = library if isinstance(library, tuple) else (str(library),)
    # It has all that a server asks of a library.
    return cast("Library", ServedLibraries(addresses, **options))


def server_of(library: Library, metrics: Metrics, started: Callable[[], None]) -> Server:
    """Return a server for a library; `started` is called when it accepts requests."""
    from trawl.libraries.served import are_several
    from trawl.server.app import create_app
    from trawl.server.http_protocol import protocol_with
    from trawl.server.job_process import ProcessIngester
    from trawl.server.logs import configure

    settings = library.settings
    configure(settings.log_format, settings.log_level)
    # Several libraries take no uploads.
    ingester = None
    if not are_several(library):
        ingester = ProcessIngester(library, settings.model_dump(mode="json"))
    app = create_app(library, metrics=metrics, ingester=ingester)
    config = uvicorn.Config(
        app,
        http=protocol_with(settings.max_connections, metrics.rejected),
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Server(config, app.state.service, started)


class Server(uvicorn.Server):
    """A server that stops event streams and jobs on a signal, and exits within `_EXIT_S`."""

    def __init__(
        self, config: uvicorn.Config, service: Service, on_started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._on_started = on_started
        self._timer = threading.Timer(_EXIT_S, self._exit)
        self._timer.daemon = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Exclude modules and routes from garbage collection, which would delay a request
        # by some 80 ms each time.
        gc.freeze()
        gc.enable()
        if self.started:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on the first signal, and at once on the second.

        Unlike uvicorn, do not raise the signal again afterwards: the exit code is 0.
        """
        if self.should_exit:
            self.force_exit = True
            return
        self._service.stop(_GRACE_S)
        self.should_exit = True
        self._timer.start()

    def finish(self) -> None:
        """Cancel the forced exit, unless a job is still running in a thread."""
        if not self._service.unfinished:
            self._timer.cancel()

    def _exit(self) -> None:
        logger.warning("a file is still being added; its job resumes at the next start")
        os._exit(0)
