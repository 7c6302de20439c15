"""Serving: a socket, one process or several, and an end when it is asked for."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from trawl.errors import SettingsError
from trawl.settings import Settings, load_settings

_BACKLOG = 2048
# A question does not wait for another writer to finish: it is told to come again.
_LOCK_WAIT_S = 1.0


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
    address is printed. `options` are settings by name; with `workers` above 1, as many
    processes serve. Raises what `Library` raises, and `SettingsError` where the address
    cannot be had.
    """
    options = {"lock_wait_s": _LOCK_WAIT_S, **options, "host": host, "port": port}
    settings = load_settings(library, **options)
    _check_public(settings)
    _check_extras(settings)
    listening = _listen(settings.host, settings.port)
    address = _address(listening)

    def started() -> None:
        if announce is not None:
            announce(address)
        else:
            print(f"Trawl serves {library} at {address} (see {address}/docs)", flush=True)

    try:
        if settings.workers > 1:
            from trawl.server.workers import Workers

            Workers(library, options, settings, listening).run(started)
            return
        # What is imported stays: to look it over for garbage takes a sixth of the start.
        gc.disable()
        from trawl.library import Library
        from trawl.server.metrics import Metrics
        from trawl.server.serving import serve

        with Library(library, **options) as opened:
            serve(opened, listening, Metrics(), started)
    finally:
        gc.enable()
        listening.close()


def _check_public(settings: Settings) -> None:
    """Refuse to give a library to a whole network without keys, unless that is what is meant."""
    if settings.api_keys or settings.insecure or _is_loopback(settings.host):
        return
    raise SettingsError(
        f"{settings.host} can be reached from other machines, and no keys are set: anyone there "
        "could read the library. Make a key (`python -m trawl.server.keys NAME`), listen on "
        "127.0.0.1, or set insecure where something in front of the server asks for keys"
    )


def _check_extras(settings: Settings) -> None:
    """Raise `SettingsError` for a Redis without the client for it."""
    for store in (settings.cache, settings.limits_store):
        if store is not None and store != "memory":
            from trawl.server.shared import check_redis

            check_redis(store)


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
