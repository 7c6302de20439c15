"""One process that serves: an application on a socket, until it is told to stop."""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from trawl.library import Library
from trawl.server.adding import ProcessAdds
from trawl.server.app import create_app
from trawl.server.connections import protocol_with
from trawl.server.logs import configure
from trawl.server.metrics import Metrics
from trawl.server.service import Service
from trawl.telemetry import logger

_KEEP_ALIVE_S = 30
# From the signal: what is being answered is finished, and whoever still waits then is let go.
_GRACE_S = 8
# A file that is read for longer than that is left; its job goes on at the next start.
_END_S = 9.6


def serve(
    library: Library, listening: socket.socket, metrics: Metrics, started: Callable[[], None]
) -> None:
    """Serve on a socket until SIGINT or SIGTERM; `started` is told when requests are taken."""
    settings = library.settings
    configure(settings.log_format, settings.log_level)
    adds = ProcessAdds(library.path, settings.model_dump(mode="json"))
    app = create_app(library, metrics=metrics, adds=adds)
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
    server = _Server(app.state.service, config, started)
    server.run(sockets=[listening])
    server.over()


class _Server(uvicorn.Server):
    """A server that tells its application of a signal at once, and ends in time."""

    def __init__(
        self, service: Service, config: uvicorn.Config, started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._service = service
        self._started = started
        self._timer = threading.Timer(_END_S, self._leave)
        self._timer.daemon = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say so."""
        await super().startup(sockets)
        # Modules and routes stay: to look them over for garbage again and again, for some
        # 80 ms each time, would hold a request up.
        gc.freeze()
        gc.enable()
        if self.started:
            self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: streams and jobs first, since nobody else would end them.

        The signal is not sent again afterwards, as uvicorn would: a server that was told
        to stop, and did, has succeeded.
        """
        if self.should_exit:
            self.force_exit = True
            return
        self._service.stop(_GRACE_S)
        self.should_exit = True
        self._timer.start()

    def over(self) -> None:
        """Say that all is done, unless a job is still at its file."""
        if not self._service.unfinished:
            self._timer.cancel()

    def _leave(self) -> None:
        logger.warning("a job is still at its file; it goes on at the next start")
        os._exit(0)
