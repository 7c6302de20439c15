"""Paths that are not UTF-8: every command works with them, or refuses them in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

NAME = os.fsdecode(b"caf\xe9.txt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undecodable")
    try:
        (folder / NAME).write_text("latin text\n", "utf-8")
    except OSError:
        pytest.skip("this file system only takes UTF-8")
    assert trawl(folder, "add", NAME).returncode == 0
    return folder


def trawl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trawl", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert "Traceback" not in result.stderr, result.stderr
    assert "Error:" not in result.stderr, result.stderr
    return result


def test_show_takes_the_path(folder: Path) -> None:
    shown = trawl(folder, "show", NAME, "--json")
    assert json.loads(shown.stdout)["uri"].endswith("/caf%E9.txt")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", f"{NAME}x"], 1),
        (["edit", f"{NAME}x", "a=b"], 1),
        (["rm", f"{NAME}x"], 1),
        (["search", NAME], 2),
        (["search", "latin", "--where", f"title = '{NAME}'"], 2),
        (["search", "--like", NAME], 1),
        (["search", "--image", NAME], 2),
        (["search", "--audio", NAME], 2),
        (["search", "latin", "--sort", NAME], 2),
        (["search", "latin", "--facet", NAME], 2),
        (["search", "latin", "--cursor", NAME], 2),
        (["add", f"{NAME}x"], 3),
        (["add", NAME, "--meta", f"x={NAME}"], 2),
        (["status", "-l", f"{NAME}-lib"], 1),
        (["init", "-l", f"{NAME}-lib"], 1),
        (["eval", NAME], 2),
        (["--server", "http://127.0.0.1:1", "show", NAME], 1),
    ],
    ids=lambda value: ascii(" ".join(value)) if isinstance(value, list) else None,
)
def test_other_commands_refuse_it_in_words(folder: Path, arguments: list[str], code: int) -> None:
    result = trawl(folder, *arguments)
    assert result.returncode == code, result.stderr
    assert result.stdout.strip() or result.stderr.strip()


def test_rm_takes_the_path(folder: Path) -> None:
    assert trawl(folder, "rm", NAME).stdout == "removed 1 document\n"
