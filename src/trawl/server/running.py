"""Serving: a socket, an address on the screen, and an end when it is asked for."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from trawl.errors import SettingsError
from trawl.library import Library
from trawl.server.app import create_app
from trawl.server.logs import configure
from trawl.server.service import Service
from trawl.settings import Settings

_BACKLOG = 2048
_KEEP_ALIVE_S = 30
# From SIGTERM: what is being answered is finished, and whoever still waits then is let go.
_GRACE_S = 8


def run(
    library: Path,
    host: str | None = None,
    port: int | None = None,
    *,
    announce: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve a library until SIGINT or SIGTERM.

    `host` and `port` of None are those of the settings; port 0 takes one that is free.
    `announce` is told the server's address once it can be reached; without it, the
    address is printed. `options` are settings by name. Raises what `Library` raises,
    and `SettingsError` where the address cannot be had.
    """
    with Library(library, host=host, port=port, **options) as opened:
        settings = opened.settings
        _check_public(settings)
        configure(settings.log_format, settings.log_level)
        listening = _listen(settings.host, settings.port)
        app = create_app(opened)
        server = _Server(
            app.state.service,
            uvicorn.Config(
                app,
                http="auto",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=settings.max_connections,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=_GRACE_S,
            ),
        )
        address = _address(listening)
        if announce is not None:
            announce(address)
        else:
            print(f"Trawl serves {library} at {address} (see {address}/docs)", flush=True)
        try:
            server.run(sockets=[listening])
        except KeyboardInterrupt:
            # uvicorn has ended in good order, and sends itself the signal again.
            sys.stdout.flush()
        finally:
            listening.close()


class _Server(uvicorn.Server):
    """A server that tells its application of a signal at once, not when all have gone."""

    def __init__(self, service: Service, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: streams and jobs first, since nobody else would end them."""
        self._service.stopping = True
        super().handle_exit(sig, frame)


def _check_public(settings: Settings) -> None:
    """Refuse to give a library to a whole network without keys, unless that is what is meant."""
    if settings.api_keys or settings.insecure or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"{settings.host} can be reached from other machines, and no keys are set: anyone there "
        "could read the library. Make a key (`python -m trawl.server.keys NAME`), listen on "
        "127.0.0.1, or set insecure where something in front of the server asks for keys"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Listen on an address, so that clients can come as soon as it is told."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"host {host!r} is no address: {error.strerror}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "give another --port (0 takes one that is free) or --host"
        ) from error
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
