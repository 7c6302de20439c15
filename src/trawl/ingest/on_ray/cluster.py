"""Start a Ray cluster on this machine, or join one."""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trawl.errors import EngineError, SettingsError, UsageError

# Set unless the user has. Otherwise Ray would accept anybody who reaches it, report usage, and
# listen on all interfaces; the last variable makes it use the loopback address, on any system.
_LOCAL_ENVIRONMENT: Mapping[str, str] = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
# Answers of the workers, which the driver takes at once.
_OBJECT_STORE_BYTES = 256 * 2**20
_REACH_S = 10.0


@dataclass(frozen=True, slots=True)
class RayCluster:
    """How `add` uses Ray.

    `address` is that of a cluster, or "auto" for the one that this machine belongs to. Without it,
    Ray's own `RAY_ADDRESS` counts, and otherwise a cluster is started on this machine, for the
    time of the run. `workers` is the number of workers; as many as there is room for if None. A
    worker occupies `cpus` processors and `gpus` GPUs, which may be a fraction, such as 0.25.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1
    gpus: float = 0

    def __post_init__(self) -> None:
        """Raise `UsageError` for numbers that are out of range."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"{self.workers} workers: expected at least 1")
        if not 0 < self.cpus < math.inf:
            raise UsageError(f"{self.cpus:g} processors a worker: expected a number above 0")
        if not 0 <= self.gpus < math.inf or (self.gpus > 1 and self.gpus % 1):
            raise UsageError(
                f"{self.gpus:g} GPUs a worker: expected a fraction such as 0.25, or a whole number"
            )
        if self.address is not None and self.address.startswith("ray://"):
            raise UsageError(
                f"{self.address}: Ray Client is not supported; run the command on a machine of the "
                "cluster with the address auto, for example as a Ray job"
            )

    def count_workers(self, resources: Mapping[str, float]) -> int:
        """Return the number of workers for the resources of a cluster. Raises `EngineError`."""
        if self.workers is not None:
            return self.workers
        room = [resources.get("CPU", 0) / self.cpus]
        if self.gpus:
            room.append(resources.get("GPU", 0) / self.gpus)
        if min(room) < 1:
            raise EngineError(
                f"the Ray cluster has {described(resources)}, which is too little for a worker "
                f"with {self.cpus:g} CPU and {self.gpus:g} GPU; ask for less, or add machines"
            )
        return int(min(room))


def described(resources: Mapping[str, float]) -> str:
    """Return the processors of a cluster in words."""
    return f"{resources.get('CPU', 0):g} CPU and {resources.get('GPU', 0):g} GPU"


@contextmanager
def joined(cluster: RayCluster) -> Iterator[Any]:
    """Yield the module `ray`, connected to a cluster.

    A connection that the process has already is used and stays. Raises `EngineError` if there is
    no cluster at the address, and `SettingsError` if Ray is not installed.
    """
    address = cluster.address or os.environ.get("RAY_ADDRESS") or "local"
    if address == "local":
        _prepare_environment()
    ray = _imported()
    if ray.is_initialized():
        yield ray
        return
    folder = None
    try:
        with _own_signals(), warnings.catch_warnings():
            # Ray's processes are forked before they start another program, which is safe.
            warnings.filterwarnings("ignore", "lance is not fork-safe")
            if address == "local":
                folder = _start(ray, cluster)
            else:
                _connect(ray, address)
        yield ray
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _imported() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"the engine ray requires {error.name}; install it with: "
            "pip install 'trawl-multimodal[ray]'"
        ) from error
    return ray


def _prepare_environment() -> None:
    if "ray" not in sys.modules:
        # Ray reads them when it is imported; setting them later would only confuse its processes.
        # Since 2.59, it asks for a token anyway.
        for name, value in _LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
    has_token = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if os.environ.get("RAY_AUTH_MODE", "token") == "token" and not has_token:
        # Ray would write one to the home directory, and leave it there.
        with suppress(RuntimeError):
            if (Path.home() / ".ray" / "auth_token").exists():
                return
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _start(ray: Any, cluster: RayCluster) -> str | None:
    """Start a cluster on this machine. Return its temporary folder, None if the user chose one."""
    folder = None if "RAY_TMPDIR" in os.environ else tempfile.mkdtemp(prefix="trawl-ray-")
    wanted = math.ceil((cluster.workers or 1) * cluster.cpus)
    try:
        ray.init(
            address="local",
            num_cpus=max(wanted, os.cpu_count() or 1),
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            _temp_dir=folder,
            **_QUIET,
        )
    except Exception as error:  # of many types
        raise EngineError(
            f"Ray cannot be started: {reason_of(error)}; its logs are in {folder or 'RAY_TMPDIR'}"
        ) from error
    return folder


def _connect(ray: Any, address: str) -> None:
    try:
        if address != "auto":
            _reach(address)
        ray.init(address=address, **_QUIET)
    except Exception as error:
        raise EngineError(
            f"no Ray cluster can be used at {address}: {reason_of(error)}; check the address, and "
            "RAY_AUTH_TOKEN if the cluster has a token"
        ) from error


def _reach(address: str) -> None:
    """Raise `OSError` or `ValueError` if nothing listens. Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("expected HOST:PORT, or auto")
    socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


_QUIET: Mapping[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's signal handlers; Ray replaces them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(kind) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, handlers, strict=True):
            if handler is not None:
                signal.signal(kind, handler)


def reason_of(error: BaseException) -> str:
    """Return the last line of an exception's message, which Ray fills with stack traces."""
    text = getattr(error, "strerror", None) or str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
