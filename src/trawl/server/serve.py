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
from typing import Any

import uvicorn
from uvicorn.supervisors.multiprocess import SIGNALS, Multiprocess, Process

from trawl.errors import LibraryError, SettingsError, TrawlError
from trawl.server.process import KILL_S, open_served, server_of, single
from trawl.server.proxy import is_loopback
from trawl.settings import Settings, load_settings
from trawl.telemetry import logger

_BACKLOG = 2048
# Requests do not wait longer for another writer; clients are asked to retry.
_LOCK_WAIT_S = 1.0
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
    settings = load_settings(single(library), **options)
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

            with open_served(library, options) as opened:
                server = server_of(opened, Metrics(), started)
                server.run(sockets=[listening])
                server.finish()
    finally:
        gc.enable()
        listening.close()


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
            with open_served(path, options) as library:
                metrics = Metrics(self.metrics, self.number, self.restarts)
                server = self._server = server_of(library, metrics, lambda: None)
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
        deadline = time.monotonic() + KILL_S
        for worker in self.processes:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.exitcode is None:
                logger.warning("process %d did not exit in time and is killed", worker.pid)
                worker.process.kill()
                worker.process.join()
