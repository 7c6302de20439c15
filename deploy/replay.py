"""Run the Dockerfile without a container engine: `python deploy/replay.py`.

Each stage becomes a temporary folder, the image's paths are mapped into it, and RUN, COPY and ENV
are executed in order. Commands that need root (users, owners) are skipped and printed. Then the
entry point is started on an empty volume. The server must pass the health check, add and find a
document, and exit within 10 s of SIGTERM.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from serving import results, upload, wait

ROOT = Path(__file__).resolve().parent.parent
NEEDS_ROOT = re.compile(r"^(groupadd|useradd|apt-get)\b")


@dataclass
class Stage:
    """A build stage: its folder, working directory and environment."""

    name: str
    folder: Path
    workdir: str = "/"
    environment: dict[str, str] = field(default_factory=dict)

    def path(self, inside: str) -> Path:
        """Return the local path of a path in the image."""
        return self.folder / (Path(self.workdir) / inside).as_posix().lstrip("/")


def instructions(text: str) -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, without comments and with continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parsed = []
    for line in joined.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            parsed.append((word.upper(), rest.strip()))
    return parsed


def is_sent(path: str, rules: list[str]) -> bool:
    """Return whether .dockerignore sends a path to the build: the last matching rule decides."""
    sent = True
    for rule in rules:
        keep = rule.startswith("!")
        pattern = rule.lstrip("!").replace("**/", "*")
        parents = [path, *(str(parent) for parent in Path(path).parents)]
        if any(
            fnmatch.fnmatch(one, pattern) or f"/{one}".endswith(f"/{pattern}") for one in parents
        ):
            sent = keep
    return sent


class Replay:
    """Executes the instructions in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages: dict[str, Stage] = {}
        self.stage: Stage | None = None
        self.entry: list[str] = []
        self.check: list[str] = []
        rules = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        self.rules = [line.strip() for line in rules if line.strip() and line[0] != "#"]

    def run(self) -> Stage:
        """Execute all instructions and return the last stage."""
        for word, rest in instructions((ROOT / "Dockerfile").read_text("utf-8")):
            getattr(self, f"do_{word.lower()}")(rest)
        assert self.stage is not None
        return self.stage

    def do_from(self, rest: str) -> None:
        """Start a stage in an empty folder. This Python takes the place of the base image's."""
        _, _, name = rest.partition(" AS ")
        name = name.strip() or "last"
        stage = Stage(name, self.folder / name)
        stage.folder.mkdir()
        self.stage = self.stages[name] = stage

    def do_env(self, rest: str) -> None:
        """Set environment variables."""
        assert self.stage is not None
        for pair in shlex.split(rest):
            key, _, value = pair.partition("=")
            self.stage.environment[key] = value

    def do_arg(self, rest: str) -> None:
        """Set a build argument to its default."""
        if self.stage is not None:
            self.do_env(rest)

    def do_workdir(self, rest: str) -> None:
        """Create and enter a directory."""
        assert self.stage is not None
        self.stage.workdir = rest
        self.stage.path(".").mkdir(parents=True, exist_ok=True)

    def do_copy(self, rest: str) -> None:
        """Copy from the project, if .dockerignore sends the file, or from another stage."""
        assert self.stage is not None
        words = shlex.split(rest)
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        other = next((o.partition("=")[2] for o in options if o.startswith("--from=")), None)
        for source in sources:
            if other is not None:
                origin = self.stages[other].path(source)
                assert origin.exists(), f"COPY --from={other}: no {source}"
            else:
                origin = ROOT / source
                assert origin.exists(), f"COPY: no {source} in the project"
                assert is_sent(source, self.rules), f".dockerignore excludes {source}"
            place = self.stage.path(target)
            if target.endswith("/") or target in (".", "./"):
                place.mkdir(parents=True, exist_ok=True)
                place = place / origin.name
            if origin.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc") if other is None else None
                shutil.copytree(origin, place, ignore=ignored, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(origin, place)

    def do_run(self, rest: str) -> None:
        """Run a command with the image's paths mapped, without the parts that need root."""
        assert self.stage is not None
        parts = [part.strip() for part in rest.split(" && ")]
        kept = [part for part in parts if not NEEDS_ROOT.match(part)]
        for part in parts:
            if part not in kept:
                print(f"skipped (needs root): RUN {part}", flush=True)
        command = re.sub(r" --(owner|group)=\S+", "", " && ".join(kept))
        for path in ("/opt/trawl", "/library"):
            command = re.sub(rf"(?<![\w/]){path}\b", str(self.stage.path(path)), command)
        if kept and not command.startswith("install "):
            print(f"RUN {command}", flush=True)
        if command.startswith("install "):
            self.stage.path("/library").parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["sh", "-ec", command],
            cwd=self.stage.path("."),
            env=self._environment(),
            check=True,
        )

    def do_entrypoint(self, rest: str) -> None:
        """Keep the command of the entry point."""
        self.entry = json.loads(rest)

    def do_healthcheck(self, rest: str) -> None:
        """Keep the command of the health check."""
        self.check = json.loads(rest.partition(" CMD ")[2])

    def _pass(self, rest: str) -> None:
        """Ignore an instruction that only concerns a container engine."""

    do_label = do_user = do_volume = do_expose = do_stopsignal = _pass

    def _environment(self) -> dict[str, str]:
        assert self.stage is not None
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
        kept |= {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        here = str(Path(sys.executable).resolve().parent)
        return {**kept, "PATH": f"{here}:/usr/bin:/bin", **_without_path(self.stage.environment)}


def _without_path(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key not in ("PATH", "HOME")}


def start(replay: Replay, stage: Stage) -> None:
    """Start the entry point on an empty volume and check the server."""
    # Installed scripts contain the path of the first stage, which takes the place of /opt/trawl.
    installed = replay.stages["build"].path("/opt/trawl")
    bin_folder = stage.path("/usr/local/bin")
    volume = stage.path("/library")
    volume.mkdir(parents=True, exist_ok=True)
    port = "18087"
    environment = {
        **_without_path(stage.environment),
        "PATH": f"{bin_folder}:{installed / 'bin'}:/usr/bin:/bin",
        "HOME": str(volume),
        "TRAWL_LIBRARY": str(volume / "data"),
        "TRAWL_HOST": "127.0.0.1",
        "TRAWL_PORT": port,
    }
    process = subprocess.Popen(replay.entry, env=environment, cwd="/")
    try:
        health_check = [str(installed / "bin" / "python"), str(bin_folder / replay.check[0])]

        def healthy() -> bool:
            assert process.poll() is None, "the server exited"
            return (
                subprocess.run(health_check, env=environment, capture_output=True).returncode == 0
            )

        wait("the health check", healthy)
        url = f"http://127.0.0.1:{port}"
        upload(url)
        wait("a search for the added document", lambda: results(url))
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, "the server exited with an error"
        stop_s = time.monotonic() - began
        print(f"served, added and found a document; exited {stop_s:.1f} s after SIGTERM")
    finally:
        if process.poll() is None:
            process.kill()


def main() -> None:
    """Build the image's stages and start the server."""
    with tempfile.TemporaryDirectory() as folder:
        replay = Replay(Path(folder))
        start(replay, replay.run())


if __name__ == "__main__":
    main()
