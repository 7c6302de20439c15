"""Build the container image and run it hardened: `python deploy/image.py build|test`.

Docker, buildah or podman builds it; Docker or podman runs it. Variables:

    TRAWL_IMAGE              name and tag of the image, `trawl:VERSION` by default
    TRAWL_IMAGE_BUILD_ARGS   further options of the build, such as --build-arg PYTHON_IMAGE=...
    TRAWL_IMAGE_RUN_ARGS     further options of each run, such as --runtime runc
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from serving import answer, results, upload, wait

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.findall(r'__version__ = "(.+)"', (ROOT / "src/trawl/__init__.py").read_text("utf-8"))
IMAGE = os.environ.get("TRAWL_IMAGE", f"trawl:{VERSION[0]}")
MAX_BYTES = 700e6
STOP_S = 10.0
HARDENED = [
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--user=10001:10001",
    "--pids-limit=256",
    "--ulimit=nofile=2048:2048",
    "--ulimit=nproc=1024:1024",
    "--network=host",
]


def options(variable: str) -> list[str]:
    """Return the options of an environment variable."""
    return shlex.split(os.environ.get(variable, ""))


def engine(*names: str) -> str:
    """Return the first program that works. Exits if none does."""
    for name in names:
        if shutil.which(name) and output(name, "info", check=False) is not None:
            return name
    sys.exit(f"none of {', '.join(names)} works here: install one, or start Docker's engine")


def output(*command: str, check: bool = True) -> str | None:
    """Return what a command prints, or None if it fails. With `check`, a failure exits."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and check:
        sys.exit(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
    return None if done.returncode else done.stdout.strip()


def build() -> None:
    """Build the image."""
    program = engine("docker", "buildah", "podman")
    # Only Docker's own format has a HEALTHCHECK; Docker always writes it.
    form = [] if program == "docker" else ["--format=docker"]
    command = [program, "build", *form, "--tag", IMAGE, *options("TRAWL_IMAGE_BUILD_ARGS"), "."]
    print(shlex.join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{program} did not build the image: exit code {done.returncode}")


class Container:
    """A server in a container, on a free local port, with its library in a volume."""

    def __init__(self, program: str, volume: str, *settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.program, self.name = program, f"trawl-test-{uuid.uuid4().hex[:8]}"
        self.url = f"http://127.0.0.1:{port}"
        variables = ["TRAWL_HOST=127.0.0.1", f"TRAWL_PORT={port}", *settings]
        command = [program, "run", "--detach", f"--name={self.name}", *HARDENED]
        command += [f"--volume={volume}:/library", *options("TRAWL_IMAGE_RUN_ARGS")]
        command += [f"--env={variable}" for variable in variables]
        print(shlex.join([*command, IMAGE]), flush=True)
        output(*command, IMAGE)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        output(self.program, "rm", "--force", self.name, check=False)

    def inside(self, *command: str) -> str | None:
        """Return what a command in the container prints, or None if it fails."""
        return output(self.program, "exec", self.name, *command, check=False)

    def log(self) -> str:
        """Return what the container printed."""
        done = subprocess.run([self.program, "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr

    def running(self) -> bool:
        """Return whether the container runs."""
        shown = output(self.program, "inspect", "--format={{.State.Running}}", self.name)
        return shown == "true"

    def code(self) -> int:
        """Wait for the end of the container and return its exit code."""
        wait("the end of the container", lambda: not self.running(), 2 * STOP_S)
        return int(output(self.program, "inspect", "--format={{.State.ExitCode}}", self.name) or "")

    def ready(self) -> float:
        """Wait until the server is ready. Return the seconds that it took."""

        def wanted() -> bytes:
            if not self.running():
                sys.exit(f"the container ended:\n{self.log()}")
            return answer(f"{self.url}/health/ready")

        return wait("/health/ready", wanted)

    def stop(self) -> float:
        """Send SIGTERM and check the exit. Return the seconds that it took."""
        began = time.monotonic()
        output(self.program, "kill", "--signal=TERM", self.name)
        code, took = self.code(), time.monotonic() - began
        require(code == 0, f"SIGTERM: exit code {code}\n{self.log()}")
        require(took <= STOP_S, f"SIGTERM: it took {took:.1f} s to exit")
        return took


def require(condition: object, otherwise: str) -> None:
    """Exit with a message unless a condition holds."""
    if not condition:
        sys.exit(otherwise)


def check_limits(server: Container) -> None:
    """Check that the server's process has no privileges and cannot write outside of its volume."""
    status = server.inside("cat", "/proc/1/status") or ""
    found = dict(re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s+(\S+)", status, re.MULTILINE))
    wanted = {"Uid": "10001", "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}
    require(found == wanted, f"privileges: {found}, expected {wanted}")
    for path in ("/usr/x", "/opt/trawl/x", "/etc/x"):
        require(server.inside("touch", path) is None, f"the container can write {path}")
    print(f"privileges: {', '.join(f'{key} {value}' for key, value in found.items())}; read-only")


def check_server(server: Container) -> None:
    """Add and find a text, a picture's file type and read the metrics."""
    require(server.inside("healthcheck") is not None, "the image's health check fails")
    upload(server.url)
    found_s = wait("a search for the upload", lambda: results(server.url))
    [first, *_] = results(server.url)
    require("muon" in json.dumps(first), f"the search found something else: {first}")
    metrics = answer(f"{server.url}/metrics").decode()
    for name in ("trawl_http_request_seconds_count", "trawl_ingest_documents_total"):
        require(f"\n{name}" in metrics, f"/metrics has no {name}")
    print(f"health check passes; the upload was found after {found_s:.1f} s; metrics are there")


def test() -> None:
    """Run the image hardened and check it."""
    program = engine("docker", "podman")
    size = int(output(program, "image", "inspect", "--format={{.Size}}", IMAGE) or "")
    print(f"{IMAGE}: {size / 1e6:.0f} MB")
    if not os.environ.get("TRAWL_IMAGE_ANY_SIZE"):
        require(size <= MAX_BYTES, f"more than {MAX_BYTES / 1e6:.0f} MB")
    volume = f"trawl-test-{uuid.uuid4().hex[:8]}"
    try:
        with Container(program, volume, "TRAWL_HOST=0.0.0.0") as locked:
            require(locked.code() != 0, "a server without keys must not start")
            require("no keys are set" in locked.log(), f"no word about keys:\n{locked.log()}")
            print("without API keys: it does not start")
        with Container(program, volume, "TRAWL_INSECURE=true") as server:
            print(f"ready after {server.ready():.1f} s")
            check_limits(server)
            check_server(server)
            print(f"SIGTERM: exit code 0 after {server.stop():.1f} s")
        with Container(program, volume, "TRAWL_INSECURE=true") as again:
            again.ready()
            require(results(again.url), "the document is gone after a restart")
            again.stop()
            print("a new container on the volume finds the document")
    finally:
        output(program, "volume", "rm", volume, check=False)


if __name__ == "__main__":
    commands = {"build": build, "test": test}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: python {sys.argv[0]} {'|'.join(commands)}")
    commands[sys.argv[1]]()
