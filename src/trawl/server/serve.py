"""Serve a library over HTTP, from one process or several, until SIGINT or SIGTERM.

Several processes accept connections from one socket; uvicorn's supervisor starts them and
replaces those that die. The supervising process imports neither the library nor FastAPI.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS, Multiprocess, Process

from trawl.errors import LibraryError, SettingsError, TrawlError
from trawl.native import keep_few_arenas
from trawl.server.proxy import is_loopback
from trawl.settings import Settings, load_settings
from trawl.telemetry import logger

if TYPE_CHECKING:
    from trawl.library import Library
    from trawl.server.metrics import Metrics
    from trawl.server.service import Service

_BACKLOG = 2048
# Requests do not wait longer for another writer; clients are asked to retry.
_LOCK_WAIT_S = 1.0
_KEEP_ALIVE_S = 30
# Seconds after the signal: responses are finished until then, ...
_GRACE_S = 8
# ... a job that is still at one file is abandoned (it resumes at the next start), ...
_EXIT_S = 9.5
# ... and a process that is still there is killed.
_KILL_S = 9.7
# A worker that dies within this time is replaced after a pause, since it may die again.
_YOUNG_S = 10.0
_LONGEST_PAUSE_S = 10.0


def run(
    library: str | Path | tuple[str, ...],
    host: str | None = None,
    port: int | None = None,
    *,
    announce: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Serve a library, or several as one, until SIGINT or SIGTERM.

    `host` and `port` default to the settings; port 0 selects a free one. `announce` is called
    with the server's address once it accepts requests; without it, the address is printed.
    `options` are settings by name; with `workers` above 1, that many processes serve. Other
    processes are spawned by `multiprocessing`, so scripts need an `if __name__ == "__main__"`.
    Raises what `Library` raises, and `SettingsError` if the address is not available.
    """
    options = {"lock_wait_s": _LOCK_WAIT_S, **options, "host": host, "port": port}
    settings = load_settings(None if _is_several(library) else _path(library), **options)
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
            _serve_from_workers(library, options, settings, listening, started)
        else:
            # Modules stay in memory: collecting garbage among them takes a sixth of the start.
            gc.disable()
            from trawl.server.metrics import Metrics

            with _opened(library, options) as opened:
                server = _server(opened, Metrics(), started)
                server.run(sockets=[listening])
                server.finish()
    finally:
        gc.enable()
        listening.close()


def _is_several(library: str | Path | tuple[str, ...]) -> bool:
    from trawl.libraries.catalogue import is_several

    return is_several(library if isinstance(library, tuple) else [str(library)])


def _path(library: str | Path | tuple[str, ...]) -> str | Path:
    return library[0] if isinstance(library, tuple) else library


def _opened(library: str | Path | tuple[str, ...], options: Mapping[str, Any]) -> Library:
    """Open a library, or several that take its place."""
    keep_few_arenas()
    if not _is_several(library):
        from trawl.library import Library

        return Library(_path(library), **options)
    from trawl.libraries.served import ServedLibraries

    addresses = library if isinstance(library, tuple) else (str(library),)

    # It has all that a server asks of a library.
    return cast("Library", ServedLibraries(addresses, **options))


def _check_public(settings: Settings) -> None:
    """Raise `SettingsError` for a server without keys that other machines can reach."""
    if settings.api_keys or settings.insecure or is_loopback(settings.host):
        return
    raise SettingsError(
        f"{settings.host} can be reached from other machines, and no keys are set: anyone there "
        "could read the library. Make a key (`python -m trawl.server.auth NAME`), listen on "
        "127.0.0.1, or set insecure if a proxy in front of the server authenticates clients"
    )


def _check_extras(settings: Settings) -> None:
    """Raise `SettingsError` if Redis is configured and its client is not installed."""
    for store in (settings.cache, settings.limits_store):
        if store is not None and store != "memory":
            from trawl.server.redis import check_redis

            check_redis(store)


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `SettingsError` if the address is not available."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"host {host!r} is not an address: {error.strerror}") from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "use another --port (0 selects a free one) or --host"
        ) from error
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# --- one process -------------------------------------------------------------------------


def _server(library: Library, metrics: Metrics, started: Callable[[], None]) -> _Server:
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
    return _Server(config, app.state.service, started)


class _Server(uvicorn.Server):
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


# --- several processes -------------------------------------------------------------------


def _serve_from_workers(
    library: str | Path | tuple[str, ...],
    options: Mapping[str, Any],
    settings: Settings,
    listening: socket.socket,
    started: Callable[[], None],
) -> None:
    """Serve from `settings.workers` processes. Raises what keeps the first ones from starting."""
    metrics = Path(tempfile.mkdtemp(prefix="trawl-metrics-"))
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        supervisor = _Supervisor(library, options, settings, listening, metrics, started)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.should_exit.set())
        supervisor.run()
        if supervisor.failure is not None:
            raise supervisor.failure
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        shutil.rmtree(metrics, ignore_errors=True)


