"""`trawl demo` indexes the example collection and touches no other directory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from trawl import Library
from trawl.cli import demo
from trawl.cli.main import app


def run(directory: Path) -> subprocess.CompletedProcess[str]:
    # A server or a library in the environment must not receive the demo's commands.
    environment = {**os.environ, "TRAWL_SERVER": "http://127.0.0.1:9", "TRAWL_LIBRARY": "/nowhere"}
    return subprocess.run(
        [sys.executable, "-m", "trawl", "demo", str(directory)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=110,
    )


def test_demo_indexes_and_searches_the_collection(tmp_path: Path) -> None:
    directory = tmp_path / "with space"
    done = run(directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n$ ") == 10
    assert done.stdout.count("search ") >= 7
    assert "Police siren" in done.stdout
    # A figure of a paper with its caption, and the passage that cites it.
    shown = done.stdout.partition("# 2. A figure inside a paper")[2].partition("# 3.")[0]
    assert "Growth rate of yeast against temperature. Points" in " ".join(shown.split())
    assert "cited on pages 1 and 2" in shown
    assert re.search(r"cites .*Figure 4", shown)
    assert f"export TRAWL_LIBRARY='{directory / 'library'}'" in done.stdout
    with Library(directory / "library") as library:
        assert library.status().documents == 53
        assert not library.status().failed


def test_demo_replaces_its_own_directory_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(demo, "_run", lambda comment, line, library: lines.append(line))
    ours, other = tmp_path / "ours", tmp_path / "other"
    (other / "library").mkdir(parents=True)
    (other / "library" / "library.json").touch()
    for _ in range(2):
        assert app(["demo", str(ours)], standalone_mode=False) in (0, None)
        (ours / "library").mkdir()
        (ours / "library" / "old").touch()
    demo.demo(ours)
    assert not (ours / "library").exists()
    assert (ours / "collection" / "physics" / "muon-lifetime.md").is_file()
    with pytest.raises(demo.UsageError, match="is not empty; choose another directory"):
        demo.demo(other)
    assert (other / "library" / "library.json").is_file()


def test_demo_stops_at_a_command_that_fails(tmp_path: Path) -> None:
    with pytest.raises(demo.typer.Exit) as stopped:
        demo._run("A failing command.", "show nothing", tmp_path / "no-library")
    assert stopped.value.exit_code == 1