class _Worker(Process):
    """A process that serves. `metrics` is the folder of all processes' metrics."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        library: tuple[str | Path | tuple[str, ...], Mapping[str, Any]],
        metrics: tuple[Path, int, int],
    ) -> None:
        super().__init__(config, sockets)
        self._library = library
        self.metrics, self.number, self.restarts = metrics
        self.failures, self._failure = multiprocessing.Pipe(duplex=False)
        self.started_at = time.monotonic()
        self.replace_at: float | None = None
        self.pause_s = 0.0

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, in the new process, until SIGTERM or the end of the supervisor."""
        os.setpgrp()  # Ctrl-C is handled by the supervisor
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        gc.disable()  # until the server has started
        threading.Thread(target=_end_with_parent, daemon=True).start()
        threading.Thread(target=self.always_pong, daemon=True).start()
        from trawl.server.metrics import Metrics, share_metrics

        share_metrics(self.metrics)
        path, options = self._library
        try:
            with _opened(path, options) as library:
                metrics = Metrics(self.metrics, self.number, self.restarts)
                server = self._server = _server(library, metrics, lambda: None)
                server.run(sockets)
                server.finish()
        except TrawlError as error:
            self._failure.send(error)
            os._exit(error.exit_code)
        sys.stderr.flush()
        os._exit(0)  # threads that still wait for input or a file do not delay the exit

    def failure(self) -> TrawlError:
        if self.failures.poll():
            error: TrawlError = self.failures.recv()
            return error
        return LibraryError(
            f"a server process exited with code {self.exitcode} while starting; see the log above"
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Supervisor(Multiprocess):
    """Starts the workers, and replaces those that die."""

    processes: list[_Worker]  # type: ignore[assignment]

    def __init__(
        self,
        library: str | Path | tuple[str, ...],
        options: Mapping[str, Any],
        settings: Settings,
        listening: socket.socket,
        metrics: Path,
        started: Callable[[], None],
    ) -> None:
        # Holds the number of workers; each makes its own configuration.
        config = uvicorn.Config(
            "trawl.server:create_app", workers=settings.workers, log_config=None
        )
        super().__init__(config, [listening])
        self._library = (library, dict(options))
        self._settings = settings
        self._metrics = metrics
        self._started: Callable[[], None] | None = started
        self.failure: TrawlError | None = None

    def init_processes(self) -> None:
        for number in range(self.processes_num):
            self.processes.append(self._start(number))
        from trawl.server.logs import configure  # now there is time for it

        configure(self._settings.log_format, self._settings.log_level)
        shared = self._settings.limits_store or self._settings.cache
        if self._settings.rate_limit and shared == "memory":
            logger.warning(
                "each of the %d processes counts requests for itself: set limits_store to a "
                "Redis URL for one rate_limit over all of them",
                self.processes_num,
            )

    def _start(self, number: int, restarts: int = 0, pause_s: float = 0.0) -> _Worker:
        worker = _Worker(
            self.config, self.sockets, self._library, (self._metrics, number, restarts)
        )
        worker.pause_s = pause_s
        worker.start()
        return worker

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died; stop if one dies before all have started."""
        for number, worker in enumerate(self.processes):
            if worker.process.is_alive():
                continue
            if self._started is not None:
                self.failure = worker.failure()
                self.should_exit.set()
                return
            if worker.replace_at is None:
                self._clear(worker)
            if worker.replace_at is not None and time.monotonic() >= worker.replace_at:
                self.processes[number] = self._start(number, worker.restarts + 1, worker.pause_s)
        if self._started is not None and all(worker.is_ready(1) for worker in self.processes):
            self._started()
            self._started = None

    def _clear(self, worker: _Worker) -> None:
        """Log the end of a worker, drop its gauges, and schedule its replacement."""
        now = time.monotonic()
        young = now - worker.started_at < _YOUNG_S
        worker.pause_s = min(_LONGEST_PAUSE_S, max(0.5, worker.pause_s * 2)) if young else 0.0
        worker.replace_at = now + worker.pause_s
        for file in self._metrics.glob(f"gauge_live*_{worker.pid}.db"):
            file.unlink(missing_ok=True)
        reason = f" ({worker.failures.recv()})" if worker.failures.poll() else ""
        logger.error(
            "process %d (worker %d) exited with code %s%s and will be replaced",
            worker.pid,
            worker.number,
            worker.exitcode,
            reason,
        )

    def join_all(self) -> None:
        """Wait for all workers, and kill those that do not exit in time."""
        deadline = time.monotonic() + _KILL_S
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.exitcode is None:
                logger.warning("process %d did not exit in time and is killed", worker.pid)
                worker.process.kill()
                worker.process.join()
